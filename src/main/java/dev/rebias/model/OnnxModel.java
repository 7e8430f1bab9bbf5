package dev.rebias.model;

import ai.onnx.proto.OnnxMl.ModelProto;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.files.InputFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * An ONNX model as the protobuf message of its file, and where the file is.
 *
 * @param name what messages call it: the file's path, or a name given by the program
 * @param folder the folder that external data is relative to; empty for a model made in memory
 * @param proto the message, with every field that the file has, known or not; local functions are written out where
 *     they are called
 * @param hints what is known of the model beyond that
 */
public record OnnxModel(String name, Optional<Path> folder, ModelProto proto, ModelHints hints) {
    /**
     * Reads a file.
     *
     * @throws UsageException if there is no such file
     * @throws UnsupportedException if it is not an ONNX model, is damaged, or is of a kind that rebias does not handle
     */
    public static OnnxModel read(Path file) {
        if (!InputFile.isFile(file)) {
            throw new UsageException(
                    InputFile.exists(file)
                            ? "model '" + file + "' is not a file"
                            : "model file '" + file + "' does not exist: check the path");
        }
        byte[] bytes;
        try {
            bytes = Files.readAllBytes(file);
        } catch (IOException e) {
            throw new RebiasException("cannot read model file '" + file + "': " + Failure.reason(e), e);
        } catch (OutOfMemoryError e) {
            throw new UnsupportedException(
                    "model file '" + file + "' is too large to read whole: store its weights as external data");
        }
        ModelProto proto;
        try {
            proto = ModelProto.parseFrom(bytes);
        } catch (InvalidProtocolBufferException e) {
            throw new UnsupportedException(
                    "'" + file + "' is not an ONNX model, or is cut short (" + bytes.length
                            + " bytes, not a protobuf message): export or copy it again",
                    e);
        }
        Path parent = file.toAbsolutePath().getParent();
        return of(file.toString(), Optional.of(parent), proto, ModelHints.NONE);
    }

    /** Takes a model that the program made; its tensors must be in the message. Throws as {@link #read} does. */
    public static OnnxModel of(String name, ModelProto proto) {
        return of(name, proto, ModelHints.NONE);
    }

    /** Takes a model that the program made, and what it knows of it. Throws as {@link #read} does. */
    public static OnnxModel of(String name, ModelProto proto, ModelHints hints) {
        return of(name, Optional.empty(), proto, hints);
    }

    /**
     * The model as it is computed with, and run in ONNX Runtime: what is FLOAT16 or BFLOAT16 in the file is FLOAT.
     * Nodes and tensors are the same, by position and by name. Of a model without such tensors this model itself.
     */
    public OnnxModel computed() {
        return Float32Form.isWanted(proto) ? new OnnxModel(name, folder, Float32Form.of(this), hints) : this;
    }

    /**
     * Checks that its quantisers, if it has any, have scales that are fixed.
     *
     * @throws UnsupportedException if it is quantised dynamically, which no bias can make good
     */
    public void requireFixedScales() {
        UnsupportedOperators.refuseDynamic(this);
    }

    /** The same model with other biases. */
    public OnnxModel corrected(ModelProto changed) {
        return new OnnxModel(name + " (corrected)", folder, changed, hints);
    }

    /** The files that hold the model's external data; they are as much its input as its own file. */
    public List<Path> externalFiles() {
        ExternalData external = new ExternalData(this);
        return ExternalData.files(proto).stream().map(external::resolve).toList();
    }

    private static OnnxModel of(String name, Optional<Path> folder, ModelProto proto, ModelHints hints) {
        if (!proto.hasGraph()
                || proto.getOpsetImportCount() == 0
                || proto.getGraph().getNodeCount() == 0) {
            throw new UnsupportedException(
                    "'" + name + "' is not an ONNX model: it has no graph with nodes and operator sets");
        }
        long opset = opset(proto);
        if (opset != 0 && opset < 7) {
            throw new UnsupportedException("'" + name + "' uses ONNX opset " + opset
                    + ", rebias reads 7 and newer: convert it with onnx.version_converter");
        }
        return new OnnxModel(name, folder, Inliner.inline(name, proto), hints);
    }

    /** The version of ONNX's own operator set, 0 where the model does not import it. */
    static long opset(ModelProto proto) {
        return proto.getOpsetImportList().stream()
                .filter(o -> o.getDomain().isEmpty() || o.getDomain().equals("ai.onnx"))
                .mapToLong(o -> o.getVersion())
                .max()
                .orElse(0);
    }
}
