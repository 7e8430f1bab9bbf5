package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.rebias.device.Device;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * One of the ONNX project's own tests: a folder with {@code model.onnx} and folders {@code test_data_set_N} of inputs
 * and expected outputs, each a serialised {@code TensorProto}.
 *
 * @param name the folder's name
 */
record OnnxNodeTest(String name, Path folder) {
    /** The difference that the ONNX project allows between engines, relative to the expected value. */
    private static final double RELATIVE = 1e-3;

    /** One step of a bfloat16: whether a conversion rounds or cuts off was left open when the tests were made. */
    private static final double STEP_OF_BFLOAT16 = 1.0 / 128;

    /** The same relative to the largest expected value, for sums in which large values cancel out. */
    private static final double OF_LARGEST = 1e-6;

    /** How a test ended. */
    enum Result {
        /** All outputs are as expected. */
        RIGHT,
        /** The model or its data are not supported, and a sentence says why. */
        REFUSED,
        /** An output differs. */
        WRONG,
        /** Something else was thrown than a refusal. */
        CRASHED
    }

    /**
     * What a test came to.
     *
     * @param detail the refusal, the difference or the exception; empty where all is right
     * @param onHost the op types of nodes that the device handed to the host
     */
    record Outcome(OnnxNodeTest test, Result result, String detail, Set<String> onHost) {}

    /** All tests below a folder, in order of their paths. */
    static List<OnnxNodeTest> below(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            return files.filter(f -> f.endsWith("model.onnx"))
                    .map(Path::getParent)
                    .sorted()
                    .map(f -> new OnnxNodeTest(root.relativize(f).toString(), f))
                    .toList();
        }
    }

    /** Runs every data set, node by node, on a device opened for the purpose. */
    Outcome run(Device device) throws IOException {
        try {
            ModelProto proto = ModelProto.parseFrom(Files.readAllBytes(folder.resolve("model.onnx")));
            OnnxModel model = OnnxModel.of(name, proto);
            List<Path> sets;
            try (Stream<Path> all = Files.list(folder)) {
                sets = all.filter(Files::isDirectory).sorted().toList();
            }
            Optional<String> difference = Optional.empty();
            for (Path set : sets) {
                difference = difference.isPresent() ? difference : differenceOf(device, model, set);
            }
            return outcome(device, difference.isPresent() ? Result.WRONG : Result.RIGHT, difference.orElse(""));
        } catch (RebiasException e) {
            return outcome(device, Result.REFUSED, e.getMessage());
        } catch (RuntimeException | Error e) {
            return outcome(
                    device,
                    Result.CRASHED,
                    e + " at " + Arrays.stream(e.getStackTrace()).limit(4).toList());
        }
    }

    private Outcome outcome(Device device, Result result, String detail) {
        Set<String> onHost = new HashSet<>();
        device.log().warnings().stream()
                .filter(w -> w.contains("no form for the GPU"))
                .forEach(w -> onHost.add(w.substring(0, w.indexOf(' '))));
        return new Outcome(this, result, detail, onHost);
    }

    private static Optional<String> differenceOf(Device device, OnnxModel model, Path set) throws IOException {
        Set<String> initializers = new HashSet<>();
        model.proto().getGraph().getInitializerList().forEach(i -> initializers.add(i.getName()));
        List<ValueInfoProto> inputs = model.proto().getGraph().getInputList().stream()
                .filter(i -> !initializers.contains(i.getName()))
                .toList();
        Map<String, HostTensor> given = new HashMap<>();
        for (int i = 0; i < inputs.size(); i++) {
            given.put(inputs.get(i).getName(), read(set.resolve("input_" + i + ".pb"), inputs.get(i)));
        }
        Map<String, HostTensor> actual = DeviceNetwork.run(device, model, given);
        List<ValueInfoProto> outputs = model.proto().getGraph().getOutputList();
        for (int i = 0; i < outputs.size(); i++) {
            String output = outputs.get(i).getName();
            HostTensor expected = read(set.resolve("output_" + i + ".pb"), outputs.get(i));
            HostTensor found = actual.get(output);
            if (found == null) {
                throw new UnsupportedException("output " + output + " is a constant");
            }
            Optional<String> difference = difference(expected, found);
            if (difference.isPresent()) {
                return Optional.of(set.getFileName() + ", " + output + ": " + difference.get());
            }
        }
        return Optional.empty();
    }

    /**
     * A tensor of the type that the model declares: numpy, which wrote the files, has bfloat16 only as integers of as
     * many bits.
     */
    private static HostTensor read(Path file, ValueInfoProto declared) throws IOException {
        if (!declared.getType().hasTensorType()) {
            throw new UnsupportedException("'" + declared.getName() + "' is not a tensor");
        }
        TensorProto stored = TensorProto.parseFrom(Files.readAllBytes(file));
        int type = declared.getType().getTensorType().getElemType();
        boolean sameBits = type == TensorProto.DataType.BFLOAT16.getNumber()
                && stored.getDataType() == TensorProto.DataType.UINT16.getNumber();
        return TestTensors.of(sameBits ? stored.toBuilder().setDataType(type).build() : stored);
    }

    /**
     * The first difference beyond the tolerance; integers must be equal, NaN and infinities must be where they are
     * expected.
     */
    static Optional<String> difference(HostTensor expected, HostTensor actual) {
        // What a file has as floats of 16 bits is computed, and compared, as floats.
        boolean half = expected.type() == ElementType.FLOAT16 || expected.type() == ElementType.BFLOAT16;
        ElementType wanted = half && actual.type() == ElementType.FLOAT ? ElementType.FLOAT : expected.type();
        if (wanted != actual.type() || !Arrays.equals(expected.shape(), actual.shape())) {
            return Optional.of(actual + " instead of " + expected);
        }
        double[] e = TestTensors.doubles(expected);
        double[] a = TestTensors.doubles(actual);
        double largest =
                Arrays.stream(e).filter(Double::isFinite).map(Math::abs).reduce(1, Math::max);
        double relative = expected.type() == ElementType.BFLOAT16 ? STEP_OF_BFLOAT16 : RELATIVE;
        List<String> differences = new ArrayList<>();
        for (int i = 0; i < e.length && differences.isEmpty(); i++) {
            double bound =
                    TestTensors.isInteger(expected.type()) ? 0 : OF_LARGEST * largest + relative * Math.abs(e[i]);
            boolean same = Double.isFinite(e[i]) ? Math.abs(a[i] - e[i]) <= bound : Double.compare(a[i], e[i]) == 0;
            if (!same) {
                differences.add(
                        "element " + i + " of " + Shape.text(expected.shape()) + " is " + a[i] + " instead of " + e[i]);
            }
        }
        return differences.stream().findFirst();
    }
}
