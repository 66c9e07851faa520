/* The hot loops of the block modes (docs/format.md, section 6) for one core.
 *
 * Hides: how the loops are laid out for the processor at hand. It does not know ids, checksums,
 * zstd, or which mode is to be taken; mstore/codec/twin.py does the same, byte for byte, in numpy.
 * Every size is checked against the buffers that Python hands over before the loops begin, every
 * read of stored bytes while they run, and the GIL is released meanwhile.
 *
 * The entropy coder is range asymmetric numeral systems: J. Duda, "Asymmetric numeral systems:
 * entropy coding combining speed of Huffman coding with compression rate of arithmetic coding",
 * arXiv:1311.2540. Interleaving the words of many coders so that a vector of them can run in step:
 * F. Giesen, "Interleaved entropy coders", arXiv:1402.3392.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernel is little-endian; the numpy twin takes over elsewhere"
#endif

/* MSTORE_PORTABLE leaves out all that needs a particular processor (sanitizer builds, tests). */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(MSTORE_PORTABLE)
#define X86_VECTORS 1
#include <immintrin.h>
#else
#define X86_VECTORS 0
#endif

#if defined(CLONES) /* said by the build: empty where resolvers run too early, as for sanitizers */
#elif X86_VECTORS && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define CLONES __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#elif X86_VECTORS && defined(__GLIBC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "avx2")))
#else
#define CLONES
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define CHUNK 1024   /* elements that a pass keeps in the first-level cache */
#define QUARTERS 4   /* runs of elements that are sorted side by side */
#define KEYS 256
#define SYMBOLS 256
#define WINDOWS 8   /* of a sample, spread evenly */
#define WINDOW 512  /* elements of each */
#define MAX_GROUPS 64
#define SCALE_BITS 12
#define SCALE (1u << SCALE_BITS)
#define MAX_LANES_LOG2 6
#define MAX_LANES (1 << MAX_LANES_LOG2)
#define STATE_LOW (1u << 16)
#define MOST (1 << 30) /* bytes a call, so that counts fit 32 bits; a block has 2^26 at most */
#define SLACK 8 /* words below the first one that a vector may write */

/* One allocation a call, cut into pieces: what is freed whole is kept by the C library for the next
 * call, where many pieces would be given back to the system and faulted in again. */
typedef struct {
    u8 *start;
    size_t used;
} Arena;

static size_t rounded(size_t size)
{
    return (size + 127) & ~(size_t)63;
}

static void *take(Arena *arena, size_t size)
{
    void *piece = arena->start + arena->used;
    arena->used += rounded(size);
    return piece;
}

enum { SEGMENT_RAW, SEGMENT_REPEATED, SEGMENT_TABLE };

/* ------------------------------------------------------------ element loops, one set a width */

