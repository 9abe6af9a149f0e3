/* What the tests of hnswlib's interface share. */
#ifndef KITH_TEST_COMPAT_COMMON_H
#define KITH_TEST_COMPAT_COMMON_H
#include "hnswlib/hnswlib.h"

#include "../c/check.h"

#include <functional>
#include <thread>

/* The action throws a std::runtime_error with just this text. */
template <class Action>
inline void throws(int line, const std::string &text, Action action) {
    std::string said = "nothing";
    try {
        action();
    } catch (const std::runtime_error &error) {
        said = error.what();
    } catch (...) {
        said = "something else";
    }
    if (said != text) {
        fprintf(stderr, "line %d: thrown was \"%s\", expected \"%s\"\n", line, said.c_str(), text.c_str());
        check_failed++;
    }
}
#define THROWS(text, action) throws(__LINE__, text, [&] { action; })

inline std::vector<float> random_rows(size_t count, size_t dim, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(0, 1);
    std::vector<float> rows(count * dim);
    for (size_t i = 0; i < rows.size(); i++) rows[i] = uniform(random);
    return rows;
}

/* The vector of a label in the fixtures: tests/fixtures/foreign/make.py. */
inline std::vector<float> fixture_row(size_t label, size_t dim) {
    std::vector<float> row(dim);
    for (size_t j = 0; j < dim; j++) row[j] = static_cast<float>((label * 7 + j * 13 + label / 5) % 61) / 8 - 3;
    return row;
}
#endif
