/* A durable directory from C: what was acknowledged is there again, one owner, a forked child leaves it alone. */
#define _POSIX_C_SOURCE 200809L
#include <kith.h>
#include "check.h"
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static kith_status open_at(const char *path, uint32_t sync, kith_index **index) {
    kith_options options = {.size = sizeof options, .dimensions = 4};
    kith_log_options log = {.size = sizeof log, .sync = sync, .threads = 1};
    return kith_open_directory(path, &options, &log, index);
}

static size_t count_of(const kith_index *index) {
    kith_info info = {.size = sizeof info};
    CHECK(kith_describe(index, &info) == KITH_OK);
    return (size_t)info.count;
}

static void fill(kith_index *index, uint64_t from, uint64_t to) {
    for (uint64_t key = from; key < to; key++) {
        const float vector[4] = {(float)key, 1, 2, 3};
        CHECK(kith_insert(index, key, vector) == KITH_OK);
    }
}

static void comes_back(const char *path, uint32_t sync) {
    kith_index *index, *again = (kith_index *)&index;
    kith_log_info info = {.size = sizeof info};
    const uint64_t gone[3] = {1, 2, 3000};
    size_t removed = 0;
    CHECK(open_at(path, sync, &index) == KITH_OK);
    fill(index, 0, 50);
    CHECK(kith_remove_batch(index, 3, gone, &removed) == KITH_OK && removed == 2);
    CHECK(open_at(path, sync, &again) == KITH_ERROR_BUSY && again == NULL);
    CHECK(strstr(kith_last_error(), path) != NULL);
    CHECK(kith_describe_log(index, &info) == KITH_OK);
    CHECK(info.size == sizeof info && info.last == 51 && info.failed == 0 && info.checkpoint == 0 && info.flags == 0);
    CHECK(info.sync == sync && (sync != KITH_SYNC_COMMIT || (info.durable == 51 && info.syncs > 0)));
    CHECK(kith_sync_log(index) == KITH_OK);
    CHECK(kith_describe_log(index, &info) == KITH_OK && info.durable == 51);
    kith_free(index);

    CHECK(kith_open_directory(path, NULL, NULL, &index) == KITH_OK && count_of(index) == 48);
    CHECK(kith_describe_log(index, &info) == KITH_OK && info.replayed == 51 && info.cut_bytes == 0);
    CHECK(kith_checkpoint(index) == KITH_OK);
    CHECK(kith_describe_log(index, &info) == KITH_OK && info.checkpoint == 51 && info.checkpoints == 1);
    CHECK(kith_clear(index) == KITH_OK);
    fill(index, 0, 10);
    kith_free(index);

    CHECK(kith_open_directory(path, NULL, NULL, &index) == KITH_OK && count_of(index) == 10);
    CHECK(kith_describe_log(index, &info) == KITH_OK && info.replayed == 11 && info.last == 62);
    kith_free(index);
}

static void child_leaves_it_alone(const char *path) {
    kith_index *index;
    int status = 0;
    CHECK(open_at(path, 0, &index) == KITH_OK);
    fill(index, 100, 110);
    const pid_t child = fork();
    if (child == 0) {
        const float vector[4] = {1, 1, 1, 1};
        uint64_t key;
        size_t count;
        int wrong = kith_insert(index, 999, vector) != KITH_ERROR_READ_ONLY;
        wrong |= kith_checkpoint(index) != KITH_ERROR_READ_ONLY;
        wrong |= kith_sync_log(index) != KITH_ERROR_READ_ONLY;
        wrong |= kith_search(index, vector, 1, NULL, &key, NULL, &count) != KITH_OK || count != 1;
        kith_free(index);
        _exit(wrong);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fill(index, 110, 120);
    kith_free(index);
    CHECK(open_at(path, 0, &index) == KITH_OK && count_of(index) == 30);
    kith_free(index);
}

static void refusals(const char *path) {
    kith_index *index;
    kith_options options = {.size = sizeof options, .dimensions = 5};
    kith_log_options log = {.size = sizeof log, .sync = 4};
    kith_log_info info = {.size = sizeof info};
    CHECK(kith_open_directory(path, &options, NULL, &index) == KITH_ERROR_ARGUMENT && index == NULL);
    CHECK(strstr(kith_last_error(), "5 dimensions") != NULL);
    CHECK(kith_open_directory(path, NULL, &log, &index) == KITH_ERROR_ARGUMENT);
    log.sync = 0;
    log.flags = 1;
    CHECK(kith_open_directory(path, NULL, &log, &index) == KITH_ERROR_UNSUPPORTED);
    EXPECT(KITH_ERROR_IO, kith_open_directory("no/such/place", NULL, NULL, &index));
    CHECK(kith_create(&options, &index) == KITH_OK);
    CHECK(kith_describe_log(index, &info) == KITH_ERROR_ARGUMENT);
    CHECK(kith_checkpoint(index) == KITH_ERROR_ARGUMENT && kith_sync_log(index) == KITH_ERROR_ARGUMENT);
    kith_free(index);
}

int main(void) {
    char place[] = "durable.XXXXXX", path[64], command[64];
    CHECK(mkdtemp(place) != NULL);
    for (uint32_t sync = KITH_SYNC_COMMIT; sync <= KITH_SYNC_NEVER; sync++) {
        snprintf(path, sizeof path, "%s/index%u", place, (unsigned)sync);
        comes_back(path, sync);
    }
    child_leaves_it_alone(path);
    refusals(path);
    snprintf(command, sizeof command, "rm -r %s", place);
    CHECK(system(command) == 0);
    return failures("durable");
}