#define DEFINE_ELEMENTS(T, S, W)                                                                   \
    CLONES static void load_##W(const u8 *in, T *out, size_t n, int rotate)                        \
    {                                                                                              \
        memcpy(out, in, n * W);                                                                    \
        if (rotate)                                                                                \
            for (size_t i = 0; i < n; i++)                                                         \
                out[i] = (T)((T)(out[i] << 1) | (T)(out[i] >> (8 * W - 1)));                       \
    }                                                                                              \
    CLONES static void unrotate_##W(const T *in, u8 *out, size_t n, int rotate)                    \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            T v = in[i];                                                                           \
            if (rotate)                                                                            \
                v = (T)((T)(v >> 1) | (T)(v << (8 * W - 1)));                                      \
            memcpy(out + i * W, &v, W);                                                            \
        }                                                                                          \
    }                                                                                              \
    /* Zigzagged difference of ordered integers; `orient` turns it by the base's sign. */          \
    CLONES static void difference_##W(const u8 *raw, const u8 *base, T *out, size_t n,             \
                                      int ordered, int orient)                                     \
    {                                                                                              \
        const T top = ordered ? (T)((T)1 << (8 * W - 1)) : 0;                                      \
        const T use = ordered ? (T)~(T)0 : 0, turn = orient ? (T)~(T)0 : 0;                        \
        for (size_t i = 0; i < n; i++) {                                                           \
            T a, b;                                                                                \
            memcpy(&a, raw + i * W, W);                                                            \
            memcpy(&b, base + i * W, W);                                                           \
            T sa = (T)((T)(0 - (T)(a >> (8 * W - 1))) & use);                                      \
            T sb = (T)((T)(0 - (T)(b >> (8 * W - 1))) & use);                                      \
            T d = (T)((T)(a ^ (T)(sa | top)) - (T)(b ^ (T)(sb | top)));                            \
            sb &= turn;                                                                            \
            d = (T)((T)(d ^ sb) - sb);                                                             \
            out[i] = (T)((T)(d << 1) ^ (T)(0 - (T)(d >> (8 * W - 1))));                            \
        }                                                                                          \
    }                                                                                              \
    CLONES static void undo_##W(const T *in, const u8 *base, u8 *out, size_t n, int ordered,       \
                                int orient)                                                        \
    {                                                                                              \
        const T top = ordered ? (T)((T)1 << (8 * W - 1)) : 0;                                      \
        const T use = ordered ? (T)~(T)0 : 0, turn = orient ? (T)~(T)0 : 0;                        \
        for (size_t i = 0; i < n; i++) {                                                           \
            T z = in[i], b;                                                                        \
            memcpy(&b, base + i * W, W);                                                           \
            T d = (T)((T)(z >> 1) ^ (T)(0 - (T)(z & 1)));                                          \
            T sb = (T)((T)(0 - (T)(b >> (8 * W - 1))) & use);                                      \
            T st = sb & turn;                                                                      \
            d = (T)((T)(d ^ st) - st);                                                             \
            T own = (T)((T)(b ^ (T)(sb | top)) + d);                                               \
            T so = (T)((T)((T)(own >> (8 * W - 1)) - 1) & use);                                    \
            own ^= (T)(so | top);                                                                  \
            memcpy(out + i * W, &own, W);                                                          \
        }                                                                                          \
    }                                                                                              \
    CLONES static void keys_##W(const u8 *base, u8 *out, size_t n, int ordered, int shift)         \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            T b;                                                                                   \
            memcpy(&b, base + i * W, W);                                                           \
            b = ordered ? (T)(b << 1) : b;                                                         \
            out[i] = (u8)(b >> shift);                                                             \
        }                                                                                          \
    }                                                                                              \
    CLONES static void split_##W(const T *in, u8 *out, size_t stride, size_t n)                    \
    {                                                                                              \
        for (int j = 0; j < W; j++) {                                                              \
            u8 *plane = out + j * stride;                                                          \
            for (size_t i = 0; i < n; i++)                                                         \
                plane[i] = (u8)(in[i] >> (8 * j));                                                 \
        }                                                                                          \
    }                                                                                              \
    CLONES static void join_##W(const u8 *const *planes, T *out, size_t n)                         \
    {                                                                                              \
        const u8 *p = planes[0];                                                                   \
        for (size_t i = 0; i < n; i++)                                                             \
            out[i] = p[i];                                                                         \
        for (int j = 1; j < W; j++) {                                                              \
            p = planes[j];                                                                         \
            for (size_t i = 0; i < n; i++)                                                         \
                out[i] = (T)(out[i] | (T)((T)p[i] << (8 * j)));                                    \
        }                                                                                          \
    }                                                                                              \
    static void scatter_##W(const T *in, const u8 *keys, size_t n, size_t *cursor, T *out)         \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            out[cursor[keys[i]]++] = in[i];                                                        \
    }                                                                                              \
    static void scatter4_##W(const T *in, const u8 *keys, size_t stride, size_t n,                 \
                             size_t (*cursor)[KEYS], T *out)                                       \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            out[cursor[0][keys[i]]++] = in[i];                                                     \
            out[cursor[1][keys[stride + i]]++] = in[CHUNK + i];                                     \
            out[cursor[2][keys[2 * stride + i]]++] = in[2 * CHUNK + i];                             \
            out[cursor[3][keys[3 * stride + i]]++] = in[3 * CHUNK + i];                             \
        }                                                                                          \
    }                                                                                              \
    static void collect_##W(const T *sorted, const u8 *keys, size_t n, size_t *cursor, T *out)     \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            out[i] = sorted[cursor[keys[i]]++];                                                    \
    }                                                                                              \
    static void collect4_##W(const T *sorted, const u8 *keys, size_t stride, size_t n,             \
                             size_t (*cursor)[KEYS], T *out)                                       \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            out[i] = sorted[cursor[0][keys[i]]++];                                                 \
            out[CHUNK + i] = sorted[cursor[1][keys[stride + i]]++];                                 \
            out[2 * CHUNK + i] = sorted[cursor[2][keys[2 * stride + i]]++];                         \
            out[3 * CHUNK + i] = sorted[cursor[3][keys[3 * stride + i]]++];                         \
        }                                                                                          \
    }                                                                                              \
    static void split_all_##W(const u8 *raw, const u8 *base, u8 *out, size_t m, int how)           \
    {                                                                                              \
        T z[CHUNK];                                                                                \
        for (size_t i = 0; i < m; i += CHUNK) {                                                    \
            size_t n = m - i < CHUNK ? m - i : CHUNK;                                              \
            if (base)                                                                              \
                difference_##W(raw + i * W, base + i * W, z, n, how, 0);                           \
            else                                                                                   \
                load_##W(raw + i * W, z, n, how);                                                  \
            split_##W(z, out + i, m, n);                                                           \
        }                                                                                          \
    }                                                                                              \
    static void join_all_##W(const u8 *const *planes, const u8 *base, u8 *out, size_t m, int how)  \
    {                                                                                              \
        T z[CHUNK];                                                                                \
        const u8 *at[8];                                                                           \
        for (size_t i = 0; i < m; i += CHUNK) {                                                    \
            size_t n = m - i < CHUNK ? m - i : CHUNK;                                              \
            for (int j = 0; j < W; j++)                                                            \
                at[j] = planes[j] + i;                                                             \
            join_##W(at, z, n);                                                                    \
            if (base)                                                                              \
                undo_##W(z, base + i * W, out + i * W, n, how, 0);                                 \
            else                                                                                   \
                unrotate_##W(z, out + i * W, n, how);                                              \
        }                                                                                          \
    }                                                                                              \
    /* Differences in the stable order of the base's keys. */                                      \
    static void sort_all_##W(const u8 *raw, const u8 *base, const u8 *keys, void *sorted,          \
                             size_t m, int ordered, size_t (*cursor)[KEYS])                        \
    {                                                                                              \
        T z[QUARTERS * CHUNK];                                                                     \
        size_t quarter = m / QUARTERS;                                                             \
        for (size_t i = 0; i < quarter; i += CHUNK) {                                              \
            size_t n = quarter - i < CHUNK ? quarter - i : CHUNK;                                  \
            for (int q = 0; q < QUARTERS; q++) {                                                   \
                size_t at = (q * quarter + i) * W;                                                 \
                difference_##W(raw + at, base + at, z + q * CHUNK, n, ordered, ordered);           \
            }                                                                                      \
            scatter4_##W(z, keys + i, quarter, n, cursor, (T *)sorted);                            \
        }                                                                                          \
        size_t done = quarter * QUARTERS;                                                          \
        difference_##W(raw + done * W, base + done * W, z, m - done, ordered, ordered);            \
        scatter_##W(z, keys + done, m - done, cursor[QUARTERS - 1], (T *)sorted);                  \
    }                                                                                              \
    static void unsort_all_##W(const void *sorted, const u8 *base, const u8 *keys, u8 *out,        \
                               size_t m, int ordered, size_t (*cursor)[KEYS])                      \
    {                                                                                              \
        T z[QUARTERS * CHUNK];                                                                     \
        size_t quarter = m / QUARTERS;                                                             \
        for (size_t i = 0; i < quarter; i += CHUNK) {                                              \
            size_t n = quarter - i < CHUNK ? quarter - i : CHUNK;                                  \
            collect4_##W((const T *)sorted, keys + i, quarter, n, cursor, z);                      \
            for (int q = 0; q < QUARTERS; q++) {                                                   \
                size_t at = (q * quarter + i) * W;                                                 \
                undo_##W(z + q * CHUNK, base + at, out + at, n, ordered, ordered);                 \
            }                                                                                      \
        }                                                                                          \
        size_t done = quarter * QUARTERS;                                                          \
        collect_##W((const T *)sorted, keys + done, m - done, cursor[QUARTERS - 1], z);            \
        undo_##W(z, base + done * W, out + done * W, m - done, ordered, ordered);                  \
    }                                                                                              \
    static void split_sorted_##W(const void *sorted, u8 *out, size_t m)                            \
    {                                                                                              \
        for (size_t i = 0; i < m; i += CHUNK)                                                      \
            split_##W((const T *)sorted + i, out + i, m, m - i < CHUNK ? m - i : CHUNK);           \
    }                                                                                              \
    static void join_sorted_##W(const u8 *planes, void *sorted, size_t m)                          \
    {                                                                                              \
        const u8 *at[8];                                                                           \
        for (size_t i = 0; i < m; i += CHUNK) {                                                    \
            for (int j = 0; j < W; j++)                                                            \
                at[j] = planes + j * m + i;                                                        \
            join_##W(at, (T *)sorted + i, m - i < CHUNK ? m - i : CHUNK);                          \
        }                                                                                          \
    }

DEFINE_ELEMENTS(u8, int8_t, 1)
DEFINE_ELEMENTS(u16, int16_t, 2)
DEFINE_ELEMENTS(u32, int32_t, 4)
DEFINE_ELEMENTS(u64, int64_t, 8)

