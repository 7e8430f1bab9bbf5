package dev.rebias.keras;

import java.util.Optional;

/**
 * What a corrected Keras file says of its correction.
 *
 * @param text how it was done, in a few words
 * @param provenance the same in full, JSON
 * @param undoable whether to store what brings the original back
 */
public record CorrectionNote(String text, Optional<String> provenance, boolean undoable) {}
