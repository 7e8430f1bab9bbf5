package dev.rebias.batch;

import java.util.List;

/**
 * How a worker is started.
 *
 * @param name what it is called in messages, e.g. {@code cuda:0}
 * @param command the process and its arguments
 */
public record WorkerSpec(String name, List<String> command) {
    public WorkerSpec {
        command = List.copyOf(command);
    }
}
