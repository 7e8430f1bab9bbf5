package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.report.OptionNames;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The library's messages name its settings; on the command line they name options. */
final class OptionNamesTest {
    private static final Path SOURCES = Path.of("src/main/java/dev/rebias");
    private static final Pattern TEXT = Pattern.compile("\"(?:[^\"\\\\\n]|\\\\.)*\"");
    private static final Pattern SETTING = Pattern.compile("`[^`]+`");
    private static final Pattern OPTION = Pattern.compile("--[a-z][a-z-]*[a-z]");

    /** Options of other programs: of Docker, QONNX and the CUDA compiler. */
    private static final Set<String> OF_OTHERS =
            Set.of("--gpus", "--output-style", "--std", "--fmad", "--gpu-architecture");

    private static Stream<String> found(Pattern pattern) throws IOException {
        try (Stream<Path> files = Files.walk(SOURCES)) {
            List<Path> library = files.filter(f -> f.toString().endsWith(".java"))
                    .filter(f -> !Set.of("cli", "batch", "check", "report")
                            .contains(SOURCES.relativize(f).getName(0).toString()))
                    .toList();
            assertThat(library).hasSizeGreaterThan(100);
            Set<String> all = new TreeSet<>();
            for (Path file : library) {
                TEXT.matcher(Files.readString(file))
                        .results()
                        .flatMap(text -> pattern.matcher(text.group()).results())
                        .map(MatchResult::group)
                        .forEach(all::add);
            }
            return all.stream();
        }
    }

    @Test
    void messagesOfTheLibraryNameNoOptions() throws IOException {
        assertThat(found(OPTION).filter(o -> !OF_OTHERS.contains(o))).isEmpty();
    }

    @Test
    void everySettingInAMessageIsAnOptionOfTheCommandLine() throws IOException {
        String help = CommandLineRun.captured("correct", "--help").out();
        List<String> settings = found(SETTING).toList();
        assertThat(settings).hasSizeGreaterThan(15);
        for (String setting : settings) {
            String option = OptionNames.inText(setting);
            assertThat(option).as(setting).startsWith("--");
            assertThat(help).as(setting).contains(option);
        }
    }

    @Test
    void textsAreTranslatedAndOtherBackquotesAreLeft() {
        Map.of(
                        "use a smaller `batchSize` (`limit`)",
                        "use a smaller --batch-size (--limit)",
                        "made with `undo(false)`",
                        "made with --no-undo",
                        "layer `Conv_1` and `undo`, `$1` of 'a'",
                        "layer `Conv_1` and `undo`, `$1` of 'a'")
                .forEach((text, told) -> assertThat(OptionNames.inText(text)).isEqualTo(told));
    }
}
