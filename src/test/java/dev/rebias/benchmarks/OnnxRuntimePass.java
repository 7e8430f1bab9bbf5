package dev.rebias.benchmarks;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.rebias.runtime.OnnxRuntime;
import dev.rebias.samples.Batches;
import dev.rebias.samples.BoundSamples;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A plain pass of a model in ONNX Runtime, with its own defaults but that a QDQ graph runs as it is written;
 * independent of all that is measured.
 */
final class OnnxRuntimePass implements AutoCloseable {
    private final OrtSession session;
    private final List<Map<String, OnnxTensor>> batches = new ArrayList<>();

    OnnxRuntimePass(byte[] model, List<String> inputs, BoundSamples samples, int batchSize) {
        try (OrtSession.SessionOptions options = options();
                Batches source = samples.batches(batchSize)) {
            session = OnnxRuntime.environment().createSession(model, options);
            List<String> own = List.copyOf(session.getInputNames());
            while (source.hasNext()) {
                List<HostTensor> batch = source.next();
                batches.add(Map.of(own.get(0), OnnxRuntime.view(batch.get(0))));
                if (inputs.size() != 1) {
                    throw new IllegalArgumentException("benchmarks have one input");
                }
            }
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        }
    }

    private static OrtSession.SessionOptions options() throws OrtException {
        OnnxRuntime.environment();
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        options.setIntraOpNumThreads(Runtime.getRuntime().availableProcessors());
        options.addConfigEntry("session.disable_quant_qdq", "1");
        return options;
    }

    /** The seconds of one pass over all batches. */
    double seconds() {
        long start = System.nanoTime();
        try {
            for (Map<String, OnnxTensor> batch : batches) {
                session.run(batch).close();
            }
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        }
        return (System.nanoTime() - start) / 1e9;
    }

    @Override
    public void close() {
        batches.forEach(b -> b.values().forEach(OnnxTensor::close));
        try {
            session.close();
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        }
    }
}
