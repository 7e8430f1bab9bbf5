package dev.rebias.device;

/**
 * How a device would rather find a layer's errors than by computing every one. By default it would not: a plan for such
 * a device can be made without it.
 */
public interface Preferences {
    /**
     * Whether the device finds such a layer's errors with less work in this way than by computing every one. Mean
     * errors alone always follow from {@link Device#classSums}.
     */
    default boolean prefers(Method method, WeightError layer) {
        return false;
    }

    /**
     * Whether such a layer runs a second time, with its correction and with what follows, in no more time than storing
     * its output until the correction is known would take.
     */
    default boolean prefersRunningAgain(WeightError layer) {
        return false;
    }
}
