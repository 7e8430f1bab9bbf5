package dev.rebias.device.cuda;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.cuda.cudart.CUctx_st;
import org.bytedeco.cuda.global.cudart;

/**
 * The cards' primary contexts, each retained once and for the rest of the process: to release the last reference
 * destroys the context, and to make it again takes a good part of a second. The driver destroys them when the process
 * ends. Safe for use by several threads.
 */
final class PrimaryContexts {
    private static final Map<Integer, CUctx_st> RETAINED = new ConcurrentHashMap<>();

    private PrimaryContexts() {}

    /**
     * The primary context of a card; not current on any thread for it.
     *
     * @throws CudaException if it cannot be made; the next call tries again
     */
    static CUctx_st of(CudaCards.Card card) {
        return RETAINED.computeIfAbsent(card.ordinal(), ordinal -> {
            int[] device = new int[1];
            Status.cuda(cudart.cuDeviceGet(device, ordinal), "cuDeviceGet", "GPU " + ordinal);
            CUctx_st context = new CUctx_st();
            Status.cuda(cudart.cuDevicePrimaryCtxRetain(context, device[0]), "cuDevicePrimaryCtxRetain", card.name());
            return context;
        });
    }
}
