/* Judging ordinary connections without Python: segments of a batch in, verdicts out.

   An ordinary connection is one about which there is nothing to say but its verdict: plain TCP, or a new flow whose
   handshake keeps every rule. It is followed here, octet counts included. The first segment that makes it anything else
   (an option that is not where and what it should be, a resume, crossing SYNs, a TIFID seen before) makes it a strange
   one: what is known of it is handed to Python, which judges that segment and all later ones (ordinary.py).

   Nothing of the protocol is decided here. Which event leads where, and which is strange because it cites a rule, is
   the handshake's table, handed in; what is counted is what connection.py and direction.py count, in the same way. */

#ifndef TIOPTION_ORDINARY_CORE_H
#define TIOPTION_ORDINARY_CORE_H

#include <stdlib.h>
#include <string.h>

#include "../capture/_record.h"
#include "_row.h"

#define STATES(name)                                                                                              \
    name(IDLE, "idle") name(OFFERED, "offered") name(PLAIN, "plain") name(ANSWERED, "answered")                   \
    name(DECLINED, "declined") name(CONFIRMED, "confirmed") name(ASKED_AGAIN, "asked-again")                      \
    name(SETTLED, "settled") name(LEGACY, "legacy") name(CLOSED, "closed")
#define EVENTS(name)                                                                                              \
    name(SYN_NEW, "SYN of a new flow") name(SYN_PLAIN, "SYN without option") name(SYN_SAME, "SYN again")          \
    name(ANSWER_RIGHT, "SYN-ACK with the option") name(ANSWER_PLAIN, "SYN-ACK without option")                    \
    name(ANSWER_SAME, "SYN-ACK again") name(CONFIRM_RIGHT, "ACK with the option")                                 \
    name(CONFIRM_PLAIN, "ACK without option") name(DATA_PLAIN, "data without option")                             \
    name(PEER_TALKS, "the answerer's first segment after its SYN-ACK") name(RESET, "RST")
#define ENUMERATED(name, text) name,
enum { STATES(ENUMERATED) STATE_COUNT };
enum { EVENTS(ENUMERATED) EVENT_COUNT, NOTHING = -1, STRANGE = -2 };

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
enum { NONE = UINT32_MAX };                 /* no connection */
#define NO_TIME INT64_MIN
#define LEAST_POSITION 65536                /* EST-02 */
#define STEPS 5                             /* SEC-01, flow_rules.py */
#define MOST_STEP 256
#define SOURCES ((uint32_t)1 << 16)
#define PAGE ((uint32_t)1 << 12)            /* connections allocated at once */
#define TIMESTAMPS 0x0101080Au              /* how an option area begins that holds nothing else */

struct direction { /* direction.py: Direction */
    int64_t furthest, sent, acked, fin;
    uint32_t first, isn, window;
    uint8_t scale, shift;                   /* the shift is the scale once both ends have one, and 0 before */
    uint8_t placed : 1, started : 1, seen : 1, scaled : 1, ended : 1;
};

/* What every segment needs stands first, in three lines of cache. */
struct connection {
    _Alignas(64) uint8_t client[16];
    uint8_t server[16];
    uint16_t client_port, server_port;      /* beside each other, as in a record */
    uint32_t next;                          /* in the chain of its place in the table */
    uint32_t number;                        /* its own */
    uint8_t address, state, reason, generation, kind;
    uint8_t named : 1;                      /* in the chain of its TIFID */
    uint8_t used : 1, over : 1, strange : 1, offered : 1, seen_syn : 1, seen_answer : 1, answered : 1, reset : 1;
    int64_t last_time;
    uint64_t last_frame;
    union {
        struct { struct direction forward, reverse; };
        struct direction directions[2];
    };
    int64_t first_time;
    uint64_t first_frame, confirmed_frame;
    uint64_t index;
    uint64_t tifid, s_a, s_b;               /* of its options, as far as it has come */
    uint64_t serial;                        /* which flow of the capture it opened, from 1; 0 where it has none */
    uint32_t next_flow;                     /* in the chain of its TIFID */
};

_Static_assert(offsetof(struct connection, first_time) <= 192 && sizeof(struct connection) == 256, "lines of cache");

