package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Preferences;
import dev.rebias.device.Transfers;
import dev.rebias.device.Upcoming;
import dev.rebias.error.OutOfDeviceMemoryException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.measure.Moments;
import dev.rebias.model.BiasSites;
import dev.rebias.model.BiasWriter;
import dev.rebias.model.CorrectionProbe;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.Pairing;
import dev.rebias.model.SkippedLayer;
import dev.rebias.op.BiasGrid;
import dev.rebias.outcome.Networks;
import dev.rebias.outcome.Outcome;
import dev.rebias.outcome.OutcomeMeasurement;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Footprint;
import dev.rebias.sweep.Plan;
import dev.rebias.sweep.Planner;
import dev.rebias.sweep.Profile;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.Sweep;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Bias correction of one quantised model: measures, per layer and output channel, how far its outputs are off the float model's on average,
 * and adds that to the layer's bias (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
 * section 4.2 and appendix D).
 *
 * <p>Reading the models is done here once; {@link #correct} may then be called several times, with other samples or options. Not safe for use
 * by several threads.
 */
public final class BiasCorrection {
    /** For dimensions of inputs that a model leaves open. */
    private static final long SOME_SIZE = 64;

    /** By how much of a memory limit tensors may exceed it before that is worth a warning: what waits goes to the file once it has. */
    private static final double OVER_LIMIT = 0.05;

    /** On so many samples the outcome is measured, at most. */
    private static final int OUTCOME_SAMPLES = 64;

    /** As many channels of a layer are named in a warning. */
    private static final int MOST_NAMED = 20;

    /** Why a layer is left alone whose outputs are other multiples of the float layer's. */
    private static final String RESCALED =
            "each output channel of its weights is that of the float model times a factor of its own: equalised, or scaled otherwise, before it was quantised";

    private final OnnxModel floatModel;
    private final OnnxModel quantizedModel;
    private final Graph floating;
    private final Graph quantized;
    private final BiasSites sites;
    private final Pairing pairing;
    private final NetworkInputs inputs;

    private BiasCorrection(OnnxModel floatModel, OnnxModel quantizedModel) {
        this.floatModel = floatModel;
        this.quantizedModel = quantizedModel;
        floatModel.requireFixedScales();
        quantizedModel.requireFixedScales();
        this.floating = GraphReader.read(floatModel);
        this.inputs = NetworkInputs.match(floating, GraphReader.read(quantizedModel), quantizedModel.hints());
        this.quantized = inputs.quantized();
        this.sites = new BiasSites(quantizedModel);
        this.pairing = writable(Pairing.of(floating, quantized));
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

    /** Why there is nothing to correct, where the quantised model has the float model's weights and biases, and no quantiser; else empty. */
    public Optional<String> nothingToCorrect() {
        return pairing.nothingIsQuantised(quantized)
                ? Optional.of("nothing is quantised in '" + quantized.file() + "': its "
                        + pairing.pairs().size()
                        + " layers have the same weights and biases as those of '" + floating.file()
                        + "', and no quantiser lies between them; export the model after its quantisation, with its "
                        + "QuantizeLinear and DequantizeLinear nodes, and not with scales in a file beside it")
                : Optional.empty();
    }

    /** What the quantised model wants of samples, in the order of its inputs; what its file takes as integers that stand for floats, as such. */
    public List<InputSpec> inputs() {
        return inputs.ofQuantizedFile();
    }

    /** The names of the quantised model's inputs, in order. */
    public List<String> inputNames() {
        return inputs().stream().map(InputSpec::name).toList();
    }

    /** For each input of the float model, by its name there, what it wants of samples: arrays are known by the names of the quantised model's inputs. */
    public Map<String, InputSpec> floatInputs() {
        return inputs.ofFloatFile();
    }

    /** How the bias of a paired layer is stored: {@code float}, {@code int32} and the like, or {@code none} where it would be inserted. */
    public String biasStorage(LayerPair pair) {
        return sites.storage(pair.quantized());
    }

    /**
     * A written model with each corrected layer twice, for verification.
     *
     * @param written what was read back from the file of a result's model
     * @param result what came of this correction
     */
    public CorrectionProbe.Probe probe(OnnxModel written, CorrectionResult result) {
        Set<String> corrected = result.corrections().keySet();
        List<Layer> layers = pairing.pairs().stream()
                .map(LayerPair::quantized)
                .filter(q -> corrected.contains(q.name()))
                .toList();
        return CorrectionProbe.of(sites, written, layers);
    }

    /** The batch size that the model fixes, if it does. */
    public Optional<Integer> fixedBatch(BoundSamples samples) {
        return inputs.fixedBatch(samples);
    }

    private Pairing writable(Pairing all) {
        List<LayerPair> pairs = new ArrayList<>();
        List<SkippedLayer> skipped = new ArrayList<>(all.skipped());
        for (LayerPair pair : all.pairs()) {
            Layer q = pair.quantized();
            rescaled(pair)
                    .or(() -> sites.obstacle(q))
                    .ifPresentOrElse(
                            reason -> skipped.add(
                                    new SkippedLayer(q.name(), q.fileOutput(), q.op().type(), q.channels(), reason)),
                            () -> pairs.add(pair));
        }
        if (pairs.isEmpty()) {
            String first = skipped.isEmpty()
                    ? "it has no Conv, ConvTranspose, Gemm or MatMul with constant weights"
                    : skipped.get(0).name() + ": " + skipped.get(0).reason();
            boolean known = skipped.stream()
                    .anyMatch(s -> s.reason().equals(RESCALED) || s.reason().contains("weights differ"));
            throw new UnsupportedException("no layer of '" + quantized.file() + "' pairs with a layer of '"
                    + floating.file() + "' (" + first + "): "
                    + (known ? "give --float the model that it was quantised from" : "are they the same network?"));
        }
        return new Pairing(pairs, skipped);
    }

    private static Optional<String> rescaled(LayerPair pair) {
        return pair.likeness().outputsRescaled() ? Optional.of(RESCALED) : Optional.empty();
    }

    /**
     * Corrects the quantised model.
     *
     * @param samples calibration samples; one axis 0 entry each, all with equal weight
     * @throws UnsupportedException if the samples do not fit the model, the model cannot be run on them, or a corrected bias does not fit its type
     * @throws dev.rebias.error.DeviceUnavailableException if the device cannot be used
     */
    public CorrectionResult correct(Samples samples, CorrectionOptions options) {
        BoundSamples bound = samples.bind(inputs.ofSweep());
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
        return correct(samples.bind(inputs.ofSweep()), layers(options), options, device, "given");
    }

    private CorrectionResult correct(
            BoundSamples bound, List<LayerPair> layers, CorrectionOptions options, Device device, String why) {
        Transfers before = device.log().transfers();
        Plan plan = plan(layers, device, options, bound.shapes() == 1);
        int wanted = options.batchSize().orElse(device.batches().usual());
        Batching batching = batching(bound, wanted);
        int usual = batching.size(plan, device, bound.count());
        long start = System.nanoTime();
        Swept swept = swept(plan, bound, usual, batching.fixed().isPresent(), options, device);
        double seconds = (System.nanoTime() - start) / 1e9;
        List<Moments> moments = swept.moments();
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
                swept.batchSize(),
                results(layers, moments),
                options.outcome() ? Optional.of(outcome(corrected, bound)) : Optional.empty(),
                device.log().transfers().since(before),
                warnings(options, device, batching, usual, swept, layers),
                seconds,
                device.memory().peak(),
                swept.spilledBytes(),
                swept.profile());
    }

    /** What the correction was worth, on samples spread over all of them. */
    private Outcome outcome(OnnxModel corrected, BoundSamples samples) {
        Networks networks =
                new Networks(floatModel, quantizedModel, corrected, inputs::ofFloatFile, inputs::ofQuantizedFile);
        int batch = inputs.fixedBatch(samples).orElse(1);
        int count = Math.max(batch, OUTCOME_SAMPLES / batch * batch);
        return OutcomeMeasurement.measure(networks, samples.spread(Math.min(count, samples.count())), batch);
    }

    /** How samples go through the networks: in batches, unless they would influence each other. */
    private Batching batching(BoundSamples bound, int wanted) {
        return Batching.of(inputs, floatModel, floating, quantizedModel, pairing.pairs(), bound, wanted);
    }

    /** What a sweep found, and with how many samples per batch it had room. */
    private record Swept(List<Moments> moments, int batchSize, long spilledBytes, Profile profile) {}

    /** Sweeps with batches of that many samples; where nobody asked for them and the device's memory does not suffice, with fewer. */
    private Swept swept(
            Plan plan, BoundSamples bound, int usual, boolean fixed, CorrectionOptions options, Device device) {
        boolean free = options.batchSize().isEmpty() && !fixed;
        for (int batchSize = usual; ; batchSize = batchSize / 2) {
            device.memory().forgetPeak();
            try (Sweep sweep = sweep(plan, device, options)) {
                List<Moments> moments = sweep.run(bound, batchSize, options.listener());
                return new Swept(moments, batchSize, sweep.spilledBytes(), sweep.profile());
            } catch (OutOfDeviceMemoryException e) {
                if (!free || batchSize == 1) {
                    throw e;
                }
            }
        }
    }

    private List<String> warnings(
            CorrectionOptions options,
            Device device,
            Batching batching,
            int usual,
            Swept swept,
            List<LayerPair> layers) {
        List<String> all = new ArrayList<>(device.log().warnings());
        all.addAll(batching.warnings());
        for (int i = 0; i < layers.size(); i++) {
            kept(layers.get(i).quantized(), swept.moments().get(i)).ifPresent(all::add);
        }
        int batchSize = swept.batchSize();
        if (batchSize < usual) {
            all.add("batches had " + batchSize + " samples instead of " + usual
                    + ", for more did not fit into the device's memory: --batch-size " + batchSize
                    + " saves the attempts; the last bits of float layers may differ from those of other sizes");
        }
        rescaling(options).ifPresent(all::add);
        if (options.reference() == Reference.LAYER && pairing.sameWeights()) {
            all.add("the two models have the same weights and biases, so the layer reference finds nothing to correct; "
                    + "--reference network also sees what quantised activations do");
        }
        double peak = device.memory().peak();
        if (peak > options.memoryLimit() * (1 + OVER_LIMIT)) {
            all.add(String.format(
                    Locale.ROOT,
                    "tensors took %.1f MB at once, more than the memory limit of %.1f MB: what is worked on does not go to the file, %s",
                    peak / 1e6,
                    options.memoryLimit() / 1e6,
                    batchSize == 1
                            ? "and a batch is one sample already"
                            : "and a batch is " + batchSize + " samples"
                                    + (batching.fixed().isPresent()
                                            ? ", which the model fixes"
                                            : "; a smaller batch size takes less")));
        }
        return all;
    }

    /** Which channels of a layer keep their bias, and why. */
    private Optional<String> kept(Layer layer, Moments moments) {
        List<Integer> kept = moments.kept();
        if (kept.isEmpty()) {
            return Optional.empty();
        }
        BiasGrid grid = sites.grid(layer);
        String steps = grid.form() == BiasGrid.Form.STEPS
                ? kept.stream()
                        .map(c -> String.format(Locale.ROOT, "%.2g", grid.steps()[c]))
                        .distinct()
                        .limit(MOST_NAMED)
                        .collect(Collectors.joining(", ", " in steps of ", ""))
                : "";
        String storage = sites.storage(layer);
        return Optional.of(String.format(
                "layer '%s': %s %s %s, whose correction does not fit %s%s; the layer's other channels are corrected",
                layer.name(),
                kept.size() == 1 ? "channel" : "channels",
                kept.stream().limit(MOST_NAMED).map(String::valueOf).collect(Collectors.joining(", "))
                        + (kept.size() > MOST_NAMED ? " and " + (kept.size() - MOST_NAMED) + " more" : ""),
                kept.size() == 1 ? "keeps its bias" : "keep their biases",
                storage.equals(BiasSites.NONE) ? "int32" : storage,
                steps));
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
        BoundSamples bound = samples.bind(inputs.ofSweep());
        try (Device device = Devices.open(options.device()).device()) {
            return footprint(bound, options, count, device);
        }
    }

    private Footprint footprint(BoundSamples bound, CorrectionOptions options, long count, Device device) {
        Plan plan = plan(layers(options), device, options, bound.shapes() == 1);
        int wanted = options.batchSize().orElse(device.batches().usual());
        try (Sweep sweep = sweep(
                plan, device, options.toBuilder().memoryLimit(Long.MAX_VALUE).build())) {
            return sweep.footprint(bound, batching(bound, wanted).size(plan, device, count));
        }
    }

    /**
     * The same with samples of zeros.
     *
     * @throws UnsupportedException also if the model leaves the shape of an input open
     */
    public Footprint footprint(CorrectionOptions options, long count) {
        try (Device device = Devices.open(options.device()).device()) {
            int batchSize = options.batchSize().orElse(device.batches().usual());
            return footprint(zeros(batchSize).bind(inputs.ofSweep()), options, count, device);
        }
    }

    private Samples zeros(int batchSize) {
        Map<String, HostTensor> zeros = new LinkedHashMap<>();
        for (InputSpec input : inputs.ofSweep()) {
            long[] shape = input.shape();
            if (Arrays.stream(shape).skip(1).anyMatch(d -> d < 0)) {
                throw new UnsupportedException("input '" + input.name() + "' of '" + quantized.file() + "' is "
                        + input.shapeText() + ", of no fixed size: give the samples that will be used (--samples)");
            }
            if (shape.length > 0 && shape[0] < 0) {
                shape[0] = batchSize;
            }
            zeros.put(input.name(), HostTensor.zeros(input.type(), shape));
        }
        return Samples.of(zeros);
    }

    private List<LayerPair> layers(CorrectionOptions options) {
        List<LayerPair> chosen = pairing.pairs().stream()
                .filter(p -> options.layers().test(p.name()))
                .toList();
        List<LayerPair> layers =
                chosen.stream().filter(p -> comparable(p, options)).toList();
        if (layers.isEmpty() && !chosen.isEmpty()) {
            throw new UnsupportedException(rescaling(options).orElseThrow());
        }
        if (layers.isEmpty()) {
            throw new UnsupportedException("no layer is left to correct: the selection excludes all "
                    + pairing.pairs().size() + " of '" + quantized.file() + "'");
        }
        return layers;
    }

    /**
     * The operations that {@link #correct} would run on a GPU, in order, with the shapes of what varies as far as they are known; needs no GPU.
     *
     * @throws UnsupportedException as {@link #correct} does
     */
    public List<Upcoming> operations(CorrectionOptions options) {
        List<long[]> shapes = new ArrayList<>();
        for (InputSpec input : inputs.ofSweep()) {
            // Which size it is decides nothing, but whether it is 1 does.
            shapes.add(
                    Arrays.stream(input.shape()).map(d -> d < 0 ? SOME_SIZE : d).toArray());
        }
        return plan(layers(options), new Preferences() {}, options, true).upcoming(shapes);
    }

    /** Whether a float layer can be applied to the quantised layer's data, or need not. */
    private static boolean comparable(LayerPair pair, CorrectionOptions options) {
        return options.reference() == Reference.NETWORK || !pair.likeness().inputsRescaled();
    }

    /** What is to be said of weights that were scaled per channel between the two models; empty where none were. */
    private Optional<String> rescaling(CorrectionOptions options) {
        List<String> outputs = pairing.skipped().stream()
                .filter(s -> s.reason().equals(RESCALED))
                .map(SkippedLayer::name)
                .toList();
        List<String> inputs = pairing.pairs().stream()
                .filter(p -> !comparable(p, options))
                .map(LayerPair::name)
                .toList();
        if (outputs.isEmpty() && inputs.isEmpty()) {
            return Optional.empty();
        }
        List<String> all = new ArrayList<>(outputs);
        all.addAll(inputs);
        return Optional.of("the weights of " + all.size() + " layers ('" + String.join("', '", all)
                + "') were multiplied by a factor for each channel between the two models, as by cross-layer equalisation: "
                + (options.reference() == Reference.NETWORK
                        ? "those layers' outputs mean something else than the float model's, and they are left as they were"
                        : "the float layers cannot be applied to the quantised network's data; use --reference network, which "
                                + "corrects the layers whose outputs still mean the same")
                + "; or give --float the model as it was after the equalisation");
    }

    /** The plan of a sweep; of samples of one size a device may join more. */
    private Plan plan(List<LayerPair> layers, Preferences device, CorrectionOptions options, boolean oneSize) {
        return Planner.plan(
                options.reference(),
                options.errors(),
                device,
                floating,
                quantized,
                inputs.sameSamples(),
                layers,
                oneSize);
    }

    private Sweep sweep(Plan plan, Device device, CorrectionOptions options) {
        List<BiasGrid> grids =
                plan.layers().stream().map(p -> sites.grid(p.quantized())).toList();
        boolean limited = options.memoryLimit() < Long.MAX_VALUE;
        long limit = limited ? options.memoryLimit() : device.memory().usualLimit();
        return new Sweep(plan, device, grids, options.perChannel(), limit);
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
                    q.correctedOutput(),
                    q.op().type(),
                    q.channels(),
                    status,
                    i < 0
                            ? Optional.of(
                                    pair.likeness().inputsRescaled()
                                            ? "its weights were scaled per input channel between the two models"
                                            : "left out by the selection of layers")
                            : Optional.empty(),
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
