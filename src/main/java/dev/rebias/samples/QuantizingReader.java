package dev.rebias.samples;

import dev.rebias.tensor.HostTensor;

/** Gives floats as the integers that a quantised model's input takes. */
final class QuantizingReader implements SampleReader {
    private final SampleReader floats;
    private final Quantization quantization;

    QuantizingReader(SampleReader floats, Quantization quantization) {
        this.floats = floats;
        this.quantization = quantization;
    }

    @Override
    public HostTensor stored(int n) {
        return quantization.of(floats.next(n));
    }

    @Override
    public void skip(int n) {
        floats.skip(n);
    }

    @Override
    public void close() {
        floats.close();
    }
}
