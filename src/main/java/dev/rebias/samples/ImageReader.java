package dev.rebias.samples;

import dev.rebias.error.CancelledException;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UnsupportedException;
import dev.rebias.tensor.CodedTensor;
import dev.rebias.tensor.ElementType;
import dev.rebias.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Reads image files as [n, channels, height, width] or [n, height, width, channels]: red, green, blue for 3 channels
 * (or the other way round), luminance for 1. Images are decoded and resized on all processors ahead of whoever reads.
 */
final class ImageReader implements SampleReader {
    /** How many bytes of images may be ready before they are wanted. */
    private static final long MOST_AHEAD = 256L << 20;

    private static final int EACH_PROCESSOR = 2;

    private final List<Path> files;
    private final ImageFolder.Target target;
    private final ImageOptions options;
    private final float[] table;
    private final int processors = Runtime.getRuntime().availableProcessors();
    private final ExecutorService decoders = Executors.newFixedThreadPool(processors, work -> {
        Thread thread = new Thread(work, "rebias-images");
        thread.setDaemon(true);
        return thread;
    });
    private final Deque<Future<Picture>> coming = new ArrayDeque<>();
    private int started;
    private int ahead = EACH_PROCESSOR * processors;
    private int position;

    ImageReader(List<Path> files, ImageFolder.Target target, ImageOptions options, Normalization normalization) {
        this.files = files;
        this.target = target;
        this.options = options;
        this.table = normalization.table(target.channels(), false);
    }

    @Override
    public CodedTensor stored(int n) {
        Picture first = picture();
        // What is smaller than expected may be more of.
        ahead = (int)
                Math.max(processors, Math.min(EACH_PROCESSOR * processors + n, MOST_AHEAD / first.pixels().length));
        int height = first.height();
        int width = first.width();
        int channels = target.channels();
        HostTensor pixels = HostTensor.zeros(ElementType.UINT8, n, height, width, channels);
        ByteBuffer to = pixels.bytes();
        to.put(first.pixels());
        for (int i = 1; i < n; i++) {
            Picture next = picture();
            if (!next.size().equals(first.size())) {
                throw new UnsupportedException(
                        "image '" + files.get(position - 1) + "' has another size (" + next.size()
                                + ") than those read with it (" + first.size() + "): it changed while it was read");
            }
            to.put(next.pixels());
        }
        long positions = (long) height * width;
        boolean swapped = options.order() == ImageOptions.Order.BGR && channels == 3;
        int step = swapped ? -1 : 1;
        int begin = swapped ? channels - 1 : 0;
        return target.channelsLast()
                ? new CodedTensor(
                        new long[] {n, height, width, channels},
                        pixels,
                        new CodedTensor.Order(n * positions, channels, 1, channels, step, 1, begin),
                        table)
                : new CodedTensor(
                        new long[] {n, channels, height, width},
                        pixels,
                        new CodedTensor.Order(n, channels, positions, channels * positions, step, channels, begin),
                        table);
    }

    @Override
    public void skip(int n) {
        for (int i = 0; i < n; i++) {
            if (coming.isEmpty()) {
                started++;
            } else {
                coming.remove().cancel(false);
            }
        }
        position += n;
    }

    private Picture picture() {
        while (started < files.size() && coming.size() <= ahead) {
            Path file = files.get(started++);
            coming.add(decoders.submit(() -> prepared(file)));
        }
        position++;
        Future<Picture> next = coming.remove();
        try {
            if (Thread.interrupted()) {
                // Not seen by get() where the decoders are ahead.
                throw new InterruptedException();
            }
            return next.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw new RebiasException(
                    "image '" + files.get(position - 1) + "' could not be decoded: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancelledException("cancelled: the thread was interrupted while images were decoded", e);
        }
    }

    private Picture prepared(Path file) {
        if (options.resize().isEmpty() && options.crop().isEmpty()) {
            requireFit(file, ImageDecoder.size(file));
        }
        Picture picture = ImageDecoder.decode(file).withChannels(target.channels());
        Picture sized = resized(picture);
        if (options.crop().isPresent()) {
            sized = cropped(sized, options.crop().get(), file);
        }
        requireFit(file, sized.size());
        return sized;
    }

    private void requireFit(Path file, ImageOptions.Size size) {
        if (!target.fits(size)) {
            throw new UnsupportedException("image '" + file + "' is " + size + " pixels, wanted are "
                    + (target.width() < 0 ? "any" : target.width()) + " x "
                    + (target.height() < 0 ? "any" : target.height())
                    + ": resize it (" + advice() + ")");
        }
    }

    private String advice() {
        if (target.width() < 0 || target.height() < 0) {
            return "`resize`, `crop` or `letterbox`";
        }
        String size = target.width() == target.height()
                ? Integer.toString(target.width())
                : target.width() + "x" + target.height();
        int longer = Math.round(Math.max(target.width(), target.height()) * 8 / 7f);
        return "`resize` " + target.width() + "x" + target.height() + ", `resize` " + longer + " `crop` " + size
                + ", or `letterbox` " + size;
    }

    private Picture resized(Picture picture) {
        if (options.resize().isEmpty()) {
            return picture;
        }
        ImageOptions.Resize resize = options.resize().get();
        ImageOptions.Size size = resize.scaled(picture.size(), target.width(), target.height());
        Picture sized = Resampler.resize(picture, size, options.filter());
        if (resize instanceof ImageOptions.Letterbox box) {
            ImageOptions.Size whole = box.whole(target.width(), target.height());
            Picture boxed = Picture.filled(whole, picture.channels(), box.fill());
            boxed.put(sized, (whole.width() - size.width()) / 2, (whole.height() - size.height()) / 2);
            return boxed;
        }
        return sized;
    }

    /** The middle; of an odd rest the half is rounded to even, as torchvision does it. */
    private static Picture cropped(Picture picture, ImageOptions.Size size, Path file) {
        if (size.width() > picture.width() || size.height() > picture.height()) {
            throw new UnsupportedException("image '" + file + "' is " + picture.size() + " pixels, less than the "
                    + size + " that `crop` keeps: resize it to more first (`resize`)");
        }
        int left = (int) Math.rint((picture.width() - size.width()) / 2.0);
        int top = (int) Math.rint((picture.height() - size.height()) / 2.0);
        return picture.part(left, top, size);
    }

    @Override
    public void close() {
        decoders.shutdownNow();
    }
}
