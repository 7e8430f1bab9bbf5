package dev.rebias.device.cuda;

import dev.rebias.device.Method;
import dev.rebias.device.Preferences;
import dev.rebias.device.WeightError;

/** What a plan for a card must know, also where there is none. */
public final class CardPreferences implements Preferences {
    @Override
    public boolean prefers(Method method, WeightError layer) {
        return method == Method.ERRORS_OF_INPUT && IntegerForm.of(layer).isPresent();
    }
}
