package dev.rebias.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.rebias.Adjustment;
import dev.rebias.BiasCorrection;
import dev.rebias.CorrectionOptions;
import dev.rebias.CorrectionResult;
import dev.rebias.DeviceSession;
import dev.rebias.LayerResult;
import dev.rebias.Sharing;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.error.CancelledException;
import dev.rebias.error.OutOfDeviceMemoryException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.exchange.Exchange;
import dev.rebias.exchange.LocalExchange;
import dev.rebias.measure.Moments;
import dev.rebias.model.OnnxModel;
import dev.rebias.outcome.Outcome;
import dev.rebias.samples.Samples;
import dev.rebias.sweep.Reference;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One correction by several devices, each with a part of the samples, is that of one device with all of them. */
final class PartsOfSamplesTest {
    private static final int SAMPLES = 50;

    /** What errors that follow from Gram matrices may differ by, as a share of them. */
    private static final double BOUND = 1e-6;

    private final List<DeviceSession> sessions = new ArrayList<>();

    private List<DeviceSession> sessions(int count) {
        while (sessions.size() < count) {
            sessions.add(DeviceSession.of(new CpuDevice(1)));
        }
        return sessions.subList(0, count);
    }

    @AfterEach
    void nothingIsLeft() {
        sessions.forEach(DeviceSession::close);
        assertThat(CpuDevice.live()).isZero();
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(t -> t.getName().startsWith("rebias-part"));
    }

    @ParameterizedTest
    @CsvSource({
        "FASHION_W3A8, LAYER, 0",
        "FASHION_W8A8_INT32_BIAS, LAYER, 0.2",
        "OCR_W4A8, LAYER, 0.1",
        "FASHION_W3A8, NETWORK, 0.2",
        "OCR_W4A8, NETWORK, 0",
        "FASHION_W4A4, , 0.2",
    })
    void partsGiveWhatOneDeviceGives(ReferencePair pair, Reference reference, double holdout) {
        CorrectionOptions.Builder builder =
                CorrectionOptions.builder().perChannel(true).holdout(holdout);
        CorrectionOptions options =
                (reference == null ? builder.bestReference() : builder.reference(reference)).build();
        BiasCorrection correction = pair.correction();
        try (Samples samples = pair.samples().limit(SAMPLES)) {
            CorrectionResult whole = correction.correct(samples, options, sessions(1));
            assertThat(whole.sharing()).isEmpty();
            assertThat(whole.correctedLayers()).isPositive();
            for (int parts : new int[] {2, 3}) {
                CorrectionResult shared = correction.correct(samples, options, sessions(parts));
                assertSame(shared, whole);
                Sharing sharing = shared.sharing().orElseThrow();
                assertThat(sharing.parts()).hasSize(parts);
                assertThat(sharing.parts().stream()
                                .mapToInt(Sharing.Part::correcting)
                                .sum())
                        .isEqualTo(whole.samplesUsed().correcting());
                assertThat(sharing.parts().stream()
                                .mapToInt(Sharing.Part::heldOut)
                                .sum())
                        .isEqualTo(whole.samplesUsed().heldOut());
                assertThat(sharing.parts()).allSatisfy(p -> assertThat(p.correcting() + p.heldOut())
                        .isBetween(SAMPLES / parts, SAMPLES / parts + 1));
            }
        }
    }

    @Test
    void aPartThatRunsOutOfMemoryMakesAllBeginTheSweepAgain() {
        BiasCorrection correction = ReferencePair.FASHION_W3A8.correction();
        CorrectionOptions.Builder options = CorrectionOptions.builder().perChannel(true);
        AtomicBoolean thrown = new AtomicBoolean();
        try (Samples samples = ReferencePair.FASHION_W3A8.samples().limit(SAMPLES)) {
            CorrectionResult undisturbed = correction.correct(samples, options.build(), sessions(3));
            CorrectionOptions disturbed = options.listener((done, total) -> {
                        if (done > total / 2 && thrown.compareAndSet(false, true)) {
                            throw new OutOfDeviceMemoryException("cudaMalloc: no memory");
                        }
                    })
                    .build();
            CorrectionResult again = correction.correct(samples, disturbed, sessions(3));
            assertThat(thrown).isTrue();
            assertThat(again.batchSize()).isEqualTo(undisturbed.batchSize() / 2);
            assertSame(again, undisturbed);
        }
    }

