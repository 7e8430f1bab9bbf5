package dev.rebias.report;

import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The command line's names for the library's settings. The library's messages name settings as its interface does, in
 * backquotes: {@code `batchSize`}, or {@code `undo(false)`} where that value is meant. Whoever started the command line
 * is told its options instead.
 */
public final class OptionNames {
    private static final Pattern SETTING = Pattern.compile("`(\\w+(?:\\(false\\))?)`");

    private static final Map<String, String> OPTIONS = Map.ofEntries(
            Map.entry("adjust", "--adjust"),
            Map.entry("again", "--force"),
            Map.entry("agreement", "--require-agreement"),
            Map.entry("anySamples", "--force"),
            Map.entry("batchSize", "--batch-size"),
            Map.entry("crop", "--crop"),
            Map.entry("device", "--device"),
            Map.entry("errors(false)", "--no-mse"),
            Map.entry("floatFile", "--float"),
            Map.entry("force", "--force"),
            Map.entry("gate", "--gate"),
            Map.entry("holdout", "--holdout"),
            Map.entry("layerMseIncrease", "--max-layer-mse-increase"),
            Map.entry("letterbox", "--letterbox"),
            Map.entry("limit", "--limit"),
            Map.entry("math", "--math"),
            Map.entry("mean", "--mean"),
            Map.entry("memoryLimit", "--memory-limit"),
            Map.entry("outcome(false)", "--no-outcome"),
            Map.entry("perChannel", "--per-channel"),
            Map.entry("reference", "--reference"),
            Map.entry("resize", "--resize"),
            Map.entry("scale", "--scale"),
            Map.entry("shrink", "--shrink"),
            Map.entry("sqnrGain", "--require-sqnr-gain"),
            Map.entry("std", "--std"),
            Map.entry("undo(false)", "--no-undo"),
            Map.entry("weightBits", "--weight-bits"));

    private OptionNames() {}

    /** A message with options in the place of settings; whatever else is in backquotes is left as it is. */
    public static String inText(String message) {
        return SETTING.matcher(message)
                .replaceAll(m -> Matcher.quoteReplacement(OPTIONS.getOrDefault(m.group(1), m.group())));
    }
}
