/* One allocation a call, cut into pieces: the C library keeps what is freed whole for the next
 * call, where it would give many pieces back to the system and fault them in again. */

#ifndef MSTORE_ARENA_H
#define MSTORE_ARENA_H

#include "common.h"

typedef struct {
    u8 *start;
    size_t used;
} Arena;

static inline size_t rounded(size_t size)
{
    return (size + 127) & ~(size_t)63;
}

static inline void *take(Arena *arena, size_t size)
{
    void *piece = arena->start + arena->used;
    arena->used += rounded(size);
    return piece;
}

#endif
