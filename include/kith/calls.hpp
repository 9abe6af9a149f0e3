/*
 * From C++ calls to C calls: options, callbacks, and the exceptions that leave them. Part of kith.hpp, which is what to include. Copyright the kith authors; MIT or Apache-2.0, at your choice.
 */
#ifndef KITH_CALLS_HPP
#define KITH_CALLS_HPP

#include "types.hpp"

#include <atomic>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <type_traits>

namespace kith {

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

/// A call of the library on this thread, to which a distance function can say that it threw. Calls from callbacks are inside others.
class call {
public:
    call() noexcept : outer_(innermost()) { innermost() = this; }
    ~call() { innermost() = outer_; }
    call(const call &) = delete;
    call &operator=(const call &) = delete;

    static call *&innermost() noexcept {
        static thread_local call *here = nullptr;
        return here;
    }

    /// Runs a callback; after the first exception none is run any more, and `otherwise` is the answer.
    template <class Result, class Callback> Result run(Result otherwise, Callback callback) noexcept {
        if (thrown.there()) return otherwise;
        try {
            return callback();
        } catch (...) {
            thrown.keep();
            return otherwise;
        }
    }

    /// To be called with what the library returned.
    void finish(kith_status status) const {
        thrown.rethrow();
        check(status);
    }

    carried thrown;

private:
    call *outer_;
};

/// A distance function of the caller's, which lives as long as the index. What it throws ends up in the call on whose thread it runs. On
/// a helping thread there is none: then it is for every batch that is under way.
class own_distance {
public:
    using function = std::function<double(const void *, const void *)>;

    explicit own_distance(function distance) : distance_(std::move(distance)) {}

    static double compute(void *ctx, const void *a, const void *b) noexcept {
        // NaN is farther than everything.
        own_distance &own = *static_cast<own_distance *>(ctx);
        const double farthest = std::numeric_limits<double>::quiet_NaN();
        if (call *here = call::innermost()) return here->run(farthest, [&] { return own.distance_(a, b); });
        try {
            return own.distance_(a, b);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(own.guard_);
            own.stray_ = std::current_exception();
            own.strays_++;
            return farthest;
        }
    }

