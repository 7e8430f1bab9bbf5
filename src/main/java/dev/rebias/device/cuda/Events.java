package dev.rebias.device.cuda;

import dev.rebias.device.Resources;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;

/** Events, made as needed and used again. */
final class Events implements AutoCloseable {
    private final List<CUevent_st> all = new ArrayList<>();
    private final Deque<CUevent_st> free = new ArrayDeque<>();

    /** Marks the present end of a stream. */
    CUevent_st record(CUstream_st stream) {
        CUevent_st event;
        if (free.isEmpty()) {
            event = new CUevent_st();
            Status.cuda(cudart.cuEventCreate(event, cudart.CU_EVENT_DISABLE_TIMING), "cuEventCreate");
            all.add(event);
        } else {
            event = free.pop();
        }
        Status.cuda(cudart.cuEventRecord(event, stream), "cuEventRecord");
        return event;
    }

    /** Lets a stream wait for an event, which may then be used again: the wait is for what was recorded before. */
    void await(CUstream_st stream, CUevent_st event) {
        Status.cuda(cudart.cuStreamWaitEvent(stream, event, 0), "cuStreamWaitEvent");
        free.push(event);
    }

    /** Takes back an event that the host has seen done. */
    void done(CUevent_st event) {
        free.push(event);
    }

    @Override
    public void close() {
        Resources events = new Resources();
        all.forEach(e -> events.add(() -> Status.cuda(cudart.cuEventDestroy(e), "cuEventDestroy")));
        all.clear();
        free.clear();
        events.close();
    }
}
