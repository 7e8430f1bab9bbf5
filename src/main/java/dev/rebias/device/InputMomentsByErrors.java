package dev.rebias.device;

import dev.rebias.tensor.HostTensor;
import java.util.List;

/** The mean error of a layer by computing its errors, for a device without the closed form: more work, the same mean but for rounding. */
public final class InputMomentsByErrors implements InputMoments {
    private final PreparedOp error;
    private final ErrorMoments moments;
    private final WeightError weights;

    /**
     * Measures through these.
     *
     * @param error the layer with the difference of the weights; becomes this object's to close
     * @param moments becomes this object's to close
     */
    public InputMomentsByErrors(PreparedOp error, ErrorMoments moments, WeightError weights) {
        this.error = error;
        this.moments = moments;
        this.weights = weights;
    }

    /** The operands of the layer with the difference of the weights. */
    public static List<Operand> operands(WeightError weights) {
        float[] values = new float[weights.difference().length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) weights.difference()[i];
        }
        return List.of(
                new Operand.Variable(),
                new Operand.Constant(HostTensor.of(values, weights.shape())),
                new Operand.Absent());
    }

    @Override
    public void addInput(Tensor data, int batch, int samples) {
        try (Tensor e = error.run(List.of(data)).get(0)) {
            moments.addError(e, e, weights.op().channelAxis(e.shape().length), batch, samples);
        }
    }

    @Override
    public void solve() {
        moments.solve();
    }

    @Override
    public Tensor correctedBias(long... shape) {
        return moments.correctedBias(shape);
    }

    @Override
    public Moments read(boolean perChannel) {
        return moments.read(false).withoutErrors();
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(error::close);
        all.add(moments::close);
        all.close();
    }
}
