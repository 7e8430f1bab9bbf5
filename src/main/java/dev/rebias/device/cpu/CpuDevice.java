package dev.rebias.device.cpu;

import dev.rebias.device.BatchSizes;
import dev.rebias.device.CheckedOp;
import dev.rebias.device.ClassSums;
import dev.rebias.device.Device;
import dev.rebias.device.DeviceInfo;
import dev.rebias.device.DeviceLog;
import dev.rebias.device.DeviceMemory;
import dev.rebias.device.ErrorSums;
import dev.rebias.device.Gram;
import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.MembersInTurn;
import dev.rebias.device.Method;
import dev.rebias.device.Operand;
import dev.rebias.device.Parked;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.Transfers;
import dev.rebias.device.UnfoldedSums;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.elementwise.PreparedElementwise;
import dev.rebias.device.cpu.layer.FusedLayer;
import dev.rebias.device.cpu.layer.LayerOperands;
import dev.rebias.device.cpu.layer.PreparedLayer;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.device.cpu.nodes.PreparedConcat;
import dev.rebias.device.cpu.nodes.PreparedNode;
import dev.rebias.device.cpu.nodes.PreparedPooling;
import dev.rebias.device.cpu.nodes.PreparedResize;
import dev.rebias.device.cpu.nodes.PreparedView;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.device.cpu.sums.CpuClassSums;
import dev.rebias.device.cpu.sums.CpuErrorSums;
import dev.rebias.device.cpu.sums.CpuGram;
import dev.rebias.device.cpu.sums.CpuJointGram;
import dev.rebias.device.cpu.sums.CpuUnfoldedSums;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.InTf32;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/**
 * The device that every machine has. Its memory is the host's, so nothing is ever transferred. Other than a device in
 * general, its prepared operations and error moments may be used by several threads at once: each works on batches of
 * its own.
 */
public final class CpuDevice implements Device {
    /**
     * What a layer's output for a batch should take: enough that calls do not matter, and so little that tensors stay
     * in the processor's caches from one operation to the next.
     */
    private static final long BATCH_BYTES = 600 << 10;

    private static final int USUAL_BATCH = 32;

    private static final AtomicInteger LIVE = new AtomicInteger();

    private final CpuContext context = new CpuContext();
    private final AtomicBoolean closed = new AtomicBoolean();
    private final int threads;

    /** A device that uses all processors. */
    public CpuDevice() {
        this(Runtime.getRuntime().availableProcessors());
    }

    /**
     * A device.
     *
     * @param threads how many batches may be worked on at once, at least 1
     */
    public CpuDevice(int threads) {
        this.threads = threads;
        LIVE.incrementAndGet();
    }

    /** How many devices of this process have been made and not closed yet. */
    public static int live() {
        return LIVE.get();
    }

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
    public BatchSizes batches() {
        return new BatchSizes(threads, USUAL_BATCH, BATCH_BYTES);
    }

    @Override
    public DeviceMemory memory() {
        return context.memory();
    }

    @Override
    public Tensor upload(HostValues values) {
        return CpuTensor.of(context.memory(), values.tensor());
    }

    @Override
    public HostTensor download(Tensor tensor) {
        try (CpuTensor plain = context.layouts().in(Layout.PLAIN, (CpuTensor) tensor)) {
            HostTensor out = HostTensor.zeros(plain.type(), plain.shape());
            out.bytes().put(0, plain.elements(), 0, Math.toIntExact(plain.bytes()));
            return out;
        }
    }

    @Override
    public PreparedOp prepare(Op op, List<Operand> operands) {
        Op own = InTf32.without(op);
        return new CheckedOp(this, own, operands, prepareUnchecked(own, operands));
    }

