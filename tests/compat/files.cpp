// Files through hnswlib's interface: those that hnswlib wrote, what is written here, and what is refused.
//
// argv[1]: tests/fixtures/foreign, whose files PyPI's hnswlib 0.8.0 wrote.
#include "common.h"

#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace {

std::string fixtures;
const char *const BROKEN = "Index seems to be corrupted or unsupported";

std::string bytes_of(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
}

void write(const std::string &path, const std::string &bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Labels 3, 6, .. 600 of 7 dimensions; those divisible by 10 are deleted.
void check_graph(hnswlib::HierarchicalNSW<float> &index) {
    CHECK(index.cur_element_count == 200 && index.getDeletedCount() == 20 && index.label_lookup_.size() == 200);
    CHECK(index.M_ == 5 && index.maxM0_ == 10 && index.ef_construction_ == 40 && index.ef_ == 10);
    size_t right = 0;
    for (size_t label = 3; label <= 600; label += 3) {
        const bool deleted = label % 10 == 0;
        CHECK(index.isMarkedDeleted(index.label_lookup_.find(label)->second) == deleted);
        if (deleted) continue;
        const std::vector<float> row = fixture_row(label, 7);
        CHECK(index.getDataByLabel<float>(label) == row);
        right += index.searchKnn(row.data(), 1).top().first == 0;
    }
    CHECK(right >= 178);
    index.checkIntegrity();
}

void files_of_hnswlib() {
    hnswlib::L2Space space(7);
    const std::string path = fixtures + "/hnswlib-l2.bin";
    hnswlib::HierarchicalNSW<float> index(&space, path);
    check_graph(index);
    CHECK(index.max_elements_ == 250);
    index.unmarkDelete(300);
    CHECK(index.searchKnn(fixture_row(300, 7).data(), 1).top().first == 0);
    for (size_t label = 1000; label < 1050; label++) index.addPoint(fixture_row(label, 7).data(), label);
    THROWS("The number of elements exceeds the specified limit", index.addPoint(fixture_row(1, 7).data(), 1));
    hnswlib::HierarchicalNSW<float> larger(&space, path.c_str(), false, 1000, true);
    CHECK(larger.max_elements_ == 1000);
    larger.addPoint(fixture_row(5000, 7).data(), 5000, true); // takes a deleted element's place
    CHECK(larger.cur_element_count == 200 && larger.getDeletedCount() == 19);
    hnswlib::HierarchicalNSW<float> smaller(&space, path, false, 100);
    CHECK(smaller.max_elements_ == 250);

    hnswlib::InnerProductSpace ip(3);
    hnswlib::HierarchicalNSW<float> empty(&ip, fixtures + "/hnswlib-empty.bin");
    CHECK(empty.cur_element_count == 0 && empty.max_elements_ == 10);
    empty.addPoint(fixture_row(1, 3).data(), 1);

    hnswlib::L2Space four(4);
    hnswlib::BruteforceSearch<float> flat(&four, fixtures + "/hnswlib-flat.bin");
    CHECK(flat.cur_element_count == 30 && flat.maxelements_ == 40);
    CHECK(flat.searchKnn(fixture_row(33, 4).data(), 1).top().first == 0);
    // hnswlib did not know its labels after loading, and stored them twice.
    flat.addPoint(fixture_row(33, 4).data(), 33);
    CHECK(flat.cur_element_count == 30);
}

void there_and_back() {
    hnswlib::L2Space space(7);
    hnswlib::HierarchicalNSW<float> index(&space, fixtures + "/hnswlib-l2.bin");
    index.saveIndex("again.bin");
    CHECK(bytes_of("again.bin").size() == index.indexFileSize());
    hnswlib::HierarchicalNSW<float> again(&space, "again.bin");
    check_graph(again);
    CHECK(again.max_elements_ == 250);
    std::stringstream stream;
    index.saveIndex(stream);
    CHECK(stream.str() == bytes_of("again.bin"));
    again.loadIndex(stream, &space, 300);
    check_graph(again);
    CHECK(again.max_elements_ == 300);
    // Loading takes the place of everything that was there.
    hnswlib::HierarchicalNSW<float> used(&space, 50);
    for (size_t label = 7000; label < 7050; label++) used.addPoint(fixture_row(label, 7).data(), label);
    used.markDelete(7000);
    used.loadIndex("again.bin", &space);
    check_graph(used);
    // kith's own files, too.
    CHECK(kith_save(used.kith(), "own.kith") == KITH_OK);
    used.loadIndex("own.kith", &space, 500);
    CHECK(used.cur_element_count == 180 && used.max_elements_ == 500);

    hnswlib::L2Space four(4);
    hnswlib::BruteforceSearch<float> flat(&four, fixtures + "/hnswlib-flat.bin"), other(&four);
    flat.saveIndex("flat.bin");
    // All of the room is written, the unused part as zeros.
    CHECK(bytes_of("flat.bin").size() == 24 + 40 * (16 + 8));
    CHECK(bytes_of("flat.bin").substr(24 + 30 * 24) == std::string(10 * 24, '\0'));
    other.loadIndex("flat.bin", &four);
    CHECK(other.cur_element_count == 30 && other.maxelements_ == 40);
    std::stringstream flat_stream;
    other.saveIndex(flat_stream);
    flat.loadIndex(flat_stream, &four);
    CHECK(flat.cur_element_count == 30);
    // A file of kith's own that knows no limit: there is none, and what is written has room for what is there.
    kith_options plain = kith_options();
    plain.size = sizeof plain;
    plain.dimensions = 4;
    plain.kind = KITH_KIND_FLAT;
    kith_index *unlimited = nullptr;
    CHECK(kith_create(&plain, &unlimited) == KITH_OK && kith_insert(unlimited, 5, fixture_row(5, 4).data()) == KITH_OK);
    CHECK(kith_save(unlimited, "own.kith") == KITH_OK);
    kith_free(unlimited);
    flat.loadIndex("own.kith", &four);
    flat.addPoint(fixture_row(6, 4).data(), 6);
    CHECK(flat.cur_element_count == 2 && flat.maxelements_ == ~size_t(0));
    flat.saveIndex("flat.bin");
    CHECK(bytes_of("flat.bin").size() == 24 + 2 * (16 + 8));
    // Its own limit comes back from a file of kith's, too; and no file has room for everything.
    hnswlib::BruteforceSearch<float> limited(&four, 2), vast(&four, ~size_t(0) / 2);
    limited.addPoint(fixture_row(1, 4).data(), 1);
    CHECK(kith_save(limited.kith(), "own.kith") == KITH_OK);
    limited.loadIndex("own.kith", &four);
    limited.addPoint(fixture_row(2, 4).data(), 2);
    THROWS("The number of elements exceeds the specified limit", limited.addPoint(fixture_row(3, 4).data(), 3));
    vast.addPoint(fixture_row(1, 4).data(), 1);
    CHECK(!vast.saveIndexNoExceptions("flat.bin").ok());
    for (const char *file : {"again.bin", "own.kith", "flat.bin"}) remove(file);
}

// What hnswlib accepted, and crashed on or answered with nonsense.
void files_that_are_refused() {
    const std::string good = bytes_of(fixtures + "/hnswlib-l2.bin");
    hnswlib::L2Space space(7), other(8);
    hnswlib::HierarchicalNSW<float> index(&space, 10);
    const std::vector<float> row = fixture_row(1, 7);
    index.addPoint(row.data(), 1);
    THROWS("Cannot open file", index.loadIndex("no/such/file", &space));
    THROWS(BROKEN, index.loadIndex(fixtures + "/hnswlib-l2.bin", &other));
    size_t refused = 0;
    for (size_t at = 0; at < 96; at += 4) {
        for (uint32_t value : {0xffffffffu, 0x7fffffffu, 40u, 1u}) {
            std::string bad = good;
            memcpy(&bad[at], &value, 4);
            write("bad.bin", bad);
            try {
                hnswlib::HierarchicalNSW<float> loaded(&space, "bad.bin");
                loaded.searchKnn(row.data(), 10);
                loaded.addPoint(row.data(), 99999);
            } catch (const std::runtime_error &) {
                refused++;
            }
        }
    }
    CHECK(refused > 60);
    // A count above the capacity, which overran hnswlib's memory; a link to nowhere; an entry that is not there.
    for (size_t at : {size_t(8), size_t(96 + 4), size_t(52)}) {
        std::string bad = good;
        const uint32_t value = at == 8 ? 1 : 0x7fffffff;
        memcpy(&bad[at], &value, 4);
        write("bad.bin", bad);
        if (at == 8) {
            hnswlib::HierarchicalNSW<float> loaded(&space, "bad.bin");
            CHECK(loaded.cur_element_count == 200 && loaded.max_elements_ == 200);
        } else {
            THROWS(BROKEN, index.loadIndex("bad.bin", &space));
        }
    }
    for (size_t cut = 0; cut < good.size(); cut += 1 + cut / 3) {
        write("bad.bin", good.substr(0, cut));
        THROWS(BROKEN, index.loadIndex("bad.bin", &space));
    }
    write("bad.bin", good + "x");
    THROWS(BROKEN, index.loadIndex("bad.bin", &space));
    // After all that the index is what it was.
    CHECK(index.cur_element_count == 1 && index.searchKnn(row.data(), 1).top().second == 1 && index.max_elements_ == 10);
    index.addPoint(row.data(), 2);
    remove("bad.bin");
}

// hnswlib said nothing when it could not write, and had lost the old file by then.
void saving_says_when_it_fails() {
    hnswlib::L2Space space(7);
    hnswlib::HierarchicalNSW<float> index(&space, fixtures + "/hnswlib-l2.bin");
    hnswlib::BruteforceSearch<float> flat(&space, 10);
    flat.addPoint(fixture_row(1, 7).data(), 1);
    for (const char *path : {"no/such/directory/index", "/dev/full"}) {
        bool thrown = false, thrown_flat = false;
        try {
            index.saveIndex(path);
        } catch (const std::runtime_error &error) {
            thrown = std::string(error.what()).find("Cannot save index") == 0;
        }
        try {
            flat.saveIndex(path);
        } catch (const std::runtime_error &) {
            thrown_flat = true;
        }
        CHECK(thrown && thrown_flat);
    }
    std::ofstream closed;
    closed.setstate(std::ios::failbit);
    THROWS("Cannot save index: output stream is not open or in a failed state", index.saveIndex(closed));
    std::ofstream full("/dev/full", std::ios::binary);
    full.exceptions(std::ios::badbit);
    bool thrown = false;
    try {
        index.saveIndex(full);
        full.flush();
    } catch (const std::exception &) {
        thrown = true;
    }
    CHECK(thrown);
}

// Files of rows that only the caller's function understands.
void opaque_rows() {
    hnswlib::MultiVectorL2Space<uint16_t> space(3);
    hnswlib::HierarchicalNSW<float> index(&space, 100, 4, 30);
    std::vector<char> row(space.get_data_size());
    for (uint16_t i = 0; i < 100; i++) {
        memcpy(row.data(), fixture_row(i, 3).data(), 12);
        space.set_doc_id(row.data(), i);
        index.addPoint(row.data(), 1000 + i);
    }
    index.markDelete(1007);
    index.saveIndex("opaque.bin");
    hnswlib::HierarchicalNSW<float> again(&space, "opaque.bin");
    CHECK(again.cur_element_count == 100 && again.getDeletedCount() == 1);
    for (uint16_t i = 0; i < 100; i++) {
        const hnswlib::tableint id = again.label_lookup_.find(1000 + i)->second;
        CHECK(space.get_doc_id(again.getDataByInternalId(id)) == i);
    }
    again.setEf(50);
    CHECK(again.searchKnn(row.data(), 1).top().first == 0);
    hnswlib::MultiVectorL2Space<uint16_t> flat_space(3);
    hnswlib::BruteforceSearch<float> flat(&flat_space, 5);
    flat.addPoint(row.data(), 9);
    flat.saveIndex("opaque.bin");
    hnswlib::BruteforceSearch<float> flat_again(&flat_space, "opaque.bin");
    CHECK(flat_again.searchKnn(row.data(), 5).top().second == 9);
    remove("opaque.bin");
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    fixtures = argv[1];
    files_of_hnswlib();
    there_and_back();
    files_that_are_refused();
    saving_says_when_it_fails();
    opaque_rows();
    return failures("files");
}
