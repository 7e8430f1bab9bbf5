package dev.rebias.verify;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionResult;
import dev.rebias.LayerResult;
import dev.rebias.error.CancelledException;
import dev.rebias.model.CorrectionProbe;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.WrittenFile;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Whether a written model does what the sweep says it does. The file is read again and compared with what was to be
 * written, bit for bit; then the whole written model runs in ONNX Runtime, each corrected layer once with its new bias
 * and once with the old one on the same data: their mean difference per channel must be the correction.
 *
 * @param layers how many layers were corrected and compared
 * @param missing the names of corrected layers that the file does not have
 * @param samples on how many samples they ran
 * @param difference what in the file is not as it was to be, or empty
 * @param worst the largest distance of a channel's movement from its correction in units of its bound, 1 being the
 *     bound
 * @param worstLayer the layer that it was found at
 */
public record Verification(
        int layers, List<String> missing, int samples, Optional<String> difference, double worst, String worstLayer) {
    /** On so many samples the written model runs, where nobody says on how many. */
    public static final int USUAL_SAMPLES = 64;

    /** Both runs add the bias to the same sums: what is left is the rounding of float32. */
    private static final double OF_SIZE = 1e-5;

    private static final double OF_DELTA = 1e-3;

    /** An integer kernel may round a tie otherwise than float arithmetic, in few places and by one step. */
    private static final double OTHER_TIES = 0.02;

    public Verification {
        missing = List.copyOf(missing);
    }

    public boolean passed() {
        return worst <= 1 && missing.isEmpty() && difference.isEmpty();
    }

    /**
     * Verifies a written model.
     *
     * @param correction what it was made with
     * @param result what came of that
     * @param expected the model that was to be written, where its file can be compared with it bit for bit
     * @param written the model as it was read back from its file
     * @param all what to run on
     * @param most how many of them are, spread over all
     * @throws CancelledException if the thread is interrupted: no other batch begins
     * @throws dev.rebias.error.UnsupportedException if ONNX Runtime rejects the model
     */
    public static Verification of(
            BiasCorrection correction,
            CorrectionResult result,
            Optional<OnnxModel> expected,
            OnnxModel written,
            Samples all,
            int most) {
        CorrectionProbe.Probe probe = correction.probe(written, result);
        List<String> inputs = correction.inputNames();
        BoundSamples samples = all.bind(correction.inputs());
        int batch = correction.fixedBatch(samples).orElse(1);
        Map<String, float[]> corrections = result.corrections();
        int count = Math.min(samples.count(), Math.max(batch, most / batch * batch));
        Sums sums = run(written.name(), probe, batch, inputs, samples.spread(count));
        double worst = 0;
        String worstLayer = "";
        for (CorrectionProbe.View view : probe.views()) {
            double distance = sums.distance(view, corrections.get(view.layer()), count / batch);
            if (!(distance <= worst)) {
                worst = distance;
                worstLayer = view.layer();
            }
        }
        List<String> seen =
                probe.views().stream().map(CorrectionProbe.View::layer).toList();
        List<String> missing = result.layers().stream()
                .filter(l -> l.isCorrected() && !seen.contains(l.name()))
                .map(LayerResult::name)
                .toList();
        return new Verification(
                seen.size(),
                missing,
                count,
                expected.flatMap(e -> WrittenFile.difference(e, written)),
                worst,
                worstLayer);
    }

    private static Sums run(
            String name, CorrectionProbe.Probe probe, int batch, List<String> inputs, BoundSamples samples) {
        Sums sums = new Sums();
        try (WholeModel model = WholeModel.asWritten(name, probe.bytes());
                Batches batches = samples.batches(batch)) {
            while (batches.hasNext()) {
                if (Thread.currentThread().isInterrupted()) {
                    throw new CancelledException(
                            "cancelled: the thread was interrupted while the written model was verified");
                }
                List<HostTensor> values = batches.next();
                Map<String, HostTensor> named = new HashMap<>();
                for (int i = 0; i < inputs.size(); i++) {
                    named.put(inputs.get(i), values.get(i));
                }
                Map<String, HostTensor> outputs = model.run(named);
                probe.views().forEach(view -> sums.add(view, outputs));
            }
        }
        return sums;
    }

    /** What the runs showed, added up. */
    private static final class Sums {
        private final Map<String, double[]> all = new HashMap<>();

        void add(CorrectionProbe.View view, Map<String, HostTensor> outputs) {
            add(view.moved(), outputs.get(view.moved()));
            add(view.size(), outputs.get(view.size()));
            if (view.actual().isPresent() && view.expected().isPresent()) {
                add(
                        view.actual().get(),
                        others(
                                outputs.get(view.actual().get()),
                                outputs.get(view.expected().get())));
            }
        }

        private void add(String name, HostTensor values) {
            FloatBuffer floats = values.floats();
            double[] sum = all.computeIfAbsent(name, k -> new double[floats.capacity()]);
            for (int i = 0; i < sum.length; i++) {
                sum[i] += floats.get(i);
            }
        }

        /** The share of integers that differ; infinite where some do by more than a step. */
        private static HostTensor others(HostTensor actual, HostTensor expected) {
            boolean signed = actual.type() == ElementType.INT8;
            int other = 0;
            int n = Math.toIntExact(actual.elements());
            for (int i = 0; i < n; i++) {
                int a = signed
                        ? actual.bytes().get(i)
                        : Byte.toUnsignedInt(actual.bytes().get(i));
                int e = signed
                        ? expected.bytes().get(i)
                        : Byte.toUnsignedInt(expected.bytes().get(i));
                if (Math.abs(a - e) > 1) {
                    return HostTensor.of(new float[] {Float.POSITIVE_INFINITY});
                }
                other += a == e ? 0 : 1;
            }
            return HostTensor.of(new float[] {n == 0 ? 0 : (float) other / n});
        }

        double distance(CorrectionProbe.View view, float[] delta, int runs) {
            double[] moved = all.get(view.moved());
            double size = all.get(view.size())[0] / runs;
            double worst =
                    view.actual().map(a -> all.get(a)[0] / runs / OTHER_TIES).orElse(0.0);
            for (int c = 0; c < delta.length; c++) {
                double off = Math.abs(moved[c] / runs - delta[c]);
                double bound = OF_DELTA * Math.abs(delta[c]) + OF_SIZE * size;
                double distance = off == 0 ? 0 : off / bound;
                worst = distance <= worst ? worst : distance;
            }
            return worst;
        }
    }

    /** The verdict in one line. */
    @Override
    public String toString() {
        String figures = String.format(
                Locale.ROOT,
                "%d layers compared in ONNX Runtime on %d samples, the worst at %.0f %% of its bound (%s)",
                layers,
                samples,
                100 * worst,
                worstLayer);
        String lacking =
                missing.isEmpty() ? "" : "; it lacks " + missing.stream().collect(Collectors.joining("', '", "'", "'"));
        return figures + lacking + difference.map(d -> "; read again, " + d).orElse("");
    }
}
