/* The hot loop of reading captures, without Python: records of a chunk in, TCP segments out.

   It does the clean ordinary case only. Whatever is anything else (a link layer, tunnel or block it does not know, a
   header cut short or malformed, a record that is damaged or not whole in the chunk) is left alone: the walk stops before
   that record, and the reader in Python takes it, with its own errors and its own counting. So nothing is said twice, and
   what is not done here is merely slower. What is silently passed over here (ARP, UDP that is no tunnel, ...) is what
   Python passes over in silence, too.

   Whatever the octets say, nothing outside data[at .. end) is read and nothing outside records[count .. room) written:
   every length from the file is compared with the octets left before it is added to anything. */

#ifndef TIOPTION_WALK_CORE_H
#define TIOPTION_WALK_CORE_H

#include <string.h>

#include "_record.h"

enum { WANT_EVERY = 1, WANT_CARRIERS = 2, WANT_HANDSHAKES = 4 };

#define ACKS_OCTETS ((size_t)1 << 21)     /* a bitmap of 2^24 bits */
#define MAX_CAPTURED 262144u              /* most octets of a frame, as record.py has it */
#define MAX_BLOCK ((uint32_t)1 << 24)     /* most octets of a pcapng block, as pcapng.py has it */
#define MAX_TAGS 4                        /* VLAN tags walked here */
#define FLOW_OPTION 20                    /* octets of a flow option (OPT-01) */

/* Where the frames of an interface come from; a pcap file has one. Python's struct format of it is "=IIQq". */
struct interface {
    uint32_t link_type; /* LINKTYPE_ */
    uint32_t spare;
    uint64_t units;     /* units of the clock in a second; 0 where Python must tell the time */
    int64_t offset_ns;  /* to be added */
};

struct walk {
    /* the file */
    int big;                          /* its numbers are big-endian */
    unsigned header;                  /* pcap: octets of a record header, 16 or 24; pcapng: 0 */
    uint32_t unit;                    /* pcap: nanoseconds a unit of the fraction */
    const struct interface *interfaces;
    size_t interface_count;
    /* what is wanted */
    unsigned wanted;                  /* WANT_... */
    uint8_t kind_d, kind_c;           /* for WANT_CARRIERS */
    uint8_t *acks;                    /* for WANT_HANDSHAKES: ACKS_OCTETS of state, zeros in the beginning */
    /* where it stands */
    const uint8_t *data;
    size_t at, end;
    uint64_t frame;                   /* number of the last frame before `at` */
    struct record *records;
    size_t count, room;
};

enum outcome { DONE, PYTHON };

/* One frame under dissection, as Dissection has it: octets before `end` are captured, `wire_end` is where it ends on the wire. */
struct view {
    const uint8_t *data;
    size_t end, wire_end;
};

static inline uint32_t walk_u32(const struct walk *w, const uint8_t *p) { return w->big ? be32(p) : le32(p); }

/* The bit of a third ACK in the bitmap: from the client's port, the server's, and the number it acknowledges. */
static inline uint32_t ack_bit(uint16_t client, uint16_t server, uint32_t ack) {
    uint32_t mixed = ack + ((uint32_t)client << 16 | server) * 0x9E3779B1u;
    mixed = (mixed ^ mixed >> 15) * 0x85EBCA6Bu;
    return mixed >> 8;
}

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

/* Whether the octets of an option area can hold a flow option: kind and length, and room for the rest. */
static inline int carries(const struct walk *w, const uint8_t *area, size_t octets) {
    for (size_t i = 0; i + FLOW_OPTION <= octets; i++)
        if (area[i + 1] == FLOW_OPTION && (area[i] == w->kind_d || area[i] == w->kind_c)) return 1;
    return 0;
}

