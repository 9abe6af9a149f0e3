// What grew, leaked or wore out in hnswlib: lists that a throwing search never gave back, what an empty index takes, filters that walk
// through everything, graphs after many replacements.
#include "common.h"

namespace {

size_t resident_kb() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.compare(0, 6, "VmRSS:") == 0) return std::stoul(line.substr(7));
    return 0;
}

struct Throws : hnswlib::BaseFilterFunctor {
    bool operator()(hnswlib::labeltype) override { throw std::out_of_range("filter"); }
};

// hnswlib lost two bytes per element of the capacity each time, and as much for every search at a time.
void searches_leave_nothing_behind() {
    hnswlib::L2Space space(4);
    hnswlib::HierarchicalNSW<float> index(&space, 1000000);
    const std::vector<float> rows = random_rows(200, 4, 1);
    for (size_t i = 0; i < 200; i++) index.addPoint(&rows[4 * i], i);
    Throws filter;
    size_t thrown = 0, before = 0;
    for (int i = 0; i < 1000; i++) {
        if (i == 100) before = resident_kb();
        try {
            index.searchKnn(&rows[0], 5, &filter);
        } catch (const std::out_of_range &) {
            thrown++;
        }
    }
    CHECK(thrown == 1000 && resident_kb() < before + 16 * 1024);
}

// hnswlib's takes 2.5 MB.
void an_empty_index_is_small() {
    hnswlib::L2Space space(128);
    hnswlib::HierarchicalNSW<float> index(&space, 1000000);
    kith_info info = kith_info();
    info.size = sizeof info;
    // With the collector of its epochs, which the figure left out once: what is taken is held against the system below.
    CHECK(kith_describe(index.kith(), &info) == KITH_OK && info.bytes + sizeof index < 20 * 1024);
    // Many of them are no matter.
    std::vector<std::unique_ptr<hnswlib::HierarchicalNSW<float>>> many;
    const size_t before = resident_kb();
    for (size_t i = 0; i < 1000; i++) many.emplace_back(new hnswlib::HierarchicalNSW<float>(&space, 1000000));
    CHECK(resident_kb() < before + 32 * 1024);
}

struct Few : hnswlib::BaseFilterFunctor {
    size_t calls = 0;
    bool operator()(hnswlib::labeltype label) override {
        calls++;
        return label % 10000 == 5000;
    }
};

// For two of 20,000 hnswlib followed the links of every element. Here the walk is given up, and all are scanned in the order of memory.
void a_filter_that_few_pass_ends_the_walk() {
    hnswlib::L2Space space(16);
    const size_t count = 20000;
    hnswlib::HierarchicalNSW<float> index(&space, count, 8, 40);
    const std::vector<float> rows = random_rows(count, 16, 2);
    for (size_t i = 0; i < count; i++) index.addPoint(&rows[16 * i], i);
    Few few;
    index.metric_hops = 0;
    CHECK(index.searchKnn(&rows[0], 5, &few).size() == 2);
    CHECK(few.calls < count + count / 2 && index.metric_hops < static_cast<long>(count) / 10);
}

// Rows about some centres, so that a graph has something to wear out.
std::vector<float> clustered(size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 1);
    const std::vector<float> centres = random_rows(20, 8, 3);
    std::vector<float> rows(count * 8);
    for (size_t i = 0; i < rows.size(); i++) rows[i] = 10 * centres[i / 8 % 20 * 8 + i % 8] + normal(random) / 4;
    return rows;
}

void replacing_wears_nothing_out() {
    const size_t count = 2000, cycles = 20;
    hnswlib::L2Space space(8);
    hnswlib::HierarchicalNSW<float> worn(&space, count, 8, 100, 100, true), fresh(&space, count, 8, 100);
    hnswlib::BruteforceSearch<float> exact(&space, count);
    const std::vector<float> rows = clustered(count + cycles * count / 4, 4), queries = clustered(200, 5);
    std::deque<size_t> labels;
    size_t next = 0;
    for (; next < count; next++) {
        worn.addPoint(&rows[8 * next], next);
        labels.push_back(next);
    }
    for (size_t cycle = 0; cycle < cycles; cycle++) {
        for (size_t i = 0; i < count / 4; i++) {
            worn.markDelete(labels.front());
            labels.pop_front();
        }
        for (size_t i = 0; i < count / 4; i++, next++) {
            worn.addPoint(&rows[8 * next], next, true);
            labels.push_back(next);
        }
    }
    for (size_t label : labels) {
        fresh.addPoint(&rows[8 * label], label);
        exact.addPoint(&rows[8 * label], label);
    }
    CHECK(worn.cur_element_count == count && worn.getDeletedCount() == 0 && worn.label_lookup_.size() == count);
    worn.setEf(30);
    fresh.setEf(30);
    size_t by_worn = 0, by_fresh = 0;
    for (size_t q = 0; q < 200; q++) {
        const auto due = exact.searchKnnCloserFirst(&queries[8 * q], 10);
        for (const auto &hit : worn.searchKnnCloserFirst(&queries[8 * q], 10)) by_worn += hit.first <= due.back().first;
        for (const auto &hit : fresh.searchKnnCloserFirst(&queries[8 * q], 10)) by_fresh += hit.first <= due.back().first;
    }
    // Within half a per cent of 2,000.
    CHECK(by_worn + 10 >= by_fresh);
    worn.checkIntegrity();
}

} // namespace

int main() {
    searches_leave_nothing_behind();
    an_empty_index_is_small();
    a_filter_that_few_pass_ends_the_walk();
    replacing_wears_nothing_out();
    return failures("defects");
}
