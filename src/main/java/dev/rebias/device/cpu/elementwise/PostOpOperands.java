package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.cpu.elementwise.PostOps.Other;
import dev.rebias.device.cpu.elementwise.PostOps.PostOp;
import dev.rebias.device.cpu.elementwise.PostOps.Step;
import dev.rebias.device.cpu.memory.Floats;
import dev.rebias.device.cpu.onednn.ThreadScratch;
import java.util.List;
import java.util.function.Function;

/** What {@link PostOps} take beside their own value, in memory that oneDNN reads: numbers, and runs of values. */
public final class PostOpOperands implements AutoCloseable {
    private final List<Step> steps;
    private final int operands;
    private final int run;
    private final Floats numbers;

    /**
     * The operands of steps.
     *
     * @param run the length of values that repeat, at most {@link Floats#WINDOW}
     */
    public PostOpOperands(PostOps.Translation program, int run) {
        this.steps = program.steps().steps();
        this.operands = program.steps().operands();
        this.run = run;
        this.numbers = new Floats(Math.max(1, program.numbers().size()));
        for (int i = 0; i < program.numbers().size(); i++) {
            numbers.values().put(i, program.numbers().get(i));
        }
    }

    /**
     * Puts values that repeat into the thread's windows.
     *
     * @param values a run of a value's elements
     * @return for each step the address of its window
     */
    long[] runs(ThreadScratch scratch, Function<Value, float[]> values) {
        long[] addresses = new long[steps.size()];
        for (int s = 0; s < addresses.length; s++) {
            Floats window = scratch.window(s);
            addresses[s] = window.address();
            if (steps.get(s).other() instanceof Other.Repeated repeated) {
                window.values().put(0, values.apply(repeated.values()), 0, run);
            } else if (steps.get(s).other() instanceof Other.RepeatedScaled scaled) {
                float[] result = new float[run];
                ElementLoops.scaleShift(
                        values.apply(scaled.values()),
                        values.apply(scaled.factors()),
                        values.apply(scaled.summands()),
                        result,
                        run);
                window.values().put(0, result, 0, run);
            }
        }
        return addresses;
    }

    /** The addresses of all that the steps take as a layer's post-ops, in the order of {@link PostOps#append}. */
    public long[] afterLayer(ThreadScratch scratch, Function<Value, float[]> values) {
        long[] runs = runs(scratch, values);
        long[] addresses = new long[operands];
        int at = 0;
        for (int s = 0; s < runs.length; s++) {
            Step step = steps.get(s);
            addresses[at] = step.other() instanceof Other.Constant c ? number(c.constant()) : runs[s];
            at = numbers(step, addresses, at + 1);
        }
        return addresses;
    }

    /** Sets the addresses of the numbers that are combined with a step's result; gives the place after them. */
    int numbers(Step step, long[] addresses, int first) {
        int at = first;
        for (PostOp op : step.then()) {
            if (op instanceof PostOp.Binary binary) {
                addresses[at++] = number(binary.constant());
            }
        }
        return at;
    }

    /** The address of a number. */
    long number(int constant) {
        return numbers.address() + (long) constant * Float.BYTES;
    }

    @Override
    public void close() {
        numbers.close();
    }
}
