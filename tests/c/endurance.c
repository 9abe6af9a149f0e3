/* What does kith leave behind? Nothing, after thousands of indexes; no thread and little memory in an idle one; nothing of itself in a
 * process that unloads it; and nothing lost when there are no more files to be had. A forked child goes on alone.
 */
#define _GNU_SOURCE
#include <kith.h>
#include "check.h"
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIMENSIONS = 16, FEW = 300 };

static float rows[FEW][DIMENSIONS];
static uint64_t keys[FEW];

static void fill(void) {
    unsigned state = 1;
    for (int i = 0; i < FEW; i++) {
        keys[i] = (uint64_t)i;
        for (int j = 0; j < DIMENSIONS; j++) {
            state = state * 1664525u + 1013904223u;
            rows[i][j] = (float)(state >> 8) / (float)(1u << 24);
        }
    }
}

static kith_index *create(kith_kind kind) {
    kith_options options = {.size = sizeof options, .dimensions = DIMENSIONS, .kind = kind};
    kith_index *index = NULL;
    EXPECT(KITH_OK, kith_create(&options, &index));
    return index;
}

static kith_index *create_filled(kith_kind kind, uint32_t threads) {
    kith_build_options options = {.size = sizeof options, .threads = threads};
    kith_index *index = create(kind);
    EXPECT(KITH_OK, kith_insert_batch(index, FEW, keys, rows, 0, &options));
    return index;
}

/* Every row is the nearest to itself. */
static void all_are_there(const kith_index *index, int rows_there) {
    for (int i = 0; i < rows_there; i += 7) {
        uint64_t key = KITH_NO_KEY;
        float distance = 1;
        size_t count = 0;
        EXPECT(KITH_OK, kith_search(index, rows[i], 1, NULL, &key, &distance, &count));
        CHECK(count == 1 && key == keys[i] && distance == 0);
    }
}

static int entries(const char *folder) {
    DIR *directory = opendir(folder);
    int count = 0;
    if (directory == NULL) return -1;
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

/* Whether so many are there, or will be in a moment: the system lists a thread a little longer than it takes to wait for its end. */
static bool has_entries(const char *folder, int expected) {
    for (int i = 0; i < 5000 && entries(folder) != expected; i++) usleep(1000);
    return entries(folder) == expected;
}

static size_t resident(void) {
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &size, &pages) != 2) pages = 0;
    if (file != NULL) fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The child searches, inserts, builds on two threads and frees what it inherited, while the parent's helping threads stayed with the
 * parent, and one of the parent's indexes is in the middle of nothing. */
