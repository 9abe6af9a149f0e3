/*
 * hnswlib's interface on kith: the same names, signatures, defaults and exceptions; link with -lkith. Copyright the kith authors;
 * MIT or Apache-2.0, at your choice. docs/from-hnswlib.md says what is different and what gets better by itself.
 *
 * This header brings in all of them, as hnswlib's does. Each of the others may be included alone, in any order.
 */
#pragma once
#ifndef KITH_COMPAT_HNSWLIB_H
#define KITH_COMPAT_HNSWLIB_H

#include "kith_base.h"

#include "space_ip.h"
#include "space_l2.h"
#include "stop_condition.h"
#include "visited_list_pool.h"

#include "bruteforce.h"
#include "hnswalg.h"

#endif
