/*
 * What calls take and give: errors, options, vectors, hits. Part of kith.hpp, which is what to include. Copyright the kith authors; MIT or Apache-2.0, at your choice.
 */
#ifndef KITH_TYPES_HPP
#define KITH_TYPES_HPP

#include "../kith.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
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
    jaccard = KITH_JACCARD,
    custom = KITH_CUSTOM
};
enum class element : std::uint32_t {
    f32 = KITH_F32,
    f16 = KITH_F16,
    bf16 = KITH_BF16,
    i8 = KITH_I8,
    u8 = KITH_U8,
    b1 = KITH_B1,
    bytes = KITH_BYTES
};
enum class kind : std::uint32_t { automatic = KITH_KIND_AUTO, flat = KITH_KIND_FLAT, graph = KITH_KIND_GRAPH };
enum class quantizer : std::uint32_t {
    automatic = KITH_QUANTIZER_AUTO,
    none = KITH_QUANTIZER_NONE,
    projected4 = KITH_QUANTIZER_PROJECTED4,
    bytes = KITH_QUANTIZER_BYTES,
    leading8 = KITH_QUANTIZER_LEADING8,
    leading8_fine = KITH_QUANTIZER_LEADING8_FINE,
    projected2 = KITH_QUANTIZER_PROJECTED2,
    projected1 = KITH_QUANTIZER_PROJECTED1,
    product = KITH_QUANTIZER_PRODUCT,
    signs = KITH_QUANTIZER_SIGNS,
    bytes_projected4 = KITH_QUANTIZER_BYTES_PROJECTED4
};
enum class sync : std::uint32_t { commit = KITH_SYNC_COMMIT, interval = KITH_SYNC_INTERVAL, never = KITH_SYNC_NEVER };
enum class format : std::uint32_t {
    hnswlib = KITH_FORMAT_HNSWLIB,
    hnswlib_flat = KITH_FORMAT_HNSWLIB_FLAT,
    usearch = KITH_FORMAT_USEARCH,
    faiss = KITH_FORMAT_FAISS
};

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

/// Of an index of bytes, which only the distance in its options understands.
template <> struct element_of<std::byte> {
    static constexpr element value = element::bytes;
    static constexpr std::size_t components = 1;
};

/// A vector that was found.
struct hit {
    std::uint64_t key;
    float distance;
    friend bool operator==(hit a, hit b) noexcept { return a.key == b.key && a.distance == b.distance; }
    friend bool operator!=(hit a, hit b) noexcept { return !(a == b); }
};

/// A vector that was found, with the distance as the index's own distance function gave it.
struct double_hit {
    std::uint64_t key;
    double distance;
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
    /// With kind::automatic: so many vectors make the index a graph.
    std::uint64_t graph_from = 0;
    kith::quantizer quantizer = kith::quantizer::automatic;
    /// 0: chosen from the vectors; see kith_options.
    std::uint32_t m = 0;
    std::uint32_t ef_construction = 0;
    std::uint32_t ef_search = 0;
    std::uint64_t capacity = 0;
    std::uint64_t seed = 0;
    /// KITH_KEEP_REMOVED.
    bool keep_removed = false;
    /// KITH_FIXED_CAPACITY.
    bool fixed_capacity = false;
    /// With metric::custom and element::bytes: the distance between two elements, smaller is nearer. The index keeps a copy, which is
    /// called from every thread that uses the index, from several at once, and may throw.
    std::function<double(const void *a, const void *b)> distance = {};
    /// Most bytes that the index may hold; 0: any amount. See index::set_memory_limit().
    std::uint64_t memory_limit = 0;
    /// element::f16 or bf16: vectors of f32 are held rounded to that.
    kith::element held = kith::element::f32;
    /// With quantizer::automatic: the library chooses what takes at most so many bytes per vector, all in; 0: any amount.
    std::uint32_t bytes_per_vector = 0;
};

/// As kith_log_options: 0 means the default.
struct log_options {
    kith::sync sync = kith::sync::commit;
    std::uint32_t interval_ms = 0;
    std::uint32_t threads = 0;
    std::uint64_t checkpoint_bytes = 0;
};

/// As kith_search_stats.
struct search_stats {
    std::uint64_t distances = 0;
    std::uint64_t hops = 0;
    /// Distances are those of what is held in place of the vectors.
    bool nearly = false;
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
    /// Receives what the search took, when it succeeds; may be null.
    search_stats *stats = nullptr;
    /// Share of the true nearest to be found on average, in place of a breadth; then ef is the most breadth. 0: none.
    float recall = 0;
};

/// As kith_observer: watches a search and says when it ends. See kith_search_observed().
class observer {
public:
    virtual ~observer() = default;
    /// Whether the search ends before it goes on from the nearest candidate that is left, at this distance.
    virtual bool stop(double candidate, double bound) = 0;
    /// Whether what was met becomes a candidate.
    virtual bool consider(double distance, double bound) = 0;
    /// A candidate became a hit. The vector is the stored one, to be read during the call.
    virtual void add(std::uint64_t key, const void *vector, double distance) = 0;
    /// The farthest hit was dropped.
    virtual void drop(std::uint64_t key, const void *vector, double distance) = 0;
    /// Whether there are more hits than wanted.
    virtual bool excess() = 0;
};

/// What an insert does with a key that is present.
enum class present { refuse, replace };

/// As kith_build_options.
struct build_options {
    std::uint32_t threads = 0;
    /// Told vectors done and vectors in all; false cancels. Empty: nobody is told.
    std::function<bool(std::uint64_t done, std::uint64_t total)> progress = {};
    kith::present present = kith::present::refuse;
    /// KITH_BUILD_FAST.
    bool fast = false;
};

/// Flags of index::open, to be combined with |.
enum class open_flags : std::uint64_t {
    none = 0,
    mapped = KITH_OPEN_MAPPED,
    read_only = KITH_OPEN_READ_ONLY,
    unchecked = KITH_OPEN_UNCHECKED,
    one_thread = KITH_OPEN_ONE_THREAD,
    vectors_mapped = KITH_OPEN_VECTORS_MAPPED
};
constexpr open_flags operator|(open_flags a, open_flags b) noexcept {
    return static_cast<open_flags>(static_cast<std::uint64_t>(a) | static_cast<std::uint64_t>(b));
}

} // namespace kith

#endif // KITH_TYPES_HPP
