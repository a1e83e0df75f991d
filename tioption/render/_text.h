/* Numbers, addresses and flags as text (values.py): each function writes at p and returns where it ended. */

#ifndef TIOPTION_TEXT_H
#define TIOPTION_TEXT_H

#include <string.h>

#include "../capture/_record.h"

static inline char *put(char *p, const char *text) {
    size_t octets = strlen(text);
    memcpy(p, text, octets);
    return p + octets;
}

static inline char *put_number(char *p, uint64_t value) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count) *p++ = digits[--count];
    return p;
}

static inline char *put_digits(char *p, uint32_t value, int count) {
    for (int i = count - 1; i >= 0; i--, value /= 10) p[i] = (char)('0' + value % 10);
    return p + count;
}

static inline char *put_hex(char *p, const uint8_t *octets, size_t count) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *p++ = digits[octets[i] >> 4];
        *p++ = digits[octets[i] & 15];
    }
    return p;
}

static inline char *put_ipv4(char *p, const uint8_t *address) {
    for (int i = 0; i < 4; i++) {
        if (i) *p++ = '.';
        p = put_number(p, address[i]);
    }
    return p;
}

/* RFC 5952, with the dotted tail that inet_ntop gives to mapped and compatible addresses. */
static inline char *put_ipv6(char *p, const uint8_t *address) {
    static const char digits[] = "0123456789abcdef";
    int start = -1, length = 1; /* the longest run of two zero words or more, the first of equals */
    for (int i = 0; i < 8;) {
        int run = 0;
        while (i + run < 8 && be16(address + 2 * (i + run)) == 0) run++;
        if (run > length) start = i, length = run;
        i += run + 1;
    }
    for (int i = 0; i < 8; i++) {
        if (i == start) {
            *p++ = ':';
            i += length - 1;
            if (i == 7) *p++ = ':';
            continue;
        }
        if (i) *p++ = ':';
        if (i == 6 && start == 0 && (length == 6 || (length == 5 && be16(address + 10) == 0xffff)))
            return put_ipv4(p, address + 12);
        unsigned word = be16(address + 2 * i);
        int shift = word > 0xfff ? 12 : word > 0xff ? 8 : word > 0xf ? 4 : 0;
        for (; shift >= 0; shift -= 4) *p++ = digits[word >> shift & 15];
    }
    return p;
}

static inline char *put_flags(char *p, unsigned flags) {
    static const char letters[] = "FSRP.UEWe";
    for (int bit = 0; bit < 9; bit++)
        if (flags >> bit & 1) *p++ = letters[bit];
    return p;
}

#endif
