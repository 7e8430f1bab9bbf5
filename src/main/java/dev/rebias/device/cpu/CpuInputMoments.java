package dev.rebias.device.cpu;

import dev.rebias.device.InputMoments;
import dev.rebias.device.Moments;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import java.util.Optional;

/** The closed form of a layer's mean error. */
final class CpuInputMoments implements InputMoments {
    private final double[] shift;
    private final InputSums data;
    private final double[] difference;
    private final Solution solution;

    CpuInputMoments(CpuContext context, double[] bias, double[] referenceBias, float[] steps, WeightError weights) {
        this.shift = new double[bias.length];
        for (int c = 0; c < bias.length; c++) {
            shift[c] = referenceBias[c] - bias[c];
        }
        this.difference = weights.difference();
        this.data = new InputSums(context, weights);
        this.solution = new Solution(context, bias, steps);
    }

    @Override
    public void addInput(Tensor tensor, int batch, int samples) {
        data.add(tensor, batch, samples);
    }

    @Override
    public void solve() {
        double[] means = data.means(difference);
        for (int c = 0; c < means.length; c++) {
            means[c] += shift[c];
        }
        solution.solve(means);
    }

    @Override
    public Tensor correctedBias(long... shape) {
        return solution.correctedBias(shape);
    }

    @Override
    public Moments read(boolean perChannel) {
        return new Moments(data.samples(), solution.rounded(), Optional.empty(), Optional.empty());
    }

    @Override
    public void close() {
        solution.close();
    }
}
