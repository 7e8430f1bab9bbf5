package dev.rebias.device.cuda;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;

/**
 * Pinned host memory that uploads pass through: bytes are copied in, sent off without waiting, and their place is used
 * again once the device has them. Only where the ring is full does the host wait.
 */
final class PinnedRing implements AutoCloseable {
    private static final int SIZE = 64 << 20;
    private static final int PIECE = SIZE / 4;

    private record Sent(int begin, int end, CUevent_st event) {}

    private final Counters counters;
    private final Events events;
    private final Pointer memory;
    private final ByteBuffer bytes;
    private final Deque<Sent> sent = new ArrayDeque<>();
    private int head;
    private boolean closed;

    PinnedRing(Counters counters, Events events) {
        this.counters = counters;
        this.events = events;
        try (PointerPointer<Pointer> to = new PointerPointer<>(1)) {
            Status.cuda(cudart.cuMemHostAlloc(to, SIZE, 0), "cuMemHostAlloc", SIZE + " bytes for uploads");
            memory = to.get();
        }
        bytes = new BytePointer(memory).capacity(SIZE).asByteBuffer();
    }

    /** Sends a buffer's bytes to the device, on a stream. */
    void send(ByteBuffer from, long to, CUstream_st stream) {
        int total = from.capacity();
        for (int at = 0; at < total; at += PIECE) {
            int length = Math.min(PIECE, total - at);
            int place = place(length);
            bytes.put(place, from, at, length);
            try (Pointer source = new Address(memory.address() + place)) {
                Status.cuda(
                        cudart.cuMemcpyHtoDAsync(to + at, source, length, stream),
                        "cuMemcpyHtoDAsync",
                        length + " bytes");
            }
            sent.add(new Sent(place, place + length, events.record(stream)));
            counters.hostToDeviceBytes += length;
        }
    }

    /** A free place, after waiting for those whose bytes it held. */
    private int place(int length) {
        if (head + length > SIZE) {
            head = 0;
        }
        int begin = head;
        int end = begin + length;
        while (!sent.isEmpty() && sent.stream().anyMatch(s -> s.begin() < end && begin < s.end())) {
            Sent oldest = sent.pop();
            int status = cudart.cuEventQuery(oldest.event());
            if (status == cudart.CUDA_ERROR_NOT_READY) {
                counters.synchronisations++;
                Status.cuda(cudart.cuEventSynchronize(oldest.event()), "cuEventSynchronize", "an upload");
            } else {
                Status.cuda(status, "cuEventQuery", "an upload");
            }
            events.done(oldest.event());
        }
        head = end;
        return begin;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Status.cuda(cudart.cuMemFreeHost(memory), "cuMemFreeHost");
        }
    }
}
