/* What does a defect of kith do to a C program? It gets a status and a text with file and line, reads on, and its stderr stays clean.
 * Links only with a library built with the feature test-hooks (run.sh beside this file makes one), which exports
 * kith_test_panic(); shipped libraries do not have it.
 */
#define _POSIX_C_SOURCE 200809L
#include <kith.h>
#include "../../c/check.h"
#include <stdlib.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C"
#endif
kith_status kith_test_panic(kith_index *index);

int main(void) {
    kith_options options = {.size = sizeof options, .dimensions = 2};
    kith_index *index = NULL;
    const float point[2] = {1, 2};
    float back[2] = {0, 0};
    FILE *file = tmpfile();
    int err = dup(2);
    EXPECT(KITH_OK, kith_create(&options, &index));
    EXPECT(KITH_OK, kith_insert(index, 1, point));
    dup2(fileno(file), 2);
    kith_status status = kith_test_panic(index);
    dup2(err, 2);
    CHECK(status == KITH_ERROR_INTERNAL);
    CHECK(strstr(kith_last_error(), "src/ffi/hooks.rs:") != NULL);
    CHECK(lseek(fileno(file), 0, SEEK_END) == 0);
    EXPECT(KITH_ERROR_INTERNAL, kith_insert(index, 2, point));
    EXPECT(KITH_OK, kith_get(index, 1, back));
    CHECK(memcmp(back, point, sizeof back) == 0);
    kith_free(index);
    return failures("panic");
}
