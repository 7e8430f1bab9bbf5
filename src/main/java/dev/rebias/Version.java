package dev.rebias;

import java.util.Optional;

/** The version of this program. */
public final class Version {
    private Version() {}

    /** The version in the jar's manifest; {@code development} where the classes are not in a jar. */
    public static String current() {
        return Optional.ofNullable(Version.class.getPackage().getImplementationVersion())
                .orElse("development");
    }
}
