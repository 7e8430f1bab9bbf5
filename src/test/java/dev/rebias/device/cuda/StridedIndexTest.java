package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.CleanEmulator;
import dev.rebias.device.Emulator;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Elements are found by strided indices of every rank, by multiplication and by division. */
@Tag("cuda")
@Tag("emulator")
@ExtendWith(CleanEmulator.class)
final class StridedIndexTest {
    private final Random random = new Random(6);

    @Test
    void tensorsAreTransposedByNarrowAndByWideIndices() {
        Emulator.require();
        try (CudaContext context = new CudaContext(CudaCards.require(0))) {
            for (int rank = 0; rank <= StridedIndex.RANK; rank++) {
                for (int i = 0; i < 4; i++) {
                    transpose(context, random.ints(rank, 1, 6).asLongStream().toArray(), true);
                }
            }
            transpose(context, new long[] {3, 1000, 7}, false);
            transpose(context, new long[] {1, 65537}, false);
        }
    }

    private void transpose(CudaContext context, long[] shape, boolean shuffled) {
        int rank = shape.length;
        List<Integer> order = new ArrayList<>();
        for (int d = 0; d < rank; d++) {
            order.add(shuffled ? d : rank - 1 - d);
        }
        if (shuffled) {
            Collections.shuffle(order, random);
        }
        long[] own = StridedIndex.dense(shape);
        long[] sizes = order.stream().mapToLong(d -> shape[d]).toArray();
        long[] strides = order.stream().mapToLong(d -> own[d]).toArray();
        int n = (int) Shape.elements(shape);
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = i;
        }
        float[] expected = new float[n];
        for (int i = 0; i < n; i++) {
            long rest = i;
            long at = 0;
            for (int d = rank - 1; d >= 0; d--) {
                at += rest % sizes[d] * strides[d];
                rest /= sizes[d];
            }
            expected[i] = at;
        }
        StridedIndex from = StridedIndex.paired(sizes, strides).orElseThrow();
        StridedIndex to = StridedIndex.paired(sizes, StridedIndex.dense(sizes)).orElseThrow();
        assertThat(from.narrow()).isTrue();
        for (boolean narrow : new boolean[] {true, false}) {
            try (DeviceTensor x = context.upload(HostTensor.of(values, n));
                    DeviceTensor y = DeviceTensor.allocate(context, ElementType.FLOAT, n)) {
                context.arguments()
                        .pointer(x.address())
                        .pointer(y.address())
                        .int64(n)
                        .int64(0)
                        .int64(0)
                        .index(new StridedIndex(from.sizes(), from.strides(), narrow))
                        .index(new StridedIndex(to.sizes(), to.strides(), narrow))
                        .over(context.kernel("copy.cu", "copy_4"), "copy_4", n);
                assertThat(context.download(y).toFloats())
                        .as("%s in the order %s, narrow %s", Arrays.toString(shape), order, narrow)
                        .isEqualTo(expected);
            }
        }
    }
}
