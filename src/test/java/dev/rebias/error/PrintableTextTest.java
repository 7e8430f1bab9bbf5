package dev.rebias.error;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class PrintableTextTest {
    @ParameterizedTest(name = "{index}")
    @CsvSource({
        "'conv\nverified: 17 layers', 'conv\\nverified: 17 layers'",
        "'\u001b[31mred', '\\u001b[31mred'",
        "'a\rb\tc', 'a\\rb\\tc'",
        "'bell\u0007 null\u0000 delete\u007f', 'bell\\u0007 null\\u0000 delete\\u007f'",
        "'\u009b2J', '\\u009b2J'",
        "'abc\u202Edef', 'abc\\u202edef'",
        "'line\u2028separator', 'line\\u2028separator'",
        "'half \ud800 of a pair', 'half \\ud800 of a pair'",
        "'next\u0085line', 'next\\u0085line'",
        "'Schicht/größe:0 層 🙂', 'Schicht/größe:0 層 🙂'",
        "'tag\uDB40\uDC41', 'tag\\U000e0041'"
    })
    void whatCannotBeSeenIsShownAsEscapes(String name, String shown) {
        assertThat(PrintableText.name(name)).isEqualTo(shown);
        assertThat(PrintableText.sentence("layer '" + name + "' is bad")).isEqualTo("layer '" + shown + "' is bad");
        assertThat(new UnsupportedException("layer '" + name + "' is bad")).hasMessage("layer '" + shown + "' is bad");
    }

    @ParameterizedTest(name = "{index}")
    @ValueSource(ints = {120, 121, 240, 241, 400_000})
    void aNameIsCutToWhatAPersonReads(int length) {
        for (String letter : new String[] {"x", "\n", "🙂", "'", " "}) {
            String name = "begin" + letter.repeat(length - 8) + "end";
            String shown = PrintableText.name(name);
            assertThat(shown).hasSizeLessThanOrEqualTo(121).startsWith("begin").endsWith("end");
            assertThat(PrintableText.name(shown)).isEqualTo(shown);
            assertThat(new RebiasException("layer '" + name + "' of '" + name + "' is bad: mend it").getMessage())
                    .hasSizeLessThan(600)
                    .startsWith("layer 'begin")
                    .endsWith("mend it");
        }
        assertThat(PrintableText.name("x".repeat(120))).isEqualTo("x".repeat(120));
    }

    @Test
    void onlyWhatStandsInQuotesIsTakenForAName() {
        String text = "it isn't so: " + "a long explanation that goes on and on, ".repeat(5) + "of 'x'";
        assertThat(PrintableText.sentence(text)).isEqualTo(text);
    }

    @Test
    void whateverANameHoldsTheMessageIsOneLineOfPrintableCharacters() {
        Random random = new Random(5);
        for (int i = 0; i < 3000; i++) {
            StringBuilder name = new StringBuilder();
            for (int n = random.nextInt(300); n > 0; n--) {
                name.append((char) (random.nextBoolean() ? random.nextInt(256) : random.nextInt(0x10000)));
            }
            for (String shown : new String[] {
                PrintableText.name(name.toString()),
                new RebiasException("node '" + name + "': no").getMessage(),
                PrintableText.format("%5d %s", 3, name.toString())
            }) {
                assertThat(shown.codePoints()
                                .noneMatch(c -> Character.isISOControl(c)
                                        || Character.getType(c) == Character.FORMAT
                                        || Character.getType(c) == Character.SURROGATE))
                        .as(shown)
                        .isTrue();
                assertThat(shown.lines().count()).isLessThanOrEqualTo(1);
            }
        }
    }

    @ParameterizedTest(name = "{index}")
    @ValueSource(strings = {" ", "\n", " \n", "\t", "'", "\r\n "})
    void longNamesOfWhiteSpaceTakeNoTime(String blank) {
        String name = "a" + blank.repeat(400_000) + "b";
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(5), () -> {
            assertThat(PrintableText.oneLine(name)).startsWith("a").endsWith("b");
            assertThat(PrintableText.sentence("'" + name + "'")).hasSizeLessThan(600);
        });
    }

    @Test
    void textOfSeveralLinesBecomesOne() {
        assertThat(PrintableText.oneLine("  error:\n   x.cu(3)\r\n\n  bad  \n")).isEqualTo("error: x.cu(3) bad");
    }

    @Test
    void reasonsOfFailedAccessSayWhatItIs() {
        assertThat(Failure.reason(new AccessDeniedException("/x/y"))).isEqualTo("permission denied");
        assertThat(Failure.reason(new FileSystemException("/x", null, "No space left on device")))
                .isEqualTo("no space left on device");
        Throwable wrapped = new ExceptionInInitializerError(
                new java.io.UncheckedIOException(new AccessDeniedException("/tmp/q", null, null)));
        assertThat(Failure.deepest(wrapped)).isEqualTo("permission denied ('/tmp/q')");
        assertThat(Failure.deepest(new UnsatisfiedLinkError("libx.so: failed to map")))
                .isEqualTo("libx.so: failed to map");
        assertThat(PrintableText.format("wrote %s", Path.of("a\nb"))).isEqualTo("wrote a\\nb");
    }

    @ParameterizedTest
    @CsvSource({
        "12.3, 1230 %",
        "1.5, 150 %",
        "-1.5, -150 %",
        "0.12, 12 %",
        "-0.123, -12 %",
        "0.003, 0.30 %",
        "-0.015, -1.5 %",
        "2e-7, 2.0e-05 %"
    })
    void sharesAreShortAndNotInPowersOfTenWhereAPersonReadsThem(double share, String shown) {
        assertThat(PrintableText.percent(share)).isEqualTo(shown);
    }
}
