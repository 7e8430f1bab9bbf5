package dev.rebias.device.cuda;

import dev.rebias.device.BatchSizes;
import dev.rebias.device.CheckedOp;
import dev.rebias.device.ClassSums;
import dev.rebias.device.Device;
import dev.rebias.device.DeviceInfo;
import dev.rebias.device.DeviceLog;
import dev.rebias.device.DeviceMemory;
import dev.rebias.device.ErrorSums;
import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.MembersInTurn;
import dev.rebias.device.Method;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.Transfers;
import dev.rebias.device.UnfoldedSums;
import dev.rebias.device.Upcoming;
import dev.rebias.device.WeightError;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.op.Attributes;
import dev.rebias.op.Convolution;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.InTf32;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.HostValues;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * One NVIDIA GPU. What comes from the host lives in its memory if it is FLOAT, UINT8 or INT8, else on the host, as
 * shapes do; what an operation makes of data there stays there, whatever its type.
 */
public final class CudaDevice implements Device {
    /** Enough samples to keep a large card busy with the small layers behind a network. */
    private static final int BATCH = 128;

    private final CudaContext context;
    private final HostFallback.Traffic traffic = new HostFallback.Traffic();
    private final boolean emulated;

    private CudaDevice(CudaContext context, boolean emulated) {
        this.context = context;
        this.emulated = emulated;
    }

    /**
     * Takes a GPU into use.
     *
     * @throws DeviceUnavailableException if a library is missing, or there is no such GPU; it says which, and what to
     *     do about it
     * @throws CudaException if the GPU fails
     */
    public static CudaDevice open(int ordinal) {
        return open(ordinal, Integer.MAX_VALUE);
    }

    /** The same with another bound of the libraries' tensors ({@link CudaContext#libraryElements}). */
    static CudaDevice open(int ordinal, long libraryElements) {
        Optional<String> missing = CudaLibraries.missing();
        if (missing.isPresent()) {
            throw new DeviceUnavailableException("no GPU can be used: " + missing.get() + "; or use `device` cpu");
        }
        CudaCards.Card card = CudaCards.require(ordinal);
        try (Partial made = new Partial()) {
            CudaContext context = made.keep(new CudaContext(card, libraryElements));
            // Samples are the first that come.
            context.kernels().expect(CudaContext.DECODE);
            made.complete();
            return new CudaDevice(context, card.emulated());
        }
    }

    @Override
    public DeviceInfo info() {
        return new DeviceInfo("cuda", context.name(), emulated);
    }

    @Override
    public BatchSizes batches() {
        return new BatchSizes(1, BATCH, Long.MAX_VALUE);
    }

    @Override
    public DeviceMemory memory() {
        return context.memory();
    }

    @Override
    public Tensor upload(HostValues values) {
        if (values instanceof CodedTensor coded) {
            return context.upload(coded);
        }
        return CudaContext.onDevice(values.type())
                ? context.upload(values.tensor())
                : HostResident.of(context.host(), values.tensor());
    }

    @Override
    public HostTensor download(Tensor tensor) {
        return tensor instanceof DeviceTensor t ? context.download(t) : ((HostResident) tensor).values();
    }

    @Override
    public void expect(List<Upcoming> operations) {
        ExpectedKernels.of(operations)
                .forEach((source, title) -> context.kernels().expect(title, source));
    }

    /** The kernels that nobody expected to run. */
    List<String> lateKernels() {
        return context.kernels().late();
    }

    /** How many kernels were compiled here and how many of the cache's were used, and how long that took. */
    public String compilation() {
        return context.kernels().compiler().summary();
    }

    @Override
    public PreparedOp prepare(Op op, List<Operand> operands) {
        return new CheckedOp(this, InTf32.without(op), operands, prepareUnchecked(op, operands));
    }

    private PreparedOp prepareUnchecked(Op op, List<Operand> operands) {
        if (op instanceof LayerOp layer) {
            return PreparedLayer.of(this, context, layer, operands, false);
        }
        if (op instanceof InTf32 rounded) {
            return PreparedLayer.of(this, context, rounded.layer(), operands, true);
        }
        if (op instanceof IntegerLayer layer) {
            return PreparedLayer.of(this, context, layer, operands);
        }
        if (op instanceof LayerGroup behind) {
            return PreparedLayer.inOneKernel(
                    context, behind, operands, () -> LayerThenGroup.of(this, behind, operands));
        }
        if (op instanceof ElementwiseGroup group) {
            return new PreparedElementwise(
                    context, group, operands, new MembersInTurn(this::prepareNode, group, operands));
        }
        return prepareNode((OnnxOp) op, operands);
    }

