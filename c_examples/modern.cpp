// modern.cpp: kith from C++17. A unique_ptr owns the index, statuses become exceptions, a lambda filters, and threads
// share one index.
#include <kith.h>

#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Free {
    void operator()(kith_index *index) const noexcept { kith_free(index); }
};
using Index = std::unique_ptr<kith_index, Free>;

// The message is this thread's, so it is read on the thread that made the call.
void check(kith_status status) {
    if (status != KITH_OK) throw std::runtime_error(kith_last_error());
}

Index create(std::uint32_t dimensions, kith_metric metric) {
    kith_options options{};
    options.size = sizeof options;
    options.dimensions = dimensions;
    options.metric = metric;
    kith_index *index = nullptr;
    check(kith_create(&options, &index));
    return Index(index);
}

// The keys of the nearest k that `keep` accepts. `keep` must not throw: exceptions may not pass through kith.
template <class Keep>
std::vector<std::uint64_t> search(const kith_index *index, const std::vector<float> &query, std::size_t k, Keep keep) {
    static_assert(noexcept(keep(std::uint64_t{})), "mark the filter noexcept");
    kith_search_options options{};
    options.size = sizeof options;
    options.filter = [](void *ctx, std::uint64_t key) { return (*static_cast<Keep *>(ctx))(key) ? 1 : 0; };
    options.filter_ctx = &keep;
    std::vector<std::uint64_t> keys(k);
    std::size_t found = 0;
    check(kith_search(index, query.data(), k, &options, keys.data(), nullptr, &found));
    keys.resize(found);
    return keys;
}

std::vector<float> random_vector(std::mt19937 &random, std::size_t dimensions) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> vector(dimensions);
    for (float &x : vector) x = uniform(random);
    return vector;
}

int run() {
    constexpr std::uint32_t dimensions = 32, count = 2000, threads = 4;
    const Index index = create(dimensions, KITH_COSINE);

    // Four threads insert into one index at the same time; no lock of ours.
    std::vector<std::thread> writers;
    std::vector<std::string> errors(threads);
    for (std::uint32_t t = 0; t < threads; t++)
        writers.emplace_back([&, t] {
            try {
                std::mt19937 random(t);
                for (std::uint64_t key = t; key < count; key += threads)
                    check(kith_insert(index.get(), key, random_vector(random, dimensions).data()));
            } catch (const std::exception &e) {
                errors[t] = e.what();
            }
        });
    for (std::thread &writer : writers) writer.join();
    for (const std::string &error : errors)
        if (!error.empty()) throw std::runtime_error(error);

    std::vector<float> query(dimensions);
    check(kith_get(index.get(), 1234, query.data()));
    const auto even = search(index.get(), query, 5, [](std::uint64_t key) noexcept { return key % 2 == 0; });
    for (const std::uint64_t key : even) std::printf("%llu\n", static_cast<unsigned long long>(key));

    try {
        check(kith_remove(index.get(), count));
        return 1; // there is no such key: an exception is due
    } catch (const std::runtime_error &e) {
        std::printf("as expected: %s\n", e.what());
    }
    return even.size() == 5 && even[0] == 1234 ? 0 : 1;
}

} // namespace

int main() {
    try {
        return run();
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
