/* Counting, pricing, and the tables of frequencies. */

#include "tables.h"

#include <string.h>

static u16 log_table[2048]; /* 256 × log2(1 + i / 2048), rounded down */

void prepare_tables(void)
{
    for (u32 i = 0; i < 2048; i++) {
        u64 x = (u64)(2048 + i) << 20; /* in [1, 2) with 31 fractional bits */
        u32 log = 0;
        for (int bit = 0; bit < 8; bit++) {
            x = (x * x) >> 31;
            log <<= 1;
            if (x >> 32) {
                log |= 1;
                x >>= 1;
            }
        }
        log_table[i] = (u16)log;
    }
}

/* 256 × log2 of a count, rounded down, from its twelve leading bits. */
static inline u64 log_of(u64 count)
{
    int e = 63 - __builtin_clzll(count);
    u64 lead = e <= 11 ? count << (11 - e) : count >> (e - 11);
    return ((u64)e << 8) + log_table[lead & 2047];
}

/* Eight tables, as the next value is often the same again; runs of the first value are stepped
 * over. */
void count_values(const u8 *values, size_t n, u32 *counts)
{
    u32 part[8][256];
    size_t i = 0, same = 0;
    if (n < 512) {
        memset(counts, 0, 256 * sizeof *counts);
        for (; i < n; i++)
            counts[values[i]]++;
        return;
    }
    const u64 first = values[0] * 0x0101010101010101u;
    memset(part, 0, sizeof part);
    for (; i + 8 <= n; i += 8) {
        u64 v;
        memcpy(&v, values + i, 8);
        if (v == first) {
            same += 8;
            continue;
        }
        part[0][v & 255]++;
        part[1][(v >> 8) & 255]++;
        part[2][(v >> 16) & 255]++;
        part[3][(v >> 24) & 255]++;
        part[4][(v >> 32) & 255]++;
        part[5][(v >> 40) & 255]++;
        part[6][(v >> 48) & 255]++;
        part[7][v >> 56]++;
    }
    for (; i < n; i++)
        part[0][values[i]]++;
    for (int s = 0; s < 256; s++)
        counts[s] = part[0][s] + part[1][s] + part[2][s] + part[3][s] + part[4][s] + part[5][s] +
                    part[6][s] + part[7][s];
    counts[values[0]] += (u32)same;
}

/* The entropy in bits; `used` is how many symbols occur. */
static inline u64 priced(const u32 *counts, u64 n, u32 *used)
{
    u64 sum = 0, whole = n ? n * log_of(n) : 0;
    *used = 0;
    for (int s = 0; s < SYMBOLS; s++)
        if (counts[s]) {
            sum += counts[s] * log_of(counts[s]);
            ++*used;
        }
    return whole > sum ? (whole - sum) >> 8 : 0;
}

u64 entropy_bits(const u32 *counts, u64 n)
{
    u32 used;
    return priced(counts, n, &used);
}

u64 expected_bits(const u32 *counts, u64 n)
{
    u32 used;
    if (!n)
        return 0;
    u64 bits = priced(counts, n, &used);
    if (used == 1)
        return 10;
    bits += 8 * used + 16;
    return bits < 8 * n ? bits : 8 * n;
}

void normalise(const u32 *counts, u64 n, u16 *freq)
{
    int32_t left = SCALE;
    for (int s = 0; s < SYMBOLS; s++) {
        u64 f = counts[s] ? (counts[s] * (u64)SCALE + n / 2) / n : 0;
        freq[s] = (u16)(counts[s] && !f ? 1 : f);
        left -= freq[s];
    }
    while (left) {
        int top = 0;
        for (int s = 1; s < SYMBOLS; s++)
            if (freq[s] > freq[top])
                top = s;
        if (left > 0) {
            freq[top] = (u16)(freq[top] + left);
            left = 0;
        } else {
            int32_t excess = (freq[top] >> 4) + 1;
            excess = excess < -left ? excess : -left;
            freq[top] = (u16)(freq[top] - excess);
            left += excess;
        }
    }
}

static int bit_length(u32 v)
{
    return v ? 32 - __builtin_clz(v) : 0;
}

void write_table(BitWriter *w, const u16 *freq)
{
    for (int s = 0; s < SYMBOLS;) {
        int run = 0;
        while (s + run < SYMBOLS && !freq[s + run])
            run++;
        if (run >= 3) {
            put_bits(w, 13, 4);
            put_bits(w, (u32)run - 1, 8);
            s += run;
            continue;
        }
        int n = bit_length(freq[s]);
        put_bits(w, (u32)n, 4);
        if (n > 1)
            put_bits(w, freq[s] & ((1u << (n - 1)) - 1), n - 1);
        s++;
    }
}

int read_table(BitReader *r, u16 *freq)
{
    u32 sum = 0, top = 0;
    for (int s = 0; s < SYMBOLS;) {
        u32 n = get_bits(r, 4);
        if (r->short_of || n > 13)
            return 0;
        if (n == 13) {
            int run = (int)get_bits(r, 8) + 1;
            if (r->short_of || run > SYMBOLS - s)
                return 0;
            memset(freq + s, 0, run * sizeof *freq);
            s += run;
            continue;
        }
        u32 f = n > 1 ? (1u << (n - 1)) | get_bits(r, (int)n - 1) : n;
        sum += f;
        top = f > top ? f : top;
        freq[s++] = (u16)f;
    }
    return !r->short_of && sum == SCALE && top < SCALE;
}
