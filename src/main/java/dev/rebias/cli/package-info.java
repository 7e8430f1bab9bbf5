/** The command line, with picocli: the only place that prints, ends the process or reads its environment. */
package dev.rebias.cli;
