package dev.rebias.batch;

import dev.rebias.error.UsageException;
import java.math.BigInteger;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A share of a batch's jobs. Which jobs it has follows from each job's hash, whatever the others are: shares need not
 * know of each other, and a job that is added moves no other.
 *
 * @param index from 0
 * @param count how many shares there are
 */
public record Shard(int index, int count) {
    /** All jobs. */
    public static final Shard WHOLE = new Shard(0, 1);

    private static final Pattern TEXT = Pattern.compile("(?:(\\d{1,6})/)?(\\d{1,6})");

    /**
     * Parses {@code INDEX/COUNT}, or {@code COUNT} alone.
     *
     * @param completionIndex the index where the text has none: Kubernetes' JOB_COMPLETION_INDEX
     * @throws UsageException if it is none
     */
    public static Shard of(String text, Optional<String> completionIndex) {
        Matcher m = TEXT.matcher(text);
        if (!m.matches()) {
            throw new UsageException("--shard " + text + " is not possible: give INDEX/COUNT, as in 3/16, the index "
                    + "counted from 0; or COUNT where JOB_COMPLETION_INDEX has the index");
        }
        String index = Optional.ofNullable(m.group(1))
                .or(() -> completionIndex)
                .orElseThrow(() -> new UsageException("--shard " + text
                        + " says how many shares there are but not which is this one: give INDEX/COUNT, or set "
                        + "JOB_COMPLETION_INDEX, as Kubernetes does in an Indexed Job"));
        int count = Integer.parseInt(m.group(2));
        if (!index.matches("\\d{1,6}") || Integer.parseInt(index) >= count) {
            throw new UsageException("shard " + index + " of " + count + " does not exist: shards count from 0 to "
                    + Math.max(0, count - 1));
        }
        return new Shard(Integer.parseInt(index), count);
    }

    /** This share of the jobs. */
    public List<Job> of(List<Job> jobs) {
        return jobs.stream().filter(this::has).toList();
    }

    private boolean has(Job job) {
        return new BigInteger(job.hash(), 16).mod(BigInteger.valueOf(count)).intValueExact() == index;
    }

    @Override
    public String toString() {
        return index + "/" + count;
    }
}
