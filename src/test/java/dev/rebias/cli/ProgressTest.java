package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** No phase longer than a second is silent, and none that is shorter says a word. */
final class ProgressTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream err = new PrintStream(bytes, true, StandardCharsets.UTF_8);

    private String said() {
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private void run(boolean quiet, boolean terminal) throws InterruptedException {
        try (Progress progress = new Progress(quiet, terminal, err)) {
            progress.phase("reading models");
            Thread.sleep(50);
            progress.phase("verifying");
            Thread.sleep(1800);
            progress.phase("writing");
            Thread.sleep(50);
            progress.phase("sweep");
            progress.progress(3, 12);
            Thread.sleep(1800);
        }
    }

    @Test
    void aLineForEachLongPhaseWhereThereIsNoTerminal() throws InterruptedException {
        run(false, false);
        assertThat(said().lines()).containsExactly("verifying", "sweep: 25 %");
    }

    @Test
    void secondsAndABarOnATerminalAndNothingIsLeftStanding() throws InterruptedException {
        run(false, true);
        assertThat(said())
                .contains("\rverifying: 1 s", "\r" + " ".repeat("verifying: 1 s".length()) + "\r", "sweep", "25%");
        assertThat(said()).doesNotContain("reading models", "writing");
    }

    @Test
    void nothingWhereQuiet() throws InterruptedException {
        run(true, true);
        assertThat(said()).isEmpty();
    }
}
