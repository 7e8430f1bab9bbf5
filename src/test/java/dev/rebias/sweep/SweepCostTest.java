package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Device;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.golden.ReferencePair;
import dev.rebias.measure.Moments;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.Pairing;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.MatMul;
import dev.rebias.op.Op;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A sweep is one pass of each network: nothing is evaluated twice, and nothing is left on the device. */
final class SweepCostTest {
    private static final int SAMPLES = 20;
    private static final int BATCH = 8;
    private static final int BATCHES = 3;

    /** What a device prepares, and how often each of it runs; everything else is the device's own affair. */
    private static final class Counts implements InvocationHandler {
        private final CpuDevice device = new CpuDevice();
        private final List<AtomicInteger> layerRuns = new ArrayList<>();
        private final List<AtomicInteger> otherRuns = new ArrayList<>();
        /**
         * Matrix products: float layers, and the products of Gram matrices that are made once when a layer's results
         * are read.
         */
        private final List<AtomicInteger> products = new CopyOnWriteArrayList<>();

        private final AtomicInteger downloads = new AtomicInteger();

        Device counted() {
            return (Device) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {Device.class}, this);
        }

        @Override
        public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
            if (method.getName().equals("download")) {
                downloads.incrementAndGet();
            }
            Object result;
            try {
                result = method.invoke(device, arguments);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
            return method.getName().equals("prepare") ? counted((Op) arguments[0], (PreparedOp) result) : result;
        }

        private PreparedOp counted(Op op, PreparedOp prepared) {
            AtomicInteger runs = new AtomicInteger();
            boolean layer = op instanceof LayerOp || op instanceof IntegerLayer || op instanceof LayerGroup;
            (op instanceof MatMul ? products : layer ? layerRuns : otherRuns).add(runs);
            return new PreparedOp() {
                @Override
                public List<Tensor> run(List<Tensor> variables) {
                    runs.incrementAndGet();
                    return prepared.run(variables);
                }

                @Override
                public void close() {
                    prepared.close();
                }
            };
        }
    }

    private final Counts counts = new Counts();

    @AfterEach
    void closeDevice() {
        counts.device.close();
    }

    @ParameterizedTest
    @CsvSource({"FASHION_W3A8, LAYER", "FASHION_W3A8, NETWORK", "OCR_W4A8, LAYER", "OCR_W4A8, NETWORK"})
    void everyLayerRunsAsOftenAsIsPlannedForEveryBatchAndNothingIsLeftBehind(ReferencePair pair, Reference reference) {
        Graph floating = GraphReader.read(OnnxModel.read(pair.floatFile()));
        Graph quantized = GraphReader.read(pair.quantizedModel());
        List<LayerPair> layers = Pairing.of(floating, quantized).pairs();
        String input = quantized.inputs().get(0).name();
        Device device = counts.counted();
        Plan plan = Planner.plan(reference, true, device, floating, quantized, Map.of(input, input), layers, true);
        List<BiasGrid> grids = layers.stream().map(l -> BiasGrid.FLOAT).toList();
        List<Moments> moments;
        try (Samples samples = pair.samples().limit(SAMPLES);
                Sweep sweep = new Sweep(plan, device, CorrectionSpec.byMeanErrors(grids, false), Long.MAX_VALUE)) {
            InputSpec spec = new InputSpec(input, quantized.inputs().get(0).type(), new long[] {-1, -1, -1, -1});
            BoundSamples bound = samples.bind(List.of(spec));
            moments = sweep.run(bound, BATCH, (done, total) -> {});
        }
        assertThat(moments).hasSameSizeAs(layers).allMatch(m -> m.samples() == SAMPLES);
        // The quantised layer, and its float counterpart, or its error unless that follows from its input; and once
        // more with its correction where the device likes that better than to keep its output.
        int operations = 0;
        int byGram = 0;
        for (Plan.Measured m : plan.measured()) {
            boolean computed = m.computesErrors();
            boolean again = computed && reference == Reference.LAYER && device.prefersRunningAgain(m.weights());
            operations += 1 + (computed || reference == Reference.NETWORK ? 1 : 0) + (again ? 1 : 0);
            byGram += computed ? 0 : 1;
        }
        List<AtomicInteger> once =
                counts.products.stream().filter(runs -> runs.get() == 1).toList();
        counts.layerRuns.addAll(counts.products);
        counts.layerRuns.removeAll(once);
        assertThat(once).hasSize(byGram);
        assertThat(counts.layerRuns).hasSize(operations).allMatch(runs -> runs.get() == BATCHES);
        assertThat(counts.otherRuns).isNotEmpty().allMatch(runs -> runs.get() == BATCHES);
        assertThat(counts.downloads)
                .as("tensors brought back: none but these products")
                .hasValue(byGram);
        assertThat(counts.device.liveTensors()).isZero();
    }
}
