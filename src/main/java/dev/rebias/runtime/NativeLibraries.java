package dev.rebias.runtime;

import dev.rebias.error.UsageException;
import dev.rebias.files.PrivateFolder;
import dev.rebias.files.ProcessFolder;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Where the libraries that come in jars are unpacked and loaded from: folders that are this user's alone. Left to
 * themselves JavaCPP and JNA take folders of known names, in the current folder or in the one for temporary files, for
 * users without a home: whoever makes these first has their code run by others.
 *
 * <p>Everything that uses native code calls {@link #prepare} first. What a program has set itself is taken over; what
 * was loaded before cannot be changed any more.
 */
public final class NativeLibraries {
    private static final String JAVACPP = "org.bytedeco.javacpp.cachedir";

    private static boolean prepared;
    private static boolean owned;

    private NativeLibraries() {}

    /**
     * Says that this process is rebias's own, so that all temporary files, also those of other libraries, may go to
     * {@link ProcessFolder}.
     */
    public static synchronized void ownProcess() {
        owned = true;
    }

    /**
     * Sets the folders, once.
     *
     * @throws UsageException if the folder that was named for JavaCPP's libraries is one that others can write to
     * @throws dev.rebias.error.RebiasException if there is no folder for temporary files
     */
    public static synchronized void prepare() {
        if (prepared) {
            return;
        }
        String named = System.getProperty(JAVACPP, "");
        if (named.isBlank()) {
            System.setProperty(JAVACPP, folder("javacpp").toString());
        } else {
            // If it is missing: made now, so that nobody else can make it later.
            Path.of(named).toFile().mkdirs();
            Optional<String> exposure = PrivateFolder.exposure(Path.of(named));
            if (exposure.isPresent()) {
                throw new UsageException("native libraries are not loaded from the folder '" + named
                        + "' (REBIAS_JAVACPP_CACHE, or the property " + JAVACPP + "), as " + exposure.get()
                        + ": name one that is yours alone, or none");
            }
        }
        if (System.getProperty("jna.tmpdir", "").isBlank()) {
            System.setProperty("jna.tmpdir", folder("jna").toString());
        }
        if (owned) {
            System.setProperty("java.io.tmpdir", ProcessFolder.get().toString());
        }
        prepared = true;
    }

    /** Where libraries of this kind are kept: with the user's cache, or where there is none, for this process alone. */
    private static Path folder(String kind) {
        Path folder = PrivateFolder.ofUser().orElseGet(ProcessFolder::get).resolve(kind);
        folder.toFile().mkdirs();
        return folder;
    }
}
