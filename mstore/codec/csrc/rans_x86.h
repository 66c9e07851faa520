/* The entropy coder's whole steps of 64 lanes, by vectors of x86. */

#ifndef MSTORE_RANS_X86_H
#define MSTORE_RANS_X86_H

#include "rans.h"

#if X86_VECTORS

void prepare_permutations(void);

/* Encodes whole steps, the last one first. */
u16 *encode_run_avx512(const EncodeTable *t, const u8 *symbols, size_t steps, u32 *x, u16 *out);
u16 *encode_run_avx2(const EncodeTable *t, const u8 *symbols, size_t steps, u32 *x, u16 *out);

/* Decodes whole steps for as long as 64 words and a vector more are left. Returns how many. */
size_t decode_run_avx512(const u32 *table, u8 *symbols, size_t steps, u32 *x, const u16 **words,
                         const u16 *end);
size_t decode_run_avx2(const u32 *table, u8 *symbols, size_t steps, u32 *x, const u16 **words,
                       const u16 *end);

#endif
#endif
