/* A quick estimate of what a block costs, from a sample. */

#ifndef MSTORE_SAMPLE_H
#define MSTORE_SAMPLE_H

#include "common.h"

/* Bits that an order-0 coder would pay for the planes of a few windows: as they are, and as a
 * difference to the base. */
void estimate(const u8 *raw, const u8 *base, size_t m, int width, int is_float, u64 *own,
              u64 *difference);

#endif