struct step { uint8_t state, reason; };     /* state 255: strange */

struct source { /* SEC-01: the first halves a host has issued */
    uint8_t address[16];
    uint32_t first;
    int32_t distance, run;
    uint8_t octets;
};

struct collected { uint64_t key; uint32_t number; };

struct flow_option { uint64_t tifid, tiseq, tiack; uint8_t kind, there; };

struct tracker {
    struct step table[STATE_COUNT][EVENT_COUNT];
    uint8_t quiet[STATE_COUNT];             /* whether segments without SYN, RST and option leave it as it is */
    uint8_t kind_d, kind_c;
    uint8_t exid[8192];                     /* a bit for each two octets an experiment identifier begins with */
    uint64_t seed, host_seed, port_seed;    /* secret: the second and third follow from the first */
    uint64_t opened, flows;
    /* Of two generations of connections the older is given up when the younger one is full: it has been silent longer. */
    uint32_t limit, live, young;            /* connections of a generation, of both, and of the younger one */
    uint8_t generation;                     /* the number of the younger one */
    struct connection **pages;
    uint32_t page_count, made;              /* pages, and connections ever taken from them */
    uint32_t free;                          /* first connection that can be used again, chained by `next` */
    uint32_t *heads, *flow_heads;           /* hash tables: chains of connections */
    uint32_t mask;
    struct source *sources;
    struct collected *collected;            /* what is being reported */
    uint32_t collected_count;
};

static inline struct connection *connection_at(const struct tracker *t, uint32_t number) {
    return &t->pages[number / PAGE][number % PAGE];
}

/* Hashing: a multiply and fold of the key's words, keyed so that no capture can be made to collide. */

static inline uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t word(const uint8_t *p) { uint64_t w; memcpy(&w, p, 8); return w; }

static inline uint64_t end_hash(const struct tracker *t, const uint8_t *address, uint16_t port) {
    return fold((word(address) ^ t->seed) + port * t->port_seed, word(address + 8) ^ t->host_seed);
}

/* The same for both directions of a connection: the ends are hashed apart and added. */
static inline uint32_t ends_hash(const struct tracker *t, const uint8_t *a, uint16_t a_port, const uint8_t *b, uint16_t b_port) {
    uint64_t both = end_hash(t, a, a_port) + end_hash(t, b, b_port);
    return (uint32_t)(both >> 32 ^ both);
}

static inline uint32_t flow_hash(const struct tracker *t, uint64_t tifid) {
    uint64_t mixed = fold(tifid ^ t->seed, 0xA0761D6478BD642Fu);
    return (uint32_t)(mixed >> 32 ^ mixed);
}

/* Places in a direction (direction.py). */

static inline int64_t wrapped(uint32_t difference) { return (int32_t)difference; }

static inline int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

static inline int64_t place_of(const struct direction *d, uint32_t seq) {
    return d->furthest + wrapped(seq - d->first - (uint32_t)d->furthest);
}

static inline void first_place(struct direction *d, uint32_t seq) {
    d->placed = 1;
    d->first = seq;
    d->furthest = 0;
}

static inline void begin(struct direction *d, uint32_t isn) {
    d->isn = isn;
    d->started = 1;
    d->placed = 1;
    d->first = isn + 1;
    d->furthest = 0;
}

/* 0 or all ones: what is to be done or not without a branch is done with a mask. */
static inline int64_t mask_if(int yes) { return -(int64_t)(yes != 0); }

static inline uint32_t payload_length(const struct record *r) {
    uint32_t header = r->header_length < 20 ? 20 : r->header_length;
    return (r->length - header) & (uint32_t)mask_if(r->length > header);
}

/* Most of this is done whether it is needed or not: which segments carry payload, and which is ahead of those before it,
   no processor guesses. Both directions have a place. */
