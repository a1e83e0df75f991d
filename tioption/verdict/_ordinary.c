/* Judging ordinary connections (see _ordinary_core.h) as a Python module of CPython's stable ABI. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_ordinary_core.h"

typedef struct {
    PyObject_HEAD
    struct tracker tracker;
} Tracker;

static PyObject *time_object(int64_t time_ns) {
    if (time_ns == NO_TIME) Py_RETURN_NONE;
    return PyLong_FromLongLong(time_ns);
}

static PyObject *direction_object(const struct direction *d) {
    return Py_BuildValue("(iikiIkiiLLLiL)", d->seen, d->started, (unsigned long)d->isn, d->placed, d->window,
                         (unsigned long)d->first, d->scaled, d->scale, (long long)d->furthest, (long long)d->sent,
                         (long long)d->acked, d->ended, (long long)d->fin);
}

/* All that is known of a connection (ordinary.py: _Snapshot). */
static PyObject *snapshot(const struct connection *c) {
    PyObject *parts[4] = {direction_object(&c->forward), direction_object(&c->reverse), time_object(c->first_time),
                          time_object(c->last_time)};
    PyObject *whole = NULL;
    if (parts[0] && parts[1] && parts[2] && parts[3])
        whole = Py_BuildValue("(y#Hy#HOOOOKKiiiiiiiiKKKKK)", c->client, (Py_ssize_t)c->address, c->client_port, c->server,
                              (Py_ssize_t)c->address, c->server_port, parts[0], parts[1], parts[2], parts[3],
                              (unsigned long long)c->first_frame, (unsigned long long)c->last_frame, c->reset, c->state,
                              c->reason, c->seen_syn, c->seen_answer, c->offered, c->answered, c->kind,
                              (unsigned long long)c->tifid, (unsigned long long)c->s_a, (unsigned long long)c->s_b,
                              (unsigned long long)c->serial, (unsigned long long)c->confirmed_frame);
    for (int i = 0; i < 4; i++) Py_XDECREF(parts[i]);
    return whole;
}

static void release_everything(struct tracker *t) {
    for (uint32_t i = 0; i < t->page_count; i++) free(t->pages[i]);
    free(t->pages);
    free(t->heads);
    free(t->flow_heads);
    free(t->sources);
    free(t->collected);
}

static int no_memory(void) {
    PyErr_NoMemory();
    return -1;
}

/* Tracker(table, kind_d, kind_c, exid, seed, limit): the table has two octets for each state and event, in the order of
   STATES and EVENTS: the next state, 255 where that is strange, and the reason. */
static int tracker_init(PyObject *self, PyObject *args, PyObject *keywords) {
    struct tracker *t = &((Tracker *)self)->tracker;
    const uint8_t *table, *exid;
    Py_ssize_t table_octets, exid_octets;
    unsigned long long seed;
    (void)keywords;
    if (t->heads) {
        PyErr_SetString(PyExc_ValueError, "a tracker is made once");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "y#bby#KI:Tracker", &table, &table_octets, &t->kind_d, &t->kind_c, &exid, &exid_octets, &seed, &t->limit))
        return -1;
    if (table_octets != sizeof t->table || exid_octets != sizeof t->exid || t->limit == 0 || t->limit > (uint32_t)1 << 30) {
        PyErr_SetString(PyExc_ValueError, "Tracker: a table, a bitmap or a limit of the wrong size");
        return -1;
    }
    for (size_t i = 0; i < sizeof t->table; i += 2) {
        t->table[i / 2 / EVENT_COUNT][i / 2 % EVENT_COUNT] = (struct step){table[i], table[i + 1]};
        if (table[i] >= STATE_COUNT && table[i] != UINT8_MAX) {
            PyErr_SetString(PyExc_ValueError, "Tracker: a state that is none");
            return -1;
        }
    }
    memcpy(t->exid, exid, sizeof t->exid);
    t->seed = seed;
    prepare(t);
    t->free = NONE;
    if (!grow_tables(t)) return no_memory();
    return 0;
}

static void tracker_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    release_everything(&((Tracker *)self)->tracker);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* feed(data, records, count, at) -> (at, full, strange): takes in records from `at` on. It ends after a record that
   filled a generation, or after a strange one, of which `strange` is (its place, connection, index, snapshot of what the
   connection was before or None where Python has it or it is new). */
