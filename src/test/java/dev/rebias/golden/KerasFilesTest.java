package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.keras.CorrectionNote;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.ProbedModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Npz;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import io.jhdf.HdfFile;
import io.jhdf.api.Attribute;
import io.jhdf.api.Dataset;
import io.jhdf.api.Group;
import io.jhdf.api.Node;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What rebias reads from Keras files and writes into them, against the files and figures of an independent
 * implementation.
 */
final class KerasFilesTest {
    private static final String MARK = "rebias_bias_correction";
    /** Of a layer's largest correction: how far the engine's biases may be from ours. */
    private static final double BIAS = 5e-4;

    private static Map<String, float[]> corrections(KerasExample example) {
        KerasModel model = example.model();
        try (Samples samples = KerasExample.samples()) {
            return BiasCorrection.of(model.floating(), model.quantized())
                    .correct(samples, CorrectionOptions.builder().device("cpu").build())
                    .corrections();
        }
    }

    private static byte[] corrected(KerasExample example) {
        return example.model().corrected(corrections(example), new CorrectionNote("a test", Optional.empty(), false));
    }

    /** The objects of a file by path, the root's path being empty. */
    private static Map<String, Node> objects(HdfFile file) {
        Map<String, Node> objects = new TreeMap<>();
        objects.put("", file);
        walk(file, "", objects);
        return objects;
    }

    private static void walk(Group group, String path, Map<String, Node> objects) {
        group.getChildren().forEach((name, node) -> {
            objects.put(path + "/" + name, node);
            if (node instanceof Group inner) {
                walk(inner, path + "/" + name, objects);
            }
        });
    }

