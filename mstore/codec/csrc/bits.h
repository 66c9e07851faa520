/* Bits, from the lowest of each byte up; a number's lowest bit comes first. */

#ifndef MSTORE_BITS_H
#define MSTORE_BITS_H

#include "common.h"

typedef struct {
    u8 *at, *end;
    u64 bits;
    int held, full; /* full: a write past the end was dropped */
} BitWriter;

static inline void put_bits(BitWriter *w, u32 value, int n)
{
    w->bits |= (u64)value << w->held;
    w->held += n;
    while (w->held >= 8) {
        if (w->at < w->end)
            *w->at++ = (u8)w->bits;
        else
            w->full = 1;
        w->bits >>= 8;
        w->held -= 8;
    }
}

/* Fills the last byte with zero bits. */
static inline void end_bits(BitWriter *w)
{
    if (w->held)
        put_bits(w, 0, 8 - w->held);
}

typedef struct {
    const u8 *at, *end;
    u64 bits;
    int held, short_of; /* short_of: a read past the end gave zeros */
} BitReader;

static inline u32 get_bits(BitReader *r, int n)
{
    while (r->held < n) {
        if (r->at < r->end)
            r->bits |= (u64)*r->at++ << r->held;
        else
            r->short_of = 1;
        r->held += 8;
    }
    u32 value = (u32)(r->bits & (((u64)1 << n) - 1));
    r->bits >>= n;
    r->held -= n;
    return value;
}

#endif
