#ifndef TIOPTION_ROW_H
#define TIOPTION_ROW_H

#include <stddef.h>
#include <stdint.h>

/* What a report needs of an ordinary connection, in a fixed layout: ordinary_row.py states
   the same, and a test holds the two against each other. */
struct row {
    uint64_t index;
    uint64_t tifid;        /* as far as it is known; 0 where there was no option */
    uint64_t sent_a;       /* octets of the client's stream, then of the server's */
    uint64_t sent_b;
    uint64_t first_frame;
    uint64_t s_a;          /* TISeq of the SYN; 0 where there was no option */
    uint16_t code;         /* state, what was seen, reason: ordinary.py knows what it stands for */
    uint16_t client_port, server_port;
    uint8_t kind;          /* of its options; 0 where there were none */
    uint8_t address;       /* octets of each address */
    uint8_t flow;          /* whether it carries a flow */
    uint8_t client[16], server[16];
    uint8_t spare[7];
};

_Static_assert(sizeof(struct row) == 96, "no padding, whatever the machine");

#define ROW_FIELDS(field)                                                                                         \
    field(index, "Q") field(tifid, "Q") field(sent_a, "Q") field(sent_b, "Q") field(first_frame, "Q") field(s_a, "Q") \
    field(code, "H") field(client_port, "H") field(server_port, "H") field(kind, "B") field(address, "B")         \
    field(flow, "B") field(client, "16s") field(server, "16s") field(spare, "7s")

#endif
