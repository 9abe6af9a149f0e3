/* Distances of the caller's own, searches that somebody watches, vectors that come back, files of other libraries: through C. */
#include <kith.h>
#include "check.h"

#include <math.h>
#include <stdlib.h>

enum { COUNT = 2000 };

/* Elements are two int32_t; the distance is their difference in the first, and the second is a tag. */
typedef struct {
    int32_t at, tag;
} element;

typedef struct {
    long calls;
    int nan_for;
} metric;

static double difference(void *ctx, const void *a, const void *b) {
    element x, y;
    metric *own = ctx;
    memcpy(&x, a, sizeof x.at); /* a query is one int32_t long */
    memcpy(&y, b, sizeof y);
    __atomic_fetch_add(&own->calls, 1, __ATOMIC_RELAXED);
    if (y.at == own->nan_for) return NAN;
    return fabs((double)x.at - y.at);
}

static kith_index *create(kith_kind kind, metric *own) {
    kith_options options = {.size = sizeof options, .dimensions = sizeof(element), .metric = KITH_CUSTOM, .element = KITH_BYTES};
    kith_index *index = NULL;
    options.kind = kind;
    options.distance = difference;
    options.distance_ctx = own;
    options.flags = KITH_KEEP_REMOVED;
    EXPECT(KITH_OK, kith_create(&options, &index));
    return index;
}

static void custom_distances(kith_kind kind) {
    metric own = {0, -1};
    kith_index *index = create(kind, &own);
    kith_search_stats stats = {.size = sizeof stats};
    kith_search_options search = {.size = sizeof search, .ef = 100, .stats = &stats};
    uint64_t keys[3];
    double wide[3];
    float narrow[3];
    size_t count, i;
    element row;
    for (i = 0; i < COUNT; i++) {
        row.at = (int32_t)(i * 7919 % COUNT) * 100003; /* above 2^24: floats would round them */
        row.tag = (int32_t)i;
        EXPECT(KITH_OK, kith_insert(index, i, &row));
    }
    for (i = 0; i < 50; i++) {
        const int32_t query = (int32_t)(i * 37) * 100003 + 1;
        own.calls = 0;
        EXPECT(KITH_OK, kith_search_double(index, &query, 3, &search, keys, wide, &count));
        CHECK(count == 3 && wide[0] == 1.0 && wide[1] == (i == 0 ? 100002.0 : 100002.0));
        CHECK(keys[0] * 7919 % COUNT == i * 37);
        CHECK(stats.distances > 3 && own.calls >= (long)stats.distances / 2);
        CHECK(kind == KITH_KIND_FLAT || stats.hops > 3);
        EXPECT(KITH_OK, kith_search(index, &query, 3, NULL, keys, narrow, &count));
        CHECK(count == 3 && narrow[0] == 1.0f);
    }
    {
        /* In a batch every query has all the bytes. */
        element queries[2] = {{5 * 100003, 0}, {9 * 100003, 0}};
        uint64_t found[4];
        float distances[4];
        size_t counts[2];
        EXPECT(KITH_OK, kith_search_batch(index, 2, queries, 0, 2, NULL, found, distances, counts));
        CHECK(counts[0] == 2 && distances[0] == 0 && distances[2] == 0 && found[0] * 7919 % COUNT == 5);
    }
    {
        /* What is no number is farther than everything. */
        const int32_t query = 300 * 100003;
        own.nan_for = query;
        EXPECT(KITH_OK, kith_search_double(index, &query, 1, &search, keys, wide, &count));
        CHECK(count == 1 && wide[0] == 100003.0);
        own.nan_for = -1;
    }
    EXPECT(KITH_ERROR_UNSUPPORTED, kith_save(index, "custom.kith"));
    if (kind == KITH_KIND_GRAPH) {
        /* But hnswlib's files hold it, and come back with the function. */
        kith_options options = {.size = sizeof options, .dimensions = sizeof(element), .metric = KITH_CUSTOM, .element = KITH_BYTES};
        kith_index *again = NULL;
        const int32_t query = 12 * 100003;
        uint64_t bytes = 0;
        EXPECT(KITH_OK, kith_export(index, "custom.bin", KITH_FORMAT_HNSWLIB, NULL));
        EXPECT(KITH_OK, kith_export_size(index, KITH_FORMAT_HNSWLIB, NULL, &bytes));
        CHECK(bytes > COUNT * sizeof(element));
        EXPECT(KITH_ERROR_ARGUMENT, kith_import("custom.bin", KITH_FORMAT_HNSWLIB, &options, &again));
        options.distance = difference;
        options.distance_ctx = &own;
        EXPECT(KITH_OK, kith_import("custom.bin", KITH_FORMAT_HNSWLIB, &options, &again));
        EXPECT(KITH_OK, kith_search_double(again, &query, 1, &search, keys, wide, &count));
        CHECK(count == 1 && wide[0] == 0 && keys[0] * 7919 % COUNT == 12);
        kith_free(again);
        remove("custom.bin");
    }
    kith_free(index);
}

