package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Moments;
import dev.rebias.device.Transfers;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.BiasSites;
import dev.rebias.model.BiasWriter;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphInput;
import dev.rebias.model.GraphReader;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.Pairing;
import dev.rebias.model.SkippedLayer;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Footprint;
import dev.rebias.sweep.Plan;
import dev.rebias.sweep.Planner;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Sweep;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Bias correction of one quantised model: measures, per layer and output channel, how far its outputs are off the float model's on average,
 * and adds that to the layer's bias (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
 * section 4.2 and appendix D).
 *
 * <p>Reading the models is done here once; {@link #correct} may then be called several times, with other samples or options. Not safe for use
 * by several threads.
 */
public final class BiasCorrection {
    /** So that threads which share out batches end at about the same time. */
    private static final int BATCHES_PER_THREAD = 4;

    private static final long MOST_SAMPLES = Integer.MAX_VALUE;

    /** By how much of a memory limit tensors may exceed it before that is worth a warning: what waits goes to the file once it has. */
    private static final double OVER_LIMIT = 0.05;

    private final OnnxModel quantizedModel;
    private final Graph floating;
    private final Graph quantized;
    private final BiasSites sites;
    private final Pairing pairing;
    private final Map<String, String> floatInputs;

    private BiasCorrection(OnnxModel floatModel, OnnxModel quantizedModel) {
        this.quantizedModel = quantizedModel;
        this.floating = GraphReader.read(floatModel);
        this.quantized = GraphReader.read(quantizedModel);
        this.sites = new BiasSites(quantizedModel);
        this.pairing = writable(Pairing.of(floating, quantized));
        this.floatInputs = matchInputs();
    }

    /**
     * Reads a float model and the quantised model made from it.
     *
     * @throws UnsupportedException if a model uses what rebias does not handle, no layer of one pairs with a layer of the other, or their inputs
     *     differ
     */
    public static BiasCorrection of(OnnxModel floatModel, OnnxModel quantizedModel) {
        return new BiasCorrection(floatModel, quantizedModel);
    }

    /** The layers that can be corrected, and those that cannot, with reasons. */
    public Pairing pairing() {
        return pairing;
    }

    /** What the quantised model wants of samples, in the order of its inputs. */
    public List<InputSpec> inputs() {
        return quantized.inputs().stream().map(this::spec).toList();
    }

    /** The names of the quantised model's inputs, in order. */
    public List<String> inputNames() {
        return names(quantized.inputs());
    }

    /** How the bias of a paired layer is stored: {@code float}, {@code int32}, or {@code none} where it would be inserted. */
    public String biasStorage(LayerPair pair) {
        return sites.storage(pair.quantized());
    }

    private Pairing writable(Pairing all) {
        List<LayerPair> pairs = new ArrayList<>();
        List<SkippedLayer> skipped = new ArrayList<>(all.skipped());
        for (LayerPair pair : all.pairs()) {
            Layer q = pair.quantized();
            sites.obstacle(q)
                    .ifPresentOrElse(
                            reason -> skipped.add(
                                    new SkippedLayer(q.name(), q.fileOutput(), q.op().type(), q.channels(), reason)),
                            () -> pairs.add(pair));
        }
        if (pairs.isEmpty()) {
            String first = skipped.isEmpty()
                    ? "it has no Conv, ConvTranspose, Gemm or MatMul with constant weights"
                    : skipped.get(0).name() + ": " + skipped.get(0).reason();
            throw new UnsupportedException("no layer of '" + quantized.file() + "' pairs with a layer of '"
                    + floating.file() + "' (" + first + "): are they the same network?");
        }
        return new Pairing(pairs, skipped);
    }

    private Map<String, String> matchInputs() {
        Map<String, String> matched = new LinkedHashMap<>();
        List<GraphInput> fs = floating.inputs();
        List<GraphInput> qs = quantized.inputs();
        boolean byName =
                fs.stream().allMatch(f -> qs.stream().anyMatch(q -> q.name().equals(f.name())));
        if (!byName && fs.size() != qs.size()) {
            throw new UnsupportedException("'" + floating.file() + "' has the inputs " + names(fs) + " but '"
                    + quantized.file() + "' has " + names(qs) + ": are they the same network?");
        }
        for (int i = 0; i < fs.size(); i++) {
            GraphInput f = fs.get(i);
            GraphInput q = byName
                    ? qs.stream()
                            .filter(x -> x.name().equals(f.name()))
                            .findFirst()
                            .orElseThrow()
                    : qs.get(i);
            if (!compatible(f, q)) {
                throw new UnsupportedException("input '" + f.name() + "' of '" + floating.file() + "' is " + f.type()
                        + " " + Shape.text(f.shape()) + ", but '" + q.name() + "' of '" + quantized.file() + "' is "
                        + q.type() + " " + Shape.text(q.shape()) + ": are they the same network?");
            }
            matched.put(f.name(), q.name());
        }
        return matched;
    }

    private static List<String> names(List<GraphInput> inputs) {
        return inputs.stream().map(GraphInput::name).toList();
    }

    private static boolean compatible(GraphInput a, GraphInput b) {
        if (a.type() != b.type() || a.shape().length != b.shape().length) {
            return false;
        }
        for (int i = 1; i < a.shape().length; i++) {
            if (a.shape()[i] != b.shape()[i] && a.shape()[i] >= 0 && b.shape()[i] >= 0) {
                return false;
            }
        }
        return true;
    }

    /**
     * Corrects the quantised model.
     *
     * @param samples calibration samples; one axis 0 entry each, all with equal weight
     * @throws UnsupportedException if the samples do not fit the model, the model cannot be run on them, or a corrected bias does not fit its type
     * @throws dev.rebias.error.DeviceUnavailableException if the device cannot be used
     */
    public CorrectionResult correct(Samples samples, CorrectionOptions options) {
        BoundSamples bound = samples.bind(inputs());
        List<LayerPair> layers = layers(options);
        Devices.Choice choice = Devices.open(options.device());
        try (Device device = choice.device()) {
            return correct(bound, layers, options, device, choice.why());
        }
    }

    /**
     * The same on a device that is open, and stays so: for many corrections one after the other, which then share its memory and what it has compiled.
     *
     * @param options of which the name of a device is not looked at
     * @param device used by nobody else at the same time
     */
    public CorrectionResult correct(Samples samples, CorrectionOptions options, Device device) {
        return correct(samples.bind(inputs()), layers(options), options, device, "given");
    }

    private CorrectionResult correct(
            BoundSamples bound, List<LayerPair> layers, CorrectionOptions options, Device device, String why) {
        Transfers before = device.transfers();
        device.forgetPeak();
        Plan plan = plan(layers, device, options);
        int batchSize = batchSize(options.batchSize(), bound, plan, device, bound.count());
        long start = System.nanoTime();
        List<Moments> moments;
        long spilled;
        Profile profile;
        try (Sweep sweep = sweep(plan, device, options)) {
            moments = sweep.run(bound, batchSize, options.listener());
            spilled = sweep.spilledBytes();
            profile = sweep.profile();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        Map<Layer, float[]> corrections = new LinkedHashMap<>();
        for (int i = 0; i < layers.size(); i++) {
            corrections.put(layers.get(i).quantized(), moments.get(i).delta());
        }
        OnnxModel corrected = quantizedModel.corrected(BiasWriter.write(sites, corrections));
        return new CorrectionResult(
                corrected,
                options.reference(),
                device.info(),
                why,
                bound.count(),
                batchSize,
                results(layers, moments),
                device.transfers().since(before),
                warnings(options, device, batchSize),
                seconds,
                device.peakBytes(),
                spilled,
                profile);
    }

    private List<String> warnings(CorrectionOptions options, Device device, int batchSize) {
        List<String> all = new ArrayList<>(device.warnings());
        double peak = device.peakBytes();
        if (peak > options.memoryLimit() * (1 + OVER_LIMIT)) {
            all.add(String.format(
                    Locale.ROOT,
                    "tensors took %.1f MB at once, more than the memory limit of %.1f MB: what is worked on does not go to the file, %s",
                    peak / 1e6,
                    options.memoryLimit() / 1e6,
                    batchSize == 1
                            ? "and a batch is one sample already"
                            : "and a batch is " + batchSize + " samples"
                                    + (fixedBatch().isPresent()
                                            ? ", which the model fixes"
                                            : "; a smaller batch size takes less")));
        }
        return all;
    }

    /**
     * Tells what memory {@link #correct} would take, by taking one batch through the whole sweep.
     *
     * @param samples of which the first batch is used
     * @param count how many samples there would be
     * @throws UnsupportedException as {@link #correct} does
     * @throws dev.rebias.error.DeviceUnavailableException if the device cannot be used
     */
    public Footprint footprint(Samples samples, CorrectionOptions options, long count) {
        BoundSamples bound = samples.bind(inputs());
        List<LayerPair> layers = layers(options);
        try (Device device = Devices.open(options.device()).device()) {
            Plan plan = plan(layers, device, options);
            try (Sweep sweep = sweep(plan, device, options.withMemoryLimit(Long.MAX_VALUE))) {
                return sweep.footprint(bound, batchSize(options.batchSize(), bound, plan, device, count));
            }
        }
    }

    /**
     * The same with samples of zeros.
     *
     * @throws UnsupportedException also if the model leaves the shape of an input open
     */
    public Footprint footprint(CorrectionOptions options, long count) {
        Map<String, HostTensor> zeros = new LinkedHashMap<>();
        for (InputSpec input : inputs()) {
            long[] shape = input.shape();
            if (Arrays.stream(shape).skip(1).anyMatch(d -> d < 0)) {
                throw new UnsupportedException("input '" + input.name() + "' of '" + quantized.file() + "' is "
                        + input.shapeText() + ", of no fixed size: give the samples that will be used (--samples)");
            }
            shape[0] = fixedBatch().orElse(options.batchSize());
            zeros.put(input.name(), HostTensor.zeros(input.type(), shape));
        }
        return footprint(Samples.of(zeros), options, count);
    }

    private List<LayerPair> layers(CorrectionOptions options) {
        List<LayerPair> layers = pairing.pairs().stream()
                .filter(p -> options.layers().test(p.name()))
                .toList();
        if (layers.isEmpty()) {
            throw new UnsupportedException("no layer is left to correct: the selection excludes all "
                    + pairing.pairs().size() + " of '" + quantized.file() + "'");
        }
        return layers;
    }

    private Plan plan(List<LayerPair> layers, Device device, CorrectionOptions options) {
        return Planner.plan(options.reference(), options.errors(), device, floating, quantized, floatInputs, layers);
    }

    private Sweep sweep(Plan plan, Device device, CorrectionOptions options) {
        List<float[]> steps =
                plan.layers().stream().map(p -> sites.steps(p.quantized())).toList();
        return new Sweep(plan, device, steps, options.perChannel(), options.memoryLimit());
    }

    private InputSpec spec(GraphInput input) {
        long[] shape = input.shape().clone();
        if (shape.length > 0) {
            shape[0] = -1;
        }
        return new InputSpec(
                input.name(), input.type(), shape, quantizedModel.hints().channelsLast());
    }

    /** The batch size that the model fixes. */
    private Optional<Integer> fixedBatch() {
        return quantized.inputs().stream()
                .filter(i -> i.shape().length > 0 && i.shape()[0] > 0)
                .map(i -> {
                    if (i.shape()[0] > MOST_SAMPLES) {
                        throw new UnsupportedException("input '" + i.name() + "' of '" + quantized.file()
                                + "' fixes its batch at " + i.shape()[0] + ", more samples than rebias reads");
                    }
                    return (int) i.shape()[0];
                })
                .findFirst();
    }

    /** The batch size that the model fixes, or else the one that suits the device. */
    private int batchSize(int wanted, BoundSamples bound, Plan plan, Device device, long count) {
        if (fixedBatch().isPresent()) {
            int fixed = fixedBatch().get();
            int samples = bound.count();
            if (samples % fixed != 0) {
                throw new UnsupportedException("'" + quantized.file() + "' fixes its batch at " + fixed + ", and "
                        + samples + " samples are no multiple of it: use --limit " + samples / fixed * fixed
                        + ", or make the model's batch dimension dynamic");
            }
            return fixed;
        }
        try (Batches first = bound.batches(1)) {
            List<long[]> shapes = first.next().stream().map(HostTensor::shape).toList();
            int threads = device.threads();
            // Where several threads take batches of their own, there should be a few for each.
            int shares = threads == 1 ? 1 : BATCHES_PER_THREAD * threads;
            int most = device.batchSize((int) Math.min(wanted, ceilDiv(count, shares)), plan.meanOutputBytes(shapes));
            // As many batches for each, and of one size as far as that goes.
            long batches = ceilDiv(ceilDiv(count, most), threads) * threads;
            return Math.toIntExact(ceilDiv(count, batches));
        }
    }

    /** a / b, rounded up. */
    private static long ceilDiv(long a, long b) {
        return (a + b - 1) / b;
    }

    private List<LayerResult> results(List<LayerPair> layers, List<Moments> moments) {
        Map<String, Integer> order = new HashMap<>();
        quantized.nodes().forEach(n -> order.putIfAbsent(n.fileOutput(), order.size()));
        List<LayerResult> results = new ArrayList<>();
        for (LayerPair pair : pairing.pairs()) {
            Layer q = pair.quantized();
            int i = layers.indexOf(pair);
            boolean inserted = sites.storage(q).equals(BiasSites.NONE);
            LayerResult.Status status = i < 0
                    ? LayerResult.Status.SKIPPED
                    : inserted ? LayerResult.Status.INSERTED : LayerResult.Status.CORRECTED;
            results.add(new LayerResult(
                    q.name(),
                    q.fileOutput(),
                    q.output(),
                    q.op().type(),
                    q.channels(),
                    status,
                    i < 0 ? Optional.of("left out by the selection of layers") : Optional.empty(),
                    i < 0 ? Optional.empty() : Optional.of(moments.get(i))));
        }
        for (SkippedLayer s : pairing.skipped()) {
            results.add(new LayerResult(
                    s.name(),
                    s.output(),
                    s.output(),
                    s.op(),
                    s.channels(),
                    LayerResult.Status.SKIPPED,
                    Optional.of(s.reason()),
                    Optional.empty()));
        }
        results.sort(Comparator.comparing(r -> order.getOrDefault(r.output(), Integer.MAX_VALUE)));
        return results;
    }
}
