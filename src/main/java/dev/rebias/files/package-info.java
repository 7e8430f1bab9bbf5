/** Output files: written whole or not at all, and never over an input. */
package dev.rebias.files;
