/* Records of any contents through the maker of rows: it trusts none of them. The input is that of lines.c. */

#include <stdio.h>
#include <stdlib.h>

#include "../../tioption/render/_rows_core.h"

#define ENSURE(what) ((what) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #what), abort()))

static const char start[] = "{\"file\": \"x\", \"frame\": ";

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 2) return 0;
    int every = input[0] & 1, csv = input[0] >> 2 & 1;
    struct rows rows = {.kind_d = 253, .kind_c = input[0] & 2 ? 8 : 254};
    size_t count = input[1];
    input += 2;
    size -= 2;
    if (count > size / sizeof(struct record)) count = size / sizeof(struct record);
    size_t octets = size - count * sizeof(struct record), start_octets = sizeof start - 1;
    struct record *records = malloc(count * sizeof(struct record) + 1);
    uint8_t *data = malloc(octets ? octets : 1);
    char *text = malloc(ROWS_TEXT + ROW_MOST + start_octets);
    memcpy(records, input, count * sizeof(struct record));
    memcpy(data, input + count * sizeof(struct record), octets);
    rows.experiment_kinds = (const uint8_t *)"\xfd\xfe";
    rows.experiment_kind_count = 2;
    rows.prefixes = (const uint8_t *)"\xf9\x89\xe2\xd4";
    rows.prefix_count = 2;
    rows_prepare(&rows);
    for (size_t index = 0; index < count;) {
        int python;
        size_t before = index;
        size_t made = put_rows(&rows, text, data, octets, records, &index, count, csv, every, start, start_octets, &python);
        ENSURE(index <= count && (made == 0 || text[made - 1] == '\n'));
        ENSURE(made <= (index - before) * (ROW_MOST + start_octets));
        for (size_t i = 0; i < made; i++) ENSURE(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
        for (; before < index; before++) {
            int place = place_of(&rows, &records[before], data, octets);
            ENSURE(place == PLACE_NONE || place <= 40 - ROW_FLOW_LENGTH);
        }
        index += (size_t)python;
    }
    free(text);
    free(data);
    free(records);
    return 0;
}
