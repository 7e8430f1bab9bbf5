package dev.rebias.batch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;

/**
 * What came of asking a worker to do something for a job.
 *
 * @param exitCode as of {@code rebias correct}
 * @param message the failure's sentence; empty where there was none
 * @param body all that the worker says
 * @param worker the worker's name
 * @param reported whether a report tells of it
 */
public record Answer(int exitCode, String message, JsonNode body, String worker, boolean reported) {
    static Answer of(JsonNode body, String worker) {
        return new Answer(
                body.path("exitCode").asInt(1),
                body.path("message").asText(""),
                body,
                worker,
                body.path("reported").asBoolean());
    }

    static Answer died(String message, String worker) {
        return new Answer(1, message, MissingNode.getInstance(), worker, false);
    }

    /** Whether the process that answered must not be asked again: its device, or its memory, may be the reason. */
    boolean needsFreshProcess() {
        return body.isMissingNode() || body.path("fresh").asBoolean();
    }

    /** Whether it was done. */
    public boolean done() {
        return exitCode == 0;
    }
}
