package dev.rebias.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import dev.rebias.CorrectionOptions;
import dev.rebias.device.ElementwiseProgram;
import dev.rebias.device.Operand;
import dev.rebias.device.Upcoming;
import dev.rebias.golden.ReferencePair;
import dev.rebias.op.Convolution;
import dev.rebias.op.ElementwiseGroup;
import dev.rebias.op.ElementwiseGroup.Member;
import dev.rebias.op.LayerOps;
import dev.rebias.op.OnnxOp;
import dev.rebias.sweep.Reference;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import dev.rebias.tensor.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.cuda.global.nvrtc;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What NVIDIA's own libraries say of kernels and descriptors on a machine without a GPU: Maven profiles {@code nvrtc}
 * and {@code cuda-12-redist} bring them, and an empty libcuda.so.1 lets their Java presets load.
 */
@Tag("real-libraries")
final class RealLibrariesTest {
    private static final int CONVOLUTIONS = 200;
    /** CUDA 12.6's NVRTC knows none newer than sm_90. */
    private static final List<String> ARCHITECTURES = List.of("sm_75", "sm_80", "sm_86", "sm_89", "sm_90");

    private static final List<String> NEWER = List.of("sm_100", "sm_120");

    @TempDir
    Path folder;

    @Test
    void nvrtcCompilesEveryKernelForEveryArchitecture() throws IOException {
        Loader.load(nvrtc.class);
        int[] major = new int[1];
        int[] minor = new int[1];
        assertThat(nvrtc.nvrtcVersion(major, minor)).isZero();
        List<String> architectures = major[0] < 13
                ? ARCHITECTURES
                : Stream.concat(ARCHITECTURES.stream(), NEWER.stream()).toList();
        for (String architecture : architectures) {
            KernelCompiler.compile(architecture, folder);
            Compiler compiler = new Compiler(architecture, new KernelCache(List.of(), folder));
            for (ElementType type : List.of(ElementType.UINT8, ElementType.INT8)) {
                for (long[] shape : List.of(new long[] {2, 8, 5, 7}, new long[] {1 << 16, 8, 1 << 7, 1 << 7})) {
                    String source = group(type, shape);
                    byte[] cubin = compiler.cubin("a group", source);
                    assertThat(Arrays.copyOf(cubin, 4)).as("an ELF file").containsExactly(0x7f, 'E', 'L', 'F');
                }
            }
        }
        try (Stream<Path> files = Files.list(folder)) {
            long cubins = files.filter(f -> f.toString().endsWith(".cubin")).count();
            System.out.printf(
                    "NVRTC %d.%d: %d cubins for %s%n", major[0], minor[0], cubins, String.join(" ", architectures));
            assertThat(cubins).isEqualTo((long) architectures.size() * (Compiler.FILES.size() + 4));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"FASHION_W3A8", "OCR_W4A8"})
    void aNetworksKernelsAreCompiledAheadAndFoundAgain(ReferencePair pair) throws IOException {
        Loader.load(nvrtc.class);
        List<Upcoming> operations = new ArrayList<>();
        for (Reference reference : Reference.values()) {
            operations.addAll(pair.correction()
                    .operations(CorrectionOptions.builder().reference(reference).build()));
        }
        KernelTimes.Times times = KernelTimes.measure("sm_90", folder.resolve("times"), operations);
        System.out.printf(
                "%s: files %s; network %s%n",
                pair, times.files().text(), times.network().text());
        assertThat(times.files().seconds().keySet()).containsExactlyElementsOf(Compiler.FILES);
        assertThat(times.network().seconds()).hasSizeGreaterThan(3);
        assertThat(folder.resolve("times")).doesNotExist();
        int sources = times.files().seconds().size() + times.network().seconds().size();
        assertThat(KernelCompiler.compile("sm_90", folder, operations).summary())
                .startsWith(sources + " sources of kernels compiled in ")
                .endsWith(" 0 found compiled");
        assertThat(KernelCompiler.compile("sm_90", folder, operations).summary())
                .startsWith("0 sources of kernels compiled in ")
                .endsWith(" " + sources + " found compiled");
    }