static PyObject *tracker_feed(PyObject *self, PyObject *args) {
    struct tracker *t = &((Tracker *)self)->tracker;
    Py_buffer data, records;
    Py_ssize_t count, start;
    if (!PyArg_ParseTuple(args, "y*y*nn:feed", &data, &records, &count, &start)) return NULL;
    PyObject *result = NULL;
    const struct record *all = records.buf;
    size_t at = (size_t)start;
    uint32_t number = NONE;
    int right = start >= 0 && count >= 0 && (size_t)count <= (size_t)records.len / sizeof *all &&
                (count == 0 || (uintptr_t)all % _Alignof(struct record) == 0);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "feed: more records than there are, or not aligned");
        goto done;
    }
    enum fed fed = feed(t, data.buf, (size_t)data.len, all, (size_t)count, &at, &number);
    if (fed == OUT_OF_MEMORY) {
        no_memory();
        goto done;
    }
    if (fed == OUT_OF_BOUNDS) {
        PyErr_SetString(PyExc_ValueError, "feed: a record that lies outside its chunk");
        goto done;
    }
    if (fed != AT_STRANGE) {
        result = Py_BuildValue("(niO)", (Py_ssize_t)at, fed == GENERATION_FULL, Py_None);
        goto done;
    }
    struct connection *c = connection_at(t, number);
    const struct record *r = &all[at];
    PyObject *before = NULL;
    if (c->strange || (!c->forward.seen && !c->reverse.seen)) before = Py_NewRef(Py_None);
    else before = snapshot(c);
    if (before) {
        c->strange = 1;
        observe(c, r, same_end(c->client, c->client_port, r->src, r->sport), -1);
        touch(t, c);
        result = Py_BuildValue("(ni(nIKN))", (Py_ssize_t)at + 1, t->young >= t->limit, (Py_ssize_t)at, (unsigned)number,
                               (unsigned long long)c->index, before);
    }
done:
    PyBuffer_Release(&data);
    PyBuffer_Release(&records);
    return result;
}

/* adopt(kind, tifid) -> (connection, index, snapshot) of the ordinary connection that carries this flow, strange from
   now on; None where there is none. */
static PyObject *tracker_adopt(PyObject *self, PyObject *args) {
    struct tracker *t = &((Tracker *)self)->tracker;
    unsigned char kind;
    unsigned long long tifid;
    if (!PyArg_ParseTuple(args, "bK:adopt", &kind, &tifid)) return NULL;
    for (uint32_t number = t->flow_heads[flow_hash(t, tifid) & t->mask]; number != NONE;) {
        struct connection *c = connection_at(t, number);
        if (c->tifid == tifid && c->kind == kind && !c->strange) {
            c->strange = 1;
            return Py_BuildValue("(IKN)", (unsigned)number, (unsigned long long)c->index, snapshot(c));
        }
        number = c->next_flow;
    }
    Py_RETURN_NONE;
}

/* name(connection, kind, tifid, begins) -> serial of the flow that a strange connection carries from now on, a new one
   where the flow begins with it. */
static PyObject *tracker_name(PyObject *self, PyObject *args) {
    struct tracker *t = &((Tracker *)self)->tracker;
    unsigned number;
    unsigned char kind;
    unsigned long long tifid;
    int begins;
    if (!PyArg_ParseTuple(args, "IbKp:name", &number, &kind, &tifid, &begins)) return NULL;
    if (number >= t->made || !connection_at(t, number)->strange || tifid >> 48) {
        PyErr_SetString(PyExc_ValueError, "name: a connection that is not strange, or a TIFID of more than 48 bits");
        return NULL;
    }
    struct connection *c = connection_at(t, number);
    if (!c->named) {
        c->kind = kind;
        c->tifid = tifid;
        if (begins) c->serial = ++t->flows;
        name_flow(t, number);
    }
    return PyLong_FromUnsignedLongLong(c->serial);
}

/* step(address, first) -> how many equal small steps the first halves of this host have made with this one (SEC-01). */
static PyObject *tracker_step(PyObject *self, PyObject *args) {
    struct tracker *t = &((Tracker *)self)->tracker;
    const uint8_t *address;
    Py_ssize_t octets;
    unsigned first;
    if (!PyArg_ParseTuple(args, "y#I:step", &address, &octets, &first)) return NULL;
    if (octets != 4 && octets != 16) {
        PyErr_SetString(PyExc_ValueError, "step: an address of 4 or 16 octets");
        return NULL;
    }
    if (!have_sources(t)) return PyErr_NoMemory();
    struct source *s = source_of(t, address, (unsigned)octets);
    *s = source_after(s, address, (unsigned)octets, first);
    return Py_BuildValue("(ii)", s->run, s->distance);
}

/* collect(every, flows) -> number of connections to be reported: all, or those of the older generation; their flows. */
static PyObject *tracker_collect(PyObject *self, PyObject *args) {
    struct tracker *t = &((Tracker *)self)->tracker;
    int every, flows;
    if (!PyArg_ParseTuple(args, "pp:collect", &every, &flows)) return NULL;
    if (!collect(t, every, flows)) return PyErr_NoMemory();
    return PyLong_FromUnsignedLong(t->collected_count);
}

/* rows(start, room, below) -> (octets of ROWs, next): of what was collected, from `start` on, at most `room` ordinary
   ones with an index (or serial) below `below`, up to the first strange one. */
