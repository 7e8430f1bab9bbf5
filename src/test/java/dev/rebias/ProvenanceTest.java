package dev.rebias;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * What files say of their correction keeps its form: equal corrections write equal bytes, also with another version's
 * code.
 */
final class ProvenanceTest {
    @Test
    void itsFormStays() {
        Provenance provenance = new Provenance(
                "1.2",
                "layer",
                false,
                3,
                0,
                "ab",
                255,
                List.of(0.1, 0.0),
                List.of(1.0),
                "none",
                true,
                "biases",
                17,
                "");
        assertThat(provenance.json())
                .isEqualTo("{\"version\":\"1.2\",\"reference\":\"layer\",\"chosen\":false,\"samples\":3,\"heldOut\":0,"
                        + "\"sha256\":\"ab\",\"scale\":255.0,\"mean\":[0.1,0.0],\"std\":[1.0],\"gate\":\"none\","
                        + "\"shrunk\":true,\"adjust\":\"biases\",\"correctedLayers\":17}");
        Provenance asked = new Provenance(
                "1.2", "layer", false, 3, 0, "ab", 255, List.of(0.1), List.of(1.0), "none", true, "biases", 17, "cd");
        assertThat(asked.json()).endsWith("\"correctedLayers\":17,\"request\":\"cd\"}");
        assertThat(Provenance.parse("c.onnx", asked.json())).isEqualTo(asked);
    }
}
