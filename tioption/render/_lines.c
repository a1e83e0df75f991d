/* tcpdump's lines (see _lines_core.h) as a Python module of CPython's stable ABI. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_lines_core.h"

typedef struct {
    PyObject_HEAD
    struct lines lines;
    PyObject *experiments; /* bytes that lines.experiments points into */
    char *text;
} Lines;

static void lines_dealloc(PyObject *self) {
    Lines *ours = (Lines *)self;
    PyTypeObject *type = Py_TYPE(self);
    numbers_free(&ours->lines.numbers);
    free(ours->text);
    Py_XDECREF(ours->experiments);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *lines_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    unsigned char kind_d, kind_c;
    PyObject *experiments;
    int every;
    unsigned long long seed;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "bbSpK:Lines", &kind_d, &kind_c, &experiments, &every, &seed)) return NULL;
    Lines *ours = (Lines *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (ours == NULL) return NULL;
    Py_INCREF(experiments);
    ours->experiments = experiments;
    ours->text = malloc(TEXT_MOST);
    struct lines *l = &ours->lines;
    l->every = every;
    l->kind_d = kind_d;
    l->kind_c = kind_c;
    l->experiments = (const uint8_t *)PyBytes_AsString(experiments);
    l->experiment_count = (size_t)PyBytes_Size(experiments) / EXPERIMENT;
    l->minute = INT64_MIN;
    int wrong = 0;
    for (size_t i = 0; i < l->experiment_count; i++) wrong |= l->experiments[i * EXPERIMENT + 1] > 4;
    if (wrong) PyErr_SetString(PyExc_ValueError, "an experiment identifier of more than 4 octets");
    else if (!numbers_new(&l->numbers, seed) || ours->text == NULL) PyErr_NoMemory();
    if (PyErr_Occurred()) {
        Py_DECREF(ours);
        return NULL;
    }
    return (PyObject *)ours;
}

static PyObject *lines_text(PyObject *self, PyObject *args) {
    Lines *ours = (Lines *)self;
    Py_buffer data, records;
    Py_ssize_t index, count;
    if (!PyArg_ParseTuple(args, "y*y*nn:text", &data, &records, &index, &count)) return NULL;
    PyObject *result = NULL;
    if (index < 0 || index > count || (size_t)count > (size_t)records.len / sizeof(struct record) ||
        (count > 0 && (uintptr_t)records.buf % _Alignof(struct record) != 0)) {
        PyErr_SetString(PyExc_ValueError, "text: arguments that contradict each other");
    } else {
        size_t next = (size_t)index;
        int python;
        size_t octets = put_lines(&ours->lines, ours->text, data.buf, (size_t)data.len, records.buf, &next, (size_t)count, &python);
        PyObject *text = PyUnicode_DecodeASCII(ours->text, (Py_ssize_t)octets, NULL);
        if (text != NULL) result = Py_BuildValue("NnO", text, (Py_ssize_t)next, python ? Py_True : Py_False);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&records);
    return result;
}

static PyObject *lines_bases(PyObject *self, PyObject *args) {
    Lines *ours = (Lines *)self;
    struct record r = {0};
    const char *src, *dst;
    Py_ssize_t src_octets, dst_octets;
    unsigned long seq, ack;
    if (!PyArg_ParseTuple(args, "y#y#HHkkH:bases", &src, &src_octets, &dst, &dst_octets, &r.sport, &r.dport, &seq, &ack, &r.flags))
        return NULL;
    if (src_octets != dst_octets || (src_octets != 4 && src_octets != 16)) {
        PyErr_SetString(PyExc_ValueError, "bases: addresses of 4 or of 16 octets");
        return NULL;
    }
    memcpy(r.src, src, (size_t)src_octets);
    memcpy(r.dst, dst, (size_t)dst_octets);
    r.address = (uint8_t)src_octets;
    r.seq = (uint32_t)seq;
    r.ack = (uint32_t)ack;
    struct bases b = numbers_bases(&ours->lines.numbers, &r);
    return Py_BuildValue("kkk", (unsigned long)b.own, (unsigned long)b.other, (unsigned long)b.sack);
}

static PyMethodDef methods[] = {
    {"text", lines_text, METH_VARARGS,
     "text(data, records, index, count): lines, the next record's index, and whether Python must print that one."},
    {"bases", lines_bases, METH_VARARGS,
     "bases(src, dst, sport, dport, seq, ack, flags): what to subtract from sequence, acknowledgment and SACK numbers."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_new, lines_new},
    {Py_tp_dealloc, lines_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Lines(kind_d, kind_c, experiments, every, seed): prints the records of one capture."},
    {0, NULL},
};

static PyType_Spec type_spec = {"tioption.render._lines.Lines", sizeof(Lines), 0, Py_TPFLAGS_DEFAULT, type_slots};

static int add_type(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &type_spec, NULL);
    if (type == NULL) return -1;
    int failed = PyModule_AddObjectRef(module, "Lines", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_type}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_lines", "tcpdump's lines of TCP segments, in C.", 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__lines(void) { return PyModuleDef_Init(&definition); }
