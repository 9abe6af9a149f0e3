// Adding, updating, deleting, replacing, capacities: does every call do and say what hnswlib 0.8 does and says?
#include "common.h"

namespace {

const char *const FULL = "The number of elements exceeds the specified limit";
const char *const NO_LABEL = "Label not found";

void construction() {
    hnswlib::L2Space space(4);
    hnswlib::HierarchicalNSW<float> index(&space, 10);
    CHECK(index.M_ == 16 && index.maxM_ == 16 && index.maxM0_ == 32 && index.ef_construction_ == 200 && index.ef_ == 10);
    CHECK(index.max_elements_ == 10 && index.getMaxElements() == 10 && index.cur_element_count == 0);
    CHECK(index.getCurrentElementCount() == 0 && index.getDeletedCount() == 0 && !index.allow_replace_deleted_);
    CHECK(std::fabs(index.mult_ - 1 / std::log(16.0)) < 1e-12);
    // What vectorlite computes to see whether a file has its dimensions.
    CHECK(index.label_offset_ - index.offsetData_ == 4 * sizeof(float) && index.data_size_ == 16);
    CHECK(index.size_data_per_element_ == 4 + 4 * 32 + 16 + 8 && index.offsetLevel0_ == 0);
    const int m = 5, ef = 3, max_elements = 20;
    hnswlib::HierarchicalNSW<float> small(&space, max_elements, m, ef);
    CHECK(small.ef_construction_ == 5 && small.maxM0_ == 10);

    // M of 0 and 1 crashed hnswlib.
    const std::vector<float> rows = random_rows(50, 4, 1);
    for (size_t degree = 0; degree < 2; degree++) {
        hnswlib::HierarchicalNSW<float> thin(&space, 50, degree);
        for (size_t i = 0; i < 50; i++) thin.addPoint(&rows[4 * i], i);
        thin.setEf(50);
        for (size_t i = 0; i < 50; i++) CHECK(thin.searchKnn(&rows[4 * i], 1).top().second == i);
    }
    // Never loaded: full, instead of a crash.
    hnswlib::HierarchicalNSW<float> none(&space);
    THROWS(FULL, none.addPoint(&rows[0], 1));
    CHECK(none.searchKnn(&rows[0], 3).empty());
}

void adding_and_updating() {
    hnswlib::L2Space space(2);
    hnswlib::HierarchicalNSW<float> index(&space, 3);
    const float a[] = {0, 0}, b[] = {1, 0}, c[] = {0, 5};
    index.addPoint(a, 10);
    index.addPoint(b, 20);
    CHECK(index.cur_element_count == 2 && index.label_lookup_.size() == 2);
    const hnswlib::tableint id = index.label_lookup_.find(20)->second;
    index.addPoint(c, 20); // the same label: another vector in its place
    CHECK(index.cur_element_count == 2 && index.getDataByLabel<float>(20)[1] == 5);
    CHECK(index.label_lookup_.find(20)->second == id && index.getExternalLabel(id) == 20 && index.getInternalIdByLabel(20) == id);
    CHECK(memcmp(index.getDataByInternalId(id), c, sizeof c) == 0);
    index.updatePoint(b, id, 1.0f);
    CHECK(index.getDataByLabel<float>(20)[0] == 1);
    index.addPoint(c, 30, false);
    THROWS(FULL, index.addPoint(a, 40));
    THROWS(FULL, index.addPoint(a, 40, 2)); // an int: the overload with a level
    index.addPoint(a, 30); // an update needs no room
    CHECK(index.getDataByLabel<float>(30)[1] == 0 && index.searchKnn(c, 3).size() == 3);
    THROWS("Replacement of deleted elements is disabled in constructor", index.addPoint(a, 40, true));
    const float bad[] = {std::numeric_limits<float>::quiet_NaN(), 0};
    index.resizeIndex(5);
    std::string said;
    try {
        index.addPoint(bad, 50);
    } catch (const std::runtime_error &error) {
        said = error.what();
    }
    CHECK(said.find("NaN") != std::string::npos && index.cur_element_count == 3 && index.label_lookup_.count(50) == 0);
    CHECK(index.addPoint(a, 60, 3) == 3 && index.cur_element_count == 4);
    THROWS("Cannot resize, max element is less than the current number of elements", index.resizeIndex(3));
    index.resizeIndex(4);
    THROWS(FULL, index.addPoint(a, 70));
}

void deleting() {
    hnswlib::L2Space space(2);
    hnswlib::HierarchicalNSW<float> index(&space, 10);
    for (int i = 0; i < 5; i++) {
        const float row[] = {static_cast<float>(i), 0};
        index.addPoint(row, i);
    }
    const float query[] = {2, 0};
    index.markDelete(2);
    CHECK(index.getDeletedCount() == 1 && index.num_deleted_ == 1 && index.cur_element_count == 5);
    CHECK(index.isMarkedDeleted(index.label_lookup_.find(2)->second) && !index.isMarkedDeleted(0));
    CHECK(index.searchKnn(query, 5).size() == 4 && index.label_lookup_.size() == 5);
    {
        const hnswlib::HierarchicalNSW<float> &constant = index;
        std::unique_lock<std::mutex> lock_label(constant.getLabelOpMutex(2)), lock_table(constant.label_lookup_lock);
        CHECK(constant.getDataByLabel<float>(1)[0] == 1 && constant.label_lookup_.find(2) != constant.label_lookup_.end());
    }
    THROWS("The requested to delete element is already deleted", index.markDelete(2));
    THROWS(NO_LABEL, index.markDelete(99));
    THROWS(NO_LABEL, index.getDataByLabel<float>(2));
    THROWS(NO_LABEL, index.getDataByLabel<float>(99));
    THROWS(NO_LABEL, index.unmarkDelete(99));
    THROWS("The requested to undelete element is not deleted", index.unmarkDelete(1));
    // The bytes are still there.
    CHECK(memcmp(index.getDataByInternalId(2), query, sizeof query) == 0);
    index.unmarkDelete(2);
    CHECK(index.searchKnn(query, 1).top().second == 2 && index.getDeletedCount() == 0);
    index.markDeletedInternal(2);
    index.addPoint(query, 2); // adding a deleted label brings it back
    CHECK(index.getDeletedCount() == 0 && index.searchKnn(query, 1).top().second == 2 && index.cur_element_count == 5);
    index.checkIntegrity();
    index.clear();
    CHECK(index.cur_element_count == 0 && index.label_lookup_.size() == 0 && index.searchKnn(query, 1).empty());
    THROWS(FULL, index.addPoint(query, 1));
}

void replacing() {
    hnswlib::L2Space space(2);
    hnswlib::HierarchicalNSW<float> index(&space, 4, 16, 200, 100, true);
    const auto at = [](float x) { return std::vector<float>{x, 0}; };
    for (int i = 0; i < 4; i++) index.addPoint(at(static_cast<float>(i)).data(), i);
    THROWS(FULL, index.addPoint(at(9).data(), 9, true)); // nothing is deleted
    index.markDelete(1);
    index.markDelete(2);
    THROWS("Can't use addPoint to update deleted elements if replacement of deleted elements is enabled.",
           index.addPoint(at(1).data(), 1));
    index.addPoint(at(7).data(), 7, true);
    CHECK(index.cur_element_count == 4 && index.getDeletedCount() == 1 && index.label_lookup_.count(7) == 1);
    CHECK(index.label_lookup_.size() == 4 && index.label_lookup_.count(1) + index.label_lookup_.count(2) == 1);
    const hnswlib::labeltype gone = index.label_lookup_.count(1) ? 2 : 1, kept = 3 - gone;
    THROWS(NO_LABEL, index.unmarkDelete(gone));
    index.addPoint(at(8).data(), kept, true); // its own place
    CHECK(index.getDeletedCount() == 0 && index.getDataByLabel<float>(kept)[0] == 8 && index.label_lookup_.size() == 4);
    THROWS(FULL, index.addPoint(at(9).data(), 9, true));
    index.addPoint(at(6).data(), 7, true); // a live label: an update
    CHECK(index.getDataByLabel<float>(7)[0] == 6 && index.cur_element_count == 4);
    // hnswlib made two elements of one label here, or lost one.
    index.markDelete(0);
    index.markDelete(3);
    index.addPoint(at(0.5f).data(), 0, true);
    index.addPoint(at(77).data(), 77, true);
    CHECK(index.getDataByLabel<float>(0)[0] == 0.5f && index.getDataByLabel<float>(77)[0] == 77);
    CHECK(index.searchKnn(at(0).data(), 4).size() == 4 && index.label_lookup_.size() == 4);
}

// Lookup, search and data agree after anything that was done.
void agreement() {
    hnswlib::L2Space space(3);
    hnswlib::HierarchicalNSW<float> index(&space, 60, 5, 30, 7, true);
    std::unordered_map<size_t, std::vector<float>> live;
    std::unordered_set<size_t> deleted;
    std::mt19937 random(11);
    size_t refused = 0;
    for (int step = 0; step < 6000; step++) {
        const size_t label = random() % 90;
        const std::vector<float> row = random_rows(1, 3, static_cast<unsigned>(random()));
        const int what = static_cast<int>(random() % 5);
        try {
            if (what == 0 && live.count(label)) {
                index.markDelete(label);
                live.erase(label);
                deleted.insert(label);
            } else if (what == 1 && deleted.count(label)) {
                index.unmarkDelete(label);
                deleted.erase(label);
                live[label] = index.getDataByLabel<float>(label);
            } else if (what >= 2) {
                index.addPoint(row.data(), label, what != 2);
                live[label] = row;
                // A deleted label that was replaced is gone; which one is the index's choice.
                std::unordered_set<size_t> still;
                for (size_t old : deleted)
                    if (old != label && index.label_lookup_.count(old)) still.insert(old);
                deleted.swap(still);
            }
        } catch (const std::runtime_error &) {
            refused++;
        }
        if (step % 50 == 0) {
            CHECK(index.label_lookup_.size() == live.size() + deleted.size() && index.getDeletedCount() == deleted.size());
            CHECK(index.cur_element_count == live.size() + deleted.size());
            const size_t found = index.searchKnn(row.data(), 90).size();
            CHECK(found == live.size());
            for (const auto &entry : live) {
                CHECK(index.getDataByLabel<float>(entry.first) == entry.second);
                CHECK(index.searchKnn(entry.second.data(), 1).top().first == 0);
            }
            size_t met = 0;
            for (const auto &entry : index.label_lookup_) {
                met += live.count(entry.first) + deleted.count(entry.first);
                CHECK(index.getExternalLabel(entry.second) == entry.first);
            }
            CHECK(met == index.label_lookup_.size());
        }
    }
    CHECK(refused > 100);
    index.checkIntegrity();
}

void without_exceptions() {
    hnswlib::L2Space space(2);
    hnswlib::HierarchicalNSW<float> index(&space, 1, 16, 200, 100, true);
    const float row[] = {1, 2};
    CHECK(index.addPointNoExceptions(row, 1).ok());
    const hnswlib::Status full = index.addPointNoExceptions(row, 2, true);
    CHECK(!full.ok() && std::string(full.message()) == FULL && hnswlib::OkStatus().message() == nullptr);
    CHECK((*index.searchKnnNoExceptions(row, 1)).top().second == 1);
    CHECK(index.searchKnnCloserFirstNoExceptions(row, 1).value()[0].second == 1);
    CHECK(std::string(index.getDataByLabelNoExceptions<float>(5).status().message()) == NO_LABEL);
    CHECK(index.getDataByLabelNoExceptions<float>(1).value()[1] == 2);
    CHECK(!index.markDeleteNoExceptions(7).ok() && index.markDeleteNoExceptions(1).ok() && index.unmarkDeleteNoExceptions(1).ok());
    CHECK(!index.resizeIndexNoExceptions(0).ok());
    CHECK(!index.saveIndexNoExceptions("no/such/directory/index").ok());
    CHECK(!index.loadIndexNoExceptions("no/such/file", &space).ok() && index.cur_element_count == 1);
    hnswlib::StatusOr<int> seven(7), none("why");
    CHECK(seven.ok() && *seven == 7 && !none.ok() && std::string(none.status().message()) == "why");
}

void visited_lists() {
    hnswlib::VisitedListPool pool(1, 10);
    hnswlib::VisitedList *list = pool.getFreeVisitedList();
    CHECK(list->numelements == 10 && list->mass[3] != list->curV);
    list->mass[3] = list->curV;
    for (int i = 0; i < 70000; i++) list->reset();
    CHECK(list->mass[3] != list->curV);
    pool.releaseVisitedList(list);
}

} // namespace

int main() {
    construction();
    adding_and_updating();
    deleting();
    replacing();
    agreement();
    without_exceptions();
    visited_lists();
    return failures("semantics");
}
