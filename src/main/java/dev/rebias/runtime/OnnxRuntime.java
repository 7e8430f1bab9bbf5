package dev.rebias.runtime;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import com.sun.jna.NativeLibrary;
import dev.rebias.error.Failure;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;

/** The process's one ONNX Runtime environment, and what is made from it. Safe for use by several threads. */
public final class OnnxRuntime {
    /**
     * How many threads a whole network's session may have, where this process shares the machine with others that also
     * compute: it would else have one for each core of the machine, whatever Java was told of them. 0 if it does not.
     */
    private static final int MOST_THREADS = Integer.getInteger("rebias.threads", 0);

    private static final Map<ElementType, OnnxJavaType> JAVA_TYPES = new EnumMap<>(Map.ofEntries(
            Map.entry(ElementType.FLOAT, OnnxJavaType.FLOAT),
            Map.entry(ElementType.DOUBLE, OnnxJavaType.DOUBLE),
            Map.entry(ElementType.INT8, OnnxJavaType.INT8),
            Map.entry(ElementType.UINT8, OnnxJavaType.UINT8),
            Map.entry(ElementType.INT16, OnnxJavaType.INT16),
            Map.entry(ElementType.INT32, OnnxJavaType.INT32),
            Map.entry(ElementType.INT64, OnnxJavaType.INT64),
            Map.entry(ElementType.BOOL, OnnxJavaType.BOOL),
            Map.entry(ElementType.FLOAT16, OnnxJavaType.FLOAT16),
            Map.entry(ElementType.BFLOAT16, OnnxJavaType.BFLOAT16)));

    /** The types that the Java interface cannot make, with those that have the same bits. */
    private static final Map<ElementType, ElementType> SIGNED = Map.of(
            ElementType.UINT16, ElementType.INT16,
            ElementType.UINT32, ElementType.INT32,
            ElementType.UINT64, ElementType.INT64);

    private static final int IR_VERSION = 7;
    private static final int OPSET = 13;

    /** As much of a message as is looked at; names in it may be of any length. */
    private static final int LONGEST_MESSAGE = 2000;

    private static final int LONGEST_REASON = 300;

    private OnnxRuntime() {}

    /** Holds the environment; made on first use, because loading the native library takes a while. */
    private static final class Holder {
        static final OrtEnvironment ENVIRONMENT;
        static final boolean GLOBAL_THREADS;

        /**
         * Linux's library sends usage data to its maker unless its environment says otherwise when it is loaded. Java
         * has a copy of the environment, which it cannot change.
         */
        private static void withoutTelemetry() {
            NativeLibrary.getProcess().getFunction("setenv").invokeInt(new Object[] {"ORT_DISABLE_TELEMETRY", "1", 1});
        }

