package dev.rebias.model;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.op.Attributes;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;

/** Finds the {@link WeightSite} of a quantised layer: which weights can be chosen anew, and on which grid. */
public final class WeightSites {
    /**
     * By how much, as a share of a layer's largest weight, a weight may be off its stored value before the layer is
     * taken to compute it from more than that.
     */
    private static final double SAME = 1e-5;

    /** By how much a gain may be off 1. */
    private static final double NO_GAIN = 1e-6;

    private final BiasSites sites;
    private final GraphProto graph;
    private final OptionalInt bits;

    /**
     * The weights of a model.
     *
     * @param bits of the integers that weights may become; empty where these are as large as the largest that a layer
     *     has
     */
    public WeightSites(BiasSites sites, OptionalInt bits) {
        this.sites = sites;
        this.graph = sites.model().proto().getGraph();
        this.bits = bits;
    }

    /** Why a layer's weights stay as they are. */
    private static final class Obstacle extends Exception {
        private static final long serialVersionUID = 1L;

        Obstacle(String reason) {
            super(reason);
        }
    }

    /**
     * A layer's site, or why its weights stay as they are.
     *
     * @param site empty where they do
     * @param obstacle the reason, else empty
     */
    public record Found(Optional<WeightSite> site, String obstacle) {}

    /** Where a layer's weights are. */
    public Found find(Layer layer) {
        try {
            return new Found(Optional.of(site(layer)), "");
        } catch (Obstacle e) {
            return new Found(Optional.empty(), e.getMessage());
        }
    }

    /** Integers behind a scale, and what makes weights of them. */
    private record Stored(String tensor, TensorProto values, String scale, String zero, int axis, int block) {}

    private WeightSite site(Layer layer) throws Obstacle {
        if (layer.first().isPresent()) {
            throw new Obstacle("it is corrected as one with the layer before it, whose weights it is multiplied by");
        }
        NodeProto node = graph.getNode(layer.node().fileIndex());
        if (QOperators.TYPES.contains(node.getOpType())) {
            int slot = QOperators.weightInput(node.getOpType());
            boolean perRow = node.getOpType().equals("QLinearConv")
                    || (node.getOpType().equals("QGemm") && Attributes.integer(node, "transB", 0) != 0);
            String stored = node.getInput(slot);
            int axis = perRow ? 0 : layer.weightShape().length - 1;
            requireOwn(stored);
            return integers(
                    layer,
                    new Stored(stored, tensor(stored), node.getInput(slot + 1), node.getInput(slot + 2), axis, 0));
        }
        String weights = node.getInput(1);
        requireOwn(weights);
        Optional<TensorProto> own = sites.tensor(weights);
        if (own.isPresent()) {
            return inferred(layer, weights, own.get());
        }
        NodeProto dequantize = maker(weights);
        if (!dequantize.getOpType().equals("DequantizeLinear")) {
            throw computed(dequantize);
        }
        String quantized = dequantize.getInput(0);
        requireOwn(quantized);
        int axis = Math.toIntExact(Attributes.integer(dequantize, "axis", 1));
        int block = Math.toIntExact(Attributes.integer(dequantize, "block_size", 0));
        String zero = BiasSites.hasInput(dequantize, 2) ? dequantize.getInput(2) : "";
        int place = axis < 0 ? axis + layer.weightShape().length : axis;
        Optional<TensorProto> integers = sites.tensor(quantized);
        if (integers.isPresent()) {
            return integers(layer, new Stored(quantized, integers.get(), dequantize.getInput(1), zero, place, block));
        }
        NodeProto quantize = maker(quantized);
        if (!quantize.getOpType().equals("QuantizeLinear")) {
            throw computed(quantize);
        }
        String floats = quantize.getInput(0);
        requireOwn(floats);
        return requantized(
                layer, new Stored(floats, tensor(floats), dequantize.getInput(1), zero, place, block), quantize);
    }

    private static Obstacle computed(NodeProto node) {
        return new Obstacle("its weights are computed in the file, last by a " + node.getOpType()
                + ", not stored behind one DequantizeLinear");
    }

    private NodeProto maker(String tensor) {
        return graph.getNode(sites.producer(tensor));
    }

    private TensorProto tensor(String name) throws Obstacle {
        return sites.tensor(name)
                .orElseThrow(
                        () -> new Obstacle("'" + name + "', which its weights are made of, is computed in the file"));
    }

    private void requireOwn(String tensor) throws Obstacle {
        if (sites.uses(tensor) > 1) {
            throw new Obstacle("its weights '" + tensor + "' are shared with other nodes");
        }
    }

