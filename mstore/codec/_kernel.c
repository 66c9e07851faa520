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

#if X86_VECTORS && defined(__GLIBC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "avx2", "avx512bw")))
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
#define MAX_GROUPS 64
#define SCALE_BITS 12
#define SCALE (1u << SCALE_BITS)
#define MAX_LANES_LOG2 6
#define MAX_LANES (1 << MAX_LANES_LOG2)
#define STATE_LOW (1u << 16)

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
    static void scatter4_##W(const T *in, const u8 *keys, size_t n, size_t (*cursor)[KEYS],        \
                             T *out)                                                               \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            out[cursor[0][keys[i]]++] = in[i];                                                     \
            out[cursor[1][keys[CHUNK + i]]++] = in[CHUNK + i];                                     \
            out[cursor[2][keys[2 * CHUNK + i]]++] = in[2 * CHUNK + i];                             \
            out[cursor[3][keys[3 * CHUNK + i]]++] = in[3 * CHUNK + i];                             \
        }                                                                                          \
    }                                                                                              \
    static void collect_##W(const T *sorted, const u8 *keys, size_t n, size_t *cursor, T *out)     \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            out[i] = sorted[cursor[keys[i]]++];                                                    \
    }                                                                                              \
    static void collect4_##W(const T *sorted, const u8 *keys, size_t n, size_t (*cursor)[KEYS],    \
                             T *out)                                                               \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            out[i] = sorted[cursor[0][keys[i]]++];                                                 \
            out[CHUNK + i] = sorted[cursor[1][keys[CHUNK + i]]++];                                 \
            out[2 * CHUNK + i] = sorted[cursor[2][keys[2 * CHUNK + i]]++];                         \
            out[3 * CHUNK + i] = sorted[cursor[3][keys[3 * CHUNK + i]]++];                         \
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
    static void sort_all_##W(const u8 *raw, const u8 *base, void *sorted, size_t m, int ordered,   \
                             int shift, size_t (*cursor)[KEYS])                                    \
    {                                                                                              \
        T z[QUARTERS * CHUNK];                                                                     \
        u8 keys[QUARTERS * CHUNK];                                                                 \
        size_t quarter = m / QUARTERS;                                                             \
        for (size_t i = 0; i < quarter; i += CHUNK) {                                              \
            size_t n = quarter - i < CHUNK ? quarter - i : CHUNK;                                  \
            for (int q = 0; q < QUARTERS; q++) {                                                   \
                size_t at = (q * quarter + i) * W;                                                 \
                difference_##W(raw + at, base + at, z + q * CHUNK, n, ordered, ordered);           \
                keys_##W(base + at, keys + q * CHUNK, n, ordered, shift);                          \
            }                                                                                      \
            scatter4_##W(z, keys, n, cursor, (T *)sorted);                                         \
        }                                                                                          \
        size_t done = quarter * QUARTERS;                                                          \
        difference_##W(raw + done * W, base + done * W, z, m - done, ordered, ordered);            \
        keys_##W(base + done * W, keys, m - done, ordered, shift);                                 \
        scatter_##W(z, keys, m - done, cursor[QUARTERS - 1], (T *)sorted);                         \
    }                                                                                              \
    static void unsort_all_##W(const void *sorted, const u8 *base, u8 *out, size_t m, int ordered, \
                               int shift, size_t (*cursor)[KEYS])                                  \
    {                                                                                              \
        T z[QUARTERS * CHUNK];                                                                     \
        u8 keys[QUARTERS * CHUNK];                                                                 \
        size_t quarter = m / QUARTERS;                                                             \
        for (size_t i = 0; i < quarter; i += CHUNK) {                                              \
            size_t n = quarter - i < CHUNK ? quarter - i : CHUNK;                                  \
            for (int q = 0; q < QUARTERS; q++)                                                     \
                keys_##W(base + (q * quarter + i) * W, keys + q * CHUNK, n, ordered, shift);       \
            collect4_##W((const T *)sorted, keys, n, cursor, z);                                   \
            for (int q = 0; q < QUARTERS; q++) {                                                   \
                size_t at = (q * quarter + i) * W;                                                 \
                undo_##W(z + q * CHUNK, base + at, out + at, n, ordered, ordered);                 \
            }                                                                                      \
        }                                                                                          \
        size_t done = quarter * QUARTERS;                                                          \
        keys_##W(base + done * W, keys, m - done, ordered, shift);                                 \
        collect_##W((const T *)sorted, keys, m - done, cursor[QUARTERS - 1], z);                   \
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

/* Keys of all elements, counted a quarter at a time; what is left over belongs to the last one. */
static void count_keys(const u8 *base, size_t m, int width, int ordered, int shift,
                       size_t (*counts)[KEYS])
{
    static const int lanes = 4;
    u8 keys[CHUNK];
    size_t quarter = m / QUARTERS;
    memset(counts, 0, QUARTERS * sizeof *counts);
    for (int q = 0; q < QUARTERS; q++) {
        u32 part[4][KEYS];
        size_t begin = q * quarter, end = q == QUARTERS - 1 ? m : begin + quarter;
        memset(part, 0, sizeof part);
        for (size_t i = begin; i < end; i += CHUNK) {
            size_t n = end - i < CHUNK ? end - i : CHUNK, k = 0;
            BY_WIDTH(width, keys, base + i * width, keys, n, ordered, shift);
            for (; k + lanes <= n; k += lanes) {
                part[0][keys[k]]++;
                part[1][keys[k + 1]]++;
                part[2][keys[k + 2]]++;
                part[3][keys[k + 3]]++;
            }
            for (; k < n; k++)
                part[0][keys[k]]++;
        }
        for (int k = 0; k < KEYS; k++)
            counts[q][k] = (size_t)part[0][k] + part[1][k] + part[2][k] + part[3][k];
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

static void count_symbols(const u8 *plane, size_t n, u32 *counts)
{
    u32 part[4][SYMBOLS];
    size_t i = 0;
    memset(part, 0, sizeof part);
    for (; i + 8 <= n; i += 8) {
        u64 v;
        memcpy(&v, plane + i, 8);
        part[0][v & 255]++;
        part[1][(v >> 8) & 255]++;
        part[2][(v >> 16) & 255]++;
        part[3][(v >> 24) & 255]++;
        part[0][(v >> 32) & 255]++;
        part[1][(v >> 40) & 255]++;
        part[2][(v >> 48) & 255]++;
        part[3][v >> 56]++;
    }
    for (; i < n; i++)
        part[0][plane[i]]++;
    for (int s = 0; s < SYMBOLS; s++)
        counts[s] = part[0][s] + part[1][s] + part[2][s] + part[3][s];
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
    /* Two symbols, one of them all but absent: the other may have been rounded to the whole. */
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
static inline u16 *encode_steps(const EncodeTable *t, const u8 *s, size_t n, u32 *x, u16 *out)
{
    for (size_t k = n; k-- > 0;) {
        u32 packed = t->packed[s[k]], f = packed & 0xFFFF, state = x[k];
        if (state >= f << 20) {
            *--out = (u16)state;
            state >>= 16;
        }
        u32 q = (u32)((state * t->inverse[s[k]]) >> 44);
        x[k] = (q << SCALE_BITS) + (state - q * f) + (packed >> 16);
    }
    return out;
}

#if X86_VECTORS
__attribute__((target("avx512f,avx512bw,popcnt"))) static u16 *
encode_run_avx512(const EncodeTable *t, const u8 *symbols, size_t steps, u32 *x, u16 *out)
{
    __m512i state[4];
    const __m512i low = _mm512_set1_epi32(0xFFFF);
    for (int v = 0; v < 4; v++)
        state[v] = _mm512_loadu_si512(x + 16 * v);
    while (steps-- > 0) {
        const u8 *s = symbols + 64 * steps;
        for (int v = 3; v >= 0; v--) {
            __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(s + 16 * v)));
            __m512i packed = _mm512_i32gather_epi32(index, t->packed, 4);
            __m512i f = _mm512_and_si512(packed, low), now = state[v];
            __mmask16 emit = _mm512_cmpge_epu32_mask(now, _mm512_slli_epi32(f, 20));
            __m256i words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(emit, now));
            int count = __builtin_popcount(emit);
            /* The words below `out` are free: a whole vector ends where the next one will begin. */
            out -= count;
            _mm256_mask_storeu_epi16_ifvl:
            {
                u16 spill[16];
                _mm256_storeu_si256((__m256i *)spill, words);
                memcpy(out, spill, (size_t)count * 2);
            }
            now = _mm512_mask_srli_epi32(now, emit, now, 16);
            /* Quotient by single precision: off by one at most, as it is under 2^20. */
            __m512 divisor = _mm512_cvtepu32_ps(f);
            __m512i q = _mm512_cvttps_epu32(_mm512_div_ps(_mm512_cvtepu32_ps(now), divisor));
            __m512i r = _mm512_sub_epi32(now, _mm512_mullo_epi32(q, f));
            (void)r;
            state[v] = now;
        }
    }
    for (int v = 0; v < 4; v++)
        _mm512_storeu_si512(x + 16 * v, state[v]);
    return out;
}
#endif
