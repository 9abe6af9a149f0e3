/*
 * kith for C++17 and later: a thin, header-only layer over kith.h. Copyright the kith authors; MIT or Apache-2.0, at your choice.
 *
 *     #include <kith.hpp>
 *
 *     kith::options options;
 *     options.dimensions = 3;
 *     kith::index index(options);
 *     index.insert(7, {1.0f, 2.0f, 3.0f});
 *     for (kith::hit hit : index.search({1.0f, 2.0f, 2.5f}, 10)) std::cout << hit.key << " at " << hit.distance << "\n";
 *
 * Link with -lkith. There is nothing here that kith.h cannot do; what a call does, and when it fails, stands there. What this layer
 * adds:
 *
 * - kith::index owns a handle, moves, and ends it with kith_free(). It is as safe for threads as the handle: every method may run at
 *   the same time as every other, but for the destructor and moving.
 * - A failed call throws kith::error, with the status and the sentence of kith_last_error(). Absence is no failure where the answer
 *   says it: remove() and contains() return bool, find() an optional.
 * - Vectors are whatever has data() and size() over contiguous components: std::vector, std::array, std::span, arrays. The type of
 *   the components is checked against the index's (kith::element_of says which goes with which), and so is their number.
 * - Filters and progress are callables. An exception that leaves one ends the call as soon as the library lets it and is thrown
 *   again from the method, never through the library.
 */
#ifndef KITH_HPP
#define KITH_HPP

#include "kith.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(_MSVC_LANG) ? _MSVC_LANG < 201703L : __cplusplus < 201703L
#error "kith.hpp needs C++17; kith.h works with every standard"
#endif

namespace kith {

/// A call of the library failed.
class error : public std::runtime_error {
public:
    error(kith_status status, const std::string &text) : std::runtime_error(text), status_(status) {}
    /// KITH_ERROR_ARGUMENT and so on.
    kith_status status() const noexcept { return status_; }

private:
    kith_status status_;
};

/// Throws what a status says, if it says anything. For calls of kith.h beside this layer; on the thread that made the call.
inline void check(kith_status status) {
    if (status != KITH_OK) throw error(status, kith_last_error());
}

/// As the KITH_ constants of the same names.
enum class metric : std::uint32_t {
    l2 = KITH_L2,
    inner_product = KITH_INNER_PRODUCT,
    cosine = KITH_COSINE,
    l1 = KITH_L1,
    hamming = KITH_HAMMING,
    jaccard = KITH_JACCARD
};
enum class element : std::uint32_t {
    f32 = KITH_F32,
    f16 = KITH_F16,
    bf16 = KITH_BF16,
    i8 = KITH_I8,
    u8 = KITH_U8,
    b1 = KITH_B1
};
enum class kind : std::uint32_t { automatic = KITH_KIND_AUTO, flat = KITH_KIND_FLAT, graph = KITH_KIND_GRAPH };
enum class quantizer : std::uint32_t { automatic = KITH_QUANTIZER_AUTO, none = KITH_QUANTIZER_NONE };

/// The bits of an IEEE half; any conversion to and from float is the caller's.
struct half {
    std::uint16_t bits;
};
/// The upper 16 bits of a float.
struct bfloat {
    std::uint16_t bits;
};
/// Eight components of an index of bits; component 0 is the lowest bit of the first.
struct bits8 {
    std::uint8_t bits;
};

/// Which element type a C++ type is. Specialise it for a 16-bit type of your own: `static constexpr element value = element::f16;`
/// and `static constexpr std::size_t components = 1;`.
template <class T> struct element_of;
template <> struct element_of<float> {
    static constexpr element value = element::f32;
    static constexpr std::size_t components = 1;
};
template <> struct element_of<half> {
    static constexpr element value = element::f16;
    static constexpr std::size_t components = 1;
};
template <> struct element_of<bfloat> {
    static constexpr element value = element::bf16;
    static constexpr std::size_t components = 1;
};
template <> struct element_of<std::int8_t> {
    static constexpr element value = element::i8;
    static constexpr std::size_t components = 1;
};
template <> struct element_of<std::uint8_t> {
    static constexpr element value = element::u8;
    static constexpr std::size_t components = 1;
};
template <> struct element_of<bits8> {
    static constexpr element value = element::b1;
    static constexpr std::size_t components = 8;
};

/// A vector that was found.
struct hit {
    std::uint64_t key;
    float distance;
    friend bool operator==(hit a, hit b) noexcept { return a.key == b.key && a.distance == b.distance; }
    friend bool operator!=(hit a, hit b) noexcept { return !(a == b); }
};

/// Walks two arrays of keys and distances as one of hits.
class hit_iterator {
public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = hit;
    using difference_type = std::ptrdiff_t;
    using reference = hit;
    /// Hits stand nowhere, so what -> gives is a copy.
    class pointer {
    public:
        explicit pointer(hit value) noexcept : value_(value) {}
        const hit *operator->() const noexcept { return &value_; }

