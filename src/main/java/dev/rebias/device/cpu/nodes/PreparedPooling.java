package dev.rebias.device.cpu.nodes;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.dnnl_forward_inference;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_avg_exclude_padding;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_avg_include_padding;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_forward_primitive_desc_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_pooling_max;

import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.memory.ShapeKey;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.onednn.OneDnn;
import dev.rebias.device.cpu.onednn.Primitive;
import dev.rebias.device.cpu.onednn.PrimitiveSpec;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Pooling;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.dnnl.dnnl_primitive_desc;

/**
 * Pooling of floats by oneDNN, channels last, one sample at a time; other types, and windows that oneDNN does not know,
 * go to ONNX Runtime.
 */
public final class PreparedPooling implements PreparedOp {
    private static final Set<String> GLOBAL = Set.of("GlobalAveragePool", "GlobalMaxPool");

    private final CpuContext context;
    private final OnnxOp op;
    private final PreparedOp otherwise;
    private final Map<ShapeKey, Optional<Form>> forms = new ConcurrentHashMap<>();

    private record Form(Primitive primitive, long[] output) {}

    /**
     * Prepares a pooling operation.
     *
     * @param otherwise what runs it where oneDNN cannot; becomes this object's to close
     */
    public PreparedPooling(CpuContext context, OnnxOp op, PreparedOp otherwise) {
        this.context = context;
        this.op = op;
        this.otherwise = otherwise;
    }

    /** Whether the operation is one of these, with one output. */
    public static boolean admits(OnnxOp op) {
        return op.standard()
                && (GLOBAL.contains(op.type())
                        || op.type().equals("MaxPool")
                        || op.type().equals("AveragePool"))
                && op.node().getOutputCount() == 1;
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        CpuTensor x = (CpuTensor) variables.get(0);
        long[] shape = x.shape();
        if (x.type() != ElementType.FLOAT || shape.length < 3 || shape.length > 5 || shape[0] == 0) {
            return otherwise.run(variables);
        }
        long[] one = shape.clone();
        one[0] = 1;
        Optional<Form> form = forms.computeIfAbsent(new ShapeKey(one), k -> form(one));
        if (form.isEmpty()) {
            return otherwise.run(variables);
        }
        long[] out = form.get().output().clone();
        out[0] = shape[0];
        CpuTensor y = CpuTensor.allocate(context.memory(), ElementType.FLOAT, Layout.CHANNELS_LAST, out);
        try (CpuTensor laid = context.layouts().in(Layout.CHANNELS_LAST, x)) {
            long inBytes = Shape.elements(one) * Float.BYTES;
            long outBytes = Shape.elements(form.get().output()) * Float.BYTES;
            for (long n = 0; n < shape[0]; n++) {
                form.get()
                        .primitive()
                        .execute(context.scratch(), laid.address() + n * inBytes, y.address() + n * outBytes);
            }
            return List.of(y);
        } catch (RuntimeException e) {
            y.close();
            throw e;
        }
    }

    private Optional<Form> form(long[] data) {
        int n = data.length - 2;
        boolean global = GLOBAL.contains(op.type());
        List<Long> ones = Collections.nCopies(n, 1L);
        Pooling pooling = global
                ? new Pooling(
                        op.type().equals("GlobalMaxPool"),
                        new Window(
                                Arrays.stream(data, 2, data.length).boxed().toList(),
                                ones,
                                ones,
                                Collections.nCopies(2 * n, 0L),
                                Window.AutoPad.NOTSET),
                        false,
                        false)
                : Pooling.of(op);
        // Where the last window reaches beyond the padding, what counts as padding is ONNX's own rule.
        if (pooling.ceil() && !pooling.maximum()) {
            return Optional.empty();
        }
        long[] out = pooling.outputShape(data);
        Window window = pooling.window();
        long[] kernel = new long[n];
        long[] strides = new long[n];
        long[] dilations = new long[n];
        long[] before = new long[n];
        long[] behind = new long[n];
        for (int i = 0; i < n; i++) {
            kernel[i] = window.kernel().get(i);
            strides[i] = window.strides().get(i);
            dilations[i] = window.dilations().get(i) - 1;
            before[i] = pooling.begin(i, data[i + 2]);
            behind[i] = (out[i + 2] - 1) * strides[i] + window.extent(i) - before[i] - data[i + 2];
        }
        // oneDNN passes over no data at the front.
        if (Arrays.stream(before).anyMatch(b -> b < 0)) {
            return Optional.empty();
        }
        int algorithm = pooling.maximum()
                ? dnnl_pooling_max
                : pooling.countPadding() ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding;
        context.scratch().stream();
        try (PrimitiveSpec spec = new PrimitiveSpec()) {
            dnnl_primitive_desc description = new dnnl_primitive_desc();
            OneDnn.check(
                    dnnl_pooling_forward_primitive_desc_create(
                            description,
                            OneDnn.engine(),
                            dnnl_forward_inference,
                            algorithm,
                            spec.channelsLast(ElementType.FLOAT, data),
                            spec.channelsLast(ElementType.FLOAT, out),
                            strides,
                            kernel,
                            dilations,
                            before,
                            behind,
                            spec.attributes()),
                    "dnnl_pooling_forward_primitive_desc_create");
            return Optional.of(new Form(new Primitive(description, DNNL_ARG_SRC, DNNL_ARG_DST), out));
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(otherwise::close);
        forms.values().forEach(f -> f.ifPresent(x -> all.add(x.primitive()::close)));
        forms.clear();
        all.close();
    }
}
