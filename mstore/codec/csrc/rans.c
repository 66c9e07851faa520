/* The entropy coder: tables, the steps of a scalar processor, and the choice of vectors. */

#include "rans.h"

#include <stdlib.h>
#include <string.h>

#include "rans_x86.h"

static int vectors; /* in use: 2 AVX-512, 1 AVX2, 0 none */

static int widest(void)
{
#if X86_VECTORS
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("popcnt"))
        return 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return 2;
    return __builtin_cpu_supports("avx2") ? 1 : 0;
#else
    return 0;
#endif
}

void prepare_coder(void)
{
#if X86_VECTORS
    prepare_permutations();
#endif
    vectors = widest();
}

int use_vectors(int most)
{
    int have = widest();
    vectors = most < 0 ? 0 : most < have ? most : have;
    return vectors;
}

int lanes_log2_for(size_t n)
{
    return n >= 16384 ? 6 : n >= 2048 ? 4 : n >= 128 ? 2 : 0;
}

/* ------------------------------------------------------------ encoding */

static void fill_encode_table(EncodeTable *t, const u16 *freq)
{
    u32 begin = 0;
    for (int s = 0; s < SYMBOLS; s++) {
        t->packed[s] = freq[s] | begin << 16;
        t->inverse[s] = freq[s] ? (((u64)1 << 44) + freq[s] - 1) / freq[s] : 0;
        begin += freq[s];
    }
}

/* x < frequency << 20 when the division takes place, so the product stays under 2^64 and the
 * rounded-up inverse gives the exact quotient: x × (error < 1) / 2^44 < 1 / frequency. */
static inline u16 *encode_steps(const EncodeTable *restrict t, const u8 *restrict s, size_t n,
                                u32 *restrict x, u16 *restrict out)
{
    for (size_t k = n; k-- > 0;) {
        u32 packed = t->packed[s[k]], f = packed & 0xFFFF, state = x[k];
        u32 emit = state >= f << 20;
        out[-1] = (u16)state; /* stays only if emitted */
        out -= emit;
        state >>= 16 * emit;
        u32 q = (u32)((state * t->inverse[s[k]]) >> 44);
        x[k] = (q << SCALE_BITS) + (state - q * f) + (packed >> 16);
    }
    return out;
}

u16 *encode_segments(const Segment *segments, size_t count, int lanes_log2, EncodeTable *t, u32 *x,
                     u16 *out)
{
    size_t lanes = (size_t)1 << lanes_log2;
    for (size_t k = 0; k < lanes; k++)
        x[k] = STATE_LOW;
    while (count-- > 0) {
        const Segment *segment = segments + count;
        size_t steps = segment->n >> lanes_log2;
        fill_encode_table(t, segment->freq);
        out = encode_steps(t, segment->symbols + (steps << lanes_log2), segment->n & (lanes - 1), x, out);
#if X86_VECTORS
        if (lanes == 64 && vectors) {
            out = vectors == 2 ? encode_run_avx512(t, segment->symbols, steps, x, out)
                               : encode_run_avx2(t, segment->symbols, steps, x, out);
            continue;
        }
#endif
        while (steps-- > 0)
            out = encode_steps(t, segment->symbols + (steps << lanes_log2), lanes, x, out);
    }
    return out;
}

u8 *write_coded(u8 *at, int lanes_log2, const u32 *states, const u16 *words, size_t words_size)
{
    size_t states_size = (size_t)4 << lanes_log2;
    *at++ = (u8)lanes_log2;
    memcpy(at, states, states_size);
    memcpy(at + states_size, words, words_size);
    return at + states_size + words_size;
}

/* ------------------------------------------------------------ decoding */

Outcome open_coded(Coded *coded, const u8 *at, const u8 *end)
{
    coded->words = NULL;
    if (at == end || *at > MAX_LANES_LOG2)
        return REFUSED;
    coded->lanes_log2 = *at++;
    size_t states_size = (size_t)4 << coded->lanes_log2, left = (size_t)(end - at);
    if (left < states_size || (left - states_size) & 1)
        return REFUSED;
    memcpy(coded->states, at, states_size);
    left -= states_size;
    coded->words = malloc(left + 2);
    if (!coded->words)
        return NO_MEMORY;
    memcpy(coded->words, at + states_size, left);
    coded->next = coded->words;
    coded->end = coded->words + left / 2;
    return DONE;
}

void close_coded(Coded *coded)
{
    free(coded->words);
}

/* One entry a slot: frequency, (slot − begin) << 12, symbol << 24. */
static void fill_decode_table(u32 *t, const u16 *freq)
{
    u32 *at = t;
    for (u32 s = 0; s < SYMBOLS; s++) {
        u32 entry = freq[s] | s << 24, f = freq[s];
        for (u32 i = 0; i < f; i++)
            at[i] = entry + (i << 12);
        at += f;
    }
}

/* 0 if the words end too soon. */
static int decode_steps(const u32 *restrict table, u8 *restrict s, size_t n, u32 *restrict x,
                        const u16 **restrict words, const u16 *end)
{
    const u16 *in = *words;
    if ((size_t)(end - in) >= n) {
        for (size_t k = 0; k < n; k++) {
            u32 entry = table[x[k] & (SCALE - 1)];
            u32 state = (entry & 0xFFF) * (x[k] >> SCALE_BITS) + ((entry >> 12) & 0xFFF);
            u32 need = state < STATE_LOW; /* as a number: a branch would be guessed wrong */
            s[k] = (u8)(entry >> 24);
            x[k] = state << (16 * need) | (*in & (0 - need));
            in += need;
        }
    } else {
        for (size_t k = 0; k < n; k++) {
            u32 entry = table[x[k] & (SCALE - 1)];
            u32 state = (entry & 0xFFF) * (x[k] >> SCALE_BITS) + ((entry >> 12) & 0xFFF);
            s[k] = (u8)(entry >> 24);
            if (state < STATE_LOW) {
                if (in == end)
                    return 0;
                state = state << 16 | *in++;
            }
            x[k] = state;
        }
    }
    *words = in;
    return 1;
}

int decode_segment(Coded *coded, const u16 *freq, u8 *symbols, size_t n, u32 *table)
{
    int lanes_log2 = coded->lanes_log2;
    size_t lanes = (size_t)1 << lanes_log2, steps = n >> lanes_log2, done = 0;
    u32 *x = coded->states;
    const u16 **words = &coded->next, *end = coded->end;
    fill_decode_table(table, freq);
#if X86_VECTORS
    if (lanes == 64 && vectors)
        done = vectors == 2 ? decode_run_avx512(table, symbols, steps, x, words, end)
                            : decode_run_avx2(table, symbols, steps, x, words, end);
#endif
    for (; done < steps; done++)
        if (!decode_steps(table, symbols + (done << lanes_log2), lanes, x, words, end))
            return 0;
    return decode_steps(table, symbols + (steps << lanes_log2), n & (lanes - 1), x, words, end);
}

int ended_well(const Coded *coded)
{
    u32 wrong = 0;
    for (int k = 0; k < 1 << coded->lanes_log2; k++)
        wrong |= coded->states[k] ^ STATE_LOW;
    return !wrong && coded->next == coded->end;
}
