package dev.rebias.cli;

import dev.rebias.Version;
import dev.rebias.error.RebiasException;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The program {@code rebias}. Exit codes: DESIGN.md section 10, {@link RebiasException#exitCode()}. */
@Command(
        name = "rebias",
        description =
                "Repairs quantised neural networks: measures each layer's systematic error and folds it into its bias.",
        subcommands = {
            DemoCommand.class,
            CorrectCommand.class,
            CalibrateCommand.class,
            InspectCommand.class,
            CompareCommand.class,
            DoctorCommand.class,
            KernelsCommand.class,
            GpuCheckCommand.class
        },
        mixinStandardHelpOptions = true,
        versionProvider = Main.VersionText.class,
        sortOptions = false)
public final class Main implements Runnable {
    private static final int FAILURE = 1;
    private static final int USAGE = 2;

    @Option(names = "--verbose", description = "Show the stack trace of a failure.", scope = ScopeType.INHERIT)
    private boolean verbose;

    @Spec
    private CommandSpec spec;

    /** What {@code --version} prints. */
    static final class VersionText implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"rebias " + Version.current()};
        }
    }

    @Override
    public void run() {
        throw new CommandLine.ParameterException(
                spec.commandLine(), "no command given: try 'rebias demo' or 'rebias --help'");
    }

    public static void main(String[] args) {
        fromEnvironment("rebias.cache", "REBIAS_CACHE");
        fromEnvironment("rebias.kernels", "REBIAS_KERNELS");
        fromEnvironment("rebias.cuda.libraries", "REBIAS_CUDA_LIBRARIES");
        fromEnvironment("rebias.cuda.home", "CUDA_HOME");
        int exitCode;
        try {
            exitCode = run(args);
        } catch (OutOfMemoryError e) {
            System.err.println("rebias: out of memory (" + e.getMessage()
                    + "): use fewer samples (--limit), or a machine with more");
            exitCode = FAILURE;
        }
        System.exit(exitCode);
    }

    /** A setting's system property from its environment variable, unless it is set already. */
    private static void fromEnvironment(String property, String variable) {
        String value = System.getenv(variable);
        if (value != null && System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }

    /** Runs the program and gives its exit code, without ending the process. */
    static int run(String... args) {
        Main main = new Main();
        return new CommandLine(main)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler((e, arguments) -> {
                    PrintWriter err = e.getCommandLine().getErr();
                    String command = e.getCommandLine().getCommandSpec().qualifiedName();
                    err.println("rebias: " + oneLine(e) + " (see '" + command + " --help')");
                    return USAGE;
                })
                .setExecutionExceptionHandler((e, commandLine, result) -> failed(e, commandLine, main.verbose))
                .execute(args);
    }

    private static int failed(Exception e, CommandLine commandLine, boolean verbose) {
        PrintWriter err = commandLine.getErr();
        if (e instanceof RebiasException failure) {
            err.println("rebias: " + oneLine(e));
            if (verbose) {
                e.printStackTrace(err);
            }
            return failure.exitCode();
        }
        err.println("rebias: internal error: " + e.getClass().getSimpleName() + ": " + oneLine(e)
                + " (please report it, with the output of --verbose)");
        if (verbose) {
            e.printStackTrace(err);
        }
        return FAILURE;
    }

    private static String oneLine(Exception e) {
        return String.valueOf(e.getMessage()).strip().replaceAll("\\s*\\R\\s*", " ");
    }
}
