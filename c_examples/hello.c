/* hello.c: the first program of the README. Prints "1 at 0.01" and "0 at 0.81". */
#include <kith.h>
#include <stdio.h>

static int fail(void) { return fprintf(stderr, "%s\n", kith_last_error()), 1; }

int main(void) {
    kith_options options = {.size = sizeof options, .dimensions = 3, .metric = KITH_L2};
    kith_index *index;
    if (kith_create(&options, &index)) return fail();

    const float points[][3] = {{0, 0, 0}, {1, 0, 0}, {0, 2, 0}};
    for (uint64_t key = 0; key < 3; key++)
        if (kith_insert(index, key, points[key])) return fail();

    const float query[3] = {0.9f, 0, 0};
    uint64_t keys[2];
    float distances[2];
    size_t found;
    if (kith_search(index, query, 2, NULL, keys, distances, &found)) return fail();
    for (size_t i = 0; i < found; i++) printf("%d at %.2f\n", (int)keys[i], (double)distances[i]);
    kith_free(index);
    return 0;
}
