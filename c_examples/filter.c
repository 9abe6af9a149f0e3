/* filter.c: search only among the keys that a function of yours accepts.
 * Here keys are documents of two tenants, told apart by the upper half of the key. Prints the nearest three of tenant 2. */
#include <kith.h>
#include <stdio.h>

struct tenant {
    uint32_t number;
    unsigned long asked; /* how often kith asked */
};

static uint64_t key_of(uint32_t tenant, uint32_t document) { return (uint64_t)tenant << 32 | document; }

/* Called on the thread that searches, never after kith_search has returned. Non-zero keeps the key. */
static int belongs(void *ctx, uint64_t key) {
    struct tenant *tenant = ctx;
    tenant->asked++;
    return key >> 32 == tenant->number;
}

int main(void) {
    kith_options options = {.size = sizeof options, .dimensions = 2, .metric = KITH_L2};
    kith_index *index = NULL;
    struct tenant tenant = {.number = 2, .asked = 0};
    kith_search_options search = {.size = sizeof search, .filter = belongs, .filter_ctx = &tenant};
    uint64_t keys[3];
    float distances[3];
    size_t found = 0;
    int wrong = 0;

    if (kith_create(&options, &index) != KITH_OK) goto failed;
    for (uint32_t i = 0; i < 100; i++) { /* points along a line, turn by turn for tenant 1 and tenant 2 */
        const float point[2] = {(float)i, 0};
        if (kith_insert(index, key_of(1 + i % 2, i), point) != KITH_OK) goto failed;
    }

    const float query[2] = {50, 0};
    if (kith_search(index, query, 3, &search, keys, distances, &found) != KITH_OK) goto failed;
    for (size_t i = 0; i < found; i++) {
        printf("tenant %u, document %u at %.0f\n", (unsigned)(keys[i] >> 32), (unsigned)(keys[i] & 0xffffffffu),
               (double)distances[i]);
        wrong |= keys[i] >> 32 != tenant.number;
    }
    printf("%zu of tenant %u found, the filter was asked %lu times\n", found, (unsigned)tenant.number, tenant.asked);
    kith_free(index);
    return found == 3 && !wrong ? 0 : 1;

failed:
    fprintf(stderr, "%s\n", kith_last_error());
    kith_free(index);
    return 1;
}
