package dev.rebias.rounding;

/**
 * The values that a row's weights can take: whole multiples of a step. Steps and ranges belong to runs of weights that
 * follow each other.
 *
 * @param steps one per run, positive
 * @param lowest the smallest multiple, one per run
 * @param highest the largest multiple, one per run, not below the lowest
 * @param run how many weights share an entry
 */
public record RowGrid(double[] steps, double[] lowest, double[] highest, int run) {
    public RowGrid {
        if (lowest.length != steps.length || highest.length != steps.length || run < 1) {
            throw new IllegalArgumentException("a grid of " + steps.length + " steps, " + lowest.length + " lowest and "
                    + highest.length + " highest multiples, in runs of " + run);
        }
        for (int i = 0; i < steps.length; i++) {
            if (!(steps[i] > 0) || !(lowest[i] <= highest[i])) {
                throw new IllegalArgumentException(
                        "a grid with step " + steps[i] + " from " + lowest[i] + " to " + highest[i]);
            }
        }
    }

    /** A grid of one step and one range. */
    public static RowGrid uniform(double step, double lowest, double highest, int length) {
        return new RowGrid(new double[] {step}, new double[] {lowest}, new double[] {highest}, Math.max(1, length));
    }

    /** The step of the k-th weight. */
    public double step(int k) {
        return steps[k / run];
    }

    /** The multiple nearest to a value of the k-th weight, ties to even. */
    public double nearest(int k, double value) {
        int at = k / run;
        // There is one zero: -0.0 + 0.0 is 0.0.
        return Math.max(lowest[at], Math.min(highest[at], Math.rint(value / steps[at]))) + 0.0;
    }

    /** Whether the k-th weight can be that multiple. */
    public boolean holds(int k, double multiple) {
        int at = k / run;
        return multiple >= lowest[at] && multiple <= highest[at];
    }
}
