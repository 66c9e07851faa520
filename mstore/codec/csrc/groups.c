/* Keys and groups of the grouped difference. */

#include "groups.h"

#include <string.h>

#include "elements.h"
#include "tables.h"

void order_keys(const u8 *base, size_t m, int width, int ordered, int shift, u8 *keys,
                size_t (*cursor)[KEYS], size_t *totals)
{
    u32 counts[QUARTERS][KEYS];
    size_t quarter = m / QUARTERS, at = 0;
    element_keys(width, base, keys, m, ordered, shift);
    /* What is left over belongs to the last quarter. */
    for (int q = 0; q < QUARTERS; q++)
        count_values(keys + q * quarter, q == QUARTERS - 1 ? m - q * quarter : quarter, counts[q]);
    for (int k = 0; k < KEYS; k++) {
        size_t begin = at;
        for (int q = 0; q < QUARTERS; q++) {
            cursor[q][k] = at;
            at += counts[q][k];
        }
        totals[k] = at - begin;
    }
}

static u64 group_cost(const Group *g, int width)
{
    u64 cost = 0;
    for (int j = 0; j < width; j++)
        cost += expected_bits(g->counts[j], g->n);
    return cost;
}

static void join_groups(const Group *a, const Group *b, int width, Group *both)
{
    both->last_key = b->last_key;
    both->begin = a->begin;
    both->n = a->n + b->n;
    for (int j = 0; j < width; j++)
        for (int s = 0; s < SYMBOLS; s++)
            both->counts[j][s] = a->counts[j][s] + b->counts[j][s];
    both->cost = group_cost(both, width);
}

int make_groups(const u8 *planes, size_t m, int width, const size_t *totals, Group *groups)
{
    Group *next = groups + MAX_GROUPS, *both = next + 1;
    int count = 0;
    size_t at = 0;
    for (int k = 0; k < KEYS; k++) {
        if (!totals[k])
            continue;
        next->last_key = k;
        next->begin = at;
        next->n = totals[k];
        for (int j = 0; j < width; j++)
            count_values(planes + j * m + at, totals[k], next->counts[j]);
        next->cost = group_cost(next, width);
        at += totals[k];
        if (count) {
            Group *last = groups + count - 1;
            join_groups(last, next, width, both);
            if (count == MAX_GROUPS || both->cost <= last->cost + next->cost) {
                memcpy(last, both, sizeof *both);
                continue;
            }
        }
        memcpy(groups + count++, next, sizeof *next);
    }
    return count;
}

int coding_of(const Group *group, int j, u8 first)
{
    if (group->counts[j][first] == group->n)
        return SEGMENT_REPEATED;
    u64 raw = 8 * (u64)group->n;
    return expected_bits(group->counts[j], group->n) < raw - (raw >> 6) ? SEGMENT_TABLE : SEGMENT_RAW;
}
