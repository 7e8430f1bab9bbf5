package dev.rebias.spark;

import dev.rebias.batch.Job;
import dev.rebias.cli.BatchJobs;
import dev.rebias.error.CancelledException;
import dev.rebias.error.Failure;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutionException;
import org.apache.spark.api.java.JavaFutureAction;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.reflect.ClassTag;

/** The jobs of a batch on a cluster. */
public final class SparkBatch {
    private static final int FAILURE = 1;

    private SparkBatch() {}

    /**
     * Checks every job here, has each done by a task on the cluster, and makes the summary. Each job of the batch is
     * one of Spark's: one that Spark gives up, after {@code spark.task.maxFailures} tries, ends no other.
     *
     * @param parts how many tasks do a job together, each with a part of its samples; they must be able to run at once
     * @param out hears what becomes of each, and the summary
     * @return the exit code of {@code rebias batch}
     * @throws RebiasException if a job is found impossible before any task has begun
     * @throws CancelledException if the thread is interrupted; what runs is dropped
     */
    public static int correct(JavaSparkContext spark, BatchJobs batch, int parts, PrintWriter out) {
        batch.check(parts);
        batch.makeFolders();
        String folder = batch.folder().toString();
        // A task that is dropped is interrupted, and leaves nothing.
        spark.setLocalProperty("spark.job.interruptOnCancel", "true");
        List<Job> jobs = batch.jobs();
        List<JavaFutureAction<List<Boolean>>> running = new ArrayList<>();
        for (Job job : jobs) {
            spark.setLocalProperty("spark.job.description", job.output());
            running.add(done(spark.parallelize(Collections.nCopies(parts, job), parts), folder)
                    .collectAsync());
        }
        boolean givenUp = false;
        for (int i = 0; i < jobs.size(); i++) {
            Job job = jobs.get(i);
            String told;
            try {
                boolean corrected = running.get(i).get().contains(true);
                told = corrected ? batch.told(job) : "there already";
            } catch (ExecutionException e) {
                givenUp = true;
                told = "FAILED: " + givenUp(batch, job, e.getCause());
            } catch (InterruptedException e) {
                running.forEach(r -> r.cancel(true));
                Thread.currentThread().interrupt();
                throw new CancelledException("interrupted: the jobs at work are dropped", e);
            }
            out.println(PrintableText.format("[%d/%d] %s: %s", i + 1, jobs.size(), job.output(), told));
        }
        batch.removeAbandoned();
        int exitCode = batch.summary(out);
        return exitCode == 0 && givenUp ? FAILURE : exitCode;
    }

    /** For each task whether something was done. */
    private static JavaRDD<Boolean> done(JavaRDD<Job> jobs, String folder) {
        if (jobs.getNumPartitions() == 1) {
            return jobs.map(new JobTask(folder));
        }
        ClassTag<Boolean> tag = ClassTag.apply(Boolean.class);
        // Spark does not try the last stage of a job again if it is a barrier stage: another one comes behind it.
        return JavaRDD.fromRDD(jobs.rdd().barrier().mapPartitions(new PartTask(folder), false, tag), tag)
                .coalesce(1, true);
    }

    /** What is told of a job that Spark has given up; its last try has reported that, unless its executor died. */
    private static String givenUp(BatchJobs batch, Job job, Throwable cause) {
        RebiasException failure =
                new RebiasException(Failure.deepest(cause).lines().findFirst().orElse(""), cause);
        if (!batch.isReportedFailed(job)) {
            BatchJobs.report(job, batch.folder(), failure);
        }
        return failure.getMessage();
    }
}
