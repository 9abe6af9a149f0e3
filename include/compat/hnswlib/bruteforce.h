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
    /// For counting what is there, which changes of several threads must not do in the wrong order.
    mutable std::mutex counting_;

    void attach(std::unique_ptr<KithSpace<dist_t>> space) {
        space_ = std::move(space);
        data_size_ = space_->data_size;
        fstdistfunc_ = space_->function;
        dist_func_param_ = space_->param;
        size_per_element_ = data_size_ + sizeof(labeltype);
    }

    static kith_options options(KithSpace<dist_t> &space, size_t capacity) {
        kith_options options = space.options();
        options.kind = KITH_KIND_FLAT;
        options.flags = KITH_FIXED_CAPACITY;
        options.capacity = capacity;
        return options;
    }

    static const size_t UNLIMITED = ~size_t(0);

    /// hnswlib writes all of its room; where there is no end to it, what is there will do.
    size_t room_in_file() const { return maxelements_ == UNLIMITED ? 0 : maxelements_; }

    void count() {
        std::lock_guard<std::mutex> lock(counting_);
        kith_info info = kith_info();
        info.size = sizeof info;
        if (handle_) kith_must(kith_describe(handle_.get(), &info), "Not enough memory");
        cur_element_count.kith_set(static_cast<size_t>(info.count));
    }

    void load(const KithSource &source, SpaceInterface<dist_t> *s) {
        std::unique_ptr<KithSpace<dist_t>> space(new KithSpace<dist_t>(s));
        KithHandle loaded = source.load(KITH_FORMAT_HNSWLIB_FLAT, *space, options(*space, static_cast<size_t>(source.word(0))),
                                        "Not enough memory: loadIndex failed to allocate data");
        kith_info info = kith_info();
        info.size = sizeof info;
        kith_must(kith_describe(loaded.get(), &info), "Not enough memory");
        // Nothing of this object changes before everything has succeeded. A file of kith's own may be without a limit.
        handle_ = std::move(loaded);
        attach(std::move(space));
        count();
        maxelements_ = info.flags & KITH_FIXED_CAPACITY ? static_cast<size_t>(info.capacity) : UNLIMITED;
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
        handle_ = kith_make(options(*space_, maxElements), "Not enough memory: BruteforceSearch failed to allocate data");
    }

    BruteforceSearch(const BruteforceSearch &) = delete;
    BruteforceSearch &operator=(const BruteforceSearch &) = delete;

    /// Adds a vector, or puts it in place of the one that has the label. The third argument means nothing.
    void addPoint(const void *datapoint, labeltype label, bool replace_deleted = false) override {
        (void)replace_deleted;
        kith_must(handle_ ? kith_upsert(handle_.get(), label, datapoint) : kith_status(KITH_ERROR_FULL), "Not enough memory");
        count();
    }

    /// Removes a vector; an unknown label is passed over.
    void removePoint(labeltype label) {
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
        return kith_find(*space_, handle_.get(), query_data, k, 0, isIdAllowed, stats);
    }

    void saveIndex(const std::string &location) override {
        if (!handle_) HNSWLIB_THROW_RUNTIME_ERROR("Cannot save index: there is none");
        kith_save_as(handle_.get(), KITH_FORMAT_HNSWLIB_FLAT, room_in_file(), location);
    }

    void saveIndex(std::ostream &output) {
        if (!handle_) HNSWLIB_THROW_RUNTIME_ERROR("Cannot save index: there is none");
        kith_save_as(handle_.get(), KITH_FORMAT_HNSWLIB_FLAT, room_in_file(), output);
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

    /// The label of one of the elements, which are numbered from 0 in an order that any change may change.
    labeltype getExternalLabel(size_t internal_id) const {
        std::vector<uint64_t> labels(internal_id + 1);
        size_t there = 0;
        if (handle_) kith_must(kith_keys(handle_.get(), labels.data(), labels.size(), &there), "Not enough memory");
        if (internal_id >= there) HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        return static_cast<labeltype>(labels[internal_id]);
    }

    /// The index behind this object, for what kith.h can do beyond hnswlib.
    kith_index *kith() const { return handle_.get(); }
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
