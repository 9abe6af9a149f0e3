// Are kith's headers and hnswlib's good neighbours in one program? See half.cpp.
#include "half.h"

#include <stdio.h>

static int wrong(const char *name, const Answers &answers, bool ours) {
    if (answers.ours == ours && answers.nearest == 1020 && (answers.odd == 1019 || answers.odd == 1021) && answers.count == 50 &&
        answers.distance == 13.0f * 13 * 8 && answers.full)
        return 0;
    fprintf(stderr, "%s: ours %d, nearest %zu, odd %zu, count %zu, distance %g, full %d\n", name, answers.ours, answers.nearest,
            answers.odd, answers.count, static_cast<double>(answers.distance), answers.full);
    return 1;
}

int main() {
    int failures = 0;
    // Twice, in turns: what the one leaves behind in tables and statics is not the other's.
    for (int round = 0; round < 2; round++) failures += wrong("hnswlib", with_theirs(), false) + wrong("kith", with_ours(), true);
    if (with_theirs().bytes == with_ours().bytes) fprintf(stderr, "note: indexes of both have %zu bytes\n", with_ours().bytes);
    return failures;
}
