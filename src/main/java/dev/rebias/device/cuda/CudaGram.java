package dev.rebias.device.cuda;

import dev.rebias.device.Gram;
import dev.rebias.device.GramTotals;
import dev.rebias.device.Tensor;
import dev.rebias.device.WeightError;
import dev.rebias.device.cpu.CpuDevice;
import java.util.ArrayList;
import java.util.List;

/** Gram matrices of a card's tensors, made on the host: no plan prefers them here. */
final class CudaGram implements Gram {
    private final CudaContext context;
    private final Gram sums;

    /** Parameters as for {@link dev.rebias.device.Device#gram}. */
    CudaGram(CudaContext context, WeightError layer, boolean joint, boolean perSample) {
        this.context = context;
        this.sums = context.host().gram(layer, joint, perSample);
    }

    @Override
    public void add(List<Tensor> tensors, int samples) {
        CpuDevice host = context.host();
        List<Tensor> brought = new ArrayList<>();
        try {
            for (Tensor t : tensors) {
                brought.add(host.upload(context.download((DeviceTensor) t)));
            }
            sums.add(brought, samples);
        } finally {
            brought.forEach(Tensor::close);
        }
    }

    @Override
    public GramTotals totals() {
        return sums.totals();
    }

    @Override
    public void close() {
        sums.close();
    }
}
