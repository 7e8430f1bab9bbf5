package dev.rebias.benchmarks;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.device.ClassSums;
import dev.rebias.device.Device;
import dev.rebias.device.ErrorSums;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.OnnxOp;
import dev.rebias.op.TestOps;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/**
 * What the CPU device's own loops take per element, on one thread; and the same in a process whose compiler makes no
 * vector instructions. So it shows which loops live by these.
 */
final class Loops {
    private static final int CHANNELS = 128;
    private static final int SIDE = 28;
    /** The compiler needs some thousands. */
    private static final int TURNS = 4000;

    private static final Operand SCALE = new Operand.Constant(HostTensor.of(new float[] {0.01f}));
    private static final Operand ZERO = new Operand.Constant(HostTensor.ofByte(ElementType.UINT8, 0));
    private static final int SMALL_SIDE = 7;
    private static final String SCALAR = "-XX:-UseSuperWord";

    private Loops() {}

    /** Starts this class in a process with vectors and in one without. */
    static void run() {
        for (List<String> options : List.of(List.<String>of(), List.of(SCALAR))) {
            System.out.printf("%nLoops, ns per element%s%n", options.isEmpty() ? "" : ", with " + SCALAR);
            System.out.flush();
            List<String> command = new ArrayList<>();
            command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
            command.addAll(options);
            command.addAll(List.of(
                    "-XX:+UseParallelGC",
                    "-Drebias.openmp.single=true",
                    "-cp",
                    System.getProperty("java.class.path"),
                    Loops.class.getName()));
            try {
                new ProcessBuilder(command).inheritIO().start().waitFor();
            } catch (IOException e) {
                throw new IllegalStateException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Measures in this process. */
    public static void main(String[] none) {
        Random random = new Random(5);
        float[] values = new float[CHANNELS * SIDE * SIDE];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        try (Device device = new CpuDevice(1);
                Tensor x = device.upload(HostTensor.of(values, 1, CHANNELS, SIDE, SIDE));
                PreparedOp bias = device.prepare(
                        OnnxOp.add(),
                        List.of(
                                new Operand.Variable(),
                                new Operand.Constant(HostTensor.of(new float[CHANNELS], CHANNELS, 1, 1))));
                PreparedOp quantise = device.prepare(quantizer(), List.of(new Operand.Variable(), SCALE, ZERO));
                PreparedOp loops = activation(device, false);
                PreparedOp chain = activation(device, true);
                Tensor last = bias.run(List.of(x)).get(0);
                Tensor integers = quantise.run(List.of(last)).get(0);
                Tensor small = device.upload(HostTensor.of(values, 16, CHANNELS, SMALL_SIDE, SMALL_SIDE));
                Tensor smallLast = bias.run(List.of(small)).get(0);
                ErrorSums few = device.errorSums(TestOps.pointwise(), CHANNELS, false, true);
                ErrorSums errors = device.errorSums(TestOps.pointwise(), CHANNELS, false, true);
                ClassSums inputs = device.classSums(
                        TestOps.pointwise(),
                        new long[] {CHANNELS, CHANNELS, 1, 1},
                        Optional.of(ElementType.UINT8),
                        0)) {
            time(
                    "add a vector along the channels",
                    () -> bias.run(List.of(last)).get(0).close());
            time("quantise", () -> quantise.run(List.of(last)).get(0).close());
            time(
                    "add a vector and quantise",
                    () -> loops.run(List.of(last)).get(0).close());
            time(
                    "the same behind a layer, by oneDNN",
                    () -> chain.run(List.of(last)).get(0).close());
            time("error sums, one sample of 100,352", () -> errors.add(List.of(last, last), 1));
            time("error sums, 16 samples of 6,272", () -> few.add(List.of(smallLast, smallLast), 16));
            time("class sums", () -> inputs.add(List.of(integers), 1));
        }
    }

    /** Adds a vector and quantises, as behind a layer. */
    private static PreparedOp activation(Device device, boolean computed) {
        ElementwiseGroup group = new ElementwiseGroup(
                4,
                List.of(new Member(OnnxOp.add(), List.of(0, 1)), new Member(quantizer(), List.of(4, 2, 3))),
                List.of(5),
                computed);
        Operand vector = new Operand.Constant(HostTensor.of(new float[CHANNELS], CHANNELS, 1, 1));
        return device.prepare(group, List.of(new Operand.Variable(), vector, SCALE, ZERO));
    }

    private static OnnxOp quantizer() {
        NodeProto node = NodeProto.newBuilder()
                .setOpType("QuantizeLinear")
                .addInput("x")
                .addInput("s")
                .addInput("z")
                .addOutput("y")
                .build();
        return new OnnxOp(
                node,
                List.of(),
                List.of(OperatorSetIdProto.newBuilder().setVersion(13).build()));
    }

    private static void time(String what, Runnable work) {
        double best = Double.MAX_VALUE;
        for (int turn = 0; turn < TURNS; turn++) {
            long start = System.nanoTime();
            work.run();
            best = Math.min(best, (double) (System.nanoTime() - start) / (CHANNELS * SIDE * SIDE));
        }
        System.out.printf("  %5.2f  %s%n", best, what);
    }
}
