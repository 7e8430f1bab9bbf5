package dev.rebias.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.SamplesUsed;
import dev.rebias.Sharing;
import dev.rebias.Sufficiency;
import dev.rebias.Version;
import dev.rebias.device.DeviceInfo;
import dev.rebias.error.RebiasException;
import dev.rebias.measure.Moments;
import dev.rebias.measure.WeightChoice;
import dev.rebias.outcome.Outcome;
import dev.rebias.samples.InputSurvey;
import dev.rebias.verify.Verification;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;

/**
 * The report in JSON, its primary form: the others show what it says. Its schema is {@code docs/report.schema.json}.
 * Numbers that do not exist (the SQNR of a layer without error) are null.
 */
public final class JsonReport {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private JsonReport() {}

    /** The report as a tree. */
    public static ObjectNode of(RunReport report) {
        ObjectNode root = MAPPER.createObjectNode();
        root.put("rebias", report.version());
        root.put("command", report.command());
        root.putObject("verdict")
                .put("kind", report.verdict().kind().name().toLowerCase(Locale.ROOT))
                .put("sentence", report.verdict().sentence())
                .put("published", report.verdict().published());
        write(report.result(), root, report.perChannel());
        ArrayNode requirements = root.putArray("requirements");
        report.findings().forEach(f -> {
            ObjectNode finding = requirements.addObject();
            finding.put("name", OptionNames.inText("`" + f.name() + "`"));
            finding.put("wanted", f.wanted());
            f.measured().ifPresentOrElse(m -> finding.put("measured", finite(m)), () -> finding.putNull("measured"));
            finding.put("held", f.held());
            finding.put("where", OptionNames.inText(f.where()));
        });
        report.verification()
                .ifPresentOrElse(v -> write(v, root.putObject("verification")), () -> root.putNull("verification"));
        ObjectNode options = root.putObject("options");
        report.options().forEach(options::put);
        ArrayNode files = root.putArray("files");
        report.files().forEach(f -> files.addObject()
                .put("role", f.role())
                .put("path", f.path())
                .put("sha256", f.sha256().orElse(null)));
        ObjectNode timings = root.putObject("timings");
        report.phases()
                .forEach(p -> timings.put(p.name(), timings.path(p.name()).asDouble() + p.seconds()));
        timings.put("totalSeconds", report.totalSeconds());
        return root;
    }

    private static void write(Verification v, ObjectNode to) {
        to.put("passed", v.passed());
        to.put("layers", v.layers());
        to.put("samples", v.samples());
        to.put("worst", finite(v.worst()));
        to.put("worstLayer", v.worstLayer());
        ArrayNode missing = to.putArray("missing");
        v.missing().forEach(missing::add);
        to.put("difference", v.difference().orElse(null));
    }

    private static void write(CorrectionResult result, ObjectNode root, boolean perChannel) {
        root.put("reference", result.reference().name().toLowerCase(Locale.ROOT));
        root.put("math", result.math().name().toLowerCase(Locale.ROOT));
        write(result.device(), root.putObject("device"));
        result.sharing().ifPresentOrElse(s -> write(s, root.putObject("sharing")), () -> root.putNull("sharing"));
        root.put("samples", result.samples());
        write(result.samplesUsed(), root.putObject("samplesUsed"));
        result.provenance()
                .ifPresentOrElse(p -> root.set("provenance", MAPPER.valueToTree(p)), () -> root.putNull("provenance"));
        root.put("batchSize", result.batchSize());
        int distinct = result.samplesUsed().distinct();
        ArrayNode layers = root.putArray("layers");
        result.layers().forEach(layer -> write(layer, layers.addObject(), perChannel, distinct));
        result.outcome().ifPresentOrElse(o -> write(o, root.putObject("outcome")), () -> root.putNull("outcome"));
        ArrayNode trials = root.putArray("trials");
        result.trials().forEach(t -> {
            ObjectNode trial = trials.addObject();
            trial.put("reference", t.reference().name().toLowerCase(Locale.ROOT));
            trial.put("kept", t.kept());
            trial.put("sweepSeconds", t.sweepSeconds());
            t.outcome().ifPresentOrElse(o -> write(o, trial.putObject("outcome")), () -> trial.putNull("outcome"));
        });
        result.sufficiency()
                .ifPresentOrElse(s -> write(s, root.putObject("sufficiency")), () -> root.putNull("sufficiency"));
        root.putObject("transfers")
                .put("hostToDeviceBytes", result.transfers().hostToDeviceBytes())
                .put("deviceToHostBytes", result.transfers().deviceToHostBytes())
                .put("synchronisations", result.transfers().synchronisations());
        root.putObject("memory")
                .put("peakDeviceBytes", result.peakDeviceBytes())
                .put("spilledBytes", result.spilledBytes());
        ArrayNode warnings = root.putArray("warnings");
        result.warnings().forEach(w -> warnings.add(OptionNames.inText(w)));
    }

    private static ObjectNode write(DeviceInfo device, ObjectNode to) {
        return to.put("kind", device.kind()).put("name", device.name()).put("emulated", device.emulated());
    }

    private static void write(Sharing sharing, ObjectNode to) {
        ArrayNode parts = to.putArray("parts");
        sharing.parts().forEach(p -> write(p.device(), parts.addObject())
                .put("correcting", p.correcting())
                .put("heldOut", p.heldOut()));
        to.put("rounds", sharing.rounds());
        to.put("bytes", sharing.bytes());
    }

    /**
     * The report of a run that failed.
     *
     * @param request what the run was asked for, as its hash; empty where nobody said
     */
    public static ObjectNode of(RebiasException failure, String request) {
        ObjectNode root = of(failure);
        if (!request.isEmpty()) {
            ((ObjectNode) root.path("error")).put("request", request);
        }
        return root;
    }

