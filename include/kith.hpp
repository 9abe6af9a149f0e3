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
 * - Filters, progress, observers and distances are callables or objects. An exception that leaves one ends the call as soon as the library lets it and is thrown
 *   again from the method, never through the library.
 */
#ifndef KITH_HPP
#define KITH_HPP

#include "kith/calls.hpp"
#include "kith/types.hpp"

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <type_traits>

namespace kith {

/// A vector index: see kith.h.
class index {
public:
    /// No index; every call but assignment throws.
    index() noexcept = default;
    index(index &&) noexcept = default;
    index &operator=(index &&other) noexcept {
        // The old handle goes before the distance function that it calls.
        handle_ = std::move(other.handle_);
        distance_ = std::move(other.distance_);
        shape_ = other.shape_;
        return *this;
    }

    /// kith_create().
    explicit index(const options &options) : distance_(own(options)) {
        const kith_options raw = detail::raw(options, distance_.get());
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

    /// kith_open_buffer(). With open_flags::mapped the bytes are used where they lie, and must stay there.
    static index open_buffer(const void *bytes, std::size_t count, open_flags flags = open_flags::none) {
        kith_index *opened = nullptr;
        check(kith_open_buffer(bytes, count, static_cast<std::uint64_t>(flags), &opened));
        return adopt(opened);
    }

    /// kith_open_directory(): the index that lives there, or a new one of these options.
    static index open_directory(const std::string &path, const options &options, const log_options &log = {}) {
        const kith_options raw = detail::raw(options, nullptr);
        if (options.distance) refuse("open_directory", "a directory cannot hold a distance function");
        return open_directory(path, &raw, log);
    }
    /// kith_open_directory(): an index must be there.
    static index open_directory(const std::string &path, const log_options &log = {}) { return open_directory(path, nullptr, log); }

    /// kith_import(): an index with the content of another library's file.
    static index import_file(const std::string &path, format format, const options &options = {}) {
        return imported(options, [&](const kith_options *raw, kith_index **made) {
            return kith_import(path.c_str(), static_cast<kith_format>(format), raw, made);
        });
    }
    /// kith_import_buffer().
    static index import_buffer(const void *bytes, std::size_t count, format format, const options &options = {}) {
        return imported(options, [&](const kith_options *raw, kith_index **made) {
            return kith_import_buffer(bytes, count, static_cast<kith_format>(format), raw, made);
        });
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
    /// Gives the handle away. Not of an index that was made with a distance function, which is this object's.
    kith_index *release() {
        if (distance_) refuse("release", "the handle needs the distance function of this object");
        return handle_.release();
    }
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    // ---- content

    /// kith_insert(): throws KITH_ERROR_EXISTS if the key is there.
    template <class Vector> void insert(std::uint64_t key, const Vector &vector) {
        const void *first = whole(vector, "insert");
        detail::call call;
        const kith_status status = kith_insert(handle(), key, first);
        if (status == KITH_OK && call.thrown.there()) {
            kith_remove(handle(), key);
            kith_forget(handle(), key);
        }
        call.finish(status);
    }
    void insert(std::uint64_t key, std::initializer_list<float> vector) { insert<std::initializer_list<float>>(key, vector); }

    /// kith_upsert(). After an exception of a distance function the key has the new vector.
    template <class Vector> void upsert(std::uint64_t key, const Vector &vector) {
        const void *first = whole(vector, "upsert");
        detail::call call;
        call.finish(kith_upsert(handle(), key, first));
    }
    void upsert(std::uint64_t key, std::initializer_list<float> vector) { upsert<std::initializer_list<float>>(key, vector); }

    /// kith_insert_batch() of packed vectors: as many as keys, one behind the other.
    template <class Keys, class Vectors>
    void insert_batch(const Keys &keys, const Vectors &vectors, const build_options &options = {}) {
        static_assert(std::is_same_v<detail::component_t<Keys>, std::uint64_t>, "keys are std::uint64_t");
        const std::size_t count = std::size(keys);
        const void *first = many(vectors, count, "insert_batch");
        detail::build_call call(options, distance_.get());
        call.finish(kith_insert_batch(handle(), count, std::data(keys), first, 0, call.raw()));
    }

    /// kith_insert_from(): `read(std::size_t first, std::size_t count, std::uint64_t *keys, void *vectors)` brings the vectors, piece by piece, and says whether to go on.
    template <class Read> void insert_from(std::size_t count, Read &&read, const build_options &options = {}) {
        detail::read_call<Read> call(read, options, distance_.get());
        call.finish(kith_insert_from(handle(), count, call.fill, &call, call.raw()));
    }

    /// kith_remove(); false if the key is not there.
    bool remove(std::uint64_t key) {
        return present_in(kith_remove(handle(), key));
    }

    /// kith_remove_batch(): says how many were there.
    template <class Keys> std::size_t remove_batch(const Keys &keys) {
        static_assert(std::is_same_v<detail::component_t<Keys>, std::uint64_t>, "keys are std::uint64_t");
        std::size_t removed = 0;
        check(kith_remove_batch(handle(), std::size(keys), std::data(keys), &removed));
        return removed;
    }

    /// kith_undelete(); false if there is nothing to bring back.
    bool undelete(std::uint64_t key) { return present_in(kith_undelete(handle(), key)); }

    /// kith_forget(); false if there was nothing.
    bool forget(std::uint64_t key) { return present_in(kith_forget(handle(), key)); }

    void clear() { check(kith_clear(handle())); }
    void reserve(std::uint64_t capacity) { check(kith_reserve(handle(), capacity)); }

    /// kith_set_memory_limit()
    void set_memory_limit(std::uint64_t bytes) { check(kith_set_memory_limit(handle(), bytes)); }

    /// kith_maintain(): works for about so long; says how many places of removed vectors are not free yet.
    std::uint64_t maintain(std::chrono::microseconds budget) {
        std::uint64_t pending = 0;
        check(kith_maintain(handle(), budget.count() < 0 ? 0 : static_cast<std::uint64_t>(budget.count()), &pending));
        return pending;
    }

    /// kith_set_upkeep(): a thread that does the upkeep from now on, looking so often; none for 0.
    void set_upkeep(std::chrono::microseconds every) {
        check(kith_set_upkeep(handle(), every.count() < 0 ? 0 : static_cast<std::uint64_t>(every.count())));
    }

    /// kith_compact().
    void compact(const build_options &options = {}) {
        detail::build_call call(options, distance_.get());
        call.finish(kith_compact(handle(), call.raw()));
    }
    /// kith_optimize().
    void optimize(const build_options &options = {}) {
        detail::build_call call(options, distance_.get());
        call.finish(kith_optimize(handle(), call.raw()));
    }
    /// kith_requantize().
    void requantize(kith::quantizer quantizer, const build_options &options = {}) {
        detail::build_call call(options, distance_.get());
        call.finish(kith_requantize(handle(), static_cast<kith_quantizer>(quantizer), call.raw()));
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
        const void *vector = asked(query, "search");
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

    /// kith_calibrate() with the index's own vectors, for searches that ask for a recall.
    void calibrate(const build_options &options = {}) {
        detail::build_call call(options, distance_.get());
        call.finish(kith_calibrate(handle(), nullptr, 0, 0, call.raw()));
    }
    /// kith_calibrate() with `queries` packed vectors.
    template <class Vectors>
    void calibrate(const Vectors &vectors, std::size_t queries, const build_options &options = {}) {
        const void *first = many(vectors, queries, "calibrate");
        detail::build_call call(options, distance_.get());
        call.finish(kith_calibrate(handle(), first, queries, 0, call.raw()));
    }
    /// kith_breadth_for(): 0 where nothing was measured.
    std::uint32_t breadth_for(std::size_t k, float recall) const {
        std::uint32_t ef = 0;
        check(kith_breadth_for(handle(), k, recall, &ef));
        return ef;
    }

    /// kith_search_double(): distances as the index's own distance function gave them.
    template <class Vector>
    std::vector<double_hit> search_double(const Vector &query, std::size_t k, const search_options &options = {}) const {
        const void *vector = asked(query, "search_double");
        std::vector<std::uint64_t> keys(k);
        std::vector<double> distances(k);
        detail::search_call call(options);
        std::size_t count = 0;
        call.finish(kith_search_double(handle(), vector, k, call.raw(), keys.data(), distances.data(), &count));
        std::vector<double_hit> found(count);
        for (std::size_t i = 0; i < count; i++) found[i] = {keys[i], distances[i]};
        return found;
    }

    /// kith_search_observed(): what the observer let the search keep, nearest first. Of the options filter and stats count.
    template <class Vector>
    std::vector<double_hit> search_observed(const Vector &query, observer &observer, const search_options &options = {}) const {
        const void *vector = asked(query, "search_observed");
        detail::observed_call call(observer, options);
        call.finish(kith_search_observed(handle(), vector, call.observer(), call.raw()));
        return std::move(call.hits);
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
        return all([&](std::uint64_t *keys, std::size_t room, std::size_t *count) { return kith_keys(handle(), keys, room, count); });
    }

    /// kith_removed_keys(): those that undelete() can bring back.
    std::vector<std::uint64_t> removed_keys() const {
        return all(
            [&](std::uint64_t *keys, std::size_t room, std::size_t *count) { return kith_removed_keys(handle(), keys, room, count); });
    }

    /// kith_neighbours(): the keys that a vector of a graph is linked to.
    std::vector<std::uint64_t> neighbours(std::uint64_t key, std::uint32_t level = 0) const {
        return all([&](std::uint64_t *keys, std::size_t room, std::size_t *count) {
            return kith_neighbours(handle(), key, level, keys, room, count);
        });
    }

    /// kith_row(): where a vector is stored. Good until the key gets another one, or is removed for good.
    template <class T = float> const T *row(std::uint64_t key) const {
        values<T>("row");
        const void *row = nullptr;
        check(kith_row(handle(), key, &row));
        return static_cast<const T *>(row);
    }

    /// kith_check().
    kith_health health() const {
        kith_health health = kith_health();
        health.size = sizeof health;
        check(kith_check(handle(), &health));
        return health;
    }
    /// kith_repair(): how the graph is then.
    kith_health repair() {
        kith_health health = kith_health();
        health.size = sizeof health;
        check(kith_repair(handle(), &health));
        return health;
    }

    /// kith_describe().
    kith_info describe() const {
        kith_info info = kith_info();
        info.size = sizeof info;
        check(kith_describe(handle(), &info));
        return info;
    }

    /// kith_train() with packed vectors.
    template <class Vectors> void train(const Vectors &vectors, std::size_t count, const build_options &options = {}) {
        const void *first = many(vectors, count, "train");
        detail::build_call call(options, distance_.get());
        call.finish(kith_train(handle(), count, first, 0, call.raw()));
    }

    /// kith_codec_export().
    std::vector<unsigned char> codec() const {
        std::size_t bytes = 0;
        check(kith_codec_export(handle(), nullptr, 0, &bytes));
        std::vector<unsigned char> codec(bytes);
        check(kith_codec_export(handle(), codec.data(), codec.size(), &bytes));
        codec.resize(bytes);
        return codec;
    }

    /// kith_codec_import().
    void set_codec(const std::vector<unsigned char> &codec) {
        check(kith_codec_import(handle(), codec.data(), codec.size()));
    }

    std::uint64_t size() const { return describe().count; }
    bool empty() const { return size() == 0; }
    std::uint32_t dimensions() const noexcept { return shape_.dimensions; }
    kith::metric metric() const noexcept { return shape_.metric; }
    kith::element element() const noexcept { return shape_.element; }

    // ---- disk

    void save(const std::string &path) const { check(kith_save(handle(), path.c_str())); }

    /// kith_save_to(): `write(const void *bytes, std::size_t count)` gets the bytes of a file, piece by piece, and says whether to go on.
    template <class Write> void save_to(Write &&write) const {
        detail::write_call<Write> call(write);
        call.finish(kith_save_to(handle(), call.take, &call));
    }

    /// kith_estimate(): the memory of an index of these options that holds `count` vectors.
    static kith_estimate_result estimate(const kith::options &options, std::uint64_t count) {
        kith_options raw = detail::raw(options, nullptr);
        // It is not called; but a custom metric goes with a distance.
        if (options.distance) raw.distance = detail::own_distance::compute;
        kith_estimate_result result = kith_estimate_result();
        result.size = sizeof result;
        check(kith_estimate(&raw, count, &result));
        return result;
    }
    static kith_info file_info(const std::string &path) {
        kith_info info = kith_info();
        info.size = sizeof info;
        check(kith_file_info(path.c_str(), &info));
        return info;
    }

    /// kith_export(): a file that another library loads. `capacity` is the one that it states.
    void export_file(const std::string &path, format format, std::uint64_t capacity = 0) const {
        const kith_export_options options = detail::exporting(capacity);
        check(kith_export(handle(), path.c_str(), static_cast<kith_format>(format), &options));
    }

    /// kith_export_to(), as save_to().
    template <class Write> void export_to(Write &&write, format format, std::uint64_t capacity = 0) const {
        const kith_export_options options = detail::exporting(capacity);
        detail::write_call<Write> call(write);
        call.finish(kith_export_to(handle(), call.take, &call, static_cast<kith_format>(format), &options));
    }

    /// kith_export_size().
    std::uint64_t export_size(format format, std::uint64_t capacity = 0) const {
        const kith_export_options options = detail::exporting(capacity);
        std::uint64_t bytes = 0;
        check(kith_export_size(handle(), static_cast<kith_format>(format), &options, &bytes));
        return bytes;
    }

    // ---- durable directories

    void sync_log() { check(kith_sync_log(handle())); }
    void checkpoint() { check(kith_checkpoint(handle())); }

    /// kith_describe_log().
    kith_log_info describe_log() const {
        kith_log_info info = kith_log_info();
        info.size = sizeof info;
        check(kith_describe_log(handle(), &info));
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

    static std::unique_ptr<detail::own_distance> own(const options &options) {
        return options.distance ? std::make_unique<detail::own_distance>(options.distance) : nullptr;
    }

    static index open_directory(const std::string &path, const kith_options *options, const log_options &log) {
        const kith_log_options raw = detail::raw(log);
        kith_index *opened = nullptr;
        check(kith_open_directory(path.c_str(), options, &raw, &opened));
        return adopt(opened);
    }

    template <class Import> static index imported(const options &options, Import import) {
        index result;
        result.distance_ = own(options);
        const kith_options raw = detail::raw(options, result.distance_.get());
        kith_index *made = nullptr;
        // Vectors that nothing links to are linked anew, by the distance.
        detail::call call;
        const kith_status status = import(&raw, &made);
        if (made) result.take(made);
        call.finish(status);
        return result;
    }

    /// Whether what a call was about is there; other failures throw.
    static bool present_in(kith_status status) {
        if (status == KITH_ERROR_NOT_FOUND) return false;
        check(status);
        return true;
    }

    /// The keys that a call enumerates.
    template <class Enumerate> static std::vector<std::uint64_t> all(Enumerate enumerate) {
        std::vector<std::uint64_t> keys;
        std::size_t count = 0;
        check(enumerate(nullptr, 0, &count));
        // Others may insert between the two calls.
        do {
            keys.resize(count);
            check(enumerate(keys.data(), keys.size(), &count));
        } while (count > keys.size());
        keys.resize(count);
        return keys;
    }

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

    /// As whole; but a distance function knows for itself how long a query is.
    template <class Vector> const void *asked(const Vector &query, const char *method) const {
        if constexpr (std::is_same_v<detail::component_t<Vector>, std::byte>) {
            values<std::byte>(method);
            return std::data(query);
        } else {
            return whole(query, method);
        }
    }

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

    // Outlives the handle, which calls it.
    std::unique_ptr<detail::own_distance> distance_;
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