/* SYN, SYN-ACK, RST and FIN, and each ACK of the number that a SYN-ACK to these ports asked for: a superset of the third ACKs. */
static inline int of_handshake(const struct walk *w, const uint8_t *tcp, uint16_t sport, uint16_t dport, unsigned flags) {
    if (flags & (TCP_SYN | TCP_RST | TCP_FIN)) {
        if ((flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
            uint32_t bit = ack_bit(dport, sport, be32(tcp + 4) + 1);
            w->acks[bit >> 3] |= (uint8_t)(1u << (bit & 7));
        }
        return 1;
    }
    if (!(flags & TCP_ACK)) return 0;
    uint32_t bit = ack_bit(sport, dport, be32(tcp + 8));
    return w->acks[bit >> 3] >> (bit & 7) & 1;
}

/* A TCP header at `at`; `source` is where the addresses stand in the frame. */
static inline enum outcome walk_tcp(struct walk *w, const struct view *v, size_t at, size_t source, unsigned address) {
    if (at > v->end || v->end - at < 20) return PYTHON;
    const uint8_t *tcp = v->data + at;
    unsigned header_length = tcp[12] >> 4 << 2, flags = be16(tcp + 12) & 0x1FF;
    uint16_t sport = be16(tcp), dport = be16(tcp + 2);
    int keep = w->wanted & WANT_EVERY;
    /* Asked whatever the other answers are: it remembers the SYN-ACK. */
    if (w->wanted & WANT_HANDSHAKES) keep |= of_handshake(w, tcp, sport, dport, flags);
    if (!keep && w->wanted & WANT_CARRIERS && header_length >= 20 + FLOW_OPTION) {
        size_t octets = v->end - at < header_length ? v->end - at : header_length;
        keep = carries(w, tcp + 20, octets - 20);
    }
    if (!keep) return DONE;
    struct record *r = &w->records[w->count];
    r->offset = (uint32_t)at;
    r->end = (uint32_t)v->end;
    r->length = (uint32_t)(v->wire_end - at);
    r->seq = be32(tcp + 4);
    r->ack = be32(tcp + 8);
    r->sport = sport;
    r->dport = dport;
    r->flags = (uint16_t)flags;
    r->window = be16(tcp + 14);
    r->header_length = (uint8_t)header_length;
    r->address = (uint8_t)address;
    r->kind = SEGMENT_WHOLE;
    if (address == 4) {
        memset(r->src, 0, 32);
        memcpy(r->src, v->data + source, 4);
        memcpy(r->dst, v->data + source + 4, 4);
    } else {
        memcpy(r->src, v->data + source, 32); /* destination behind source, there as here */
    }
    w->count++;
    return DONE;
}

/* What IP carries, behind IPv6 extension headers and AH (internet.py: _payload). */
static inline enum outcome walk_payload(struct walk *w, const struct view *v, unsigned protocol, size_t at, size_t source, unsigned address) {
    for (;;) {
        switch (protocol) {
        case 6:
            return walk_tcp(w, v, at, source, address);
        case 17: { /* of interest only where it is a tunnel */
            if (at + 8 > v->end) return DONE;
            for (int i = 0; i < 4; i += 2)
                switch (be16(v->data + at + i)) {
                case 2152: case 4789: case 6081: case 8472: return PYTHON;
                }
            return DONE;
        }
        case 0: case 43: case 60: case 135: case 139: case 140: /* 8 octets and as many eights as the second says */
            if (at + 8 > v->end) return PYTHON;
            protocol = v->data[at];
            at += ((size_t)v->data[at + 1] + 1) << 3;
            break;
        case 51: /* AH counts in fours, less 2 (RFC 4302 §2.2) */
            if (at + 12 > v->end) return PYTHON;
            protocol = v->data[at];
            at += ((size_t)v->data[at + 1] + 2) << 2;
            break;
        case 4: case 41: case 44: case 47: case 50: case 97: case 137: case 143: /* tunnels, fragments, ESP */
            return PYTHON;
        default:
            return DONE;
        }
    }
}

static inline enum outcome walk_ipv4(struct walk *w, struct view *v, size_t at) {
    if (at + 20 > v->end) return PYTHON;
    const uint8_t *ip = v->data + at;
    unsigned header_length = (ip[0] & 15u) << 2, total = be16(ip + 2);
    if (ip[0] >> 4 != 4 || header_length < 20 || (total && total < header_length) || be16(ip + 6) & 0x1FFF) return PYTHON;
    if (total) {
        v->wire_end = at + total;
        if (v->end > v->wire_end) v->end = v->wire_end;
    }
    if (ip[9] == 6) return walk_tcp(w, v, at + header_length, at + 12, 4); /* at once, compiled for these addresses */
    return walk_payload(w, v, ip[9], at + header_length, at + 12, 4);
}

static inline enum outcome walk_ipv6(struct walk *w, struct view *v, size_t at) {
    if (at + 40 > v->end) return PYTHON;
    const uint8_t *ip = v->data + at;
    unsigned length = be16(ip + 4);
    if (ip[0] >> 4 != 6) return PYTHON;
    if (length) {
        v->wire_end = at + 40 + length;
        if (v->end > v->wire_end) v->end = v->wire_end;
    }
    if (ip[6] == 6) return walk_tcp(w, v, at + 40, at + 8, 16);
    return walk_payload(w, v, ip[6], at + 40, at + 8, 16);
}

/* What follows an EtherType or an 802.3 length that ends before `at` (ethernet.py: ethertype). */
static inline enum outcome walk_ethertype(struct walk *w, struct view *v, unsigned protocol, size_t at) {
    for (int tags = 0;; tags++) {
        switch (protocol) {
        case 0x0800:
            return walk_ipv4(w, v, at);
        case 0x86DD:
            return walk_ipv6(w, v, at);
        case 0x8100: case 0x88A8: case 0x9100: case 0x9200:
            if (tags == MAX_TAGS || at + 4 > v->end) return PYTHON;
            protocol = be16(v->data + at + 2);
            at += 4;
            break;
        case 0x6558: case 0x8847: case 0x8848: case 0x880B: case 0x8864: case 0x88E5:
            return PYTHON; /* Ethernet, MPLS, PPP, PPPoE, MACsec */
        default: /* LLC is for Python where it announces SNAP, other protocols are for nobody */
            if (protocol >= 0x600 || at + 8 > v->end) return DONE;
            return memcmp(v->data + at, "\xaa\xaa\x03\0\0", 6) ? DONE : PYTHON;
        }
    }
}

/* A frame of a link type that is known here (link.py). */
static inline enum outcome walk_frame(struct walk *w, struct view *v, uint32_t link_type) {
    const uint8_t *p = v->data;
    switch (link_type) {
    case 1: /* Ethernet */
        if (v->end < 14) return PYTHON;
        return walk_ethertype(w, v, be16(p + 12), 14);
    case 12: case 14: case 101: /* raw IP */
        if (v->end < 1) return PYTHON;
        return p[0] >> 4 == 4 ? walk_ipv4(w, v, 0) : walk_ipv6(w, v, 0);
    case 228:
        return walk_ipv4(w, v, 0);
    case 229:
        return walk_ipv6(w, v, 0);
    case 0: case 108: { /* NULL, LOOP: an address family in some byte order */
        if (v->end < 4) return PYTHON;
        uint32_t little = le32(p), big = be32(p), family = little < big ? little : big;
        if (family == 2) return walk_ipv4(w, v, 4);
        return family == 10 || family == 24 || family == 28 || family == 30 ? walk_ipv6(w, v, 4) : DONE;
    }
    case 113: case 276: { /* Linux cooked, 1 and 2 */
        size_t octets = link_type == 113 ? 16 : 20;
        if (v->end < octets) return PYTHON;
        unsigned hardware = be16(p + (octets == 16 ? 2 : 8)), protocol = be16(p + (octets == 16 ? 14 : 0));
        if (hardware == 824) return DONE; /* netlink */
        if (hardware == 803 || protocol == 4) return PYTHON; /* radiotap, LLC */
        return protocol >= 0x600 ? walk_ethertype(w, v, protocol, octets) : DONE;
    }
    default:
        return PYTHON;
    }
}

/* Nanoseconds of a pcapng time; 0 where 64 bits do not hold them or the interface's clock is not for us. */
static inline int walk_time(const struct interface *interface, uint64_t units, int64_t *time_ns) {
    const uint64_t ns = 1000000000u;
    if (interface->units == 0) return 0;
    unsigned __int128 scaled;
    if (interface->units == 1000000) scaled = (unsigned __int128)units * 1000; /* the usual clock, without a division */
    else scaled = (unsigned __int128)units * ns / interface->units;
    if (scaled > INT64_MAX) return 0;
    return !__builtin_add_overflow((int64_t)scaled, interface->offset_ns, time_ns);
}

/* One record of a pcap file; 0 where it is not for us. */
static inline int walk_pcap(struct walk *w) {
    size_t left = w->end - w->at;
    if (left < w->header) return 0;
    const uint8_t *p = w->data + w->at;
    uint32_t captured = walk_u32(w, p + 8), length = walk_u32(w, p + 12);
    if (captured > MAX_CAPTURED || captured > left - w->header) return 0;
    struct view v = {p + w->header, captured, length > captured ? length : captured};
    size_t count = w->count;
    if (walk_frame(w, &v, w->interfaces->link_type) == PYTHON) return 0;
    w->frame++;
    if (w->count != count) {
        struct record *r = &w->records[count];
        r->frame = w->frame;
        /* At most 2^32 seconds and 2^32 thousands of nanoseconds: 63 bits are enough. */
        r->time_ns = (int64_t)walk_u32(w, p) * 1000000000 + (int64_t)walk_u32(w, p + 4) * w->unit;
        r->time_kind = TIME_NS;
        r->at = (uint32_t)(w->at + w->header);
        r->captured = captured;
    }
    w->at += w->header + captured;
    return 1;
}

/* One block of a pcapng file, if it is an enhanced packet block; 0 where it is not for us. */
static inline int walk_pcapng(struct walk *w) {
    size_t left = w->end - w->at;
    if (left < 32) return 0;
    const uint8_t *p = w->data + w->at;
    uint32_t total = walk_u32(w, p + 4);
    if (walk_u32(w, p) != 6 || total < 32 || total % 4 || total > MAX_BLOCK || total > left) return 0;
    if (walk_u32(w, p + total - 4) != total) return 0;
    uint32_t index = walk_u32(w, p + 8), captured = walk_u32(w, p + 20), length = walk_u32(w, p + 24);
    if (index >= w->interface_count || captured > MAX_CAPTURED || captured > total - 32) return 0;
    const struct interface *interface = &w->interfaces[index];
    struct view v = {p + 28, captured, length > captured ? length : captured};
    size_t count = w->count;
    if (walk_frame(w, &v, interface->link_type) == PYTHON) return 0;
    if (w->count != count) {
        struct record *r = &w->records[count];
        if (!walk_time(interface, (uint64_t)walk_u32(w, p + 12) << 32 | walk_u32(w, p + 16), &r->time_ns)) {
            w->count = count; /* Python will find the segment again, with its time */
            return 0;
        }
        r->frame = w->frame + 1;
        r->time_kind = TIME_NS;
        r->at = (uint32_t)(w->at + 28);
        r->captured = captured;
    }
    w->frame++;
    w->at += total;
    return 1;
}

/* Walk records until one is not for us, or there is room for no more segments. */
static inline void walk(struct walk *w) {
    if (w->header) {
        while (w->count < w->room && walk_pcap(w)) {}
    } else {
        while (w->count < w->room && walk_pcapng(w)) {}
    }
}

#endif
