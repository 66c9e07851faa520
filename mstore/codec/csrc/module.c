/* The module mstore.codec._kernel: the hot loops of the block modes (docs/format.md, section 6) for
 * one core, as Python calls them.
 *
 * Hides: how the loops are laid out for the processor at hand. It does not know ids, checksums,
 * zstd, or which mode is to be taken; mstore/codec/twin does the same, byte for byte, in numpy.
 * Every size is checked against the buffers that Python hands over before the loops begin, every
 * read of stored bytes while they run, and the GIL is released meanwhile.
 */

#include "call.h"

#include <string.h>

#include "elements.h"
#include "grouped.h"
#include "plane.h"
#include "rans.h"
#include "sample.h"
#include "sparse.h"
#include "tables.h"

#define MOST (1 << 30) /* bytes a call, so that counts fit 32 bits; a block has 2^26 at most */

static PyObject *py_allocate(PyObject *Py_UNUSED(self), PyObject *args)
{
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "n", &size))
        return NULL;
    return size < 0 ? sizes_differ() : PyByteArray_FromStringAndSize(NULL, size);
}

static PyObject *py_vectors(PyObject *Py_UNUSED(self), PyObject *args)
{
    int most;
    return PyArg_ParseTuple(args, "i", &most) ? PyLong_FromLong(use_vectors(most)) : NULL;
}

static PyObject *py_equal(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    int same;
    if (!begin(&call, args, "rs"))
        return NULL;
    const Py_buffer *a = &call.raw, *b = &call.stored;
    Py_BEGIN_ALLOW_THREADS
    same = a->len == b->len && !memcmp(a->buf, b->buf, (size_t)a->len);
    Py_END_ALLOW_THREADS
    return finish(&call, PyBool_FromLong(same));
}

static PyObject *py_split(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    if (!begin(&call, args, "rBwfS"))
        return NULL;
    size_t m = (size_t)call.raw.len / call.width;
    if ((size_t)call.stored.len != m * call.width)
        return finish(&call, sizes_differ());
    Py_BEGIN_ALLOW_THREADS
    split_elements(call.width, call.raw.buf, call.base.buf, call.stored.buf, m, m, call.flag, 0);
    Py_END_ALLOW_THREADS
    return finish(&call, none());
}

static PyObject *py_join(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    const u8 *planes[WIDTH_MOST];
    if (!begin(&call, args, "tBfR"))
        return NULL;
    size_t m = (size_t)call.raw.len / call.width;
    for (int j = 0; j < call.width; j++) {
        if ((size_t)call.planes[j].len != m)
            return finish(&call, sizes_differ());
        planes[j] = call.planes[j].buf;
    }
    Py_BEGIN_ALLOW_THREADS
    join_elements(call.width, planes, call.base.buf, call.raw.buf, m, call.flag);
    Py_END_ALLOW_THREADS
    return finish(&call, none());
}

static PyObject *py_encode_plane(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    Output output = {0};
    Outcome outcome;
    if (!begin(&call, args, "r"))
        return NULL;
    if (call.raw.len > MOST)
        return finish(&call, sizes_differ());
    Py_BEGIN_ALLOW_THREADS
    outcome = encode_plane(call.raw.buf, (size_t)call.raw.len, &output);
    Py_END_ALLOW_THREADS
    return encoded(&call, outcome, &output);
}

static PyObject *py_decode_plane(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    Outcome outcome;
    if (!begin(&call, args, "sR"))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = decode_plane(call.stored.buf, (size_t)call.stored.len, call.raw.buf, (size_t)call.raw.len);
    Py_END_ALLOW_THREADS
    return decoded(&call, outcome);
}

static PyObject *py_encode_grouped(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    Output output = {0};
    Outcome outcome;
    if (!begin(&call, args, "rbwfn"))
        return NULL;
    if (call.raw.len > MOST)
        return finish(&call, sizes_differ());
    Py_BEGIN_ALLOW_THREADS
    outcome = encode_grouped(call.raw.buf, call.base.buf, (size_t)call.raw.len, call.width, call.flag,
                             call.shift, &output);
    Py_END_ALLOW_THREADS
    return encoded(&call, outcome, &output);
}

