/* The graph index. */
#pragma once
#ifndef KITH_COMPAT_HNSWALG_H
#define KITH_COMPAT_HNSWALG_H

#include "kith_base.h"
#include "kith_engine.h"
#include "kith_labels.h"
#include "visited_list_pool.h"

// Functions of hnswlib that hand out its graph. Calling one does not compile and says what to use.
#define KITH_HNSWLIB_NO_GRAPH(name)                                                                                             \
    template <typename T = void, typename... Arguments>                                                                         \
    void name(const Arguments &...) const {                                                                                     \
        static_assert(KithNever<T>::value, "kith: hnswlib's " #name "() is about raw memory of its graph, which kith does not " \
                                           "have; use kith_neighbours() for links, kith_export() for files");                   \
    }

namespace hnswlib {
inline namespace kith_v1 {

template <typename dist_t>
class HierarchicalNSW : public AlgorithmInterface<dist_t> {
    struct Member;

    std::unique_ptr<KithSpace<dist_t>> space_;
    KithHandle handle_;
    mutable KithLabels labels_;

 public:
    typedef hnswlib::tableint tableint;
    typedef hnswlib::linklistsizeint linklistsizeint;
    static const tableint MAX_LABEL_OPERATION_LOCKS = 65536;
    static const unsigned char DELETE_MARK = 0x01;

    /// May be changed by resizeIndex and loadIndex only.
    size_t max_elements_ = 0;
    KithCount &cur_element_count;
    KithCount &num_deleted_;
    size_t M_ = 0;
    size_t maxM_ = 0;
    size_t maxM0_ = 0;
    size_t ef_construction_ = 0;
    size_t ef_ = 10;
    double mult_ = 0, revSize_ = 0;
    bool allow_replace_deleted_ = false;

    // Of an element in a file.
    size_t data_size_ = 0;
    size_t size_data_per_element_ = 0;
    size_t size_links_per_element_ = 0;
    size_t size_links_level0_ = 0;
    size_t offsetData_ = 0, offsetLevel0_ = 0, label_offset_ = 0;

    DISTFUNC<dist_t> fstdistfunc_ = nullptr;
    void *dist_func_param_ = nullptr;

    KithLookup label_lookup_;
    /// Whoever locks it is free to; the index does not need it.
    mutable std::mutex label_lookup_lock;

    mutable std::atomic<long> metric_distance_computations;
    mutable std::atomic<long> metric_hops;

#ifdef KITH_HNSWLIB_NULL_BUFFERS
    // For programs that free hnswlib's buffers before they load.
    char *data_level0_memory_ = nullptr;
    char **linkLists_ = nullptr;
#else
    KithUnsupported<Member> data_level0_memory_, linkLists_;
#endif
    KithUnsupported<Member> element_levels_, enterpoint_node_, maxlevel_, visited_list_pool_, link_list_locks_, label_op_locks_,
        global, level_generator_, update_probability_generator_, deleted_elements, deleted_elements_lock;

    /// Empty and without room until loadIndex.
    HierarchicalNSW(SpaceInterface<dist_t> *s) : HierarchicalNSW(s, size_t(0)) {}

    HierarchicalNSW(SpaceInterface<dist_t> *s, const std::string &location, bool nmslib = false, size_t max_elements = 0,
                    bool allow_replace_deleted = false)
        : HierarchicalNSW(s, size_t(0), 16, 200, 100, allow_replace_deleted) {
        (void)nmslib;
        loadIndex(location, s, max_elements);
    }

    HierarchicalNSW(SpaceInterface<dist_t> *s, size_t max_elements, size_t M = 16, size_t ef_construction = 200,
                    size_t random_seed = 100, bool allow_replace_deleted = false)
        : max_elements_(max_elements),
          cur_element_count(labels_.count),
          num_deleted_(labels_.deleted_count),
          allow_replace_deleted_(allow_replace_deleted),
          label_lookup_(labels_),
          metric_distance_computations(0),
          metric_hops(0) {
        if (M > 10000) {
            HNSWERR << "warning: M parameter exceeds 10000 which may lead to adverse effects." << std::endl;
            HNSWERR << "         Cap to 10000 will be applied for the rest of the processing." << std::endl;
            M = 10000;
        }
        set_degree(M, (std::max)(ef_construction, M));
        std::unique_ptr<KithSpace<dist_t>> space(new KithSpace<dist_t>(s));
        seed_ = random_seed;
        handle_ = kith_make(options(*space), "Not enough memory");
        attach(std::move(space));
    }

    HierarchicalNSW(const HierarchicalNSW &) = delete;
    HierarchicalNSW &operator=(const HierarchicalNSW &) = delete;
    ~HierarchicalNSW() {}

    // ---- content

    /// Adds a vector, or puts it in place of the one that has the label. With replace_deleted it takes the place of a deleted vector,
    /// whose label is forgotten.
    void addPoint(const void *data_point, labeltype label, bool replace_deleted = false) override {
        if (replace_deleted && !kith_load(allow_replace_deleted_))
            HNSWLIB_THROW_RUNTIME_ERROR("Replacement of deleted elements is disabled in constructor");
        KithCallbacks::refuse_inside(handle_.get());
        std::lock_guard<std::mutex> turn(labels_.turn(label));
        put(data_point, label, replace_deleted);
    }

    /// As addPoint; kith decides the level. Returns the internal id.
    tableint addPoint(const void *data_point, labeltype label, int level) {
        (void)level;
        KithCallbacks::refuse_inside(handle_.get());
        std::lock_guard<std::mutex> turn(labels_.turn(label));
        return put(data_point, label, false);
    }

    /// Puts another vector in the place of one. The probability means nothing: kith links a changed vector anew.
    void updatePoint(const void *dataPoint, tableint internalId, float updateNeighborProbability) {
        (void)updateNeighborProbability;
        KithCallbacks::refuse_inside(handle_.get());
        const labeltype label = labels_.label(internalId);
        std::lock_guard<std::mutex> turn(labels_.turn(label));
        const KithLabels::Found found = labels_.find(label);
        if (found.there && found.id == internalId && found.state == KithLabels::LIVE)
            return store(data_point_checked(dataPoint), label);
        tableint id;
        if (!found.there || found.id != internalId || !labels_.take_own(label, id)) HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        // A deleted element stays deleted.
        KithGiveBack give_back(labels_, id);
        store(data_point_checked(dataPoint), label);
        kith_must(kith_remove(handle_.get(), label), "Not enough memory");
    }

    /// Searches no longer return the vector; unmarkDelete brings it back.
    void markDelete(labeltype label) {
        KithCallbacks::refuse_inside(handle_.get());
        std::lock_guard<std::mutex> turn(labels_.turn(label));
        const KithLabels::Found found = labels_.find(label);
        if (!found.there || found.state == KithLabels::TAKEN) HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        if (found.state == KithLabels::DELETED)
            HNSWLIB_THROW_RUNTIME_ERROR("The requested to delete element is already deleted");
        kith_must(kith_remove(handle_.get(), label), "Not enough memory");
        labels_.put_back(found.id);
    }

    void unmarkDelete(labeltype label) {
        KithCallbacks::refuse_inside(handle_.get());
        std::lock_guard<std::mutex> turn(labels_.turn(label));
        const KithLabels::Found found = labels_.find(label);
        if (found.there && found.state == KithLabels::LIVE)
            HNSWLIB_THROW_RUNTIME_ERROR("The requested to undelete element is not deleted");
        tableint id;
        if (!labels_.take_own(label, id)) HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        const kith_status status = kith_undelete(handle_.get(), label);
        if (status != KITH_OK) {
            labels_.put_back(id);
            kith_throw(status, "Not enough memory");
        }
        labels_.give(id, label);
    }

    void markDeletedInternal(tableint internalId) { markDelete(labels_.label(internalId)); }
    void unmarkDeletedInternal(tableint internalId) { unmarkDelete(labels_.label(internalId)); }
    bool isMarkedDeleted(tableint internalId) const { return labels_.deleted(internalId); }

    /// Changes how many elements there may be.
    void resizeIndex(size_t new_max_elements) {
        if (!labels_.resize(max_elements_, new_max_elements))
            HNSWLIB_THROW_RUNTIME_ERROR("Cannot resize, max element is less than the current number of elements");
    }

    /// Removes everything, the room included.
    void clear() {
        if (handle_) kith_must(kith_clear(handle_.get()), "Not enough memory");
        KithLabels none;
        labels_.swap(none);
        kith_store(max_elements_, size_t(0));
    }

    // ---- search

    void setEf(size_t ef) { kith_store(ef_, ef); }

    std::priority_queue<std::pair<dist_t, labeltype>> searchKnn(const void *query_data, size_t k,
                                                                BaseFilterFunctor *isIdAllowed = nullptr) const override {
        return kith_heap(find(query_data, k, 0, isIdAllowed));
    }

    std::vector<std::pair<dist_t, labeltype>> searchKnnCloserFirst(const void *query_data, size_t k,
                                                                   BaseFilterFunctor *isIdAllowed = nullptr) const override {
        return find(query_data, k, 0, isIdAllowed);
    }

    /// As above with a breadth of this search alone; 0 means ef_.
    template <typename Ef, typename = typename std::enable_if<std::is_integral<Ef>::value>::type>
    std::priority_queue<std::pair<dist_t, labeltype>> searchKnn(const void *query_data, size_t k, Ef ef,
                                                                BaseFilterFunctor *isIdAllowed = nullptr) const {
        return kith_heap(find(query_data, k, static_cast<size_t>(ef), isIdAllowed));
    }
    template <typename Ef, typename = typename std::enable_if<std::is_integral<Ef>::value>::type>
    std::vector<std::pair<dist_t, labeltype>> searchKnnCloserFirst(const void *query_data, size_t k, Ef ef,
                                                                   BaseFilterFunctor *isIdAllowed = nullptr) const {
        return find(query_data, k, static_cast<size_t>(ef), isIdAllowed);
    }

    /// Goes on until the condition ends it; what it kept comes back, nearest first, with labels.
    std::vector<std::pair<dist_t, labeltype>> searchStopConditionClosest(const void *query_data,
                                                                         BaseSearchStopCondition<dist_t> &stop_condition,
                                                                         BaseFilterFunctor *isIdAllowed = nullptr) const {
        std::vector<std::pair<dist_t, labeltype>> found;
        if (cur_element_count == 0) return found;
        Observed observed = {&stop_condition, &found};
        kith_observer observer = kith_observer();
        observer.size = sizeof observer;
        observer.ctx = &observed;
        observer.stop = &Observed::stop;
        observer.consider = &Observed::consider;
        observer.add = &Observed::add;
        observer.drop = &Observed::drop;
        observer.excess = &Observed::excess;
        observer.hit = &Observed::hit;
        kith_search_stats stats = kith_search_stats();
        stats.size = sizeof stats;
        kith_search_options search = kith_search_options();
        search.size = sizeof search;
        search.stats = &stats;
        if (isIdAllowed) {
            search.filter = kith_call_filter;
            search.filter_ctx = isIdAllowed;
        }
        KithCallbacks callbacks(handle_.get());
        const kith_status status = kith_search_observed(handle_.get(), query_data, &observer, &search);
        callbacks.rethrow();
        kith_must(status, "Not enough memory");
        tell(stats);
        stop_condition.filter_results(found);
        return found;
    }

    // ---- reading

    size_t getMaxElements() const { return kith_load(max_elements_); }
    size_t getCurrentElementCount() const { return cur_element_count; }
    size_t getDeletedCount() const { return num_deleted_; }

    /// A copy of a vector that is not deleted.
    template <typename data_t>
    std::vector<data_t> getDataByLabel(labeltype label) const {
        std::vector<char> row(data_size_);
        kith_must(handle_ ? kith_get(handle_.get(), label, row.data()) : kith_status(KITH_ERROR_NOT_FOUND), "Not enough memory");
        // hnswlib takes the first size_t behind the parameter for the number of components.
        // Of kith's own spaces it is known, and the space may be gone.
        size_t count = data_size_ / sizeof(data_t);
        size_t stated = count;
        if (space_->native) stated = space_->metric.dimensions;
        else if (dist_func_param_) memcpy(&stated, dist_func_param_, sizeof stated);
        count = (std::min)(count, stated);
        std::vector<data_t> result(count);
        memcpy(static_cast<void *>(result.data()), row.data(), count * sizeof(data_t));
        return result;
    }

    /// The bytes of a vector where they are stored, deleted or not. To be read only; they stay until the element gets another vector.
    char *getDataByInternalId(tableint internal_id) const {
        const void *row = nullptr;
        kith_must(kith_row(handle_.get(), labels_.label(internal_id), &row), "Not enough memory");
        return static_cast<char *>(const_cast<void *>(row));
    }

    /// Who holds it keeps addPoint, markDelete and unmarkDelete of this label waiting. Labels share mutexes.
    std::mutex &getLabelOpMutex(labeltype label) const { return labels_.turn(label); }

    labeltype getExternalLabel(tableint internal_id) const { return labels_.label(internal_id); }

    tableint getInternalIdByLabel(labeltype label) const {
        const KithLabels::Found found = labels_.find(label);
        if (!found.there) HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        return found.id;
    }

    template <typename data_t>
    StatusOr<std::vector<data_t>> getDataByLabelNoExceptions(labeltype label) const {
        return kith_result_of<std::vector<data_t>>([&] { return getDataByLabel<data_t>(label); });
    }

    /// Holds the graph against its rules and prints what it found; ends the program if it is broken.
    void checkIntegrity() const {
        kith_health health = kith_health();
        health.size = sizeof health;
        kith_must(kith_check(handle_.get(), &health), "Not enough memory");
        assert(health.faults == 0 && health.unreachable == 0);
        std::cout << "Min inbound: " << health.min_inbound << ", Max inbound:" << health.max_inbound << "\n";
        std::cout << "integrity ok, checked " << health.links << " connections\n";
    }

    /// kith has no elements that cannot be reached.
    size_t repair_zero_indegree() { return 0; }

    // ---- files

    size_t indexFileSize() const {
        uint64_t bytes = 0;
        kith_must(kith_export_size(handle_.get(), KITH_FORMAT_HNSWLIB, nullptr, &bytes), "Not enough memory");
        return static_cast<size_t>(bytes);
    }

    void saveIndex(const std::string &location) override {
        kith_save_as(handle_.get(), KITH_FORMAT_HNSWLIB, getMaxElements(), location);
    }
    void saveIndex(std::ostream &output) { kith_save_as(handle_.get(), KITH_FORMAT_HNSWLIB, getMaxElements(), output); }

    /// Takes in a file of hnswlib's, or one that kith_save() wrote. On failure the index is as it was.
    void loadIndex(const std::string &location, SpaceInterface<dist_t> *s, size_t max_elements_i = 0) {
        load(KithSource(location), s, max_elements_i);
    }
    void loadIndex(std::istream &input, SpaceInterface<dist_t> *s, size_t max_elements_i = 0) {
        const std::string bytes = kith_read_all(input);
        load(KithSource(&bytes), s, max_elements_i);
    }

    using AlgorithmInterface<dist_t>::saveIndexNoExceptions;
    Status saveIndexNoExceptions(std::ostream &output) {
        return kith_status_of([&] { saveIndex(output); });
    }
    Status loadIndexNoExceptions(const std::string &location, SpaceInterface<dist_t> *s, size_t max_elements_i = 0) {
        return kith_status_of([&] { loadIndex(location, s, max_elements_i); });
    }
    Status loadIndexNoExceptions(std::istream &input, SpaceInterface<dist_t> *s, size_t max_elements_i = 0) {
        return kith_status_of([&] { loadIndex(input, s, max_elements_i); });
    }
    Status markDeleteNoExceptions(labeltype label) {
        return kith_status_of([&] { markDelete(label); });
    }
    Status unmarkDeleteNoExceptions(labeltype label) {
        return kith_status_of([&] { unmarkDelete(label); });
    }
    Status resizeIndexNoExceptions(size_t new_max_elements) {
        return kith_status_of([&] { resizeIndex(new_max_elements); });
    }

    /// The index behind this object, for what kith.h can do beyond hnswlib; its keys are the labels. Changes made there are not seen
    /// in label_lookup_ and the counts here.
    kith_index *kith() const { return handle_.get(); }

    struct CompareByFirst {
        constexpr bool operator()(const std::pair<dist_t, tableint> &a, const std::pair<dist_t, tableint> &b) const noexcept {
            return a.first < b.first;
        }
    };

    KITH_HNSWLIB_NO_GRAPH(get_linklist)
    KITH_HNSWLIB_NO_GRAPH(get_linklist0)
    KITH_HNSWLIB_NO_GRAPH(get_linklist_at_level)
    KITH_HNSWLIB_NO_GRAPH(getListCount)
    KITH_HNSWLIB_NO_GRAPH(setListCount)
    KITH_HNSWLIB_NO_GRAPH(setExternalLabel)
    KITH_HNSWLIB_NO_GRAPH(getExternalLabeLp)
    KITH_HNSWLIB_NO_GRAPH(getRandomLevel)
    KITH_HNSWLIB_NO_GRAPH(searchBaseLayer)
    template <bool bare_bone_search = true, bool collect_metrics = false>
    void searchBaseLayerST(...) const {
        static_assert(KithNever<std::integral_constant<bool, bare_bone_search>>::value,
                      "kith: hnswlib's searchBaseLayerST() walks its graph; use searchKnn() or searchStopConditionClosest()");
    }
    KITH_HNSWLIB_NO_GRAPH(getNeighborsByHeuristic2)
    KITH_HNSWLIB_NO_GRAPH(mutuallyConnectNewElement)
    KITH_HNSWLIB_NO_GRAPH(repairConnectionsForUpdate)
    KITH_HNSWLIB_NO_GRAPH(getConnectionsWithLock)

 private:
    size_t seed_ = 100;

    /// A stop condition behind C callbacks, and the hits it kept.
    struct Observed {
        BaseSearchStopCondition<dist_t> *condition;
        std::vector<std::pair<dist_t, labeltype>> *found;

        static Observed &of(void *ctx) { return *static_cast<Observed *>(ctx); }
        static dist_t number(double distance) {
            // What means "no bound yet" is the largest number of hnswlib's type.
            return distance == std::numeric_limits<double>::infinity() ? (std::numeric_limits<dist_t>::max)()
                                                                       : static_cast<dist_t>(distance);
        }
        static int stop(void *ctx, double candidate, double bound) {
            return KithCallbacks::run(1, [&] { return of(ctx).condition->should_stop_search(number(candidate), number(bound)) ? 1 : 0; });
        }
        static int consider(void *ctx, double distance, double bound) {
            return KithCallbacks::run(
                0, [&] { return of(ctx).condition->should_consider_candidate(number(distance), number(bound)) ? 1 : 0; });
        }
        static void add(void *ctx, uint64_t key, const void *vector, double distance) {
            KithCallbacks::run(0, [&] {
                of(ctx).condition->add_point_to_result(static_cast<labeltype>(key), vector, number(distance));
                return 0;
            });
        }
        static void drop(void *ctx, uint64_t key, const void *vector, double distance) {
            KithCallbacks::run(0, [&] {
                of(ctx).condition->remove_point_from_result(static_cast<labeltype>(key), vector, number(distance));
                return 0;
            });
        }
        static int excess(void *ctx) {
            return KithCallbacks::run(0, [&] { return of(ctx).condition->should_remove_extra() ? 1 : 0; });
        }
        static void hit(void *ctx, uint64_t key, const void *vector, double distance) {
            (void)vector;
            KithCallbacks::run(0, [&] {
                of(ctx).found->emplace_back(number(distance), static_cast<labeltype>(key));
                return 0;
            });
        }
    };

    static const void *data_point_checked(const void *data_point) {
        if (!data_point) HNSWLIB_THROW_RUNTIME_ERROR("the vector is a null pointer");
        return data_point;
    }

    kith_options options(KithSpace<dist_t> &space) const {
        kith_options options = space.options();
        options.kind = KITH_KIND_GRAPH;
        options.flags = KITH_KEEP_REMOVED;
        options.quantizer = kith_codes();
        options.m = static_cast<uint32_t>((std::min)((std::max)(M_, size_t(2)), size_t(512)));
        options.ef_construction = static_cast<uint32_t>((std::min)((std::max)(ef_construction_, size_t(1)), size_t(1) << 20));
        options.seed = seed_;
        return options;
    }

    void set_degree(size_t M, size_t ef_construction) {
        M_ = maxM_ = M;
        maxM0_ = 2 * M;
        ef_construction_ = ef_construction;
        mult_ = 1 / std::log(static_cast<double>(M));
        revSize_ = 1.0 / mult_;
        ef_ = 10;
    }

    /// Takes over a space and fills the members that say how an element looks in a file.
    void attach(std::unique_ptr<KithSpace<dist_t>> space) {
        space_ = std::move(space);
        data_size_ = space_->data_size;
        fstdistfunc_ = space_->function;
        dist_func_param_ = space_->param;
        size_links_level0_ = maxM0_ * sizeof(tableint) + sizeof(linklistsizeint);
        size_links_per_element_ = maxM_ * sizeof(tableint) + sizeof(linklistsizeint);
        offsetLevel0_ = 0;
        offsetData_ = size_links_level0_;
        label_offset_ = offsetData_ + data_size_;
        size_data_per_element_ = label_offset_ + sizeof(labeltype);
    }

    void load(const KithSource &source, SpaceInterface<dist_t> *s, size_t max_elements) {
        std::unique_ptr<KithSpace<dist_t>> space(new KithSpace<dist_t>(s));
        kith_options wanted = options(*space);
        wanted.m = wanted.ef_construction = 0;
        KithHandle loaded = source.load(KITH_FORMAT_HNSWLIB, *space, wanted,
                                        "Not enough memory: loadIndex failed to allocate level0");
        KithLabels labels;
        std::vector<uint64_t> keys = all_keys(loaded.get(), ::kith_keys);
        for (size_t i = 0; i < keys.size(); i++) labels.load(static_cast<labeltype>(keys[i]), KithLabels::LIVE);
        keys = all_keys(loaded.get(), ::kith_removed_keys);
        for (size_t i = 0; i < keys.size(); i++) labels.load(static_cast<labeltype>(keys[i]), KithLabels::DELETED);
        kith_info info = kith_info();
        info.size = sizeof info;
        kith_must(kith_describe(loaded.get(), &info), "Not enough memory");
        // Nothing of this object changes before everything has succeeded.
        const size_t ef = ef_;
        set_degree(info.m, info.ef_construction);
        ef_ = ef;
        handle_ = std::move(loaded);
        attach(std::move(space));
        labels_.swap(labels);
        const size_t stated = static_cast<size_t>(source.word(8));
        max_elements_ = (std::max)(max_elements >= cur_element_count && max_elements ? max_elements : stated, size_t(cur_element_count));
    }

    typedef kith_status (*Enumerate)(const kith_index *, uint64_t *, size_t, size_t *);
    static std::vector<uint64_t> all_keys(const kith_index *handle, Enumerate enumerate) {
        size_t count = 0;
        kith_must(enumerate(handle, nullptr, 0, &count), "Not enough memory: loadIndex failed to allocate level0");
        std::vector<uint64_t> keys(count);
        kith_must(enumerate(handle, keys.data(), count, &count), "Not enough memory: loadIndex failed to allocate level0");
        return keys;
    }

    /// An ef of 0 means ef_.
    std::vector<std::pair<dist_t, labeltype>> find(const void *query, size_t k, size_t ef, BaseFilterFunctor *filter) const {
        if (ef == 0) ef = kith_load(ef_);
        k = (std::min)(k, size_t(cur_element_count));
        if (k == 0) return std::vector<std::pair<dist_t, labeltype>>();
        kith_search_stats stats = kith_search_stats();
        std::vector<std::pair<dist_t, labeltype>> found =
            kith_find(*space_, handle_.get(), query, k, (std::max)(ef, k), filter, stats);
        tell(stats);
        return found;
    }

    void tell(const kith_search_stats &stats) const {
        metric_hops.fetch_add(static_cast<long>(stats.hops), std::memory_order_relaxed);
        metric_distance_computations.fetch_add(static_cast<long>(stats.distances), std::memory_order_relaxed);
    }

    /// Stores a vector under its label, linked. An exception of the space's distance leaves it stored, as in hnswlib.
    void store(const void *data_point, labeltype label) {
        KithCallbacks callbacks(handle_.get());
        const kith_status status = kith_upsert(handle_.get(), label, data_point);
        callbacks.rethrow();
        kith_must(status, "Not enough memory: addPoint failed to allocate linklist");
    }

    enum Before { ABSENT, REMOVED };

    /// As store, for a label that searches do not return yet. After an exception they still do not, and a deleted label is deleted.
    void store_new(const void *data_point, labeltype label, Before before) {
        KithCallbacks callbacks(handle_.get());
        const kith_status status = kith_upsert(handle_.get(), label, data_point);
        if (callbacks.threw() && status == KITH_OK) {
            kith_remove(handle_.get(), label);
            if (before == ABSENT) kith_forget(handle_.get(), label);
        }
        callbacks.rethrow();
        kith_must(status, "Not enough memory: addPoint failed to allocate linklist");
    }

    tableint put(const void *data_point, labeltype label, bool replace_deleted) {
        data_point_checked(data_point);
        const KithLabels::Found found = labels_.find(label);
        tableint id = found.id;
        labeltype old = label;
        if (found.there && found.state == KithLabels::LIVE) {
            // Programs that update everything update much that has not changed.
            std::vector<char> row(data_size_);
            const bool same = kith_get(handle_.get(), label, row.data()) == KITH_OK && memcmp(row.data(), data_point, data_size_) == 0;
            if (!same) store(data_point, label);
            return id;
        }
        if (found.there && found.state == KithLabels::DELETED && !replace_deleted && kith_load(allow_replace_deleted_))
            HNSWLIB_THROW_RUNTIME_ERROR(
                "Can't use addPoint to update deleted elements if replacement of deleted elements is enabled.");
        if ((found.there && labels_.take_own(label, id)) || (replace_deleted && labels_.take(id, old))) {
            KithGiveBack give_back(labels_, id);
            store_new(data_point, label, old == label ? REMOVED : ABSENT);
            give_back.keep();
            if (labels_.give(id, label)) kith_forget(handle_.get(), old);
            return id;
        }
        if (!labels_.book(max_elements_)) HNSWLIB_THROW_RUNTIME_ERROR("The number of elements exceeds the specified limit");
        KithUnbook unbook(labels_);
        store_new(data_point, label, ABSENT);
        unbook.keep();
        return labels_.add(label);
    }
};

template <typename dist_t>
const tableint HierarchicalNSW<dist_t>::MAX_LABEL_OPERATION_LOCKS;
template <typename dist_t>
const unsigned char HierarchicalNSW<dist_t>::DELETE_MARK;

}  // inline namespace kith_v1
}  // namespace hnswlib

#undef KITH_HNSWLIB_NO_GRAPH

#include "hnswlib.h"

#endif
