package dev.rebias.model;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.files.Sha256;
import dev.rebias.op.Attributes;
import java.io.IOException;
import java.io.OutputStream;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What it takes to make the original of a corrected model: the nodes and tensors that changed, as they were, and which
 * were added. A GraphProto, of which the first node says where the others belong.
 */
final class Undo {
    private static final String TYPE = "Undo";
    private static final String CHANGED = "changed";
    private static final String ADDED = "added";
    private static final String ADDED_TENSORS = "added_tensors";

    private final GraphProto originals;

    private Undo(GraphProto originals) {
        this.originals = originals;
    }

    /**
     * What turns one model into another, from which it was made by changing and adding nodes and tensors.
     *
     * @param original the model before
     * @param changed the model after
     */
    static Undo of(OnnxModel original, ModelProto changed) {
        ExternalData external = new ExternalData(original);
        GraphProto before = original.proto().getGraph();
        GraphProto after = changed.getGraph();
        NodeProto.Builder places = NodeProto.newBuilder().setOpType(TYPE);
        GraphProto.Builder originals = GraphProto.newBuilder();
        List<Long> changedNodes = new ArrayList<>();
        List<Long> addedNodes = new ArrayList<>();
        List<NodeProto> nodes = new ArrayList<>();
        int next = 0;
        for (int i = 0; i < after.getNodeCount(); i++) {
            NodeProto node = after.getNode(i);
            if (next < before.getNodeCount() && isSame(before.getNode(next), node)) {
                if (!before.getNode(next).equals(node)) {
                    changedNodes.add((long) i);
                    nodes.add(loaded(before.getNode(next), external));
                }
                next++;
            } else {
                addedNodes.add((long) i);
            }
        }
        Map<String, TensorProto> tensors = new HashMap<>();
        before.getInitializerList().forEach(t -> tensors.put(t.getName(), t));
        AttributeProto.Builder addedTensors =
                AttributeProto.newBuilder().setName(ADDED_TENSORS).setType(AttributeProto.AttributeType.STRINGS);
        for (TensorProto tensor : after.getInitializerList()) {
            TensorProto old = tensors.get(tensor.getName());
            if (old == null) {
                addedTensors.addStrings(ByteString.copyFromUtf8(tensor.getName()));
            } else if (!old.equals(tensor)) {
                originals.addInitializer(external.load(old));
            }
        }
        places.addAttribute(Attributes.of(CHANGED, changedNodes))
                .addAttribute(Attributes.of(ADDED, addedNodes))
                .addAttribute(addedTensors);
        Undo undo = new Undo(originals.addNode(places).addAllNode(nodes).build());
        if (next < before.getNodeCount()) {
            throw new UnsupportedException("node '" + before.getNode(next).getName() + "' of '" + original.name()
                    + "' is not in the model that was made from it");
        }
        return undo;
    }

    /** Whether a node is another as it was changed: with other inputs, another output, or another constant. */
    private static boolean isSame(NodeProto before, NodeProto after) {
        if (before.equals(after)) {
            return true;
        }
        boolean outputs = before.getOutputList().equals(after.getOutputList());
        return before.getOpType().equals(after.getOpType())
                && before.getName().equals(after.getName())
                && (outputs || before.getInputList().equals(after.getInputList()));
    }

    private static NodeProto loaded(NodeProto node, ExternalData external) {
        NodeProto.Builder whole = node.toBuilder();
        for (AttributeProto.Builder attribute : whole.getAttributeBuilderList()) {
            if (attribute.hasT()) {
                attribute.setT(external.load(attribute.getT()));
            }
        }
        return whole.build();
    }

    /** Reads what {@link #text} wrote; throws UnsupportedException where it is damaged. */
    static Undo parse(String model, String text) {
        try {
            GraphProto originals = GraphProto.parseFrom(Base64.getDecoder().decode(text));
            if (originals.getNodeCount() == 0
                    || !originals.getNode(0).getOpType().equals(TYPE)) {
                throw damaged(model, "it does not say where its nodes belong", null);
            }
            return new Undo(originals);
        } catch (InvalidProtocolBufferException | IllegalArgumentException e) {
            throw damaged(model, e.getMessage(), e);
        }
    }

    private static UnsupportedException damaged(String model, String what, Exception cause) {
        String sentence = "what '" + model + "' holds of its biases before the correction is damaged (" + what
                + "): take the original file";
        return cause == null ? new UnsupportedException(sentence) : new UnsupportedException(sentence, cause);
    }

    /** How many bytes there are of it. */
    long bytes() {
        // Added up here, for all together may be more than one message can be.
        long bytes = 0;
        for (NodeProto node : originals.getNodeList()) {
            bytes += node.getSerializedSize();
        }
        for (TensorProto tensor : originals.getInitializerList()) {
            bytes += tensor.getSerializedSize();
        }
        return bytes;
    }

    /** As text, for a model's metadata. */
    String text() {
        return Base64.getEncoder().encodeToString(originals.toByteArray());
    }

    /** SHA-256 of the original nodes and tensors, in hexadecimal. */
    String hash() {
        return sha256(originals);
    }

    /** SHA-256 of a message as it is stored. */
    static String sha256(GraphProto message) {
        MessageDigest digest = Sha256.digest();
        try (OutputStream hashed = new DigestOutputStream(OutputStream.nullOutputStream(), digest)) {
            message.writeTo(hashed);
            return Sha256.hex(digest);
        } catch (IOException e) {
            throw new IllegalStateException("nowhere is always writable", e);
        }
    }

    /** The graph as it was, of the model that the corrections were written into. */
    GraphProto apply(String model, GraphProto after) {
        NodeProto places = originals.getNode(0);
        List<Long> changed = Attributes.integers(places, CHANGED).orElse(List.of());
        Set<Long> added = new HashSet<>(Attributes.integers(places, ADDED).orElse(List.of()));
        Set<String> addedTensors = new HashSet<>();
        Attributes.find(places, ADDED_TENSORS)
                .ifPresent(a -> a.getStringsList().forEach(s -> addedTensors.add(s.toStringUtf8())));
        if (changed.size() != originals.getNodeCount() - 1) {
            throw damaged(
                    model,
                    "it has " + (originals.getNodeCount() - 1) + " nodes for " + changed.size() + " places",
                    null);
        }
        Map<Long, NodeProto> nodes = new HashMap<>();
        for (int i = 0; i < changed.size(); i++) {
            nodes.put(changed.get(i), originals.getNode(i + 1));
        }
        GraphProto.Builder graph = after.toBuilder().clearNode().clearInitializer();
        for (int i = 0; i < after.getNodeCount(); i++) {
            NodeProto before = nodes.get((long) i);
            if (before != null) {
                graph.addNode(before);
            } else if (!added.contains((long) i)) {
                graph.addNode(after.getNode(i));
            }
        }
        Map<String, TensorProto> tensors = new HashMap<>();
        originals.getInitializerList().forEach(t -> tensors.put(t.getName(), t));
        for (TensorProto tensor : after.getInitializerList()) {
            if (!addedTensors.contains(tensor.getName())) {
                // Each is used once: no small file can ask for a large tensor many times.
                TensorProto before = tensors.remove(tensor.getName());
                graph.addInitializer(before == null ? tensor : before);
            }
        }
        return graph.build();
    }
}