        static {
            withoutTelemetry();
            OrtEnvironment environment;
            boolean global;
            try {
                // A session with a thread pool of its own takes 30 ms to make, one on the global pool about 1 ms. The
                // global one is for single ops, which run in the threads that call them.
                // Closing the options is left to the environment: it reads them for as long as it lives.
                OrtEnvironment.ThreadingOptions threads = new OrtEnvironment.ThreadingOptions();
                threads.setGlobalIntraOpNumThreads(1);
                threads.setGlobalInterOpNumThreads(1);
                environment = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "rebias", threads);
                global = true;
            } catch (OrtException e) {
                throw new UnsupportedException("ONNX Runtime's threads cannot be set: " + reason(e), e);
            } catch (IllegalStateException alreadyMade) {
                // The host program made the environment first, and there is one per process: its thread pools are used
                // as they are.
                environment = OrtEnvironment.getEnvironment();
                global = false;
            }
            try {
                // Nothing that runs here may call home.
                environment.setTelemetry(false);
            } catch (OrtException e) {
                throw new UnsupportedException("ONNX Runtime's telemetry cannot be switched off: " + reason(e), e);
            }
            ENVIRONMENT = environment;
            GLOBAL_THREADS = global;
        }
    }

    /**
     * The environment.
     *
     * @throws RebiasException if ONNX Runtime cannot be loaded here
     */
    public static OrtEnvironment environment() {
        NativeLibraries.prepare();
        try {
            return Holder.ENVIRONMENT;
        } catch (LinkageError e) {
            throw new RebiasException(
                    "ONNX Runtime cannot be loaded (" + Failure.deepest(e)
                            + "): its libraries need a folder for temporary files (TMPDIR) from which programs may run",
                    e);
        }
    }

    public static String version() {
        return environment().getVersion();
    }

    /** Which threads a session works with. */
    public enum Threads {
        /** The one that calls it. */
        CALLER,
        /** A pool of its own, of all processors, or as many as this process may use. */
        ALL
    }

    /**
     * Makes a session from a serialised model that runs a QDQ graph as it is written, in float, not as integer kernels.
     */
    public static OrtSession session(byte[] model, OrtSession.SessionOptions.OptLevel optimisation, Threads threads)
            throws OrtException {
        try (OrtSession.SessionOptions options = options(optimisation, threads)) {
            return environment().createSession(model, options);
        }
    }

    private static OrtSession.SessionOptions options(OrtSession.SessionOptions.OptLevel optimisation, Threads threads)
            throws OrtException {
        environment(); // the native library must be loaded before there can be options
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        try {
            if (Holder.GLOBAL_THREADS && threads == Threads.CALLER) {
                options.disablePerSessionThreads();
            } else if (threads == Threads.ALL && MOST_THREADS > 0) {
                options.setIntraOpNumThreads(MOST_THREADS);
            }
            options.setOptimizationLevel(optimisation);
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
            // Hundreds of sessions live at once; an arena for each would keep every peak it ever had.
            options.setCPUArenaAllocator(false);
            options.setMemoryPatternOptimization(false);
            options.addConfigEntry("session.disable_quant_qdq", "1");
            return options;
        } catch (OrtException | RuntimeException e) {
            options.close();
            throw e;
        }
    }

    /**
     * A view of a host tensor as ONNX Runtime sees it; no copy, but of the unsigned types that its Java interface
     * lacks.
     */
    public static OnnxTensor view(HostTensor tensor) throws OrtException {
        if (SIGNED.containsKey(tensor.type())) {
            return unsigned(tensor);
        }
        return OnnxTensor.createTensor(environment(), tensor.bytes(), tensor.shape(), JAVA_TYPES.get(tensor.type()));
    }

    /**
     * A tensor of an unsigned type, by way of the signed one of as many bits: ONNX Runtime's Cast between both keeps
     * the bits.
     */
    private static OnnxTensor unsigned(HostTensor tensor) throws OrtException {
        ElementType signed = SIGNED.get(tensor.type());
        HostTensor sameBits = new HostTensor(signed, tensor.shape(), tensor.bytes());
        try (OrtSession cast = session(
                        cast(signed, tensor.type()), OrtSession.SessionOptions.OptLevel.NO_OPT, Threads.CALLER);
                OnnxTensor from = view(sameBits)) {
            // The result is not closed: its only value lives on.
            return (OnnxTensor) cast.run(Map.of("x", from)).get(0);
        }
    }

    private static byte[] cast(ElementType from, ElementType to) {
        NodeProto.Builder node = NodeProto.newBuilder()
                .setOpType("Cast")
                .addInput("x")
                .addOutput("y")
                .addAttribute(AttributeProto.newBuilder()
                        .setName("to")
                        .setType(AttributeProto.AttributeType.INT)
                        .setI(to.onnxCode()));
        return ModelProto.newBuilder()
                .setIrVersion(IR_VERSION)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(OPSET))
                .setGraph(GraphProto.newBuilder()
                        .setName("cast")
                        .addNode(node)
                        .addInput(value("x", from))
                        .addOutput(value("y", to)))
                .build()
                .toByteArray();
    }

    private static ValueInfoProto value(String name, ElementType type) {
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder().setElemType(type.onnxCode())))
                .build();
    }

    /**
     * Copies an ONNX Runtime value to a host tensor.
     *
     * @throws UnsupportedException if it is not a tensor, or of a type that rebias does not handle
     */
    public static HostTensor copy(String name, OnnxValue value) {
        ElementType type = elementType(name, value);
        OnnxTensor tensor = (OnnxTensor) value;
        // The copy passes through the heap.
        long most = Runtime.getRuntime().maxMemory() / 4;
        if (Shape.elements(tensor.getInfo().getShape()) > most / type.bytes()) {
            throw new UnsupportedException("tensor '" + name + "' has shape "
                    + Shape.text(tensor.getInfo().getShape()) + ", more than the " + most
                    + " bytes that a quarter of the heap is: use smaller samples, or a smaller batch size");
        }
        HostTensor out = HostTensor.zeros(type, tensor.getInfo().getShape());
        // getByteBuffer is itself a copy out of native memory; a heap buffer, which native code could not read in
        // place.
        ByteBuffer bytes = tensor.getByteBuffer().order(ByteOrder.nativeOrder());
        out.bytes().put(bytes);
        return out;
    }

    /** The element type of an ONNX Runtime value. Throws as {@link #copy} does. */
    public static ElementType elementType(String name, OnnxValue value) {
        if (!(value instanceof OnnxTensor tensor)) {
            throw new UnsupportedException("'" + name + "' is a " + value.getType() + "; rebias handles tensors only");
        }
        TensorInfo info = tensor.getInfo();
        // ONNX Runtime's Java enum counts in an order of its own, so types are matched by name.
        String type = info.onnxType.name().substring("ONNX_TENSOR_ELEMENT_DATA_TYPE_".length());
        return Arrays.stream(ElementType.values())
                .filter(t -> t.name().equals(type))
                .findFirst()
                .orElseThrow(() -> new UnsupportedException("tensor '" + name + "' " + Shape.text(info.getShape())
                        + " holds " + info.onnxType + ", which rebias does not handle"));
    }

    /** ONNX Runtime's message in one line, without its codes and source positions. */
    public static String reason(OrtException e) {
        String whole = e.getMessage() == null ? e.toString() : e.getMessage();
        String message = whole.substring(0, Math.min(whole.length(), LONGEST_MESSAGE));
        String line = PrintableText.oneLine(message);
        String text = line.replaceFirst("^Error code - \\S+ - message: ", "")
                .replaceFirst("^Exception during initialization: ", "")
                .replaceFirst("^\\S+\\.(cc|h):\\d+ (\\S+ )?", "");
        // Some begin with the C++ signature of the function that noticed.
        int behind = text.startsWith("onnxruntime::") || text.startsWith("onnx::") ? text.indexOf(") ") : -1;
        text = behind < 0 ? text : text.substring(behind + 2);
        return text.length() <= LONGEST_REASON ? text : text.substring(0, LONGEST_REASON) + " ...";
    }
}