    /** The report of a run that failed. */
    public static ObjectNode of(RebiasException failure) {
        ObjectNode root = MAPPER.createObjectNode();
        root.put("rebias", Version.current());
        root.putObject("error")
                .put("message", OptionNames.inText(String.valueOf(failure.getMessage())))
                .put("exitCode", failure.exitCode());
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

    private static void write(LayerResult layer, ObjectNode to, boolean perChannel, int distinct) {
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
        if (perChannel && m.perChannel().isPresent()) {
            ArrayNode errors = to.putArray("standardError");
            for (int c = 0; c < m.channels(); c++) {
                m.standardError(c).ifPresentOrElse(errors::add, errors::addNull);
            }
        }
        ArrayNode givenUp = to.putArray("givenUpChannels");
        layer.givenUp().forEach(givenUp::add);
        Optional<Moments.Errors> held = layer.heldOut().flatMap(Moments::errors);
        put(to, "heldOutMseBefore", held.map(Moments.Errors::mseBefore));
        put(to, "heldOutMseAfter", held.map(Moments.Errors::mseAfter));
        Sufficiency.relativeError(m, distinct)
                .ifPresentOrElse(
                        r -> to.put("relativeStandardError", finite(r)), () -> to.putNull("relativeStandardError"));
        Optional<Moments.Errors> e = m.errors();
        put(to, "mseBefore", e.map(Moments.Errors::mseBefore));
        put(to, "mseAfter", e.map(Moments.Errors::mseAfter));
        put(to, "signalPower", e.map(Moments.Errors::signalPower));
        put(to, "sqnrBefore", e.flatMap(x -> Decibels.sqnr(x.signalPower(), x.mseBefore())));
        put(to, "sqnrAfter", e.flatMap(x -> Decibels.sqnr(x.signalPower(), x.mseAfter())));
        put(to, "biasShare", e.map(Moments.Errors::biasShare));
        to.put("maxAbsDelta", m.maxAbsDelta());
        layer.weights().ifPresent(w -> {
            to.put("weightsMoved", w.moved());
            to.put("weightsKept", w.kept().orElse(null));
            put(to, "mseWithBias", w.mseWithBias());
            put(to, "heldOutMseWithBias", w.heldOut().map(WeightChoice.HeldOut::mseWithBias));
            put(to, "heldOutMseWithWeights", w.heldOut().map(WeightChoice.HeldOut::mseWithWeights));
        });
    }

    private static void write(Outcome outcome, ObjectNode to) {
        to.put("samples", outcome.samples());
        to.put("heldOut", outcome.heldOut());
        to.put("verdict", outcome.verdict().name().toLowerCase(Locale.ROOT));
        to.put("worse", outcome.isWorse());
        to.put("errorBefore", finite(outcome.errorBefore()));
        to.put("change", finite(outcome.change()));
        to.put("standardError", finite(outcome.standardError()));
        to.put("samplesNearer", outcome.nearer());
        to.put("samplesFurther", outcome.further());
        to.put("seconds", outcome.seconds());
        ArrayNode outputs = to.putArray("outputs");
        for (Outcome.Output output : outcome.outputs()) {
            ObjectNode o = outputs.addObject();
            o.put("name", output.name());
            o.put("rmsErrorBefore", finite(Math.sqrt(output.errorBefore())));
            o.put("rmsErrorAfter", finite(Math.sqrt(output.errorAfter())));
            put(o, "sqnrBefore", Decibels.sqnr(output.signalPower(), output.errorBefore()));
            put(o, "sqnrAfter", Decibels.sqnr(output.signalPower(), output.errorAfter()));
            o.put("cosineBefore", finite(output.cosineBefore()));
            o.put("cosineAfter", finite(output.cosineAfter()));
            put(o, "agreementBefore", output.largest().map(Outcome.Agreement::before));
            put(o, "agreementAfter", output.largest().map(Outcome.Agreement::after));
        }
        ArrayNode notCompared = to.putArray("notCompared");
        outcome.notCompared().forEach(notCompared::add);
    }

    private static void write(SamplesUsed used, ObjectNode to) {
        to.put("correcting", used.correcting());
        to.put("heldOut", used.heldOut());
        to.put("distinct", used.distinct());
        to.put("sha256", used.sha256());
        ArrayNode inputs = to.putArray("inputs");
        for (InputSurvey input : used.inputs()) {
            ObjectNode o = inputs.addObject();
            o.put("name", input.name());
            o.put("least", input.least());
            o.put("most", input.most());
            o.put("mean", input.mean());
            put(o, "quantizerLeast", input.quantizer().map(InputSurvey.Range::least));
            put(o, "quantizerMost", input.quantizer().map(InputSurvey.Range::most));
            o.put("beyond", input.beyond());
            o.put("constant", input.constant());
        }
    }

    private static void write(Sufficiency s, ObjectNode to) {
        to.put("samples", s.samples());
        to.put("relativeStandardError", finite(s.relativeError()));
        to.put("enough", s.enough());
        s.wanted().ifPresentOrElse(w -> to.put("wantedSamples", w), () -> to.putNull("wantedSamples"));
        to.put("sentence", s.sentence());
    }

    /** JSON has no infinity, and nothing that is no number. */
    private static Double finite(double value) {
        return Double.isFinite(value) ? value : null;
    }

    private static void put(ObjectNode to, String name, Optional<Double> value) {
        value.filter(Double::isFinite).ifPresentOrElse(v -> to.put(name, v), () -> to.putNull(name));
    }
}
