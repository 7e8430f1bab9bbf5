package dev.rebias.exchange;

import java.util.List;

/**
 * One participant's way to the others that make the same correction on other samples. Every participant calls
 * {@link #allGather} equally often, from one thread at a time; what the bytes say is this library's affair, and the
 * same for all versions that are equal.
 */
public interface Exchange {
    /** This participant's number, from 0. */
    int number();

    /** How many participants there are, at least 1. */
    int count();

    /**
     * Gives these bytes to all, and waits for those of all.
     *
     * @param own which the participant does not change afterwards
     * @return what each gave, in the order of participants, these included; nobody changes them
     * @throws dev.rebias.error.RebiasException if another participant has failed, or cannot be reached any more
     * @throws dev.rebias.error.CancelledException if the thread is interrupted while it waits
     */
    List<byte[]> allGather(byte[] own);

    /**
     * Tells the others that this participant gives up, so that they do not wait for it: what they call next, or wait
     * in, throws. Called at most once, and nothing is called after it. Does nothing where the others learn of it
     * anyway, as from a scheduler that ends all tasks of a stage when one fails.
     *
     * @param why in a sentence
     */
    void fail(String why);
}
