/* The grouped difference, encoded. */

#include "grouped.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "bits.h"
#include "elements.h"
#include "groups.h"
#include "rans.h"
#include "tables.h"

#define MAX_SEGMENTS (MAX_GROUPS * WIDTH_MOST)

typedef struct {
    size_t m, rest; /* elements, and bytes after the last one */
    int width, group_count, tables;
    size_t coded, plain; /* symbols that have a table, and that are stored raw */
    BitWriter w;
    u8 *out; /* the result; the first piece of the arena */
    u8 *planes, *sorted, *keys;
    Group *groups;
    u16 (*freq)[SYMBOLS];
    Segment *segments;
    EncodeTable *table;
    u16 *words;
} Encoding;

/* Cuts one allocation into everything that an encoding needs. 0 if there is no memory. */
static int allocate(Encoding *e, size_t size)
{
    size_t planes_size = e->m * e->width, groups_size = (MAX_GROUPS + 2) * sizeof(Group);
    size_t words_size = (planes_size + WORDS_SLACK) * sizeof(u16);
    size_t freq_size = MAX_SEGMENTS * sizeof *e->freq, segments_size = MAX_SEGMENTS * sizeof(Segment);
    Arena arena = {malloc(rounded(size) + 2 * rounded(planes_size) + rounded(e->m) +
                          rounded(groups_size) + rounded(freq_size) + rounded(segments_size) +
                          rounded(sizeof(EncodeTable)) + rounded(words_size)),
                   0};
    if (!arena.start)
        return 0;
    e->out = take(&arena, size);
    e->planes = take(&arena, planes_size);
    e->sorted = take(&arena, planes_size);
    e->keys = take(&arena, e->m);
    e->groups = take(&arena, groups_size);
    e->freq = take(&arena, freq_size);
    e->segments = take(&arena, segments_size);
    e->table = take(&arena, sizeof *e->table);
    e->words = (u16 *)take(&arena, words_size) + WORDS_SLACK;
    return 1;
}

static void sort_into_groups(Encoding *e, const u8 *raw, const u8 *base, int ordered, int shift)
{
    size_t totals[KEYS], cursor[QUARTERS][KEYS];
    order_keys(base, e->m, e->width, ordered, shift, e->keys, cursor, totals);
    sort_differences(e->width, raw, base, e->keys, cursor, e->sorted, e->m, ordered);
    split_sorted(e->width, e->sorted, e->planes, e->m);
    e->group_count = make_groups(e->planes, e->m, e->width, totals, e->groups);
}

/* Ordered, shift, and the groups' last keys. 0 if there is no room. */
static int write_head(Encoding *e, size_t size, int ordered, int shift)
{
    if (size < 3 + (size_t)e->group_count)
        return 0;
    u8 *at = e->out;
    *at++ = (u8)ordered;
    *at++ = (u8)shift;
    *at++ = (u8)(e->group_count - 1);
    for (int g = 0; g < e->group_count - 1; g++)
        *at++ = (u8)e->groups[g].last_key;
    e->w = (BitWriter){at, e->out + size, 0, 0, 0};
    return 1;
}

/* Chooses and writes the coding of each group's stretch of each plane. 0 if there is no room. */
static int write_codings(Encoding *e)
{
    for (int j = 0; j < e->width; j++)
        for (int g = 0; g < e->group_count; g++) {
            const Group *group = e->groups + g;
            const u8 *symbols = e->planes + j * e->m + group->begin;
            int coding = coding_of(group, j, symbols[0]);
            put_bits(&e->w, (u32)coding, 2);
            if (coding == SEGMENT_REPEATED) {
                put_bits(&e->w, symbols[0], 8);
            } else if (coding == SEGMENT_RAW) {
                e->plain += group->n;
            } else {
                u16 *freq = e->freq[e->tables];
                normalise(group->counts[j], group->n, freq);
                write_table(&e->w, freq);
                e->segments[e->tables++] = (Segment){symbols, group->n, freq};
                e->coded += group->n;
            }
        }
    end_bits(&e->w);
    return !e->w.full && (size_t)(e->w.end - e->w.at) >= e->plain + e->rest;
}

/* Writes lanes, states and words of what has a table. 0 if there is no room. */
static int write_ranged(Encoding *e)
{
    u32 states[MAX_LANES];
    if (!e->tables)
        return 1;
    int lanes_log2 = lanes_log2_for(e->coded);
    u16 *end = e->words + e->coded;
    u16 *first = encode_segments(e->segments, (size_t)e->tables, lanes_log2, e->table, states, end);
    size_t words_size = (size_t)(end - first) * 2, states_size = (size_t)4 << lanes_log2;
    if ((size_t)(e->w.end - e->w.at) < 1 + states_size + words_size + e->plain + e->rest)
        return 0;
    e->w.at = write_coded(e->w.at, lanes_log2, states, first, words_size);
    return 1;
}

static void write_plain(Encoding *e)
{
    for (int j = 0; j < e->width; j++)
        for (int g = 0; g < e->group_count; g++) {
            const Group *group = e->groups + g;
            const u8 *symbols = e->planes + j * e->m + group->begin;
            if (coding_of(group, j, symbols[0]) == SEGMENT_RAW) {
                memcpy(e->w.at, symbols, group->n);
                e->w.at += group->n;
            }
        }
}

Outcome encode_grouped(const u8 *raw, const u8 *base, size_t size, int width, int ordered, int shift,
                       Output *output)
{
    Encoding e = {.m = size / width, .rest = size % width, .width = width};
    if (!e.m)
        return REFUSED;
    if (!allocate(&e, size))
        return NO_MEMORY;
    sort_into_groups(&e, raw, base, ordered, shift);
    if (!write_head(&e, size, ordered, shift) || !write_codings(&e) || !write_ranged(&e)) {
        free(e.out);
        return REFUSED;
    }
    write_plain(&e);
    memcpy(e.w.at, raw + e.m * width, e.rest);
    *output = (Output){e.out, (size_t)(e.w.at + e.rest - e.out)};
    return DONE;
}
