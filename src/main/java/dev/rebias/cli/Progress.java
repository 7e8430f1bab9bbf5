package dev.rebias.cli;

import dev.rebias.sweep.SweepListener;
import java.io.PrintStream;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** Shows how far a sweep has come: a bar with the time left on a terminal, a line every ten seconds elsewhere, nothing if quiet. */
final class Progress implements SweepListener, AutoCloseable {
    /** The launcher says with this property whether standard error is a terminal, which Java itself cannot tell. */
    private static final String TERMINAL = "rebias.terminal";

    private static final long LINE_EVERY_NANOS = 10_000_000_000L;

    private final String task;
    private final boolean quiet;
    private final boolean terminal;
    private final PrintStream err;
    private ProgressBar bar;
    private long nextLine = System.nanoTime() + LINE_EVERY_NANOS;

    Progress(String task, boolean quiet) {
        this.task = task;
        this.quiet = quiet;
        this.terminal = Boolean.getBoolean(TERMINAL);
        this.err = System.err;
    }

    @Override
    public void progress(long done, long total) {
        if (quiet) {
            return;
        }
        if (terminal) {
            if (bar == null) {
                bar = new ProgressBarBuilder()
                        .setTaskName(task)
                        .setInitialMax(total)
                        .setStyle(ProgressBarStyle.ASCII)
                        .setConsumer(new ConsoleProgressBarConsumer(err))
                        .build();
            }
            bar.stepTo(done);
        } else if (System.nanoTime() > nextLine) {
            nextLine = System.nanoTime() + LINE_EVERY_NANOS;
            err.println(String.format(Locale.ROOT, "%s: %d %%", task, 100 * done / total));
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
