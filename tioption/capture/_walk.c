/* The hot loop of reading captures (see _walk_core.h) as a Python module of CPython's stable ABI. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "_walk_core.h"

static int give_back(Py_buffer *buffers, int count) {
    for (int i = 0; i < count; i++)
        if (buffers[i].obj != NULL) PyBuffer_Release(&buffers[i]);
    return 0;
}

static PyObject *walk_walk(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer data, interfaces, acks, records;
    Py_ssize_t at, end, count;
    unsigned long long frame;
    unsigned header, unit, wanted;
    unsigned char kind_d, kind_c;
    int big;
    if (!PyArg_ParseTuple(args, "y*nnKpIIy*Ibbw*w*n:walk", &data, &at, &end, &frame, &big, &header, &unit, &interfaces,
                          &wanted, &kind_d, &kind_c, &acks, &records, &count))
        return NULL;
    Py_buffer all[] = {data, interfaces, acks, records};
    struct walk w = {
        .big = big,
        .header = header,
        .unit = unit,
        .interfaces = interfaces.buf,
        .interface_count = (size_t)interfaces.len / sizeof(struct interface),
        .wanted = wanted,
        .kind_d = kind_d,
        .kind_c = kind_c,
        .acks = acks.buf,
        .data = data.buf,
        .at = (size_t)at,
        .end = (size_t)end,
        .frame = frame,
        .records = records.buf,
        .count = (size_t)count,
        .room = (size_t)records.len / sizeof(struct record),
    };
    int wrong = at < 0 || at > end || end > data.len || (uint64_t)data.len > UINT32_MAX || count < 0 || w.count > w.room ||
                (header != 0 && (header < 16 || header > 24 || w.interface_count == 0)) || unit > 1000 ||
                (wanted & WANT_HANDSHAKES && (size_t)acks.len < ACKS_OCTETS) ||
                /* Where a buffer is empty, it may be anywhere. */
                (w.room > 0 && (uintptr_t)w.records % _Alignof(struct record) != 0) ||
                (w.interface_count > 0 && (uintptr_t)w.interfaces % _Alignof(struct interface) != 0);
    if (!wrong) walk(&w);
    give_back(all, 4);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "walk: arguments that contradict each other");
        return NULL;
    }
    return Py_BuildValue("nKn", (Py_ssize_t)w.at, (unsigned long long)w.frame, (Py_ssize_t)w.count);
}

static PyObject *walk_ack_bit(PyObject *module, PyObject *args) {
    (void)module;
    unsigned short client, server;
    unsigned long ack;
    if (!PyArg_ParseTuple(args, "HHk:ack_bit", &client, &server, &ack)) return NULL;
    return PyLong_FromUnsignedLong(ack_bit(client, server, (uint32_t)ack));
}

/* near(records, count, bits) -> octets of uint32_t: the indexes of whole segments whose ports, exclusively or'ed, have
   their bit among the 2^16 in `bits`. */
static PyObject *walk_near(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer records, bits;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "y*ny*:near", &records, &count, &bits)) return NULL;
    Py_buffer all[] = {records, bits};
    const struct record *record = records.buf;
    const uint8_t *wanted = bits.buf;
    PyObject *found = NULL;
    if (count < 0 || (size_t)count > (size_t)records.len / sizeof *record || bits.len != 1 << 13 ||
        (uintptr_t)record % _Alignof(struct record) != 0) {
        PyErr_SetString(PyExc_ValueError, "near: arguments that contradict each other");
    } else {
        size_t near = 0;
        for (Py_ssize_t i = 0; i < count; i++) {
            unsigned ports = record[i].sport ^ record[i].dport;
            near += wanted[ports >> 3] >> (ports & 7) & 1;
        }
        found = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(near * sizeof(uint32_t)));
        char *out = found == NULL ? NULL : PyBytes_AsString(found);
        for (Py_ssize_t i = 0; out != NULL && i < count && near > 0; i++) {
            unsigned ports = record[i].sport ^ record[i].dport;
            if (!(wanted[ports >> 3] >> (ports & 7) & 1)) continue;
            uint32_t index = (uint32_t)i;
            memcpy(out, &index, sizeof index);
            out += sizeof index;
            near--;
        }
    }
    give_back(all, 2);
    return found;
}

static PyMethodDef methods[] = {
    {"walk", walk_walk, METH_VARARGS, "Walk the records of a chunk; see tioption.capture.batch."},
    {"near", walk_near, METH_VARARGS, "Segments between ports of which a bitmap tells; see tioption.capture.ends."},
    {"ack_bit", walk_ack_bit, METH_VARARGS, "The bit of a third ACK in the bitmap of handshakes."},
    {NULL, NULL, 0, NULL},
};

static int add_fields(PyObject *module) {
#define FIELD(name, format) #name, (Py_ssize_t)offsetof(struct record, name), format,
#define DESCRIBED(name, format) "(sns)"
    PyObject *fields = Py_BuildValue("(" RECORD_FIELDS(DESCRIBED) ")", RECORD_FIELDS(FIELD) NULL);
    if (fields == NULL || PyModule_AddObjectRef(module, "FIELDS", fields) < 0) {
        Py_XDECREF(fields);
        return -1;
    }
    Py_DECREF(fields);
    return PyModule_AddIntConstant(module, "RECORD_OCTETS", sizeof(struct record));
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_fields}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_walk", "The hot loop of reading captures, in C.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__walk(void) { return PyModuleDef_Init(&definition); }