static inline void advance(struct direction *own, struct direction *other, const struct record *r, uint32_t seq, unsigned shift) {
    uint32_t window = (uint32_t)r->window << shift;
    own->window = window > own->window ? window : own->window;
    int64_t acks = mask_if(r->flags & ACK), acked = place_of(other, r->ack) & acks; /* counts are 0 at least */
    other->furthest = greater(other->furthest, acked);
    if (other->ended && acked > other->fin) acked = other->fin;
    other->acked = greater(other->acked, acked);
    uint32_t length = payload_length(r);
    int64_t sends = mask_if((int)(length | (r->flags & FIN))), start = place_of(own, seq), last = start + length;
    own->furthest = greater(own->furthest, start & sends);
    own->sent = greater(own->sent, last & sends);
    if (r->flags & FIN) { own->ended = 1; own->fin = last; }
}

static inline void observe_direction(struct direction *own, struct direction *other, const struct record *r, int scale) {
    int syn = (r->flags & SYN) != 0, acks = (r->flags & ACK) != 0;
    uint32_t seq = r->seq + (uint32_t)syn;
    own->seen = 1;
    if (syn) {
        if (!own->started) begin(own, r->seq);
        if (scale >= 0) { own->scaled = 1; own->scale = (uint8_t)scale; }
        own->shift = own->scaled && other->scaled ? own->scale : 0;
        other->shift = own->scaled && other->scaled ? other->scale : 0;
        if (acks && !other->started) begin(other, r->ack - 1);
    }
    if (acks && !other->placed) first_place(other, r->ack);
    if ((payload_length(r) || r->flags & FIN) && !own->placed) first_place(own, seq);
    /* What has no place yet has nothing to advance either, whatever number is its first. */
    advance(own, other, r, seq, syn ? 0 : own->shift);
}

static inline int finished(const struct direction *d) { return d->ended && d->acked >= d->fin; }

static inline int closed(const struct connection *c) { return c->reset || (finished(&c->forward) && finished(&c->reverse)); }

/* The option area. */

static inline uint64_t be48(const uint8_t *p) { return (uint64_t)be16(p) << 32 | be32(p + 2); }

static inline int special(const struct tracker *t, uint8_t kind) { return kind == t->kind_d || kind == t->kind_c; }

/* What of the options matters: NOTHING, one flow option against which nothing can be said (in *option), or STRANGE.
   *scale is the window scale, or stays -1. */
static inline int scan(const struct tracker *t, const struct record *r, const uint8_t *frame, struct flow_option *option, int *scale) {
    *option = (struct flow_option){0};
    *scale = -1;
    if (r->header_length <= 20) return NOTHING;
    const uint8_t *area = frame + r->offset + 20;
    uint32_t wire = r->length < r->header_length ? (r->length > 20 ? r->length - 20 : 0) : r->header_length - 20u;
    uint32_t captured = r->end - r->offset - 20;
    if (captured > wire) captured = wire;
    if (captured == 12 && wire == 12 && be32(area) == TIMESTAMPS) return NOTHING;
    uint32_t at = 0;
    int beside = 0; /* an option of which something might be said beside a flow option (OPT-11) */
    while (at < captured) {
        uint8_t kind = area[at];
        if (kind == 0) break;
        if (kind == 1) { at++; continue; }
        uint32_t needed = at + 1 >= captured ? 2 : area[at + 1];
        if (needed < 2 || needed > wire - at || needed > captured - at)
            return special(t, kind) || option->there ? STRANGE : NOTHING;
        if (special(t, kind)) {
            if (needed != 20 || option->there || at % 4) return STRANGE;
            const uint8_t *p = area + at;
            unsigned prefix = be16(p + 2);
            if ((kind == 253 || kind == 254) && t->exid[prefix >> 3] >> (prefix & 7) & 1) return STRANGE;
            *option = (struct flow_option){be48(p + 2), be48(p + 8), be48(p + 14), kind, 1};
            if (option->tifid >> 24 == 0) return STRANGE;
        } else if (kind == 3 && needed == 3) {
            *scale = area[at + 2] < 14 ? area[at + 2] : 14; /* RFC 7323 §2.3 */
        } else if (kind == 19 || kind == 29 || kind == 34 || kind == 253 || kind == 254) {
            beside = 1;
        }
        at += needed;
    }
    return option->there && beside ? STRANGE : NOTHING;
}

/* SEC-01: how many equal small steps the first halves of a host have made (flow_rules.py). */

