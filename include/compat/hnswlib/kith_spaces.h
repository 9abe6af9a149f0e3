/*
 * What the spaces of floats share. Not a header of hnswlib; include hnswlib.h. It has no guard around the macro, which the headers of
 * the spaces take away again.
 */
#ifndef KITH_COMPAT_SPACES_H
#define KITH_COMPAT_SPACES_H

#include "kith_base.h"

namespace hnswlib {
inline namespace kith_v1 {

/// Term::of summed up over `qty` pairs of floats at any address.
template <class Term>
inline float kith_sum(const void *first, const void *second, size_t qty) {
    const char *a = static_cast<const char *>(first);
    const char *b = static_cast<const char *>(second);
    float sums[16] = {0};
    size_t i = 0;
    // Rows of a caller may stand at any address, so floats are copied out. Sixteen sums let the compiler use wide registers.
    for (; i + 16 <= qty; i += 16) {
        float x[16], y[16];
        memcpy(x, a + 4 * i, sizeof x);
        memcpy(y, b + 4 * i, sizeof y);
        for (int j = 0; j < 16; j++) sums[j] += Term::of(x[j], y[j]);
    }
    float sum = 0;
    for (; i < qty; i++) {
        float x, y;
        memcpy(&x, a + 4 * i, 4);
        memcpy(&y, b + 4 * i, 4);
        sum += Term::of(x, y);
    }
    for (int j = 0; j < 16; j++) sum += sums[j];
    return sum;
}

/// Vectors of floats under a distance that kith has a kernel for.
template <float (*DISTANCE)(const void *, const void *, const void *), kith_metric METRIC>
class KithFloatSpace : public SpaceInterface<float> {
    size_t dim_;

 protected:
    explicit KithFloatSpace(size_t dim) : dim_(dim) {}

 public:
    size_t get_data_size() override { return dim_ * sizeof(float); }
    DISTFUNC<float> get_dist_func() override { return DISTANCE; }
    void *get_dist_func_param() override { return &dim_; }
    bool kith_metric_of(DISTFUNC<float> function, KithMetric &metric) override {
        metric.metric = METRIC;
        metric.element = KITH_F32;
        metric.dimensions = static_cast<uint32_t>(dim_);
        return function == static_cast<DISTFUNC<float>>(DISTANCE) && dim_ >= 1 && dim_ <= 65536;
    }
};

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif

// Of hnswlib's variants of a distance for one instruction set or length there is one here.
#ifndef KITH_HNSWLIB_SAME
#define KITH_HNSWLIB_SAME(name, function) \
    inline float name(const void *a, const void *b, const void *qty) { return function(a, b, qty); }
#endif
