/*
 * Stands in for hnswlib where the tests run without it: the names and signatures that half.cpp uses, in hnswlib's namespace, with contents
 * of its own. Everything is looked at one by one. With KITH_REAL_HNSWLIB=DIRECTORY (which holds hnswlib/hnswlib.h) tests/package/cpp.sh
 * takes hnswlib itself.
 */
#pragma once

#include <queue>
#include <stdexcept>
#include <string>
#include <string.h>
#include <utility>
#include <vector>

namespace hnswlib {

typedef size_t labeltype;

template <typename MTYPE>
using DISTFUNC = MTYPE (*)(const void *, const void *, const void *);

class BaseFilterFunctor {
 public:
    virtual bool operator()(labeltype) { return true; }
    virtual ~BaseFilterFunctor() {}
};

template <typename MTYPE>
class SpaceInterface {
 public:
    virtual size_t get_data_size() = 0;
    virtual DISTFUNC<MTYPE> get_dist_func() = 0;
    virtual void *get_dist_func_param() = 0;
    virtual ~SpaceInterface() {}
};

template <typename dist_t>
class AlgorithmInterface {
 public:
    virtual void addPoint(const void *datapoint, labeltype label, bool replace_deleted = false) = 0;
    virtual std::priority_queue<std::pair<dist_t, labeltype>> searchKnn(const void *, size_t, BaseFilterFunctor * = nullptr) const = 0;
    virtual void saveIndex(const std::string &location) = 0;
    virtual ~AlgorithmInterface() {}
};

static float L2Sqr(const void *a, const void *b, const void *qty) {
    float sum = 0;
    for (size_t i = 0; i < *static_cast<const size_t *>(qty); i++) {
        const float difference = static_cast<const float *>(a)[i] - static_cast<const float *>(b)[i];
        sum += difference * difference;
    }
    return sum;
}

class L2Space : public SpaceInterface<float> {
    DISTFUNC<float> function_ = L2Sqr;
    size_t dim_;

 public:
    L2Space(size_t dim) : dim_(dim) {}
    size_t get_data_size() override { return dim_ * sizeof(float); }
    DISTFUNC<float> get_dist_func() override { return function_; }
    void *get_dist_func_param() override { return &dim_; }
};

template <typename dist_t>
class HierarchicalNSW : public AlgorithmInterface<dist_t> {
    size_t most_;
    size_t bytes_;
    DISTFUNC<dist_t> function_;
    void *param_;
    std::vector<std::pair<labeltype, std::vector<char>>> rows_;
    char room_[777];

 public:
    HierarchicalNSW(SpaceInterface<dist_t> *space, size_t most, size_t = 16, size_t = 200, size_t = 100, bool = false)
        : most_(most), bytes_(space->get_data_size()), function_(space->get_dist_func()), param_(space->get_dist_func_param()), room_() {}

    void addPoint(const void *row, labeltype label, bool = false) override {
        if (rows_.size() >= most_) throw std::runtime_error("The number of elements exceeds the specified limit");
        const char *bytes = static_cast<const char *>(row);
        rows_.emplace_back(label, std::vector<char>(bytes, bytes + bytes_));
        room_[rows_.size() % sizeof room_]++;
    }

    std::priority_queue<std::pair<dist_t, labeltype>> searchKnn(const void *query, size_t k,
                                                                BaseFilterFunctor *filter = nullptr) const override {
        std::priority_queue<std::pair<dist_t, labeltype>> found;
        for (const auto &row : rows_) {
            if (filter && !(*filter)(row.first)) continue;
            found.emplace(function_(query, row.second.data(), param_), row.first);
            if (found.size() > k) found.pop();
        }
        return found;
    }

    template <typename data_t>
    std::vector<data_t> getDataByLabel(labeltype label) const {
        for (const auto &row : rows_) {
            if (row.first != label) continue;
            std::vector<data_t> data(bytes_ / sizeof(data_t));
            memcpy(data.data(), row.second.data(), bytes_);
            return data;
        }
        throw std::runtime_error("Label not found");
    }

    size_t getCurrentElementCount() { return rows_.size(); }
    void saveIndex(const std::string &) override {}
};

}  // namespace hnswlib