static PyObject *tracker_rows(PyObject *self, PyObject *args) {
    struct tracker *t = &((Tracker *)self)->tracker;
    unsigned start, room;
    unsigned long long below;
    if (!PyArg_ParseTuple(args, "IIK:rows", &start, &room, &below)) return NULL;
    uint32_t at = start, last = start;
    while (last < t->collected_count && last - start < room && t->collected[last].key < below && !connection_at(t, t->collected[last].number)->strange) last++;
    PyObject *octets = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((last - start) * sizeof(struct row)));
    if (!octets) return NULL;
    struct row *rows = (struct row *)PyBytes_AsString(octets);
    for (; at < last; at++) {
        struct row row = row_of(connection_at(t, t->collected[at].number));
        memcpy(rows++, &row, sizeof row);
    }
    return Py_BuildValue("(NI)", octets, last);
}

/* tally(rows) -> ((code, rows that have it), ...). */
static PyObject *ordinary_tally(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(args, "y*:tally", &buffer)) return NULL;
    uint32_t counts[(UINT8_MAX << 6 | 63) + 1] = {0}, codes = 0; /* all there can be: see row_code */
    size_t rows = (size_t)buffer.len / sizeof(struct row);
    for (size_t i = 0; i < rows; i++) {
        struct row row;
        memcpy(&row, (const char *)buffer.buf + i * sizeof row, sizeof row);
        if (row.code < sizeof counts / sizeof *counts) codes += !counts[row.code]++;
    }
    PyBuffer_Release(&buffer);
    PyObject *tally = PyTuple_New((Py_ssize_t)codes);
    Py_ssize_t at = 0;
    for (unsigned code = 0; tally && at < (Py_ssize_t)codes; code++) {
        if (!counts[code]) continue;
        PyObject *count = Py_BuildValue("(Ik)", code, (unsigned long)counts[code]);
        if (!count || PyTuple_SetItem(tally, at++, count) < 0) Py_CLEAR(tally);
    }
    return tally;
}

/* key(at) -> index (or serial) of one that was collected. */
static PyObject *tracker_key(PyObject *self, PyObject *args) {
    struct tracker *t = &((Tracker *)self)->tracker;
    unsigned at;
    if (!PyArg_ParseTuple(args, "I:key", &at)) return NULL;
    if (at >= t->collected_count) {
        PyErr_SetString(PyExc_IndexError, "key: not so many were collected");
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(t->collected[at].key);
}

static PyObject *tracker_release(PyObject *self, PyObject *args) {
    int every;
    if (!PyArg_ParseTuple(args, "p:release", &every)) return NULL;
    struct tracker *t = &((Tracker *)self)->tracker;
    t->collected_count = 0;
    release(t, every);
    Py_RETURN_NONE;
}

static PyMethodDef tracker_methods[] = {
    {"feed", tracker_feed, METH_VARARGS, "Take in records of a batch."},
    {"adopt", tracker_adopt, METH_VARARGS, "Hand over the ordinary connection that carries a flow."},
    {"name", tracker_name, METH_VARARGS, "Enter the flow of a strange connection."},
    {"step", tracker_step, METH_VARARGS, "Count a first half among those of its host."},
    {"collect", tracker_collect, METH_VARARGS, "Begin a report."},
    {"rows", tracker_rows, METH_VARARGS, "Ordinary connections of the report."},
    {"key", tracker_key, METH_VARARGS, "Index or serial of a connection of the report."},
    {"release", tracker_release, METH_VARARGS, "Forget what was reported; the younger generation becomes the older one."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tracker_slots[] = {
    {Py_tp_init, tracker_init},
    {Py_tp_dealloc, tracker_dealloc},
    {Py_tp_methods, tracker_methods},
    {0, NULL},
};

static PyType_Spec tracker_spec = {"tioption.verdict._ordinary.Tracker", sizeof(Tracker), 0, Py_TPFLAGS_DEFAULT, tracker_slots};

static int add_constant(PyObject *module, const char *name, PyObject *value) {
    if (!value) return -1;
    int failed = PyModule_AddObjectRef(module, name, value);
    Py_DECREF(value);
    return failed;
}

static int fill(PyObject *module) {
#define TEXT(name, text) text,
#define S(name, text) "s"
#define FIELD(name, format) #name, (Py_ssize_t)offsetof(struct row, name), format,
#define DESCRIBED(name, format) "(sns)"
    if (add_constant(module, "STATES", Py_BuildValue("(" STATES(S) ")", STATES(TEXT) NULL)) < 0) return -1;
    if (add_constant(module, "EVENTS", Py_BuildValue("(" EVENTS(S) ")", EVENTS(TEXT) NULL)) < 0) return -1;
    if (add_constant(module, "ROW_FIELDS", Py_BuildValue("(" ROW_FIELDS(DESCRIBED) ")", ROW_FIELDS(FIELD) NULL)) < 0) return -1;
    return add_constant(module, "Tracker", PyType_FromModuleAndSpec(module, &tracker_spec, NULL));
}

static PyMethodDef methods[] = {
    {"tally", ordinary_tally, METH_VARARGS, "How many rows have which code."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_ordinary", "Ordinary connections, judged in C.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__ordinary(void) { return PyModuleDef_Init(&definition); }
