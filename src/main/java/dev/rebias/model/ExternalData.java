package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Tensors whose bytes lie in files beside the model (ONNX's external data). */
final class ExternalData {
    private final OnnxModel model;

    ExternalData(OnnxModel model) {
        this.model = model;
    }

    static boolean isExternal(TensorProto tensor) {
        return tensor.getDataLocation() == TensorProto.DataLocation.EXTERNAL;
    }

    /** The files that a graph's tensors lie in, relative to the model's folder. */
    static Set<String> files(GraphProto graph) {
        Set<String> files = new TreeSet<>();
        graph.getInitializerList().stream().filter(ExternalData::isExternal).forEach(t -> files.add(location(t)));
        for (NodeProto node : graph.getNodeList()) {
            for (AttributeProto attribute : node.getAttributeList()) {
                if (attribute.hasT() && isExternal(attribute.getT())) {
                    files.add(location(attribute.getT()));
                }
                if (attribute.hasG()) {
                    files.addAll(files(attribute.getG()));
                }
            }
        }
        return files;
    }

    /** The tensor with its bytes in the message. */
    TensorProto load(TensorProto tensor) {
        if (!isExternal(tensor)) {
            return tensor;
        }
        Path file = resolve(location(tensor));
        Map<String, String> entries = entries(tensor);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long offset = number(tensor, entries.getOrDefault("offset", "0"));
            long length = number(tensor, entries.getOrDefault("length", Long.toString(channel.size() - offset)));
            if (offset < 0 || length < 0 || length > channel.size() - offset) {
                throw new UnsupportedException("external data file '" + file + "' has " + channel.size()
                        + " bytes, but tensor '" + tensor.getName() + "' wants " + length + " from " + offset
                        + ": the file is cut short or of another model");
            }
            if (length > Integer.MAX_VALUE) {
                throw new UnsupportedException("tensor '" + tensor.getName() + "' in '" + file + "' has " + length
                        + " bytes; rebias reads up to 2 GiB");
            }
            ByteBuffer bytes = ByteBuffer.allocate((int) length);
            while (bytes.hasRemaining() && channel.read(bytes, offset + bytes.position()) >= 0) {
                // read on until the range is there
            }
            return tensor.toBuilder()
                    .clearDataLocation()
                    .clearExternalData()
                    .setRawData(ByteString.copyFrom(bytes.flip()))
                    .build();
        } catch (IOException e) {
            throw new RebiasException("cannot read external data file '" + file + "': " + e.getMessage(), e);
        }
    }

    /** The file at that location: beside the model or below it, as the ONNX specification demands. */
    Path resolve(String location) {
        Path folder = model.folder()
                .orElseThrow(() -> new UnsupportedException(
                        "'" + model.name() + "' was made in memory but has external data in '" + location + "'"));
        Path file;
        try {
            file = folder.resolve(location).normalize();
        } catch (InvalidPathException e) {
            throw new UnsupportedException(
                    "'" + model.name() + "' names external data at an impossible path: " + e.getReason(), e);
        }
        if (location.isEmpty() || !file.startsWith(folder.normalize())) {
            throw new UnsupportedException("'" + model.name() + "' names external data outside its own folder ('"
                    + location + "'): the ONNX format does not allow that");
        }
        if (!Files.isRegularFile(file)) {
            throw new UnsupportedException("external data file '" + file + "' of model '" + model.name()
                    + "' is missing: copy it beside the model");
        }
        return file;
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
