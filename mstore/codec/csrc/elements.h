/* Loops over the elements of a block: byte planes, differences to a base, and the order of the
 * base's keys. `width` is an element's bytes: 1, 2, 4 or 8; `m` counts elements. */

#ifndef MSTORE_ELEMENTS_H
#define MSTORE_ELEMENTS_H

#include "common.h"

/* Byte planes, `stride` bytes apart: of the elements (rotated left if `how`), or with a base of the
 * zigzagged differences (of ordered integers if `how`), negated by the base's sign if `orient`. */
void split_elements(int width, const u8 *raw, const u8 *base, u8 *planes, size_t stride, size_t m,
                    int how, int orient);

/* Undoes a split without `orient`. */
void join_elements(int width, const u8 *const *planes, const u8 *base, u8 *out, size_t m, int how);

/* The key of each element of a base: (u >> shift) & 255, u without its sign if `ordered`. */
void element_keys(int width, const u8 *base, u8 *keys, size_t m, int ordered, int shift);

/* Differences in the stable order of the base's keys. `cursor` says where the elements of each
 * quarter and key begin; it is used up. */
void sort_differences(int width, const u8 *raw, const u8 *base, const u8 *keys,
                      size_t (*cursor)[KEYS], void *sorted, size_t m, int ordered);
void unsort_differences(int width, const void *sorted, const u8 *base, const u8 *keys,
                        size_t (*cursor)[KEYS], u8 *out, size_t m, int ordered);

/* Byte planes, `m` bytes apart, of sorted differences; and back. */
void split_sorted(int width, const void *sorted, u8 *planes, size_t m);
void join_sorted(int width, const u8 *planes, void *sorted, size_t m);

#endif
