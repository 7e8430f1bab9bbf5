package dev.rebias.device.cuda;

import dev.rebias.error.RebiasException;

/** A CUDA, cuDNN, cuBLAS or NVRTC call failed. The message names the call, what it was for, and what may help. */
public class CudaException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public CudaException(String message) {
        super(message);
    }

    /** An error after which this process can do nothing more on the card. */
    public static final class ContextLost extends CudaException {
        private static final long serialVersionUID = 1L;

        public ContextLost(String message) {
            super(message);
        }
    }
}