    private PreparedOp prepareUnchecked(Op op, List<Operand> operands) {
        if (op instanceof LayerOp || op instanceof IntegerLayer) {
            return PreparedLayer.of(context, LayerOperands.of(op, operands));
        }
        if (op instanceof ElementwiseGroup group) {
            return elementwise(group, operands);
        }
        if (op instanceof LayerGroup after) {
            return new FusedLayer(context, after, operands, inTurn(after, operands));
        }
        OnnxOp node = (OnnxOp) op;
        Optional<PreparedOp> view = PreparedView.of(context, node, operands);
        if (view.isPresent()) {
            return view.get();
        }
        PreparedOp any = new PreparedNode(context, node, operands);
        if (ElementwiseGroup.admits(node)) {
            ElementwiseGroup alone = new ElementwiseGroup(
                    operands.size(),
                    List.of(new ElementwiseGroup.Member(node, numbers(operands))),
                    List.of(operands.size()));
            return new PreparedElementwise(context, alone, operands, any);
        }
        if (PreparedConcat.admits(node)) {
            return new PreparedConcat(context, node, operands.size(), any);
        }
        if (PreparedResize.admits(node)) {
            return new PreparedResize(context, node, operands, any);
        }
        return PreparedPooling.admits(node) ? new PreparedPooling(context, node, any) : any;
    }

    private LayerThenGroup inTurn(LayerGroup op, List<Operand> operands) {
        PreparedOp layer =
                PreparedLayer.of(context, LayerOperands.of(op.layer(), LayerThenGroup.ofLayer(op, operands)));
        try {
            PreparedOp group = elementwise(op.group(), LayerThenGroup.ofGroup(op, operands));
            return new LayerThenGroup(layer, group, LayerThenGroup.position(op, operands));
        } catch (RuntimeException | Error e) {
            layer.close();
            throw e;
        }
    }

    private PreparedElementwise elementwise(ElementwiseGroup group, List<Operand> operands) {
        boolean alone =
                group.members().size() == 1 && group.members().get(0).inputs().equals(numbers(operands));
        PreparedOp otherwise = alone
                ? new PreparedNode(context, group.members().get(0).op(), operands)
                : new MembersInTurn(this::prepare, group, operands);
        return new PreparedElementwise(context, group, operands, otherwise);
    }

    /** The inputs of a group's only member that has the group's operands in order. */
    private static List<Integer> numbers(List<Operand> operands) {
        return IntStream.range(0, operands.size())
                .map(i -> operands.get(i) instanceof Operand.Absent ? ElementwiseGroup.Member.ABSENT : i)
                .boxed()
                .toList();
    }

    @Override
    public Parked park(Tensor tensor) {
        CpuTensor t = (CpuTensor) tensor;
        HostTensor own = new HostTensor(t.type(), t.shape(), t.elements());
        Layout layout = t.layout();
        return new Parked(own, false, elements -> {
            CpuTensor again = CpuTensor.allocate(context.memory(), elements.type(), layout, elements.shape());
            again.elements().put(0, elements.bytes(), 0, Math.toIntExact(again.bytes()));
            return again;
        });
    }

    @Override
    public ErrorSums errorSums(LayerOp op, int channels, boolean difference, boolean perSample) {
        return new CpuErrorSums(context, op, channels, difference, perSample);
    }

    @Override
    public ClassSums classSums(LayerOp op, long[] weights, Optional<ElementType> dataType, long zero) {
        return new CpuClassSums(context, op, weights, dataType, zero);
    }

    @Override
    public Optional<Gram> gram(WeightError layer, boolean joint, boolean perSample) {
        return Optional.of(
                joint ? new CpuJointGram(context, layer, perSample) : new CpuGram(context, layer, perSample));
    }

    @Override
    public UnfoldedSums unfoldedSums(WeightError layer, boolean joint) {
        return new CpuUnfoldedSums(context, layer, joint);
    }

    @Override
    public boolean prefers(Method method, WeightError layer) {
        return switch (method) {
            case ERRORS, ERRORS_OF_INPUT, CLASS_SUMS, UNFOLDED -> false;
            case GRAM -> CpuGram.suits(layer);
            case JOINT_GRAM -> CpuJointGram.suits(layer);
        };
    }

    @Override
    public boolean prefersRunningAgain(WeightError layer) {
        return PreparedLayer.isCheap(layer);
    }

    @Override
    public DeviceLog log() {
        return new DeviceLog(new Transfers(0, 0, 0), List.of());
    }

    /** How many tensors have been made here and not closed yet. */
    public long liveTensors() {
        return context.memory().tensors();
    }

    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            LIVE.decrementAndGet();
        }
        context.close();
    }
}
