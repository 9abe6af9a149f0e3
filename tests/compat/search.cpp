// Searches through hnswlib's interface: order, filters, spaces of the caller's own, stop conditions, exceptions, counters.
#include "common.h"

namespace {

template <class dist_t>
std::vector<std::pair<dist_t, size_t>> drained(std::priority_queue<std::pair<dist_t, size_t>> heap) {
    std::vector<std::pair<dist_t, size_t>> all(heap.size());
    for (size_t left = all.size(); left > 0; heap.pop()) all[--left] = heap.top();
    return all;
}

struct Odd : hnswlib::BaseFilterFunctor {
    bool operator()(hnswlib::labeltype label) override { return label % 2 == 1; }
};
struct None : hnswlib::BaseFilterFunctor {
    bool operator()(hnswlib::labeltype) override { return false; }
};

void order_and_filters() {
    const size_t dim = 8, count = 3000;
    const std::vector<float> rows = random_rows(count, dim, 3), queries = random_rows(50, dim, 4);
    hnswlib::L2Space l2(dim);
    hnswlib::InnerProductSpace ip(dim);
    for (hnswlib::SpaceInterface<float> *space : {static_cast<hnswlib::SpaceInterface<float> *>(&l2),
                                                  static_cast<hnswlib::SpaceInterface<float> *>(&ip)}) {
        hnswlib::HierarchicalNSW<float> graph(space, count);
        hnswlib::BruteforceSearch<float> flat(space, count);
        for (size_t i = 0; i < count; i++) {
            graph.addPoint(&rows[i * dim], i + 100);
            flat.addPoint(&rows[i * dim], i + 100);
        }
        graph.setEf(100);
        size_t right = 0;
        Odd odd;
        None none;
        for (size_t q = 0; q < 50; q++) {
            const float *query = &queries[q * dim];
            for (hnswlib::AlgorithmInterface<float> *index : {static_cast<hnswlib::AlgorithmInterface<float> *>(&graph),
                                                              static_cast<hnswlib::AlgorithmInterface<float> *>(&flat)}) {
                const auto near = index->searchKnnCloserFirst(query, 10);
                CHECK(near == drained(index->searchKnn(query, 10)) && near.size() == 10);
                CHECK(std::is_sorted(near.begin(), near.end()));
                const auto some = index->searchKnnCloserFirst(query, 10, &odd);
                CHECK(some.size() == 10);
                for (const auto &hit : some) CHECK(hit.second % 2 == 1);
                CHECK(index->searchKnn(query, 10, &none).empty() && index->searchKnn(query, 0).empty());
                for (const auto &hit : near) {
                    const float due = space->get_dist_func()(query, &rows[(hit.second - 100) * dim], space->get_dist_func_param());
                    CHECK(std::fabs(due - hit.first) < 1e-4f);
                }
            }
            const auto exact = flat.searchKnnCloserFirst(query, 10);
            const auto found = graph.searchKnnCloserFirst(query, 10, 200); // a breadth of this search's own
            for (const auto &hit : found) right += std::find(exact.begin(), exact.end(), hit) != exact.end();
        }
        CHECK(right >= 495);
        // More than there are, which hnswlib's brute force must not be asked for, and fewer because of the filter.
        CHECK(flat.searchKnn(&queries[0], count + 5).size() == count && graph.searchKnn(&queries[0], count + 5).size() == count);
        CHECK(flat.searchKnn(&queries[0], count, &odd).size() == count / 2);
        CHECK(graph.searchKnn(&queries[0], 5, nullptr).size() == 5 && graph.searchKnn(&queries[0], 5, 0).size() == 5);
    }
}

// Duplicates cut hnswlib's graph: distant vectors did not find themselves.
void duplicates_do_not_cut_the_graph() {
    hnswlib::L2Space space(4);
    hnswlib::HierarchicalNSW<float> index(&space, 1050);
    std::vector<float> same(4, 0.25f);
    for (size_t i = 0; i < 1000; i++) index.addPoint(same.data(), i);
    const std::vector<float> far = random_rows(50, 4, 5);
    for (size_t i = 0; i < 50; i++) {
        const float row[] = {far[4 * i] + 9, far[4 * i + 1], far[4 * i + 2], far[4 * i + 3]};
        index.addPoint(row, 1000 + i);
    }
    for (size_t i = 0; i < 50; i++) {
        const float row[] = {far[4 * i] + 9, far[4 * i + 1], far[4 * i + 2], far[4 * i + 3]};
        CHECK(index.searchKnn(row, 1).top().second == 1000 + i);
    }
}

// Everything deleted and new ones added: hnswlib returned fewer than there are, or crashed.
void tombstones_hide_nothing() {
    for (unsigned seed = 0; seed < 30; seed++) {
        hnswlib::L2Space space(4);
        hnswlib::HierarchicalNSW<float> index(&space, 400, 3, 8, seed);
        const std::vector<float> rows = random_rows(340, 4, seed);
        for (size_t i = 0; i < 300; i++) index.addPoint(&rows[4 * i], i);
        for (size_t i = 0; i < 300; i++) index.markDelete(i);
        for (size_t i = 300; i < 340; i++) index.addPoint(&rows[4 * i], i);
        index.setEf(400);
        CHECK(index.searchKnn(&rows[0], 40).size() == 40);
    }
}

// A space of the caller's: rows that only its function understands, distances of any type.
template <class T>
class Manhattan : public hnswlib::SpaceInterface<T> {
    size_t dim_;
    static T distance(const void *a, const void *b, const void *dim) {
        T sum = 0, x, y;
        for (size_t i = 0; i < *static_cast<const size_t *>(dim); i++) {
            memcpy(&x, static_cast<const char *>(a) + i * sizeof(T), sizeof(T));
            memcpy(&y, static_cast<const char *>(b) + i * sizeof(T), sizeof(T));
            sum += x < y ? y - x : x - y;
        }
        return sum;
    }

