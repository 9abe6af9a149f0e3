/* Inner product: the distance is 1 minus the sum of products, and may be negative. Nothing is normalised. */
#pragma once
#ifndef KITH_COMPAT_SPACE_IP_H
#define KITH_COMPAT_SPACE_IP_H

#include "kith_base.h"
#include "kith_spaces.h"

namespace hnswlib {
inline namespace kith_v1 {

struct KithProduct {
    static float of(float x, float y) { return x * y; }
};

/// The sum of products of `*qty_ptr` (a size_t) floats.
inline float InnerProduct(const void *pVect1, const void *pVect2, const void *qty_ptr) {
    return kith_sum<KithProduct>(pVect1, pVect2, *static_cast<const size_t *>(qty_ptr));
}

/// 1 - InnerProduct. Indexes of InnerProductSpace do not call it: kith computes the same itself.
inline float InnerProductDistance(const void *a, const void *b, const void *qty) { return 1.0f - InnerProduct(a, b, qty); }

KITH_HNSWLIB_SAME(InnerProductSIMD4Ext, InnerProduct)
KITH_HNSWLIB_SAME(InnerProductSIMD16Ext, InnerProduct)
KITH_HNSWLIB_SAME(InnerProductDistanceSIMD4Ext, InnerProductDistance)
KITH_HNSWLIB_SAME(InnerProductDistanceSIMD16Ext, InnerProductDistance)
KITH_HNSWLIB_SAME(InnerProductDistanceSIMD4ExtResiduals, InnerProductDistance)
KITH_HNSWLIB_SAME(InnerProductDistanceSIMD16ExtResiduals, InnerProductDistance)

class InnerProductSpace : public KithFloatSpace<InnerProductDistance, KITH_INNER_PRODUCT> {
 public:
    InnerProductSpace(size_t dim) : KithFloatSpace<InnerProductDistance, KITH_INNER_PRODUCT>(dim) {}
    ~InnerProductSpace() {}
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#undef KITH_HNSWLIB_SAME

#endif
