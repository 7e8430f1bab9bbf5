import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.ModelPair;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.nio.file.Path;

/** Corrects an ONNX model. The argument is the folder for the result. */
class CorrectModel {
    public static void main(String[] args) {
        ModelPair models = ModelPair.read(
                Path.of("examples/fashion/float.onnx"), Path.of("examples/fashion/w3a8.onnx"));
        Normalization pixels = new Normalization(255, new float[] {0.2860f}, new float[] {0.3530f});
        try (Samples samples = Samples.open(Path.of("examples/fashion/calibration.npz"), pixels)) {
            var options = CorrectionOptions.builder().reference(Reference.NETWORK).build();
            var result = BiasCorrection.of(models).correct(samples, options);
            result.write(Path.of(args[0], "corrected.onnx"));
            System.out.println(result.correctedLayers() + " layers corrected with " + result.samples() + " samples");
        }
    }
}
