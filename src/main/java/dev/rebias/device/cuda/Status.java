package dev.rebias.device.cuda;

import dev.rebias.error.OutOfDeviceMemoryException;
import java.util.Set;
import org.bytedeco.cuda.global.cublas;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.cuda.global.nvrtc;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerPointer;

/** Turns the status codes of the four libraries into exceptions, in this one place. */
final class Status {
    /**
     * Errors of the driver API after which the context is lost: every later call fails too (CUDA driver API,
     * "CUresult").
     */
    private static final Set<Integer> STICKY = Set.of(
            cudart.CUDA_ERROR_ILLEGAL_ADDRESS,
            cudart.CUDA_ERROR_MISALIGNED_ADDRESS,
            cudart.CUDA_ERROR_LAUNCH_FAILED,
            cudart.CUDA_ERROR_LAUNCH_TIMEOUT,
            cudart.CUDA_ERROR_ILLEGAL_INSTRUCTION,
            cudart.CUDA_ERROR_INVALID_ADDRESS_SPACE,
            cudart.CUDA_ERROR_INVALID_PC,
            cudart.CUDA_ERROR_HARDWARE_STACK_ERROR,
            cudart.CUDA_ERROR_ASSERT,
            cudart.CUDA_ERROR_ECC_UNCORRECTABLE);

    /** As much of cuDNN's reason as is kept, in bytes. */
    private static final int REASON = 1024;

    private Status() {}

    /** Checks a call of the CUDA driver or runtime. */
    static void cuda(int status, String call) {
        cuda(status, call, "");
    }

    /**
     * Checks a call of the CUDA driver or runtime.
     *
     * @param purpose what it was for: the operation, shapes; may be empty
     */
    static void cuda(int status, String call, String purpose) {
        if (status == cudart.CUDA_SUCCESS) {
            return;
        }
        String what = text(call, purpose) + " failed: " + cudaError(status);
        if (STICKY.contains(status)) {
            throw new CudaException.ContextLost(what
                    + "; the card's state is lost to this process: start again, and please report it if it comes back");
        }
        if (status == cudart.CUDA_ERROR_OUT_OF_MEMORY) {
            throw new OutOfDeviceMemoryException(what
                    + "; use a smaller `batchSize`, a smaller `memoryLimit` or fewer samples (`limit`), "
                    + "or end other programs that use the card");
        }
        throw new CudaException(what);
    }

    /** Checks a call of cuDNN, which keeps the reason of its last refusal on this thread in its own words. */
    static void cudnn(int status, String call, String purpose) {
        if (status != cudnn.CUDNN_STATUS_SUCCESS) {
            byte[] message = new byte[REASON];
            cudnn.cudnnGetLastErrorString(message, message.length);
            String reason = CudaContext.text(message).strip();
            throw new CudaException(text(call, purpose) + " failed: "
                    + cudnn.cudnnGetErrorString(status).getString()
                    + (reason.isEmpty() ? "" : ", " + reason.replaceAll("\\s+", " ")));
        }
    }

    static void cublas(int status, String call, String purpose) {
        if (status != cublas.CUBLAS_STATUS_SUCCESS) {
            throw new CudaException(text(call, purpose) + " failed: "
                    + cublas.cublasGetStatusString(status).getString());
        }
    }

    static void nvrtc(int status, String call, String purpose) {
        if (status != nvrtc.NVRTC_SUCCESS) {
            throw new CudaException(text(call, purpose) + " failed: "
                    + nvrtc.nvrtcGetErrorString(status).getString());
        }
    }

    private static String text(String call, String purpose) {
        return purpose.isEmpty() ? call : call + " (" + purpose + ")";
    }

    private static String cudaError(int status) {
        try (PointerPointer<BytePointer> name = new PointerPointer<>(1);
                PointerPointer<BytePointer> text = new PointerPointer<>(1)) {
            if (cudart.cuGetErrorName(status, name) != cudart.CUDA_SUCCESS
                    || cudart.cuGetErrorString(status, text) != cudart.CUDA_SUCCESS) {
                return "status " + status;
            }
            return name.get(BytePointer.class, 0).getString() + ", "
                    + text.get(BytePointer.class, 0).getString();
        }
    }
}
