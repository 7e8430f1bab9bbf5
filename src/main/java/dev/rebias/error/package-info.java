/**
 * The failures that rebias reports, each with its exit code. Every message is one sentence (or two) that says what is
 * wrong, where (file, node, tensor, shapes) and what to do about it.
 */
package dev.rebias.error;
