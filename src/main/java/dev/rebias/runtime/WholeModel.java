package dev.rebias.runtime;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.HostTensor;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A whole model in ONNX Runtime, run as it is written: the engine that checks results, independent of devices and
 * sweeps.
 */
public final class WholeModel implements AutoCloseable {
    private final String name;
    private final OrtSession session;

    /** Opens a model, for its outputs: ONNX Runtime may change what is inside. Throws as the other does. */
    public WholeModel(String name, byte[] bytes) {
        this(name, bytes, OrtSession.SessionOptions.OptLevel.ALL_OPT);
    }

    /**
     * Opens a model.
     *
     * @param name what messages call it
     * @param bytes the serialised model, its tensors inside
     * @param optimisation what ONNX Runtime may change of it: where tensors from its inside are wanted nothing, for its
     *     optimiser joins nodes over them
     * @throws UnsupportedException if ONNX Runtime rejects it
     */
    public WholeModel(String name, byte[] bytes, OrtSession.SessionOptions.OptLevel optimisation) {
        this.name = name;
        try {
            session = OnnxRuntime.session(bytes, optimisation, OnnxRuntime.Threads.ALL);
        } catch (OrtException e) {
            throw new UnsupportedException("ONNX Runtime rejects '" + name + "': " + OnnxRuntime.reason(e), e);
        }
    }

    /**
     * Opens a model that keeps every node and tensor as it is: its outputs may be any of its tensors. Throws as the
     * constructor does.
     */
    public static WholeModel asWritten(String name, byte[] bytes) {
        return new WholeModel(name, bytes, OrtSession.SessionOptions.OptLevel.NO_OPT);
    }

    /** The names of the model's inputs, in order. */
    public List<String> inputs() {
        return List.copyOf(session.getInputNames());
    }

    /**
     * Runs the model.
     *
     * @return its outputs by name, in the model's order
     * @throws UnsupportedException if it does not run on these inputs
     */
    public Map<String, HostTensor> run(Map<String, HostTensor> inputs) {
        Map<String, OnnxTensor> values = new HashMap<>();
        try {
            for (Map.Entry<String, HostTensor> input : inputs.entrySet()) {
                values.put(input.getKey(), OnnxRuntime.view(input.getValue()));
            }
            Map<String, HostTensor> outputs = new LinkedHashMap<>();
            try (OrtSession.Result result = session.run(values)) {
                result.forEach(
                        entry -> outputs.put(entry.getKey(), OnnxRuntime.copy(entry.getKey(), entry.getValue())));
            }
            return outputs;
        } catch (OrtException e) {
            throw new UnsupportedException(
                    "'" + name + "' cannot be run on inputs " + inputs + ": " + OnnxRuntime.reason(e), e);
        } finally {
            values.values().forEach(OnnxTensor::close);
        }
    }

    @Override
    public void close() {
        try {
            session.close();
        } catch (OrtException e) {
            throw new RebiasException("an ONNX Runtime session could not be closed: " + OnnxRuntime.reason(e), e);
        }
    }
}
