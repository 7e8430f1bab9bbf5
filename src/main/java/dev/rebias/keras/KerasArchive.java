package dev.rebias.keras;

import dev.rebias.error.UnsupportedException;
import dev.rebias.hdf5.Hdf5Editor;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

/**
 * A model as Keras 3 writes it to {@code .keras}: a zip archive of {@code config.json}, {@code metadata.json} and
 * {@code model.weights.h5}, in which a layer's weights are {@code layers/CLASS_IN_SNAKE_CASE[_n]/vars/0, 1, ..}, n
 * counting the layers of one class.
 */
final class KerasArchive implements KerasFile {
    private static final String CONFIG = "config.json";
    private static final String WEIGHTS = "model.weights.h5";

    private record Entry(ZipEntry header, byte[] contents) {}

    private final String where;
    private final Map<String, Entry> entries;
    private final Hdf5File weights;

    KerasArchive(String where, byte[] bytes) {
        this.where = where;
        this.entries = entries(where, bytes);
        this.weights = Hdf5File.open("'" + WEIGHTS + "' in " + where, entry(WEIGHTS));
    }

    private static Map<String, Entry> entries(String where, byte[] bytes) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        long most = Math.min(Inflation.most(bytes.length), Integer.MAX_VALUE - 16L);
        long left = most;
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(bytes))) {
            for (ZipEntry header = zip.getNextEntry(); header != null; header = zip.getNextEntry()) {
                String name = header.getName();
                if (name.startsWith("/")
                        || name.contains("\\")
                        || List.of(name.split("/", -1)).contains("..")) {
                    throw new UnsupportedException(where + " holds an entry '" + name
                            + "' that points out of the archive: Keras writes no such file, do not trust it");
                }
                byte[] contents = zip.readNBytes((int) left);
                left -= contents.length;
                if (left == 0) {
                    throw new UnsupportedException(where + " unpacks to more than " + most + " bytes (at entry '" + name
                            + "'), too much for an archive of " + bytes.length
                            + ": Keras stores weights as they are, do not trust it");
                }
                if (entries.put(name, new Entry(header, contents)) != null) {
                    throw new UnsupportedException(where + " holds the entry '" + name + "' twice: it is damaged");
                }
            }
        } catch (IOException | IllegalArgumentException e) {
            throw new UnsupportedException(
                    where + " is not a zip archive that can be read, or is cut short or damaged (" + e.getMessage()
                            + "): copy or save it again",
                    e);
        }
        return entries;
    }

    private byte[] entry(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new UnsupportedException(where + " is an archive without '" + name + "' (it holds "
                    + List.copyOf(entries.keySet()) + "): it is not a Keras model, or cut short");
        }
        return entry.contents();
    }

    @Override
    public String config() {
        return new String(entry(CONFIG), StandardCharsets.UTF_8);
    }

    @Override
    public List<KerasWeight> weights(KerasLayer layer, int ordinal) {
        String group = group(layer, ordinal);
        List<String> names = new ArrayList<>(weights.datasets(group));
        names.sort(Comparator.comparing(KerasArchive::number));
        return names.stream().map(name -> weights.weight(group + "/" + name)).toList();
    }

    private String group(KerasLayer layer, int ordinal) {
        String folder = snakeCase(layer.className()) + (ordinal == 0 ? "" : "_" + ordinal);
        String group = "layers/" + folder + "/vars";
        Optional<String> stated = weights.text(group, "name");
        if (stated.isPresent() && !stated.get().equals(layer.name())) {
            throw layer.unsupported("has its weights in '" + group + "', but those there are of the layer '"
                    + stated.get() + "': configuration and weights do not belong together");
        }
        return group;
    }

    private static int number(String name) {
        try {
            return Integer.parseInt(name);
        } catch (NumberFormatException e) {
            return Integer.MAX_VALUE;
        }
    }

    /** The name of a class as Keras 3 spells it in paths: QuantizedReLU is quantized_re_lu. */
    static String snakeCase(String className) {
        return className
                .replaceAll("\\W+", "")
                .replaceAll("(.)([A-Z][a-z]+)", "$1_$2")
                .replaceAll("([a-z])([A-Z])", "$1_$2")
                .toLowerCase(Locale.ROOT);
    }

    @Override
    public Optional<String> noted(String attribute) {
        return weights.text("", attribute);
    }

    @Override
    public byte[] undone(String undo) {
        Map<String, byte[]> changed = new HashMap<>();
        Before.parse(where, undo)
                .forEach((name, before) ->
                        changed.put(name, before.restored("'" + name + "' in " + where, entry(name))));
        return zip(changed);
    }

    @Override
    public byte[] corrected(String config, Map<KerasLayer, float[]> biases, CorrectionNote note) {
        byte[] text = config.equals(config()) ? entry(CONFIG) : config.getBytes(StandardCharsets.UTF_8);
        Map<String, Before> before = Map.of(CONFIG, Before.of(entry(CONFIG), text));
        byte[] changed = note.undoable()
                ? Before.telling(WEIGHTS, entry(WEIGHTS), before, undo -> edited(biases, note, Optional.of(undo)))
                : edited(biases, note, undo().map(stale -> NO_UNDO));
        return zip(Map.of(CONFIG, text, WEIGHTS, changed));
    }

    private byte[] edited(Map<KerasLayer, float[]> biases, CorrectionNote note, Optional<String> undo) {
        Hdf5Editor editor = new Hdf5Editor("'" + WEIGHTS + "' in " + where, entry(WEIGHTS));
        biases.forEach((layer, bias) -> {
            if (layer.usesBias()) {
                editor.setFloats(
                        weights.address(layer.weights().get(layer.biasIndex()).path()), bias);
                return;
            }
            KerasWeight kernel = layer.weights().get(layer.biasIndex() - 1);
            if (layer.weights().size() > layer.biasIndex()) {
                throw layer.unsupported(
                        "has weights behind its kernels, so a bias cannot be added in its place: give the layer a "
                                + "bias before it is corrected");
            }
            editor.addFloats(
                    weights.address(kernel.group()),
                    Integer.toString(layer.biasIndex()),
                    weights.address(kernel.path()),
                    bias);
        });
        KerasFile.note(editor, note, undo);
        return editor.toBytes();
    }

    /** The archive with other contents for some entries; the entries' order, times and compression stay. */
    private byte[] zip(Map<String, byte[]> changed) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            for (Map.Entry<String, Entry> entry : entries.entrySet()) {
                ZipEntry old = entry.getValue().header();
                byte[] contents =
                        changed.getOrDefault(entry.getKey(), entry.getValue().contents());
                ZipEntry header = new ZipEntry(old.getName());
                header.setTimeLocal(old.getTimeLocal());
                header.setMethod(old.getMethod());
                if (old.getMethod() == ZipEntry.STORED) {
                    CRC32 crc = new CRC32();
                    crc.update(contents);
                    header.setCrc(crc.getValue());
                    header.setSize(contents.length);
                }
                zip.putNextEntry(header);
                zip.write(contents);
                zip.closeEntry();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }
}
