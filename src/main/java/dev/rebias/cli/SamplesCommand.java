package dev.rebias.cli;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import dev.rebias.files.OutputFile;
import dev.rebias.keras.KerasModel;
import dev.rebias.model.GraphInput;
import dev.rebias.model.GraphReader;
import dev.rebias.model.OnnxModel;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Normalization;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import javax.imageio.ImageIO;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias samples}: what samples become before a network sees them, in figures and as pictures. */
@Command(
        name = "samples",
        description = "Shows what a network would be given: the shapes and ranges of its inputs, and images as PNGs.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class SamplesCommand implements Callable<Integer> {
    @Option(
            names = "--model",
            required = true,
            paramLabel = "M",
            description = "The model that the samples are for (ONNX or Keras).")
    private Path modelPath;

    @Option(names = "--samples", required = true, paramLabel = "S", description = "Samples, as for 'correct'.")
    private Path samplesPath;

    @Option(
            names = "--preview",
            paramLabel = "DIR",
            description =
                    "Write what the network sees to this folder, a PNG for each sample: its first channel as red, "
                            + "values brought back to pixels.")
    private Optional<Path> preview = Optional.empty();

    @Mixin
    private LimitOptions limit;

    @Mixin
    private SampleOptions sampleOptions;

    @Option(names = "--force", description = "Replace pictures that exist.")
    private boolean force;

    @Spec
    private CommandSpec spec;

    /** The range of an input's values. */
    private static final class Range {
        private double least = Double.POSITIVE_INFINITY;
        private double most = Double.NEGATIVE_INFINITY;
        private double sum;
        private long count;

        void add(HostTensor values) {
            int n = Math.toIntExact(values.elements());
            for (int i = 0; i < n; i++) {
                double v = values.number(i);
                least = Math.min(least, v);
                most = Math.max(most, v);
                sum += v;
            }
            count += n;
        }
    }

    @Override
    public Integer call() {
        OnnxModel model =
                KerasModel.isKeras(modelPath) ? KerasModel.read(modelPath).computed() : OnnxModel.read(modelPath);
        List<InputSpec> inputs = GraphReader.read(model).inputs().stream()
                .map(i -> spec(i, model.hints().channelsLast()))
                .toList();
        PrintWriter out = spec.commandLine().getOut();
        try (Samples all = sampleOptions.open(samplesPath)) {
            BoundSamples bound = limit.of(all).bind(inputs);
            show(bound, inputs, out);
        }
        out.flush();
        return 0;
    }

    /** What stands for floats is shown as these. */
    private static InputSpec spec(GraphInput input, boolean channelsLast) {
        boolean integers =
                input.shape().length == 4 && (input.type() == ElementType.UINT8 || input.type() == ElementType.INT8);
        return new InputSpec(input.name(), integers ? ElementType.FLOAT : input.type(), input.shape(), channelsLast);
    }

    private void show(BoundSamples bound, List<InputSpec> inputs, PrintWriter out) {
        Range[] ranges = new Range[inputs.size()];
        int sample = 0;
        int pictures = 0;
        String[] shapes = new String[inputs.size()];
        try (Batches batches = bound.batches(1)) {
            for (; batches.hasNext(); sample++) {
                List<HostTensor> tensors = batches.next();
                for (int i = 0; i < ranges.length; i++) {
                    ranges[i] = sample == 0 ? new Range() : ranges[i];
                    ranges[i].add(tensors.get(i));
                    String shape = Shape.text(tensors.get(i).shape());
                    shapes[i] =
                            shapes[i] == null || shapes[i].equals(shape) ? shape : "several sizes, the last " + shape;
                    if (preview.isPresent() && bound.counts(i)) {
                        pictures += picture(preview.get(), sample, inputs, i, tensors.get(i));
                    }
                }
            }
        }
        out.println(sample + (sample == 1 ? " sample" : " samples"));
        for (int i = 0; i < ranges.length; i++) {
            out.println(String.format(
                    Locale.ROOT,
                    "input %s %s: from %.4g to %.4g, mean %.4g",
                    inputs.get(i).name(),
                    shapes[i],
                    ranges[i].least,
                    ranges[i].most,
                    ranges[i].sum / ranges[i].count));
        }
        if (preview.isPresent()) {
            if (pictures == 0) {
                throw new UsageException("no input is an image of 1 or 3 channels, so there is nothing to preview");
            }
            out.println("wrote " + pictures + " pictures to " + preview.get());
        }
    }

    /** Writes a sample of an input, if it is an image; tells how many pictures that makes. */
    private int picture(Path folder, int sample, List<InputSpec> inputs, int input, HostTensor tensor) {
        long[] shape = tensor.shape();
        if (shape.length != 4 || tensor.type() != ElementType.FLOAT) {
            return 0;
        }
        boolean last = inputs.get(input).channelsLast() || (!isColour(shape[1]) && isColour(shape[3]));
        if (!isColour(shape[last ? 3 : 1])) {
            return 0;
        }
        String name = String.format(
                Locale.ROOT,
                "%05d%s.png",
                sample,
                inputs.size() == 1 ? "" : "-" + inputs.get(input).name().replaceAll("[^\\w.-]", "_"));
        Path file = folder.resolve(name);
        try {
            Files.createDirectories(folder);
            ByteArrayOutputStream png = new ByteArrayOutputStream();
            ImageIO.write(image(tensor, last), "png", png);
            OutputFile.check(file, List.of(modelPath, samplesPath), force).write(png.toByteArray());
        } catch (IOException e) {
            throw new RebiasException("picture '" + file + "' cannot be written: " + e.getMessage(), e);
        }
        return 1;
    }

    private static boolean isColour(long channels) {
        return channels == 1 || channels == 3;
    }

    private BufferedImage image(HostTensor tensor, boolean last) {
        Normalization normalization = sampleOptions.normalization();
        long[] shape = tensor.shape();
        int channels = Math.toIntExact(shape[last ? 3 : 1]);
        int height = Math.toIntExact(shape[last ? 1 : 2]);
        int width = Math.toIntExact(shape[last ? 2 : 3]);
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int rgb = 0;
                for (int c = 0; c < 3; c++) {
                    int channel = Math.min(c, channels - 1);
                    int at = last ? (y * width + x) * channels + channel : (channel * height + y) * width + x;
                    float stored = normalization.stored(tensor.floats().get(at), channel);
                    rgb = rgb << 8 | Math.max(0, Math.min(255, Math.round(stored)));
                }
                image.setRGB(x, y, rgb);
            }
        }
        return image;
    }
}
