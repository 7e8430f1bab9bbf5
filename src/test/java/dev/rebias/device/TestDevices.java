package dev.rebias.device;

import dev.rebias.device.cuda.CudaCards;
import dev.rebias.device.cuda.CudaLibraries;
import java.util.ArrayList;
import java.util.List;

/** The devices that tests can use in this JVM. */
public final class TestDevices {
    private TestDevices() {}

    /**
     * By name: on the emulator, and where the system property {@code rebias.test.devices} says so, {@code cuda}; else
     * {@code cpu}, and {@code cuda} where there is a GPU.
     */
    public static List<String> names() {
        List<String> names = new ArrayList<>();
        if (Emulator.present()) {
            Emulator.require();
        } else if (!"cuda".equals(System.getProperty("rebias.test.devices"))) {
            names.add("cpu");
        }
        if (CudaLibraries.missing().isEmpty() && !CudaCards.all().isEmpty()) {
            names.add("cuda");
        }
        return names;
    }
}
