package dev.rebias.benchmarks;

import ai.onnx.proto.OnnxMl.ModelProto;
import dev.rebias.model.OnnxModel;
import dev.rebias.oracle.SyntheticModels;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.io.InputStream;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;

/**
 * Two models and samples.
 *
 * @param batchSize for ONNX Runtime and for us
 * @param large whether it is one of those with images of 224x224 and more
 */
record Workload(String name, ModelProto floating, ModelProto quantized, Samples samples, int batchSize, boolean large) {

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
                            Samples.open(
                                    Path.of("examples/fashion/calibration.npz"),
                                    new Normalization(255, new float[] {0.2860f}, new float[] {0.3530f})),
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

    private static Samples noise(String input, int... shape) {
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
