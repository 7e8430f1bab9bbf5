package dev.rebias.batch;

import dev.rebias.error.UsageException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A job, or the defaults, as the manifest has it: keys and values, not yet known to be options.
 *
 * @param where the place in the manifest, for messages
 * @param values each either one text or a list of several
 */
record ManifestEntry(String where, Map<String, List<String>> values) {
    ManifestEntry {
        values = new LinkedHashMap<>(values);
    }

    /** This entry's values before those of others. */
    ManifestEntry over(Map<String, List<String>> defaults) {
        Map<String, List<String>> all = new LinkedHashMap<>(defaults);
        all.putAll(values);
        return new ManifestEntry(where, all);
    }

    /** A failure that says where it is. */
    UsageException wrong(String what) {
        return new UsageException(where + ": " + what);
    }
}
