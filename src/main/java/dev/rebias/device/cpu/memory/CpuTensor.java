package dev.rebias.device.cpu.memory;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import dev.rebias.device.Tensor;
import dev.rebias.error.UnsupportedException;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Optional;

/**
 * A tensor in host memory: in a block of the device's, or in what ONNX Runtime has allocated until somebody wants its
 * elements.
 */
public final class CpuTensor implements Tensor {
    private final HostMemory memory;
    private final ElementType type;
    private final long[] shape;
    private final Layout layout;
    private Optional<HostMemory.Block> block;
    private Optional<OnnxTensor> value;
    /** What it takes of ONNX Runtime's memory. */
    private final long elsewhere;

    private boolean closed;

    private CpuTensor(
            HostMemory memory,
            ElementType type,
            long[] shape,
            Layout layout,
            Optional<HostMemory.Block> block,
            Optional<OnnxTensor> value) {
        this.memory = memory;
        this.type = type;
        this.shape = shape.clone();
        this.layout = Layout.indifferent(shape) ? Layout.PLAIN : layout;
        this.block = block;
        this.value = value;
        this.elsewhere = value.isPresent() ? bytes() : 0;
        memory.add(elsewhere);
    }

    /** A new tensor, its elements not set. */
    public static CpuTensor allocate(HostMemory memory, ElementType type, Layout layout, long... shape) {
        HostMemory.Block block = memory.allocate(Math.multiplyExact(Shape.elements(shape), (long) type.bytes()));
        return new CpuTensor(memory, type, shape, layout, Optional.of(block), Optional.empty());
    }

    /** A copy of values. */
    public static CpuTensor of(HostMemory memory, HostTensor values) {
        CpuTensor copy = allocate(memory, values.type(), Layout.PLAIN, values.shape());
        copy.elements().put(0, values.bytes(), 0, Math.toIntExact(copy.bytes()));
        return copy;
    }

    /** A tensor that ONNX Runtime has made; it becomes this object's. */
    public static CpuTensor of(HostMemory memory, ElementType type, OnnxTensor value) {
        return new CpuTensor(
                memory, type, value.getInfo().getShape(), Layout.PLAIN, Optional.empty(), Optional.of(value));
    }

    /** The same elements, in the same memory and order, under another shape; a tensor of its own. */
    public CpuTensor reshape(Layout newLayout, long... newShape) {
        HostMemory.Block shared = block().share();
        return new CpuTensor(memory, type, newShape, newLayout, Optional.of(shared), Optional.empty());
    }

    @Override
    public ElementType type() {
        return type;
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    public int rank() {
        return shape.length;
    }

    public Layout layout() {
        return layout;
    }

    /** Whether the elements lie in that order, or in one that is the same for this shape. */
    public boolean lies(Layout wanted) {
        return layout == wanted || Layout.indifferent(shape);
    }

    private HostMemory.Block block() {
        requireOpen();
        if (block.isEmpty()) {
            HostMemory.Block copy = memory.allocate(bytes());
            if (bytes() > 0) {
                copy.buffer().put(0, value.orElseThrow().getByteBuffer(), 0, Math.toIntExact(bytes()));
            }
            block = Optional.of(copy);
        }
        return block.get();
    }

    public long address() {
        return block().address();
    }

    /** The elements, in the tensor's own layout; for absolute access. */
    public ByteBuffer elements() {
        return block().buffer();
    }

    /** The same as floats. */
    public FloatBuffer floats() {
        return block().buffer().duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer();
    }

    /** The tensor as ONNX Runtime uses it; only for a plain one. It lives as long as this tensor. */
    public OnnxTensor value() {
        requireOpen();
        if (value.isEmpty()) {
            if (!lies(Layout.PLAIN)) {
                throw new IllegalStateException(this + " does not lie in the order that ONNX Runtime knows");
            }
            try {
                value = Optional.of(OnnxRuntime.view(new HostTensor(type, shape, elements())));
            } catch (OrtException e) {
                throw new UnsupportedException(this + " cannot be given to ONNX Runtime: " + OnnxRuntime.reason(e), e);
            }
        }
        return value.get();
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException(this + " is used after it was closed");
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            value.ifPresent(OnnxTensor::close);
            block.ifPresent(HostMemory.Block::release);
            memory.remove(elsewhere);
        }
    }

    @Override
    public String toString() {
        return "tensor " + type + Shape.text(shape);
    }
}
