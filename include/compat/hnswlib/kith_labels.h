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

/// A table of elements, numbered from 0. Every method may run beside every other.
///
/// Operations on one label take turns (KithLabelTurn), so between two calls of one operation only other labels' entries change; but a
/// deleted element can be taken by another label at any time, unless its own operation has taken it first.
class KithLabels {
 public:
    typedef std::pair<const labeltype, tableint> value_type;
    enum State { LIVE, DELETED, TAKEN };
    struct Found {
        bool there;
        tableint id;
        State state;
    };

    Found find(labeltype label) const {
        std::lock_guard<std::mutex> lock(guard_);
        std::unordered_map<labeltype, tableint>::const_iterator entry = ids_.find(label);
        if (entry == ids_.end()) return Found{false, 0, LIVE};
        return Found{true, entry->second, elements_[entry->second].state};
    }

    labeltype label(tableint id) const {
        std::lock_guard<std::mutex> lock(guard_);
        if (id >= elements_.size()) HNSWLIB_THROW_RUNTIME_ERROR("Label not found");
        return elements_[id].label;
    }

    bool deleted(tableint id) const {
        std::lock_guard<std::mutex> lock(guard_);
        return id < elements_.size() && elements_[id].state != LIVE;
    }

    /// Books room for one more element, to be given up by add() or unbook(); false when the table is full.
    bool book(size_t capacity) {
        std::lock_guard<std::mutex> lock(guard_);
        if (elements_.size() + booked_ >= capacity) return false;
        booked_++;
        return true;
    }
    void unbook() {
        std::lock_guard<std::mutex> lock(guard_);
        booked_--;
    }

    /// Makes an element of booked room.
    tableint add(labeltype label) {
        std::lock_guard<std::mutex> lock(guard_);
        booked_--;
        const tableint id = static_cast<tableint>(elements_.size());
        elements_.push_back(Element{label, LIVE, 0});
        ids_[label] = id;
        count.kith_set(elements_.size());
        return id;
    }

    /// Adds an element that was loaded.
    void load(labeltype label, State state) {
        std::lock_guard<std::mutex> lock(guard_);
        const tableint id = static_cast<tableint>(elements_.size());
        elements_.push_back(Element{label, LIVE, 0});
        ids_[label] = id;
        if (state == DELETED) put_down(id);
        count.kith_set(elements_.size());
    }

    /// Takes a deleted element for a new label, if there is one. To be followed by give() or put_back().
    bool take(tableint &id, labeltype &old) {
        std::lock_guard<std::mutex> lock(guard_);
        if (vacant_.empty()) return false;
        id = vacant_.back();
        pick_up(id);
        old = elements_[id].label;
        return true;
    }

    /// Takes the deleted element of this label, if it still is.
    bool take_own(labeltype label, tableint &id) {
        std::lock_guard<std::mutex> lock(guard_);
        std::unordered_map<labeltype, tableint>::const_iterator entry = ids_.find(label);
        if (entry == ids_.end() || elements_[entry->second].state != DELETED) return false;
        id = entry->second;
        pick_up(id);
        return true;
    }

    /// Makes a taken element live under a label.
    void give(tableint id, labeltype label) {
        std::lock_guard<std::mutex> lock(guard_);
        Element &element = elements_[id];
        if (element.label != label) {
            std::unordered_map<labeltype, tableint>::iterator old = ids_.find(element.label);
            if (old != ids_.end() && old->second == id) ids_.erase(old);
            ids_[label] = id;
            element.label = label;
        }
        element.state = LIVE;
    }

    /// Makes an element deleted: a live one, or a taken one that is not needed.
    void put_back(tableint id) {
        std::lock_guard<std::mutex> lock(guard_);
        put_down(id);
    }

    std::vector<std::pair<labeltype, tableint>> all() const {
        std::lock_guard<std::mutex> lock(guard_);
        return std::vector<std::pair<labeltype, tableint>>(ids_.begin(), ids_.end());
    }

    size_t labels() const {
        std::lock_guard<std::mutex> lock(guard_);
        return ids_.size();
    }

    void swap(KithLabels &other) {
        std::lock_guard<std::mutex> lock(guard_);
        ids_.swap(other.ids_);
        elements_.swap(other.elements_);
        vacant_.swap(other.vacant_);
        count.kith_set(elements_.size());
        deleted_count.kith_set(other.deleted_count);
    }

    /// Turns of operations on one label.
    std::mutex &turn(labeltype label) { return turns_[(label ^ (label >> 17)) % TURNS]; }

    KithCount count;
    KithCount deleted_count;

 private:
    struct Element {
        labeltype label;
        State state;
        /// Where it stands among the vacant ones, if it is deleted.
        unsigned int place;
    };
    static const size_t TURNS = 64;

    void put_down(tableint id) {
        Element &element = elements_[id];
        element.state = DELETED;
        element.place = static_cast<unsigned int>(vacant_.size());
        vacant_.push_back(id);
        deleted_count.kith_set(vacant_.size());
    }

    void pick_up(tableint id) {
        Element &element = elements_[id];
        const tableint last = vacant_.back();
        vacant_[element.place] = last;
        elements_[last].place = element.place;
        vacant_.pop_back();
        element.state = TAKEN;
        deleted_count.kith_set(vacant_.size());
    }

    mutable std::mutex guard_;
    std::unordered_map<labeltype, tableint> ids_;
    std::deque<Element> elements_;
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
