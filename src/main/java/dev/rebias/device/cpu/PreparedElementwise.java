package dev.rebias.device.cpu;

import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.ElementwiseProgram.Code;
import dev.rebias.device.ElementwiseProgram.Instruction;
import dev.rebias.device.ElementwiseProgram.Value;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.Stream;

/**
 * A group of elementwise operations in one pass over memory: by oneDNN where they are a {@link Chain}; else tile by tile, each small enough for the first-level cache, one
 * {@linkplain ElementLoops loop} per member. What follows from values that repeat is worked out once, or once per sample. Where one pass
 * is not possible (other types, outputs of different shapes, broadcasting that does not line up with memory, functions without a loop) its members run one by one, and
 * a single member in ONNX Runtime.
 */
final class PreparedElementwise implements PreparedOp {
    private static final int TILE = 1024;

    /** From how many elements of a sample on making primitives is worth while. */
    private static final int LEAST_FOR_CHAIN = 2048;

    private final CpuContext context;
    private final List<Operand> operands;
    private final PreparedOp otherwise;
    private final Optional<ElementwiseProgram> program;
    private final ElementLoops.Loop[] loops;
    private final boolean computed;
    /** For each of the program's inputs that is constant the tensor. */
    private final List<Optional<CpuTensor>> constants = new ArrayList<>();

    private final Map<String, Optional<Form>> forms = new ConcurrentHashMap<>();

    /** How an input lies, seen from the group's shape and layout. */
    private enum Kind {
        /** Element by element. */
        WHOLE,
        /** One value, or a run of values that repeats. */
        REPEATED,
        /** The same for every entry of axis 0 on its own. */
        REPEATED_PER_SAMPLE
    }

    /**
     * How the group runs on inputs of certain shapes.
     *
     * @param sample the elements of one entry of axis 0
     * @param tile how many elements are worked on together
     * @param periods for each repeated input the length of its run
     * @param constants arrays of a tile's length for the program's numbers
     * @param varying for each member whether it is not the same for every tile of a sample
     * @param chain how oneDNN runs it, where that can
     * @param runs for each repeated input what was repeated last: a corrected bias is the same for all batches, a constant always
     */
    private record Form(
            long[] shape,
            Layout layout,
            int samples,
            int sample,
            int tile,
            List<Kind> kinds,
            int[] periods,
            float[][] constants,
            boolean[] varying,
            Optional<Chain> chain,
            AtomicReferenceArray<Run> runs) {
        boolean differsBySample() {
            return kinds.contains(Kind.REPEATED_PER_SAMPLE);
        }
    }

    /** A tile of values that repeat, and the tensor that they are from. */
    private record Run(CpuTensor of, float[] values) {}

