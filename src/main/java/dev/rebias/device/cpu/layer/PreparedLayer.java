package dev.rebias.device.cpu.layer;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_get_size;
import static org.bytedeco.dnnl.global.dnnl.dnnl_reorder_primitive_desc_create;

import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.elementwise.PostOps;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.memory.NativeMemory;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.device.cpu.onednn.Primitive;
import dev.rebias.device.cpu.onednn.PrimitiveSpec;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive_desc;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A layer by oneDNN: scale and bias ride along as post-ops. Of floats a primitive is for one unit of work, one entry of
 * the data's axis 0, whatever the batch size: so equal samples give equal bits in batches of every size. Sums of
 * integers are exact in any order, and a primitive does a whole batch.
 */
public abstract class PreparedLayer implements PreparedOp {
    /**
     * For how many shapes of a whole batch there may be a primitive; each has its own copy of the weights. Threads that
     * come at the same time count as several.
     */
    private static final int WHOLE_BATCHES = 16;

    /** So many products for each output are few. */
    private static final int FEW_PRODUCTS = 32;

    private final CpuContext context;
    private final LayerOperands operands;
    private final Layout layout;
    private final Optional<PostOps> postOps;
    private final boolean bytes;
    private final Map<ShapeKey, Form> forms = new ConcurrentHashMap<>();
    /** How often a whole batch of a shape that was not known came. */
    private final AtomicInteger whole = new AtomicInteger();

    /**
     * All that a primitive is described with: whether it takes a zero point, how many scales and biases, whether the
     * data have their border already.
     */
    private record Description(
            LayerOp op,
            ShapeKey weights,
            Types types,
            ShapeKey data,
            boolean zero,
            Optional<Long> scales,
            Optional<Long> biases,
            boolean padded,
            Optional<PostOps> postOps) {}

    /** Of what brings weights into the order in which a primitive wants them. */
    private record Arrangement(Description of) {}

    private boolean hasZero(Types types) {
        return !types.floats() && operands.zero().orElseThrow() != 0;
    }

    /** The primitive for data of one shape. */
    private final class Form {
        private final Types types;
        private final long[] unit;
        private final Primitive primitive;
        private final BytePointer weights;
        private final List<BytePointer> vectors = new ArrayList<>();
        private final long[] output;
        private final Optional<Padding> padding;
        private final Resources owned = new Resources();

        Form(Types types, long[] unit) {
            this.types = types;
            this.unit = unit.clone();
            output = operands.op().outputShape(unit, operands.weights().shape());
            padding = types.floats() ? Optional.empty() : padding(unit, output);
            try {
                if (hasZero(types)) {
                    HostTensor zero = HostTensor.zeros(ElementType.INT32, 1);
                    zero.bytes().putInt(0, Math.toIntExact(operands.zero().orElseThrow()));
                    own(copy(zero));
                }
                operands.scale().ifPresent(s -> own(copy(s)));
                operands.bias().ifPresent(b -> own(copy(b)));
                Description description = new Description(
                        operands.op(),
                        new ShapeKey(operands.weights().shape()),
                        types,
                        new ShapeKey(unit),
                        hasZero(types),
                        operands.scale().map(HostTensor::elements),
                        operands.bias().map(HostTensor::elements),
                        padding.isPresent(),
                        postOps);
                primitive = context.primitives().take(description, this::describe);
                owned.add(() -> context.primitives().give(description));
                weights = arranged(description);
            } catch (RuntimeException | Error e) {
                owned.close();
                throw e;
            }
        }

        private Primitive describe() {
            context.scratch().stream(); // primitives are made for as many threads as will run them: one
            long[] shape = operands.weights().shape();
            try (PrimitiveSpec spec = new PrimitiveSpec()) {
                List<Integer> arguments = new ArrayList<>(List.of(DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST));
                if (hasZero(types)) {
                    arguments.add(spec.less());
                }
                factor().ifPresent(spec::times);
                // With floats oneDNN has no scales of its own.
                operands.scale()
                        .ifPresent(s -> arguments.add(
                                types.floats() ? spec.times(vector(spec, s)) : spec.timesWeights(channelDimensions())));
                operands.bias().ifPresent(b -> arguments.add(spec.plus(vector(spec, b))));
                postOps.ifPresent(t -> arguments.addAll(
                        t.append(spec, alongChannels(spec, operands.op().channels(shape)), alongChannels(spec, 1))));
                return new Primitive(
                        PreparedLayer.this.describe(
                                spec, types, padding.map(Padding::shape).orElse(unit), output, padding.isPresent()),
                        operands.op().channels(shape),
                        arguments.stream().mapToInt(Integer::intValue).toArray());
            }
        }

