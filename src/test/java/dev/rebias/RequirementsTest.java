package dev.rebias;

import static org.assertj.core.api.Assertions.assertThat;

import dev.rebias.measure.Moments;
import dev.rebias.outcome.Outcome;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A requirement holds where what it asks for was measured, and only there. */
final class RequirementsTest {
    private static final Requirements NO_RISE =
            new Requirements(OptionalDouble.empty(), OptionalDouble.empty(), OptionalDouble.of(0));
    private static final Requirements GAIN =
            new Requirements(OptionalDouble.of(1), OptionalDouble.empty(), OptionalDouble.empty());

    private static LayerResult layer(LayerResult.Status status, double before, double after) {
        Moments moments = new Moments(
                4, new float[1], List.of(), Optional.of(new Moments.Errors(before, after, 0, 1)), Optional.empty());
        return new LayerResult(
                "conv",
                "y",
                "y",
                "Conv",
                1,
                status,
                Optional.empty(),
                Optional.of(moments),
                Optional.empty(),
                List.of(),
                Optional.empty());
    }

    private static Requirements.Finding layers(LayerResult... layers) {
        return NO_RISE.of(Optional.empty(), List.of(layers)).get(0);
    }

    private static Requirements.Finding gain(double... gains) {
        List<Outcome.Output> outputs = Arrays.stream(gains)
                .mapToObj(g -> new Outcome.Output("y" + g, 1, 1, Math.pow(10, -g / 10), 1, 1, Optional.empty()))
                .toList();
        return GAIN.of(Optional.of(new Outcome(4, false, outputs, List.of(), 1, -0.5, 0.1, 4, 0, 0)), List.of())
                .get(0);
    }

    @Test
    void whereEveryLayerIsLeftNoErrorRises() {
        Requirements.Finding finding =
                layers(layer(LayerResult.Status.LEFT, 1, 1), layer(LayerResult.Status.SKIPPED, 2, 2));
        assertThat(finding.held()).isTrue();
        assertThat(finding.toString()).contains("`layerMseIncrease` 0 holds");
    }

    @Test
    void theLargestRiseDecides() {
        assertThat(layers(layer(LayerResult.Status.CORRECTED, 1, 0.5), layer(LayerResult.Status.INSERTED, 1, 1.5))
                        .measured())
                .contains(0.5);
        assertThat(layers(layer(LayerResult.Status.CORRECTED, 1, 0.5)).held()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void whatIsNoNumberDoesNotHoldWhereverItComes(int place) {
        double[] after = {0.5, 0.25, 0.125};
        double[] gains = {2, 3, 4};
        after[place] = Double.NaN;
        gains[place] = Double.NaN;
        assertThat(layers(
                                layer(LayerResult.Status.CORRECTED, 1, after[0]),
                                layer(LayerResult.Status.CORRECTED, 1, after[1]),
                                layer(LayerResult.Status.CORRECTED, 1, after[2]))
                        .held())
                .isFalse();
        assertThat(gain(gains).held()).isFalse();
        assertThat(gain(2, 3, 4).held()).isTrue();
        assertThat(gain(2, 0.5, 4).measured().orElseThrow()).isLessThan(0.6);
    }
}