    private:
        hit value_;
    };

    hit_iterator() noexcept = default;
    hit_iterator(const std::uint64_t *key, const float *distance) noexcept : key_(key), distance_(distance) {}
    hit operator*() const noexcept { return {*key_, *distance_}; }
    pointer operator->() const noexcept { return pointer(**this); }
    hit operator[](difference_type n) const noexcept { return {key_[n], distance_[n]}; }
    hit_iterator &operator+=(difference_type n) noexcept {
        key_ += n;
        distance_ += n;
        return *this;
    }
    hit_iterator &operator-=(difference_type n) noexcept { return *this += -n; }
    hit_iterator &operator++() noexcept { return *this += 1; }
    hit_iterator &operator--() noexcept { return *this -= 1; }
    hit_iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
    hit_iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
    friend hit_iterator operator+(hit_iterator at, difference_type n) noexcept { return at += n; }
    friend hit_iterator operator+(difference_type n, hit_iterator at) noexcept { return at += n; }
    friend hit_iterator operator-(hit_iterator at, difference_type n) noexcept { return at -= n; }
    friend difference_type operator-(hit_iterator a, hit_iterator b) noexcept { return a.key_ - b.key_; }
    friend bool operator==(hit_iterator a, hit_iterator b) noexcept { return a.key_ == b.key_; }
    friend bool operator!=(hit_iterator a, hit_iterator b) noexcept { return a.key_ != b.key_; }
    friend bool operator<(hit_iterator a, hit_iterator b) noexcept { return a.key_ < b.key_; }
    friend bool operator>(hit_iterator a, hit_iterator b) noexcept { return a.key_ > b.key_; }
    friend bool operator<=(hit_iterator a, hit_iterator b) noexcept { return a.key_ <= b.key_; }
    friend bool operator>=(hit_iterator a, hit_iterator b) noexcept { return a.key_ >= b.key_; }

private:
    const std::uint64_t *key_ = nullptr;
    const float *distance_ = nullptr;
};

/// The hits of one query, best first, in arrays of somebody else. Good as long as those are.
class hits_view {
public:
    using value_type = hit;
    using iterator = hit_iterator;
    using const_iterator = hit_iterator;

    hits_view(const std::uint64_t *keys, const float *distances, std::size_t count) noexcept
        : keys_(keys), distances_(distances), count_(count) {}
    iterator begin() const noexcept { return {keys_, distances_}; }
    iterator end() const noexcept { return begin() + static_cast<std::ptrdiff_t>(count_); }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    hit operator[](std::size_t i) const noexcept { return {keys_[i], distances_[i]}; }
    /// size() keys and distances behind each other.
    const std::uint64_t *keys() const noexcept { return keys_; }
    const float *distances() const noexcept { return distances_; }

private:
    const std::uint64_t *keys_;
    const float *distances_;
    std::size_t count_;
};

/// The hits of one query, best first.
class hits {
public:
    using value_type = hit;
    using iterator = hit_iterator;
    using const_iterator = hit_iterator;