        private void own(BytePointer vector) {
            vectors.add(vector);
            owned.add(() -> Pointer.free(vector));
        }

        private dnnl_memory_desc vector(PrimitiveSpec spec, HostTensor values) {
            return alongChannels(spec, values.elements());
        }

        private dnnl_memory_desc alongChannels(PrimitiveSpec spec, long values) {
            int rank = rank(output);
            return spec.alongChannels(rank, operands.op().channelAxis(rank), values);
        }

        /** The weights as the primitive wants them. */
        private BytePointer arranged(Description described) {
            dnnl_memory_desc wanted = primitive.memory(DNNL_ARG_WEIGHTS);
            BytePointer to = NativeMemory.allocate(dnnl_memory_desc_get_size(wanted), "a layer's weights");
            owned.add(() -> Pointer.free(to));
            Arrangement key = new Arrangement(described);
            Primitive reorder = context.primitives().take(key, () -> {
                dnnl_primitive_desc description = new dnnl_primitive_desc();
                try (PrimitiveSpec spec = new PrimitiveSpec()) {
                    OneDnn.check(
                            dnnl_reorder_primitive_desc_create(
                                    description,
                                    weights(spec),
                                    OneDnn.engine(),
                                    wanted,
                                    OneDnn.engine(),
                                    spec.attributes()),
                            "dnnl_reorder_primitive_desc_create");
                }
                return new Primitive(description, DNNL_ARG_SRC, DNNL_ARG_DST);
            });
            try (BytePointer from = new BytePointer(operands.weights().bytes())) {
                reorder.execute(context.scratch(), from.address(), to.address());
            } finally {
                context.primitives().give(key);
            }
            return to;
        }

        void run(ThreadScratch scratch, long from, long to, long... others) {
            long[] addresses = new long[3 + vectors.size() + others.length];
            addresses[0] = padding.isPresent() ? padding.get().apply(scratch, from) : from;
            addresses[1] = weights.address();
            addresses[2] = to;
            for (int i = 0; i < vectors.size(); i++) {
                addresses[3 + i] = vectors.get(i).address();
            }
            System.arraycopy(others, 0, addresses, 3 + vectors.size(), others.length);
            primitive.execute(scratch, addresses);
        }

        void close() {
            owned.close();
        }
    }

    /**
     * What a primitive multiplies: floats, or integers of 8 bits, of which processors that have an instruction for it
     * multiply and add up four times as many at once. Either way the sums of integers are exact, up to 2^24 here and
     * 2^31 there.
     */
    record Types(ElementType data, ElementType weights) {
        static final Types FLOATS = new Types(ElementType.FLOAT, ElementType.FLOAT);

        boolean floats() {
            return equals(FLOATS);
        }
    }

    private Form form(long[] data) {
        if (!bytes) {
            long[] unit = unit(data);
            return forms.computeIfAbsent(new ShapeKey(unit), k -> new Form(Types.FLOATS, unit));
        }
        // Batches have one size, but for the last. Where they have more, all but the first are done unit by unit, too.
        Form known = forms.get(new ShapeKey(data));
        if (known != null) {
            return known;
        }
        long[] shape = whole.getAndIncrement() < WHOLE_BATCHES ? data : unit(data);
        return forms.computeIfAbsent(
                new ShapeKey(shape), k -> ofBytes(shape).orElseGet(() -> new Form(Types.FLOATS, unit(shape))));
    }

    /** A primitive that multiplies bytes, if oneDNN has a fast one. */
    private Optional<Form> ofBytes(long[] data) {
        return fast(new Form(new Types(operands.dataType().orElseThrow(), ElementType.INT8), data));
    }

    /** A primitive that multiplies one sample's floats, if oneDNN has a fast one. */
    private Optional<Form> ofFloats(long[] data) {
        return fast(new Form(Types.FLOATS, unit(data)));
    }

    private static Optional<Form> fast(Form form) {
        if (form.primitive.isFast()) {
            return Optional.of(form);
        }
        form.close();
        return Optional.empty();
    }

    /**
     * Makes ready to multiply data of this shape as they are, bytes of a whole batch or floats; false if oneDNN has no
     * fast primitive for that.
     */
    final boolean prepare(long[] data) {
        Optional<Form> form = operands.dataType().isEmpty() ? ofFloats(data) : bytes ? ofBytes(data) : Optional.empty();
        form.ifPresent(f -> forms.put(new ShapeKey(data), f));
        return form.isPresent();
    }

