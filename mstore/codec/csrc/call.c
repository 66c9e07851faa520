/* Arguments taken one letter each, and results. */

#include "call.h"

#include <stdlib.h>
#include <string.h>

PyObject *sizes_differ(void)
{
    PyErr_SetString(PyExc_ValueError, "the buffers do not have the sizes that belong together");
    return NULL;
}

static int set_width(Call *call, long width)
{
    if (PyErr_Occurred())
        return 0;
    if (width != 1 && width != 2 && width != 4 && width != 8) {
        PyErr_SetString(PyExc_ValueError, "an element has 1, 2, 4 or 8 bytes");
        return 0;
    }
    call->width = (int)width;
    return 1;
}

static int set_planes(Call *call, PyObject *planes)
{
    if (!set_width(call, PyTuple_Check(planes) ? (long)PyTuple_Size(planes) : 0))
        return 0;
    for (int j = 0; j < call->width; j++)
        if (PyObject_GetBuffer(PyTuple_GetItem(planes, j), call->planes + j, PyBUF_SIMPLE))
            return 0;
    return 1;
}

static int set_shift(Call *call, long shift)
{
    if (PyErr_Occurred())
        return 0;
    if (shift < 0 || shift >= 8 * call->width) {
        sizes_differ();
        return 0;
    }
    call->shift = (int)shift;
    return 1;
}

static int set_argument(Call *call, char letter, PyObject *value)
{
    switch (letter) {
    case 'r':
        return !PyObject_GetBuffer(value, &call->raw, PyBUF_SIMPLE);
    case 'R':
        return !PyObject_GetBuffer(value, &call->raw, PyBUF_WRITABLE);
    case 's':
        return !PyObject_GetBuffer(value, &call->stored, PyBUF_SIMPLE);
    case 'S':
        return !PyObject_GetBuffer(value, &call->stored, PyBUF_WRITABLE);
    case 'B':
        if (value == Py_None)
            return 1;
        return !PyObject_GetBuffer(value, &call->base, PyBUF_SIMPLE);
    case 'b':
        return !PyObject_GetBuffer(value, &call->base, PyBUF_SIMPLE);
    case 't':
        return set_planes(call, value);
    case 'w':
        return set_width(call, PyLong_AsLong(value));
    case 'f':
        return (call->flag = PyObject_IsTrue(value)) >= 0;
    default: /* 'n' */
        return set_shift(call, PyLong_AsLong(value));
    }
}

PyObject *finish(Call *call, PyObject *result)
{
    PyBuffer_Release(&call->raw);
    PyBuffer_Release(&call->base);
    PyBuffer_Release(&call->stored);
    for (int j = 0; j < WIDTH_MOST; j++)
        PyBuffer_Release(call->planes + j);
    return result;
}

int begin(Call *call, PyObject *args, const char *letters)
{
    Py_ssize_t count = (Py_ssize_t)strlen(letters);
    memset(call, 0, sizeof *call);
    if (PyTuple_Size(args) != count) {
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", count, PyTuple_Size(args));
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (!set_argument(call, letters[i], PyTuple_GetItem(args, i))) {
            finish(call, NULL);
            return 0;
        }
    if (call->base.obj && call->base.len < call->raw.len) {
        finish(call, sizes_differ());
        return 0;
    }
    return 1;
}

PyObject *none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

PyObject *encoded(Call *call, Outcome outcome, Output *output)
{
    PyObject *result;
    if (outcome == DONE)
        result = PyBytes_FromStringAndSize((const char *)output->bytes, (Py_ssize_t)output->size);
    else if (outcome == REPEATED)
        result = PyBytes_FromStringAndSize(call->raw.buf, 1);
    else
        result = outcome == NO_MEMORY ? PyErr_NoMemory() : none();
    free(output->bytes);
    return finish(call, result);
}

PyObject *decoded(Call *call, Outcome outcome)
{
    return finish(call, outcome == NO_MEMORY ? PyErr_NoMemory() : PyBool_FromLong(outcome));
}