    /** Stored integers behind a scale. */
    private WeightSite integers(Layer layer, Stored stored) throws Obstacle {
        long[] values = StoredTensor.weights(stored.values())
                .orElseThrow(() -> new Obstacle("its weights are stored as ONNX element type "
                        + stored.values().getDataType() + ", where integers of 4, 8, 16 or 32 bits are handled"));
        requireShape(layer, stored.values());
        double[] steps = steps(stored);
        WeightSite.Runs runs = runs(layer, stored, steps.length);
        long[] zeros = zeros(stored, steps.length);
        double[] multiples = new double[values.length];
        for (int i = 0; i < multiples.length; i++) {
            multiples[i] = values[i] - zeros[zeros.length == 1 ? 0 : runs.of(i)];
        }
        return made(
                layer,
                stored.tensor(),
                WeightSite.Form.INTEGERS,
                multiples,
                steps,
                zeros,
                runs,
                values,
                StoredTensor.lowest(stored.values()),
                StoredTensor.highest(stored.values()));
    }

    /** Stored floats that a QuantizeLinear of the same scale puts on the grid. */
    private WeightSite requantized(Layer layer, Stored stored, NodeProto quantize) throws Obstacle {
        requireShape(layer, stored.values());
        boolean alike = tensor(quantize.getInput(1)).equals(tensor(stored.scale()))
                && (BiasSites.hasInput(quantize, 2) ? sites.tensor(quantize.getInput(2)) : Optional.empty())
                        .equals(stored.zero().isEmpty() ? Optional.empty() : sites.tensor(stored.zero()));
        if (!alike || stored.values().getDataType() != ElementType.FLOAT.onnxCode()) {
            throw new Obstacle("its weights are quantised with another scale than they are dequantised with");
        }
        double[] steps = steps(stored);
        WeightSite.Runs runs = runs(layer, stored, steps.length);
        long[] zeros = zeros(stored, steps.length);
        Optional<TensorProto> type = stored.zero().isEmpty() ? Optional.empty() : sites.tensor(stored.zero());
        long least = type.map(StoredTensor::lowest).orElse(0L);
        long most = type.map(StoredTensor::highest).orElse(255L);
        float[] floats = StoredTensor.floats(stored.values());
        double[] multiples = new double[floats.length];
        long[] values = new long[floats.length];
        for (int i = 0; i < floats.length; i++) {
            long zero = zeros[zeros.length == 1 ? 0 : runs.of(i)];
            // As QuantizeLinear does: a quotient of floats, rounded to even.
            double nearest = Math.rint(floats[i] / (float) steps[runs.of(i)]) + zero;
            values[i] = (long) Math.max((double) least, Math.min((double) most, nearest));
            multiples[i] = values[i] - zero;
        }
        return made(layer, stored.tensor(), WeightSite.Form.FLOATS, multiples, steps, zeros, runs, values, least, most);
    }

    /** Floats that were rounded before they were stored: the steps show in their values. */
    private WeightSite inferred(Layer layer, String tensor, TensorProto stored) throws Obstacle {
        if (stored.getDataType() != ElementType.FLOAT.onnxCode()) {
            throw new Obstacle("its weights are stored as 16-bit floats, on no grid of integers");
        }
        requireShape(layer, stored);
        WeightRows rows = WeightRows.of(layer.op(), layer.weightShape());
        InferredSteps inferred = InferredSteps.of(StoredTensor.floats(stored), rows)
                .orElseThrow(() -> new Obstacle("its weights are floats in which no step shows"));
        double[] multiples = inferred.multiples();
        long[] values = new long[multiples.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (long) multiples[i];
        }
        double[] each = new double[multiples.length];
        Arrays.setAll(each, i -> inferred.steps()[rows.channel(i)]);
        WeightSite.Runs runs = new WeightSite.Runs(1, each.length, 1, each.length, false);
        return made(
                layer,
                tensor,
                WeightSite.Form.FLOATS,
                multiples,
                each,
                new long[1],
                runs,
                values,
                -Integer.MAX_VALUE,
                Integer.MAX_VALUE);
    }

    private void requireShape(Layer layer, TensorProto stored) throws Obstacle {
        long[] shape = stored.getDimsList().stream().mapToLong(Long::longValue).toArray();
        if (!Arrays.equals(shape, layer.weightShape())) {
            throw new Obstacle("its weights are read in another shape than they are stored in");
        }
    }

