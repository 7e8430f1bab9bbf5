package dev.rebias.report;

/** Seconds spent reading the models, sweeping, writing the result, and in all. */
public record Timings(double loadSeconds, double sweepSeconds, double writeSeconds, double totalSeconds) {}