#define BY_WIDTH(width, name, ...)                                                                 \
    do {                                                                                           \
        if ((width) == 1)                                                                          \
            name##_1(__VA_ARGS__);                                                                 \
        else if ((width) == 2)                                                                     \
            name##_2(__VA_ARGS__);                                                                 \
        else if ((width) == 4)                                                                     \
            name##_4(__VA_ARGS__);                                                                 \
        else                                                                                       \
            name##_8(__VA_ARGS__);                                                                 \
    } while (0)

/* Counts of 8-bit values. Eight tables, as the next value is often the same again; runs of the
 * first value are stepped over. */
static void count_values(const u8 *values, size_t n, u32 *counts)
{
    u32 part[8][256];
    size_t i = 0, same = 0;
    if (n < 512) {
        memset(counts, 0, 256 * sizeof *counts);
        for (; i < n; i++)
            counts[values[i]]++;
        return;
    }
    const u64 first = values[0] * 0x0101010101010101u;
    memset(part, 0, sizeof part);
    for (; i + 8 <= n; i += 8) {
        u64 v;
        memcpy(&v, values + i, 8);
        if (v == first) {
            same += 8;
            continue;
        }
        part[0][v & 255]++;
        part[1][(v >> 8) & 255]++;
        part[2][(v >> 16) & 255]++;
        part[3][(v >> 24) & 255]++;
        part[4][(v >> 32) & 255]++;
        part[5][(v >> 40) & 255]++;
        part[6][(v >> 48) & 255]++;
        part[7][v >> 56]++;
    }
    for (; i < n; i++)
        part[0][values[i]]++;
    for (int s = 0; s < 256; s++)
        counts[s] = part[0][s] + part[1][s] + part[2][s] + part[3][s] + part[4][s] + part[5][s] +
                    part[6][s] + part[7][s];
    counts[values[0]] += (u32)same;
}

/* Keys of all elements, counted a quarter at a time; what is left over belongs to the last one. */
static void count_keys(const u8 *base, size_t m, int width, int ordered, int shift, u8 *keys,
                       size_t (*counts)[KEYS])
{
    size_t quarter = m / QUARTERS;
    BY_WIDTH(width, keys, base, keys, m, ordered, shift);
    for (int q = 0; q < QUARTERS; q++) {
        u32 part[KEYS];
        count_values(keys + q * quarter, q == QUARTERS - 1 ? m - q * quarter : quarter, part);
        for (int k = 0; k < KEYS; k++)
            counts[q][k] = part[k];
    }
}

/* Where each quarter's elements of each key begin in the sorted order; totals of the keys. */
static void place_keys(size_t (*counts)[KEYS], size_t *totals)
{
    size_t at = 0;
    for (int k = 0; k < KEYS; k++) {
        size_t begin = at;
        for (int q = 0; q < QUARTERS; q++) {
            size_t n = counts[q][k];
            counts[q][k] = at;
            at += n;
        }
        totals[k] = at - begin;
    }
}

/* ------------------------------------------------------------ bits */

typedef struct {
    u8 *at, *end;
    u64 bits;
    int held, full;
} BitWriter;

static void put_bits(BitWriter *w, u32 value, int n)
{
    w->bits |= (u64)value << w->held;
    w->held += n;
    while (w->held >= 8) {
        if (w->at < w->end)
            *w->at++ = (u8)w->bits;
        else
            w->full = 1;
        w->bits >>= 8;
        w->held -= 8;
    }
}

static void end_bits(BitWriter *w)
{
    if (w->held)
        put_bits(w, 0, 8 - w->held);
}

typedef struct {
    const u8 *at, *end;
    u64 bits;
    int held, short_of;
} BitReader;

static u32 get_bits(BitReader *r, int n)
{
    while (r->held < n) {
        if (r->at < r->end)
            r->bits |= (u64)*r->at++ << r->held;
        else
            r->short_of = 1;
        r->held += 8;
    }
    u32 value = (u32)(r->bits & (((u64)1 << n) - 1));
    r->bits >>= n;
    r->held -= n;
    return value;
}

/* ------------------------------------------------------------ tables of frequencies */

static u16 log_table[2048]; /* 256 × log2(1 + i / 2048), rounded down; filled at import */

static void fill_logs(void)
{
    for (u32 i = 0; i < 2048; i++) {
        u64 x = (u64)(2048 + i) << 20; /* in [1, 2) with 31 fractional bits */
        u32 log = 0;
        for (int bit = 0; bit < 8; bit++) {
            x = (x * x) >> 31;
            log <<= 1;
            if (x >> 32) {
                log |= 1;
                x >>= 1;
            }
        }
        log_table[i] = (u16)log;
    }
}

/* 256 × log2 of a count, rounded down, from its twelve leading bits. */
static u64 log_of(u64 count)
{
    int e = 63 - __builtin_clzll(count);
    u64 lead = e <= 11 ? count << (11 - e) : count >> (e - 11);
    return ((u64)e << 8) + log_table[lead & 2047];
}

/* Bits that `n` symbols with these counts are expected to cost, with their table, at most raw. */
static u64 expected_bits(const u32 *counts, u64 n)
{
    if (!n)
        return 0;
    u64 sum = 0;
    u32 used = 0;
    for (int s = 0; s < SYMBOLS; s++)
        if (counts[s]) {
            sum += counts[s] * log_of(counts[s]);
            used++;
        }
    if (used == 1)
        return 10;
    u64 whole = n * log_of(n);
    u64 bits = (whole > sum ? (whole - sum) >> 8 : 0) + 8 * used + 16;
    return bits < 8 * n ? bits : 8 * n;
}

/* Frequencies that sum to SCALE, at least one for a symbol that occurs. Two symbols or more. */
static void normalise(const u32 *counts, u64 n, u16 *freq)
{
    int32_t left = SCALE;
    for (int s = 0; s < SYMBOLS; s++) {
        u64 f = counts[s] ? (counts[s] * (u64)SCALE + n / 2) / n : 0;
        freq[s] = (u16)(counts[s] && !f ? 1 : f);
        left -= freq[s];
    }
    while (left) {
        int top = 0;
        for (int s = 1; s < SYMBOLS; s++)
            if (freq[s] > freq[top])
                top = s;
        if (left > 0) {
            freq[top] = (u16)(freq[top] + left);
            left = 0;
        } else {
            int32_t take = (freq[top] >> 4) + 1;
            take = take < -left ? take : -left;
            freq[top] = (u16)(freq[top] - take);
            left += take;
        }
    }
}

static int bit_length(u32 v)
{
    return v ? 32 - __builtin_clz(v) : 0;
}

static void write_table(BitWriter *w, const u16 *freq)
{
    for (int s = 0; s < SYMBOLS;) {
        int run = 0;
        while (s + run < SYMBOLS && !freq[s + run])
            run++;
        if (run >= 3) {
            put_bits(w, 13, 4);
            put_bits(w, (u32)run - 1, 8);
            s += run;
            continue;
        }
        int n = bit_length(freq[s]);
        put_bits(w, (u32)n, 4);
        if (n > 1)
            put_bits(w, freq[s] & ((1u << (n - 1)) - 1), n - 1);
        s++;
    }
}

