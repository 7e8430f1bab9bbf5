package dev.rebias.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.rebias.BiasCorrection;
import dev.rebias.DeviceSession;
import dev.rebias.batch.WorkerProcess;
import dev.rebias.device.cuda.CudaException;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.OutOfDeviceMemoryException;
import dev.rebias.error.RebiasException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/**
 * {@code rebias batch worker}: does what {@code rebias batch} asks it for, one job after the other on one device that
 * stays open ({@link WorkerProcess} says how they speak). Where its standard input ends, or it is told to end, it drops
 * the job at work, and leaves nothing of it.
 */
@Command(name = "worker", description = "Does a batch's jobs; started by 'rebias batch'.", hidden = true)
final class BatchWorkerCommand implements Callable<Integer> {
    /** So long the job at work may take to end when the process is told to. */
    private static final long SECONDS_TO_DROP = 15;

    private static final ObjectMapper MAPPER = new ObjectMapper();

    @Mixin
    private DeviceOption deviceOption;

    private final LinkedBlockingQueue<Optional<String>> requests = new LinkedBlockingQueue<>();
    private final CountDownLatch ended = new CountDownLatch(1);
    private final LastPair last = new LastPair();
    private final CorrectArguments options = new CorrectArguments();
    private final PrintStream answers = System.out;
    /** Whether a job is at work. */
    private volatile boolean busy;

    @Override
    public Integer call() throws InterruptedException {
        // What is printed is no answer.
        System.setOut(System.err);
        Thread working = Thread.currentThread();
        Thread hook = new Thread(() -> drop(working), "rebias-drop");
        Runtime.getRuntime().addShutdownHook(hook);
        Thread reading = new Thread(() -> read(working), "rebias-requests");
        reading.setDaemon(true);
        reading.start();
        try (DeviceSession session = DeviceSession.open(deviceOption.device())) {
            answer(MAPPER.createObjectNode().put("exitCode", 0).put("device", session.why()));
            while (true) {
                Optional<String> request = requests.take();
                if (request.isEmpty()) {
                    return 0;
                }
                if (!serve(request.get(), session)) {
                    return 1;
                }
            }
        } catch (RebiasException e) {
            answer(failure(e));
            return e.exitCode();
        } finally {
            ended.countDown();
        }
    }

    /** Reads requests; where there are no others to come, nobody waits for the job at work either. */
    private void read(Thread working) {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                requests.add(Optional.of(line));
            }
        } catch (IOException e) {
            // As if it had ended.
        }
        requests.add(Optional.empty());
        if (busy) {
            working.interrupt();
        }
    }

    private void drop(Thread working) {
        working.interrupt();
        try {
            ended.await(SECONDS_TO_DROP, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Does one job; says whether this process may do another. */
    private boolean serve(String line, DeviceSession session) {
        busy = true;
        ObjectNode answer;
        try {
            answer = done(MAPPER.readTree(line), session);
        } catch (RebiasException e) {
            boolean device = e instanceof DeviceUnavailableException
                    || e instanceof OutOfDeviceMemoryException
                    || e instanceof CudaException;
            answer = failure(e).put("reported", true).put("fresh", device);
        } catch (JsonProcessingException | RuntimeException e) {
            answer = failure(e).put("fresh", true);
        } catch (Error e) {
            // Memory that does not suffice, a library that fails: what is left of this process is not relied on.
            answer(failure(e).put("fresh", true));
            return false;
        } finally {
            busy = false;
        }
        if (Thread.currentThread().isInterrupted()) {
            return false;
        }
        answer(answer);
        return true;
    }

    private ObjectNode done(JsonNode request, DeviceSession session) {
        List<String> arguments = new ArrayList<>();
        request.path("arguments").forEach(a -> arguments.add(a.asText()));
        CorrectCommand command = options.parse(arguments);
        ObjectNode answer = MAPPER.createObjectNode().put("exitCode", 0);
        if (!request.path("do").asText().equals("check")) {
            last.forget();
        }
        switch (request.path("do").asText()) {
            case "check" -> put(answer, command.inspect(last, 1));
            case "plan" -> {
                CorrectCommand.Planned planned = command.plan(session);
                put(answer, planned.extent());
                answer.put("bytes", planned.bytes()).put("seconds", planned.seconds());
            }
            case "correct" ->
                answer.put(
                        "corrected",
                        command.correctInBatch(
                                (c, samples, options) -> c.correct(samples, options, session),
                                Path.of(request.path("report").asText())));
            default -> throw new IllegalArgumentException("a worker cannot do '" + request.path("do") + "'");
        }
        return answer;
    }

    private static void put(ObjectNode answer, BiasCorrection.Extent extent) {
        answer.put("layers", extent.layers()).put("samples", extent.samples());
    }

    private static ObjectNode failure(Throwable e) {
        return MAPPER.createObjectNode()
                .put("exitCode", e instanceof RebiasException r ? r.exitCode() : 1)
                .put("message", Main.sentence(e));
    }

    private void answer(ObjectNode answer) {
        answers.println(WorkerProcess.MARK + answer);
        answers.flush();
    }
}
