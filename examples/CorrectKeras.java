import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;

/** Corrects a Keras model of cnn2snn, with samples that it makes. The argument is the folder for the result. */
class CorrectKeras {
    public static void main(String[] args) {
        BiasCorrection correction = BiasCorrection.ofKeras(Path.of("examples/keras/w3a4.h5"));
        float[] pixels = new float[16 * 28 * 28];
        Random random = new Random(1);
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextInt(256);
        }
        HostTensor images = HostTensor.of(pixels, 16, 28, 28, 1);
        try (Samples samples = Samples.of(Map.of(correction.inputNames().get(0), images))) {
            var result = correction.correct(samples, CorrectionOptions.defaults());
            result.write(Path.of(args[0], "corrected.h5"));
            result.layers().forEach(layer -> System.out.println(layer.name() + ": " + layer.status()));
        }
    }
}
