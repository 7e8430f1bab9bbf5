/**
 * Edits a copy of an HDF5 file: values of attributes and datasets, and attributes and datasets that are added. All
 * other bytes keep their offsets, so whatever else is in the file (types, chunks, compression, creation times) is
 * unchanged. No pure Java library does this; files are read with jhdf. Written after "HDF5 File Format Specification
 * Version 3.0" (The HDF Group); its section numbers are cited. Supported is HDF5's default format, not its newest:
 * object headers of version 1 and groups with symbol tables.
 */
package dev.rebias.hdf5;
