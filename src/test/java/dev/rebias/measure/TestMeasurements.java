package dev.rebias.measure;

import dev.rebias.device.Device;
import dev.rebias.device.Method;
import dev.rebias.device.WeightError;
import dev.rebias.op.BiasGrid;
import dev.rebias.op.LayerOp;
import dev.rebias.op.MatMul;
import dev.rebias.op.TestOps;
import java.util.List;
import java.util.Optional;

/** Measurements that several tests use. */
public final class TestMeasurements {
    private TestMeasurements() {}

    /** An operation whose outputs have their channels along that axis: 1, or the last. */
    public static LayerOp withChannelsAlong(int axis) {
        return axis == 1 ? TestOps.pointwise() : new MatMul();
    }

    /**
     * By computing every error.
     *
     * @param joint whether the float layer has an input of its own, so that outputs are compared
     */
    public static Measurement errors(Device device, int channelAxis, Biases biases, boolean joint) {
        WeightError unknown = new WeightError(
                withChannelsAlong(channelAxis), new long[0], new double[0], new double[0], Optional.empty(), 1, 0);
        return new Measurement(device, unknown, biases, List.of(Method.ERRORS), joint, true);
    }

    /** In one way, with float biases. */
    public static Measurement of(
            Device device, WeightError weights, double[] bias, double[] reference, Method method, boolean joint) {
        return new Measurement(
                device, weights, new Biases(bias, reference, BiasGrid.FLOAT), List.of(method), joint, true);
    }
}
