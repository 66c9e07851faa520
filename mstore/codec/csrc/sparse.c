/* The sparse difference: gap and value of each element that differs from the base's. */

#include "sparse.h"

#include <stdlib.h>
#include <string.h>

#define STRIDE 512 /* bytes that are compared at once */

/* Whether a sample finds more elements that differ than this mode is for. */
static int differs_much(const u8 *raw, const u8 *base, size_t m, size_t width)
{
    if (m <= 4 * WINDOWS * WINDOW)
        return 0;
    size_t step = (m - WINDOW) / (WINDOWS - 1), differing = 0;
    for (size_t k = 0; k < WINDOWS; k++)
        for (size_t e = k * step; e < k * step + WINDOW; e++)
            differing += memcmp(raw + e * width, base + e * width, width) != 0;
    return differing > WINDOWS * WINDOW / 32;
}

/* Writes gaps and values, at most `limit`. Returns the end, or NULL if there are more. */
static u8 *write_changes(const u8 *raw, const u8 *base, size_t m, size_t width, size_t limit, u8 *at)
{
    size_t next = 0, i = 0, stride = STRIDE / width;
    while (i < m) {
        if (m - i >= stride && !memcmp(raw + i * width, base + i * width, STRIDE)) {
            i += stride;
            continue;
        }
        size_t end = m - i < stride ? m : i + stride;
        for (; i < end; i++) {
            if (!memcmp(raw + i * width, base + i * width, width))
                continue;
            size_t gap = i - next;
            if (!limit-- || gap >> 32)
                return NULL;
            for (; gap >= 128; gap >>= 7)
                *at++ = (u8)(gap | 128);
            *at++ = (u8)gap;
            memcpy(at, raw + i * width, width);
            at += width;
            next = i + 1;
        }
    }
    return at;
}

Outcome encode_sparse(const u8 *raw, const u8 *base, size_t size, size_t width, Output *output)
{
    size_t m = size / width, rest = size % width, limit = (m >> 7) + 4;
    u8 *out = malloc(limit * (width + 5) + rest), *at = NULL;
    if (!out)
        return NO_MEMORY;
    if (!differs_much(raw, base, m, width))
        at = write_changes(raw, base, m, width, limit, out);
    if (!at || (size_t)(at - out) >= m * width) {
        free(out);
        return REFUSED;
    }
    memcpy(at, raw + m * width, rest);
    *output = (Output){out, (size_t)(at + rest - out)};
    return DONE;
}

Outcome decode_sparse(const u8 *stored, size_t stored_size, const u8 *base, size_t width, u8 *out,
                      size_t size)
{
    size_t m = size / width, rest = size % width, i = 0;
    if (stored_size < rest)
        return REFUSED;
    const u8 *at = stored, *end = stored + stored_size - rest;
    memcpy(out, base, m * width);
    memcpy(out + m * width, end, rest);
    while (at < end) {
        u64 gap = 0;
        for (int shift = 0;; shift += 7) {
            if (at == end || shift > 28)
                return REFUSED;
            gap |= (u64)(*at & 127) << shift;
            if (*at++ < 128)
                break;
        }
        if (gap >= m - i || (size_t)(end - at) < width)
            return REFUSED;
        i += gap;
        memcpy(out + i * width, at, width);
        at += width;
        i++;
    }
    return DONE;
}
