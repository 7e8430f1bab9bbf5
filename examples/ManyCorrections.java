import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.DeviceSession;
import dev.rebias.ModelPair;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.nio.file.Path;

/** Corrects a model with both references on one device that stays open. */
class ManyCorrections {
    public static void main(String[] args) {
        BiasCorrection correction = BiasCorrection.of(ModelPair.read(
                Path.of("examples/ocr-orientation/float.onnx"), Path.of("examples/ocr-orientation/w4a8.onnx")));
        Normalization pixels = new Normalization(255, new float[] {0.5f}, new float[] {0.5f});
        try (Samples samples = Samples.open(Path.of("examples/ocr-orientation/calibration.npz"), pixels);
                DeviceSession session = DeviceSession.open("auto")) {
            for (Reference reference : Reference.values()) {
                var options = CorrectionOptions.builder().reference(reference).build();
                var outcome = correction.correct(samples, options, session).outcome().orElseThrow();
                System.out.println(reference + ": " + outcome.outputs().get(0));
            }
        }
    }
}
