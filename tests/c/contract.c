/* Touches every name of the interface: every function through a pointer of its exact type, every constant, every field of every
 * struct, and every function called for what it promises. Compiles as C99 and as C++11; tests/header.rs compiles it with every
 * compiler there is. It needs nothing but kith.h.
 */
#include <kith.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;

#define CHECK(condition) \
    ((condition) ? (void)0 \
                 : (void)(failed++, fprintf(stderr, "contract.c:%d: failed: %s (%s)\n", __LINE__, #condition, kith_last_error())))

/* Exact types: a changed parameter does not compile. */
static uint32_t (*const f_version)(void) = kith_version;
static const char *(*const f_cpu_level)(void) = kith_cpu_level;
static const char *(*const f_last_error)(void) = kith_last_error;
static const char *(*const f_status_text)(kith_status) = kith_status_text;
static kith_status (*const f_create)(const kith_options *, kith_index **) = kith_create;
static void (*const f_free)(kith_index *) = kith_free;
static kith_status (*const f_insert)(kith_index *, uint64_t, const void *) = kith_insert;
static kith_status (*const f_upsert)(kith_index *, uint64_t, const void *) = kith_upsert;
static kith_status (*const f_insert_batch)(kith_index *, size_t, const uint64_t *, const void *, size_t,
                                           const kith_build_options *) = kith_insert_batch;
static kith_status (*const f_insert_from)(kith_index *, size_t, kith_read_fn, void *, const kith_build_options *) = kith_insert_from;
static kith_status (*const f_remove)(kith_index *, uint64_t) = kith_remove;
static kith_status (*const f_remove_batch)(kith_index *, size_t, const uint64_t *, size_t *) = kith_remove_batch;
static kith_status (*const f_clear)(kith_index *) = kith_clear;
static kith_status (*const f_reserve)(kith_index *, uint64_t) = kith_reserve;
static kith_status (*const f_set_memory_limit)(kith_index *, uint64_t) = kith_set_memory_limit;
static kith_status (*const f_search)(const kith_index *, const void *, size_t, const kith_search_options *, uint64_t *, float *,
                                     size_t *) = kith_search;
static kith_status (*const f_search_batch)(const kith_index *, size_t, const void *, size_t, size_t, const kith_search_options *,
                                           uint64_t *, float *, size_t *) = kith_search_batch;
static kith_status (*const f_get)(const kith_index *, uint64_t, void *) = kith_get;
static kith_status (*const f_contains)(const kith_index *, uint64_t, int *) = kith_contains;
static kith_status (*const f_keys)(const kith_index *, uint64_t *, size_t, size_t *) = kith_keys;
static kith_status (*const f_describe)(const kith_index *, kith_info *) = kith_describe;
static kith_status (*const f_distance)(kith_metric, kith_element, uint32_t, const void *, const void *, float *) = kith_distance;
static kith_status (*const f_save)(const kith_index *, const char *) = kith_save;
static kith_status (*const f_open)(const char *, uint64_t, kith_index **) = kith_open;
static kith_status (*const f_save_to)(const kith_index *, kith_write_fn, void *) = kith_save_to;
static kith_status (*const f_open_buffer)(const void *, size_t, uint64_t, kith_index **) = kith_open_buffer;
static kith_status (*const f_open_directory)(const char *, const kith_options *, const kith_log_options *,
                                             kith_index **) = kith_open_directory;
static kith_status (*const f_sync_log)(kith_index *) = kith_sync_log;
static kith_status (*const f_checkpoint)(kith_index *) = kith_checkpoint;
static kith_status (*const f_describe_log)(const kith_index *, kith_log_info *) = kith_describe_log;
static kith_status (*const f_file_info)(const char *, kith_info *) = kith_file_info;

static int even(void *ctx, uint64_t key) {
    ++*(int *)ctx;
    return key % 2 == 0;
}

static int report(void *ctx, uint64_t done, uint64_t total) {
    uint64_t *last = (uint64_t *)ctx;
    if (done < *last || done > total) failed++;
    *last = done;
    return 0;
}

static int cancel(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    (void)done;
    (void)total;
    return 1;
}

struct bytes {
    unsigned char *data;
    size_t count, room;
};

static int collect(void *ctx, const void *bytes, size_t count) {
    struct bytes *all = (struct bytes *)ctx;
    if (count > all->room - all->count) return 7;
    memcpy(all->data + all->count, bytes, count);
    all->count += count;
    return 0;
}

/* Brings `first` as key and as both components; stops before position 700, if it is told to. */
static int bring(void *ctx, size_t first, size_t count, uint64_t *keys, void *vectors) {
    float *components = (float *)vectors;
    size_t i;
    if (ctx != NULL && first + count > 700) return 1;
    for (i = 0; i < count; i++) {
        keys[i] = 1000 + first + i;
        components[2 * i] = components[2 * i + 1] = (float)(first + i);
    }
    return 0;
}

static kith_read_fn const as_read = bring;
static kith_write_fn const as_write = collect;
static kith_filter_fn const as_filter = even;
static kith_progress_fn const as_progress = report;

static void constants(void) {
    const kith_status statuses[] = {KITH_OK,
                                    KITH_ERROR_ARGUMENT,
                                    KITH_ERROR_MEMORY,
                                    KITH_ERROR_IO,
                                    KITH_ERROR_CORRUPT,
                                    KITH_ERROR_VERSION,
                                    KITH_ERROR_NOT_FOUND,
                                    KITH_ERROR_EXISTS,
                                    KITH_ERROR_READ_ONLY,
                                    KITH_ERROR_UNSUPPORTED,
                                    KITH_ERROR_CANCELLED,
                                    KITH_ERROR_BUSY,
                                    KITH_ERROR_FULL,
                                    KITH_ERROR_INTERNAL};
    const kith_metric metrics[] = {KITH_L2, KITH_INNER_PRODUCT, KITH_COSINE, KITH_L1, KITH_HAMMING, KITH_JACCARD};
    const kith_element elements[] = {KITH_F32, KITH_F16, KITH_BF16, KITH_I8, KITH_U8, KITH_B1};
    const kith_kind kinds[] = {KITH_KIND_AUTO, KITH_KIND_FLAT, KITH_KIND_GRAPH};
    const kith_quantizer quantizers[] = {KITH_QUANTIZER_AUTO, KITH_QUANTIZER_NONE};
    const kith_sync syncs[] = {KITH_SYNC_COMMIT, KITH_SYNC_INTERVAL, KITH_SYNC_NEVER};
    const uint64_t flags = KITH_OPEN_MAPPED | KITH_OPEN_READ_ONLY | KITH_OPEN_UNCHECKED | KITH_OPEN_ONE_THREAD |
                           KITH_OPEN_VECTORS_MAPPED;
    const char *unknown = f_status_text(-1000), *level = f_cpu_level();
    size_t i;
    for (i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        const char *text = f_status_text(statuses[i]);
        CHECK(text != NULL && *text != '\0' && strcmp(text, unknown) != 0);
    }
    for (i = 0; i < 6; i++) CHECK(metrics[i] == i && elements[i] == i);
    for (i = 0; i < 3; i++) CHECK(kinds[i] == i);
    for (i = 0; i < 2; i++) CHECK(quantizers[i] == i);
    for (i = 0; i < 3; i++) CHECK(syncs[i] == i + 1);
    CHECK(flags == 31 && KITH_FILTER_ANY_THREAD == 1 && KITH_UPSERT == 1 && KITH_NO_KEY == UINT64_MAX);
    CHECK(f_version() / 100 >= 1);
    CHECK(!strcmp(level, "portable") || !strcmp(level, "avx2") || !strcmp(level, "avx512") || !strcmp(level, "neon"));
    CHECK(f_last_error() != NULL);
}

static kith_index *create(void) {
    kith_options options;
    kith_index *index = NULL;
    memset(&options, 0, sizeof options);
    options.size = (uint32_t)sizeof options;
    options.dimensions = 2;
    options.metric = KITH_L2;
    options.element = KITH_F32;
    options.kind = KITH_KIND_FLAT;
    options.quantizer = KITH_QUANTIZER_NONE;
    options.m = 8;
    options.ef_construction = 100;
    options.ef_search = 50;
    options.flags = 0;
    options.capacity = 10;
    options.seed = 7;
    CHECK(f_create(&options, &index) == KITH_OK);
    if (index == NULL) exit(1);
    return index;
}

static void content(kith_index *index) {
    const float one[2] = {1, 0}, moved[2] = {0, 1};
    const float rows[6] = {2, 0, -1, 3, 0, -1};
    const uint64_t keys[2] = {2, 3}, gone[3] = {3, 4, 5};
    float back[2] = {0, 0};
    uint64_t done = 0;
    size_t removed = 9;
    int found = 9;
    kith_build_options build;
    memset(&build, 0, sizeof build);
    build.size = (uint32_t)sizeof build;
    build.threads = 1;
    build.progress = as_progress;
    build.progress_ctx = &done;
    build.flags = 0;
    CHECK(f_insert(index, 1, one) == KITH_OK);
    CHECK(f_insert(index, 1, one) == KITH_ERROR_EXISTS);
    CHECK(f_upsert(index, 1, moved) == KITH_OK);
    CHECK(f_get(index, 1, back) == KITH_OK && memcmp(back, moved, sizeof back) == 0);
    CHECK(f_upsert(index, 1, one) == KITH_OK);
    CHECK(f_insert_batch(index, 2, keys, rows, 3 * sizeof(float), &build) == KITH_OK);
    CHECK(f_insert_batch(index, 2, keys, rows, 0, NULL) == KITH_ERROR_EXISTS);
    build.flags = KITH_UPSERT;
    done = 0;
    CHECK(f_insert_batch(index, 2, keys, rows, 3 * sizeof(float), &build) == KITH_OK);
    build.progress = cancel;
    CHECK(f_insert_batch(index, 2, keys, rows, 0, &build) == KITH_ERROR_CANCELLED);
    CHECK(f_get(index, 3, back) == KITH_OK && memcmp(back, rows + 3, sizeof back) == 0);
    CHECK(f_contains(index, 3, &found) == KITH_OK && found == 1);
    CHECK(f_insert_from(index, 3000, as_read, &done, NULL) == KITH_ERROR_CANCELLED);
    CHECK(f_contains(index, 1000, &found) == KITH_OK && found == 0);
    CHECK(f_insert_from(index, 3000, as_read, NULL, NULL) == KITH_OK);
    CHECK(f_get(index, 3999, back) == KITH_OK && back[0] == 2999.0f && back[1] == 2999.0f);
    CHECK(f_insert_from(index, 1, as_read, NULL, NULL) == KITH_ERROR_EXISTS);
    CHECK(f_insert_from(index, 1, NULL, NULL, NULL) == KITH_ERROR_ARGUMENT);
    CHECK(f_insert_from(index, 0, as_read, &done, NULL) == KITH_OK);
    {
        uint64_t brought[3000];
        size_t i, gone_again = 0;
        for (i = 0; i < 3000; i++) brought[i] = 1000 + i;
        CHECK(f_remove_batch(index, 3000, brought, &gone_again) == KITH_OK && gone_again == 3000);
        CHECK(kith_compact(index, NULL) == KITH_OK);
    }
    CHECK(f_remove(index, 9) == KITH_ERROR_NOT_FOUND);
    CHECK(f_get(index, 9, back) == KITH_ERROR_NOT_FOUND);
    CHECK(f_remove_batch(index, 3, gone, &removed) == KITH_OK && removed == 1);
    CHECK(f_contains(index, 3, &found) == KITH_OK && found == 0);
    CHECK(f_insert(index, 3, rows + 3) == KITH_OK);
    CHECK(f_remove(index, 3) == KITH_OK);
    CHECK(f_insert(index, 3, rows + 3) == KITH_OK);
    CHECK(f_reserve(index, 100) == KITH_OK);
    CHECK(f_set_memory_limit(index, 1) == KITH_OK && f_reserve(index, 100000) == KITH_ERROR_MEMORY);
    CHECK(f_set_memory_limit(index, 0) == KITH_OK);
}

/* 1 at (1, 0), 2 at (2, 0), 3 at (3, 0). */
static void search(const kith_index *index) {
    const float queries[4] = {0, 0, 3, 0};
    uint64_t keys[10];
    float distances[10];
    size_t count = 0, counts[2] = {0, 0}, i;
    int asked = 0;
    kith_search_options options;
    memset(&options, 0, sizeof options);
    options.size = (uint32_t)sizeof options;
    options.ef = 20;
    options.threads = 1;
    options.recall = 0;
    CHECK(f_search(index, queries, 5, NULL, keys, distances, &count) == KITH_OK && count == 3);
    for (i = 0; i < 3; i++) CHECK(keys[i] == i + 1 && distances[i] == (float)((i + 1) * (i + 1)));
    for (i = 3; i < 5; i++) CHECK(keys[i] == KITH_NO_KEY && distances[i] == HUGE_VALF);
    CHECK(f_search(index, queries, 2, &options, keys, NULL, &count) == KITH_OK && count == 2 && keys[1] == 2);
    options.filter = as_filter;
    options.filter_ctx = &asked;
    options.flags = KITH_FILTER_ANY_THREAD;
    CHECK(f_search(index, queries, 3, &options, keys, distances, &count) == KITH_OK && count == 1 && keys[0] == 2);
    CHECK(asked > 0 && keys[1] == KITH_NO_KEY);
    options.filter = NULL;
    options.flags = 0;
    CHECK(f_search_batch(index, 2, queries, 0, 5, &options, keys, distances, counts) == KITH_OK);
    CHECK(counts[0] == 3 && counts[1] == 3 && keys[0] == 1 && keys[5] == 3 && keys[8] == KITH_NO_KEY && distances[5] == 0);
}

static void reading(const kith_index *index) {
    uint64_t keys[3] = {0, 0, 0};
    size_t count = 0;
    const float a[2] = {1, 2}, b[2] = {4, 6};
    float distance = -1;
    kith_info info;
    memset(&info, 0xff, sizeof info);
    info.size = (uint32_t)sizeof info;
    CHECK(f_keys(index, NULL, 0, &count) == KITH_OK && count == 3);
    CHECK(f_keys(index, keys, 3, &count) == KITH_OK && count == 3 && keys[0] + keys[1] + keys[2] == 6);
    CHECK(f_describe(index, &info) == KITH_OK);
    CHECK(info.size == sizeof info && info.dimensions == 2 && info.metric == KITH_L2 && info.element == KITH_F32);
    CHECK(info.kind == KITH_KIND_FLAT && info.quantizer == KITH_QUANTIZER_NONE && info.m == 0);
    CHECK(info.ef_construction == 100 && info.ef_search == 50 && info.format >= 1 && info.count == 3);
    CHECK(info.removed < 100 && info.capacity >= 3 && info.bytes > 0 && info.seed == 7 && info.flags == 0);
    CHECK(f_distance(KITH_L2, KITH_F32, 2, a, b, &distance) == KITH_OK && distance == 25);
}

static void disk(const kith_index *index, const char *path) {
    const float point[2] = {9, 9};
    kith_index *again = NULL;
    kith_info info;
    memset(&info, 0, sizeof info);
    info.size = (uint32_t)sizeof info;
    CHECK(f_save(index, path) == KITH_OK);
    CHECK(f_file_info(path, &info) == KITH_OK && info.count == 3 && info.dimensions == 2 && info.seed == 7);
    CHECK(f_open(path, 0, &again) == KITH_OK && again != NULL);
    search(again);
    CHECK(f_insert(again, 9, point) == KITH_OK);
    f_free(again);
    CHECK(f_open(path, KITH_OPEN_MAPPED | KITH_OPEN_UNCHECKED | KITH_OPEN_ONE_THREAD, &again) == KITH_OK && again != NULL);
    search(again);
    CHECK(f_insert(again, 9, point) == KITH_ERROR_READ_ONLY);
    f_free(again);
    CHECK(f_open("no/such/file.kith", KITH_OPEN_READ_ONLY, &again) == KITH_ERROR_IO && again == NULL);
    CHECK(strncmp(f_last_error(), "kith_open: ", 11) == 0 && strstr(f_last_error(), "no/such/file.kith") != NULL);
    remove(path);
}

/* Where no directory can be; tests/c/durable.c has one. */
static void directory(kith_index *index) {
    kith_index *none = index;
    kith_options options;
    kith_log_options log;
    kith_log_info info;
    memset(&options, 0, sizeof options);
    options.size = (uint32_t)sizeof options;
    options.dimensions = 2;
    memset(&log, 0, sizeof log);
    log.size = (uint32_t)sizeof log;
    log.sync = KITH_SYNC_COMMIT;
    log.interval_ms = 50;
    log.threads = 1;
    log.checkpoint_bytes = 1 << 20;
    log.flags = 0;
    memset(&info, 0, sizeof info);
    info.size = (uint32_t)sizeof info;
    CHECK(f_open_directory("no/such/place", &options, &log, &none) == KITH_ERROR_IO && none == NULL);
    CHECK(f_sync_log(index) == KITH_ERROR_ARGUMENT && f_checkpoint(index) == KITH_ERROR_ARGUMENT);
    CHECK(f_describe_log(index, &info) == KITH_ERROR_ARGUMENT && info.last == 0 && info.durable == 0 && info.checkpoint == 0);
    CHECK(info.sync == 0 && info.failed == 0 && info.flags == 0 && info.log_bytes == 0 && info.replayed == 0);
    CHECK(info.cut_bytes == 0 && info.syncs == 0 && info.checkpoints == 0 && info.failed_checkpoints == 0);
}

/* The bytes of a save, handed over and opened from memory, copied and in place. */
static void streams(const kith_index *index) {
    const size_t room = 1 << 20;
    unsigned char *memory = (unsigned char *)malloc(room + 64);
    struct bytes all;
    kith_index *again = NULL;
    const float point[2] = {9, 9};
    if (memory == NULL) exit(1);
    all.data = memory + (64 - (size_t)memory % 64);
    all.count = 0;
    all.room = room;
    CHECK(f_save_to(index, as_write, &all) == KITH_OK && all.count > 4096);
    CHECK(f_open_buffer(all.data, all.count, 0, &again) == KITH_OK && again != NULL);
    search(again);
    CHECK(f_insert(again, 9, point) == KITH_OK);
    f_free(again);
    CHECK(f_open_buffer(all.data, all.count, KITH_OPEN_MAPPED, &again) == KITH_OK && again != NULL);
    search(again);
    CHECK(f_insert(again, 9, point) == KITH_ERROR_READ_ONLY);
    f_free(again);
    CHECK(f_open_buffer(all.data + 1, all.count, KITH_OPEN_MAPPED, &again) == KITH_ERROR_ARGUMENT && again == NULL);
    CHECK(f_open_buffer(all.data, all.count - 1, 0, &again) == KITH_ERROR_CORRUPT && again == NULL);
    all.room = all.count = 0;
    CHECK(f_save_to(index, as_write, &all) == KITH_ERROR_IO && strstr(f_last_error(), "returned 7") != NULL);
    free(memory);
}

/* Vectors of f32 held as halves, and what is chosen for so many bytes. */
static void held(void) {
    kith_options options;
    kith_search_stats stats;
    kith_search_options asked;
    kith_estimate_result estimate;
    kith_info info;
    kith_index *index = NULL;
    float vector[2] = {0.1f, 65519.0f}, stored[2] = {0, 0}, distance = 1;
    uint64_t key = 0;
    size_t count = 0;
    memset(&options, 0, sizeof options);
    memset(&asked, 0, sizeof asked);
    options.size = (uint32_t)sizeof options;
    options.dimensions = 2;
    options.held = KITH_F16;
    stats.size = (uint32_t)sizeof stats;
    asked.size = (uint32_t)sizeof asked;
    asked.stats = &stats;
    estimate.size = (uint32_t)sizeof estimate;
    info.size = (uint32_t)sizeof info;
    CHECK(f_create(&options, &index) == KITH_OK && f_insert(index, 7, vector) == KITH_OK);
    CHECK(f_search(index, vector, 1, &asked, &key, &distance, &count) == KITH_OK);
    CHECK(count == 1 && key == 7 && distance == 0 && stats.flags == KITH_STATS_NEARLY);
    CHECK(f_get(index, 7, stored) == KITH_OK && stored[0] == 0.0999755859375f && stored[1] == 65504.0f);
    CHECK(f_describe(index, &info) == KITH_OK && info.element == KITH_F32 && info.held == KITH_F16);
    vector[1] = 65520.0f;
    CHECK(f_insert(index, 8, vector) == KITH_ERROR_ARGUMENT && strstr(f_last_error(), "f16 does not hold") != NULL);
    f_free(index);
    options.held = 99;
    CHECK(f_create(&options, &index) == KITH_ERROR_ARGUMENT);
    options.held = KITH_F32;
    options.dimensions = 384;
    options.bytes_per_vector = 600;
    CHECK(kith_estimate(&options, 1000000, &estimate) == KITH_OK);
    CHECK(estimate.quantizer == KITH_QUANTIZER_BYTES && estimate.most < 600000000 && estimate.recall_least > 0.9f);
}

int main(int argc, char **argv) {
    kith_index *index;
    size_t count = 9;
    constants();
    index = create();
    content(index);
    search(index);
    reading(index);
    disk(index, argc > 1 ? argv[1] : "contract.kith");
    streams(index);
    directory(index);
    held();
    CHECK(f_clear(index) == KITH_OK);
    CHECK(f_keys(index, NULL, 0, &count) == KITH_OK && count == 0);
    f_free(index);
    f_free(NULL);
    if (failed == 0) puts("contract: ok");
    return failed != 0;
}
