/* The loops over elements of one width. elements.c includes this once a width, with T (an unsigned
 * integer) and WIDTH (its bytes) defined; therefore there is no include guard. */

#define TOP (8 * WIDTH - 1)
#define SIGN(v) ((T)(0 - (T)((v) >> TOP))) /* all bits set where the top bit is */

CLONES static void NAME(load)(const u8 *in, T *out, size_t n, int rotate)
{
    memcpy(out, in, n * WIDTH);
    if (rotate)
        for (size_t i = 0; i < n; i++)
            out[i] = (T)((T)(out[i] << 1) | (T)(out[i] >> TOP));
}

CLONES static void NAME(unrotate)(const T *in, u8 *out, size_t n, int rotate)
{
    for (size_t i = 0; i < n; i++) {
        T v = in[i];
        if (rotate)
            v = (T)((T)(v >> 1) | (T)(v << TOP));
        memcpy(out + i * WIDTH, &v, WIDTH);
    }
}

/* Zigzagged difference of ordered integers; `orient` negates it where the base is negative. */
CLONES static void NAME(difference)(const u8 *raw, const u8 *base, T *out, size_t n, int ordered,
                                    int orient)
{
    const T top = ordered ? (T)((T)1 << TOP) : 0;
    const T use = ordered ? (T) ~(T)0 : 0, turn = orient ? (T) ~(T)0 : 0;
    for (size_t i = 0; i < n; i++) {
        T a, b;
        memcpy(&a, raw + i * WIDTH, WIDTH);
        memcpy(&b, base + i * WIDTH, WIDTH);
        T sa = (T)(SIGN(a) & use);
        T sb = (T)(SIGN(b) & use);
        T d = (T)((T)(a ^ (T)(sa | top)) - (T)(b ^ (T)(sb | top)));
        sb &= turn;
        d = (T)((T)(d ^ sb) - sb);
        out[i] = (T)((T)(d << 1) ^ SIGN(d));
    }
}

CLONES static void NAME(undo)(const T *in, const u8 *base, u8 *out, size_t n, int ordered, int orient)
{
    const T top = ordered ? (T)((T)1 << TOP) : 0;
    const T use = ordered ? (T) ~(T)0 : 0, turn = orient ? (T) ~(T)0 : 0;
    for (size_t i = 0; i < n; i++) {
        T z = in[i], b;
        memcpy(&b, base + i * WIDTH, WIDTH);
        T d = (T)((T)(z >> 1) ^ (T)(0 - (T)(z & 1)));
        T sb = (T)(SIGN(b) & use);
        T st = sb & turn;
        d = (T)((T)(d ^ st) - st);
        T own = (T)((T)(b ^ (T)(sb | top)) + d);
        T so = (T)((T)((T)(own >> TOP) - 1) & use);
        own ^= (T)(so | top);
        memcpy(out + i * WIDTH, &own, WIDTH);
    }
}

CLONES static void NAME(keys)(const u8 *base, u8 *out, size_t n, int ordered, int shift)
{
    for (size_t i = 0; i < n; i++) {
        T b;
        memcpy(&b, base + i * WIDTH, WIDTH);
        b = ordered ? (T)(b << 1) : b;
        out[i] = (u8)(b >> shift);
    }
}

CLONES static void NAME(split)(const T *in, u8 *out, size_t stride, size_t n)
{
    for (int j = 0; j < WIDTH; j++) {
        u8 *plane = out + j * stride;
        for (size_t i = 0; i < n; i++)
            plane[i] = (u8)(in[i] >> (8 * j));
    }
}

CLONES static void NAME(join)(const u8 *const *planes, T *out, size_t n)
{
    const u8 *p = planes[0];
    for (size_t i = 0; i < n; i++)
        out[i] = p[i];
    for (int j = 1; j < WIDTH; j++) {
        p = planes[j];
        for (size_t i = 0; i < n; i++)
            out[i] = (T)(out[i] | (T)((T)p[i] << (8 * j)));
    }
}

static void NAME(scatter)(const T *in, const u8 *keys, size_t n, size_t *cursor, T *out)
{
    for (size_t i = 0; i < n; i++)
        out[cursor[keys[i]]++] = in[i];
}

static void NAME(scatter4)(const T *in, const u8 *keys, size_t stride, size_t n,
                           size_t (*cursor)[KEYS], T *out)
{
    for (size_t i = 0; i < n; i++) {
        out[cursor[0][keys[i]]++] = in[i];
        out[cursor[1][keys[stride + i]]++] = in[CHUNK + i];
        out[cursor[2][keys[2 * stride + i]]++] = in[2 * CHUNK + i];
        out[cursor[3][keys[3 * stride + i]]++] = in[3 * CHUNK + i];
    }
}

