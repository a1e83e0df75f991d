/* The rows of flow options (rows.py) without Python: records of a batch in, JSON Lines or CSV out, or the places of the
   options for whoever makes columns of them.

   Only what is ordinary is done here: a whole header with all its options, at most one of them a flow option, and nothing
   that a finding could be about. Everything else is left to rows.py, which knows the rules and has their words. */

#ifndef TIOPTION_ROWS_CORE_H
#define TIOPTION_ROWS_CORE_H

#include "_text.h"

enum { ROW_FIN = 1, ROW_SYN = 2, ROW_RST = 4, ROW_ACK = 16 };
enum { OPTION_MD5 = 19, OPTION_AO = 29, OPTION_FAST_OPEN = 34 };

#define ROW_FLOW_LENGTH 20          /* octets of a flow option (OPT-01) */
#define LEAST_UNSUSPICIOUS_S0 65536 /* EST-02 */
#define ROW_MOST 512                /* more than any row made here, its beginning with the file's name aside */
#define ROWS_TEXT (256 * 1024)      /* octets of text after which a piece is complete */

/* Places of a flow option in the option area, 0 to 20, and what stands instead of one. */
enum { PLACE_NONE = 254, PLACE_PYTHON = 255 };

struct rows {
    uint8_t kind_d, kind_c;
    const uint8_t *experiment_kinds;
    size_t experiment_kind_count;
    const uint8_t *prefixes; /* the first two octets of each known experiment's identifier */
    size_t prefix_count;
    uint64_t markers[4];     /* a bit for each kind that rows.py has to look at where it is no flow option */
};

static inline uint64_t row_be48(const uint8_t *p) { return (uint64_t)be16(p) << 32 | be32(p + 2); }

static inline void rows_prepare(struct rows *s) {
    memset(s->markers, 0, sizeof s->markers);
    s->markers[s->kind_d >> 6] |= 1ull << (s->kind_d & 63);
    s->markers[s->kind_c >> 6] |= 1ull << (s->kind_c & 63);
    for (size_t i = 0; i < s->experiment_kind_count; i++)
        s->markers[s->experiment_kinds[i] >> 6] |= 1ull << (s->experiment_kinds[i] & 63);
}

/* Whether the octets behind kind and length begin like a known experiment: it is one, or OPT-12 is about it. */
static inline int like_experiment(const struct rows *s, const uint8_t *option) {
    if (memchr(s->experiment_kinds, option[0], s->experiment_kind_count) == NULL) return 0;
    for (size_t i = 0; i < s->prefix_count; i++)
        if (memcmp(s->prefixes + 2 * i, option + 2, 2) == 0) return 1;
    return 0;
}

/* Whether there is nothing to be found in a flow option of its own segment: every rule of verdict/segment.py is asked. */
static inline int faultless(const struct rows *s, const struct record *r, const uint8_t *option, size_t at) {
    uint64_t tifid = row_be48(option + 2), second = tifid & 0xFFFFFF;
    if (tifid >> 24 == 0) return 0;                                      /* OPT-06 */
    if (r->flags & ROW_ACK && second == 0) return 0;                     /* OPT-07 */
    if (at % 4) return 0;                                                /* OPT-08 */
    if (r->flags & (ROW_RST | ROW_FIN)) return 0;                        /* OPT-10 */
    if (like_experiment(s, option)) return 0;                            /* OPT-12, or no flow option at all */
    if (r->length > r->header_length) return 0;                          /* EST-11, EST-15, RES-23 */
    if ((r->flags & (ROW_SYN | ROW_ACK)) == ROW_SYN && second == 0 &&
        (row_be48(option + 14) != 0 || row_be48(option + 8) < LEAST_UNSUSPICIOUS_S0)) return 0; /* EST-01, EST-02 */
    return 1;
}

/* Where the flow option of a segment begins in its option area, or what else is to be said of it. */
static inline int place_of(const struct rows *s, const struct record *r, const uint8_t *data, size_t octets) {
    if (r->at > octets || r->captured > octets - r->at) return PLACE_PYTHON;
    if (r->kind != SEGMENT_WHOLE || r->time_kind == TIME_LARGE || (r->address != 4 && r->address != 16)) return PLACE_PYTHON;
    if (r->end > r->captured || r->offset > r->end || r->end - r->offset < 20) return PLACE_PYTHON;
    if (r->header_length < 20 || r->header_length > 60 || r->header_length > r->length) return PLACE_PYTHON;
    if (r->end - r->offset < r->header_length) return PLACE_PYTHON;
    const uint8_t *area = data + r->at + r->offset + 20;
    size_t length = r->header_length - 20u;
    int place = PLACE_NONE, beside = 0;
    for (size_t at = 0; at < length;) {
        const uint8_t *option = area + at;
        if (option[0] == 0) break;
        if (option[0] == 1) {
            at++;
            continue;
        }
        if (length - at < 2 || option[1] < 2 || option[1] > length - at) return PLACE_PYTHON;
        if (s->markers[option[0] >> 6] >> (option[0] & 63) & 1) {
            int ours = option[0] == s->kind_d || option[0] == s->kind_c;
            if (!ours || option[1] != ROW_FLOW_LENGTH || place != PLACE_NONE || !faultless(s, r, option, at)) return PLACE_PYTHON;
            place = (int)at;
        }
        beside |= option[0] == OPTION_MD5 || option[0] == OPTION_AO || option[0] == OPTION_FAST_OPEN;
        at += option[1];
    }
    return place != PLACE_NONE && beside ? PLACE_PYTHON : place; /* OPT-11 */
}

