package dev.rebias.sweep;

/** Where y_f, the output that a layer ought to have, comes from. */
public enum Reference {
    /**
     * The float layer applied to the quantised model's own, already corrected, input; what BrainChip's cnn2snn does.
     */
    LAYER,
    /** The float network's own activations: Nagel et al. 2019, appendix D. */
    NETWORK
}
