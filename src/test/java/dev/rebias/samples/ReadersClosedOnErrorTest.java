package dev.rebias.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostValues;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What was opened is closed again where memory runs out, after which reading goes on another way. */
final class ReadersClosedOnErrorTest {
    private final AtomicInteger open = new AtomicInteger();

    private SampleReader opened() {
        open.incrementAndGet();
        return new SampleReader() {
            @Override
            public HostValues stored(int n) {
                throw new IllegalStateException("nobody reads it");
            }

            @Override
            public void skip(int n) {
                throw new IllegalStateException("nobody reads it");
            }

            @Override
            public void close() {
                open.decrementAndGet();
            }
        };
    }

    private static SampleReader failing() {
        throw new OutOfMemoryError("of the test");
    }

    @Test
    void ofSeveralInputs() {
        BoundSamples samples = new BoundSamples(
                List.of(
                        new BoundSamples.Filled(this::opened, true),
                        new BoundSamples.Filled(ReadersClosedOnErrorTest::failing, true)),
                List.of(3));
        assertThatThrownBy(() -> samples.batches(1)).isInstanceOf(OutOfMemoryError.class);
        assertThat(open).hasValue(0);
        assertThat(samples.kept(1 << 20)).isSameAs(samples);
        assertThat(open).hasValue(0);
    }

    private static ArraySource source(ArraySource.ReaderMaker maker) {
        return new ArraySource("an array", ElementType.FLOAT, new long[] {3, 2}, true, maker);
    }

    @Test
    void ofArraysThatAreJoined() {
        List<ArraySource> parts = List.of(
                source((input, shape, normalization) -> opened()), source((input, shape, normalization) -> failing()));
        InputSpec input = new InputSpec("x", ElementType.FLOAT, new long[] {-1, 2});
        assertThatThrownBy(() -> Samples.joined(parts, input, new long[] {6, 2}, Normalization.NONE))
                .isInstanceOf(OutOfMemoryError.class);
        assertThat(open).hasValue(0);
    }

    @Test
    void ofAStoredArray() {
        String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
        byte[] text = (header + " ".repeat(117 - header.length()) + "\n").getBytes(StandardCharsets.US_ASCII);
        byte[] file = new byte[10 + text.length + 24];
        System.arraycopy(
                new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) text.length, 0}, 0, file, 0, 10);
        System.arraycopy(text, 0, file, 10, text.length);
        AtomicInteger times = new AtomicInteger();
        StoredArray array = StoredArray.open("an array", file.length, () -> {
            open.incrementAndGet();
            boolean fails = times.incrementAndGet() > 1;
            return new FilterInputStream(new ByteArrayInputStream(file)) {
                @Override
                public int read(byte[] to, int from, int n) throws IOException {
                    if (fails) {
                        failing();
                    }
                    return super.read(to, from, n);
                }

                @Override
                public long skip(long n) {
                    return 0;
                }

                @Override
                public void close() throws IOException {
                    open.decrementAndGet();
                    super.close();
                }
            };
        });
        assertThat(open).hasValue(0);
        assertThatThrownBy(() -> {
                    try (InputStream in = array.elements(3)) {
                        in.read();
                    }
                })
                .isInstanceOf(OutOfMemoryError.class);
        assertThat(open).hasValue(0);
    }
}
