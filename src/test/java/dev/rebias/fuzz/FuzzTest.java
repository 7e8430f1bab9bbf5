package dev.rebias.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Emulator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * No file kills the process, hangs it, makes it read or write where it may not, leaves files behind or is answered with
 * anything but a sentence. {@code -Drebias.fuzz.cases} says how many are tried, {@code -Drebias.fuzz.seconds} for how
 * long at most, {@code -Drebias.fuzz.seed} which, {@code -Drebias.fuzz.first} from which number on: a case that went
 * wrong is run again with its number and one case.
 */
@Tag("fuzz")
final class FuzzTest {
    private static final int CASES = 500;

    @Test
    void noInputDoesHarmOnTheCpu() throws Exception {
        if (!Emulator.present()) {
            run("cpu");
        }
    }

    @Test
    @Tag("cuda")
    @Tag("emulator")
    void noInputDoesHarmOnTheEmulatedCard() throws Exception {
        Emulator.require();
        run("cuda");
    }

    private static void run(String device) throws Exception {
        Path folder = Path.of("target", "fuzz-" + device).toAbsolutePath();
        if (Files.exists(folder)) {
            try (Stream<Path> old = Files.walk(folder)) {
                for (Path f : old.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(f);
                }
            }
        }
        Files.createDirectories(folder);
        int cases = Integer.getInteger("rebias.fuzz.cases", CASES);
        int seconds = Integer.getInteger("rebias.fuzz.seconds", Integer.MAX_VALUE);
        FuzzRunner runner = new FuzzRunner(
                Long.getLong("rebias.fuzz.seed", 1),
                Integer.getInteger("rebias.fuzz.first", 0),
                cases,
                Duration.ofSeconds(seconds),
                device,
                folder);
        List<String> faults = runner.run();
        System.out.println(runner.figures());
        assertThat(faults).as(runner.figures()).isEmpty();
        assertThat(runner.heap()).as("bytes of heap").isLessThan(1L << 30);
        // A machine that gets through less of it in its time is too slow, or cases have become so; one that has other
        // work meanwhile need do only its share.
        assertThat((double) runner.tried())
                .as("cases tried, with %.0f %% of the processors", 100 * runner.share())
                .isGreaterThanOrEqualTo(runner.share() * cases / 2);
        // Were nearly all refused, little of what lies behind the checks would be tried. Usual is a fifth.
        assertThat(runner.corrected()).as("corrected").isGreaterThanOrEqualTo(runner.tried() / 10);
    }
}
