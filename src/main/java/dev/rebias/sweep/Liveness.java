package dev.rebias.sweep;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;

/**
 * Which steps anything needs, and where each tensor is used last: so only what a later node still needs waits at a
 * barrier.
 */
final class Liveness {
    private Liveness() {}

    /**
     * The segments of a plan that is final.
     *
     * @param steps by the number of their segment, in order
     * @param solved by that number the layers whose corrections are known behind it
     * @param kept the tensors that are no batch's to release
     */
    static List<Plan.Segment> segments(
            NavigableMap<Integer, List<Step>> steps, Map<Integer, List<Plan.Solved>> solved, Set<Integer> kept) {
        Set<Integer> computed = computed(steps.values());
        // One walk from behind tells where each tensor is used last.
        Set<Integer> usedLater = new HashSet<>();
        List<Plan.Segment> segments = new ArrayList<>();
        for (int k : steps.descendingKeySet()) {
            List<Step> all = Fusion.fuse(used(steps.get(k), usedLater), usedLater, computed);
            List<List<Integer>> releases = new ArrayList<>();
            for (int i = all.size() - 1; i >= 0; i--) {
                Set<Integer> touched = new HashSet<>(all.get(i).uses());
                if (all.get(i) instanceof Step.Run run) {
                    touched.addAll(run.outputs());
                }
                List<Integer> last = touched.stream()
                        .filter(usedLater::add)
                        .filter(t -> !kept.contains(t))
                        .sorted()
                        .toList();
                releases.add(0, last);
            }
            segments.add(0, new Plan.Segment(all, releases, solved.getOrDefault(k, List.of())));
        }
        return segments;
    }

    /** The steps whose results anything uses: a layer on integers leaves the floats that these stand for to nobody. */
    private static List<Step> used(List<Step> steps, Set<Integer> usedLater) {
        Set<Integer> used = new HashSet<>(usedLater);
        List<Step> kept = new ArrayList<>();
        for (int i = steps.size() - 1; i >= 0; i--) {
            Step step = steps.get(i);
            if (!(step instanceof Step.Run run) || run.outputs().stream().anyMatch(used::contains)) {
                used.addAll(step.uses());
                kept.add(0, step);
            }
        }
        return kept;
    }

    /** The tensors that follow from what a layer computes. */
    private static Set<Integer> computed(Iterable<List<Step>> steps) {
        Set<Integer> computed = new HashSet<>();
        for (List<Step> segment : steps) {
            for (Step step : segment) {
                if (step instanceof Step.Run run
                        && (run.purpose() != Step.Purpose.OTHER
                                || run.inputs().stream().anyMatch(computed::contains))) {
                    computed.addAll(run.outputs());
                }
            }
        }
        return computed;
    }
}
