/* The grouped difference: mode 18 (docs/format.md, section 6.5). */

#ifndef MSTORE_GROUPED_H
#define MSTORE_GROUPED_H

#include "common.h"

/* REFUSED if the result would be no smaller than the raw bytes. */
Outcome encode_grouped(const u8 *raw, const u8 *base, size_t size, int width, int ordered, int shift,
                       Output *output);
Outcome decode_grouped(const u8 *stored, size_t stored_size, const u8 *base, int width, u8 *out,
                       size_t size);

#endif
