package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import dev.rebias.op.OnnxOp;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Conv and ConvTranspose whose weights were computed; with constant ones a {@link PreparedLayer} does it. */
final class Convolutions {
    private Convolutions() {}

    static Optional<List<Tensor>> convolve(OnnxOp op, Inputs inputs) {
        boolean floats =
                IntStream.range(0, inputs.count()).allMatch(i -> !inputs.given(i) || inputs.is(i, ElementType.FLOAT));
        if (!floats || !inputs.given(0) || !inputs.given(1)) {
            return Optional.empty();
        }
        long[] weights = inputs.shape(1);
        LayerOp layer = LayerOps.parse(op.node(), weights);
        if (PreparedConvolution.isSpread(layer)) {
            return Optional.empty();
        }
        DeviceTensor x = inputs.device(0);
        DeviceTensor w = inputs.device(1);
        try (Partial made = new Partial();
                PreparedConvolution convolution =
                        new PreparedConvolution(inputs.context(), layer, w.reshape(weights), false)) {
            DeviceTensor y =
                    (DeviceTensor) made.keep(convolution.run(List.of(x)).get(0));
            if (!inputs.given(2)) {
                made.complete();
                return Optional.of(List.of(y));
            }
            DeviceTensor bias = inputs.device(2);
            int channels = layer.channels(weights);
            if (bias.elements() != channels) {
                throw new UnsupportedException(op.type() + " has a bias of shape " + Shape.text(bias.shape()) + " for "
                        + channels + " channels");
            }
            return Optional.of(List.of(Pointwise.addAlongChannels(inputs.context(), y, bias)));
        }
    }
}