    private static void assertSameAttribute(String where, Attribute expected, Attribute found) {
        assertThat(found.getDimensions()).as(where).isEqualTo(expected.getDimensions());
        assertThat(found.getDataType().getDataClass())
                .as(where + ": class of its type")
                .isEqualTo(expected.getDataType().getDataClass());
        if (expected.getSize() > 0) {
            assertThat(Objects.deepEquals(found.getData(), expected.getData()))
                    .as(where)
                    .isTrue();
            assertThat(found.getDataType().getSize())
                    .as(where + ": size of its type")
                    .isEqualTo(expected.getDataType().getSize());
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = KerasExample.class,
            names = {"W4A4", "W3A4", "W2A4_STD"})
    void theWrittenFileEqualsTheEnginesInEveryDatasetAndAttribute(KerasExample example) throws IOException {
        byte[] golden = Files.readAllBytes(example.file("model_bc.h5"));
        double worst = 0;
        try (HdfFile expected = HdfFile.fromBytes(golden);
                HdfFile found = HdfFile.fromBytes(corrected(example))) {
            Map<String, Node> wanted = objects(expected);
            Map<String, Node> written = objects(found);
            assertThat(written.keySet()).isEqualTo(wanted.keySet());
            assertThat(wanted).hasSizeGreaterThan(30);
            for (String path : wanted.keySet()) {
                Map<String, Attribute> attributes =
                        new LinkedHashMap<>(written.get(path).getAttributes());
                if (path.isEmpty()) {
                    assertThat(attributes.remove(MARK))
                            .as("the note of the correction")
                            .isNotNull();
                }
                Map<String, Attribute> wantedAttributes = wanted.get(path).getAttributes();
                assertThat(attributes.keySet()).as(path).isEqualTo(wantedAttributes.keySet());
                for (String name : wantedAttributes.keySet()) {
                    if (name.equals("model_config")) {
                        // The engine gave one of the models another name when it read it.
                        String config = (String) wantedAttributes.get(name).getData();
                        assertThat(attributes.get(name).getData())
                                .isEqualTo(config.replaceFirst("sequential_\\d+", "sequential"));
                    } else {
                        assertSameAttribute(path + " " + name, wantedAttributes.get(name), attributes.get(name));
                    }
                }
                if (wanted.get(path) instanceof Dataset dataset) {
                    Dataset own = (Dataset) written.get(path);
                    assertThat(own.getDimensions()).as(path).isEqualTo(dataset.getDimensions());
                    assertThat(own.getDataType().getSize())
                            .as(path)
                            .isEqualTo(dataset.getDataType().getSize());
                    assertThat(own.getJavaType()).as(path).isEqualTo(dataset.getJavaType());
                    if (path.contains("bias")) {
                        worst = Math.max(worst, bias(example, path, dataset, own));
                    } else {
                        assertThat((float[]) own.getDataFlat()).as(path).isEqualTo((float[]) dataset.getDataFlat());
                    }
                }
            }
        }
        System.out.printf("%s: biases of the written file at most at %.1f %% of their bound%n", example, 100 * worst);
        assertThat(worst).isLessThanOrEqualTo(1);
    }

    /** The share of its bound that a layer's bias takes up. */
    private static double bias(KerasExample example, String path, Dataset expected, Dataset found) {
        String layer = path.split("/", -1)[2];
        double largest = Arrays.stream(example.golden("golden-256.npz", "delta:" + layer))
                .map(Math::abs)
                .max()
                .orElseThrow();
        float[] a = (float[]) expected.getDataFlat();
        float[] b = (float[]) found.getDataFlat();
        double worst = 0;
        for (int c = 0; c < a.length; c++) {
            worst = Math.max(worst, Math.abs(a[c] - b[c]) / (BIAS * largest));
        }
        return worst;
    }

    private static Map<String, byte[]> entries(byte[] archive) throws IOException {
        Map<String, byte[]> entries = new LinkedHashMap<>();
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(archive))) {
            for (ZipEntry e = zip.getNextEntry(); e != null; e = zip.getNextEntry()) {
                entries.put(e.getName() + " " + e.getMethod() + " " + e.getTimeLocal(), zip.readAllBytes());
            }
        }
        return entries;
    }

    @Test
    void anArchiveKeepsItsEntriesAndGetsTheMissingBias() throws IOException {
        byte[] before = Files.readAllBytes(KerasExample.W4A4_ARCHIVE.modelFile());
        byte[] after = corrected(KerasExample.W4A4_ARCHIVE);
        Map<String, byte[]> old = entries(before);
        Map<String, byte[]> now = entries(after);
        assertThat(now.keySet()).containsExactlyElementsOf(old.keySet());
        for (String entry : old.keySet()) {
            String name = entry.substring(0, entry.indexOf(' '));
            if (name.equals("metadata.json")) {
                assertThat(now.get(entry)).isEqualTo(old.get(entry));
            } else if (name.equals("config.json")) {
                String config = new String(old.get(entry), StandardCharsets.UTF_8);
                assertThat(config.split("\"use_bias\": false", -1)).hasSize(2);
                assertThat(new String(now.get(entry), StandardCharsets.UTF_8))
                        .isEqualTo(config.replace("\"use_bias\": false", "\"use_bias\": true"));
            } else {
                assertAddedOnly(old.get(entry), now.get(entry), "/layers/quantized_conv2d_1/vars/1");
            }
        }
    }

    @Test
    void aModelOfKeras3InHdf5GetsTheMissingBias() throws IOException {
        byte[] before = Files.readAllBytes(KerasExample.W4A4_KERAS3.modelFile());
        String added = "/model_weights/conv4/sequential/conv4/bias";
        byte[] after = corrected(KerasExample.W4A4_KERAS3);
        assertAddedOnly(before, after, added);
        try (HdfFile file = HdfFile.fromBytes(after)) {
            assertThat((String[]) file.getByPath("/model_weights/conv4")
                            .getAttribute("weight_names")
                            .getData())
                    .containsExactly("sequential/conv4/kernel", "sequential/conv4/bias");
        }
    }

    /** Asserts that nothing but biases, the configuration and one list of weights differs, and one dataset came in. */
    private static void assertAddedOnly(byte[] before, byte[] after, String added) {
        try (HdfFile a = HdfFile.fromBytes(before);
                HdfFile b = HdfFile.fromBytes(after)) {
            Map<String, Node> old = objects(a);
            Map<String, Node> now = objects(b);
            assertThat(now.remove(added)).as(added).isInstanceOf(Dataset.class);
            assertThat(now.keySet()).isEqualTo(old.keySet());
            assertThat(b.getAttribute(MARK).getData()).isEqualTo("a test");
            old.forEach((path, node) -> {
                if (node instanceof Dataset dataset) {
                    float[] x = (float[]) dataset.getDataFlat();
                    float[] y = (float[]) ((Dataset) now.get(path)).getDataFlat();
                    boolean bias = dataset.getDimensions().length == 1;
                    assertThat(Arrays.equals(x, y)).as(path).isEqualTo(!bias);
                }
            });
        }
    }

    @ParameterizedTest
    @EnumSource(value = KerasExample.class, mode = EnumSource.Mode.EXCLUDE, names = "W4A4_ARCHIVE")
    void whatTheOldFileHeldIsStillWhereItWas(KerasExample example) throws IOException {
        byte[] before = Files.readAllBytes(example.modelFile());
        byte[] after = corrected(example);
        int changed = 0;
        for (int i = 0; i < before.length; i++) {
            changed += before[i] == after[i] ? 0 : 1;
        }
        // 170 biases of 4 bytes, the superblock's end of file, and a few messages and entries of groups.
        assertThat(changed).isBetween(100, 1500 + (example == KerasExample.W2A4_STD ? 6100 : 0));
        assertThat(after.length - before.length).isBetween(0, 24_000);
    }

    private static HostTensor testImages(int n) {
        HostTensor bytes = Npz.read(KerasExample.testFile(), "images");
        float[] values = new float[n * 28 * 28];
        for (int i = 0; i < values.length; i++) {
            values[i] = Byte.toUnsignedInt(bytes.bytes().get(i));
        }
        return HostTensor.of(values, n, 28, 28, 1);
    }

    private static double distance(HostTensor found, double[] expected) {
        assertThat(found.elements()).isEqualTo(expected.length);
        double worst = 0;
        for (int i = 0; i < expected.length; i++) {
            worst = Math.max(worst, Math.abs(found.floats().get(i) - expected[i]));
        }
        return worst;
    }

    /** A tensor of the network in Keras' order: images as [height, width, channels], flattened ones too. */
    private static HostTensor kerasOrder(HostTensor x, long[] image) {
        int channels = Math.toIntExact(image[2]);
        int area = Math.toIntExact(image[0] * image[1]);
        float[] out = new float[channels * area];
        for (int c = 0; c < channels; c++) {
            for (int p = 0; p < area; p++) {
                out[p * channels + c] = x.floats().get(c * area + p);
            }
        }
        return HostTensor.of(out, out.length);
    }

    @ParameterizedTest
    @EnumSource(
            value = KerasExample.class,
            names = {"W4A4", "W3A4", "W2A4_STD"})
    void everyLayersActivationsMatch(KerasExample example) {
        OnnxModel model = example.model().quantized();
        List<String> layers = Npz.names(example.file("activations.npz"));
        assertThat(layers).contains("rescaling", "conv1", "relu1", "sep2", "pool4", "flatten", "dense5", "logits");
        double worst = 0;
        try (WholeModel whole = new WholeModel(model.name(), ProbedModel.withOutputs(model, layers))) {
            Map<String, HostTensor> outputs = whole.run(Map.of("input_1", testImages(1)));
            for (String layer : layers) {
                HostTensor golden = Npz.read(example.file("activations.npz"), layer);
                long[] shape = golden.shape();
                HostTensor own = outputs.get(layer);
                if (shape.length == 4) {
                    own = kerasOrder(own, new long[] {shape[1], shape[2], shape[3]});
                } else if (layer.equals("flatten")) {
                    own = kerasOrder(own, new long[] {2, 2, 48});
                }
                worst = Math.max(worst, distance(own, KerasExample.doubles(golden)));
            }
        }
        System.out.printf("%s: activations of %d layers at most %.1e off%n", example, layers.size(), worst);
        assertThat(worst).isLessThan(1e-4);
    }

    @ParameterizedTest
    @EnumSource(KerasExample.class)
    void theOnnxExportGivesTheEnginesOutputs(KerasExample example) {
        KerasModel model = example.model();
        double before =
                distance(outputs(model.toOnnx(Map.of())), example.golden("golden-256.npz", "outputs_uncorrected"));
        double after =
                distance(outputs(model.toOnnx(corrections(example))), example.golden("golden-256.npz", "outputs"));
        System.out.printf("%s: the ONNX export's outputs are off by %.1e, corrected by %.1e%n", example, before, after);
        assertThat(before).isLessThan(1e-4);
        assertThat(after).isLessThan(1e-4);
    }

    private static HostTensor outputs(OnnxModel model) {
        try (WholeModel whole = new WholeModel(model.name(), model.proto().toByteArray())) {
            return whole.run(Map.of("input_1", testImages(64))).get("logits");
        }
    }

    @Test
    void theFloatModelGivesTheEnginesOutputs() {
        double[] expected = KerasExample.doubles(Npz.read(KerasExample.testFile(), "float_outputs"));
        OnnxModel folded = KerasModel.read(KerasExample.floatFile()).floating();
        OnnxModel kept =
                KerasModel.read(KerasExample.floatFileWithNormalizations()).floating();
        assertThat(distance(outputs(folded), expected)).isCloseTo(0, within(1e-4));
        assertThat(distance(outputs(kept), expected)).isCloseTo(0, within(1e-4));
    }
}
