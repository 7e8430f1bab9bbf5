package dev.rebias.keras;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.rebias.error.UnsupportedException;
import dev.rebias.golden.KerasExample;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Corrections of corrected files are undone together, as many as anybody makes; a small file can tell of more. */
final class UndoneChainTest {
    private static final int MOST = 64;

    @ParameterizedTest
    @EnumSource(names = {"W4A4", "W4A4_ARCHIVE"})
    void asManyCorrectionsAsAnybodyMakes(KerasExample example) throws IOException {
        Path path = example.modelFile();
        KerasModel model = KerasModel.read(path);
        Map<String, float[]> nothing = Map.of();
        for (int i = 1; i <= MOST; i++) {
            model = KerasModel.of(
                    path, model.corrected(nothing, new CorrectionNote("correction " + i, Optional.empty(), true)));
        }
        KerasModel undone = KerasModel.of(path, model.undone().bytes());
        assertThat(undone.correctedBefore()).isEmpty();
        if (!example.name().endsWith("ARCHIVE")) {
            assertThat(model.undone().bytes()).isEqualTo(Files.readAllBytes(path));
        }
        KerasModel more =
                KerasModel.of(path, model.corrected(nothing, new CorrectionNote("one more", Optional.empty(), true)));
        assertThatThrownBy(more::undone)
                .isInstanceOf(UnsupportedException.class)
                .hasMessageContaining("tells of more than " + MOST + " corrections")
                .hasMessageContaining("take the original file");
        assertThat(more.undoObstacle().orElseThrow()).contains("tells of more than " + MOST + " corrections");
    }

    private static KerasModel corrected(KerasModel model, boolean undoable) {
        return KerasModel.of(
                Path.of(model.name()),
                model.corrected(Map.of(), new CorrectionNote("again", Optional.empty(), undoable)));
    }

    @ParameterizedTest
    @EnumSource(names = {"W4A4", "W4A4_ARCHIVE"})
    void asFarAsTheyCanBeUndone(KerasExample example) {
        KerasModel original = KerasModel.read(example.modelFile());
        assertThat(original.undoObstacle()).isEmpty();
        KerasModel bare = corrected(corrected(original, true), false);
        assertThat(bare.undoObstacle().orElseThrow()).contains("holds nothing to undo its correction with");
        assertThatThrownBy(bare::undone)
                .isInstanceOf(UnsupportedException.class)
                .hasMessage(bare.undoObstacle().orElseThrow());
        KerasModel twice = corrected(corrected(bare, true), true);
        KerasModel.Undone undone = twice.undone();
        assertThat(undone.bytes()).isEqualTo(corrected(bare, true).undone().bytes());
        assertThat(undone.obstacle()).isEqualTo(twice.undoObstacle());
        assertThat(undone.obstacle().orElseThrow())
                .contains("the original of", "holds nothing to undo its correction with");
        assertThat(KerasModel.of(example.modelFile(), undone.bytes()).correctedBefore())
                .contains("again");
        KerasModel.Undone all = corrected(corrected(original, true), true).undone();
        assertThat(all.obstacle()).isEmpty();
        assertThat(KerasModel.of(example.modelFile(), all.bytes()).correctedBefore())
                .isEmpty();
    }
}
