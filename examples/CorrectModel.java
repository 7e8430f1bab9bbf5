import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.model.ModelFile;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.nio.file.Path;
import java.util.List;

/** Corrects an ONNX model. The argument is the folder for the result. */
class CorrectModel {
    public static void main(String[] args) {
        OnnxModel floating = OnnxModel.read(Path.of("examples/fashion/float.onnx"));
        OnnxModel quantized = OnnxModel.read(Path.of("examples/fashion/w3a8.onnx"));
        Normalization pixels = new Normalization(255, new float[] {0.2860f}, new float[] {0.3530f});
        try (Samples samples = Samples.open(Path.of("examples/fashion/calibration.npz"), pixels)) {
            var options = CorrectionOptions.builder().reference(Reference.NETWORK).build();
            var result = BiasCorrection.of(floating, quantized).correct(samples, options);
            Path corrected = Path.of(args[0], "corrected.onnx");
            ModelFile.check(quantized, corrected, List.of(), false).write(result.model());
            System.out.println(result.correctedLayers() + " layers corrected with " + result.samples() + " samples");
        }
    }
}
