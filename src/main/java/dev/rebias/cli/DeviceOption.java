package dev.rebias.cli;

import picocli.CommandLine.Option;

/** The option that says where to compute. */
final class DeviceOption {
    @Option(
            names = "--device",
            paramLabel = "D",
            defaultValue = "auto",
            description = "auto, cpu, cuda or cuda:N (default: ${DEFAULT-VALUE}).")
    private String device;

    String device() {
        return device;
    }
}