    /// How often it has thrown on helping threads.
    std::size_t strays() noexcept {
        const std::lock_guard<std::mutex> lock(guard_);
        return strays_;
    }
    void rethrow_since(std::size_t strays) {
        std::exception_ptr stray;
        {
            const std::lock_guard<std::mutex> lock(guard_);
            if (strays != strays_) stray = stray_;
        }
        if (stray) std::rethrow_exception(stray);
    }

private:
    function distance_;
    std::mutex guard_;
    std::exception_ptr stray_;
    std::size_t strays_ = 0;
};

/// A search's options as C wants them, with the filter behind a function that lets no exception out.
class search_call : public call {
public:
    explicit search_call(const search_options &options) : options_(options), raw_(), stats_() {
        raw_.size = sizeof raw_;
        raw_.ef = options.ef;
        raw_.recall = options.recall;
        raw_.threads = options.threads;
        if (options.filter) {
            raw_.filter = [](void *ctx, std::uint64_t key) noexcept {
                search_call &own = *static_cast<search_call *>(ctx);
                return own.run(0, [&] { return own.options_.filter(key) ? 1 : 0; });
            };
            raw_.filter_ctx = this;
            if (options.filter_on == filter_threads::any) raw_.flags = KITH_FILTER_ANY_THREAD;
        }
        if (options.stats) {
            stats_.size = sizeof stats_;
            raw_.stats = &stats_;
        }
    }
    const kith_search_options *raw() const noexcept { return &raw_; }
    void finish(kith_status status) const {
        call::finish(status);
        if (options_.stats) *options_.stats = {stats_.distances, stats_.hops, (stats_.flags & KITH_STATS_NEARLY) != 0};
    }

private:
    const search_options &options_;
    kith_search_options raw_;
    kith_search_stats stats_;
};

/// As search_call, for batches that are inserted. A distance function that throws cancels the batch, too.
class build_call : public call {
public:
    build_call(const build_options &options, own_distance *distance)
        : progress_(options.progress), distance_(distance), strays_(distance ? distance->strays() : 0), raw_() {
        raw_.size = sizeof raw_;
        raw_.threads = options.threads;
        if (options.present == present::replace) raw_.flags |= KITH_UPSERT;
        if (options.fast) raw_.flags |= KITH_BUILD_FAST;
        if (progress_ || distance_) {
            raw_.progress = [](void *ctx, std::uint64_t done, std::uint64_t total) noexcept {
                return static_cast<build_call *>(ctx)->cancels(done, total);
            };
            raw_.progress_ctx = this;
        }
    }
    const kith_build_options *raw() const noexcept { return &raw_; }
    void finish(kith_status status) const {
        thrown.rethrow();
        if (distance_) distance_->rethrow_since(strays_);
        check(status);
    }

private:
    int cancels(std::uint64_t done, std::uint64_t total) noexcept {
        if (distance_ && distance_->strays() != strays_) return 1;
        return run(1, [&] { return !progress_ || progress_(done, total) ? 0 : 1; });
    }
    const std::function<bool(std::uint64_t, std::uint64_t)> &progress_;
    own_distance *distance_;
    std::size_t strays_;
    kith_build_options raw_;
};

/// As build_call, for vectors that a callable brings, which says whether to go on.
template <class Read> class read_call : public build_call {
public:
    read_call(Read &read, const build_options &options, own_distance *distance) : build_call(options, distance), read_(read) {}
    static int fill(void *ctx, std::size_t first, std::size_t count, std::uint64_t *keys, void *vectors) noexcept {
        read_call &own = *static_cast<read_call *>(ctx);
        return own.run(1, [&] { return own.read_(first, count, keys, vectors) ? 0 : 1; });
    }

private:
    Read &read_;
};

/// A search that an observer watches, and the hits at its end.
class observed_call : public search_call {
public:
    observed_call(kith::observer &watcher, const search_options &options) : search_call(options), watcher_(watcher), raw_() {
        raw_.size = sizeof raw_;
        raw_.ctx = this;
        raw_.stop = [](void *ctx, double candidate, double bound) noexcept {
            return of(ctx).run(1, [&] { return of(ctx).watcher_.stop(candidate, bound) ? 1 : 0; });
        };
        raw_.consider = [](void *ctx, double distance, double bound) noexcept {
            return of(ctx).run(0, [&] { return of(ctx).watcher_.consider(distance, bound) ? 1 : 0; });
        };
        raw_.add = [](void *ctx, std::uint64_t key, const void *vector, double distance) noexcept {
            of(ctx).run(0, [&] { return of(ctx).watcher_.add(key, vector, distance), 0; });
        };
        raw_.drop = [](void *ctx, std::uint64_t key, const void *vector, double distance) noexcept {
            of(ctx).run(0, [&] { return of(ctx).watcher_.drop(key, vector, distance), 0; });
        };
        raw_.excess = [](void *ctx) noexcept { return of(ctx).run(0, [&] { return of(ctx).watcher_.excess() ? 1 : 0; }); };
        raw_.hit = [](void *ctx, std::uint64_t key, const void *, double distance) noexcept {
            of(ctx).run(0, [&] { return of(ctx).hits.push_back({key, distance}), 0; });
        };
    }
    const kith_observer *observer() const noexcept { return &raw_; }

    std::vector<double_hit> hits;

private:
    static observed_call &of(void *ctx) noexcept { return *static_cast<observed_call *>(ctx); }
    kith::observer &watcher_;
    kith_observer raw_;
};

/// Hands the bytes of a file to a callable that says whether to go on.
template <class Write> class write_call : public call {
public:
    explicit write_call(Write &write) : write_(write) {}
    static int take(void *ctx, const void *bytes, std::size_t count) noexcept {
        write_call &own = *static_cast<write_call *>(ctx);
        return own.run(1, [&] { return own.write_(bytes, count) ? 0 : 1; });
    }

private:
    Write &write_;
};

/// Options as C wants them.
inline kith_options raw(const options &options, own_distance *distance) noexcept {
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
    raw.flags = (options.keep_removed ? KITH_KEEP_REMOVED : 0) | (options.fixed_capacity ? KITH_FIXED_CAPACITY : 0);
    raw.capacity = options.capacity;
    raw.seed = options.seed;
    raw.graph_from = options.graph_from;
    raw.memory_limit = options.memory_limit;
    raw.held = static_cast<kith_element>(options.held);
    raw.bytes_per_vector = options.bytes_per_vector;
    if (distance) {
        raw.distance = own_distance::compute;
        raw.distance_ctx = distance;
    }
    return raw;
}

inline kith_log_options raw(const log_options &options) noexcept {
    kith_log_options raw = kith_log_options();
    raw.size = sizeof raw;
    raw.sync = static_cast<kith_sync>(options.sync);
    raw.interval_ms = options.interval_ms;
    raw.threads = options.threads;
    raw.checkpoint_bytes = options.checkpoint_bytes;
    return raw;
}

inline kith_export_options exporting(std::uint64_t capacity) noexcept {
    kith_export_options raw = kith_export_options();
    raw.size = sizeof raw;
    raw.capacity = capacity;
    return raw;
}

} // namespace detail

} // namespace kith

#endif // KITH_CALLS_HPP