/* Allocated by the first option that needs it: most captures have none. */
static inline int have_sources(struct tracker *t) {
    if (!t->sources) t->sources = calloc(SOURCES, sizeof *t->sources);
    return t->sources != NULL;
}

static inline struct source *source_of(const struct tracker *t, const uint8_t *address, unsigned octets) {
    uint32_t hash = 2166136261u; /* FNV-1a: of hosts that share a place only the latest is remembered */
    for (unsigned i = 0; i < octets; i++) hash = (hash ^ address[i]) * 16777619u;
    return &t->sources[(hash ^ hash >> 16) & (SOURCES - 1)];
}

static inline struct source source_after(const struct source *before, const uint8_t *address, unsigned octets, uint32_t first) {
    struct source s = *before;
    if (s.octets != octets || memcmp(s.address, address, octets)) {
        s = (struct source){.octets = (uint8_t)octets, .first = first};
        memcpy(s.address, address, octets);
    }
    int32_t now = (int32_t)first - (int32_t)s.first;
    s.run = now && now == s.distance && now <= MOST_STEP && now >= -MOST_STEP ? s.run + 1 : 1;
    s.first = first;
    s.distance = now;
    return s;
}

/* Flows by TIFID. */

static inline uint32_t flow_named(const struct tracker *t, uint64_t tifid) {
    uint32_t number = t->flow_heads[flow_hash(t, tifid) & t->mask];
    while (number != NONE && connection_at(t, number)->tifid != tifid) number = connection_at(t, number)->next_flow;
    return number;
}

static inline void name_flow(struct tracker *t, uint32_t number) {
    struct connection *c = connection_at(t, number);
    uint32_t *head = &t->flow_heads[flow_hash(t, c->tifid) & t->mask];
    c->named = 1;
    c->next_flow = *head;
    *head = number;
}

/* What a segment is to the handshake (handshake.py: _classify), as far as it is ordinary. */

static inline int classify_syn(const struct tracker *t, const struct connection *c, const struct record *r, int forward, const struct flow_option *o) {
    (void)t;
    if (!forward) return STRANGE;
    if (c->seen_syn) {
        if (c->forward.isn != r->seq) return STRANGE;
        if (o->there != c->offered) return STRANGE;
        if (o->there && (o->kind != c->kind || o->tifid != (c->tifid & ~(uint64_t)0xFFFFFF) || o->tiseq != c->s_a || o->tiack)) return STRANGE;
        return o->there && payload_length(r) ? STRANGE : SYN_SAME;
    }
    if (!o->there) return SYN_PLAIN;
    if (c->state != IDLE || o->tifid & 0xFFFFFF || o->tiack || o->tiseq < LEAST_POSITION || payload_length(r)) return STRANGE;
    return SYN_NEW;
}

static inline int classify_answer(const struct tracker *t, const struct connection *c, const struct record *r, int forward, const struct flow_option *o) {
    if (forward) return STRANGE;
    int right = o->there && c->offered && o->kind == c->kind && o->tifid >> 24 == c->tifid >> 24 && o->tifid & 0xFFFFFF &&
                o->tiack == c->s_a && o->tiseq >= LEAST_POSITION && !payload_length(r);
    if (c->seen_answer) {
        if (c->reverse.isn != r->seq || o->there != c->answered) return STRANGE;
        if (o->there && !(right && o->tifid == c->tifid && o->tiseq == c->s_b)) return STRANGE;
        return ANSWER_SAME;
    }
    if (!o->there) return ANSWER_PLAIN;
    return right && c->state == OFFERED && flow_named(t, o->tifid) == NONE ? ANSWER_RIGHT : STRANGE;
}

static inline int classify_opener(const struct tracker *t, const struct connection *c, const struct record *r, const struct flow_option *o) {
    if (c->seen_answer && r->flags & ACK && (int32_t)(r->ack - (c->reverse.isn + 1)) < 0) return o->there ? STRANGE : NOTHING;
    if (o->there) {
        int ruled = c->answered && o->kind == c->kind && o->tifid == c->tifid && o->tiseq == c->s_a && o->tiack == c->s_b;
        if (!ruled || payload_length(r)) return STRANGE;
        if (c->state == ASKED_AGAIN) return CONFIRM_RIGHT;
        return c->state == ANSWERED && flow_named(t, o->tifid) == NONE ? CONFIRM_RIGHT : STRANGE;
    }
    if (c->state == CONFIRMED || c->state == SETTLED || c->state == LEGACY) return NOTHING;
    return payload_length(r) || r->flags & FIN ? DATA_PLAIN : CONFIRM_PLAIN;
}

