package dev.rebias.device.cuda;

import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.op.OnnxOp;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Runs an operation on the host: arithmetic on shapes belongs there; anything else that ends here has no form for the
 * card, its tensors travel both ways, and {@link Traffic} keeps account of that for a warning.
 */
final class HostFallback implements PreparedOp {
    /** What the operations that have no form for the card have cost, by op type. */
    static final class Traffic {
        private record Cost(long runs, long bytes) {}

        private final Map<String, Cost> costs = new TreeMap<>();

        private void add(String type, long bytes) {
            costs.merge(type, new Cost(1, bytes), (a, b) -> new Cost(a.runs() + b.runs(), a.bytes() + b.bytes()));
        }

        /** One sentence per op type. */
        List<String> warnings() {
            return costs.entrySet().stream()
                    .map(e -> e.getKey() + " has no form for the GPU and ran on the host "
                            + e.getValue().runs() + (e.getValue().runs() == 1 ? " time" : " times")
                            + ": " + e.getValue().bytes() + " bytes went there and back")
                    .toList();
        }
    }

    private final CudaContext context;
    private final Traffic traffic;
    private final OnnxOp op;
    private final PreparedOp prepared;

    HostFallback(CudaContext context, Traffic traffic, OnnxOp op, List<Operand> operands) {
        this.context = context;
        this.traffic = traffic;
        this.op = op;
        this.prepared = context.host().prepare(op, operands);
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        CpuDevice host = context.host();
        long bytes = 0;
        List<Tensor> inputs = new ArrayList<>();
        List<Tensor> brought = new ArrayList<>();
        try {
            for (Tensor t : variables) {
                if (t instanceof DeviceTensor d) {
                    Tensor copy = host.upload(context.download(d));
                    brought.add(copy);
                    inputs.add(copy);
                    bytes += d.bytes();
                } else {
                    inputs.add(((HostResident) t).tensor());
                }
            }
            boolean onHostOnly = brought.isEmpty();
            List<Tensor> outputs = new ArrayList<>();
            List<Tensor> results = prepared.run(inputs);
            try {
                for (Tensor result : results) {
                    if (onHostOnly || !CudaContext.onDevice(result.type())) {
                        outputs.add(new HostResident(host, result));
                    } else {
                        outputs.add(context.upload(host.download(result)));
                        bytes += result.bytes();
                        result.close();
                    }
                }
            } catch (RuntimeException e) {
                outputs.forEach(Tensor::close);
                results.forEach(Tensor::close);
                throw e;
            }
            if (!onHostOnly) {
                traffic.add(op.type(), bytes);
            }
            return outputs;
        } finally {
            brought.forEach(Tensor::close);
        }
    }

    @Override
    public void close() {
        prepared.close();
    }
}
