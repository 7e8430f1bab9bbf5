package dev.rebias.device;

import dev.rebias.device.cpu.CpuDevice;
import dev.rebias.device.cuda.CardPreferences;
import dev.rebias.device.cuda.CudaCards;
import dev.rebias.device.cuda.CudaDevice;
import dev.rebias.device.cuda.CudaLibraries;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.UsageException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Opens the device that was asked for. */
public final class Devices {
    private Devices() {}

    /**
     * A device, and the choice in words.
     *
     * @param why one line: what was chosen and why
     */
    public record Choice(Device device, String why) {}

    /** What cards prefer, whether there is one or not. */
    public static Preferences preferencesOfCards() {
        return new CardPreferences();
    }

    /**
     * The devices that a name stands for: {@code cuda:all} for all cards of the machine, {@code cuda:0,2} for some of
     * them, or one as for {@link #open}.
     *
     * @return at least one name, each as for {@link #open}, in their order
     * @throws DeviceUnavailableException if cards are asked for and there are none
     * @throws UsageException if a card is named twice
     */
    public static List<String> names(String name) {
        if (name.equals("cuda:all")) {
            Optional<String> missing = CudaLibraries.missing();
            if (missing.isPresent()) {
                throw new DeviceUnavailableException(
                        "no GPU can be used: " + missing.get() + "; or use the device cpu");
            }
            List<String> cards =
                    CudaCards.all().stream().map(c -> "cuda:" + c.ordinal()).toList();
            if (cards.isEmpty()) {
                throw new DeviceUnavailableException(
                        "the NVIDIA driver knows no GPU: see 'nvidia-smi', or use the device cpu");
            }
            return cards;
        }
        if (!name.matches("cuda:\\d{1,3}(,\\d{1,3}){1,63}")) {
            return List.of(name);
        }
        List<String> cards = Arrays.stream(name.substring("cuda:".length()).split(","))
                .map(n -> "cuda:" + Integer.parseInt(n))
                .toList();
        if (cards.stream().distinct().count() < cards.size()) {
            throw new UsageException("device '" + name + "' names a card twice: name each once");
        }
        return cards;
    }

    /**
     * Opens a device.
     *
     * @param name {@code auto} (the first GPU if there is one that can be used, else the CPU), {@code cpu},
     *     {@code cuda} or {@code cuda:N}
     * @throws DeviceUnavailableException if the device that was named cannot be used; there is no fall-back from a
     *     named device
     * @throws UsageException if the name is none of these
     */
    public static Choice open(String name) {
        if (name.equals("cpu")) {
            return new Choice(new CpuDevice(), "cpu, as asked for");
        }
        if (name.equals("auto")) {
            Optional<String> missing = CudaLibraries.missing();
            if (missing.isPresent()) {
                // A machine without a driver has no card, and nothing is wrong with it.
                boolean withoutDriver = !CudaLibraries.all().get(0).found();
                return new Choice(
                        new CpuDevice(),
                        "cpu: no GPU can be used here, "
                                + (withoutDriver
                                        ? "no NVIDIA driver was found ('rebias doctor' says more)"
                                        : missing.get()));
            }
            List<CudaCards.Card> cards = CudaCards.all();
            if (cards.isEmpty()) {
                return new Choice(new CpuDevice(), "cpu: the NVIDIA driver knows no GPU");
            }
            return new Choice(
                    CudaDevice.open(0), "cuda:0 (" + cards.get(0).name() + "), the first GPU of this machine");
        }
        if (name.matches("cuda(:\\d{1,3})?")) {
            int ordinal = name.equals("cuda") ? 0 : Integer.parseInt(name.substring("cuda:".length()));
            CudaDevice device = CudaDevice.open(ordinal);
            return new Choice(device, "cuda:" + ordinal + " (" + device.info().name() + "), as asked for");
        }
        throw new UsageException("device '" + name
                + "' is unknown: use auto, cpu, cuda, cuda:N, or for several cards cuda:all or cuda:0,2");
    }
}
