package dev.rebias.device.cpu.nodes;

import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.error.RebiasException;
import dev.rebias.runtime.OnnxRuntime;

/** Ends ONNX Runtime sessions. */
final class Sessions {
    private Sessions() {}

    static void close(OrtSession session) {
        try {
            session.close();
        } catch (OrtException e) {
            throw new RebiasException("an ONNX Runtime session could not be closed: " + OnnxRuntime.reason(e), e);
        }
    }
}
