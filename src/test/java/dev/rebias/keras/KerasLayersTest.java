package dev.rebias.keras;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.TestDevices;
import dev.rebias.error.UnsupportedException;
import dev.rebias.keras.KerasBuilder.Inbound;
import dev.rebias.keras.KerasBuilder.Weight;
import dev.rebias.keras.KerasOracle.Sample;
import dev.rebias.keras.KerasOracle.Window;
import dev.rebias.model.OnnxModel;
import dev.rebias.oracle.DeviceNetwork;
import dev.rebias.runtime.WholeModel;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every layer that rebias knows, as ONNX Runtime runs what rebias makes of it, against a naive implementation of Keras'
 * definition in double precision.
 */
final class KerasLayersTest {
    private static final int SAMPLES = 3;
    /** Of outputs of up to 100: float32 holds them to 1e-5, and sums of hundreds of products a few times that. */
    private static final double TOLERANCE = 1e-4;

    @TempDir
    Path folder;

    /** A model and what it computes of one sample. */
    private record Case(String name, KerasBuilder model, int[] input, UnaryOperator<Sample> expected) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static final Random RANDOM = new Random(20);

    private static Weight weight(long... shape) {
        float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) RANDOM.nextGaussian() / 2;
        }
        return new Weight(shape, values);
    }

    private static Weight positive(long n) {
        Weight w = weight(n);
        for (int i = 0; i < w.values().length; i++) {
            w.values()[i] = Math.abs(w.values()[i]) + 0.1f;
        }
        return w;
    }

    private static KerasBuilder image() {
        return new KerasBuilder(Inbound.SEQUENTIAL, 6, 5, 3);
    }

    private static final int[] IMAGE = {6, 5, 3};

    private static Case onImage(
            String name, String className, String config, UnaryOperator<Sample> expected, Weight... weights) {
        return new Case(name, image().add("layer", className, config, weights), IMAGE, expected);
    }

    private static Case onVector(
            String name, String className, String config, UnaryOperator<Sample> expected, Weight... weights) {
        KerasBuilder model = new KerasBuilder(Inbound.SEQUENTIAL, 7).add("layer", className, config, weights);
        return new Case(name, model, new int[] {7}, expected);
    }

    static Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        convolutions(cases);
        products(cases);
        activations(cases);
        shapes(cases);
        normalizations(cases);
        return cases.stream();
    }

    private static void convolutions(List<Case> cases) {
        for (boolean same : new boolean[] {false, true}) {
            for (int stride = 1; stride <= 2; stride++) {
                int s = stride;
                String moves = "'strides': [" + s + ", 1], 'padding': '" + (same ? "same" : "valid") + "'";
                Window window = new Window(3, 2, s, 1, 1, 1, same);
                Weight kernel = weight(3, 2, 3, 4);
                Weight bias = weight(4);
                cases.add(onImage(
                        "Conv2D, " + moves,
                        "Conv2D",
                        "{'filters': 4, 'kernel_size': [3, 2], " + moves + "}",
                        x -> plus(KerasOracle.convolution(x, window, kernel, 1), bias),
                        kernel,
                        bias));
                Weight depthwise = weight(3, 2, 3, 2);
                cases.add(onImage(
                        "DepthwiseConv2D, " + moves,
                        "DepthwiseConv2D",
                        "{'depth_multiplier': 2, 'use_bias': false, 'kernel_size': [3, 2], " + moves + "}",
                        x -> KerasOracle.depthwise(x, window, depthwise),
                        depthwise));
                Weight pointwise = weight(1, 1, 6, 5);
                Window one = new Window(1, 1, 1, 1, 1, 1, false);
                cases.add(onImage(
                        "SeparableConv2D, " + moves,
                        "SeparableConv2D",
                        "{'filters': 5, 'depth_multiplier': 2, 'use_bias': false, 'kernel_size': [3, 2], " + moves
                                + "}",
                        x -> KerasOracle.convolution(KerasOracle.depthwise(x, window, depthwise), one, pointwise, 1),
                        depthwise,
                        pointwise));
                for (boolean average : new boolean[] {false, true}) {
                    String name = average ? "AveragePooling2D" : "MaxPooling2D";
                    cases.add(onImage(
                            name + ", " + moves,
                            name,
                            "{'pool_size': [3, 2], " + moves + "}",
                            x -> KerasOracle.pool(x, window, average)));
                }
            }
        }
        Weight grouped = weight(2, 2, 1, 6);
        cases.add(onImage(
                "Conv2D in groups",
                "Conv2D",
                "{'filters': 6, 'kernel_size': 2, 'groups': 3, 'use_bias': false}",
                x -> KerasOracle.convolution(x, new Window(2, 2, 1, 1, 1, 1, false), grouped, 3),
                grouped));
        Weight dilated = weight(2, 2, 3, 2);
        cases.add(onImage(
                "Conv2D dilated, with an activation",
                "Conv2D",
                "{'filters': 2, 'kernel_size': [2, 2], 'dilation_rate': [2, 3], 'padding': 'same', 'use_bias': "
                        + "false, 'activation': 'relu'}",
                x -> KerasOracle.convolution(x, new Window(2, 2, 1, 1, 2, 3, true), dilated, 1)
                        .map(v -> Math.max(v, 0)),
                dilated));
        cases.add(onImage(
                "MaxPooling2D by its defaults",
                "MaxPooling2D",
                "{}",
                x -> KerasOracle.pool(x, new Window(2, 2, 2, 2, 1, 1, false), false)));
    }

    private static Sample plus(Sample x, Weight bias) {
        return x.perChannel((v, c) -> v + bias.values()[c]);
    }

    private static void products(List<Case> cases) {
        Weight kernel = weight(7, 4);
        Weight bias = weight(4);
        cases.add(onVector(
                "Dense", "Dense", "{'units': 4}", x -> plus(KerasOracle.dense(x, kernel), bias), kernel, bias));
        cases.add(onVector(
                "Dense without bias, softmax",
                "Dense",
                "{'units': 4, 'use_bias': false, 'activation': 'softmax'}",
                x -> KerasOracle.softmax(KerasOracle.dense(x, kernel)),
                kernel));
        Weight onChannels = weight(3, 4);
        cases.add(onImage(
                "Dense over the channels of an image",
                "Dense",
                "{'units': 4}",
                x -> plus(KerasOracle.dense(x, onChannels), bias),
                onChannels,
                bias));
        Weight onRows = weight(15, 4);
        for (boolean biased : new boolean[] {false, true}) {
            KerasBuilder model = image().add("rows", "Reshape", "{'target_shape': [6, -1]}");
            String config = "{'units': 4, 'use_bias': " + biased + "}";
            cases.add(new Case(
                    "Dense over rows" + (biased ? " with bias" : ""),
                    biased
                            ? model.add("dense", "Dense", config, onRows, bias)
                            : model.add("dense", "Dense", config, onRows),
                    IMAGE,
                    x -> {
                        Sample y = KerasOracle.dense(x.reshaped(6, 15), onRows);
                        return biased ? plus(y, bias) : y;
                    }));
        }
        Weight flat = weight(90, 4);
        cases.add(new Case(
                "Flatten, Dropout, ReLU, Dense: the order of a flattened image",
                image().add("flatten", "Flatten", "{}")
                        .add("dropout", "Dropout", "{'rate': 0.5}")
                        .add("relu", "ReLU", "{}")
                        .add("dense", "Dense", "{'units': 4, 'use_bias': false}", flat),
                IMAGE,
                x -> KerasOracle.dense(x.reshaped(90).map(v -> Math.max(v, 0)), flat)));
    }

    private static Case activation(String name, DoubleUnaryOperator f) {
        return onImage("Activation " + name, "Activation", "{'activation': '" + name + "'}", x -> x.map(f));
    }

    private static void activations(List<Case> cases) {
        cases.add(activation("linear", v -> v));
        cases.add(activation("relu", v -> Math.max(v, 0)));
        cases.add(activation("relu6", v -> Math.min(Math.max(v, 0), 6)));
        cases.add(activation("sigmoid", v -> 1 / (1 + Math.exp(-v))));
        cases.add(activation("tanh", Math::tanh));
        cases.add(activation("elu", v -> v > 0 ? v : Math.exp(v) - 1));
        cases.add(activation("selu", v -> 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * (Math.exp(v) - 1))));
        cases.add(activation("softplus", v -> Math.log(1 + Math.exp(v))));
        cases.add(activation("softsign", v -> v / (1 + Math.abs(v))));
        cases.add(activation("exponential", Math::exp));
        cases.add(activation("swish", v -> v / (1 + Math.exp(-v))));
        cases.add(onImage("Activation softmax", "Activation", "{'activation': 'softmax'}", KerasOracle::softmax));
        cases.add(onImage("Softmax", "Softmax", "{'axis': -1}", KerasOracle::softmax));
        cases.add(onVector("Softmax of a vector", "Softmax", "{}", KerasOracle::softmax));
        cases.add(new Case(
                "Softmax of a flattened image",
                image().add("flatten", "Flatten", "{}").add("softmax", "Softmax", "{'axis': [-1]}"),
                IMAGE,
                x -> KerasOracle.softmax(x.reshaped(90))));
        for (double[] p : new double[][] {
            {9, 0, 0},
            {1, 0, 0},
            {9, 0.3, 0},
            {0.8, 0.25, 0},
            {9, 0, 0.4},
            {1.5, 0, 0.4},
            {1.5, 0.2, 0.4},
            {9, 0.2, 0.4}
        }) {
            String most = p[0] == 9 ? "null" : Double.toString(p[0]);
            cases.add(onImage(
                    "ReLU " + Arrays.toString(p),
                    "ReLU",
                    "{'max_value': " + most + ", 'negative_slope': " + p[1] + ", 'threshold': " + p[2] + "}",
                    x -> x.map(v -> KerasOracle.relu(v, p[0], p[1], p[2]))));
        }
    }

    private static void shapes(List<Case> cases) {
        for (boolean average : new boolean[] {false, true}) {
            String name = average ? "GlobalAveragePooling2D" : "GlobalMaxPooling2D";
            Window whole = new Window(6, 5, 1, 1, 1, 1, false);
            cases.add(onImage(
                    name, name, "{}", x -> KerasOracle.pool(x, whole, average).reshaped(3)));
            cases.add(
                    onImage(name + ", keepdims", name, "{'keepdims': true}", x -> KerasOracle.pool(x, whole, average)));
        }
        cases.add(onImage(
                "ZeroPadding2D by one number",
                "ZeroPadding2D",
                "{'padding': 2}",
                x -> KerasOracle.padded(x, 2, 2, 2, 2)));
        cases.add(onImage(
                "ZeroPadding2D by two",
                "ZeroPadding2D",
                "{'padding': [2, 1]}",
                x -> KerasOracle.padded(x, 2, 2, 1, 1)));
        cases.add(onImage(
                "ZeroPadding2D by four",
                "ZeroPadding2D",
                "{'padding': [[0, 1], [2, 3]]}",
                x -> KerasOracle.padded(x, 0, 1, 2, 3)));
        cases.add(onImage("Flatten", "Flatten", "{}", x -> x.reshaped(90)));
        cases.add(onImage("Reshape to rows", "Reshape", "{'target_shape': [10, -1]}", x -> x.reshaped(10, 9)));
        cases.add(onImage("Reshape to an image", "Reshape", "{'target_shape': [3, 5, 6]}", x -> x.reshaped(3, 5, 6)));
        cases.add(new Case(
                "Reshape of a vector to an image and a pooling",
                new KerasBuilder(Inbound.SEQUENTIAL, 12)
                        .add("image", "Reshape", "{'target_shape': [2, 2, 3]}")
                        .add("pool", "MaxPooling2D", "{}"),
                new int[] {12},
                x -> KerasOracle.pool(x.reshaped(2, 2, 3), new Window(2, 2, 2, 2, 1, 1, false), false)));
        cases.add(onImage("Dropout", "Dropout", "{'rate': 0.5}", x -> x));
    }

    private static void normalizations(List<Case> cases) {
        cases.add(onImage("Rescaling", "Rescaling", "{'scale': 0.5, 'offset': -1.5}", x -> x.map(v -> v * 0.5 - 1.5)));
        cases.add(onImage(
                "Rescaling per channel",
                "Rescaling",
                "{'scale': [0.5, 2, 3], 'offset': [1, 0, -1]}",
                x -> x.perChannel((v, c) -> v * new double[] {0.5, 2, 3}[c] + 1 - c)));
        for (int which = 0; which < 4; which++) {
            boolean scale = which % 2 == 0;
            boolean center = which < 2;
            Weight gamma = positive(3);
            Weight beta = weight(3);
            Weight mean = weight(3);
            Weight variance = positive(3);
            List<Weight> weights = new ArrayList<>();
            if (scale) {
                weights.add(gamma);
            }
            if (center) {
                weights.add(beta);
            }
            weights.add(mean);
            weights.add(variance);
            cases.add(onImage(
                    "BatchNormalization, scale " + scale + ", center " + center,
                    "BatchNormalization",
                    "{'axis': [3], 'epsilon': 0.01, 'scale': " + scale + ", 'center': " + center + "}",
                    x -> x.perChannel((v, c) -> (scale ? gamma.values()[c] : 1)
                                    * (v - mean.values()[c])
                                    / Math.sqrt(variance.values()[c] + 0.01)
                            + (center ? beta.values()[c] : 0)),
                    weights.toArray(Weight[]::new)));
        }
        Weight[] flat = {positive(90), weight(90), weight(90), positive(90)};
        cases.add(new Case(
                "BatchNormalization of a flattened image",
                image().add("flatten", "Flatten", "{}").add("bn", "BatchNormalization", "{'axis': -1}", flat),
                IMAGE,
                x -> x.reshaped(90)
                        .perChannel((v, c) ->
                                flat[0].values()[c] * (v - flat[2].values()[c]) / Math.sqrt(flat[3].values()[c] + 1e-3)
                                        + flat[1].values()[c])));
        Weight mean = weight(3);
        Weight variance = positive(3);
        cases.add(onImage(
                "Normalization",
                "Normalization",
                "{'axis': [-1]}",
                x -> x.perChannel((v, c) -> (v - mean.values()[c]) / Math.sqrt(variance.values()[c])),
                mean,
                variance,
                new Weight(new long[] {1}, new float[] {100})));
        cases.add(onImage(
                "Normalization inverted",
                "Normalization",
                "{'axis': [3], 'invert': true}",
                x -> x.perChannel((v, c) -> v * Math.sqrt(variance.values()[c]) + mean.values()[c]),
                mean,
                variance,
                new Weight(new long[] {1}, new float[] {100})));
        cases.add(onImage(
                "Normalization with given statistics",
                "Normalization",
                "{'axis': null, 'mean': 0.5, 'variance': 4.0}",
                x -> x.map(v -> (v - 0.5) / 2)));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void aLayerComputesWhatKerasSays(Case test) throws IOException {
        compare(test.name(), test.model().write(folder), test.input(), test.expected());
    }

    static Stream<Arguments> devicesAndCases() {
        List<Case> cases = cases().toList();
        return TestDevices.names().stream().flatMap(device -> cases.stream().map(c -> Arguments.of(device, c)));
    }

    @ParameterizedTest
    @MethodSource("devicesAndCases")
    @Tag("cuda")
    void aLayerComputesTheSameOnOurDevices(String name, Case test) throws IOException {
        OnnxModel model = test.model().write(folder).floating();
        HostTensor data = data(test.input());
        HostTensor expected;
        try (WholeModel whole = new WholeModel(test.name(), model.proto().toByteArray())) {
            expected = whole.run(Map.of("in", data)).values().iterator().next();
        }
        String output = model.proto().getGraph().getOutput(0).getName();
        try (Device device = Devices.open(name).device()) {
            HostTensor found =
                    DeviceNetwork.run(device, model, Map.of("in", data)).get(output);
            assertThat(found.shape()).isEqualTo(expected.shape());
            for (int i = 0; i < found.elements(); i++) {
                assertThat((double) found.floats().get(i))
                        .as("%s, element %d", test.name(), i)
                        .isCloseTo(expected.floats().get(i), within(TOLERANCE));
            }
            // All but these two, which are rare, run on the device that was asked for.
            assertThat(device.log().warnings())
                    .allMatch(w ->
                            w.contains("emulator") || w.startsWith("Selu has no") || w.startsWith("Greater has no"));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Inbound.class,
            names = {"KERAS_2", "KERAS_3"})
    void branchesOfAFunctionalModelMeet(Inbound inbound) throws IOException {
        Weight left = weight(3, 3, 3, 4);
        Weight right = weight(1, 1, 3, 4);
        Weight dense = weight(2 * 4 * 30, 2);
        KerasModel model = new KerasBuilder(inbound, 6, 5, 3)
                .add(
                        "left",
                        "Conv2D",
                        "{'filters': 4, 'kernel_size': 3, 'padding': 'same', 'use_bias': false}",
                        List.of("in"),
                        left)
                .add("right", "Conv2D", "{'filters': 4, 'kernel_size': 1, 'use_bias': false}", List.of("in"), right)
                .add("sum", "Add", "{}", List.of("left", "right"))
                .add("both", "Concatenate", "{'axis': -1}", List.of("sum", "right"))
                .add("flatten", "Flatten", "{}", List.of("both"))
                .add("again", "Flatten", "{}", List.of("both"))
                .add("twice", "Add", "{}", List.of("flatten", "again"))
                .add("dense", "Dense", "{'units': 2, 'use_bias': false}", List.of("twice"), dense)
                .write(folder);
        compare(inbound.toString(), model, IMAGE, x -> {
            Sample l = KerasOracle.convolution(x, new Window(3, 3, 1, 1, 1, 1, true), left, 1);
            Sample r = KerasOracle.convolution(x, new Window(1, 1, 1, 1, 1, 1, false), right, 1);
            double[] sum = l.values().clone();
            Arrays.setAll(sum, i -> l.values()[i] + r.values()[i]);
            Sample both = KerasOracle.joined(new Sample(l.shape(), sum), r);
            return KerasOracle.dense(both.reshaped(240).map(v -> 2 * v), dense);
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"conv/kernel", "in/channels_first"})
    void aLayerNamedAsATensorOfAnotherIsRefused(String name) throws IOException {
        KerasModel model = image().add(
                        "conv", "Conv2D", "{'filters': 4, 'kernel_size': 1, 'use_bias': false}", weight(1, 1, 3, 4))
                .add(name, "ReLU", "{}")
                .write(folder);
        assertThatThrownBy(model::floating)
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("'" + name + "'")
                .hasMessageContaining("rename the layer");
    }

    @Test
    void valuesThatPythonWritesAndJsonDoesNotKnowAreRead() throws IOException {
        KerasModel model = image().add("relu", "ReLU", "{'max_value': null, 'unused': NaN, 'other': -Infinity}")
                .write(folder);
        compare("NaN", model, IMAGE, x -> x.map(v -> Math.max(v, 0)));
    }

    @Test
    void anInputOfOpenSizeTakesAnySize() throws IOException {
        Weight kernel = weight(3, 3, 3, 4);
        KerasModel model = new KerasBuilder(Inbound.SEQUENTIAL, -1, -1, 3)
                .add(
                        "conv",
                        "Conv2D",
                        "{'filters': 4, 'kernel_size': 3, 'strides': 2, 'padding': 'same', 'use_bias': false}",
                        kernel)
                .add("pool", "GlobalAveragePooling2D", "{}")
                .write(folder);
        for (int size : new int[] {5, 8}) {
            compare("size " + size, model, new int[] {size, 4, 3}, x -> {
                Sample y = KerasOracle.convolution(x, new Window(3, 3, 2, 2, 1, 1, true), kernel, 1);
                Window whole = new Window(y.shape()[0], y.shape()[1], 1, 1, 1, 1, false);
                return KerasOracle.pool(y, whole, true).reshaped(4);
            });
        }
    }

    private static HostTensor data(int[] input) {
        Random random = new Random(5);
        long[] shape = new long[input.length + 1];
        shape[0] = SAMPLES;
        int n = SAMPLES;
        for (int i = 0; i < input.length; i++) {
            shape[i + 1] = input[i];
            n *= input[i];
        }
        float[] data = new float[n];
        for (int i = 0; i < n; i++) {
            data[i] = (float) random.nextGaussian();
        }
        return HostTensor.of(data, shape);
    }

    private static void compare(String name, KerasModel model, int[] input, UnaryOperator<Sample> expected) {
        HostTensor samples = data(input);
        float[] data = samples.toFloats();
        int size = data.length / SAMPLES;
        HostTensor output;
        try (WholeModel whole = new WholeModel(name, model.floating().proto().toByteArray())) {
            output = whole.run(Map.of("in", samples)).values().iterator().next();
        }
        double worst = 0;
        for (int n = 0; n < SAMPLES; n++) {
            int from = n * size;
            Sample y = expected.apply(Sample.of(input, i -> data[from + (int) i]));
            long[] wanted = new long[y.shape().length + 1];
            wanted[0] = SAMPLES;
            for (int i = 0; i < y.shape().length; i++) {
                wanted[i + 1] = y.shape()[i];
            }
            assertThat(output.shape()).as(name).isEqualTo(wanted);
            int each = y.values().length;
            for (int i = 0; i < each; i++) {
                worst = Math.max(worst, Math.abs(output.floats().get(n * each + i) - y.values()[i]));
            }
        }
        assertThat(worst).as(name).isLessThan(TOLERANCE);
    }
}
