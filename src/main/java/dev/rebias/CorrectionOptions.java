package dev.rebias;

import dev.rebias.error.UsageException;
import dev.rebias.sweep.FloatMath;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.SweepListener;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Predicate;

/** How to correct. Immutable; {@link #defaults()} suits most, {@link #builder()} makes others. */
public final class CorrectionOptions {
    private static final CorrectionOptions DEFAULTS = new Builder().build();

    /** The share of the samples that is held out where something is decided by them. */
    private static final double USUAL_HOLDOUT = 0.2;

    /** Fewer samples than these decide nothing. */
    private static final int LEAST_HELD_OUT = 8;

    private final Optional<Reference> reference;
    private final FloatMath math;
    private final OptionalInt batchSize;
    private final String device;
    private final Predicate<String> layers;
    private final boolean perChannel;
    private final boolean errors;
    private final boolean outcome;
    private final OptionalDouble holdout;
    private final Gate gate;
    private final boolean shrink;
    private final boolean anySamples;
    private final boolean undo;
    private final String request;
    private final Adjustment adjust;
    private final OptionalInt weightBits;
    private final long memoryLimit;
    private final SweepListener listener;

    private CorrectionOptions(Builder builder) {
        this.reference = builder.reference;
        this.math = builder.math;
        this.batchSize = builder.batchSize;
        this.device = builder.device;
        this.layers = builder.layers;
        this.perChannel = builder.perChannel;
        this.errors = builder.errors;
        this.outcome = builder.outcome;
        this.holdout = builder.holdout;
        this.gate = builder.gate;
        this.shrink = builder.shrink;
        this.anySamples = builder.anySamples;
        this.undo = builder.undo;
        this.request = builder.request;
        this.adjust = builder.adjust;
        this.weightBits = builder.weightBits;
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
        builder.math = math;
        builder.batchSize = batchSize;
        builder.device = device;
        builder.layers = layers;
        builder.perChannel = perChannel;
        builder.errors = errors;
        builder.outcome = outcome;
        builder.holdout = holdout;
        builder.gate = gate;
        builder.shrink = shrink;
        builder.anySamples = anySamples;
        builder.undo = undo;
        builder.request = request;
        builder.adjust = adjust;
        builder.weightBits = weightBits;
        builder.memoryLimit = memoryLimit;
        builder.listener = listener;
        return builder;
    }

    /** Where y_f comes from; empty where both are tried, and the better is kept. */
    public Optional<Reference> reference() {
        return reference;
    }

    /** How the float network's layers may be multiplied. */
    public FloatMath math() {
        return math;
    }

    /** What is changed. */
    public Adjustment adjust() {
        return adjust;
    }

    /** How many bits weights have that are chosen anew; empty where it is as many as the layer's weights use. */
    public OptionalInt weightBits() {
        return weightBits;
    }

    /** The most samples per batch; empty where the device decides. */
    public OptionalInt batchSize() {
        return batchSize;
    }

    /**
     * {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}; several cards as {@code cuda:all}, {@code cuda:0,2}.
     */
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

    /**
     * The share of the samples that corrections do not come from; of few samples more are held out where nobody says
     * how many.
     */
    public double holdout() {
        return holdout.orElse(
                reference.isEmpty() || gate != Gate.NONE || adjust == Adjustment.WEIGHTS ? USUAL_HOLDOUT : 0);
    }

    /** How many of so many samples are held out. */
    int heldOut(int samples) {
        long share = Math.round(holdout() * samples);
        boolean usual = holdout.isEmpty() && share > 0 && adjust == Adjustment.BIASES;
        return (int) Math.max(share, usual ? Math.min(LEAST_HELD_OUT, samples / 2) : 0);
    }

    /** Which corrections are given up because of what held-out samples say. */
    public Gate gate() {
        return gate;
    }

    /** Whether corrections are made smaller by what is noise in them. */
    public boolean shrink() {
        return shrink;
    }

    /** Whether to go on with samples that do not fit the model's input quantiser at all. */
    public boolean anySamples() {
        return anySamples;
    }

    /** Whether the corrected model holds what it was before. */
    public boolean undo() {
        return undo;
    }

    /** What the corrected model says that it was asked for; empty where it says nothing. */
    public String request() {
        return request;
    }

    /**
     * The bytes of tensors beyond which those that are stored for later go to a file; {@code Long.MAX_VALUE} for the
     * device's own limit.
     */
    public long memoryLimit() {
        return memoryLimit;
    }

    /** Hears of progress. */
    public SweepListener listener() {
        return listener;
    }

    /** Makes options. Each setter says what its default is. */
    public static final class Builder {
        private Optional<Reference> reference = Optional.of(Reference.LAYER);
        private FloatMath math = FloatMath.FP32;
        private Adjustment adjust = Adjustment.BIASES;
        private OptionalInt weightBits = OptionalInt.empty();
        private OptionalInt batchSize = OptionalInt.empty();
        private String device = "auto";
        private Predicate<String> layers = name -> true;
        private boolean perChannel;
        private boolean errors = true;
        private boolean outcome = true;
        private OptionalDouble holdout = OptionalDouble.empty();
        private Gate gate = Gate.NONE;
        private boolean shrink;
        private boolean anySamples;
        private boolean undo = true;
        private String request = "";
        private long memoryLimit = Long.MAX_VALUE;
        private SweepListener listener = (done, total) -> {};

        private Builder() {}

        /** Where y_f comes from; default {@code LAYER}. */
        public Builder reference(Reference value) {
            this.reference = Optional.of(value);
            return this;
        }

