/* Names of hnswlib's classes without their contents. Declaring them by hand does not work here: they live in a namespace inside. */
#pragma once
#ifndef KITH_COMPAT_HNSWLIB_FWD_H
#define KITH_COMPAT_HNSWLIB_FWD_H

namespace hnswlib {
inline namespace kith_v1 {

template <typename MTYPE>
class SpaceInterface;
template <typename dist_t>
class AlgorithmInterface;
template <typename dist_t>
class HierarchicalNSW;
template <typename dist_t>
class BruteforceSearch;
template <typename dist_t>
class BaseSearchStopCondition;
class BaseFilterFunctor;
class L2Space;
class L2SpaceI;
class InnerProductSpace;
class VisitedList;
class VisitedListPool;

}  // inline namespace kith_v1
}  // namespace hnswlib

#endif
