/**
 * Changes an HDF5 file in place: values of attributes and datasets, and attributes and datasets that are added. Every
 * byte that a change does not touch stays where it is, so whatever else is in the file (types, chunks, compression,
 * creation times) is as it was. There is no library on the JVM that does this without HDF5's own native one; files are
 * read with jhdf. Written after "HDF5 File Format Specification Version 3.0" (The HDF Group); its section numbers are
 * cited. Handled is what HDF5 writes unless it is asked for its newest format: object headers of version 1 and groups
 * with symbol tables.
 */
package dev.rebias.hdf5;
