package dev.rebias.op;

import java.util.List;

/** Operations that several tests use. */
public final class TestOps {
    private TestOps() {}

    /** A 1x1 convolution. */
    public static Convolution pointwise() {
        List<Long> ones = List.of(1L, 1L);
        return new Convolution(new Window(ones, ones, ones, List.of(0L, 0L, 0L, 0L), Window.AutoPad.NOTSET), 1);
    }
}