static void NAME(collect)(const T *sorted, const u8 *keys, size_t n, size_t *cursor, T *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = sorted[cursor[keys[i]]++];
}

static void NAME(collect4)(const T *sorted, const u8 *keys, size_t stride, size_t n,
                           size_t (*cursor)[KEYS], T *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = sorted[cursor[0][keys[i]]++];
        out[CHUNK + i] = sorted[cursor[1][keys[stride + i]]++];
        out[2 * CHUNK + i] = sorted[cursor[2][keys[2 * stride + i]]++];
        out[3 * CHUNK + i] = sorted[cursor[3][keys[3 * stride + i]]++];
    }
}

static void NAME(split_all)(const u8 *raw, const u8 *base, u8 *planes, size_t stride, size_t m, int how,
                            int orient)
{
    T z[CHUNK];
    for (size_t i = 0; i < m; i += CHUNK) {
        size_t n = m - i < CHUNK ? m - i : CHUNK;
        if (base)
            NAME(difference)(raw + i * WIDTH, base + i * WIDTH, z, n, how, orient);
        else
            NAME(load)(raw + i * WIDTH, z, n, how);
        NAME(split)(z, planes + i, stride, n);
    }
}

static void NAME(join_all)(const u8 *const *planes, const u8 *base, u8 *out, size_t m, int how)
{
    T z[CHUNK];
    const u8 *at[WIDTH_MOST];
    for (size_t i = 0; i < m; i += CHUNK) {
        size_t n = m - i < CHUNK ? m - i : CHUNK;
        for (int j = 0; j < WIDTH; j++)
            at[j] = planes[j] + i;
        NAME(join)(at, z, n);
        if (base)
            NAME(undo)(z, base + i * WIDTH, out + i * WIDTH, n, how, 0);
        else
            NAME(unrotate)(z, out + i * WIDTH, n, how);
    }
}

static void NAME(sort_all)(const u8 *raw, const u8 *base, const u8 *keys, size_t (*cursor)[KEYS],
                           void *sorted, size_t m, int ordered)
{
    T z[QUARTERS * CHUNK];
    size_t quarter = m / QUARTERS;
    for (size_t i = 0; i < quarter; i += CHUNK) {
        size_t n = quarter - i < CHUNK ? quarter - i : CHUNK;
        for (int q = 0; q < QUARTERS; q++) {
            size_t at = (q * quarter + i) * WIDTH;
            NAME(difference)(raw + at, base + at, z + q * CHUNK, n, ordered, ordered);
        }
        NAME(scatter4)(z, keys + i, quarter, n, cursor, (T *)sorted);
    }
    size_t done = quarter * QUARTERS, at = done * WIDTH;
    NAME(difference)(raw + at, base + at, z, m - done, ordered, ordered);
    NAME(scatter)(z, keys + done, m - done, cursor[QUARTERS - 1], (T *)sorted);
}

static void NAME(unsort_all)(const void *sorted, const u8 *base, const u8 *keys,
                             size_t (*cursor)[KEYS], u8 *out, size_t m, int ordered)
{
    T z[QUARTERS * CHUNK];
    size_t quarter = m / QUARTERS;
    for (size_t i = 0; i < quarter; i += CHUNK) {
        size_t n = quarter - i < CHUNK ? quarter - i : CHUNK;
        NAME(collect4)((const T *)sorted, keys + i, quarter, n, cursor, z);
        for (int q = 0; q < QUARTERS; q++) {
            size_t at = (q * quarter + i) * WIDTH;
            NAME(undo)(z + q * CHUNK, base + at, out + at, n, ordered, ordered);
        }
    }
    size_t done = quarter * QUARTERS, at = done * WIDTH;
    NAME(collect)((const T *)sorted, keys + done, m - done, cursor[QUARTERS - 1], z);
    NAME(undo)(z, base + at, out + at, m - done, ordered, ordered);
}

static void NAME(split_sorted)(const void *sorted, u8 *planes, size_t m)
{
    for (size_t i = 0; i < m; i += CHUNK)
        NAME(split)((const T *)sorted + i, planes + i, m, m - i < CHUNK ? m - i : CHUNK);
}

static void NAME(join_sorted)(const u8 *planes, void *sorted, size_t m)
{
    const u8 *at[WIDTH_MOST];
    for (size_t i = 0; i < m; i += CHUNK) {
        for (int j = 0; j < WIDTH; j++)
            at[j] = planes + j * m + i;
        NAME(join)(at, (T *)sorted + i, m - i < CHUNK ? m - i : CHUNK);
    }
}

#undef TOP
#undef SIGN
#undef T
#undef WIDTH
