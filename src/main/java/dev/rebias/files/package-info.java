/**
 * Files: outputs, written whole or not at all and never over an input; temporary ones, gone with their process; folders
 * that nobody else can write to; the hashes that files are known by.
 */
package dev.rebias.files;
