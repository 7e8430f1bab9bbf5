package dev.rebias.model;

import dev.rebias.model.Layers.Link;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Two layers in normal form: padding, a linear operation, then scale and shift per output channel, in whatever nodes
 * each file spells it. The chains behind both are laid side by side, their ends being one tensor of the network unless
 * the weights say otherwise, and the float layer is then read as the quantised file spells its own, up to the place of
 * the quantised layer's bias.
 */
final class NormalForm {
    /**
     * By how much worse than the best explanation of the weights' sizes another one may be and still count as equal.
     */
    private static final double RELATIVE = 1.3;

    private static final double ABSOLUTE = 0.02;
    /** The same in units of what rounding does to them. */
    private static final double NOISE = 1.5;

    private final Layers floatLayers;
    private final Layers quantizedLayers;
    private final Layer f;
    private final List<ChannelStep> fChain;
    private final Layer q;
    private final List<Link> qChain;
    /** How many steps of each chain lie before the place that both have. */
    private int fSteps;

    private int qSteps;
    /** How many steps of the quantised chain the layer's bias comes behind. */
    private final int site;

    private final boolean siteBehindQuantiser;
    private final Likeness.Products products;
    private final double similarity;

    NormalForm(Layers quantizedLayers, Layer q, Layers floatLayers, Layer f) {
        this.floatLayers = floatLayers;
        this.quantizedLayers = quantizedLayers;
        this.f = f;
        this.q = q;
        fChain = floatLayers.chain(f).stream()
                .takeWhile(link -> !link.quantised())
                .map(Link::step)
                .toList();
        qChain = quantizedLayers.chain(q);
        int apart = apart();
        siteBehindQuantiser = apart > 0 && qChain.get(apart - 1).quantised();
        site = apart;
        products = products();
        align();
        similarity = products.similarity(factors(fSteps, qSteps));
    }

    /** Of the weights as they are, or as they would be on the quantised layer's data, whichever are more alike. */
    private Likeness.Products products() {
        Layer plain = behind(f);
        Likeness.Products own = new Likeness.Products(q, plain.weights());
        Inlet before = floatLayers.inlet(f, Set.of());
        Inlet wanted = quantizedLayers.inlet(q, Set.of());
        if (before.likeValuesOf(wanted)) {
            return own;
        }
        Likeness.Products other =
                new Likeness.Products(q, onOtherValues(plain, before, wanted).weights());
        return other.parallelism() > own.parallelism() ? other : own;
    }

    /**
     * The number of steps up to the quantised layer's bias, where it is kept apart; 0 where it is, or would be, the
     * layer's own.
     */
    private int apart() {
        if (q.node().inputs().size() > 2) {
            return 0;
        }
        for (int i = 0; i < qChain.size(); i++) {
            ChannelStep step = qChain.get(i).step();
            if (step.stored().isPresent()) {
                // Behind a quantiser a scale in between would make other numbers of what is measured before it.
                boolean reachable = !qChain.get(i).quantised() || i == 0;
                return reachable ? i + 1 : 0;
            }
            if (step.node().op().type().equals("BatchNormalization")) {
                return 0;
            }
        }
        return 0;
    }

    /** Chooses the places in both chains that are one tensor of the network. */
    private void align() {
        int m = fChain.size();
        int n = qChain.size();
        // What follows alike in both files is left alone: errors are measured before it.
        while (m > 0 && n > 0 && fChain.get(m - 1).sameAs(qChain.get(n - 1).step())) {
            m--;
            n--;
        }
        double best = Double.POSITIVE_INFINITY;
        double[][] mismatch = new double[m + 1][n + 1];
        for (int i = 0; i <= m && m + n > 0; i++) {
            for (int j = 0; j <= n; j++) {
                mismatch[i][j] = products.mismatch(factors(i, j));
                best = Math.min(best, mismatch[i][j]);
            }
        }
        double accepted = Math.max(RELATIVE * best + ABSOLUTE, NOISE * products.noise());
        fSteps = m;
        qSteps = n;
        for (int back = 1; m + n > 0 && mismatch[fSteps][qSteps] > accepted && back <= m + n; back++) {
            for (int i = Math.max(0, m - back); i <= m; i++) {
                int j = m + n - back - i;
                if (j >= 0 && j <= n && mismatch[i][j] <= accepted) {
                    fSteps = i;
                    qSteps = j;
                }
            }
        }
        while (fSteps > 0
                && qSteps > site
                && fChain.get(fSteps - 1).sameAs(qChain.get(qSteps - 1).step())) {
            fSteps--;
            qSteps--;
        }
        // But where the quantised layer's bias lies in what follows alike, errors are measured there.
        while (fSteps == m && qSteps == n && qSteps < site && fSteps < fChain.size()) {
            fSteps = ++m;
            qSteps = ++n;
        }
    }