static void fork_with_many(void) {
    kith_index *indexes[6];
    for (int i = 0; i < 6; i++) indexes[i] = create_filled(i % 2 ? KITH_KIND_GRAPH : KITH_KIND_FLAT, i < 3 ? 2 : 1);
    const pid_t child = fork();
    if (child == 0) {
        kith_build_options two = {.size = sizeof two, .threads = 2, .flags = KITH_UPSERT};
        for (int i = 0; i < 6; i++) {
            all_are_there(indexes[i], FEW);
            EXPECT(KITH_OK, kith_insert(indexes[i], 10000, rows[0]));
            EXPECT(KITH_OK, kith_insert_batch(indexes[i], FEW, keys, rows, 0, &two));
            EXPECT(KITH_OK, kith_remove(indexes[i], 10000));
            EXPECT(KITH_OK, kith_save(indexes[i], "child"));
            all_are_there(indexes[i], FEW);
            kith_free(indexes[i]);
        }
        _exit(check_failed != 0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (int i = 0; i < 6; i++) {
        int found = 1;
        EXPECT(KITH_OK, kith_contains(indexes[i], 10000, &found));
        CHECK(found == 0);
        all_are_there(indexes[i], FEW);
        kith_free(indexes[i]);
    }
}

/* Thousands of lives leave the heap as it was. */
static void many_lives(void) {
    enum { WARM = 1500, LIVES = 3000 };
    size_t heap = 0, memory = 0;
    for (int i = 0; i < LIVES; i++) {
        kith_index *index = create_filled(i % 2 ? KITH_KIND_GRAPH : KITH_KIND_FLAT, i % 100 == 0 ? 2 : 1);
        all_are_there(index, 10);
        EXPECT(KITH_OK, kith_remove(index, 5));
        EXPECT(KITH_OK, kith_upsert(index, 6, rows[5]));
        if (i % 50 == 0) EXPECT(KITH_OK, kith_clear(index));
        kith_free(index);
        if (i == WARM) {
            malloc_trim(0);
            heap = mallinfo2().uordblks;
            memory = resident();
        }
    }
    malloc_trim(0);
    const size_t heap_after = mallinfo2().uordblks, memory_after = resident();
    CHECK(heap_after < heap + 65536);
    CHECK(memory_after < memory + ((size_t)1 << 20));
    CHECK(has_entries("/proc/self/task", 3));
}

/* Ten thousand that wait cost memory, and little. */
static void idle_ones(void) {
    enum { IDLE = 10000, EACH = 16384 };
    static kith_index *indexes[IDLE];
    const int threads = entries("/proc/self/task"), files = entries("/proc/self/fd");
    const size_t memory = resident();
    for (int i = 0; i < IDLE; i++) indexes[i] = create(i % 2 ? KITH_KIND_GRAPH : KITH_KIND_FLAT);
    CHECK(has_entries("/proc/self/task", threads) && entries("/proc/self/fd") == files);
    CHECK(resident() < memory + (size_t)IDLE * EACH);
    kith_info info = {.size = sizeof info};
    EXPECT(KITH_OK, kith_describe(indexes[1], &info));
    CHECK(info.bytes < EACH);
    for (int i = 0; i < IDLE; i++) kith_free(indexes[i]);
}

/* Without files to be had calls say so, nothing is lost, and all goes on afterwards. */
static void no_more_files(void) {
    kith_index *index = create_filled(KITH_KIND_GRAPH, 1), *other = NULL, *durable = NULL;
    kith_options options = {.size = sizeof options, .dimensions = DIMENSIONS, .kind = KITH_KIND_FLAT};
    EXPECT(KITH_OK, kith_save(index, "saved"));
    EXPECT(KITH_OK, kith_open_directory("lasting", &options, NULL, &durable));
    /* A run before this one may have left it. */
    EXPECT(KITH_OK, kith_clear(durable));
    EXPECT(KITH_OK, kith_insert_batch(durable, FEW, keys, rows, 0, NULL));
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = dup(0);
    close(next);
    const struct rlimit none = {(rlim_t)next, before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    EXPECT(KITH_OK, kith_remove(index, 3));
    EXPECT(KITH_ERROR_IO, kith_save(index, "saved"));
    EXPECT(KITH_ERROR_IO, kith_save(index, "new"));
    EXPECT(KITH_ERROR_IO, kith_open("saved", 0, &other));
    EXPECT(KITH_ERROR_IO, kith_open("saved", KITH_OPEN_MAPPED, &other));
    EXPECT(KITH_ERROR_IO, kith_open_directory("another", &options, NULL, &other));
    CHECK(other == NULL);
    /* The log is open; a checkpoint needs a file. Whether the log goes on after that is the log's to say, what it took is not lost. */
    const kith_status inserted = kith_insert(durable, 5000, rows[0]);
    CHECK(kith_checkpoint(durable) == KITH_ERROR_IO);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    all_are_there(durable, FEW);
    kith_free(durable);
    EXPECT(KITH_OK, kith_open("saved", 0, &other));
    int found = 0;
    EXPECT(KITH_OK, kith_contains(other, 3, &found));
    CHECK(found == 1);
    kith_free(other);
    EXPECT(KITH_OK, kith_save(index, "saved"));
    EXPECT(KITH_OK, kith_open("saved", KITH_OPEN_MAPPED, &other));
    EXPECT(KITH_OK, kith_contains(other, 3, &found));
    CHECK(found == 0);
    kith_free(other);
    EXPECT(KITH_OK, kith_open_directory("lasting", NULL, NULL, &durable));
    all_are_there(durable, 3);
    EXPECT(KITH_OK, kith_contains(durable, 5000, &found));
    CHECK(found == (inserted == KITH_OK));
    EXPECT(KITH_OK, kith_checkpoint(durable));
    kith_free(durable);
    kith_free(index);
}

/* A copy of the shared library is loaded, used on two threads, with a third for the upkeep, and unloaded, again and again. */
static void load_and_unload(void) {
    typedef kith_status create_fn(const kith_options *, kith_index **);
    typedef kith_status batch_fn(kith_index *, size_t, const uint64_t *, const void *, size_t, const kith_build_options *);
    typedef kith_status search_fn(const kith_index *, const void *, size_t, const kith_search_options *, uint64_t *, float *, size_t *);
    typedef kith_status upkeep_fn(kith_index *, uint64_t);
    typedef void free_fn(kith_index *);
    Dl_info own;
    if (dladdr((void *)(uintptr_t)&kith_create, &own) == 0 || strstr(own.dli_fname, ".so") == NULL) return;
    FILE *from = fopen(own.dli_fname, "rb"), *to = fopen("copy.so", "wb");
    CHECK(from != NULL && to != NULL);
    if (from == NULL || to == NULL) return;
    static char bytes[1 << 16];
    for (size_t count; (count = fread(bytes, 1, sizeof bytes, from)) > 0;) CHECK(fwrite(bytes, 1, count, to) == count);
    fclose(from);
    fclose(to);
    const int threads = entries("/proc/self/task");
    size_t memory = 0;
    for (int i = 0; i < 60; i++) {
        void *library = dlopen("./copy.so", RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL);
        if (library == NULL) return;
        upkeep_fn *upkeep = (upkeep_fn *)(uintptr_t)dlsym(library, "kith_set_upkeep");
        create_fn *make = (create_fn *)(uintptr_t)dlsym(library, "kith_create");
        batch_fn *insert = (batch_fn *)(uintptr_t)dlsym(library, "kith_insert_batch");
        search_fn *search = (search_fn *)(uintptr_t)dlsym(library, "kith_search");
        free_fn *end = (free_fn *)(uintptr_t)dlsym(library, "kith_free");
        CHECK(make != NULL && make != &kith_create && insert != NULL && search != NULL && end != NULL && upkeep != NULL);
        kith_options options = {.size = sizeof options, .dimensions = DIMENSIONS, .kind = KITH_KIND_GRAPH};
        kith_build_options two = {.size = sizeof two, .threads = 2};
        kith_index *index = NULL;
        uint64_t key = 0;
        size_t count = 0;
        CHECK(make(&options, &index) == KITH_OK && insert(index, FEW, keys, rows, 0, &two) == KITH_OK);
        CHECK(search(index, rows[9], 1, NULL, &key, NULL, &count) == KITH_OK && key == 9);
        CHECK(upkeep(index, 1000) == KITH_OK);
        end(index);
        CHECK(dlclose(library) == 0);
        /* What the thread had told the system of forks is forgotten. */
        int status = 1;
        const pid_t child = i % 20 == 0 ? fork() : -1;
        if (child == 0) _exit(0);
        CHECK(child < 0 || (waitpid(child, &status, 0) == child && status == 0));
        CHECK(has_entries("/proc/self/task", threads));
        if (i == 10) memory = resident();
    }
    CHECK(resident() < memory + ((size_t)1 << 20));
}

/* A thread that the host asks for makes places free, and nobody else; it ends when it should. */
static void asked_for_upkeep(void) {
    const int threads = entries("/proc/self/task");
    kith_index *index = create_filled(KITH_KIND_GRAPH, 1);
    kith_health health = {.size = sizeof health, .removed = FEW};
    EXPECT(KITH_OK, kith_set_upkeep(index, 1));
    CHECK(has_entries("/proc/self/task", threads + 1));
    for (int i = 0; i < 200; i++) EXPECT(KITH_OK, kith_remove(index, keys[i]));
    EXPECT(KITH_OK, kith_set_upkeep(index, 5000)); /* another one */
    CHECK(has_entries("/proc/self/task", threads + 1));
    /* Fewer than 64 wait for more. */
    for (int i = 0; i < 20000 && health.removed >= 64; i++) {
        usleep(1000);
        EXPECT(KITH_OK, kith_check(index, &health));
    }
    CHECK(health.removed < 64 && health.live == FEW - 200 && health.unreachable == 0);
    EXPECT(KITH_OK, kith_set_upkeep(index, 0));
    CHECK(has_entries("/proc/self/task", threads));
    EXPECT(KITH_OK, kith_set_upkeep(index, 0));
    kith_free(index);
    CHECK(has_entries("/proc/self/task", threads));
}

static void make_free(kith_index *index) {
    uint64_t pending = 1;
    EXPECT(KITH_OK, kith_maintain(index, UINT64_MAX, &pending));
    CHECK(pending == 0);
}

/* A child of a process whose indexes have threads for the upkeep, which are at work when it forks: it has no such thread, and does with what it
 * inherited all that the parent can. */
static void child_of_workers(kith_index *const indexes[2]) {
    alarm(60); /* the end of one that hangs */
    for (int i = 0; i < 2; i++) {
        kith_index *index = indexes[i];
        kith_health health = {.size = sizeof health};
        for (int j = 200; j < FEW; j++) EXPECT(KITH_OK, kith_insert(index, 1000 + keys[j], rows[j]));
        /* What the parent's thread was to do the child's calls do. Places that it had in hand are free at the end: it was not inside. */
        for (int j = 200; j < FEW; j++) EXPECT(KITH_OK, kith_remove(index, 1000 + keys[j]));
        make_free(index);
        EXPECT(KITH_OK, kith_check(index, &health));
        CHECK(health.live == FEW - 200 && health.removed == 0 && health.unreachable == 0 && health.faults == 0);
        CHECK(health.key_faults == 0 && health.count_faults == 0);
        for (int j = 200; j < FEW; j += 9) {
            uint64_t key = KITH_NO_KEY;
            size_t count = 0;
            EXPECT(KITH_OK, kith_search(index, rows[j], 1, NULL, &key, NULL, &count));
            CHECK(count == 1 && key == keys[j]);
        }
        EXPECT(KITH_OK, kith_save(index, "child"));
    }
    /* One gets a thread of its own; the other ends as it is. */
    CHECK(has_entries("/proc/self/task", 3));
    EXPECT(KITH_OK, kith_set_upkeep(indexes[0], 1000));
    CHECK(has_entries("/proc/self/task", 4));
    EXPECT(KITH_OK, kith_insert_batch(indexes[0], 200, keys, rows, 0, NULL));
    for (int j = 0; j < 200; j++) EXPECT(KITH_OK, kith_remove(indexes[0], keys[j]));
    const pid_t grandchild = fork();
    if (grandchild == 0) {
        alarm(60);
        make_free(indexes[0]);
        kith_free(indexes[0]);
        _exit(check_failed != 0);
    }
    int status = 1;
    CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
    for (int i = 0; i < 2; i++) kith_free(indexes[i]);
    CHECK(has_entries("/proc/self/task", 3));
    _exit(check_failed != 0);
}

static void fork_beside_workers(void) {
    enum { FORKS = 30 };
    const int threads = entries("/proc/self/task");
    kith_index *indexes[2] = {create_filled(KITH_KIND_GRAPH, 1), create_filled(KITH_KIND_AUTO, 1)};
    for (int i = 0; i < 2; i++) EXPECT(KITH_OK, kith_set_upkeep(indexes[i], 1000));
    for (int i = 0; i < FORKS && check_failed == 0; i++) {
        for (int j = 0; j < 200; j++)
            for (int k = 0; k < 2; k++) EXPECT(KITH_OK, kith_remove(indexes[k], keys[j]));
        /* Before, in the middle of, and behind what the threads do. */
        if (i % 3 > 0) usleep((useconds_t)(i * 97));
        const pid_t child = fork();
        if (child == 0) child_of_workers(indexes);
        int status = 1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
        for (int j = 0; j < 200; j++)
            for (int k = 0; k < 2; k++) EXPECT(KITH_OK, kith_insert(indexes[k], keys[j], rows[j]));
    }
    CHECK(has_entries("/proc/self/task", threads + 2));
    for (int i = 0; i < 2; i++) {
        all_are_there(indexes[i], FEW);
        make_free(indexes[i]);
        kith_free(indexes[i]);
    }
    CHECK(has_entries("/proc/self/task", threads));
}

int main(void) {
    fill();
    fork_with_many();
    many_lives();
    idle_ones();
    no_more_files();
    asked_for_upkeep();
    fork_beside_workers();
    load_and_unload();
    return failures("endurance");
}