    /**
     * Multiplies data that lie as the layer wants them, of a shape for which that is {@linkplain #prepare prepared}.
     *
     * @param others the addresses of what the post-ops take
     */
    final void run(long[] data, long from, long to, long... others) {
        compute(forms.get(new ShapeKey(data)), context.scratch(), data, from, to, others);
    }

    private static BytePointer copy(HostTensor values) {
        long size = values.elements() * values.type().bytes();
        BytePointer to = NativeMemory.allocate(size, "a layer's scales and biases");
        try (BytePointer from = new BytePointer(values.bytes())) {
            Pointer.memcpy(to, from, size);
        }
        return to;
    }

    /**
     * Prepares a layer.
     *
     * @param layout how the operation wants its data, and leaves its output
     * @param postOps what is done to its output
     */
    PreparedLayer(CpuContext context, LayerOperands operands, Layout layout, Optional<PostOps> postOps) {
        this.context = context;
        this.operands = operands;
        this.layout = layout;
        this.postOps = postOps;
        this.bytes = OneDnn.multipliesBytes() && operands.areBytes();
    }

    /**
     * Whether the layer is a convolution of bytes with so few products for each output that memory, not the processor,
     * decides how long it takes; depthwise ones are, and first ones of images.
     */
    public static boolean isCheap(WeightError layer) {
        long[] shape = layer.shape();
        return OneDnn.multipliesBytes()
                && layer.dataType().isPresent()
                && layer.op() instanceof Convolution
                && Shape.elements(shape) / shape[0] <= FEW_PRODUCTS;
    }

    public static PreparedLayer of(CpuContext context, LayerOperands operands) {
        return operands.op() instanceof Convolution || operands.op() instanceof TransposedConvolution
                ? new PreparedConvolution(context, operands, Optional.empty())
                : new PreparedProduct(context, operands);
    }

    final LayerOperands operands() {
        return operands;
    }

    /** The rank of the primitive's output. */
    abstract int rank(long[] output);

    /** What the sum is multiplied by before all else. */
    abstract Optional<Float> factor();

    final Optional<PostOps> postOps() {
        return postOps;
    }

    /**
     * Describes the primitive for data and output of these shapes, data and weights of these types. Padded data have
     * their border already.
     */
    abstract dnnl_primitive_desc describe(PrimitiveSpec spec, Types types, long[] data, long[] output, boolean padded);

    /** Which of the weights' dimensions, as oneDNN sees them, are the output's channels: a bit each. */
    abstract int channelDimensions();

    /** The border that bytes of data need around them before oneDNN has them. */
    abstract Optional<Padding> padding(long[] data, long[] output);

    /** How the weights lie in the operand. */
    abstract dnnl_memory_desc weights(PrimitiveSpec spec);

    /** The shape of one unit of work: one sample, for an operation that works on each alone. */
    long[] unit(long[] data) {
        long[] one = data.clone();
        one[0] = 1;
        return one;
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        CpuTensor x = (CpuTensor) variables.get(0);
        long[] data = x.shape();
        long[] out = operands.op().outputShape(data, operands.weights().shape());
        CpuTensor y = CpuTensor.allocate(context.memory(), ElementType.FLOAT, layout, out);
        try {
            if (Shape.elements(out) > 0) {
                compute(x, data, y);
            }
            return List.of(y);
        } catch (UnsupportedException e) {
            y.close();
            throw new UnsupportedException(operands.text(data) + ": " + e.getMessage(), e);
        } catch (RuntimeException | Error e) {
            y.close();
            throw e;
        }
    }

    private void compute(CpuTensor x, long[] data, CpuTensor y) {
        Form form = form(data);
        ThreadScratch scratch = context.scratch();
        if (!form.types.floats()) {
            compute(form, scratch, data, context.layouts().bytes(x, layout), y.address());
        } else if (operands.zero().isPresent()) {
            long from = context.layouts().expanded(x, layout, operands.zero().get());
            compute(form, scratch, data, from, y.address());
        } else {
            try (CpuTensor laid = context.layouts().in(layout, x)) {
                compute(form, scratch, data, laid.address(), y.address());
            }
        }
    }

    private void compute(Form form, ThreadScratch scratch, long[] data, long from, long to, long... others) {
        long units = data[0] / form.unit[0];
        long inBytes = Shape.elements(form.unit) * form.types.data().bytes();
        long outBytes = Shape.elements(form.output)
                * postOps.map(PostOps::type).orElse(ElementType.FLOAT).bytes();
        for (long n = 0; n < units; n++) {
            form.run(scratch, from + n * inBytes, to + n * outBytes, others);
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        forms.values().forEach(f -> all.add(f::close));
        forms.clear();
        all.close();
    }
}
