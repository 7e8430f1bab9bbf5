package dev.rebias.spark;

import dev.rebias.DeviceSession;
import dev.rebias.batch.Job;
import dev.rebias.cli.BatchJobs;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.Function;

/**
 * What a task does: a job, on the task's device. Where the job's files or options are at fault, or a gate was missed,
 * it would end the same way however often it is tried: its report says so, and the task has done its work. With any
 * other failure the task fails, and Spark tries it again.
 */
final class JobTask implements Function<Job, Boolean> {
    private static final long serialVersionUID = 1L;

    private final String folder;

    /** Of a batch whose outputs go into this folder. */
    JobTask(String folder) {
        this.folder = folder;
    }

    /** Does it; false if what is there is left as it is. */
    @Override
    public Boolean call(Job job) {
        Path to = Path.of(folder);
        return onDevice(session -> BatchJobs.correct(job, to, session), e -> {}, e -> BatchJobs.report(job, to, e));
    }

    /**
     * Does something on the task's device.
     *
     * @param ended hears of a failure with which the task has done its work
     * @param failed hears of a failure that is not reported
     */
    static boolean onDevice(
            Predicate<DeviceSession> work, Consumer<RebiasException> ended, Consumer<Throwable> failed) {
        try (ExecutorDevices.Lease device = ExecutorDevices.take(TaskContext.get())) {
            try {
                return work.test(device.session());
            } catch (UsageException | UnsupportedException | QualityGateException e) {
                ended.accept(e);
                return true;
            } catch (RebiasException e) {
                device.failed(e);
                throw e;
            } catch (RuntimeException | Error e) {
                device.drop();
                failed.accept(e);
                throw e;
            }
        }
    }
}