static inline int classify(const struct tracker *t, const struct connection *c, const struct record *r, int forward, const struct flow_option *o) {
    if (o->there && r->flags & (RST | FIN)) return STRANGE;
    if (r->flags & RST) return r->flags & SYN ? STRANGE : RESET;
    if (r->flags & SYN) return r->flags & ACK ? classify_answer(t, c, r, forward, o) : classify_syn(t, c, r, forward, o);
    if (forward) return classify_opener(t, c, r, o);
    if (o->there) return STRANGE;
    return c->seen_answer ? PEER_TALKS : NOTHING;
}

/* Takes what the segment says into the handshake. */
static inline void learn(struct tracker *t, struct connection *c, int event, struct step step, const struct record *r, const struct flow_option *o) {
    switch (event) {
    case SYN_NEW:
        c->offered = 1;
        c->kind = o->kind;
        c->tifid = o->tifid;
        c->s_a = o->tiseq; /* fall through */
    case SYN_PLAIN:
        c->seen_syn = 1;
        break;
    case ANSWER_RIGHT:
        c->answered = 1;
        c->tifid = o->tifid;
        c->s_b = o->tiseq; /* fall through */
    case ANSWER_PLAIN:
        c->seen_answer = 1;
        break;
    case CONFIRM_RIGHT:
        if (!c->serial) {
            c->confirmed_frame = r->frame;
            c->serial = ++t->flows;
            name_flow(t, c->number);
        }
        break;
    }
    if (step.state != c->state && step.reason) c->reason = step.reason;
    c->state = step.state;
}

/* Connections by their ends (connection.py: ConnectionTable). */

static inline int same_end(const uint8_t *a, uint16_t a_port, const uint8_t *b, uint16_t b_port) {
    return a_port == b_port && !memcmp(a, b, 16);
}

static inline int begins_another(const struct connection *c, const struct record *r, int forward) {
    if ((r->flags & (SYN | ACK | RST)) != SYN) return 0;
    const struct direction *own = forward ? &c->forward : &c->reverse, *other = forward ? &c->reverse : &c->forward;
    if (own->started && own->isn == r->seq) return closed(c);
    return own->started || own->seen || !other->started || closed(c);
}

static inline uint32_t *chain_of(const struct tracker *t, const struct connection *c) {
    return &t->heads[ends_hash(t, c->client, c->client_port, c->server, c->server_port) & t->mask];
}

static inline int grow_tables(struct tracker *t) {
    uint32_t size = t->mask ? (t->mask + 1) * 2 : 1024;
    uint32_t *heads = malloc(size * sizeof *heads), *flow_heads = malloc(size * sizeof *flow_heads);
    if (!heads || !flow_heads) { free(heads); free(flow_heads); return 0; }
    memset(heads, 0xFF, size * sizeof *heads);
    memset(flow_heads, 0xFF, size * sizeof *flow_heads);
    free(t->heads);
    free(t->flow_heads);
    t->heads = heads;
    t->flow_heads = flow_heads;
    t->mask = size - 1;
    for (uint32_t number = 0; number < t->made; number++) {
        struct connection *c = connection_at(t, number);
        if (!c->used) continue;
        if (!c->over) {
            uint32_t *head = chain_of(t, c);
            c->next = *head;
            *head = number;
        }
        if (c->named) {
            uint32_t *head = &flow_heads[flow_hash(t, c->tifid) & t->mask];
            c->next_flow = *head;
            *head = number;
        }
    }
    return 1;
}

/* A connection to fill; NONE where there is no memory. */
static inline uint32_t take(struct tracker *t) {
    uint32_t number = t->free;
    if (number != NONE) {
        t->free = connection_at(t, number)->next;
        return number;
    }
    if (t->made == t->page_count * PAGE) {
        struct connection **pages = realloc(t->pages, (t->page_count + 1) * sizeof *pages);
        if (!pages) return NONE;
        t->pages = pages;
        if (!(pages[t->page_count] = aligned_alloc(_Alignof(struct connection), PAGE * sizeof **pages))) return NONE;
        t->page_count++;
    }
    return t->made++;
}

