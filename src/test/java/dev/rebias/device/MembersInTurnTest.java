package dev.rebias.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.TestOps;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is made on the way to an error is given back. */
final class MembersInTurnTest {
    @Test
    void thoseBeforeOneThatCannotBePreparedAreClosed() {
        ElementwiseGroup group = new ElementwiseGroup(
                1,
                List.of(
                        new Member(TestOps.node("Relu"), List.of(0)),
                        new Member(TestOps.node("Abs"), List.of(1)),
                        new Member(TestOps.node("Ceil"), List.of(2))),
                List.of(3));
        List<String> open = new ArrayList<>();
        assertThatThrownBy(() -> new MembersInTurn(
                        (op, operands) -> {
                            if (op.type().equals("Ceil")) {
                                assertThat(open).containsExactly("Relu", "Abs");
                                throw new UnsupportedException("no Ceil");
                            }
                            open.add(op.type());
                            return new Prepared(op.type(), open);
                        },
                        group,
                        List.of(new Operand.Variable())))
                .isInstanceOf(UnsupportedException.class)
                .hasMessage("no Ceil");
        assertThat(open).isEmpty();
    }

    private record Prepared(String type, List<String> open) implements PreparedOp {
        @Override
        public List<Tensor> run(List<Tensor> variables) {
            throw new IllegalStateException("nothing is run here");
        }

        @Override
        public void close() {
            open.remove(type);
        }
    }
}
