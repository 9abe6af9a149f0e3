/* The index that looks at every vector. */
#pragma once
#ifndef KITH_COMPAT_BRUTEFORCE_H
#define KITH_COMPAT_BRUTEFORCE_H

#include "kith_base.h"
#include "kith_engine.h"

namespace hnswlib {
inline namespace kith_v1 {

template <typename dist_t>
class BruteforceSearch : public AlgorithmInterface<dist_t> {
    struct Data;
    struct Dictionary;

    std::unique_ptr<KithSpace<dist_t>> space_;
    KithHandle handle_;
    mutable std::mutex changing_;

    void attach(std::unique_ptr<KithSpace<dist_t>> space) {
        space_ = std::move(space);
        data_size_ = space_->data_size;
        fstdistfunc_ = space_->function;
        dist_func_param_ = space_->param;
        size_per_element_ = data_size_ + sizeof(labeltype);
    }

    static kith_options options(KithSpace<dist_t> &space) {
        kith_options options = space.options();
        options.kind = KITH_KIND_FLAT;
        return options;
    }

    void count() {
        kith_info info = kith_info();
        info.size = sizeof info;
        if (handle_) kith_must(kith_describe(handle_.get(), &info), "Not enough memory");
        cur_element_count.kith_set(static_cast<size_t>(info.count));
    }

    void load(const KithSource &source, SpaceInterface<dist_t> *s) {
        std::unique_ptr<KithSpace<dist_t>> space(new KithSpace<dist_t>(s));
        KithHandle loaded = source.load(KITH_FORMAT_HNSWLIB_FLAT, *space, options(*space),
                                        "Not enough memory: loadIndex failed to allocate data");
        // Nothing of this object changes before everything has succeeded.
        std::lock_guard<std::mutex> lock(changing_);
        handle_ = std::move(loaded);
        attach(std::move(space));
        count();
        maxelements_ = (std::max)(static_cast<size_t>(source.word(0)), size_t(cur_element_count));
    }

 public:
    size_t maxelements_ = 0;
    KithCount cur_element_count;
    size_t size_per_element_ = 0;
    size_t data_size_ = 0;
    DISTFUNC<dist_t> fstdistfunc_ = nullptr;
    void *dist_func_param_ = nullptr;
    std::mutex index_lock;
    KithUnsupported<Data> data_;
    KithUnsupported<Dictionary> dict_external_to_internal;

    /// Empty and without room until loadIndex.
    BruteforceSearch(SpaceInterface<dist_t> *s) { attach(std::unique_ptr<KithSpace<dist_t>>(new KithSpace<dist_t>(s))); }

    BruteforceSearch(SpaceInterface<dist_t> *s, const std::string &location) { loadIndex(location, s); }

    BruteforceSearch(SpaceInterface<dist_t> *s, size_t maxElements) : maxelements_(maxElements) {
        attach(std::unique_ptr<KithSpace<dist_t>>(new KithSpace<dist_t>(s)));
        handle_ = kith_make(options(*space_), "Not enough memory: BruteforceSearch failed to allocate data");
    }

    BruteforceSearch(const BruteforceSearch &) = delete;
    BruteforceSearch &operator=(const BruteforceSearch &) = delete;

    /// Adds a vector, or puts it in place of the one that has the label. The third argument means nothing.
    void addPoint(const void *datapoint, labeltype label, bool replace_deleted = false) override {
        (void)replace_deleted;
        std::lock_guard<std::mutex> lock(changing_);
        int present = 0;
        if (handle_) kith_must(kith_contains(handle_.get(), label, &present), "Not enough memory");
        if (!present && cur_element_count >= maxelements_)
            HNSWLIB_THROW_RUNTIME_ERROR("The number of elements exceeds the specified limit");
        kith_must(kith_upsert(handle_.get(), label, datapoint), "Not enough memory");
        count();
    }

    /// Removes a vector; an unknown label is passed over.
    void removePoint(labeltype label) {
        std::lock_guard<std::mutex> lock(changing_);
        if (!handle_) return;
        const kith_status status = kith_remove(handle_.get(), label);
        if (status != KITH_ERROR_NOT_FOUND) kith_must(status, "Not enough memory");
        count();
    }

    std::priority_queue<std::pair<dist_t, labeltype>> searchKnn(const void *query_data, size_t k,
                                                                BaseFilterFunctor *isIdAllowed = nullptr) const override {
        return kith_heap(searchKnnCloserFirst(query_data, k, isIdAllowed));
    }

    std::vector<std::pair<dist_t, labeltype>> searchKnnCloserFirst(const void *query_data, size_t k,
                                                                   BaseFilterFunctor *isIdAllowed = nullptr) const override {
        k = (std::min)(k, size_t(cur_element_count));
        if (k == 0) return std::vector<std::pair<dist_t, labeltype>>();
        kith_search_stats stats = kith_search_stats();
        return kith_find<dist_t>(handle_.get(), query_data, k, 0, isIdAllowed, stats);
    }

    void saveIndex(const std::string &location) override {
        if (!handle_) HNSWLIB_THROW_RUNTIME_ERROR("Cannot save index: there is none");
        kith_save_as(handle_.get(), KITH_FORMAT_HNSWLIB_FLAT, maxelements_, location);
    }

    void saveIndex(std::ostream &output) {
        if (!handle_) HNSWLIB_THROW_RUNTIME_ERROR("Cannot save index: there is none");
        kith_save_as(handle_.get(), KITH_FORMAT_HNSWLIB_FLAT, maxelements_, output);
    }

    void loadIndex(const std::string &location, SpaceInterface<dist_t> *s) { load(KithSource(location), s); }

    void loadIndex(std::istream &input, SpaceInterface<dist_t> *s) {
        const std::string bytes = kith_read_all(input);
        load(KithSource(&bytes), s);
    }

    using AlgorithmInterface<dist_t>::saveIndexNoExceptions;
    Status saveIndexNoExceptions(std::ostream &output) {
        return kith_status_of([&] { saveIndex(output); });
    }
    Status loadIndexNoExceptions(const std::string &location, SpaceInterface<dist_t> *s) {
        return kith_status_of([&] { loadIndex(location, s); });
    }
    Status loadIndexNoExceptions(std::istream &input, SpaceInterface<dist_t> *s) {
        return kith_status_of([&] { loadIndex(input, s); });
    }

    /// The index behind this object, for what kith.h can do beyond hnswlib.
    kith_index *kith() const { return handle_.get(); }
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
