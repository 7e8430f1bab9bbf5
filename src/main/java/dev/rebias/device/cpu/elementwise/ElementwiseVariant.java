package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.cpu.memory.CpuTensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * An elementwise program for inputs of one form, with all that its runs share.
 *
 * @param loops for each of the program's instructions
 * @param constants arrays of a tile's length for the program's numbers
 * @param runs for each repeated input what was repeated last: a corrected bias is the same for all batches, a constant
 *     always
 */
public record ElementwiseVariant(
        ElementwiseProgram program,
        ElementLoops.Loop[] loops,
        ElementwiseForm form,
        float[][] constants,
        AtomicReferenceArray<Run> runs) {
    /** A tile of values that repeat, and the tensor that they are from. */
    record Run(CpuTensor of, float[] values) {}

    public static ElementwiseVariant of(ElementwiseProgram program, ElementLoops.Loop[] loops, ElementwiseForm form) {
        float[][] constants = new float[program.constants().size()][form.tile()];
        for (int i = 0; i < constants.length; i++) {
            Arrays.fill(constants[i], program.constants().get(i));
        }
        return new ElementwiseVariant(
                program,
                loops,
                form,
                constants,
                new AtomicReferenceArray<>(program.inputs().size()));
    }

    /** The loops of a program, empty if one of its instructions has none. */
    public static Optional<ElementLoops.Loop[]> loops(ElementwiseProgram program) {
        List<Optional<ElementLoops.Loop>> loops =
                program.instructions().stream().map(ElementwiseVariant::loop).toList();
        return loops.stream().allMatch(Optional::isPresent)
                ? Optional.of(loops.stream().map(Optional::orElseThrow).toArray(ElementLoops.Loop[]::new))
                : Optional.empty();
    }

    private static Optional<ElementLoops.Loop> loop(Instruction instruction) {
        return instruction.code() == Code.QUANTIZE
                ? Optional.of(Quantizer.loop(instruction))
                : ElementLoops.of(instruction.code());
    }
}
