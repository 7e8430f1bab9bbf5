package dev.rebias.exchange;

import dev.rebias.error.CancelledException;
import dev.rebias.error.RebiasException;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Between threads of one process. */
public final class LocalExchange implements Exchange {
    /** What all participants share; its lock guards it. */
    private static final class Table {
        private final byte[][] given;
        private int arrived;
        private long rounds;
        private List<byte[]> last = List.of();
        private Optional<String> failure = Optional.empty();

        Table(int count) {
            given = new byte[count][];
        }
    }

    private final Table table;
    private final int number;

    private LocalExchange(Table table, int number) {
        this.table = table;
        this.number = number;
    }

    /** The exchanges of so many participants, in their order. */
    public static List<Exchange> of(int count) {
        Table table = new Table(count);
        return IntStream.range(0, count)
                .<Exchange>mapToObj(n -> new LocalExchange(table, n))
                .toList();
    }

    @Override
    public int number() {
        return number;
    }

    @Override
    public int count() {
        return table.given.length;
    }

    @Override
    public List<byte[]> allGather(byte[] own) {
        synchronized (table) {
            long round = table.rounds;
            table.given[number] = own;
            if (++table.arrived == count()) {
                table.arrived = 0;
                table.rounds++;
                table.last = List.of(table.given);
                table.notifyAll();
            }
            // Whoever is late finds this round's bytes: the next is not over before it has come, too.
            while (table.rounds == round && table.failure.isEmpty()) {
                await();
            }
            if (table.rounds == round) {
                throw new RebiasException(table.failure.orElseThrow());
            }
            return table.last;
        }
    }

    private void await() {
        try {
            table.wait();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancelledException("cancelled: the thread was interrupted", e);
        }
    }

    @Override
    public void fail(String why) {
        synchronized (table) {
            if (table.failure.isEmpty()) {
                table.failure = Optional.of("part " + (number + 1) + " of " + count() + " failed: " + why);
            }
            table.notifyAll();
        }
    }
}
