package dev.rebias.device.cpu.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_ATTR_SCALES;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_ATTR_ZERO_POINTS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_add;
import static org.bytedeco.dnnl.global.dnnl.dnnl_binary_mul;
import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_linear;
import static org.bytedeco.dnnl.global.dnnl.dnnl_f32;
import static org.bytedeco.dnnl.global.dnnl.dnnl_format_tag_any;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_create_with_strides;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_create_with_tag;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_post_ops_append_binary;
import static org.bytedeco.dnnl.global.dnnl.dnnl_post_ops_append_eltwise;
import static org.bytedeco.dnnl.global.dnnl.dnnl_post_ops_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_post_ops_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_set_post_ops;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_set_scales_mask;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_set_scratchpad_mode;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_attr_set_zero_points_mask;
import static org.bytedeco.dnnl.global.dnnl.dnnl_s32;
import static org.bytedeco.dnnl.global.dnnl.dnnl_s8;
import static org.bytedeco.dnnl.global.dnnl.dnnl_scratchpad_mode_user;
import static org.bytedeco.dnnl.global.dnnl.dnnl_u8;

import dev.rebias.device.Resources;
import dev.rebias.device.cpu.memory.Layout;
import dev.rebias.tensor.ElementType;
import java.util.Arrays;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_post_ops;
import org.bytedeco.dnnl.dnnl_primitive_attr;

/**
 * What a oneDNN primitive is described with: memory descriptors, attributes, post-ops. Needed only until the primitive
 * is described.
 */
public final class PrimitiveSpec implements AutoCloseable {
    private final Resources made = new Resources();
    private final dnnl_primitive_attr attributes = new dnnl_primitive_attr();
    private final dnnl_post_ops postOps = new dnnl_post_ops();
    private int appended;

    public PrimitiveSpec() {
        OneDnn.check(dnnl_primitive_attr_create(attributes), "dnnl_primitive_attr_create");
        made.add(() -> OneDnn.check(dnnl_primitive_attr_destroy(attributes), "dnnl_primitive_attr_destroy"));
        OneDnn.check(dnnl_post_ops_create(postOps), "dnnl_post_ops_create");
        made.add(() -> OneDnn.check(dnnl_post_ops_destroy(postOps), "dnnl_post_ops_destroy"));
        OneDnn.check(
                dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user),
                "dnnl_primitive_attr_set_scratchpad_mode");
    }

    /** The attributes, with the post-ops appended so far; the scratchpad is the caller's. */
    public dnnl_primitive_attr attributes() {
        OneDnn.check(dnnl_primitive_attr_set_post_ops(attributes, postOps), "dnnl_primitive_attr_set_post_ops");
        return attributes;
    }

    /** The data less a zero point; gives the number of its argument, one INT32. */
    public int less() {
        OneDnn.check(
                dnnl_primitive_attr_set_zero_points_mask(attributes, DNNL_ARG_SRC, 0),
                "dnnl_primitive_attr_set_zero_points_mask");
        return DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC;
    }

    /**
     * The sums times a number for each channel, before all post-ops; gives the number of these numbers' argument.
     *
     * @param dimensions those of the weights' dimensions, a bit each, that are the output's channels
     */
    public int timesWeights(int dimensions) {
        OneDnn.check(
                dnnl_primitive_attr_set_scales_mask(attributes, DNNL_ARG_WEIGHTS, dimensions),
                "dnnl_primitive_attr_set_scales_mask");
        return DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS;
    }

    /** The result times a number. */
    public void times(float factor) {
        function(dnnl_eltwise_linear, factor, 0);
    }

    /** One of oneDNN's functions of the result, with its two parameters. */
    public void function(int algorithm, float alpha, float beta) {
        OneDnn.check(dnnl_post_ops_append_eltwise(postOps, algorithm, alpha, beta), "dnnl_post_ops_append_eltwise");
        appended++;
    }

    /** The result times a vector of floats; gives the number of the vector's argument. */
    public int times(dnnl_memory_desc vector) {
        return binary(dnnl_binary_mul, vector);
    }

    /** The result plus a vector of floats; gives the number of the vector's argument. */
    public int plus(dnnl_memory_desc vector) {
        return binary(dnnl_binary_add, vector);
    }

    /** The result and a tensor of floats; gives the number of the tensor's argument. */
    public int binary(int algorithm, dnnl_memory_desc other) {
        OneDnn.check(dnnl_post_ops_append_binary(postOps, algorithm, other), "dnnl_post_ops_append_binary");
        return DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE * ++appended | DNNL_ARG_SRC_1;
    }

    /** A dense tensor, the last dimension running fastest. */
    public dnnl_memory_desc plain(ElementType type, long... dims) {
        return strided(type, dims, Layout.PLAIN.strides(dims));
    }

    /** A dense tensor of rank 3 or more, dimension 1 running fastest. */
    public dnnl_memory_desc channelsLast(ElementType type, long... dims) {
        return strided(type, dims, Layout.CHANNELS_LAST.strides(dims));
    }

    public dnnl_memory_desc strided(ElementType type, long[] dims, long[] strides) {
        dnnl_memory_desc d = new dnnl_memory_desc();
        OneDnn.check(
                dnnl_memory_desc_create_with_strides(d, dims.length, dims, code(type), strides),
                "dnnl_memory_desc_create_with_strides");
        return keep(d);
    }

    /** A tensor laid out as oneDNN likes it best. */
    public dnnl_memory_desc any(ElementType type, long... dims) {
        dnnl_memory_desc d = new dnnl_memory_desc();
        OneDnn.check(
                dnnl_memory_desc_create_with_tag(d, dims.length, dims, code(type), dnnl_format_tag_any),
                "dnnl_memory_desc_create_with_tag");
        return keep(d);
    }

    private static int code(ElementType type) {
        return switch (type) {
            case FLOAT -> dnnl_f32;
            case UINT8 -> dnnl_u8;
            case INT8 -> dnnl_s8;
            case INT32 -> dnnl_s32;
            default -> throw new IllegalArgumentException(type + " is nothing for oneDNN");
        };
    }

    private dnnl_memory_desc keep(dnnl_memory_desc d) {
        made.add(() -> OneDnn.check(dnnl_memory_desc_destroy(d), "dnnl_memory_desc_destroy"));
        return d;
    }

    /** A vector along dimension 1 of a tensor of that rank. */
    public dnnl_memory_desc alongChannels(int rank, int axis, long channels) {
        long[] dims = new long[rank];
        Arrays.fill(dims, 1);
        dims[axis] = channels;
        return plain(ElementType.FLOAT, dims);
    }

    @Override
    public void close() {
        made.close();
    }
}
