// One program for two libraries: compiled against hnswlib's headers and against kith's of the same names, without a change.
//
//   c++ -std=c++11 -O3 -march=native -I DIRECTORY-ABOVE-hnswlib compare.cpp -o real -lpthread
//   c++ -std=c++11 -O3 -march=native -I include -I include/compat compare.cpp -o kith -L... -lkith -lpthread
//   ./real BASE.npy QUERY.npy GT.npy l2|ip|cosine|hamming [THREADS]
//
// Builds with addPoint from so many threads, then searches on one. Prints processor seconds, recall@10 and queries per processor second
// for each ef, and the most memory the process ever had beyond the data. Hamming is a space of the program's own, over bytes with an int as
// the distance: with both libraries a function that is called for every pair.
#include "hnswlib/hnswlib.h"

#include <sys/resource.h>

#include <cstdio>
#include <thread>

namespace {

struct Array {
    std::vector<float> values;
    size_t rows = 0, columns = 0;
    const float *row(size_t i) const { return &values[i * columns]; }
};

// Version 1 .npy files of little-endian f4, u1, i4 and i8, in rows.
Array load(const char *path) {
    std::ifstream file(path, std::ios::binary);
    char head[10];
    if (!file.read(head, 10)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    std::string text(static_cast<unsigned char>(head[8]) + 256 * static_cast<unsigned char>(head[9]), ' ');
    file.read(&text[0], static_cast<std::streamsize>(text.size()));
    Array array;
    const size_t shape = text.find("'shape': (");
    sscanf(text.c_str() + shape, "'shape': (%zu, %zu", &array.rows, &array.columns);
    const std::string type = text.substr(text.find("'descr': '") + 10, 3);
    const size_t size = static_cast<size_t>(type[2] - '0');
    std::vector<char> raw(array.rows * array.columns * size);
    file.read(raw.data(), static_cast<std::streamsize>(raw.size()));
    array.values.resize(array.rows * array.columns);
    for (size_t i = 0; i < array.values.size(); i++) {
        const char *at = &raw[i * size];
        if (type == "<f4") memcpy(&array.values[i], at, 4);
        else if (type == "|u1") array.values[i] = static_cast<unsigned char>(*at);
        else if (type == "<i4") { int32_t value; memcpy(&value, at, 4); array.values[i] = static_cast<float>(value); }
        else { int64_t value; memcpy(&value, at, 8); array.values[i] = static_cast<float>(value); }
    }
    return array;
}

void normalise(Array &array) {
    for (size_t i = 0; i < array.rows; i++) {
        double sum = 0;
        float *row = &array.values[i * array.columns];
        for (size_t j = 0; j < array.columns; j++) sum += static_cast<double>(row[j]) * row[j];
        for (size_t j = 0; j < array.columns; j++) row[j] = static_cast<float>(row[j] / std::sqrt(sum));
    }
}

double processor_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

size_t status_kb(const char *field) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.compare(0, strlen(field), field) == 0) return std::stoul(line.substr(strlen(field) + 1));
    return 0;
}

// Differing bits of rows of bytes.
class Hamming : public hnswlib::SpaceInterface<int> {
    size_t bytes_;

    static int distance(const void *a, const void *b, const void *bytes) {
        int different = 0;
        for (size_t i = 0; i < *static_cast<const size_t *>(bytes); i += 8) {
            unsigned long long x, y;
            memcpy(&x, static_cast<const char *>(a) + i, 8);
            memcpy(&y, static_cast<const char *>(b) + i, 8);
            different += __builtin_popcountll(x ^ y);
        }
        return different;
    }

public:
    explicit Hamming(size_t bytes) : bytes_(bytes) {}
    size_t get_data_size() override { return bytes_; }
    hnswlib::DISTFUNC<int> get_dist_func() override { return distance; }
    void *get_dist_func_param() override { return &bytes_; }
};

