package dev.rebias.device.cuda;

import dev.rebias.device.ErrorSums;
import dev.rebias.device.ErrorTotals;
import dev.rebias.device.Resources;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.device.cuda.IntegerForm.Table;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.Shape;
import java.util.Arrays;
import java.util.List;

/** Error sums by {@code cuda-kernels/integer_errors.cu}: from a layer's input, without an error or output in memory. */
final class CudaInputErrorSums implements ErrorSums {
    static final String FILE = "integer_errors.cu";
    private static final int ERROR_PLANES = Compiler.constant(FILE, "ERROR_PLANES");
    private static final int OUTPUT_PLANES = Compiler.constant(FILE, "OUTPUT_PLANES");
    private static final int DISTANCE_PLANES = Compiler.constant(FILE, "DISTANCE_PLANES");
    private static final int PIECE = Compiler.constant(FILE, "PIECE");
    private static final int WARPS = Launch.THREADS / 32;

    private final CudaContext context;
    private final IntegerForm form;
    private final boolean joint;
    private final boolean perSample;
    private final IntegerTables tables;
    private final CardErrorTotals totals;

    /** Parameters as for {@link dev.rebias.device.Device#inputErrorSums}. */
    CudaInputErrorSums(CudaContext context, IntegerForm form, WeightError layer, boolean joint, boolean perSample) {
        this.context = context;
        this.form = form;
        this.joint = joint;
        this.perSample = perSample;
        this.totals = new CardErrorTotals(context, form.channels());
        context.kernels().expect(FILE);
        context.kernels().expect(CudaErrorSums.FILE);
        this.tables = new IntegerTables(context, form, tables(form, layer, joint));
    }

    /** Of the error and the float output; or, where the latter is given, of the quantised output. */
    private static List<Table> tables(IntegerForm form, WeightError layer, boolean joint) {
        double[] difference = layer.difference();
        double[] reference = layer.reference();
        if (!joint) {
            return List.of(table(form, difference, ERROR_PLANES), table(form, reference, OUTPUT_PLANES));
        }
        double[] quantized = new double[difference.length];
        Arrays.setAll(quantized, i -> reference[i] - difference[i]);
        return List.of(table(form, quantized, DISTANCE_PLANES));
    }

    private static Table table(IntegerForm form, double[] weights, int planes) {
        return new Table(IntegerDigits.nearest(weights, form.channels(), planes), planes);
    }

    @Override
    public void add(List<Tensor> tensors, int samples) {
        DeviceTensor x = (DeviceTensor) tensors.get(tensors.size() - 1);
        if (x.elements() == 0) {
            return;
        }
        IntegerTables.Shaped shaped = tables.at(x.shape())
                .orElseThrow(
                        () -> new UnsupportedException(
                                "data of shape " + Shape.text(x.shape())
                                        + " have more elements in a sample than a card's kernels take: use smaller samples, or `device` cpu"));
        long[] output = shaped.geometry().output();
        // Axis 0 may hold several rows per sample; where it is no multiple of the batch, its rows do not belong to
        // samples one by one.
        long units = ErrorTotals.units(output[0], samples);
        long rows = output[0] / units;
        long positions = shaped.geometry().positions();
        long pieces = form.direct()
                ? (positions + PIECE - 1) / PIECE
                : shaped.geometry().positionTiles();
        long parts = output[0] * pieces * form.channels();
        try (MemoryPool.Block block =
                context.pool().allocate(parts * ErrorTotals.SUMS * Double.BYTES, "error sums of a batch")) {
            String kernel = (joint ? "integer_distances_" : "integer_errors_") + form.suffix();
            long reference = joint ? ((DeviceTensor) tensors.get(0)).address() : 0;
            tables.arguments(shaped, x)
                    .pointer(reference)
                    .pointer(block.address())
                    .blocks(
                            context.kernel(FILE, kernel),
                            kernel,
                            form.direct() ? (parts + WARPS - 1) / WARPS : form.tileBlocks(shaped.geometry()));
            totals.add(block.address(), units, rows * pieces, rows * positions, samples);
        }
    }

    @Override
    public void bring() {
        totals.bring();
    }

    @Override
    public ErrorTotals totals() {
        return totals.totals(perSample);
    }

    @Override
    public void close() {
        Resources both = new Resources();
        both.add(tables::close);
        both.add(totals::close);
        both.close();
    }
}
