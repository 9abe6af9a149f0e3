/* Many threads do everything at once to one index. Writers have keys of their own, so each knows what the index must say about
 * them; all share a few keys that they fight over. Readers check what holds for any answer: its order, no key twice, keys that
 * are in use, distances of vectors that the key had, and never fewer hits than keys that are there all the time.
 */
#define _POSIX_C_SOURCE 200809L
#include <kith.h>
#include "check.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { DIMENSIONS = 16, WRITERS = 3, READERS = 2, OWN = 600, STEPS = 2500, LASTING = 200, FOUGHT = 30, BATCH = 100, MOST = 1000 };
#ifndef BATCH_THREADS
#define BATCH_THREADS 2 /* of each batch and compaction */
#endif
enum { VERSIONS = 8 }; /* vectors that a key can have */

/* Keys: LASTING ones from 0 on stay (and are only upserted), FOUGHT ones from 10,000 on belong to all, writer w has 100,000 * w. */
static kith_index *volatile the_index;
static pthread_mutex_t report = PTHREAD_MUTEX_INITIALIZER;
static int over;

#define ALWAYS(condition)                     \
    do {                                      \
        if (!(condition)) {                   \
            pthread_mutex_lock(&report);      \
            CHECK(!#condition);               \
            pthread_mutex_unlock(&report);    \
        }                                     \
    } while (0)

static uint64_t next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void vector_of(uint64_t key, unsigned version, float vector[DIMENSIONS]) {
    uint64_t state = key * VERSIONS + version;
    int i;
    for (i = 0; i < DIMENSIONS; i++) vector[i] = (float)(next(&state) >> 40) / 16777216.0f;
}

static float between(const float *a, const float *b) {
    float sum = 0;
    int i;
    for (i = 0; i < DIMENSIONS; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static int in_use(uint64_t key) {
    return key < LASTING || (key >= 10000 && key < 10000 + FOUGHT) ||
           (key >= 100000 && key < 100000 * (WRITERS + 1) && key % 100000 < OWN);
}

static int is_odd(void *ctx, uint64_t key) {
    (void)ctx;
    return key % 2 == 1;
}

static int cancels(void *ctx, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    return *(int *)ctx;
}

/* -- writers: what is there of the own keys is known; 0 means absent, else version + 1 -- */
struct writer {
    uint64_t first, random;
    unsigned char there[OWN];
};

static void batch(struct writer *self) {
    uint64_t keys[BATCH];
    float vectors[BATCH][DIMENSIONS];
    unsigned start = (unsigned)(next(&self->random) % (OWN - BATCH)), version = (unsigned)(next(&self->random) % VERSIONS), i;
    int cancel = next(&self->random) % 2 == 0, taken = 0;
    kith_build_options options = {.size = sizeof options, .threads = BATCH_THREADS, .progress = cancels};
    kith_status status;
    options.progress_ctx = &cancel;
    options.flags = next(&self->random) % 2 == 0 ? KITH_UPSERT : 0;
    for (i = 0; i < BATCH; i++) {
        keys[i] = self->first + start + i;
        vector_of(keys[i], version, vectors[i]);
        taken |= self->there[start + i] != 0;
    }
    status = kith_insert_batch(the_index, BATCH, keys, vectors, sizeof vectors[0], &options);
    if (taken && options.flags == 0) ALWAYS(status == KITH_ERROR_EXISTS);
    else ALWAYS(status == (cancel ? KITH_ERROR_CANCELLED : KITH_OK));
    if (status == KITH_OK) memset(self->there + start, (int)version + 1, BATCH);
}

static void own_key(struct writer *self) {
    unsigned i = (unsigned)(next(&self->random) % OWN), version = (unsigned)(next(&self->random) % VERSIONS);
    uint64_t key = self->first + i;
    float vector[DIMENSIONS], got[DIMENSIONS];
    int found = -1;
    vector_of(key, version, vector);
    switch (next(&self->random) % 6) {
    case 0:
    case 1:
        ALWAYS(kith_insert(the_index, key, vector) == (self->there[i] ? KITH_ERROR_EXISTS : KITH_OK));
        if (!self->there[i]) self->there[i] = (unsigned char)(version + 1);
        break;
    case 2:
        ALWAYS(kith_upsert(the_index, key, vector) == KITH_OK);
        self->there[i] = (unsigned char)(version + 1);
        break;
    case 3:
        ALWAYS(kith_remove(the_index, key) == (self->there[i] ? KITH_OK : KITH_ERROR_NOT_FOUND));
        self->there[i] = 0;
        break;
    case 4:
        ALWAYS(kith_contains(the_index, key, &found) == KITH_OK && found == (self->there[i] != 0));
        break;
    default:
        ALWAYS(kith_get(the_index, key, got) == (self->there[i] ? KITH_OK : KITH_ERROR_NOT_FOUND));
        if (self->there[i]) {
            vector_of(key, self->there[i] - 1u, vector);
            ALWAYS(memcmp(got, vector, sizeof got) == 0);
        }
    }
}

static void shared_key(struct writer *self) {
    unsigned version = (unsigned)(next(&self->random) % VERSIONS);
    uint64_t key = next(&self->random) % 2 ? next(&self->random) % LASTING : 10000 + next(&self->random) % FOUGHT;
    float vector[DIMENSIONS];
    kith_status status;
    vector_of(key, version, vector);
    if (key < LASTING || next(&self->random) % 3 == 0) {
        ALWAYS(kith_upsert(the_index, key, vector) == KITH_OK);
    } else if (next(&self->random) % 2) {
        status = kith_insert(the_index, key, vector);
        ALWAYS(status == KITH_OK || status == KITH_ERROR_EXISTS);
    } else {
        status = kith_remove(the_index, key);
        ALWAYS(status == KITH_OK || status == KITH_ERROR_NOT_FOUND);
    }
}

static void *write_keys(void *context) {
    struct writer *self = context;
    int step;
    for (step = 0; step < STEPS; step++) {
        unsigned what = (unsigned)(next(&self->random) % 100);
        if (what < 2) batch(self);
        else if (what < 20) shared_key(self);
        else own_key(self);
    }
    return NULL;
}

/* -- readers -- */
static void check_hits(const float *query, size_t k, int odd, const uint64_t *keys, const float *distances, size_t count) {
    static const size_t lasting = LASTING;
    const size_t sure = odd ? lasting / 2 : lasting;
    size_t i, j;
    float vector[DIMENSIONS];
    unsigned version;
    ALWAYS(count <= k && count >= (k < sure ? k : sure));
    for (i = 0; i < k; i++) {
        if (i >= count) {
            ALWAYS(keys[i] == KITH_NO_KEY && distances[i] == INFINITY);
            continue;
        }
        ALWAYS(in_use(keys[i]) && (!odd || keys[i] % 2 == 1));
        if (i > 0) ALWAYS(distances[i - 1] < distances[i] || (distances[i - 1] == distances[i] && keys[i - 1] < keys[i]));
        for (j = 0; j < i; j++) ALWAYS(keys[j] != keys[i]);
        for (version = 0; version < VERSIONS; version++) {
            vector_of(keys[i], version, vector);
            if (fabsf(between(query, vector) - distances[i]) < 1e-4f) break;
        }
        ALWAYS(version < VERSIONS);
    }
}

static void *read_keys(void *context) {
    uint64_t random = *(uint64_t *)context, *keys = malloc(sizeof *keys * 10 * MOST);
    float *distances = malloc(sizeof *distances * MOST), query[DIMENSIONS];
    const size_t ks[] = {1, 10, 10, 10, 100, MOST};
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        size_t k = ks[next(&random) % 6], count = 0, i, lasting = 0;
        kith_search_options options = {.size = sizeof options};
        kith_info info = {.size = sizeof info};
        int odd = next(&random) % 3 == 0;
        if (odd) options.filter = is_odd;
        vector_of(next(&random) % 2 ? next(&random) % LASTING : next(&random), 0, query);
        ALWAYS(kith_search(the_index, query, k, &options, keys, distances, &count) == KITH_OK);
        check_hits(query, k, odd, keys, distances, count);
        ALWAYS(kith_describe(the_index, &info) == KITH_OK);
        ALWAYS(info.count >= LASTING && info.count <= LASTING + FOUGHT + WRITERS * OWN);
        if (next(&random) % 16 == 0) {
            ALWAYS(kith_keys(the_index, keys, 10 * MOST, &count) == KITH_OK && count <= 10 * MOST);
            for (i = 0; i < count && i < 10 * MOST; i++) {
                ALWAYS(in_use(keys[i]));
                lasting += keys[i] < LASTING;
            }
            ALWAYS(lasting == LASTING);
        }
        ALWAYS(kith_get(the_index, next(&random) % LASTING, query) == KITH_OK);
    }
    free(keys);
    free(distances);
    return NULL;
}

/* -- at rest: the index holds what the writers know, and each key is found by its own vector -- */
static void settle(struct writer *writers) {
    kith_info info = {.size = sizeof info};
    uint64_t expected = LASTING, count_of_fought = 0, key;
    uint64_t *keys = malloc(sizeof *keys * 10 * MOST);
    size_t count = 0, i;
    int w;
    for (w = 0; w < WRITERS; w++)
        for (i = 0; i < OWN; i++) expected += writers[w].there[i] != 0;
    for (key = 10000; key < 10000 + FOUGHT; key++) {
        int found = 0;
        EXPECT(KITH_OK, kith_contains(the_index, key, &found));
        count_of_fought += (uint64_t)found;
    }
    EXPECT(KITH_OK, kith_describe(the_index, &info));
    CHECK(info.count == expected + count_of_fought);
    EXPECT(KITH_OK, kith_keys(the_index, keys, 10 * MOST, &count));
    CHECK(count == info.count);
    for (i = 0; i < count && i < 10 * MOST; i++) {
        float own[DIMENSIONS], distance = 1;
        uint64_t found = KITH_NO_KEY;
        size_t hits = 0;
        EXPECT(KITH_OK, kith_get(the_index, keys[i], own));
        EXPECT(KITH_OK, kith_search(the_index, own, 1, NULL, &found, &distance, &hits));
        CHECK(hits == 1 && found == keys[i] && distance == 0);
        if (keys[i] >= 100000) CHECK(writers[keys[i] / 100000 - 1].there[keys[i] % 100000] != 0);
    }
    free(keys);
}

/* -- beside all that: places of removed vectors are made free, vectors move, the graph is built anew -- */
static void *keep_up(void *context) {
    unsigned turn = 0;
    (void)context;
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        kith_build_options options = {.size = sizeof options, .threads = 1};
        uint64_t pending = 0;
        if (++turn % 50 == 0) ALWAYS(kith_compact(the_index, &options) == KITH_OK);
        else if (turn % 50 == 20) ALWAYS(kith_optimize(the_index, &options) == KITH_OK);
        else if (turn % 50 == 40) ALWAYS(kith_repair(the_index, NULL) == KITH_OK);
        else ALWAYS(kith_maintain(the_index, turn % 400, &pending) == KITH_OK);
    }
    return NULL;
}

/* With nobody else inside nothing is left to do, and nothing of what was removed. */
static void at_rest(kith_index *index) {
    kith_info info = {.size = sizeof info};
    kith_health health = {.size = sizeof health};
    kith_build_options options = {.size = sizeof options, .threads = BATCH_THREADS};
    uint64_t pending = 1;
    EXPECT(KITH_OK, kith_maintain(index, UINT64_MAX, &pending));
    CHECK(pending == 0);
    EXPECT(KITH_OK, kith_maintain(index, 0, NULL));
    EXPECT(KITH_OK, kith_compact(index, &options));
    EXPECT(KITH_OK, kith_describe(index, &info));
    EXPECT(KITH_OK, kith_check(index, &health));
    CHECK(info.removed == 0 && health.unreachable == 0 && health.faults == 0);
    CHECK(info.kind != KITH_KIND_GRAPH || health.linked == info.count);
}

static void round_of(kith_kind kind, uint64_t seed) {
    static struct writer writers[WRITERS];
    /* Of kind auto: one that becomes a graph in the middle of it all. */
    kith_options options = {.size = sizeof options, .dimensions = DIMENSIONS, .kind = kind, .seed = seed,
                            .graph_from = kind == KITH_KIND_AUTO ? LASTING + 300 : 0};
    pthread_t writing[WRITERS], reading[READERS], keeping;
    uint64_t randoms[READERS], key;
    kith_index *index = NULL;
    float vector[DIMENSIONS];
    int i;
    EXPECT(KITH_OK, kith_create(&options, &index));
    the_index = index;
    for (key = 0; key < LASTING; key++) {
        vector_of(key, 0, vector);
        EXPECT(KITH_OK, kith_insert(index, key, vector));
    }
    memset(writers, 0, sizeof writers);
    __atomic_store_n(&over, 0, __ATOMIC_RELEASE);
    if (seed % 2) EXPECT(KITH_OK, kith_set_upkeep(index, 1000));
    for (i = 0; i < WRITERS; i++) {
        writers[i].first = 100000 * ((uint64_t)i + 1);
        writers[i].random = seed * 100 + (uint64_t)i;
        CHECK(pthread_create(&writing[i], NULL, write_keys, &writers[i]) == 0);
    }
    for (i = 0; i < READERS; i++) {
        randoms[i] = seed * 100 + 50 + (uint64_t)i;
        CHECK(pthread_create(&reading[i], NULL, read_keys, &randoms[i]) == 0);
    }
    CHECK(pthread_create(&keeping, NULL, keep_up, NULL) == 0);
    for (i = 0; i < WRITERS; i++) pthread_join(writing[i], NULL);
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    for (i = 0; i < READERS; i++) pthread_join(reading[i], NULL);
    pthread_join(keeping, NULL);
    settle(writers);
    EXPECT(KITH_OK, kith_set_upkeep(index, 0));
    at_rest(index);
    settle(writers);
    EXPECT(KITH_OK, kith_clear(index));
    EXPECT(KITH_OK, kith_insert(index, 1, vector));
    kith_free(index);
}

/* -- clearing beside everything: nothing may be wrong but the count -- */
static void *clear_now_and_then(void *context) {
    int i;
    (void)context;
    for (i = 0; i < 40; i++) {
        const struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
        ALWAYS(kith_clear(the_index) == KITH_OK);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *insert_and_search(void *context) {
    uint64_t random = *(uint64_t *)context, keys[100];
    float vector[DIMENSIONS], distances[100];
    size_t count = 0;
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        uint64_t key = 100000 + next(&random) % OWN;
        kith_status status;
        vector_of(key, (unsigned)(next(&random) % VERSIONS), vector);
        status = kith_insert(the_index, key, vector);
        ALWAYS(status == KITH_OK || status == KITH_ERROR_EXISTS);
        ALWAYS(kith_upsert(the_index, key, vector) == KITH_OK);
        ALWAYS(kith_search(the_index, vector, 100, NULL, keys, distances, &count) == KITH_OK && count <= 100);
        while (count > 0) ALWAYS(in_use(keys[--count]));
    }
    return NULL;
}

static void with_clears(void) {
    kith_options options = {.size = sizeof options, .dimensions = DIMENSIONS};
    uint64_t randoms[WRITERS] = {1, 2, 3};
    pthread_t threads[WRITERS], clearing;
    kith_index *index = NULL;
    int i;
    EXPECT(KITH_OK, kith_create(&options, &index));
    the_index = index;
    __atomic_store_n(&over, 0, __ATOMIC_RELEASE);
    for (i = 0; i < WRITERS; i++) CHECK(pthread_create(&threads[i], NULL, insert_and_search, &randoms[i]) == 0);
    CHECK(pthread_create(&clearing, NULL, clear_now_and_then, NULL) == 0);
    pthread_join(clearing, NULL);
    for (i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
    kith_free(index);
}

int main(void) {
    round_of(KITH_KIND_GRAPH, 1);
    round_of(KITH_KIND_GRAPH, 2);
    round_of(KITH_KIND_FLAT, 3);
    round_of(KITH_KIND_AUTO, 4);
    with_clears();
    return failures("stress");
}
