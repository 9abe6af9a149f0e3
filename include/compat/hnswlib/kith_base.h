/*
 * What every header of hnswlib's interface needs: labels, spaces, filters, stop conditions, the interface of the two indexes, the
 * results of calls that do not throw. Not a header of hnswlib; include hnswlib.h.
 */
#pragma once
#ifndef KITH_COMPAT_BASE_H
#define KITH_COMPAT_BASE_H

#if defined(HNSWERR) && !defined(KITH_HNSWLIB_COMPAT)
#error "hnswlib itself was included before kith's headers of the same names: one translation unit can use one of the two only"
#endif
#define KITH_HNSWLIB_COMPAT 1

#if defined(__has_include)
#if __has_include(<kith.h>)
#include <kith.h>
#else
#include "../../../kith.h" /* as installed: include/kith/compat/hnswlib beside include/kith.h */
#endif
#else
#include <kith.h>
#endif

// hnswlib's own headers bring these in, and programs rely on it.
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <fstream>
#include <iostream>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#ifndef HNSWLIB_ERR_OVERRIDE
#define HNSWERR std::cerr
#else
#define HNSWERR HNSWLIB_ERR_OVERRIDE
#endif

#if defined(__GNUC__) || defined(__clang__)
#define PORTABLE_ALIGN32 __attribute__((aligned(32)))
#define PORTABLE_ALIGN64 __attribute__((aligned(64)))
#else
#define PORTABLE_ALIGN32 __declspec(align(32))
#define PORTABLE_ALIGN64 __declspec(align(64))
#endif

#if defined(__cplusplus) && __cplusplus >= 201703L
#define HNSWLIB_NODISCARD [[nodiscard]]
#else
#define HNSWLIB_NODISCARD
#endif

#ifndef HNSWLIB_USE_PREFETCH
#define HNSWLIB_USE_PREFETCH 0
#endif

// Without exceptions a call that would throw ends the program with the text.
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define KITH_HNSWLIB_EXCEPTIONS 1
#define HNSWLIB_THROW_RUNTIME_ERROR(text) throw std::runtime_error(text)
#define KITH_HNSWLIB_TRY try
#define KITH_HNSWLIB_CATCH_ALL catch (...)
#else
#define KITH_HNSWLIB_EXCEPTIONS 0
#define HNSWLIB_THROW_RUNTIME_ERROR(text) (::hnswlib::kith_end_program(text))
#define KITH_HNSWLIB_TRY if (true)
#define KITH_HNSWLIB_CATCH_ALL else
#endif

