package dev.rebias.samples;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Finds how a camera was held: the tag Orientation of Exif data, in JPEG, PNG, WebP and TIFF files. */
final class Orientation {
    private static final int TAG = 0x0112;
    private static final int UPRIGHT = 1;
    private static final int ENTRY = 12;

    private Orientation() {}

    /** From 1 (upright) to 8; 1 where the file does not say, or what it says is damaged. */
    static int of(byte[] file) {
        try {
            return find(ByteBuffer.wrap(file));
        } catch (IndexOutOfBoundsException | IllegalArgumentException | ArithmeticException cutShort) {
            // A note that is cut short says nothing; whether the image itself is whole, its decoder will find out.
            return UPRIGHT;
        }
    }

    private static int find(ByteBuffer file) {
        if (startsWith(file, 0, "\u00ff\u00d8")) {
            return inJpeg(file);
        }
        if (startsWith(file, 0, "\u0089PNG")) {
            return inChunks(file.order(ByteOrder.BIG_ENDIAN), 8, true, "eXIf");
        }
        if (startsWith(file, 0, "RIFF") && startsWith(file, 8, "WEBP")) {
            return inChunks(file.order(ByteOrder.LITTLE_ENDIAN), 12, false, "EXIF");
        }
        return startsWith(file, 0, "II*\0") || startsWith(file, 0, "MM\0*") ? inTiff(file.slice()) : UPRIGHT;
    }

    private static boolean startsWith(ByteBuffer file, int at, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        for (int i = 0; i < bytes.length; i++) {
            if (at + i >= file.limit() || file.get(at + i) != bytes[i]) {
                return false;
            }
        }
        return true;
    }

    private static int inJpeg(ByteBuffer file) {
        int at = 2;
        while (at + 4 <= file.limit() && (file.get(at) & 255) == 0xff) {
            int marker = file.get(at + 1) & 255;
            int length = Short.toUnsignedInt(file.getShort(at + 2));
            if (marker == 0xda) {
                break; // the image itself
            }
            if (marker == 0xe1 && startsWith(file, at + 4, "Exif\0\0")) {
                return inTiff(file.slice(at + 10, length - 8));
            }
            at += 2 + length;
        }
        return UPRIGHT;
    }

    private static int inChunks(ByteBuffer file, int first, boolean png, String wanted) {
        int at = first;
        while (at + 8 <= file.limit()) {
            int length = file.getInt(png ? at : at + 4);
            if (length < 0) {
                break;
            }
            if (startsWith(file, png ? at + 4 : at, wanted)) {
                int skipped = startsWith(file, at + 8, "Exif\0\0") ? 6 : 0;
                return inTiff(file.slice(at + 8 + skipped, length - skipped));
            }
            // PNG has a checksum behind each chunk, WebP fills up to an even length.
            at = Math.addExact(at, 8 + length + (png ? 4 : length & 1));
        }
        return UPRIGHT;
    }

    /** In the first directory of TIFF data. */
    private static int inTiff(ByteBuffer data) {
        ByteBuffer tiff = data.order(data.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        int directory = tiff.getInt(4);
        int entries = Short.toUnsignedInt(tiff.getShort(directory));
        for (int i = 0; i < entries; i++) {
            int entry = directory + 2 + ENTRY * i;
            if (Short.toUnsignedInt(tiff.getShort(entry)) == TAG) {
                int value = tiff.getShort(entry + 8);
                return value >= 1 && value <= 8 ? value : UPRIGHT;
            }
        }
        return UPRIGHT;
    }
}
