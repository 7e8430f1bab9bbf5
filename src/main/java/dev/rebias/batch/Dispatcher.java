package dev.rebias.batch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Gives jobs to workers, one at a time to each. A worker that dies, or says that it may be the reason of a failure, is
 * replaced, and its job is tried once more; a device on which no worker starts any more is left to itself, and its job
 * goes to the others.
 */
public final class Dispatcher implements AutoCloseable {
    private static final int TRIES = 2;
    /** So long a worker may take to drop its job. */
    private static final long SECONDS_TO_END = 20;

    /** A process has this long to start and to open its device, or as long as a job where that may take longer. */
    private static final Duration START = Duration.ofMinutes(2);

    private final BiConsumer<String, String> log;
    private final Optional<Duration> timeout;
    private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor(work -> {
        Thread thread = new Thread(work, "rebias-batch-clock");
        thread.setDaemon(true);
        return thread;
    });
    private final List<Slot> slots = new ArrayList<>();
    private volatile boolean stopping;

    /** A worker's place: its process comes and goes. */
    private final class Slot {
        private final WorkerSpec spec;
        private volatile Optional<WorkerProcess> process = Optional.empty();
        /** Why no process starts any more. */
        private Optional<RebiasException> failure = Optional.empty();

        Slot(WorkerSpec spec) {
            this.spec = spec;
        }

        void start() {
            WorkerProcess started = WorkerProcess.start(spec, line -> log.accept(spec.name(), line));
            process = Optional.of(started);
            if (stopping) {
                started.terminate();
            }
        }

        /** Waits until it has opened its device. */
        void requireReady() {
            JsonNode hello = within(
                    timeout.map(t -> t.compareTo(START) > 0 ? t : START), "to start", process.orElseThrow()::answer);
            int code = hello.path("exitCode").asInt(1);
            String message = hello.path("message").asText();
            if (code == 3) {
                throw new DeviceUnavailableException(message);
            } else if (code == 2) {
                throw new UsageException(message);
            } else if (code != 0) {
                throw new RebiasException(message);
            }
        }

        void end() {
            process.ifPresent(WorkerProcess::close);
            process = Optional.empty();
        }

        private WorkerProcess running() {
            if (process.isEmpty()) {
                start();
                requireReady();
            }
            return process.orElseThrow();
        }

        /** Takes jobs until there are none. */
        void work(Deque<Job> queue, Function<Job, ObjectNode> request, BiConsumer<Job, Answer> done) {
            for (Job job = queue.poll(); job != null && !stopping; job = queue.poll()) {
                Optional<Answer> answer = Optional.empty();
                for (int attempt = 1; attempt <= TRIES; attempt++) {
                    try {
                        running();
                    } catch (RebiasException e) {
                        end();
                        failure = Optional.of(e);
                        queue.addFirst(job);
                        return;
                    }
                    Answer found = asked(request.apply(job));
                    if (stopping) {
                        return;
                    }
                    answer = Optional.of(found);
                    if (!found.needsFreshProcess()) {
                        break;
                    }
                    end();
                    if (attempt < TRIES) {
                        log.accept(
                                spec.name(),
                                "job '" + job.output() + "' is tried once more on a fresh process: " + found.message());
                    }
                }
                done.accept(job, answer.orElseThrow());
            }
        }

        /** Waits for an answer; a process that gives none in that time is killed, and has died. */
        private JsonNode within(Optional<Duration> limit, String what, Supplier<JsonNode> answer) {
            WorkerProcess waitedFor = process.orElseThrow();
            AtomicBoolean waiting = new AtomicBoolean(true);
            Optional<ScheduledFuture<?>> alarm = limit.map(t -> clock.schedule(
                    () -> {
                        if (waiting.getAndSet(false)) {
                            waitedFor.kill("was killed: it took longer than " + t.toSeconds() + " s " + what);
                        }
                    },
                    t.toMillis(),
                    TimeUnit.MILLISECONDS));
            try {
                JsonNode answered = answer.get();
                // An answer that comes while its worker is being killed is too late: what is read next is the end.
                return waiting.getAndSet(false) ? answered : waitedFor.answer();
            } finally {
                alarm.ifPresent(a -> a.cancel(false));
            }
        }

        private Answer asked(ObjectNode request) {
            try {
                WorkerProcess asked = process.orElseThrow();
                return Answer.of(within(timeout, "for a job", () -> asked.ask(request)), spec.name());
            } catch (WorkerDiedException e) {
                return Answer.died(e.getMessage(), spec.name());
            }
        }
    }

    /**
     * Workers that are not started yet.
     *
     * @param timeout how long a worker may take for a job before it is taken for hung, and killed; without, it may take
     *     any time
     * @param log hears what workers say besides their answers, with the worker's name
     */
    public Dispatcher(List<WorkerSpec> workers, Optional<Duration> timeout, BiConsumer<String, String> log) {
        this.timeout = timeout;
        this.log = log;
        workers.forEach(w -> slots.add(new Slot(w)));
    }

    /**
     * Starts the workers.
     *
     * @throws DeviceUnavailableException if one has no device
     */
    public void start() {
        slots.forEach(Slot::start);
        slots.forEach(Slot::requireReady);
    }

    /**
     * Asks for something for each of the jobs; returns when all are done, or this is stopped.
     *
     * @param done is told what came of each, by one thread at a time
     * @throws RebiasException if no worker can be started any more
     */
    public void forEach(List<Job> jobs, Function<Job, ObjectNode> request, BiConsumer<Job, Answer> done) {
        Deque<Job> queue = new ConcurrentLinkedDeque<>(jobs);
        Object one = new Object();
        BiConsumer<Job, Answer> inTurn = (job, answer) -> {
            synchronized (one) {
                done.accept(job, answer);
            }
        };
        while (!queue.isEmpty() && !stopping) {
            List<Slot> able = slots.stream().filter(s -> s.failure.isEmpty()).toList();
            if (able.isEmpty()) {
                throw slots.get(0).failure.orElseThrow();
            }
            round(able, slot -> slot.work(queue, request, inTurn));
        }
    }

    private static void round(List<Slot> slots, Consumer<Slot> work) {
        List<Thread> threads = new ArrayList<>();
        List<Throwable> failures = new CopyOnWriteArrayList<>();
        for (Slot slot : slots) {
            Thread thread = new Thread(
                    () -> {
                        try {
                            work.accept(slot);
                        } catch (RuntimeException | Error e) {
                            failures.add(e);
                        }
                    },
                    "rebias-batch-" + slot.spec.name());
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new RebiasException("interrupted while waiting for workers", e);
            }
        }
        if (!failures.isEmpty()) {
            if (failures.get(0) instanceof Error e) {
                throw e;
            }
            throw (RuntimeException) failures.get(0);
        }
    }

    /** Drops the jobs that run, gives out no others, and waits until every worker has ended. From any thread. */
    public void stop() {
        stopping = true;
        slots.forEach(s -> s.process.ifPresent(WorkerProcess::terminate));
        slots.forEach(s -> s.process.ifPresent(p -> p.awaitEnd(SECONDS_TO_END)));
    }

    /** Whether this was stopped. */
    public boolean stopped() {
        return stopping;
    }

    @Override
    public void close() {
        slots.forEach(Slot::end);
        clock.shutdownNow();
    }
}
