package dev.rebias.device.cuda;

import dev.rebias.device.Tensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.Shape;
import java.util.Optional;
import org.bytedeco.cuda.cudart.CUevent_st;

/** A tensor in the card's memory, dense, row-major. Several tensors may share one block, as a reshaped one does. */
final class DeviceTensor implements Tensor {
    /**
     * A block with the number of tensors that share it, and the upload that fills it, until something has waited for
     * that.
     */
    private static final class Storage {
        private final CudaContext context;
        private final MemoryPool.Block block;
        private final boolean uploaded;
        private int users = 1;
        private Optional<CUevent_st> upload;

        Storage(CudaContext context, MemoryPool.Block block, Optional<CUevent_st> upload) {
            this.context = context;
            this.block = block;
            this.upload = upload;
            this.uploaded = upload.isPresent();
        }

        void close() {
            if (uploaded) {
                context.used(block);
            } else {
                block.close();
            }
        }

        /** Lets the compute stream wait for the upload, if nothing has yet. */
        void awaitUpload() {
            if (upload.isPresent()) {
                CUevent_st event = upload.get();
                upload = Optional.empty();
                context.await(event);
            }
        }
    }

    private final ElementType type;
    private final long[] shape;
    private final Storage storage;
    private final long offset;
    private boolean closed;

    private DeviceTensor(ElementType type, long[] shape, Storage storage, long offset) {
        this.type = type;
        this.offset = offset;
        this.shape = shape.clone();
        this.storage = storage;
    }

    /** A new tensor whose values are whatever was there before. */
    static DeviceTensor allocate(CudaContext context, ElementType type, long... shape) {
        return of(context, type, shape, Optional.empty());
    }

    /** A new tensor that the event's upload fills. */
    static DeviceTensor uploading(
            CudaContext context, ElementType type, long[] shape, MemoryPool.Block block, CUevent_st upload) {
        return new DeviceTensor(type, shape, new Storage(context, block, Optional.of(upload)), 0);
    }

    private static DeviceTensor of(CudaContext context, ElementType type, long[] shape, Optional<CUevent_st> upload) {
        long bytes = Math.multiplyExact(Shape.elements(shape), (long) type.bytes());
        MemoryPool.Block block = context.pool().allocate(bytes, "a tensor " + type + Shape.text(shape));
        return new DeviceTensor(type, shape, new Storage(context, block, upload), 0);
    }

    /** The same values under another shape. */
    DeviceTensor reshape(long... newShape) {
        requireOpen();
        if (Shape.elements(newShape) != elements()) {
            throw new IllegalArgumentException(this + " cannot be seen as " + Shape.text(newShape));
        }
        storage.users++;
        return new DeviceTensor(type, newShape, storage, offset);
    }

    /** Part of the same values: {@code count} rows along axis 0 from {@code first} on. */
    DeviceTensor rows(long first, long count) {
        requireOpen();
        if (first < 0 || count < 0 || first + count > shape[0]) {
            throw new IllegalArgumentException(this + " has no rows " + first + " to " + (first + count));
        }
        long[] part = shape.clone();
        part[0] = count;
        storage.users++;
        return new DeviceTensor(
                type, part, storage, offset + first * Shape.elements(shape, 1, shape.length) * type.bytes());
    }

    /** Where it lies, for work on the compute stream. */
    long address() {
        requireOpen();
        storage.awaitUpload();
        return storage.block.address() + offset;
    }

    long elements() {
        return Shape.elements(shape);
    }

    @Override
    public ElementType type() {
        return type;
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException(this + " is used after it was closed");
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (--storage.users == 0) {
            // Whoever gets the block next is ordered by the compute stream, and so must this upload be.
            storage.awaitUpload();
            storage.close();
        }
    }

    @Override
    public String toString() {
        return "tensor " + type + Shape.text(shape);
    }
}
