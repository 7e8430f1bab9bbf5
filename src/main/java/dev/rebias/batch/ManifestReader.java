package dev.rebias.batch;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.dataformat.csv.CsvFactory;
import com.fasterxml.jackson.dataformat.csv.CsvParser;
import com.fasterxml.jackson.dataformat.csv.CsvSchema;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import dev.rebias.error.Failure;
import dev.rebias.error.PrintableText;
import dev.rebias.error.RebiasException;
import dev.rebias.error.UsageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.yaml.snakeyaml.LoaderOptions;

/**
 * Reads a manifest's text: YAML (or JSON, which is YAML), JSON Lines, or CSV, as the file's name says. Values are texts
 * as they are written, or lists of such; what they mean is {@link Manifest}'s.
 */
final class ManifestReader {
    /** A manifest of more bytes is none. */
    private static final int MOST_BYTES = 64 << 20;

    private static final int MOST_JOBS = 100_000;
    private static final int MOST_VALUES = 4096;

    private final Path file;
    private final Map<String, List<String>> defaults = new LinkedHashMap<>();
    private final List<ManifestEntry> jobs = new ArrayList<>();

    private ManifestReader(Path file) {
        this.file = file;
    }

    /**
     * Reads jobs, each with the manifest's defaults where it has no values of its own.
     *
     * @throws UsageException if the file is missing, or no manifest
     */
    static List<ManifestEntry> read(Path file) {
        ManifestReader reader = new ManifestReader(file);
        try {
            reader.parse(reader.text());
        } catch (JsonProcessingException e) {
            int line = e.getLocation() == null ? 0 : e.getLocation().getLineNr();
            throw new UsageException(
                    reader.line(line) + ": it cannot be read: " + PrintableText.oneLine(e.getOriginalMessage()), e);
        } catch (IOException e) {
            throw new RebiasException("manifest '" + file + "' cannot be read: " + Failure.reason(e), e);
        }
        if (reader.jobs.isEmpty()) {
            throw new UsageException("manifest '" + file + "' has no jobs");
        }
        return reader.jobs.stream().map(job -> job.over(reader.defaults)).toList();
    }

