package dev.rebias.device.cuda;

import dev.rebias.device.DeviceMemory;
import dev.rebias.device.Resources;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
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

/**
 * A card in use: its context, two streams (compute, uploads), memory, kernels, and the handles of cuDNN and cuBLAS. For
 * one thread at a time, whichever: all calls of the driver and the libraries go through here, where the card's context
 * is made current first.
 */
final class CudaContext implements AutoCloseable {
    /** What is left to others of the card's free memory: cuDNN and cuBLAS allocate some of their own. */
    private static final double POOL_SHARE = 0.85;

    private static final int RESULTS = 1 << 20;
    /** The kernel file that makes floats of samples stored as bytes. */
    static final String DECODE = "decode.cu";

    private final Resources resources = new Resources();
    private final Counters counters = new Counters();
    private final String name;
    private final CUctx_st context;
    private final long libraryElements;
    private final CUstream_st compute = new CUstream_st();
    private final CUstream_st uploads = new CUstream_st();
    private final cudnnContext cudnnHandle = new cudnnContext();
    private final cublasContext cublasHandle = new cublasContext();
    private final CpuDevice host = new CpuDevice();
    private final FloatPointer one = new FloatPointer(1f);
    private final FloatPointer zero = new FloatPointer(0f);
    private Kernels kernels;
    private MemoryPool pool;
    private Events events;
    private UploadBlocks uploadBlocks;
    private PinnedRing ring;
    private Launch launch;
    private Launch decoding;
    /**
     * Pinned memory for results, used from the first piece on: which piece is in use, how much of it, and how many
     * results there are that are not closed.
     */
    private final List<Pointer> resultChunks = new ArrayList<>();

    private int resultChunk;
    private long resultsUsed;
    private int resultsOpen;
    /** How much was put on the compute stream that the host will read, and up to where it is known to be done. */
    private long sent;

    private long seen;

    /**
     * Takes a card into use.
     *
     * @throws CudaException if it fails
     */
    CudaContext(CudaCards.Card card) {
        this(card, Integer.MAX_VALUE);
    }

    /**
     * The same with another bound of the libraries' tensors.
     *
     * @param libraryElements how many elements a tensor may have that cuDNN or a matrix that cuBLAS is given; more go
     *     in parts
     */
    CudaContext(CudaCards.Card card, long libraryElements) {
        this(card, PrimaryContexts.of(card), libraryElements);
    }

