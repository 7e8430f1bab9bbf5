package dev.rebias.device.cpu;

import dev.rebias.device.Tensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Optional;

/** A layer's correction, once its mean errors are known. */
final class Solution {
    private final CpuContext context;
    private final double[] bias;
    private final float[] steps;
    private Optional<double[]> delta = Optional.empty();
    private Optional<Tensor> correctedBias = Optional.empty();

    Solution(CpuContext context, double[] bias, float[] steps) {
        this.context = context;
        this.bias = bias.clone();
        this.steps = steps.clone();
    }

    void solve(double[] meanErrors) {
        double[] d = new double[bias.length];
        for (int c = 0; c < d.length; c++) {
            // A float bias holds b + delta rounded; delta is what it really moves by.
            d[c] = steps.length == 0
                    ? (float) (bias[c] + meanErrors[c]) - bias[c]
                    : Math.rint(meanErrors[c] / steps[c]) * steps[c];
        }
        delta = Optional.of(d);
    }

    double[] delta() {
        return delta.orElseThrow(() -> new IllegalStateException("a measurement is used before it was solved"));
    }

    float[] rounded() {
        double[] d = delta();
        float[] rounded = new float[d.length];
        for (int c = 0; c < d.length; c++) {
            rounded[c] = (float) d[c];
        }
        return rounded;
    }

    Tensor correctedBias(long... shape) {
        if (correctedBias.isEmpty()) {
            double[] d = delta();
            HostTensor corrected = HostTensor.zeros(ElementType.FLOAT, shape);
            for (int c = 0; c < d.length; c++) {
                corrected.floats().put(c, (float) (bias[c] + d[c]));
            }
            correctedBias = Optional.of(CpuDevice.upload(context, corrected));
        }
        return correctedBias.get();
    }

    void close() {
        correctedBias.ifPresent(Tensor::close);
    }
}
