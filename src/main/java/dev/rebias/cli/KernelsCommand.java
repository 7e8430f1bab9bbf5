package dev.rebias.cli;

import dev.rebias.device.cuda.KernelCompiler;
import dev.rebias.error.UsageException;
import java.io.PrintWriter;
import java.nio.file.Path;
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
            names = "--output",
            paramLabel = "DIR",
            description =
                    "The folder they go to, which REBIAS_KERNELS names at run time (default: the cache, which REBIAS_CACHE may name).")
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
        Path folder = output.orElseGet(KernelCompiler::defaultFolder);
        PrintWriter out = spec.commandLine().getOut();
        for (String architecture : architectures) {
            List<String> compiled = KernelCompiler.compile(architecture, folder);
            out.println(architecture + ": " + String.join(" ", compiled) + " in '" + folder + "'");
        }
        out.println("compiled with NVRTC " + KernelCompiler.compilerVersion());
        out.flush();
        return 0;
    }
}