    private CudaContext(CudaCards.Card card, CUctx_st context, long libraryElements) {
        this.libraryElements = libraryElements;
        name = card.name();
        this.context = context;
        resources.add(host::close);
        resources.add(one::close);
        resources.add(zero::close);
        try {
            enter();
            // Before the streams, so that it goes after them: nothing is freed under work that is still to be done.
            boolean single = "none".equals(System.getProperty("rebias.cuda.pool"));
            pool = single
                    ? MemoryPool.single(() -> synchronise(compute))
                    : MemoryPool.of(
                            poolBytes(),
                            card.emulated() ? (address, bytes) -> fill(address, 0xff, bytes) : (address, bytes) -> {});
            resources.add(pool::close);
            stream(compute);
            stream(uploads);
            Status.cudnn(cudnn.cudnnCreate(cudnnHandle), "cudnnCreate", name);
            resources.add(() -> Status.cudnn(cudnn.cudnnDestroy(cudnnHandle), "cudnnDestroy", ""));
            Status.cudnn(cudnn.cudnnSetStream(cudnnHandle, compute), "cudnnSetStream", "");
            Status.cublas(cublas.cublasCreate_v2(cublasHandle), "cublasCreate", name);
            resources.add(() -> Status.cublas(cublas.cublasDestroy_v2(cublasHandle), "cublasDestroy", ""));
            Status.cublas(cublas.cublasSetStream_v2(cublasHandle, compute), "cublasSetStream", "");
            mathMode(cublas.CUBLAS_DEFAULT_MATH);
            kernels = new Kernels(new Compiler(card.architecture(), Compiler.cache()));
            resources.add(kernels::close);
            events = new Events();
            resources.add(events::close);
            uploadBlocks = new UploadBlocks(pool, events, compute, uploads);
            ring = new PinnedRing(counters, events);
            resources.add(ring::close);
            resources.add(this::freeResults);
            launch = new Launch(compute);
            resources.add(launch::close);
            decoding = new Launch(uploads);
            resources.add(decoding::close);
            // Then, when it ends: nothing is given back under work that is still to be done.
            resources.add(() -> synchronise(uploads));
            resources.add(() -> synchronise(compute));
            resources.add(this::enter);
        } catch (RuntimeException | Error e) {
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

    /**
     * Makes the card's context current on the calling thread, whichever thread that is, and whatever else it has used
     * in between.
     */
    private void enter() {
        Status.cuda(cudart.cuCtxSetCurrent(context), "cuCtxSetCurrent", name);
    }

    private void synchronise(CUstream_st stream) {
        enter();
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

    /** What is wanted, where this process shares the card with others; else what is free but for a rest. */
    private static long poolBytes() {
        long wanted = Long.getLong("rebias.cuda.pool", Long.MAX_VALUE);
        return Math.min(wanted, (long) (freeMemory() * POOL_SHARE));
    }

    String name() {
        return name;
    }

    Counters counters() {
        return counters;
    }

    /** The CPU device that holds what stays on the host, and runs what has no form for the card. */
    CpuDevice host() {
        return host;
    }

    MemoryPool pool() {
        enter();
        return pool;
    }

    /** What the pool says of itself, for which the card is not needed. */
    DeviceMemory memory() {
        return pool;
    }

    Kernels kernels() {
        enter();
        return kernels;
    }

    cudnnContext cudnn() {
        enter();
        return cudnnHandle;
    }

    cublasContext cublas() {
        enter();
        return cublasHandle;
    }

    /** How many elements a tensor may have that cuDNN is given, and rows a matrix of cuBLAS: they count in ints. */
    long libraryElements() {
        return libraryElements;
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
        return kernels().get(file, kernel);
    }

    /** A new list of kernel arguments. There is one at a time. */
    Launch arguments() {
        enter();
        return launch.begin();
    }

    /** Lets cuBLAS round factors to TF32 in what this does; else it computes in true float32. */
    void inTf32(Runnable product) {
        mathMode(cublas.CUBLAS_TF32_TENSOR_OP_MATH);
        try {
            product.run();
        } finally {
            mathMode(cublas.CUBLAS_DEFAULT_MATH);
        }
    }

    private void mathMode(int mode) {
        Status.cublas(cublas.cublasSetMathMode(cublasHandle, mode), "cublasSetMathMode", "");
    }

    /**
     * Sends a tensor to the card without waiting. The copy has a stream of its own: it waits for the work that may
     * still use the block (the compute stream's so far, less where more is known of it), and the compute stream waits
     * for it when the tensor is first used.
     */
    DeviceTensor upload(HostTensor values) {
        return upload(values, values.bytes().capacity(), block -> ring.send(values.bytes(), block.address(), uploads));
    }

    /**
     * The same for values stored as bytes, which go up as such, with their table behind them; the upload stream makes
     * floats of them.
     */
    DeviceTensor upload(CodedTensor values) {
        ByteBuffer codes = values.codes().bytes();
        ByteBuffer table = values.table().bytes();
        CodedTensor.Order order = values.order();
        long elements = values.codes().elements();
        // On a multiple of 256, as every tensor.
        long behind = (elements + 255) / 256 * 256;
        if (elements == 0) {
            return upload(values.tensor());
        }
        return upload(values, elements * Float.BYTES, block -> {
            MemoryPool.Block stored = uploadBlocks.stage(behind + table.capacity());
            try (Resources after = new Resources()) {
                after.add(() -> uploadBlocks.staged(stored));
                ring.send(codes, stored.address(), uploads);
                ring.send(table, stored.address() + behind, uploads);
                decoding.begin()
                        .pointer(stored.address())
                        .pointer(stored.address() + behind)
                        .pointer(block.address())
                        .int64(elements)
                        .int64(order.channels())
                        .int64(order.inner())
                        .int64(order.outerStride())
                        .int64(order.channelStride())
                        .int64(order.innerStride())
                        .int64(order.offset())
                        .over(kernel(DECODE, "decode"), "decode", elements);
            }
        });
    }

    private DeviceTensor upload(HostValues values, long bytes, Consumer<MemoryPool.Block> send) {
        enter();
        Optional<UploadBlocks.Held> held = uploadBlocks.take(bytes);
        MemoryPool.Block block =
                held.map(UploadBlocks.Held::block).orElseGet(() -> pool.allocate(bytes, "a tensor " + values));
        try {
            if (held.isPresent()) {
                events.await(uploads, held.get().used());
            } else if (!block.fresh()) {
                events.await(uploads, events.record(compute));
            }
            send.accept(block);
            return DeviceTensor.uploading(this, values.type(), values.shape(), block, events.record(uploads));
        } catch (RuntimeException | Error e) {
            try {
                block.close();
            } catch (RuntimeException more) {
                e.addSuppressed(more);
            }
            throw e;
        }
    }

    /** An event at the present end of the compute stream. */
    CUevent_st mark() {
        enter();
        return events.record(compute);
    }

    /** Takes over the block of an upload that nobody uses any more. */
    void used(MemoryPool.Block block) {
        enter();
        uploadBlocks.keep(block);
    }

    /** Lets the compute stream wait for an upload. */
    void await(CUevent_st event) {
        enter();
        events.await(compute, event);
    }

    /** Fills memory with zeros, on the compute stream. */
    void clear(long address, long bytes) {
        fill(address, 0, bytes);
    }

    private void fill(long address, int value, long bytes) {
        enter();
        Status.cuda(cudart.cuMemsetD8Async(address, (byte) value, bytes, compute), "cuMemsetD8Async", bytes + " bytes");
    }

    /** Bytes on their way back to the host. */
    final class Returned implements AutoCloseable {
        private final Pointer memory;
        private final boolean own;
        private final long bytes;
        private final long ticket;
        private boolean closed;

        private Returned(long from, long bytes) {
            enter();
            this.bytes = bytes;
            own = bytes > RESULTS / 4;
            memory = own ? pinned(bytes) : result(bytes);
            try {
                Status.cuda(
                        cudart.cuMemcpyDtoHAsync(memory, from, bytes, compute), "cuMemcpyDtoHAsync", bytes + " bytes");
            } catch (RuntimeException | Error e) {
                if (own) {
                    try {
                        free(memory);
                    } catch (RuntimeException | Error alsoFailed) {
                        e.addSuppressed(alsoFailed);
                    }
                }
                throw e;
            }
            counters.deviceToHostBytes += bytes;
            ticket = ++sent;
            if (!own) {
                resultsOpen++;
            }
        }

        /** The bytes, after waiting for them if nothing has yet. */
        ByteBuffer get() {
            if (closed) {
                throw new IllegalStateException(bytes + " bytes of results are read after they were closed");
            }
            settle();
            return new BytePointer(memory).capacity(bytes).asByteBuffer().order(ByteOrder.nativeOrder());
        }

        /** The same as doubles. */
        double[] doubles(int n) {
            double[] values = new double[n];
            get().asDoubleBuffer().get(values);
            return values;
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
                        freed.add(CudaContext.this::enter);
                    }
                } else if (--resultsOpen == 0) {
                    // What comes next is ordered behind what was on its way here.
                    resultChunk = 0;
                    resultsUsed = 0;
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

    private void freeResults() {
        try (Resources all = new Resources()) {
            resultChunks.forEach(chunk -> all.add(() -> free(chunk)));
            resultChunks.clear();
        }
    }

    /**
     * Pinned memory for a layer's results, which stays until the context ends: allocating it each time costs more than
     * the copy.
     */
    private Pointer result(long bytes) {
        if (resultsUsed + bytes > RESULTS) {
            resultChunk++;
            resultsUsed = 0;
        }
        if (resultChunk == resultChunks.size()) {
            Pointer chunk = pinned(RESULTS);
            resultChunks.add(chunk);
        }
        Pointer place = new Address(resultChunks.get(resultChunk).address() + resultsUsed);
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
