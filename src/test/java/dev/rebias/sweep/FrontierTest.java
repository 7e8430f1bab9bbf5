package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What waits beyond the limit goes to a file, and of it comes back what is used. */
final class FrontierTest {
    private static HostTensor values(int batch, int tensor) {
        float[] values = new float[1000 + 100 * tensor];
        for (int i = 0; i < values.length; i++) {
            values[i] = 1e4f * batch + 1e3f * tensor + i;
        }
        return HostTensor.of(values, values.length);
    }

    @Test
    void onlyWhatIsUsedComesBack() {
        try (CpuDevice device = new CpuDevice(2)) {
            try (Frontier frontier = new Frontier(device, 0)) {
                int batches = 6;
                for (int b = 0; b < batches; b++) {
                    frontier.enter(new Tensor[] {device.upload(values(b, 0)), device.upload(values(b, 1))}, 1);
                }
                for (int turn = 0; turn < 4; turn++) {
                    Set<Integer> used = turn == 3 ? Set.of(0, 1) : Set.of(turn % 2);
                    for (int b = 0; b < batches; b++) {
                        Tensor[] tensors = frontier.take(b, used);
                        frontier.readAhead(b + 2, used);
                        List<Integer> there = new ArrayList<>();
                        for (int t = 0; t < 2; t++) {
                            if (tensors[t] != null) {
                                there.add(t);
                                assertThat(device.download(tensors[t]).floats())
                                        .isEqualTo(values(b, t).floats());
                            }
                        }
                        assertThat(there).containsAll(used);
                        if (turn > 0) {
                            assertThat(there).hasSameSizeAs(used);
                        }
                        frontier.rest(b);
                    }
                }
                assertThat(frontier.spilledBytes()).isEqualTo(batches * 2100L * Float.BYTES);
            }
            assertThat(device.liveTensors()).isZero();
        }
    }

    @Test
    void belowTheLimitNothingGoes() {
        try (CpuDevice device = new CpuDevice(1);
                Frontier frontier = new Frontier(device, 1 << 20)) {
            frontier.enter(new Tensor[] {device.upload(values(0, 0))}, 1);
            frontier.take(0, Set.of(0));
            frontier.rest(0);
            assertThat(frontier.take(0, Set.of())[0]).isNotNull();
            assertThat(frontier.spilledBytes()).isZero();
        }
    }
}
