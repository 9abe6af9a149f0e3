/*
 * How much work is a query? Counts that come out the same on every machine; work.sh holds them against what is recorded.
 *
 *     work DATA count            per set and breadth: recall@10 and, if the library counts them, distances of the walk per query
 *     work DATA search SET EF    searches only, for valgrind to count the instructions of kith_search()
 *
 * Sets, of the demo's data (DATA), every 20th vector being a query: `floats`, as they are, under cosine; `bytes`, rounded to whole
 * numbers of 0 to 255, under L2; `plain`, as floats, but inserted one by one and without codes. Otherwise default options, one batch on
 * one thread.
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <kith.h>

#include "../../c_examples/packages.h"

#include <dlfcn.h>

/* Under valgrind the build is left out of the instrumentation, which is slow. */
#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif
#endif
#ifndef CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_START_INSTRUMENTATION
#endif

enum { K = 10, EVERY = 20, SETS = 3, BYTES = 1, PLAIN = 2, BREADTHS = 4, INSTRUCTION_QUERIES = 200 };
static const char *const NAMES[SETS] = {"floats", "bytes", "plain"};
static const uint32_t EFS[BREADTHS] = {10, 24, 64, 128};

static void must(kith_status status, const char *what) {
    if (status == KITH_OK) return;
    fprintf(stderr, "work: %s: %s\n", what, kith_last_error());
    exit(1);
}

static void round_to_bytes(struct packages *p) {
    for (size_t i = 0; i < p->count * p->dimensions; i++) {
        const float level = roundf(127.5f + 512.0f * p->vectors[i]);
        p->vectors[i] = level < 0 ? 0 : level > 255 ? 255 : level;
    }
}

static const float *vector(const struct packages *p, size_t i) { return p->vectors + i * p->dimensions; }

static kith_index *made(const struct packages *p, int set, kith_kind kind) {
    kith_options options = {.size = sizeof options, .dimensions = p->dimensions, .kind = kind, .seed = 1};
    const kith_build_options build = {.size = sizeof build, .threads = 1};
    const size_t size = p->dimensions * sizeof(float);
    uint64_t *keys = malloc(p->count * sizeof *keys);
    float *vectors = malloc(p->count * size);
    size_t count = 0;
    kith_index *index;
    if (keys == NULL || vectors == NULL) exit(1);
    for (size_t i = 0; i < p->count; i++) {
        if (i % EVERY == 0) continue;
        memcpy(vectors + count * p->dimensions, vector(p, i), size);
        keys[count++] = i;
    }
    options.metric = set == BYTES ? KITH_L2 : KITH_COSINE;
    options.quantizer = set == PLAIN ? KITH_QUANTIZER_NONE : KITH_QUANTIZER_AUTO;
    must(kith_create(&options, &index), "create");
    if (set == PLAIN && kind == KITH_KIND_GRAPH)
        for (size_t i = 0; i < count; i++) must(kith_insert(index, keys[i], vectors + i * p->dimensions), "insert");
    else
        must(kith_insert_batch(index, count, keys, vectors, 0, &build), "insert");
    free(keys);
    free(vectors);
    return index;
}

static void search(const kith_index *index, const float *query, uint32_t ef, uint64_t *keys) {
    const kith_search_options options = {.size = sizeof options, .ef = ef};
    size_t found;
    must(kith_search(index, query, K, &options, keys, NULL, &found), "search");
}

/* What the library has counted on an index so far; NULL if it does not count. */
typedef uint64_t (*counter)(const kith_index *);

static void count(const struct packages *p, int set, counter distances) {
    kith_index *exact = made(p, set, KITH_KIND_FLAT), *graph = made(p, set, KITH_KIND_GRAPH);
    uint64_t (*truth)[K] = malloc(p->count / EVERY * sizeof *truth);
    if (truth == NULL) exit(1);
    for (size_t q = 0; q < p->count / EVERY; q++) search(exact, vector(p, q * EVERY), 0, truth[q]);
    for (int b = 0; b < BREADTHS; b++) {
        size_t right = 0, queries = p->count / EVERY;
        const uint64_t before = distances ? distances(graph) : 0;
        for (size_t q = 0; q < queries; q++) {
            uint64_t keys[K];
            search(graph, vector(p, q * EVERY), EFS[b], keys);
            for (int i = 0; i < K; i++)
                for (int j = 0; j < K; j++) right += keys[i] == truth[q][j];
        }
        printf("%s %u %.4f ", NAMES[set], (unsigned)EFS[b], (double)right / (double)(queries * K));
        if (distances) printf("%.1f\n", (double)(distances(graph) - before) / (double)queries);
        else printf("-\n");
    }
    free(truth);
    kith_free(exact);
    kith_free(graph);
}

static void search_only(const struct packages *p, int set, uint32_t ef) {
    kith_index *graph = made(p, set, KITH_KIND_GRAPH);
    CALLGRIND_START_INSTRUMENTATION;
    for (size_t q = 0; q < INSTRUCTION_QUERIES; q++) {
        uint64_t keys[K];
        search(graph, vector(p, q * EVERY), ef, keys);
    }
    kith_free(graph);
}

int main(int argc, char **argv) {
    struct packages packages;
    counter distances = NULL;
    if (argc != 3 && argc != 5) return fprintf(stderr, "usage: work DATA count | work DATA search SET EF\n"), 2;
    *(void **)&distances = dlsym(RTLD_DEFAULT, "kith_test_distances"); /* in builds with the feature test-hooks */
    for (int set = 0; set < SETS; set++) {
        if (argc == 5 && strcmp(argv[3], NAMES[set]) != 0) continue;
        if (load_packages(&packages, argv[1]) != 0) return 1;
        if (set == BYTES) round_to_bytes(&packages);
        if (argc == 3) count(&packages, set, distances);
        else search_only(&packages, set, (uint32_t)atoi(argv[4]));
        free_packages(&packages);
    }
    return 0;
}