    /** Corrected bias, HardSwish, quantise, dequantise, and a residual by a strided index, as one source. */
    private static String group(ElementType type, long[] shape) {
        List<OperatorSetIdProto> opset =
                List.of(OperatorSetIdProto.newBuilder().setVersion(14).build());
        OnnxOp swish = new OnnxOp(
                NodeProto.newBuilder()
                        .setOpType("HardSwish")
                        .addInput("x")
                        .addOutput("y")
                        .build(),
                List.of(),
                opset);
        OnnxOp quantize = new OnnxOp(
                NodeProto.newBuilder()
                        .setOpType("QuantizeLinear")
                        .addOutput("y")
                        .build(),
                List.of(),
                opset);
        ElementwiseGroup group = new ElementwiseGroup(
                5,
                List.of(
                        new Member(OnnxOp.add(), List.of(0, 1)),
                        new Member(swish, List.of(5)),
                        new Member(quantize, List.of(6, 2, 3)),
                        new Member(OnnxOp.dequantizeLinear(), List.of(7, 2, 3)),
                        new Member(OnnxOp.multiply(), List.of(8, 4))),
                List.of(7, 9));
        List<Operand> operands = List.of(
                new Operand.Variable(),
                new Operand.Variable(),
                new Operand.Constant(HostTensor.of(new float[] {0.1f})),
                new Operand.Constant(HostTensor.ofByte(type, 3)),
                new Operand.Variable());
        ElementwiseProgram program = ElementwiseProgram.of(group, operands).orElseThrow();
        List<long[]> shapes = List.of(shape, new long[] {shape[1], 1, 1}, new long[] {shape[0], 1, shape[2], 1});
        return ElementwiseKernel.of(
                        "test", program, shapes, List.of(ElementType.FLOAT, ElementType.FLOAT, ElementType.FLOAT))
                .orElseThrow()
                .source();
    }

    @Test
    void ourShapesAreCudnnsShapes() {
        boolean there;
        try {
            Loader.load(cudnn.class);
            there = true;
        } catch (LinkageError e) {
            there = false;
        }
        assumeTrue(there, "only the profile cuda-12-redist brings cuDNN");
        Random random = new Random(7);
        int[] ranks = new int[4];
        for (int i = 0; i < CONVOLUTIONS; i++) {
            int spatial = 1 + random.nextInt(3);
            ranks[spatial]++;
            long group = between(random, 1, 3);
            long[] data = new long[spatial + 2];
            long[] weights = new long[spatial + 2];
            long[] strides = new long[spatial];
            long[] dilations = new long[spatial];
            long[] pads = new long[2 * spatial];
            data[0] = between(random, 1, 4);
            weights[1] = between(random, 1, 5);
            data[1] = group * weights[1];
            weights[0] = group * between(random, 1, 5);
            for (int d = 0; d < spatial; d++) {
                weights[d + 2] = between(random, 1, 5);
                strides[d] = between(random, 1, 3);
                dilations[d] = between(random, 1, 3);
                pads[d] = between(random, 0, 3);
                pads[spatial + d] = pads[d];
                data[d + 2] = (weights[d + 2] - 1) * dilations[d] + between(random, 1, 20);
            }
            NodeProto node = NodeProto.newBuilder()
                    .setOpType("Conv")
                    .addAttribute(ints("strides", strides))
                    .addAttribute(ints("dilations", dilations))
                    .addAttribute(ints("pads", pads))
                    .addAttribute(AttributeProto.newBuilder()
                            .setName("group")
                            .setType(AttributeProto.AttributeType.INT)
                            .setI(group))
                    .build();
            Convolution op = (Convolution) LayerOps.parse(node, weights);
            long[] out = op.outputShape(data, weights);
            try (ConvolutionDescriptors descriptors = new ConvolutionDescriptors(
                    data,
                    weights,
                    out,
                    Arrays.stream(pads, 0, spatial).boxed().toList(),
                    op.window().strides(),
                    op.window().dilations(),
                    group,
                    false,
                    "test")) {
                int[] theirs = descriptors.outputShape(data.length);
                long[] expected = spatial == 1 ? new long[] {out[0], out[1], 1, out[2]} : out;
                assertThat(Arrays.stream(theirs).asLongStream().toArray())
                        .as(
                                "%s by %s, strides %s, dilations %s, pads %s, group %d",
                                Shape.text(data),
                                Shape.text(weights),
                                Arrays.toString(strides),
                                Arrays.toString(dilations),
                                Arrays.toString(pads),
                                group)
                        .containsExactly(expected);
            }
        }
        System.out.printf(
                "cuDNN %d: %d random convolutions of 1, 2 and 3 dimensions (%d, %d, %d) have the shapes that we say%n",
                cudnn.cudnnGetVersion(), CONVOLUTIONS, ranks[1], ranks[2], ranks[3]);
    }

    private static long between(Random random, int low, int high) {
        return low + (long) random.nextInt(high - low + 1);
    }

    private static AttributeProto ints(String name, long... values) {
        return AttributeProto.newBuilder()
                .setName(name)
                .setType(AttributeProto.AttributeType.INTS)
                .addAllInts(LongStream.of(values).boxed().toList())
                .build();
    }
}