static inline void unchain(struct tracker *t, uint32_t number) {
    uint32_t *link = chain_of(t, connection_at(t, number));
    while (*link != number) link = &connection_at(t, *link)->next;
    *link = connection_at(t, number)->next;
}

static inline uint32_t record_hash(const struct tracker *t, const struct record *r) {
    return ends_hash(t, r->src, r->sport, r->dst, r->dport);
}

typedef uint64_t half __attribute__((vector_size(16)));

/* Whether the segment is one between the ends of the connection, and in *forward whether its client sent it. */
static inline int between(const struct connection *c, const struct record *r, int *forward) {
    half client, server, src, dst;
    uint32_t ports, sent_ports;
    memcpy(&client, c->client, 16);
    memcpy(&server, c->server, 16);
    memcpy(&src, r->src, 16);
    memcpy(&dst, r->dst, 16);
    memcpy(&ports, &c->client_port, 4);
    memcpy(&sent_ports, &r->sport, 4);
    half there = (client ^ src) | (server ^ dst), back = (client ^ dst) | (server ^ src);
    uint32_t address = c->address ^ r->address;
    uint64_t to = there[0] | there[1] | (ports ^ sent_ports) | address;
    uint64_t fro = back[0] | back[1] | (ports ^ (sent_ports << 16 | sent_ports >> 16)) | address;
    *forward = !to;
    return !(((to | -to) & (fro | -fro)) >> 63); /* whether either is 0, in one branch */
}

/* The connection a segment belongs to, a new one where it begins one, and in *forward whether its client sent it; NULL
   where there is no memory. `likely` is one to be asked first, or NULL. */
static inline struct connection *find_connection(struct tracker *t, const struct record *r, uint32_t hash, struct connection *likely, int *forward) {
    struct connection *c = likely && !likely->over && between(likely, r, forward) ? likely : NULL;
    for (uint32_t number = t->heads[hash & t->mask]; !c && number != NONE;) {
        struct connection *next = connection_at(t, number);
        if (between(next, r, forward)) c = next;
        number = next->next;
    }
    if (c) {
        if (!begins_another(c, r, *forward)) return c;
        c->over = 1; /* kept for the report, but it gets no more segments */
        unchain(t, c->number);
    }
    if (t->live >= t->mask && !grow_tables(t)) return NULL;
    uint32_t number = take(t), *head = &t->heads[hash & t->mask];
    if (number == NONE) return NULL;
    c = connection_at(t, number);
    memset(c, 0, sizeof *c);
    c->number = number;
    int answers = (r->flags & (SYN | ACK)) == (SYN | ACK); /* the SYN was not captured: its sender is the one addressed */
    memcpy(c->client, answers ? r->dst : r->src, 16);
    memcpy(c->server, answers ? r->src : r->dst, 16);
    c->client_port = answers ? r->dport : r->sport;
    c->server_port = answers ? r->sport : r->dport;
    c->address = r->address;
    c->used = 1;
    c->index = t->opened++;
    c->generation = (uint8_t)(t->generation - 1); /* until it is touched */
    c->first_frame = r->frame;
    c->first_time = r->time_kind == TIME_NS ? r->time_ns : NO_TIME;
    c->next = *head;
    *head = number;
    t->live++;
    *forward = same_end(c->client, c->client_port, r->src, r->sport);
    return c;
}

/* One segment. */

static inline int judge(const struct tracker *t, const struct connection *c, const struct record *r, const uint8_t *frame, int forward, struct flow_option *o, int *scale, struct step *step) {
    int found = scan(t, r, frame, o, scale);
    if (found == STRANGE || r->time_kind == TIME_LARGE) return STRANGE;
    int event = classify(t, c, r, forward, o);
    if (event < 0) return event;
    *step = t->table[c->state][event];
    if (step->state == UINT8_MAX) return STRANGE;
    if (c->offered && c->kind == t->kind_c && step->state == LEGACY && c->state != LEGACY) return STRANGE; /* CTL-03 */
    if (event == SYN_NEW && t->sources) {
        uint32_t first = (uint32_t)(o->tifid >> 24);
        if (source_after(source_of(t, r->src, r->address), r->src, r->address, first).run == STEPS) return STRANGE; /* SEC-01 */
    }
    return event;
}