    /** What the float weights are multiplied by, per channel, if those places are one. */
    private double[] factors(int i, int j) {
        double[] out = new double[q.channels()];
        Arrays.fill(out, 1);
        for (ChannelStep step : fChain.subList(0, i)) {
            for (int c = 0; c < out.length; c++) {
                out[c] *= step.scale()[c];
            }
        }
        for (Link link : qChain.subList(0, j)) {
            for (int c = 0; c < out.length; c++) {
                out[c] = link.step().scale()[c] == 0 ? 0 : out[c] / link.step().scale()[c];
            }
        }
        return out;
    }

    /** How alike the weights are. */
    double similarity() {
        return similarity;
    }

    /** How alike they must be at least. */
    double leastPlausible() {
        return products.leastPlausible();
    }

    /** The nodes of the float model that are read as part of this layer. */
    Set<Node> floatNodes() {
        Set<Node> nodes = Collections.newSetFromMap(new IdentityHashMap<>());
        nodes.addAll(f.nodes());
        fChain.subList(0, fSteps).forEach(step -> nodes.add(step.node()));
        return nodes;
    }

    /** The nodes of the quantised model that are read as part of this layer. */
    Set<Node> quantizedNodes() {
        Set<Node> nodes = Collections.newSetFromMap(new IdentityHashMap<>());
        nodes.addAll(q.nodes());
        qChain.subList(0, Math.max(site, qSteps))
                .forEach(link -> nodes.add(link.step().node()));
        return nodes;
    }

    /** Why two layers are not one. */
    static final class NotOneLayer extends Exception {
        private static final long serialVersionUID = 1L;

        NotOneLayer(String reason) {
            super(reason);
        }
    }

    /**
     * The pair, the float layer in the quantised file's spelling.
     *
     * @param floatTaken nodes of the float model that belong to layers; what lies before this one is read with it as
     *     far as none of them
     * @param quantizedTaken the same of the quantised model
     * @throws NotOneLayer if they do not compute the same but for their weights
     */
    LayerPair pair(Set<Node> floatTaken, Set<Node> quantizedTaken) throws NotOneLayer {
        Inlet before = floatLayers.inlet(f, floatTaken);
        Inlet wanted = quantizedLayers.inlet(q, quantizedTaken);
        Optional<String> difference = q.op().equals(f.op())
                ? Optional.empty()
                : OpForms.difference(q.op(), f.op(), wanted.pads(), before.pads(), floatLayers.spatialSize(f));
        if (difference.isPresent()) {
            throw new NotOneLayer(difference.get());
        }
        if (!q.first().map(Layer.First::op).equals(f.first().map(Layer.First::op))) {
            throw new NotOneLayer("the attributes of its first half differ from the float model's");
        }
        Layer reference = behind(Layers.with(f, fChain.subList(0, fSteps)));
        Layer whole = quantized();
        Bridge.Builder bridge = new Bridge.Builder(f.node());
        Layer data = before(reference, before, wanted, bridge);
        Layer spelt = asSpelt(data, whole, bridge);
        return new LayerPair(whole, spelt, bridge.build(), Likeness.of(whole, spelt));
    }

    /** The quantised layer up to its bias. */
    private Layer quantized() {
        List<ChannelStep> steps =
                qChain.subList(0, site).stream().map(Link::step).toList();
        return siteBehindQuantiser ? Layers.withBiasBehindQuantiser(q, steps.get(0)) : Layers.with(q, steps);
    }

    /** The float layer with the op and the order of weights of the quantised one. */
    private Layer behind(Layer folded) {
        return folded.op().equals(q.op())
                ? folded
                : folded.withOp(
                        q.op(),
                        q.weightShape(),
                        WeightRows.of(folded.op(), folded.weightShape())
                                .reordered(folded.weights(), WeightRows.of(q.op(), q.weightShape())));
    }

