package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** No phase longer than a second is silent, and none that is shorter says a word. */
final class ProgressTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream err = new PrintStream(bytes, true, StandardCharsets.UTF_8);

    private final AtomicLong nanoseconds = new AtomicLong(Long.MAX_VALUE / 2);

    private String said() {
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private Progress progress(boolean quiet, boolean terminal) {
        return new Progress(quiet, terminal, err, nanoseconds::get);
    }

    private void pass(Progress progress, long milliseconds) {
        nanoseconds.addAndGet(milliseconds * 1_000_000);
        progress.show();
    }

    private void run(boolean quiet, boolean terminal) {
        try (Progress progress = progress(quiet, terminal)) {
            progress.phase("reading models");
            pass(progress, 999);
            progress.phase("verifying");
            pass(progress, 1800);
            progress.phase("writing");
            pass(progress, 50);
            progress.phase("sweep");
            progress.progress(3, 12);
            pass(progress, 1800);
        }
    }

    @Test
    void aLineForEachLongPhaseWhereThereIsNoTerminal() {
        run(false, false);
        assertThat(said().lines()).containsExactly("verifying", "sweep: 25 %");
    }

    @Test
    void secondsAndABarOnATerminalAndNothingIsLeftStanding() {
        run(false, true);
        assertThat(said())
                .contains("\rverifying: 1 s", "\r" + " ".repeat("verifying: 1 s".length()) + "\r", "sweep", "25%");
        assertThat(said()).doesNotContain("reading models", "writing");
    }

    @Test
    void nothingWhereQuiet() {
        run(true, true);
        assertThat(said()).isEmpty();
    }

    @Test
    void whereThereIsNoTerminalALineComesEveryTenSeconds() {
        try (Progress progress = progress(false, false)) {
            progress.phase("sweep");
            for (int second = 1; second <= 22; second++) {
                progress.progress(second, 22);
                pass(progress, 1000);
            }
        }
        assertThat(said().lines()).containsExactly("sweep: 4 %", "sweep: 50 %", "sweep: 95 %");
    }

    private static boolean eventually(BooleanSupplier condition) throws InterruptedException {
        for (int i = 0; i < 6000 && !condition.getAsBoolean(); i++) {
            Thread.sleep(10);
        }
        return condition.getAsBoolean();
    }

    private static boolean isAlive() {
        return Thread.getAllStackTraces().keySet().stream()
                .anyMatch(t -> t.getName().equals(Progress.THREAD));
    }

    @Test
    void itLooksAtTheClockByItselfAndLeavesNoThread() throws InterruptedException {
        try (Progress progress = progress(false, false)) {
            progress.phase("verifying");
            nanoseconds.addAndGet(2_000_000_000);
            assertThat(eventually(() -> said().startsWith("verifying"))).isTrue();
            assertThat(isAlive()).isTrue();
        }
        assertThat(eventually(() -> !isAlive())).isTrue();
    }
}
