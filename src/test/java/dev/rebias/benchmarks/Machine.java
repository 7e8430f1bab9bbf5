package dev.rebias.benchmarks;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.oracle.SyntheticModels;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What this machine can do, to hold achieved figures against: a copy of memory, and a large product of matrices in ONNX
 * Runtime; all processors at work.
 */
record Machine(double copyGigabytes, double productGigaflops) {
    private static final int TURNS = 5;
    private static final int COPIED = 16 << 20;

    /** The rows and columns of each matrix. */
    private static final int SIDE = 2048;

    static Machine measure() {
        return new Machine(copy(), product());
    }

    private static double copy() {
        int threads = Runtime.getRuntime().availableProcessors();
        float[][] from = new float[threads][COPIED];
        float[][] to = new float[threads][COPIED];
        double best = 0;
        for (int turn = 0; turn < TURNS; turn++) {
            long start = System.nanoTime();
            IntStream.range(0, threads).parallel().forEach(t -> System.arraycopy(from[t], 0, to[t], 0, COPIED));
            best = Math.max(best, 2.0 * threads * COPIED * Float.BYTES / (System.nanoTime() - start));
        }
        return best;
    }

    private static double product() {
        ModelProto model = SyntheticModels.product(SIDE);
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, SIDE});
        BoundSamples samples = Workload.noise("x", SIDE, SIDE).bind(List.of(input));
        try (OnnxRuntimePass pass = new OnnxRuntimePass(model.toByteArray(), List.of("x"), samples, SIDE)) {
            double seconds = Arrays.stream(new double[TURNS])
                    .map(unused -> pass.seconds())
                    .min()
                    .orElseThrow();
            return 2e-9 * SIDE * SIDE * SIDE / seconds;
        }
    }
}
