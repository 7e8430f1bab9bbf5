package dev.rebias.cli;

import dev.rebias.NetworkComparison;
import dev.rebias.error.PrintableText;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphInput;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.NetworkDistance;
import dev.rebias.report.OutcomeText;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import dev.rebias.verify.Accuracy;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code rebias compare}: how far models' outputs are from a float model's, and the accuracy of classifiers, each run
 * as a whole in ONNX Runtime.
 */
@Command(
        name = "compare",
        description = "Shows how far the outputs of models (ONNX or Keras) are from the float model's, and on labelled "
                + "samples their accuracy; each runs in ONNX Runtime.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class CompareCommand implements Callable<Integer> {
    private static final String READING = "reading models";

    @Parameters(
            arity = "1..*",
            paramLabel = "MODEL",
            description =
                    "Any models with the float model's inputs; with labels classifiers with one input, and scores "
                            + "[N, classes] as their first output.")
    private List<Path> models;

    @Option(
            names = "--float",
            paramLabel = "F",
            description = "The float model whose outputs the others are compared with.")
    private Optional<Path> floatModel = Optional.empty();

    @Option(
            names = "--samples",
            required = true,
            paramLabel = "S",
            description = "Samples, as for 'correct'; an .npz may hold labels too.")
    private Path samplesPath;

    @Option(
            names = "--labels",
            paramLabel = "NAME",
            description = "The array with the number of each sample's class (default: labels, where there is such).")
    private Optional<String> labelsName = Optional.empty();

    @Option(
            names = "--limit",
            paramLabel = "N",
            description = "Compare outputs on N samples, spread over all of them; the accuracy is that of all.")
    private Optional<Integer> limit = Optional.empty();

    @Mixin
    private SampleOptions sampleOptions;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        try (Samples all = sampleOptions.open(samplesPath)) {
            String name = labelsName.orElse("labels");
            Optional<HostTensor> labels =
                    all.has(name) || labelsName.isPresent() ? Optional.of(all.array(name)) : Optional.empty();
            if (labels.isEmpty() && floatModel.isEmpty()) {
                throw new UsageException("'" + samplesPath
                        + "' holds no labels, and there is no float model to compare with: give --float "
                        + "F.onnx, or samples with --labels NAME");
            }
            Samples inputs = all.without(name);
            Optional<OnnxModel> floating = Progress.during(READING, false, () -> floatModel.map(CompareCommand::read));
            List<OnnxModel> others = Progress.during(READING, false, () -> models.stream()
                    .map(CompareCommand::read)
                    .toList());
            List<NetworkDistance> distances =
                    Progress.during("comparing outputs", false, () -> floating.map(f -> NetworkComparison.of(
                                    f, others, limit.map(inputs::spread).orElse(inputs)))
                            .orElse(List.of()));
            for (int i = 0; i < others.size(); i++) {
                String file = models.get(i).toString();
                OnnxModel model = others.get(i);
                labels.ifPresent(
                        l -> print("%6.2f %% of %d right  %s", 100 * accuracy(model, inputs, l), l.elements(), file));
                if (!distances.isEmpty()) {
                    print(file, distances.get(i));
                }
            }
        }
        return 0;
    }

    private static OnnxModel read(Path file) {
        return KerasModel.isKeras(file) ? KerasModel.read(file).computed() : OnnxModel.read(file);
    }

    private void print(String file, NetworkDistance distance) {
        print("%s: outputs against the float network's, %d samples", file, distance.samples());
        distance.outputs().forEach(o -> print("  %s", OutcomeText.line(o)));
        distance.notCompared().forEach(reason -> print("  not compared: %s", PrintableText.sentence(reason)));
    }

    private static double accuracy(OnnxModel model, Samples samples, HostTensor labels) {
        Graph graph = GraphReader.read(model);
        if (graph.inputs().size() != 1) {
            throw new UsageException(
                    "'" + model.name() + "' has " + graph.inputs().size()
                            + " inputs; accuracy is measured of models with one: compare it with --float, and "
                            + "samples without labels");
        }
        GraphInput input = graph.inputs().get(0);
        InputSpec wanted = new InputSpec(
                input.name(), input.type(), input.shape(), model.hints().channelsLast());
        return Progress.during(
                "measuring accuracy",
                false,
                () -> Accuracy.top1(model, input.name(), samples.bind(List.of(wanted)), labels));
    }

    private void print(String format, Object... values) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(PrintableText.format(format, values));
        out.flush();
    }
}
