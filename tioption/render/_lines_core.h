/* tcpdump's own line of a TCP segment (lines.py, tcp_options.py), without Python: records of a batch in, text out.

   As in the walker, only what is ordinary is done here: a whole header, captured with all its options, each of them of its
   proper length and of a kind whose text is simple. A segment that is anything else is left to Python's LinePrinter, which
   shares the connections' first sequence numbers with this code (`struct numbers`). */

#ifndef TIOPTION_LINES_CORE_H
#define TIOPTION_LINES_CORE_H

#include <stdlib.h>
#include <time.h>

#include "_text.h"

enum { LINE_FIN = 1, LINE_SYN = 2, LINE_RST = 4, LINE_ACK = 16, LINE_URG = 32 };

#define LINE_MOST 1024          /* more than any line made here: its 40 octets of options give at most 280 */
#define TEXT_MOST (256 * 1024)  /* octets of text made at a time, at most */
#define CONNECTIONS 32768u      /* in each of two generations, as lines.py has it */
#define SLOTS (2 * CONNECTIONS)
#define FLOW_LENGTH 20          /* octets of a flow option (OPT-01) */

/* --- First sequence numbers by connection (lines.py: _RelativeNumbers) ------------------------------------------- */

struct connection {
    uint8_t key[36];            /* addresses in 16 octets each, ports; the end with the smaller port first */
    uint32_t forward, backward; /* first numbers of the first end and of the second */
    uint32_t address;           /* octets of an address, part of the key: 1.2.3.4 is not 102:304:: */
};

struct generation {
    struct connection *connections; /* CONNECTIONS of them */
    uint16_t *slots;                /* SLOTS of them: 1 + an index of `connections`, 0 where nothing is */
    uint32_t count;
};

struct numbers {
    struct generation young, old;
    uint64_t seed; /* unknown to whoever makes captures, so that no capture makes all connections collide */
};

static inline int generation_new(struct generation *g) {
    g->connections = malloc(CONNECTIONS * sizeof *g->connections);
    g->slots = calloc(SLOTS, sizeof *g->slots);
    g->count = 0;
    return g->connections != NULL && g->slots != NULL;
}

static inline int numbers_new(struct numbers *n, uint64_t seed) {
    int young = generation_new(&n->young), old = generation_new(&n->old);
    n->seed = seed;
    return young && old;
}

static inline void numbers_free(struct numbers *n) {
    free(n->young.connections);
    free(n->young.slots);
    free(n->old.connections);
    free(n->old.slots);
}

static inline uint32_t connection_slot(uint64_t seed, const struct connection *c) {
    uint64_t hash = seed, words[5] = {0};
    memcpy(words, c->key, sizeof c->key);
    words[4] |= (uint64_t)c->address << 32;
    for (int i = 0; i < 5; i++) {
        unsigned __int128 product = (unsigned __int128)(hash ^ words[i]) * 0x9E3779B97F4A7C15u;
        hash = (uint64_t)(product >> 64) ^ (uint64_t)product ^ seed;
    }
    return (uint32_t)(hash >> 32) % SLOTS;
}

/* The slot of a connection, or the free one where it belongs: at least half of them are free. */
static inline uint32_t generation_find(const struct generation *g, const struct connection *c, uint32_t slot) {
    for (; g->slots[slot]; slot = (slot + 1) % SLOTS) {
        const struct connection *known = &g->connections[g->slots[slot] - 1];
        if (known->address == c->address && memcmp(known->key, c->key, sizeof c->key) == 0) break;
    }
    return slot;
}

static inline void numbers_remember(struct numbers *n, const struct connection *c, uint32_t hash, uint32_t slot) {
    struct generation *young = &n->young;
    if (young->slots[slot]) {
        young->connections[young->slots[slot] - 1] = *c;
        return;
    }
    if (young->count == CONNECTIONS) {
        struct generation former = n->old;
        n->old = *young;
        *young = former;
        memset(young->slots, 0, SLOTS * sizeof *young->slots);
        young->count = 0;
        slot = hash; /* nothing is in its way any more */
    }
    young->connections[young->count++] = *c;
    young->slots[slot] = (uint16_t)young->count;
}

/* What to subtract from sequence and acknowledgment number and from the edges of SACK. */
struct bases {
    uint32_t own, other, sack;
};

