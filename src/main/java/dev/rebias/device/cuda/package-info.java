/**
 * The CUDA device. To read in order: {@link dev.rebias.device.cuda.CudaLibraries} finds the libraries or says why not;
 * {@code CudaContext} holds a card with its two streams, its memory pool and its libraries' handles; {@code Kernels} compiles and
 * caches; {@link dev.rebias.device.cuda.CudaDevice} prepares operations: convolutions by cuDNN, products by cuBLAS, groups of elementwise operations by kernels
 * written for them, the rest by the kernels in {@code cuda-kernels/}. Integers that describe shapes stay on the host.
 *
 * <p>All work goes to one compute stream; only uploads have a stream of their own. The host waits for the device when it reads results, the sums of the layers that are corrected at a barrier among them, and nowhere else.
 */
package dev.rebias.device.cuda;
