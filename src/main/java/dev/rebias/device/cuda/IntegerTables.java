package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the kernels of {@code integer_layer.cuh} read besides a layer's data: its weights, which are the same for all
 * data, and what depends on the data's shape.
 */
final class IntegerTables implements AutoCloseable {
    /** Of every tensor, and of what lies behind another in the same one. */
    private static final long ALIGNMENT = 256;

    private final CudaContext context;
    private final IntegerForm form;
    /** The weights, and behind them the filters' units, in one upload. */
    private final DeviceTensor weights;

    private final long units;
    private final Map<List<Long>, Optional<Shaped>> shapes = new HashMap<>();

    /** For data of one shape. */
    record Shaped(IntegerForm.Geometry geometry, DeviceTensor taps) {}

    IntegerTables(CudaContext context, IntegerForm form, List<IntegerForm.Table> tables) {
        this.context = context;
        this.form = form;
        HostTensor laid = form.laid(tables);
        HostTensor filters = form.filters(tables);
        this.units = (laid.elements() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        HostTensor both = HostTensor.zeros(ElementType.UINT8, units + filters.elements());
        both.bytes().put(laid.bytes()).position(Math.toIntExact(units)).put(filters.bytes());
        this.weights = context.upload(both);
    }

    /** Empty if the kernels cannot take such data. */
    Optional<Shaped> at(long[] data) {
        return shapes.computeIfAbsent(Arrays.stream(data).boxed().toList(), k -> form.at(data)
                .map(g -> new Shaped(g, context.upload(g.taps()))));
    }

    /** A kernel's first arguments: of the layer, and where its data and weights lie. */
    Launch arguments(Shaped shaped, DeviceTensor x) {
        // Addresses first: one may have to wait for its upload.
        long data = x.address();
        long own = weights.address();
        long taps = shaped.taps().address();
        return context.arguments()
                .struct(shaped.geometry().arguments())
                .pointer(data)
                .pointer(own)
                .pointer(taps)
                .pointer(own + units);
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(weights::close);
        shapes.values().forEach(s -> s.ifPresent(one -> all.add(one.taps()::close)));
        shapes.clear();
        all.close();
    }
}
