/**
 * Corrections on Apache Spark: {@link dev.rebias.spark.Correct} is the program that spark-submit is given,
 * {@link dev.rebias.spark.SparkBatch} its work on the driver, {@link dev.rebias.spark.JobTask} that of a task,
 * {@link dev.rebias.spark.PartTask} that of several tasks with a part of a job's samples each,
 * {@link dev.rebias.spark.StageExchange} how these exchange what they measured, and
 * {@link dev.rebias.spark.ExecutorDevices} the devices that an executor keeps open from task to task. Which task runs
 * where, and when it is tried again, is Spark's; what a job is, and what comes of it, is {@code rebias batch}'s.
 */
package dev.rebias.spark;
