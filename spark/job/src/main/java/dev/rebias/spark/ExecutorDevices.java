package dev.rebias.spark;

import dev.rebias.DeviceSession;
import dev.rebias.device.cuda.CudaException;
import dev.rebias.error.DeviceUnavailableException;
import dev.rebias.error.OutOfDeviceMemoryException;
import dev.rebias.error.RebiasException;
import java.util.Deque;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import org.apache.spark.TaskContext;
import org.apache.spark.resource.ResourceInformation;

/**
 * The devices of an executor: they stay open from task to task, and each is one task's at a time. A task's device is
 * the first GPU that Spark has given it ({@code spark.task.resource.gpu.amount}), or else the CPU with a thread for
 * each of the task's cores.
 */
final class ExecutorDevices {
    private static final Map<String, Deque<DeviceSession>> IDLE = new ConcurrentHashMap<>();

    private ExecutorDevices() {}

    /** A card's context is lost, and with it everything that this process could do there: Spark ends the executor. */
    private static final class ExecutorUnusable extends VirtualMachineError {
        private static final long serialVersionUID = 1L;

        ExecutorUnusable(Throwable cause) {
            super("this executor can do nothing more on its GPU: " + cause.getMessage(), cause);
        }
    }

    /** A device for the time of a task. */
    static final class Lease implements AutoCloseable {
        private final String name;
        private final DeviceSession session;
        private boolean dropped;

        private Lease(String name, DeviceSession session) {
            this.name = name;
            this.session = session;
        }

        DeviceSession session() {
            return session;
        }

        /** Says that the next task shall not have it. */
        void drop() {
            dropped = true;
        }

        /** The same where the failure may be the device's, or its memory's. */
        void failed(RebiasException e) {
            if (e instanceof DeviceUnavailableException
                    || e instanceof OutOfDeviceMemoryException
                    || e instanceof CudaException) {
                drop();
            }
            if (e instanceof CudaException.ContextLost) {
                throw new ExecutorUnusable(e);
            }
        }

        @Override
        public void close() {
            if (dropped) {
                session.close();
            } else {
                idle(name).addFirst(session);
            }
        }
    }

    /**
     * The task's device; opened where none is idle.
     *
     * @throws DeviceUnavailableException if it cannot be used
     */
    static Lease take(TaskContext task) {
        prepareProcess(task.cpus());
        Optional<String> gpu = gpu(task);
        String name = gpu.map(g -> "cuda:" + g).orElse("cpu:" + task.cpus());
        DeviceSession open = idle(name).pollFirst();
        if (open == null) {
            open = gpu.isPresent() ? DeviceSession.open(name) : DeviceSession.openCpu(task.cpus());
        }
        return new Lease(name, open);
    }

    private static Deque<DeviceSession> idle(String name) {
        return IDLE.computeIfAbsent(name, n -> new ConcurrentLinkedDeque<>());
    }

    /** The address of the task's GPU. */
    private static Optional<String> gpu(TaskContext task) {
        ResourceInformation gpus = task.resourcesJMap().get("gpu");
        if (gpus == null || gpus.addresses().length == 0) {
            return Optional.empty();
        }
        String address = gpus.addresses()[0];
        if (!address.matches("\\d{1,3}")) {
            throw new DeviceUnavailableException("Spark's GPU address '" + address
                    + "' is no number: have the cluster's discovery script give the numbers that 'nvidia-smi -L' has");
        }
        return Optional.of(address);
    }

    /** What the launcher says to a process of rebias's own; an executor may have been told otherwise. */
    private static synchronized void prepareProcess(int cpus) {
        // Else JavaCPP throws OutOfMemoryErrors for memory of others.
        setUnlessSet("org.bytedeco.javacpp.maxPhysicalBytes", "0");
        // Whole networks in ONNX Runtime: executors share the machine.
        setUnlessSet("rebias.threads", Integer.toString(cpus));
    }

    private static void setUnlessSet(String property, String value) {
        if (System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }
}
