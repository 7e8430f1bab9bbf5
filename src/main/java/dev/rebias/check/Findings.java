package dev.rebias.check;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * What a step has found so far, as JSON in a file: facts, tables, failures. It is written anew after every addition, so
 * that a step that is cut off leaves what it has.
 */
final class Findings {
    static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    private final Path file;
    private final ObjectNode all = JSON.createObjectNode();

    Findings(Path file) {
        this.file = file;
        all.putObject("facts");
        all.putArray("tables");
        all.putArray("failures");
        all.put("complete", false);
        write();
    }

    /** A figure or a name, with its label. */
    void fact(String name, String value) {
        ((ObjectNode) all.get("facts")).put(name, value);
        write();
    }

    /** Something that a working card would not show. */
    void failure(String sentence) {
        ((ArrayNode) all.get("failures")).add(sentence);
        write();
    }

    /** Begins a table. */
    Table table(String title, String... columns) {
        ObjectNode table = ((ArrayNode) all.get("tables")).addObject();
        table.put("title", title);
        ArrayNode names = table.putArray("columns");
        for (String c : columns) {
            names.add(c);
        }
        return new Table(table.putArray("rows"), columns.length);
    }

    /** A table that grows. */
    final class Table {
        private final ArrayNode rows;
        private final int columns;

        private Table(ArrayNode rows, int columns) {
            this.rows = rows;
            this.columns = columns;
        }

        void row(String... cells) {
            if (cells.length != columns) {
                throw new IllegalArgumentException("a table of " + columns + " columns got a row of " + cells.length);
            }
            ArrayNode row = rows.addArray();
            for (String c : cells) {
                row.add(c);
            }
            write();
        }
    }

    /** The step has done all that it does. */
    void complete() {
        all.put("complete", true);
        write();
    }

    private void write() {
        replace(file, all);
    }

    /** Writes JSON whole or not at all. */
    static void replace(Path file, ObjectNode content) {
        try {
            Path part = file.resolveSibling(file.getFileName() + ".part");
            JSON.writeValue(part.toFile(), content);
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
