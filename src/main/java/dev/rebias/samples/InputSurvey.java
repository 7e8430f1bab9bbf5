package dev.rebias.samples;

import java.util.Optional;

/**
 * What the samples of one FLOAT input were like, after normalisation.
 *
 * @param name the input's name
 * @param least the smallest value
 * @param most the largest value
 * @param mean of all values
 * @param quantizer the range of values that the model's input quantiser holds, where it has one
 * @param beyond the share of values outside that range, 0 to 1; 0 where there is none
 * @param constant how many samples have one value throughout
 * @param firstConstant the number of the first of these, counted from 0; -1 where there is none
 */
public record InputSurvey(
        String name,
        double least,
        double most,
        double mean,
        Optional<Range> quantizer,
        double beyond,
        int constant,
        int firstConstant) {
    /** Values from the least to the most, both included, in steps of that size; 0 where values have no steps. */
    public record Range(double least, double most, double step) {
        public double width() {
            return most - least;
        }
    }
}