/* Whether nothing is to be judged: a segment without SYN, RST and options but timestamps, which leaves the handshake as it
   is. Most are such. */
static inline int quiet(const struct tracker *t, const struct connection *c, const struct record *r, const uint8_t *frame) {
    if (!t->quiet[c->state] || r->flags & (SYN | RST) || r->time_kind == TIME_LARGE) return 0;
    if (r->header_length <= 20) return 1;
    return r->header_length == 32 && r->length >= 32 && r->end - r->offset >= 32 && be32(frame + r->offset + 20) == TIMESTAMPS;
}

/* Fills in what follows of the table and the seed. */
static inline void prepare(struct tracker *t) {
    t->host_seed = fold(t->seed ^ 0x9E3779B97F4A7C15u, 0xA0761D6478BD642Fu);
    t->port_seed = fold(t->seed ^ 0xE7037ED1A0B428DBu, 0x8EBC6AF09C88C6E3u) | 1;
    static const uint8_t events[] = {CONFIRM_PLAIN, DATA_PLAIN, PEER_TALKS};
    for (uint8_t state = 0; state < STATE_COUNT; state++) {
        t->quiet[state] = 1;
        for (size_t i = 0; i < sizeof events; i++) t->quiet[state] &= t->table[state][events[i]].state == state;
    }
}

static inline void touch(struct tracker *t, struct connection *c) {
    if (c->generation != t->generation) {
        c->generation = t->generation;
        t->young++;
    }
}

static inline void last_seen(struct connection *c, const struct record *r) {
    c->last_frame = r->frame;
    c->last_time = r->time_kind == TIME_NS ? r->time_ns : NO_TIME;
}

/* Takes a segment in whatever it is; `scale` as scan says. */
static inline void observe(struct connection *c, const struct record *r, int forward, int scale) {
    observe_direction(&c->directions[!forward], &c->directions[forward], r, scale);
    if (r->flags & RST) c->reset = 1;
    last_seen(c, r);
}

/* Feeding: records from *from on, until one is strange (1, and *from stands on it with *number its connection, not
   observed yet), until a generation is full (2, *from stands behind), until there is no memory (3) or a record lies outside
   its chunk (4), or to the end (0). */
enum fed { TO_THE_END, AT_STRANGE, GENERATION_FULL, OUT_OF_MEMORY, OUT_OF_BOUNDS };

/* Memory is asked for ahead, a block of segments at a time: first their places in the table, then their connections. */
enum { BLOCK = 32 };

static inline enum fed feed(struct tracker *t, const uint8_t *data, size_t octets, const struct record *records, size_t count, size_t *from, uint32_t *number) {
    uint32_t hashes[BLOCK];
    struct connection *likely[BLOCK];
    for (size_t start = *from, end; start < count; start = end) {
        end = count - start < BLOCK ? count : start + BLOCK;
        for (size_t at = start; at < end; at++) {
            uint32_t hash = hashes[at - start] = record_hash(t, &records[at]);
            __builtin_prefetch(&t->heads[hash & t->mask]);
        }
        for (size_t at = start; at < end; at++) {
            uint32_t first = t->heads[hashes[at - start] & t->mask];
            if (!(likely[at - start] = first == NONE ? NULL : connection_at(t, first))) continue;
            const char *ahead = (const char *)likely[at - start];
            for (size_t line = 0; line < 192; line += 64) __builtin_prefetch(ahead + line, 1);
        }
        for (size_t at = start; at < end; at++) {
            const struct record *r = &records[at];
            if (r->kind != SEGMENT_WHOLE) continue;
            *from = at;
            if ((uint64_t)r->at + r->end > octets || (uint64_t)r->offset + 20 > r->end) return OUT_OF_BOUNDS;
            int forward;
            struct connection *c = find_connection(t, r, hashes[at - start], likely[at - start], &forward);
            if (!c) return OUT_OF_MEMORY;
            *number = c->number;
            if (c->strange) return AT_STRANGE;
            struct direction *own = &c->directions[!forward], *other = &c->directions[forward];
            if (quiet(t, c, r, data + r->at) && own->placed && other->placed) { /* most segments */
                own->seen = 1;
                advance(own, other, r, r->seq, own->shift);
                last_seen(c, r);
            } else {
                struct flow_option option;
                struct step step = {c->state, 0};
                int scale, event = judge(t, c, r, data + r->at, forward, &option, &scale, &step);
                if (event == STRANGE) return AT_STRANGE;
                if (event == SYN_NEW) {
                    if (!have_sources(t)) return OUT_OF_MEMORY;
                    struct source *s = source_of(t, r->src, r->address);
                    *s = source_after(s, r->src, r->address, (uint32_t)(option.tifid >> 24));
                }
                if (event >= 0) learn(t, c, event, step, r, &option);
                observe(c, r, forward, scale);
            }
            touch(t, c);
            if (t->young >= t->limit) {
                *from = at + 1;
                return GENERATION_FULL;
            }
        }
    }
    *from = count;
    return TO_THE_END;
}

