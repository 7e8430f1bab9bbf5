package dev.rebias.golden;

import dev.rebias.BiasCorrection;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Npz;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** A quantised model of the test data with its float model, its calibration samples, and its golden corrections. */
public enum ReferencePair {
    FASHION_W3A8("fashion", "float", "w3a8"),
    FASHION_W3A8_WITH_BN("fashion", "float-bn", "w3a8"),
    FASHION_W4A4("fashion", "float", "w4a4"),
    FASHION_W4A4_WITH_BN("fashion", "float-bn", "w4a4"),
    FASHION_W8A8_INT32_BIAS("fashion", "float", "w8a8-tensor-int32bias"),
    FASHION_W8A8_INT32_BIAS_WITH_BN("fashion", "float-bn", "w8a8-tensor-int32bias"),
    FASHION_W3A8_NO_BIAS("fashion", "float", "w3a8-nobias"),
    FASHION_W3A8_NO_BIAS_WITH_BN("fashion", "float-bn", "w3a8-nobias"),
    OCR_W4A8("ocr-orientation", "float", "w4a8"),
    OCR_W8A8("ocr-orientation", "float", "w8a8-tensor");

    private final String folder;
    private final String floating;
    private final String quantized;

    ReferencePair(String folder, String floating, String quantized) {
        this.folder = folder;
        this.floating = floating;
        this.quantized = quantized;
    }

    /** What a golden file says of one layer. */
    public record Golden(double[] delta, double mseBefore, double mseAfter, double spread) {}

    private Path file(String name) {
        Path example = Path.of("examples", folder, name);
        return Files.exists(example) ? example : Path.of("src/test/resources/assets", folder, name);
    }

    public Path floatFile() {
        return file(floating + ".onnx");
    }

    public Path quantizedFile() {
        return file(quantized + ".onnx");
    }

    public OnnxModel quantizedModel() {
        return OnnxModel.read(quantizedFile());
    }

    public BiasCorrection correction() {
        return BiasCorrection.of(OnnxModel.read(floatFile()), quantizedModel());
    }

    public Normalization normalization() {
        return folder.equals("fashion")
                ? new Normalization(255, new float[] {0.2860f}, new float[] {0.3530f})
                : new Normalization(255, new float[] {0.5f}, new float[] {0.5f});
    }

    public Path calibrationFile() {
        return file("calibration.npz");
    }

    public Samples samples() {
        return Samples.open(calibrationFile(), normalization());
    }

    /** The labelled test data in a folder laid out as the reference data are. */
    public Path testFile(Path assets) {
        return assets.resolve(folder).resolve("test.npz");
    }

    public boolean isFashion() {
        return folder.equals("fashion");
    }

    /** The golden values of the layer whose node makes that tensor. */
    public Golden golden(Reference reference, String output) {
        Path file = file("golden/" + quantized + "-" + reference.name().toLowerCase(Locale.ROOT) + ".npz");
        return new Golden(
                doubles(Npz.read(file, "delta:" + output)),
                doubles(Npz.read(file, "mse_before:" + output))[0],
                doubles(Npz.read(file, "mse_after:" + output))[0],
                doubles(Npz.read(file, "spread:" + output))[0]);
    }

    /** The layers that the golden file covers. */
    public List<String> goldenLayers(Reference reference) {
        Path file = file("golden/" + quantized + "-" + reference.name().toLowerCase(Locale.ROOT) + ".npz");
        return Npz.names(file).stream()
                .filter(n -> n.startsWith("delta:"))
                .map(n -> n.substring("delta:".length()))
                .toList();
    }

    private static double[] doubles(HostTensor tensor) {
        double[] out = new double[Math.toIntExact(tensor.elements())];
        for (int i = 0; i < out.length; i++) {
            out[i] = tensor.type() == ElementType.DOUBLE
                    ? tensor.bytes().getDouble(Double.BYTES * i)
                    : tensor.floats().get(i);
        }
        return out;
    }
}
