package dev.rebias;

import dev.rebias.outcome.Outcome;
import dev.rebias.sweep.Reference;
import java.util.Optional;

/**
 * A correction that was tried: the only one, or one of two of which the better was kept.
 *
 * @param reference where y_f came from
 * @param outcome what it did to the network's outputs, if that was asked for
 * @param kept whether it is the one that was kept
 * @param sweepSeconds how long its sweep took
 */
public record Trial(Reference reference, Optional<Outcome> outcome, boolean kept, double sweepSeconds) {}
