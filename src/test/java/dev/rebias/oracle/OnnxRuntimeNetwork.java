package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/** Runs a model as written in ONNX Runtime: what the oracle itself is checked against. */
final class OnnxRuntimeNetwork {
    private OnnxRuntimeNetwork() {}

    /**
     * Runs the model once.
     *
     * @param inputs floats
     * @return the model's outputs by name; all must be floats
     */
    static Map<String, NaiveTensor> run(ModelProto model, Map<String, NaiveTensor> inputs) throws OrtException {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        Map<String, OnnxTensor> fed = new HashMap<>();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.NO_OPT);
            // Else QDQ graphs run on integer kernels.
            options.addConfigEntry("session.disable_quant_qdq", "1");
            for (Map.Entry<String, NaiveTensor> input : inputs.entrySet()) {
                fed.put(input.getKey(), tensor(environment, input.getValue()));
            }
            try (OrtSession session = environment.createSession(model.toByteArray(), options);
                    OrtSession.Result result = session.run(fed)) {
                Map<String, NaiveTensor> outputs = new LinkedHashMap<>();
                for (Map.Entry<String, OnnxValue> output : result) {
                    outputs.put(output.getKey(), tensor((OnnxTensor) output.getValue()));
                }
                return outputs;
            }
        } finally {
            fed.values().forEach(OnnxTensor::close);
        }
    }

    private static OnnxTensor tensor(OrtEnvironment environment, NaiveTensor t) throws OrtException {
        float[] values = new float[t.values().length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) t.values()[i];
        }
        return OnnxTensor.createTensor(
                environment,
                FloatBuffer.wrap(values),
                Arrays.stream(t.shape()).asLongStream().toArray());
    }

    private static NaiveTensor tensor(OnnxTensor t) {
        FloatBuffer values = t.getFloatBuffer();
        double[] copy = new double[values.remaining()];
        for (int i = 0; i < copy.length; i++) {
            copy[i] = values.get(i);
        }
        int[] shape =
                Arrays.stream(t.getInfo().getShape()).mapToInt(Math::toIntExact).toArray();
        return new NaiveTensor(copy, shape);
    }
}
