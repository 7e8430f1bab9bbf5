package dev.rebias.oracle;

import ai.onnx.proto.OnnxMl.NodeProto;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** The operations that move values without computing any. */
final class NaiveShapes {
    private NaiveShapes() {}

    static NaiveTensor transpose(NaiveTensor x, int... perm) {
        int rank = x.rank();
        int[] shape = IntStream.range(0, rank).map(d -> x.shape()[perm[d]]).toArray();
        double[] y = new double[x.values().length];
        int[] from = new int[rank];
        for (int i = 0; i < y.length; i++) {
            int index = i;
            for (int d = rank - 1; d >= 0; d--) {
                from[perm[d]] = index % shape[d];
                index /= shape[d];
            }
            int at = 0;
            for (int d = 0; d < rank; d++) {
                at = at * x.shape()[d] + from[d];
            }
            y[i] = x.values()[at];
        }
        return new NaiveTensor(x.type(), y, shape);
    }

    /** Without a permutation the dimensions turn round. */
    static NaiveTensor transpose(NodeProto node, NaiveTensor x) {
        int[] reversed = IntStream.range(0, x.rank()).map(d -> x.rank() - 1 - d).toArray();
        return transpose(x, NaiveNetwork.ints(node, "perm", reversed));
    }

    static NaiveTensor concat(List<NaiveTensor> parts, int axis) {
        NaiveTensor first = parts.get(0);
        int a = first.axis(axis);
        int[] shape = first.shape().clone();
        shape[a] = parts.stream().mapToInt(p -> p.shape()[a]).sum();
        double[] y = new double[NaiveTensor.size(shape)];
        int at = 0;
        for (int o = 0; o < first.span(0, a); o++) {
            for (NaiveTensor part : parts) {
                int run = part.span(a, part.rank());
                System.arraycopy(part.values(), o * run, y, at, run);
                at += run;
            }
        }
        return new NaiveTensor(first.type(), y, shape);
    }

    /** Takes the given positions along one axis; a position of -1 gives the filler. */
    static NaiveTensor take(NaiveTensor x, int axis, double filler, int... positions) {
        int n = x.shape()[axis];
        int inner = x.span(axis + 1, x.rank());
        int[] shape = x.shape().clone();
        shape[axis] = positions.length;
        double[] y = new double[NaiveTensor.size(shape)];
        for (int i = 0; i < y.length; i++) {
            int position = positions[i / inner % positions.length];
            int outer = i / inner / positions.length;
            y[i] = position < 0 ? filler : x.values()[(outer * n + position) * inner + i % inner];
        }
        return new NaiveTensor(x.type(), y, shape);
    }

    /** Starts, ends, axes are attributes before opset 10; inputs since, with steps. */
    static NaiveTensor slice(NodeProto node, List<NaiveTensor> in) {
        boolean attributes = in.size() == 1;
        NaiveTensor y = in.get(0);
        int[] starts =
                attributes ? NaiveNetwork.ints(node, "starts") : in.get(1).toInts();
        int[] ends = attributes ? NaiveNetwork.ints(node, "ends") : in.get(2).toInts();
        int[] all = IntStream.range(0, starts.length).toArray();
        int[] axes = attributes ? NaiveNetwork.ints(node, "axes", all) : given(in, 3, all);
        int[] steps = given(in, 4, NaiveWindow.ones(starts.length));
        for (int i = 0; i < starts.length; i++) {
            y = slice(y, y.axis(axes[i]), starts[i], ends[i], steps[i]);
        }
        return y;
    }

    private static int[] given(List<NaiveTensor> in, int index, int... otherwise) {
        return in.size() > index && in.get(index) != null ? in.get(index).toInts() : otherwise;
    }

    /** x[..., start:end:step, ...] along one axis. */
    static NaiveTensor slice(NaiveTensor x, int axis, int start, int end, int step) {
        int n = x.shape()[axis];
        int from = start < 0 ? start + n : start;
        int to = end < 0 ? end + n : end;
        if (step > 0) {
            from = Math.max(0, Math.min(n, from));
            to = Math.max(0, Math.min(n, to));
        } else {
            from = Math.max(0, Math.min(n - 1, from));
            to = Math.max(-1, Math.min(n - 1, to));
        }
        List<Integer> positions = new ArrayList<>();
        for (int k = from; step > 0 ? k < to : k > to; k += step) {
            positions.add(k);
        }
        return take(x, axis, 0, positions.stream().mapToInt(Integer::intValue).toArray());
    }

    /** The sizes are an attribute before opset 13, an input since; without sizes the parts are equal. */
    static List<NaiveTensor> split(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        int axis = x.axis((int) NaiveNetwork.integer(node, "axis", 0));
        int parts = node.getOutputCount();
        int chunk = (x.shape()[axis] + parts - 1) / parts;
        int[] equal = new int[parts];
        Arrays.fill(equal, chunk);
        equal[parts - 1] = x.shape()[axis] - chunk * (parts - 1);
        int[] sizes = given(in, 1, NaiveNetwork.ints(node, "split", equal));
        List<NaiveTensor> pieces = new ArrayList<>();
        int at = 0;
        for (int size : sizes) {
            pieces.add(slice(x, axis, at, at + size, 1));
            at += size;
        }
        return pieces;
    }

