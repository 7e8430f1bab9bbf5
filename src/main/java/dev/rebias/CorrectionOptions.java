package dev.rebias;

import dev.rebias.error.UsageException;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.SweepListener;
import java.util.OptionalInt;
import java.util.function.Predicate;

/**
 * How to correct. Immutable; start from {@link #defaults()}.
 *
 * @param reference where y_f comes from; default {@code LAYER}
 * @param batchSize the most samples per batch, at least 1; a device may take fewer; default none: as many as suit the device, and fewer where its memory asks for it; a model that fixes its batch dimension has the last word
 * @param device {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}; default {@code auto}
 * @param layers which layers to correct, by name; default all
 * @param perChannel whether results tell of single channels (means, standard errors) too; default no
 * @param errors whether results tell how large the errors were (MSE, SQNR); without, the reference {@code LAYER} takes half the time; default yes
 * @param outcome whether the whole networks' outputs are compared with the float network's, before and after, on at most 64 of the samples; default yes
 * @param memoryLimit the bytes of tensors beyond which those that wait go to a temporary file, at least 1; default no limit on the CPU, a share of the memory on a GPU. What is worked on comes on top, and a warning says so where that is much
 * @param listener hears of progress; default nobody
 */
public record CorrectionOptions(
        Reference reference,
        OptionalInt batchSize,
        String device,
        Predicate<String> layers,
        boolean perChannel,
        boolean errors,
        boolean outcome,
        long memoryLimit,
        SweepListener listener) {
    public CorrectionOptions {
        if (batchSize.isPresent() && batchSize.getAsInt() < 1) {
            throw new UsageException("batch size " + batchSize.getAsInt() + " is not possible: it must be 1 or more");
        }
        if (memoryLimit < 1) {
            throw new UsageException(
                    "a memory limit of " + memoryLimit + " bytes is not possible: it must be 1 or more");
        }
        if (!errors && perChannel) {
            throw new UsageException(
                    "statistics of single channels (--per-channel) come from the errors, which --no-mse leaves out");
        }
    }

    public static CorrectionOptions defaults() {
        return new CorrectionOptions(
                Reference.LAYER,
                OptionalInt.empty(),
                "auto",
                name -> true,
                false,
                true,
                true,
                Long.MAX_VALUE,
                (done, total) -> {});
    }

    public CorrectionOptions withReference(Reference newReference) {
        return new CorrectionOptions(
                newReference, batchSize, device, layers, perChannel, errors, outcome, memoryLimit, listener);
    }

    public CorrectionOptions withBatchSize(int newBatchSize) {
        return new CorrectionOptions(
                reference,
                OptionalInt.of(newBatchSize),
                device,
                layers,
                perChannel,
                errors,
                outcome,
                memoryLimit,
                listener);
    }

    public CorrectionOptions withDevice(String newDevice) {
        return new CorrectionOptions(
                reference, batchSize, newDevice, layers, perChannel, errors, outcome, memoryLimit, listener);
    }

    public CorrectionOptions withLayers(Predicate<String> newLayers) {
        return new CorrectionOptions(
                reference, batchSize, device, newLayers, perChannel, errors, outcome, memoryLimit, listener);
    }

    public CorrectionOptions withPerChannel(boolean newPerChannel) {
        return new CorrectionOptions(
                reference, batchSize, device, layers, newPerChannel, errors, outcome, memoryLimit, listener);
    }

    public CorrectionOptions withErrors(boolean newErrors) {
        return new CorrectionOptions(
                reference, batchSize, device, layers, perChannel, newErrors, outcome, memoryLimit, listener);
    }

    public CorrectionOptions withOutcome(boolean newOutcome) {
        return new CorrectionOptions(
                reference, batchSize, device, layers, perChannel, errors, newOutcome, memoryLimit, listener);
    }

    public CorrectionOptions withMemoryLimit(long newMemoryLimit) {
        return new CorrectionOptions(
                reference, batchSize, device, layers, perChannel, errors, outcome, newMemoryLimit, listener);
    }

    public CorrectionOptions withListener(SweepListener newListener) {
        return new CorrectionOptions(
                reference, batchSize, device, layers, perChannel, errors, outcome, memoryLimit, newListener);
    }
}