 public:
    explicit Manhattan(size_t dim) : dim_(dim) {}
    size_t get_data_size() override { return dim_ * sizeof(T); }
    hnswlib::DISTFUNC<T> get_dist_func() override { return distance; }
    void *get_dist_func_param() override { return &dim_; }
};

template <class T>
void own_space(T scale) {
    const size_t dim = 6, count = 1500;
    std::mt19937 random(8);
    std::vector<T> rows(count * dim);
    for (T &x : rows) x = static_cast<T>(random() % 100000) * scale;
    Manhattan<T> space(dim);
    hnswlib::HierarchicalNSW<T> graph(&space, count, 8, 60);
    hnswlib::BruteforceSearch<T> flat(&space, count);
    for (size_t i = 0; i < count; i++) {
        graph.addPoint(&rows[i * dim], i);
        flat.addPoint(&rows[i * dim], i);
    }
    size_t right = 0;
    graph.setEf(80);
    for (size_t q = 0; q < 40; q++) {
        const T *query = &rows[q * 7 * dim];
        std::vector<std::pair<T, size_t>> due;
        for (size_t i = 0; i < count; i++)
            due.push_back({space.get_dist_func()(query, &rows[i * dim], space.get_dist_func_param()), i});
        std::sort(due.begin(), due.end());
        due.resize(10);
        // To the last bit: distances are not rounded on the way.
        CHECK(flat.searchKnnCloserFirst(query, 10) == due);
        for (const auto &hit : graph.searchKnnCloserFirst(query, 10)) {
            CHECK(hit.first == space.get_dist_func()(query, &rows[hit.second * dim], space.get_dist_func_param()));
            right += std::find(due.begin(), due.end(), hit) != due.end();
        }
    }
    CHECK(right >= 390);
    CHECK((graph.template getDataByLabel<T>(3) == std::vector<T>(&rows[3 * dim], &rows[4 * dim])));
    graph.checkIntegrity();
}

void bytes_with_int_distances() {
    hnswlib::L2SpaceI space(16);
    hnswlib::HierarchicalNSW<int> index(&space, 500);
    std::mt19937 random(9);
    std::vector<unsigned char> rows(500 * 16);
    for (unsigned char &x : rows) x = static_cast<unsigned char>(random());
    for (size_t i = 0; i < 500; i++) index.addPoint(&rows[16 * i], i);
    for (size_t i = 0; i < 500; i++) {
        const auto found = index.searchKnnCloserFirst(&rows[16 * i], 2);
        CHECK(found[0] == (std::pair<int, size_t>(0, i)));
        CHECK(found[1].first == hnswlib::L2SqrI(&rows[16 * i], &rows[16 * found[1].second], space.get_dist_func_param()));
    }
}

// A class derived from a known space with another distance is not taken for the known one.
class Backwards : public hnswlib::L2Space {
    static float distance(const void *a, const void *b, const void *dim) { return -hnswlib::L2Sqr(a, b, dim); }

