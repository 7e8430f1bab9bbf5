package dev.rebias.model;

import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** Whether a model is quantised: by quantisers in its graph, or by weights that are whole multiples of a step. */
final class Quantisation {
    private static final Set<String> QUANTIZERS =
            Set.of("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "FakeQuantize", "Quant");

    /** The largest integer that a weight is looked for at: that of 8 bits without a sign. */
    private static final int MOST_STEPS = 255;

    private static final double WHOLE = 1e-3;
    /** Rows of fewer weights are whole multiples of some step by chance. */
    private static final int SHORT = 6;

    private static final int SAMPLED = 16;

    private Quantisation() {}

    /** Whether a model is quantised, these being its layers. */
    static boolean isIn(Graph graph, List<Layer> layers) {
        boolean quantizers = !graph.dequantized().isEmpty()
                || graph.nodes().stream().anyMatch(n -> QUANTIZERS.contains(n.op().type()));
        return quantizers || 2 * layers.stream().filter(Quantisation::isRounded).count() > layers.size();
    }

    /** Whether nearly all rows of weights are whole multiples of a step, each of its own. */
    private static boolean isRounded(Layer layer) {
        WeightRows rows = WeightRows.of(layer.op(), layer.weightShape());
        int seen = 0;
        int rounded = 0;
        for (int c = 0; c < rows.channels() && rows.length() >= SHORT; c += Math.max(1, rows.channels() / SAMPLED)) {
            double[] row = new double[rows.length()];
            for (int k = 0; k < row.length; k++) {
                row[k] = Math.abs(layer.weights()[rows.index(c, k)]);
            }
            double largest = Arrays.stream(row).max().orElse(0);
            if (largest > 0) {
                seen++;
                rounded += isRounded(row, largest) ? 1 : 0;
            }
        }
        return seen > 0 && 10 * rounded >= 9 * seen;
    }

    private static boolean isRounded(double[] row, double largest) {
        for (int steps = 1; steps <= MOST_STEPS; steps++) {
            double perUnit = steps / largest;
            int k = 0;
            while (k < row.length && Math.abs(row[k] * perUnit - Math.rint(row[k] * perUnit)) < WHOLE) {
                k++;
            }
            if (k == row.length) {
                return true;
            }
        }
        return false;
    }
}
