package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.ModelProto;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The small networks of every topology, each with a model quantised from it and samples. */
public final class ToyPairs {
    private static final int SAMPLES = 3;

    /**
     * A pair.
     *
     * @param samples for each input its shape and its values, row-major
     */
    public record Pair(String name, ModelProto floating, ModelProto quantized, Map<String, Samples> samples) {}

    /** One input's samples. */
    public record Samples(int[] shape, double[] values) {}

    private ToyPairs() {}

    /** Every network, quantised in several ways. */
    public static List<Pair> all() {
        List<Pair> pairs = new ArrayList<>();
        for (Toy toy : Toy.values()) {
            ModelProto floating = toy.model();
            Map<String, NaiveTensor> samples = Toy.samples(floating, SAMPLES, 5);
            Map<String, Samples> plain = new LinkedHashMap<>();
            samples.forEach((name, t) -> plain.put(name, new Samples(t.shape(), t.values())));
            boolean perChannel = floating.getOpsetImport(0).getVersion() >= 13;
            for (QdqWriter.Scheme scheme : List.of(
                    new QdqWriter.Scheme(4, false, true, false, false),
                    new QdqWriter.Scheme(4, perChannel, true, false, true),
                    new QdqWriter.Scheme(8, perChannel, false, false, false),
                    new QdqWriter.Scheme(4, false, true, true, false))) {
                pairs.add(new Pair(toy.name(), floating, QdqWriter.write(floating, scheme, samples), plain));
            }
        }
        return pairs;
    }
}
