package dev.rebias;

import dev.rebias.error.UsageException;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.SweepListener;
import java.util.function.Predicate;

/**
 * How to correct. Immutable; start from {@link #defaults()}.
 *
 * @param reference where y_f comes from; default {@code LAYER}
 * @param batchSize samples per batch, at least 1; default 32; a model that fixes its batch dimension has the last word
 * @param device {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}; default {@code auto}
 * @param layers which layers to correct, by name; default all
 * @param perChannel whether results tell of single channels (means, standard errors) too; default no
 * @param listener hears of progress; default nobody
 */
public record CorrectionOptions(
        Reference reference,
        int batchSize,
        String device,
        Predicate<String> layers,
        boolean perChannel,
        SweepListener listener) {
    public CorrectionOptions {
        if (batchSize < 1) {
            throw new UsageException("batch size " + batchSize + " is not possible: it must be 1 or more");
        }
    }

    public static CorrectionOptions defaults() {
        return new CorrectionOptions(Reference.LAYER, 32, "auto", name -> true, false, (done, total) -> {});
    }

    public CorrectionOptions withReference(Reference newReference) {
        return new CorrectionOptions(newReference, batchSize, device, layers, perChannel, listener);
    }

    public CorrectionOptions withBatchSize(int newBatchSize) {
        return new CorrectionOptions(reference, newBatchSize, device, layers, perChannel, listener);
    }

    public CorrectionOptions withDevice(String newDevice) {
        return new CorrectionOptions(reference, batchSize, newDevice, layers, perChannel, listener);
    }

    public CorrectionOptions withLayers(Predicate<String> newLayers) {
        return new CorrectionOptions(reference, batchSize, device, newLayers, perChannel, listener);
    }

    public CorrectionOptions withPerChannel(boolean newPerChannel) {
        return new CorrectionOptions(reference, batchSize, device, layers, newPerChannel, listener);
    }

    public CorrectionOptions withListener(SweepListener newListener) {
        return new CorrectionOptions(reference, batchSize, device, layers, perChannel, newListener);
    }
}
