/* Does the host's floating-point mode change a distance, or a call the mode? And does KITH_CPU cap the level, and nothing else? */
#define _POSIX_C_SOURCE 200809L
#include <kith.h>
#include "check.h"
#include <fenv.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

enum { DIMENSIONS = 37 };

static float a[DIMENSIONS], b[DIMENSIONS], c[DIMENSIONS];

static void prepare(void) {
    int i;
    for (i = 0; i < DIMENSIONS; i++) {
        a[i] = 1e-39f * (float)(i + 1);
        b[i] = 0.1f * (float)(i + 1);
        c[i] = 0.3f / (float)(i + 1);
    }
}

/* Distances that are denormal, and sums that round: both would come out otherwise in another mode. */
static void distances(float out[3]) {
    EXPECT(KITH_OK, kith_distance(KITH_L1, KITH_F32, 3, a, a + 3, out));
    EXPECT(KITH_OK, kith_distance(KITH_L2, KITH_F32, DIMENSIONS, b, c, out + 1));
    EXPECT(KITH_OK, kith_distance(KITH_COSINE, KITH_F32, DIMENSIONS, b, c, out + 2));
}

static void floating_point(void) {
    float plain[3] = {0}, other[3] = {0};
    const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    size_t i;
    prepare();
    distances(plain);
    CHECK(plain[0] > 0);
    for (i = 0; i < 3; i++) {
        fesetround(modes[i]);
        distances(other);
        CHECK(fegetround() == modes[i]);
        fesetround(FE_TONEAREST);
        CHECK(memcmp(plain, other, sizeof plain) == 0);
    }
#ifdef __x86_64__
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040); /* flush results to zero, take denormals for zero */
    distances(other);
    CHECK((_mm_getcsr() & 0x8040) == 0x8040);
    _mm_setcsr(mode);
    CHECK(memcmp(plain, other, sizeof plain) == 0);
#endif
}

static int rank(const char *level) {
    const char *const order[] = {"portable", "neon", "avx2", "avx512"};
    int i;
    for (i = 0; i < 4; i++)
        if (strcmp(level, order[i]) == 0) return i;
    return -1;
}

/* The rank of the level that a process with this KITH_CPU uses: the choice is made once, so each one needs a process. */
static int level_with(const char *wish) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        if (wish != NULL) setenv("KITH_CPU", wish, 1);
        else unsetenv("KITH_CPU");
        _exit(rank(kith_cpu_level()) & 0xff);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void capped_level(void) {
    const int best = level_with(NULL);
    CHECK(best <= 3);
    CHECK(level_with("") == best && level_with("AVX2") == best && level_with("pdp11") == best);
    CHECK(level_with("portable") == rank("portable"));
    if (best >= rank("avx2")) {
        CHECK(level_with("avx2") == rank("avx2"));
        CHECK(level_with("avx512") == best);
        CHECK(level_with("neon") == rank("portable"));
    }
}

int main(void) {
    capped_level(); /* first: this process must not have chosen yet */
    floating_point();
    return failures("environment");
}
