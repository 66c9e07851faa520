/* What both ways of the grouped difference share: the order of the base's keys, and the groups of
 * keys (docs/format.md, section 6.5). */

#ifndef MSTORE_GROUPS_H
#define MSTORE_GROUPS_H

#include "common.h"

#define MAX_GROUPS 64

/* How one group's stretch of one plane is stored. */
enum { SEGMENT_RAW, SEGMENT_REPEATED, SEGMENT_TABLE };

/* A range of keys that share tables, one for each plane. */
typedef struct {
    int last_key;
    size_t begin, n; /* its elements in the sorted order */
    u64 cost;
    u32 counts[WIDTH_MOST][SYMBOLS];
} Group;

/* The key of each element of a base; where each quarter's elements of each key begin in the sorted
 * order; and how many elements have each key. */
void order_keys(const u8 *base, size_t m, int width, int ordered, int shift, u8 *keys,
                size_t (*cursor)[KEYS], size_t *totals);

/* Groups of sorted planes. Neighbouring keys share tables where tables of their own would cost more
 * than they save. `groups` has room for MAX_GROUPS and two more as scratch. Returns how many. */
int make_groups(const u8 *planes, size_t m, int width, const size_t *totals, Group *groups);

/* The coding of a group's stretch of plane `j`, which begins with `first`. */
int coding_of(const Group *group, int j, u8 first);

#endif
