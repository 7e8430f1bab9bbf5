package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.bytedeco.cuda.cublas.cublasContext;
import org.bytedeco.cuda.cudart.CUctx_st;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.cudnn.cudnnContext;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.SizeTPointer;

/** A card in use: its context, two streams (compute, uploads), memory, kernels, and the handles of cuDNN and cuBLAS. One thread only. */
final class CudaContext implements AutoCloseable {
    /** What is left to others of the card's free memory: cuDNN and cuBLAS allocate some of their own. */
    private static final double POOL_SHARE = 0.85;

    private static final int RESULTS = 1 << 20;

    private final Resources resources = new Resources();
    private final Counters counters = new Counters();
    private final String name;
    private final CUstream_st compute = new CUstream_st();
    private final CUstream_st uploads = new CUstream_st();
    private final cudnnContext cudnnHandle = new cudnnContext();
    private final cublasContext cublasHandle = new cublasContext();
    private final FloatPointer one = new FloatPointer(1f);
    private final FloatPointer zero = new FloatPointer(0f);
    private Kernels kernels;
    private MemoryPool pool;
    private Events events;
    private PinnedRing ring;
    private Launch launch;
    /** Pinned memory for results: what has been allocated, the last piece of it, and how much of that is used. */
    private final Resources resultChunks = new Resources();

    private Pointer results;
    private long resultsUsed;
    /** How much was put on the compute stream that the host will read, and up to where it is known to be done. */
    private long sent;

    private long seen;

    /**
     * Takes a card into use.
     *
     * @throws CudaException if it fails
     */
    CudaContext(CudaCards.Card card) {
        int ordinal = card.ordinal();
        name = card.name();
        resources.add(one::close);
        resources.add(zero::close);
        try {
            CUctx_st context = new CUctx_st();
            Status.cuda(cudart.cuDevicePrimaryCtxRetain(context, ordinal), "cuDevicePrimaryCtxRetain", name);
            resources.add(() -> Status.cuda(cudart.cuDevicePrimaryCtxRelease(ordinal), "cuDevicePrimaryCtxRelease"));
            Status.cuda(cudart.cuCtxSetCurrent(context), "cuCtxSetCurrent");
            stream(compute);
            stream(uploads);
            Status.cudnn(cudnn.cudnnCreate(cudnnHandle), "cudnnCreate", name);
            resources.add(() -> Status.cudnn(cudnn.cudnnDestroy(cudnnHandle), "cudnnDestroy", ""));
            Status.cudnn(cudnn.cudnnSetStream(cudnnHandle, compute), "cudnnSetStream", "");
            Status.cublas(cublas.cublasCreate_v2(cublasHandle), "cublasCreate", name);
            resources.add(() -> Status.cublas(cublas.cublasDestroy_v2(cublasHandle), "cublasDestroy", ""));
            Status.cublas(cublas.cublasSetStream_v2(cublasHandle, compute), "cublasSetStream", "");
            // True float32: cuBLAS uses TF32 only where CUBLAS_TF32_TENSOR_OP_MATH allows it.
            Status.cublas(cublas.cublasSetMathMode(cublasHandle, cublas.CUBLAS_DEFAULT_MATH), "cublasSetMathMode", "");
            kernels = new Kernels(new Compiler(card.architecture(), Compiler.cache()));
            resources.add(kernels::close);
            boolean single = "none".equals(System.getProperty("rebias.cuda.pool"));
            pool = single
                    ? MemoryPool.single(() -> synchronise(compute))
                    : MemoryPool.of((long) (freeMemory() * POOL_SHARE));
            resources.add(pool::close);
            events = new Events();
            resources.add(events::close);
            ring = new PinnedRing(counters, events);
            resources.add(ring::close);
            resources.add(resultChunks::close);
            launch = new Launch(compute);
            resources.add(launch::close);
            // First of all when it ends: nothing is given back under work that is still to be done.
            resources.add(() -> synchronise(uploads));
            resources.add(() -> synchronise(compute));
        } catch (RuntimeException e) {
            try {
                resources.close();
            } catch (RuntimeException more) {
                e.addSuppressed(more);
            }
            throw e;
        }
    }

    private void stream(CUstream_st stream) {
        Status.cuda(cudart.cuStreamCreate(stream, cudart.CU_STREAM_NON_BLOCKING), "cuStreamCreate");
        resources.add(() -> Status.cuda(cudart.cuStreamDestroy(stream), "cuStreamDestroy"));
    }

    private void synchronise(CUstream_st stream) {
        counters.synchronisations++;
        Status.cuda(cudart.cuStreamSynchronize(stream), "cuStreamSynchronize");
    }

    /** Waits for all that was put on the compute stream. */
    void synchronise() {
        synchronise(compute);
    }

    /** The stream that everything but uploads runs on. */
    CUstream_st computeStream() {
        return compute;
    }

    private static long freeMemory() {
        try (SizeTPointer free = new SizeTPointer(1);
                SizeTPointer total = new SizeTPointer(1)) {
            Status.cuda(cudart.cuMemGetInfo(free, total), "cuMemGetInfo");
            return free.get();
        }
    }

