package dev.rebias;

import dev.rebias.error.UnsupportedException;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphInput;
import dev.rebias.model.IntegerInput;
import dev.rebias.model.ModelHints;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Quantization;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The inputs of both networks: which is given the same samples as which, and what samples have to be like.
 *
 * @param quantized the quantised model, with a FLOAT input and a QuantizeLinear where its file takes integers and the
 *     float model takes floats
 * @param sameSamples for each input of the float model, the input of {@link #quantized} that is given the same samples
 * @param names for each input of {@link #quantized}, its name in the file
 * @param integers for each input of the file that takes integers for floats, by its name in the file, what these stand
 *     for
 */
record NetworkInputs(
        Graph quantized,
        Map<String, String> sameSamples,
        Map<String, String> names,
        Map<String, Quantization> integers,
        boolean channelsLast) {
    NetworkInputs {
        sameSamples = new LinkedHashMap<>(sameSamples);
        names = new LinkedHashMap<>(names);
        integers = Map.copyOf(integers);
    }

    /**
     * Matches the inputs of two models: by name, or else in their order.
     *
     * @throws UnsupportedException if they cannot be given the same samples
     */
    static NetworkInputs match(Graph floating, Graph quantized, ModelHints hints) {
        List<GraphInput> fs = floating.inputs();
        List<GraphInput> qs = quantized.inputs();
        boolean byName =
                fs.stream().allMatch(f -> qs.stream().anyMatch(q -> q.name().equals(f.name())));
        if (!byName && fs.size() != qs.size()) {
            throw new UnsupportedException("'" + floating.file() + "' has the inputs " + names(fs) + " but '"
                    + quantized.file() + "' has " + names(qs) + ": are they the same network?");
        }
        Graph graph = quantized;
        Map<String, String> same = new LinkedHashMap<>();
        Map<String, String> fileNames = new LinkedHashMap<>();
        qs.forEach(q -> fileNames.put(q.name(), q.name()));
        Map<String, Quantization> integers = new LinkedHashMap<>();
        for (int i = 0; i < fs.size(); i++) {
            GraphInput f = fs.get(i);
            GraphInput q = byName ? named(qs, f.name()) : qs.get(i);
            boolean quantises =
                    f.type() == ElementType.FLOAT && (q.type() == ElementType.UINT8 || q.type() == ElementType.INT8);
            if ((f.type() != q.type() && !quantises) || !compatible(f, q)) {
                throw new UnsupportedException("input '" + f.name() + "' of '" + floating.file() + "' is " + f.type()
                        + " " + Shape.text(f.shape()) + ", but '" + q.name() + "' of '" + quantized.file() + "' is "
                        + q.type() + " " + Shape.text(q.shape())
                        + ": both models must take the same samples, " + cure(f, q));
            }
            String tensor = q.name();
            if (quantises && !integers.containsKey(q.name())) {
                IntegerInput cut = IntegerInput.of(graph, q);
                graph = cut.graph();
                tensor = cut.floats();
                fileNames.remove(q.name());
                fileNames.put(tensor, q.name());
                integers.put(q.name(), new Quantization(q.type(), cut.scale(), cut.zeroPoint()));
            }
            same.put(f.name(), tensor);
        }
        return new NetworkInputs(graph, same, fileNames, integers, hints.channelsLast());
    }

    private static GraphInput named(List<GraphInput> inputs, String name) {
        return inputs.stream().filter(x -> x.name().equals(name)).findFirst().orElseThrow();
    }

    private static String cure(GraphInput f, GraphInput q) {
        return f.type() != q.type()
                ? "export both with the same type of input"
                : "give the float model that the quantised one was made from";
    }

    private static List<String> names(List<GraphInput> inputs) {
        return inputs.stream().map(GraphInput::name).toList();
    }

    private static boolean compatible(GraphInput a, GraphInput b) {
        if (a.shape().length != b.shape().length) {
            return false;
        }
        for (int i = 1; i < a.shape().length; i++) {
            if (a.shape()[i] != b.shape()[i] && a.shape()[i] >= 0 && b.shape()[i] >= 0) {
                return false;
            }
        }
        return true;
    }

    /** What {@link #quantized} wants of samples, in the order of its inputs. */
    List<InputSpec> ofSweep() {
        return quantized.inputs().stream().map(i -> spec(i, Optional.empty())).toList();
    }

    /** How samples are given to both models, as text that is equal where it is the same. */
    String how() {
        return quantized.inputs().stream()
                        .map(i -> i.name() + " " + i.type() + " " + Arrays.toString(i.shape()))
                        .toList()
                + " " + sameSamples + " " + names + " " + integers + " " + channelsLast;
    }

    /** What the quantised model's file wants of samples, in the order of its inputs. */
    List<InputSpec> ofQuantizedFile() {
        return quantized.inputs().stream()
                .map(i -> spec(i, Optional.ofNullable(integers.get(names.get(i.name())))))
                .toList();
    }

    /** What the float model's file wants of samples, by the names of its inputs. */
    Map<String, InputSpec> ofFloatFile() {
        Map<String, InputSpec> specs = new LinkedHashMap<>();
        sameSamples.forEach((f, q) -> specs.put(f, spec(named(quantized.inputs(), q), Optional.empty())));
        return specs;
    }

    /** A batch of the sweep's tensors as the float model's file takes them, by name. */
    Map<String, HostTensor> ofFloatFile(List<HostTensor> batch) {
        Map<String, HostTensor> values = new LinkedHashMap<>();
        sameSamples.forEach((f, q) -> values.put(f, batch.get(position(q))));
        return values;
    }

    /** The same as the quantised model's file takes them. */
    Map<String, HostTensor> ofQuantizedFile(List<HostTensor> batch) {
        Map<String, HostTensor> values = new LinkedHashMap<>();
        names.forEach((tensor, name) -> {
            HostTensor value = batch.get(position(tensor));
            values.put(name, integers.containsKey(name) ? integers.get(name).of(value) : value);
        });
        return values;
    }

    private int position(String input) {
        return names(quantized.inputs()).indexOf(input);
    }

    private InputSpec spec(GraphInput input, Optional<Quantization> quantization) {
        return new InputSpec(names.get(input.name()), input.type(), input.shape(), channelsLast, quantization);
    }

    /** The batch size that the model fixes, among the inputs that count samples. */
    Optional<Integer> fixedBatch(BoundSamples samples) {
        List<Integer> fixed = new ArrayList<>();
        for (int i = 0; i < quantized.inputs().size(); i++) {
            long[] shape = quantized.inputs().get(i).shape();
            if (samples.counts(i) && shape.length > 0 && shape[0] > 0) {
                if (shape[0] > Integer.MAX_VALUE) {
                    throw new UnsupportedException(
                            "input '" + quantized.inputs().get(i).name() + "' of '"
                                    + quantized.file() + "' fixes its batch at " + shape[0]
                                    + ", more samples than rebias reads: make the dimension dynamic");
                }
                fixed.add((int) shape[0]);
            }
        }
        return fixed.stream().findFirst();
    }
}
