/* One plane of ranged symbols: a table, lanes, states and words. */

#include "plane.h"

#include <stdlib.h>

#include "arena.h"
#include "bits.h"
#include "rans.h"
#include "tables.h"

Outcome encode_plane(const u8 *plane, size_t n, Output *output)
{
    u32 counts[SYMBOLS], states[MAX_LANES];
    u16 freq[SYMBOLS];
    count_values(plane, n, counts);
    if (n && counts[plane[0]] == n)
        return REPEATED;
    if (expected_bits(counts, n) >= 8 * (u64)n - ((u64)n >> 3))
        return REFUSED;
    normalise(counts, n, freq);
    int lanes_log2 = lanes_log2_for(n);
    size_t lanes = (size_t)1 << lanes_log2, words_most = (n + WORDS_SLACK) * sizeof(u16);
    Arena arena = {malloc(rounded(n) + rounded(sizeof(EncodeTable)) + rounded(words_most)), 0};
    if (!arena.start)
        return NO_MEMORY;
    u8 *out = take(&arena, n);
    EncodeTable *table = take(&arena, sizeof *table);
    u16 *words = (u16 *)take(&arena, words_most) + WORDS_SLACK;
    BitWriter w = {out, out + n, 0, 0, 0};
    write_table(&w, freq);
    end_bits(&w);
    Segment segment = {plane, n, freq};
    u16 *first = encode_segments(&segment, 1, lanes_log2, table, states, words + n);
    size_t words_size = (size_t)(words + n - first) * 2;
    if (w.full || (size_t)(w.end - w.at) <= 1 + 4 * lanes + words_size) {
        free(arena.start);
        return REFUSED;
    }
    u8 *end = write_coded(w.at, lanes_log2, states, first, words_size);
    *output = (Output){out, (size_t)(end - out)};
    return DONE;
}

Outcome decode_plane(const u8 *stored, size_t size, u8 *out, size_t n)
{
    u16 freq[SYMBOLS];
    BitReader r = {stored, stored + size, 0, 0, 0};
    Coded coded;
    if (!read_table(&r, freq) || r.bits)
        return REFUSED;
    Outcome outcome = open_coded(&coded, r.at, r.end);
    if (outcome != DONE)
        return outcome;
    u32 *table = malloc(SCALE * sizeof *table);
    if (!table)
        outcome = NO_MEMORY;
    else if (!decode_segment(&coded, freq, out, n, table) || !ended_well(&coded))
        outcome = REFUSED;
    free(table);
    close_coded(&coded);
    return outcome;
}