/* A distance function that looks at the index is fine; one that changes it is told so. */
typedef struct {
    kith_index *index;
    kith_status change;
} meddler;

static double meddling(void *ctx, const void *a, const void *b) {
    meddler *own = ctx;
    (void)a;
    (void)b;
    if (own->index && own->change == KITH_OK) own->change = kith_remove(own->index, 1);
    return 1;
}

static void a_distance_must_not_change_the_index(void) {
    kith_options options = {.size = sizeof options, .dimensions = 1, .metric = KITH_CUSTOM, .element = KITH_BYTES};
    meddler own = {NULL, KITH_OK};
    kith_index *index;
    uint64_t key;
    size_t count;
    options.kind = KITH_KIND_GRAPH;
    options.distance = meddling;
    options.distance_ctx = &own;
    EXPECT(KITH_OK, kith_create(&options, &index));
    EXPECT(KITH_OK, kith_insert(index, 1, "a"));
    own.index = index;
    EXPECT(KITH_OK, kith_insert(index, 2, "b"));
    CHECK(own.change == KITH_ERROR_BUSY);
    own.change = KITH_OK;
    EXPECT(KITH_OK, kith_search(index, "c", 1, NULL, &key, NULL, &count));
    CHECK(own.change == KITH_ERROR_BUSY);
    kith_free(index);
}

/* Everything within a distance, and the hits at the end. */
typedef struct {
    double radius, last;
    size_t kept, dropped, most, hits;
    int ordered;
} radius;

static int stop(void *ctx, double distance, double bound) {
    const radius *own = ctx;
    (void)bound;
    return distance > own->radius && own->kept + own->dropped > 50;
}
static int consider(void *ctx, double distance, double bound) {
    const radius *own = ctx;
    return own->kept < own->most || distance < bound;
}
static void add(void *ctx, uint64_t key, const void *vector, double distance) {
    radius *own = ctx;
    CHECK(((const float *)vector)[0] == (float)key && distance >= 0);
    own->kept++;
}
static void drop(void *ctx, uint64_t key, const void *vector, double distance) {
    radius *own = ctx;
    CHECK(((const float *)vector)[0] == (float)key && distance >= 0);
    own->kept--;
    own->dropped++;
}
static int excess(void *ctx) {
    const radius *own = ctx;
    return own->kept > own->most;
}
static void hit(void *ctx, uint64_t key, const void *vector, double distance) {
    radius *own = ctx;
    CHECK(((const float *)vector)[0] == (float)key);
    own->ordered = own->ordered && distance >= own->last;
    own->last = distance;
    own->hits++;
}
static int even(void *ctx, uint64_t key) {
    (void)ctx;
    return key % 2 == 0;
}

