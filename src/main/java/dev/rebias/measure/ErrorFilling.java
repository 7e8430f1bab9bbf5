package dev.rebias.measure;

import dev.rebias.device.Device;
import dev.rebias.device.ErrorSums;
import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** By sums of every error: {@code e = error + (b_f - b_q)} or {@code e = (y_f + b_f) - (y_q + b_q)}. */
final class ErrorFilling implements Filling.OfErrors {
    private final int channels;
    private final Role role;
    private final boolean perSample;
    private final ErrorSums sums;
    private Optional<ErrorTotals> totals = Optional.empty();

    private ErrorFilling(int channels, Role role, boolean perSample, ErrorSums sums) {
        this.channels = channels;
        this.role = role;
        this.perSample = perSample;
        this.sums = sums;
    }

    /** Of errors and outputs that are tensors. */
    static ErrorFilling ofOutputs(Device device, WeightError weights, int channels, boolean joint, boolean perSample) {
        return new ErrorFilling(
                channels, Role.OUTPUTS, perSample, device.errorSums(weights.op(), channels, joint, perSample));
    }

    /** Of errors that the device computes from the input. */
    static ErrorFilling ofInput(Device device, WeightError weights, int channels, boolean joint, boolean perSample) {
        return new ErrorFilling(
                channels,
                joint ? Role.OUTPUT_AND_INPUT : Role.INPUT,
                perSample,
                device.inputErrorSums(weights, joint, perSample)
                        .orElseThrow(() -> new IllegalStateException(
                                "the plan lets a device compute errors from inputs that does not: " + device.info())));
    }

    @Override
    public Set<Role> roles() {
        return Set.of(role);
    }

    @Override
    public void add(Role added, List<Tensor> tensors, int batch, int samples) {
        sums.add(tensors, samples);
    }

    @Override
    public void bring() {
        sums.bring();
    }

    @Override
    public void finish() {
        totals = Optional.of(sums.totals());
        sums.close();
    }

    @Override
    public void write(DataOutput out) throws IOException {
        totals().write(out);
    }

    @Override
    public void take(List<? extends DataInput> parts) throws IOException {
        ErrorTotals all = new ErrorTotals(channels, perSample);
        for (DataInput part : parts) {
            all.add(part);
        }
        totals = Optional.of(all);
    }

    private ErrorTotals totals() {
        return totals.orElseThrow();
    }

    @Override
    public long samples() {
        return totals().samples();
    }

    private double[] means(int sum) {
        double[] means = new double[channels];
        Arrays.setAll(means, c -> totals().mean(sum, c));
        return means;
    }

    @Override
    public double[] meanErrors() {
        return means(0);
    }

    @Override
    public Statistics statistics() {
        double[] means = means(0);
        double[] variances = means(1);
        for (int c = 0; c < channels; c++) {
            variances[c] -= means[c] * means[c];
        }
        double[] squaredSampleMeans = new double[channels];
        Arrays.setAll(squaredSampleMeans, totals()::squaredSampleMeans);
        return new Statistics(variances, means(2), means(3), squaredSampleMeans);
    }

    @Override
    public void close() {
        sums.close();
    }
}
