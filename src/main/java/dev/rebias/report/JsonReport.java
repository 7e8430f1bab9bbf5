package dev.rebias.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.Version;
import dev.rebias.error.RebiasException;
import dev.rebias.measure.Moments;
import dev.rebias.outcome.Outcome;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;

/**
 * The report in JSON, its primary form: the others show what it says. Its schema is {@code docs/report.schema.json}. Numbers that do not exist (the SQNR of a layer without
 * error) are null.
 */
public final class JsonReport {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private JsonReport() {}

    /**
     * The report as a tree.
     *
     * @param perChannel whether each layer also gets the standard errors of its corrections
     */
    public static ObjectNode of(CorrectionResult result, Timings timings, boolean perChannel) {
        ObjectNode root = MAPPER.createObjectNode();
        root.put("rebias", Version.current());
        root.put("reference", result.reference().name().toLowerCase(Locale.ROOT));
        root.putObject("device")
                .put("kind", result.device().kind())
                .put("name", result.device().name())
                .put("emulated", result.device().emulated());
        root.put("samples", result.samples());
        root.put("batchSize", result.batchSize());
        ArrayNode layers = root.putArray("layers");
        result.layers().forEach(layer -> write(layer, layers.addObject(), perChannel));
        result.outcome().ifPresentOrElse(o -> write(o, root.putObject("outcome")), () -> root.putNull("outcome"));
        root.putObject("transfers")
                .put("hostToDeviceBytes", result.transfers().hostToDeviceBytes())
                .put("deviceToHostBytes", result.transfers().deviceToHostBytes())
                .put("synchronisations", result.transfers().synchronisations());
        root.putObject("timings")
                .put("loadSeconds", timings.loadSeconds())
                .put("sweepSeconds", timings.sweepSeconds())
                .put("writeSeconds", timings.writeSeconds())
                .put("totalSeconds", timings.totalSeconds());
        root.putObject("memory")
                .put("peakDeviceBytes", result.peakDeviceBytes())
                .put("spilledBytes", result.spilledBytes());
        ArrayNode warnings = root.putArray("warnings");
        result.warnings().forEach(warnings::add);
        return root;
    }

    /** The report of a run that failed. */
    public static ObjectNode of(RebiasException failure) {
        ObjectNode root = MAPPER.createObjectNode();
        root.put("rebias", Version.current());
        root.putObject("error").put("message", failure.getMessage()).put("exitCode", failure.exitCode());
        return root;
    }

    /**
     * Writes a report.
     *
     * @return UTF-8, ending with a line break
     */
    public static byte[] write(ObjectNode report) {
        try {
            String text = MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(report) + "\n";
            return text.getBytes(StandardCharsets.UTF_8);
        } catch (JsonProcessingException e) {
            throw new RebiasException("the report cannot be written as JSON: " + e.getMessage(), e);
        }
    }

    private static void write(LayerResult layer, ObjectNode to, boolean perChannel) {
        to.put("name", layer.name());
        to.put("output", layer.output());
        to.put("op", layer.op());
        to.put("channels", layer.channels());
        to.put("status", layer.status().name().toLowerCase(Locale.ROOT));
        to.put("reason", layer.reason().orElse(null));
        if (layer.moments().isEmpty()) {
            to.putNull("delta");
            return;
        }
        Moments m = layer.moments().get();
        ArrayNode delta = to.putArray("delta");
        for (float d : m.delta()) {
            delta.add(d);
        }
        ArrayNode kept = to.putArray("keptChannels");
        m.kept().forEach(kept::add);
        if (perChannel) {
            ArrayNode errors = to.putArray("standardError");
            for (int c = 0; c < m.channels(); c++) {
                m.standardError(c).ifPresentOrElse(errors::add, errors::addNull);
            }
        }
        Optional<Moments.Errors> e = m.errors();
        put(to, "mseBefore", e.map(Moments.Errors::mseBefore));
        put(to, "mseAfter", e.map(Moments.Errors::mseAfter));
        put(to, "signalPower", e.map(Moments.Errors::signalPower));
        put(to, "sqnrBefore", e.flatMap(x -> Decibels.sqnr(x.signalPower(), x.mseBefore())));
        put(to, "sqnrAfter", e.flatMap(x -> Decibels.sqnr(x.signalPower(), x.mseAfter())));
        put(to, "biasShare", e.map(Moments.Errors::biasShare));
        to.put("maxAbsDelta", m.maxAbsDelta());
    }

    private static void write(Outcome outcome, ObjectNode to) {
        to.put("samples", outcome.samples());
        to.put("worse", outcome.isWorse());
        to.put("change", outcome.change());
        to.put("standardError", outcome.standardError());
        to.put("seconds", outcome.seconds());
        ArrayNode outputs = to.putArray("outputs");
        for (Outcome.Output output : outcome.outputs()) {
            ObjectNode o = outputs.addObject();
            o.put("name", output.name());
            o.put("rmsErrorBefore", Math.sqrt(output.errorBefore()));
            o.put("rmsErrorAfter", Math.sqrt(output.errorAfter()));
            put(o, "sqnrBefore", Decibels.sqnr(output.signalPower(), output.errorBefore()));
            put(o, "sqnrAfter", Decibels.sqnr(output.signalPower(), output.errorAfter()));
            put(o, "agreementBefore", output.largest().map(Outcome.Agreement::before));
            put(o, "agreementAfter", output.largest().map(Outcome.Agreement::after));
        }
        ArrayNode notCompared = to.putArray("notCompared");
        outcome.notCompared().forEach(notCompared::add);
    }

    private static void put(ObjectNode to, String name, Optional<Double> value) {
        value.ifPresentOrElse(v -> to.put(name, v), () -> to.putNull(name));
    }
}