    static NaiveTensor gather(NaiveTensor x, NaiveTensor indices, int axis) {
        int a = x.axis(axis);
        int[] positions = Arrays.stream(indices.toInts())
                .map(i -> i < 0 ? i + x.shape()[a] : i)
                .toArray();
        IntStream shape = IntStream.concat(
                Arrays.stream(x.shape(), 0, a),
                IntStream.concat(Arrays.stream(indices.shape()), Arrays.stream(x.shape(), a + 1, x.rank())));
        return take(x, a, 0, positions).reshape(shape.toArray());
    }

    /** A dimension of 0 is copied, one of -1 takes what is left. */
    static NaiveTensor reshape(NodeProto node, NaiveTensor x, int... wanted) {
        boolean zeroIsZero = NaiveNetwork.integer(node, "allowzero", 0) != 0;
        int[] shape = wanted.clone();
        int open = -1;
        int known = 1;
        for (int d = 0; d < shape.length; d++) {
            shape[d] = shape[d] == 0 && !zeroIsZero ? x.shape()[d] : shape[d];
            open = shape[d] < 0 ? d : open;
            known *= shape[d] < 0 ? 1 : shape[d];
        }
        if (open >= 0) {
            shape[open] = x.values().length / known;
        }
        return x.reshape(shape);
    }

    static NaiveTensor flatten(NodeProto node, NaiveTensor x) {
        int axis = x.axis((int) NaiveNetwork.integer(node, "axis", 1));
        return x.reshape(x.span(0, axis), x.span(axis, x.rank()));
    }

    /** The axes are an attribute before opset 13, an input since; without axes every dimension of 1 goes. */
    static NaiveTensor squeeze(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        int[] single =
                IntStream.range(0, x.rank()).filter(d -> x.shape()[d] == 1).toArray();
        int[] axes = given(in, 1, NaiveNetwork.ints(node, "axes", single));
        return x.reshape(IntStream.range(0, x.rank())
                .filter(d -> Arrays.stream(axes).noneMatch(a -> x.axis(a) == d))
                .map(d -> x.shape()[d])
                .toArray());
    }

    static NaiveTensor unsqueeze(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor x = in.get(0);
        int[] axes = given(in, 1, NaiveNetwork.ints(node, "axes", new int[0]));
        int[] shape = new int[x.rank() + axes.length];
        for (int a : axes) {
            shape[a < 0 ? a + shape.length : a] = 1;
        }
        int from = 0;
        for (int d = 0; d < shape.length; d++) {
            shape[d] = shape[d] == 1 ? 1 : x.shape()[from++];
        }
        return x.reshape(shape);
    }

    static NaiveTensor expand(NaiveTensor x, int... wanted) {
        int[] shape = NaiveOps.broadcast(x.shape(), wanted);
        double[] y = new double[NaiveTensor.size(shape)];
        for (int i = 0; i < y.length; i++) {
            y[i] = x.values()[NaiveOps.source(i, shape, x.shape())];
        }
        return new NaiveTensor(x.type(), y, shape);
    }

    static NaiveTensor range(NaiveTensor start, NaiveTensor limit, NaiveTensor step) {
        double from = start.values()[0];
        double by = step.values()[0];
        int n = (int) Math.max(0, Math.ceil((limit.values()[0] - from) / by));
        double[] y = IntStream.range(0, n).mapToDouble(i -> from + i * by).toArray();
        return new NaiveTensor(start.type(), y, n);
    }

    static NaiveTensor constantOfShape(NodeProto node, int... shape) {
        NaiveTensor value = NaiveNetwork.find(node, "value")
                .map(a -> NaiveTensor.of(a.getT()))
                .orElse(NaiveTensor.zeros(1));
        double[] y = new double[NaiveTensor.size(shape)];
        Arrays.fill(y, value.values()[0]);
        return new NaiveTensor(value.type(), y, shape);
    }

    /** Pads and value are attributes before opset 11, inputs since. Negative pads cut. */
    static NaiveTensor pad(NodeProto node, List<NaiveTensor> in) {
        NaiveTensor y = in.get(0);
        int[] pads = given(in, 1, NaiveNetwork.ints(node, "pads", new int[0]));
        int[] axes = given(in, 3, IntStream.range(0, y.rank()).toArray());
        String mode = NaiveNetwork.text(node, "mode", "constant");
        double filler =
                in.size() > 2 && in.get(2) != null ? in.get(2).values()[0] : NaiveNetwork.real(node, "value", 0);
        for (int i = 0; i < axes.length; i++) {
            int axis = y.axis(axes[i]);
            int n = y.shape()[axis];
            int[] positions = IntStream.range(-pads[i], n + pads[axes.length + i])
                    .map(k -> padded(mode, k, n))
                    .toArray();
            y = take(y, axis, filler, positions);
        }
        return y;
    }

    private static int padded(String mode, int k, int n) {
        if (k >= 0 && k < n) {
            return k;
        }
        return switch (mode) {
            case "constant" -> -1;
            case "edge" -> k < 0 ? 0 : n - 1;
            case "reflect" -> k < 0 ? -k : 2 * (n - 1) - k;
            default -> throw new IllegalArgumentException("Pad of mode " + mode);
        };
    }
}
