/* The entropy coder in AVX-512 and AVX2; elsewhere this file is empty. */

#include "rans_x86.h"

#if X86_VECTORS

#include <immintrin.h>
#include <string.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,popcnt")))

/* The quotient is estimated in single precision:
 * it is under 2^20 and three roundings of 2^-23 put it off by one at most, which is mended. */
AVX512 u16 *encode_run_avx512(const EncodeTable *t, const u8 *symbols, size_t steps, u32 *x,
                                     u16 *out)
{
    __m512i state[4];
    const __m512i low = _mm512_set1_epi32(0xFFFF), one = _mm512_set1_epi32(1);
    const __m512 two = _mm512_set1_ps(2.0f);
    for (int v = 0; v < 4; v++)
        state[v] = _mm512_loadu_si512(x + 16 * v);
    while (steps-- > 0) {
        const u8 *s = symbols + 64 * steps;
#pragma GCC unroll 4
        for (int v = 3; v >= 0; v--) {
            __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(s + 16 * v)));
            __m512i packed = _mm512_i32gather_epi32(index, t->packed, 4);
            __m512i f = _mm512_and_si512(packed, low), now = state[v];
            __mmask16 emit = _mm512_cmpge_epu32_mask(now, _mm512_slli_epi32(f, 20));
            __m256i words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(emit, now));
            int count = __builtin_popcount(emit);
            out -= count;
            _mm256_mask_storeu_epi16(out, (__mmask16)((1u << count) - 1), words);
            now = _mm512_mask_srli_epi32(now, emit, now, 16);
            __m512 divisor = _mm512_cvtepu32_ps(f), inverse = _mm512_rcp14_ps(divisor);
            inverse = _mm512_mul_ps(inverse, _mm512_fnmadd_ps(divisor, inverse, two));
            __m512i q = _mm512_cvttps_epu32(_mm512_mul_ps(_mm512_cvtepu32_ps(now), inverse));
            __m512i r = _mm512_sub_epi32(now, _mm512_mullo_epi32(q, f));
            __mmask16 over = _mm512_cmplt_epi32_mask(r, _mm512_setzero_si512());
            q = _mm512_mask_sub_epi32(q, over, q, one);
            r = _mm512_mask_add_epi32(r, over, r, f);
            __mmask16 under = _mm512_cmpge_epu32_mask(r, f);
            q = _mm512_mask_add_epi32(q, under, q, one);
            r = _mm512_mask_sub_epi32(r, under, r, f);
            state[v] = _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(q, SCALE_BITS), r),
                                        _mm512_srli_epi32(packed, 16));
        }
    }
    for (int v = 0; v < 4; v++)
        _mm512_storeu_si512(x + 16 * v, state[v]);
    return out;
}

AVX512 size_t decode_run_avx512(const u32 *table, u8 *symbols, size_t steps, u32 *x,
                                       const u16 **words, const u16 *end)
{
    __m512i state[4];
    const u16 *in = *words;
    const __m512i slot = _mm512_set1_epi32(SCALE - 1), low = _mm512_set1_epi32(STATE_LOW);
    size_t done = 0;
    for (int v = 0; v < 4; v++)
        state[v] = _mm512_loadu_si512(x + 16 * v);
    for (; done < steps && end - in >= 80; done++) {
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            __m512i now = state[v];
            __m512i entry = _mm512_i32gather_epi32(_mm512_and_si512(now, slot), table, 4);
            __m512i f = _mm512_and_si512(entry, slot);
            __m512i bias = _mm512_and_si512(_mm512_srli_epi32(entry, 12), slot);
            now = _mm512_add_epi32(_mm512_mullo_epi32(f, _mm512_srli_epi32(now, SCALE_BITS)), bias);
            __mmask16 need = _mm512_cmplt_epu32_mask(now, low);
            __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)in));
            next = _mm512_maskz_expand_epi32(need, next);
            in += __builtin_popcount(need);
            now = _mm512_mask_slli_epi32(now, need, now, 16);
            state[v] = _mm512_or_si512(now, next);
            _mm_storeu_si128((__m128i *)(symbols + 64 * done + 16 * v),
                             _mm512_cvtepi32_epi8(_mm512_srli_epi32(entry, 24)));
        }
    }
    for (int v = 0; v < 4; v++)
        _mm512_storeu_si512(x + 16 * v, state[v]);
    *words = in;
    return done;
}

#define AVX2 __attribute__((target("avx2,popcnt")))

/* Where the k-th set bit of a byte stands in vectors of eight, for each byte: first set bits first
 * for reading, last set bits last for writing. */
static u32 spread[256][8], gathered[256][8];

void prepare_permutations(void)
{
    for (int mask = 0; mask < 256; mask++) {
        int set = __builtin_popcount((unsigned)mask), k = 0;
        memset(spread[mask], 0, sizeof spread[mask]);
        memset(gathered[mask], 0, sizeof gathered[mask]);
        for (int bit = 0; bit < 8; bit++)
            if (mask >> bit & 1) {
                spread[mask][bit] = (u32)k;
                gathered[mask][8 - set + k++] = (u32)bit;
            }
    }
}

