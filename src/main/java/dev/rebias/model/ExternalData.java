package dev.rebias.model;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** Tensors whose bytes lie in files beside the model (ONNX's external data). */
final class ExternalData {
    /** Data of each file start at a multiple of this, so that the tensors in it can be mapped into memory as before. */
    private static final int ALIGNMENT = 1 << 16;

    private final OnnxModel model;

    ExternalData(OnnxModel model) {
        this.model = model;
    }

    static boolean isExternal(TensorProto tensor) {
        return tensor.getDataLocation() == TensorProto.DataLocation.EXTERNAL;
    }

    /** The files that tensors lie in, wherever in the model these are, as it names them: relative to its folder. */
    static Set<String> files(ModelProto proto) {
        Set<String> files = new TreeSet<>();
        replaced(proto, tensor -> {
            if (isExternal(tensor)) {
                files.add(location(tensor));
            }
            return tensor;
        });
        return files;
    }

    /** The tensor with its bytes in the message. */
    TensorProto load(TensorProto tensor) {
        if (!isExternal(tensor)) {
            return tensor;
        }
        Path file = resolve(location(tensor));
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            Range range = range(tensor, file, channel.size());
            if (range.length() > Integer.MAX_VALUE) {
                throw new UnsupportedException("tensor '" + tensor.getName() + "' in '" + file + "' has "
                        + range.length() + " bytes; rebias reads up to 2 GiB");
            }
            ByteBuffer bytes = ByteBuffer.allocate((int) range.length());
            while (bytes.hasRemaining() && channel.read(bytes, range.offset() + bytes.position()) >= 0) {
                // read on until the range is there
            }
            return inside(tensor, bytes);
        } catch (IOException e) {
            throw new RebiasException("cannot read external data file '" + file + "': " + Failure.reason(e), e);
        }
    }

    private record Range(long offset, long length) {}

    private Range range(TensorProto tensor, Path file, long size) {
        Map<String, String> entries = entries(tensor);
        long offset = number(tensor, entries.getOrDefault("offset", "0"));
        long length = number(tensor, entries.getOrDefault("length", Long.toString(size - offset)));
        if (offset < 0 || length < 0 || length > size - offset) {
            throw new UnsupportedException("external data file '" + file + "' has " + size + " bytes, but tensor '"
                    + tensor.getName() + "' wants " + length + " from " + offset
                    + ": the file is cut short or of another model");
        }
        return new Range(offset, length);
    }

    /**
     * The file at that location: beside the model or below it, as the ONNX specification demands, and not by a link
     * that leads elsewhere.
     */
    Path resolve(String location) {
        Path folder = model.folder()
                .orElseThrow(() -> new UnsupportedException(
                        "'" + model.name() + "' was made in memory but has external data in '" + location + "'"));
        try {
            Path named = Path.of(location);
            boolean inside = !location.isEmpty()
                    && !named.isAbsolute()
                    && !List.of(location.split("[/\\\\]", -1)).contains("..");
            if (!inside) {
                throw new UnsupportedException("'" + model.name() + "' names external data outside its own folder ('"
                        + location + "'): the ONNX format does not allow that");
            }
            Path file = folder.resolve(named).normalize();
            if (!Files.isRegularFile(file)) {
                throw new UnsupportedException("external data file '" + file + "' of model '" + model.name()
                        + "' is missing: copy it beside the model");
            }
            Path real = file.toRealPath();
            if (!real.startsWith(folder.toRealPath())) {
                throw new UnsupportedException("external data file '" + file + "' of model '" + model.name()
                        + "' is a link out of the model's folder, to '" + real + "': copy the file itself there");
            }
            return real;
        } catch (InvalidPathException e) {
            throw new UnsupportedException(
                    "'" + model.name() + "' names external data at an impossible path: " + e.getReason(), e);
        } catch (IOException e) {
            throw new RebiasException(
                    "cannot read external data file '" + location + "' of model '" + model.name() + "': "
                            + Failure.reason(e),
                    e);
        }
    }

    /**
     * The files that hold tensors of a model derived from this one, one after the other.
     *
     * @param proto the model
     * @param bases where in the whole each file starts, by the name that the model has for it
     */
    record Joined(ModelProto proto, Map<String, Long> bases) {
        boolean isEmpty() {
            return bases.isEmpty();
        }
    }

    /**
     * Joins the data files of a model derived from this one.
     *
     * @param name what the whole will be named: a file beside the model
     * @return the model, its tensors told of their new places
     */
    Joined joined(ModelProto derived, String name) {
        Map<String, Long> bases = new LinkedHashMap<>();
        Map<String, Long> sizes = new TreeMap<>();
        long end = 0;
        for (String location : files(derived)) {
            Path file = resolve(location);
            try {
                long size = Files.size(file);
                sizes.put(location, size);
                bases.put(location, end);
                end = Math.addExact(end, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
            } catch (IOException e) {
                throw new RebiasException("cannot read external data file '" + file + "': " + Failure.reason(e), e);
            }
        }
        ModelProto moved = (ModelProto) replaced(derived, tensor -> {
            if (!isExternal(tensor)) {
                return tensor;
            }
            String location = location(tensor);
            Range range = range(tensor, resolve(location), sizes.get(location));
            return tensor.toBuilder()
                    .clearExternalData()
                    .addExternalData(entry("location", name))
                    .addExternalData(entry("offset", Long.toString(bases.get(location) + range.offset())))
                    .addExternalData(entry("length", Long.toString(range.length())))
                    .build();
        });
        return new Joined(moved, bases);
    }

    /** The same model, its tensors in other files not told where these are. */
    static ModelProto withoutLocations(ModelProto proto) {
        return (ModelProto) replaced(
                proto,
                tensor -> isExternal(tensor)
                        ? tensor.toBuilder().clearExternalData().build()
                        : tensor);
    }

    /**
     * A joined model with the bytes of all tensors in the message.
     *
     * @param data what was written of the data files
     */
    static ModelProto loaded(ModelProto joined, FileChannel data) {
        return (ModelProto) replaced(joined, tensor -> {
            if (!isExternal(tensor)) {
                return tensor;
            }
            Map<String, String> entries = entries(tensor);
            try {
                ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(Long.parseLong(entries.get("length"))));
                long offset = Long.parseLong(entries.get("offset"));
                while (bytes.hasRemaining() && data.read(bytes, offset + bytes.position()) >= 0) {
                    // read on until the range is there
                }
                return inside(tensor, bytes);
            } catch (IOException e) {
                throw new RebiasException("cannot read back what was written: " + Failure.reason(e), e);
            }
        });
    }

    private static TensorProto inside(TensorProto tensor, ByteBuffer bytes) {
        return tensor.toBuilder()
                .clearDataLocation()
                .clearExternalData()
                .setRawData(ByteString.copyFrom(bytes.flip()))
                .build();
    }

    /** Writes the data files one after the other, each where the joined model has it. */
    void write(Joined joined, FileChannel to) throws IOException {
        for (Map.Entry<String, Long> part : joined.bases().entrySet()) {
            to.position(part.getValue());
            try (FileChannel from = FileChannel.open(resolve(part.getKey()), StandardOpenOption.READ)) {
                long size = from.size();
                for (long done = 0; done < size; ) {
                    long copied = from.transferTo(done, size - done, to);
                    if (copied <= 0) {
                        throw new IOException("external data file '" + part.getKey() + "' has become shorter");
                    }
                    done += copied;
                }
            }
        }
    }

    private static StringStringEntryProto entry(String key, String value) {
        return StringStringEntryProto.newBuilder().setKey(key).setValue(value).build();
    }

    /** A message with every tensor in it replaced, however deep; the same message where all stay. */
    private static Message replaced(Message message, UnaryOperator<TensorProto> change) {
        if (message instanceof TensorProto tensor) {
            return change.apply(tensor);
        }
        Message.Builder changed = null;
        for (FieldDescriptor field : message.getDescriptorForType().getFields()) {
            if (field.getJavaType() != FieldDescriptor.JavaType.MESSAGE) {
                continue;
            }
            int count = field.isRepeated() ? message.getRepeatedFieldCount(field) : message.hasField(field) ? 1 : 0;
            for (int i = 0; i < count; i++) {
                Message old =
                        (Message) (field.isRepeated() ? message.getRepeatedField(field, i) : message.getField(field));
                Message now = replaced(old, change);
                if (now != old) {
                    changed = changed == null ? message.toBuilder() : changed;
                    if (field.isRepeated()) {
                        changed.setRepeatedField(field, i, now);
                    } else {
                        changed.setField(field, now);
                    }
                }
            }
        }
        return changed == null ? message : changed.build();
    }

    private long number(TensorProto tensor, String text) {
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new UnsupportedException(
                    "tensor '" + tensor.getName() + "' of '" + model.name() + "' has '" + text
                            + "' where its external data's offset or length should be",
                    e);
        }
    }

    private static String location(TensorProto tensor) {
        return entries(tensor).getOrDefault("location", "");
    }

    private static Map<String, String> entries(TensorProto tensor) {
        return tensor.getExternalDataList().stream()
                .collect(Collectors.toMap(
                        StringStringEntryProto::getKey, StringStringEntryProto::getValue, (a, b) -> b));
    }
}
