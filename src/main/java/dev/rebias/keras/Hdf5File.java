package dev.rebias.keras;

import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import io.jhdf.HdfFile;
import io.jhdf.api.Attribute;
import io.jhdf.api.Dataset;
import io.jhdf.api.Group;
import io.jhdf.api.Node;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** Reads what Keras stores in an HDF5 file, held in memory. Whatever is wrong with the file is one sentence. */
final class Hdf5File {
    private final String where;
    private final long size;
    private final HdfFile file;
    /** The bytes of all weights read so far: several names may stand for one compressed dataset. */
    private long claimed;

    private Hdf5File(String where, long size, HdfFile file) {
        this.where = where;
        this.size = size;
        this.file = file;
    }

    /**
     * Opens a file.
     *
     * @param where what messages call it, quotes included
     */
    static Hdf5File open(String where, byte[] bytes) {
        HdfFile file = guarded(where, "its structure", () -> HdfFile.fromBytes(bytes));
        return new Hdf5File(where, bytes.length, file);
    }

    @FunctionalInterface
    private interface Work<T> {
        T run();
    }

    /** Runs the library on a file that may be damaged, which makes it throw exceptions of many kinds. */
    private static <T> T guarded(String where, String what, Work<T> work) {
        try {
            return work.run();
        } catch (UnsupportedException e) {
            throw e;
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError | AssertionError e) {
            String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
            throw new UnsupportedException(
                    where + " is not an HDF5 file that can be read, or is cut short or damaged: " + what
                            + " cannot be read (" + reason + "); copy or save it again",
                    e);
        }
    }

    private Optional<Node> find(String path) {
        return guarded(where, "'" + path + "'", () -> {
            Node node = file;
            for (String part : path.split("/", -1)) {
                if (part.isEmpty()) {
                    continue;
                }
                if (!(node instanceof Group group)) {
                    return Optional.empty();
                }
                node = group.getChildren().get(part);
                if (node == null) {
                    return Optional.empty();
                }
            }
            return Optional.of(node);
        });
    }

    boolean has(String path) {
        return find(path).isPresent();
    }

    /** The address of the object header of a group or dataset that is there. */
    long address(String path) {
        return guarded(where, "'" + path + "'", () -> find(path).orElseThrow().getAddress());
    }

    private Optional<Attribute> attribute(String path, String name) {
        return find(path)
                .flatMap(node -> guarded(
                        where,
                        attributeText(path, name),
                        () -> Optional.ofNullable(node.getAttributes().get(name))));
    }

    private static String attributeText(String path, String name) {
        return "attribute '" + name + "' of " + (path.isEmpty() ? "the root group" : "'" + path + "'");
    }

    private <T> Optional<T> data(String path, String name, Function<Object, Optional<T>> wanted) {
        return attribute(path, name)
                .map(a -> guarded(where, attributeText(path, name), () -> {
                    if (a.getSizeInBytes() > size) {
                        throw new IllegalArgumentException("it claims " + a.getSizeInBytes() + " bytes");
                    }
                    Object data = a.isEmpty() || a.getSize() == 0 ? new String[0] : a.getData();
                    return wanted.apply(data)
                            .orElseThrow(() -> new UnsupportedException(attributeText(path, name) + " in " + where
                                    + " is no text: the file was written by another program, or damaged"));
                }));
    }

    /** A text attribute, if it is there. */
    Optional<String> text(String path, String name) {
        return data(path, name, d -> d instanceof String s ? Optional.of(s) : Optional.empty());
    }

    /** An attribute that is a list of texts, if it is there; Keras spreads long ones over name0, name1, and so on. */
    Optional<List<String>> texts(String path, String name) {
        Optional<List<String>> whole = data(path, name, Hdf5File::strings);
        if (whole.isPresent()) {
            return whole;
        }
        List<String> all = new ArrayList<>();
        for (int i = 0; ; i++) {
            Optional<List<String>> part = data(path, name + i, Hdf5File::strings);
            if (part.isEmpty()) {
                return i == 0 ? Optional.empty() : Optional.of(all);
            }
            all.addAll(part.get());
        }
    }

    private static Optional<List<String>> strings(Object data) {
        if (data instanceof String one) {
            return Optional.of(List.of(one));
        }
        return data instanceof String[] many ? Optional.of(List.of(many)) : Optional.empty();
    }

    /** The datasets directly in a group, by name; none where there is no such group. */
    List<String> datasets(String path) {
        return find(path)
                .filter(Group.class::isInstance)
                .map(g -> guarded(where, "'" + path + "'", () -> ((Group) g)
                        .getChildren().values().stream()
                                .filter(Dataset.class::isInstance)
                                .map(Node::getName)
                                .toList()))
                .orElse(List.of());
    }

    /**
     * Reads a dataset of floats.
     *
     * @throws UnsupportedException if there is none, it is of another type, or claims more than the file can hold
     */
    KerasWeight weight(String path) {
        Node node = find(path)
                .orElseThrow(() -> new UnsupportedException("the weight '" + path + "' is missing in " + where
                        + ": it was cut or saved in part; save the whole model again"));
        if (!(node instanceof Dataset dataset)) {
            throw new UnsupportedException("'" + path + "' in " + where + " is not a dataset: the file is damaged");
        }
        return guarded(where, "the weight '" + path + "'", () -> {
            long[] shape = Arrays.stream(dataset.getDimensions()).asLongStream().toArray();
            long bytes = dataset.getSizeInBytes();
            long most = dataset.getFilters().isEmpty() ? size : Inflation.most(size);
            claimed += Math.max(0, bytes);
            if (bytes < 0 || bytes > most || claimed > Inflation.most(size)) {
                throw new UnsupportedException("the weight '" + path + "' in " + where + " claims the shape "
                        + Shape.text(shape) + ", more than a file of " + size + " bytes can hold"
                        + (bytes > most ? "" : ", which has already given " + (claimed - bytes) + " bytes of weights")
                        + ": it is damaged");
            }
            return new KerasWeight(path, shape, floats(path, dataset.getDataFlat()));
        });
    }

    private float[] floats(String path, Object data) {
        if (data instanceof float[] floats) {
            return floats;
        }
        if (data instanceof Float one) {
            return new float[] {one};
        }
        if (data instanceof Long one) {
            return new float[] {one};
        }
        if (data instanceof long[] integers) {
            float[] out = new float[integers.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = integers[i];
            }
            return out;
        }
        throw new UnsupportedException("the weight '" + path + "' in " + where + " is of "
                + data.getClass().getComponentType() + ", rebias reads float32: save the model in float32");
    }
}
