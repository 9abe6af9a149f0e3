/* quickstart.c, the program of `make demo`: indexes 10,000 package descriptions, shows the nearest ones of a few well-known
 * packages, measures speed and memory, saves, opens, and checks that the opened index gives the same answers.
 *
 *   quickstart [--data DIRECTORY] [--file INDEX] [PACKAGE...]
 *
 * Reading order: main, then build, show, measure, compare. The calls of kith are create, insert_batch, describe, search,
 * search_batch, save, open, free; reading the data has nothing to do with kith and lives in packages.h. */
#define _POSIX_C_SOURCE 200809L /* isatty, fileno, clock_gettime: nothing else needs more than C99 */
#include <kith.h>
#include <time.h>
#include <unistd.h>

#include "packages.h"

enum { NEAREST = 6, K = 10, QUERIES = 1000 };

/* The ways to search that are set beside each other; the first is the measure for the others. */
static const struct way {
    const char *name;
    kith_kind kind;
} ways[] = {{"exact (flat)", KITH_KIND_FLAT}, {"graph (HNSW)", KITH_KIND_GRAPH}};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* The k nearest of each of QUERIES packages. */
struct answers {
    uint64_t keys[QUERIES * K];
    float distances[QUERIES * K];
};

static int fail(const char *what) {
    fprintf(stderr, "%s failed: %s\n", what, kith_last_error());
    return -1;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 1234567 as "1,234,567"; up to four results may be in use at once. */
static const char *thousands(double value) {
    static char buffers[4][40];
    static unsigned turn;
    char digits[32], *to = buffers[turn++ % 4];
    const char *from = digits, *result = to;
    size_t left = (size_t)snprintf(digits, sizeof digits, "%.0f", value);
    for (; left > 0; left--) {
        *to++ = *from++;
        if (left > 1 && left % 3 == 1) *to++ = ',';
    }
    *to = 0;
    return result;
}

/* Called while a batch is inserted: shows progress, on a terminal only. Non-zero would cancel. */
static int show_progress(void *ctx, uint64_t done, uint64_t total) {
    fprintf(stderr, "\r%s: %3.0f %%", (const char *)ctx, 100.0 * (double)done / (double)total);
    if (done == total) fprintf(stderr, "\r                                \r");
    return 0;
}

/* An index of every package under its row number. *index is NULL, with success, if this build of kith has no such kind. */
static int build(const struct packages *p, const struct way *way, kith_index **index, double *seconds) {
    kith_options options = {.size = sizeof options, .dimensions = p->dimensions, .metric = KITH_COSINE,
                            .element = KITH_F32, .kind = way->kind, .capacity = p->count};
    kith_build_options batch = {.size = sizeof batch};
    uint64_t *keys = malloc(p->count * sizeof *keys);
    const double start = now();
    kith_status status = kith_create(&options, index);
    size_t row;
    if (status == KITH_ERROR_UNSUPPORTED || keys == NULL) {
        free(keys);
        return keys == NULL ? -1 : 0;
    }
    for (row = 0; row < p->count; row++) keys[row] = row;
    if (isatty(fileno(stderr))) {
        batch.progress = show_progress;
        batch.progress_ctx = (void *)way->name;
    }
    if (status == KITH_OK) status = kith_insert_batch(*index, p->count, keys, p->vectors, 0, &batch);
    *seconds = now() - start;
    free(keys);
    return status == KITH_OK ? 0 : fail("building the index");
}

/* The packages whose descriptions are nearest to that of one package, which itself is left out. */
static int show(const kith_index *index, const struct packages *p, size_t row) {
    uint64_t keys[NEAREST + 1];
    float distances[NEAREST + 1];
    size_t found = 0, i, shown = 0;
    if (kith_search(index, p->vectors + row * p->dimensions, NEAREST + 1, NULL, keys, distances, &found) != KITH_OK)
        return fail("searching");
    printf("\n%s: %s\n", p->names[row], p->descriptions[row]);
    for (i = 0; i < found && shown < NEAREST; i++) {
        if (keys[i] == row) continue;
        printf("  %5.3f  %-22s %s\n", (double)distances[i], p->names[keys[i]], p->descriptions[keys[i]]);
        shown++;
    }
    return 0;
}

static const float *query(const struct packages *p, size_t i) {
    return p->vectors + i * (p->count / QUERIES) * p->dimensions;
}

static int answer(const kith_index *index, const struct packages *p, struct answers *a) {
    size_t found, i;
    for (i = 0; i < QUERIES; i++)
        if (kith_search(index, query(p, i), K, NULL, a->keys + i * K, a->distances + i * K, &found) != KITH_OK)
            return fail("searching");
    return 0;
}

/* Queries per second: one call each on this thread, and one call for all of them on every core. Best of three. */
static int measure(const kith_index *index, const struct packages *p, struct answers *a, double *single, double *batch) {
    const size_t stride = p->count / QUERIES * p->dimensions * sizeof(float);
    static size_t counts[QUERIES];
    int round;
    *single = *batch = 0;
    for (round = 0; round < 3; round++) {
        double start = now(), rate;
        if (answer(index, p, a) != 0) return -1;
        rate = QUERIES / (now() - start);
        if (rate > *single) *single = rate;
        start = now();
        if (kith_search_batch(index, QUERIES, p->vectors, stride, K, NULL, a->keys, a->distances, counts) != KITH_OK)
            return fail("searching many");
        rate = QUERIES / (now() - start);
        if (rate > *batch) *batch = rate;
    }
    return 0;
}

/* How many of the exact nearest were found, from 0 to 1: the usual recall@10. */
static double recall(const struct answers *exact, const struct answers *found) {
    size_t hits = 0, i, j, l;
    for (i = 0; i < QUERIES * K; i += K)
        for (j = i; j < i + K; j++)
            for (l = i; l < i + K; l++) hits += found->keys[l] == exact->keys[j];
    return (double)hits / (QUERIES * K);
}

/* One line about one way to search; keeps the answers of the first in *exact. */
static int report(const kith_index *index, const struct packages *p, const struct way *way, double seconds,
                  struct answers *exact) {
    kith_info info = {.size = sizeof info};
    struct answers *mine = way == ways ? exact : malloc(sizeof *mine);
    double single, batch;
    int result = -1;
    if (mine == NULL) return -1;
    if (kith_describe(index, &info) != KITH_OK) {
        fail("describing the index");
    } else if (measure(index, p, mine, &single, &batch) == 0) {
        printf("%-14s %7.2f s %13s %13s %13s %11.3f\n", way->name, seconds, thousands((double)info.bytes / (double)info.count),
               thousands(single), thousands(batch), recall(exact, mine));
        result = 0;
    }
    if (mine != exact) free(mine);
    return result;
}

/* Saves, opens what was saved, asks both the same questions. */
static int compare(const kith_index *index, const struct packages *p, const char *path) {
    struct answers *before = malloc(sizeof *before), *after = malloc(sizeof *after);
    kith_index *opened = NULL;
    size_t same = 0, i;
    double start = now(), saved;
    int result = -1;
    if (before == NULL || after == NULL) goto end;
    if (kith_save(index, path) != KITH_OK) { fail("saving"); goto end; }
    saved = now();
    if (kith_open(path, 0, &opened) != KITH_OK) { fail("opening"); goto end; }
    printf("\nsaved to %s in %.0f ms, opened in %.0f ms", path, 1e3 * (saved - start), 1e3 * (now() - saved));
    if (answer(index, p, before) != 0 || answer(opened, p, after) != 0) goto end;
    for (i = 0; i < QUERIES * K; i += K)
        same += memcmp(before->keys + i, after->keys + i, K * sizeof *before->keys) == 0
                && memcmp(before->distances + i, after->distances + i, K * sizeof *before->distances) == 0;
    printf("; the same answers to %zu of %d questions\n", same, QUERIES);
    if (same == QUERIES) result = 0;
    else fprintf(stderr, "the opened index answers differently: this is a defect\n");
end:
    kith_free(opened);
    free(before);
    free(after);
    return result;
}

/* Everything, once the data is there. */
static int demo(const struct packages *p, const char *path, const size_t *rows, size_t count) {
    struct answers *exact = malloc(sizeof *exact);
    kith_index *index = NULL, *next = NULL;
    double seconds = 0;
    int result = exact == NULL ? -1 : 0;
    size_t i;
    printf("%s package descriptions, %u numbers each (%s bytes); kith %u.%u.%u, %s kernels\n\n", thousands((double)p->count),
           (unsigned)p->dimensions, thousands(4.0 * p->dimensions), (unsigned)(kith_version() / 10000),
           (unsigned)(kith_version() / 100 % 100), (unsigned)(kith_version() % 100), kith_cpu_level());
    printf("%-14s %9s %13s %13s %13s %11s\n", "", "built in", "bytes/vector", "queries/s", "queries/s", "recall@10");
    printf("%-14s %9s %13s %13s %13s %11s\n", "", "", "", "one by one", "in a batch,", "");
    printf("%-14s %9s %13s %13s %13s %11s\n", "", "", "", "one thread", "all cores", "");
    for (i = 0; i < WAYS && result == 0; i++) {
        result = build(p, &ways[i], &next, &seconds);
        if (result == 0 && next == NULL) {
            printf("%-14s is not in this build of kith yet\n", ways[i].name);
            continue;
        }
        if (result == 0) result = report(next, p, &ways[i], seconds, exact);
        kith_free(index); /* the last way that there is serves the rest of the demo */
        index = next;
        next = NULL;
    }
    if (result == 0) printf("\nThe nearest by meaning (distance = 1 - cosine; 0 is the same):\n");
    for (i = 0; i < count && result == 0; i++) result = show(index, p, rows[i]);
    if (result == 0) result = compare(index, p, path);
    kith_free(index);
    free(exact);
    return result;
}

int main(int argc, char **argv) {
    static const char *const well_known[] = {"gimp", "vlc", "postgresql", "emacs", "wireshark", "stellarium"};
    enum { WELL_KNOWN = sizeof well_known / sizeof well_known[0] };
    const char *data = "c_examples/data", *path = "quickstart.kith";
    struct packages p;
    size_t *rows, count = 0, i;
    int arg, result = 0;

    for (arg = 1; arg + 1 < argc && strncmp(argv[arg], "--", 2) == 0; arg += 2) {
        if (strcmp(argv[arg], "--data") == 0) data = argv[arg + 1];
        else if (strcmp(argv[arg], "--file") == 0) path = argv[arg + 1];
        else break;
    }
    if (arg < argc && argv[arg][0] == '-') {
        fprintf(stderr, "usage: %s [--data DIRECTORY] [--file INDEX] [PACKAGE...]\n", argv[0]);
        return 2;
    }
    if (load_packages(&p, data) != 0) return 1;
    rows = malloc(((size_t)argc + WELL_KNOWN) * sizeof *rows);
    if (rows == NULL) return 1;
    for (; arg < argc; arg++) {
        rows[count] = find_package(&p, argv[arg]);
        if (rows[count++] == p.count) {
            suggest_packages(&p, argv[arg]);
            result = 1;
        }
    }
    if (count == 0) {
        for (i = 0; i < WELL_KNOWN; i++)
            if ((rows[count] = find_package(&p, well_known[i])) < p.count) count++;
    }
    if (result == 0) result = demo(&p, path, rows, count) == 0 ? 0 : 1;
    free(rows);
    free_packages(&p);
    return result;
}
