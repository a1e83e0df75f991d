/* The lines of ordinary connections and their flows, as render/report.py writes those of all others. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../verdict/_row.h"
#include "_text.h"

#define LONGEST 320 /* octets of a line: less than two addresses, three numbers of 20 digits and the words, verdict aside */

static char *put_hex48(char *out, uint64_t value) {
    for (int shift = 44; shift >= 0; shift -= 4) *out++ = "0123456789abcdef"[value >> shift & 15];
    return out;
}

static char *put_peer(char *out, const struct row *row, const uint8_t *address, uint16_t port) {
    if (row->address == 4) {
        out = put_ipv4(out, address);
    } else {
        *out++ = '[';
        out = put_ipv6(out, address);
        *out++ = ']';
    }
    *out++ = ':';
    return put_number(out, port);
}

static char *put_flow(char *out, const struct row *row, uint8_t kind_d) {
    out = put(out, row->kind == kind_d ? "flow-d " : "flow-c ");
    return put_hex48(out, row->tifid);
}

static char *put_connection(char *out, const struct row *row, const char *verdict, uint8_t kind_d) {
    out = put(put_number(out, row->index), "  ");
    out = put(put_peer(out, row, row->client, row->client_port), " > ");
    out = put(put_peer(out, row, row->server, row->server_port), "  ");
    out = put(out, verdict);
    if (row->kind) out = put_flow(put(out, "  "), row, kind_d);
    if (row->flow) out = put(out, ", transport 1");
    *out++ = '\n';
    return out;
}

static char *put_flow_line(char *out, const struct row *row, uint8_t kind_d) {
    out = put_number(put(put_flow(out, row, kind_d), "  connections "), row->index);
    out = put(put_number(put(out, "  "), row->sent_a), " and ");
    return put(put_number(out, row->sent_b), " bytes\n");
}

/* lines(rows, flows, kind_d, verdicts) -> octets: a line a row; verdicts are the words by the row's code, None where no
   row has it. */
static PyObject *report_lines(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer buffer;
    int flows;
    unsigned char kind_d;
    PyObject *verdicts, *result = NULL;
    char *start = NULL;
    if (!PyArg_ParseTuple(args, "y*pbO!:lines", &buffer, &flows, &kind_d, &PyList_Type, &verdicts)) return NULL;
    size_t count = (size_t)buffer.len / sizeof(struct row), longest = LONGEST;
    for (Py_ssize_t i = 0; i < PyList_Size(verdicts); i++) {
        PyObject *verdict = PyList_GetItem(verdicts, i);
        if (PyBytes_Check(verdict) && LONGEST + (size_t)PyBytes_Size(verdict) > longest) longest = LONGEST + (size_t)PyBytes_Size(verdict);
    }
    if (!(start = malloc(count ? count * longest : 1))) {
        PyErr_NoMemory();
        goto done;
    }
    char *out = start;
    for (size_t i = 0; i < count; i++) {
        struct row row;
        memcpy(&row, (const char *)buffer.buf + i * sizeof row, sizeof row);
        if (flows) {
            out = put_flow_line(out, &row, kind_d);
            continue;
        }
        PyObject *verdict = row.code < PyList_Size(verdicts) ? PyList_GetItem(verdicts, row.code) : NULL;
        if (!verdict || !PyBytes_Check(verdict)) {
            PyErr_SetString(PyExc_ValueError, "lines: a row whose verdict has no words");
            goto done;
        }
        out = put_connection(out, &row, PyBytes_AsString(verdict), kind_d);
    }
    result = PyBytes_FromStringAndSize(start, out - start);
done:
    free(start);
    PyBuffer_Release(&buffer);
    return result;
}

static PyMethodDef methods[] = {
    {"lines", report_lines, METH_VARARGS, "The lines of ordinary connections, or of their flows."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_report", "Lines of ordinary connections, in C.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__report(void) { return PyModuleDef_Init(&definition); }
