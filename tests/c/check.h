/* Small checks for the test programs: they print what failed and go on; main returns failures(). */
#ifndef KITH_TEST_CHECK_H
#define KITH_TEST_CHECK_H
#include <stdio.h>
#include <string.h>

static int check_failed;

static inline void check_report(const char *file, int line, const char *what) {
    check_failed++;
    fprintf(stderr, "%s:%d: failed: %s (last error: %s)\n", file, line, what, kith_last_error());
}

/* The condition holds. */
#define CHECK(condition) ((condition) ? (void)0 : check_report(__FILE__, __LINE__, #condition))

/* The call returns this status, and when that is a failure the text begins with the function's name. */
#define EXPECT(status, call) check_status(__FILE__, __LINE__, #call, status, call)

static inline void check_status(const char *file, int line, const char *call, kith_status wanted, kith_status got) {
    size_t name = strcspn(call, "(");
    if (got != wanted) {
        check_failed++;
        fprintf(stderr, "%s:%d: %s returned %d, expected %d (last error: %s)\n", file, line, call, (int)got, (int)wanted,
                kith_last_error());
    } else if (got != KITH_OK) {
        const char *text = kith_last_error();
        if (strncmp(text, call, name) != 0 || text[name] != ':') check_report(file, line, "the text begins with the function");
    }
}

static inline int failures(const char *program) {
    if (check_failed == 0) printf("%s: ok\n", program);
    else fprintf(stderr, "%s: %d checks failed\n", program, check_failed);
    return check_failed != 0;
}
#endif
