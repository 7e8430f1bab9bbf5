package dev.rebias.fuzz;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/** Files damaged byte by byte. */
final class ByteMutator {
    private static final byte[] NASTY = {0, 1, -1, 127, -128, 16, 64, '\'', '(', ',', '{', '\n', (byte) 0x80};

    private ByteMutator() {}

    /**
     * Changes a few bytes, mostly near the beginning, where headers are.
     *
     * @param header how many bytes to prefer
     */
    static byte[] damage(RandomGenerator random, byte[] bytes, int header) {
        byte[] out = bytes.clone();
        int times = 1 + random.nextInt(4);
        for (int i = 0; i < times && out.length > 0; i++) {
            int room = random.nextInt(4) > 0 ? Math.min(header, out.length) : out.length;
            int at = random.nextInt(room);
            switch (random.nextInt(7)) {
                case 0 -> out = Arrays.copyOf(out, random.nextInt(out.length + 1));
                case 1 -> out[at] ^= (byte) (1 << random.nextInt(8));
                case 2 -> out[at] = NASTY[random.nextInt(NASTY.length)];
                case 3 -> out = spliced(random, out, at);
                case 4 -> {
                    for (int k = at; k < Math.min(out.length, at + 4 + random.nextInt(5)); k++) {
                        out[k] = random.nextBoolean() ? (byte) 0xff : 0;
                    }
                }
                case 5 -> out[at] = (byte) ('0' + random.nextInt(10));
                default -> out[at] = (byte) random.nextInt();
            }
        }
        return out;
    }

    /** With a few bytes left out, or there twice. */
    private static byte[] spliced(RandomGenerator random, byte[] bytes, int at) {
        int n = Math.min(1 + random.nextInt(12), bytes.length - at);
        boolean twice = random.nextBoolean();
        int rest = twice ? at : at + n;
        byte[] out = new byte[(twice ? at + n : at) + bytes.length - rest];
        System.arraycopy(bytes, 0, out, 0, twice ? at + n : at);
        System.arraycopy(bytes, rest, out, twice ? at + n : at, bytes.length - rest);
        return out;
    }
}