static void observers(kith_kind kind) {
    kith_options options = {.size = sizeof options, .dimensions = 2};
    kith_observer observer = {.size = sizeof observer};
    kith_search_options search = {.size = sizeof search};
    radius own = {0};
    kith_index *index;
    uint64_t key;
    const float query[2] = {500, 0};
    options.kind = kind;
    EXPECT(KITH_OK, kith_create(&options, &index));
    for (key = 0; key < COUNT; key++) {
        const float row[2] = {(float)key, 0};
        EXPECT(KITH_OK, kith_insert(index, key, row));
    }
    observer.ctx = &own;
    EXPECT(KITH_ERROR_ARGUMENT, kith_search_observed(index, query, &observer, NULL));
    observer.stop = stop;
    observer.consider = consider;
    observer.add = add;
    observer.drop = drop;
    observer.excess = excess;
    observer.hit = hit;
    own.radius = 20.5 * 20.5;
    own.most = 41;
    own.ordered = 1;
    EXPECT(KITH_OK, kith_search_observed(index, query, &observer, NULL));
    CHECK(own.hits == 41 && own.kept == 41 && own.ordered && own.last == 400.0);
    search.filter = even;
    memset(&own, 0, sizeof own);
    own.radius = 20.5 * 20.5;
    own.most = 21;
    own.ordered = 1;
    EXPECT(KITH_OK, kith_search_observed(index, query, &observer, &search));
    CHECK(own.hits == 21 && own.ordered && own.last == 400.0);
    search.ef = 10;
    EXPECT(KITH_ERROR_UNSUPPORTED, kith_search_observed(index, query, &observer, &search));
    kith_free(index);
}

static void vectors_come_back(void) {
    kith_options options = {.size = sizeof options, .dimensions = 1, .flags = KITH_KEEP_REMOVED};
    kith_index *index;
    const float one = 1, two = 2;
    const void *row;
    const float *place;
    uint64_t key;
    size_t count;
    EXPECT(KITH_OK, kith_create(&options, &index));
    EXPECT(KITH_OK, kith_insert(index, 7, &one));
    EXPECT(KITH_OK, kith_row(index, 7, &row));
    place = row;
    CHECK(*place == 1 && (uintptr_t)row % 32 == 0);
    EXPECT(KITH_ERROR_EXISTS, kith_undelete(index, 7));
    EXPECT(KITH_OK, kith_remove(index, 7));
    EXPECT(KITH_ERROR_NOT_FOUND, kith_remove(index, 7));
    EXPECT(KITH_OK, kith_removed_keys(index, &key, 1, &count));
    CHECK(count == 1 && key == 7);
    EXPECT(KITH_OK, kith_row(index, 7, &row));
    CHECK(row == place);
    EXPECT(KITH_OK, kith_undelete(index, 7));
    EXPECT(KITH_OK, kith_search(index, &one, 1, NULL, &key, NULL, &count));
    CHECK(count == 1 && key == 7);
    EXPECT(KITH_OK, kith_remove(index, 7));
    EXPECT(KITH_OK, kith_insert(index, 7, &two)); /* a newer vector: the old one is gone */
    EXPECT(KITH_OK, kith_remove(index, 7));
    EXPECT(KITH_OK, kith_undelete(index, 7));
    EXPECT(KITH_OK, kith_row(index, 7, &row));
    CHECK(*(const float *)row == 2);
    EXPECT(KITH_OK, kith_remove(index, 7));
    EXPECT(KITH_OK, kith_forget(index, 7));
    EXPECT(KITH_ERROR_NOT_FOUND, kith_forget(index, 7));
    EXPECT(KITH_ERROR_NOT_FOUND, kith_undelete(index, 7));
    EXPECT(KITH_ERROR_NOT_FOUND, kith_row(index, 7, &row));
    CHECK(row == NULL);
    kith_free(index);
    options.flags = 0; /* who does not ask for it has no second chance */
    EXPECT(KITH_OK, kith_create(&options, &index));
    EXPECT(KITH_OK, kith_insert(index, 7, &one));
    EXPECT(KITH_OK, kith_remove(index, 7));
    EXPECT(KITH_ERROR_NOT_FOUND, kith_undelete(index, 7));
    kith_free(index);
}

