/**
 * Broken and hostile input by the thousand: {@link dev.rebias.fuzz.FuzzTest} lets {@link dev.rebias.fuzz.FuzzRunner}
 * fork processes, each of which ({@link dev.rebias.fuzz.FuzzWorker}) makes cases one after another from their numbers,
 * runs the command line on them and judges what it did. A case is small networks with samples, changed by
 * {@link dev.rebias.fuzz.ModelMutator} where it is a model and by {@link dev.rebias.fuzz.ByteMutator} where it is
 * bytes.
 */
package dev.rebias.fuzz;