    private PreparedOp prepareNode(OnnxOp op, List<Operand> operands) {
        Optional<AsLayer> layer = asLayer(op, operands);
        if (layer.isPresent()) {
            return PreparedLayer.of(this, context, layer.get().op(), layer.get().operands(), false);
        }
        PreparedOp node = new PreparedNode(context, op, operands, new HostFallback(context, traffic, op, operands));
        if (!ElementwiseGroup.admits(op)) {
            return node;
        }
        return new PreparedElementwise(context, alone(op, operands), operands, node);
    }

    /** A node as a group of its own. */
    static ElementwiseGroup alone(OnnxOp op, List<Operand> operands) {
        List<Integer> inputs = IntStream.range(0, operands.size())
                .map(i -> operands.get(i) instanceof Operand.Absent ? ElementwiseGroup.Member.ABSENT : i)
                .boxed()
                .toList();
        return new ElementwiseGroup(
                operands.size(), List.of(new ElementwiseGroup.Member(op, inputs)), List.of(operands.size()));
    }

    /** A node as a layer, with data, weights and bias. */
    record AsLayer(LayerOp op, List<Operand> operands) {}

    /**
     * A node with weights that nobody corrects: the same as a layer, if its weights and its bias are constants of the
     * usual shapes.
     */
    static Optional<AsLayer> asLayer(OnnxOp op, List<Operand> operands) {
        if (!LayerOps.hasWeights(op.node())
                || !(operands.get(0) instanceof Operand.Variable)
                || !(operands.get(1) instanceof Operand.Constant weights)
                || weights.value().type() != ElementType.FLOAT) {
            return Optional.empty();
        }
        boolean matrix = op.type().equals("Gemm") || op.type().equals("MatMul");
        if (matrix && weights.value().rank() != 2) {
            return Optional.empty();
        }
        LayerOp layer = LayerOps.parse(op.node(), weights.value().shape());
        Operand bias = operands.size() > 2 ? operands.get(2) : new Operand.Absent();
        boolean usable = bias instanceof Operand.Absent
                || (bias instanceof Operand.Constant b
                        && b.value().elements()
                                == layer.channels(weights.value().shape())
                        && Attributes.real(op.node(), "beta", 1) == 1f);
        if (!usable) {
            return Optional.empty();
        }
        List<Operand> three = List.of(operands.get(0), weights, bias);
        return Optional.of(new AsLayer(layer, three));
    }

    /**
     * The operation of a layer without its bias.
     *
     * @param tf32 whether factors may be rounded to TF32
     */
    static PreparedOp sum(CudaContext context, LayerOp op, HostTensor weights, boolean tf32) {
        return op instanceof Convolution || op instanceof TransposedConvolution
                ? new PreparedConvolution(context, op, weights, tf32)
                : new PreparedProduct(context, op, weights, tf32);
    }

    @Override
    public ErrorSums errorSums(LayerOp op, int channels, boolean difference, boolean perSample) {
        return new CudaErrorSums(context, op, channels, difference, perSample);
    }

    @Override
    public boolean prefers(Method method, WeightError layer) {
        return new CardPreferences().prefers(method, layer);
    }

    @Override
    public Optional<ErrorSums> inputErrorSums(WeightError layer, boolean joint, boolean perSample) {
        return IntegerForm.of(layer).map(form -> new CudaInputErrorSums(context, form, layer, joint, perSample));
    }

    @Override
    public ClassSums classSums(LayerOp op, long[] weights, Optional<ElementType> dataType, long zero) {
        return new CudaClassSums(context, op, weights, zero);
    }

    @Override
    public UnfoldedSums unfoldedSums(WeightError layer, boolean joint) {
        return new CudaUnfoldedSums(context, layer, joint);
    }

    @Override
    public DeviceLog log() {
        Counters c = context.counters();
        return new DeviceLog(new Transfers(c.hostToDeviceBytes, c.deviceToHostBytes, c.synchronisations), warnings());
    }

    private List<String> warnings() {
        List<String> all = new ArrayList<>(traffic.warnings());
        context.kernels().compiler().usedCache().problem().ifPresent(all::add);
        if (emulated) {
            all.add("this is the CUDA emulator, a test instrument: its figures say nothing about a GPU");
        }
        return all;
    }

    /** How many blocks of its memory are in use. */
    public long liveBlocks() {
        return context.pool().blocks();
    }

    /** How many tensors are in use that stay on the host. */
    public long liveHostTensors() {
        return context.host().liveTensors();
    }

    @Override
    public void close() {
        context.close();
    }
}
