/*
 * What a program typically does with kith, for the compiler to learn from (make pgo).
 *
 *     train DATA FILE     DATA: c_examples/data; FILE: where an index may be saved
 *
 * Package descriptions (384 f32, cosine) and bytes made here (128 u8, L2). Each: built by single inserts and by a batch, searched with
 * two breadths, one by one and as a batch, with a filter, saved, opened and searched again; some vectors are replaced and removed.
 */
#include <kith.h>

#include "../../c_examples/packages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K = 10, QUERIES = 500, SINGLE = 1000, BYTES = 128 };

static void must(kith_status status, const char *what) {
    if (status == KITH_OK) return;
    fprintf(stderr, "train: %s: %s\n", what, kith_last_error());
    exit(1);
}

static int even(void *ctx, uint64_t key) {
    (void)ctx;
    return key % 2 == 0;
}

struct set {
    uint32_t dimensions;
    kith_metric metric;
    kith_element element;
    size_t count, stride;
    const unsigned char *vectors;
};

static const void *vector(const struct set *set, size_t i) { return set->vectors + i * set->stride; }

static void search(const kith_index *index, const struct set *set, uint32_t ef, kith_filter_fn filter) {
    static uint64_t keys[QUERIES * K];
    static float distances[QUERIES * K];
    static size_t counts[QUERIES];
    kith_search_options options = {.size = sizeof options, .ef = ef, .threads = 1, .filter = filter};
    for (size_t i = 0; i < QUERIES; i++) {
        const void *query = vector(set, i * (set->count / QUERIES));
        must(kith_search(index, query, K, &options, keys, distances, counts), "search");
    }
    must(kith_search_batch(index, QUERIES, set->vectors, set->stride, K, &options, keys, distances, counts), "batch");
}

static void train(const struct set *set, const char *file) {
    kith_options options = {.size = sizeof options, .dimensions = set->dimensions, .metric = set->metric, .element = set->element};
    kith_build_options build = {.size = sizeof build, .threads = 1};
    kith_index *index;
    uint64_t *keys = malloc(set->count * sizeof *keys);
    if (!keys) exit(1);
    for (size_t i = 0; i < set->count; i++) keys[i] = i;
    must(kith_create(&options, &index), "create");
    for (size_t i = 0; i < SINGLE; i++) must(kith_insert(index, keys[i], vector(set, i)), "insert");
    must(kith_insert_batch(index, set->count - SINGLE, keys + SINGLE, vector(set, SINGLE), set->stride, &build), "insert batch");
    search(index, set, 0, NULL); /* the default breadth */
    search(index, set, 24, NULL);
    search(index, set, 160, NULL);
    search(index, set, 0, even);
    must(kith_save(index, file), "save");
    kith_free(index);
    must(kith_open(file, 0, &index), "open");
    for (size_t i = 0; i < SINGLE / 2; i++) {
        must(kith_upsert(index, keys[i], vector(set, SINGLE + i)), "upsert");
        must(kith_remove(index, keys[set->count - 1 - i]), "remove");
    }
    search(index, set, 0, NULL);
    kith_free(index);
    free(keys);
}

/* Bytes around 200 centres, as features of pictures are. */
static unsigned char *made_bytes(size_t count) {
    uint64_t state = 1;
    static unsigned char centres[200][BYTES];
    unsigned char *out = malloc(count * BYTES);
    if (!out) exit(1);
#define RANDOM(n) (((state = state * 6364136223846793005u + 1442695040888963407u) >> 33) % (n))
    for (size_t c = 0; c < 200; c++)
        for (size_t i = 0; i < BYTES; i++) centres[c][i] = (unsigned char)(RANDOM(3) == 0 ? RANDOM(160) : RANDOM(40));
    for (size_t v = 0; v < count; v++) {
        const unsigned char *centre = centres[RANDOM(200)];
        for (size_t i = 0; i < BYTES; i++) out[v * BYTES + i] = (unsigned char)(centre[i] + RANDOM(48));
    }
#undef RANDOM
    return out;
}

int main(int argc, char **argv) {
    struct packages packages;
    if (argc != 3) return fprintf(stderr, "usage: train DATA FILE\n"), 2;
    if (load_packages(&packages, argv[1]) != 0) return 1;
    {
        const size_t stride = packages.dimensions * sizeof(float);
        const struct set set = {packages.dimensions, KITH_COSINE, KITH_F32, packages.count, stride, (const unsigned char *)packages.vectors};
        train(&set, argv[2]);
    }
    {
        unsigned char *bytes = made_bytes(10000);
        const struct set set = {BYTES, KITH_L2, KITH_U8, 10000, BYTES, bytes};
        train(&set, argv[2]);
        free(bytes);
    }
    free_packages(&packages);
    remove(argv[2]);
    return 0;
}
