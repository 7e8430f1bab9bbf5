package dev.rebias.exchange;

import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * The rounds of an exchange as one participant sees them. What is sent begins with what the round is about, so
 * participants that do not make the same correction are told so. Used by one thread at a time.
 */
public final class Rounds {
    private final Exchange exchange;
    private long rounds;
    private long bytes;

    /** A round's kind: the first byte of what is sent. */
    private static final int GO_ON = 0;

    private static final int AGAIN = 1;

    /** Writes what a participant gives. */
    @FunctionalInterface
    public interface Writer {
        void write(DataOutputStream out) throws IOException;
    }

    /** Reads what all participants gave, in their order; each to its end. */
    @FunctionalInterface
    public interface Reader {
        void read(List<DataInputStream> all) throws IOException;
    }

    /** Another participant has to begin the sweep again, and so have all. */
    public static final class AgainException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private AgainException() {
            super("another participant begins the sweep again");
        }
    }

    /** Over an exchange. */
    public Rounds(Exchange exchange) {
        this.exchange = exchange;
    }

    /** Of a participant that is the only one: there are no rounds. */
    public static Rounds alone() {
        return new Rounds(LocalExchange.of(1).get(0));
    }

    /** Whether there is nobody else. */
    public boolean isAlone() {
        return exchange.count() == 1;
    }

    /** This participant's number, from 0. */
    public int number() {
        return exchange.number();
    }

    /** How many participants there are. */
    public int count() {
        return exchange.count();
    }

    /** How many rounds there were. */
    public long rounds() {
        return rounds;
    }

    /** How many bytes this participant gave in all of them. */
    public long bytes() {
        return bytes;
    }

    /**
     * One round.
     *
     * @param about what it is about, the same for all
     * @throws AgainException if a participant called {@link #again} instead
     * @throws UnsupportedException if participants are at different rounds
     * @throws RebiasException as {@link Exchange#allGather} does
     */
    public void gather(String about, Writer writer, Reader reader) {
        List<byte[]> all = exchange(about, GO_ON, writer);
        List<DataInputStream> streams = new ArrayList<>();
        boolean again = false;
        try {
            for (int i = 0; i < all.size(); i++) {
                DataInputStream in = new DataInputStream(new ByteArrayInputStream(all.get(i)));
                again |= in.readUnsignedByte() == AGAIN;
                String theirs = in.readUTF();
                if (!again && !theirs.equals(about)) {
                    throw new UnsupportedException("part " + (i + 1) + " of " + all.size() + " is at '" + theirs
                            + "', part " + (number() + 1) + " at '" + about
                            + "': they must be given the same models and the same options");
                }
                streams.add(in);
            }
            if (again) {
                throw new AgainException();
            }
            reader.read(streams);
            for (DataInputStream in : streams) {
                if (in.available() > 0) {
                    throw new IOException(in.available() + " bytes too many");
                }
            }
        } catch (IOException e) {
            throw new RebiasException(
                    "what the parts exchange about '" + about + "' cannot be read (" + e.getMessage()
                            + "): all must run the same version",
                    e);
        }
    }

    /** The same of a value from each. */
    public <T> List<T> collect(String about, Writer writer, One<T> reader) {
        List<T> values = new ArrayList<>();
        gather(about, writer, all -> {
            for (DataInputStream in : all) {
                values.add(reader.read(in));
            }
        });
        return values;
    }

    /** Reads what one participant gave. */
    @FunctionalInterface
    public interface One<T> {
        T read(DataInputStream in) throws IOException;
    }

    /** Tells the others, in the place of any round, to begin the sweep again. */
    public void again() {
        if (!isAlone()) {
            exchange("again", AGAIN, out -> {});
        }
    }

    /** Tells the others that this participant gives up. */
    public void fail(Throwable why) {
        exchange.fail(why instanceof RebiasException ? why.getMessage() : why.toString());
    }

    private List<byte[]> exchange(String about, int kind, Writer writer) {
        ByteArrayOutputStream own = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(own)) {
            out.writeByte(kind);
            out.writeUTF(about);
            writer.write(out);
        } catch (IOException e) {
            throw new IllegalStateException("memory cannot be written to", e);
        }
        rounds++;
        bytes += own.size();
        List<byte[]> all = exchange.allGather(own.toByteArray());
        if (all.size() != count()) {
            throw new IllegalStateException(
                    "an exchange of " + count() + " participants gave what " + all.size() + " sent");
        }
        return all;
    }
}
