package dev.rebias;

import dev.rebias.samples.InputSurvey;
import dev.rebias.samples.Normalization;
import java.util.List;

/**
 * The samples of a correction.
 *
 * @param correcting how many samples corrections come from
 * @param heldOut how many others were held out
 * @param distinct how many different ones are among those that corrections come from
 * @param sha256 of these, in order: the values that the network was given, or the bytes that they are stored as and
 *     what each stands for; in hexadecimal
 * @param normalization how stored values became values
 * @param inputs what their values were like, for each FLOAT input
 */
public record SamplesUsed(
        int correcting,
        int heldOut,
        int distinct,
        String sha256,
        Normalization normalization,
        List<InputSurvey> inputs) {
    public SamplesUsed {
        inputs = List.copyOf(inputs);
    }
}
