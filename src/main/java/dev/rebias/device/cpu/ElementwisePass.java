package dev.rebias.device.cpu;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.cpu.PreparedElementwise.Run;
import dev.rebias.device.cpu.PreparedElementwise.Variant;
import dev.rebias.tensor.ElementType;
import java.nio.FloatBuffer;
import java.util.List;

/** One run of a group of elementwise operations over given tensors: by a chain, or tile by tile. */
final class ElementwisePass implements Chain.Source {
    private final ElementwiseProgram p;
    private final ElementLoops.Loop[] loops;
    private final Variant variant;
    private final ElementwiseForm form;
    private final List<CpuTensor> inputs;
    private final List<CpuTensor> outputs;
    /** Views of the inputs and outputs, as they are wanted: a chain wants next to none. */
    private final FloatBuffer[] inputFloats;

    private final FloatBuffer[] outputFloats;
    private final ByteReader[] readers;
    private final ByteWriter[] writers;
    /** An array for each input, then one for each member, then one to work with. */
    private final float[][] tiles;
    /** For each member its arguments, and an array to work with. */
    private final float[][][] arguments;

    /**
     * A run.
     *
     * @param loops for each of the program's instructions
     * @param inputs the program's, in the form's layout; behind a layer its data in the place of its output
     * @param outputs the program's, to be written
     */
    ElementwisePass(
            CpuContext context,
            ElementwiseProgram p,
            ElementLoops.Loop[] loops,
            Variant variant,
            List<CpuTensor> inputs,
            List<CpuTensor> outputs) {
        this.p = p;
        this.loops = loops;
        this.variant = variant;
        this.form = variant.form();
        this.inputs = inputs;
        this.outputs = outputs;
        this.inputFloats = new FloatBuffer[inputs.size()];
        this.outputFloats = new FloatBuffer[outputs.size()];
        this.readers = new ByteReader[inputs.size()];
        this.writers = new ByteWriter[outputs.size()];
        for (int i = 0; i < readers.length; i++) {
            if (isOfBytes(inputs.get(i))) {
                readers[i] = new ByteReader(context, inputs.get(i), i);
            }
        }
        for (int o = 0; o < writers.length; o++) {
            if (isOfBytes(outputs.get(o))) {
                writers[o] = new ByteWriter(context, outputs.get(o), readers.length + o);
            }
        }
        // The thread's own arrays, but for what repeats; those are no one's to write to.
        this.tiles = context.scratch()
                .tiles(inputs.size() + loops.length + 1, form.tile())
                .clone();
        for (int i = 0; i < inputs.size(); i++) {
            if (form.kinds().get(i) == ElementwiseForm.Kind.REPEATED) {
                tiles[i] = repeated(i);
            }
        }
        this.arguments = new float[loops.length][][];
        for (int m = 0; m < loops.length; m++) {
            if (variant.chain().isEmpty() || !form.varying()[m]) {
                arguments[m] = arguments(p.instructions().get(m));
            }
        }
    }

    private static boolean isOfBytes(CpuTensor x) {
        return x.type() != ElementType.FLOAT;
    }

    void run() {
        int unit = Math.toIntExact(form.unit());
        for (int n = 0; n < form.units(); n++) {
            for (int i = 0; i < inputs.size(); i++) {
                if (form.kinds().get(i) == ElementwiseForm.Kind.REPEATED_PER_SAMPLE) {
                    repeat(i, n * form.periods()[i], tiles[i]);
                }
            }
            loops(false, form.tile());
            if (variant.chain().isPresent()) {
                variant.chain()
                        .get()
                        .run(this, (long) n * unit, unit, outputs.get(0).address());
                continue;
            }
            for (int at = 0; at < unit; at += form.tile()) {
                tile(n * unit + at, Math.min(form.tile(), unit - at));
            }
        }
        for (ByteWriter writer : writers) {
            if (writer != null) {
                writer.flush();
            }
        }
    }

    /** A tile of an input that repeats from one end of the data to the other. */
    private float[] repeated(int input) {
        Run run = variant.runs().get(input);
        if (run == null || run.of() != inputs.get(input)) {
            run = new Run(inputs.get(input), new float[form.tile()]);
            repeat(input, 0, run.values());
            variant.runs().set(input, run);
        }
        return run.values();
    }

    private void repeat(int input, int first, float[] to) {
        int period = form.periods()[input];
        load(input, first, to, period);
        for (int i = period; i < form.tile(); i++) {
            to[i] = to[i - period];
        }
    }

    private void load(int input, int first, float[] to, int n) {
        CpuTensor x = inputs.get(input);
        if (x.type() == ElementType.FLOAT) {
            floats(input).get(first, to, 0, n);
            return;
        }
        readers[input].read(first, to, n);
    }

    private FloatBuffer floats(int input) {
        if (inputFloats[input] == null) {
            inputFloats[input] = inputs.get(input).floats();
        }
        return inputFloats[input];
    }

    private FloatBuffer outputFloats(int output) {
        if (outputFloats[output] == null) {
            outputFloats[output] = outputs.get(output).floats();
        }
        return outputFloats[output];
    }

    private void loops(boolean varying, int n) {
        for (int m = 0; m < loops.length; m++) {
            if (form.varying()[m] == varying) {
                loops[m].run(arguments[m], tiles[inputs.size() + m], n);
            }
        }
    }

    @Override
    public long whole(int input) {
        return inputs.get(input).address();
    }

    @Override
    public float[] run(Value values) {
        return array(values);
    }

    private void tile(int first, int n) {
        for (int i = 0; i < inputs.size(); i++) {
            if (form.kinds().get(i) == ElementwiseForm.Kind.WHOLE) {
                load(i, first, tiles[i], n);
            }
        }
        loops(true, n);
        for (int o = 0; o < outputs.size(); o++) {
            store(o, first, tiles[inputs.size() + p.outputs().get(o)], n);
        }
    }

    private float[][] arguments(Instruction instruction) {
        List<Value> values = instruction.arguments();
        boolean works = instruction.code() == Code.QUANTIZE;
        float[][] all = new float[values.size() + (works ? 1 : 0)][];
        for (int i = 0; i < values.size(); i++) {
            all[i] = array(values.get(i));
        }
        if (works) {
            all[values.size()] = work();
        }
        return all;
    }

    /** What an instruction may overwrite while it works. */
    private float[] work() {
        return tiles[inputs.size() + loops.length];
    }

    private float[] array(Value value) {
        return switch (value.source()) {
            case INPUT -> tiles[value.index()];
            case CONSTANT -> variant.constants()[value.index()];
            case MEMBER -> tiles[inputs.size() + value.index()];
        };
    }

    private void store(int output, int first, float[] from, int n) {
        CpuTensor y = outputs.get(output);
        if (y.type() == ElementType.FLOAT) {
            outputFloats(output).put(first, from, 0, n);
            return;
        }
        writers[output].write(from, n);
    }
}
