/**
 * The oracle: bias correction as its definition reads, in double precision, whole graphs, all samples at once, plain
 * loops. Shares no code with the program. Also the models that tests need: toy graphs of every topology, and a small
 * quantiser.
 */
package dev.rebias.oracle;
