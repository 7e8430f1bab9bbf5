package dev.rebias.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.batch.OptionKinds;
import dev.rebias.error.UsageException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A job has its own options, whatever those before it had. */
final class CorrectArgumentsTest {
    private static final List<String> FEW = List.of("--float=f", "--quantized=q", "--samples=s", "--output=o");

    private static Map<String, String> values(CorrectArguments arguments) {
        Map<String, String> values = new LinkedHashMap<>();
        arguments.options().forEach(o -> {
            Object value = o.getValue();
            values.put(o.longestName(), String.valueOf(value));
        });
        return values;
    }

    @Test
    void nothingIsLeftOfAnEarlierJob() {
        CorrectArguments fresh = new CorrectArguments();
        fresh.parse(FEW);
        CorrectArguments used = new CorrectArguments();
        // Every option that there is, each with a value that it takes.
        used.kinds().kinds().forEach((key, kind) -> {
            String name = "--" + key;
            List<String> tried = kind == OptionKinds.Kind.FLAG ? List.of("") : candidates(used, name);
            assertThat(tried.stream().filter(value -> takes(used, fresh, name, value)))
                    .as(name)
                    .isNotEmpty();
            used.parse(FEW);
            assertThat(values(used)).as(name).isEqualTo(values(fresh));
        });
        assertThatThrownBy(() -> used.parse(with("--none"))).isInstanceOf(UsageException.class);
        used.parse(FEW);
        assertThat(values(used)).isEqualTo(values(fresh));
    }

    private static List<String> candidates(CorrectArguments arguments, String name) {
        List<String> candidates = new ArrayList<>(List.of("3", "0.5", "imagenet", "a", "1g"));
        arguments.options().stream()
                .filter(o -> o.longestName().equals(name) && o.completionCandidates() != null)
                .forEach(o -> o.completionCandidates().forEach(candidates::add));
        return candidates;
    }

    /** Reads a value; says whether that was possible, and is another than without. */
    private static boolean takes(CorrectArguments used, CorrectArguments fresh, String name, String value) {
        try {
            used.parse(with(value.isEmpty() ? name : name + "=" + value));
            return !values(used).get(name).equals(values(fresh).get(name));
        } catch (UsageException e) {
            assertThat(e).hasMessageContaining(name);
            return false;
        }
    }

    private static List<String> with(String option) {
        List<String> all = new ArrayList<>(FEW);
        all.removeIf(o -> o.startsWith(option.replaceFirst("=.*", "=")));
        all.add(option);
        return all;
    }
}
