// Half of a program that holds both hnswlib and kith's headers of the same names: compiled twice, each time with another hnswlib.h on
// the include path and another HALF. Whichever function of the one were taken for the other's, an answer here would be wrong.
#include "hnswlib/hnswlib.h"

#include "half.h"

namespace {

// Of one name in both halves, and without this namespace they would be one class to the linker.
struct Odd : hnswlib::BaseFilterFunctor {
    bool operator()(hnswlib::labeltype label) override { return label % 2 == 1; }
};

} // namespace

Answers HALF() {
    Answers answers = {};
    const size_t dim = 8, count = 50;
    hnswlib::L2Space space(dim);
    hnswlib::HierarchicalNSW<float> index(&space, count, 8, 50);
    std::vector<float> row(dim);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < dim; j++) row[j] = static_cast<float>(i) + static_cast<float>(j) / 16;
        index.addPoint(row.data(), 1000 + i);
    }
    for (size_t j = 0; j < dim; j++) row[j] = 20 + static_cast<float>(j) / 16;
    Odd odd;
    const hnswlib::AlgorithmInterface<float> *base = &index;
    answers.nearest = base->searchKnn(row.data(), 1).top().second;
    answers.odd = base->searchKnn(row.data(), 1, &odd).top().second;
    answers.count = index.getCurrentElementCount();
    const std::vector<float> stored = index.getDataByLabel<float>(1007);
    answers.distance = hnswlib::L2Sqr(stored.data(), row.data(), space.get_dist_func_param());
    try {
        index.addPoint(row.data(), 1);
    } catch (const std::runtime_error &error) {
        answers.full = std::string(error.what()) == "The number of elements exceeds the specified limit";
    }
    answers.bytes = sizeof index;
#ifdef KITH_HNSWLIB_COMPAT
    answers.ours = true;
#endif
    return answers;
}
