package dev.rebias.check;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.LayerResult;
import dev.rebias.measure.Moments;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/** Whole corrections of networks with random weights, timed cold (the device opened for it) and warm. */
final class Corrections {
    private static final double ROUNDING = 1e-4;

    private final Findings findings;
    private final Findings.Table table;
    private final Size size;

    /**
     * How much is done.
     *
     * @param side of the images
     * @param samples how many images
     * @param batches batch sizes, the most telling first
     * @param rounds warm runs, of which the median counts
     */
    record Size(int side, int samples, List<Integer> batches, int rounds) {
        static final Size CARD = new Size(224, 512, List.of(128, 512, 32), 5);
        /** On the emulator only the way is tried. */
        static final Size EMULATOR = new Size(32, 2, List.of(2), 1);
    }

    private Corrections(Findings findings, Size size) {
        this.findings = findings;
        this.size = size;
        this.table = findings.table(
                "corrections of " + size.samples() + " images of " + size.side() + "x" + size.side()
                        + ", warm: the median of " + size.rounds(),
                "network",
                "reference",
                "errors",
                "batch",
                "cold s",
                "warm s",
                "bytes up",
                "bytes back",
                "host waits",
                "peak MB",
                "MSE after/before");
    }

    static void run(Findings findings, Size size) {
        Corrections step = new Corrections(findings, size);
        Random random = new Random(1);
        float[] pixels = new float[size.samples() * 3 * size.side() * size.side()];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = (float) random.nextGaussian();
        }
        HostTensor images = HostTensor.of(pixels, size.samples(), 3, size.side(), size.side());
        List<BiasCorrection> networks = List.of(
                BiasCorrection.of(
                        OnnxModel.of("float", SyntheticNetworks.mobileNet(false, size.side())),
                        OnnxModel.of("quantised", SyntheticNetworks.mobileNet(true, size.side()))),
                BiasCorrection.of(
                        OnnxModel.of("float", SyntheticNetworks.resNet50(false, size.side())),
                        OnnxModel.of("quantised", SyntheticNetworks.resNet50(true, size.side()))));
        List<String> names = List.of("MobileNetV1", "ResNet-50");
        // Both networks at the first batch size before any at the next: a step that is cut off has the most telling
        // rows.
        for (int batch : size.batches()) {
            for (int n = 0; n < networks.size(); n++) {
                for (Reference reference : Reference.values()) {
                    for (boolean errors : new boolean[] {true, false}) {
                        step.one(names.get(n), networks.get(n), images, reference, errors, batch);
                    }
                }
            }
        }
    }

    private void one(
            String name, BiasCorrection network, HostTensor images, Reference reference, boolean errors, int batch) {
        CorrectionOptions options = CorrectionOptions.builder()
                .device("cuda")
                .reference(reference)
                .errors(errors)
                .batchSize(batch)
                .build();
        CorrectionResult cold;
        double[] warm = new double[size.rounds()];
        CorrectionResult last;
        try (Samples samples = Samples.of(Map.of("x", images));
                DeviceSession session = DeviceSession.open("cuda")) {
            cold = network.correct(samples, options, session);
            last = cold;
            for (int i = 0; i < warm.length; i++) {
                last = network.correct(samples, options, session);
                warm[i] = last.sweepSeconds();
            }
        }
        Arrays.sort(warm);
        String what = name + ", " + reference.name().toLowerCase(Locale.ROOT) + ", batch " + batch;
        table.row(
                name,
                reference.name().toLowerCase(Locale.ROOT),
                errors ? "yes" : "no",
                Integer.toString(batch),
                String.format(Locale.ROOT, "%.3f", cold.sweepSeconds()),
                String.format(Locale.ROOT, "%.3f", warm[warm.length / 2]),
                Long.toString(last.transfers().hostToDeviceBytes()),
                Long.toString(last.transfers().deviceToHostBytes()),
                Long.toString(last.transfers().synchronisations()),
                Long.toString(last.peakDeviceBytes() / 1_000_000),
                errors ? String.format(Locale.ROOT, "%.3f", share(what, last)) : "-");
        for (String name2 : cold.corrections().keySet()) {
            if (!Arrays.equals(cold.corrections().get(name2), last.corrections().get(name2))) {
                findings.failure(what + ": layer " + name2 + " got another correction when it was run again");
                return;
            }
        }
    }

    /**
     * The mean over layers of what is left of the error; a layer with more than before, or with no number, is a
     * failure.
     */
    private double share(String what, CorrectionResult result) {
        double sum = 0;
        int layers = 0;
        for (LayerResult layer : result.layers()) {
            if (layer.moments().isEmpty()) {
                findings.failure(what + ": layer " + layer.name() + " was not corrected: "
                        + layer.reason().orElse("no reason given"));
                continue;
            }
            Moments.Errors e = layer.moments().get().errors().orElseThrow();
            // With float biases MSE after is MSE before less the square of the correction.
            if (!(e.mseAfter() <= e.mseBefore() * (1 + ROUNDING))) {
                findings.failure(what + ": layer " + layer.name() + " has MSE " + e.mseAfter() + " after and "
                        + e.mseBefore() + " before its correction");
            }
            sum += e.mseBefore() == 0 ? 1 : e.mseAfter() / e.mseBefore();
            layers++;
        }
        return layers == 0 ? Double.NaN : sum / layers;
    }
}
