// kith.hpp beyond inserting and searching: distances of the caller's own, observers, vectors that come back, directories, other libraries'
// files, streams.
#include <kith.hpp>
#include "../c/check.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace {

template <class Action> kith_status status_of(Action action) {
    try {
        action();
    } catch (const kith::error &error) {
        return error.status();
    }
    return KITH_OK;
}

template <class Action> bool throws_seven(Action action) {
    try {
        action();
    } catch (int value) {
        return value == 7;
    }
    return false;
}

using element = std::array<std::byte, 8>;

element bytes_of(double value) {
    element bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

double number(const void *bytes) {
    double value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

kith::options own_distance(std::atomic<bool> &fails) {
    kith::options options;
    options.dimensions = sizeof(element);
    options.metric = kith::metric::custom;
    options.element = kith::element::bytes;
    options.kind = kith::kind::graph;
    options.keep_removed = true;
    options.distance = [&fails](const void *a, const void *b) {
        if (fails) throw 7;
        return std::fabs(number(a) - number(b));
    };
    return options;
}

void distances_of_the_caller() {
    std::atomic<bool> fails(false);
    kith::index index(own_distance(fails));
    std::vector<std::uint64_t> keys;
    std::vector<std::byte> rows;
    for (std::uint64_t key = 0; key < 500; key++) {
        keys.push_back(key);
        const element row = bytes_of(static_cast<double>(key) + 1e-12);
        rows.insert(rows.end(), row.begin(), row.end());
    }
    index.insert_batch(keys, rows);
    const element query = bytes_of(20);
    std::vector<kith::double_hit> found = index.search_double(query, 2);
    CHECK(found.size() == 2 && found[0].key == 20 && found[0].distance > 0 && found[0].distance < 1e-11);
    CHECK(index.search(query, 1)[0].key == 20 && number(index.row<std::byte>(7)) == 7 + 1e-12);

    // Wherever the distance throws, the exception arrives, and what was begun is not there.
    fails = true;
    CHECK(throws_seven([&] { index.search(query, 1); }));
    CHECK(throws_seven([&] { index.search_double(query, 1); }));
    CHECK(throws_seven([&] { index.insert(1000, query); }));
    CHECK(!index.contains(1000) && index.size() == 500);
    CHECK(throws_seven([&] { index.upsert(1, query); }));
    kith::build_options threads;
    threads.threads = 3;
    for (std::uint64_t &key : keys) key += 5000;
    CHECK(throws_seven([&] { index.insert_batch(keys, rows, threads); }));
    fails = false;
    CHECK(index.size() == 500 && !index.contains(5001) && index.health().unreachable == 0);
    index.insert_batch(keys, rows, threads);
    CHECK(index.size() == 1000 && index.search(query, 2)[1].distance < 1);
    CHECK(status_of([&] { index.release(); }) == KITH_ERROR_ARGUMENT);
    CHECK(status_of([&] { kith::index::open_directory("further.directory", own_distance(fails)); }) == KITH_ERROR_ARGUMENT);
    // The function goes where the index goes.
    kith::index other = std::move(index);
    index = kith::index(own_distance(fails));
    CHECK(other.search(query, 1)[0].key == 1);
}

kith::index line_of_points(kith::options options = {}) {
    options.dimensions = 2;
    options.kind = kith::kind::graph;
    kith::index index(options);
    for (std::uint64_t key = 0; key < 300; key++) index.insert(key, {static_cast<float>(key), 1.0f});
    return index;
}

// Everything within a distance, once the search has come near it.
struct within : kith::observer {
    explicit within(double farthest) : limit(farthest) {}
    bool stop(double candidate, double) override { return candidate > limit && hits >= 20; }
    bool consider(double, double) override { return true; }
    void add(std::uint64_t key, const void *vector, double) override {
        if (fails) throw 7;
        hits++;
        CHECK(static_cast<const float *>(vector)[0] == static_cast<float>(key));
    }
    void drop(std::uint64_t, const void *, double) override { dropped++; }
    bool excess() override { return false; }
    double limit;
    bool fails = false;
    int dropped = 0, hits = 0;
};

void observers() {
    const kith::index index = line_of_points();
    within near(4);
    kith::search_stats stats;
    kith::search_options options;
    options.stats = &stats;
    options.filter = [](std::uint64_t key) { return key % 2 == 0; };
    std::vector<kith::double_hit> found = index.search_observed(std::vector<float>{100, 1}, near, options);
    found.erase(std::remove_if(found.begin(), found.end(), [](kith::double_hit hit) { return hit.distance > 4; }), found.end());
    CHECK(found.size() == 3 && found[0].key == 100 && found[0].distance == 0 && found[2].distance == 4 && near.dropped == 0);
    CHECK(stats.distances > 3 && stats.hops > 0);
    near.fails = true;
    CHECK(throws_seven([&] { index.search_observed(std::vector<float>{100, 1}, near); }));
}

void vectors_come_back() {
    kith::options options;
    options.keep_removed = true;
    options.fixed_capacity = true;
    options.capacity = 300;
    kith::index index = line_of_points(options);
    CHECK(status_of([&] { index.insert(300, {0.0f, 0.0f}); }) == KITH_ERROR_FULL);
    CHECK(index.remove(7) && index.remove(8) && index.removed_keys().size() == 2 && *index.row(7) == 7);
    CHECK(index.undelete(7) && !index.undelete(500) && index.contains(7));
    CHECK(status_of([&] { index.undelete(7); }) == KITH_ERROR_EXISTS);
    CHECK(index.forget(8) && !index.forget(8) && !index.undelete(8) && index.removed_keys().empty());
    const std::vector<std::uint64_t> neighbours = index.neighbours(100);
    CHECK(!neighbours.empty() && std::find(neighbours.begin(), neighbours.end(), 100) == neighbours.end());
    CHECK(index.health().linked == 300 && index.health().faults == 0);
    CHECK(status_of([&] { index.row<std::int8_t>(1); }) == KITH_ERROR_ARGUMENT);
}

void directories() {
    const char *path = "further.directory";
    std::filesystem::remove_all(path);
    CHECK(status_of([&] { kith::index::open_directory(path); }) == KITH_ERROR_IO);
    kith::options options;
    options.dimensions = 2;
    kith::log_options log;
    log.sync = kith::sync::never;
    {
        kith::index index = kith::index::open_directory(path, options, log);
        index.insert(1, {1.0f, 2.0f});
        index.sync_log();
        CHECK(index.describe_log().last == 1 && index.describe_log().durable == 1 && index.describe_log().sync == KITH_SYNC_NEVER);
        index.checkpoint();
        CHECK(index.describe_log().checkpoints == 1);
        index.insert(2, {3.0f, 4.0f});
    }
    const kith::index again = kith::index::open_directory(path);
    CHECK(again.size() == 2 && again.get(2)[1] == 4 && again.describe_log().replayed == 1);
    CHECK(status_of([&] { line_of_points().sync_log(); }) == KITH_ERROR_ARGUMENT);
    std::filesystem::remove_all(path);
}

void streams_and_other_libraries() {
    const kith::index index = line_of_points();
    std::vector<char> bytes;
    const auto gather = [&bytes](const void *piece, std::size_t count) {
        bytes.insert(bytes.end(), static_cast<const char *>(piece), static_cast<const char *>(piece) + count);
        return true;
    };
    index.save_to(gather);
    CHECK(kith::index::open_buffer(bytes.data(), bytes.size()).size() == 300);
    CHECK(status_of([&] { kith::index::open_buffer(bytes.data(), bytes.size() / 2); }) == KITH_ERROR_CORRUPT);
    CHECK(status_of([&] { index.save_to([](const void *, std::size_t) { return false; }); }) == KITH_ERROR_IO);
    CHECK(throws_seven([&] { index.save_to([](const void *, std::size_t) -> bool { throw 7; }); }));

    bytes.clear();
    index.export_to(gather, kith::format::hnswlib);
    CHECK(bytes.size() == index.export_size(kith::format::hnswlib));
    kith::options options;
    options.dimensions = 2;
    const kith::index imported = kith::index::import_buffer(bytes.data(), bytes.size(), kith::format::hnswlib, options);
    CHECK(imported.size() == 300 && imported.search({42.0f, 1.0f}, 1)[0].key == 42);
    index.export_file("further.bin", kith::format::hnswlib, 1000);
    CHECK(kith::index::import_file("further.bin", kith::format::hnswlib, options).get(5)[0] == 5);
    options.dimensions = 3;
    CHECK(status_of([&] { kith::index::import_file("further.bin", kith::format::hnswlib, options); }) == KITH_ERROR_CORRUPT);
    CHECK(status_of([&] { index.export_file("further.bin", kith::format::faiss); }) == KITH_ERROR_UNSUPPORTED);
    std::remove("further.bin");
}

void a_recall_in_place_of_a_breadth() {
    kith::options options;
    options.dimensions = 2;
    options.kind = kith::kind::graph;
    kith::index index(options);
    for (std::uint64_t key = 0; key < 300; key++) index.insert(key, {static_cast<float>(key), 1.0f});
    CHECK(index.breadth_for(10, 0.9f) == 0);
    index.calibrate();
    CHECK(index.breadth_for(10, 0.9f) >= 10);
    const float queries[] = {3.2f, 1.0f, 77.7f, 1.0f};
    index.calibrate(queries, 2);
    kith::search_options search;
    search.recall = 0.9f;
    CHECK(index.search({42.1f, 1.0f}, 3, search)[0].key == 42);
    index.remove(200);
    index.maintain(std::chrono::microseconds(1000));
    index.compact();
    index.optimize();
    index.requantize(kith::quantizer::none);
    kith::options planned;
    planned.dimensions = 2;
    CHECK(kith::index::estimate(planned, 1000).least > 8000);
    planned.dimensions = 384;
    planned.bytes_per_vector = 600;
    CHECK(kith::index::estimate(planned, 1000000).quantizer == KITH_QUANTIZER_BYTES);
    planned.bytes_per_vector = 0;
    planned.dimensions = 2;
    planned.held = kith::element::bf16;
    kith::index rounded(planned);
    rounded.insert(1, {1.0f / 3.0f, 2.0f});
    kith::search_stats stats;
    kith::search_options told;
    told.stats = &stats;
    CHECK(rounded.search({1.0f / 3.0f, 2.0f}, 1, told)[0].distance == 0 && stats.nearly);
    CHECK(index.repair().faults == 0 && index.search({42.1f, 1.0f}, 1)[0].key == 42);
    search.recall = 1.5f;
    CHECK(status_of([&] { index.search({42.1f, 1.0f}, 3, search); }) == KITH_ERROR_ARGUMENT);
}

} // namespace

int main() {
    a_recall_in_place_of_a_breadth();
    distances_of_the_caller();
    observers();
    vectors_come_back();
    directories();
    streams_and_other_libraries();
    return failures("further");
}
