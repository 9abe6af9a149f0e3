/* The last error belongs to a thread, success leaves it, it may be asked for while a thread ends, and failing prints nothing. */
#define _POSIX_C_SOURCE 200809L
#include <kith.h>
#include "check.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static kith_index *index_of_one(void) {
    kith_options options = {.size = sizeof options, .dimensions = 2};
    kith_index *index = NULL;
    const float point[2] = {1, 2};
    EXPECT(KITH_OK, kith_create(&options, &index));
    EXPECT(KITH_OK, kith_insert(index, 1, point));
    return index;
}

static char late[2000];

/* Runs when its thread ends, after or before the library's own thread-local data went away. */
static void at_thread_end(void *index) {
    kith_status status = kith_remove((kith_index *)index, 55);
    snprintf(late, sizeof late, "%d %s", (int)status, kith_last_error());
}

static pthread_key_t end_key;

static void *other_thread(void *index) {
    CHECK(kith_last_error()[0] == '\0');
    EXPECT(KITH_ERROR_NOT_FOUND, kith_remove((kith_index *)index, 44));
    CHECK(strstr(kith_last_error(), "44") != NULL);
    pthread_setspecific(end_key, index);
    return NULL;
}

static void per_thread(kith_index *index) {
    pthread_t thread;
    EXPECT(KITH_ERROR_NOT_FOUND, kith_remove(index, 33));
    pthread_key_create(&end_key, at_thread_end);
    CHECK(pthread_create(&thread, NULL, other_thread, index) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(strstr(kith_last_error(), "33") != NULL);
    EXPECT(KITH_OK, kith_reserve(index, 10));
    CHECK(strstr(kith_last_error(), "33") != NULL);
    CHECK(strncmp(late, "-6 kith_remove: ", 16) == 0 && strstr(late, "55") != NULL);
}

static void long_texts(void) {
    static char path[6000];
    kith_index *none = NULL;
    memset(path, 'x', sizeof path - 1);
    memcpy(path, "begin/", 6);
    EXPECT(KITH_ERROR_IO, kith_open(path, 0, &none));
    CHECK(strlen(kith_last_error()) < 1024 && strstr(kith_last_error(), "begin/") != NULL);
}

/* A child goes on with an index that it inherited, in both directions. */
static void fork_goes_on(kith_index *index) {
    const int failed_before = check_failed;
    pid_t child = fork();
    if (child == 0) {
        const float points[4] = {3, 3, 4, 4};
        const uint64_t keys[2] = {3, 4};
        uint64_t nearest[2];
        size_t count = 0;
        kith_build_options options = {.size = sizeof options, .threads = 2};
        EXPECT(KITH_OK, kith_insert_batch(index, 2, keys, points, 0, &options));
        EXPECT(KITH_OK, kith_search(index, points, 2, NULL, nearest, NULL, &count));
        CHECK(count == 2 && nearest[0] == 3 && nearest[1] == 4);
        kith_free(index);
        _exit(check_failed != failed_before);
    }
    int status = 1;
    int found = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    EXPECT(KITH_OK, kith_contains(index, 3, &found));
    CHECK(found == 0);
}

/* Failing calls, with stdout and stderr in a file that must stay empty. */
static void silence(kith_index *index) {
    FILE *file = tmpfile();
    int out = dup(1), err = dup(2);
    fflush(stdout);
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    kith_index *none = NULL;
    kith_status a = kith_open("/no/such/file", 0, &none), b = kith_insert(index, KITH_NO_KEY, NULL);
    kith_status c = kith_create(NULL, &none);
    dup2(out, 1);
    dup2(err, 2);
    CHECK(a == KITH_ERROR_IO && b == KITH_ERROR_ARGUMENT && c == KITH_ERROR_ARGUMENT);
    CHECK(lseek(fileno(file), 0, SEEK_END) == 0);
    fclose(file);
}

int main(void) {
    kith_index *index = index_of_one();
    per_thread(index);
    long_texts();
    fork_goes_on(index);
    silence(index);
    kith_free(index);
    return failures("errors");
}
