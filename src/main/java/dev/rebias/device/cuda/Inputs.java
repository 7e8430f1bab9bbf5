package dev.rebias.device.cuda;

import dev.rebias.device.Operand;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A node's inputs during one run, wherever they are: float data on the card, integers on the host. */
final class Inputs implements AutoCloseable {
    /** More than any operation has dimensions, or windows. */
    private static final int MOST_PARAMETERS = 64;

    private final CudaContext context;
    private final Map<Integer, DeviceTensor> constants = new HashMap<>();
    private List<Operand> operands = List.of();
    private List<Optional<Tensor>> values = List.of();
    private Partial sent = new Partial();

    Inputs(CudaContext context) {
        this.context = context;
    }

    void set(List<Operand> newOperands, List<Optional<Tensor>> newValues, Partial newSent) {
        operands = newOperands;
        values = newValues;
        sent = newSent;
    }

    CudaContext context() {
        return context;
    }

    int count() {
        return operands.size();
    }

    boolean given(int i) {
        return i < operands.size() && !(operands.get(i) instanceof Operand.Absent);
    }

    /** Whether the input is, or can be brought, on the card. */
    boolean onDevice(int i) {
        return given(i)
                && (type(i) == ElementType.FLOAT
                        || values.get(i).filter(DeviceTensor.class::isInstance).isPresent());
    }

    /** The type of an input that is given. */
    ElementType type(int i) {
        return values.get(i).map(Tensor::type).orElseGet(() -> constant(i).type());
    }

    /** The shape of an input that is given. */
    long[] shape(int i) {
        return values.get(i).map(Tensor::shape).orElseGet(() -> constant(i).shape());
    }

    /** Whether an input is given and of that type. */
    boolean is(int i, ElementType type) {
        return given(i) && type(i) == type;
    }

    private HostTensor constant(int i) {
        return ((Operand.Constant) operands.get(i)).value();
    }

    /** An input on the card. */
    DeviceTensor device(int i) {
        Optional<Tensor> value = values.get(i);
        if (value.isEmpty()) {
            return constants.computeIfAbsent(i, k -> context.upload(constant(i)));
        }
        return value.get() instanceof DeviceTensor t
                ? t
                : sent.keep(context.upload(((HostResident) value.get()).values()));
    }

    /**
     * The values of a small input that says how the operation is done, and what shape comes out. Where it was worked
     * out on the card, it is waited for: the host cannot go on without.
     */
    Optional<HostTensor> parameter(int i) {
        if (given(i) && values.get(i).filter(DeviceTensor.class::isInstance).isPresent()) {
            DeviceTensor t = (DeviceTensor) values.get(i).get();
            return t.elements() <= MOST_PARAMETERS ? Optional.of(context.download(t)) : Optional.empty();
        }
        return host(i);
    }

    /** The values of an input that is on the host; empty if there is none, or it is on the card. */
    Optional<HostTensor> host(int i) {
        if (!given(i)) {
            return Optional.empty();
        }
        if (values.get(i).isEmpty()) {
            return Optional.of(constant(i));
        }
        return values.get(i).get() instanceof HostResident h ? Optional.of(h.values()) : Optional.empty();
    }

    /** The integers of a small input, as {@link #parameter} gives them. */
    Optional<long[]> integers(int i) {
        return parameter(i).flatMap(t -> {
            long[] out = new long[Math.toIntExact(t.elements())];
            if (t.type() == ElementType.INT64) {
                t.longs().get(out);
            } else if (t.type() == ElementType.INT32) {
                for (int k = 0; k < out.length; k++) {
                    out[k] = t.ints().get(k);
                }
            } else {
                return Optional.empty();
            }
            return Optional.of(out);
        });
    }

    @Override
    public void close() {
        Resources all = new Resources();
        constants.values().forEach(c -> all.add(c::close));
        constants.clear();
        all.close();
    }
}
