package dev.rebias.cli;

import picocli.CommandLine.Option;

/** The option that says where to compute. */
final class DeviceOption {
    @Option(
            names = "--device",
            paramLabel = "D",
            defaultValue = "auto",
            description = "auto, cpu, cuda or cuda:N; several cards, each of which takes a part of the samples: "
                    + "cuda:all, or cuda:0,2 (default: ${DEFAULT-VALUE}).")
    private String device;

    String device() {
        return device;
    }
}