    explicit hits(std::size_t room) : keys_(room), distances_(room) {}
    iterator begin() const noexcept { return {keys_.data(), distances_.data()}; }
    iterator end() const noexcept { return begin() + static_cast<std::ptrdiff_t>(keys_.size()); }
    std::size_t size() const noexcept { return keys_.size(); }
    bool empty() const noexcept { return keys_.empty(); }
    hit operator[](std::size_t i) const noexcept { return {keys_[i], distances_[i]}; }
    const std::vector<std::uint64_t> &keys() const noexcept { return keys_; }
    const std::vector<float> &distances() const noexcept { return distances_; }

private:
    friend class index;
    std::vector<std::uint64_t> keys_;
    std::vector<float> distances_;
};

/// The hits of many queries, in the order of the queries.
class batch_hits {
public:
    batch_hits(std::size_t queries, std::size_t k) : k_(k), keys_(queries * k), distances_(queries * k), counts_(queries) {}
    /// Number of queries.
    std::size_t size() const noexcept { return counts_.size(); }
    hits_view operator[](std::size_t query) const noexcept {
        return {keys_.data() + query * k_, distances_.data() + query * k_, counts_[query]};
    }

private:
    friend class index;
    std::size_t k_;
    std::vector<std::uint64_t> keys_;
    std::vector<float> distances_;
    std::vector<std::size_t> counts_;
};

/// As kith_options: 0 means the default.
struct options {
    std::uint32_t dimensions = 0;
    kith::metric metric = kith::metric::l2;
    kith::element element = kith::element::f32;
    kith::kind kind = kith::kind::automatic;
    kith::quantizer quantizer = kith::quantizer::automatic;
    std::uint32_t m = 0;
    std::uint32_t ef_construction = 0;
    std::uint32_t ef_search = 0;
    std::uint64_t capacity = 0;
    std::uint64_t seed = 0;
};

/// On which threads a filter may be called.
enum class filter_threads { caller, any };

/// As kith_search_options.
struct search_options {
    std::uint32_t ef = 0;
    std::uint32_t threads = 0;
    /// Which keys may be returned; empty: all.
    std::function<bool(std::uint64_t key)> filter = {};
    filter_threads filter_on = filter_threads::caller;
};

/// What an insert does with a key that is present.
enum class present { refuse, replace };

/// As kith_build_options.
struct build_options {
    std::uint32_t threads = 0;
    /// Told vectors done and vectors in all; false cancels. Empty: nobody is told.
    std::function<bool(std::uint64_t done, std::uint64_t total)> progress = {};
    kith::present present = kith::present::refuse;
};

/// Flags of index::open, to be combined with |.
enum class open_flags : std::uint64_t {
    none = 0,
    mapped = KITH_OPEN_MAPPED,
    read_only = KITH_OPEN_READ_ONLY,
    unchecked = KITH_OPEN_UNCHECKED,
    one_thread = KITH_OPEN_ONE_THREAD
};
constexpr open_flags operator|(open_flags a, open_flags b) noexcept {
    return static_cast<open_flags>(static_cast<std::uint64_t>(a) | static_cast<std::uint64_t>(b));
}

namespace detail {

/// The component type of a range with contiguous components.
template <class Range>
using component_t = std::remove_cv_t<std::remove_pointer_t<decltype(std::data(std::declval<const Range &>()))>>;

/// The first exception that leaves a callback of one call, kept until the call has returned.
class carried {
public:
    void keep() noexcept {
        if (!taken_.test_and_set()) {
            thrown_ = std::current_exception();
            there_.store(true, std::memory_order_release);
        }
    }
    bool there() const noexcept { return there_.load(std::memory_order_acquire); }
    void rethrow() const {
        if (there()) std::rethrow_exception(thrown_);
    }

private:
    std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
    std::atomic<bool> there_{false};
    std::exception_ptr thrown_;
};

/// A search's options as C wants them, with the filter behind a function that lets no exception out.
class search_call {
public:
    explicit search_call(const search_options &options) : filter_(options.filter), raw_() {
        raw_.size = sizeof raw_;
        raw_.ef = options.ef;
        raw_.threads = options.threads;
        if (filter_) {
            raw_.filter = [](void *ctx, std::uint64_t key) noexcept { return static_cast<search_call *>(ctx)->keeps(key); };
            raw_.filter_ctx = this;
            if (options.filter_on == filter_threads::any) raw_.flags = KITH_FILTER_ANY_THREAD;
        }
    }
    search_call(const search_call &) = delete;
    search_call &operator=(const search_call &) = delete;
    const kith_search_options *raw() const noexcept { return &raw_; }
    /// To be called with what the library returned.
    void finish(kith_status status) const {
        thrown_.rethrow();
        check(status);
    }

private:
    int keeps(std::uint64_t key) noexcept {
        // After an exception nothing is kept, and the callable is left alone.
        if (thrown_.there()) return 0;
        try {
            return filter_(key) ? 1 : 0;
        } catch (...) {
            thrown_.keep();
            return 0;
        }
    }
    const std::function<bool(std::uint64_t)> &filter_;
    carried thrown_;
    kith_search_options raw_;
};

/// As search_call, for batches that are inserted.
class build_call {
public:
    explicit build_call(const build_options &options) : progress_(options.progress), raw_() {
        raw_.size = sizeof raw_;
        raw_.threads = options.threads;
        if (options.present == present::replace) raw_.flags = KITH_UPSERT;
        if (progress_) {
            raw_.progress = [](void *ctx, std::uint64_t done, std::uint64_t total) noexcept {
                return static_cast<build_call *>(ctx)->cancels(done, total);
            };
            raw_.progress_ctx = this;
        }
    }
    build_call(const build_call &) = delete;
    build_call &operator=(const build_call &) = delete;
    const kith_build_options *raw() const noexcept { return &raw_; }
    void finish(kith_status status) const {
        thrown_.rethrow();
        check(status);
    }

private:
    int cancels(std::uint64_t done, std::uint64_t total) noexcept {
        if (thrown_.there()) return 1;
        try {
            return progress_(done, total) ? 0 : 1;
        } catch (...) {
            thrown_.keep();
            return 1;
        }
    }
    const std::function<bool(std::uint64_t, std::uint64_t)> &progress_;
    carried thrown_;
    kith_build_options raw_;
};

} // namespace detail

/// A vector index: see kith.h.
class index {
public:
    /// No index; every call but assignment throws.
    index() noexcept = default;

