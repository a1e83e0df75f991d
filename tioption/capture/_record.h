/* One TCP segment found in a chunk of a capture: what the walker writes and whoever works on batches reads.

   This struct is the definition. RECORD_FIELDS tells Python of it as (name, offset, struct format); batch.py states the
   same layout in Python's terms, and tests/capture/test_batch.py holds the two against each other. Numbers are in the
   machine's byte order, addresses in the network's. */

#ifndef TIOPTION_RECORD_H
#define TIOPTION_RECORD_H

#include <stddef.h>
#include <stdint.h>

enum { SEGMENT_WHOLE = 0, SEGMENT_CUT = 1 };           /* record.kind */
enum { TIME_NONE = 0, TIME_NS = 1, TIME_LARGE = 2 };   /* record.time_kind */

struct record {
    uint64_t frame;        /* number of the frame in its file, from 1 */
    int64_t time_ns;       /* nanoseconds since 1970-01-01 UTC; for TIME_LARGE an index into the batch's large times */
    uint32_t at;           /* where the captured octets of the frame begin in the chunk */
    uint32_t captured;     /* how many octets of the frame were captured */
    uint32_t offset;       /* where the TCP header begins, counted from `at` */
    uint32_t end;          /* where the captured octets of the segment end, counted from `at` */
    uint32_t length;       /* octets of the segment on the wire, header and payload, as IP says */
    uint32_t seq;          /* sequence number; from here to `window` all are 0 for SEGMENT_CUT */
    uint32_t ack;          /* acknowledgment number as it stands in the header */
    uint16_t sport;        /* source port; of a cut segment, too */
    uint16_t dport;        /* destination port; of a cut segment, too */
    uint16_t flags;        /* the nine flag bits */
    uint16_t window;       /* the window as it stands in the header */
    uint8_t header_length; /* octets of the header as its data offset says, 0 to 60 */
    uint8_t address;       /* octets of each address: 4 or 16 */
    uint8_t time_kind;     /* TIME_NONE, TIME_NS or TIME_LARGE */
    uint8_t kind;          /* SEGMENT_WHOLE, or SEGMENT_CUT: only 4 to 19 octets of the header were captured */
    uint8_t src[16];       /* source address, zeros behind 4 octets */
    uint8_t dst[16];       /* destination address, zeros behind 4 octets */
};

_Static_assert(sizeof(struct record) == 88, "no padding, whatever the machine");

#define RECORD_FIELDS(field)                                                                                      \
    field(frame, "Q") field(time_ns, "q") field(at, "I") field(captured, "I") field(offset, "I") field(end, "I")  \
    field(length, "I") field(seq, "I") field(ack, "I") field(sport, "H") field(dport, "H") field(flags, "H")      \
    field(window, "H") field(header_length, "B") field(address, "B") field(time_kind, "B") field(kind, "B")       \
    field(src, "16s") field(dst, "16s")

static inline uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static inline uint32_t le32(const uint8_t *p) { return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]; }

#endif
