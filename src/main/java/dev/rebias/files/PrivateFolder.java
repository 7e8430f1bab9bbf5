package dev.rebias.files;

import dev.rebias.error.Failure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;

/**
 * Folders from which native code may be loaded: nobody but this user (and root) can have put anything there. A folder
 * of a known name in a place that all may write to, as {@code /tmp/NAME}, may have been made by somebody else first,
 * with code in it.
 */
public final class PrivateFolder {
    private static final Set<PosixFilePermission> OURS_ALONE = PosixFilePermissions.fromString("rwx------");
    static final FileAttribute<Set<PosixFilePermission>> MODE = PosixFilePermissions.asFileAttribute(OURS_ALONE);

    private PrivateFolder() {}

    /**
     * The folder of this user for what is kept from run to run, {@code .cache/rebias} in the home; made if need be,
     * with mode 0700. Empty where the user has no home, or somebody else could have put something there.
     */
    public static Optional<Path> ofUser() {
        String home = System.getProperty("user.home", "");
        // For a user that the system has no entry for, Java says "?": a folder below the current one.
        if (home.isEmpty() || !Path.of(home).isAbsolute() || !Files.isDirectory(Path.of(home))) {
            return Optional.empty();
        }
        try {
            Path folder = Path.of(home).toRealPath().resolve(".cache").resolve("rebias");
            Files.createDirectories(folder, MODE);
            folder = folder.toRealPath();
            if (!Files.isWritable(folder) || exposedOnTheWay(folder).isPresent() || !Owner.isOurs(folder)) {
                return Optional.empty();
            }
            Files.setPosixFilePermissions(folder, OURS_ALONE);
            return Optional.of(folder);
        } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static Optional<String> exposedOnTheWay(Path folder) throws IOException {
        Optional<String> exposure = Owner.exposure(folder, false);
        for (Path p = folder.getParent(); exposure.isEmpty() && p != null; p = p.getParent()) {
            exposure = Owner.exposure(p, true);
        }
        return exposure;
    }

    /**
     * Why code must not be loaded from a folder that the user has named; empty if it may be, or there is none. The
     * folders above it are the user's own affair.
     */
    public static Optional<String> exposure(Path named) {
        try {
            return Files.exists(named) ? Owner.exposure(named.toRealPath(), false) : Optional.empty();
        } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
            return Optional.of("'" + named + "' cannot be used: "
                    + (e instanceof IOException io ? Failure.reason(io) : Failure.deepest(e)));
        }
    }
}
