// What the halves of the program tell.
#include <stddef.h>

struct Answers {
    size_t nearest, odd, count, bytes;
    float distance;
    bool full, ours;
};

Answers with_theirs();
Answers with_ours();