static void links_can_be_read(void) {
    kith_options options = {.size = sizeof options, .dimensions = 1, .kind = KITH_KIND_GRAPH, .m = 4};
    kith_health health = {.size = sizeof health};
    kith_index *index;
    uint64_t keys[8], key, links = 0;
    size_t count;
    EXPECT(KITH_OK, kith_create(&options, &index));
    EXPECT(KITH_OK, kith_check(index, &health));
    CHECK(health.linked == 0 && health.links == 0);
    for (key = 0; key < 300; key++) {
        const float row = (float)key;
        EXPECT(KITH_OK, kith_insert(index, key, &row));
    }
    for (key = 0; key < 300; key++) {
        EXPECT(KITH_OK, kith_neighbours(index, key, 0, keys, 8, &count));
        CHECK(count >= 1 && count <= 8 && keys[0] < 300 && keys[0] != key);
        links += count;
    }
    EXPECT(KITH_OK, kith_check(index, &health));
    CHECK(health.linked == 300 && health.links == links && health.faults == 0 && health.unreachable == 0);
    CHECK(health.min_inbound >= 1 && health.max_inbound >= health.min_inbound);
    EXPECT(KITH_ERROR_NOT_FOUND, kith_neighbours(index, 999, 0, keys, 8, &count));
    EXPECT(KITH_ERROR_NOT_FOUND, kith_neighbours(index, 1, 40, keys, 8, &count));
    health.size = 12;
    EXPECT(KITH_ERROR_ARGUMENT, kith_check(index, &health));
    kith_free(index);
}

static int refusing(void *ctx, const void *bytes, size_t count) {
    (void)bytes;
    (void)count;
    return ++*(int *)ctx;
}

static void streams_that_end(void) {
    kith_options options = {.size = sizeof options, .dimensions = 1};
    kith_export_options export = {.size = sizeof export, .flags = 1};
    kith_index *index;
    const float one = 1;
    int calls = 0;
    uint64_t bytes;
    EXPECT(KITH_OK, kith_create(&options, &index));
    EXPECT(KITH_OK, kith_insert(index, 7, &one));
    EXPECT(KITH_ERROR_IO, kith_export_to(index, refusing, &calls, KITH_FORMAT_HNSWLIB, NULL));
    CHECK(calls == 1);
    EXPECT(KITH_ERROR_ARGUMENT, kith_export_to(index, refusing, &calls, KITH_FORMAT_HNSWLIB_FLAT, NULL));
    EXPECT(KITH_ERROR_UNSUPPORTED, kith_export_to(index, refusing, &calls, KITH_FORMAT_FAISS, NULL));
    EXPECT(KITH_ERROR_ARGUMENT, kith_export_to(index, refusing, &calls, 9, NULL));
    EXPECT(KITH_ERROR_UNSUPPORTED, kith_export_size(index, KITH_FORMAT_HNSWLIB, &export, &bytes));
    EXPECT(KITH_ERROR_IO, kith_export(index, "no/such/directory/file", KITH_FORMAT_HNSWLIB, NULL));
    kith_free(index);
    EXPECT(KITH_ERROR_IO, kith_import("no/such/file", KITH_FORMAT_HNSWLIB, &options, &index));
    CHECK(index == NULL);
}

int main(void) {
    custom_distances(KITH_KIND_FLAT);
    custom_distances(KITH_KIND_GRAPH);
    a_distance_must_not_change_the_index();
    observers(KITH_KIND_FLAT);
    observers(KITH_KIND_GRAPH);
    vectors_come_back();
    links_can_be_read();
    streams_that_end();
    return failures("custom");
}
