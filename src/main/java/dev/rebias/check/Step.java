package dev.rebias.check;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** The steps of a check, in their order. */
public enum Step {
    /** The machine, the driver, the card, and every CUDA library that is loaded. */
    ENVIRONMENT("The machine", 90, true),
    /** {@code doctor --deep} twice in one process, then on another thread. */
    DOCTOR("Each kind of convolution and kernel against the CPU", 60, true),
    /** The contract of devices, layer groups and elementwise groups against the naive oracle. */
    CONTRACT("The contract of devices, by its tests", 130, true),
    /** The golden corrections of ONNX and Keras pairs. */
    GOLDENS("Golden corrections", 110, true),
    /** Every kind of convolution by every algorithm. */
    PROBE("What cuDNN and cuBLAS do with each kind of convolution", 60, false),
    /** Whole corrections of networks of known shapes. */
    CORRECTIONS("Whole corrections", 110, true),
    /** Error moments and their fold. */
    MOMENTS("Error moments", 30, false),
    /** How long kernels take to compile. */
    KERNELS("Compiling the kernels", 40, false),
    /** NVIDIA's checkers and profiler. */
    TOOLS("compute-sanitizer and ncu", 100, false),
    /** The same card's work in another program. */
    BASELINE("Another program on the same card", 100, false);

    private final String title;
    private final int share;
    private final boolean decides;

    Step(String title, int share, boolean decides) {
        this.title = title;
        this.share = share;
        this.decides = decides;
    }

    public String title() {
        return title;
    }

    /** What it may take of the time, relative to the others. */
    int share() {
        return share;
    }

    /** Whether the verdict needs it; the others give figures. */
    boolean decides() {
        return decides;
    }

    /** As it is named on the command line and in file names. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The step of that name. */
    public static Optional<Step> of(String id) {
        return Stream.of(values()).filter(s -> s.id().equals(id)).findFirst();
    }

    /** All names, in order. */
    public static List<String> ids() {
        return Stream.of(values()).map(Step::id).toList();
    }
}
