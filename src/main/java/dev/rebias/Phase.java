package dev.rebias;

/** A part of the work, as a user would name it, and how many seconds it took. */
public record Phase(String name, double seconds) {}