/* 0 if the stored table is none: too long, or not of sum SCALE over two symbols or more. */
static int read_table(BitReader *r, u16 *freq)
{
    u32 sum = 0, top = 0;
    for (int s = 0; s < SYMBOLS;) {
        u32 n = get_bits(r, 4);
        if (r->short_of || n > 13)
            return 0;
        if (n == 13) {
            int run = (int)get_bits(r, 8) + 1;
            if (r->short_of || run > SYMBOLS - s)
                return 0;
            memset(freq + s, 0, run * sizeof *freq);
            s += run;
            continue;
        }
        u32 f = n > 1 ? (1u << (n - 1)) | get_bits(r, (int)n - 1) : n;
        sum += f;
        top = f > top ? f : top;
        freq[s++] = (u16)f;
    }
    return !r->short_of && sum == SCALE && top < SCALE;
}

/* ------------------------------------------------------------ the entropy coder */

typedef struct {
    u32 packed[SYMBOLS]; /* frequency, and where it begins << 16 */
    u64 inverse[SYMBOLS]; /* 2^44 over the frequency, rounded up */
} EncodeTable;

static void fill_encode_table(EncodeTable *t, const u16 *freq)
{
    u32 begin = 0;
    for (int s = 0; s < SYMBOLS; s++) {
        t->packed[s] = freq[s] | begin << 16;
        t->inverse[s] = freq[s] ? (((u64)1 << 44) + freq[s] - 1) / freq[s] : 0;
        begin += freq[s];
    }
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

typedef struct {
    const u8 *symbols;
    size_t n;
    const u16 *freq;
} Segment;

static int lanes_log2_for(size_t n)
{
    return n >= 16384 ? 6 : n >= 2048 ? 4 : n >= 128 ? 2 : 0;
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

#if X86_VECTORS
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,popcnt")))

/* Whole steps of 64 lanes, the last one first. The quotient is estimated in single precision:
 * it is under 2^20 and three roundings of 2^-23 put it off by one at most, which is mended. */
AVX512 static u16 *encode_run_avx512(const EncodeTable *t, const u8 *symbols, size_t steps, u32 *x,
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

/* Whole steps of 64 lanes for as long as 64 words and a vector more are left to read. */
AVX512 static size_t decode_run_avx512(const u32 *table, u8 *symbols, size_t steps, u32 *x,
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
 * for reading, last set bits last for writing. Filled at import. */
static u32 spread[256][8], gathered[256][8];

static void fill_permutations(void)
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

AVX2 static u16 *encode_run_avx2(const EncodeTable *t, const u8 *symbols, size_t steps, u32 *x,
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

AVX2 static size_t decode_run_avx2(const u32 *table, u8 *symbols, size_t steps, u32 *x,
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

/* The widest vectors that the processor has and the caller wants: 2 AVX-512, 1 AVX2, 0 none. */
static int vectors;

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

/* Words of all segments below `out`, the states left in x; segments and steps go backwards. */
static u16 *encode_segments(const Segment *segments, size_t count, int lanes_log2, EncodeTable *t,
                            u32 *x, u16 *out)
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

/* One segment into its place; 0 if the words end too soon. */
static int decode_segment(const u16 *freq, u8 *symbols, size_t n, int lanes_log2, u32 *table, u32 *x,
                          const u16 **words, const u16 *end)
{
    size_t lanes = (size_t)1 << lanes_log2, steps = n >> lanes_log2, done = 0;
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

/* 1 if all words were read and every lane came back to where its encoder began. */
static int ended_well(const u32 *x, int lanes_log2, const u16 *words, const u16 *end)
{
    u32 wrong = 0;
    for (int k = 0; k < 1 << lanes_log2; k++)
        wrong |= x[k] ^ STATE_LOW;
    return !wrong && words == end;
}

/* ------------------------------------------------------------ one plane (coding 3) */

/* A buffer of `*size` bytes that holds the coded plane, or NULL: then *size is 0 for a plane that
 * is to be stored raw, 1 for one of equal bytes, −1 for want of memory. */
static u8 *encode_plane(const u8 *plane, size_t n, Py_ssize_t *size)
{
    u32 counts[SYMBOLS], states[MAX_LANES];
    u16 freq[SYMBOLS];
    count_values(plane, n, counts);
    if (n && counts[plane[0]] == n) {
        *size = 1;
        return NULL;
    }
    *size = 0;
    if (expected_bits(counts, n) >= 8 * (u64)n - ((u64)n >> 3))
        return NULL;
    normalise(counts, n, freq);
    int lanes_log2 = lanes_log2_for(n);
    size_t lanes = (size_t)1 << lanes_log2;
    Arena arena = {malloc(rounded(n) + rounded(sizeof(EncodeTable)) +
                          rounded((n + SLACK) * sizeof(u16))),
                   0};
    if (!arena.start) {
        *size = -1;
        return NULL;
    }
    u8 *out = take(&arena, n);
    EncodeTable *table = take(&arena, sizeof *table);
    u16 *words = (u16 *)take(&arena, (n + SLACK) * sizeof *words) + SLACK;
    BitWriter w = {out, out + n, 0, 0, 0};
    write_table(&w, freq);
    end_bits(&w);
    Segment segment = {plane, n, freq};
    u16 *at = encode_segments(&segment, 1, lanes_log2, table, states, words + n);
    size_t words_size = (size_t)(words + n - at) * 2;
    if (w.full || (size_t)(w.end - w.at) <= 1 + 4 * lanes + words_size) {
        free(out);
        return NULL;
    }
    *w.at++ = (u8)lanes_log2;
    memcpy(w.at, states, 4 * lanes);
    memcpy(w.at + 4 * lanes, at, words_size);
    *size = w.at + 4 * lanes + words_size - out;
    return out;
}

typedef struct {
    int lanes_log2;
    u32 states[MAX_LANES];
    u16 *words, *end; /* owned, aligned */
} Coded;

/* 0 if the bytes cannot be lanes, states and words, 1 if they are, −1 for want of memory. */
static int open_coded(Coded *coded, const u8 *at, const u8 *end)
{
    coded->words = NULL;
    if (at == end || *at > MAX_LANES_LOG2)
        return 0;
    coded->lanes_log2 = *at++;
    size_t states_size = (size_t)4 << coded->lanes_log2, left = (size_t)(end - at);
    if (left < states_size || (left - states_size) & 1)
        return 0;
    memcpy(coded->states, at, states_size);
    left -= states_size;
    coded->words = malloc(left + 2);
    if (!coded->words)
        return -1;
    memcpy(coded->words, at + states_size, left);
    coded->end = coded->words + left / 2;
    return 1;
}

static int decode_plane(const u8 *stored, size_t size, u8 *out, size_t n)
{
    u16 freq[SYMBOLS];
    BitReader r = {stored, stored + size, 0, 0, 0};
    Coded coded;
    if (!read_table(&r, freq) || r.bits)
        return 0;
    int good = open_coded(&coded, r.at, r.end);
    if (good != 1)
        return good;
    const u16 *words = coded.words;
    u32 *table = malloc(SCALE * sizeof *table);
    if (table)
        good = decode_segment(freq, out, n, coded.lanes_log2, table, coded.states, &words, coded.end) &&
               ended_well(coded.states, coded.lanes_log2, words, coded.end);
    else
        good = -1;
    free(table);
    free(coded.words);
    return good;
}

/* ------------------------------------------------------------ grouped difference (mode 18) */

typedef struct {
    int last_key;
    size_t begin, n;
    u64 cost;
    u32 counts[8][SYMBOLS];
} Group;

static u64 group_cost(const Group *g, int width)
{
    u64 cost = 0;
    for (int j = 0; j < width; j++)
        cost += expected_bits(g->counts[j], g->n);
    return cost;
}

/* Neighbouring keys share tables where their own would cost more than they save. */
static int make_groups(const u8 *planes, size_t m, int width, const size_t *totals, Group *groups,
                       Group *next, Group *both)
{
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
            both->last_key = k;
            both->begin = last->begin;
            both->n = last->n + next->n;
            for (int j = 0; j < width; j++)
                for (int s = 0; s < SYMBOLS; s++)
                    both->counts[j][s] = last->counts[j][s] + next->counts[j][s];
            both->cost = group_cost(both, width);
            if (count == MAX_GROUPS || both->cost <= last->cost + next->cost) {
                memcpy(last, both, sizeof *both);
                continue;
            }
        }
        memcpy(groups + count++, next, sizeof *next);
    }
    return count;
}

static int coding_of(const Group *g, int j, u8 first)
{
    if (g->counts[j][first] == g->n)
        return SEGMENT_REPEATED;
    u64 raw = 8 * (u64)g->n;
    return expected_bits(g->counts[j], g->n) < raw - (raw >> 6) ? SEGMENT_TABLE : SEGMENT_RAW;
}

/* A buffer as `encode_plane` gives; *size 0 says that it would be no smaller than the raw bytes. */
static u8 *encode_grouped(const u8 *raw, const u8 *base, size_t size, int width, int ordered, int shift,
                          Py_ssize_t *stored_size)
{
    size_t m = size / width, rest = size % width, totals[KEYS], counts[QUARTERS][KEYS];
    u32 states[MAX_LANES];
    *stored_size = 0;
    if (!m)
        return NULL;
    size_t words_most = (m * width + SLACK) * sizeof(u16), groups_size = (MAX_GROUPS + 2) * sizeof(Group);
    Arena arena = {malloc(rounded(size) + 2 * rounded(m * width) + rounded(m) + rounded(words_most) +
                          rounded(groups_size) + MAX_GROUPS * 8 * (1024 + 64) + 4 * rounded(8192)),
                   0};
    if (!arena.start) {
        *stored_size = -1;
        return NULL;
    }
    u8 *out = take(&arena, size), *planes = take(&arena, m * width), *sorted = take(&arena, m * width);
    u8 *keys = take(&arena, m);
    Group *groups = take(&arena, groups_size);
    u16(*freq)[SYMBOLS] = take(&arena, MAX_GROUPS * 8 * sizeof *freq);
    Segment *segments = take(&arena, MAX_GROUPS * 8 * sizeof *segments);
    EncodeTable *table = take(&arena, sizeof *table);
    u16 *words = (u16 *)take(&arena, words_most) + SLACK;
    count_keys(base, m, width, ordered, shift, keys, counts);
    place_keys(counts, totals);
    BY_WIDTH(width, sort_all, raw, base, keys, sorted, m, ordered, counts);
    BY_WIDTH(width, split_sorted, sorted, planes, m);
    int group_count =
        make_groups(planes, m, width, totals, groups, groups + MAX_GROUPS, groups + MAX_GROUPS + 1);
    if (size < 3 + (size_t)group_count)
        goto too_large;
    u8 *at = out;
    *at++ = (u8)ordered;
    *at++ = (u8)shift;
    *at++ = (u8)(group_count - 1);
    for (int g = 0; g < group_count - 1; g++)
        *at++ = (u8)groups[g].last_key;
    BitWriter w = {at, out + size, 0, 0, 0};
    size_t coded = 0, plain = 0;
    int tables = 0;
    for (int j = 0; j < width; j++)
        for (int g = 0; g < group_count; g++) {
            const Group *group = groups + g;
            const u8 *symbols = planes + j * m + group->begin;
            int coding = coding_of(group, j, symbols[0]);
            put_bits(&w, (u32)coding, 2);
            if (coding == SEGMENT_REPEATED) {
                put_bits(&w, symbols[0], 8);
            } else if (coding == SEGMENT_RAW) {
                plain += group->n;
            } else {
                normalise(group->counts[j], group->n, freq[tables]);
                write_table(&w, freq[tables]);
                segments[tables] = (Segment){symbols, group->n, freq[tables]};
                coded += group->n;
                tables++;
            }
        }
    end_bits(&w);
    if (w.full || (size_t)(w.end - w.at) < plain + rest)
        goto too_large;
    if (tables) {
        int lanes_log2 = lanes_log2_for(coded);
        size_t lanes = (size_t)1 << lanes_log2;
        u16 *first = encode_segments(segments, (size_t)tables, lanes_log2, table, states, words + coded);
        size_t words_size = (size_t)(words + coded - first) * 2;
        if ((size_t)(w.end - w.at) < 1 + 4 * lanes + words_size + plain + rest)
            goto too_large;
        *w.at++ = (u8)lanes_log2;
        memcpy(w.at, states, 4 * lanes);
        memcpy(w.at + 4 * lanes, first, words_size);
        w.at += 4 * lanes + words_size;
    }
    for (int j = 0; j < width; j++)
        for (int g = 0; g < group_count; g++) {
            const u8 *symbols = planes + j * m + groups[g].begin;
            if (coding_of(groups + g, j, symbols[0]) == SEGMENT_RAW) {
                memcpy(w.at, symbols, groups[g].n);
                w.at += groups[g].n;
            }
        }
    memcpy(w.at, raw + m * width, rest);
    *stored_size = w.at + rest - out;
    return out;
too_large:
    free(out);
    return NULL;
}

static int decode_grouped(const u8 *stored, size_t stored_size, const u8 *base, int width, u8 *out,
                          size_t size)
{
    size_t m = size / width, rest = size % width, totals[KEYS], counts[QUARTERS][KEYS];
    size_t sizes[MAX_GROUPS] = {0};
    if (!m || stored_size < 3 || stored[0] > 1 || stored[1] >= 8 * width || stored[2] >= MAX_GROUPS)
        return 0;
    int ordered = stored[0], shift = stored[1], group_count = stored[2] + 1, good = 0;
    if (stored_size < 2 + (size_t)group_count)
        return 0;
    size_t freq_size = (size_t)group_count * width * SYMBOLS * sizeof(u16);
    Arena arena = {malloc(rounded(freq_size) + 2 * rounded(m * width) + rounded(m) + rounded(512) +
                          rounded(SCALE * sizeof(u32))),
                   0};
    if (!arena.start)
        return -1;
    u8 *sorted = take(&arena, m * width), *planes = take(&arena, m * width), *keys = take(&arena, m);
    u16(*freq)[SYMBOLS] = take(&arena, freq_size);
    u8 *codings = take(&arena, 512);
    u32 *table = take(&arena, SCALE * sizeof *table);
    Coded coded = {0};
    count_keys(base, m, width, ordered, shift, keys, counts);
    place_keys(counts, totals);
    for (int g = 0, k = 0; g < group_count; g++) {
        int last = g == group_count - 1 ? KEYS - 1 : stored[3 + g];
        if (last < k)
            goto done;
        for (; k <= last; k++)
            sizes[g] += totals[k];
    }
    BitReader r = {stored + 2 + group_count, stored + stored_size, 0, 0, 0};
    size_t plain = 0, coded_symbols = 0, at = 0;
    for (int i = 0; i < group_count * width; i++) {
        size_t n = sizes[i % group_count];
        codings[i] = (u8)get_bits(&r, 2);
        if (codings[i] == SEGMENT_RAW) {
            plain += n;
        } else if (codings[i] == SEGMENT_REPEATED) {
            memset(planes + at, (int)get_bits(&r, 8), n);
        } else {
            if (codings[i] != SEGMENT_TABLE || !read_table(&r, freq[i]))
                goto done;
            coded_symbols += n;
        }
        at += n;
    }
    size_t left = (size_t)(r.end - r.at);
    if (r.short_of || r.bits || left < plain + rest)
        goto done;
    const u8 *plain_at = r.end - rest - plain;
    memcpy(out + m * width, r.end - rest, rest);
    const u16 *words = NULL;
    if (coded_symbols) {
        good = open_coded(&coded, r.at, plain_at);
        if (good != 1)
            goto done;
        words = coded.words;
    } else if (r.at != plain_at) {
        goto done;
    }
    good = 0;
    at = 0;
    for (int i = 0; i < group_count * width; i++) {
        size_t n = sizes[i % group_count];
        if (codings[i] == SEGMENT_RAW) {
            memcpy(planes + at, plain_at, n);
            plain_at += n;
        } else if (codings[i] == SEGMENT_TABLE && n) {
            if (!decode_segment(freq[i], planes + at, n, coded.lanes_log2, table, coded.states, &words,
                                coded.end))
                goto done;
        }
        at += n;
    }
    if (coded_symbols && !ended_well(coded.states, coded.lanes_log2, words, coded.end))
        goto done;
    BY_WIDTH(width, join_sorted, planes, sorted, m);
    BY_WIDTH(width, unsort_all, sorted, base, keys, out, m, ordered, counts);
    good = 1;
done:
    free(arena.start);
    free(coded.words);
    return good;
}

/* ------------------------------------------------------------ sparse (mode 19) */

/* Gap and value of each element that differs, or NULL: *stored_size 0 if they are too many. */
static u8 *encode_sparse(const u8 *raw, const u8 *base, size_t size, size_t width,
                         Py_ssize_t *stored_size)
{
    size_t m = size / width, rest = size % width, limit = (m >> 7) + 4, next = 0, i = 0;
    u8 *out = malloc(limit * (width + 5) + rest), *at = out;
    *stored_size = 0;
    if (!out) {
        *stored_size = -1;
        return NULL;
    }
    if (m > 4 * WINDOWS * WINDOW) {
        size_t step = (m - WINDOW) / (WINDOWS - 1), differing = 0;
        for (size_t k = 0; k < WINDOWS; k++)
            for (size_t e = k * step; e < k * step + WINDOW; e++)
                differing += memcmp(raw + e * width, base + e * width, width) != 0;
        if (differing > WINDOWS * WINDOW / 32)
            goto give_up;
    }
    while (i < m) {
        if (m - i >= 512 / width && !memcmp(raw + i * width, base + i * width, 512)) {
            i += 512 / width;
            continue;
        }
        size_t end = m - i < 512 / width ? m : i + 512 / width;
        for (; i < end; i++) {
            if (!memcmp(raw + i * width, base + i * width, width))
                continue;
            if (!limit--)
                goto give_up;
            size_t gap = i - next;
            if (gap >> 32)
                goto give_up;
            for (; gap >= 128; gap >>= 7)
                *at++ = (u8)(gap | 128);
            *at++ = (u8)gap;
            memcpy(at, raw + i * width, width);
            at += width;
            next = i + 1;
        }
    }
    if ((size_t)(at - out) >= m * width)
        goto give_up;
    memcpy(at, raw + m * width, rest);
    *stored_size = at + rest - out;
    return out;
give_up:
    free(out);
    return NULL;
}

static int decode_sparse(const u8 *stored, size_t stored_size, const u8 *base, size_t width, u8 *out,
                         size_t size)
{
    size_t m = size / width, rest = size % width, i = 0;
    if (stored_size < rest)
        return 0;
    const u8 *at = stored, *end = stored + stored_size - rest;
    memcpy(out, base, m * width);
    memcpy(out + m * width, end, rest);
    while (at < end) {
        u64 gap = 0;
        int shift = 0;
        for (;; shift += 7) {
            if (at == end || shift > 28)
                return 0;
            gap |= (u64)(*at & 127) << shift;
            if (*at++ < 128)
                break;
        }
        if (gap >= m - i || (size_t)(end - at) < width)
            return 0;
        i += gap;
        memcpy(out + i * width, at, width);
        at += width;
        i++;
    }
    return 1;
}

/* ------------------------------------------------------------ a sample */

/* Bits an order-0 coder would pay for the planes of a few windows: as they are, as a difference. */
static void estimate(const u8 *raw, const u8 *base, size_t m, int width, int is_float, u64 *own,
                     u64 *difference)
{
    u8 windows[2][8 * WINDOWS * WINDOW];
    u32 counts[SYMBOLS];
    size_t taken = m < WINDOWS * WINDOW ? m : WINDOWS * WINDOW;
    size_t size = taken < m ? WINDOW : taken, step = taken < m ? (m - WINDOW) / (WINDOWS - 1) : 0;
    u64 *bits[2] = {own, difference};
    for (size_t done = 0, i = 0; done < taken; done += size, i++) {
        u64 z[WINDOWS * WINDOW];
        const u8 *r = raw + i * step * width, *b = base + i * step * width;
        int rotate = is_float && width > 1;
        if (width == 1) {
            load_1(r, (u8 *)z, size, 0);
            split_1((u8 *)z, windows[0] + done, taken, size);
            difference_1(r, b, (u8 *)z, size, is_float, is_float);
            split_1((u8 *)z, windows[1] + done, taken, size);
        } else if (width == 2) {
            load_2(r, (u16 *)z, size, rotate);
            split_2((u16 *)z, windows[0] + done, taken, size);
            difference_2(r, b, (u16 *)z, size, is_float, is_float);
            split_2((u16 *)z, windows[1] + done, taken, size);
        } else if (width == 4) {
            load_4(r, (u32 *)z, size, rotate);
            split_4((u32 *)z, windows[0] + done, taken, size);
            difference_4(r, b, (u32 *)z, size, is_float, is_float);
            split_4((u32 *)z, windows[1] + done, taken, size);
        } else {
            load_8(r, z, size, rotate);
            split_8(z, windows[0] + done, taken, size);
            difference_8(r, b, z, size, is_float, is_float);
            split_8(z, windows[1] + done, taken, size);
        }
    }
    for (int way = 0; way < 2; way++) {
        *bits[way] = 0;
        for (int j = 0; j < width; j++) {
            u64 sum = 0;
            count_values(windows[way] + j * taken, taken, counts);
            for (int s = 0; s < SYMBOLS; s++)
                if (counts[s])
                    sum += counts[s] * log_of(counts[s]);
            u64 whole = taken ? taken * log_of(taken) : 0;
            *bits[way] += whole > sum ? (whole - sum) >> 8 : 0;
        }
    }
}

/* ------------------------------------------------------------ Python */

static int valid_width(int width)
{
    if (width == 1 || width == 2 || width == 4 || width == 8)
        return 1;
    PyErr_SetString(PyExc_ValueError, "an element has 1, 2, 4 or 8 bytes");
    return 0;
}

static PyObject *sizes_differ(void)
{
    PyErr_SetString(PyExc_ValueError, "the buffers do not have the sizes that belong together");
    return NULL;
}

static PyObject *truth(int good)
{
    return good < 0 ? PyErr_NoMemory() : PyBool_FromLong(good);
}

static PyObject *bytes_of(u8 *coded, Py_ssize_t size)
{
    PyObject *result = PyBytes_FromStringAndSize((const char *)coded, size);
    free(coded);
    return result;
}

/* allocate(size): a bytearray that nobody has filled. */
static PyObject *py_allocate(PyObject *self, PyObject *args)
{
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "n", &size))
        return NULL;
    if (size < 0)
        return sizes_differ();
    return PyByteArray_FromStringAndSize(NULL, size);
}

/* vectors(most): the vectors in use from now on, at most these: 2 AVX-512, 1 AVX2, 0 none. For
 * tests: the bytes are the same whichever they are. */
static PyObject *py_vectors(PyObject *self, PyObject *args)
{
    int most;
    if (!PyArg_ParseTuple(args, "i", &most))
        return NULL;
    int have = widest();
    vectors = most < 0 ? 0 : most < have ? most : have;
    return PyLong_FromLong(vectors);
}

/* equal(a, b): whether two buffers hold the same bytes. */
static PyObject *py_equal(PyObject *self, PyObject *args)
{
    Py_buffer a, b;
    int same;
    if (!PyArg_ParseTuple(args, "y*y*", &a, &b))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    same = a.len == b.len && !memcmp(a.buf, b.buf, (size_t)a.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    return PyBool_FromLong(same);
}

/* split(raw, base or None, width, how, planes): `how` is rotate, or with a base ordered. */
static PyObject *py_split(PyObject *self, PyObject *args)
{
    Py_buffer raw, base = {0}, out;
    int width, how;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*z*ipw*", &raw, &base, &width, &how, &out))
        return NULL;
    if (valid_width(width)) {
        size_t m = (size_t)raw.len / width;
        if ((base.buf && base.len < raw.len) || (size_t)out.len != m * width) {
            sizes_differ();
        } else {
            Py_BEGIN_ALLOW_THREADS
            BY_WIDTH(width, split_all, raw.buf, base.buf, out.buf, m, how);
            Py_END_ALLOW_THREADS
            Py_INCREF(Py_None);
            result = Py_None;
        }
    }
    PyBuffer_Release(&raw);
    if (base.buf || base.obj)
        PyBuffer_Release(&base);
    PyBuffer_Release(&out);
    return result;
}

/* join(planes as a tuple, base or None, how, out): the way back; rest bytes of out are left. */
static PyObject *py_join(PyObject *self, PyObject *args)
{
    Py_buffer base = {0}, out, planes[8];
    PyObject *tuple, *result = NULL;
    int how, held = 0;
    if (!PyArg_ParseTuple(args, "Oz*pw*", &tuple, &base, &how, &out))
        return NULL;
    int width = PyTuple_Check(tuple) && PyTuple_Size(tuple) <= 8 ? (int)PyTuple_Size(tuple) : 0;
    if (valid_width(width)) {
        size_t m = (size_t)out.len / width;
        const u8 *at[8];
        int fits = !base.buf || base.len >= out.len;
        for (; held < width; held++) {
            if (PyObject_GetBuffer(PyTuple_GetItem(tuple, held), planes + held, PyBUF_SIMPLE))
                goto done;
            at[held] = planes[held].buf;
            fits = fits && (size_t)planes[held].len == m;
        }
        if (!fits) {
            sizes_differ();
        } else {
            Py_BEGIN_ALLOW_THREADS
            BY_WIDTH(width, join_all, at, base.buf, out.buf, m, how);
            Py_END_ALLOW_THREADS
            Py_INCREF(Py_None);
            result = Py_None;
        }
    }
done:
    while (held-- > 0)
        PyBuffer_Release(planes + held);
    if (base.buf || base.obj)
        PyBuffer_Release(&base);
    PyBuffer_Release(&out);
    return result;
}

/* encode_plane(plane): coded bytes; its one byte if all are equal; None if it is to stay raw. */
static PyObject *py_encode_plane(PyObject *self, PyObject *args)
{
    Py_buffer plane;
    Py_ssize_t size;
    u8 *coded;
    if (!PyArg_ParseTuple(args, "y*", &plane))
        return NULL;
    PyObject *result = NULL;
    if (plane.len > MOST) {
        PyBuffer_Release(&plane);
        return sizes_differ();
    }
    Py_BEGIN_ALLOW_THREADS
    coded = encode_plane(plane.buf, (size_t)plane.len, &size);
    Py_END_ALLOW_THREADS
    if (coded)
        result = bytes_of(coded, size);
    else if (size < 0)
        result = PyErr_NoMemory();
    else if (size)
        result = PyBytes_FromStringAndSize(plane.buf, 1);
    else
        Py_INCREF(result = Py_None);
    PyBuffer_Release(&plane);
    return result;
}

/* decode_plane(stored, out): False if the bytes are no coded plane of that size. */
static PyObject *py_decode_plane(PyObject *self, PyObject *args)
{
    Py_buffer stored, out;
    int good;
    if (!PyArg_ParseTuple(args, "y*w*", &stored, &out))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    good = decode_plane(stored.buf, (size_t)stored.len, out.buf, (size_t)out.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&stored);
    PyBuffer_Release(&out);
    return truth(good);
}

/* encode_grouped(raw, base, width, ordered, shift): coded bytes, or None if not smaller. */
static PyObject *py_encode_grouped(PyObject *self, PyObject *args)
{
    Py_buffer raw, base;
    Py_ssize_t size = 0;
    int width, ordered, shift;
    u8 *coded = NULL;
    if (!PyArg_ParseTuple(args, "y*y*ipi", &raw, &base, &width, &ordered, &shift))
        return NULL;
    PyObject *result = NULL;
    if (valid_width(width)) {
        if (base.len < raw.len || raw.len > MOST || shift < 0 || shift >= 8 * width) {
            sizes_differ();
        } else {
            Py_BEGIN_ALLOW_THREADS
            coded = encode_grouped(raw.buf, base.buf, (size_t)raw.len, width, ordered, shift, &size);
            Py_END_ALLOW_THREADS
            if (coded)
                result = bytes_of(coded, size);
            else if (size < 0)
                result = PyErr_NoMemory();
            else
                Py_INCREF(result = Py_None);
        }
    }
    PyBuffer_Release(&raw);
    PyBuffer_Release(&base);
    return result;
}

/* decode_grouped(stored, base, width, out): False if the bytes are not what they should be. */
static PyObject *py_decode_grouped(PyObject *self, PyObject *args)
{
    Py_buffer stored, base, out;
    int width, good;
    if (!PyArg_ParseTuple(args, "y*y*iw*", &stored, &base, &width, &out))
        return NULL;
    PyObject *result = NULL;
    if (valid_width(width)) {
        if (base.len < out.len || out.len > MOST) {
            sizes_differ();
        } else {
            Py_BEGIN_ALLOW_THREADS
            good = decode_grouped(stored.buf, (size_t)stored.len, base.buf, width, out.buf,
                                  (size_t)out.len);
            Py_END_ALLOW_THREADS
            result = truth(good);
        }
    }
    PyBuffer_Release(&stored);
    PyBuffer_Release(&base);
    PyBuffer_Release(&out);
    return result;
}

/* encode_sparse(raw, base, width): coded bytes, or None if too many elements differ. */
static PyObject *py_encode_sparse(PyObject *self, PyObject *args)
{
    Py_buffer raw, base;
    Py_ssize_t size = 0;
    int width;
    u8 *coded = NULL;
    if (!PyArg_ParseTuple(args, "y*y*i", &raw, &base, &width))
        return NULL;
    PyObject *result = NULL;
    if (valid_width(width)) {
        if (base.len < raw.len) {
            sizes_differ();
        } else {
            Py_BEGIN_ALLOW_THREADS
            coded = encode_sparse(raw.buf, base.buf, (size_t)raw.len, (size_t)width, &size);
            Py_END_ALLOW_THREADS
            if (coded)
                result = bytes_of(coded, size);
            else if (size < 0)
                result = PyErr_NoMemory();
            else
                Py_INCREF(result = Py_None);
        }
    }
    PyBuffer_Release(&raw);
    PyBuffer_Release(&base);
    return result;
}

/* decode_sparse(stored, base, width, out): False if the bytes are not what they should be. */
static PyObject *py_decode_sparse(PyObject *self, PyObject *args)
{
    Py_buffer stored, base, out;
    int width, good;
    if (!PyArg_ParseTuple(args, "y*y*iw*", &stored, &base, &width, &out))
        return NULL;
    PyObject *result = NULL;
    if (valid_width(width)) {
        if (base.len < out.len) {
            sizes_differ();
        } else {
            Py_BEGIN_ALLOW_THREADS
            good = decode_sparse(stored.buf, (size_t)stored.len, base.buf, (size_t)width, out.buf,
                                 (size_t)out.len);
            Py_END_ALLOW_THREADS
            result = truth(good);
        }
    }
    PyBuffer_Release(&stored);
    PyBuffer_Release(&base);
    PyBuffer_Release(&out);
    return result;
}

/* estimate(raw, base, width, is_float): bits of a sample as (itself, difference). */
static PyObject *py_estimate(PyObject *self, PyObject *args)
{
    Py_buffer raw, base;
    int width, is_float;
    u64 own = 0, difference = 0;
    if (!PyArg_ParseTuple(args, "y*y*ip", &raw, &base, &width, &is_float))
        return NULL;
    PyObject *result = NULL;
    if (valid_width(width)) {
        if (base.len < raw.len) {
            sizes_differ();
        } else {
            Py_BEGIN_ALLOW_THREADS
            estimate(raw.buf, base.buf, (size_t)raw.len / width, width, is_float, &own, &difference);
            Py_END_ALLOW_THREADS
            result = Py_BuildValue("KK", (unsigned long long)own, (unsigned long long)difference);
        }
    }
    PyBuffer_Release(&raw);
    PyBuffer_Release(&base);
    return result;
}

static PyMethodDef methods[] = {
    {"allocate", py_allocate, METH_VARARGS,
     "A bytearray of that size that nobody has filled."},
    {"vectors", py_vectors, METH_VARARGS,
     "Use at most these vectors: 2 AVX-512, 1 AVX2, 0 none. For tests."},
    {"equal", py_equal, METH_VARARGS,
     "Whether two buffers hold the same bytes."},
    {"split", py_split, METH_VARARGS,
     "Byte planes of elements, or of their differences to a base."},
    {"join", py_join, METH_VARARGS,
     "The way back from planes."},
    {"encode_plane", py_encode_plane, METH_VARARGS,
     "A coded plane; its one byte if all are equal; None if it is to stay raw."},
    {"decode_plane", py_decode_plane, METH_VARARGS,
     "Whether the bytes are a coded plane of the size of out, which then holds it."},
    {"encode_grouped", py_encode_grouped, METH_VARARGS,
     "A grouped difference, or None if it would be no smaller."},
    {"decode_grouped", py_decode_grouped, METH_VARARGS,
     "Whether the bytes are a grouped difference, which out then holds undone."},
    {"encode_sparse", py_encode_sparse, METH_VARARGS,
     "Gap and value of each element that differs, or None if they are too many."},
    {"decode_sparse", py_decode_sparse, METH_VARARGS,
     "Whether the bytes are a sparse difference, which out then holds undone."},
    {"estimate", py_estimate, METH_VARARGS,
     "Bits of a sample: as it is, as a difference."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "mstore.codec._kernel", "The hot loops of the block modes.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    fill_logs();
#if X86_VECTORS
    fill_permutations();
#endif
    vectors = widest();
    return PyModuleDef_Init(&module);
}
