package dev.rebias.device.cpu;

/** Counts the tensors that are alive and their bytes. */
final class MemoryUse {
    private long bytes;
    private long peak;
    private long tensors;

    void add(long size) {
        bytes += size;
        peak = Math.max(peak, bytes);
        tensors++;
    }

    void remove(long size) {
        bytes -= size;
        tensors--;
    }

    long peak() {
        return peak;
    }

    long tensors() {
        return tensors;
    }
}
