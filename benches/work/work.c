/*
 * How much work is a query? Counts that come out the same on every machine; work.sh holds them against what is recorded.
 *
 *     work DATA FOLDER build            builds the indexes on one thread and saves them in FOLDER
 *     work DATA FOLDER count            per set and breadth: recall@10 and, if the library counts them, distances of the walk per query
 *     work DATA FOLDER search SET EF    searches only; for valgrind to count the instructions of kith_search()
 *
 * Sets, of the demo's data (DATA), every 20th vector being a query: `floats`, as they are, under cosine; `bytes`, rounded to whole
 * numbers of 0 to 255, under L2. Default options.
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <kith.h>

#include "../../c_examples/packages.h"

#include <dlfcn.h>

enum { K = 10, EVERY = 20, SETS = 2, BREADTHS = 4, INSTRUCTION_QUERIES = 200 };
static const char *const NAMES[SETS] = {"floats", "bytes"};
static const kith_metric METRICS[SETS] = {KITH_COSINE, KITH_L2};
static const uint32_t EFS[BREADTHS] = {10, 24, 64, 128};

static void must(kith_status status, const char *what) {
    if (status == KITH_OK) return;
    fprintf(stderr, "work: %s: %s\n", what, kith_last_error());
    exit(1);
}

static const char *path_of(const char *folder, int set) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s.kith", folder, NAMES[set]);
    return path;
}

static void round_to_bytes(struct packages *p) {
    for (size_t i = 0; i < p->count * p->dimensions; i++) {
        const float level = roundf(127.5f + 512.0f * p->vectors[i]);
        p->vectors[i] = level < 0 ? 0 : level > 255 ? 255 : level;
    }
}

static const float *vector(const struct packages *p, size_t i) { return p->vectors + i * p->dimensions; }

static kith_index *made(const struct packages *p, int set, kith_kind kind) {
    const kith_options options = {.size = sizeof options, .dimensions = p->dimensions, .metric = METRICS[set], .kind = kind, .seed = 1};
    kith_index *index;
    must(kith_create(&options, &index), "create");
    for (size_t i = 0; i < p->count; i++)
        if (i % EVERY != 0) must(kith_insert(index, i, vector(p, i)), "insert");
    return index;
}

static void search(const kith_index *index, const float *query, uint32_t ef, uint64_t *keys) {
    const kith_search_options options = {.size = sizeof options, .ef = ef};
    size_t found;
    must(kith_search(index, query, K, &options, keys, NULL, &found), "search");
}

/* What the library has counted on an index so far; NULL if it does not count. */
typedef uint64_t (*counter)(const kith_index *);

static void count(const struct packages *p, int set, const char *folder, counter distances) {
    kith_index *exact = made(p, set, KITH_KIND_FLAT), *graph;
    uint64_t (*truth)[K] = malloc(p->count / EVERY * sizeof *truth);
    if (truth == NULL) exit(1);
    for (size_t q = 0; q < p->count / EVERY; q++) search(exact, vector(p, q * EVERY), 0, truth[q]);
    must(kith_open(path_of(folder, set), 0, &graph), "open");
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

int main(int argc, char **argv) {
    struct packages packages;
    counter distances = NULL;
    if (argc < 4) return fprintf(stderr, "usage: work DATA FOLDER build|count|search [SET EF]\n"), 2;
    *(void **)&distances = dlsym(RTLD_DEFAULT, "kith_test_distances"); /* in builds with the feature test-hooks */
    if (load_packages(&packages, argv[1]) != 0) return 1;
    for (int set = 0; set < SETS; set++) {
        kith_index *index;
        if (set == 1) round_to_bytes(&packages);
        if (strcmp(argv[3], "build") == 0) {
            index = made(&packages, set, KITH_KIND_GRAPH);
            must(kith_save(index, path_of(argv[2], set)), "save");
            kith_free(index);
        } else if (strcmp(argv[3], "count") == 0) {
            count(&packages, set, argv[2], distances);
        } else if (argc == 6 && strcmp(argv[4], NAMES[set]) == 0) {
            must(kith_open(path_of(argv[2], set), KITH_OPEN_ONE_THREAD, &index), "open");
            for (size_t q = 0; q < INSTRUCTION_QUERIES; q++) {
                uint64_t keys[K];
                search(index, vector(&packages, q * EVERY), (uint32_t)atoi(argv[5]), keys);
            }
            kith_free(index);
        }
    }
    free_packages(&packages);
    return 0;
}
