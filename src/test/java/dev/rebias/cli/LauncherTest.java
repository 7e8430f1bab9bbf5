package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the launcher gives to Java, which depends on Java's version. */
final class LauncherTest {
    /** Says what it was given, and leaves the archive that it was asked for. */
    private static final String JAVA = """
            #!/usr/bin/env bash
            printf '%s\\n' "$@"
            for option in "$@"; do case $option in -XX:ArchiveClassesAtExit=*) touch "${option#*=}" ;; esac; done
            """;

    @TempDir
    Path folder;

    /** What is given to a Java whose folder says that of itself. */
    private List<String> given(String release) throws IOException, InterruptedException {
        Path home = Files.createDirectories(folder.resolve("home"));
        Path launcher = Files.createDirectories(home.resolve("launcher"));
        Files.copy(Path.of("rebias"), home.resolve("rebias"));
        Files.copy(Path.of("launcher/start.sh"), launcher.resolve("start.sh"));
        Files.createFile(Files.createDirectories(home.resolve("target")).resolve("rebias.jar"));
        Path bin = Files.createDirectories(folder.resolve("java/bin"));
        Path java = Files.writeString(bin.resolve("java"), JAVA);
        Files.setPosixFilePermissions(java, PosixFilePermissions.fromString("rwxr-xr-x"));
        if (!release.isEmpty()) {
            Files.writeString(folder.resolve("java/release"), release + "\n");
        }
        ProcessBuilder start =
                new ProcessBuilder("bash", home.resolve("rebias").toString(), "doctor").redirectErrorStream(true);
        start.environment().put("JAVA_HOME", folder.resolve("java").toString());
        Process process = start.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(said).isZero();
        return said.lines().toList();
    }

    @ParameterizedTest
    @CsvSource({"24", "25.0.3", "26-ea", "100.0.1"})
    void newerJavaIsAllowedNativeLibrariesWithoutAWarning(String version) throws IOException, InterruptedException {
        assertThat(given("JAVA_VERSION=\"" + version + "\""))
                .contains("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")
                .endsWith("dev.rebias.cli.Main", "doctor");
    }

    @ParameterizedTest
    @CsvSource({"17.0.9", "21.0.1", "23"})
    void olderJavaGetsNoOptionThatItDoesNotKnow(String version) throws IOException, InterruptedException {
        assertThat(given("JAVA_VERSION=\"" + version + "\""))
                .noneMatch(option -> option.contains("-access="))
                .endsWith("dev.rebias.cli.Main", "doctor");
    }

    @Test
    void aJavaThatDoesNotSayItsVersionGetsNoneEither() throws IOException, InterruptedException {
        assertThat(given(""))
                .noneMatch(option -> option.contains("-access="))
                .endsWith("dev.rebias.cli.Main", "doctor");
    }

    /** A Maven that waits until it may go on, and says that it was there. */
    private static final String MAVEN = """
            #!/usr/bin/env bash
            echo built >> builds
            until [ -e go ]; do sleep 0.05; done
            [ ! -e target/rebias.jar ] && touch target/rebias.jar
            """;

    /** A fresh checkout, where eight starts are made at once; none of them ends otherwise. */
    private Path fresh(String maven, int exitCode, String saying) throws IOException, InterruptedException {
        Path home = Files.createDirectories(folder.resolve("fresh"));
        Files.copy(Path.of("rebias"), home.resolve("rebias"));
        Files.copy(
                Path.of("launcher/start.sh"),
                Files.createDirectories(home.resolve("launcher")).resolve("start.sh"));
        Files.createDirectories(home.resolve("src/main"));
        Files.createDirectories(home.resolve("cuda-kernels"));
        Files.createFile(home.resolve("pom.xml"));
        Path bin = Files.createDirectories(folder.resolve("tools"));
        for (Map.Entry<String, String> tool : Map.of("mvn", maven, "java", JAVA).entrySet()) {
            Path file = Files.writeString(bin.resolve(tool.getKey()), tool.getValue());
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
        List<Process> starts = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            ProcessBuilder start =
                    new ProcessBuilder("bash", home.resolve("rebias").toString(), "doctor").redirectErrorStream(true);
            start.environment().remove("JAVA_HOME");
            start.environment().merge("PATH", bin.toString(), (path, more) -> more + ":" + path);
            starts.add(start.redirectOutput(folder.resolve("said" + i).toFile()).start());
        }
        for (int i = 0; i < 8; i++) {
            // "building" or "waiting for another start"
            while (starts.get(i).isAlive() && Files.size(folder.resolve("said" + i)) == 0) {
                TimeUnit.MILLISECONDS.sleep(10);
            }
        }
        Files.createFile(home.resolve("go"));
        for (int i = 0; i < 8; i++) {
            int ended = starts.get(i).waitFor();
            String said = Files.readString(folder.resolve("said" + i));
            assertThat(ended).as(said).isEqualTo(exitCode);
            assertThat(said).contains(saying);
        }
        return home;
    }

    @Test
    void eightStartsInAFreshCheckoutMakeOneBuild() throws IOException, InterruptedException {
        assertThat(fresh(MAVEN, 0, "dev.rebias.cli.Main").resolve("builds")).hasContent("built");
    }

    @Test
    void aBuildThatFailsFailsOnceForAllThatWaitForIt() throws IOException, InterruptedException {
        String failing = MAVEN.replace("[ ! -e target/rebias.jar ] && touch target/rebias.jar", "echo no; exit 1");
        assertThat(fresh(failing, 1, "failed").resolve("builds")).hasContent("built");
    }
}
