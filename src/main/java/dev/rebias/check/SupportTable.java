package dev.rebias.check;

import dev.rebias.device.cuda.LibraryProbe;
import dev.rebias.device.cuda.ProbeRow;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The probe's rows as the emulator's table of what cuDNN supports ({@code native/emulator/cudnn_support.tsv}): what a
 * card refused is then refused there. Only float32 is in it, of which the emulator has convolutions.
 */
final class SupportTable {
    /** The file's name, here and there. */
    static final String FILE = "cudnn_support.tsv";

    private static final List<String> COLUMNS = List.of(
            "call",
            "algorithm",
            "spatial",
            "type",
            "math",
            "kernel",
            "stride",
            "dilation",
            "groups",
            "order",
            "what it is");

    private SupportTable() {}

    /** What succeeded of one algorithm: kinds without their dimensions, e.g. "" and " strided". */
    private record Supported(Set<String> kinds, Set<String> refused, boolean[] anyOrder) {}

    /**
     * The table's lines.
     *
     * @param rows the cells of the probe's rows, as {@link ProbeRow#COLUMNS} names them
     * @param origin where they come from, for the table's first line
     */
    static List<String> lines(List<String[]> rows, String origin) {
        Map<List<String>, Supported> algorithms = new LinkedHashMap<>();
        for (String[] row : rows) {
            if (!row[0].equals("cudnn") || row[4].equals("INT8")) {
                continue;
            }
            String math = row[4].equals("FMA") ? "fma" : "tensor";
            Supported s = algorithms.computeIfAbsent(
                    List.of(row[2], row[3], row[1].substring(0, 1), math),
                    k -> new Supported(new LinkedHashSet<>(), new LinkedHashSet<>(), new boolean[1]));
            String kind = row[1].substring("2-D".length());
            (row[6].equals("SUCCESS") ? s.kinds() : s.refused()).add(kind);
            s.anyOrder()[0] |= row[9].equals("no");
        }
        List<String> lines = new ArrayList<>();
        lines.add("# " + origin);
        lines.add("# " + String.join("\t", COLUMNS));
        algorithms.forEach((key, s) -> {
            // A batch size that is refused refuses the kind.
            s.kinds().removeAll(s.refused());
            if (s.kinds().contains("")) {
                String name = key.get(1);
                lines.add(String.join(
                        "\t",
                        key.get(0),
                        Integer.toString(LibraryProbe.algorithms(key.get(0)).indexOf(name)),
                        key.get(2),
                        "float",
                        key.get(3),
                        // The probe's kernels are 3 wide, and Winograd's transforms are made for theirs alone.
                        name.startsWith("WINOGRAD") ? "3" : "*",
                        s.kinds().contains(" strided") ? "*" : "1",
                        s.kinds().contains(" dilated") ? "*" : "1",
                        s.kinds().contains(" grouped") && s.kinds().contains(" depthwise") ? "*" : "1",
                        s.anyOrder()[0] ? "any" : "fixed",
                        name));
            }
        });
        return lines;
    }
}
