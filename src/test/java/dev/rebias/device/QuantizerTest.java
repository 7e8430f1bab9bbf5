package dev.rebias.device;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The CPU's QuantizeLinear rounds the exact quotient half to even: at ties, beside them, at both ends, and for scales
 * of any size.
 */
final class QuantizerTest {
    private static final int SCALES = 40;

    @ParameterizedTest
    @CsvSource({"UINT8, 0", "UINT8, 3", "UINT8, 255", "INT8, 0", "INT8, -128", "INT8, 5"})
    void quotientsAreRoundedExactly(ElementType type, int zero) {
        Random random = new Random(zero);
        long different = 0;
        for (int i = 0; i < SCALES; i++) {
            // Powers of two make exact ties; the last are beyond what the fast loop takes.
            float scale = i % 2 == 0 ? (float) Math.scalb(1.0, i - 10) : random.nextFloat() * 0.1f + 1e-4f;
            scale = i == SCALES - 1 ? 1e-30f : i == SCALES - 2 ? 1e30f : scale;
            float[] x = values(scale, random);
            byte[] actual = quantize(x, scale, type, zero);
            for (int k = 0; k < x.length; k++) {
                different += actual[k] == expected(x[k], scale, type, zero) ? 0 : 1;
            }
        }
        assertThat(different).isZero();
    }

    /** Around every whole and half step: the nearest floats on both sides; and some of any size. */
    private static float[] values(float scale, Random random) {
        float[] x = new float[7 * 1200];
        for (int i = 0; i < 1200; i++) {
            float at = (float) ((i - 600) * 0.5 * scale);
            x[7 * i] = at;
            x[7 * i + 1] = Math.nextUp(at);
            x[7 * i + 2] = Math.nextDown(at);
            x[7 * i + 3] = Math.nextUp(Math.nextUp(at));
            x[7 * i + 4] = Math.nextDown(Math.nextDown(at));
            x[7 * i + 5] = (float) (random.nextGaussian() * 100 * scale);
            x[7 * i + 6] = (float) (random.nextGaussian() * 1e6 * scale);
        }
        x[0] = Float.POSITIVE_INFINITY;
        x[1] = Float.NEGATIVE_INFINITY;
        x[2] = -0f;
        return x;
    }

    private static byte expected(float x, float scale, ElementType type, int zero) {
        // A double holds the quotient of two floats closely enough that it is half way only where the exact one is.
        double q = Math.rint((double) x / scale) + zero;
        double low = type == ElementType.UINT8 ? 0 : -128;
        double high = type == ElementType.UINT8 ? 255 : 127;
        return (byte) (int) Math.max(low, Math.min(high, q));
    }

    private static byte[] quantize(float[] x, float scale, ElementType type, int zero) {
        OnnxOp op = new OnnxOp(
                NodeProto.newBuilder()
                        .setOpType("QuantizeLinear")
                        .addInput("x")
                        .addInput("s")
                        .addInput("z")
                        .addOutput("y")
                        .build(),
                List.of(),
                List.of(OperatorSetIdProto.newBuilder().setVersion(13).build()));
        List<Operand> operands = List.of(
                new Operand.Variable(),
                new Operand.Constant(HostTensor.of(new float[] {scale})),
                new Operand.Constant(HostTensor.ofByte(type, zero)));
        try (CpuDevice device = new CpuDevice(1);
                PreparedOp quantizer = device.prepare(op, operands);
                Tensor data = device.upload(HostTensor.of(x, 4, x.length / 4));
                Tensor y = quantizer.run(List.of(data)).get(0)) {
            byte[] out = new byte[x.length];
            device.download(y).bytes().get(out);
            return out;
        }
    }
}
