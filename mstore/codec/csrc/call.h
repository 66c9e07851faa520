/* The arguments and results of the module's functions: the one place that takes buffers from Python
 * and gives them back. */

#ifndef MSTORE_CALL_H
#define MSTORE_CALL_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "common.h"

/* The arguments of a call. Buffers that a function does not take stay empty. */
typedef struct {
    Py_buffer raw; /* a block: bytes to encode, or room for those decoded */
    Py_buffer base;
    Py_buffer stored; /* coded bytes, or room for planes */
    Py_buffer planes[WIDTH_MOST];
    int width, flag, shift;
} Call;

/* Takes arguments, one a letter, and checks that the base is as long as the block. After 1 the
 * caller ends with `finish`, `encoded` or `decoded`; after 0 nothing is held, and an exception is
 * set. The letters: `r` raw bytes, `R` room for them; `s` stored bytes, `S` room for planes; `b` a
 * base, `B` a base or None; `t` a tuple of planes; `w` a width; `f` a flag; `n` a shift, after the
 * width. */
int begin(Call *call, PyObject *args, const char *letters);

/* Releases what a call holds and passes on its result. */
PyObject *finish(Call *call, PyObject *result);

/* Finishes with what an encoder gave: bytes; the one byte that a plane repeats; None if the block or
 * plane is to stay raw. Frees the output. */
PyObject *encoded(Call *call, Outcome outcome, Output *output);

/* Finishes with what a decoder gave: False if the bytes are damaged. */
PyObject *decoded(Call *call, Outcome outcome);

/* A new reference to None. */
PyObject *none(void);

/* Sets a ValueError and returns NULL. */
PyObject *sizes_differ(void);

#endif