namespace hnswlib {
// The version in the symbols' names keeps them apart from hnswlib's own in a program that holds both.
inline namespace kith_v1 {

#if !KITH_HNSWLIB_EXCEPTIONS
[[noreturn]] inline void kith_end_program(const std::string &text) {
    fprintf(stderr, "%s\n", text.c_str());
    abort();
}
#endif

typedef size_t labeltype;

/// Which labels may be returned. May use the index that is being searched.
class BaseFilterFunctor {
 public:
    virtual bool operator()(hnswlib::labeltype) { return true; }
    virtual ~BaseFilterFunctor() {}
};

/// Hears of a search's candidates and says when it ends; see HierarchicalNSW::searchStopConditionClosest.
template <typename dist_t>
class BaseSearchStopCondition {
 public:
    virtual void add_point_to_result(labeltype label, const void *datapoint, dist_t dist) = 0;
    virtual void remove_point_from_result(labeltype label, const void *datapoint, dist_t dist) = 0;
    virtual bool should_stop_search(dist_t candidate_dist, dist_t lowerBound) = 0;
    virtual bool should_consider_candidate(dist_t candidate_dist, dist_t lowerBound) = 0;
    virtual bool should_remove_extra() = 0;
    virtual void filter_results(std::vector<std::pair<dist_t, labeltype>> &candidates) = 0;
    virtual ~BaseSearchStopCondition() {}
};

template <typename T>
class pairGreater {
 public:
    bool operator()(const T &p1, const T &p2) { return p1.first > p2.first; }
};

template <typename T>
inline void writeBinaryPOD(std::ostream &out, const T &podRef) {
    out.write(reinterpret_cast<const char *>(&podRef), sizeof(T));
}

template <typename T>
inline void readBinaryPOD(std::istream &in, T &podRef) {
    in.read(reinterpret_cast<char *>(&podRef), sizeof(T));
}

template <typename MTYPE>
using DISTFUNC = MTYPE (*)(const void *, const void *, const void *);

/// A distance that kith computes itself, which is much faster than a callback.
struct KithMetric {
    kith_metric metric;
    kith_element element;
    uint32_t dimensions;
};

/// What is compared, and how.
template <typename MTYPE>
class SpaceInterface {
 public:
    virtual size_t get_data_size() = 0;
    virtual DISTFUNC<MTYPE> get_dist_func() = 0;
    virtual void *get_dist_func_param() = 0;
    virtual ~SpaceInterface() {}

    /// Not part of hnswlib: whether `function` on this space's data is one of kith's own distances, and which. A space of your own
    /// need not have it: then its distance function is called.
    virtual bool kith_metric_of(DISTFUNC<MTYPE> function, KithMetric &metric) {
        (void)function;
        (void)metric;
        return false;
    }
};

/// What a call came to, where it does not throw.
class Status {
 public:
    Status() {}
    Status(const char *message) : failed_(message != nullptr), message_(message ? message : "") {}
    Status(const std::string &message) : failed_(true), message_(message) {}
    bool ok() const { return !failed_; }
    /// Null when all is well.
    const char *message() const { return failed_ ? message_.c_str() : nullptr; }

 private:
    bool failed_ = false;
    std::string message_;
};

inline Status OkStatus() { return Status(); }

/// A result, or why there is none.
template <typename T>
class StatusOr {
 public:
    StatusOr(T value) : value_(std::move(value)) {}
    StatusOr(const char *message) : status_(message) {}
    StatusOr(Status status) : status_(std::move(status)) {}
    bool ok() const { return status_.ok(); }
    const Status &status() const { return status_; }
    T &value() & { return value_; }
    const T &value() const & { return value_; }
    T &&value() && { return std::move(value_); }
    const T &operator*() const { return value_; }

 private:
    Status status_;
    T value_ = T();
};

/// Runs a call that throws and says what it threw.
template <typename Call>
inline Status kith_status_of(Call call) {
#if KITH_HNSWLIB_EXCEPTIONS
    try {
        call();
    } catch (const std::exception &error) {
        return Status(std::string(error.what()));
    } catch (...) {
        return Status("an exception that is no std::exception");
    }
#else
    call();
#endif
    return OkStatus();
}

/// As kith_status_of, for calls with a result.
template <typename Result, typename Call>
inline StatusOr<Result> kith_result_of(Call call) {
    Result result = Result();
    const Status status = kith_status_of([&] { result = call(); });
    return status.ok() ? StatusOr<Result>(std::move(result)) : StatusOr<Result>(status);
}

/// What the two indexes have in common.
template <typename dist_t>
class AlgorithmInterface {
 public:
    typedef std::pair<dist_t, labeltype> DistanceLabelPair;
    typedef std::priority_queue<DistanceLabelPair> DistanceLabelPriorityQueue;
    typedef std::vector<DistanceLabelPair> DistanceLabelVector;

    virtual void addPoint(const void *datapoint, labeltype label, bool replace_deleted = false) = 0;

    virtual std::priority_queue<std::pair<dist_t, labeltype>> searchKnn(const void *, size_t,
                                                                        BaseFilterFunctor *isIdAllowed = nullptr) const = 0;

    /// The k nearest, the nearest first.
    virtual std::vector<std::pair<dist_t, labeltype>> searchKnnCloserFirst(const void *query_data, size_t k,
                                                                           BaseFilterFunctor *isIdAllowed = nullptr) const;

    virtual void saveIndex(const std::string &location) = 0;

    virtual ~AlgorithmInterface() {}

    Status addPointNoExceptions(const void *datapoint, labeltype label, bool replace_deleted = false) {
        return kith_status_of([&] { addPoint(datapoint, label, replace_deleted); });
    }
    StatusOr<DistanceLabelPriorityQueue> searchKnnNoExceptions(const void *query_data, size_t k,
                                                               BaseFilterFunctor *isIdAllowed = nullptr) const {
        return kith_result_of<DistanceLabelPriorityQueue>([&] { return searchKnn(query_data, k, isIdAllowed); });
    }
    StatusOr<DistanceLabelVector> searchKnnCloserFirstNoExceptions(const void *query_data, size_t k,
                                                                   BaseFilterFunctor *isIdAllowed = nullptr) const {
        return kith_result_of<DistanceLabelVector>([&] { return searchKnnCloserFirst(query_data, k, isIdAllowed); });
    }
    Status saveIndexNoExceptions(const std::string &location) {
        return kith_status_of([&] { saveIndex(location); });
    }
};

template <typename dist_t>
std::vector<std::pair<dist_t, labeltype>> AlgorithmInterface<dist_t>::searchKnnCloserFirst(const void *query_data, size_t k,
                                                                                           BaseFilterFunctor *isIdAllowed) const {
    std::priority_queue<std::pair<dist_t, labeltype>> farthest_first = searchKnn(query_data, k, isIdAllowed);
    std::vector<std::pair<dist_t, labeltype>> result(farthest_first.size());
    for (size_t left = result.size(); left > 0; farthest_first.pop()) result[--left] = farthest_first.top();
    return result;
}

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
