package dev.rebias.cli;

import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.device.Upcoming;
import dev.rebias.device.cuda.KernelCompiler;
import dev.rebias.error.UsageException;
import dev.rebias.sweep.Reference;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code rebias kernels}: compiles the CUDA kernels before they are needed. */
@Command(
        name = "kernels",
        description = "Compiles the CUDA kernels ahead of time, for an image or a cache. Needs NVRTC, and no GPU.",
        mixinStandardHelpOptions = true,
        sortOptions = false)
final class KernelsCommand implements Callable<Integer> {
    @Option(
            names = "--arch",
            required = true,
            split = ",",
            paramLabel = "sm_XX",
            description = "Architectures to compile for, e.g. sm_80,sm_90. May be given more than once.")
    private List<String> architectures;

    @Option(
            names = "--float",
            paramLabel = "F.onnx",
            description = "With --quantized: the float model; then what correcting that network needs is compiled too, "
                    + "for both references. Not needed for Keras models, which hold their float weights.")
    private Optional<Path> floatModel = Optional.empty();

    @Option(
            names = "--quantized",
            paramLabel = "Q.onnx",
            description = "The quantised model (ONNX, or Keras as for 'correct').")
    private Optional<Path> quantizedModel = Optional.empty();

    @Option(
            names = "--output",
            paramLabel = "DIR",
            description = "The folder they go to, which REBIAS_KERNELS names at run time (default: the cache, which "
                    + "REBIAS_CACHE may name).")
    private Optional<Path> output = Optional.empty();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        for (String architecture : architectures) {
            if (!architecture.matches("sm_\\d{2,3}[af]?")) {
                throw new UsageException(
                        "architecture '" + architecture + "' is none: write it as sm_XX, e.g. sm_90 for an H100");
            }
        }
        if (floatModel.isPresent() && quantizedModel.isEmpty()) {
            throw new UsageException("--float names the float model of a pair: give --quantized too");
        }
        List<Upcoming> operations = operations();
        Path folder = output.orElseGet(KernelCompiler::defaultFolder);
        PrintWriter out = spec.commandLine().getOut();
        for (String architecture : architectures) {
            KernelCompiler.Compiled compiled = KernelCompiler.compile(architecture, folder, operations);
            out.println(architecture + ": " + String.join(", ", compiled.sources()) + " in '" + folder + "'");
            out.println(architecture + ": " + compiled.summary());
        }
        out.println("compiled with NVRTC " + KernelCompiler.compilerVersion());
        out.flush();
        return 0;
    }

    /** What corrections of the pair run, for each reference that it can be corrected against. */
    private List<Upcoming> operations() {
        List<Upcoming> all = new ArrayList<>();
        if (quantizedModel.isPresent()) {
            // A Keras model holds the weights of its float layers, but not the float network.
            boolean both = floatModel.isPresent();
            BiasCorrection correction = BiasCorrection.of(PairOptions.read(floatModel, quantizedModel.get(), true));
            for (Reference reference : both ? Reference.values() : new Reference[] {Reference.LAYER}) {
                all.addAll(correction.operations(
                        CorrectionOptions.builder().reference(reference).build()));
            }
        }
        return all;
    }
}
