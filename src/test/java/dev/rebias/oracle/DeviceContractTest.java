package dev.rebias.oracle;

import static dev.rebias.oracle.GraphBuilder.integer;
import static dev.rebias.oracle.GraphBuilder.list;
import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Emulator;
import dev.rebias.device.Tensor;
import dev.rebias.device.TestDevices;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.device.cuda.CudaDevice;
import dev.rebias.measure.Biases;
import dev.rebias.measure.Measurement;
import dev.rebias.measure.Moments;
import dev.rebias.measure.Role;
import dev.rebias.measure.TestMeasurements;
import dev.rebias.op.BiasGrid;
import dev.rebias.tensor.ElementType;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every device must do, against the naive double oracle: the CPU, and CUDA where its libraries are (a GPU's, or
 * the emulator's, whose strictness then holds for all of this too).
 */
@Tag("cuda")
final class DeviceContractTest {
    /** The largest difference over the largest value. */
    private static final double TOLERANCE = 1e-5;

    private static final double MOMENTS = 1e-9;
    /** The same after some hundred operations. */
    private static final double WHOLE_NETWORK = 1e-3;

    private static final double SMALL = 1e-3;

    private final int liveBefore = CpuDevice.live();

    private static Device open(String name) {
        return Devices.open(name).device();
    }

    private static Stream<Arguments> graphs() {
        List<Arguments> all = new ArrayList<>();
        for (String device : TestDevices.names()) {
            Operation.all().forEach(o -> all.add(Arguments.of(device, o.name(), (Supplier<ModelProto>) o::model, 2)));
            for (Toy toy : Toy.values()) {
                all.add(Arguments.of(device, toy.name(), (Supplier<ModelProto>) toy::model, 3));
            }
            hostile().forEach((name, g) -> {
                for (int batch : new int[] {0, 1, 3}) {
                    all.add(Arguments.of(device, name, g, batch));
                }
            });
        }
        return all.stream();
    }

    /**
     * Sizes of one, primes, channels that are no multiple of four, kernels larger than what is left, more rows than a
     * grid's second dimension holds.
     */
    private static Map<String, Supplier<ModelProto>> hostile() {
        Map<String, Supplier<ModelProto>> all = new LinkedHashMap<>();
        all.put("all sizes 1", graph(g -> {
            String c = g.node("Conv", "c", List.of(g.input("x", 1, 1, 1), g.weights("w", 0.5, 1, 1, 1, 1)));
            g.node("Relu", "y", List.of(g.node("GlobalAveragePool", "p", List.of(c))));
        }));
        all.put("primes", graph(g -> {
            String c = g.node(
                    "Conv",
                    "c",
                    List.of(g.input("x", 7, 13, 11), g.weights("w", 0.1, 5, 7, 3, 3), g.weights("b", 0.5, 5)),
                    list("pads", 1, 1, 1, 1));
            String a = g.node("Add", "a", List.of(c, g.weights("k", 0.5, 5, 1, 1)));
            String m = g.node("Mul", "m", List.of(a, g.node("GlobalMaxPool", "p", List.of(a))));
            g.node("Softmax", "y", List.of(g.node("Transpose", "t", List.of(m), list("perm", 0, 2, 3, 1))));
        }));
        all.put(
                "depthwise, 3 channels",
                graph(g -> g.node(
                        "Conv",
                        "y",
                        List.of(g.input("x", 3, 17, 19), g.weights("w", 0.5, 3, 1, 5, 3)),
                        integer("group", 3),
                        list("pads", 2, 1, 2, 1),
                        list("strides", 2, 3))));
        all.put(
                "uneven padding",
                graph(g -> g.node(
                        "Conv",
                        "y",
                        List.of(g.input("x", 3, 9, 8), g.weights("w", 0.5, 6, 3, 3, 2)),
                        list("pads", 0, 1, 2, 0),
                        list("strides", 2, 2))));
        all.put(
                "uneven transposed",
                graph(g -> g.node(
                        "ConvTranspose",
                        "y",
                        List.of(g.input("x", 3, 5, 4), g.weights("w", 0.5, 3, 2, 3, 4)),
                        list("pads", 1, 0, 0, 2),
                        list("strides", 2, 3),
                        list("output_padding", 1, 2))));
        all.put("many rows", graph(g -> {
            String x = g.input("x", 70001, 3);
            String m = g.node("MatMul", "m", List.of(x, g.weights("w", 0.5, 3, 5)));
            String s = g.node("Softmax", "s", List.of(m), integer("axis", -1));
            g.node("ReduceMean", "y", List.of(s), list("axes", 2));
        }));
        all.put("many channels of one element", graph(g -> {
            String c = g.node("Conv", "c", List.of(g.input("x", 2, 1, 1), g.weights("w", 0.5, 66001, 2, 1, 1)));
            g.node("Relu", "y", List.of(c));
        }));
        return all;
    }

    private static Supplier<ModelProto> graph(java.util.function.Consumer<GraphBuilder> write) {
        return () -> {
            GraphBuilder g = new GraphBuilder(5).opset(13);
            write.accept(g);
            return g.build("y");
        };
    }

    @ParameterizedTest(name = "{0}: {1}, batch {3}")
    @MethodSource("graphs")
    void operationsComputeWhatTheOracleComputes(String device, String name, Supplier<ModelProto> graph, int batch) {
        ModelProto model = graph.get();
        Map<String, NaiveTensor> inputs = Toy.samples(model, batch, 2);
        Map<String, NaiveTensor> expected = new NaiveNetwork(model).run(inputs);
        Map<String, NaiveTensor> actual;
        try (Device opened = open(device)) {
            actual = DeviceNetwork.run(opened, model, inputs);
            released(opened);
        }
        assertThat(actual).containsKey(model.getGraph().getOutput(0).getName());
        double worst = 0;
        int compared = 0;
        for (Map.Entry<String, NaiveTensor> entry : actual.entrySet()) {
            NaiveTensor e = expected.get(entry.getKey());
            if (e == null) {
                continue;
            }
            compared++;
            NaiveTensor a = entry.getValue();
            assertThat(a.shape()).as("%s: shape of %s", name, entry.getKey()).isEqualTo(e.shape());
            double largest = 1;
            for (double v : e.values()) {
                largest = Math.max(largest, Math.abs(v));
            }
            for (int i = 0; i < e.values().length; i++) {
                double difference = Math.abs(a.values()[i] - e.values()[i]);
                if (!(difference <= worst * largest)) {
                    worst = difference / largest;
                }
            }
        }
        System.out.printf(
                "%s, %s, batch %d: worst at %.1f %% of the bound%n", device, name, batch, 100 * worst / TOLERANCE);
        assertThat(compared).as("tensors compared").isPositive();
        assertThat(worst).as("%s on %s", name, device).isLessThanOrEqualTo(TOLERANCE);
        clean();
    }

    /** Networks that nobody prepared for this: on a card, none of their operations may need the host. */
    @ParameterizedTest
    @CsvSource({
        "ch_PP-OCRv3_det_infer, 64, 64",
        "ch_PP-OCRv4_det_infer, 64, 64",
        "ch_PP-OCRv3_rec_infer, 48, 64",
        "ch_PP-OCRv4_rec_infer, 48, 64",
        "ch_ppocr_mobile_v2.0_cls_infer, 48, 192"
    })
    void realNetworksRunWholeOnEveryDevice(String name, int height, int width) throws IOException {
        ModelProto model;
        try (InputStream in = DeviceContractTest.class.getResourceAsStream("/models/" + name + ".onnx")) {
            Assumptions.assumeTrue(in != null, "the network is not on the class path");
            model = ModelProto.parseFrom(in);
        }
        Random random = new Random(3);
        NaiveTensor x = NaiveOps.map(NaiveTensor.zeros(2, 3, height, width), v -> (float) random.nextGaussian());
        Map<String, NaiveTensor> expected = new NaiveNetwork(model).run(Map.of("x", x));
        String output = model.getGraph().getOutput(0).getName();
        for (String device : TestDevices.names()) {
            try (Device opened = open(device)) {
                Map<String, NaiveTensor> actual = DeviceNetwork.run(opened, model, Map.of("x", x));
                assertThat(opened.log().warnings()).as("%s on %s", name, device).noneMatch(w -> w.contains("no form"));
                assertThat(actual).containsKey(output).hasSizeGreaterThan(100);
                double worst = 0;
                String where = "";
                for (Map.Entry<String, NaiveTensor> tensor : actual.entrySet()) {
                    double[] e = expected.get(tensor.getKey()).values();
                    // Sigmoids of large negative numbers are nothing to be exact about.
                    double largest = Math.max(
                            SMALL, Arrays.stream(e).map(Math::abs).max().orElse(0));
                    for (int i = 0; i < e.length; i++) {
                        double difference = Math.abs(tensor.getValue().values()[i] - e[i]);
                        if (!(difference <= worst * largest)) {
                            worst = difference / largest;
                            where = tensor.getKey();
                        }
                    }
                }
                System.out.printf(
                        "%s, %s: %d tensors, the worst (%s) at %.1f %% of the bound%n",
                        device, name, actual.size(), where, 100 * worst / WHOLE_NETWORK);
                assertThat(worst).as("%s on %s", name, device).isLessThan(WHOLE_NETWORK);
                released(opened);
            }
            clean();
        }
    }

    private static void released(Device device) {
        if (device instanceof CudaDevice cuda) {
            assertThat(cuda.liveBlocks()).as("blocks of the pool in use").isZero();
            assertThat(cuda.liveHostTensors()).as("tensors on the host in use").isZero();
        }
        if (device instanceof CpuDevice cpu) {
            assertThat(cpu.liveTensors()).as("tensors in use").isZero();
        }
    }

    private void clean() {
        assertThat(CpuDevice.live()).as("CPU devices in use").isEqualTo(liveBefore);
        if (Emulator.present()) {
            assertThat(Emulator.require().violation()).isEmpty();
            assertThat(Emulator.require().live()).isEmpty();
        }
    }

    private record MomentsCase(int channelAxis, int... shape) {}

    private static Stream<Arguments> momentShapes() {
        List<MomentsCase> shapes = List.of(
                new MomentsCase(1, 3, 5, 7, 11),
                new MomentsCase(1, 2, 3, 1, 1),
                new MomentsCase(1, 1, 2, 97, 101),
                new MomentsCase(1, 2, 2, 130, 131),
                new MomentsCase(1, 5, 13),
                new MomentsCase(1, 1, 1, 1),
                new MomentsCase(1, 4, 3, 2049),
                new MomentsCase(1, 3, 24, 17, 19),
                new MomentsCase(1, 2, 1500, 5, 1),
                new MomentsCase(2, 2, 67, 5),
                new MomentsCase(2, 3, 1031, 2),
                new MomentsCase(1, 66003, 1, 1),
                new MomentsCase(1, 2, 3, 2, 3, 5));
        return TestDevices.names().stream().flatMap(d -> shapes.stream().map(s -> Arguments.of(d, s)));
    }

    @ParameterizedTest
    @MethodSource("momentShapes")
    void errorMomentsAreTheOracles(String name, MomentsCase test) {
        int[] shape = test.shape();
        int samples = shape[0];
        int channels = shape[test.channelAxis()];
        Random random = new Random(Arrays.hashCode(shape));
        NaiveTensor a = NaiveOps.map(NaiveTensor.zeros(shape), v -> (float) random.nextGaussian());
        NaiveTensor q = NaiveOps.map(NaiveTensor.zeros(shape), v -> (float) (3 * random.nextGaussian()));
        double[] bias = random.doubles(channels).map(v -> (float) v).toArray();
        double[] reference = random.doubles(channels).toArray();
        float[] steps = new float[channels];
        Arrays.fill(steps, 0.01f);
        // The first channel may not move at all, the last has steps of no size.
        float[] someSteps = steps.clone();
        someSteps[channels - 1] = 0;
        double[] range = new double[channels];
        Arrays.fill(range, 1, channels, 1000);
        BiasGrid narrow = new BiasGrid(
                BiasGrid.Form.STEPS,
                someSteps,
                Arrays.stream(range).map(r -> -r).toArray(),
                range);
        for (boolean outputs : new boolean[] {false, true}) {
            for (BiasGrid grid : List.of(BiasGrid.FLOAT, BiasGrid.FLOAT16, BiasGrid.ofSteps(steps), narrow)) {
                try (Device device = open(name)) {
                    for (int batch : samples > 1000 ? new int[] {samples} : new int[] {samples, 1}) {
                        Moments moments = moments(device, test, a, q, bias, reference, grid, outputs, batch);
                        compare(name, test, a, q, bias, reference, grid, outputs, moments);
                    }
                    released(device);
                }
                clean();
            }
        }
    }

    /** Values of which every one is rounded in the same direction, so that nothing averages out. */
    @ParameterizedTest
    @MethodSource("devices")
    void roundingDoesNotAddUp(String name) {
        MomentsCase test = new MomentsCase(1, 2, 3, 128, 130);
        for (float value : new float[] {0.1f, 1.1f, 1.7f}) {
            NaiveTensor a = NaiveOps.map(NaiveTensor.zeros(test.shape()), v -> value);
            NaiveTensor q = NaiveOps.map(NaiveTensor.zeros(test.shape()), v -> value / 3);
            double[] none = new double[3];
            for (boolean outputs : new boolean[] {false, true}) {
                try (Device device = open(name)) {
                    Moments moments = moments(device, test, a, q, none, none, BiasGrid.FLOAT, outputs, 2);
                    compare(name, test, a, q, none, none, BiasGrid.FLOAT, outputs, moments);
                    released(device);
                }
                clean();
            }
        }
    }

    /** A float holds no square of these, a double does. */
    @ParameterizedTest
    @MethodSource("devices")
    void squaresMayBeLargerThanFloats(String name) {
        MomentsCase test = new MomentsCase(1, 1, 2, 130, 131);
        float value = 3e19f;
        NaiveTensor a = NaiveOps.map(NaiveTensor.zeros(test.shape()), v -> value);
        double[] none = new double[2];
        try (Device device = open(name)) {
            Moments moments = moments(device, test, a, a, none, none, BiasGrid.FLOAT, false, 1);
            double square = (double) value * value;
            assertThat(moments.measured().mseBefore()).isCloseTo(square, Offset.offset(1e-12 * square));
            assertThat(moments.measured().signalPower()).isCloseTo(4 * square, Offset.offset(1e-12 * square));
            released(device);
        }
        clean();
    }

    private static Stream<String> devices() {
        return TestDevices.names().stream();
    }

    private static Moments moments(
            Device device,
            MomentsCase test,
            NaiveTensor a,
            NaiveTensor q,
            double[] bias,
            double[] reference,
            BiasGrid grid,
            boolean outputs,
            int batch) {
        int samples = test.shape()[0];
        int row = a.values().length / samples;
        Biases biases = new Biases(bias, reference, grid);
        try (Measurement moments = TestMeasurements.errors(device, test.channelAxis(), biases, outputs)) {
            for (int first = 0; first < samples; first += batch) {
                int[] part = test.shape().clone();
                part[0] = batch;
                NaiveTensor x =
                        new NaiveTensor(Arrays.copyOfRange(a.values(), first * row, (first + batch) * row), part);
                NaiveTensor y =
                        new NaiveTensor(Arrays.copyOfRange(q.values(), first * row, (first + batch) * row), part);
                try (Tensor left = device.upload(DeviceNetwork.host(x, ElementType.FLOAT));
                        Tensor right = device.upload(DeviceNetwork.host(y, ElementType.FLOAT))) {
                    moments.add(Role.OUTPUTS, List.of(left, right), first / batch, batch);
                }
            }
            moments.solve();
            NaiveTensor corrected = DeviceNetwork.naive(device.download(moments.correctedBias(bias.length)));
            Moments read = moments.read(true);
            for (int c = 0; c < bias.length; c++) {
                double mean = read.perChannel().orElseThrow().meanError()[c];
                OptionalDouble delta = delta(mean, bias[c], grid, c);
                assertThat(read.kept().contains(c)).isEqualTo(delta.isEmpty());
                assertThat(corrected.values()[c]).isEqualTo((float) (bias[c] + delta.orElse(0)));
            }
            return read;
        }
    }

    /** The correction of a channel; empty where its bias has no value for it. */
    private static OptionalDouble delta(double mean, double bias, BiasGrid grid, int c) {
        double delta =
                switch (grid.form()) {
                    case FLOAT -> (float) (bias + mean) - bias;
                    case FLOAT16 -> NaiveHalf.nearest(bias + mean) - bias;
                    case STEPS -> Math.rint(mean / grid.steps()[c]) * grid.steps()[c];
                };
        boolean held = grid.form() != BiasGrid.Form.STEPS
                || mean == 0
                || (grid.steps()[c] > 0 && Math.abs(delta / grid.steps()[c]) <= grid.highest()[c] + 0.5);
        return held ? OptionalDouble.of(delta) : OptionalDouble.empty();
    }

    private static void compare(
            String name,
            MomentsCase test,
            NaiveTensor a,
            NaiveTensor q,
            double[] bias,
            double[] reference,
            BiasGrid grid,
            boolean outputs,
            Moments moments) {
        int samples = test.shape()[0];
        int channels = bias.length;
        int inner = a.span(test.channelAxis() + 1, a.rank());
        int perSample = a.values().length / samples;
        double[][] sums = new double[4][channels];
        double[] squaredMeans = new double[channels];
        double[] own = new double[channels];
        int positions = perSample / channels;
        for (int i = 0; i < a.values().length; i++) {
            int c = i / inner % channels;
            double yq = q.values()[i] + bias[c];
            double e = outputs ? a.values()[i] + reference[c] - yq : a.values()[i] + reference[c] - bias[c];
            sums[0][c] += e;
            sums[1][c] += e * e;
            sums[2][c] += e + yq;
            sums[3][c] += (e + yq) * (e + yq);
            own[c] += e;
            if ((i + 1) % perSample == 0) {
                for (int k = 0; k < channels; k++) {
                    squaredMeans[k] += own[k] / positions * (own[k] / positions) / samples;
                    own[k] = 0;
                }
            }
        }
        double count = (double) samples * positions;
        double before = 0;
        double after = 0;
        double bias2 = 0;
        double power = 0;
        double worst = 0;
        Moments.PerChannel perChannel = moments.perChannel().orElseThrow();
        for (int c = 0; c < channels; c++) {
            double mean = sums[0][c] / count;
            double delta = delta(mean, bias[c], grid, c).orElse(0);
            before += sums[1][c] / count / channels;
            after += (sums[1][c] / count - 2 * delta * mean + delta * delta) / channels;
            bias2 += mean * mean / channels;
            power += sums[3][c] / count / channels;
            worst = Math.max(worst, Math.abs(moments.delta()[c] - (float) delta));
            worst = Math.max(worst, Math.abs(perChannel.meanError()[c] - mean));
            worst = Math.max(worst, Math.abs(perChannel.meanReference()[c] - sums[2][c] / count));
            worst = Math.max(worst, Math.abs(perChannel.squaredSampleMeans()[c] - squaredMeans[c]));
        }
        worst = Math.max(worst, Math.abs(moments.measured().mseBefore() - before));
        worst = Math.max(worst, Math.abs(moments.measured().mseAfter() - after));
        worst = Math.max(worst, Math.abs(moments.measured().squaredBias() - bias2));
        worst = Math.max(worst, Math.abs(moments.measured().signalPower() - power));
        assertThat(moments.samples()).isEqualTo(samples);
        System.out.printf(
                "%s, moments of %s: worst at %.1f %% of the bound%n",
                name, Arrays.toString(test.shape()), 100 * worst / MOMENTS);
        assertThat(worst).as("%s on %s", Arrays.toString(test.shape()), name).isLessThanOrEqualTo(MOMENTS);
    }
}
