// Does kith.hpp do what kith.h does, with C++'s manners? Ownership, types that are checked, exceptions from callbacks, ranges of hits.
#include <kith.hpp>
#include "../c/check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>
#if __cplusplus >= 202002L
#include <ranges>
#include <span>
#endif

namespace {

static_assert(!std::is_copy_constructible<kith::index>::value, "an index is owned once");
static_assert(std::is_nothrow_move_constructible<kith::index>::value, "and moves");
static_assert(std::is_same<std::iterator_traits<kith::hit_iterator>::iterator_category, std::random_access_iterator_tag>::value, "");

// The call throws kith::error with this status and a text that holds `words`.
template <class Action> void throws(int line, kith_status status, const std::string &words, Action action) {
    try {
        action();
    } catch (const kith::error &error) {
        if (error.status() == status && std::string(error.what()).find(words) != std::string::npos) return;
        std::fprintf(stderr, "line %d: status %d, %s\n", line, static_cast<int>(error.status()), error.what());
        check_failed++;
        return;
    }
    std::fprintf(stderr, "line %d: nothing was thrown\n", line);
    check_failed++;
}

kith::index line_of_points(std::uint64_t count, kith::kind kind = kith::kind::automatic) {
    kith::options options;
    options.dimensions = 2;
    options.kind = kind;
    kith::index index(options);
    std::vector<std::uint64_t> keys(count);
    std::iota(keys.begin(), keys.end(), std::uint64_t(0));
    std::vector<float> vectors;
    for (std::uint64_t key : keys) {
        vectors.push_back(static_cast<float>(key));
        vectors.push_back(0);
    }
    index.insert_batch(keys, vectors);
    return index;
}

void owns_and_moves() {
    kith::index empty;
    CHECK(!empty);
    throws(__LINE__, KITH_ERROR_ARGUMENT, "there is no index", [&] { empty.insert(1, {1, 2}); });
    kith::index first = line_of_points(10);
    kith::index second = std::move(first);
    CHECK(!first && second && second.size() == 10 && second.dimensions() == 2);
    first = std::move(second);
    CHECK(first.size() == 10);
    kith_index *raw = first.release();
    CHECK(!first);
    kith::index again = kith::index::adopt(raw);
    CHECK(again.handle() == raw && again.metric() == kith::metric::l2 && again.element() == kith::element::f32);
}

void vectors_are_typed() {
    kith::options options;
    options.dimensions = 4;
    options.element = kith::element::i8;
    kith::index index(options);
    const std::array<std::int8_t, 4> vector = {1, -2, 3, -4};
    index.insert(1, vector);
    const std::int8_t raw[4] = {0, 0, 0, 1};
    index.insert(2, raw);
    CHECK(index.get<std::int8_t>(1) == std::vector<std::int8_t>(vector.begin(), vector.end()));
    CHECK(!index.find<std::int8_t>(3) && index.find<std::int8_t>(2).value()[3] == 1);
    throws(__LINE__, KITH_ERROR_ARGUMENT, "type", [&] { index.insert(3, std::vector<float>(4)); });
    throws(__LINE__, KITH_ERROR_ARGUMENT, "type", [&] { index.get<float>(1); });
    throws(__LINE__, KITH_ERROR_ARGUMENT, "3 components", [&] { index.insert(3, std::vector<std::int8_t>(3)); });
    throws(__LINE__, KITH_ERROR_NOT_FOUND, "key is 9", [&] { index.get<std::int8_t>(9); });
    throws(__LINE__, KITH_ERROR_EXISTS, "key is 1", [&] { index.insert(1, vector); });
    index.upsert(1, raw);
    CHECK(index.get<std::int8_t>(1)[0] == 0);

    options.dimensions = 16;
    options.element = kith::element::b1;
    options.metric = kith::metric::hamming;
    kith::index bits(options);
    bits.insert(5, std::vector<kith::bits8>{{0xff}, {0x01}});
    CHECK(bits.search(std::vector<kith::bits8>{{0x0f}, {0x01}}, 1)[0] == (kith::hit{5, 4}));
    CHECK(bits.get<kith::bits8>(5)[0].bits == 0xff);
    CHECK(kith::distance(kith::metric::l1, std::vector<float>{1, 2}, std::array<float, 2>{{3, 0}}) == 4);
    throws(__LINE__, KITH_ERROR_ARGUMENT, "against", [] { kith::distance(kith::metric::l2, std::vector<float>(2), std::vector<float>(3)); });
}

void hits_are_a_range() {
    const kith::index index = line_of_points(100);
    const kith::hits found = index.search({7.0f, 0.0f}, 5);
    CHECK(found.size() == 5 && !found.empty() && found[0] == (kith::hit{7, 0}));
    CHECK(std::is_sorted(found.begin(), found.end(), [](kith::hit a, kith::hit b) { return a.distance < b.distance; }));
    float sum = 0;
    for (const kith::hit hit : found) sum += hit.distance;
    CHECK(sum == 10); // 0 + 1 + 1 + 4 + 4
    CHECK(found.begin()->key == 7 && found.end() - found.begin() == 5 && found.begin()[4].distance == 4);
    CHECK(std::count_if(found.begin(), found.end(), [](kith::hit hit) { return hit.distance == 1; }) == 2);

    const float queries[] = {3, 0, 98, 0};
    const kith::batch_hits batch = index.search_batch(queries, 2, 4);
    CHECK(batch.size() == 2 && batch[0].size() == 4 && batch[0][0].key == 3 && batch[1][0].key == 98);
    CHECK(batch[1].keys()[1] == 97 && batch[1].distances()[3] == 4);
    const kith::hits few = line_of_points(3).search({0.0f, 0.0f}, 10);
    CHECK(few.size() == 3 && few.keys().size() == 3 && few.distances()[2] == 4);

    std::uint64_t key = 0;
    CHECK(index.search_into(std::vector<float>{50, 1}, 1, &key, nullptr) == 1 && key == 50);
#if __cplusplus >= 202002L
    static_assert(std::ranges::random_access_range<kith::hits>);
    const std::vector<float> query = {20, 0};
    CHECK(index.search(std::span<const float>(query), 1)[0].key == 20);
    const std::span<const float> distances(found.distances());
    CHECK(distances.size() == 5);
#endif
}

void exceptions_cross_the_library() {
    for (const kith::kind kind : {kith::kind::flat, kith::kind::graph}) {
        kith::index index = line_of_points(5000, kind);
        kith::search_options options;
        options.filter = [](std::uint64_t key) { return key % 2 == 1; };
        CHECK(index.search({10.0f, 0.0f}, 2, options).keys() == (std::vector<std::uint64_t>{9, 11}));
        int calls = 0;
        options.filter = [&calls](std::uint64_t) -> bool {
            calls++;
            throw std::out_of_range("from the filter");
        };
        std::string said;
        try {
            index.search({10.0f, 0.0f}, 2, options);
        } catch (const std::out_of_range &thrown) {
            said = thrown.what();
        }
        CHECK(said == "from the filter" && calls == 1);

        // From several threads at once: one of the exceptions arrives.
        options.filter = [](std::uint64_t key) -> bool { throw key; };
        options.filter_on = kith::filter_threads::any;
        options.threads = 4;
        const std::vector<float> queries(2 * 64);
        bool arrived = false;
        try {
            index.search_batch(queries, 64, 3, options);
        } catch (std::uint64_t key) {
            arrived = key < 5000;
        }
        CHECK(arrived);
        CHECK(index.search({10.0f, 0.0f}, 1)[0].key == 10);

        kith::build_options build;
        build.progress = [](std::uint64_t, std::uint64_t) -> bool { throw 7; };
        const std::vector<std::uint64_t> keys = {90000, 90001};
        int thrown = 0;
        try {
            index.insert_batch(keys, std::vector<float>(4), build);
        } catch (int value) {
            thrown = value;
        }
        CHECK(thrown == 7 && index.size() == 5000 && !index.contains(90000));
        build.progress = [](std::uint64_t, std::uint64_t) { return false; };
        throws(__LINE__, KITH_ERROR_CANCELLED, "", [&] { index.insert_batch(keys, std::vector<float>(4), build); });
        build.progress = [](std::uint64_t done, std::uint64_t total) { return done <= total; };
        index.insert_batch(keys, std::vector<float>(4), build);
        throws(__LINE__, KITH_ERROR_EXISTS, "90000", [&] { index.insert_batch(keys, std::vector<float>(4), build); });
        build.present = kith::present::replace;
        index.insert_batch(keys, std::vector<float>{1, 1, 2, 2}, build);
        CHECK(index.get(90001)[0] == 2 && index.size() == 5002);
    }
}

void a_filter_may_read_but_not_change_the_index() {
    kith::index index = line_of_points(100);
    kith::search_options options;
    options.filter = [&index](std::uint64_t key) { return index.get(key)[0] > 50; };
    CHECK(index.search({0.0f, 0.0f}, 1, options)[0].key == 51);
    options.filter = [&index](std::uint64_t key) { return index.remove(key); };
    throws(__LINE__, KITH_ERROR_BUSY, "callback", [&] { index.search({0.0f, 0.0f}, 1, options); });
    CHECK(index.size() == 100);
}

void vectors_in_pieces() {
    kith::index index = line_of_points(10);
    std::size_t told = 0;
    const auto bring = [&told](std::size_t first, std::size_t count, std::uint64_t *keys, void *vectors) {
        float *components = static_cast<float *>(vectors);
        for (std::size_t i = 0; i < count; i++) {
            keys[i] = 100 + first + i;
            components[2 * i] = static_cast<float>(first + i);
            components[2 * i + 1] = 1;
        }
        told += count;
        return true;
    };
    index.insert_from(2000, bring);
    CHECK(told == 2000 && index.size() == 2010 && index.get(2099)[0] == 1999);
    throws(__LINE__, KITH_ERROR_EXISTS, "position 0: key is 100", [&] { index.insert_from(1, bring); });
    int thrown = 0;
    try {
        index.insert_from(5, [](std::size_t, std::size_t, std::uint64_t *, void *) -> bool { throw 8; });
    } catch (int value) {
        thrown = value;
    }
    CHECK(thrown == 8 && index.size() == 2010);
    const auto stop = [](std::size_t, std::size_t, std::uint64_t *, void *) { return false; };
    throws(__LINE__, KITH_ERROR_CANCELLED, "at 0 of 5", [&] { index.insert_from(5, stop); });
}

void content_and_disk() {
    kith::index index = line_of_points(10);
    CHECK(index.remove(3) && !index.remove(3) && !index.contains(3));
    CHECK(index.remove_batch(std::vector<std::uint64_t>{3, 4, 5}) == 2);
    std::vector<std::uint64_t> keys = index.keys();
    std::sort(keys.begin(), keys.end());
    CHECK(keys == (std::vector<std::uint64_t>{0, 1, 2, 6, 7, 8, 9}));
    throws(__LINE__, KITH_ERROR_ARGUMENT, "4 components for 3 vectors",
           [&] { index.insert_batch(std::vector<std::uint64_t>{20, 21, 22}, std::vector<float>(4)); });
    index.insert_batch(std::vector<std::uint64_t>(), std::vector<float>());
    index.reserve(1000);
    CHECK(index.describe().capacity >= 1000);

    index.save("layer.kith");
    CHECK(kith::index::file_info("layer.kith").count == 7);
    kith::index mapped = kith::index::open("layer.kith", kith::open_flags::mapped | kith::open_flags::one_thread);
    CHECK(mapped.size() == 7 && mapped.search({6.0f, 0.0f}, 1)[0].key == 6);
    throws(__LINE__, KITH_ERROR_READ_ONLY, "mapped", [&] { mapped.clear(); });
    throws(__LINE__, KITH_ERROR_IO, "absent.kith", [] { kith::index::open("absent.kith"); });
    index.clear();
    CHECK(index.empty());
    std::remove("layer.kith");
}

void threads_share_an_index() {
    kith::options options;
    options.dimensions = 2;
    kith::index index(options);
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; t++)
        threads.emplace_back([&index, t] {
            for (std::uint64_t i = 0; i < 200; i++) {
                index.insert(4 * i + t, {static_cast<float>(i), static_cast<float>(t)});
                if (index.search({static_cast<float>(i), static_cast<float>(t)}, 1)[0].key != 4 * i + t) std::abort();
            }
        });
    for (std::thread &thread : threads) thread.join();
    CHECK(index.size() == 800);
}

void what_was_learnt_is_shared() {
    kith::options options;
    options.dimensions = 20;
    options.quantizer = kith::quantizer::bytes;
    std::vector<float> vectors(300 * 20);
    for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] = static_cast<float>(i * 37 % 101);
    kith::index first(options), second(options);
    first.train(vectors, 300);
    const std::vector<unsigned char> codec = first.codec();
    second.set_codec(codec);
    CHECK(!codec.empty() && second.codec() == codec);
    second.insert(1, std::vector<float>(20, 3.0F));
    CHECK(second.describe().held == KITH_I8 && second.search(std::vector<float>(20, 3.0F), 1).size() == 1);
}

} // namespace

int main() {
    owns_and_moves();
    vectors_are_typed();
    hits_are_a_range();
    exceptions_cross_the_library();
    a_filter_may_read_but_not_change_the_index();
    vectors_in_pieces();
    content_and_disk();
    threads_share_an_index();
    what_was_learnt_is_shared();
    return failures("layer");
}
