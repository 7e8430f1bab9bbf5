/** What a correction did: on the console, as HTML, JSON and CSV. HTML and CSV are made from the JSON. */
package dev.rebias.report;