 public:
    explicit Backwards(size_t dim) : L2Space(dim) {}
    hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
};

void derived_spaces_keep_their_distance() {
    Backwards space(1);
    hnswlib::BruteforceSearch<float> index(&space, 10);
    for (int i = 0; i < 10; i++) {
        const float row = static_cast<float>(i);
        index.addPoint(&row, i);
    }
    const float query = 0;
    CHECK(index.searchKnn(&query, 1).top() == (std::pair<float, size_t>(-81.0f, 9)));
}

struct Throwing : hnswlib::BaseFilterFunctor {
    bool operator()(hnswlib::labeltype) override { throw std::out_of_range("filter"); }
};

float throwing_distance(const void *, const void *, const void *trap) {
    if (*static_cast<const bool *>(trap)) throw std::domain_error("distance");
    return 1;
}
class Trap : public hnswlib::SpaceInterface<float> {
 public:
    bool armed = false;
    size_t get_data_size() override { return 8; }
    hnswlib::DISTFUNC<float> get_dist_func() override { return throwing_distance; }
    void *get_dist_func_param() override { return &armed; }
};

void exceptions_arrive() {
    hnswlib::L2Space space(2);
    hnswlib::HierarchicalNSW<float> index(&space, 100);
    const std::vector<float> rows = random_rows(100, 2, 6);
    for (size_t i = 0; i < 100; i++) index.addPoint(&rows[2 * i], i);
    Throwing filter;
    for (int i = 0; i < 3; i++) {
        bool caught = false;
        try {
            index.searchKnn(&rows[0], 5, &filter);
        } catch (const std::out_of_range &) {
            caught = true;
        }
        CHECK(caught && index.searchKnn(&rows[0], 5).size() == 5);
    }
    Trap trap;
    hnswlib::HierarchicalNSW<float> trapped(&trap, 10);
    for (size_t i = 0; i < 5; i++) trapped.addPoint(&rows[2 * i], i);
    trap.armed = true;
    int caught = 0;
    try {
        trapped.addPoint(&rows[10], 5);
    } catch (const std::domain_error &) {
        caught++;
    }
    try {
        trapped.searchKnn(&rows[10], 1);
    } catch (const std::domain_error &) {
        caught++;
    }
    trap.armed = false;
    CHECK(caught == 2 && trapped.cur_element_count == 5 && trapped.searchKnn(&rows[0], 10).size() == 5);
    trapped.addPoint(&rows[10], 5);
    CHECK(trapped.searchKnn(&rows[0], 10).size() == 6);
}

// The index may be looked at from a filter, and is not changed from there.
struct Looking : hnswlib::BaseFilterFunctor {
    hnswlib::HierarchicalNSW<float> *index;
    bool change = false;
    bool operator()(hnswlib::labeltype label) override {
        std::unique_lock<std::mutex> lock(index->label_lookup_lock);
        const auto found = index->label_lookup_.find(label);
        if (change) index->markDelete(label);
        return found != index->label_lookup_.end() && !index->isMarkedDeleted(found->second) &&
               index->getDataByLabel<float>(label)[0] > 50;
    }
};

void filters_may_look_at_the_index() {
    hnswlib::L2Space space(1);
    hnswlib::HierarchicalNSW<float> index(&space, 100);
    for (int i = 0; i < 100; i++) {
        const float row = static_cast<float>(i);
        index.addPoint(&row, i);
    }
    Looking filter;
    filter.index = &index;
    const float query = 0;
    CHECK(index.searchKnnCloserFirst(&query, 1, &filter)[0].second == 51);
    filter.change = true;
    bool refused = false;
    try {
        index.searchKnn(&query, 1, &filter);
    } catch (const std::runtime_error &) {
        refused = true;
    }
    CHECK(refused && index.getDeletedCount() == 0);
}

void stop_conditions() {
    const size_t dim = 8, count = 1000;
    hnswlib::MultiVectorL2Space<unsigned> space(dim);
    const std::vector<float> rows = random_rows(count, dim, 7);
    hnswlib::HierarchicalNSW<float> index(&space, count);
    std::vector<char> row(space.get_data_size());
    for (size_t i = 0; i < count; i++) {
        memcpy(row.data(), &rows[i * dim], dim * sizeof(float));
        space.set_doc_id(row.data(), static_cast<unsigned>(i % 50));
        // Labels that are no internal ids, which hnswlib returned in their place.
        index.addPoint(row.data(), 5000 + 3 * i);
    }
    for (size_t q = 0; q < 20; q++) {
        // No document's number behind the query, and nothing may be read there.
        std::vector<float> query(&rows[q * 31 * dim], &rows[(q * 31 + 1) * dim]);
        hnswlib::MultiVectorSearchStopCondition<unsigned, float> documents(space, 5, 10);
        const auto found = index.searchStopConditionClosest(query.data(), documents);
        std::unordered_set<unsigned> docs;
        for (const auto &hit : found) docs.insert(static_cast<unsigned>((hit.second - 5000) / 3 % 50));
        CHECK(docs.size() == 5 && found[0] == (std::pair<float, size_t>(0.0f, 5000 + 3 * q * 31)));
        CHECK(std::is_sorted(found.begin(), found.end()));
        hnswlib::EpsilonSearchStopCondition<float> near(0.5f, 200, count);
        Odd odd;
        size_t due = 0;
        for (size_t i = 0; i < count; i++)
            due += (5000 + 3 * i) % 2 == 1 && hnswlib::L2Sqr(query.data(), &rows[i * dim], space.get_dist_func_param()) <= 0.5f;
        const auto all = index.searchStopConditionClosest(query.data(), near, &odd);
        CHECK(all.size() <= due && all.size() * 100 >= due * 95);
        for (const auto &hit : all) CHECK(hit.second % 2 == 1 && hit.first <= 0.5f);
    }
    // Equal distances in different documents were counted wrongly.
    hnswlib::HierarchicalNSW<float> equal(&space, 100);
    memset(row.data(), 0, row.size());
    for (unsigned i = 0; i < 100; i++) {
        space.set_doc_id(row.data(), i % 20);
        equal.addPoint(row.data(), i);
    }
    hnswlib::MultiVectorSearchStopCondition<unsigned, float> documents(space, 7, 9);
    std::unordered_set<size_t> docs;
    for (const auto &hit : equal.searchStopConditionClosest(row.data(), documents)) docs.insert(hit.second % 20);
    CHECK(docs.size() == 7);
    // In memory that was not zero before; hnswlib never set the length.
    char place[sizeof(hnswlib::MultiVectorInnerProductSpace<unsigned>)];
    memset(place, 0xab, sizeof place);
    auto *products = new (place) hnswlib::MultiVectorInnerProductSpace<unsigned>(dim);
    CHECK(*static_cast<size_t *>(products->get_dist_func_param()) == dim);
    products->~MultiVectorInnerProductSpace();
}

// What is dropped is told with its own distance.
struct Sum : hnswlib::BaseSearchStopCondition<float> {
    double sum = 0;
    size_t kept = 0;
    void add_point_to_result(size_t, const void *, float distance) override {
        sum += distance;
        kept++;
    }
    void remove_point_from_result(size_t, const void *, float distance) override {
        sum -= distance;
        kept--;
    }
    bool should_stop_search(float candidate, float bound) override { return kept == 20 && candidate > bound; }
    bool should_consider_candidate(float distance, float bound) override { return kept < 20 || distance < bound; }
    bool should_remove_extra() override { return kept > 20; }
    void filter_results(std::vector<std::pair<float, size_t>> &) override {}
};

void a_condition_hears_true_distances() {
    hnswlib::L2Space space(4);
    hnswlib::HierarchicalNSW<float> index(&space, 500);
    const std::vector<float> rows = random_rows(500, 4, 12);
    for (size_t i = 0; i < 500; i++) index.addPoint(&rows[4 * i], i);
    index.metric_hops = 0;
    index.metric_distance_computations = 0;
    Sum condition;
    const auto found = index.searchStopConditionClosest(&rows[0], condition);
    double sum = 0;
    for (const auto &hit : found) sum += hit.first;
    CHECK(found.size() == 20 && std::fabs(sum - condition.sum) < 1e-4);
    CHECK(index.metric_hops > 0 && index.metric_distance_computations > 20);
    const long before = index.metric_distance_computations;
    index.searchKnn(&rows[0], 10);
    CHECK(index.metric_distance_computations > before);
}

void brute_force() {
    hnswlib::L2Space space(1);
    hnswlib::BruteforceSearch<float> index(&space, 3);
    const float x[] = {0, 1, 2, 3};
    for (int i = 0; i < 3; i++) index.addPoint(&x[i], 10 + i);
    THROWS("The number of elements exceeds the specified limit", index.addPoint(&x[3], 20));
    index.addPoint(&x[3], 10); // in place
    CHECK(index.cur_element_count == 3 && index.searchKnn(&x[3], 1).top().second == 10);
    index.removePoint(99);
    // hnswlib used its map after it had erased the entry, and lost what was added again.
    index.removePoint(12);
    CHECK(index.cur_element_count == 2);
    index.addPoint(&x[2], 12);
    CHECK(index.cur_element_count == 3 && index.searchKnn(&x[2], 3).size() == 3);
    index.removePoint(10);
    index.removePoint(11);
    index.removePoint(12);
    CHECK(index.cur_element_count == 0 && index.searchKnn(&x[2], 3).empty() && index.maxelements_ == 3);
}

} // namespace

int main() {
    order_and_filters();
    duplicates_do_not_cut_the_graph();
    tombstones_hide_nothing();
    own_space<float>(0.5f);
    own_space<int>(1000);
    own_space<double>(1e-9);
    bytes_with_int_distances();
    derived_spaces_keep_their_distance();
    exceptions_arrive();
    filters_may_look_at_the_index();
    stop_conditions();
    a_condition_hears_true_distances();
    brute_force();
    return failures("search");
}
