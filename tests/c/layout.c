/* Are structs and constants what tests/abi/layout.def says, as this compiler lays them out? */
#include <kith.h>
#include <stdio.h>

static int failed;

static void compare(const char *what, uint64_t found, uint64_t wanted) {
    if (found == wanted) return;
    failed++;
    fprintf(stderr, "layout: %s is %lld, tests/abi/layout.def says %lld\n", what, (long long)found, (long long)wanted);
}

#define SIZE(type, bytes) compare("sizeof(" #type ")", sizeof(type), bytes);
#define FIELD(type, field, offset, bytes) \
    compare("offsetof(" #type ", " #field ")", offsetof(type, field), offset); \
    compare("sizeof " #type "." #field, sizeof(((type *)0)->field), bytes);
#define VALUE(name, value) compare(#name, (uint64_t)(name), (uint64_t)(value));

int main(void) {
#include "../abi/layout.def"
    compare("sizeof(kith_status)", sizeof(kith_status), 4);
    compare("sizeof(kith_metric)", sizeof(kith_metric), 4);
    compare("KITH_VERSION", KITH_VERSION, kith_version());
    if (failed == 0) puts("layout: ok");
    return failed != 0;
}
