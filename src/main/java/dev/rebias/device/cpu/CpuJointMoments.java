package dev.rebias.device.cpu;

import dev.rebias.device.JointInputMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.tensor.ElementType;
import java.util.Optional;

/** The mean error in closed form, where each network's layer has data of its own: what W_f makes of the mean of the one, less what W_q makes of the mean of the other. */
final class CpuJointMoments implements JointInputMoments {
    private final InputSums floating;
    private final InputSums quantized;
    private final double[] shift;
    private final Solution solution;

    CpuJointMoments(CpuContext context, double[] bias, double[] referenceBias, float[] steps, WeightError weights) {
        double[] real = weights.reference().clone();
        double[] own = weights.reference().clone();
        for (int i = 0; i < real.length; i++) {
            real[i] /= weights.scale();
            own[i] -= weights.difference()[i];
        }
        this.floating = new InputSums(context, whole(weights, real, Optional.empty(), 0));
        this.quantized = new InputSums(context, whole(weights, own, weights.dataType(), weights.zero()));
        this.shift = new double[bias.length];
        for (int c = 0; c < bias.length; c++) {
            shift[c] = referenceBias[c] - bias[c];
        }
        this.solution = new Solution(context, bias, steps);
    }

    /** Weights all of which count, as if the others were 0. */
    private static WeightError whole(WeightError of, double[] weights, Optional<ElementType> type, long zero) {
        return new WeightError(of.op(), of.shape(), weights, weights, type, 1, zero);
    }

    @Override
    public void addReference(Tensor reference, int batch, int samples) {
        floating.add(reference, batch, samples);
    }

    @Override
    public void addInput(Tensor data, int batch, int samples) {
        quantized.add(data, batch, samples);
    }

    @Override
    public void solve() {
        double[] means = floating.meanErrors();
        double[] less = quantized.meanErrors();
        for (int c = 0; c < means.length; c++) {
            means[c] += shift[c] - less[c];
        }
        solution.solve(means);
    }

    @Override
    public Tensor correctedBias(long... shape) {
        return solution.correctedBias(shape);
    }

    @Override
    public Moments read(boolean perChannel) {
        return new Moments(quantized.samples(), solution.rounded(), Optional.empty(), Optional.empty());
    }

    @Override
    public void close() {
        solution.close();
    }
}
