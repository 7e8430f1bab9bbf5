package dev.rebias.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.device.Device;
import dev.rebias.device.DeviceInfo;
import dev.rebias.device.ErrorMoments;
import dev.rebias.device.InputMoments;
import dev.rebias.device.JointInputMoments;
import dev.rebias.device.JointInputSquares;
import dev.rebias.device.Moments;
import dev.rebias.device.Operand;
import dev.rebias.device.PreparedOp;
import dev.rebias.device.Tensor;
import dev.rebias.device.Transfers;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.golden.ReferencePair;
import dev.rebias.model.Graph;
import dev.rebias.model.GraphReader;
import dev.rebias.model.LayerPair;
import dev.rebias.model.OnnxModel;
import dev.rebias.model.Pairing;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.IntegerLayer;
import dev.rebias.op.LayerGroup;
import dev.rebias.op.LayerOp;
import dev.rebias.op.Op;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.InputSpec;
import dev.rebias.samples.Samples;
import dev.rebias.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A sweep is one pass of each network: nothing is evaluated twice, and nothing is left on the device. */
final class SweepCostTest {
    private static final int SAMPLES = 20;
    private static final int BATCH = 8;
    private static final int BATCHES = 3;

    /** A device that counts how often each prepared operation runs. */
    private static final class CountingDevice implements Device {
        private final CpuDevice device = new CpuDevice();
        private final List<AtomicInteger> layerRuns = new ArrayList<>();
        private final List<AtomicInteger> otherRuns = new ArrayList<>();

        @Override
        public PreparedOp prepare(Op op, List<Operand> operands) {
            PreparedOp prepared = device.prepare(op, operands);
            AtomicInteger runs = new AtomicInteger();
            boolean layer = op instanceof LayerOp || op instanceof IntegerLayer || op instanceof LayerGroup;
            (layer ? layerRuns : otherRuns).add(runs);
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

        @Override
        public long mostTensorBytes() {
            return device.mostTensorBytes();
        }

        @Override
        public DeviceInfo info() {
            return device.info();
        }

        @Override
        public int threads() {
            return device.threads();
        }

        @Override
        public int batchSize(int wanted, long outputBytes) {
            return wanted;
        }

        @Override
        public Tensor upload(HostTensor values) {
            return device.upload(values);
        }

        @Override
        public HostTensor download(Tensor tensor) {
            throw new AssertionError("a sweep brings no tensor back to the host");
        }

        @Override
        public void settle(Tensor tensor) {
            device.settle(tensor);
        }

        @Override
        public ErrorMoments errorMoments(double[] bias, double[] referenceBias, BiasGrid grid) {
            return device.errorMoments(bias, referenceBias, grid);
        }

        @Override
        public InputMoments inputMoments(double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights) {
            return device.inputMoments(bias, referenceBias, grid, weights);
        }

        @Override
        public boolean prefersInputSquares(WeightError weights) {
            return device.prefersInputSquares(weights);
        }

        @Override
        public boolean prefersJointMoments() {
            return device.prefersJointMoments();
        }

        @Override
        public JointInputMoments jointMoments(
                double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights) {
            return device.jointMoments(bias, referenceBias, grid, weights);
        }

        @Override
        public boolean prefersJointSquares(WeightError weights) {
            return device.prefersJointSquares(weights);
        }

        @Override
        public boolean prefersRunningAgain(WeightError weights) {
            return device.prefersRunningAgain(weights);
        }

        @Override
        public InputMoments inputSquares(
                double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights, boolean perSample) {
            return device.inputSquares(bias, referenceBias, grid, weights, perSample);
        }

        @Override
        public JointInputSquares jointSquares(
                double[] bias, double[] referenceBias, BiasGrid grid, WeightError weights, boolean perSample) {
            return device.jointSquares(bias, referenceBias, grid, weights, perSample);
        }

        @Override
        public Transfers transfers() {
            return device.transfers();
        }

        @Override
        public List<String> warnings() {
            return device.warnings();
        }

        @Override
        public long usedBytes() {
            return device.usedBytes();
        }

        @Override
        public long peakBytes() {
            return device.peakBytes();
        }

        @Override
        public void forgetPeak() {
            device.forgetPeak();
        }

        @Override
        public void close() {
            device.close();
        }
    }

    @ParameterizedTest
    @CsvSource({"FASHION_W3A8, LAYER", "FASHION_W3A8, NETWORK", "OCR_W4A8, LAYER", "OCR_W4A8, NETWORK"})
    void everyLayerRunsAsOftenAsIsPlannedForEveryBatchAndNothingIsLeftBehind(ReferencePair pair, Reference reference) {
        Graph floating = GraphReader.read(OnnxModel.read(pair.floatFile()));
        Graph quantized = GraphReader.read(pair.quantizedModel());
        List<LayerPair> layers = Pairing.of(floating, quantized).pairs();
        String input = quantized.inputs().get(0).name();
        CountingDevice device = new CountingDevice();
        Plan plan = Planner.plan(reference, true, device, floating, quantized, Map.of(input, input), layers, true);
        List<BiasGrid> grids = layers.stream().map(l -> BiasGrid.FLOAT).toList();
        List<Moments> moments;
        try (Samples samples = pair.samples().limit(SAMPLES);
                Sweep sweep = new Sweep(plan, device, grids, false, Long.MAX_VALUE)) {
            InputSpec spec = new InputSpec(input, quantized.inputs().get(0).type(), new long[] {-1, -1, -1, -1});
            BoundSamples bound = samples.bind(List.of(spec));
            moments = sweep.run(bound, BATCH, (done, total) -> {});
        }
        assertThat(moments).hasSameSizeAs(layers).allMatch(m -> m.samples() == SAMPLES);
        // The quantised layer, and its float counterpart, or its error unless that follows from its input; and once
        // more with its correction where the device likes that better than to keep its output.
        int operations = 0;
        for (Plan.Measured m : plan.measured()) {
            boolean computed = m.method() == Plan.Method.ERRORS;
            boolean again = computed && reference == Reference.LAYER && device.prefersRunningAgain(m.weights());
            operations += 1 + (computed || reference == Reference.NETWORK ? 1 : 0) + (again ? 1 : 0);
        }
        assertThat(device.layerRuns).hasSize(operations).allMatch(runs -> runs.get() == BATCHES);
        assertThat(device.otherRuns).isNotEmpty().allMatch(runs -> runs.get() == BATCHES);
        assertThat(device.device.liveTensors()).isZero();
    }
}