    /** The float layer on data like those of the quantised one. */
    private Layer before(Layer layer, Inlet own, Inlet wanted, Bridge.Builder bridge) throws NotOneLayer {
        boolean sameOp = q.op().equals(f.op());
        List<Long> pads = sameOp ? own.pads() : wanted.pads();
        Layer other = own.likeValuesOf(wanted) ? layer : onOtherValues(layer, own, wanted);
        boolean otherValues = !own.likeValuesOf(wanted) && explains(other, layer);
        if (!otherValues && sameOp) {
            return layer;
        }
        boolean shifted = otherValues && !Arrays.equals(other.bias(), layer.bias());
        if (shifted && !OpForms.padsNothing(q.op(), pads)) {
            throw new NotOneLayer(
                    "one of the two models adds a constant to its data before zero padding and the other does not, "
                            + "which no bias says: "
                            + "at the border it is another sum");
        }
        Inlet values = otherValues ? wanted : own;
        int spatial = Math.max(0, q.weightShape().length - 2);
        String data = bridge.scaleAndShift(
                own.source(), values.scale(), values.shift(), values.channelShape(spatial), "data");
        return (otherValues ? other : layer).withData(bridge.pad(data, pads));
    }

    /**
     * Whether one reading of the float layer's data goes better with the quantised layer than another: by the weights,
     * or by the biases where those are equal.
     */
    private boolean explains(Layer one, Layer other) {
        if (!Arrays.equals(one.weights(), other.weights())) {
            return unlikeness(one) <= unlikeness(other);
        }
        Layer whole = quantized();
        double distance = 0;
        for (int c = 0; c < whole.channels() && qSteps == site; c++) {
            distance += Math.abs(one.bias()[c] - whole.bias()[c]) - Math.abs(other.bias()[c] - whole.bias()[c]);
        }
        return distance <= 0;
    }

    private double unlikeness(Layer reference) {
        double[] gain = factors(0, qSteps);
        Likeness.Products products = new Likeness.Products(q, reference.weights());
        return 1 - products.similarity(gain) + products.mismatch(gain);
    }

    /**
     * With x' = g x + h per input channel as the quantised layer has them, and the float layer on s x + t: W (s x + t)
     * = (W s / g) x' + W (t - s h / g).
     */
    private static Layer onOtherValues(Layer layer, Inlet own, Inlet wanted) {
        WeightRows rows = WeightRows.of(layer.op(), layer.weightShape());
        double[] weights = layer.weights().clone();
        double[] bias = layer.bias().clone();
        for (int c = 0; c < rows.channels(); c++) {
            for (int k = 0; k < rows.length(); k++) {
                int input = rows.input(c, k);
                double ratio = wanted.scale()[input] == 0 ? 0 : own.scale()[input] / wanted.scale()[input];
                double shift = own.shift()[input] - ratio * wanted.shift()[input];
                int at = rows.index(c, k);
                bias[c] += rows.factor() * weights[at] * shift;
                weights[at] *= ratio;
            }
        }
        return layer.withWeights(weights, bias);
    }

    /**
     * The float layer in the units of the quantised one at its bias, and what leads from there to the float model's own
     * tensor.
     */
    private Layer asSpelt(Layer layer, Layer whole, Bridge.Builder bridge) {
        if (qSteps == site) {
            return layer;
        }
        int channels = layer.channels();
        double[] gain = new double[channels];
        double[] bias = layer.bias().clone();
        double[] back = new double[channels];
        double[] shift = new double[channels];
        List<ChannelStep> between = qChain.subList(Math.min(site, qSteps), Math.max(site, qSteps)).stream()
                .map(Link::step)
                .toList();
        WeightRows rows = WeightRows.of(layer.op(), layer.weightShape());
        double[] weights = layer.weights().clone();
        for (int c = 0; c < channels; c++) {
            double scale = 1;
            double offset = 0;
            for (ChannelStep step : between) {
                scale *= step.scale()[c];
                offset = step.apply(offset, c);
            }
            // From the bias to the common place y = scale * x + offset, or the other way round.
            boolean forth = site < qSteps;
            gain[c] = forth ? 1 / scale : scale;
            back[c] = 1 / gain[c];
            if (scale == 0) {
                // Nothing that the quantised layer computes in this channel has an effect: there is nothing to correct.
                bias[c] = whole.bias()[c];
                back[c] = 0;
                shift[c] = layer.bias()[c];
                for (int k = 0; k < rows.length(); k++) {
                    weights[rows.index(c, k)] = whole.weights()[rows.index(c, k)];
                }
                continue;
            }
            bias[c] = forth ? (bias[c] - offset) / scale : scale * bias[c] + offset;
            shift[c] = forth ? offset : -offset / scale;
            for (int k = 0; k < rows.length(); k++) {
                weights[rows.index(c, k)] *= gain[c];
            }
        }
        String output = bridge.name("as quantised");
        String made = bridge.scaleAndShift(output, back, shift, layer.biasShape(), "output");
        if (made.equals(output)) {
            return layer.withWeights(weights, bias);
        }
        bridge.end(made, layer.output());
        return layer.withWeights(weights, bias).withOutput(output);
    }
}