static PyObject *py_decode_grouped(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    Outcome outcome;
    if (!begin(&call, args, "sbwR"))
        return NULL;
    if (call.raw.len > MOST)
        return finish(&call, sizes_differ());
    Py_BEGIN_ALLOW_THREADS
    outcome = decode_grouped(call.stored.buf, (size_t)call.stored.len, call.base.buf, call.width,
                             call.raw.buf, (size_t)call.raw.len);
    Py_END_ALLOW_THREADS
    return decoded(&call, outcome);
}

static PyObject *py_encode_sparse(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    Output output = {0};
    Outcome outcome;
    if (!begin(&call, args, "rbw"))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = encode_sparse(call.raw.buf, call.base.buf, (size_t)call.raw.len, (size_t)call.width,
                            &output);
    Py_END_ALLOW_THREADS
    return encoded(&call, outcome, &output);
}

static PyObject *py_decode_sparse(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    Outcome outcome;
    if (!begin(&call, args, "sbwR"))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    outcome = decode_sparse(call.stored.buf, (size_t)call.stored.len, call.base.buf, (size_t)call.width,
                            call.raw.buf, (size_t)call.raw.len);
    Py_END_ALLOW_THREADS
    return decoded(&call, outcome);
}

static PyObject *py_estimate(PyObject *Py_UNUSED(self), PyObject *args)
{
    Call call;
    u64 own = 0, difference = 0;
    if (!begin(&call, args, "rbwf"))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    estimate(call.raw.buf, call.base.buf, (size_t)call.raw.len / call.width, call.width, call.flag,
             &own, &difference);
    Py_END_ALLOW_THREADS
    return finish(&call, Py_BuildValue("KK", (unsigned long long)own, (unsigned long long)difference));
}

static PyMethodDef methods[] = {
    {"allocate", py_allocate, METH_VARARGS, "(size): a bytearray of that size, its bytes undefined."},
    {"vectors", py_vectors, METH_VARARGS,
     "(most): use at most these vectors, 2 AVX-512, 1 AVX2, 0 none; returns those in use. For tests."},
    {"equal", py_equal, METH_VARARGS, "(a, b): whether two buffers hold the same bytes."},
    {"split", py_split, METH_VARARGS,
     "(raw, base or None, width, how, planes): write the byte planes of elements, rotated if `how`,\n"
     "or of their differences to a base, ordered if `how`."},
    {"join", py_join, METH_VARARGS,
     "(planes, base or None, how, out): undo a split; bytes after the last element are left alone."},
    {"encode_plane", py_encode_plane, METH_VARARGS,
     "(plane): the coded plane; its one byte if all are equal; None if it is to stay raw."},
    {"decode_plane", py_decode_plane, METH_VARARGS,
     "(stored, out): decode a plane; False if the bytes are damaged."},
    {"encode_grouped", py_encode_grouped, METH_VARARGS,
     "(raw, base, width, ordered, shift): a grouped difference, or None if it would be no smaller."},
    {"decode_grouped", py_decode_grouped, METH_VARARGS,
     "(stored, base, width, out): undo a grouped difference; False if the bytes are damaged."},
    {"encode_sparse", py_encode_sparse, METH_VARARGS,
     "(raw, base, width): gap and value of each element that differs, or None if too many do."},
    {"decode_sparse", py_decode_sparse, METH_VARARGS,
     "(stored, base, width, out): undo a sparse difference; False if the bytes are damaged."},
    {"estimate", py_estimate, METH_VARARGS,
     "(raw, base, width, is_float): bits of a sample as it is, and as a difference."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "mstore.codec._kernel",
    .m_doc = "The hot loops of the block modes.",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    prepare_tables();
    prepare_coder();
    return PyModuleDef_Init(&module);
}
