package dev.rebias.spark;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.launcher.JavaModuleOptions;

/**
 * A program submitted to a cluster of three executors with a core each, processes of this machine: what spark-submit
 * starts, with an installation of nothing but Spark's libraries.
 */
final class SubmittedRun implements AutoCloseable {
    private static final Path JAR = Path.of(System.getProperty("rebias.spark.jar"));
    private static final Path JARS = Path.of(System.getProperty("rebias.spark.home"), "jars");
    private static final Pattern EXECUTOR = Pattern.compile(" --executor-id (\\d+) ");
    private static final Pattern STARTED = Pattern.compile("Starting task .* \\(TID (\\d+)\\) .*executor (\\d+)");
    private static final Pattern ENDED = Pattern.compile("(?:Finished|Lost) task .* \\(TID (\\d+)\\)");

    private final Process process;
    private final List<String> lines = new ArrayList<>();
    /** The executor of each task at work. */
    private final Map<String, String> working = new HashMap<>();

    private SubmittedRun(Process process) {
        this.process = process;
    }

    private static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    /**
     * Starts one.
     *
     * @param folder for everything that is written besides
     */
    static SubmittedRun start(Path folder, String... arguments) throws IOException {
        Path home = Files.createDirectories(folder.resolve("spark"));
        if (!Files.exists(home.resolve("jars"))) {
            Files.createSymbolicLink(home.resolve("jars"), JARS.toRealPath());
        }
        Path temporary = Files.createDirectories(folder.resolve("tmp"));
        List<String> command = new ArrayList<>(List.of(java()));
        command.addAll(List.of(JavaModuleOptions.defaultModuleOptions().split(" ")));
        command.addAll(List.of("-Djava.io.tmpdir=" + temporary, "-cp", home.resolve("jars") + "/*"));
        command.addAll(List.of("org.apache.spark.deploy.SparkSubmit", "--master", "local-cluster[3,1,1024]"));
        for (String setting : List.of(
                "spark.driver.host=127.0.0.1",
                "spark.driver.bindAddress=127.0.0.1",
                "spark.ui.enabled=false",
                "spark.local.dir=" + temporary,
                "spark.executor.extraJavaOptions=-Djava.io.tmpdir=" + temporary)) {
            command.addAll(List.of("--conf", setting));
        }
        command.addAll(List.of("--class", Correct.class.getName(), JAR.toString()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("SPARK_HOME", home.toString());
        builder.environment().put("SPARK_SCALA_VERSION", "2.13");
        builder.environment().put("SPARK_LOCAL_IP", "127.0.0.1");
        return new SubmittedRun(builder.start());
    }

    /** What {@code rebias} itself says and does, as a process on one core. */
    static int rebias(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(java(), "-XX:ActiveProcessorCount=1", "-cp"));
        command.add(JAR + ":" + JARS + "/*");
        command.add("dev.rebias.cli.Main");
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command).inheritIO().start().waitFor();
    }

    /**
     * Waits for its end.
     *
     * @param heard hears each line, after it has been taken note of
     * @return the exit code
     */
    int await(Consumer<String> heard) throws IOException, InterruptedException {
        try (BufferedReader said = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = said.readLine(); line != null; line = said.readLine()) {
                lines.add(line);
                Matcher started = STARTED.matcher(line);
                if (started.find()) {
                    working.put(started.group(1), started.group(2));
                }
                Matcher ended = ENDED.matcher(line);
                if (ended.find()) {
                    working.remove(ended.group(1));
                }
                heard.accept(line);
            }
        }
        return process.waitFor();
    }

    /** Everything that was said so far. */
    String said() {
        return String.join("\n", lines);
    }

    /** Kills an executor (signal 9) that is at work; says which. */
    String killOneAtWork() {
        String executor = working.values().iterator().next();
        ProcessHandle found = process.descendants()
                .filter(p -> isExecutor(p, executor))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no process of executor " + executor + "\n" + said()));
        found.destroyForcibly();
        return executor;
    }

    private static boolean isExecutor(ProcessHandle process, String number) {
        Matcher m = EXECUTOR.matcher(process.info().commandLine().orElse("") + " ");
        return m.find() && m.group(1).equals(number);
    }

    /** Leaves no process behind. */
    @Override
    public void close() {
        List<ProcessHandle> all = new ArrayList<>(process.descendants().toList());
        all.add(process.toHandle());
        all.forEach(ProcessHandle::destroyForcibly);
        all.forEach(p -> p.onExit().orTimeout(30, TimeUnit.SECONDS).join());
    }
}