        /**
         * Both references are tried, on the same samples, and the one is kept whose outputs are nearer to the float
         * network's on samples that are held out.
         */
        public Builder bestReference() {
            this.reference = Optional.empty();
            return this;
        }

        /** What is changed; default {@code BIASES}. */
        public Builder adjust(Adjustment value) {
            this.adjust = value;
            return this;
        }

        /**
         * How many bits weights have that are chosen anew, 2 to 16; default: the range from the least to the largest
         * integer that a layer's weights use.
         */
        public Builder weightBits(int value) {
            this.weightBits = OptionalInt.of(value);
            return this;
        }

        /**
         * How a card may multiply in the float network's layers, which the reference {@code NETWORK} runs; default
         * {@code FP32}.
         */
        public Builder math(FloatMath value) {
            this.math = Objects.requireNonNull(value);
            return this;
        }

        /**
         * The most samples per batch, at least 1; default: as many as suit the device, and fewer where its memory asks
         * for it. A device may take fewer, and a model that fixes its batch dimension has the last word.
         */
        public Builder batchSize(int value) {
            this.batchSize = OptionalInt.of(value);
            return this;
        }

        /**
         * {@code auto}, {@code cpu}, {@code cuda} or {@code cuda:N}; or several cards, each of which takes a part of
         * the samples: {@code cuda:all}, {@code cuda:0,2}. Default {@code auto}.
         */
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

        /**
         * Whether results tell how large the errors were (MSE, SQNR); without, the reference {@code LAYER} takes half
         * the time; default yes.
         */
        public Builder errors(boolean value) {
            this.errors = value;
            return this;
        }

        /**
         * Whether the whole networks' outputs are compared with the float network's, before and after, on at most 64 of
         * the samples; default yes.
         */
        public Builder outcome(boolean value) {
            this.outcome = value;
            return this;
        }

        /**
         * The share of the samples, from 0 up to but not 1, that corrections do not come from, spread over the set; the
         * outcome is then measured on them. Default: a fifth where something is decided by them (the better reference,
         * a gate, weights), and of few samples up to half to have 8 unless weights are adjusted; else none.
         */
        public Builder holdout(double value) {
            this.holdout = OptionalDouble.of(value);
            return this;
        }

        /** Which corrections are given up because of what held-out samples say; default none. */
        public Builder gate(Gate value) {
            this.gate = value;
            return this;
        }

        /**
         * Whether each correction is multiplied by max(0, 1 - se^2 / delta^2), se being its standard error, so that
         * what is noise is not written; default no.
         */
        public Builder shrink(boolean value) {
            this.shrink = value;
            return this;
        }

        /**
         * Whether to go on where most values of the samples are outside of what the model's input quantiser holds;
         * default no.
         */
        public Builder anySamples(boolean value) {
            this.anySamples = value;
            return this;
        }

        /**
         * Whether the corrected model holds its original biases and weights, so that
         * {@link dev.rebias.model.Marks#undone} can bring them back; default yes.
         */
        public Builder undo(boolean value) {
            this.undo = value;
            return this;
        }

        /**
         * A text, say a hash, by which the caller knows later that a corrected model came from this request; default
         * empty.
         */
        public Builder request(String value) {
            this.request = Objects.requireNonNull(value);
            return this;
        }

        /**
         * The bytes of tensors beyond which those that are stored for later go to a temporary file, at least 1; default
         * no limit on the CPU, a share of the memory on a GPU. What the layers at work need is added to that, and a
         * warning says so where that is much.
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
            if (weightBits.isPresent() && (weightBits.getAsInt() < 2 || weightBits.getAsInt() > 16)) {
                throw new UsageException(
                        "weights of " + weightBits.getAsInt() + " bits are not possible: they have 2 to 16");
            }
            if (weightBits.isPresent() && adjust == Adjustment.BIASES) {
                throw new UsageException(
                        "the bits of weights (`weightBits`) matter where weights are adjusted: add `adjust` weights");
            }
            if (adjust == Adjustment.WEIGHTS && (shrink || gate != Gate.NONE)) {
                throw new UsageException(
                        "`shrink` and `gate` are about corrections of biases alone: give them, or `adjust` "
                                + "weights, which looks at held-out samples by itself");
            }
            if (memoryLimit < 1) {
                throw new UsageException(
                        "a memory limit of " + memoryLimit + " bytes is not possible: it must be 1 or more");
            }
            if (!errors && perChannel) {
                throw new UsageException(
                        "statistics of single channels (`perChannel`) come from the errors, which `errors(false)` leaves "
                                + "out");
            }
            double share = holdout.orElse(0);
            if (!(share >= 0 && share < 1)) {
                throw new UsageException("a share of " + share
                        + " of the samples cannot be held out: it must be from 0 up to, but not, 1");
            }
            if (gate != Gate.NONE && holdout.isPresent() && share == 0) {
                throw new UsageException(
                        "a gate looks at held-out samples (`gate`), and `holdout` 0 leaves it none: give a share "
                                + "such as 0.2");
            }
            if (!errors && (shrink || gate != Gate.NONE)) {
                throw new UsageException(
                        "`shrink` and `gate` look at the errors of single channels, which `errors(false)` leaves out: "
                                + "give one or the other");
            }
            if (!errors && reference.isEmpty()) {
                throw new UsageException(
                        "the better reference (auto) is refused where corrections are noise, by the errors of "
                                + "single channels, which `errors(false)` leaves out: give one or the other");
            }
            if (reference.isEmpty() && !outcome) {
                throw new UsageException(
                        "the better reference (auto) is chosen by the networks' outputs, which `outcome(false)` leaves "
                                + "out: name a reference, layer or network");
            }
            return new CorrectionOptions(this);
        }
    }
}
