package dev.rebias.check;

import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * How a step ended.
 *
 * @param status what to think of it
 * @param note in one sentence, why; may be empty
 * @param limit the seconds that it had
 */
record Outcome(Step step, Status status, String note, double seconds, double limit) {
    /** What to think of a step. */
    enum Status {
        /** It did all it does, and found nothing wrong. */
        PASSED("passed"),
        /** It found something wrong, or ended by itself before it was done. */
        FAILED("FAILED"),
        /** Its time was spent. */
        CUT_OFF("cut off"),
        /** What it needs is not there. */
        SKIPPED("skipped");

        private final String text;

        Status(String text) {
            this.text = text;
        }

        String text() {
            return text;
        }
    }

    ObjectNode json() {
        ObjectNode node = Findings.JSON.createObjectNode();
        node.put("step", step.id());
        node.put("status", status.text());
        node.put("note", note);
        node.put("seconds", Math.round(seconds * 10) / 10.0);
        node.put("limitSeconds", Math.round(limit));
        return node;
    }
}
