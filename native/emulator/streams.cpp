// Streams and events. Work is put off for as long as the rules allow: it runs when something synchronises with it, and
// other streams only as far as events say. So an event that is missing lets the later work run first.
// EMULATOR_ORDER=random:<seed> runs some of it at any time instead.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <set>

#include "emulator.h"

namespace emulator {

struct Work {
    enum Kind { RUN, RECORD, WAIT } kind;
    std::string label;
    std::function<void()> run;
    Event* event;
    int64_t generation;
};

struct Stream {
    int device;
    std::deque<Work> queue;
};

struct Event {
    int64_t recorded = 0;   // how often it was recorded, as the host sees it
    int64_t completed = 0;  // the last record that the device has reached
};

namespace {

std::set<Stream*>& streams() {
    static auto* it = new std::set<Stream*>();
    return *it;
}

// Destroyed events whose records may still stand in a queue.
void run_until(const Event* event, int64_t generation);

void step(Stream* stream) {
    Acting acting(stream->device);
    Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    switch (work.kind) {
        case Work::RUN:
            // After a violation the context is lost: nothing runs any more.
            if (sticky() == 0) work.run();
            break;
        case Work::RECORD:
            work.event->completed = std::max(work.event->completed, work.generation);
            break;
        case Work::WAIT:
            run_until(work.event, work.generation);
            break;
    }
}

void run_until(const Event* event, int64_t generation) {
    while (event->completed < generation) {
        Stream* source = nullptr;
        for (Stream* s : streams()) {
            for (const Work& w : s->queue) {
                if (w.kind == Work::RECORD && w.event == event && w.generation <= generation) source = s;
            }
        }
        if (!source) {
            violation(LAUNCH_FAILED,
                      "a stream waits for an event that will never come: two streams wait for each other");
            return;
        }
        step(source);
    }
}

void maybe_run_some() {
    static std::mt19937* random = [] {
        unsigned seed = 0;
        const char* order = getenv("EMULATOR_ORDER");
        return order && sscanf(order, "random:%u", &seed) == 1 ? new std::mt19937(seed) : nullptr;
    }();
    if (!random) return;
    for (Stream* s : streams()) {
        for (unsigned n = (*random)() % 4; n > 0 && !s->queue.empty(); n--) step(s);
    }
}

}  // namespace

Stream* create_stream() {
    auto* stream = new Stream{current_device(), {}};
    streams().insert(stream);
    born_on_device(stream, "stream");
    return stream;
}

void destroy_stream(Stream* stream) {
    if (!died(stream, "stream", "cuStreamDestroy")) return;
    while (!stream->queue.empty()) step(stream);
    streams().erase(stream);
    delete stream;
}

Event* create_event() {
    auto* event = new Event();
    born_on_device(event, "event");
    return event;
}

void destroy_event(Event* event) {
    if (!died(event, "event", "cuEventDestroy")) return;
    bool pending = false;
    for (Stream* s : streams()) {
        for (const Work& w : s->queue) pending = pending || w.event == event;
    }
    // The runtime keeps what is still in a queue; leaked here, on purpose, in that case only.
    if (!pending) delete event;
}

void enqueue(Stream* stream, const char* label, std::function<void()> work) {
    stream->queue.push_back({Work::RUN, label, std::move(work), nullptr, 0});
    maybe_run_some();
}

void record(Event* event, Stream* stream) {
    stream->queue.push_back({Work::RECORD, "record", nullptr, event, ++event->recorded});
    maybe_run_some();
}

void wait(Stream* stream, Event* event) {
    if (event->recorded > 0) {
        stream->queue.push_back({Work::WAIT, "wait", nullptr, event, event->recorded});
    }
    maybe_run_some();
}

void synchronise(Stream* stream) {
    count("synchronisations");
    while (!stream->queue.empty()) step(stream);
}

void synchronise(Event* event) {
    count("synchronisations");
    run_until(event, event->recorded);
}

bool complete(const Event* event) { return event->completed >= event->recorded; }

void finish_everything() {
    for (Stream* s : streams()) {
        while (!s->queue.empty()) step(s);
    }
}

}  // namespace emulator
