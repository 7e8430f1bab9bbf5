package dev.rebias;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.Marks;
import dev.rebias.model.OnnxModel;
import dev.rebias.sweep.Reference;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * How a corrected model came about, as its metadata say. Equal corrections say equal things, but for {@code request}:
 * nothing else in it depends on when, where, on what device or in what batches they were made.
 *
 * @param version the program's
 * @param reference {@code layer} or {@code network}
 * @param chosen whether that is the better of both, by held-out samples
 * @param samples how many samples corrections come from
 * @param heldOut how many others were held out
 * @param sha256 of the samples that corrections come from, see {@link SamplesUsed}
 * @param scale what stored values were divided by
 * @param mean what was subtracted then
 * @param std what was divided by then
 * @param gate {@code none}, {@code layer} or {@code channel}
 * @param shrunk whether corrections were made smaller by what is noise in them
 * @param adjust {@code biases}, or {@code weights} where also weights were chosen anew
 * @param correctedLayers how many layers were corrected
 * @param request what the run was asked for, see {@link CorrectionOptions#request}; empty where nobody said
 */
public record Provenance(
        String version,
        String reference,
        boolean chosen,
        int samples,
        int heldOut,
        String sha256,
        double scale,
        List<Double> mean,
        List<Double> std,
        String gate,
        boolean shrunk,
        String adjust,
        int correctedLayers,
        @JsonInclude(JsonInclude.Include.NON_EMPTY) String request) {
    private static final ObjectMapper MAPPER =
            new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    public Provenance {
        mean = List.copyOf(mean);
        std = List.copyOf(std);
    }

    static Provenance of(Reference reference, CorrectionOptions options, SamplesUsed used, int layers) {
        return new Provenance(
                Version.current(),
                reference.name().toLowerCase(Locale.ROOT),
                options.reference().isEmpty(),
                used.correcting(),
                used.heldOut(),
                used.sha256(),
                Double.parseDouble(Float.toString(used.normalization().scale())),
                doubles(used.normalization().mean()),
                doubles(used.normalization().std()),
                options.gate().name().toLowerCase(Locale.ROOT),
                options.shrink(),
                options.adjust().name().toLowerCase(Locale.ROOT),
                layers,
                options.request());
    }

    /** The shortest decimals that stand for these floats. */
    private static List<Double> doubles(float[] values) {
        Double[] out = new Double[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = Double.valueOf(Float.toString(values[i]));
        }
        return List.of(out);
    }

    /**
     * What a model says of itself; empty where it was not corrected.
     *
     * @throws UnsupportedException if it says what cannot be read
     */
    public static Optional<Provenance> of(OnnxModel model) {
        return Marks.provenance(model).map(text -> parse(model.name(), text));
    }

    /**
     * The same of a Keras model.
     *
     * @throws UnsupportedException if it says what cannot be read
     */
    public static Optional<Provenance> of(KerasModel model) {
        return model.provenance().map(text -> parse(model.name(), text));
    }

    /**
     * Reads what {@link #json} wrote.
     *
     * @param model what messages call the model
     * @throws UnsupportedException if it cannot be read
     */
    public static Provenance parse(String model, String text) {
        try {
            JsonNode json = MAPPER.readTree(text);
            if (!json.isObject()) {
                throw unreadable(model, null);
            }
            return new Provenance(
                    json.path("version").asText("unknown"),
                    json.path("reference").asText("unknown"),
                    json.path("chosen").asBoolean(),
                    json.path("samples").asInt(),
                    json.path("heldOut").asInt(),
                    json.path("sha256").asText(""),
                    json.path("scale").asDouble(1),
                    numbers(json.path("mean")),
                    numbers(json.path("std")),
                    json.path("gate").asText("none"),
                    json.path("shrunk").asBoolean(),
                    json.path("adjust").asText("biases"),
                    json.path("correctedLayers").asInt(),
                    json.path("request").asText(""));
        } catch (JsonProcessingException e) {
            throw unreadable(model, e);
        }
    }

    private static UnsupportedException unreadable(String model, Exception cause) {
        String sentence = "what the metadata of '" + model
                + "' say of its correction cannot be read (metadata 'rebias' is no JSON object): take the original "
                + "file";
        return cause == null ? new UnsupportedException(sentence) : new UnsupportedException(sentence, cause);
    }

    private static List<Double> numbers(JsonNode array) {
        Double[] out = new Double[array.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = array.get(i).asDouble();
        }
        return List.of(out);
    }

    /** JSON on one line, as metadata have it. */
    public String json() {
        try {
            return MAPPER.writeValueAsString(this);
        } catch (JsonProcessingException e) {
            throw new RebiasException("the model's metadata cannot be written as JSON: " + e.getMessage(), e);
        }
    }

    /** In one line. */
    @Override
    public String toString() {
        return "rebias " + version + ", reference " + reference + (chosen ? " (the better of both)" : "") + ", "
                + correctedLayers + (correctedLayers == 1 ? " layer" : " layers") + ", " + samples
                + (samples == 1 ? " sample" : " samples") + (heldOut > 0 ? " and " + heldOut + " held out" : "")
                + " (sha256 " + sha256.substring(0, Math.min(12, sha256.length())) + "), scale " + scale + ", mean "
                + mean + ", std " + std + (gate.equals("none") ? "" : ", gate " + gate) + (shrunk ? ", shrunk" : "")
                + (adjust.equals("biases") ? "" : ", weights too");
    }
}
