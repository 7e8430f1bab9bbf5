package dev.rebias.device.cpu;

import dev.rebias.device.JointInputMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.BiasGrid;
import java.util.Optional;

/** The mean error in closed form, where each network's layer has data of its own: what W_f makes of the mean of the one, less what W_q makes of the mean of the other. */
final class CpuJointMoments extends CpuMeasurement implements JointInputMoments {
    private final InputSums floating;
    private final InputSums quantized;
    private final WeightError weights;

    CpuJointMoments(CpuContext context, double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights) {
        super(context, bias, referenceBias, grid);
        this.weights = weights;
        this.floating = new InputSums(context, weights.op(), weights.shape(), Optional.empty(), 0);
        this.quantized = new InputSums(context, weights.op(), weights.shape(), weights.dataType(), weights.zero());
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
        count(quantized.samples());
        double[] w = new double[weights.reference().length];
        for (int i = 0; i < w.length; i++) {
            w[i] = weights.reference()[i] / weights.scale();
        }
        double[] means = floating.means(w);
        for (int i = 0; i < w.length; i++) {
            w[i] = weights.reference()[i] - weights.difference()[i];
        }
        double[] less = quantized.means(w);
        for (int c = 0; c < means.length; c++) {
            means[c] += biasError(c) - less[c];
        }
        solve(means);
    }

    @Override
    public Moments read(boolean perChannel) {
        return moments();
    }
}
