package dev.rebias.benchmarks;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.model.OnnxModel;
import dev.rebias.oracle.SyntheticModels;
import dev.rebias.samples.Batches;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Two models and samples.
 *
 * @param batchSize for ONNX Runtime and for us
 * @param large whether it is one of those with images of 224x224 and more
 */
record Workload(String name, ModelProto floating, ModelProto quantized, Samples samples, int batchSize, boolean large) {

    private static final Normalization FASHION = new Normalization(255, new float[] {0.2860f}, new float[] {0.3530f});

    /** The Fashion-MNIST workload with as many images as one asks for: its own, again and again, in a file. */
    static Samples repeatedFashion(Path file, int samples) throws IOException {
        byte[] pixels = new byte[512 * 28 * 28];
        try (Samples own = Samples.open(Path.of("examples/fashion/calibration.npz"), Normalization.NONE);
                Batches batches = own.bind(
                                List.of(new InputSpec("input", ElementType.FLOAT, new long[] {-1, 1, 28, 28})))
                        .batches(512)) {
            FloatBuffer values = batches.next().get(0).floats();
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = (byte) (int) values.get(i);
            }
        }
        String header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + samples + ", 1, 28, 28), }";
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
            out.write("\u0093NUMPY\u0001\u0000".getBytes(StandardCharsets.ISO_8859_1));
            out.write(new byte[] {118, 0});
            out.write((header + " ".repeat(117 - header.length()) + "\n").getBytes(StandardCharsets.US_ASCII));
            for (int i = 0; i < samples; i++) {
                out.write(pixels, i % 512 * 784, 784);
            }
        }
        return Samples.open(file, FASHION);
    }

    static Workload of(String name) {
        try {
            return switch (name) {
                case "fashion" ->
                    new Workload(
                            "Fashion-MNIST MobileNet W3A8, 512 images of 28x28",
                            OnnxModel.read(Path.of("examples/fashion/float.onnx"))
                                    .proto(),
                            OnnxModel.read(Path.of("examples/fashion/w3a8.onnx"))
                                    .proto(),
                            Samples.open(Path.of("examples/fashion/calibration.npz"), FASHION),
                            32,
                            false);
                case "cls" -> network("PP-OCR orientation", "ch_ppocr_mobile_v2.0_cls_infer", 64, 48, 192, 32, false);
                case "det" -> network("PP-OCRv4 detection", "ch_PP-OCRv4_det_infer", 8, 320, 320, 4, true);
                case "mobilenet" -> {
                    ModelProto model = SyntheticModels.mobileNetV1();
                    yield new Workload(
                            "MobileNetV1 W6A8, random weights, 32 images of 224x224",
                            model,
                            SyntheticModels.quantized(model, 6, 3, 224, 224),
                            noise("x", 32, 3, 224, 224),
                            8,
                            true);
                }
                default -> {
                    int layers = Integer.parseInt(name.replaceFirst("chain", ""));
                    ModelProto model = SyntheticModels.chain(layers);
                    yield new Workload(
                            "chain of " + layers + " layers, 32 samples of 32x56x56",
                            model,
                            SyntheticModels.quantized(model, 6, 32, 56, 56),
                            noise("x", 32, 32, 56, 56),
                            8,
                            false);
                }
            };
        } catch (IOException e) {
            throw new IllegalStateException(name + " cannot be made: " + e.getMessage(), e);
        }
    }

    /** ResNet-50's shape with random weights. */
    static Workload resNet50(int images) {
        ModelProto model = SyntheticModels.resNet50();
        return new Workload(
                "ResNet-50 W6A8, random weights, " + images + " images of 224x224",
                model,
                SyntheticModels.quantized(model, 6, 3, 224, 224),
                noise("x", images, 3, 224, 224),
                4,
                true);
    }

    private static Workload network(
            String title, String file, int samples, int height, int width, int batchSize, boolean large)
            throws IOException {
        try (InputStream in = Workload.class.getResourceAsStream("/models/" + file + ".onnx")) {
            ModelProto model = ModelProto.parseFrom(in);
            return new Workload(
                    title + " W6A8, " + samples + " images of " + height + "x" + width,
                    model,
                    SyntheticModels.quantized(model, 6, 3, 64, 64 * width / height),
                    noise("x", samples, 3, height, width),
                    batchSize,
                    large);
        }
    }

    static Samples noise(String input, int... shape) {
        long[] dims = new long[shape.length];
        for (int i = 0; i < dims.length; i++) {
            dims[i] = shape[i];
        }
        HostTensor x = HostTensor.zeros(ElementType.FLOAT, dims);
        Random random = new Random(7);
        FloatBuffer values = x.floats();
        while (values.hasRemaining()) {
            values.put((float) random.nextGaussian());
        }
        return Samples.of(Map.of(input, x));
    }
}
