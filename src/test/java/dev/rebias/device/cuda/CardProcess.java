package dev.rebias.device.cuda;

import dev.rebias.device.Emulator;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The program in a process of its own, for what is decided once in a process. */
record CardProcess(int exitCode, String output) {
    /** The emulator's libraries; a test that needs them is skipped where there are none. */
    static Path emulator() {
        Emulator.require();
        return Path.of(System.getProperty("rebias.test.emulator")).toAbsolutePath();
    }

    /**
     * Runs it.
     *
     * @param environment beside that of this process
     * @param properties of Java, as options
     */
    static CardProcess run(Path folder, Map<String, String> environment, List<String> properties, String... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(properties);
        command.add("-Dorg.bytedeco.javacpp.maxPhysicalBytes=0");
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), "dev.rebias.cli.Main"));
        command.addAll(List.of(arguments));
        Path log = folder.resolve("log");
        ProcessBuilder process =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        process.environment().putAll(environment);
        int exitCode = process.start().waitFor();
        return new CardProcess(exitCode, Files.readString(log, StandardCharsets.UTF_8));
    }
}
