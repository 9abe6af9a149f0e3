/* An index of fixed capacity, through C: what is too much is refused as a whole, and whatever the threads do it never holds more. */
#include <kith.h>
#include "check.h"

#include <pthread.h>
#include <stdio.h>

enum { LIMIT = 500, THREADS = 4, EACH = 300 };

static kith_index *create(uint64_t capacity, kith_kind kind) {
    kith_options options = {.size = sizeof options, .dimensions = 2, .flags = KITH_FIXED_CAPACITY};
    kith_index *index = NULL;
    options.capacity = capacity;
    options.kind = kind;
    EXPECT(KITH_OK, kith_create(&options, &index));
    return index;
}

static kith_info describe(const kith_index *index) {
    kith_info info = {.size = sizeof info};
    EXPECT(KITH_OK, kith_describe(index, &info));
    return info;
}

static void refuses_what_does_not_fit(kith_kind kind) {
    const float rows[][2] = {{1, 0}, {2, 0}, {3, 0}, {4, 0}};
    const uint64_t keys[] = {1, 2, 3, 4}, twice[] = {1, 2, 1, 2};
    kith_build_options upsert = {.size = sizeof upsert, .flags = KITH_UPSERT};
    kith_index *index = create(3, kind), *opened = NULL;
    EXPECT(KITH_ERROR_FULL, kith_insert_batch(index, 4, keys, rows, 0, NULL));
    CHECK(describe(index).count == 0 && describe(index).capacity == 3 && describe(index).flags == KITH_FIXED_CAPACITY);
    EXPECT(KITH_OK, kith_insert_batch(index, 3, keys, rows, 0, NULL));
    EXPECT(KITH_ERROR_FULL, kith_insert(index, 4, rows[3]));
    CHECK(strstr(kith_last_error(), "fixed at 3") != NULL);
    EXPECT(KITH_ERROR_FULL, kith_upsert(index, 4, rows[3]));
    EXPECT(KITH_ERROR_EXISTS, kith_insert(index, 3, rows[3]));
    EXPECT(KITH_OK, kith_upsert(index, 3, rows[3]));
    EXPECT(KITH_OK, kith_insert_batch(index, 4, twice, rows, 0, &upsert));
    EXPECT(KITH_ERROR_FULL, kith_insert_batch(index, 4, keys, rows, 0, &upsert));
    EXPECT(KITH_ERROR_FULL, kith_reserve(index, 2));
    EXPECT(KITH_OK, kith_save(index, "fixed.kith"));
    EXPECT(KITH_OK, kith_open("fixed.kith", 0, &opened));
    EXPECT(KITH_ERROR_FULL, kith_insert(opened, 4, rows[3]));
    EXPECT(KITH_OK, kith_reserve(opened, 4));
    EXPECT(KITH_OK, kith_insert(opened, 4, rows[3]));
    EXPECT(KITH_OK, kith_remove(index, 1));
    EXPECT(KITH_OK, kith_insert(index, 4, rows[3]));
    kith_free(index);
    kith_free(opened);
    remove("fixed.kith");
    /* A capacity is no wish for memory. */
    index = create(UINT64_MAX, kind);
    EXPECT(KITH_OK, kith_insert(index, 1, rows[0]));
    CHECK(describe(index).bytes < (8 << 20));
    kith_free(index);
}

typedef struct {
    kith_index *index;
    uint64_t first;
    size_t added;
} adder;

static void *add(void *argument) {
    adder *own = argument;
    for (uint64_t key = own->first; key < own->first + EACH; key++) {
        const float row[2] = {(float)key, 1};
        const kith_status status = kith_insert(own->index, key, row);
        if (status == KITH_OK) own->added++;
        else CHECK(status == KITH_ERROR_FULL);
    }
    return NULL;
}

static void threads_fill_it_to_the_last_place(void) {
    adder adders[THREADS];
    pthread_t threads[THREADS];
    kith_index *index = create(LIMIT, KITH_KIND_GRAPH);
    size_t added = 0;
    for (int i = 0; i < THREADS; i++) {
        adders[i] = (adder){index, (uint64_t)i * EACH, 0};
        CHECK(pthread_create(&threads[i], NULL, add, &adders[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        added += adders[i].added;
    }
    CHECK(added == LIMIT && describe(index).count == LIMIT);
    kith_free(index);
}

int main(void) {
    refuses_what_does_not_fit(KITH_KIND_FLAT);
    refuses_what_does_not_fit(KITH_KIND_GRAPH);
    threads_fill_it_to_the_last_place();
    kith_options options = {.size = sizeof options, .dimensions = 2, .flags = KITH_FIXED_CAPACITY};
    kith_index *index = NULL;
    EXPECT(KITH_ERROR_UNSUPPORTED, kith_open_directory("fixed.directory", &options, NULL, &index));
    return failures("capacity");
}
