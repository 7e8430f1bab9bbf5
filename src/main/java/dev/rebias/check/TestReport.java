package dev.rebias.check;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What JUnit says of the tests that it has run.
 *
 * @param failed the names of tests that failed
 */
record TestReport(int tests, int skipped, List<String> failed) {
    private static final Pattern SUITE = Pattern.compile("<testsuite\\b[^>]*");
    private static final Pattern CASE =
            Pattern.compile("<testcase name=\"([^\"]*)\" classname=\"([^\"]*)\"[^>]*>\\s*<(failure|error)\\b");

    /** As its console prints the end of a test: its engine, class, method, and of several their number. */
    private static final Pattern END = Pattern.compile("[^>]+ > (\\S.*) :: (SUCCESSFUL|FAILED|SKIPPED|ABORTED)");

    /** What it has left: its reports, or where it was ended before it wrote them, what its console has printed. */
    static TestReport of(Path reports, Path log) throws IOException {
        TestReport whole = read(reports);
        return whole.tests() > 0 ? whole : ofFeed(log);
    }

    /** What its console has printed of each test that has ended; not what happened between tests. */
    static TestReport ofFeed(Path log) throws IOException {
        int tests = 0;
        int skipped = 0;
        List<String> failed = new ArrayList<>();
        for (String line : Files.readAllLines(log, StandardCharsets.ISO_8859_1)) {
            Matcher end = END.matcher(line);
            if (end.matches()) {
                tests++;
                if (end.group(2).equals("FAILED")) {
                    failed.add(end.group(1));
                } else if (!end.group(2).equals("SUCCESSFUL")) {
                    skipped++;
                }
            }
        }
        return new TestReport(tests, skipped, failed);
    }

    /** Reads all XML reports in a folder; one without any has no tests. */
    static TestReport read(Path folder) throws IOException {
        int tests = 0;
        int skipped = 0;
        List<String> failed = new ArrayList<>();
        for (Path file : files(folder)) {
            String text = Files.readString(file);
            Matcher suite = SUITE.matcher(text);
            if (suite.find()) {
                tests += number(suite.group(), "tests");
                skipped += number(suite.group(), "skipped");
            }
            Matcher one = CASE.matcher(text);
            while (one.find()) {
                failed.add(one.group(2).replaceAll(".*\\.", "") + "." + one.group(1));
            }
        }
        return new TestReport(tests, skipped, failed);
    }

    /** Removes the reports of an earlier run. */
    static void delete(Path folder) throws IOException {
        for (Path file : files(folder)) {
            Files.delete(file);
        }
    }

    private static List<Path> files(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(f -> f.getFileName().toString().matches("TEST-.*\\.xml"))
                    .sorted()
                    .toList();
        }
    }

    private static int number(String suite, String attribute) {
        Matcher m = Pattern.compile("\\b" + attribute + "=\"(\\d+)\"").matcher(suite);
        return m.find() ? Integer.parseInt(m.group(1)) : 0;
    }
}
