/* One plane of ranged symbols (docs/format.md, section 6.2, coding 3). */

#ifndef MSTORE_PLANE_H
#define MSTORE_PLANE_H

#include "common.h"

/* REFUSED if the plane is to be stored raw, REPEATED if all its bytes are equal. */
Outcome encode_plane(const u8 *plane, size_t n, Output *out);
Outcome decode_plane(const u8 *stored, size_t size, u8 *out, size_t n);

#endif