static inline struct bases numbers_bases(struct numbers *n, const struct record *r) {
    struct connection c;
    int order = memcmp(r->src, r->dst, 16);
    int reverse = r->sport > r->dport || (r->sport == r->dport && order > 0);
    memcpy(c.key, reverse ? r->dst : r->src, 16);
    memcpy(c.key + 16, reverse ? r->src : r->dst, 16);
    memcpy(c.key + 32, reverse ? &r->dport : &r->sport, 2);
    memcpy(c.key + 34, reverse ? &r->sport : &r->dport, 2);
    c.address = r->address;
    uint32_t hash = connection_slot(n->seed, &c), slot = generation_find(&n->young, &c, hash);
    const struct connection *known = NULL;
    if (n->young.slots[slot]) {
        known = &n->young.connections[n->young.slots[slot] - 1];
    } else {
        uint32_t former = generation_find(&n->old, &c, hash);
        if (n->old.slots[former]) known = &n->old.connections[n->old.slots[former] - 1];
    }
    struct bases b;
    if (known != NULL && !(r->flags & LINE_SYN)) {
        c.forward = known->forward;
        c.backward = known->backward;
        b.own = reverse ? c.backward : c.forward;
        b.other = b.sack = reverse ? c.forward : c.backward;
    } else {
        uint32_t own = r->seq, other = r->ack - 1;
        c.forward = reverse ? other : own;
        c.backward = reverse ? own : other;
        b.own = b.other = 0;
        b.sack = other;
    }
    numbers_remember(n, &c, hash, slot);
    return b;
}

/* --- Lines ------------------------------------------------------------------------------------------------------- */

struct lines {
    struct numbers numbers;
    int every;                  /* segments without a flow option, too */
    uint8_t kind_d, kind_c;
    const uint8_t *experiments; /* those that may have FLOW_LENGTH octets: kind, octets of the identifier, identifier in 4 */
    size_t experiment_count;
    int64_t minute;             /* of which `clock` is the text, INT64_MIN for none */
    char clock[8];
};

#define EXPERIMENT 6

/* Whether a well-formed option is a flow option, with its kind and length only one if no known experiment's. */
static inline int is_flow(const struct lines *l, const uint8_t *option) {
    if (option[1] != FLOW_LENGTH || (option[0] != l->kind_d && option[0] != l->kind_c)) return 0;
    for (size_t i = 0; i < l->experiment_count; i++) {
        const uint8_t *e = l->experiments + i * EXPERIMENT;
        if (e[0] == option[0] && memcmp(e + 2, option + 2, e[1]) == 0) return 0;
    }
    return 1;
}

enum { OPTIONS_PLAIN, OPTIONS_FLOW, OPTIONS_UNUSUAL };

/* What an option area of `octets`, all of them captured, is: unusual where Python must print it. */
static inline int options_class(const struct lines *l, const uint8_t *area, size_t octets) {
    int class = OPTIONS_PLAIN;
    for (size_t at = 0; at < octets;) {
        const uint8_t *option = area + at;
        if (option[0] == 0) break;
        if (option[0] == 1) {
            at++;
            continue;
        }
        if (octets - at < 2 || option[1] < 2 || option[1] > octets - at) return OPTIONS_UNUSUAL;
        if (is_flow(l, option)) {
            class = OPTIONS_FLOW;
        } else {
            switch (option[0]) {
            case 2: if (option[1] != 4) return OPTIONS_UNUSUAL; break;
            case 3: if (option[1] != 3) return OPTIONS_UNUSUAL; break;
            case 4: if (option[1] != 2) return OPTIONS_UNUSUAL; break;
            case 5: if (option[1] % 8 != 2) return OPTIONS_UNUSUAL; break;
            case 8: if (option[1] != 10) return OPTIONS_UNUSUAL; break;
            case 6: case 7: case 11: case 12: case 13: case 19: case 20: case 28: case 29: case 30: case 34: case 254:
                return OPTIONS_UNUSUAL; /* rare, or of many shapes */
            }
        }
        at += option[1];
    }
    return class;
}

/* The text of options that are not unusual. */
static inline char *put_options(const struct lines *l, char *p, const uint8_t *area, size_t octets, uint32_t sack_base) {
    for (size_t at = 0; at < octets;) {
        const uint8_t *option = area + at;
        if (at) *p++ = ',';
        if (option[0] == 0) return put(p, "eol");
        if (option[0] == 1) {
            p = put(p, "nop");
            at++;
            continue;
        }
        size_t length = option[1];
        if (is_flow(l, option)) {
            p = put(p, option[0] == l->kind_d ? "flow-d tifid " : "flow-c tifid ");
            p = put(put_hex(p, option + 2, 6), " tiseq ");
            p = put(put_hex(p, option + 8, 6), " tiack ");
            p = put_hex(p, option + 14, 6);
        } else {
            switch (option[0]) {
            case 2:
                p = put_number(put(p, "mss "), be16(option + 2));
                break;
            case 3:
                p = put_number(put(p, "wscale "), option[2]);
                break;
            case 4:
                p = put(p, "sackOK");
                break;
            case 5:
                p = put_number(put(p, "sack "), (uint32_t)(length - 2) / 8);
                *p++ = ' ';
                for (size_t edge = 2; edge < length; edge += 8) {
                    *p++ = '{';
                    p = put_number(p, be32(option + edge) - sack_base);
                    *p++ = ':';
                    p = put_number(p, be32(option + edge + 4) - sack_base);
                    *p++ = '}';
                }
                break;
            case 8:
                p = put_number(put(p, "TS val "), be32(option + 2));
                p = put_number(put(p, " ecr "), be32(option + 6));
                break;
            default:
                p = put_number(put(p, "unknown-"), option[0]);
                if (length > 2) p = put_hex(put(p, " 0x"), option + 2, length - 2);
            }
        }
        at += length;
    }
    return p;
}

