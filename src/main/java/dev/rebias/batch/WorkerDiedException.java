package dev.rebias.batch;

import dev.rebias.error.RebiasException;

/** A worker process ended without an answer. Exit code 1. */
public final class WorkerDiedException extends RebiasException {
    private static final long serialVersionUID = 1L;

    public WorkerDiedException(String message) {
        super(message);
    }
}
