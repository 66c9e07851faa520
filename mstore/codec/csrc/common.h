/* Types, limits and processor switches that all parts of the kernel share. */

#ifndef MSTORE_COMMON_H
#define MSTORE_COMMON_H

#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernel is little-endian; the numpy twin takes over elsewhere"
#endif

/* MSTORE_PORTABLE leaves out all that needs a particular processor (sanitizer builds, tests). */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(MSTORE_PORTABLE)
#define X86_VECTORS 1
#else
#define X86_VECTORS 0
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define CHUNK 1024 /* elements that a pass keeps in the first-level cache */
#define QUARTERS 4 /* runs of elements that are sorted side by side */
#define KEYS 256
#define SYMBOLS 256
#define WIDTH_MOST 8
#define WINDOWS 8  /* of a sample, spread evenly */
#define WINDOW 512 /* elements of each */
#define SCALE_BITS 12
#define SCALE (1u << SCALE_BITS)

/* What became of a call. */
typedef enum {
    NO_MEMORY = -1,
    REFUSED = 0, /* decoding: the bytes are damaged; encoding: the result would be no smaller */
    DONE = 1,
    REPEATED = 2 /* encoding a plane: all its bytes are equal */
} Outcome;

/* Bytes that an encoder allocated; the caller frees them. Empty unless the outcome is DONE. */
typedef struct {
    u8 *bytes;
    size_t size;
} Output;

#endif
