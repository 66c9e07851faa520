/* The entropy coder: ranged symbols (docs/format.md, section 6.7).
 *
 * It is range asymmetric numeral systems: J. Duda, "Asymmetric numeral systems: entropy coding
 * combining speed of Huffman coding with compression rate of arithmetic coding", arXiv:1311.2540.
 * The words of many coders are interleaved so that a vector of them can run in step: F. Giesen,
 * "Interleaved entropy coders", arXiv:1402.3392. */

#ifndef MSTORE_RANS_H
#define MSTORE_RANS_H

#include "common.h"

#define MAX_LANES_LOG2 6
#define MAX_LANES (1 << MAX_LANES_LOG2)
#define STATE_LOW (1u << 16)
#define WORDS_SLACK 8 /* words below the first one that a vector may write */

typedef struct {
    u32 packed[SYMBOLS]; /* frequency, and where it begins << 16 */
    u64 inverse[SYMBOLS]; /* 2^44 over the frequency, rounded up */
} EncodeTable;

/* Symbols that are coded by one table. */
typedef struct {
    const u8 *symbols;
    size_t n;
    const u16 *freq;
} Segment;

/* Lanes, states and words as they are stored; the words are a copy, for they must be aligned. */
typedef struct {
    int lanes_log2;
    u32 states[MAX_LANES];
    u16 *words; /* owned; NULL if there is nothing to free */
    const u16 *next, *end;
} Coded;

/* To be called once, before any other function of this header. */
void prepare_coder(void);

/* Uses the widest vectors that the processor has, at most these: 2 AVX-512, 1 AVX2, 0 none. Returns
 * those in use. The bytes are the same whichever they are. */
int use_vectors(int most);

int lanes_log2_for(size_t n);

/* Writes the words of all segments downward from `out` and leaves the states in `x`. Returns the
 * first word. Segments and steps are coded from the last one to the first. */
u16 *encode_segments(const Segment *segments, size_t count, int lanes_log2, EncodeTable *t, u32 *x,
                     u16 *out);

/* Appends lanes, states and words at `at`, where there must be room for them. Returns its end. */
u8 *write_coded(u8 *at, int lanes_log2, const u32 *states, const u16 *words, size_t words_size);

/* REFUSED if the bytes cannot be lanes, states and words. */
Outcome open_coded(Coded *coded, const u8 *at, const u8 *end);
void close_coded(Coded *coded);

/* Decodes one segment; `table` is room for SCALE entries. 0 if the words end too soon. */
int decode_segment(Coded *coded, const u16 *freq, u8 *symbols, size_t n, u32 *table);

/* 1 if all words were read and every lane came back to where its encoder began. */
int ended_well(const Coded *coded);

#endif
