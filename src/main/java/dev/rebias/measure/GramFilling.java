package dev.rebias.measure;

import dev.rebias.device.Device;
import dev.rebias.device.Gram;
import dev.rebias.device.GramTotals;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.op.MatMul;
import dev.rebias.op.Taps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * By the Gram matrix of a pointwise layer's input. Errors and float outputs are linear forms of the matrix's columns z,
 * of which the means m and the covariances S over all samples and positions are known: with A the weights of the
 * errors,
 *
 * <pre>
 * mean of e = A m + (b_f - b_q)        variance of e = diagonal of A S A'
 * </pre>
 *
 * and the same of y_f with the weights of the outputs. Nothing is computed that depends on both positions and output
 * channels.
 */
final class GramFilling implements Filling.OfErrors {
    private final Device device;
    private final boolean joint;
    private final int channels;
    private final boolean perSample;
    /** The weights of the errors and of the float outputs, [channels, columns]. */
    private final double[] errors;

    private final double[] outputs;
    private final Gram sums;
    private Optional<GramTotals> totals = Optional.empty();
    /** The variances of all parts' samples, where these are in parts. */
    private Optional<double[]> merged = Optional.empty();

    GramFilling(Device device, WeightError weights, int channels, boolean joint, boolean perSample) {
        this.device = device;
        this.joint = joint;
        this.channels = channels;
        this.perSample = perSample;
        this.errors = joint ? weights.jointErrors() : weights.difference();
        this.outputs = joint ? weights.jointOutputs() : weights.reference();
        this.sums = device.gram(weights, joint, perSample)
                .orElseThrow(() -> new IllegalStateException(
                        "the plan measures by Gram matrices on a device that makes none: " + device.info()));
    }

    @Override
    public Set<Role> roles() {
        return Set.of(joint ? Role.INPUTS : Role.INPUT);
    }

    @Override
    public void add(Role role, List<Tensor> tensors, int batch, int samples) {
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

    /**
     * The matrix stays here, for it is large: of the variances that follow from it and of the means those of all parts
     * follow (Chan, Golub, LeVeque, "Algorithms for Computing the Sample Variance", 1983, equation 2.1b).
     */
    @Override
    public void write(DataOutput out) throws IOException {
        totals().writeSums(out);
        for (double variance : variances()) {
            out.writeDouble(variance);
        }
    }

    @Override
    public void take(List<? extends DataInput> parts) throws IOException {
        GramTotals all = totals().emptySums();
        double[] variances = new double[2 * channels];
        double[] means = new double[2 * channels];
        for (DataInput part : parts) {
            GramTotals own = totals().emptySums();
            own.addSums(part);
            double[] ownMeans = means(own);
            double share = (double) own.count() / (all.count() + own.count());
            for (int i = 0; i < variances.length; i++) {
                double apart = ownMeans[i] - means[i];
                variances[i] += share * (part.readDouble() - variances[i] + (1 - share) * apart * apart);
            }
            all.add(own);
            means = means(all);
        }
        totals = Optional.of(all);
        merged = Optional.of(variances);
    }

    /** The means of all channels' e, then of all their y_f. */
    private double[] means(GramTotals of) {
        double[] all = Arrays.copyOf(means(errors, of), 2 * channels);
        System.arraycopy(means(outputs, of), 0, all, channels, channels);
        return all;
    }

    private GramTotals totals() {
        return totals.orElseThrow();
    }

    @Override
    public long samples() {
        return totals().samples();
    }

    @Override
    public double[] meanErrors() {
        return means(errors, totals());
    }

    private double[] means(double[] matrix, GramTotals of) {
        double[] columns = of.sums();
        double[] means = new double[channels];
        for (int c = 0; c < channels; c++) {
            means[c] = Taps.dot(matrix, c * columns.length, columns, 0, columns.length) / of.count();
        }
        return means;
    }

    @Override
    public Statistics statistics() {
        double[] variances = merged.orElseGet(this::variances);
        double[] referenceMeans = means(outputs, totals());
        double[] referenceSquares = Arrays.copyOfRange(variances, channels, 2 * channels);
        double[] squaredSampleMeans = new double[channels];
        for (int c = 0; c < channels; c++) {
            referenceSquares[c] += referenceMeans[c] * referenceMeans[c];
            squaredSampleMeans[c] = perSample ? totals().squaredSampleMeans(c) : Double.NaN;
        }
        return new Statistics(Arrays.copyOf(variances, channels), referenceMeans, referenceSquares, squaredSampleMeans);
    }

    /**
     * The variances of all channels' e, then of all their y_f. S is given around the means, so nothing large cancels
     * out in the product with it, which is one of floats; the second product is in double precision again.
     */
    private double[] variances() {
        int columns = totals().columns();
        int rows = 2 * channels;
        HostTensor forms = HostTensor.zeros(ElementType.FLOAT, rows, columns);
        HostTensor covariances = HostTensor.zeros(ElementType.FLOAT, columns, columns);
        float[] row = new float[columns];
        for (int i = 0; i < rows; i++) {
            double[] matrix = i < channels ? errors : outputs;
            for (int j = 0; j < columns; j++) {
                row[j] = (float) matrix[i % channels * columns + j];
            }
            forms.floats().put(i * columns, row, 0, columns);
        }
        GramTotals.Covariances all = totals().covariances();
        for (int i = 0; i < columns; i++) {
            all.read(i, row);
            covariances.floats().put(i * columns, row, 0, columns);
        }
        List<Operand> operands =
                List.of(new Operand.Variable(), new Operand.Constant(covariances), new Operand.Absent());
        double[] variances = new double[rows];
        try (PreparedOp product = device.prepare(new MatMul(), operands);
                Tensor left = device.upload(forms);
                Tensor result = product.run(List.of(left)).get(0)) {
            FloatBuffer values = device.download(result).floats();
            for (int i = 0; i < rows; i++) {
                double[] matrix = i < channels ? errors : outputs;
                values.get(i * columns, row, 0, columns);
                for (int j = 0; j < columns; j++) {
                    variances[i] += matrix[i % channels * columns + j] * row[j];
                }
            }
        }
        return variances;
    }

    @Override
    public void close() {
        sums.close();
    }
}
