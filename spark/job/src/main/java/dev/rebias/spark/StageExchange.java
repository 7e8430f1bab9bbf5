package dev.rebias.spark;

import dev.rebias.error.CancelledException;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.QualityGateException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.error.UsageException;
import dev.rebias.exchange.Exchange;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.TaskKilledException;

/**
 * The exchange among the tasks of a barrier stage. A task whose failure Spark shall decide about throws, and Spark ends
 * the others. One that ends otherwise before the others do says so in the place of its next round ({@link #end},
 * {@link #nothingToDo}); they then end too.
 */
final class StageExchange implements Exchange {
    private static final char BYTES = 'b';
    private static final char ENDED = 'e';
    private static final char NOTHING_TO_DO = 'n';

    private final BarrierTaskContext context;
    /** Whether some task has ended: there are no rounds any more. */
    private boolean ended;

    StageExchange(BarrierTaskContext context) {
        this.context = context;
    }

    /** Another task has found that there is nothing to do. */
    static final class NothingToDoException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private NothingToDoException() {
            super("there is nothing to do");
        }
    }

    @Override
    public int number() {
        return context.partitionId();
    }

    @Override
    public int count() {
        return context.getTaskInfos().length;
    }

    @Override
    public List<byte[]> allGather(byte[] own) {
        String[] all = round(BYTES + Base64.getEncoder().encodeToString(own));
        List<byte[]> given = new ArrayList<>();
        for (int i = 0; i < all.length; i++) {
            char kind = all[i].charAt(0);
            String text = all[i].substring(1);
            if (kind != BYTES) {
                ended = true;
                throw kind == NOTHING_TO_DO ? new NothingToDoException() : failure(i, text);
            }
            given.add(Base64.getDecoder().decode(text));
        }
        return given;
    }

    /**
     * The last round: all tasks have what they compute, so each may fail or end without the others.
     *
     * @throws RebiasException if another task has failed instead
     */
    void computed() {
        allGather(new byte[0]);
        ended = true;
    }

    /** Says why this task ends, unless there are no rounds any more. */
    void end(RebiasException why) {
        if (!ended) {
            ended = true;
            round(ENDED + "" + why.exitCode() + why.getMessage());
        }
    }

    /** Says that there is nothing to do. */
    void nothingToDo() {
        ended = true;
        round(String.valueOf(NOTHING_TO_DO));
    }

    /** Nothing: the task says it with {@link #end}, or throws. */
    @Override
    public void fail(String why) {}

    private String[] round(String own) {
        try {
            return context.allGather(own);
        } catch (TaskKilledException e) {
            Thread.currentThread().interrupt();
            throw new CancelledException("cancelled: Spark has ended this task (" + e.reason() + ")", e);
        } catch (Exception e) {
            // Spark's own is a checked one, which Scala does not declare.
            throw new RebiasException("the other parts cannot be reached: " + e.getMessage(), e);
        }
    }

    private RebiasException failure(int number, String text) {
        String sentence = text.substring(1);
        String message = "part " + (number + 1) + " of " + count() + " failed: " + sentence;
        return switch (text.charAt(0)) {
            case '2' -> new UsageException(message);
            case '3' -> new DeviceUnavailableException(message);
            case '4' -> new UnsupportedException(message);
            case '5' -> new QualityGateException(message);
            default -> new RebiasException(message);
        };
    }
}
