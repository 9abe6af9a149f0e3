/* Searches that end by a rule of the caller: spaces whose vectors belong to documents, and two rules. */
#pragma once
#ifndef KITH_COMPAT_STOP_CONDITION_H
#define KITH_COMPAT_STOP_CONDITION_H

#include "kith_base.h"
#include "space_ip.h"
#include "space_l2.h"

namespace hnswlib {
inline namespace kith_v1 {

/// A space of vectors that each name the document they belong to.
template <typename DOCIDTYPE>
class BaseMultiVectorSpace : public SpaceInterface<float> {
 public:
    virtual DOCIDTYPE get_doc_id(const void *datapoint) = 0;
    virtual void set_doc_id(void *datapoint, DOCIDTYPE doc_id) = 0;
};

/// `dim` floats with the document's number behind them, compared by `distance`.
template <typename DOCIDTYPE>
class KithMultiVectorSpace : public BaseMultiVectorSpace<DOCIDTYPE> {
    DISTFUNC<float> distance_;
    size_t dim_;

 protected:
    KithMultiVectorSpace(DISTFUNC<float> distance, size_t dim) : distance_(distance), dim_(dim) {}

 public:
    size_t get_data_size() override { return dim_ * sizeof(float) + sizeof(DOCIDTYPE); }
    DISTFUNC<float> get_dist_func() override { return distance_; }
    void *get_dist_func_param() override { return &dim_; }
    DOCIDTYPE get_doc_id(const void *datapoint) override {
        DOCIDTYPE doc_id;
        memcpy(&doc_id, static_cast<const char *>(datapoint) + dim_ * sizeof(float), sizeof doc_id);
        return doc_id;
    }
    void set_doc_id(void *datapoint, DOCIDTYPE doc_id) override {
        memcpy(static_cast<char *>(datapoint) + dim_ * sizeof(float), &doc_id, sizeof doc_id);
    }
};

template <typename DOCIDTYPE>
class MultiVectorL2Space : public KithMultiVectorSpace<DOCIDTYPE> {
 public:
    MultiVectorL2Space(size_t dim) : KithMultiVectorSpace<DOCIDTYPE>(L2Sqr, dim) {}
    ~MultiVectorL2Space() {}
};

template <typename DOCIDTYPE>
class MultiVectorInnerProductSpace : public KithMultiVectorSpace<DOCIDTYPE> {
 public:
    MultiVectorInnerProductSpace(size_t dim) : KithMultiVectorSpace<DOCIDTYPE>(InnerProductDistance, dim) {}
    ~MultiVectorInnerProductSpace() {}
};

/// Ends a search when it has the vectors of so many documents.
template <typename DOCIDTYPE, typename dist_t>
class MultiVectorSearchStopCondition : public BaseSearchStopCondition<dist_t> {
    size_t num_docs_to_search_;
    size_t ef_collection_;
    /// Vectors kept per document.
    std::unordered_map<DOCIDTYPE, size_t> vectors_of_;
    /// By label, because distances may be equal.
    std::unordered_map<labeltype, DOCIDTYPE> doc_of_;
    BaseMultiVectorSpace<DOCIDTYPE> &space_;

    void take_away(labeltype label) {
        typename std::unordered_map<labeltype, DOCIDTYPE>::iterator vector = doc_of_.find(label);
        if (vector == doc_of_.end()) return;
        typename std::unordered_map<DOCIDTYPE, size_t>::iterator doc = vectors_of_.find(vector->second);
        if (--doc->second == 0) vectors_of_.erase(doc);
        doc_of_.erase(vector);
    }

 public:
    MultiVectorSearchStopCondition(BaseMultiVectorSpace<DOCIDTYPE> &space, size_t num_docs_to_search, size_t ef_collection = 10)
        : num_docs_to_search_(num_docs_to_search), ef_collection_((std::max)(ef_collection, num_docs_to_search)), space_(space) {}

    void add_point_to_result(labeltype label, const void *datapoint, dist_t) override {
        const DOCIDTYPE doc_id = space_.get_doc_id(datapoint);
        if (doc_of_.insert(std::make_pair(label, doc_id)).second) vectors_of_[doc_id] += 1;
    }

    void remove_point_from_result(labeltype label, const void *, dist_t) override { take_away(label); }

    bool should_stop_search(dist_t candidate_dist, dist_t lowerBound) override {
        return candidate_dist > lowerBound && vectors_of_.size() == ef_collection_;
    }

    bool should_consider_candidate(dist_t candidate_dist, dist_t lowerBound) override {
        return vectors_of_.size() < ef_collection_ || lowerBound > candidate_dist;
    }

    bool should_remove_extra() override { return vectors_of_.size() > ef_collection_; }

    void filter_results(std::vector<std::pair<dist_t, labeltype>> &candidates) override {
        while (vectors_of_.size() > num_docs_to_search_ && !candidates.empty()) {
            take_away(candidates.back().second);
            candidates.pop_back();
        }
    }

    ~MultiVectorSearchStopCondition() {}
};

/// Ends a search when it has everything within a distance, between a least and a most number of vectors looked at.
template <typename dist_t>
class EpsilonSearchStopCondition : public BaseSearchStopCondition<dist_t> {
    float epsilon_;
    size_t min_num_candidates_;
    size_t max_num_candidates_;
    size_t curr_num_items_;

 public:
    EpsilonSearchStopCondition(float epsilon, size_t min_num_candidates, size_t max_num_candidates)
        : epsilon_(epsilon), min_num_candidates_(min_num_candidates), max_num_candidates_(max_num_candidates), curr_num_items_(0) {
        assert(min_num_candidates <= max_num_candidates);
    }

    void add_point_to_result(labeltype, const void *, dist_t) override { curr_num_items_ += 1; }

    void remove_point_from_result(labeltype, const void *, dist_t) override { curr_num_items_ -= 1; }

    bool should_stop_search(dist_t candidate_dist, dist_t lowerBound) override {
        const bool full = candidate_dist > lowerBound && curr_num_items_ == max_num_candidates_;
        const bool beyond = candidate_dist > epsilon_ && curr_num_items_ >= min_num_candidates_;
        return full || beyond;
    }

    bool should_consider_candidate(dist_t candidate_dist, dist_t lowerBound) override {
        return curr_num_items_ < max_num_candidates_ || lowerBound > candidate_dist;
    }

    bool should_remove_extra() override { return curr_num_items_ > max_num_candidates_; }

    void filter_results(std::vector<std::pair<dist_t, labeltype>> &candidates) override {
        while (!candidates.empty() && (candidates.back().first > epsilon_ || candidates.size() > max_num_candidates_))
            candidates.pop_back();
    }

    ~EpsilonSearchStopCondition() {}
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
