/* What happens when the system refuses memory? A status, the index as it was, and it goes on working. The limit is set on the address
 * space of this process.
 */
#define _DEFAULT_SOURCE
#include <kith.h>
#include "check.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { DIMENSIONS = 1024, ROWS = 40000, LIVE = 100 };

static size_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1) pages = 0;
    if (file != NULL) fclose(file);
    return pages * 4096;
}

static void unchanged(const kith_index *index, const kith_info *before) {
    kith_info info = {.size = sizeof info};
    float query[DIMENSIONS] = {0};
    uint64_t key = 0;
    float distance = 0;
    size_t count = 0;
    query[0] = 7;
    EXPECT(KITH_OK, kith_describe(index, &info));
    CHECK(info.count == before->count && info.removed == before->removed);
    EXPECT(KITH_OK, kith_search(index, query, 1, NULL, &key, &distance, &count));
    CHECK(count == 1 && key == 7 && distance == 0);
}

int main(void) {
    const size_t row = DIMENSIONS * sizeof(float), used = address_space();
    kith_options options = {.size = sizeof options, .dimensions = DIMENSIONS, .kind = KITH_KIND_FLAT};
    kith_build_options one_thread = {.size = sizeof one_thread, .threads = 1};
    kith_info before = {.size = sizeof before};
    kith_index *index = NULL, *other = NULL;
    float vector[DIMENSIONS] = {0};
    uint64_t *keys = malloc(ROWS * sizeof *keys), key;
    if (used == 0 || keys == NULL) {
        puts("memory: NOT TESTED, /proc/self/statm cannot be read");
        return 0;
    }
    EXPECT(KITH_OK, kith_create(&options, &index));
    for (key = 0; key < LIVE; key++) {
        vector[0] = (float)key;
        EXPECT(KITH_OK, kith_insert(index, key, vector));
    }
    EXPECT(KITH_OK, kith_describe(index, &before));
    unchanged(index, &before);

    /* The rows themselves take ROWS x 4 KiB = 164 MB of address space; 128 MB more are left for everything else. */
    void *rows = mmap(NULL, ROWS * row, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(rows != MAP_FAILED);
    const size_t limit = address_space() + ((size_t)128 << 20);
    const struct rlimit narrow = {limit, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &narrow) == 0);

    for (key = 0; key < ROWS; key++) keys[key] = 1000 + key;
    EXPECT(KITH_ERROR_MEMORY, kith_insert_batch(index, ROWS, keys, rows, 0, &one_thread));
    unchanged(index, &before);
    EXPECT(KITH_ERROR_MEMORY, kith_reserve(index, 1000000));
    unchanged(index, &before);
    options.capacity = 1000000;
    other = index;
    EXPECT(KITH_ERROR_MEMORY, kith_create(&options, &other));
    CHECK(other == NULL);
    vector[0] = 1234;
    EXPECT(KITH_OK, kith_insert(index, 555, vector));

    const struct rlimit wide = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &wide) == 0);
    EXPECT(KITH_OK, kith_insert_batch(index, ROWS, keys, rows, 0, &one_thread));
    kith_free(index);
    munmap(rows, ROWS * row);
    free(keys);
    return failures("memory");
}