    String name() {
        return name;
    }

    Counters counters() {
        return counters;
    }

    MemoryPool pool() {
        return pool;
    }

    Kernels kernels() {
        return kernels;
    }

    cudnnContext cudnn() {
        return cudnnHandle;
    }

    cublasContext cublas() {
        return cublasHandle;
    }

    /** The factor 1, where cuDNN and cuBLAS take one. */
    FloatPointer one() {
        return one;
    }

    /** The factor 0, where cuDNN and cuBLAS take one. */
    FloatPointer zero() {
        return zero;
    }

    /** A kernel of {@code cuda-kernels/}. */
    CUfunc_st kernel(String file, String kernel) {
        return kernels.get(file, kernel);
    }

    /** A new list of kernel arguments. There is one at a time. */
    Launch arguments() {
        return launch.begin();
    }

    /**
     * Sends a tensor to the card without waiting. The copy has a stream of its own: it waits for what the compute stream was given so far, which
     * may still use the block, and the compute stream waits for it when the tensor is first used.
     */
    DeviceTensor upload(HostTensor values) {
        ByteBuffer bytes = values.bytes();
        MemoryPool.Block block = pool.allocate(bytes.capacity(), "a tensor " + values);
        try {
            events.await(uploads, events.record(compute));
            ring.send(bytes, block.address(), uploads);
            return DeviceTensor.uploading(this, values.type(), values.shape(), block, events.record(uploads));
        } catch (RuntimeException e) {
            block.close();
            throw e;
        }
    }

    /** Lets the compute stream wait for an upload. */
    void await(CUevent_st event) {
        events.await(compute, event);
    }

    /** Fills memory with zeros, on the compute stream. */
    void clear(long address, long bytes) {
        Status.cuda(cudart.cuMemsetD8Async(address, (byte) 0, bytes, compute), "cuMemsetD8Async", bytes + " bytes");
    }

    /** Bytes on their way back to the host. */
    final class Returned implements AutoCloseable {
        private final Pointer memory;
        private final boolean own;
        private final long bytes;
        private final long ticket;
        private boolean closed;

        private Returned(long from, long bytes) {
            this.bytes = bytes;
            own = bytes > RESULTS / 4;
            memory = own ? pinned(bytes) : result(bytes);
            try {
                Status.cuda(
                        cudart.cuMemcpyDtoHAsync(memory, from, bytes, compute), "cuMemcpyDtoHAsync", bytes + " bytes");
            } catch (RuntimeException e) {
                if (own) {
                    free(memory);
                }
                throw e;
            }
            counters.deviceToHostBytes += bytes;
            ticket = ++sent;
        }

        /** The bytes, after waiting for them if nothing has yet. */
        ByteBuffer get() {
            settle();
            return new BytePointer(memory).capacity(bytes).asByteBuffer().order(ByteOrder.nativeOrder());
        }

        private void settle() {
            if (seen < ticket) {
                synchronise(compute);
                seen = sent;
            }
        }

        @Override
        public void close() {
            if (!closed) {
                closed = true;
                if (own) {
                    try (Resources freed = new Resources()) {
                        freed.add(() -> free(memory));
                        // Nothing may still be on its way there.
                        freed.add(this::settle);
                    }
                }
            }
        }
    }

    private static Pointer pinned(long bytes) {
        try (PointerPointer<Pointer> to = new PointerPointer<>(1)) {
            Status.cuda(cudart.cuMemHostAlloc(to, bytes, 0), "cuMemHostAlloc", bytes + " bytes for results");
            return to.get();
        }
    }

    private static void free(Pointer pinned) {
        Status.cuda(cudart.cuMemFreeHost(pinned), "cuMemFreeHost");
    }

    /** Pinned memory for a layer's results, which stays until the context ends: allocating it each time costs more than the copy. */
    private Pointer result(long bytes) {
        if (results == null || resultsUsed + bytes > RESULTS) {
            Pointer chunk = pinned(RESULTS);
            resultChunks.add(() -> free(chunk));
            results = chunk;
            resultsUsed = 0;
        }
        Pointer place = new Address(results.address() + resultsUsed);
        resultsUsed += (bytes + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
        return place;
    }

    /** Begins to bring bytes back to the host. */
    Returned bring(long from, long bytes) {
        return new Returned(from, bytes);
    }

    /** Brings a tensor back to the host, and waits for it. */
    HostTensor download(DeviceTensor tensor) {
        HostTensor values = HostTensor.zeros(tensor.type(), tensor.shape());
        if (tensor.bytes() > 0) {
            try (Returned bytes = bring(tensor.address(), tensor.bytes())) {
                values.bytes().put(bytes.get());
            }
        }
        return values;
    }

    /** Whether a type of elements is one that kernels work on. */
    static boolean onDevice(ElementType type) {
        return type == ElementType.FLOAT || type == ElementType.UINT8 || type == ElementType.INT8;
    }

    /** A null-terminated text of the driver. */
    static String text(byte[] bytes) {
        int end = 0;
        while (end < bytes.length && bytes[end] != 0) {
            end++;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        resources.close();
    }
}