    /// kith_create().
    explicit index(const options &options) {
        kith_options raw = kith_options();
        raw.size = sizeof raw;
        raw.dimensions = options.dimensions;
        raw.metric = static_cast<kith_metric>(options.metric);
        raw.element = static_cast<kith_element>(options.element);
        raw.kind = static_cast<kith_kind>(options.kind);
        raw.quantizer = static_cast<kith_quantizer>(options.quantizer);
        raw.m = options.m;
        raw.ef_construction = options.ef_construction;
        raw.ef_search = options.ef_search;
        raw.capacity = options.capacity;
        raw.seed = options.seed;
        kith_index *made = nullptr;
        check(kith_create(&raw, &made));
        take(made);
    }

    /// kith_open().
    static index open(const std::string &path, open_flags flags = open_flags::none) {
        kith_index *opened = nullptr;
        check(kith_open(path.c_str(), static_cast<std::uint64_t>(flags), &opened));
        return adopt(opened);
    }

    /// Takes over a handle of kith.h.
    static index adopt(kith_index *handle) {
        index result;
        result.take(handle);
        return result;
    }

    /// The handle, for calls of kith.h; it stays this object's.
    kith_index *handle() noexcept { return handle_.get(); }
    const kith_index *handle() const noexcept { return handle_.get(); }
    /// Gives the handle away.
    kith_index *release() noexcept { return handle_.release(); }
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    // ---- content

    /// kith_insert(): throws KITH_ERROR_EXISTS if the key is there.
    template <class Vector> void insert(std::uint64_t key, const Vector &vector) {
        check(kith_insert(handle(), key, whole(vector, "insert")));
    }
    void insert(std::uint64_t key, std::initializer_list<float> vector) { insert<std::initializer_list<float>>(key, vector); }

    /// kith_upsert().
    template <class Vector> void upsert(std::uint64_t key, const Vector &vector) {
        check(kith_upsert(handle(), key, whole(vector, "upsert")));
    }
    void upsert(std::uint64_t key, std::initializer_list<float> vector) { upsert<std::initializer_list<float>>(key, vector); }

