/* The grouped difference, decoded. Nothing of the stored bytes is believed before it is checked. */

#include "grouped.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "bits.h"
#include "elements.h"
#include "groups.h"
#include "rans.h"
#include "tables.h"

typedef struct {
    size_t m, rest; /* elements, and bytes after the last one */
    int width, ordered, shift, group_count;
    size_t sizes[MAX_GROUPS]; /* elements of each group */
    size_t cursor[QUARTERS][KEYS];
    size_t coded, plain; /* symbols that have a table, and that are stored raw */
    BitReader r;
    Arena arena;
    u8 *sorted, *planes, *keys, *codings;
    u16 (*freq)[SYMBOLS];
    u32 *table;
} Decoding;

/* Ordered, shift and the number of groups; 0 if they are none. */
static int read_head(Decoding *d, const u8 *stored, size_t size)
{
    if (!d->m || size < 3 || stored[0] > 1 || stored[1] >= 8 * d->width || stored[2] >= MAX_GROUPS)
        return 0;
    d->ordered = stored[0];
    d->shift = stored[1];
    d->group_count = stored[2] + 1;
    if (size < 2 + (size_t)d->group_count)
        return 0;
    d->r = (BitReader){stored + 2 + d->group_count, stored + size, 0, 0, 0};
    return 1;
}

static int allocate(Decoding *d)
{
    size_t planes_size = d->m * d->width, segments = (size_t)d->group_count * d->width;
    size_t freq_size = segments * sizeof *d->freq, table_size = SCALE * sizeof *d->table;
    d->arena.start = malloc(2 * rounded(planes_size) + rounded(d->m) + rounded(freq_size) +
                            rounded(segments) + rounded(table_size));
    if (!d->arena.start)
        return 0;
    d->sorted = take(&d->arena, planes_size);
    d->planes = take(&d->arena, planes_size);
    d->keys = take(&d->arena, d->m);
    d->freq = take(&d->arena, freq_size);
    d->codings = take(&d->arena, segments);
    d->table = take(&d->arena, table_size);
    return 1;
}

/* How many elements each group has, by the base's keys. 0 if the last keys do not ascend. */
static int size_groups(Decoding *d, const u8 *base, const u8 *last_keys)
{
    size_t totals[KEYS];
    order_keys(base, d->m, d->width, d->ordered, d->shift, d->keys, d->cursor, totals);
    for (int g = 0, k = 0; g < d->group_count; g++) {
        int last = g == d->group_count - 1 ? KEYS - 1 : last_keys[g];
        if (last < k)
            return 0;
        for (; k <= last; k++)
            d->sizes[g] += totals[k];
    }
    return 1;
}

/* Reads the coding of each group's stretch of each plane, and fills those that repeat one symbol. */
static int read_codings(Decoding *d)
{
    size_t at = 0;
    for (int i = 0; i < d->group_count * d->width; i++) {
        size_t n = d->sizes[i % d->group_count];
        d->codings[i] = (u8)get_bits(&d->r, 2);
        if (d->codings[i] == SEGMENT_RAW) {
            d->plain += n;
        } else if (d->codings[i] == SEGMENT_REPEATED) {
            memset(d->planes + at, (int)get_bits(&d->r, 8), n);
        } else {
            if (d->codings[i] != SEGMENT_TABLE || !read_table(&d->r, d->freq[i]))
                return 0;
            d->coded += n;
        }
        at += n;
    }
    return !d->r.short_of && !d->r.bits && (size_t)(d->r.end - d->r.at) >= d->plain + d->rest;
}

/* Fills the stretches that are raw or have a table; `coded` is NULL if none has symbols. */
static int fill_planes(Decoding *d, const u8 *plain, Coded *coded)
{
    size_t at = 0;
    for (int i = 0; i < d->group_count * d->width; i++) {
        size_t n = d->sizes[i % d->group_count];
        if (d->codings[i] == SEGMENT_RAW) {
            memcpy(d->planes + at, plain, n);
            plain += n;
        } else if (d->codings[i] == SEGMENT_TABLE && n) {
            if (!decode_segment(coded, d->freq[i], d->planes + at, n, d->table))
                return 0;
        }
        at += n;
    }
    return !coded || ended_well(coded);
}

static Outcome decode_planes(Decoding *d)
{
    const u8 *plain = d->r.end - d->rest - d->plain;
    if (!d->coded)
        return d->r.at == plain && fill_planes(d, plain, NULL) ? DONE : REFUSED;
    Coded coded;
    Outcome outcome = open_coded(&coded, d->r.at, plain);
    if (outcome == DONE && !fill_planes(d, plain, &coded))
        outcome = REFUSED;
    close_coded(&coded);
    return outcome;
}

Outcome decode_grouped(const u8 *stored, size_t stored_size, const u8 *base, int width, u8 *out,
                       size_t size)
{
    Decoding d = {.m = size / width, .rest = size % width, .width = width};
    if (!read_head(&d, stored, stored_size))
        return REFUSED;
    if (!allocate(&d))
        return NO_MEMORY;
    Outcome outcome = REFUSED;
    if (size_groups(&d, base, stored + 3) && read_codings(&d)) {
        outcome = decode_planes(&d);
        if (outcome == DONE) {
            join_sorted(width, d.planes, d.sorted, d.m);
            unsort_differences(width, d.sorted, base, d.keys, d.cursor, out, d.m, d.ordered);
            memcpy(out + d.m * width, d.r.end - d.rest, d.rest);
        }
    }
    free(d.arena.start);
    return outcome;
}
