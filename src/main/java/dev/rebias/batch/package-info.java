/**
 * Many corrections from one list: {@link dev.rebias.batch.Manifest} reads the list, {@link dev.rebias.batch.Shard} says
 * which jobs are this run's, {@link dev.rebias.batch.Dispatcher} gives them to
 * {@link dev.rebias.batch.WorkerProcess}es, one for each device, and starts another where one dies. What a job does,
 * and its report, is the command line's.
 */
package dev.rebias.batch;
