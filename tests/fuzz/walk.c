/* Whole capture files through the walker and, what it finds, through the printer of lines.

   The last octet of the input says what is wanted, the rest is a file. Where the walk stops, this harness goes on as the
   reader in Python does, as far as it takes to get behind that record. The octets lie in a block of exactly their size, so
   that the address sanitizer sees the first one read beyond. */

#include <stdio.h>

#include "../../tioption/render/_lines_core.h"
#include "../../tioption/capture/_walk_core.h"

#define ROOM 32
#define INTERFACES 4

#define ENSURE(what) ((what) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #what), abort()))

static struct record records[ROOM];
static struct interface interfaces[INTERFACES];
static uint8_t acks[ACKS_OCTETS];
static int answered; /* whether there was a SYN-ACK, which leaves its bit in acks */
static char text[TEXT_MOST];
static struct lines lines;

static void check_batch(const struct walk *w, size_t octets, uint64_t before) {
    for (size_t i = 0; i < w->count; i++) {
        const struct record *r = &w->records[i];
        ENSURE(r->at <= octets && r->captured <= octets - r->at);
        ENSURE(r->offset + 20ull <= r->end && r->end <= r->captured);
        ENSURE(r->length >= r->end - r->offset);
        ENSURE(r->frame > before && r->frame <= w->frame);
        ENSURE((r->address == 4 || r->address == 16) && r->kind == SEGMENT_WHOLE && r->header_length <= 60);
        before = r->frame;
        answered |= (r->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
    }
    size_t index = 0;
    while (index < w->count) {
        int python;
        size_t made = put_lines(&lines, text, w->data, octets, records, &index, w->count, &python);
        ENSURE(made <= TEXT_MOST && (made == 0 || text[made - 1] == '\n'));
        for (size_t i = 0; i < made; i++) ENSURE(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
        index += (size_t)python;
    }
}

/* Get behind the record before which the walk stopped; 0 where Python would raise an error or the file ends. */
static int step(struct walk *w) {
    size_t left = w->end - w->at;
    const uint8_t *p = w->data + w->at;
    if (w->header) {
        if (left < w->header || walk_u32(w, p + 8) > left - w->header) return 0;
        w->at += w->header + walk_u32(w, p + 8);
        w->frame++;
        return 1;
    }
    if (left < 12) return 0;
    if (le32(p) == 0x0A0D0D0A) {
        w->big = be32(p + 8) == 0x1A2B3C4D;
        w->interface_count = 0;
    }
    uint32_t kind = walk_u32(w, p), total = walk_u32(w, p + 4);
    if (total < 12 || total > left) return 0;
    if (kind == 1 && total >= 20 && w->interface_count < INTERFACES) {
        struct interface *new = &interfaces[w->interface_count++];
        new->link_type = walk_u32(w, p + 8) & (w->big ? 0xFFFF0000 : 0xFFFF);
        if (w->big) new->link_type >>= 16;
        /* A clock of any kind, from what the file calls the snapshot length. */
        uint32_t clock = walk_u32(w, p + 12);
        new->units = clock == 0 || clock == 65535 || clock == 262144 ? 1000000 : (uint64_t)clock << (clock & 31);
        new->offset_ns = (int64_t)((uint64_t)clock << (clock & 63));
    }
    w->frame += kind == 2 || kind == 3 || kind == 6;
    w->at += total;
    return 1;
}

/* Forget all connections, without the cost of new tables for every input. */
static void forget(struct numbers *numbers) {
    struct generation *generations[] = {&numbers->young, &numbers->old};
    if (numbers->young.slots == NULL && !numbers_new(numbers, 1)) abort();
    for (int i = 0; i < 2; i++) {
        if (generations[i]->count) memset(generations[i]->slots, 0, SLOTS * sizeof *generations[i]->slots);
        generations[i]->count = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 25) return 0;
    size--;
    uint8_t mode = input[size];
    uint8_t *data = malloc(size);
    memcpy(data, input, size);
    struct walk w = {.interfaces = interfaces, .records = records, .room = 1 + (mode >> 3) % ROOM, .data = data, .end = size};
    w.wanted = mode & 7 ? mode & 7 : WANT_EVERY;
    w.kind_d = 253;
    w.kind_c = mode & 64 ? 8 : 254;
    w.acks = acks;
    forget(&lines.numbers);
    lines.every = mode >> 7;
    lines.kind_d = w.kind_d;
    lines.kind_c = w.kind_c;
    lines.experiments = (const uint8_t *)"\xfd\x02\xf9\x89\0\0\xfe\x02\xf9\x89\0";
    lines.experiment_count = 2;
    lines.minute = INT64_MIN;
    uint32_t magic = be32(data);
    if (le32(data) != 0x0A0D0D0A) {
        w.big = magic >> 24 == 0xA1;
        w.header = magic == 0xA1B2CD34 || magic == 0x34CDB2A1 ? 24 : 16;
        w.unit = magic == 0xA1B23C4D || magic == 0x4D3CB2A1 ? 1 : 1000;
        w.interface_count = 1;
        interfaces[0] = (struct interface){walk_u32(&w, data + 20) & 0x03FFFFFF, 0, 1, 0};
        w.at = 24;
    }
    for (;;) {
        size_t at = w.at;
        uint64_t frame = w.frame;
        w.count = 0;
        walk(&w);
        ENSURE(w.at >= at && w.at <= w.end && w.count <= w.room && w.frame >= frame);
        check_batch(&w, size, frame);
        if (w.count < w.room && !step(&w)) break;
    }
    if (answered) memset(acks, 0, sizeof acks);
    answered = 0;
    free(data);
    return 0;
}