    /**
     * Prepares a group.
     *
     * @param otherwise what runs it where one pass cannot; becomes this object's to close
     */
    PreparedElementwise(CpuContext context, ElementwiseGroup group, List<Operand> operands, PreparedOp otherwise) {
        this.context = context;
        this.operands = List.copyOf(operands);
        this.otherwise = otherwise;
        this.computed = group.computed();
        this.program = ElementwiseProgram.of(group, operands)
                .filter(p -> p.instructions().stream().allMatch(i -> loop(i).isPresent()));
        this.loops = program.stream()
                .flatMap(p -> p.instructions().stream())
                .map(i -> loop(i).orElseThrow())
                .toArray(ElementLoops.Loop[]::new);
        try {
            for (ElementwiseProgram.Input input :
                    program.map(ElementwiseProgram::inputs).orElse(List.of())) {
                constants.add(constant(input).map(c -> CpuDevice.upload(context, c)));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private static Optional<ElementLoops.Loop> loop(Instruction instruction) {
        return instruction.code() == Code.QUANTIZE
                ? Optional.of(Quantizer.loop(instruction))
                : ElementLoops.of(instruction.code());
    }

    @Override
    public List<Tensor> run(List<Tensor> variables) {
        if (program.isEmpty()) {
            return otherwise.run(variables);
        }
        List<CpuTensor> given = given(variables);
        List<long[]> shapes = new ArrayList<>();
        StringBuilder key = new StringBuilder();
        for (int i = 0; i < given.size(); i++) {
            ElementType type = given.get(i).type();
            boolean quantized = program.get().inputs().get(i).quantized();
            if (quantized ? type != ElementType.UINT8 && type != ElementType.INT8 : type != ElementType.FLOAT) {
                return otherwise.run(variables);
            }
            shapes.add(given.get(i).shape());
            key.append(Shape.text(shapes.get(i))).append(given.get(i).lies(Layout.PLAIN));
        }
        Optional<Form> form = forms.computeIfAbsent(key.toString(), k -> form(given, shapes));
        return form.isPresent() ? run(form.get(), given) : otherwise.run(variables);
    }

    /** For each of the program's inputs the tensor. */
    private List<CpuTensor> given(List<Tensor> variables) {
        CpuTensor[] byOperand = new CpuTensor[operands.size()];
        int next = 0;
        for (int i = 0; i < operands.size(); i++) {
            if (operands.get(i) instanceof Operand.Variable) {
                byOperand[i] = (CpuTensor) variables.get(next++);
            }
        }
        List<ElementwiseProgram.Input> inputs = program.orElseThrow().inputs();
        List<CpuTensor> given = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            given.add(
                    constants.get(i).isPresent()
                            ? constants.get(i).get()
                            : byOperand[inputs.get(i).operand()]);
        }
        return given;
    }

    private Optional<HostTensor> constant(ElementwiseProgram.Input input) {
        if (input.vector().isPresent()) {
            return input.vector();
        }
        return operands.get(input.operand()) instanceof Operand.Constant c ? Optional.of(c.value()) : Optional.empty();
    }

    private Optional<Form> form(List<CpuTensor> given, List<long[]> shapes) {
        Optional<long[]> whole = program.orElseThrow().shape(shapes);
        if (whole.isEmpty()) {
            return Optional.empty();
        }
        long[] shape = whole.get();
        boolean last = given.stream().anyMatch(t -> !t.lies(Layout.PLAIN));
        List<Layout> layouts = shape.length < 3
                ? List.of(Layout.PLAIN)
                : last ? List.of(Layout.CHANNELS_LAST, Layout.PLAIN) : List.of(Layout.PLAIN, Layout.CHANNELS_LAST);
        return layouts.stream()
                .map(l -> form(l, shape, shapes))
                .flatMap(Optional::stream)
                .findFirst();
    }

    private Optional<Form> form(Layout layout, long[] shape, List<long[]> shapes) {
        ElementwiseProgram p = program.orElseThrow();
        List<Kind> kinds = new ArrayList<>();
        int[] periods = new int[shapes.size()];
        int run = 1;
        for (int i = 0; i < shapes.size(); i++) {
            long[] aligned = p.inputs().get(i).aligned(shapes.get(i), shape);
            // Of one sample, too, what is the same for all samples is no sample's own.
            boolean shared = aligned.length > 0
                    && aligned[0] == 1
                    && (constants.get(i).isPresent() || shapes.get(i).length < shape.length);
            Optional<Kind> kind = kind(layout, aligned, shape, shared);
            if (kind.isEmpty()) {
                return Optional.empty();
            }
            kinds.add(kind.get());
            if (kind.get() != Kind.WHOLE) {
                long samples = kind.get() == Kind.REPEATED ? 1 : shape[0];
                periods[i] = Math.toIntExact(Shape.elements(aligned) / Math.max(1, samples));
                int longer = Math.max(run, periods[i]);
                if (longer % Math.max(1, Math.min(run, periods[i])) != 0) {
                    return Optional.empty();
                }
                run = longer;
            }
        }
        int samples = shape.length == 0 ? 1 : Math.toIntExact(shape[0]);
        int sample = samples == 0 ? 0 : Math.toIntExact(Shape.elements(shape) / samples);
        int tile = run * Math.max(1, TILE / run);
        float[][] constants = new float[p.constants().size()][tile];
        for (int i = 0; i < constants.length; i++) {
            Arrays.fill(constants[i], p.constants().get(i));
        }
        boolean[] varying = varying(kinds);
        return Optional.of(new Form(
                shape,
                layout,
                samples,
                sample,
                tile,
                kinds,
                periods,
                constants,
                varying,
                chain(layout, tile, samples, sample, kinds, varying),
                new AtomicReferenceArray<>(shapes.size())));
    }

    /** Which members follow from what is read element by element. */
    private boolean[] varying(List<Kind> kinds) {
        List<Instruction> instructions = program.orElseThrow().instructions();
        boolean[] varying = new boolean[instructions.size()];
        for (int m = 0; m < varying.length; m++) {
            varying[m] = instructions.get(m).arguments().stream().anyMatch(v -> varies(v, kinds, varying));
        }
        return varying;
    }

    private static boolean varies(Value v, List<Kind> kinds, boolean[] varying) {
        return switch (v.source()) {
            case INPUT -> kinds.get(v.index()) == Kind.WHOLE;
            case CONSTANT -> false;
            case MEMBER -> varying[v.index()];
        };
    }

    /**
     * How oneDNN runs the group. Not every layout has chains: where dimension 1 runs fastest axis 0 is the samples', and whether there is a chain does not depend on how many there are.
     */
    private Optional<Chain> chain(
            Layout layout, int tile, int samples, int sample, List<Kind> kinds, boolean[] varying) {
        ElementwiseProgram p = program.orElseThrow();
        // Processors without instructions for bytes keep bytes as floats, which the loops know.
        if (!computed
                || layout != Layout.CHANNELS_LAST
                || sample < LEAST_FOR_CHAIN
                || p.outputs().size() != 1
                || p.inputs().stream().anyMatch(ElementwiseProgram.Input::quantized)
                || !OneDnn.multipliesBytes()) {
            return Optional.empty();
        }
        return Chain.of(
                context,
                p,
                tile,
                kinds.contains(Kind.REPEATED_PER_SAMPLE) ? sample : (long) samples * sample,
                v -> v.source() == Value.Source.INPUT && kinds.get(v.index()) == Kind.WHOLE,
                v -> varies(v, kinds, varying));
    }

    private static Optional<Kind> kind(Layout layout, long[] aligned, long[] shape, boolean shared) {
        if (Arrays.equals(aligned, shape) && !shared) {
            return Optional.of(shape.length == 0 ? Kind.REPEATED : Kind.WHOLE);
        }
        if (Shape.elements(aligned) == 1) {
            return Optional.of(Kind.REPEATED);
        }
        // Seen without axis 0: a run at the end of memory's order, everything before it broadcast.
        boolean perSample = aligned[0] != 1;
        boolean fits;
        if (layout == Layout.CHANNELS_LAST) {
            fits = Arrays.stream(aligned, 2, aligned.length).allMatch(d -> d == 1)
                    && (aligned[1] == shape[1] || aligned[1] == 1);
        } else {
            int first = 1;
            while (first < aligned.length && aligned[first] == 1) {
                first++;
            }
            fits = Arrays.equals(aligned, first, aligned.length, shape, first, shape.length);
        }
        return fits ? Optional.of(perSample ? Kind.REPEATED_PER_SAMPLE : Kind.REPEATED) : Optional.empty();
    }

    private List<Tensor> run(Form form, List<CpuTensor> given) {
        ElementwiseProgram p = program.orElseThrow();
        Resources temporary = new Resources();
        List<CpuTensor> outputs = new ArrayList<>();
        try {
            List<CpuTensor> inputs = new ArrayList<>();
            for (int i = 0; i < given.size(); i++) {
                CpuTensor x = given.get(i);
                if (!x.lies(form.layout())) {
                    x = context.layouts().in(form.layout(), x);
                    temporary.add(x::close);
                }
                inputs.add(x);
            }
            for (int output : p.outputs()) {
                Instruction made = p.instructions().get(output);
                outputs.add(
                        !OneDnn.multipliesBytes()
                                        && made.code() == Code.QUANTIZE
                                        && made.arguments().get(2).source() == Value.Source.CONSTANT
                                ? CpuTensor.wide(
                                        context,
                                        made.type(),
                                        p.constants()
                                                .get(made.arguments().get(2).index()),
                                        form.layout(),
                                        form.shape())
                                : CpuTensor.allocate(context, made.type(), form.layout(), form.shape()));
            }
            new Pass(form, inputs, outputs).run();
            return List.copyOf(outputs);
        } catch (RuntimeException | Error e) {
            outputs.forEach(CpuTensor::close);
            throw e;
        } finally {
            temporary.close();
        }
    }

    /** One run over given tensors. */
    private final class Pass implements Chain.Source {
        private final ElementwiseProgram p = program.orElseThrow();
        private final Form form;
        private final List<CpuTensor> inputs;
        private final List<CpuTensor> outputs;
        private final List<FloatBuffer> inputFloats;
        private final List<FloatBuffer> outputFloats;
        private final Lane lane = context.lane();
        private final ByteReader[] readers;
        private final ByteWriter[] writers;
        /** An array for each input, then one for each member, then one to work with. */
        private final float[][] tiles;
        /** For each member its arguments, and an array to work with. */
        private final float[][][] arguments;

        Pass(Form form, List<CpuTensor> inputs, List<CpuTensor> outputs) {
            this.form = form;
            this.inputs = inputs;
            this.outputs = outputs;
            this.inputFloats = inputs.stream().map(CpuTensor::floats).toList();
            this.outputFloats = outputs.stream().map(CpuTensor::floats).toList();
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
            // The lane's own arrays, but for what repeats; those are no one's to write to.
            this.tiles =
                    lane.tiles(inputs.size() + loops.length + 1, form.tile()).clone();
            for (int i = 0; i < inputs.size(); i++) {
                if (form.kinds().get(i) == Kind.REPEATED) {
                    tiles[i] = repeated(i);
                }
            }
            this.arguments = p.instructions().stream().map(this::arguments).toArray(float[][][]::new);
        }

        private static boolean isOfBytes(CpuTensor x) {
            return x.type() != ElementType.FLOAT && !x.isWide();
        }

        void run() {
            int units = form.differsBySample() ? form.samples() : 1;
            int unit = form.differsBySample() ? form.sample() : form.samples() * form.sample();
            for (int n = 0; n < units; n++) {
                for (int i = 0; i < inputs.size(); i++) {
                    if (form.kinds().get(i) == Kind.REPEATED_PER_SAMPLE) {
                        repeat(i, n * form.periods()[i], tiles[i]);
                    }
                }
                loops(false, form.tile());
                if (form.chain().isPresent()) {
                    form.chain()
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
            Run run = form.runs().get(input);
            if (run == null || run.of() != inputs.get(input)) {
                run = new Run(inputs.get(input), new float[form.tile()]);
                repeat(input, 0, run.values());
                form.runs().set(input, run);
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
            if (x.type() == ElementType.FLOAT || x.isWide()) {
                inputFloats.get(input).get(first, to, 0, n);
                if (x.isWide() && x.zero() != 0) {
                    ElementLoops.shift(to, x.zero(), n);
                }
                return;
            }
            readers[input].read(first, to, n);
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
                if (form.kinds().get(i) == Kind.WHOLE) {
                    load(i, first, tiles[i], n);
                }
            }
            loops(true, n);
            for (int o = 0; o < outputs.size(); o++) {
                store(o, first, tiles[inputs.size() + p.outputs().get(o)], n);
            }
        }

        private float[][] arguments(Instruction instruction) {
            Stream<float[]> values = instruction.arguments().stream().map(this::array);
            Stream<float[]> all =
                    instruction.code() == Code.QUANTIZE ? Stream.concat(values, Stream.of(work())) : values;
            return all.toArray(float[][]::new);
        }

        /** What an instruction may overwrite while it works. */
        private float[] work() {
            return tiles[inputs.size() + loops.length];
        }

        private float[] array(Value value) {
            return switch (value.source()) {
                case INPUT -> tiles[value.index()];
                case CONSTANT -> form.constants()[value.index()];
                case MEMBER -> tiles[inputs.size() + value.index()];
            };
        }

        private void store(int output, int first, float[] from, int n) {
            CpuTensor y = outputs.get(output);
            if (y.isWide() && y.zero() != 0) {
                System.arraycopy(from, 0, work(), 0, n);
                ElementLoops.shift(work(), -y.zero(), n);
                outputFloats.get(output).put(first, work(), 0, n);
                return;
            }
            if (y.type() == ElementType.FLOAT || y.isWide()) {
                outputFloats.get(output).put(first, from, 0, n);
                return;
            }
            writers[output].write(from, n);
        }
    }

    @Override
    public void close() {
        Resources all = new Resources();
        all.add(otherwise::close);
        forms.values().forEach(f -> f.flatMap(Form::chain).ifPresent(c -> all.add(c::close)));
        forms.clear();
        constants.forEach(c -> c.ifPresent(t -> all.add(t::close)));
        all.close();
    }
}