AVX2 u16 *encode_run_avx2(const EncodeTable *t, const u8 *symbols, size_t steps, u32 *x,
                                 u16 *out)
{
    const __m256i low = _mm256_set1_epi32(0xFFFF), one = _mm256_set1_epi32(1);
    while (steps-- > 0) {
        const u8 *s = symbols + 64 * steps;
        for (int v = 7; v >= 0; v--) {
            __m256i now = _mm256_loadu_si256((const __m256i *)(x + 8 * v));
            __m256i index = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(s + 8 * v)));
            __m256i packed = _mm256_i32gather_epi32((const int *)t->packed, index, 4);
            __m256i f = _mm256_and_si256(packed, low), limit = _mm256_slli_epi32(f, 20);
            __m256i emit = _mm256_cmpeq_epi32(_mm256_max_epu32(now, limit), now);
            int mask = _mm256_movemask_ps(_mm256_castsi256_ps(emit));
            __m256i words = _mm256_permutevar8x32_epi32(
                _mm256_and_si256(now, low), _mm256_loadu_si256((const __m256i *)gathered[mask]));
            /* Eight words that end where the last ones begin; those in front are overwritten. */
            _mm_storeu_si128((__m128i *)(out - 8), _mm_packus_epi32(_mm256_castsi256_si128(words),
                                                                    _mm256_extracti128_si256(words, 1)));
            out -= __builtin_popcount((unsigned)mask);
            now = _mm256_blendv_epi8(now, _mm256_srli_epi32(now, 16), emit);
            __m256 single = _mm256_add_ps(
                _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(now, 16)), _mm256_set1_ps(65536.0f)),
                _mm256_cvtepi32_ps(_mm256_and_si256(now, low)));
            __m256i q = _mm256_cvttps_epi32(_mm256_div_ps(single, _mm256_cvtepi32_ps(f)));
            __m256i r = _mm256_sub_epi32(now, _mm256_mullo_epi32(q, f));
            __m256i over = _mm256_cmpgt_epi32(_mm256_setzero_si256(), r);
            q = _mm256_add_epi32(q, over);
            r = _mm256_add_epi32(r, _mm256_and_si256(over, f));
            __m256i under = _mm256_cmpgt_epi32(r, _mm256_sub_epi32(f, one));
            q = _mm256_sub_epi32(q, under);
            r = _mm256_sub_epi32(r, _mm256_and_si256(under, f));
            now = _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(q, SCALE_BITS), r),
                                   _mm256_srli_epi32(packed, 16));
            _mm256_storeu_si256((__m256i *)(x + 8 * v), now);
        }
    }
    return out;
}

AVX2 size_t decode_run_avx2(const u32 *table, u8 *symbols, size_t steps, u32 *x,
                                   const u16 **words, const u16 *end)
{
    const u16 *in = *words;
    const __m256i slot = _mm256_set1_epi32(SCALE - 1);
    const __m256i tops = _mm256_setr_epi8(3, 7, 11, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                          3, 7, 11, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    size_t done = 0;
    for (; done < steps && end - in >= 80; done++)
        for (int v = 0; v < 8; v++) {
            __m256i now = _mm256_loadu_si256((const __m256i *)(x + 8 * v));
            __m256i entry =
                _mm256_i32gather_epi32((const int *)table, _mm256_and_si256(now, slot), 4);
            __m256i f = _mm256_and_si256(entry, slot);
            __m256i bias = _mm256_and_si256(_mm256_srli_epi32(entry, 12), slot);
            now = _mm256_add_epi32(_mm256_mullo_epi32(f, _mm256_srli_epi32(now, SCALE_BITS)), bias);
            __m256i need = _mm256_cmpeq_epi32(_mm256_srli_epi32(now, 16), _mm256_setzero_si256());
            int mask = _mm256_movemask_ps(_mm256_castsi256_ps(need));
            __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)in));
            next = _mm256_permutevar8x32_epi32(next, _mm256_loadu_si256((const __m256i *)spread[mask]));
            in += __builtin_popcount((unsigned)mask);
            next = _mm256_or_si256(_mm256_slli_epi32(now, 16), next);
            _mm256_storeu_si256((__m256i *)(x + 8 * v), _mm256_blendv_epi8(now, next, need));
            entry = _mm256_shuffle_epi8(entry, tops);
            u32 first = (u32)_mm256_extract_epi32(entry, 0), second = (u32)_mm256_extract_epi32(entry, 4);
            memcpy(symbols + 64 * done + 8 * v, &first, 4);
            memcpy(symbols + 64 * done + 8 * v + 4, &second, 4);
        }
    *words = in;
    return done;
}
#endif

