package dev.rebias.tensor;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * A FLOAT tensor as bytes and what each byte stands for: a quarter of the memory, for those who pass it on. Seen as
 * [outer, channels, inner], {@code value[o, c, i] = table[256 c + code[offset + o outerStride + c channelStride + i
 * innerStride]]}, codes as numbers from 0 to 255.
 */
public final class CodedTensor implements HostValues {
    /** How many values a byte can have. */
    public static final int CODES = 256;

    /**
     * Where codes lie.
     *
     * @param outer how many rows of channels there are
     * @param channels how many parts of the table there are
     * @param inner how many values in a row share a channel
     * @param outerStride how far apart rows lie among the codes; the other strides likewise, of any sign
     * @param offset where the code of the first value lies
     */
    public record Order(
            long outer, int channels, long inner, long outerStride, long channelStride, long innerStride, long offset) {
        /** The order of the tensor itself. */
        public static Order same(long outer, int channels, long inner) {
            return new Order(outer, channels, inner, channels * inner, inner, 1, 0);
        }

        private Order withOuter(long rows) {
            return new Order(rows, channels, inner, outerStride, channelStride, innerStride, offset);
        }
    }

    private final long[] shape;
    private final HostTensor codes;
    private final Order order;
    private final float[] table;
    /** The table as a tensor, once somebody wanted it. */
    private Optional<HostTensor> tableTensor = Optional.empty();

    /**
     * Takes codes and a table, which nobody may write to any more; tensors may share a table.
     *
     * @param shape of as many elements as there are codes
     * @param codes UINT8 or INT8 of any shape
     * @param table {@link #CODES} values for each channel
     * @throws IllegalArgumentException if sizes do not fit
     */
    public CodedTensor(long[] shape, HostTensor codes, Order order, float[] table) {
        long elements = Shape.elements(shape);
        if (codes.type().bytes() != 1
                || codes.elements() != elements
                || order.outer() * order.channels() * order.inner() != elements
                || table.length != CODES * order.channels()) {
            throw new IllegalArgumentException("codes " + codes + " in " + order + " with a table of " + table.length
                    + " values are no tensor of shape " + Shape.text(shape));
        }
        this.shape = shape.clone();
        this.codes = codes;
        this.order = order;
        this.table = table;
    }

    @Override
    public ElementType type() {
        return ElementType.FLOAT;
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    @Override
    public long storedBytes() {
        return codes.storedBytes();
    }

    public HostTensor codes() {
        return codes;
    }

    public Order order() {
        return order;
    }

    /** What codes stand for, as a FLOAT tensor [channels, 256] that nobody may write to; always the same one. */
    public synchronized HostTensor table() {
        if (tableTensor.isEmpty()) {
            tableTensor = Optional.of(HostTensor.of(table, order.channels(), CODES));
        }
        return tableTensor.get();
    }

    /**
     * Whether another one's codes could follow this one's: its rows are as long, lie the same way, and its codes stand
     * for the same.
     */
    public boolean continuesWith(CodedTensor next) {
        return order.withOuter(0).equals(next.order.withOuter(0))
                && order.outerStride() == order.channels() * order.inner()
                && codes.type() == next.codes.type()
                && Arrays.equals(table, next.table);
    }

    /** More or fewer rows of the same kind; they lie as this tensor's do. */
    public CodedTensor withCodes(long[] newShape, HostTensor newCodes) {
        long rows = newCodes.elements() / (order.channels() * order.inner());
        return new CodedTensor(newShape, newCodes, order.withOuter(rows), table);
    }

    @Override
    public HostTensor tensor() {
        HostTensor values = HostTensor.zeros(ElementType.FLOAT, shape);
        FloatBuffer to = values.floats();
        ByteBuffer from = codes.bytes();
        // One row at a time: an array of its own is what the compiler makes fast loops of.
        float[] row = new float[Math.toIntExact(order.channels() * order.inner())];
        for (long o = 0; o < order.outer(); o++) {
            int k = 0;
            for (int c = 0; c < order.channels(); c++) {
                long at = order.offset() + o * order.outerStride() + c * order.channelStride();
                for (long i = 0; i < order.inner(); i++, at += order.innerStride()) {
                    row[k++] = table[CODES * c + Byte.toUnsignedInt(from.get((int) at))];
                }
            }
            to.put(row);
        }
        return values;
    }

    @Override
    public String toString() {
        return "coded " + type() + Shape.text(shape);
    }
}
