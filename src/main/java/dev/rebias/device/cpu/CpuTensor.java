package dev.rebias.device.cpu;

import ai.onnxruntime.OnnxTensor;
import dev.rebias.device.Tensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.Optional;

/** A tensor in host memory: in a buffer of ours, which Java loops can reach, or in one that ONNX Runtime has allocated. */
final class CpuTensor implements Tensor {
    private final MemoryUse memory;
    private final ElementType type;
    private final long[] shape;
    private final OnnxTensor value;
    private final Optional<HostTensor> storage;
    private boolean closed;

    CpuTensor(MemoryUse memory, ElementType type, OnnxTensor value, Optional<HostTensor> storage) {
        this.memory = memory;
        this.type = type;
        this.shape = value.getInfo().getShape().clone();
        this.value = value;
        this.storage = storage;
        memory.add(bytes());
    }

    @Override
    public ElementType type() {
        return type;
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /** The tensor as ONNX Runtime uses it. */
    OnnxTensor value() {
        requireOpen();
        return value;
    }

    /** The elements in place, if they lie in a buffer of ours; else a copy. */
    FloatBuffer floats() {
        requireOpen();
        return storage.map(HostTensor::floats).orElseGet(value::getFloatBuffer);
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
            value.close();
            memory.remove(bytes());
        }
    }

    @Override
    public String toString() {
        return "tensor " + type + Shape.text(shape);
    }
}
