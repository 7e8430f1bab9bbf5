/** What a correction was worth: how far the whole network's outputs are from the float network's, before and after. */
package dev.rebias.outcome;
