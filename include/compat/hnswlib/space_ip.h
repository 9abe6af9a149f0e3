/* Inner product: the distance is 1 minus the sum of products, and may be negative. Nothing is normalised. */
#pragma once
#ifndef KITH_COMPAT_SPACE_IP_H
#define KITH_COMPAT_SPACE_IP_H

#include "kith_base.h"

namespace hnswlib {
inline namespace kith_v1 {

/// The sum of products of `*qty_ptr` (a size_t) floats.
inline float InnerProduct(const void *pVect1, const void *pVect2, const void *qty_ptr) {
    const char *a = static_cast<const char *>(pVect1);
    const char *b = static_cast<const char *>(pVect2);
    const size_t qty = *static_cast<const size_t *>(qty_ptr);
    float sums[16] = {0};
    size_t i = 0;
    // As in L2Sqr.
    for (; i + 16 <= qty; i += 16) {
        float x[16], y[16];
        memcpy(x, a + 4 * i, sizeof x);
        memcpy(y, b + 4 * i, sizeof y);
        for (int j = 0; j < 16; j++) sums[j] += x[j] * y[j];
    }
    float sum = 0;
    for (; i < qty; i++) {
        float x, y;
        memcpy(&x, a + 4 * i, 4);
        memcpy(&y, b + 4 * i, 4);
        sum += x * y;
    }
    for (int j = 0; j < 16; j++) sum += sums[j];
    return sum;
}

/// 1 - InnerProduct. Indexes of InnerProductSpace do not call it: kith computes the same itself.
inline float InnerProductDistance(const void *a, const void *b, const void *qty) { return 1.0f - InnerProduct(a, b, qty); }

// Of hnswlib's variants for one instruction set or length there is one here.
inline float InnerProductSIMD4Ext(const void *a, const void *b, const void *qty) { return InnerProduct(a, b, qty); }
inline float InnerProductSIMD16Ext(const void *a, const void *b, const void *qty) { return InnerProduct(a, b, qty); }
inline float InnerProductDistanceSIMD4Ext(const void *a, const void *b, const void *qty) { return InnerProductDistance(a, b, qty); }
inline float InnerProductDistanceSIMD16Ext(const void *a, const void *b, const void *qty) { return InnerProductDistance(a, b, qty); }
inline float InnerProductDistanceSIMD4ExtResiduals(const void *a, const void *b, const void *qty) {
    return InnerProductDistance(a, b, qty);
}
inline float InnerProductDistanceSIMD16ExtResiduals(const void *a, const void *b, const void *qty) {
    return InnerProductDistance(a, b, qty);
}

class InnerProductSpace : public SpaceInterface<float> {
    size_t dim_;

 public:
    InnerProductSpace(size_t dim) : dim_(dim) {}
    size_t get_data_size() override { return dim_ * sizeof(float); }
    DISTFUNC<float> get_dist_func() override { return InnerProductDistance; }
    void *get_dist_func_param() override { return &dim_; }
    bool kith_metric_of(DISTFUNC<float> function, KithMetric &metric) override {
        metric.metric = KITH_INNER_PRODUCT;
        metric.element = KITH_F32;
        metric.dimensions = static_cast<uint32_t>(dim_);
        return function == static_cast<DISTFUNC<float>>(InnerProductDistance) && dim_ >= 1 && dim_ <= 65536;
    }
    ~InnerProductSpace() {}
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
