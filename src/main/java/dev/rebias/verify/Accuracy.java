package dev.rebias.verify;

import dev.rebias.error.UnsupportedException;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.ProbedModel;
import dev.rebias.runtime.WholeModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;

/** How often a classifier's largest output is the right class, the whole model run in ONNX Runtime as it is written. */
public final class Accuracy {
    private static final int BATCH = 50;

    private Accuracy() {}

    /**
     * Measures top-1 accuracy.
     *
     * @param model a model with one input and an output of shape [N, classes], its first
     * @param samples labelled samples
     * @param labels integers [N], the right class of each sample
     * @return the share of samples that are classified right, 0 to 1
     */
    public static double top1(OnnxModel model, String input, BoundSamples samples, HostTensor labels) {
        if (labels.elements() != samples.count()) {
            throw new UnsupportedException(
                    "there are " + labels.elements() + " labels for " + samples.count() + " samples");
        }
        long right = 0;
        int sample = 0;
        long[] expected = integers(labels);
        try (WholeModel whole = new WholeModel(model.name(), ProbedModel.withOutputs(model, List.of()));
                Batches batches = samples.batches(BATCH)) {
            while (batches.hasNext()) {
                HostTensor batch = batches.next().get(0);
                HostTensor scores =
                        whole.run(Map.of(input, batch)).values().iterator().next();
                if (scores.rank() != 2) {
                    throw new UnsupportedException("'" + model.name() + "' gives scores of shape "
                            + Shape.text(scores.shape()) + "; accuracy needs [N, classes]");
                }
                int classes = Math.toIntExact(scores.shape()[1]);
                FloatBuffer values = scores.floats();
                for (int row = 0; row < scores.shape()[0]; row++, sample++) {
                    right += largest(values, row * classes, classes) == expected[sample] ? 1 : 0;
                }
            }
        }
        return (double) right / sample;
    }

    private static long[] integers(HostTensor labels) {
        long[] out = new long[Math.toIntExact(labels.elements())];
        for (int i = 0; i < out.length; i++) {
            out[i] = switch (labels.type()) {
                case INT64 -> labels.longs().get(i);
                case INT32 -> labels.ints().get(i);
                case UINT8 -> Byte.toUnsignedInt(labels.bytes().get(i));
                default ->
                    throw new UnsupportedException(
                            "the labels are " + labels.type() + "; they must be integers (int64, int32, uint8)");
            };
        }
        return out;
    }

    private static int largest(FloatBuffer values, int from, int n) {
        int best = 0;
        for (int i = 1; i < n; i++) {
            if (values.get(from + i) > values.get(from + best)) {
                best = i;
            }
        }
        return best;
    }
}
