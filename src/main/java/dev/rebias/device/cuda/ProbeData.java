package dev.rebias.device.cuda;

import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.util.Random;

/** What the probe puts on a card and takes back. */
final class ProbeData {
    private ProbeData() {}

    /** Whole numbers from -largest to largest. */
    static float[] integers(Random random, int n, int largest) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = random.nextInt(2 * largest + 1) - largest;
        }
        return values;
    }

    static float[] reals(Random random, int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** One sample, {@code batch} times, as float32 or int8. */
    static DeviceTensor upload(CudaContext context, float[] sample, int batch, boolean bytes) {
        if (!bytes) {
            float[] all = new float[sample.length * batch];
            for (int n = 0; n < batch; n++) {
                System.arraycopy(sample, 0, all, n * sample.length, sample.length);
            }
            return context.upload(HostTensor.of(all, all.length));
        }
        HostTensor all = HostTensor.zeros(ElementType.INT8, (long) sample.length * batch);
        ByteBuffer to = all.bytes();
        for (int i = 0; i < sample.length * batch; i++) {
            to.put(i, (byte) sample[i % sample.length]);
        }
        return context.upload(all);
    }

    /** {@code n} values of float32 from the {@code offset}th on. */
    static float[] floats(CudaContext context, DeviceTensor from, long offset, int n) {
        float[] values = new float[n];
        try (CudaContext.Returned back = context.bring(from.address() + offset * Float.BYTES, (long) n * Float.BYTES)) {
            back.get().asFloatBuffer().get(values);
        }
        return values;
    }

    /** {@code n} values of int32 from the {@code offset}th on. */
    static int[] ints(CudaContext context, DeviceTensor from, long offset, int n) {
        int[] values = new int[n];
        try (CudaContext.Returned back =
                context.bring(from.address() + offset * Integer.BYTES, (long) n * Integer.BYTES)) {
            back.get().asIntBuffer().get(values);
        }
        return values;
    }
}
