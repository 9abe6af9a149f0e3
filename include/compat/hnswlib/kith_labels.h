/*
 * Which label has which internal id, and is it deleted? hnswlib's bookkeeping around the index, which itself knows labels only. Not a
 * header of hnswlib; include hnswlib.h.
 */
#pragma once
#ifndef KITH_COMPAT_LABELS_H
#define KITH_COMPAT_LABELS_H

#include "kith_engine.h"

namespace hnswlib {
inline namespace kith_v1 {

typedef unsigned int tableint;
typedef unsigned int linklistsizeint;

/// What is known of each element, in 12 bytes: its label, and whether it is live, taken or where it stands among the deleted ones.
class KithElements {
 public:
    enum State { LIVE, DELETED, TAKEN };
    static const tableint IS_LIVE = ~tableint(0), IS_TAKEN = ~tableint(0) - 1;

    size_t size() const { return labels_.size(); }
    labeltype label(tableint id) const { return labels_[id]; }
    /// Among the deleted ones.
    tableint place(tableint id) const { return marks_[id]; }
    State state(tableint id) const { return marks_[id] == IS_LIVE ? LIVE : marks_[id] == IS_TAKEN ? TAKEN : DELETED; }
    /// A live element.
    tableint add(labeltype label) {
        labels_.push_back(label);
        marks_.push_back(tableint(IS_LIVE));
        return static_cast<tableint>(labels_.size() - 1);
    }
    void rename(tableint id, labeltype label) { labels_[id] = label; }
    /// IS_LIVE, IS_TAKEN or a place.
    void mark(tableint id, tableint mark) { marks_[id] = mark; }

 private:
    std::deque<labeltype> labels_;
    std::deque<tableint> marks_;
};

/// Which element has a label: a table of 4 to 8 bytes per element, where hnswlib's map takes ten times that. Cells hold numbers of
/// elements; a label's stands in the first free cell from its place on.
class KithIds {
 public:
    static const tableint NONE = ~tableint(0);

    size_t size() const { return used_; }

    /// NONE if there is none.
    tableint find(labeltype label, const KithElements &elements) const {
        for (size_t at = home(label); !cells_.empty(); at = next(at)) {
            if (cells_[at] == NONE) break;
            if (elements.label(cells_[at]) == label) return cells_[at];
        }
        return NONE;
    }

    /// Enters an element under its label, in place of one that has the same.
    void enter(tableint id, const KithElements &elements) {
        if (4 * (used_ + 1) > 3 * cells_.size()) grow(elements);
        size_t at = home(elements.label(id));
        while (cells_[at] != NONE && elements.label(cells_[at]) != elements.label(id)) at = next(at);
        used_ += cells_[at] == NONE;
        cells_[at] = id;
    }

    /// Takes out a label that is there.
    void erase(labeltype label, const KithElements &elements) {
        size_t hole = home(label);
        while (elements.label(cells_[hole]) != label) hole = next(hole);
        // What stands behind and may stand in the hole moves up, so that no search ends there too early.
        for (size_t at = next(hole); cells_[at] != NONE; at = next(at)) {
            const size_t from_home = (at - home(elements.label(cells_[at]))) & (cells_.size() - 1);
            if (from_home < ((at - hole) & (cells_.size() - 1))) continue;
            cells_[hole] = cells_[at];
            hole = at;
        }
        cells_[hole] = NONE;
        used_--;
    }

 private:
    /// Multiplying spreads labels that follow each other; the upper bits are the best.
    size_t home(labeltype label) const {
        return cells_.empty() ? 0 : static_cast<size_t>((uint64_t(label) * 0x9E3779B97F4A7C15u) >> 32) & (cells_.size() - 1);
    }
    size_t next(size_t at) const { return (at + 1) & (cells_.size() - 1); }

    void grow(const KithElements &elements) {
        std::vector<tableint> old((std::max)(2 * cells_.size(), size_t(16)), tableint(NONE));
        old.swap(cells_);
        for (size_t i = 0; i < old.size(); i++) {
            if (old[i] == NONE) continue;
            size_t at = home(elements.label(old[i]));
            while (cells_[at] != NONE) at = next(at);
            cells_[at] = old[i];
        }
    }

    std::vector<tableint> cells_;
    size_t used_ = 0;
};

/// A table of elements, numbered from 0. Every method may run beside every other.
///
/// Operations on one label take turns (KithLabelTurn), so between two calls of one operation only other labels' entries change; but a
/// deleted element can be taken by another label at any time, unless its own operation has taken it first.
class KithLabels {
 public:
    typedef std::pair<const labeltype, tableint> value_type;
    typedef KithElements::State State;
    static const State LIVE = KithElements::LIVE, DELETED = KithElements::DELETED, TAKEN = KithElements::TAKEN;
    struct Found {
        bool there;
        tableint id;
        State state;
    };

    Found find(labeltype label) const {
        std::lock_guard<std::mutex> lock(guard_);
        const tableint id = ids_.find(label, elements_);
        if (id == KithIds::NONE) return Found{false, 0, LIVE};
        return Found{true, id, elements_.state(id)};
    }

    labeltype label(tableint id) const {
        std::lock_guard<std::mutex> lock(guard_);
        if (id >= elements_.size()) HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        return elements_.label(id);
    }

    bool deleted(tableint id) const {
        std::lock_guard<std::mutex> lock(guard_);
        return id < elements_.size() && elements_.state(id) != LIVE;
    }

    /// Books room for one more element, to be given up by add() or unbook(); false when there are as many as `capacity` says.
    bool book(const size_t &capacity) {
        std::lock_guard<std::mutex> lock(guard_);
        if (elements_.size() + booked_ >= kith_load(capacity)) return false;
        booked_++;
        return true;
    }
    void unbook() {
        std::lock_guard<std::mutex> lock(guard_);
        booked_--;
    }

    /// Changes `capacity`; false if there are more elements.
    bool resize(size_t &capacity, size_t wanted) {
        std::lock_guard<std::mutex> lock(guard_);
        if (wanted < elements_.size() + booked_) return false;
        kith_store(capacity, wanted);
        return true;
    }

    /// Makes an element of booked room.
    tableint add(labeltype label) {
        std::lock_guard<std::mutex> lock(guard_);
        booked_--;
        return append(label);
    }

    /// Adds an element that was loaded.
    void load(labeltype label, State state) {
        std::lock_guard<std::mutex> lock(guard_);
        const tableint id = append(label);
        if (state == DELETED) put_down(id);
    }

    /// Takes a deleted element for a new label, if there is one. To be followed by give() or put_back().
    bool take(tableint &id, labeltype &old) {
        std::lock_guard<std::mutex> lock(guard_);
        if (vacant_.empty()) return false;
        id = vacant_.back();
        pick_up(id);
        old = elements_.label(id);
        return true;
    }

    /// Takes the deleted element of this label, if it still is.
    bool take_own(labeltype label, tableint &id) {
        std::lock_guard<std::mutex> lock(guard_);
        const tableint own = ids_.find(label, elements_);
        if (own == KithIds::NONE || elements_.state(own) != DELETED) return false;
        id = own;
        pick_up(id);
        return true;
    }

    /// Makes a taken element live under a label. Says whether the label that it had is gone.
    bool give(tableint id, labeltype label) {
        std::lock_guard<std::mutex> lock(guard_);
        const labeltype old = elements_.label(id);
        bool gone = false;
        if (old != label) {
            gone = ids_.find(old, elements_) == id;
            if (gone) ids_.erase(old, elements_);
            elements_.rename(id, label);
            ids_.enter(id, elements_);
        }
        elements_.mark(id, KithElements::IS_LIVE);
        return gone;
    }

    /// Makes an element deleted: a live one, or a taken one that is not needed.
    void put_back(tableint id) {
        std::lock_guard<std::mutex> lock(guard_);
        put_down(id);
    }

    std::vector<std::pair<labeltype, tableint>> all() const {
        std::lock_guard<std::mutex> lock(guard_);
        std::vector<std::pair<labeltype, tableint>> all;
        all.reserve(ids_.size());
        for (tableint id = 0; id < elements_.size(); id++)
            if (ids_.find(elements_.label(id), elements_) == id) all.emplace_back(elements_.label(id), id);
        return all;
    }

    size_t labels() const {
        std::lock_guard<std::mutex> lock(guard_);
        return ids_.size();
    }

    void swap(KithLabels &other) {
        std::lock_guard<std::mutex> lock(guard_);
        std::swap(ids_, other.ids_);
        std::swap(elements_, other.elements_);
        vacant_.swap(other.vacant_);
        count.kith_set(elements_.size());
        deleted_count.kith_set(other.deleted_count);
    }

    /// Turns of operations on one label.
    std::mutex &turn(labeltype label) { return turns_[(label ^ (label >> 17)) % TURNS]; }

    KithCount count;
    KithCount deleted_count;

 private:
    static const size_t TURNS = 64;

    tableint append(labeltype label) {
        const tableint id = elements_.add(label);
        ids_.enter(id, elements_);
        count.kith_set(elements_.size());
        return id;
    }

    void put_down(tableint id) {
        elements_.mark(id, static_cast<tableint>(vacant_.size()));
        vacant_.push_back(id);
        deleted_count.kith_set(vacant_.size());
    }

    void pick_up(tableint id) {
        const tableint last = vacant_.back(), place = elements_.place(id);
        vacant_[place] = last;
        elements_.mark(last, place);
        vacant_.pop_back();
        elements_.mark(id, KithElements::IS_TAKEN);
        deleted_count.kith_set(vacant_.size());
    }

    mutable std::mutex guard_;
    KithElements elements_;
    KithIds ids_;
    std::vector<tableint> vacant_;
    size_t booked_ = 0;
    std::mutex turns_[TURNS];
};

/// Makes a taken element deleted again, unless it is kept.
class KithGiveBack {
 public:
    KithGiveBack(KithLabels &labels, tableint id) : labels_(&labels), id_(id) {}
    ~KithGiveBack() {
        if (labels_) labels_->put_back(id_);
    }
    KithGiveBack(const KithGiveBack &) = delete;
    KithGiveBack &operator=(const KithGiveBack &) = delete;
    void keep() { labels_ = nullptr; }

 private:
    KithLabels *labels_;
    tableint id_;
};

/// Gives up booked room, unless it is kept.
class KithUnbook {
 public:
    explicit KithUnbook(KithLabels &labels) : labels_(&labels) {}
    ~KithUnbook() {
        if (labels_) labels_->unbook();
    }
    KithUnbook(const KithUnbook &) = delete;
    KithUnbook &operator=(const KithUnbook &) = delete;
    void keep() { labels_ = nullptr; }

 private:
    KithLabels *labels_;
};

/// What programs do with hnswlib's map of labels: they look up and go through. It changes by the calls of the index only.
class KithLookup {
 public:
    typedef labeltype key_type;
    typedef tableint mapped_type;
    typedef std::pair<labeltype, tableint> value_type;

    /// Goes through the labels as they were when it was made.
    class iterator {
     public:
        typedef std::forward_iterator_tag iterator_category;
        typedef std::pair<labeltype, tableint> value_type;
        typedef std::ptrdiff_t difference_type;
        typedef const value_type *pointer;
        typedef const value_type &reference;

        iterator() : at_(END), one_() {}
        explicit iterator(const value_type &one) : at_(0), one_(one) {}
        explicit iterator(std::vector<value_type> all)
            : at_(all.empty() ? END : 0), all_(std::make_shared<const std::vector<value_type>>(std::move(all))), one_() {}
        reference operator*() const { return all_ ? (*all_)[at_] : one_; }
        pointer operator->() const { return &**this; }
        iterator &operator++() {
            at_ = all_ && at_ + 1 < all_->size() ? at_ + 1 : END;
            return *this;
        }
        iterator operator++(int) {
            iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(const iterator &a, const iterator &b) {
            return a.at_ == b.at_ && (a.at_ == END || (*a).first == (*b).first);
        }
        friend bool operator!=(const iterator &a, const iterator &b) { return !(a == b); }

     private:
        static const size_t END = ~size_t(0);
        size_t at_;
        std::shared_ptr<const std::vector<value_type>> all_;
        value_type one_;
    };
    typedef iterator const_iterator;

    explicit KithLookup(const KithLabels &labels) : labels_(&labels) {}
    KithLookup(const KithLookup &) = delete;
    KithLookup &operator=(const KithLookup &) = delete;

    iterator find(labeltype label) const {
        const KithLabels::Found found = labels_->find(label);
        return found.there ? iterator(value_type(label, found.id)) : iterator();
    }
    iterator begin() const { return iterator(labels_->all()); }
    iterator end() const { return iterator(); }
    size_t size() const { return labels_->labels(); }
    bool empty() const { return size() == 0; }
    size_t count(labeltype label) const { return labels_->find(label).there ? 1 : 0; }
    tableint at(labeltype label) const {
        const KithLabels::Found found = labels_->find(label);
        if (!found.there) {
#if KITH_HNSWLIB_EXCEPTIONS
            throw std::out_of_range("Label not found");
#else
            kith_end_program("Label not found");
#endif
        }
        return found.id;
    }
    operator std::unordered_map<labeltype, tableint>() const {
        const std::vector<value_type> all = labels_->all();
        return std::unordered_map<labeltype, tableint>(all.begin(), all.end());
    }

 private:
    const KithLabels *labels_;
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
