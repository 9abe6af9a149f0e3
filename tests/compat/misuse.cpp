// What a program should not do, or does by accident: exceptions in every place, spaces that are gone, callbacks that change what called
// them, limits that threads race for. Each leaves an index that works.
//
// argv[1]: tests/fixtures/foreign.
#include "common.h"

#include <iterator>
#include <sstream>

namespace {

std::string fixtures;

// L2 over floats that throws when it is told to, and can change the index that calls it.
struct Trap : hnswlib::SpaceInterface<float> {
    explicit Trap(size_t dim) : dim_(dim) {}
    size_t get_data_size() override { return dim_ * sizeof(float); }
    hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
    void *get_dist_func_param() override { return this; }
    static float distance(const void *a, const void *b, const void *param) {
        const Trap &trap = *static_cast<const Trap *>(param);
        if (trap.armed) throw std::domain_error("from the distance");
        if (trap.change) trap.change();
        return hnswlib::L2Sqr(a, b, &trap.dim_);
    }
    // First, as hnswlib's getDataByLabel takes the number of components from there.
    size_t dim_;
    bool armed = false;
    std::function<void()> change;
};

template <class Action>
bool springs(Trap &trap, Action action) {
    trap.armed = true;
    bool sprung = false;
    try {
        action();
    } catch (const std::domain_error &) {
        sprung = true;
    }
    trap.armed = false;
    return sprung;
}

void a_distance_that_throws_anywhere() {
    Trap trap(7);
    hnswlib::HierarchicalNSW<float> index(&trap, 20, 8, 40, 100, true);
    const auto row = [](size_t label) { return fixture_row(label, 7); };
    for (size_t i = 0; i < 10; i++) index.addPoint(row(i).data(), i);
    CHECK(springs(trap, [&] { index.addPoint(row(30).data(), 30); }));
    CHECK(index.cur_element_count == 10 && index.label_lookup_.count(30) == 0 && index.searchKnn(row(1).data(), 20).size() == 10);
    // A deleted label stays deleted, and can come back.
    index.markDelete(4);
    CHECK(springs(trap, [&] { index.addPoint(row(44).data(), 4, true); }));
    CHECK(index.getDeletedCount() == 1 && index.searchKnn(row(1).data(), 20).size() == 9);
    index.unmarkDelete(4);
    CHECK(index.searchKnn(row(1).data(), 20).size() == 10 && index.getDeletedCount() == 0);
    // Another's place stays the other's.
    index.markDelete(5);
    CHECK(springs(trap, [&] { index.addPoint(row(55).data(), 55, true); }));
    CHECK(index.getDeletedCount() == 1 && index.label_lookup_.count(55) == 0 && index.label_lookup_.count(5) == 1);
    index.unmarkDelete(5);
    CHECK(index.getDataByLabel<float>(5) == row(5));
    CHECK(springs(trap, [&] { index.updatePoint(row(6).data(), 6, 1.0f); }));
    CHECK(springs(trap, [&] { index.searchKnn(row(6).data(), 1); }));
    CHECK(springs(trap, [&] { index.searchKnnCloserFirst(row(6).data(), 1); }));
    hnswlib::EpsilonSearchStopCondition<float> condition(1, 1, 5);
    CHECK(springs(trap, [&] { index.searchStopConditionClosest(row(6).data(), condition); }));
    hnswlib::BruteforceSearch<float> flat(&trap, 3);
    flat.addPoint(row(1).data(), 1);
    CHECK(springs(trap, [&] { flat.searchKnn(row(1).data(), 1); }));
    index.checkIntegrity();

    // While a file is loaded elements that nothing links to are linked, by the distance. Here all of them lose their lists.
    std::ifstream file(fixtures + "/hnswlib-l2.bin", std::ios::binary);
    std::string unlinked((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    for (size_t i = 0; i < 200; i++) unlinked.replace(96 + i * (4 + 4 * 10 + 28 + 8), 4, 4, '\0');
    const size_t count = index.cur_element_count;
    std::istringstream first(unlinked), second(unlinked);
    CHECK(springs(trap, [&] { index.loadIndex(first, &trap); }));
    CHECK(index.cur_element_count == count && index.searchKnn(row(1).data(), 20).size() == count);
    index.loadIndex(second, &trap);
    CHECK(index.cur_element_count == 200);
    index.checkIntegrity();
    // A call that throws nothing says it all.
    trap.armed = true;
    const auto none = index.searchKnnNoExceptions(row(1).data(), 1);
    trap.armed = false;
    CHECK(!none.ok() && std::string(none.status().message()) == "from the distance");
}

// hnswlib's locks would wait for themselves.
void a_distance_that_changes_its_index() {
    Trap trap(2);
    hnswlib::HierarchicalNSW<float> index(&trap, 10);
    const float a[] = {0, 0}, b[] = {1, 0};
    index.addPoint(a, 1);
    size_t refused = 0;
    const std::function<void()> changes[] = {[&] { index.addPoint(b, 2); },   [&] { index.addPoint(b, 2, 0); },
                                             [&] { index.markDelete(1); },    [&] { index.unmarkDelete(1); },
                                             [&] { index.updatePoint(b, 0, 1); }};
    for (const auto &change : changes) {
        trap.change = change;
        try {
            index.addPoint(b, 2);
        } catch (const std::runtime_error &error) {
            refused += std::string(error.what()).find("callback") != std::string::npos;
        }
        trap.change = nullptr;
        CHECK(index.cur_element_count == 1 && index.searchKnn(a, 5).size() == 1);
    }
    CHECK(refused == 5);
    // Another index is free to be changed.
    hnswlib::L2Space plain(2);
    hnswlib::HierarchicalNSW<float> other(&plain, 10);
    trap.change = [&] { other.addPoint(b, 7); };
    index.addPoint(b, 2);
    CHECK(other.cur_element_count == 1 && index.cur_element_count == 2);
}

struct Fails : hnswlib::BaseFilterFunctor {
    bool operator()(hnswlib::labeltype) override { throw 7; }
};

void exceptions_that_are_none_of_std() {
    hnswlib::L2Space space(1);
    hnswlib::HierarchicalNSW<float> index(&space, 1);
    const float zero = 0;
    index.addPoint(&zero, 1);
    Fails fails;
    int caught = 0;
    try {
        index.searchKnn(&zero, 1, &fails);
    } catch (int value) {
        caught = value;
    }
    CHECK(caught == 7 && !index.searchKnnNoExceptions(&zero, 1, &fails).ok() && index.searchKnnNoExceptions(&zero, 1).ok());
}

// hnswlib never looks at the space again either, but for its parameter.
void a_space_that_is_gone() {
    std::unique_ptr<hnswlib::L2Space> space(new hnswlib::L2Space(3));
    hnswlib::HierarchicalNSW<float> index(space.get(), 5);
    hnswlib::BruteforceSearch<float> flat(space.get(), 5);
    space.reset();
    const float row[] = {1, 2, 3};
    index.addPoint(row, 1);
    flat.addPoint(row, 1);
    CHECK(index.searchKnn(row, 1).top().second == 1 && flat.searchKnn(row, 1).top().second == 1);
    CHECK(index.getDataByLabel<float>(1) == std::vector<float>(row, row + 3));
}

void updating_what_is_deleted() {
    hnswlib::L2Space space(1);
    hnswlib::HierarchicalNSW<float> index(&space, 5);
    const float x[] = {0, 1, 2};
    for (size_t i = 0; i < 2; i++) index.addPoint(&x[i], i);
    index.markDelete(1);
    index.updatePoint(&x[2], 1, 1.0f);
    CHECK(index.searchKnn(&x[2], 2).size() == 1 && index.isMarkedDeleted(1) && index.getDeletedCount() == 1);
    index.unmarkDelete(1);
    CHECK(index.searchKnn(&x[2], 1).top().second == 1 && index.getDataByLabel<float>(1)[0] == 2);
    THROWS("Label not found", index.updatePoint(&x[0], 99, 1.0f));
}

void nonsense() {
    hnswlib::L2Space space(2);
    hnswlib::HierarchicalNSW<float> index(&space, 3);
    const float row[] = {1, 2}, infinite[] = {1, std::numeric_limits<float>::infinity()};
    CHECK(index.searchKnn(row, 10).empty() && index.searchKnn(row, 0).empty() && index.searchKnnCloserFirst(row, 10).empty());
    hnswlib::EpsilonSearchStopCondition<float> condition(1, 0, 5);
    CHECK(index.searchStopConditionClosest(row, condition).empty());
    index.addPoint(row, 1);
    CHECK(index.searchKnn(row, 1000000).size() == 1 && index.searchKnn(row, 0).empty());
    index.setEf(0);
    CHECK(index.searchKnn(row, 1).size() == 1);
    index.setEf(~size_t(0));
    CHECK(index.searchKnn(row, 1).size() == 1);
    bool thrown = false;
    try {
        index.searchKnn(infinite, 1);
    } catch (const std::runtime_error &) {
        thrown = true;
    }
    CHECK(thrown);
    THROWS("the vector is a null pointer", index.addPoint(nullptr, 2));
    THROWS("Label not found", index.getDataByInternalId(5));
    THROWS("Label not found", index.getExternalLabel(5));
    THROWS("Label not found", index.markDeletedInternal(5));
    index.resizeIndex(~size_t(0)); // takes no memory
    index.addPoint(row, 2);
    hnswlib::HierarchicalNSW<float> huge(&space, size_t(1) << 40);
    huge.addPoint(row, 1);
    hnswlib::BruteforceSearch<float> flat(&space);
    THROWS("The number of elements exceeds the specified limit", flat.addPoint(row, 1));
    flat.removePoint(1);
    CHECK(flat.searchKnn(row, 3).empty());
}

// The table of labels beside std::unordered_map: labels that collide, come and go.
void a_table_of_labels() {
    std::mt19937_64 random(5);
    for (int round = 0; round < 20; round++) {
        hnswlib::KithLabels table;
        std::unordered_map<size_t, hnswlib::tableint> model;
        const size_t spread = round % 2 ? size_t(1) << 32 : 1; // many have one home, or neighbouring ones
        for (int step = 0; step < 2000; step++) {
            const size_t label = spread * (random() % 300);
            const bool there = model.count(label) != 0;
            CHECK(table.find(label).there == there && (!there || table.find(label).id == model[label]));
            if (!there && model.size() < 100) {
                CHECK(table.book(100));
                model[label] = table.add(label);
            } else if (!there) {
                // A deleted element gets another label.
                const auto victim = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
                table.put_back(victim->second);
                hnswlib::tableint id = 0;
                size_t old = 0;
                CHECK(table.take(id, old) && old == victim->first && id == victim->second && table.give(id, label));
                model.erase(victim);
                model[label] = id;
            }
        }
        CHECK(table.labels() == model.size() && table.all().size() == model.size() && !table.book(100));
        for (const auto &entry : table.all()) CHECK(model.count(entry.first) && model[entry.first] == entry.second);
    }
}

// However threads race for the last places, just so many get in as there are.
void races_for_room() {
    hnswlib::L2Space space(1);
    for (int round = 0; round < 5; round++) {
        hnswlib::BruteforceSearch<float> flat(&space, 100);
        hnswlib::HierarchicalNSW<float> index(&space, 100, 4, 20);
        std::atomic<size_t> flat_in(0), in(0), sizes(0);
        std::vector<std::thread> threads;
        for (size_t t = 0; t < 4; t++)
            threads.emplace_back([&, t] {
                for (size_t i = 0; i < 50; i++) {
                    const float x = static_cast<float>(t * 50 + i);
                    flat_in += flat.addPointNoExceptions(&x, t * 50 + i).ok();
                    in += index.addPointNoExceptions(&x, t * 50 + i).ok();
                    sizes += index.resizeIndexNoExceptions(100 - i % 2 * 10).ok();
                }
            });
        for (std::thread &thread : threads) thread.join();
        CHECK(flat_in == 100 && flat.cur_element_count == 100 && flat.searchKnn(std::vector<float>{0}.data(), 200).size() == 100);
        CHECK(in == index.cur_element_count && in >= 90 && in <= index.getMaxElements() && sizes > 0);
        std::unordered_set<size_t> labels;
        for (size_t i = 0; i < 100; i++) labels.insert(flat.getExternalLabel(i));
        CHECK(labels.size() == 100);
        THROWS("Label not found", flat.getExternalLabel(100));
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    fixtures = argv[1];
    a_distance_that_throws_anywhere();
    a_distance_that_changes_its_index();
    exceptions_that_are_none_of_std();
    a_space_that_is_gone();
    updating_what_is_deleted();
    nonsense();
    a_table_of_labels();
    races_for_room();
    return failures("misuse");
}
