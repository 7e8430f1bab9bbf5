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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Reports of real corrections: JSON as its schema says, and pages and tables that say the same. */
final class ReportsTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

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
    @CsvSource(
            delimiter = ';',
            value = {
                "false; -0.5; 0.1; closer to the float network",
                "true; 0.5; 0.1; further from the float network",
                "false; -0.1; 0.1; makes no difference",
                "false; 0.1; 0.1; makes no difference"
            })
    void theVerdictIsTheOutcomes(boolean worse, double change, double standardError, String sentence) {
        ObjectNode report = report(CorrectionOptions.builder(), false);
        ((ObjectNode) report.path("outcome"))
                .put("worse", worse)
                .put("change", change)
                .put("standardError", standardError);
        assertThat(page(report)).containsPattern("<h1[^>]*>[^<]*" + sentence);
    }

    @Test
    void withoutAnOutcomeAPageSaysSo() {
        assertThat(page(report(CorrectionOptions.builder().outcome(false), false)))
                .containsPattern("<h1[^>]*>[^<]*was not measured");
        assertThat(page(JsonReport.of(new UnsupportedException("no layer pairs"))))
                .containsPattern("<h1[^>]*>Not corrected: no layer pairs");
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
}
