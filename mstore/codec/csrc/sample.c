/* The price of a sample, by the entropy of its planes. */

#include "sample.h"

#include "elements.h"
#include "tables.h"

#define SAMPLE (WINDOWS * WINDOW)

static u64 planes_bits(const u8 *planes, size_t n, int width)
{
    u32 counts[SYMBOLS];
    u64 bits = 0;
    for (int j = 0; j < width; j++) {
        count_values(planes + j * n, n, counts);
        bits += entropy_bits(counts, n);
    }
    return bits;
}

void estimate(const u8 *raw, const u8 *base, size_t m, int width, int is_float, u64 *own,
              u64 *difference)
{
    u8 itself[WIDTH_MOST * SAMPLE], other[WIDTH_MOST * SAMPLE];
    size_t taken = m < SAMPLE ? m : SAMPLE;
    size_t size = taken < m ? WINDOW : taken, step = taken < m ? (m - WINDOW) / (WINDOWS - 1) : 0;
    int rotate = is_float && width > 1;
    for (size_t done = 0, at = 0; done < taken; done += size, at += step * width) {
        split_elements(width, raw + at, NULL, itself + done, taken, size, rotate, 0);
        split_elements(width, raw + at, base + at, other + done, taken, size, is_float, is_float);
    }
    *own = planes_bits(itself, taken, width);
    *difference = planes_bits(other, taken, width);
}
