/* The rows of flow options (see _rows_core.h) as a Python module of CPython's stable ABI. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>

#include "_rows_core.h"

#define ADDRESS_MOST 45 /* octets of the longest text of an address */

typedef struct {
    PyObject_HEAD
    struct rows rows;
    PyObject *experiment_kinds, *prefixes; /* bytes that `rows` points into */
} Rows;

static void rows_dealloc(PyObject *self) {
    Rows *ours = (Rows *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(ours->experiment_kinds);
    Py_XDECREF(ours->prefixes);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *rows_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    unsigned char kind_d, kind_c;
    PyObject *experiment_kinds, *prefixes;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "bbSS:Rows", &kind_d, &kind_c, &experiment_kinds, &prefixes)) return NULL;
    Rows *ours = (Rows *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (ours == NULL) return NULL;
    ours->experiment_kinds = Py_NewRef(experiment_kinds);
    ours->prefixes = Py_NewRef(prefixes);
    struct rows *s = &ours->rows;
    s->kind_d = kind_d;
    s->kind_c = kind_c;
    s->experiment_kinds = (const uint8_t *)PyBytes_AsString(experiment_kinds);
    s->experiment_kind_count = (size_t)PyBytes_Size(experiment_kinds);
    s->prefixes = (const uint8_t *)PyBytes_AsString(prefixes);
    s->prefix_count = (size_t)PyBytes_Size(prefixes) / 2;
    rows_prepare(s);
    return (PyObject *)ours;
}

/* Whether `count` records are there and lie where a struct may lie; sets an error where not. */
static int are_records(const Py_buffer *records, Py_ssize_t index, Py_ssize_t count) {
    if (index >= 0 && index <= count && (size_t)count <= (size_t)records->len / sizeof(struct record) &&
        (count == 0 || (uintptr_t)records->buf % _Alignof(struct record) == 0))
        return 1; /* where there is no record, the buffer may be anywhere */
    PyErr_SetString(PyExc_ValueError, "arguments that contradict each other");
    return 0;
}

static PyObject *rows_text(PyObject *self, PyObject *args) {
    Py_buffer data, records;
    Py_ssize_t index, count, start_octets;
    const char *start;
    int csv, every;
    if (!PyArg_ParseTuple(args, "y*y*nnppy#:text", &data, &records, &index, &count, &csv, &every, &start, &start_octets)) return NULL;
    PyObject *result = NULL;
    char *text = are_records(&records, index, count) ? malloc(ROWS_TEXT + ROW_MOST + (size_t)start_octets) : NULL;
    if (text != NULL) {
        size_t next = (size_t)index;
        int python;
        size_t octets = put_rows(&((Rows *)self)->rows, text, data.buf, (size_t)data.len, records.buf, &next, (size_t)count, csv,
                                 every, start, (size_t)start_octets, &python);
        PyObject *made = PyUnicode_DecodeUTF8(text, (Py_ssize_t)octets, "surrogatepass");
        if (made != NULL) result = Py_BuildValue("NnO", made, (Py_ssize_t)next, python ? Py_True : Py_False);
        free(text);
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&records);
    return result;
}

static PyObject *rows_places(PyObject *self, PyObject *args) {
    Py_buffer data, records;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "y*y*n:places", &data, &records, &count)) return NULL;
    PyObject *result = are_records(&records, 0, count) ? PyBytes_FromStringAndSize(NULL, count) : NULL;
    if (result != NULL) {
        uint8_t *places = (uint8_t *)PyBytes_AsString(result);
        const struct record *r = records.buf;
        for (Py_ssize_t i = 0; i < count; i++)
            places[i] = (uint8_t)place_of(&((Rows *)self)->rows, &r[i], data.buf, (size_t)data.len);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&records);
    return result;
}

static PyObject *rows_addresses(PyObject *module, PyObject *args) {
    Py_buffer addresses, sizes;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*:addresses", &addresses, &sizes)) return NULL;
    PyObject *result = NULL, *ends = NULL;
    char *text = NULL;
    size_t count = (size_t)sizes.len;
    if ((size_t)addresses.len != 16 * count || count > INT32_MAX / ADDRESS_MOST) {
        PyErr_SetString(PyExc_ValueError, "arguments that contradict each other");
    } else if ((ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((count + 1) * sizeof(int32_t)))) != NULL &&
               (text = malloc(count * ADDRESS_MOST + 1)) == NULL) {
        PyErr_NoMemory();
    } else if (ends != NULL) {
        const uint8_t *address = addresses.buf, *size = sizes.buf;
        char *p = text, *end = PyBytes_AsString(ends);
        for (size_t i = 0; i <= count; i++) {
            int32_t at = (int32_t)(p - text);
            memcpy(end + i * sizeof at, &at, sizeof at);
            if (i < count) p = size[i] == 4 ? put_ipv4(p, address + 16 * i) : put_ipv6(p, address + 16 * i);
        }
        result = Py_BuildValue("Oy#", ends, text, (Py_ssize_t)(p - text));
    }
    free(text);
    Py_XDECREF(ends);
    PyBuffer_Release(&addresses);
    PyBuffer_Release(&sizes);
    return result;
}

static PyMethodDef methods[] = {
    {"text", rows_text, METH_VARARGS,
     "text(data, records, index, count, csv, every, start): rows that each begin with `start`, the next record's index, and "
     "whether Python must make the rows of that one."},
    {"places", rows_places, METH_VARARGS, "places(data, records, count): an octet a record, as PLACE_ names it."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef functions[] = {
    {"addresses", rows_addresses, METH_VARARGS,
     "addresses(addresses, sizes): where the text of each begins and the last ends, 32 bits each, and all texts."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_new, rows_new},
    {Py_tp_dealloc, rows_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Rows(kind_d, kind_c, experiment_kinds, prefixes): makes the rows of records."},
    {0, NULL},
};

static PyType_Spec type_spec = {"tioption.render._rows.Rows", sizeof(Rows), 0, Py_TPFLAGS_DEFAULT, type_slots};

static int add_type(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &type_spec, NULL);
    if (type == NULL) return -1;
    int failed = PyModule_AddObjectRef(module, "Rows", type) || PyModule_AddIntConstant(module, "PLACE_NONE", PLACE_NONE) ||
                 PyModule_AddIntConstant(module, "PLACE_PYTHON", PLACE_PYTHON);
    Py_DECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_type}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_rows", "Rows of flow options, in C.", 0, functions, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__rows(void) { return PyModuleDef_Init(&definition); }
