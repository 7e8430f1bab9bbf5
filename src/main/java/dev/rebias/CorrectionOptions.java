package dev.rebias;

import dev.rebias.error.UsageException;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.SweepListener;
import java.util.OptionalInt;
import java.util.function.Predicate;

/** How to correct. Immutable; {@link #defaults()} suits most, {@link #builder()} makes others. */
public final class CorrectionOptions {
    private static final CorrectionOptions DEFAULTS = new Builder().build();

    private final Reference reference;
    private final OptionalInt batchSize;
    private final String device;
    private final Predicate<String> layers;
    private final boolean perChannel;
    private final boolean errors;
    private final boolean outcome;
    private final long memoryLimit;
    private final SweepListener listener;

    private CorrectionOptions(Builder builder) {
        this.reference = builder.reference;
        this.batchSize = builder.batchSize;
        this.device = builder.device;
        this.layers = builder.layers;
        this.perChannel = builder.perChannel;
        this.errors = builder.errors;
        this.outcome = builder.outcome;
        this.memoryLimit = builder.memoryLimit;
        this.listener = builder.listener;
    }

    /** What each setter of {@link Builder} calls the default. */
    public static CorrectionOptions defaults() {
        return DEFAULTS;
    }

    /** A builder that starts from the defaults. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder that starts from these options. */
    public Builder toBuilder() {
        Builder builder = new Builder();
        builder.reference = reference;
        builder.batchSize = batchSize;
        builder.device = device;
        builder.layers = layers;
        builder.perChannel = perChannel;
        builder.errors = errors;
        builder.outcome = outcome;
        builder.memoryLimit = memoryLimit;
        builder.listener = listener;
        return builder;
    }

    /** Where y_f comes from. */
    public Reference reference() {
        return reference;
    }

    /** The most samples per batch; empty where the device decides. */
    public OptionalInt batchSize() {
        return batchSize;
    }

    /** {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}. */
    public String device() {
        return device;
    }

    /** Which layers to correct, by name. */
    public Predicate<String> layers() {
        return layers;
    }

    /** Whether results tell of single channels. */
    public boolean perChannel() {
        return perChannel;
    }

    /** Whether results tell how large the errors were. */
    public boolean errors() {
        return errors;
    }

    /** Whether the whole networks' outputs are compared with the float network's. */
    public boolean outcome() {
        return outcome;
    }

    /** The bytes of tensors beyond which those that are stored for later go to a file; {@code Long.MAX_VALUE} for the device's own limit. */
    public long memoryLimit() {
        return memoryLimit;
    }

    /** Hears of progress. */
    public SweepListener listener() {
        return listener;
    }

    /** Makes options. Each setter says what its default is. */
    public static final class Builder {
        private Reference reference = Reference.LAYER;
        private OptionalInt batchSize = OptionalInt.empty();
        private String device = "auto";
        private Predicate<String> layers = name -> true;
        private boolean perChannel;
        private boolean errors = true;
        private boolean outcome = true;
        private long memoryLimit = Long.MAX_VALUE;
        private SweepListener listener = (done, total) -> {};

        private Builder() {}

        /** Where y_f comes from; default {@code LAYER}. */
        public Builder reference(Reference value) {
            this.reference = value;
            return this;
        }

        /**
         * The most samples per batch, at least 1; default: as many as suit the device, and fewer where its memory asks for it. A device may take
         * fewer, and a model that fixes its batch dimension has the last word.
         */
        public Builder batchSize(int value) {
            this.batchSize = OptionalInt.of(value);
            return this;
        }

        /** {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}; default {@code auto}. */
        public Builder device(String value) {
            this.device = value;
            return this;
        }

        /** Which layers to correct, by name; default all. */
        public Builder layers(Predicate<String> value) {
            this.layers = value;
            return this;
        }

        /** Whether results tell of single channels (means, standard errors) too; default no. */
        public Builder perChannel(boolean value) {
            this.perChannel = value;
            return this;
        }

        /** Whether results tell how large the errors were (MSE, SQNR); without, the reference {@code LAYER} takes half the time; default yes. */
        public Builder errors(boolean value) {
            this.errors = value;
            return this;
        }

        /** Whether the whole networks' outputs are compared with the float network's, before and after, on at most 64 of the samples; default yes. */
        public Builder outcome(boolean value) {
            this.outcome = value;
            return this;
        }

        /**
         * The bytes of tensors beyond which those that are stored for later go to a temporary file, at least 1; default no limit on the CPU, a
         * share of the memory on a GPU. What the layers at work need is added to that, and a warning says so where that is much.
         */
        public Builder memoryLimit(long value) {
            this.memoryLimit = value;
            return this;
        }

        /** Hears of progress; default nobody. */
        public Builder listener(SweepListener value) {
            this.listener = value;
            return this;
        }

        /**
         * The options.
         *
         * @throws UsageException if a value is out of its range, or two exclude each other
         */
        public CorrectionOptions build() {
            if (batchSize.isPresent() && batchSize.getAsInt() < 1) {
                throw new UsageException(
                        "batch size " + batchSize.getAsInt() + " is not possible: it must be 1 or more");
            }
            if (memoryLimit < 1) {
                throw new UsageException(
                        "a memory limit of " + memoryLimit + " bytes is not possible: it must be 1 or more");
            }
            if (!errors && perChannel) {
                throw new UsageException(
                        "statistics of single channels (--per-channel) come from the errors, which --no-mse leaves out");
            }
            return new CorrectionOptions(this);
        }
    }
}
