package dev.rebias.measure;

import dev.rebias.device.ClassSums;
import dev.rebias.device.ClassTotals;
import dev.rebias.device.Device;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * By sums of the layer's input per class of taps. A layer is linear, so its mean error is what W_f - W_q makes of the
 * mean input; where each network's layer has an input of its own, what W_f makes of the mean of the one, less what W_q
 * makes of the mean of the other.
 */
final class ClassFilling implements Filling {
    private final WeightError weights;
    private final ClassSums sums;
    private Optional<ClassTotals> totals = Optional.empty();
    private final Optional<ClassSums> referenceSums;
    private Optional<ClassTotals> referenceTotals = Optional.empty();
    private final Resources owned = new Resources();

    ClassFilling(Device device, WeightError weights, boolean joint) {
        this.weights = weights;
        this.sums = device.classSums(weights.op(), weights.shape(), weights.dataType(), weights.zero());
        owned.add(sums::close);
        try {
            this.referenceSums = joint
                    ? Optional.of(device.classSums(weights.op(), weights.shape(), Optional.empty(), 0))
                    : Optional.empty();
        } catch (RuntimeException | Error e) {
            owned.close();
            throw e;
        }
        referenceSums.ifPresent(s -> owned.add(s::close));
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
    public void bring() {
        sums.bring();
        referenceSums.ifPresent(ClassSums::bring);
    }

    @Override
    public void finish() {
        totals = Optional.of(sums.totals());
        referenceTotals = referenceSums.map(ClassSums::totals);
        close();
    }

    @Override
    public void write(DataOutput out) throws IOException {
        totals.orElseThrow().write(out);
        if (referenceTotals.isPresent()) {
            referenceTotals.get().write(out);
        }
    }

    @Override
    public void take(List<? extends DataInput> parts) throws IOException {
        ClassTotals all = new ClassTotals(weights.op(), weights.shape());
        ClassTotals references = new ClassTotals(weights.op(), weights.shape());
        for (DataInput part : parts) {
            all.add(part);
            if (referenceTotals.isPresent()) {
                references.add(part);
            }
        }
        totals = Optional.of(all);
        referenceTotals = referenceTotals.map(t -> references);
    }

    @Override
    public long samples() {
        return totals.orElseThrow().samples();
    }

    @Override
    public double[] meanErrors() {
        if (referenceSums.isEmpty()) {
            return totals.orElseThrow().means(weights.difference());
        }
        double[] w = new double[weights.reference().length];
        for (int i = 0; i < w.length; i++) {
            w[i] = weights.reference()[i] / weights.scale();
        }
        double[] means = referenceTotals.orElseThrow().means(w);
        for (int i = 0; i < w.length; i++) {
            w[i] = weights.reference()[i] - weights.difference()[i];
        }
        double[] less = totals.orElseThrow().means(w);
        for (int c = 0; c < means.length; c++) {
            means[c] -= less[c];
        }
        return means;
    }

    @Override
    public void close() {
        owned.close();
    }
}
