package dev.rebias;

import dev.rebias.error.UsageException;
import dev.rebias.exchange.LocalExchange;
import dev.rebias.exchange.Rounds;
import dev.rebias.samples.BoundSamples;
import dev.rebias.samples.Samples;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * One correction on one device, or on several of this machine: then a thread for each, and a part of the samples. Used
 * once.
 */
final class SeveralDevices {
    private final List<CorrectionRun> runs = new ArrayList<>();
    private final List<Thread> threads = new ArrayList<>();
    private Optional<CorrectionResult> result = Optional.empty();
    /** What failed first; what fails after it does so because of it. */
    private Optional<Throwable> failure = Optional.empty();

    /**
     * Divides the samples.
     *
     * @param devices how many there are
     * @throws UsageException if there are none; or several, and weights are to be adjusted
     * @throws dev.rebias.error.UnsupportedException if there are too few samples for so many devices, or they are
     *     refused
     */
    SeveralDevices(BiasCorrection owner, Samples samples, CorrectionOptions options, boolean correcting, int devices) {
        if (devices < 1) {
            throw new UsageException("a correction takes one device or several, and none is given");
        }
        BoundSamples all = samples.bind(owner.networkInputs().ofSweep());
        int batch = owner.fixedBatch(all).orElse(1);
        List<BoundSamples> parts = devices == 1
                ? List.of(all)
                : IntStream.range(0, devices)
                        .mapToObj(i -> all.part(i, devices, batch))
                        .toList();
        List<Rounds> rounds = devices == 1
                ? List.of(Rounds.alone())
                : LocalExchange.of(devices).stream().map(Rounds::new).toList();
        CorrectionOptions silent =
                options.toBuilder().listener((done, total) -> {}).build();
        for (int i = 0; i < devices; i++) {
            runs.add(new CorrectionRun(
                    owner,
                    parts.get(i),
                    samples.normalization(),
                    i == 0 ? options : silent,
                    correcting,
                    rounds.get(i)));
        }
        int before = 0;
        for (BoundSamples part : parts) {
            if (correcting) {
                PartOfSamples.split(part, options, batch, before, all.count());
            }
            before += part.count();
        }
    }

    /** How many samples there are, in all parts. */
    int samples() {
        return runs.stream().mapToInt(CorrectionRun::samples).sum();
    }

    /**
     * Carries it out, and waits for all threads to end.
     *
     * @param sessions as many as there are parts
     * @throws UsageException if one is there twice
     */
    CorrectionResult on(List<DeviceSession> sessions) {
        if (runs.size() == 1) {
            return runs.get(0).on(sessions.get(0));
        }
        if (new HashSet<>(sessions).size() < sessions.size()) {
            throw new UsageException("a device that is open takes one part of the samples: give each once");
        }
        for (int i = 0; i < runs.size(); i++) {
            int number = i;
            threads.add(new Thread(() -> run(number, sessions.get(number)), "rebias-part-" + (i + 1)));
        }
        start();
        boolean interrupted = false;
        for (Thread thread : threads) {
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    // They end their work, and say that it was cancelled.
                    interrupted = true;
                    threads.forEach(Thread::interrupt);
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        synchronized (this) {
            if (failure.isPresent()) {
                if (failure.get() instanceof Error e) {
                    throw e;
                }
                throw (RuntimeException) failure.get();
            }
            return result.orElseThrow();
        }
    }

    private void start() {
        for (int i = 0; i < threads.size(); i++) {
            try {
                threads.get(i).start();
            } catch (OutOfMemoryError e) {
                // The machine gives no more threads; those at work do not wait for this part.
                fail(i, e);
                return;
            }
        }
    }

    private void run(int number, DeviceSession session) {
        try {
            CorrectionResult own = runs.get(number).on(session);
            synchronized (this) {
                if (number == 0) {
                    result = Optional.of(own);
                }
            }
        } catch (RuntimeException | Error e) {
            fail(number, e);
        }
    }

    private void fail(int number, Throwable why) {
        synchronized (this) {
            if (failure.isEmpty()) {
                failure = Optional.of(why);
            }
        }
        // Told only now, so that what fails because of it comes second.
        runs.get(number).fail(why);
        // Those that are at work between two exchanges end it, too.
        threads.forEach(Thread::interrupt);
    }
}
