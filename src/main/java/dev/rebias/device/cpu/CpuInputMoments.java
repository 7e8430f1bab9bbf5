package dev.rebias.device.cpu;

import dev.rebias.device.InputMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.BiasGrid;

/** The closed form of a layer's mean error. */
final class CpuInputMoments extends CpuMeasurement implements InputMoments {
    private final InputSums data;
    private final double[] difference;

    CpuInputMoments(CpuContext context, double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights) {
        super(context, bias, referenceBias, grid);
        this.difference = weights.difference();
        this.data = new InputSums(context, weights.op(), weights.shape(), weights.dataType(), weights.zero());
    }

    @Override
    public void addInput(Tensor tensor, int batch, int samples) {
        data.add(tensor, batch, samples);
    }

    @Override
    public void solve() {
        count(data.samples());
        double[] means = data.means(difference);
        for (int c = 0; c < means.length; c++) {
            means[c] += biasError(c);
        }
        solve(means);
    }

    @Override
    public Moments read(boolean perChannel) {
        return moments();
    }
}
