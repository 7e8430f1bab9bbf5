package dev.rebias.device.cuda;

import dev.rebias.error.DeviceUnavailableException;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.SizeTPointer;

/** The cards of this machine, as the driver lists them. */
public final class CudaCards {
    /** What rebias's kernels need at least: nvcc and NVRTC 13 compile for nothing older. */
    private static final int OLDEST = 75;

    private CudaCards() {}

    /**
     * A card.
     *
     * @param architecture {@code sm_XX}, XX being its compute capability
     * @param memoryBytes all of its memory
     */
    public record Card(int ordinal, String name, String architecture, long memoryBytes) {
        /** Whether it is the emulator, a test instrument. */
        public boolean emulated() {
            return name.startsWith("rebias emulator");
        }
    }

    /** The driver's version: the newest CUDA that it knows, {@code 1000 major + 10 minor}. */
    public static int driverVersion() {
        int[] version = new int[1];
        Status.cuda(cudart.cuDriverGetVersion(version), "cuDriverGetVersion");
        return version[0];
    }

    /** All cards. The libraries must be there ({@link CudaLibraries#missing}). */
    public static List<Card> all() {
        try {
            Status.cuda(cudart.cuInit(0), "cuInit");
            int[] n = new int[1];
            Status.cuda(cudart.cuDeviceGetCount(n), "cuDeviceGetCount");
            List<Card> cards = new ArrayList<>();
            for (int i = 0; i < n[0]; i++) {
                cards.add(card(i));
            }
            return cards;
        } catch (CudaException e) {
            throw new DeviceUnavailableException(
                    "the NVIDIA driver does not answer: " + e.getMessage() + "; 'nvidia-smi' may tell more", e);
        }
    }

    /**
     * One card.
     *
     * @throws DeviceUnavailableException if there is none of that number, or it is too old
     */
    static Card require(int ordinal) {
        List<Card> cards = all();
        if (ordinal >= cards.size()) {
            throw new DeviceUnavailableException(
                    cards.isEmpty()
                            ? "the NVIDIA driver knows no GPU: see 'nvidia-smi', and in a container start it with "
                                    + "--gpus all"
                            : "there is no GPU " + ordinal + ": the driver knows " + cards.size()
                                    + ", counted from 0; use `device` cuda:0");
        }
        Card card = cards.get(ordinal);
        if (Integer.parseInt(card.architecture().substring("sm_".length())) < OLDEST) {
            throw new DeviceUnavailableException("GPU " + ordinal + " (" + card.name() + ", " + card.architecture()
                    + ") is too old: CUDA 13 needs sm_" + OLDEST + " or newer; use `device` cpu");
        }
        return card;
    }

    private static Card card(int ordinal) {
        int[] device = new int[1];
        Status.cuda(cudart.cuDeviceGet(device, ordinal), "cuDeviceGet", "GPU " + ordinal);
        byte[] name = new byte[256];
        Status.cuda(cudart.cuDeviceGetName(name, name.length, device[0]), "cuDeviceGetName", "GPU " + ordinal);
        int major = attribute(cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device[0]);
        int minor = attribute(cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device[0]);
        try (SizeTPointer bytes = new SizeTPointer(1)) {
            Status.cuda(cudart.cuDeviceTotalMem(bytes, device[0]), "cuDeviceTotalMem", "GPU " + ordinal);
            return new Card(ordinal, CudaContext.text(name), "sm_" + major + minor, bytes.get());
        }
    }

    private static int attribute(int attribute, int device) {
        int[] value = new int[1];
        Status.cuda(cudart.cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute");
        return value[0];
    }
}
