/** What a correction did, for people ({@link dev.rebias.report.ConsoleReport}) and for programs ({@link dev.rebias.report.JsonReport}). */
package dev.rebias.report;
