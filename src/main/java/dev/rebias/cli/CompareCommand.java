package dev.rebias.cli;

import dev.rebias.error.PrintableText;
import dev.rebias.error.UsageException;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphInput;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Npz;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import dev.rebias.verify.Accuracy;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code rebias compare}: the accuracy of classifiers on labelled samples, each run as a whole in ONNX Runtime. */
@Command(
        name = "compare",
        description = "Shows the accuracy of models (ONNX or Keras) on labelled samples, each run in ONNX Runtime.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class CompareCommand implements Callable<Integer> {
    @Parameters(
            arity = "1..*",
            paramLabel = "MODEL",
            description = "Classifiers with one input, and scores [N, classes] as their output.")
    private List<Path> models;

    @Option(
            names = "--samples",
            required = true,
            paramLabel = "T.npz",
            description = "Labelled samples: an .npz with one array for the input, and the labels.")
    private Path samplesPath;

    @Option(
            names = "--labels",
            paramLabel = "NAME",
            defaultValue = "labels",
            description = "The array with the number of each sample's class (default: ${DEFAULT-VALUE}).")
    private String labelsName;

    @Mixin
    private SampleOptions sampleOptions;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        HostTensor labels = Npz.read(samplesPath, labelsName);
        PrintWriter out = spec.commandLine().getOut();
        for (Path file : models) {
            OnnxModel model = KerasModel.isKeras(file) ? KerasModel.read(file).computed() : OnnxModel.read(file);
            Graph graph = GraphReader.read(model);
            if (graph.inputs().size() != 1) {
                throw new UsageException("'" + file + "' has " + graph.inputs().size()
                        + " inputs; a comparison is made of models with one");
            }
            GraphInput input = graph.inputs().get(0);
            InputSpec wanted = new InputSpec(
                    input.name(), input.type(), input.shape(), model.hints().channelsLast());
            try (Samples all = sampleOptions.open(samplesPath)) {
                double accuracy = Accuracy.top1(
                        model, input.name(), all.without(labelsName).bind(List.of(wanted)), labels);
                out.println(PrintableText.format("%6.2f %% of %d  %s", 100 * accuracy, labels.elements(), file));
                out.flush();
            }
        }
        return 0;
    }
}