    @Test
    void whatOnePartCannotReadEndsAllWithItsSentence(@TempDir Path folder) throws IOException {
        for (int i = 0; i < 9; i++) {
            BufferedImage image = new BufferedImage(28, 28, BufferedImage.TYPE_BYTE_GRAY);
            for (int p = 0; p < 28 * 28; p++) {
                image.getRaster().setSample(p % 28, p / 28, 0, (p * (i + 3)) % 251);
            }
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            ImageIO.write(image, "png", bytes);
            int kept = i == 7 ? bytes.size() / 2 : bytes.size();
            Files.write(folder.resolve(i + ".png"), Arrays.copyOf(bytes.toByteArray(), kept));
        }
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        try (Samples samples = Samples.open(folder, pair.normalization())) {
            assertThatThrownBy(() -> pair.correction().correct(samples, CorrectionOptions.defaults(), sessions(3)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("7.png")
                    .hasMessageNotContaining("part 3");
        }
    }

    @Test
    void anInterruptedCallerEndsAllParts() {
        Thread caller = Thread.currentThread();
        CorrectionOptions options = CorrectionOptions.builder()
                .batchSize(2)
                .listener((done, total) -> {
                    if (done == 20) {
                        caller.interrupt();
                    }
                })
                .build();
        try (Samples samples = ReferencePair.FASHION_W3A8.samples()) {
            assertThatThrownBy(() -> ReferencePair.FASHION_W3A8.correction().correct(samples, options, sessions(2)))
                    .isInstanceOf(CancelledException.class)
                    .hasMessageContaining("interrupted");
            assertThat(Thread.interrupted()).isTrue();
        }
    }

    /** What comes of participants that have nothing but an exchange in common. */
    private List<Object> participants(List<CorrectionOptions> options) {
        return participants(options, n -> ReferencePair.FASHION_W3A8.correction());
    }

    private List<Object> participants(List<CorrectionOptions> options, IntFunction<BiasCorrection> corrections) {
        List<Exchange> exchanges = LocalExchange.of(options.size());
        List<DeviceSession> devices = sessions(options.size());
        List<CompletableFuture<Object>> all = new ArrayList<>();
        for (int i = 0; i < options.size(); i++) {
            int number = i;
            CompletableFuture<Object> outcome = new CompletableFuture<>();
            all.add(outcome);
            Thread thread = new Thread(() -> {
                ReferencePair pair = ReferencePair.FASHION_W3A8;
                try (Samples samples = pair.samples().limit(SAMPLES).part(number, options.size(), 1)) {
                    outcome.complete(corrections
                            .apply(number)
                            .correct(samples, options.get(number), devices.get(number), exchanges.get(number)));
                } catch (RuntimeException | Error e) {
                    outcome.complete(e);
                }
            });
            thread.setDaemon(true);
            thread.start();
        }
        return all.stream()
                .map(outcome -> outcome.orTimeout(5, TimeUnit.MINUTES).join())
                .toList();
    }

    @Test
    void allParticipantsEndWithTheSame() {
        CorrectionOptions options =
                CorrectionOptions.builder().perChannel(true).bestReference().build();
        List<Object> results = participants(List.of(options, options, options));
        assertThat(results).allMatch(CorrectionResult.class::isInstance);
        for (Object result : results) {
            assertSame((CorrectionResult) result, (CorrectionResult) results.get(0));
        }
    }

    @Test
    void theFirstPartBeginsAgainWhereAnotherRunsOutOfMemory() {
        CorrectionOptions others =
                CorrectionOptions.builder().perChannel(true).batchSize(4).build();
        AtomicBoolean thrown = new AtomicBoolean();
        CorrectionOptions disturbed = CorrectionOptions.builder()
                .perChannel(true)
                .listener((done, total) -> {
                    if (done > total / 2 && thrown.compareAndSet(false, true)) {
                        throw new OutOfDeviceMemoryException("cudaMalloc: no memory");
                    }
                })
                .build();
        List<Object> undisturbed = participants(List.of(others, others, others));
        List<Object> again = participants(List.of(others, disturbed, others));
        assertThat(thrown).isTrue();
        assertThat(again).allMatch(CorrectionResult.class::isInstance);
        for (Object result : again) {
            assertSame((CorrectionResult) result, (CorrectionResult) undisturbed.get(0));
        }
    }

    @Test
    void aParticipantThatFailsIsToldToTheOthers() {
        CorrectionOptions options = CorrectionOptions.builder()
                .listener((done, total) -> {
                    if (done == 2) {
                        throw new RebiasException("the disk is full");
                    }
                })
                .build();
        CorrectionOptions others = CorrectionOptions.defaults();
        List<Object> results = participants(List.of(others, options, others));
        assertThat(results).allMatch(RebiasException.class::isInstance);
        assertThat(results.stream().map(r -> ((RebiasException) r).getMessage()))
                .containsExactly(
                        "part 2 of 3 failed: the disk is full",
                        "the disk is full",
                        "part 2 of 3 failed: the disk is full");
    }

    @Test
    void participantsThatMakeDifferentCorrectionsAreRefused() {
        List<Object> results = participants(List.of(
                CorrectionOptions.defaults(),
                CorrectionOptions.builder().shrink(true).build()));
        assertThat(results).allSatisfy(r -> assertThat((Throwable) r)
                .isInstanceOf(RebiasException.class)
                .hasMessageContaining("parts")
                .hasMessageContaining("the same models and options"));
    }

    /** Their layers are the same, and what lies between them is not. */
    @Test
    void participantsWithOtherQuantisersAreRefused() {
        ReferencePair pair = ReferencePair.FASHION_W3A8;
        OnnxModel quantized = OnnxModel.read(pair.quantizedFile());
        ModelProto.Builder other = quantized.proto().toBuilder();
        Set<String> scales = other.getGraph().getNodeList().stream()
                .filter(n -> n.getOpType().equals("QuantizeLinear"))
                .map(n -> n.getInput(1))
                .collect(Collectors.toSet());
        TensorProto.Builder scale = other.getGraphBuilder().getInitializerBuilderList().stream()
                .filter(i -> scales.contains(i.getName()))
                .findFirst()
                .orElseThrow();
        float value = scale.getFloatDataCount() > 0
                ? scale.getFloatData(0)
                : ByteBuffer.wrap(scale.getRawData().toByteArray())
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .getFloat();
        scale.clearRawData().clearFloatData().addFloatData(2 * value);
        BiasCorrection changed =
                BiasCorrection.of(OnnxModel.read(pair.floatFile()), OnnxModel.of("other", other.build()));
        CorrectionOptions options = CorrectionOptions.defaults();
        List<Object> results = participants(List.of(options, options), n -> n == 0 ? pair.correction() : changed);
        assertThat(results).allSatisfy(r -> assertThat((Throwable) r)
                .isInstanceOf(RebiasException.class)
                .hasMessageContaining("the same models and options"));
    }

    @Test
    void whatCannotBeDividedIsRefused() {
        BiasCorrection correction = ReferencePair.FASHION_W3A8.correction();
        CorrectionOptions weights =
                CorrectionOptions.builder().adjust(Adjustment.WEIGHTS).build();
        CorrectionOptions options = CorrectionOptions.defaults();
        try (Samples samples = ReferencePair.FASHION_W3A8.samples()) {
            assertThatThrownBy(() -> correction.correct(samples, weights, sessions(2)))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("one device");
            assertThatThrownBy(() -> correction.correct(samples.limit(2), options, sessions(3)))
                    .isInstanceOf(UnsupportedException.class)
                    .hasMessageContaining("2 samples cannot be divided into 3 parts");
            assertThatThrownBy(() -> samples.part(0, 2, 1).part(1, 2, 1))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("a part already");
            DeviceSession one = sessions(1).get(0);
            assertThatThrownBy(() -> correction.correct(samples, options, List.of(one, one)))
                    .isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> correction.correct(samples, options, List.of()))
                    .isInstanceOf(UsageException.class);
        }
    }

    /** On the CPU sums of floats are exact, too: what differs by rounding are errors that follow from Gram matrices. */
    private static void assertSame(CorrectionResult shared, CorrectionResult whole) {
        assertThat(shared.reference()).isEqualTo(whole.reference());
        assertThat(shared.samples()).isEqualTo(whole.samples());
        assertThat(shared.samplesUsed()).usingRecursiveComparison().isEqualTo(whole.samplesUsed());
        double most = 0;
        for (int i = 0; i < whole.layers().size(); i++) {
            LayerResult expected = whole.layers().get(i);
            LayerResult actual = shared.layers().get(i);
            assertThat(actual.status()).isEqualTo(expected.status());
            if (expected.moments().isEmpty()) {
                continue;
            }
            assertThat(actual.moments().get().delta())
                    .as(expected.name())
                    .isEqualTo(expected.moments().get().delta());
            most = Math.max(
                    most, apart(actual.moments().get(), expected.moments().get()));
            if (expected.heldOut().isPresent()) {
                most = Math.max(
                        most, apart(actual.heldOut().get(), expected.heldOut().get()));
            }
        }
        System.out.printf(
                "errors of %d parts are %.2g of an error apart at most, %.2g of the bound%n",
                shared.sharing().orElseThrow().parts().size(), most, most / BOUND);
        assertThat(most).isLessThan(BOUND);
        assertThat(shared.model().proto()).isEqualTo(whole.model().proto());
        Outcome expected = whole.outcome().orElseThrow();
        Outcome actual = shared.outcome().orElseThrow();
        assertThat(actual.samples()).isEqualTo(expected.samples());
        assertThat(actual.change()).isEqualTo(expected.change());
        assertThat(actual.standardError()).isEqualTo(expected.standardError());
        assertThat(actual.outputs()).isEqualTo(expected.outputs());
        assertThat(shared.sufficiency().get().relativeError())
                .isCloseTo(whole.sufficiency().get().relativeError(), within(1e-9));
    }

    /** How far two errors of a layer are apart, as a share of them. */
    private static double apart(Moments actual, Moments expected) {
        Moments.Errors a = actual.measured();
        Moments.Errors e = expected.measured();
        assertThat(actual.perChannel().get().toString())
                .isEqualTo(expected.perChannel().get().toString());
        return Math.max(
                Math.abs(a.mseBefore() - e.mseBefore()) / e.mseBefore(),
                Math.max(
                        Math.abs(a.mseAfter() - e.mseAfter()) / e.mseBefore(),
                        Math.abs(a.signalPower() - e.signalPower()) / e.signalPower()));
    }
}
