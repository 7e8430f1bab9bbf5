package dev.rebias.benchmarks;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.device.Device;
import dev.rebias.device.Devices;
import dev.rebias.device.Emulator;
import dev.rebias.device.Emulator.Work;
import dev.rebias.model.OnnxModel;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import dev.rebias.oracle.SyntheticModels;
import dev.rebias.sweep.FloatMath;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.Shape;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a correction costs on a card, by the emulator's count: bytes through the card's memory, multiply-adds by kind,
 * launches; and how long an H200 would take for them. Work grows by the same with each image of a batch: it is counted
 * for one and for two, and what follows for a batch of 128 is printed.
 */
public final class CudaCount {
    private static final int BATCH = 128;

    /** NVIDIA's data sheet of the H200 SXM, dense: multiply-adds per second of FP32, TF32 and int8. */
    private static final double FP32 = 67e12 / 2;

    private static final double TF32 = 494.7e12 / 2;
    /**
     * A quarter of the data sheet's: more is not expected of a kernel that unfolds its data byte by byte and multiplies
     * with mma.sync.
     */
    private static final double INT8 = 1979e12 / 2 / 4;
    /** Bytes per second of its memory, of the data sheet's 4.8e12 what long reductions reach. */
    private static final double BANDWIDTH = 4.31e12;

    private static final double LAUNCH_SECONDS = 3e-6;

    private CudaCount() {}

    /** Counts the networks that are named, {@code mobilenet} or {@code resnet50}, or both. */
    public static void main(String[] names) {
        Emulator emulator = Emulator.require();
        for (String name : names.length == 0 ? List.of("mobilenet", "resnet50") : List.of(names)) {
            ModelProto model =
                    switch (name) {
                        case "mobilenet" -> SyntheticModels.mobileNetV1();
                        case "resnet50" -> SyntheticModels.resNet50();
                        default -> throw new IllegalArgumentException("there is no network '" + name + "'");
                    };
            ModelProto quantized = SyntheticModels.quantized(model, 6, 3, 64, 64);
            count(emulator, name, model, quantized, Reference.LAYER, FloatMath.FP32);
            count(emulator, name, model, quantized, Reference.NETWORK, FloatMath.FP32);
            count(emulator, name, model, quantized, Reference.NETWORK, FloatMath.TF32);
        }
    }

    private static void count(
            Emulator emulator,
            String name,
            ModelProto model,
            ModelProto quantized,
            Reference reference,
            FloatMath math) {
        BiasCorrection correction =
                BiasCorrection.of(OnnxModel.of("float", model), OnnxModel.of("quantised", quantized));
        Map<String, Work> one = work(emulator, correction, reference, math, 1);
        Map<String, Work> two = work(emulator, correction, reference, math, 2);
        double elements = BATCH * meanElements(model);
        int layers = layers(model);
        Map<String, double[]> rows = new TreeMap<>();
        two.forEach((what, t) -> {
            Work o = one.getOrDefault(what, new Work(what, 0, 0, 0, 0, 0, 0));
            double read = forBatch(o.read(), t.read());
            double written = forBatch(o.written(), t.written());
            double products = forBatch(o.fp32(), t.fp32()) / FP32
                    + forBatch(o.tf32(), t.tf32()) / TF32
                    + forBatch(o.int8(), t.int8()) / INT8;
            double seconds = Math.max((read + written) / BANDWIDTH, products) + t.calls() * LAUNCH_SECONDS;
            rows.put(what, new double[] {
                t.calls(),
                read,
                written,
                forBatch(o.fp32(), t.fp32()),
                forBatch(o.tf32(), t.tf32()),
                forBatch(o.int8(), t.int8()),
                seconds
            });
        });
        double[] sum = new double[7];
        rows.values().forEach(r -> {
            for (int i = 0; i < sum.length; i++) {
                sum[i] += r[i];
            }
        });
        double launches = rows.entrySet().stream()
                .filter(row -> !row.getKey().startsWith("cuMem"))
                .mapToDouble(row -> row.getValue()[0])
                .sum();
        System.out.printf(
                "%n%s, %s%s, a batch of %d: %.1f bytes for each of the mean of a layer's input and output elements, "
                        + "%.1f kernels and library calls per layer, %.1f %% of the products on tensor cores, %.1f "
                        + "ms on an H200%n",
                name,
                reference,
                math == FloatMath.TF32 ? " in TF32" : "",
                BATCH,
                (sum[1] + sum[2]) / elements,
                launches / layers,
                100 * (sum[4] + sum[5]) / (sum[3] + sum[4] + sum[5]),
                1e3 * sum[6]);
        System.out.printf(
                "  %-28s %8s %9s %9s %9s %9s %9s %8s%n",
                "kernel or library call", "calls", "GB read", "written", "G FP32", "G TF32", "G int8", "ms");
        rows.forEach((what, r) -> System.out.printf(
                "  %-28s %8.0f %9.3f %9.3f %9.2f %9.2f %9.2f %8.3f%n",
                what, r[0], r[1] / 1e9, r[2] / 1e9, r[3] / 1e9, r[4] / 1e9, r[5] / 1e9, 1e3 * r[6]));
    }

    private static double forBatch(long one, long two) {
        return one + (BATCH - 1.0) * (two - one);
    }

    private static Map<String, Work> work(
            Emulator emulator, BiasCorrection correction, Reference reference, FloatMath math, int images) {
        CorrectionOptions options = CorrectionOptions.builder()
                .reference(reference)
                .math(math)
                .batchSize(images)
                .build();
        try (Device device = Devices.open("cuda").device()) {
            emulator.forgetWork();
            CorrectionResult result =
                    correction.correct(Workload.noise("x", images, 3, 224, 224), options, DeviceSession.of(device));
            if (result.batchSize() != images) {
                throw new IllegalStateException(images + " images went through " + result.batchSize() + " at a time");
            }
            return emulator.work();
        }
    }

    private static int layers(ModelProto model) {
        return (int) model.getGraph().getNodeList().stream()
                .filter(LayerOps::hasWeights)
                .count();
    }

    /** The sum over layers of the mean of their inputs' and outputs' elements, for one image. */
    private static double meanElements(ModelProto model) {
        Map<String, long[]> weights = new HashMap<>();
        for (TensorProto t : model.getGraph().getInitializerList()) {
            weights.put(t.getName(), t.getDimsList().stream().mapToLong(d -> d).toArray());
        }
        Map<String, long[]> shapes = new HashMap<>(Map.of("x", new long[] {1, 3, 224, 224}));
        double sum = 0;
        for (NodeProto node : model.getGraph().getNodeList()) {
            long[] in = shapes.get(node.getInput(0));
            long[] out;
            if (LayerOps.hasWeights(node)) {
                LayerOp op = LayerOps.parse(node, weights.get(node.getInput(1)));
                out = op.outputShape(in, weights.get(node.getInput(1)));
                sum += (Shape.elements(in) + Shape.elements(out)) / 2.0;
            } else {
                out = switch (node.getOpType()) {
                    case "Relu", "Add" -> in;
                    // 3x3, stride 2, padded by 1
                    case "MaxPool" -> new long[] {in[0], in[1], (in[2] - 1) / 2 + 1, (in[3] - 1) / 2 + 1};
                    case "GlobalAveragePool" -> new long[] {in[0], in[1], 1, 1};
                    case "Flatten" -> new long[] {in[0], Shape.elements(in) / in[0]};
                    default -> throw new IllegalStateException("no shape rule for " + node.getOpType());
                };
            }
            shapes.put(node.getOutput(0), out);
        }
        return sum;
    }
}