/* Seconds since 1970 with 9 decimals. */
static inline char *put_seconds(char *p, int64_t time_ns) {
    uint64_t ns = (uint64_t)time_ns;
    if (time_ns < 0) {
        *p++ = '-';
        ns = 0 - ns;
    }
    p = put_number(p, ns / 1000000000);
    *p++ = '.';
    return put_digits(p, (uint32_t)(ns % 1000000000), 9);
}

static inline char *put_address(char *p, const struct record *r, const uint8_t *address) {
    return r->address == 4 ? put_ipv4(p, address) : put_ipv6(p, address);
}

/* A row from the frame's number on; `option` is NULL where there is none. */
static inline char *put_json(const struct rows *s, char *p, const struct record *r, const uint8_t *option) {
    p = put_number(p, r->frame);
    if (r->time_kind == TIME_NONE) p = put(p, ", \"time\": null");
    else p = put(put_seconds(put(p, ", \"time\": \""), r->time_ns), "\"");
    p = put_address(put(p, ", \"src\": \""), r, r->src);
    p = put_number(put(p, "\", \"sport\": "), r->sport);
    p = put_address(put(p, ", \"dst\": \""), r, r->dst);
    p = put_number(put(p, "\", \"dport\": "), r->dport);
    p = put_flags(put(p, ", \"flags\": \""), r->flags);
    p = put_number(put(p, "\", \"seq\": "), r->seq);
    p = put_number(put(p, ", \"ack\": "), r->ack);
    if (option == NULL)
        return put(p, ", \"variant\": null, \"tifid\": null, \"tiseq\": null, \"tiack\": null, \"findings\": []}\n");
    p = put(p, option[0] == s->kind_d ? ", \"variant\": \"flow-d\", \"tifid\": \"" : ", \"variant\": \"flow-c\", \"tifid\": \"");
    p = put(put_hex(p, option + 2, 6), "\", \"tiseq\": \"");
    p = put(put_hex(p, option + 8, 6), "\", \"tiack\": \"");
    return put(put_hex(p, option + 14, 6), "\", \"findings\": []}\n");
}

static inline char *put_csv(const struct rows *s, char *p, const struct record *r, const uint8_t *option) {
    p = put_number(p, r->frame);
    *p++ = ',';
    if (r->time_kind != TIME_NONE) p = put_seconds(p, r->time_ns);
    *p++ = ',';
    p = put_address(p, r, r->src);
    *p++ = ',';
    p = put_number(p, r->sport);
    *p++ = ',';
    p = put_address(p, r, r->dst);
    *p++ = ',';
    p = put_number(p, r->dport);
    *p++ = ',';
    p = put_flags(p, r->flags);
    *p++ = ',';
    p = put_number(p, r->seq);
    *p++ = ',';
    p = put_number(p, r->ack);
    if (option == NULL) return put(p, ",,,,,\n");
    p = put(p, option[0] == s->kind_d ? ",flow-d," : ",flow-c,");
    p = put_hex(p, option + 2, 6);
    *p++ = ',';
    p = put_hex(p, option + 8, 6);
    *p++ = ',';
    return put(put_hex(p, option + 14, 6), ",\n");
}

/* The rows of records from *index to before `count`, as many as Python need not make and `text` (ROWS_TEXT octets and one
   row) has room for; *index moves behind them. Each begins with `start`. Returns the octets of text; *python says whether
   Python must make the next. */
static inline size_t put_rows(const struct rows *s, char *text, const uint8_t *data, size_t octets, const struct record *records,
                              size_t *index, size_t count, int csv, int every, const char *start, size_t start_octets,
                              int *python) {
    char *p = text;
    *python = 0;
    for (; *index < count && p - text <= ROWS_TEXT; ++*index) {
        const struct record *r = &records[*index];
        int place = place_of(s, r, data, octets);
        if (place == PLACE_PYTHON) {
            *python = 1;
            break;
        }
        if (place == PLACE_NONE && !every) continue;
        const uint8_t *option = place == PLACE_NONE ? NULL : data + r->at + r->offset + 20 + place;
        memcpy(p, start, start_octets);
        p = (csv ? put_csv : put_json)(s, p + start_octets, r, option);
    }
    return (size_t)(p - text);
}

#endif
