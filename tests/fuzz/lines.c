/* Records of any contents through the printer of lines: it trusts none of them.

   The first octet of the input says what is wanted, the second how many records follow; behind them is the chunk they
   point into. Both lie in blocks of exactly their size. */

#include <stdio.h>

#include "../../tioption/render/_lines_core.h"

#define ENSURE(what) ((what) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #what), abort()))

static char text[TEXT_MOST];

/* Forget all connections, without the cost of new tables for every input. */
static void forget(struct numbers *numbers) {
    struct generation *generations[] = {&numbers->young, &numbers->old};
    if (numbers->young.slots == NULL && !numbers_new(numbers, 1)) abort();
    for (int i = 0; i < 2; i++) {
        if (generations[i]->count) memset(generations[i]->slots, 0, SLOTS * sizeof *generations[i]->slots);
        generations[i]->count = 0;
    }
}

static struct numbers numbers;

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 2) return 0;
    uint8_t mode = input[0];
    size_t count = input[1];
    input += 2;
    size -= 2;
    if (count > size / sizeof(struct record)) count = size / sizeof(struct record);
    size_t octets = size - count * sizeof(struct record);
    struct record *records = malloc(count * sizeof(struct record) + 1);
    uint8_t *data = malloc(octets + 1);
    memcpy(records, input, count * sizeof(struct record));
    memcpy(data, input + count * sizeof(struct record), octets);
    uint8_t *exact = realloc(data, octets ? octets : 1);
    struct lines lines = {.every = mode & 1, .kind_d = 253, .kind_c = mode & 2 ? 8 : 254, .minute = INT64_MIN};
    lines.experiments = (const uint8_t *)"\xfd\x02\xf9\x89\0\0\xfe\x04\xe2\xd4\xc3\xd9";
    lines.experiment_count = 2;
    forget(&numbers);
    lines.numbers = numbers;
    for (size_t index = 0; index < count;) {
        int python;
        size_t before = index, made = put_lines(&lines, text, exact, octets, records, &index, count, &python);
        ENSURE(made <= TEXT_MOST && index <= count && (made == 0 || text[made - 1] == '\n'));
        ENSURE(made <= (index - before) * LINE_MOST);
        for (size_t i = 0; i < made; i++) ENSURE(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
        index += (size_t)python;
    }
    numbers = lines.numbers;
    free(exact);
    free(records);
    return 0;
}
