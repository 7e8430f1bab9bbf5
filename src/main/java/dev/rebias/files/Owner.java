package dev.rebias.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** Whose a file is, by numbers: users of containers often have no name. */
final class Owner {
    static final int ROOT = 0;

    private static final int WRITABLE_BY_ALL = 0002;
    private static final int WRITABLE_BY_GROUP = 0020;
    private static final int STICKY = 01000;

    private Owner() {}

    /** The user that this process acts for; empty where the system does not say. */
    static Optional<Integer> self() {
        try {
            return Optional.of((Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
        } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** Whether a file, itself and not what it may link to, is this user's. */
    static boolean isOurs(Path file) throws IOException {
        return self().isPresent()
                && self().get().equals(Files.getAttribute(file, "unix:uid", LinkOption.NOFOLLOW_LINKS));
    }

    /**
     * Why somebody else (root apart, who can do anything) could put a file into a folder; empty if nobody can.
     *
     * @param above whether this is one of the folders above: a sticky one, as /tmp is, keeps others from renaming what
     *     is in it
     */
    static Optional<String> exposure(Path folder, boolean above) throws IOException {
        Map<String, Object> facts = Files.readAttributes(folder, "unix:uid,gid,mode", LinkOption.NOFOLLOW_LINKS);
        int uid = (Integer) facts.get("uid");
        int gid = (Integer) facts.get("gid");
        int mode = (Integer) facts.get("mode");
        int us = self().orElse(-1);
        if (uid != us && uid != ROOT) {
            return Optional.of("'" + folder + "' belongs to another user (number " + uid + ")");
        }
        if (above && (mode & STICKY) != 0) {
            return Optional.empty();
        }
        // A user's own group has the user's number, and no other members.
        boolean group = (mode & WRITABLE_BY_GROUP) != 0 && gid != us && gid != ROOT;
        return (mode & WRITABLE_BY_ALL) != 0 || group
                ? Optional.of("'" + folder + "' can be written to by others")
                : Optional.empty();
    }
}