    /// kith_insert_batch() of packed vectors: as many as keys, one behind the other.
    template <class Keys, class Vectors>
    void insert_batch(const Keys &keys, const Vectors &vectors, const build_options &options = {}) {
        static_assert(std::is_same_v<detail::component_t<Keys>, std::uint64_t>, "keys are std::uint64_t");
        const std::size_t count = std::size(keys);
        const void *first = many(vectors, count, "insert_batch");
        detail::build_call call(options);
        call.finish(kith_insert_batch(handle(), count, std::data(keys), first, 0, call.raw()));
    }

    /// kith_remove(); false if the key is not there.
    bool remove(std::uint64_t key) {
        const kith_status status = kith_remove(handle(), key);
        if (status == KITH_ERROR_NOT_FOUND) return false;
        check(status);
        return true;
    }

    /// kith_remove_batch(): says how many were there.
    template <class Keys> std::size_t remove_batch(const Keys &keys) {
        static_assert(std::is_same_v<detail::component_t<Keys>, std::uint64_t>, "keys are std::uint64_t");
        std::size_t removed = 0;
        check(kith_remove_batch(handle(), std::size(keys), std::data(keys), &removed));
        return removed;
    }

    void clear() { check(kith_clear(handle())); }
    void reserve(std::uint64_t capacity) { check(kith_reserve(handle(), capacity)); }

    /// kith_maintain(): works for about so long; says how many places of removed vectors are not free yet.
    std::uint64_t maintain(std::chrono::microseconds budget) {
        std::uint64_t pending = 0;
        check(kith_maintain(handle(), budget.count() < 0 ? 0 : static_cast<std::uint64_t>(budget.count()), &pending));
        return pending;
    }

    /// kith_compact().
    void compact(const build_options &options = {}) {
        detail::build_call call(options);
        call.finish(kith_compact(handle(), call.raw()));
    }

    // ---- search

    /// kith_search().
    template <class Vector> hits search(const Vector &query, std::size_t k, const search_options &options = {}) const {
        hits found(k);
        const std::size_t count = search_into(query, k, found.keys_.data(), found.distances_.data(), options);
        found.keys_.resize(count);
        found.distances_.resize(count);
        return found;
    }
    hits search(std::initializer_list<float> query, std::size_t k, const search_options &options = {}) const {
        return search<std::initializer_list<float>>(query, k, options);
    }

    /// kith_search() into arrays of the caller, `k` places each; `distances` may be null. Says how many hits there are. Allocates
    /// nothing after the first calls.
    template <class Vector>
    std::size_t search_into(const Vector &query, std::size_t k, std::uint64_t *keys, float *distances,
                            const search_options &options = {}) const {
        const void *vector = whole(query, "search");
        detail::search_call call(options);
        std::size_t count = 0;
        call.finish(kith_search(handle(), vector, k, call.raw(), keys, distances, &count));
        return count;
    }

    /// kith_search_batch() of `queries` packed vectors.
    template <class Vectors>
    batch_hits search_batch(const Vectors &vectors, std::size_t queries, std::size_t k, const search_options &options = {}) const {
        const void *first = many(vectors, queries, "search_batch");
        batch_hits found(queries, k);
        detail::search_call call(options);
        call.finish(kith_search_batch(handle(), queries, first, 0, k, call.raw(), found.keys_.data(), found.distances_.data(),
                                      found.counts_.data()));
        return found;
    }

    // ---- reading

    /// kith_get(); throws KITH_ERROR_NOT_FOUND.
    template <class T = float> std::vector<T> get(std::uint64_t key) const {
        std::vector<T> vector = empty_vector<T>("get");
        check(kith_get(handle(), key, vector.data()));
        return vector;
    }

    /// kith_get(); nothing if the key is not there.
    template <class T = float> std::optional<std::vector<T>> find(std::uint64_t key) const {
        std::vector<T> vector = empty_vector<T>("find");
        const kith_status status = kith_get(handle(), key, vector.data());
        if (status == KITH_ERROR_NOT_FOUND) return std::nullopt;
        check(status);
        return vector;
    }

    bool contains(std::uint64_t key) const {
        int found = 0;
        check(kith_contains(handle(), key, &found));
        return found != 0;
    }