    private String text() throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new UsageException("there is no manifest '" + file + "': check the path");
        }
        if (Files.size(file) > MOST_BYTES) {
            throw new UsageException("manifest '" + file + "' has " + Files.size(file) + " bytes, more than the "
                    + MOST_BYTES + " that are read: split it");
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(file)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new UsageException("manifest '" + file + "' is not text in UTF-8", e);
        }
    }

    private void parse(String text) throws IOException {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        if (name.endsWith(".yaml") || name.endsWith(".yml") || name.endsWith(".json")) {
            yaml(text);
        } else if (name.endsWith(".jsonl") || name.endsWith(".ndjson")) {
            lines(text);
        } else if (name.endsWith(".csv")) {
            csv(text);
        } else {
            throw new UsageException("manifest '" + file
                    + "' does not say in its name what it is: name it .yaml, .json, .jsonl (JSON Lines) or .csv");
        }
    }

    private void yaml(String text) throws IOException {
        LoaderOptions options = new LoaderOptions();
        options.setCodePointLimit(MOST_BYTES);
        options.setAllowDuplicateKeys(false);
        YAMLFactory factory = YAMLFactory.builder()
                .loaderOptions(options)
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .build();
        try (JsonParser p = factory.createParser(text)) {
            if (p.nextToken() != JsonToken.START_OBJECT) {
                throw wrong(p, "it must have 'jobs:', a list, and may have 'defaults:'");
            }
            while (p.nextToken() == JsonToken.FIELD_NAME) {
                String key = p.currentName();
                p.nextToken();
                if (key.equals("defaults") && p.currentToken() == JsonToken.START_OBJECT) {
                    defaults.putAll(values(p, line(p)));
                } else if (key.equals("jobs") && p.currentToken() == JsonToken.START_ARRAY) {
                    jobs(p);
                } else if (key.equals("defaults") || key.equals("jobs")) {
                    throw wrong(
                            p,
                            "'" + key + "' must be " + (key.equals("jobs") ? "a list of jobs" : "options and values"));
                } else {
                    throw wrong(p, "the key '" + key + "' is unknown here: a manifest has 'defaults' and 'jobs'");
                }
            }
            if (p.currentToken() != JsonToken.END_OBJECT || p.nextToken() != null) {
                throw wrong(p, "a manifest is one document, with 'defaults' and 'jobs'");
            }
        }
    }

    private void jobs(JsonParser p) throws IOException {
        while (p.nextToken() != JsonToken.END_ARRAY) {
            String where = "job " + (jobs.size() + 1) + " of " + line(p);
            if (p.currentToken() != JsonToken.START_OBJECT) {
                throw new UsageException(where + ": a job has options and values, as in 'quantized: q.onnx'");
            }
            add(new ManifestEntry(where, values(p, where)));
        }
    }

    private void lines(String text) throws IOException {
        JsonFactory factory = JsonFactory.builder()
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .build();
        int number = 0;
        for (String line : text.split("\n", -1)) {
            String where = line(++number);
            if (line.isBlank()) {
                continue;
            }
            try (JsonParser p = factory.createParser(line)) {
                if (p.nextToken() != JsonToken.START_OBJECT) {
                    throw new UsageException(where + ": each line is a job, as in {\"quantized\": \"q.onnx\"}");
                }
                ManifestEntry job = new ManifestEntry("job " + (jobs.size() + 1) + " of " + where, values(p, where));
                if (p.nextToken() != null) {
                    throw new UsageException(where + ": something follows the job: one job a line");
                }
                add(job);
            } catch (JsonProcessingException e) {
                throw new UsageException(
                        where + ": it is no JSON: " + PrintableText.oneLine(e.getOriginalMessage()), e);
            }
        }
    }

    private void csv(String text) throws IOException {
        CsvFactory factory = CsvFactory.builder()
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .build();
        // A byte-order mark, as spreadsheets write it, is no part of the first name.
        String content = text.startsWith("\ufeff") ? text.substring(1) : text;
        try (CsvParser p = factory.createParser(content)) {
            p.setSchema(CsvSchema.emptySchema().withHeader());
            p.enable(CsvParser.Feature.SKIP_EMPTY_LINES);
            p.enable(CsvParser.Feature.TRIM_SPACES);
            p.enable(CsvParser.Feature.FAIL_ON_MISSING_COLUMNS);
            for (JsonToken t = p.nextToken(); t == JsonToken.START_OBJECT; t = p.nextToken()) {
                String where = "job " + (jobs.size() + 1) + " of " + line(p);
                Map<String, List<String>> values = values(p, where);
                // An empty field is an option that is not given.
                values.values().removeIf(v -> v.equals(List.of("")));
                add(new ManifestEntry(where, values));
            }
        }
    }

    private void add(ManifestEntry job) {
        if (jobs.size() == MOST_JOBS) {
            throw new UsageException("manifest '" + file + "' has more than " + MOST_JOBS + " jobs: split it");
        }
        jobs.add(job);
    }

    /** Reads keys and values up to the end of the object that has begun. */
    private Map<String, List<String>> values(JsonParser p, String where) throws IOException {
        Map<String, List<String>> values = new LinkedHashMap<>();
        while (p.nextToken() == JsonToken.FIELD_NAME) {
            String key = p.currentName();
            p.nextToken();
            if (key.equals("<<")) {
                throw new UsageException(where + ": merge keys ('<<') are not read: put what jobs share in 'defaults'");
            }
            List<String> value = new ArrayList<>();
            if (p.currentToken() == JsonToken.START_ARRAY) {
                while (p.nextToken() != JsonToken.END_ARRAY) {
                    value.add(scalar(p, key, where));
                    if (value.size() > MOST_VALUES) {
                        throw new UsageException(where + ": '" + key + "' has more than " + MOST_VALUES + " values");
                    }
                }
            } else {
                value.add(scalar(p, key, where));
            }
            values.put(key, value);
        }
        return values;
    }

    private static String scalar(JsonParser p, String key, String where) throws IOException {
        if (p instanceof YAMLParser yaml && yaml.isCurrentAlias()) {
            throw new UsageException(where + ": '" + key + "' is an alias ('*" + p.getText()
                    + "'), which is not read: write the value, or put what jobs share in 'defaults'");
        }
        if (!p.currentToken().isScalarValue() || p.currentToken() == JsonToken.VALUE_NULL) {
            throw new UsageException(where + ": '" + key + "' must have a value, a text or a number or true or false"
                    + (p.currentToken() == JsonToken.VALUE_NULL ? ", and has none" : ", not options of its own"));
        }
        return p.getText();
    }

    private UsageException wrong(JsonParser p, String what) {
        return new UsageException(line(p) + ": " + what);
    }

    private String line(JsonParser p) {
        return line(p.currentTokenLocation().getLineNr());
    }

    private String line(int number) {
        return "manifest '" + file + "'" + (number > 0 ? ", line " + number : "");
    }
}
