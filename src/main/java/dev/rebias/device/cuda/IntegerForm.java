package dev.rebias.device.cuda;

import dev.rebias.device.Operand;
import dev.rebias.device.WeightError;
import dev.rebias.op.Convolution;
import dev.rebias.op.LayerOp;
import dev.rebias.op.Window;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A convolution over one or two dimensions of 8-bit integers as {@code cuda-kernels/integer_layer.cuh} computes it:
 * which of its kernels, how weights lie for them, and what they are told of a shape.
 *
 * @param weights their shape [filters, channels of a group, kernel..]
 * @param zero the data's zero point
 */
record IntegerForm(Convolution op, long[] weights, ElementType type, long zero) {
    static final String HEADER = "integer_layer.cuh";
    private static final int TILE = Compiler.constant(HEADER, "TILE");
    private static final int STEP = Compiler.constant(HEADER, "STEP");
    /** With fewer filters in a group, tensor cores would mostly multiply padding. */
    private static final int FEW_FILTERS = 16;
    /** Sums of so many products of 8-bit integers fit into 32 bits. */
    private static final long MOST_PRODUCTS = 65_000;
    /** And of so many with weights of 16 bits. */
    private static final long MOST_DIRECT_PRODUCTS = 250;
    /** The kernels keep a kernel's rows and columns in 16 bits. */
    private static final long LONGEST = 1 << 14;
    /** They count a sample's elements and positions in 32, and may begin a tile behind the last. */
    private static final long MOST_ELEMENTS = Integer.MAX_VALUE - 2048;

    /** The form of a layer whose errors are asked for; empty if it has none. */
    static Optional<IntegerForm> of(WeightError layer) {
        return of(layer.op(), layer.shape(), layer.dataType(), layer.zero());
    }

    /** The form of a layer; empty if it has none. */
    static Optional<IntegerForm> of(LayerOp op, long[] weights, Optional<ElementType> type, long zero) {
        if (!(op instanceof Convolution convolution)
                || type.isEmpty()
                || (type.get() != ElementType.UINT8 && type.get() != ElementType.INT8)
                || weights.length < 3
                || weights.length > 4) {
            return Optional.empty();
        }
        IntegerForm form = new IntegerForm(convolution, weights.clone(), type.get(), zero);
        Window window = convolution.window();
        boolean fits = form.products() <= MOST_PRODUCTS;
        for (int i = 0; i < window.kernel().size(); i++) {
            fits &= window.extent(i) < LONGEST && window.strides().get(i) < LONGEST;
        }
        return fits ? Optional.of(form) : Optional.empty();
    }

    /** Whether groups have few filters of few weights, and the layer is computed without tensor cores. */
    boolean direct() {
        return filters() < FEW_FILTERS && products() <= MOST_DIRECT_PRODUCTS;
    }

    /** Of each sum. */
    int products() {
        return Math.toIntExact(Shape.elements(weights, 1, weights.length));
    }

    /** Of each group. */
    int filters() {
        return Math.toIntExact(weights[0] / op.group());
    }

    int channels() {
        return Math.toIntExact(weights[0]);
    }

    private int steps() {
        return (products() + STEP - 1) / STEP;
    }

    private int tiles() {
        return (filters() + TILE - 1) / TILE;
    }

    /** How kernels are named for the data's type. */
    String suffix() {
        return (direct() ? "direct_" : "tile_") + (type == ElementType.UINT8 ? "u8" : "s8");
    }

    /**
     * What the kernels are told of data of one shape.
     *
     * @param arguments the fields of {@code struct IntegerLayer}
     * @param positionTiles into how many tiles a channel's positions fall
     * @param lanes how many positions are stored at once
     * @param taps the places of a sum's products, {@code int2} each
     */
    record Geometry(long[] output, int[] arguments, int positions, int positionTiles, int lanes, HostTensor taps) {}

    /** Empty if the kernels cannot take such data. */
    Optional<Geometry> at(long[] data) {
        long[] out = op.outputShape(data, weights);
        Window window = op.window();
        boolean plane = data.length == 4;
        long height = plane ? data[2] : 1;
        long width = data[data.length - 1];
        long positions = Shape.elements(out, 2, out.length);
        long image = Shape.elements(data, 1, data.length);
        int last = window.kernel().size() - 1;
        long beginHeight = plane ? window.begin(0, height) : 0;
        long beginWidth = window.begin(last, width);
        boolean fits = data[0] <= MOST_ELEMENTS
                && image <= MOST_ELEMENTS
                && positions <= MOST_ELEMENTS
                && Math.abs(beginHeight) < LONGEST
                && Math.abs(beginWidth) < LONGEST;
        if (!fits) {
            return Optional.empty();
        }
        int positionTiles = Math.toIntExact((positions + TILE - 1) / TILE);
        int lanes = positions % 4 == 0 ? 4 : 1;
        int[] arguments = {
            (int) data[0],
            Math.toIntExact(op.group()),
            (int) image,
            (int) (image / op.group()),
            (int) height,
            (int) width,
            (int) out[out.length - 1],
            (int) positions,
            plane ? Math.toIntExact(window.strides().get(0)) : 1,
            Math.toIntExact(window.strides().get(last)),
            (int) beginHeight,
            (int) beginWidth,
            products(),
            steps(),
            filters(),
            tiles(),
            positionTiles,
            (int) zero,
            lanes
        };
        HostTensor taps = taps(height, width, plane);
        return Optional.of(new Geometry(out, arguments, (int) positions, positionTiles, lanes, taps));
    }

