package dev.rebias.check;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What JUnit's XML reports in a folder say, taken together.
 *
 * @param failed the names of tests that failed
 */
record TestReport(int tests, int skipped, List<String> failed) {
    private static final Pattern SUITE = Pattern.compile("<testsuite\\b[^>]*");
    private static final Pattern CASE =
            Pattern.compile("<testcase name=\"([^\"]*)\" classname=\"([^\"]*)\"[^>]*>\\s*<(failure|error)\\b");

    /** Reads them; a folder without any has no tests. */
    static TestReport read(Path folder) throws IOException {
        int tests = 0;
        int skipped = 0;
        List<String> failed = new ArrayList<>();
        if (Files.isDirectory(folder)) {
            List<Path> files;
            try (Stream<Path> all = Files.list(folder)) {
                files = all.filter(f -> f.getFileName().toString().matches("TEST-.*\\.xml"))
                        .sorted()
                        .toList();
            }
            for (Path file : files) {
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
        }
        return new TestReport(tests, skipped, failed);
    }

    private static int number(String suite, String attribute) {
        Matcher m = Pattern.compile("\\b" + attribute + "=\"(\\d+)\"").matcher(suite);
        return m.find() ? Integer.parseInt(m.group(1)) : 0;
    }
}
