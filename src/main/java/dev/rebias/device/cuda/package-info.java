/**
 * The CUDA device. To read in order: {@link dev.rebias.device.cuda.CudaLibraries} finds the libraries or says why not;
 * {@code CudaContext} holds a card with its two streams, its memory pool and its libraries' handles; {@code Kernels}
 * compiles and caches; {@link dev.rebias.device.cuda.CudaDevice} prepares operations: convolutions by cuDNN, products
 * by cuBLAS, groups of elementwise operations by generated kernels, the rest by the kernels in {@code cuda-kernels/}.
 * Integers that describe shapes stay on the host.
 *
 * <p>All work goes to one compute stream; only uploads have a stream of their own. The host waits for the card when it
 * reads results back, such as the sums of a barrier's layers, or when pinned memory for uploads is full.
 */
package dev.rebias.device.cuda;