    private HostTensor taps(long height, long width, boolean plane) {
        Window window = op.window();
        int last = window.kernel().size() - 1;
        long rows = plane ? window.kernel().get(0) : 1;
        long columns = window.kernel().get(last);
        HostTensor taps = HostTensor.zeros(ElementType.UINT8, 2L * Integer.BYTES * steps() * STEP);
        ByteBuffer to = taps.bytes();
        for (int k = 0; k < steps() * STEP; k++) {
            long channel = k / (rows * columns);
            long down = k / columns % rows * (plane ? window.dilations().get(0) : 1);
            long right = k % columns * window.dilations().get(last);
            // Behind the last product weights are 0, whatever they are multiplied by.
            boolean there = k < products();
            to.putInt(there ? Math.toIntExact((channel * height + down) * width + right) : 0);
            to.putInt(there ? (int) (down << 16 | right) : 0);
        }
        to.clear();
        return taps;
    }

    /** How many blocks compute the outputs of such data. */
    long outputBlocks(Geometry g) {
        long items = (long) g.arguments()[0] * channels() * (g.positions() / g.lanes());
        return direct() ? (items + Launch.THREADS - 1) / Launch.THREADS : tileBlocks(g);
    }

    /** How many blocks of tiles such data are. */
    long tileBlocks(Geometry g) {
        return (long) g.arguments()[0] * g.positionTiles() * op.group() * tiles();
    }

    /** One table of weights, whole numbers, of which a kernel may have several: its planes of digits. */
    record Table(IntegerDigits digits, int planes) {}

    /**
     * Weights that are whole numbers, with as few digits as they need.
     *
     * @param scale what a sum is multiplied by in each channel, or absent
     * @return empty if they are none, or sums of them might not fit into 32 bits
     */
    Optional<Table> table(HostTensor values, Operand scale) {
        float[] w = new float[Math.toIntExact(values.elements())];
        values.floats().get(w);
        double[] units = new double[channels()];
        for (int c = 0; c < units.length; c++) {
            units[c] = scale instanceof Operand.Constant s ? s.value().floats().get(c) : 1;
        }
        return IntStream.rangeClosed(1, 2)
                .boxed()
                .flatMap(planes -> IntegerDigits.exact(w, units, planes).map(d -> new Table(d, planes)).stream())
                .findFirst();
    }

    /** The tables' weights as the kernels read them. */
    HostTensor laid(List<Table> tables) {
        return direct() ? inRows(tables) : inTiles(tables);
    }

    private HostTensor inRows(List<Table> tables) {
        int each = products();
        HostTensor rows = HostTensor.zeros(ElementType.UINT8, (long) channels() * each * tables.size() * Integer.BYTES);
        ByteBuffer to = rows.bytes();
        for (int i = 0; i < channels() * each; i++) {
            for (Table table : tables) {
                to.putInt(table.digits().value(i));
            }
        }
        to.clear();
        return rows;
    }

    private HostTensor inTiles(List<Table> tables) {
        int planes = tables.stream().mapToInt(Table::planes).sum();
        long bytes = op.group() * tiles() * steps() * planes * TILE * STEP;
        HostTensor all = HostTensor.zeros(ElementType.UINT8, bytes);
        ByteBuffer to = all.bytes();
        int[] digits = new int[planes];
        for (int c = 0; c < channels(); c++) {
            int filter = c % filters();
            long tile = (long) (c / filters()) * tiles() + filter / TILE;
            for (int k = 0; k < products(); k++) {
                int next = 0;
                for (Table table : tables) {
                    next = IntegerDigits.split(table.digits().value(c * products() + k), table.planes(), digits, next);
                }
                for (int p = 0; p < planes; p++) {
                    long at = ((tile * steps() + k / STEP) * planes + p) * TILE * STEP
                            + (long) (filter % TILE) * STEP
                            + k % STEP;
                    to.put(Math.toIntExact(at), (byte) digits[p]);
                }
            }
        }
        return all;
    }

    /** What the tables' sums stand for: {@code struct Filter} [tables, channels]. */
    HostTensor filters(List<Table> tables) {
        HostTensor rows =
                HostTensor.zeros(ElementType.UINT8, (long) tables.size() * channels() * (Long.BYTES + Double.BYTES));
        ByteBuffer to = rows.bytes();
        for (Table table : tables) {
            for (int c = 0; c < channels(); c++) {
                // Without tensor cores the zero point is subtracted from every value.
                to.putLong(direct() ? 0 : zero * table.digits().sum(c));
                to.putDouble(table.digits().unit(c));
            }
        }
        to.clear();
        return rows;
    }
}
