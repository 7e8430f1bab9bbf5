package dev.rebias.model;

import dev.rebias.op.Op;
import java.util.List;

/**
 * One operation of a {@link Graph}.
 *
 * @param name the node's name in the file; where it has none, that of its first output
 * @param op what it computes
 * @param inputs the tensors it uses, by name, in the order of the op's operands; empty where an optional one is left
 *     out
 * @param outputs the tensors it makes; empty where an optional one is left out
 * @param fileIndex the position in the file of the node that this one came from
 * @param fileOutput the first output of that node: the name under which users know the result
 */
public record Node(String name, Op op, List<String> inputs, List<String> outputs, int fileIndex, String fileOutput) {
    public Node {
        inputs = List.copyOf(inputs);
        outputs = List.copyOf(outputs);
    }
}
