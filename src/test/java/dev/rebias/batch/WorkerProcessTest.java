package dev.rebias.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WorkerProcessTest {
    private static final ObjectNode REQUEST =
            JsonNodeFactory.instance.objectNode().put("job", 1);

    private static WorkerProcess shell(String program) {
        return WorkerProcess.start(new WorkerSpec("cpu", List.of("/bin/sh", "-c", program)), line -> {});
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "kill -KILL $$ | was killed (signal 9), as the system does when memory runs out",
                "kill -TERM $$ | ended by signal 15",
                "exit 7 | ended with exit code 7",
                "echo no room >&2; exit 1 | ended with exit code 1; its last words: no room"
            })
    void howAWorkerEndedIsSaidWheneverItEnded(String end, String how) {
        String said = "the worker process (cpu) " + how;

        WorkerProcess whileAsked = shell("read request; " + end);
        assertThatThrownBy(() -> whileAsked.ask(REQUEST))
                .isInstanceOf(WorkerDiedException.class)
                .hasMessage(said);

        // Its end is known before anything is asked: Java has closed what it would read.
        WorkerProcess before = shell(end);
        before.awaitEnd(20);
        assertThatThrownBy(() -> before.ask(REQUEST))
                .isInstanceOf(WorkerDiedException.class)
                .hasMessage(said);
    }

    @Test
    void whoWasKilledFromHereSaysWhy() {
        WorkerProcess worker = shell("read request; read another");
        worker.kill("was killed: it took longer than 5 s for a job");
        assertThatThrownBy(() -> worker.ask(REQUEST))
                .isInstanceOf(WorkerDiedException.class)
                .hasMessage("the worker process (cpu) was killed: it took longer than 5 s for a job");
    }

    @Test
    void whatItPrintsBesidesItsAnswersIsPassedOver() {
        try (WorkerProcess worker =
                shell("read request; echo a library says this; echo '" + WorkerProcess.MARK + "{\"exitCode\": 4}'")) {
            assertThat(worker.ask(REQUEST).path("exitCode").asInt()).isEqualTo(4);
        }
    }

    @Test
    void anAnswerThatCannotBeReadEndsIt() {
        WorkerProcess worker = shell("read request; echo '" + WorkerProcess.MARK + "{'; read another");
        assertThatThrownBy(() -> worker.ask(REQUEST))
                .isInstanceOf(WorkerDiedException.class)
                .hasMessage("a worker (cpu) gave an answer that cannot be read");
        assertThatThrownBy(() -> worker.ask(REQUEST))
                .isInstanceOf(WorkerDiedException.class)
                .hasMessageContaining("was killed (signal 9)");
    }
}
