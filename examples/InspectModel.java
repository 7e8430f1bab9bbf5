import dev.rebias.BiasCorrection;
import dev.rebias.ModelPair;
import java.nio.file.Path;

/** Tells which layers of a quantised model can be corrected, and why others cannot. */
class InspectModel {
    public static void main(String[] args) {
        BiasCorrection correction = BiasCorrection.of(
                ModelPair.read(Path.of("examples/fashion/float.onnx"), Path.of("examples/fashion/w3a8.onnx")));
        correction.inputs().forEach(input -> System.out.println(input.name() + " " + input.shapeText()));
        correction.pairing().pairs().forEach(pair ->
                System.out.println(pair.name() + ": " + correction.biasStorage(pair)));
        correction.pairing().skipped().forEach(layer -> System.out.println(layer.name() + ": " + layer.reason()));
    }
}
