package dev.rebias.measure;

import dev.rebias.device.ClassSums;
import dev.rebias.device.ClassTotals;
import dev.rebias.device.Device;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * By sums of the layer's input per class of taps. A layer is linear, so its mean error is what W_f - W_q makes of the mean input; where each network's layer has an input of its own, what W_f makes of the
 * mean of the one, less what W_q makes of the mean of the other.
 */
final class ClassFilling implements Filling {
    private final WeightError weights;
    private final ClassSums sums;
    private final ClassTotals totals;
    private final Optional<ClassSums> referenceSums;
    private final ClassTotals referenceTotals;

    ClassFilling(Device device, WeightError weights, boolean joint) {
        this.weights = weights;
        this.sums = device.classSums(weights.op(), weights.shape(), weights.dataType(), weights.zero());
        this.totals = new ClassTotals(weights.op(), weights.shape());
        this.referenceSums = joint
                ? Optional.of(device.classSums(weights.op(), weights.shape(), Optional.empty(), 0))
                : Optional.empty();
        this.referenceTotals = new ClassTotals(weights.op(), weights.shape());
    }

    @Override
    public Set<Role> roles() {
        return referenceSums.isPresent() ? Set.of(Role.INPUT, Role.REFERENCE_INPUT) : Set.of(Role.INPUT);
    }

    @Override
    public void add(Role role, List<Tensor> tensors, int batch, int samples) {
        (role == Role.INPUT ? sums : referenceSums.orElseThrow()).add(tensors, samples);
    }

    @Override
    public void merge(Filling other) {
        ClassFilling others = (ClassFilling) other;
        totals.add(others.sums.totals());
        others.referenceSums.ifPresent(s -> referenceTotals.add(s.totals()));
    }

    @Override
    public void bring() {
        sums.bring();
        referenceSums.ifPresent(ClassSums::bring);
    }

    @Override
    public void finish() {
        totals.add(sums.totals());
        referenceSums.ifPresent(s -> referenceTotals.add(s.totals()));
        close();
    }

    @Override
    public long samples() {
        return totals.samples();
    }

    @Override
    public double[] meanErrors() {
        if (referenceSums.isEmpty()) {
            return totals.means(weights.difference());
        }
        double[] w = new double[weights.reference().length];
        for (int i = 0; i < w.length; i++) {
            w[i] = weights.reference()[i] / weights.scale();
        }
        double[] means = referenceTotals.means(w);
        for (int i = 0; i < w.length; i++) {
            w[i] = weights.reference()[i] - weights.difference()[i];
        }
        double[] less = totals.means(w);
        for (int c = 0; c < means.length; c++) {
            means[c] -= less[c];
        }
        return means;
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(sums::close);
        referenceSums.ifPresent(s -> all.add(s::close));
        all.close();
    }
}
