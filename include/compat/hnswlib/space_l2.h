/* Squared Euclidean distance: between floats, and between bytes with an int as the result. */
#pragma once
#ifndef KITH_COMPAT_SPACE_L2_H
#define KITH_COMPAT_SPACE_L2_H

#include "kith_base.h"
#include "kith_spaces.h"

namespace hnswlib {
inline namespace kith_v1 {

struct KithSquare {
    static float of(float x, float y) { return (x - y) * (x - y); }
};

/// The sum of squared differences of `*qty_ptr` (a size_t) floats. Indexes of L2Space do not call it: kith computes the same itself.
inline float L2Sqr(const void *pVect1v, const void *pVect2v, const void *qty_ptr) {
    return kith_sum<KithSquare>(pVect1v, pVect2v, *static_cast<const size_t *>(qty_ptr));
}

KITH_HNSWLIB_SAME(L2SqrSIMD16Ext, L2Sqr)
KITH_HNSWLIB_SAME(L2SqrSIMD16ExtResiduals, L2Sqr)
KITH_HNSWLIB_SAME(L2SqrSIMD4Ext, L2Sqr)
KITH_HNSWLIB_SAME(L2SqrSIMD4ExtResiduals, L2Sqr)

/// The sum of squared differences of `*qty_ptr` (a size_t) bytes.
inline int L2SqrI(const void *pVect1, const void *pVect2, const void *qty_ptr) {
    const unsigned char *a = static_cast<const unsigned char *>(pVect1);
    const unsigned char *b = static_cast<const unsigned char *>(pVect2);
    const size_t qty = *static_cast<const size_t *>(qty_ptr);
    int sum = 0;
    for (size_t i = 0; i < qty; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/// L2SqrI for lengths that are a multiple of 4; others are cut to one, as in hnswlib.
inline int L2SqrI4x(const void *a, const void *b, const void *qty_ptr) {
    const size_t whole = *static_cast<const size_t *>(qty_ptr) / 4 * 4;
    return L2SqrI(a, b, &whole);
}

class L2Space : public KithFloatSpace<L2Sqr, KITH_L2> {
 public:
    L2Space(size_t dim) : KithFloatSpace<L2Sqr, KITH_L2>(dim) {}
    ~L2Space() {}
};

/// Vectors of bytes.
class L2SpaceI : public SpaceInterface<int> {
    size_t dim_;

 public:
    L2SpaceI(size_t dim) : dim_(dim) {}
    size_t get_data_size() override { return dim_; }
    DISTFUNC<int> get_dist_func() override { return L2SqrI; }
    void *get_dist_func_param() override { return &dim_; }
    bool kith_metric_of(DISTFUNC<int> function, KithMetric &metric) override {
        // kith's distances are floats, which hold every integer up to 2^24.
        const size_t exact = (size_t(1) << 24) / (255 * 255);
        metric.metric = KITH_L2;
        metric.element = KITH_U8;
        metric.dimensions = static_cast<uint32_t>(dim_);
        return function == static_cast<DISTFUNC<int>>(L2SqrI) && dim_ >= 1 && dim_ <= exact;
    }
    ~L2SpaceI() {}
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#undef KITH_HNSWLIB_SAME

#endif
