package dev.rebias.verify;

import ai.onnxruntime.OrtSession.SessionOptions.OptLevel;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.device.Moments;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.ProbedModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Whether a written model does what the sweep says it does. Every corrected layer's mean output per channel, as ONNX Runtime computes it in
 * the whole written model, is compared with the sweep's: mean y_q + delta.
 *
 * @param layers how many layers were compared
 * @param unseen how many could not be: layers of QOperator nodes, whose pre-activation is no tensor of the file
 * @param worst the largest distance (RMS over channels) in units of its bound, 1 being the bound
 * @param worstLayer the layer that it was found at
 */
public record Verification(int layers, int unseen, double worst, String worstLayer) {
    /**
     * A bound of a quarter of the correction tells a missing correction (distance 1) and a wrong sign (distance 2) from a right one. The two
     * engines round differently, and what lies on a rounding boundary of a quantiser flips: 3 % of the layer's RMS error is left for that,
     * and for float32 sums 1e-5 of the signal.
     */
    private static final double OF_DELTA = 0.25;

    private static final double OF_ERROR = 0.03;
    private static final double OF_SIGNAL = 1e-5;

    public boolean passed() {
        return worst <= 1;
    }

    /**
     * Runs a written model on the calibration samples.
     *
     * @param written the model as it was read back from its file
     * @param result the correction that it came from, with statistics of single channels
     * @param inputs the model's input names, in the order in which the samples are bound
     * @throws UnsupportedException if ONNX Runtime rejects the model
     */
    public static Verification of(
            OnnxModel written, CorrectionResult result, List<String> inputs, BoundSamples samples) {
        Map<String, LayerResult> layers = new LinkedHashMap<>();
        int corrected = 0;
        for (LayerResult layer : result.layers()) {
            if (layer.moments().isPresent()) {
                corrected++;
                if (ProbedModel.has(written, layer.measuredAt())) {
                    layers.put(layer.measuredAt(), layer);
                }
            }
        }
        Map<String, double[]> means = means(written, layers, inputs, samples, result.batchSize());
        double worst = 0;
        String worstLayer = "";
        for (LayerResult layer : layers.values()) {
            double distance = distance(layer.moments().orElseThrow(), means.get(layer.measuredAt()));
            if (!(distance <= worst)) {
                worst = distance;
                worstLayer = layer.name();
            }
        }
        return new Verification(layers.size(), corrected - layers.size(), worst, worstLayer);
    }

    private static double distance(Moments m, double[] means) {
        double squared = 0;
        double delta = 0;
        Moments.PerChannel channels = m.perChannel().orElseThrow();
        for (int c = 0; c < m.channels(); c++) {
            double expected = channels.meanReference()[c] - channels.meanError()[c] + m.delta()[c];
            squared += (means[c] - expected) * (means[c] - expected);
            delta += (double) m.delta()[c] * m.delta()[c];
        }
        int n = m.channels();
        double bound = OF_DELTA * Math.sqrt(delta / n)
                + OF_ERROR * Math.sqrt(m.measured().mseBefore())
                + OF_SIGNAL * Math.sqrt(m.measured().signalPower());
        double distance = Math.sqrt(squared / n);
        return distance == 0 ? 0 : distance / bound;
    }

    private static Map<String, double[]> means(
            OnnxModel written,
            Map<String, LayerResult> layers,
            List<String> inputs,
            BoundSamples samples,
            int batchSize) {
        Map<String, double[]> sums = new HashMap<>();
        Map<String, Long> counts = new HashMap<>();
        byte[] probed = ProbedModel.withOutputsAlone(written, List.copyOf(layers.keySet()));
        try (WholeModel model = new WholeModel(written.name(), probed, OptLevel.NO_OPT);
                Batches batches = samples.batches(batchSize)) {
            while (batches.hasNext()) {
                List<HostTensor> batch = batches.next();
                Map<String, HostTensor> values = new HashMap<>();
                for (int i = 0; i < inputs.size(); i++) {
                    values.put(inputs.get(i), batch.get(i));
                }
                Map<String, HostTensor> outputs = model.run(values);
                layers.forEach((name, layer) -> {
                    HostTensor y = outputs.get(name);
                    int axis = layer.op().equals("MatMul") ? y.rank() - 1 : 1;
                    add(y, axis, sums.computeIfAbsent(name, k -> new double[layer.channels()]));
                    counts.merge(name, y.elements() / layer.channels(), Long::sum);
                });
            }
        }
        sums.forEach((name, sum) -> {
            for (int c = 0; c < sum.length; c++) {
                sum[c] /= counts.get(name);
            }
        });
        return sums;
    }

    private static void add(HostTensor y, int axis, double[] sums) {
        int inner = Math.toIntExact(Shape.elements(y.shape(), axis + 1, y.rank()));
        FloatBuffer values = y.floats();
        for (int i = 0; values.hasRemaining(); i++) {
            sums[i / inner % sums.length] += values.get();
        }
    }
}
