package dev.rebias.cli;

import dev.rebias.sweep.SweepListener;
import java.io.PrintStream;
import java.util.Locale;
import java.util.Timer;
import java.util.TimerTask;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * Shows what a run is at, once that takes longer than a second: on a terminal a bar with the time left for a sweep and
 * the seconds for any other phase; elsewhere a line, and every ten seconds another; nothing if quiet.
 */
final class Progress implements SweepListener, AutoCloseable {
    /** The launcher says with this property whether standard error is a terminal, which Java itself cannot tell. */
    private static final String TERMINAL = "rebias.terminal";

    /** What the thread is called that looks at the clock. */
    static final String THREAD = "progress";

    private static final long SECOND = 1_000_000_000L;
    private static final long LINE_EVERY = 10 * SECOND;
    private static final long LOOK_EVERY_MILLIS = 250;

    private final boolean quiet;
    private final boolean terminal;
    private final PrintStream err;
    /** In nanoseconds. */
    private final LongSupplier clock;

    private final Timer timer;
    private String phase = "";
    private long began;
    private long nextLine;
    /** How many characters of a line without an end stand on the terminal. */
    private int standing;

    private long done;
    private long total;
    private ProgressBar bar;

    Progress(boolean quiet) {
        this(quiet, Boolean.getBoolean(TERMINAL), System.err, System::nanoTime);
    }

    /**
     * Progress on some stream.
     *
     * @param terminal whether that is a terminal
     * @param clock the time, in nanoseconds
     */
    Progress(boolean quiet, boolean terminal, PrintStream err, LongSupplier clock) {
        this.quiet = quiet;
        this.terminal = terminal;
        this.err = err;
        this.clock = clock;
        this.timer = new Timer(THREAD, true);
        if (!quiet) {
            timer.schedule(
                    new TimerTask() {
                        @Override
                        public void run() {
                            show();
                        }
                    },
                    LOOK_EVERY_MILLIS,
                    LOOK_EVERY_MILLIS);
        }
    }

    /** Does some work as one phase. */
    static <T> T during(String phase, boolean quiet, Supplier<T> work) {
        try (Progress progress = new Progress(quiet)) {
            progress.phase(phase);
            return work.get();
        }
    }

    @Override
    public synchronized void phase(String name) {
        clear();
        phase = name;
        began = clock.getAsLong();
        nextLine = began + SECOND;
        done = 0;
        total = 0;
    }

    @Override
    public synchronized void progress(long nowDone, long of) {
        done = nowDone;
        total = of;
        if (bar != null) {
            bar.stepTo(done);
        }
    }

    /** Says what is to be said by now; is called again and again. */
    synchronized void show() {
        long now = clock.getAsLong();
        if (quiet || phase.isEmpty() || now - began < SECOND) {
            return;
        }
        if (!terminal) {
            if (now >= nextLine) {
                nextLine = now + LINE_EVERY;
                err.println(total > 0 ? String.format(Locale.ROOT, "%s: %d %%", phase, 100 * done / total) : phase);
            }
        } else if (total > 0) {
            if (bar == null) {
                clear();
                bar = new ProgressBarBuilder()
                        .setTaskName(phase)
                        .setInitialMax(total)
                        .setStyle(ProgressBarStyle.ASCII)
                        .setConsumer(new ConsoleProgressBarConsumer(err))
                        .build();
                bar.stepTo(done);
            }
        } else {
            String line = String.format(Locale.ROOT, "%s: %d s", phase, (now - began) / SECOND);
            err.print("\r" + line);
            err.flush();
            standing = line.length();
        }
    }

    /** Takes away what stands on the terminal. */
    private void clear() {
        if (bar != null) {
            bar.close();
            bar = null;
        }
        if (standing > 0) {
            err.print("\r" + " ".repeat(standing) + "\r");
            err.flush();
            standing = 0;
        }
    }

    @Override
    public synchronized void close() {
        timer.cancel();
        clear();
        phase = "";
    }
}
