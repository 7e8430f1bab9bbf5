package dev.rebias.op;

import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.tensor.HostTensor;

/** Tensors as ONNX stores them. */
public final class Tensors {
    private Tensors() {}

    /** The message of a tensor, its values in raw_data. */
    public static TensorProto of(String name, HostTensor value) {
        TensorProto.Builder tensor = TensorProto.newBuilder()
                .setName(name)
                .setDataType(value.type().onnxCode())
                .setRawData(ByteString.copyFrom(value.bytes()));
        for (long d : value.shape()) {
            tensor.addDims(d);
        }
        return tensor.build();
    }
}
