/* Marks of visited elements, for algorithms of the caller's own. kith's indexes have theirs inside. */
#pragma once
#ifndef KITH_COMPAT_VISITED_LIST_POOL_H
#define KITH_COMPAT_VISITED_LIST_POOL_H

#include "kith_base.h"

namespace hnswlib {
inline namespace kith_v1 {

typedef unsigned short int vl_type;

/// An element is marked when its entry in `mass` is `curV`.
class VisitedList {
 public:
    vl_type curV;
    vl_type *mass;
    size_t numelements;

    explicit VisitedList(size_t numelements1) : curV(0), mass(new vl_type[numelements1]()), numelements(numelements1) {}
    VisitedList(const VisitedList &) = delete;
    VisitedList &operator=(const VisitedList &) = delete;

    /// Takes all marks off.
    void reset() {
        curV++;
        if (curV == 0) {
            memset(mass, 0, sizeof(vl_type) * numelements);
            curV++;
        }
    }

    ~VisitedList() { delete[] mass; }
};

/// Lists that threads borrow.
class VisitedListPool {
    std::vector<std::unique_ptr<VisitedList>> idle_;
    std::mutex guard_;
    size_t numelements_;

 public:
    VisitedListPool(int initmaxpools, size_t numelements) : numelements_(numelements) {
        for (int i = 0; i < initmaxpools; i++) idle_.emplace_back(new VisitedList(numelements));
    }

    /// A list without marks, to be given back by releaseVisitedList.
    VisitedList *getFreeVisitedList() {
        std::unique_ptr<VisitedList> list;
        {
            std::lock_guard<std::mutex> lock(guard_);
            if (!idle_.empty()) {
                list = std::move(idle_.back());
                idle_.pop_back();
            }
        }
        if (!list) list.reset(new VisitedList(numelements_));
        list->reset();
        return list.release();
    }

    void releaseVisitedList(VisitedList *vl) {
        std::unique_ptr<VisitedList> list(vl);
        std::lock_guard<std::mutex> lock(guard_);
        idle_.push_back(std::move(list));
    }
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