    private double[] steps(Stored stored) throws Obstacle {
        TensorProto scale = tensor(stored.scale());
        if (scale.getDataType() != ElementType.FLOAT.onnxCode() && !StoredTensor.isHalf(scale)) {
            throw new Obstacle("the scale of its weights has ONNX element type " + scale.getDataType());
        }
        float[] floats = StoredTensor.floats(scale);
        double[] steps = new double[floats.length];
        for (int i = 0; i < steps.length; i++) {
            steps[i] = floats[i];
            if (!(steps[i] > 0) || Double.isInfinite(steps[i])) {
                throw new Obstacle("the scale of its weights is " + floats[i]);
            }
        }
        return steps;
    }

    private long[] zeros(Stored stored, int steps) throws Obstacle {
        if (stored.zero().isEmpty()) {
            return new long[1];
        }
        long[] zeros = StoredTensor.weights(tensor(stored.zero())).orElse(new long[0]);
        if (zeros.length != 1 && zeros.length != steps) {
            throw new Obstacle("its weights have " + zeros.length + " zero points for " + steps + " scales");
        }
        return zeros;
    }

    private static WeightSite.Runs runs(Layer layer, Stored stored, int steps) throws Obstacle {
        if (steps == 1) {
            return WeightSite.Runs.ONE;
        }
        long[] shape = layer.weightShape();
        int axis = stored.axis();
        if (axis < 0 || axis >= shape.length) {
            throw new Obstacle("the scale of its weights runs along axis " + axis + ", which they do not have");
        }
        int inner = 1;
        for (int i = axis + 1; i < shape.length; i++) {
            inner *= Math.toIntExact(shape[i]);
        }
        int length = Math.toIntExact(shape[axis]);
        int block = Math.max(1, stored.block());
        int entries = (length + block - 1) / block;
        int all = stored.block() == 0 ? entries : product(shape) / length * entries;
        if (all != steps) {
            throw new Obstacle("its weights have " + steps + " scales where " + all + " would fit");
        }
        return new WeightSite.Runs(inner, length, block, entries, stored.block() > 0);
    }

    private static int product(long[] shape) {
        return Math.toIntExact(Arrays.stream(shape).reduce(1, Math::multiplyExact));
    }

    private WeightSite made(
            Layer layer,
            String tensor,
            WeightSite.Form form,
            double[] multiples,
            double[] steps,
            long[] zeros,
            WeightSite.Runs runs,
            long[] values,
            long least,
            long most)
            throws Obstacle {
        WeightRows rows = WeightRows.of(layer.op(), layer.weightShape());
        double[] gains = gains(layer, rows, multiples, i -> steps[runs.of(i)]);
        WeightSite site = new WeightSite(
                tensor,
                form,
                multiples,
                steps,
                zeros,
                runs,
                gains,
                rows,
                Arrays.stream(values).min().orElse(0),
                Arrays.stream(values).max().orElse(0));
        return bits.isPresent() ? site.withBits(bits.getAsInt(), least, most) : site;
    }

    /**
     * What the layer multiplies each channel's stored weights by: a BatchNormalization or a Mul that is read with it.
     */
    private static double[] gains(
            Layer layer, WeightRows rows, double[] multiples, java.util.function.IntToDoubleFunction step)
            throws Obstacle {
        double[] gains = new double[rows.channels()];
        double largest = Arrays.stream(layer.weights()).map(Math::abs).max().orElse(0);
        boolean scaled = false;
        boolean unknown = false;
        for (int c = 0; c < gains.length; c++) {
            double most = 0;
            for (int k = 0; k < rows.length(); k++) {
                int i = rows.index(c, k);
                double value = multiples[i] * step.applyAsDouble(i);
                if (Math.abs(value) > most) {
                    most = Math.abs(value);
                    gains[c] = layer.weights()[i] / value;
                }
            }
            unknown |= most == 0;
            gains[c] = most == 0 || Math.abs(gains[c] - 1) < NO_GAIN ? 1 : gains[c];
            scaled |= gains[c] != 1;
        }
        for (int i = 0; i < multiples.length; i++) {
            double value = multiples[i] * step.applyAsDouble(i) * gains[rows.channel(i)];
            if (!(Math.abs(value - layer.weights()[i]) <= SAME * largest)) {
                throw new Obstacle("its weights are combined with other constants of the file");
            }
        }
        for (double gain : gains) {
            if (gain == 0) {
                throw new Obstacle("an output channel is multiplied by 0, whatever its weights");
            }
        }
        if (scaled && unknown) {
            throw new Obstacle("an output channel's weights are all zero, so what it is scaled by does not show");
        }
        return scaled ? gains : new double[] {1};
    }
}
