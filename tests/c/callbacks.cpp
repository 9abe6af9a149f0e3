// What happens to C++ exceptions around callbacks? Caught inside and carried past the call: fine. Leaving a callback: the process
// aborts with a message instead of going on with broken state. The second is shown in a child process.
#include <kith.h>
#include "check.h"

#include <csignal>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace {

kith_index *three_points() {
    kith_options options = kith_options();
    options.size = sizeof options;
    options.dimensions = 1;
    kith_index *index = nullptr;
    EXPECT(KITH_OK, kith_create(&options, &index));
    for (std::uint64_t key = 1; key <= 3; key++) {
        const float at = static_cast<float>(key);
        EXPECT(KITH_OK, kith_insert(index, key, &at));
    }
    return index;
}

extern "C" int catching(void *ctx, std::uint64_t) {
    try {
        throw std::runtime_error("from the filter");
    } catch (...) {
        *static_cast<std::exception_ptr *>(ctx) = std::current_exception();
        return 0;
    }
}

int throwing(void *, std::uint64_t) { throw std::runtime_error("leaves the filter"); }

int throwing_progress(void *, std::uint64_t, std::uint64_t) { throw std::runtime_error("leaves progress"); }

void search(const kith_index *index, kith_filter_fn filter, void *ctx) {
    kith_search_options options = kith_search_options();
    options.size = sizeof options;
    options.filter = filter;
    options.filter_ctx = ctx;
    const float query = 0;
    std::uint64_t keys[3];
    std::size_t count;
    EXPECT(KITH_OK, kith_search(index, &query, 3, &options, keys, nullptr, &count));
    CHECK(count == 0);
}

// Runs `action` in a child; it must die by SIGABRT and say why.
template <typename Action> void aborts(const char *name, Action action) {
    int ends[2];
    if (pipe(ends) != 0) {
        CHECK(!"pipe");
        return;
    }
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        try {
            action();
        } catch (...) {
            _exit(3); // the exception came through: undefined behaviour
        }
        _exit(4);
    }
    close(ends[1]);
    std::string said;
    char buffer[512];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<size_t>(got));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
        std::fprintf(stderr, "%s: the child ended with wait status %#x, not by SIGABRT\n", name, static_cast<unsigned>(status));
        check_failed++;
    }
    if (said.find("exception") == std::string::npos && said.find("unwind") == std::string::npos) {
        std::fprintf(stderr, "%s: the message does not tell what happened: %s\n", name, said.c_str());
        check_failed++;
    }
}

} // namespace

int main() {
    kith_index *index = three_points();
    std::exception_ptr thrown;
    search(index, catching, &thrown);
    bool rethrown = false;
    try {
        if (thrown) std::rethrow_exception(thrown);
    } catch (const std::runtime_error &error) {
        rethrown = std::string(error.what()) == "from the filter";
    }
    CHECK(rethrown);
    aborts("filter", [index] { search(index, throwing, nullptr); });
    aborts("progress", [index] {
        kith_build_options options = kith_build_options();
        options.size = sizeof options;
        options.progress = throwing_progress;
        const std::uint64_t key = 9;
        const float at = 9;
        kith_insert_batch(index, 1, &key, &at, 0, &options);
    });
    kith_free(index);
    return failures("callbacks");
}
