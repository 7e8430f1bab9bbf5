package dev.rebias.spark;

import dev.rebias.DeviceSession;
import dev.rebias.batch.Job;
import dev.rebias.cli.BatchJobs;
import java.io.Serializable;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.BarrierTaskContext;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;

/**
 * What each task of a barrier stage does: one job's part of the samples. Task 0 also looks whether the output is there
 * already, and writes and reports it.
 */
final class PartTask extends AbstractFunction1<Iterator<Job>, Iterator<Boolean>> implements Serializable {
    private static final long serialVersionUID = 1L;

    private final String folder;

    /** Of a batch whose outputs go into this folder. */
    PartTask(String folder) {
        this.folder = folder;
    }

    /** Does it; false if what is there is left as it is. */
    @Override
    public Iterator<Boolean> apply(Iterator<Job> jobs) {
        StageExchange exchange = new StageExchange(BarrierTaskContext.get());
        Job job = jobs.next();
        Path to = Path.of(folder);
        boolean corrected = JobTask.onDevice(session -> correctPart(job, to, session, exchange), exchange::end, e -> {
            if (exchange.number() == 0) {
                BatchJobs.report(job, to, e);
            }
        });
        return CollectionConverters.asScala(List.of(corrected).iterator());
    }

    private static boolean correctPart(Job job, Path to, DeviceSession session, StageExchange exchange) {
        try {
            boolean corrected = BatchJobs.correctPart(job, to, session, exchange, exchange::computed);
            if (!corrected) {
                exchange.nothingToDo();
            }
            return corrected;
        } catch (StageExchange.NothingToDoException e) {
            return false;
        }
    }
}