static inline char *put_peer(char *p, const struct record *r, const uint8_t *address, uint16_t port) {
    p = r->address == 4 ? put_ipv4(p, address) : put_ipv6(p, address);
    *p++ = '.';
    return put_number(p, port);
}

/* HH:MM:SS and 6 decimals of local time; NULL where no calendar has that time. */
static inline char *put_time(struct lines *l, char *p, const struct record *r) {
    if (r->time_kind == TIME_NONE) return put(p, "--:--:--.------");
    const int64_t ns = 1000000000;
    int64_t seconds = r->time_ns / ns, fraction = r->time_ns % ns;
    if (fraction < 0) seconds--, fraction += ns;
    int64_t minute = seconds / 60, second = seconds % 60;
    if (second < 0) minute--, second += 60;
    if (minute != l->minute) {
        time_t start = (time_t)(minute * 60);
        struct tm tm;
        if (localtime_r(&start, &tm) == NULL) return NULL;
        char *end = put_digits(l->clock, (uint32_t)tm.tm_hour, 2);
        *end++ = ':';
        end = put_digits(end, (uint32_t)tm.tm_min, 2);
        *end = ':';
        l->minute = minute;
    }
    memcpy(p, l->clock, 6);
    p = put_digits(p + 6, (uint32_t)second, 2);
    *p++ = '.';
    return put_digits(p, (uint32_t)(fraction / 1000), 6);
}

/* The line of one record, with its line end, at p, where LINE_MOST octets have room; p itself where the segment is not
   wanted, NULL where Python must print it. `frame` is its frame of r->captured octets. */
static inline char *put_line(struct lines *l, char *p, const struct record *r, const uint8_t *frame) {
    if (r->kind != SEGMENT_WHOLE || r->time_kind == TIME_LARGE || (r->address != 4 && r->address != 16)) return NULL;
    if (r->end > r->captured || r->offset > r->end || r->end - r->offset < 20) return NULL;
    if (r->header_length < 20 || r->header_length > 60 || r->header_length > r->length) return NULL;
    if (r->end - r->offset < r->header_length) return NULL;
    const uint8_t *tcp = frame + r->offset, *area = tcp + 20;
    size_t octets = r->header_length - 20u;
    int class = options_class(l, area, octets);
    if (class == OPTIONS_UNUSUAL) return NULL;
    if (class != OPTIONS_FLOW && !l->every) return p;
    p = put_time(l, p, r);
    if (p == NULL) return NULL;
    struct bases b = {0, 0, 0};
    if (r->flags & LINE_ACK) b = numbers_bases(&l->numbers, r);
    uint32_t length = r->length - r->header_length;
    p = put_peer(put(p, r->address == 4 ? " IP " : " IP6 "), r, r->src, r->sport);
    p = put_peer(put(p, " > "), r, r->dst, r->dport);
    p = put(p, ": Flags [");
    p = r->flags & 0x1FF ? put_flags(p, r->flags) : put(p, "none");
    *p++ = ']';
    if (length || r->flags & (LINE_SYN | LINE_FIN | LINE_RST)) {
        p = put_number(put(p, ", seq "), r->seq - b.own);
        if (length) {
            *p++ = ':';
            p = put_number(p, r->seq - b.own + length);
        }
    }
    if (r->flags & LINE_ACK) p = put_number(put(p, ", ack "), r->ack - b.other);
    p = put_number(put(p, ", win "), r->window);
    if (r->flags & LINE_URG) p = put_number(put(p, ", urg "), be16(tcp + 18));
    if (octets) {
        p = put_options(l, put(p, ", options ["), area, octets, b.sack);
        *p++ = ']';
    }
    p = put_number(put(p, ", length "), length);
    *p++ = '\n';
    return p;
}

/* The lines of records from *index to before `count`, as many as Python need not print and `text` (TEXT_MOST octets) has
   room for; *index moves behind them. Returns the octets of text; *python says whether Python must print the next. */
static inline size_t put_lines(struct lines *l, char *text, const uint8_t *data, size_t octets, const struct record *records,
                               size_t *index, size_t count, int *python) {
    char *p = text;
    *python = 0;
    for (; *index < count && p - text <= TEXT_MOST - LINE_MOST; ++*index) {
        const struct record *r = &records[*index];
        char *end = NULL;
        if (r->at <= octets && r->captured <= octets - r->at) end = put_line(l, p, r, data + r->at);
        if (end == NULL) {
            *python = 1;
            break;
        }
        p = end;
    }
    return (size_t)(p - text);
}

#endif
