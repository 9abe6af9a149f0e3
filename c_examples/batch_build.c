/* batch_build.c: insert many vectors in one call, on all cores, with progress and Ctrl-C.
 *
 *   batch_build [COUNT]
 *
 * A cancelled batch leaves the index as it was before the call. */
#define _POSIX_C_SOURCE 200809L /* isatty, fileno */
#include <kith.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIMENSIONS = 64 };

static volatile sig_atomic_t stop;

static void on_interrupt(int number) {
    (void)number;
    stop = 1;
}

/* Called on the thread that called kith_insert_batch. Non-zero cancels. */
static int report(void *ctx, uint64_t done, uint64_t total) {
    int *last = ctx;
    const int percent = (int)(100 * done / total);
    if (percent != *last && isatty(fileno(stderr))) fprintf(stderr, "\r%3d %%%s", percent, percent == 100 ? "\n" : "");
    *last = percent;
    return stop;
}

/* The same numbers on every machine. */
static float next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (1 << 24);
}

int main(int argc, char **argv) {
    const size_t count = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 20000;
    kith_options options = {.size = sizeof options, .dimensions = DIMENSIONS, .metric = KITH_L2, .capacity = count};
    int percent = -1;
    kith_build_options build = {.size = sizeof build, .threads = 0, .progress = report, .progress_ctx = &percent};
    kith_info info = {.size = sizeof info};
    uint64_t *keys = malloc(count * sizeof *keys);
    float *vectors = malloc(count * DIMENSIONS * sizeof *vectors);
    kith_index *index = NULL;
    kith_status status;
    uint32_t state = 1;

    if (count == 0 || keys == NULL || vectors == NULL) {
        fprintf(stderr, "usage: %s [COUNT], with COUNT from 1 to what memory holds\n", argv[0]);
        free(keys);
        free(vectors);
        return 2;
    }
    for (size_t i = 0; i < count; i++) keys[i] = i;
    for (size_t i = 0; i < count * DIMENSIONS; i++) vectors[i] = next_random(&state);

    signal(SIGINT, on_interrupt);
    status = kith_create(&options, &index);
    if (status == KITH_OK) status = kith_insert_batch(index, count, keys, vectors, 0, &build);
    if (status == KITH_ERROR_CANCELLED) fprintf(stderr, "\nstopped: nothing of this batch is in the index\n");
    else if (status != KITH_OK) fprintf(stderr, "%s\n", kith_last_error());
    if (index != NULL && kith_describe(index, &info) == KITH_OK)
        printf("%llu vectors, %.1f MB\n", (unsigned long long)info.count, 1e-6 * (double)info.bytes);
    kith_free(index);
    free(keys);
    free(vectors);
    return status == KITH_OK && info.count == count ? 0 : 1;
}
