/* What reading and walking a pcap file costs in C and nothing else: the limit for `tiopt decode`, without a line printed. */

#include <stdio.h>
#include <unistd.h>

#include "../tioption/capture/_walk_core.h"

int main(void) {
    static uint8_t data[(1 << 20) + (1 << 18)] __attribute__((aligned(8)));
    static struct record records[8192];
    struct interface interface = {1, 0, 1, 0};
    struct walk w = {.header = 16, .unit = 1000, .interfaces = &interface, .interface_count = 1, .wanted = WANT_CARRIERS,
                     .kind_d = 253, .kind_c = 254, .data = data, .records = records, .room = 8192};
    size_t found = 0;
    ssize_t octets;
    w.at = 24; /* behind the file header */
    while ((octets = read(0, data + w.end, sizeof data - w.end)) > 0) {
        w.end += (size_t)octets;
        do {
            w.count = 0;
            walk(&w);
            found += w.count;
        } while (w.count == w.room);
        memmove(data, data + w.at, w.end - w.at);
        w.end -= w.at;
        w.at = 0;
    }
    printf("%zu\n", found);
    return 0;
}
