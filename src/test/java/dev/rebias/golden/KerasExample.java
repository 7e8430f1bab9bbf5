package dev.rebias.golden;

import dev.rebias.keras.KerasModel;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Npz;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import java.nio.file.Path;
import java.util.List;

/**
 * The quantised Keras models of the test data, with what an independent implementation of cnn2snn's bias correction
 * computes on them.
 */
public enum KerasExample {
    W4A4("w4a4", "model.h5"),
    W4A4_KERAS3("w4a4", "model-keras3.h5"),
    W4A4_ARCHIVE("w4a4", "model.keras"),
    W3A4("w3a4", "model.h5"),
    W2A4_STD("w2a4-std", "model.h5");

    /** The layers with corrections, in order. */
    public static final List<String> LAYERS = List.of("conv1", "sep2", "sep3", "conv4", "dense5", "logits");

    private static final Path ASSETS = Path.of("src/test/resources/assets/keras");

    private final String folder;
    private final String model;

    KerasExample(String folder, String model) {
        this.folder = folder;
        this.model = model;
    }

    /** A file of the model's own folder. */
    public Path file(String name) {
        return ASSETS.resolve(folder).resolve(name);
    }

    public Path modelFile() {
        return this == W3A4 ? Path.of("examples/keras/w3a4.h5") : file(model);
    }

    public KerasModel model() {
        return KerasModel.read(modelFile());
    }

    public static Path floatFile() {
        return Path.of("examples/keras/float.h5");
    }

    /** The same float model with its BatchNormalizations not folded. */
    public static Path floatFileWithNormalizations() {
        return ASSETS.resolve("float-bn.h5");
    }

    /** 64 test images, their labels, and the float model's outputs. */
    public static Path testFile() {
        return ASSETS.resolve("test.npz");
    }

    public static Path calibrationFile() {
        return Path.of("examples/keras/calibration.npz");
    }

    public static Samples samples() {
        return Samples.open(calibrationFile(), Normalization.NONE);
    }

    /** An array of a golden file as doubles. */
    public double[] golden(String file, String array) {
        return doubles(Npz.read(file(file), array));
    }

    public static double[] doubles(HostTensor tensor) {
        double[] out = new double[Math.toIntExact(tensor.elements())];
        for (int i = 0; i < out.length; i++) {
            out[i] = switch (tensor.type()) {
                case DOUBLE -> tensor.bytes().getDouble(Double.BYTES * i);
                case UINT8 -> Byte.toUnsignedInt(tensor.bytes().get(i));
                default -> tensor.floats().get(i);
            };
        }
        return out;
    }
}
