package dev.rebias.samples;

import dev.rebias.tensor.HostValues;

/** Shows what is read to an observer. */
final class ObservedReader implements SampleReader {
    private final SampleReader reader;
    private final SampleObserver observer;
    private final int input;
    private final boolean counts;
    private boolean shown;

    /**
     * Lets an observer see.
     *
     * @param input the number of the input that is read
     * @param counts whether axis 0 counts samples; a value that is the same for all of them is shown once
     */
    ObservedReader(SampleReader reader, SampleObserver observer, int input, boolean counts) {
        this.reader = reader;
        this.observer = observer;
        this.input = input;
        this.counts = counts;
    }

    @Override
    public HostValues stored(int n) {
        HostValues read = reader.stored(n);
        if (counts || !shown) {
            observer.see(input, read, counts ? n : 1);
            shown = true;
        }
        return read;
    }

    @Override
    public void skip(int n) {
        reader.skip(n);
    }

    @Override
    public void close() {
        reader.close();
    }
}
