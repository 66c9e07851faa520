/* Counts of symbols, what they would cost, and the tables of frequencies that code them
 * (docs/format.md, section 6.7). */

#ifndef MSTORE_TABLES_H
#define MSTORE_TABLES_H

#include "bits.h"
#include "common.h"

/* To be called once, before any other function of this header. */
void prepare_tables(void);

void count_values(const u8 *values, size_t n, u32 *counts);

/* Bits that `n` symbols with these counts have by their order-0 entropy. */
u64 entropy_bits(const u32 *counts, u64 n);

/* Bits that they are expected to cost with their table, at most as many as raw. */
u64 expected_bits(const u32 *counts, u64 n);

/* Frequencies that sum to SCALE, at least one for a symbol that occurs. Two symbols or more. */
void normalise(const u32 *counts, u64 n, u16 *freq);

void write_table(BitWriter *w, const u16 *freq);

/* 0 if the stored table is none: too long, or not of sum SCALE over two symbols or more. */
int read_table(BitReader *r, u16 *freq);

#endif
