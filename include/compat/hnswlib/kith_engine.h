/*
 * From hnswlib's calls to kith.h: the handle, the caller's functors behind C callbacks, statuses as exceptions. Not a header of
 * hnswlib; include hnswlib.h.
 */
#pragma once
#ifndef KITH_COMPAT_ENGINE_H
#define KITH_COMPAT_ENGINE_H

#include "kith_base.h"

namespace hnswlib {
inline namespace kith_v1 {

/// A call that failed, as hnswlib says it. `memory` is hnswlib's text for a refused allocation in this place.
[[noreturn]] inline void kith_throw(kith_status status, const char *memory) {
    switch (status) {
        case KITH_ERROR_MEMORY: HNSWLIB_THROW_RUNTIME_ERROR(memory);
        case KITH_ERROR_NOT_FOUND: HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        case KITH_ERROR_FULL: HNSWLIB_THROW_RUNTIME_ERROR("The number of elements exceeds the specified limit");
        default: HNSWLIB_THROW_RUNTIME_ERROR(kith_last_error());
    }
}

inline void kith_must(kith_status status, const char *memory) {
    if (status != KITH_OK) kith_throw(status, memory);
}

/// Public members that hnswlib has as plain numbers: programs read and write them while other threads use the index.
template <typename T>
inline T kith_load(const T &member) {
#if defined(__GNUC__) || defined(__clang__)
    T value;
    __atomic_load(&member, &value, __ATOMIC_RELAXED);
    return value;
#else
    return *const_cast<const volatile T *>(&member);
#endif
}
template <typename T>
inline void kith_store(T &member, T value) {
#if defined(__GNUC__) || defined(__clang__)
    __atomic_store(&member, &value, __ATOMIC_RELAXED);
#else
    *const_cast<volatile T *>(&member) = value;
#endif
}

/// What the caller's functors threw during one call of the library, on this thread. Exceptions must not pass through the library, so
/// they wait here until it has returned.
class KithCallbacks {
 public:
    /// `index` is what the call is about.
    explicit KithCallbacks(const kith_index *index) : outer_(current()), index_(index) { current() = this; }
    ~KithCallbacks() { current() = outer_; }
    KithCallbacks(const KithCallbacks &) = delete;
    KithCallbacks &operator=(const KithCallbacks &) = delete;

    /// Runs a functor of the caller; once one has thrown, none is run any more and `otherwise` is the answer.
    template <typename Result, typename Call>
    static Result run(Result otherwise, Call call) {
#if KITH_HNSWLIB_EXCEPTIONS
        KithCallbacks *here = current();
        if (here && here->thrown_) return otherwise;
        try {
            return call();
        } catch (...) {
            // Without a call of ours around it, there is nobody to tell.
            if (here) here->thrown_ = std::current_exception();
            return otherwise;
        }
#else
        (void)otherwise;
        return call();
#endif
    }

    bool threw() const {
#if KITH_HNSWLIB_EXCEPTIONS
        return static_cast<bool>(thrown_);
#else
        return false;
#endif
    }

    /// For changes, before they lock anything: a functor of an index must not change it, and would wait for itself.
    static void refuse_inside(const kith_index *index) {
        for (const KithCallbacks *call = current(); call && index; call = call->outer_)
            if (call->index_ == index) HNSWLIB_THROW_RUNTIME_ERROR("a callback of this index must not change it");
    }

    /// To be called when the library has returned.
    void rethrow() const {
#if KITH_HNSWLIB_EXCEPTIONS
        if (thrown_) std::rethrow_exception(thrown_);
#endif
    }

 private:
    static KithCallbacks *&current() {
        static thread_local KithCallbacks *innermost = nullptr;
        return innermost;
    }
    KithCallbacks *outer_;
    const kith_index *index_;
#if KITH_HNSWLIB_EXCEPTIONS
    std::exception_ptr thrown_;
#endif
};

inline int kith_call_filter(void *ctx, uint64_t label) {
    BaseFilterFunctor *filter = static_cast<BaseFilterFunctor *>(ctx);
    return KithCallbacks::run(0, [&] { return (*filter)(static_cast<labeltype>(label)) ? 1 : 0; });
}

/// How vectors are coded for searches. hnswlib knows plain vectors only, so that is what a program gets unless it calls this, or
/// KITH_HNSWLIB_CODES=1 is in its environment: then kith chooses codes where they pay, and searches are faster. Counts for indexes that
/// are made or loaded afterwards.
inline kith_quantizer &kith_codes() {
    static kith_quantizer choice = [] {
        const char *wanted = getenv("KITH_HNSWLIB_CODES");
        return wanted && *wanted && strcmp(wanted, "0") != 0 ? kith_quantizer(KITH_QUANTIZER_AUTO) : kith_quantizer(KITH_QUANTIZER_NONE);
    }();
    return choice;
}

/// A space as it was when an index was made from it: it may go before the index does.
template <typename dist_t>
struct KithSpace {
    /// Whether kith computes the distance itself.
    bool native = false;
    KithMetric metric = KithMetric();
    size_t data_size = 0;
    DISTFUNC<dist_t> function = nullptr;
    void *param = nullptr;

    explicit KithSpace(SpaceInterface<dist_t> *space)
        : data_size(space->get_data_size()), function(space->get_dist_func()), param(space->get_dist_func_param()) {
        // A class derived from one of the known spaces may have another distance or more data.
        native = space->kith_metric_of(function, metric) &&
                 data_size == size_t(metric.dimensions) * (metric.element == KITH_F32 ? sizeof(float) : 1);
    }

    static double distance(void *ctx, const void *a, const void *b) {
        const KithSpace *space = static_cast<const KithSpace *>(ctx);
        return KithCallbacks::run(std::numeric_limits<double>::infinity(),
                                  [&] { return static_cast<double>(space->function(a, b, space->param)); });
    }

    /// Options of an index of this space, which must stay where it is as long as the index lives.
    kith_options options() {
        kith_options options = kith_options();
        options.size = sizeof options;
        options.metric = native ? metric.metric : kith_metric(KITH_CUSTOM);
        options.element = native ? metric.element : kith_element(KITH_BYTES);
        options.dimensions = native ? metric.dimensions : static_cast<uint32_t>(data_size);
        if (!native) {
            options.distance = &KithSpace::distance;
            options.distance_ctx = this;
        }
        return options;
    }

    /// As kith_search(), in the precision in which distances are known.
    kith_status search(const kith_index *handle, const void *query, size_t k, const kith_search_options *options, uint64_t *keys,
                       double *distances, size_t *count) const {
        if (!native) return kith_search_double(handle, query, k, options, keys, distances, count);
        // The floats come into the first half of the room and are made doubles from behind.
        float *narrow = reinterpret_cast<float *>(distances);
        const kith_status status = kith_search(handle, query, k, options, keys, narrow, count);
        for (size_t i = *count; i-- > 0;) {
            float value;
            memcpy(&value, reinterpret_cast<char *>(distances) + i * sizeof value, sizeof value);
            distances[i] = value;
        }
        return status;
    }

    bool same_shape(const kith_info &info) {
        const kith_options mine = options();
        return info.metric == mine.metric && info.element == mine.element && info.dimensions == mine.dimensions;
    }
};

/// Owns a handle; null before an index is made or loaded.
struct KithFree {
    void operator()(kith_index *handle) const { kith_free(handle); }
};
typedef std::unique_ptr<kith_index, KithFree> KithHandle;

inline KithHandle kith_make(const kith_options &options, const char *memory) {
    kith_index *made = nullptr;
    kith_must(kith_create(&options, &made), memory);
    return KithHandle(made);
}

/// The hits of a search, nearest first, and what it took.
template <typename dist_t>
std::vector<std::pair<dist_t, labeltype>> kith_find(const KithSpace<dist_t> &space, const kith_index *handle, const void *query, size_t k, size_t ef,
                                                    BaseFilterFunctor *filter, kith_search_stats &stats) {
    const size_t most_ef = 1 << 20, few = 64;
    kith_search_options options = kith_search_options();
    options.size = sizeof options;
    options.ef = static_cast<uint32_t>((std::min)(ef, most_ef));
    if (filter) {
        options.filter = kith_call_filter;
        options.filter_ctx = filter;
    }
    stats.size = sizeof stats;
    options.stats = &stats;

    uint64_t few_keys[few];
    double few_distances[few];
    std::vector<uint64_t> many_keys(k > few ? k : 0);
    std::vector<double> many_distances(k > few ? k : 0);
    uint64_t *keys = k > few ? many_keys.data() : few_keys;
    double *distances = k > few ? many_distances.data() : few_distances;

    size_t count = 0;
    KithCallbacks callbacks(handle);
    const kith_status status = space.search(handle, query, k, &options, keys, distances, &count);
    callbacks.rethrow();
    kith_must(status, "Not enough memory");
    std::vector<std::pair<dist_t, labeltype>> hits;
    hits.reserve(count);
    for (size_t i = 0; i < count; i++) hits.emplace_back(static_cast<dist_t>(distances[i]), static_cast<labeltype>(keys[i]));
    return hits;
}

/// The same hits as hnswlib's heap, the farthest on top.
template <typename dist_t>
std::priority_queue<std::pair<dist_t, labeltype>> kith_heap(std::vector<std::pair<dist_t, labeltype>> hits) {
    return std::priority_queue<std::pair<dist_t, labeltype>>(std::less<std::pair<dist_t, labeltype>>(), std::move(hits));
}

/// What hnswlib lets a program do with its memory and kith cannot: using it does not compile and says why.
template <typename Tag>
struct KithNever {
    static const bool value = false;
};

template <typename Text>
class KithUnsupported {
 public:
    template <typename T>
    operator T() const {
        static_assert(KithNever<T>::value, "kith: this member of hnswlib is raw memory of its graph, which kith does not have; use "
                                           "kith_neighbours() for links, getDataByInternalId() for vectors, kith_export() for files");
        return T();
    }
    template <typename T>
    KithUnsupported &operator=(const T &) {
        static_assert(KithNever<T>::value, "kith: this member of hnswlib is raw memory of its graph, which kith does not have; use "
                                           "addPoint() or kith_import()");
        return *this;
    }
    template <typename T>
    char &operator[](const T &) const {
        static_assert(KithNever<T>::value, "kith: this member of hnswlib is raw memory of its graph, which kith does not have; use "
                                           "kith_neighbours() for links, getDataByInternalId() for vectors, kith_export() for files");
        static char none;
        return none;
    }
};

/// A file or a stream in memory.
inline std::string kith_read_all(std::istream &in) {
    if (!in.good()) HNSWLIB_THROW_RUNTIME_ERROR("Cannot load index: input stream is not open or not readable");
    std::string bytes;
    char piece[65536];
    while (in.read(piece, sizeof piece) || in.gcount() > 0) bytes.append(piece, static_cast<size_t>(in.gcount()));
    return bytes;
}

/// Hands what the library writes on to a stream.
inline int kith_call_stream(void *ctx, const void *data, size_t bytes) {
    std::ostream &out = *static_cast<std::ostream *>(ctx);
    return KithCallbacks::run(1, [&] {
        out.write(static_cast<const char *>(data), static_cast<std::streamsize>(bytes));
        return out.good() ? 0 : 1;
    });
}

/// A count that others may read at any time; only the index changes it.
class KithCount {
 public:
    KithCount() : value_(0) {}
    operator size_t() const { return value_.load(std::memory_order_acquire); }
    size_t load(std::memory_order order = std::memory_order_seq_cst) const { return value_.load(order); }
    KithCount(const KithCount &) = delete;
    // The index counts its elements itself; hnswlib's programs that write its graph by hand cannot do so here.
    KithCount &operator=(const KithCount &) = delete;
    template <typename T>
    KithCount &operator=(const T &) = delete;
    KithCount &operator++() = delete;
    KithCount &operator--() = delete;
    size_t operator++(int) = delete;
    size_t operator--(int) = delete;
    /// For the index.
    void kith_set(size_t value) { value_.store(value, std::memory_order_release); }

 private:
    std::atomic<size_t> value_;
};

/// Where an index is loaded from: a path or bytes.
class KithSource {
 public:
    explicit KithSource(const std::string &path) : path_(&path), bytes_(nullptr) {
        std::ifstream file(path, std::ios::binary);
        if (!file.is_open()) HNSWLIB_THROW_RUNTIME_ERROR("Cannot open file");
        file.read(head_, sizeof head_);
        known_ = static_cast<size_t>(file.gcount());
    }
    explicit KithSource(const std::string *bytes) : path_(nullptr), bytes_(bytes) {
        known_ = (std::min)(bytes->size(), sizeof head_);
        memcpy(head_, bytes->data(), known_);
    }

    /// A number of the file's head.
    uint64_t word(size_t offset) const {
        uint64_t value = 0;
        if (offset + sizeof value <= known_) memcpy(&value, head_ + offset, sizeof value);
        return value;
    }

    /// Whatever is wrong with a file, hnswlib has one sentence for it.
    template <typename dist_t>
    KithHandle load(kith_format format, KithSpace<dist_t> &space, kith_options options, const char *memory) const {
        kith_index *loaded = nullptr;
        kith_status status;
        // Vectors that nothing links to are linked anew, by the space's distance.
        KithCallbacks callbacks(nullptr);
        if (path_ && known_ >= 5 && memcmp(head_, "\x89KITH", 5) == 0) {
            status = kith_open(path_->c_str(), 0, &loaded);
        } else if (path_) {
            status = kith_import(path_->c_str(), format, &options, &loaded);
        } else {
            status = kith_import_buffer(bytes_->data(), bytes_->size(), format, &options, &loaded);
        }
        KithHandle handle(loaded);
        callbacks.rethrow();
        if (status == KITH_ERROR_MEMORY) HNSWLIB_THROW_RUNTIME_ERROR(memory);
        if (status == KITH_ERROR_IO) HNSWLIB_THROW_RUNTIME_ERROR("Cannot open file");
        kith_info info = kith_info();
        info.size = sizeof info;
        if (status != KITH_OK || kith_describe(loaded, &info) != KITH_OK || !space.same_shape(info))
            HNSWLIB_THROW_RUNTIME_ERROR("Index seems to be corrupted or unsupported");
        return handle;
    }

 private:
    const std::string *path_;
    const std::string *bytes_;
    char head_[32];
    size_t known_;
};

/// Writes an index as a file of hnswlib's.
inline void kith_save_as(const kith_index *handle, kith_format format, uint64_t capacity, const std::string &path) {
    kith_export_options options = kith_export_options();
    options.size = sizeof options;
    options.capacity = capacity;
    const kith_status status = kith_export(handle, path.c_str(), format, &options);
    if (status == KITH_ERROR_IO) HNSWLIB_THROW_RUNTIME_ERROR(std::string("Cannot save index: ") + kith_last_error());
    kith_must(status, "Not enough memory");
}

inline void kith_save_as(const kith_index *handle, kith_format format, uint64_t capacity, std::ostream &out) {
    if (!out.good()) HNSWLIB_THROW_RUNTIME_ERROR("Cannot save index: output stream is not open or in a failed state");
    kith_export_options options = kith_export_options();
    options.size = sizeof options;
    options.capacity = capacity;
    KithCallbacks callbacks(handle);
    const kith_status status = kith_export_to(handle, kith_call_stream, &out, format, &options);
    callbacks.rethrow();
    if (status == KITH_ERROR_IO) HNSWLIB_THROW_RUNTIME_ERROR("Failed writing vector data");
    kith_must(status, "Not enough memory");
}

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
