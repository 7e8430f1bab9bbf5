/**
 * How several participants make one correction, each with a device and samples of its own: at every barrier of the
 * sweep they exchange what they measured ({@link dev.rebias.exchange.Exchange}), and each merges all of it in the order
 * of participants, so that everybody goes on with the same bits. {@link dev.rebias.exchange.LocalExchange} is for the
 * threads of one process; others carry bytes between machines. {@link dev.rebias.exchange.Rounds} is one participant's
 * side of it.
 */
package dev.rebias.exchange;
