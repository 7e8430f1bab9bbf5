package dev.rebias.batch;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.error.Failure;
import dev.rebias.error.RebiasException;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * A process that does jobs one after the other: a line of JSON on its standard input asks for something, a line on its
 * standard output, behind {@value #MARK}, answers. Whatever else it says is passed on. When its standard input ends it
 * drops what it does and ends too, so that it outlives nobody who has started it. One thread asks; any may stop it.
 */
public final class WorkerProcess implements AutoCloseable {
    /** How a line begins that is an answer, and nothing that a library has printed. */
    public static final String MARK = "rebias-worker ";

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int KILLED_BY_SIGNAL = 128;
    private static final int KILL = 9;

    private final WorkerSpec spec;
    private final Process process;
    private final BufferedReader answers;
    private final Writer requests;
    private final Thread listening;
    private volatile String lastWords = "";
    /** Why it was ended from here; empty where it was not. */
    private volatile String ended = "";

    private WorkerProcess(WorkerSpec spec, Process process, Consumer<String> log) {
        this.spec = spec;
        this.process = process;
        this.answers = process.inputReader(StandardCharsets.UTF_8);
        this.requests = new BufferedWriter(new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
        this.listening = new Thread(() -> listen(log), "rebias-worker-" + spec.name());
        listening.setDaemon(true);
        listening.start();
    }

    /**
     * Starts one.
     *
     * @param log hears what the process says besides its answers
     * @throws RebiasException if it cannot be started
     */
    static WorkerProcess start(WorkerSpec spec, Consumer<String> log) {
        try {
            return new WorkerProcess(spec, new ProcessBuilder(spec.command()).start(), log);
        } catch (IOException e) {
            throw new RebiasException(
                    "a worker cannot be started ('" + spec.command().get(0) + "'): " + Failure.reason(e), e);
        }
    }

    private void listen(Consumer<String> log) {
        try (BufferedReader said =
                new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8))) {
            for (String line = said.readLine(); line != null; line = said.readLine()) {
                if (!line.isBlank()) {
                    lastWords = line;
                    log.accept(line);
                }
            }
        } catch (IOException e) {
            // The process has ended: what came of it is its exit code's to say.
        }
    }

    /**
     * Asks for something, and waits for the answer.
     *
     * @throws WorkerDiedException if the process ends instead
     */
    JsonNode ask(ObjectNode request) {
        try {
            requests.write(MAPPER.writeValueAsString(request));
            requests.write('\n');
            requests.flush();
        } catch (IOException e) {
            throw died();
        }
        return answer();
    }

    /** The next answer; throws as {@link #ask} does. */
    JsonNode answer() {
        try {
            for (String line = answers.readLine(); line != null; line = answers.readLine()) {
                if (line.startsWith(MARK)) {
                    return MAPPER.readTree(line.substring(MARK.length()));
                }
            }
        } catch (JsonProcessingException e) {
            process.destroyForcibly();
            throw new WorkerDiedException("a worker (" + spec.name() + ") gave an answer that cannot be read");
        } catch (IOException e) {
            throw died();
        }
        throw died();
    }

    /** How it ended, in a sentence. */
    private WorkerDiedException died() {
        String how = "has not ended, but answers no more";
        try {
            process.getOutputStream().close();
        } catch (IOException e) {
            // It reads nothing any more: it has ended, or is about to, and how is its exit code's to say.
        }
        try {
            if (process.waitFor(10, TimeUnit.SECONDS)) {
                listening.join(TimeUnit.SECONDS.toMillis(2));
                int code = process.exitValue();
                how = code == KILLED_BY_SIGNAL + KILL
                        ? "was killed (signal 9), as the system does when memory runs out"
                        : code > KILLED_BY_SIGNAL && code < KILLED_BY_SIGNAL + 65
                                ? "ended by signal " + (code - KILLED_BY_SIGNAL)
                                : "ended with exit code " + code;
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        process.destroyForcibly();
        if (!ended.isEmpty()) {
            how = ended;
        }
        return new WorkerDiedException("the worker process (" + spec.name() + ") " + how
                + (lastWords.isEmpty() ? "" : "; its last words: " + lastWords));
    }

    /**
     * Ends it the hard way; whoever waits for its answer is told that it died.
     *
     * @param why what is said of it: "was .."
     */
    void kill(String why) {
        ended = why;
        process.destroyForcibly();
    }

    /** Asks it to drop what it does and to end; returns at once. */
    void terminate() {
        process.destroy();
    }

    /** Waits for its end, and ends it the hard way where that takes too long. */
    void awaitEnd(long seconds) {
        try {
            if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor(seconds, TimeUnit.SECONDS);
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }

    /** Lets it end by itself, having nothing to do any more. */
    @Override
    public void close() {
        try {
            requests.close();
        } catch (IOException e) {
            // It has ended already.
        }
        awaitEnd(20);
    }
}
