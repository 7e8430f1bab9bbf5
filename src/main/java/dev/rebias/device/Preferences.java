package dev.rebias.device;

/** What a device would rather compute than every error of a layer. Nothing else, by default: plans for such a device can be made without it. */
public interface Preferences {
    /** Whether the device finds mean errors by {@link Device#jointMoments}, with less work than computing every error. */
    default boolean prefersJointMoments() {
        return false;
    }

    /**
     * Whether the device finds such a layer's errors and their squares with less work by {@link Device#inputSquares} than by computing every error. A device that has no other way than
     * computing them never does.
     */
    default boolean prefersInputSquares(WeightError weights) {
        return false;
    }

    /** The same of {@link Device#jointSquares}, where the float layer has data of its own. */
    default boolean prefersJointSquares(WeightError weights) {
        return false;
    }

    /**
     * Whether such a layer runs a second time, with its correction and with what follows, in no more time than its output would take to wait until the correction is known.
     */
    default boolean prefersRunningAgain(WeightError weights) {
        return false;
    }
}
