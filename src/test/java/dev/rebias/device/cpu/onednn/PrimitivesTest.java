package dev.rebias.device.cpu.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.tensor.ElementType;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Primitives are made once for a key, and live as long as somebody uses them. */
final class PrimitivesTest {
    private record Key(int elements) {}

    private final CpuContext context = new CpuContext();
    private final AtomicInteger made = new AtomicInteger();

    private Primitive take(Primitives primitives, int elements) {
        return primitives.take(new Key(elements), () -> {
            made.incrementAndGet();
            // A second cache, so that each of these is one of its own and closed by nobody else.
            return new Layouts(context).conversion(ElementType.FLOAT, ElementType.UINT8, elements);
        });
    }

    @Test
    void aSecondUserGetsTheSame() {
        try (Primitives primitives = new Primitives()) {
            Primitive first = take(primitives, 8);
            assertThat(take(primitives, 8)).isSameAs(first);
            assertThat(take(primitives, 9)).isNotSameAs(first);
            assertThat(made).hasValue(2);
            primitives.give(new Key(8));
            assertThat(primitives.used()).isEqualTo(2);
            primitives.give(new Key(8));
            assertThat(primitives.used()).isEqualTo(1);
            assertThat(take(primitives, 8)).isSameAs(first);
            assertThat(made).hasValue(2);
        } finally {
            context.close();
        }
    }

    @Test
    void thoseThatWereUsedLongAgoAreGivenUpAndNoneThatIsUsed() {
        int many = 1_200;
        try (Primitives primitives = new Primitives()) {
            Primitive used = take(primitives, many + 1);
            List<Primitive> all = new ArrayList<>();
            for (int i = 1; i <= many; i++) {
                all.add(take(primitives, i));
            }
            IntStream.rangeClosed(1, many).forEach(i -> primitives.give(new Key(i)));
            assertThat(primitives.size()).isEqualTo(1_001);
            assertThat(primitives.used()).isEqualTo(1);
            assertThat(take(primitives, many + 1)).isSameAs(used);
            assertThat(take(primitives, many)).isSameAs(all.get(many - 1));
            assertThat(made).hasValue(many + 1);
            take(primitives, 1);
            assertThat(made).hasValue(many + 2);
        } finally {
            context.close();
        }
    }

    @Test
    void whoeverComesBackAfterTheEndIsWelcome() {
        Primitives primitives = new Primitives();
        take(primitives, 8);
        primitives.close();
        primitives.give(new Key(8));
        assertThat(primitives.size()).isZero();
        context.close();
    }

    @Test
    void threadsThatComeAtOnceShareOne() throws InterruptedException {
        try (Primitives primitives = new Primitives()) {
            Primitive[] taken = new Primitive[8];
            List<Thread> threads = IntStream.range(0, taken.length)
                    .mapToObj(i -> new Thread(() -> taken[i] = take(primitives, 8)))
                    .toList();
            threads.forEach(Thread::start);
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(taken).containsOnly(taken[0]).doesNotContainNull();
            assertThat(primitives.size()).isEqualTo(1);
            for (int i = 0; i < taken.length; i++) {
                primitives.give(new Key(8));
            }
            assertThat(primitives.used()).isZero();
        } finally {
            context.close();
        }
    }
}
