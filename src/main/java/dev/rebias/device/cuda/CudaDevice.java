package dev.rebias.device.cuda;

import dev.rebias.device.CheckedOp;
import dev.rebias.device.Device;
import dev.rebias.device.DeviceInfo;
import dev.rebias.device.ErrorMoments;
import dev.rebias.device.InputMoments;
import dev.rebias.device.InputMomentsByErrors;
import dev.rebias.device.LayerThenGroup;
import dev.rebias.device.MembersInTurn;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.Transfers;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.op.Attributes;
import dev.rebias.op.Convolution;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.LayerOps;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.Op;
import dev.rebias.op.TransposedConvolution;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** One NVIDIA GPU. Tensors of FLOAT, UINT8 and INT8 live in its memory, all others on the host. */
public final class CudaDevice implements Device {
    /** More than any card has, and so little that sums of sizes cannot overflow. */
    private static final long MOST_TENSOR_BYTES = 1L << 44;

    private final CudaContext context;
    private final CpuDevice host = new CpuDevice();
    private final HostFallback.Traffic traffic = new HostFallback.Traffic();
    private final boolean emulated;

    private CudaDevice(CudaContext context, boolean emulated) {
        this.context = context;
        this.emulated = emulated;
    }

    /**
     * Takes a GPU into use.
     *
     * @throws DeviceUnavailableException if a library is missing, or there is no such GPU; it says which, and what to do about it
     * @throws CudaException if the GPU fails
     */
    public static CudaDevice open(int ordinal) {
        Optional<String> missing = CudaLibraries.missing();
        if (missing.isPresent()) {
            throw new DeviceUnavailableException("no GPU can be used: " + missing.get() + "; or use --device cpu");
        }
        CudaCards.Card card = CudaCards.require(ordinal);
        return new CudaDevice(new CudaContext(card), card.emulated());
    }

    @Override
    public DeviceInfo info() {
        return new DeviceInfo("cuda", context.name(), emulated);
    }

    @Override
    public int threads() {
        return 1;
    }

    @Override
    public int batchSize(int wanted, long outputBytes) {
        return wanted;
    }

    @Override
    public long mostTensorBytes() {
        return MOST_TENSOR_BYTES;
    }

    @Override
    public Tensor upload(HostTensor values) {
        return CudaContext.onDevice(values.type()) ? context.upload(values) : new HostResident(host.upload(values));
    }

    @Override
    public HostTensor download(Tensor tensor) {
        return tensor instanceof DeviceTensor t ? context.download(t) : host.download(((HostResident) tensor).tensor());
    }

    @Override
    public PreparedOp prepare(Op op, List<Operand> operands) {
        return new CheckedOp(this, op, operands, prepareUnchecked(op, operands));
    }

    private PreparedOp prepareUnchecked(Op op, List<Operand> operands) {
        if (op instanceof LayerOp layer) {
            return PreparedLayer.of(this, context, layer, operands);
        }
        if (op instanceof IntegerLayer layer) {
            return PreparedLayer.of(this, context, layer, operands);
        }
        if (op instanceof LayerGroup behind) {
            return LayerThenGroup.of(this, behind, operands);
        }
        if (op instanceof ElementwiseGroup group) {
            return new PreparedElementwise(
                    context, group, operands, new MembersInTurn(this::prepareNode, group, operands));
        }
        return prepareNode((OnnxOp) op, operands);
    }

    private PreparedOp prepareNode(OnnxOp op, List<Operand> operands) {
        Optional<PreparedOp> layer = layer(op, operands);
        if (layer.isPresent()) {
            return layer.get();
        }
        PreparedOp onHost = new HostFallback(context, host, traffic, op, operands);
        if (!ElementwiseGroup.admits(op)) {
            return new PreparedNode(context, op, operands, onHost);
        }
        List<Integer> inputs = IntStream.range(0, operands.size())
                .map(i -> operands.get(i) instanceof Operand.Absent ? ElementwiseGroup.Member.ABSENT : i)
                .boxed()
                .toList();
        ElementwiseGroup alone = new ElementwiseGroup(
                operands.size(), List.of(new ElementwiseGroup.Member(op, inputs)), List.of(operands.size()));
        return new PreparedElementwise(context, alone, operands, onHost);
    }

    /** A node with weights that nobody corrects: the same as a layer, if its weights and its bias are constants of the usual shapes. */
    private Optional<PreparedOp> layer(OnnxOp op, List<Operand> operands) {
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
        return Optional.of(PreparedLayer.of(this, context, layer, three));
    }

    /** The operation of a layer without its bias. */
    static PreparedOp sum(CudaContext context, LayerOp op, HostTensor weights) {
        return op instanceof Convolution || op instanceof TransposedConvolution
                ? new PreparedConvolution(context, op, weights)
                : new PreparedProduct(context, op, weights);
    }

    @Override
    public void settle(Tensor tensor) {
        // Every tensor here is as small as it can be.
    }

    @Override
    public ErrorMoments errorMoments(double[] bias, double[] referenceBias, float[] steps) {
        return new CudaErrorMoments(context, bias, referenceBias, steps);
    }

    @Override
    public InputMoments inputMoments(double[] bias, double[] referenceBias, float[] steps, WeightError weights) {
        Op error = weights.dataType()
                .<Op>map(type -> new IntegerLayer(weights.op(), type, weights.zero()))
                .orElse(weights.op());
        return new InputMomentsByErrors(
                prepare(error, InputMomentsByErrors.operands(weights)),
                errorMoments(bias, referenceBias, steps),
                weights);
    }

    @Override
    public Transfers transfers() {
        Counters c = context.counters();
        return new Transfers(c.hostToDeviceBytes, c.deviceToHostBytes, c.synchronisations);
    }

    @Override
    public List<String> warnings() {
        List<String> all = new ArrayList<>(traffic.warnings());
        context.kernels().compiler().usedCache().problem().ifPresent(all::add);
        if (emulated) {
            all.add("this is the CUDA emulator, a test instrument: its figures say nothing about a GPU");
        }
        return all;
    }

    @Override
    public long usedBytes() {
        return context.pool().used();
    }

    @Override
    public long peakBytes() {
        return context.pool().peak();
    }

    @Override
    public void forgetPeak() {
        context.pool().forgetPeak();
    }

    /** How many blocks of its memory are in use. */
    public long liveBlocks() {
        return context.pool().blocks();
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(context::close);
        all.add(host::close);
        all.close();
    }
}
