package dev.rebias.device.cpu;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import dev.rebias.device.Device;
import dev.rebias.device.DeviceInfo;
import dev.rebias.device.ErrorMoments;
import dev.rebias.device.MembersInTurn;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.Transfers;
import dev.rebias.error.UnsupportedException;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The device that every machine has. Its memory is the host's, so nothing is ever transferred. */
public final class CpuDevice implements Device {
    private final MemoryUse memory = new MemoryUse();

    @Override
    public DeviceInfo info() {
        return new DeviceInfo("cpu", processorName(), false);
    }

    private static String processorName() {
        Path cpuinfo = Path.of("/proc/cpuinfo");
        String fallback = System.getProperty("os.arch");
        if (!Files.isReadable(cpuinfo)) {
            return fallback;
        }
        try (var lines = Files.lines(cpuinfo, StandardCharsets.UTF_8)) {
            return lines.filter(l -> l.startsWith("model name"))
                    .map(l -> l.substring(l.indexOf(':') + 1).strip())
                    .findFirst()
                    .orElse(fallback);
        } catch (IOException e) {
            return fallback + " (" + e.getMessage() + ")";
        }
    }

    @Override
    public Tensor upload(HostTensor values) {
        try {
            return new CpuTensor(memory, values.type(), OnnxRuntime.view(values), Optional.of(values));
        } catch (OrtException e) {
            throw new UnsupportedException(
                    "tensor " + values + " cannot be given to ONNX Runtime: " + OnnxRuntime.reason(e), e);
        }
    }

    @Override
    public HostTensor download(Tensor tensor) {
        OnnxTensor value = ((CpuTensor) tensor).value();
        return OnnxRuntime.copy("result", value);
    }

    @Override
    public PreparedOp prepare(Op op, List<Operand> operands) {
        if (op instanceof LayerOp layer) {
            return PreparedLayer.of(memory, layer, operands);
        }
        if (op instanceof IntegerLayer layer) {
            return PreparedLayer.of(memory, layer, operands);
        }
        if (op instanceof ElementwiseGroup group) {
            return new MembersInTurn(this::prepare, group, operands);
        }
        OnnxOp node = (OnnxOp) op;
        return PreparedQuantizer.of(memory, node, operands).orElseGet(() -> new PreparedNode(memory, node, operands));
    }

    @Override
    public ErrorMoments errorMoments(double[] bias, double[] referenceBias, float[] steps) {
        return new CpuErrorMoments(this, bias, referenceBias, steps);
    }

    @Override
    public Transfers transfers() {
        return new Transfers(0, 0, 0);
    }

    @Override
    public List<String> warnings() {
        return List.of();
    }

    @Override
    public long peakBytes() {
        return memory.peak();
    }

    /** How many tensors have been made here and not closed yet. */
    public long liveTensors() {
        return memory.tensors();
    }

    @Override
    public void close() {
        // Tensors and prepared operations belong to whoever asked for them; the device itself holds nothing.
    }
}
