package dev.rebias.device.cuda;

import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** An operation that is prepared when it first runs: a second way of doing something, which is rarely gone. */
final class OnDemand implements PreparedOp {
    private final Supplier<PreparedOp> prepare;
    private Optional<PreparedOp> prepared = Optional.empty();

    OnDemand(Supplier<PreparedOp> prepare) {
        this.prepare = prepare;
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (prepared.isEmpty()) {
            prepared = Optional.of(prepare.get());
        }
        return prepared.get().run(variables);
    }

    @Override
    public void close() {
        prepared.ifPresent(PreparedOp::close);
        prepared = Optional.empty();
    }
}
