/* The sparse difference: mode 19 (docs/format.md, section 6.6). */

#ifndef MSTORE_SPARSE_H
#define MSTORE_SPARSE_H

#include "common.h"

/* REFUSED if too many elements differ. */
Outcome encode_sparse(const u8 *raw, const u8 *base, size_t size, size_t width, Output *output);
Outcome decode_sparse(const u8 *stored, size_t stored_size, const u8 *base, size_t width, u8 *out,
                      size_t size);

#endif