/* Reporting. */

static inline int given_up(const struct tracker *t, const struct connection *c, int every) {
    return c->used && (every || c->generation != t->generation);
}

static inline int by_index(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

/* Collects what is to be reported and then released: all connections, or those of the older generation, by index, or
   their flows by serial. Number, and key, of each stand in t->collected. 0 where there is no memory. */
static inline int collect(struct tracker *t, int every, int flows) {
    free(t->collected);
    t->collected_count = 0;
    t->collected = malloc((t->live ? t->live : 1) * sizeof *t->collected);
    if (!t->collected) return 0;
    for (uint32_t number = 0; number < t->made; number++) {
        const struct connection *c = connection_at(t, number);
        if (!given_up(t, c, every) || (flows && (!c->serial || c->strange))) continue;
        t->collected[t->collected_count++] = (struct collected){flows ? c->serial : c->index, number};
    }
    qsort(t->collected, t->collected_count, sizeof *t->collected, by_index);
    return 1;
}

static inline void release(struct tracker *t, int every) {
    for (uint32_t number = 0; number < t->made; number++) {
        struct connection *c = connection_at(t, number);
        if (!given_up(t, c, every)) continue;
        if (!c->over) unchain(t, number);
        if (c->named) {
            uint32_t *link = &t->flow_heads[flow_hash(t, c->tifid) & t->mask];
            while (*link != number) link = &connection_at(t, *link)->next_flow;
            *link = c->next_flow;
        }
        c->used = 0;
        c->next = t->free;
        t->free = number;
        t->live--;
    }
    t->generation++;
    t->young = 0;
    if (every) { /* the memory may be wanted before whoever holds the tracker lets it go */
        for (uint32_t i = 0; i < t->page_count; i++) free(t->pages[i]);
        free(t->pages);
        free(t->sources);
        t->pages = NULL;
        t->sources = NULL;
        t->page_count = t->made = 0;
        t->free = NONE;
    }
}

static inline uint16_t row_code(const struct connection *c) {
    return (uint16_t)(c->reason << 6 | c->state << 2 | c->seen_syn << 1 | c->seen_answer);
}

/* What was acknowledged was sent, though the capture may have missed it. */
static inline uint64_t reached(const struct direction *d) {
    return (uint64_t)(d->sent > d->acked ? d->sent : d->acked);
}

static inline struct row row_of(const struct connection *c) {
    struct row row = {
        .index = c->index,
        .tifid = c->offered ? c->tifid : 0,
        .sent_a = reached(&c->forward),
        .sent_b = reached(&c->reverse),
        .first_frame = c->first_frame,
        .s_a = c->offered ? c->s_a : 0,
        .code = row_code(c),
        .client_port = c->client_port,
        .server_port = c->server_port,
        .kind = c->offered ? c->kind : 0,
        .address = c->address,
        .flow = c->serial != 0,
    };
    memcpy(row.client, c->client, 16);
    memcpy(row.server, c->server, 16);
    return row;
}

#endif
