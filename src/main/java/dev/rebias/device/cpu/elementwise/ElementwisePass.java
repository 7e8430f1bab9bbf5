package dev.rebias.device.cpu.elementwise;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.cpu.memory.CpuTensor;
import dev.rebias.device.cpu.onednn.CpuContext;
import dev.rebias.tensor.ElementType;
import java.nio.FloatBuffer;
import java.util.List;

/** One run of an elementwise program over given tensors: what repeats, and tile by tile what does not. */
public final class ElementwisePass {
    private final ElementwiseProgram p;
    private final ElementwiseVariant variant;
    private final ElementwiseForm form;
    private final List<CpuTensor> inputs;
    private final List<CpuTensor> outputs;
    /** Views of the inputs and outputs, as they are wanted: oneDNN's primitives want next to none. */
    private final FloatBuffer[] inputFloats;

    private final FloatBuffer[] outputFloats;
    private final ByteReader[] readers;
    private final ByteWriter[] writers;
    /** An array for each input, then one for each member, then one to work with. */
    private final float[][] tiles;
    /** For each member that has run its arguments, and an array to work with. */
    private final float[][][] arguments;

    /**
     * A run.
     *
     * @param inputs the program's, in the form's layout
     * @param outputs the program's, to be written; none if only what repeats is wanted
     */
    public ElementwisePass(
            CpuContext context, ElementwiseVariant variant, List<CpuTensor> inputs, List<CpuTensor> outputs) {
        this.p = variant.program();
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
                .tiles(inputs.size() + variant.loops().length + 1, form.tile())
                .clone();
        for (int i = 0; i < inputs.size(); i++) {
            if (form.kinds().get(i) == ElementwiseForm.Kind.REPEATED) {
                tiles[i] = repeated(i);
            }
        }
        this.arguments = new float[variant.loops().length][][];
    }

    private static boolean isOfBytes(CpuTensor x) {
        return x.type() != ElementType.FLOAT;
    }

    /**
     * Works out what repeats throughout a unit.
     *
     * @param unit the number of an entry of axis 0 where each has values of its own, else 0
     */
    public void repeat(int unit) {
        for (int i = 0; i < inputs.size(); i++) {
            if (form.kinds().get(i) == ElementwiseForm.Kind.REPEATED_PER_SAMPLE) {
                repeat(i, unit * form.periods()[i], tiles[i]);
            }
        }
        loops(false, form.tile());
    }

    /** Works out n elements from the one with that number, tile by tile. */
    void compute(int first, int n) {
        for (int at = 0; at < n; at += form.tile()) {
            tile(first + at, Math.min(form.tile(), n - at));
        }
    }

    /** Writes what is still on its way to the outputs. */
    void flush() {
        for (ByteWriter writer : writers) {
            if (writer != null) {
                writer.flush();
            }
        }
    }

    /** A tile of an input that repeats from one end of the data to the other. */
    private float[] repeated(int input) {
        ElementwiseVariant.Run run = variant.runs().get(input);
        if (run == null || run.of() != inputs.get(input)) {
            run = new ElementwiseVariant.Run(inputs.get(input), new float[form.tile()]);
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
        for (int m = 0; m < arguments.length; m++) {
            if (form.varying()[m] == varying) {
                if (arguments[m] == null) {
                    arguments[m] = arguments(p.instructions().get(m));
                }
                variant.loops()[m].run(arguments[m], values(m), n);
            }
        }
    }

    /** A tile of a value that repeats. */
    public float[] values(Value value) {
        return switch (value.source()) {
            case INPUT -> tiles[value.index()];
            case CONSTANT -> variant.constants()[value.index()];
            case MEMBER -> values(value.index());
        };
    }

    private float[] values(int member) {
        return tiles[inputs.size() + member];
    }

    private void tile(int first, int n) {
        for (int i = 0; i < inputs.size(); i++) {
            if (form.kinds().get(i) == ElementwiseForm.Kind.WHOLE) {
                load(i, first, tiles[i], n);
            }
        }
        loops(true, n);
        for (int o = 0; o < outputs.size(); o++) {
            store(o, first, values(p.outputs().get(o)), n);
        }
    }

    private float[][] arguments(Instruction instruction) {
        List<Value> values = instruction.arguments();
        boolean works = instruction.code() == Code.QUANTIZE;
        float[][] all = new float[values.size() + (works ? 1 : 0)][];
        for (int i = 0; i < values.size(); i++) {
            all[i] = values(values.get(i));
        }
        if (works) {
            all[values.size()] = work();
        }
        return all;
    }

    /** What an instruction may overwrite while it works. */
    private float[] work() {
        return tiles[inputs.size() + arguments.length];
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
