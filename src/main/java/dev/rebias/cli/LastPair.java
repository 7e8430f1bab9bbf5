package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.ModelPair;
import java.util.Optional;
import java.util.function.Supplier;

/** The pair of models that was read last: jobs with the same pair follow each other in most batches. */
final class LastPair {
    private String names = "";
    private Optional<Read> last = Optional.empty();

    /** Two models, with their layers paired. */
    record Read(ModelPair models, BiasCorrection correction) {}

    /**
     * A pair, read unless it was the last.
     *
     * @param wanted the names of its files
     */
    Read of(String wanted, Supplier<ModelPair> reading) {
        if (last.isEmpty() || !wanted.equals(names)) {
            forget();
            ModelPair models = reading.get();
            last = Optional.of(new Read(models, BiasCorrection.of(models)));
            names = wanted;
        }
        return last.orElseThrow();
    }

    /** Lets go of its memory. */
    void forget() {
        last = Optional.empty();
    }
}
