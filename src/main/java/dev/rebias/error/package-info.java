/**
 * The failures that rebias reports: one class per exit code of the command line. Every message is one sentence (or two)
 * that says what is wrong, where (file, node, tensor, shapes) and what to do about it.
 */
package dev.rebias.error;