    /// All keys, in no particular order.
    std::vector<std::uint64_t> keys() const {
        std::vector<std::uint64_t> keys;
        std::size_t count = 0;
        check(kith_keys(handle(), nullptr, 0, &count));
        // Others may insert between the two calls.
        do {
            keys.resize(count);
            check(kith_keys(handle(), keys.data(), keys.size(), &count));
        } while (count > keys.size());
        keys.resize(count);
        return keys;
    }

    /// kith_describe().
    kith_info describe() const {
        kith_info info = kith_info();
        info.size = sizeof info;
        check(kith_describe(handle(), &info));
        return info;
    }

    std::uint64_t size() const { return describe().count; }
    bool empty() const { return size() == 0; }
    std::uint32_t dimensions() const noexcept { return shape_.dimensions; }
    kith::metric metric() const noexcept { return shape_.metric; }
    kith::element element() const noexcept { return shape_.element; }

    // ---- disk

    void save(const std::string &path) const { check(kith_save(handle(), path.c_str())); }

    static kith_info file_info(const std::string &path) {
        kith_info info = kith_info();
        info.size = sizeof info;
        check(kith_file_info(path.c_str(), &info));
        return info;
    }

private:
    struct free {
        void operator()(kith_index *handle) const noexcept { kith_free(handle); }
    };
    struct shape {
        std::uint32_t dimensions = 0;
        kith::metric metric = kith::metric::l2;
        kith::element element = kith::element::f32;
    };

    void take(kith_index *handle) {
        handle_.reset(handle);
        const kith_info info = describe();
        shape_ = {info.dimensions, static_cast<kith::metric>(info.metric), static_cast<kith::element>(info.element)};
    }

    [[noreturn]] static void refuse(const char *method, const std::string &text) {
        throw error(KITH_ERROR_ARGUMENT, std::string("kith::index::") + method + ": " + text);
    }

    /// Values of T in a vector of the index; throws if its components are of another type.
    template <class T> std::size_t values(const char *method) const {
        if (!handle_) refuse(method, "there is no index (default-made or moved from)");
        if (element_of<T>::value != shape_.element) {
            refuse(method, "the components' type is element " + std::to_string(static_cast<int>(element_of<T>::value)) +
                               ", the index's is " + std::to_string(static_cast<int>(shape_.element)));
        }
        return shape_.dimensions / element_of<T>::components;
    }

    template <class T> std::vector<T> empty_vector(const char *method) const { return std::vector<T>(values<T>(method)); }

    /// The start of one vector whose type and length fit.
    template <class Vector> const void *whole(const Vector &vector, const char *method) const { return many(vector, 1, method); }

    /// The start of `count` packed vectors.
    template <class Vectors> const void *many(const Vectors &vectors, std::size_t count, const char *method) const {
        const std::size_t one = values<detail::component_t<Vectors>>(method);
        // A division, as count * one may not fit.
        if (count == 0 ? std::size(vectors) != 0 : std::size(vectors) / count != one || std::size(vectors) % count != 0) {
            refuse(method, std::to_string(std::size(vectors)) + " components for " + std::to_string(count) + " vectors of " +
                               std::to_string(one));
        }
        return std::data(vectors);
    }

    std::unique_ptr<kith_index, free> handle_;
    shape shape_;
};

/// kith_distance() between two vectors of one length.
template <class A, class B> float distance(metric metric, const A &a, const B &b) {
    using component = detail::component_t<A>;
    static_assert(std::is_same_v<component, detail::component_t<B>>, "both vectors have components of one type");
    if (std::size(a) != std::size(b)) {
        throw error(KITH_ERROR_ARGUMENT, "kith::distance: " + std::to_string(std::size(a)) + " components against " +
                                             std::to_string(std::size(b)));
    }
    if (std::size(a) > UINT32_MAX / element_of<component>::components) {
        throw error(KITH_ERROR_ARGUMENT, "kith::distance: " + std::to_string(std::size(a)) + " components are too many");
    }
    float result = 0;
    check(kith_distance(static_cast<kith_metric>(metric), static_cast<kith_element>(element_of<component>::value),
                        static_cast<std::uint32_t>(std::size(a) * element_of<component>::components), std::data(a), std::data(b),
                        &result));
    return result;
}

} // namespace kith

#endif // KITH_HPP
