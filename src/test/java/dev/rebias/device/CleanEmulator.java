package dev.rebias.device;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Each test begins with the emulator as in a new process; after it nothing is left, and no rule was broken. */
public final class CleanEmulator implements BeforeEachCallback, AfterEachCallback {
    @Override
    public void beforeEach(ExtensionContext context) {
        Emulator.require().reset();
    }

    @Override
    public void afterEach(ExtensionContext context) {
        Emulator emulator = Emulator.require();
        emulator.fail(0);
        emulator.memory(0);
        emulator.devices(0);
        assertThat(emulator.live()).isEmpty();
        assertThat(emulator.violation()).isEmpty();
        emulator.reset();
    }
}
