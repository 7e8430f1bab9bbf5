package dev.rebias.cli;

import dev.rebias.Version;
import dev.rebias.error.Failure;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import dev.rebias.report.OptionNames;
import dev.rebias.runtime.NativeLibraries;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The program {@code rebias}. Exit codes: {@link RebiasException#exitCode()}. */
@Command(
        name = "rebias",
        description =
                "Repairs quantised neural networks: measures each layer's systematic error and folds it into its bias.",
        mixinStandardHelpOptions = true,
        versionProvider = Main.VersionText.class,
        sortOptions = false)
public final class Main implements Runnable {
    private static final int FAILURE = 1;
    private static final int USAGE = 2;

    /** The commands by their names, in the order of the help. */
    private static final Map<String, Class<?>> COMMANDS = commands();

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

    private static Map<String, Class<?>> commands() {
        Map<String, Class<?>> all = new LinkedHashMap<>();
        all.put("demo", DemoCommand.class);
        all.put("correct", CorrectCommand.class);
        all.put("batch", BatchCommand.class);
        all.put("calibrate", CalibrateCommand.class);
        all.put("inspect", InspectCommand.class);
        all.put("measure", MeasureCommand.class);
        all.put("compare", CompareCommand.class);
        all.put("undo", UndoCommand.class);
        all.put("samples", SamplesCommand.class);
        all.put("doctor", DoctorCommand.class);
        all.put("kernels", KernelsCommand.class);
        all.put("gpu-check", GpuCheckCommand.class);
        return all;
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
        NativeLibraries.ownProcess();
        System.exit(run(args));
    }

    /**
     * A setting's system property from its environment variable, unless that is empty or the property is set already.
     */
    private static void fromEnvironment(String property, String variable) {
        String value = System.getenv(variable);
        if (value != null && !value.isBlank() && System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }

    /** Runs the program and gives its exit code, without ending the process. */
    static int run(String... args) {
        Main main = new Main();
        CommandLine commandLine = line(main, args)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler((e, arguments) -> {
                    PrintWriter err = e.getCommandLine().getErr();
                    String command = e.getCommandLine().getCommandSpec().qualifiedName();
                    err.println("rebias: " + text(e) + " (see '" + command + " --help')");
                    return USAGE;
                })
                .setExecutionExceptionHandler((e, failed, result) -> failed(e, failed, main.verbose));
        try {
            return commandLine.execute(args);
        } catch (Error e) {
            // A library that cannot be loaded, memory that does not suffice: picocli hands on exceptions only.
            return failed(e, commandLine, main.verbose);
        }
    }

    /** Knows the command that comes first, and all of them only where none does: making each takes time. */
    private static CommandLine line(Main main, String... args) {
        CommandLine line = new CommandLine(main);
        if (args.length > 0 && COMMANDS.containsKey(args[0])) {
            return line.addSubcommand(args[0], COMMANDS.get(args[0]));
        }
        COMMANDS.forEach(line::addSubcommand);
        return line;
    }

    private static int failed(Throwable e, CommandLine commandLine, boolean verbose) {
        PrintWriter err = commandLine.getErr();
        err.println("rebias: " + sentence(e));
        if (verbose) {
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            trace.toString().lines().map(PrintableText::sentence).forEach(err::println);
        }
        return e instanceof RebiasException failure ? failure.exitCode() : FAILURE;
    }

    /** What is told of a failure. */
    static String sentence(Throwable e) {
        if (e instanceof RebiasException) {
            return text(e);
        }
        if (e instanceof OutOfMemoryError) {
            return "out of memory (" + text(e) + "): "
                    + (text(e).contains("direct")
                            ? "samples live in direct memory; allow more with -XX:MaxDirectMemorySize (the "
                                    + "launcher gives two fifths of the machine's memory; "
                                    + "REBIAS_JAVA_OPTIONS=-XX:MaxDirectMemorySize=8g gives it more), or "
                                    + "use fewer samples (--limit)"
                            : "use fewer samples (--limit), or a machine with more");
        }
        if (e instanceof StackOverflowError) {
            return "the model or samples are nested too deeply to be read (the stack is exhausted)";
        }
        if (e instanceof LinkageError) {
            return PrintableText.sentence("a part of the program cannot be loaded: " + Failure.deepest(e)
                    + "; 'rebias doctor' says what this machine has, --verbose what was called");
        }
        return "internal error: " + e.getClass().getSimpleName() + ": " + text(e)
                + " (please report it, with the output of --verbose)";
    }

    private static String text(Throwable e) {
        return PrintableText.sentence(PrintableText.oneLine(OptionNames.inText(String.valueOf(e.getMessage()))));
    }
}
