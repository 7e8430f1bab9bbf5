package dev.rebias.keras;

/**
 * One weight of a layer.
 *
 * @param path where its dataset is in the HDF5 file, from the root: {@code model_weights/conv1/conv1/kernel:0}
 * @param shape the dimensions, in Keras' layout
 * @param values row-major, float32
 */
record KerasWeight(String path, long[] shape, float[] values) {
    /** The last part of the path. */
    String name() {
        return path.substring(path.lastIndexOf('/') + 1);
    }

    /** The group that the dataset is in. */
    String group() {
        return path.substring(0, path.lastIndexOf('/'));
    }
}
