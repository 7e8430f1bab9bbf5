package dev.rebias.batch;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/** What a batch has come to so far, as a Prometheus text file says it. Not safe for several threads. */
public final class Tally {
    /** What became of a job. */
    public enum State {
        /** Its output was written. */
        DONE,
        /** Its output was there already, made from equal files with equal options. */
        SKIPPED,
        /** A gate was missed: exit code 5. */
        REFUSED,
        /** Anything else. */
        FAILED
    }

    private final int jobs;
    private final long began = System.nanoTime();
    private final Map<State, Integer> counts = new EnumMap<>(State.class);
    private long samples;
    private long toDevice;
    private long fromDevice;
    private long outputBytes;

    /** Of so many jobs none is done. */
    public Tally(int jobs) {
        this.jobs = jobs;
    }

    /**
     * Counts a job.
     *
     * @param ofSamples how many samples its correction came from
     * @param bytesToDevice what was moved to its device
     * @param bytesFromDevice what was moved back
     * @param bytesWritten the size of the corrected model
     */
    public void add(State state, long ofSamples, long bytesToDevice, long bytesFromDevice, long bytesWritten) {
        counts.merge(state, 1, Integer::sum);
        samples += ofSamples;
        toDevice += bytesToDevice;
        fromDevice += bytesFromDevice;
        outputBytes += bytesWritten;
    }

    /** How many jobs are in a state. */
    public int count(State state) {
        return counts.getOrDefault(state, 0);
    }

    /** How many jobs have had their turn. */
    public int finished() {
        return counts.values().stream().mapToInt(n -> n).sum();
    }

    /** How many jobs there are. */
    public int jobs() {
        return jobs;
    }

    /** Seconds since the first job could begin. */
    public double seconds() {
        return (System.nanoTime() - began) / 1e9;
    }

    /** Seconds that are left if the other jobs take as long as those that were worked on; none where none was. */
    public OptionalDouble secondsLeft() {
        int worked = count(State.DONE) + count(State.REFUSED);
        return worked == 0 ? OptionalDouble.empty() : OptionalDouble.of(seconds() / worked * (jobs - finished()));
    }

    /**
     * The text file that Prometheus's node exporter collects.
     *
     * @param shard which share of the batch this is
     */
    public String prometheus(Shard shard) {
        StringBuilder out = new StringBuilder();
        String label = "shard=\"" + shard + "\"";
        head(out, "rebias_batch_jobs", "gauge", "Jobs of this share by what became of them.");
        for (State state : State.values()) {
            line(
                    out,
                    "rebias_batch_jobs",
                    label + ",state=\"" + state.name().toLowerCase(Locale.ROOT) + "\"",
                    count(state));
        }
        line(out, "rebias_batch_jobs", label + ",state=\"waiting\"", jobs - finished());
        head(out, "rebias_batch_samples_total", "counter", "Samples that corrections came from.");
        line(out, "rebias_batch_samples_total", label, (double) samples);
        head(out, "rebias_batch_samples_per_second", "gauge", "Samples by the seconds since the start.");
        line(out, "rebias_batch_samples_per_second", label, samples / Math.max(seconds(), 1e-9));
        head(out, "rebias_batch_seconds", "gauge", "Seconds since the start.");
        line(out, "rebias_batch_seconds", label, seconds());
        head(out, "rebias_batch_device_bytes_total", "counter", "Bytes moved between host and devices.");
        line(out, "rebias_batch_device_bytes_total", label + ",direction=\"to\"", (double) toDevice);
        line(out, "rebias_batch_device_bytes_total", label + ",direction=\"from\"", (double) fromDevice);
        head(out, "rebias_batch_output_bytes_total", "counter", "Bytes of corrected models.");
        line(out, "rebias_batch_output_bytes_total", label, (double) outputBytes);
        return out.toString();
    }

    private static void head(StringBuilder out, String name, String type, String help) {
        out.append("# HELP ").append(name).append(' ').append(help).append('\n');
        out.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    }

    private static void line(StringBuilder out, String name, String labels, double value) {
        String text = value == Math.rint(value) && Math.abs(value) < 1e15
                ? Long.toString((long) value)
                : String.format(Locale.ROOT, "%.3f", value);
        out.append(name).append('{').append(labels).append("} ").append(text).append('\n');
    }
}
