/* save_load.c: keep an index in a file.
 *
 *   save_load FILE
 *
 * kith_save replaces FILE in one step: whoever opens it meets the old file or the new one, never half of either. */
#include <kith.h>
#include <stdio.h>

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, kith_last_error());
    return 1;
}

int main(int argc, char **argv) {
    kith_options options = {.size = sizeof options, .dimensions = 4, .metric = KITH_COSINE};
    kith_index *index, *opened, *mapped;
    kith_info info = {.size = sizeof info};
    const float vector[4] = {1, 2, 3, 4};
    float back[4] = {0};
    int there = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    if (kith_create(&options, &index)) return fail("create");
    if (kith_insert(index, 42, vector)) return fail("insert");
    if (kith_save(index, argv[1])) return fail("save");
    kith_free(index);

    if (kith_open(argv[1], 0, &opened)) return fail("open"); /* into memory; may be changed further */
    if (kith_insert(opened, 43, vector)) return fail("insert after open");
    if (kith_save(opened, argv[1])) return fail("save again");
    kith_free(opened);

    if (kith_open(argv[1], KITH_OPEN_MAPPED, &mapped)) return fail("open mapped"); /* read where it lies */
    if (kith_describe(mapped, &info)) return fail("describe");
    if (kith_contains(mapped, 43, &there)) return fail("contains");
    if (kith_get(mapped, 42, back)) return fail("get");
    printf("%llu vectors; 43 is %s; 42 is {%g, %g, %g, %g}\n", (unsigned long long)info.count, there ? "there" : "missing",
           (double)back[0], (double)back[1], (double)back[2], (double)back[3]);
    kith_free(mapped);
    return there && info.count == 2 && back[3] == 4.0f ? 0 : 1;
}
