package dev.rebias;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Preferences;
import dev.rebias.device.Resources;
import dev.rebias.device.Upcoming;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.exchange.Exchange;
import dev.rebias.exchange.Rounds;
import dev.rebias.model.BiasSites;
import dev.rebias.model.CorrectionProbe;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.Layer;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.Pairing;
import dev.rebias.op.BiasGrid;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.CorrectionRule;
import dev.rebias.sweep.CorrectionSpec;
import dev.rebias.sweep.FloatMath;
import dev.rebias.sweep.Footprint;
import dev.rebias.sweep.Plan;
import dev.rebias.sweep.Planner;
import dev.rebias.sweep.Reference;
import dev.rebias.sweep.Sweep;
import dev.rebias.tensor.HostTensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Bias correction of one quantised model: measures, per layer and output channel, how far its outputs are off the float
 * model's on average, and adds that to the layer's bias (Nagel et al., "Data-Free Quantization Through Weight
 * Equalization and Bias Correction", ICCV 2019, section 4.2 and appendix D).
 *
 * <p>Reading the models is done here once; {@link #correct} may then be called several times, with other samples or
 * options. Not safe for use by several threads.
 */
public final class BiasCorrection {
    /** For dimensions of inputs that a model leaves open. */
    private static final long SOME_SIZE = 64;

    private final ModelPair models;
    private final Graph floating;
    private final Graph quantized;
    private final BiasSites sites;
    private final CorrectableLayers layers;
    private final NetworkInputs inputs;

    private BiasCorrection(ModelPair models) {
        this.models = models;
        OnnxModel floatModel = models.floating();
        OnnxModel quantizedModel = models.quantized();
        floatModel.requireFixedScales();
        quantizedModel.requireFixedScales();
        this.floating = GraphReader.read(floatModel);
        this.inputs = NetworkInputs.match(floating, GraphReader.read(quantizedModel), quantizedModel.hints());
        this.quantized = inputs.quantized();
        this.sites = new BiasSites(quantizedModel);
        this.layers = new CorrectableLayers(models, floating, quantized, sites);
    }

    /**
     * Reads a float model and the quantised model made from it.
     *
     * @throws UnsupportedException if a model uses what rebias does not handle, no layer of one pairs with a layer of
     *     the other, or their inputs differ
     */
    public static BiasCorrection of(OnnxModel floatModel, OnnxModel quantizedModel) {
        return of(ModelPair.of(floatModel, quantizedModel));
    }

    /** The same of models that have been read from files. Throws as {@link #of(OnnxModel, OnnxModel)} does. */
    public static BiasCorrection of(ModelPair models) {
        return new BiasCorrection(models);
    }

    /**
     * Reads a quantised Keras model of cnn2snn, whose file holds the float weights too.
     *
     * @throws dev.rebias.error.UsageException if there is no such file, or it has been corrected already
     * @throws UnsupportedException as {@link #of(OnnxModel, OnnxModel)} does
     */
    public static BiasCorrection ofKeras(Path file) {
        return of(ModelPair.readKeras(file, false));
    }

    /** The layers that can be corrected, and those that cannot, with reasons. */
    public Pairing pairing() {
        return layers.pairing();
    }

    /**
     * Why there is nothing to correct, where the quantised model has the float model's weights and biases, and no
     * quantiser; else empty.
     */
    public Optional<String> nothingToCorrect() {
        return layers.pairing().nothingIsQuantised(quantized)
                ? Optional.of("nothing is quantised in '" + quantized.file() + "': its "
                        + layers.pairing().pairs().size()
                        + " layers have the same weights and biases as those of '" + floating.file()
                        + "', and no quantiser lies between them; export the model after its quantisation, with its "
                        + "QuantizeLinear and DequantizeLinear nodes, and not with scales in a file beside it")
                : Optional.empty();
    }

    /**
     * What the quantised model wants of samples, in the order of its inputs; what its file takes as integers that stand
     * for floats, as such.
     */
    public List<InputSpec> inputs() {
        return inputs.ofQuantizedFile();
    }

    /** The names of the quantised model's inputs, in order. */
    public List<String> inputNames() {
        return inputs().stream().map(InputSpec::name).toList();
    }

    /**
     * For each input of the float model, by its name there, what it wants of samples: arrays are known by the names of
     * the quantised model's inputs.
     */
    public Map<String, InputSpec> floatInputs() {
        return inputs.ofFloatFile();
    }

    /**
     * How the bias of a paired layer is stored: {@code float}, {@code int32} and the like, or {@code none} where it
     * would be inserted.
     */
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
        List<Layer> measured = layers.pairing().pairs().stream()
                .map(LayerPair::quantized)
                .filter(q -> corrected.contains(q.name()))
                .toList();
        return CorrectionProbe.of(sites, written, measured);
    }

    /** The batch size that the model fixes, if it does. */
    public Optional<Integer> fixedBatch(BoundSamples samples) {
        return inputs.fixedBatch(samples);
    }

    ModelPair models() {
        return models;
    }

    OnnxModel floatModel() {
        return models.floating();
    }

    OnnxModel quantizedModel() {
        return models.quantized();
    }

    Graph quantized() {
        return quantized;
    }

    CorrectableLayers layers() {
        return layers;
    }

    BiasSites sites() {
        return sites;
    }

    NetworkInputs networkInputs() {
        return inputs;
    }

    /**
     * Corrects the quantised model.
     *
     * @param samples calibration samples; one axis 0 entry each, all with equal weight
     * @param options where these name several devices, each measures a part of the samples
     * @throws UnsupportedException if the samples do not fit the model, the model cannot be run on them, or a corrected
     *     bias does not fit its type
     * @throws dev.rebias.error.DeviceUnavailableException if a device cannot be used
     * @throws dev.rebias.error.CancelledException if the thread is interrupted: the sweep ends after the batch at work
     */
    public CorrectionResult correct(Samples samples, CorrectionOptions options) {
        return onNamed(samples, options, true);
    }

    /**
     * The same on a device that is open, and stays so.
     *
     * @param options whose device's name is not looked at
     * @throws dev.rebias.error.CancelledException if the thread is interrupted: the sweep ends after the batch at work
     */
    public CorrectionResult correct(Samples samples, CorrectionOptions options, DeviceSession session) {
        return correct(samples, options, List.of(session));
    }

    /**
     * The same on several devices of one kind at once, each with a thread and a part of the samples. Corrections of
     * integer layers by the reference {@code layer} have the same bits for every number of devices.
     *
     * @param sessions which nothing else uses meanwhile; the first is the one that the result tells of
     * @throws UsageException also if weights are to be adjusted on more than one device
     */
    public CorrectionResult correct(Samples samples, CorrectionOptions options, List<DeviceSession> sessions) {
        return new SeveralDevices(this, samples, options, true, sessions.size()).on(sessions);
    }

    /**
     * Corrects as one of several participants, each of which calls this with equal models and options and with a part
     * of the samples of its own, on whatever machine. All of them end with the same corrections, which are those of all
     * samples.
     *
     * @param part this participant's part of the samples; all parts one after the other are the whole set
     * @param options whose device's name is not looked at
     * @param session of the same kind of device for all
     * @param exchange this participant's way to the others
     * @throws UsageException if weights are to be adjusted
     * @throws dev.rebias.error.RebiasException if another participant fails
     */
    public CorrectionResult correct(Samples part, CorrectionOptions options, DeviceSession session, Exchange exchange) {
        Rounds rounds = new Rounds(exchange);
        try {
            BoundSamples bound = part.bind(inputs.ofSweep());
            return new CorrectionRun(this, bound, part.normalization(), options, true, rounds).on(session);
        } catch (RuntimeException | Error e) {
            rounds.fail(e);
            throw e;
        }
    }

    /**
     * Measures everything that {@link #correct} does, and corrects nothing: every layer's errors in the quantised model
     * as it is, what a correction of that layer alone would be, and how far the network's outputs are from the float
     * network's. Throws as {@link #correct} does.
     *
     * @param options with a reference; what decides about corrections is not looked at
     */
    public CorrectionResult measure(Samples samples, CorrectionOptions options) {
        return onNamed(samples, options, false);
    }

    /** The same on a device that is open, and stays so. */
    public CorrectionResult measure(Samples samples, CorrectionOptions options, DeviceSession session) {
        return new SeveralDevices(this, samples, options, false, 1).on(List.of(session));
    }

    private CorrectionResult onNamed(Samples samples, CorrectionOptions options, boolean correcting) {
        List<String> names = Devices.names(options.device());
        SeveralDevices work = new SeveralDevices(this, samples, options, correcting, names.size());
        List<DeviceSession> sessions = DeviceSession.openAll(names);
        try {
            return work.on(sessions);
        } finally {
            Resources all = new Resources();
            sessions.forEach(session -> all.add(session::close));
            all.close();
        }
    }

    /** How samples go through the networks: in batches, unless they would influence each other. */
    Batching batching(BoundSamples bound, int wanted) {
        return Batching.of(
                inputs,
                floatModel(),
                floating,
                quantizedModel(),
                layers.pairing().pairs(),
                bound,
                wanted);
    }

    /**
     * Tells what memory {@link #correct} would take, by taking one batch through the whole sweep.
     *
     * @param samples of which the first batch is used
     * @param options where these name several devices, the first is looked at
     * @param count how many samples there would be; on several devices, how many each would have
     * @throws UnsupportedException as {@link #correct} does
     * @throws dev.rebias.error.DeviceUnavailableException if the device cannot be used
     */
    public Footprint footprint(Samples samples, CorrectionOptions options, long count) {
        BoundSamples bound = samples.bind(inputs.ofSweep());
        try (Device device = first(options)) {
            return footprint(bound, options, count, device);
        }
    }

    private static Device first(CorrectionOptions options) {
        return Devices.open(Devices.names(options.device()).get(0)).device();
    }

    /** The same on a device that is open, and stays so. */
    public Footprint footprint(Samples samples, CorrectionOptions options, long count, DeviceSession session) {
        return footprint(samples.bind(inputs.ofSweep()), options, count, session.device());
    }

    /**
     * Checks everything that {@link #correct} could refuse before it runs a network: options, layers, the samples'
     * shapes and types. Needs no device.
     *
     * @param participants how many measure a part of the samples each, 1 or more
     * @return how many samples there are, and how many layers would be corrected
     * @throws UnsupportedException as {@link #correct} does
     * @throws UsageException also if there are several participants and weights are to be adjusted
     */
    public Extent check(Samples samples, CorrectionOptions options, int participants) {
        int count = new SeveralDevices(this, samples, options, true, participants).samples();
        return new Extent(layers.of(options, planned(options)).size(), count);
    }

    /**
     * How much there is to do.
     *
     * @param layers how many layers would be corrected
     * @param samples how many samples there are
     */
    public record Extent(int layers, int samples) {}

    private Footprint footprint(BoundSamples bound, CorrectionOptions options, long count, Device device) {
        Reference reference = planned(options);
        List<LayerPair> corrected = layers.of(options, reference);
        WeightAdjustment weights = new WeightAdjustment(sites, corrected, options);
        Plan plan = plan(corrected, device, options, reference, bound.shapes() == 1, weights);
        int wanted = options.batchSize().orElse(device.batches().usual());
        CorrectionOptions unlimited =
                options.toBuilder().memoryLimit(Long.MAX_VALUE).build();
        try (Sweep sweep =
                sweep(plan, device, unlimited, options.perChannel(), Optional.empty(), weights, Rounds.alone())) {
            return sweep.footprint(bound, batching(bound, wanted).size(plan, device, count));
        }
    }

    /**
     * The same with samples of zeros.
     *
     * @throws UnsupportedException also if the model leaves the shape of an input open
     */
    public Footprint footprint(CorrectionOptions options, long count) {
        try (Device device = first(options)) {
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
                        + input.shapeText() + ", of no fixed size: give the samples that will be used");
            }
            if (shape.length > 0 && shape[0] < 0) {
                shape[0] = batchSize;
            }
            zeros.put(input.name(), HostTensor.zeros(input.type(), shape));
        }
        return Samples.of(zeros);
    }

    /** Of the better of both references, the one that takes more memory. */
    private static Reference planned(CorrectionOptions options) {
        return options.reference().orElse(Reference.NETWORK);
    }

    /**
     * The operations that {@link #correct} would run on a GPU, in order, with the shapes of what varies as far as they
     * are known; needs no GPU.
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
        Reference reference = planned(options);
        List<LayerPair> corrected = layers.of(options, reference);
        WeightAdjustment weights = new WeightAdjustment(sites, corrected, options);
        return plan(corrected, Devices.preferencesOfCards(), options, reference, true, weights)
                .upcoming(shapes);
    }

    /**
     * The plan of a sweep; of samples of one size a device may join more.
     *
     * @throws UnsupportedException if weights are chosen anew and samples have several sizes
     */
    Plan plan(
            List<LayerPair> layers,
            Preferences device,
            CorrectionOptions options,
            Reference reference,
            boolean oneSize,
            WeightAdjustment weights) {
        if (options.adjust() == Adjustment.WEIGHTS && !oneSize) {
            throw new UnsupportedException("the samples have several sizes, and weights are chosen from sums over all "
                    + "positions, in which larger samples would weigh more: give samples of one size, or "
                    + "adjust biases alone");
        }
        Plan plan = Planner.plan(
                reference,
                options.errors(),
                device,
                floating,
                quantized,
                inputs.sameSamples(),
                layers,
                oneSize,
                weights::of);
        return options.math() == FloatMath.TF32 ? plan.inTf32() : plan;
    }

    Sweep sweep(
            Plan plan,
            Device device,
            CorrectionOptions options,
            boolean perChannel,
            Optional<CorrectionRule> rule,
            WeightAdjustment weights,
            Rounds rounds) {
        List<BiasGrid> grids =
                plan.layers().stream().map(p -> sites.grid(p.quantized())).toList();
        boolean limited = options.memoryLimit() < Long.MAX_VALUE;
        long limit = limited ? options.memoryLimit() : device.memory().usualLimit();
        CorrectionSpec spec = new CorrectionSpec(grids, perChannel, rule, weights.grids(plan.layers()), rounds);
        return new Sweep(plan, device, spec, limit);
    }
}
