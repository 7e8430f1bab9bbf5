package dev.rebias.device.cpu;

import dev.rebias.device.Moments;

/**
 * A layer's errors and its float outputs as linear forms of columns z of which the means m and the covariances S over all samples and positions are known: with A the weights of the errors,
 *
 * <pre>
 * mean of e = A m + (b_f - b_q)        variance of e = diagonal of A S A'
 * </pre>
 *
 * and the same of y_f with the weights of the outputs. Nothing is computed that depends on both positions and output channels.
 */
final class LinearForms {
    private final CpuMeasurement measurement;
    private final int columns;
    private final double[] errors;
    private final double[] outputs;

    /** The covariances of the columns. */
    interface Covariances {
        /** Those of one column and every column. */
        void read(int column, float[] to);
    }

    /**
     * Two linear forms for each channel.
     *
     * @param measurement knows the biases
     * @param errors [channels, columns]
     * @param outputs the same of y_f
     */
    LinearForms(CpuMeasurement measurement, int columns, double[] errors, double[] outputs) {
        this.measurement = measurement;
        this.columns = columns;
        this.errors = errors;
        this.outputs = outputs;
    }

    /** The mean error of every output channel, where the columns have these means. */
    double[] meanErrors(double[] means) {
        double[] mean = new double[measurement.channels()];
        for (int c = 0; c < mean.length; c++) {
            mean[c] = dot(errors, c, means) + measurement.biasError(c);
        }
        return mean;
    }

    private double dot(double[] matrix, int row, double[] vector) {
        return Taps.dot(matrix, row * columns, vector, 0, columns);
    }

    /** What a correction leaves of the errors. */
    Moments moments(double[] means, Covariances covariances, boolean perChannel) {
        int channels = measurement.channels();
        double[] variances = variances(covariances);
        double[] references = new double[channels];
        double[] powers = new double[channels];
        for (int c = 0; c < channels; c++) {
            references[c] = dot(outputs, c, means) + measurement.referenceBias(c);
            powers[c] = variances[channels + c] + references[c] * references[c];
        }
        return measurement.moments(meanErrors(means), variances, references, powers, perChannel);
    }

    /**
     * The variances of all channels' e, then of all their y_f. S is given around the means, so nothing large cancels out in the product with it, which is one of floats; the second product is in double
     * precision again.
     */
    private double[] variances(Covariances covariances) {
        int channels = measurement.channels();
        int rows = 2 * channels;
        double[] variances = new double[rows];
        try (Floats left = new Floats(rows * columns);
                Floats right = new Floats(columns * columns);
                Floats result = new Floats(rows * columns)) {
            float[] row = new float[columns];
            for (int c = 0; c < rows; c++) {
                double[] matrix = c < channels ? errors : outputs;
                for (int i = 0; i < columns; i++) {
                    row[i] = (float) matrix[c % channels * columns + i];
                }
                left.values().put(c * columns, row, 0, columns);
            }
            for (int i = 0; i < columns; i++) {
                covariances.read(i, row);
                right.values().put(i * columns, row, 0, columns);
            }
            measurement
                    .context()
                    .products()
                    .ofFloats(false, rows, columns, columns)
                    .execute(measurement.context().lane(), left.address(), right.address(), result.address());
            for (int c = 0; c < rows; c++) {
                double[] matrix = c < channels ? errors : outputs;
                result.values().get(c * columns, row, 0, columns);
                double sum = 0;
                for (int i = 0; i < columns; i++) {
                    sum += matrix[c % channels * columns + i] * row[i];
                }
                variances[c] = sum;
            }
        }
        return variances;
    }
}
