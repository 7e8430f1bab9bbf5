package dev.rebias.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.cli.CommandLineRun;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.golden.ReferencePair;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Reports of real corrections: JSON as its schema says, and pages and tables that say the same. */
final class ReportsTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @TempDir
    Path folder;

    private static ObjectNode report(CorrectionOptions.Builder options, boolean perChannel) {
        try (Samples all = ReferencePair.FASHION_W3A8.samples();
                Samples some = all.limit(12)) {
            CorrectionResult result = ReferencePair.FASHION_W3A8
                    .correction()
                    .correct(some, options.device("cpu").perChannel(perChannel).build());
            return JsonReport.of(RunReport.of(result, perChannel));
        }
    }

    private static JsonNode readBack(ObjectNode report) throws IOException {
        return MAPPER.readTree(JsonReport.write(report));
    }

    private static JsonSchema schema() throws IOException {
        return JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012)
                .getSchema(MAPPER.readTree(Path.of("docs/report.schema.json").toFile()));
    }

    private static String page(ObjectNode report) {
        return new String(HtmlReport.write(report), StandardCharsets.UTF_8);
    }

    @Test
    void jsonIsAsItsSchemaSays() throws IOException {
        List<ObjectNode> reports = List.of(
                report(CorrectionOptions.builder(), false),
                report(CorrectionOptions.builder().reference(Reference.NETWORK), true),
                report(CorrectionOptions.builder().errors(false).outcome(false), false),
                report(CorrectionOptions.builder().layers(name -> name.contains("fc")), false),
                JsonReport.of(new UnsupportedException("no layer pairs")));
        for (ObjectNode report : reports) {
            assertThat(schema().validate(readBack(report))).isEmpty();
        }
        ObjectNode wrong = reports.get(0).deepCopy();
        wrong.put("somethingElse", 1);
        assertThat(schema().validate(readBack(wrong))).isNotEmpty();
        ObjectNode short1 = reports.get(0).deepCopy();
        short1.remove("layers");
        assertThat(schema().validate(readBack(short1))).isNotEmpty();
    }

    @Test
    void aPageNamesEveryLayerAndLoadsNothing() {
        ObjectNode report = report(CorrectionOptions.builder(), true);
        String page = page(report);
        report.path("layers")
                .forEach(layer -> assertThat(page).contains(layer.path("name").asText()));
        assertThat(page)
                .doesNotContain("<script", "http://", "https://", "src=", "url(", "@import", "{{")
                .contains("prefers-color-scheme: dark", "@media print", "<html lang=");
    }

    /** A layer with the larger error has the longer bar. */
    @Test
    void barsAreAsLongAsErrorsAreLarge() {
        ObjectNode report = report(CorrectionOptions.builder(), false);
        Matcher bars = Pattern.compile("<rect class=\"after\" x=\"0\" width=\"([0-9.]+)\"")
                .matcher(page(report));
        List<Double> worst = new ArrayList<>();
        while (worst.size() < 10 && bars.find()) {
            worst.add(Double.valueOf(bars.group(1)));
        }
        assertThat(worst).hasSize(10);
        for (int i = 1; i < worst.size(); i++) {
            assertThat(worst.get(i)).isLessThanOrEqualTo(worst.get(i - 1));
        }
        assertThat(worst.get(9)).isLessThan(worst.get(0));
    }

    @ParameterizedTest
    @CsvSource({"better, good", "undecided, warn", "worse, worse", "missed, worse", "measured, soft", "unknown, soft"})
    void aPageSaysWhatTheVerdictSays(String kind, String shown) {
        ObjectNode report = report(CorrectionOptions.builder(), false);
        ((ObjectNode) report.path("verdict")).put("kind", kind).put("sentence", "it came out so, on 3 samples");
        assertThat(page(report)).contains("<h1 class=\"" + shown + "\">It came out so, on 3 samples</h1>");
        assertThat(page(report)).contains("no model is written");
        ((ObjectNode) report.path("verdict")).put("published", true);
        assertThat(page(report)).contains("the corrected model is written");
    }

    @Test
    void withoutAnOutcomeAPageSaysSo() {
        assertThat(page(report(CorrectionOptions.builder().outcome(false), false)))
                .containsPattern("<h1[^>]*>[^<]*outputs were not compared");
        assertThat(page(JsonReport.of(new UnsupportedException("no layer pairs"))))
                .containsPattern("<h1 class=\"worse\">Not corrected: no layer pairs");
    }

    @Test
    void onlyLayersThatWereCorrectedAreCountedAsSuch() {
        ObjectNode report = report(CorrectionOptions.builder(), false);
        assertThat(page(report)).contains("17 of 17 layers corrected against");
        ((ObjectNode) report.path("layers").get(0)).put("status", "left");
        ((ObjectNode) report.path("layers").get(1)).put("status", "inserted");
        assertThat(page(report)).contains("16 of 17 layers corrected against", "<b>16 of 17</b>");
    }

    /** Runs a command on the bundled example and gives its report. */
    private ObjectNode commanded(int exitCode, String... arguments) throws IOException {
        Path file = folder.resolve("r.json");
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of(
                "--float=examples/fashion/float.onnx",
                "--quantized=examples/fashion/w3a8.onnx",
                "--samples=examples/fashion/calibration.npz",
                "--scale=255",
                "--mean=0.2860",
                "--std=0.3530",
                "--device=cpu",
                "--report=" + file));
        CommandLineRun.Captured run = CommandLineRun.captured(all.toArray(String[]::new));
        assertThat(run.exitCode()).as(run::said).isEqualTo(exitCode);
        ObjectNode report = (ObjectNode) MAPPER.readTree(file.toFile());
        assertThat(schema().validate(report)).isEmpty();
        return report;
    }

    @Test
    void aMeasurementCorrectsNothing() throws IOException {
        ObjectNode report = commanded(0, "measure", "--limit=8", "--per-channel");
        assertThat(report.at("/verdict/published").asBoolean()).isFalse();
        assertThat(page(report))
                .contains("<h1 class=\"soft\">Measured, nothing corrected", "17 of 17 layers measured against")
                .doesNotContain("layers corrected", "model is written");
    }

    @Test
    void reportsOfTheCommandLineAreAsTheirSchemaSays() throws IOException {
        String output = "--output=" + folder.resolve("c.onnx");
        ObjectNode auto = commanded(0, "correct", output, "--reference=auto", "--limit=40", "--verify");
        assertThat(auto.path("trials")).hasSize(2);
        assertThat(page(auto)).contains("the corrected model is written");
        assertThat(page(auto))
                .contains(auto.at("/verdict/sentence").asText().substring(1).replace("'", "&#39;"));
        ObjectNode one = commanded(0, "correct", output, "--limit=1", "--force");
        assertThat(one.at("/outcome/standardError").isNull()).isTrue();
        assertThat(page(one)).contains("<h1 class=\"warn\">No difference beyond chance");
        commanded(5, "correct", output, "--limit=4", "--require-sqnr-gain=90", "--force", "--per-channel");
    }

    @Test
    void aPageTellsOfWeightsThatWereChosenAnew() throws IOException {
        ObjectNode report = commanded(
                0,
                "correct",
                "--output=" + folder.resolve("c.onnx"),
                "--adjust=weights",
                "--limit=80",
                "--per-channel");
        String page = page(report);
        assertThat(page).contains("Weights chosen anew").doesNotContain("come with --per-channel");
        for (JsonNode layer : report.path("layers")) {
            String moved = String.format(
                    Locale.ROOT,
                    ">%.1f %%</td>",
                    100 * layer.path("weightsMoved").asDouble());
            assertThat(page).contains(moved);
        }
        assertThat(page(report(CorrectionOptions.builder(), false)))
                .contains("come with --per-channel")
                .doesNotContain("Weights chosen anew");
    }

    @Test
    void namesCannotBeMarkup() {
        ObjectNode report = report(CorrectionOptions.builder(), false);
        ObjectNode layer = (ObjectNode) report.path("layers").get(0);
        layer.put("name", "<script>alert('1')</script>\u001b[2J\n&\"");
        ObjectNode skipped = (ObjectNode) report.path("layers").get(1);
        skipped.putNull("delta").put("status", "skipped").put("reason", "<b>'</b>");
        assertThat(page(report)).doesNotContain("<script", "<b>'", "\u001b").contains("&lt;script&gt;", "&lt;b&gt;");
    }

    @Test
    void tablesHaveALineForEachLayer() {
        ObjectNode report = report(CorrectionOptions.builder(), false);
        ObjectNode layer = (ObjectNode) report.path("layers").get(0);
        layer.put("name", "=cmd|'a,\"b\"\nc");
        String csv = new String(CsvReport.write(report), StandardCharsets.UTF_8);
        assertThat(csv).startsWith("name,output,op,").contains("\r\n\"'=cmd|'a,\"\"b\"\"\nc\",");
        assertThat(csv.split("\r\n", -1)).hasSize(2 + report.path("layers").size());
        JsonNode second = report.path("layers").get(1);
        assertThat(csv.split("\r\n", -1)[2].split(",", -1))
                .hasSize(csv.split("\r\n", -1)[0].split(",", -1).length)
                .contains(
                        second.path("name").asText(),
                        second.path("mseBefore").asText(),
                        second.path("maxAbsDelta").asText());
    }

    @Test
    void aFilesNameSaysTheForm() {
        assertThat(ReportFormat.of(Path.of("a.HTML"))).isEqualTo(ReportFormat.HTML);
        assertThat(ReportFormat.of(Path.of("x/b.json"))).isEqualTo(ReportFormat.JSON);
        assertThat(ReportFormat.of(Path.of("c.csv"))).isEqualTo(ReportFormat.CSV);
        assertThatThrownBy(() -> ReportFormat.of(Path.of("json"))).isInstanceOf(UsageException.class);
    }

    @Test
    void trialsAreComparedByWhatDecidedBetweenThem() throws IOException {
        ObjectNode auto =
                commanded(0, "correct", "--output=" + folder.resolve("c.onnx"), "--reference=auto", "--limit=40");
        String page = page(auto);
        assertThat(page).contains("unless its corrections are mostly noise", "<th>squared error left</th>");
        for (JsonNode trial : auto.path("trials")) {
            JsonNode outcome = trial.path("outcome");
            double before = outcome.path("errorBefore").asDouble();
            double share = (before + outcome.path("change").asDouble()) / before;
            assertThat(page)
                    .contains("<td class=\"text\">" + trial.path("reference").asText()
                            + "</td><td data-label=\"squared error left\">" + PrintableText.percent(share) + "</td>");
        }
        ((ObjectNode) auto.path("trials").get(0).path("outcome")).put("errorBefore", 0);
        ((ObjectNode) auto.path("trials").get(1)).putNull("outcome");
        Matcher left = Pattern.compile("squared error left\">–</td>").matcher(page(auto));
        assertThat(left.results()).hasSize(2);
    }

    @Test
    void aPageSaysOfTheSamplesWhatTheReportSays() {
        ObjectNode report = report(CorrectionOptions.builder(), true);
        ObjectNode sufficiency = (ObjectNode) report.path("sufficiency");
        sufficiency.put("sentence", "so it is").put("enough", false).put("wantedSamples", 300);
        assertThat(page(report)).contains("<p>More would be better: so it is.</p>");
        sufficiency.put("enough", true);
        assertThat(page(report)).contains("<p>Yes: so it is.</p>");
        sufficiency.put("enough", false).putNull("wantedSamples");
        assertThat(page(report)).contains("<p>No: so it is.</p>");
        report.putNull("sufficiency");
        assertThat(page(report)).contains("<p>Standard errors were not measured.</p>");
    }

    /** Those of a run that does all there is to do. */
    @Test
    void everyPhaseHasAColourOfItsOwn() throws IOException {
        ObjectNode all = commanded(
                0, "correct", "--output=" + folder.resolve("c.onnx"), "--reference=auto", "--limit=40", "--verify");
        String page = page(all);
        int phases = all.path("timings").size() - 1;
        List<String> colours = new ArrayList<>();
        for (int i = 0; i < phases; i++) {
            assertThat(page).contains("<div class=\"p" + i + "\"");
            Matcher rule = Pattern.compile("\\.p" + i + " \\{ background: (#[0-9a-f]{6}); \\}")
                    .matcher(page);
            assertThat(rule.find())
                    .as("phase " + i + " of " + all.path("timings"))
                    .isTrue();
            colours.add(rule.group(1));
        }
        assertThat(colours).doesNotHaveDuplicates();
    }
}
