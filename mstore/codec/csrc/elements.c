/* The element loops, made of one template for each width, and compiled once for each processor. */

#include "elements.h"

#include <string.h>

#if defined(CLONES) /* said by the build: empty where resolvers run too early, as for sanitizers */
#elif X86_VECTORS && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define CLONES __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#elif X86_VECTORS && defined(__GLIBC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "avx2")))
#else
#define CLONES
#endif

#define JOINED(name, width) name##_##width
#define EXPANDED(name, width) JOINED(name, width)
#define NAME(name) EXPANDED(name, WIDTH)

#define T u8
#define WIDTH 1
#include "elements_template.h"

#define T u16
#define WIDTH 2
#include "elements_template.h"

#define T u32
#define WIDTH 4
#include "elements_template.h"

#define T u64
#define WIDTH 8
#include "elements_template.h"

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

void split_elements(int width, const u8 *raw, const u8 *base, u8 *planes, size_t stride, size_t m,
                    int how, int orient)
{
    BY_WIDTH(width, split_all, raw, base, planes, stride, m, how, orient);
}

void join_elements(int width, const u8 *const *planes, const u8 *base, u8 *out, size_t m, int how)
{
    BY_WIDTH(width, join_all, planes, base, out, m, how);
}

void element_keys(int width, const u8 *base, u8 *keys, size_t m, int ordered, int shift)
{
    BY_WIDTH(width, keys, base, keys, m, ordered, shift);
}

void sort_differences(int width, const u8 *raw, const u8 *base, const u8 *keys,
                      size_t (*cursor)[KEYS], void *sorted, size_t m, int ordered)
{
    BY_WIDTH(width, sort_all, raw, base, keys, cursor, sorted, m, ordered);
}

void unsort_differences(int width, const void *sorted, const u8 *base, const u8 *keys,
                        size_t (*cursor)[KEYS], u8 *out, size_t m, int ordered)
{
    BY_WIDTH(width, unsort_all, sorted, base, keys, cursor, out, m, ordered);
}

void split_sorted(int width, const void *sorted, u8 *planes, size_t m)
{
    BY_WIDTH(width, split_sorted, sorted, planes, m);
}

void join_sorted(int width, const u8 *planes, void *sorted, size_t m)
{
    BY_WIDTH(width, join_sorted, planes, sorted, m);
}
