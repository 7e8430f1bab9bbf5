package dev.rebias.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class PrivateFolderTest {
    private static final String SOMEBODY = "12345";

    @TempDir
    Path folder;

    private final String home = System.getProperty("user.home");

    @BeforeEach
    void ownHome() throws IOException {
        System.setProperty(
                "user.home", Files.createDirectory(folder.resolve("home")).toString());
    }

    @AfterEach
    void asItWas() {
        System.setProperty("user.home", home);
    }

    private static void mode(Path path, String mode) throws IOException {
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(mode));
    }

    private static String mode(Path path) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
    }

    /** Gives a file to somebody else, which only root can. */
    private static void giveAway(Path path) throws IOException, InterruptedException {
        assumeTrue(Owner.self().equals(Optional.of(Owner.ROOT)));
        Process chown = new ProcessBuilder("chown", SOMEBODY, path.toString()).start();
        assertThat(chown.waitFor()).isZero();
    }

    @Test
    void theUsersFolderIsMadeForThemAlone() throws IOException {
        Path made = PrivateFolder.ofUser().orElseThrow();
        assertThat(made).isEqualTo(folder.resolve("home/.cache/rebias").toRealPath());
        assertThat(mode(made)).isEqualTo("rwx------");
        mode(made, "rwxr-xr-x");
        assertThat(PrivateFolder.ofUser()).contains(made);
        assertThat(mode(made)).isEqualTo("rwx------");
    }

    @ParameterizedTest
    @ValueSource(strings = {"?", "", "relative/home", "/nonexistent", "/dev/null", "/proc"})
    void thereIsNoneForAUserWithoutAHome(String noHome) throws IOException {
        System.setProperty("user.home", noHome);
        assertThat(PrivateFolder.ofUser()).isEmpty();
        assertThat(Path.of("?")).doesNotExist();
        assertThat(Path.of("relative")).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource({"home/.cache/rebias", "home/.cache", "home"})
    void aFolderThatOthersCouldHaveWrittenToIsNotUsed(String exposed) throws IOException, InterruptedException {
        Path made = PrivateFolder.ofUser().orElseThrow();
        Path at = folder.resolve(exposed);
        String before = mode(at);
        mode(at, "rwxrwxrwx");
        assertThat(PrivateFolder.ofUser()).isEmpty();
        mode(at, before);
        assertThat(PrivateFolder.ofUser()).contains(made);
        giveAway(at);
        assertThat(PrivateFolder.ofUser()).isEmpty();
    }

    @Test
    void aFolderBehindALinkCountsAsWhatItIs() throws IOException {
        Path planted = Files.createDirectory(folder.resolve("planted"));
        mode(planted, "rwxrwxrwx");
        Files.createDirectory(folder.resolve("home/.cache"));
        Files.createSymbolicLink(folder.resolve("home/.cache/rebias"), planted);
        assertThat(PrivateFolder.ofUser()).isEmpty();
    }

    @Test
    void aNamedFolderMayBeReadByAllAndWrittenToByNobodyElse() throws IOException, InterruptedException {
        Path named = Files.createDirectory(folder.resolve("named"));
        for (String good : List.of("rwxr-xr-x", "rwx------", "r-xr-xr-x")) {
            mode(named, good);
            assertThat(PrivateFolder.exposure(named)).as(good).isEmpty();
        }
        mode(named, "rwxrwxrwx");
        assertThat(PrivateFolder.exposure(named).orElseThrow()).contains("can be written to by others");
        assertThat(PrivateFolder.exposure(Path.of("/tmp")).orElseThrow()).contains("can be written to by others");
        mode(named, "rwxr-xr-x");
        giveAway(named);
        assertThat(PrivateFolder.exposure(named).orElseThrow()).contains("another user (number " + SOMEBODY + ")");
    }

    /** Makes the process's folder and waits to be killed, or ends. */
    static final class Holder {
        private Holder() {}

        public static void main(String[] args) throws InterruptedException, IOException {
            Path made = ProcessFolder.get();
            Files.createDirectories(made.resolve("deep/er"));
            Files.writeString(made.resolve("deep/er/library.so"), "x");
            System.out.println(made + " " + mode(made));
            Thread.sleep(Long.parseLong(args[0]));
        }
    }

    private Process holder(long millis) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Djava.io.tmpdir=" + folder,
                        "-cp",
                        System.getProperty("java.class.path"),
                        Holder.class.getName(),
                        Long.toString(millis))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    private List<Path> left() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.getFileName().toString().startsWith("rebias-"))
                    .toList();
        }
    }

    @Test
    void aFolderThatAnotherProcessHasJustMadeForOnnxRuntimeStays() throws IOException, InterruptedException {
        Path now = Files.createDirectory(folder.resolve("onnxruntime-java1"));
        Path abandoned = Files.createDirectory(folder.resolve("onnxruntime-java2"));
        Path used = Files.createDirectory(folder.resolve("onnxruntime-java3"));
        Files.writeString(used.resolve("libonnxruntime.so"), "x");
        FileTime twoHoursAgo = FileTime.from(Instant.now().minus(2, ChronoUnit.HOURS));
        Files.setLastModifiedTime(abandoned, twoHoursAgo);
        Files.setLastModifiedTime(used, twoHoursAgo);
        assertThat(holder(0).waitFor()).isZero();
        assertThat(now).isDirectory();
        assertThat(used).isDirectory();
        assertThat(abandoned).doesNotExist();
    }

    @Test
    void theProcessesFolderGoesWithItAndAKilledOnesWithTheNext() throws IOException, InterruptedException {
        Process killed = holder(600_000);
        try {
            String said = killed.inputReader().readLine();
            Path of = Path.of(said.substring(0, said.indexOf(' ')));
            assertThat(said).endsWith(" rwx------");
            Process other = holder(0);
            assertThat(other.inputReader().readLine()).doesNotStartWith(of.toString());
            assertThat(other.waitFor(2, TimeUnit.MINUTES)).isTrue();
            assertThat(left())
                    .as("the living one's stays, the ended one's is gone")
                    .containsExactly(of);
            killed.destroyForcibly();
            assertThat(killed.waitFor(2, TimeUnit.MINUTES)).isTrue();
            assertThat(left()).containsExactly(of);
            assertThat(holder(0).waitFor(2, TimeUnit.MINUTES)).isTrue();
            assertThat(left()).isEmpty();
        } finally {
            killed.destroyForcibly();
        }
    }
}