// Rows as the index takes them.
struct Rows {
    const char *start;
    size_t count, bytes;
    const void *row(size_t i) const { return start + i * bytes; }
};

Rows rows_of(const void *start, size_t count, size_t bytes) { return {static_cast<const char *>(start), count, bytes}; }

template <typename dist_t>
dist_t distance(hnswlib::SpaceInterface<dist_t> &space, const void *a, const void *b) {
    return space.get_dist_func()(a, b, space.get_dist_func_param());
}

template <typename dist_t>
void compare(hnswlib::SpaceInterface<dist_t> &space, Rows base, Rows queries, const Array &truth, size_t threads) {
    const size_t before = status_kb("VmRSS:"), k = 10, most = std::min(size_t(1000), queries.count);
    double start = processor_seconds();
    hnswlib::HierarchicalNSW<dist_t> index(&space, base.count, 16, 200);
    index.addPoint(base.row(0), 0);
    std::vector<std::thread> workers;
    std::atomic<size_t> next(1);
    for (size_t t = 0; t < threads; t++)
        workers.emplace_back([&] {
            for (size_t i; (i = next++) < base.count;) index.addPoint(base.row(i), i);
        });
    for (std::thread &worker : workers) worker.join();
    printf("build %.2f s of processor time, %zu threads\n", processor_seconds() - start, threads);
    for (size_t ef : {10, 20, 40, 80, 160, 320}) {
        index.setEf(ef);
        // The farthest that is among the true ones; as near as that counts as found, for distances that many share.
        double right = 0;
        for (size_t q = 0; q < most; q++) {
            dist_t limit = 0;
            for (size_t i = 0; i < k; i++) {
                const size_t label = static_cast<size_t>(truth.row(q)[i]);
                limit = i == 0 ? distance(space, queries.row(q), base.row(label)) : std::max(limit, distance(space, queries.row(q), base.row(label)));
            }
            for (auto found = index.searchKnn(queries.row(q), k); !found.empty(); found.pop()) {
                const dist_t own = distance(space, queries.row(q), base.row(found.top().second));
                right += own <= limit;
            }
        }
        size_t asked = 0;
        double spent = 0;
        start = processor_seconds();
        // At least a second, so that a few interruptions do not count.
        for (; spent < 1; asked += most) {
            for (size_t q = 0; q < most; q++) index.searchKnn(queries.row(q), k);
            spent = processor_seconds() - start;
        }
        printf("ef %3zu recall %.4f qps %.0f\n", ef, right / static_cast<double>(k * most), static_cast<double>(asked) / spent);
    }
    printf("peak %.1f MB beyond the data (%.1f MB)\n", static_cast<double>(status_kb("VmHWM:") - before) / 1024,
           static_cast<double>(base.count * base.bytes) / 1048576);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    Array base = load(argv[1]), queries = load(argv[2]);
    const Array truth = load(argv[3]);
    const std::string metric = argv[4];
    const size_t threads = argc > 5 ? std::stoul(argv[5]) : 1;
    if (metric == "cosine") {
        normalise(base);
        normalise(queries);
    }
    if (metric == "hamming") {
        Hamming space(base.columns);
        const std::vector<unsigned char> bytes(base.values.begin(), base.values.end()), asked(queries.values.begin(), queries.values.end());
        base.values = std::vector<float>();
        compare(space, rows_of(bytes.data(), base.rows, base.columns), rows_of(asked.data(), queries.rows, queries.columns), truth, threads);
        return 0;
    }
    std::unique_ptr<hnswlib::SpaceInterface<float>> space;
    if (metric == "l2") space.reset(new hnswlib::L2Space(base.columns));
    else space.reset(new hnswlib::InnerProductSpace(base.columns));
    compare(*space, rows_of(base.values.data(), base.rows, 4 * base.columns), rows_of(queries.values.data(), queries.rows, 4 * base.columns), truth,
            threads);
}
