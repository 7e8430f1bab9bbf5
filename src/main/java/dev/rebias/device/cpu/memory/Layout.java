package dev.rebias.device.cpu.memory;

/** In which order a tensor's elements lie in memory. */
public enum Layout {
    /** Row-major: the last dimension runs fastest. */
    PLAIN {
        @Override
        public long[] strides(long... shape) {
            long[] strides = new long[shape.length];
            long next = 1;
            for (int i = shape.length - 1; i >= 0; i--) {
                strides[i] = next;
                next *= Math.max(1, shape[i]);
            }
            return strides;
        }
    },

    /**
     * Dimension 1 runs fastest, then the others as in row-major: what convolutions work on (oneDNN calls it nhwc), and
     * where a vector along channels lines up with memory.
     */
    CHANNELS_LAST {
        @Override
        public long[] strides(long... shape) {
            long[] strides = new long[shape.length];
            strides[1] = 1;
            long next = Math.max(1, shape[1]);
            for (int i = shape.length - 1; i >= 2; i--) {
                strides[i] = next;
                next *= Math.max(1, shape[i]);
            }
            strides[0] = next;
            return strides;
        }
    };

    /** The strides of a dense tensor of that shape, in elements. */
    public abstract long[] strides(long... shape);

    /** Whether both layouts of a tensor of that shape are the same. */
    static boolean indifferent(long... shape) {
        if (shape.length < 3 || shape[1] == 1) {
            return true;
        }
        for (int i = 2; i < shape.length; i++) {
            if (shape[i] != 1) {
                return false;
            }
        }
        return true;
    }
}
