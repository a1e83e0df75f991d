/* TCP segments through the judge of ordinary connections, with generations of a few connections.

   The first octet says how many connections a generation has. Then segments: an octet that says who sends to whom, one for
   flags, one for the numbers, one for the length of options and payload, then the options. Ends and numbers are few, so
   that segments have to do with each other. The table is any that leads from state to state, and in every other state the
   plain segments lead nowhere: what the judge then leaves out must change nothing of the reports. */

#include <stdio.h>

#include "../../tioption/verdict/_ordinary_core.h"

#define MOST 64

#define ENSURE(what) ((what) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #what), abort()))

static uint64_t sum(uint64_t before, const struct row *row) {
    const uint8_t *octets = (const uint8_t *)row;
    for (size_t i = 0; i < sizeof *row; i++) before = (before ^ octets[i]) * 1099511628211u;
    return before;
}

static void report(struct tracker *t, int every, uint64_t *reports) {
    uint32_t live = t->live;
    for (int flows = 0; flows < 2; flows++) {
        ENSURE(collect(t, every, flows));
        ENSURE(t->collected_count <= live);
        for (uint32_t i = 0; i < t->collected_count; i++) {
            ENSURE(i == 0 || t->collected[i - 1].key < t->collected[i].key);
            struct row row = row_of(connection_at(t, t->collected[i].number));
            ENSURE(row.address == 4 || row.address == 16);
            ENSURE((row.code >> 2 & 15) < STATE_COUNT);
            *reports = sum(*reports, &row);
        }
    }
    release(t, every);
    ENSURE(every ? t->live == 0 : t->live <= live);
}

static void take_all(struct tracker *t, const uint8_t *data, size_t octets, const struct record *records, size_t count, uint64_t *reports) {
    size_t at = 0;
    uint32_t number = NONE;
    for (;;) {
        enum fed fed = feed(t, data, octets, records, count, &at, &number);
        ENSURE(fed != OUT_OF_MEMORY && fed != OUT_OF_BOUNDS);
        if (fed == TO_THE_END) return;
        if (fed == AT_STRANGE) {
            struct connection *c = connection_at(t, number);
            const struct record *r = &records[at++];
            c->strange = 1;
            observe(c, r, same_end(c->client, c->client_port, r->src, r->sport), -1);
            touch(t, c);
            if (r->flags & ACK && !c->named && c->index % 3 == 0) {
                c->tifid = r->seq;
                name_flow(t, number);
            }
            fed = t->young >= t->limit ? GENERATION_FULL : TO_THE_END;
        }
        if (fed == GENERATION_FULL) report(t, 0, reports);
        ENSURE(t->live <= 2 * t->limit);
    }
}

/* A sum of all reports on the segments. */
static uint64_t judge_all(const uint8_t *data, size_t octets, const struct record *records, size_t count, int leaving_out) {
    struct tracker t = {.kind_d = 253, .kind_c = 254, .seed = 7, .limit = 1 + data[0] % 8, .free = NONE};
    uint64_t reports = 0;
    for (int state = 0; state < STATE_COUNT; state++)
        for (int event = 0; event < EVENT_COUNT; event++) {
            int next = (state + event) % 7 == 6 ? UINT8_MAX : (state + event) % STATE_COUNT;
            if (state % 2 && (event == CONFIRM_PLAIN || event == DATA_PLAIN || event == PEER_TALKS)) next = state;
            t.table[state][event] = (struct step){(uint8_t)next, (uint8_t)(event % 5)};
        }
    prepare(&t);
    if (!leaving_out) memset(t.quiet, 0, sizeof t.quiet);
    t.exid[0xF989 >> 3] |= 1 << (0xF989 & 7);
    ENSURE(grow_tables(&t));
    take_all(&t, data, octets, records, count, &reports);
    report(&t, 1, &reports);
    free(t.pages);
    free(t.heads);
    free(t.flow_heads);
    free(t.sources);
    free(t.collected);
    return reports;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    static const uint32_t numbers[] = {0, 99, 100, 101, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 5};
    if (size < 2) return 0;
    uint8_t *data = malloc(size);
    memcpy(data, input, size);
    struct record records[MOST];
    size_t count = 0, at = 1;
    while (at + 4 < size && count < MOST) {
        const uint8_t *p = data + at;
        size_t options = (p[3] & 15u) * 4, left = size - at - 4;
        if (options > 40) options = 40;
        size_t captured = options < left ? options : left;
        struct record *r = &records[count++];
        *r = (struct record){.frame = count, .time_ns = (int64_t)count, .at = (uint32_t)at, .offset = 0, .address = p[0] & 64 ? 16 : 4};
        r->time_kind = p[0] & 128 ? p[0] & 1 ? TIME_NONE : TIME_LARGE : TIME_NS;
        /* The fixed header is not looked at but through the record: its place is taken by what stands before the options. */
        if (at < 16) { at += 4; count--; continue; }
        r->at = (uint32_t)(at - 16);
        r->end = (uint32_t)(20 + captured);
        r->captured = r->end;
        r->header_length = (uint8_t)(20 + options);
        r->length = (uint32_t)(20 + options + (p[3] >> 4));
        r->flags = p[1];
        r->seq = numbers[p[2] & 7];
        r->ack = numbers[p[2] >> 3 & 7];
        r->window = p[2];
        r->src[0] = r->dst[0] = 10;
        r->src[3] = p[0] & 3;
        r->dst[3] = p[0] >> 2 & 3;
        r->sport = p[0] >> 4 & 1;
        r->dport = p[0] >> 5 & 1;
        at += 4 + captured;
    }
    ENSURE(judge_all(data, size, records, count, 1) == judge_all(data, size, records, count, 0));
    free(data);
    return 0;
}
