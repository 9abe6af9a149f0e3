// Everything at once: what hnswlib's users had to keep apart by locks of their own runs beside each other here.
#include "common.h"

namespace {

const size_t DIM = 8, COUNT = 3000;

void run(const std::vector<std::function<void()>> &jobs) {
    std::vector<std::thread> threads;
    for (const auto &job : jobs)
        threads.emplace_back([&job] {
            try {
                job();
            } catch (const std::exception &error) {
                fprintf(stderr, "a thread ended: %s\n", error.what());
                abort();
            }
        });
    for (std::thread &thread : threads) thread.join();
}

void everything_at_once() {
    hnswlib::L2Space space(DIM);
    hnswlib::HierarchicalNSW<float> index(&space, COUNT, 8, 40);
    const std::vector<float> rows = random_rows(2 * COUNT, DIM, 1);
    std::atomic<bool> done(false);
    std::vector<std::function<void()>> jobs;
    for (size_t t = 0; t < 3; t++)
        jobs.push_back([&, t] {
            for (size_t i = t; i < COUNT; i += 3) {
                index.addPoint(&rows[i * DIM], i);
                if (i % 7 == 0) index.markDelete(i);
                if (i % 14 == 0) index.unmarkDelete(i);
                if (i % 11 == 0 && i % 7) index.addPoint(&rows[(COUNT + i) * DIM], i);
            }
            if (t == 0) done = true;
        });
    for (size_t t = 0; t < 2; t++)
        jobs.push_back([&, t] {
            for (size_t i = 0; !done; i++) {
                // With a breadth of its own each; in hnswlib it is shared.
                const auto found = index.searchKnnCloserFirst(&rows[(i % COUNT) * DIM], 5, 5 + 20 * t);
                if (!std::is_sorted(found.begin(), found.end())) abort();
                // No vector is half of one and half of another.
                for (const auto &hit : found) {
                    const float *old_row = &rows[hit.second * DIM], *new_row = &rows[(COUNT + hit.second) * DIM];
                    const float *query = &rows[(i % COUNT) * DIM];
                    const float a = hnswlib::L2Sqr(query, old_row, space.get_dist_func_param());
                    const float b = hnswlib::L2Sqr(query, new_row, space.get_dist_func_param());
                    if (std::fabs(a - hit.first) > 1e-4f && std::fabs(b - hit.first) > 1e-4f) abort();
                }
            }
        });
    jobs.push_back([&] {
        for (size_t i = 0; !done; i++) {
            index.resizeIndex(COUNT + i % 5);
            index.saveIndex("beside.bin");
            hnswlib::HierarchicalNSW<float> saved(&space, "beside.bin");
            saved.searchKnn(&rows[0], 3);
        }
    });
    run(jobs);
    size_t deleted = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const bool gone = i % 7 == 0 && i % 14 != 0;
        deleted += gone;
        if (gone) continue;
        const float *row = i % 11 == 0 && i % 7 ? &rows[(COUNT + i) * DIM] : &rows[i * DIM];
        CHECK(memcmp(index.getDataByLabel<float>(i).data(), row, DIM * sizeof(float)) == 0);
    }
    CHECK(index.getDeletedCount() == deleted && index.cur_element_count == COUNT);
    index.setEf(100);
    CHECK(index.searchKnn(&rows[0], COUNT).size() == COUNT - deleted);
    index.checkIntegrity();
    remove("beside.bin");
}

// Threads that replace never find the index full while a deleted element is there.
void replacing_at_full_capacity() {
    hnswlib::L2Space space(DIM);
    const std::vector<float> rows = random_rows(COUNT, DIM, 2);
    for (unsigned round = 0; round < 5; round++) {
        hnswlib::HierarchicalNSW<float> index(&space, 1000, 8, 40, round, true);
        std::vector<std::function<void()>> jobs;
        for (size_t t = 0; t < 8; t++)
            jobs.push_back([&, t] {
                for (size_t i = t; i < 1000; i += 8) index.addPoint(&rows[i * DIM], i);
            });
        run(jobs);
        for (size_t i = 0; i < 500; i++) index.markDelete(2 * i);
        jobs.clear();
        for (size_t t = 0; t < 8; t++)
            jobs.push_back([&, t] {
                for (size_t i = t; i < 500; i += 8) index.addPoint(&rows[(1000 + i) * DIM], 1000 + i, true);
            });
        run(jobs);
        CHECK(index.cur_element_count == 1000 && index.getDeletedCount() == 0 && index.label_lookup_.size() == 1000);
        CHECK(index.searchKnn(&rows[0], 1000).size() == 1000);
        for (size_t i = 0; i < 500; i++)
            CHECK(index.label_lookup_.count(2 * i) == 0 && index.label_lookup_.count(2 * i + 1) == 1 &&
                  index.label_lookup_.count(1000 + i) == 1);
    }
}

// Threads that add the same labels.
void one_label_from_many_threads() {
    hnswlib::L2Space space(DIM);
    hnswlib::HierarchicalNSW<float> index(&space, 10);
    const std::vector<float> rows = random_rows(800, DIM, 3);
    std::vector<std::function<void()>> jobs;
    for (size_t t = 0; t < 8; t++)
        jobs.push_back([&, t] {
            for (size_t i = 0; i < 100; i++) index.addPoint(&rows[(100 * t + i) * DIM], i % 10);
        });
    run(jobs);
    CHECK(index.cur_element_count == 10 && index.label_lookup_.size() == 10 && index.searchKnn(&rows[0], 10).size() == 10);
}

void brute_force_at_once() {
    hnswlib::L2Space space(DIM);
    hnswlib::BruteforceSearch<float> index(&space, COUNT);
    const std::vector<float> rows = random_rows(COUNT, DIM, 4);
    std::atomic<bool> done(false);
    run({[&] {
             for (size_t i = 0; i < COUNT; i++) index.addPoint(&rows[i * DIM], i);
             for (size_t i = 0; i < COUNT; i += 2) index.removePoint(i);
             done = true;
         },
         [&] {
             while (!done)
                 if (index.searchKnn(&rows[0], 10).size() > 10) abort();
         }});
    CHECK(index.cur_element_count == COUNT / 2);
}

} // namespace

int main() {
    everything_at_once();
    replacing_at_full_capacity();
    one_label_from_many_threads();
    brute_force_at_once();
    return failures("concurrent");
}
