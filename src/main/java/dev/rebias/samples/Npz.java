package dev.rebias.samples;

import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.files.InputFile;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** NumPy archives (.npz): zip files of .npy arrays, stored or deflated. */
public final class Npz implements AutoCloseable {
    private static final String SUFFIX = ".npy";
    private static final long MOST_INFLATED = 1032;

    private final Path file;
    private final ZipFile zip;

    private Npz(Path file, ZipFile zip) {
        this.file = file;
        this.zip = zip;
    }

    static Npz open(Path file) {
        try {
            return new Npz(file, new ZipFile(file.toFile()));
        } catch (IOException e) {
            throw StoredArray.failure("'" + file + "'", e);
        }
    }

    /**
     * Reads one array whole.
     *
     * @throws UsageException if there is no such file
     * @throws UnsupportedException if it is damaged, or has no such array
     */
    public static HostTensor read(Path file, String array) {
        if (!InputFile.exists(file)) {
            throw new UsageException("file '" + file + "' does not exist: check the path");
        }
        try (Npz npz = open(file)) {
            return npz.array(array);
        }
    }

    /** An array whole; throws UnsupportedException if it is damaged, or there is no such array. */
    HostTensor array(String name) {
        Map<String, StoredArray> arrays = arrays();
        if (!arrays.containsKey(name)) {
            throw new UnsupportedException("'" + file + "' holds the arrays " + List.copyOf(arrays.keySet())
                    + ", but none named '" + name + "'");
        }
        return arrays.get(name).whole();
    }

    /** The names of a file's arrays. Throws as {@link #read} does. */
    public static List<String> names(Path file) {
        if (!InputFile.exists(file)) {
            throw new UsageException("file '" + file + "' does not exist: check the path");
        }
        try (Npz npz = open(file)) {
            return List.copyOf(npz.arrays().keySet());
        }
    }

    /** The arrays by name, in the archive's order. */
    Map<String, StoredArray> arrays() {
        Map<String, StoredArray> arrays = new LinkedHashMap<>();
        for (ZipEntry entry : Collections.list(zip.entries())) {
            if (!entry.isDirectory()) {
                checkSize(entry);
                String name = entry.getName().endsWith(SUFFIX)
                        ? entry.getName().substring(0, entry.getName().length() - SUFFIX.length())
                        : entry.getName();
                arrays.put(
                        name,
                        StoredArray.open(
                                "array '" + name + "' of '" + file + "'",
                                entry.getSize(),
                                () -> new ChecksummedStream(zip.getInputStream(entry), entry)));
            }
        }
        return arrays;
    }

    /** Deflate makes no more than 1032 bytes of one: an entry that claims more is none that NumPy wrote. */
    private void checkSize(ZipEntry entry) {
        if (entry.getSize() > MOST_INFLATED * (entry.getCompressedSize() + 1)) {
            throw new UnsupportedException(
                    "entry '" + entry.getName() + "' of '" + file + "' claims to be " + entry.getSize() + " bytes in "
                            + entry.getCompressedSize() + ", more than deflate can hold: the file is damaged");
        }
    }

    @Override
    public void close() {
        try {
            zip.close();
        } catch (IOException e) {
            throw StoredArray.failure("'" + file + "'", e);
        }
    }
}
