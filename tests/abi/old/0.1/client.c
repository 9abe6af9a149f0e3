/* A program of the days of kith 0.1, which only knows the kith.h beside it. See ../README. Do not bring it up to date. */
#include <kith.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEED(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "client 0.1, line %d: %s (%s)\n", __LINE__, #condition, kith_last_error()); \
            exit(1); \
        } \
    } while (0)

/* Structs with guards behind them: a library that believes them larger than they were would write here. */
static struct {
    kith_info info;
    unsigned char guard[64];
} described;

static int below(void *ctx, uint64_t key) { return key < *(uint64_t *)ctx; }

static int count_calls(void *ctx, uint64_t done, uint64_t total) {
    ++*(int *)ctx;
    return done > total;
}

int main(void) {
    kith_options options = {.size = sizeof options, .dimensions = 8, .metric = KITH_COSINE, .element = KITH_I8,
                            .kind = KITH_KIND_FLAT, .quantizer = KITH_QUANTIZER_NONE, .capacity = 50, .seed = 3};
    kith_index *index = NULL, *again = NULL;
    int8_t rows[40][8];
    uint64_t keys[40], nearest[5], limit = 10;
    float distances[5];
    size_t count = 0, i, j;
    int calls = 0, found = 0;
    NEED(kith_version() / 100 >= 1 && sizeof options == 56 && sizeof(kith_info) == 88);
    NEED(kith_create(&options, &index) == KITH_OK);
    for (i = 0; i < 40; i++) {
        keys[i] = i;
        for (j = 0; j < 8; j++) rows[i][j] = (int8_t)((i + 1) * (j + 3) % 17 - 8);
    }
    kith_build_options build = {.size = sizeof build, .threads = 1, .progress = count_calls, .progress_ctx = &calls};
    NEED(kith_insert_batch(index, 40, keys, rows, 0, &build) == KITH_OK);
    NEED(kith_insert(index, 5, rows[5]) == KITH_ERROR_EXISTS);
    NEED(strncmp(kith_last_error(), "kith_insert: ", 13) == 0);
    kith_search_options search = {.size = sizeof search, .ef = 32, .threads = 1, .filter = below, .filter_ctx = &limit};
    NEED(kith_search(index, rows[7], 5, &search, nearest, distances, &count) == KITH_OK);
    NEED(count == 5 && nearest[0] == 7 && distances[0] < 1e-6f);
    for (i = 1; i < 5; i++) NEED(nearest[i] < 10 && distances[i] >= distances[i - 1]);

    memset(&described, 0xee, sizeof described);
    described.info.size = sizeof described.info;
    NEED(kith_describe(index, &described.info) == KITH_OK);
    NEED(described.info.count == 40 && described.info.metric == KITH_COSINE && described.info.element == KITH_I8);
    for (i = 0; i < sizeof described.guard; i++) NEED(described.guard[i] == 0xee);

    NEED(kith_save(index, "client_0_1.kith") == KITH_OK);
    NEED(kith_open("client_0_1.kith", KITH_OPEN_MAPPED, &again) == KITH_OK);
    NEED(kith_contains(again, 39, &found) == KITH_OK && found == 1);
    NEED(kith_upsert(again, 39, rows[0]) == KITH_ERROR_READ_ONLY);
    kith_free(again);
    kith_free(index);
    remove("client_0_1.kith");
    puts("client 0.1: ok");
    return 0;
}
