package dev.rebias.device.cuda;

import dev.rebias.error.Failure;
import dev.rebias.files.PrivateFolder;
import dev.rebias.files.ProcessFolder;
import dev.rebias.files.Sha256;
import dev.rebias.files.TemporaryFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Compiled kernels on disk, one file each, named by the hash of all that goes into it. A file is a SHA-256, and what
 * that is of: a line that says what made the cubin and for which architecture, and the cubin. One that is damaged, or
 * that something else made, is found out and compiled again. Files are written whole or not at all, so several
 * processes may share a folder.
 */
final class KernelCache {
    private static final int DIGEST = 32;

    private final List<Path> readOnly;
    private final Path folder;
    private volatile Optional<String> problem = Optional.empty();

    /**
     * A cache.
     *
     * @param readOnly folders that are looked into first
     * @param folder where new files go; made when needed
     */
    KernelCache(List<Path> readOnly, Path folder) {
        this.readOnly = readOnly.stream().filter(this::isSafe).toList();
        // Kernels that somebody else could have put there are code as any other. Made now, so that nobody else can make
        // it later.
        folder.toFile().mkdirs();
        this.folder = isSafe(folder) ? folder : ProcessFolder.get().resolve("kernels");
    }

    private boolean isSafe(Path place) {
        Optional<String> exposure = PrivateFolder.exposure(place);
        exposure.ifPresent(why -> problem = Optional.of("compiled kernels are not taken from or kept in '" + place
                + "' (" + why + "), so every start compiles them again: name a folder that is yours alone"));
        return exposure.isEmpty();
    }

    /** The name of what comes out of these inputs. */
    static String key(List<String> inputs) {
        MessageDigest digest = Sha256.digest();
        for (String input : inputs) {
            byte[] bytes = input.getBytes(StandardCharsets.UTF_8);
            // With its length, so that no two lists run together into the same bytes.
            digest.update(
                    ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).array());
            digest.update(bytes);
        }
        return Sha256.hex(digest);
    }

    /**
     * A cubin, if it is there and whole.
     *
     * @param maker what must have made it, one line
     */
    Optional<byte[]> find(String key, String maker) {
        for (Path place : readOnly) {
            Optional<byte[]> found = read(place.resolve(key + ".cubin"), maker);
            if (found.isPresent()) {
                return found;
            }
        }
        return read(folder.resolve(key + ".cubin"), maker);
    }

    private Optional<byte[]> read(Path file, String maker) {
        if (!Files.isReadable(file)) {
            return Optional.empty();
        }
        try {
            byte[] all = Files.readAllBytes(file);
            if (all.length <= DIGEST) {
                return Optional.empty();
            }
            byte[] made = Arrays.copyOfRange(all, DIGEST, all.length);
            boolean whole = MessageDigest.isEqual(Sha256.digest().digest(made), Arrays.copyOf(all, DIGEST));
            byte[] line = line(maker);
            boolean ours = made.length > line.length && Arrays.equals(made, 0, line.length, line, 0, line.length);
            return whole && ours ? Optional.of(Arrays.copyOfRange(made, line.length, made.length)) : Optional.empty();
        } catch (IOException e) {
            problem = Optional.of("'" + file + "' cannot be read (" + Failure.reason(e) + ")");
            return Optional.empty();
        }
    }

    private static byte[] line(String maker) {
        return (maker + "\n").getBytes(StandardCharsets.UTF_8);
    }

    /**
     * Keeps a cubin with what made it, and beside it its source, for people. Where that is not possible,
     * {@link #problem} tells.
     */
    void keep(String key, String maker, String source, byte[] cubin) {
        try {
            Files.createDirectories(folder);
            TemporaryFile.removeAbandoned(folder);
            Path file = folder.resolve(key + ".cubin");
            try (TemporaryFile temporary = TemporaryFile.of(file)) {
                byte[] line = line(maker);
                byte[] made = Arrays.copyOf(line, line.length + cubin.length);
                System.arraycopy(cubin, 0, made, line.length, cubin.length);
                temporary
                        .channel()
                        .write(new ByteBuffer[] {ByteBuffer.wrap(Sha256.digest().digest(made)), ByteBuffer.wrap(made)});
                temporary.publish(file, true);
                Files.writeString(folder.resolve(key + ".cu"), source);
            }
        } catch (IOException e) {
            problem = Optional.of("compiled kernels cannot be kept in '" + folder + "' (" + Failure.reason(e)
                    + "), so every start compiles them again");
        }
    }

    /** Where new files go. */
    Path folder() {
        return folder;
    }

    /** In one sentence, why the cache does not work as it should. */
    Optional<String> problem() {
        return problem;
    }
}
