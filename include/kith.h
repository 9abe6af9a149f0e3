/*
 * kith: a vector index for C and C++. Copyright the kith authors; MIT or Apache-2.0, at your choice.
 *
 * This file is generated from src/ffi; change it there.
 *
 * An index holds vectors of one length under 64-bit keys that you choose, and finds the vectors nearest to a query. A whole
 * program (link with -lkith):
 *
 *     #include <kith.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         kith_options options = {.size = sizeof options, .dimensions = 3, .metric = KITH_L2};
 *         kith_index *index;
 *         if (kith_create(&options, &index)) { fprintf(stderr, "%s\n", kith_last_error()); return 1; }
 *
 *         const float points[][3] = {{0, 0, 0}, {1, 0, 0}, {0, 2, 0}};
 *         for (uint64_t key = 0; key < 3; key++)
 *             if (kith_insert(index, key, points[key])) { fprintf(stderr, "%s\n", kith_last_error()); return 1; }
 *
 *         uint64_t keys[2]; float distances[2]; size_t found;
 *         const float query[3] = {0.9f, 0, 0};
 *         if (kith_search(index, query, 2, NULL, keys, distances, &found)) return 1;
 *         for (size_t i = 0; i < found; i++) printf("%llu at %g\n", (unsigned long long)keys[i], distances[i]);
 *         kith_free(index);
 *         return 0;
 *     }
 *
 * Chapters: library, life, content, upkeep, search, reading, learning, disk, durable directories, exchange. Before them the constants and structs, and
 * first the rules that hold for every function:
 *
 * Status
 *     A function that can fail returns a kith_status: KITH_OK (0) or a negative KITH_ERROR_ number. After a failure
 *     kith_last_error() holds a sentence for people that names the function, the argument or file, and the value. A failed call
 *     changes nothing in the index. Each function lists the errors that belong to it; two more can come from any:
 *     KITH_ERROR_INTERNAL (a defect of kith) and, where memory is needed, KITH_ERROR_MEMORY. All that grows with the index or with
 *     what is asked for can be refused so. Buffers of bounded size cannot: some kilobytes, for each thread of a batch that is built as a
 *     whole about two megabytes; where the system has not even those, the process aborts.
 *
 * Structs
 *     Set `size` to sizeof the struct and clear the rest, as an initialiser does: {.size = sizeof options}. 0 in a field means its
 *     default. The library reads what both it and your header know: fields that your header lacks count as 0; bytes that the
 *     library does not know must be 0, else KITH_ERROR_UNSUPPORTED: the program asks an older library for something new. A size
 *     of 0, one that ends inside a field, or one above 4,096 is KITH_ERROR_ARGUMENT. A field, flag or constant whose feature this
 *     version does not have gives KITH_ERROR_UNSUPPORTED and is never ignored.
 *
 * Outputs
 *     Come last. Handles become NULL and counts 0 on failure; everything else is written on success only. Outputs must not overlap
 *     each other or an input.
 *
 * Pointers
 *     A pointer must not be NULL, unless "may be NULL" stands there, and must be aligned for its type; else KITH_ERROR_ARGUMENT.
 *     Vectors are const void * and may stand at any address. Inputs are copied before the call returns; nothing that is returned
 *     is to be freed, but handles by kith_free().
 *
 * Threads
 *     Every function may run at the same time as every other, on one index or several, except kith_free(), which must be the last
 *     call of its index. Searches take no lock, and nothing that they can see waits for them. What a call meets of one beside it:
 *
 *                         | search, get, keys,    | insert, upsert,      | insert_batch          | save, export,
 *                         | describe, check       | remove, undelete     |                       | checkpoint
 *     --------------------+-----------------------+----------------------+-----------------------+---------------------
 *     search, get, keys   | nothing               | the old vector of a  | some of its vectors,  | nothing
 *                         |                       | key or the new one   | or none yet           |
 *     insert, upsert,     | nothing               | of one key: one      | of one key: one       | the file has the
 *     remove, undelete    |                       | after the other      | after the other       | change or not
 *     insert_batch        | nothing               | as above             | as above              | all of it or nothing
 *     maintain, compact   | nothing; places stay  | nothing              | waits, or does what   | each waits for steps
 *                         | while they are seen   |                      | can be done           | of the other
 *     optimize, repair    | nothing: the old      | waits while the new  | as beside inserts     | each waits for steps
 *                         | graph or the new one  | graph is put in place|                       | of the other
 *     reserve             | nothing               | nothing              | nothing               | nothing
 *     clear               | all or nothing        | one after the other  | one after the other   | all or nothing
 *
 *     Waiting is for instants (publishing, the moment of a snapshot) or bounded steps; but a batch that is cancelled is taken back
 *     while inserts wait, and a batch that is built as a whole is put in place while they wait. In a durable directory changes of one
 *     key wait for each other's sync.
 *
 *     A call uses no thread but the caller's, unless its `threads` allows more, and nothing goes on between calls, unless kith_set_upkeep() asks for it
 *     (kith_open(): unless KITH_OPEN_ONE_THREAD forbids it). Threads belong to one index, start when first needed and end with
 *     kith_free(). Do not unload the library (dlclose) while an index lives.
 *
 * Callbacks
 *     Run on the calling thread, before the call returns; only a filter with KITH_FILTER_ANY_THREAD may run on others. They may
 *     read the index that called them, and do anything with other indexes; changing it gives KITH_ERROR_BUSY, and freeing it is
 *     forbidden. They must return: a C++ exception that leaves a callback aborts the process with a message, and longjmp() out of
 *     one is forbidden, as it would jump over locks. Catch inside, note it in ctx, and look after the call.
 *
 * Floating point
 *     Distances do not depend on rounding or denormal modes that the program set; callbacks run in the default modes.
 *
 * Output
 *     kith prints nothing, touches no signal and reads no environment but KITH_CPU=portable|avx2|avx512|neon, which caps the
 *     instructions used (empty or unknown: ignored; a level that the machine lacks: the best one below it).
 *
 * Fork
 *     A child may go on using an index, and do with it all that the parent can, if no other thread was inside a call when the process forked, and
 *     the one that forked was inside none either (a callback). Parent and child then have an index each. Threads that kith started stay
 *     with the parent, and calls in the child start others where they need them. One of kith_set_upkeep() may be there: the fork waits
 *     until it rests (pthread_atfork()); the child has none until it asks for one. The child of a durable directory's owner may search, not change.
 *     Where that does not hold, the child leaves the index alone and makes no call with it, not even kith_free().
 *
 * Promise
 *     Functions, constants, struct fields and what they mean stay. New functions and constants may come, structs may grow at their
 *     end, and 0 in a new field means what was before. While the version is 0.x a new minor version may break this and then changes
 *     the soname (libkith.so.0.MINOR); from 1.0 on only a new major version does. So a program runs with every later library of
 *     the same soname, without being compiled again.
 */

#ifndef KITH_H
#define KITH_H

#include <stddef.h>
#include <stdint.h>

/* Version of this header; kith_version() is that of the library. */
#define KITH_VERSION_MAJOR 0
#define KITH_VERSION_MINOR 1
#define KITH_VERSION_PATCH 0
#define KITH_VERSION (10000 * KITH_VERSION_MAJOR + 100 * KITH_VERSION_MINOR + KITH_VERSION_PATCH)

/* Windows programs that link kith.dll may define KITH_SHARED for shorter calls; no other program needs to define anything. */
#if !defined(KITH_API)
#if defined(_WIN32) && defined(KITH_SHARED)
#define KITH_API __declspec(dllimport)
#else
#define KITH_API
#endif
#endif

/** Never a key. Fills the result places that a search had no hit for, with distance +infinity. */
#define KITH_NO_KEY UINT64_MAX

/** kith_search_options.flags: the filter may be called from several threads at once. */
#define KITH_FILTER_ANY_THREAD 1u

/**
 * kith_build_options.flags: a vector whose key is present replaces the old one instead of being refused; of
 * a key twice in the batch the later vector counts.
 */
#define KITH_UPSERT 1u

/**
 * kith_build_options.flags: build the graph of a large batch in about two thirds of the time. Searches then look at more vectors for the
 * same recall: on 384-dimensional text embeddings a third more. Changes nothing for small batches and flat indexes.
 */
#define KITH_BUILD_FAST 2u

/**
 * kith_search_stats.flags: the distances that the search reported are those of what is held in place of the vectors: rounded ones (kith_options.held), or reduced ones
 * (KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 and _LEADING8, once there are such). Without it they are those of the vectors as they were given.
 */
#define KITH_STATS_NEARLY 1u

/**
 * kith_options.flags: vectors that are removed can be brought back with kith_undelete(), until their key gets another vector,
 * kith_forget() gives them up, or the index is cleared. They keep their memory that long. Files that kith_save() writes do not know
 * of them, those of kith_export() do.
 */
#define KITH_KEEP_REMOVED 1u

/**
 * kith_options.flags: the index never holds more than `capacity` vectors that searches can find. What would exceed it gives KITH_ERROR_FULL
 * and changes nothing, a batch as a whole; replacing a vector needs no room. kith_reserve() then changes the capacity, to no less than
 * there are. Memory is taken as vectors come. Files keep the capacity. kith_info.flags says that it is fixed. Not for durable directories.
 */
#define KITH_FIXED_CAPACITY 2u

/**
 * kith_open(): use the file in place, read-only, without loading it. Do not truncate or overwrite a mapped file: replace it, as
 * kith_save() does. Cutting it short kills the process with SIGBUS. kith_open_buffer(): use the bytes where they lie.
 */
#define KITH_OPEN_MAPPED 1u

/** kith_open(): refuse changes with KITH_ERROR_READ_ONLY. */
#define KITH_OPEN_READ_ONLY 2u

/** kith_open(): skip the checksums of the payload; ids are still checked. For files of one's own. */
#define KITH_OPEN_UNCHECKED 4u

/** kith_open(): use the calling thread only. Without it opening uses the cores to check and load. */
#define KITH_OPEN_ONE_THREAD 8u

/**
 * kith_open(): leave the vectors in the file, which is mapped and read-only as with KITH_OPEN_MAPPED, and load links, keys and codes. For indexes with
 * codes (KITH_QUANTIZER_PROJECTED4, 2, 1, _PRODUCT, _SIGNS, _BYTES_PROJECTED4) whose vectors are more than memory: a search walks in memory and reads a few vectors of the file, of
 * which the system keeps what fits. kith_info tells what is held in memory, `bytes` less `mapped`. Means nothing beside KITH_OPEN_MAPPED.
 * kith_open_buffer(): leave the vectors where they lie.
 */
#define KITH_OPEN_VECTORS_MAPPED 16u

/**
 * What a call returns: KITH_OK, or a negative KITH_ERROR_ number. Numbers are never reused; new ones may come, so treat an
 * unknown negative number as an error like the others.
 */
typedef int32_t kith_status;

/** Values of kith_status. */
enum {
    /** The call did what it should. */
    KITH_OK = 0,
    /** An argument is NULL, out of range, NaN or infinite, a zero vector under cosine, the reserved key, ...; the text names it. */
    KITH_ERROR_ARGUMENT = -1,
    /** No memory: the system refused it, or the index's memory_limit. The index is as it was. */
    KITH_ERROR_MEMORY = -2,
    /** The system refused a file operation. The text holds path and cause. */
    KITH_ERROR_IO = -3,
    /** Not a kith file, truncated, a wrong checksum, or content that cannot be. */
    KITH_ERROR_CORRUPT = -4,
    /** A file of a newer format, or of the other byte order. */
    KITH_ERROR_VERSION = -5,
    /** No vector has this key. */
    KITH_ERROR_NOT_FOUND = -6,
    /** A vector has this key already. */
    KITH_ERROR_EXISTS = -7,
    /** The index was opened with KITH_OPEN_MAPPED, KITH_OPEN_VECTORS_MAPPED or KITH_OPEN_READ_ONLY. */
    KITH_ERROR_READ_ONLY = -8,
    /** This version of kith cannot do what was asked. */
    KITH_ERROR_UNSUPPORTED = -9,
    /** The progress callback asked to stop. */
    KITH_ERROR_CANCELLED = -10,
    /** Another call is in the way: one that called this callback and is not over, or one that only one at a time may make. */
    KITH_ERROR_BUSY = -11,
    /** The index was made with KITH_FIXED_CAPACITY and is full. */
    KITH_ERROR_FULL = -12,
    /** A defect of kith: please report the text. Later changes of this index give this status too; reading goes on. */
    KITH_ERROR_INTERNAL = -99,
};

/** A distance between two vectors. Smaller is always nearer, and identical vectors are 0 apart (but for inner product). */
typedef uint32_t kith_metric;

/** Values of kith_metric. */
enum {
    /** Sum of squared differences, without a root. */
    KITH_L2 = 0,
    /** 1 - sum of products. Can be negative. */
    KITH_INNER_PRODUCT = 1,
    /** 1 - cosine, 0 to 2. Vectors need not be normalised, and kith_get() returns them as they were given. */
    KITH_COSINE = 2,
    /** Sum of absolute differences. */
    KITH_L1 = 3,
    /** Number of differing bits. For KITH_B1 only. */
    KITH_HAMMING = 4,
    /** 1 - |a and b| / |a or b|, and 0 when both are empty. For KITH_B1 only. */
    KITH_JACCARD = 5,
    /** The function in kith_options.distance. Goes with KITH_BYTES. */
    KITH_CUSTOM = 6,
};

/** The type of a vector's components. */
typedef uint32_t kith_element;

/** Values of kith_element. */
enum {
    /** IEEE single precision: float. */
    KITH_F32 = 0,
    /** IEEE half precision. */
    KITH_F16 = 1,
    /** The upper half of a float. */
    KITH_BF16 = 2,
    /** int8_t. */
    KITH_I8 = 3,
    /** uint8_t. */
    KITH_U8 = 4,
    /** Bits. `dimensions` is a multiple of 8; component 0 is the lowest bit of byte 0. */
    KITH_B1 = 5,
    /** Bytes that mean something to kith_options.distance only; `dimensions` is their number. Goes with KITH_CUSTOM. */
    KITH_BYTES = 6,
};

/** How an index finds neighbours. */
typedef uint32_t kith_kind;

/** Values of kith_kind. */
enum {
    /**
     * Exact while there are few vectors, and a graph from kith_options.graph_from on (5,000 unless you say otherwise): answers are exact and inserts
     * cost next to nothing as long as looking at every vector takes no longer than a walk. When there are enough, each call that changes the
     * index links a few of the vectors that were there before, and kith_maintain() as many as it has time for; a kith_insert_batch() of 1,000 and more that reaches so far
     * does all at once. Searches take no part and see every vector that was acknowledged: they go by the graph as soon as it leads to all, and
     * look at every vector until then. An index that is only searched stays as it is, so call kith_maintain() after the last insert.
     * kith_describe() says KITH_KIND_FLAT until the graph is in force. With KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 and _LEADING8: a graph from
     * the start. kith_clear() begins anew.
     */
    KITH_KIND_AUTO = 0,
    /**
     * Exact: a search looks at every vector. With one of KITH_QUANTIZER_PROJECTED4, 2 and 1, _PRODUCT and _SIGNS (never by the library's choice) it looks at every code
     * and ranks the nearest by exact distances: about half of the time with 4 or 2 bits, and nearly exact; see `ef`.
     */
    KITH_KIND_FLAT = 1,
    /**
     * HNSW graph: a search looks at few vectors and may miss some of the nearest. It looks at all while its breadth (see `ef`) is
     * more than a quarter of them.
     */
    KITH_KIND_GRAPH = 2,
};

/**
 * How vectors are coded for the search, or held. Unless KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 or one of _LEADING8 was asked for, or kith_options.held,
 * kith_get() returns what was inserted and distances are exact.
 */
typedef uint32_t kith_quantizer;

/** Values of kith_quantizer. */
enum {
    /**
     * The library's choice: KITH_QUANTIZER_PROJECTED4 for a graph that holds 2,048 vectors or more, if the metric is L2, inner product or
     * cosine and a vector has at least 192 bytes and at most 4,096 dimensions; else none. Under the same metrics and from as many bytes
     * on, f32 vectors that are all whole numbers from 0 to 255, or from -128 to 127, are held in a byte per component from then on, or from
     * the first batch on: nothing is lost, and distances are those of integers. Such vectors have codes only from 192 dimensions on. The
     * first vector that does not fit makes all be held as they were given again, for good; that insertion takes longer.
     */
    KITH_QUANTIZER_AUTO = 0,
    /** Plain vectors. */
    KITH_QUANTIZER_NONE = 1,
    /**
     * For graphs and, where it is asked for, flat indexes: beside each vector a code of 64, 128, 192, 256 or 512 bytes. It holds 4 bits for each of the leading directions of a
     * sample of the vectors: 112, 240, 368, 496 or 1,008, the fewest that hold 95 % of the variance, or 1,008 if none do. Searches walk
     * by the codes and rank what they find by exact distances; so distances are exact, and only which vectors are looked at depends on
     * the codes. They are learnt once, in the first insertion that finds 256 vectors there (2,048 with KITH_QUANTIZER_AUTO), or brings
     * them in a batch. It takes longer by that: with 2,048 vectors and one core 20 ms at 128 dimensions and 0.3 s at 1,024, more where
     * the variance is spread over many directions. With other metrics than L2, inner product and cosine, with more than 4,096
     * dimensions: KITH_ERROR_UNSUPPORTED.
     */
    KITH_QUANTIZER_PROJECTED4 = 2,
    /**
     * For graphs of f32 under L2, inner product or cosine: a byte per component in place of the vectors, a quarter of their memory. The first
     * insertion that finds 256 vectors, or brings them in a batch, learns from a sample where the components of each dimension lie and one
     * step for all; each is then rounded to a multiple of it, at most 127 steps from the middle, and the f32 are gone. What follows
     * from it: distances, also those that searches report, are between the query as it was given and the rounded vector; kith_get() returns the
     * rounded vector (under cosine at the length that was given); kith_row() and kith_export() are not to be had (KITH_ERROR_UNSUPPORTED), nor
     * KITH_KEEP_REMOVED. Later vectors should be like those that were learnt from: what lies beyond the range is clipped.
     */
    KITH_QUANTIZER_BYTES = 3,
    /**
     * As KITH_QUANTIZER_BYTES, of at most 4,096 dimensions, but of the leading directions of the sample only: 112, 240, 368, 496 or 1,008, the
     * fewest that hold 95 % of the variance (or 1,008 if none do); and 16 bytes for the length of what is left out. So a vector takes 128,
     * 256, 384, 512 or 1,024 bytes, whatever its dimensions, and kith_get() returns it without what was left out.
     */
    KITH_QUANTIZER_LEADING8 = 4,
    /** As KITH_QUANTIZER_LEADING8, with the fewest directions that hold 98.5 % of the variance: more memory, more recall. */
    KITH_QUANTIZER_LEADING8_FINE = 5,
    /**
     * As KITH_QUANTIZER_PROJECTED4, but a code holds 2 bits for each of 224, 480, 736, 992 or 2,016 directions: half the memory of a code for
     * the same directions, or twice the directions in the same memory. Estimates are about twice as far off, so that a search needs more
     * breadth for the same recall.
     */
    KITH_QUANTIZER_PROJECTED2 = 6,
    /**
     * As KITH_QUANTIZER_PROJECTED4, but a code holds 1 bit for each of 448, 960, 1,472, 1,984 or 4,032 directions. For vectors of many
     * dimensions whose variance is spread over most of them.
     */
    KITH_QUANTIZER_PROJECTED1 = 7,
    /**
     * As KITH_QUANTIZER_PROJECTED4, but with product codes (OPQ): the leading directions, at most 448, 960, 1,472, 1,984 or 4,032, are divided into 56,
     * 120, 184, 248 or 504 groups that have about as much to tell, and a code has a byte for each: which of 256 places, learnt by k-means, is nearest.
     * A search makes tables of its query and all places, and adds up an entry for each byte. Holds as much of a vector in 64 bytes as
     * codes of 2 bits do, or a little more, for 1.5 to 2 times the time of a search. Learnt from 16,384 vectors where there are so many, from 4,096 on at
     * the earliest; that takes about a second of one core.
     */
    KITH_QUANTIZER_PRODUCT = 8,
    /**
     * As KITH_QUANTIZER_PROJECTED4, but a code holds the sign of each component, less the mean, and the vector's length: 64 bytes up to 448 dimensions, 128, 192, 256
     * and 512 up to 960, 1,472, 1,984 and 4,032. Of a query, too, only the signs count: their number of differences (the Hamming distance) tells the angle. Nothing is
     * projected, so that codes are made fastest; estimates are the roughest, so that a search ranks many candidates. For vectors whose variance is spread
     * over all of many dimensions.
     */
    KITH_QUANTIZER_SIGNS = 9,
    /**
     * Two levels (in the field: LVQ-4x8): the vectors are held as with KITH_QUANTIZER_BYTES, with all that follows from it, and beside each stands a code as with KITH_QUANTIZER_PROJECTED4, of
     * its bytes: a search walks by 4 bits for each leading direction and ranks what it finds by 8 bits for each component. Faster than KITH_QUANTIZER_BYTES, at the same distances, for
     * 64 to 512 bytes more. kith_train(), kith_codec_export() and kith_codec_import() are about the bytes, which KITH_QUANTIZER_BYTES shares; each index learns the codes by itself. Of at most 4,096
     * dimensions.
     */
    KITH_QUANTIZER_BYTES_PROJECTED4 = 10,
};

/**
 * When changes of a durable directory are made to last. A program that is killed loses nothing that was acknowledged, whatever is
 * chosen; this is about a machine that stops.
 */
typedef uint32_t kith_sync;

/** Values of kith_sync. */
enum {
    /** Before the call returns that makes them. Calls that run at the same time share one sync. What 0 means. */
    KITH_SYNC_COMMIT = 1,
    /** By the first change that comes when the last sync was `interval_ms` milliseconds ago. */
    KITH_SYNC_INTERVAL = 2,
    /** When the operating system likes, and at checkpoints. */
    KITH_SYNC_NEVER = 3,
};

/** Whose file something is, for kith_import() and kith_export(). */
typedef uint32_t kith_format;

/** Values of kith_format. */
enum {
    /** hnswlib 0.8, HierarchicalNSW::saveIndex(). Read and written. */
    KITH_FORMAT_HNSWLIB = 1,
    /** hnswlib 0.8, BruteforceSearch::saveIndex(). Read and written. */
    KITH_FORMAT_HNSWLIB_FLAT = 2,
    /** usearch 2, usearch_save(): 64-bit keys, one vector per key. Read only. */
    KITH_FORMAT_USEARCH = 3,
    /** faiss, faiss_write_index(): IndexHNSWFlat or IndexFlat, also in an IndexIDMap. Read only. */
    KITH_FORMAT_FAISS = 4,
};

/** An index: its vectors, their keys and whatever finds them. Made by kith_create() or kith_open(), ended by kith_free(). */
typedef struct kith_index kith_index;

/**
 * A distance of your own between two elements of KITH_BYTES. `a` is what is looked for: the query as it was passed (kith does not read
 * it, so it may be of any length that the function copes with), or a stored element while the graph is built; `b` is a stored element,
 * at a multiple of 32. Smaller is nearer, NaN is farther than everything; the same two elements must always get the same distance.
 * Runs on every thread that calls kith with this index, and on helping threads of calls that have some: it must bear being
 * called from several threads at once. See "Callbacks" above; it is called as long as the index lives.
 */
typedef double (*kith_distance_fn)(void *ctx, const void *a, const void *b);

/** What an index is created with. Set `size` and `dimensions`; 0 in any other field means its default. */
typedef struct kith_options {
    /** sizeof(kith_options). */
    uint32_t size;
    /** Components per vector: 1 to 65,536, with KITH_B1 a multiple of 8, with KITH_BYTES up to 1,048,576. Has no default. */
    uint32_t dimensions;
    /** Distance. Default KITH_L2 (so KITH_B1 needs KITH_HAMMING or KITH_JACCARD to be set). */
    kith_metric metric;
    /** Type of a component. Default KITH_F32. */
    kith_element element;
    /** Exact or graph. Default KITH_KIND_AUTO. */
    kith_kind kind;
    /** Codes. Default KITH_QUANTIZER_AUTO. */
    kith_quantizer quantizer;
    /**
     * Degree of a graph: m links per vector above level 0, 2 m at level 0. 2 to 512. More: better recall, more
     * memory, slower inserts. Default (0): chosen from the vectors when the graph is made, from a batch into an empty graph, or from what is there when an
     * index of KITH_KIND_AUTO becomes one: 8 where at least 5,000 vectors under L2, cosine or L1 have an intrinsic dimension of about 6 or less, which saves memory and costs
     * nothing, else 16. Never changed afterwards (kith_clear chooses anew); 16 where vectors are inserted into an empty KITH_KIND_GRAPH index one by one.
     * A file of an index that has no graph yet does not tell a 16 that was asked for from one that was not: such an index, opened, chooses.
     * kith_describe says which.
     */
    uint32_t m;
    /**
     * Breadth of the search that finds a new vector's neighbours. 1 to 1,048,576, default 200. More: better recall, slower
     * inserts.
     */
    uint32_t ef_construction;
    /** Breadth of a search that names none. 1 to 1,048,576, default 64. More: better recall, slower searches. */
    uint32_t ef_search;
    /** 0 or a sum of KITH_KEEP_REMOVED and KITH_FIXED_CAPACITY. */
    uint32_t flags;
    /** Vectors to make room for at once. A hint: the index grows by itself, unless KITH_FIXED_CAPACITY makes this its limit. */
    uint64_t capacity;
    /**
     * Decides the levels of a graph. The same seed and the same inserts in the same order on one thread give the same graph; and so
     * does one kith_insert_batch() into an empty index on any number of threads.
     */
    uint64_t seed;
    /** The distance, with KITH_CUSTOM; else NULL. */
    kith_distance_fn distance;
    /** Handed to distance. */
    void *distance_ctx;
    /** With KITH_KIND_AUTO: so many vectors make the index a graph. 1 to 2,147,483,647, default 5,000; 1: it is one from the start. */
    uint64_t graph_from;
    /**
     * Most bytes of memory, heap and mapped, that the index may hold, as kith_info.bytes tells them. 0: any amount. See
     * kith_set_memory_limit(), which says what it means and sets it for an index that was opened: files do not hold it.
     */
    uint64_t memory_limit;
    /**
     * KITH_F16 or KITH_BF16: vectors of KITH_F32 are held rounded to that, each component to the nearest, in half of the memory, beside what codes
     * there are; with KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 and _LEADING8 KITH_ERROR_ARGUMENT. Queries are rounded alike: distances, also those that searches
     * report, are between the rounded query and the rounded vector (so a vector is 0 apart from itself), and kith_get() returns the rounded vector. A component
     * that it cannot hold (from 65,520 on with KITH_F16; with KITH_BF16 from 3.396e38 on) is refused like NaN, in a vector and in a query, and so is, under cosine, a vector that is zero once it is rounded. f16
     * keeps 11 bits of each component from 0.00006 on, bf16 8 bits of each: take KITH_F16 for vectors whose components lie between. kith_row() is not to be had
     * (KITH_ERROR_UNSUPPORTED); files of other libraries take rounded vectors. KITH_F32, the default: as they are given, or in less where nothing is lost (see
     * KITH_QUANTIZER_AUTO).
     */
    kith_element held;
    /**
     * With KITH_QUANTIZER_AUTO: an index of many vectors is to take at most so many bytes for each, all in (vectors, graph, keys, codes), as kith_info.bytes
     * tells them: divide the memory that you have by the vectors that you will have. The library chooses what keeps most recall under it, and kith_describe() says
     * what it chose (`quantizer` and `held`). In this order: plain KITH_QUANTIZER_AUTO, the same with `held` KITH_F16, KITH_QUANTIZER_PROJECTED2 with KITH_F16, KITH_QUANTIZER_BYTES_PROJECTED4, KITH_QUANTIZER_BYTES,
     * KITH_QUANTIZER_LEADING8_FINE or _LEADING8, which of the two is decided when the index learns how many directions it takes. What all that means for distances stands there.
     * kith_estimate() says what would be chosen. Not a limit: see `memory_limit`. Not in files, which hold what was chosen. KITH_ERROR_ARGUMENT if quantizer or `held` is set, with KITH_KIND_FLAT, and
     * if even the last takes more in the best case. KITH_ERROR_UNSUPPORTED if only the last four are small enough and the index cannot have them: they are for KITH_F32 under L2, inner product or
     * cosine, without KITH_KEEP_REMOVED. 0: any amount.
     */
    uint32_t bytes_per_vector;
} kith_options;

/** How much memory an index will hold: see kith_estimate(). The caller sets `size` before the call; nothing else is read. */
typedef struct kith_estimate_result {
    /** sizeof(kith_estimate_result), set by the caller. */
    uint32_t size;
    /** 0. */
    uint32_t flags;
    /** Bytes, as kith_info.bytes tells them, if codes turn out as short as they can be and the system gives no huge pages. */
    uint64_t least;
    /** Bytes, if codes turn out as long as they can be and the system gives huge pages. */
    uint64_t most;
    /** What kith_describe() will say then: the library's choice, or what was asked for. Of KITH_QUANTIZER_LEADING8_FINE that `bytes_per_vector` chose, _LEADING8 may become. */
    kith_quantizer quantizer;
    /** How vectors will be held; KITH_F32 also where they turn out to be whole numbers and are held as bytes. */
    kith_element held;
    /**
     * A prediction, from measurements of other vectors: the least recall of the ten nearest that this quantizer had on four public sets of 128 to 1,024 dimensions, with an `ef` of 256
     * (tables in benches/record/codes.md). What it has on yours kith_calibrate() measures.
     */
    float recall_least;
    /** The most of the same. */
    float recall_most;
} kith_estimate_result;

/**
 * How far is a batch? Called now and then with vectors done and vectors in all; done never goes back, stands still while codes are learnt,
 * and the last call of a batch that succeeds has done equal to total. Non-zero cancels: the call returns KITH_ERROR_CANCELLED and the index is as it was
 * before. While codes are learnt other threads' changes wait for it. See "Callbacks" above.
 */
typedef int (*kith_progress_fn)(void *ctx, uint64_t done, uint64_t total);

/** How a batch is inserted. Set `size`; 0 in any other field means its default. */
typedef struct kith_build_options {
    /** sizeof(kith_build_options). */
    uint32_t size;
    /** Threads to use; 0 means all cores. */
    uint32_t threads;
    /** Reports progress and can cancel; may be NULL. */
    kith_progress_fn progress;
    /** Handed to progress. */
    void *progress_ctx;
    /** 0 or a sum of KITH_UPSERT and KITH_BUILD_FAST. */
    uint64_t flags;
} kith_build_options;

/**
 * Brings vectors: fills `keys` with `count` keys and `vectors` with as many vectors of the index's element type, one behind the other, at a multiple
 * of 64. They are those at positions `first` to `first + count - 1` of all that the call was promised; what of them stays unwritten is refused like a
 * bad vector, where that can be told. Called with `first` 0, then with what follows, each position once; `count` may differ from call to call. 0 goes on; anything else cancels: the call
 * returns KITH_ERROR_CANCELLED and the index is as it was before. See "Callbacks" above.
 */
typedef int (*kith_read_fn)(void *ctx, size_t first, size_t count, uint64_t *keys, void *vectors);

/** What kith_check() found, or kith_repair() left. The caller sets `size` before the call; the rest is written. Of a flat index all numbers of the graph, which come first, are 0. */
typedef struct kith_health {
    /** sizeof(kith_health), set by the caller. */
    uint32_t size;
    /** 0 in this version. */
    uint32_t flags;
    /** Places that are part of the graph, those of removed vectors included. */
    uint64_t linked;
    /** Links between them at level 0. */
    uint64_t links;
    /** Places that a search could not come to, those of vectors that are no part of the graph among them. Always 0, but for defects of kith. */
    uint64_t unreachable;
    /** Links that must not be, on any level. Always 0, but for defects of kith. */
    uint64_t faults;
    /** Least links that lead to a place at level 0; 0 where there are fewer than two places. */
    uint64_t min_inbound;
    /** Most links that lead to a place at level 0. */
    uint64_t max_inbound;
    /** Least links of a place at level 0. */
    uint64_t min_outbound;
    /** Most links of a place at level 0. */
    uint64_t max_outbound;
    /** Places of vectors that searches can find: kith_info.count, counted. */
    uint64_t live;
    /** Places of removed and replaced vectors that are not free yet (kith_info.removed counts the free ones, too). */
    uint64_t removed;
    /** Places that hold nothing. */
    uint64_t free;
    /**
     * Vectors that their key does not lead to, two of one key among them, and keys that lead to no vector. Always 0, but for defects of
     * kith; here and in what follows.
     */
    uint64_t key_faults;
    /** By how much what is counted differs from what the index keeps count of. */
    uint64_t count_faults;
    /**
     * Vectors that no insertion takes (NaN, infinity, zero under KITH_COSINE), or whose length is not the one that is kept; memory that
     * somebody else wrote to looks like this. 0 where a quantizer changed the vectors, and under KITH_CUSTOM.
     */
    uint64_t vector_faults;
    /** Codes that were made again from their vectors: of all, or of 20,000 evenly spread ones. */
    uint64_t codes;
    /** Of these, codes that are not what their vector's is. */
    uint64_t code_faults;
    /**
     * Of a file that is used in place: blocks that are not what they were when it was written, by their checksums. A file that was
     * loaded was checked then.
     */
    uint64_t file_faults;
} kith_health;

/**
 * Which keys may a search return? Non-zero keeps the key. Called with keys of the index only, any number of times, in any
 * order; the same key must get the same answer during one search. See "Callbacks" above.
 */
typedef int (*kith_filter_fn)(void *ctx, uint64_t key);

/** What a search took. The caller sets `size` before the call; the rest is written. */
typedef struct kith_search_stats {
    /** sizeof(kith_search_stats), set by the caller. */
    uint32_t size;
    /** 0 or KITH_STATS_NEARLY. */
    uint32_t flags;
    /** Distances computed, of all queries of a batch together. */
    uint64_t distances;
    /** Vectors whose links were followed. */
    uint64_t hops;
} kith_search_stats;

/** How one search, or one batch of searches, runs. Set `size`; 0 in any other field means its default. */
typedef struct kith_search_options {
    /** sizeof(kith_search_options). */
    uint32_t size;
    /**
     * Breadth of a graph search: up to 1,048,576; 0 means the index's ef_search. Raised to k. A flat index with codes ranks that many
     * of the nearest by their codes, with 2 bits and product codes twice, with 1 bit and signs eight times as many, and is exact where that is more than a quarter of all. Other
     * flat indexes ignore it.
     */
    uint32_t ef;
    /**
     * kith_search(): 0 or 1 means the calling thread, more means up to that many for a flat scan. kith_search_batch(): 0 means
     * all cores. A filter keeps all work on the calling thread unless KITH_FILTER_ANY_THREAD is set.
     */
    uint32_t threads;
    /**
     * Share of the true nearest that a graph search is to find on average, above 0 and up to 1, in place of a breadth; 0: ef says how
     * broad. Then ef is the most breadth that a search may take, 0 meaning any. The breadth comes from what kith_calibrate() measured
     * and, in any case, from what searches learn: every 64th of those that ask for a recall, or up to every 4th while the target is missed,
     * is done again eight times as broad (so answers may change a little from call to call). Searches that ask for no recall are left alone.
     * Flat indexes ignore it.
     */
    float recall;
    /** Which keys may be returned; may be NULL. There are always min(k, keys that pass) hits. */
    kith_filter_fn filter;
    /** Handed to filter. */
    void *filter_ctx;
    /** 0 or KITH_FILTER_ANY_THREAD. */
    uint64_t flags;
    /** Receives what the call took, when it succeeds; may be NULL. */
    struct kith_search_stats *stats;
} kith_search_options;

/** Judges the distance of a candidate. The bound is the distance of the farthest hit kept, infinity while there is none. */
typedef int (*kith_judge_fn)(void *ctx, double distance, double bound);

/** Hears of a hit. The vector is the stored one, to be read during the call. */
typedef void (*kith_hit_fn)(void *ctx, uint64_t key, const void *vector, double distance);

/** Says whether there are more hits than wanted. */
typedef int (*kith_excess_fn)(void *ctx);

/** Watches a search and says when it ends: see kith_search_observed(). All functions must be set. See "Callbacks" above. */
typedef struct kith_observer {
    /** sizeof(kith_observer). */
    uint32_t size;
    /** Must be 0. */
    uint32_t flags;
    /** Handed to the functions. */
    void *ctx;
    /** Asked before the search goes on from the nearest candidate that is left; non-zero ends it. */
    kith_judge_fn stop;
    /** Asked for each vector that the search comes to; non-zero makes it a candidate. */
    kith_judge_fn consider;
    /** A candidate that may be returned became a hit. */
    kith_hit_fn add;
    /** The farthest hit was dropped because excess asked for it. */
    kith_hit_fn drop;
    /** Asked after each hit, and again after each one that was dropped; non-zero drops the farthest. */
    kith_excess_fn excess;
    /** Told the hits that are left at the end, nearest first. */
    kith_hit_fn hit;
} kith_observer;

/**
 * What an index is and holds. The caller sets `size` before the call; nothing else is read. Bytes between the library's struct
 * and a longer one of the caller become 0.
 */
typedef struct kith_info {
    /** sizeof(kith_info), set by the caller. */
    uint32_t size;
    /** Components per vector. */
    uint32_t dimensions;
    /** Distance. */
    kith_metric metric;
    /** Type of a component. */
    kith_element element;
    /** As in force: never KITH_KIND_AUTO. */
    kith_kind kind;
    /** As in force: never KITH_QUANTIZER_AUTO. KITH_QUANTIZER_NONE until there are codes. */
    kith_quantizer quantizer;
    /** As in force; 0 for a flat index. 16 while a graph is empty whose degree its first vectors will choose. */
    uint32_t m;
    /** As in force. */
    uint32_t ef_construction;
    /** Breadth of a search that names none. */
    uint32_t ef_search;
    /** Format of the file the index came from, or would be written in. */
    uint32_t format;
    /** Vectors that searches can find. */
    uint64_t count;
    /**
     * Places that removed and replaced vectors had and no other has yet, free or not: kith_maintain() makes them free, and vectors that come, or kith_compact(), take
     * them away.
     */
    uint64_t removed;
    /** Vectors that fit before the index grows again; with KITH_FIXED_CAPACITY all that may be there. */
    uint64_t capacity;
    /**
     * Memory held in bytes, heap and mapped: what the allocator gave and the pages that are there, within 2 % from a megabyte on. Counts
     * what searches and insertions keep for the next ones, not what a call under way works with, the stacks of helping threads, or what
     * readers still hold of what was replaced. Of a file that is used in place: all of it, whether its pages are there or not.
     */
    uint64_t bytes;
    /** Seed of the levels. */
    uint64_t seed;
    /** KITH_FIXED_CAPACITY if the capacity is fixed, else 0. */
    uint64_t flags;
    /**
     * Type of a component in memory: `element`; or KITH_U8 or KITH_I8 where all vectors were found to be such whole numbers (KITH_F32
     * under KITH_QUANTIZER_AUTO), so that vectors, queries and distances are the same either way; or KITH_I8 where `quantizer` says that
     * vectors were rounded.
     */
    kith_element held;
    /** Bytes of a code, of which each vector has one; 0 while there are none. */
    uint32_t code_bytes;
    /** Most memory that the index may hold; 0: any amount. */
    uint64_t memory_limit;
    /**
     * Of `bytes`, those that lie in the file or the buffer that the index was opened from, not in memory of its own: all of the arrays with
     * KITH_OPEN_MAPPED, the vectors with KITH_OPEN_VECTORS_MAPPED, else 0. The system keeps of a file what was used and fits into memory.
     */
    uint64_t mapped;
} kith_info;

/**
 * Takes the bytes of a file, one piece after the other: `count` bytes, 1 to 1,048,576, which may be read until this returns. 0 goes
 * on; anything else ends the call with KITH_ERROR_IO. See "Callbacks" above.
 */
typedef int (*kith_write_fn)(void *ctx, const void *bytes, size_t count);

/** How a durable directory is kept. Set `size`; 0 in any other field means its default. */
typedef struct kith_log_options {
    /** sizeof(kith_log_options). */
    uint32_t size;
    /** When changes are made to last. Default KITH_SYNC_COMMIT. */
    kith_sync sync;
    /** For KITH_SYNC_INTERVAL, in milliseconds. Default 100. No change, no sync: call kith_sync_log() before a long rest. */
    uint32_t interval_ms;
    /** Threads that load and replay while the directory is opened; 0 means all cores. */
    uint32_t threads;
    /** Bytes of log after which a checkpoint begins. Default: half of the snapshot's bytes, at least 64 MiB. */
    uint64_t checkpoint_bytes;
    /** Must be 0. */
    uint64_t flags;
} kith_log_options;

/**
 * How far the log of a durable directory is. The caller sets `size` before the call; nothing else is read. Records are numbered from
 * 1 for the life of the directory; most changes are one record, a large batch is several.
 */
typedef struct kith_log_info {
    /** sizeof(kith_log_info), set by the caller. */
    uint32_t size;
    /** As in force. */
    kith_sync sync;
    /** 1 if changes are refused because the log could not be written or synced; else 0. */
    uint32_t failed;
    /** 0 in this version. */
    uint32_t flags;
    /** Number of the last record. */
    uint64_t last;
    /** Number of the last record that a crash of the machine leaves. */
    uint64_t durable;
    /** The records up to this one are in the snapshot. */
    uint64_t checkpoint;
    /** Bytes of log that opening the directory would read. */
    uint64_t log_bytes;
    /** Records that were replayed when the directory was opened. */
    uint64_t replayed;
    /**
     * Bytes behind the last whole change that opening cut off: what a crash had left of changes that were never acknowledged under
     * KITH_SYNC_COMMIT.
     */
    uint64_t cut_bytes;
    /** Syncs of the log since the directory was opened. */
    uint64_t syncs;
    /** Checkpoints that were completed since the directory was opened. */
    uint64_t checkpoints;
    /** Checkpoints that were given up because the disk or the memory was full, for example; the log goes on, and grows. */
    uint64_t failed_checkpoints;
} kith_log_info;

/** How a file of another library is written. Set `size`; 0 in any other field means its default. */
typedef struct kith_export_options {
    /** sizeof(kith_export_options). */
    uint32_t size;
    /** Must be 0. */
    uint32_t flags;
    /** Capacity that the file states for its reader (hnswlib's max_elements); raised to the number of vectors in it. */
    uint64_t capacity;
} kith_export_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ---- Library --------------------------------------------------------------------------------------------- */

/** Version of the library that runs: 10000 major + 100 minor + patch. KITH_VERSION is that of the header. Cannot fail. */
KITH_API uint32_t kith_version(void);

/**
 * Which instructions compute the distances: "portable", "avx2", "avx512" or "neon". Chosen once, the best that this machine
 * has, capped by the environment variable KITH_CPU. The text is valid for ever. Cannot fail.
 */
KITH_API const char *kith_cpu_level(void);

/**
 * One sentence about this thread's last failed call: the function, the argument or file, the value. UTF-8, at most 1,023
 * bytes (a longer sentence loses its middle). Never NULL; empty when no call has failed on this thread. A successful call leaves
 * it. Valid until the next failing call on this thread, so copy it if you keep it. Cannot fail.
 *
 * The text is for people: it may change between versions. Programs decide by the status.
 */
KITH_API const char *kith_last_error(void);

/**
 * A few words for a status, such as "no vector has this key"; for a number that is no status, "unknown status". Never NULL; the
 * text is valid for ever. Cannot fail.
 */
KITH_API const char *kith_status_text(kith_status status);

/* ---- Life ------------------------------------------------------------------------------------------------ */

/**
 * Makes an empty index.
 *
 * - options: what it is to be; `dimensions` must be set. Copied: it need not outlive the call.
 * - index: receives the handle, to be ended with kith_free(). NULL on failure.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; a field is out of range or names an unknown metric, element or kind; metric and
 *   element do not go together (Hamming and Jaccard go with KITH_B1, and only they)
 * - KITH_ERROR_UNSUPPORTED: an unknown quantizer or flag, a kind that this version does not have, or options of a newer version
 * - KITH_ERROR_MEMORY: `capacity` is more than the system gives
 *
 * ```c
 * kith_options options = {.size = sizeof options, .dimensions = 384, .metric = KITH_COSINE};
 * kith_index *index;
 * if (kith_create(&options, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
 * ```
 */
KITH_API kith_status kith_create(const kith_options *options,
                                 kith_index **index);

/**
 * Says how much memory an index will hold, before there is one. Divided by `count`: the bytes per vector, all in.
 *
 * - options: as for kith_create(). `capacity` and `memory_limit` do not matter
 * - count: vectors that it is to hold
 * - result: `size` must be set; receives the least and the most, 2 % less or more from a megabyte on. They are near each other where the length of codes follows from the
 *   dimensions (no codes, KITH_QUANTIZER_BYTES, or up to 112 dimensions; _PROJECTED2: 224, _PROJECTED1 and _PRODUCT: 448; _SIGNS always), `m` is given (with 0 rows may turn out 64 bytes shorter) and the arrays
 *   are many times as large as a huge page of the system, of which each may hold a part that is not used: 2 % apart at a million vectors, up to a half at 10,000
 *
 * Vectors that turn out to be whole numbers, and are held as bytes (see KITH_QUANTIZER_AUTO), take less than either. Not counted is what searches and insertions keep for the
 * next ones, and what building takes while it goes on: a memory_limit of the
 * most does not let a large batch in. What recall a quantizer has depends on the vectors: the result says between which bounds
 * it was on some, and docs/memory.md has measured tables.
 *
 * Errors: those of kith_create(); and
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; count is more than such an index can hold; result->size is 0 or no size of this struct
 */
KITH_API kith_status kith_estimate(const kith_options *options,
                                   uint64_t count,
                                   kith_estimate_result *result);

/**
 * Ends an index and gives back its memory, threads and files. Nothing is saved. NULL is fine. Cannot fail.
 *
 * The one call that must not run beside another on the same index: all others must have returned, and none may follow. Not to
 * be called from a callback of that index.
 */
KITH_API void kith_free(kith_index *index);

/* ---- Content --------------------------------------------------------------------------------------------- */

/**
 * Adds one vector under a new key.
 *
 * - index: the index
 * - key: chosen by the caller, anything but KITH_NO_KEY
 * - vector: `dimensions` components of the index's element type, at any address; copied before the call returns
 *
 * A search that starts after this returned finds the vector.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; key is KITH_NO_KEY; a component is NaN or infinite; under KITH_COSINE, the vector is
 *   zero
 * - KITH_ERROR_EXISTS: a vector has this key (kith_upsert() replaces it)
 * - KITH_ERROR_FULL: the capacity is fixed and reached
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_insert(kith_index *index,
                                 uint64_t key,
                                 const void *vector);

/**
 * Adds one vector, or replaces the one that has this key. A search beside it sees the old vector or the new one, never both and
 * never neither.
 *
 * Arguments and errors are those of kith_insert(), without KITH_ERROR_EXISTS.
 */
KITH_API kith_status kith_upsert(kith_index *index,
                                 uint64_t key,
                                 const void *vector);

/**
 * Adds many vectors, on several threads, all of them or none.
 *
 * - index: the index
 * - count: number of vectors; 0 succeeds, and then keys and vectors may be NULL
 * - keys: `count` keys, each new and different from the others (but see KITH_UPSERT)
 * - vectors: `count` vectors, the first byte of each `stride` bytes after that of the one before
 * - stride: bytes from one vector to the next, at least those of a vector; 0 means packed
 * - options: threads, progress, KITH_UPSERT, KITH_BUILD_FAST; may be NULL
 *
 * A graph is built as a whole, many times as fast as vector by vector, if it was empty, or if there are at least 1,000 vectors and
 * the graph had no more than four times as many (and m is at most 32). While that lasts it takes about 1 KB of memory per vector
 * plus a byte per component, and searches find nothing of the batch. From the same vectors in the same order, into an empty index
 * of the same options, any number of threads on any machine makes the same graph. A batch of at least 1,000 into a graph of up to sixteen times as many
 * is appended as a whole, with the same memory, unless many of its vectors equal others or the metric is KITH_INNER_PRODUCT; any number of threads makes the same of it. Bring such batches one after the other, with all threads: of two at the
 * same time, the one that is done later links the vectors of the other one by one, while inserts wait.
 *
 * One bad or present key, or one bad vector, refuses the whole batch; the text names its place. Searches beside
 * the call may find some of the vectors before it returns.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: as for kith_insert(); stride smaller than a vector; count x stride does not fit
 *   into memory
 * - KITH_ERROR_EXISTS: a key is present or stands twice in the batch, and KITH_UPSERT is not set
 * - KITH_ERROR_FULL: the capacity is fixed, and not all vectors fit
 * - KITH_ERROR_CANCELLED: progress returned non-zero
 * - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 *
 * ```c
 * kith_build_options options = {.size = sizeof options, .progress = report};
 * if (kith_insert_batch(index, n, keys, rows, 0, &options)) fprintf(stderr, "%s\n", kith_last_error());
 * ```
 */
KITH_API kith_status kith_insert_batch(kith_index *index,
                                       size_t count,
                                       const uint64_t *keys,
                                       const void *vectors,
                                       size_t stride,
                                       const kith_build_options *options);

/**
 * Adds many vectors that need not be in memory together, on several threads, all of them or none: a function of yours brings them
 * piece by piece, a few MiB at a time, from a file, a socket or a generator.
 *
 * - index: the index
 * - count: number of vectors that read will bring; 0 succeeds, and read is not called
 * - read: called on this thread until all are there; may read the index, must not change it
 * - ctx: handed to read; may be NULL
 * - options: as for kith_insert_batch(); may be NULL
 *
 * All that is said of kith_insert_batch() holds here: the graph is built as a whole from the same number on, takes as much memory while that lasts, and the same
 * vectors in the same order make the same graph. Beside the index there is memory for a piece of 4 MiB (or 64 vectors, if those are more), and for all keys. What
 * an index learns before it holds anything (KITH_QUANTIZER_BYTES, KITH_QUANTIZER_LEADING8 and KITH_QUANTIZER_LEADING8_FINE) it learns from the first piece, which
 * then has at least 4,096 vectors: where those are not like the rest, call kith_train() before. Places of removed vectors are not used again while read
 * is awaited.
 *
 * A kith_clear() beside the call takes the vectors along, even those that are yet to come.
 *
 * Errors: those of kith_insert_batch(), and
 * - KITH_ERROR_ARGUMENT: read is NULL; a key or a component was not written
 * - KITH_ERROR_CANCELLED: read, or progress, returned non-zero
 * - KITH_ERROR_UNSUPPORTED: the index is a durable directory and holds reduced vectors in place of those that are given, which its
 *   log would have to tell
 *
 * ```c
 * static int next(void *ctx, size_t first, size_t count, uint64_t *keys, void *vectors) {
 *     for (size_t i = 0; i < count; i++) keys[i] = first + i;
 *     return fread(vectors, DIMENSIONS * sizeof(float), count, ctx) != count;
 * }
 * if (kith_insert_from(index, n, next, file, NULL)) fprintf(stderr, "%s\n", kith_last_error());
 * ```
 */
KITH_API kith_status kith_insert_from(kith_index *index,
                                      size_t count,
                                      kith_read_fn read,
                                      void *ctx,
                                      const kith_build_options *options);

/**
 * Removes the vector of a key. A search that starts after this returned does not find it.
 *
 * Errors:
 * - KITH_ERROR_NOT_FOUND: no vector has this key
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_remove(kith_index *index, uint64_t key);

/**
 * Removes the vectors of many keys; keys that are absent are passed over.
 *
 * - index: the index
 * - count: number of keys; 0 succeeds, and then keys may be NULL
 * - keys: `count` keys
 * - removed: receives how many vectors were removed; 0 on failure
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; count x 8 bytes do not fit into memory
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_remove_batch(kith_index *index, size_t count, const uint64_t *keys, size_t *removed);

/**
 * Brings back the vector that was removed last under a key, in an index with KITH_KEEP_REMOVED. A search that starts after this
 * returned finds it.
 *
 * Errors:
 * - KITH_ERROR_NOT_FOUND: there is none: never removed, given up by kith_forget(), or the index does not keep them
 * - KITH_ERROR_EXISTS: the key has a vector
 * - KITH_ERROR_FULL: the capacity is fixed and reached
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_undelete(kith_index *index,
                                   uint64_t key);

/**
 * Gives up what kith_undelete() could bring back under a key.
 *
 * Errors:
 * - KITH_ERROR_NOT_FOUND: there is nothing
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_forget(kith_index *index, uint64_t key);

/**
 * Removes every vector. Options, capacity and seed stay.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_clear(kith_index *index);

/**
 * Makes room for `capacity` vectors in all, so that inserts up to there need no more memory for vectors. Less than there is
 * already: nothing happens. With KITH_FIXED_CAPACITY this changes the capacity instead, up or down, and asks for no memory.
 *
 * Errors:
 * - KITH_ERROR_MEMORY: the system refused, or so many vectors would be more than memory_limit; the index is as it was
 * - KITH_ERROR_ARGUMENT: index is NULL; capacity is more than an index can hold
 * - KITH_ERROR_FULL: the capacity is fixed, and there are more vectors than that
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_reserve(kith_index *index,
                                  uint64_t capacity);

/**
 * Says how much memory an index may hold from now on: as kith_options.memory_limit does for a new one.
 *
 * - index: the index, new or opened, also a mapped one
 * - bytes: the most that kith_info.bytes may come to; 0: any amount. What is there stays, even if it is more
 *
 * Insertions, batches, kith_reserve(), kith_optimize(), kith_requantize(), kith_repair(), kith_import() and kith_open_directory() that could go above it give KITH_ERROR_MEMORY
 * with the figures, before they change anything. What counts is the most that a call may take, buffers included: a batch that is built
 * as a whole needs about 1 KB for each vector that is there and comes, while it works, so smaller batches, or kith_insert(), may
 * still fit where a large one does not; an insertion after which an array needs another page is counted with a huge one of 2 MiB for each, so that an index that was
 * compacted wants some megabytes of room; and several calls at the same time may be refused a little early. Removal goes on, and kith_maintain()
 * and kith_compact() make room. An index of KITH_KIND_AUTO that cannot become a graph within the limit stays exact: kith_maintain() does what else there
 * is to do and gives the status then, and so does kith_export() of a graph. Searches are never refused; the buffers that they keep count. Files do not hold the limit, and a saved
 * index of more than the limit can be opened.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: index is NULL
 */
KITH_API kith_status kith_set_memory_limit(kith_index *index,
                                           uint64_t bytes);

/* ---- Learning -------------------------------------------------------------------------------------------- */

/**
 * Learns from vectors, of which none is inserted, what an index would learn from its first ones (see kith_quantizer): directions, ranges and
 * steps of its codes. For indexes that hold parts of one collection: train one, and give what it learnt to the others. kith_clear() makes
 * the index forget it; a durable directory keeps it from the next checkpoint on.
 *
 * - index: the index; it never held a vector, or was cleared
 * - count: number of vectors, at least 256; a few thousand are looked at
 * - vectors: the first vector; the others follow `stride` bytes apart, 0 meaning packed
 * - options: how many threads; what else they say does not matter. NULL: all cores
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; too few vectors, or all alike; as for kith_insert()
 * - KITH_ERROR_EXISTS: the index holds vectors, or has learnt already
 * - KITH_ERROR_UNSUPPORTED: such an index learns nothing (a flat one without codes, KITH_QUANTIZER_NONE, or short vectors with KITH_QUANTIZER_AUTO); an unknown
 *   flag, or options of a newer version
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_train(kith_index *index,
                                size_t count,
                                const void *vectors,
                                size_t stride,
                                const kith_build_options *options);

/**
 * Copies out what an index has learnt, for kith_codec_import(). The bytes carry a checksum, and are the same for indexes that learnt the same.
 *
 * - index: the index
 * - data: room for `capacity` bytes; they are written only if all fit
 * - capacity: to learn the number only, pass 0, and NULL for data
 * - bytes: receives how many there are; 0 on failure
 *
 * Errors:
 * - KITH_ERROR_NOT_FOUND: the index has learnt nothing yet
 * - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be
 * - KITH_ERROR_MEMORY
 */
KITH_API kith_status kith_codec_export(const kith_index *index,
                                       void *data,
                                       size_t capacity,
                                       size_t *bytes);

/**
 * Takes over what another index learnt: of the same metric, dimensions and quantizer (KITH_QUANTIZER_AUTO is KITH_QUANTIZER_PROJECTED4 here).
 *
 * - index: the index; it never held a vector, or was cleared
 * - data: what kith_codec_export() wrote; believed in no way
 * - bytes: how many there are
 *
 * Errors:
 * - KITH_ERROR_CORRUPT: the bytes are not those of a codec; KITH_ERROR_VERSION: they are of a newer version
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; the codec is for other indexes
 * - KITH_ERROR_EXISTS: the index holds vectors, or has learnt already
 * - KITH_ERROR_UNSUPPORTED: such an index learns nothing
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_codec_import(kith_index *index,
                                       const void *data,
                                       size_t bytes);

/* ---- Upkeep ---------------------------------------------------------------------------------------------- */

/**
 * Makes places of removed and replaced vectors free for others, and moves an index of KITH_KIND_AUTO into a graph when it holds enough, for about
 * as long as the caller says.
 *
 * - index: the index
 * - budget_us: microseconds to work for; 0 does a little, UINT64_MAX goes on until nothing is left to do
 * - pending: receives how many places are not free yet, and vectors not linked or not moved, 0 on failure; may be NULL
 *
 * Searches do not find a vector any more when kith_remove() has returned; but the graph still leads through its place. Calls that
 * remove, replace or insert take such places out of the graph by and by, a bounded share each, once a hundredth of all places (and at least
 * 64) have gathered. Nobody needs to call this function: a program that has time to spare can, after it removed much, or in place of doing
 * the work in the calls that are waited for.
 *
 * Where of 65,536 places or more only a quarter or less has a vector, it moves vectors together as well, a few at a time, and gives the memory behind them back, as kith_compact()
 * does: spread over so much memory they would be found more slowly. Moving costs as much as inserting; `pending` then counts vectors to be moved, too.
 *
 * Places become free many at a time, so `pending` stays for a while and then falls at once. Where neighbours are hard to tell apart (random vectors), a graph of which much
 * was removed misses more of them than one that was built of the rest: kith_optimize() makes it so.
 *
 * A place is free when every search and change that was under way has ended, and every save and checkpoint that began before. Where
 * nothing is left to do but to wait for those, the call returns early, with pending above 0: call again later.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_maintain(kith_index *index,
                                   uint64_t budget_us,
                                   uint64_t *pending);

/**
 * Starts a thread that does the upkeep of an index, or ends it: what else the calls do that change the index, a share each, and what kith_maintain()
 * does. None is there before this is called.
 *
 * - index: the index
 * - every_us: how often the thread looks whether there is enough to do, in microseconds: 100,000, say; less than 1,000 counts as 1,000. 0 ends the
 *   thread, and waits for that. Called again, it changes the interval
 *
 * While it is there, calls that remove, replace or insert do no share of making places free, unless the thread does not keep up: when a twelfth of all
 * places waits, or 512, they help, and from twice as many on each waits for its turn to help, as it does without such a thread. The thread belongs to this handle: kith_free() ends it. It
 * calls a metric of the host's own (kith_distance_fn) from outside of any call; so hold no lock that such a function needs while you call this or kith_free(), which wait for the thread, or
 * fork. A fork waits until the thread rests (some 10 milliseconds as a rule, one second at most): the child can use the index as the fork chapter says, has no such thread, and may start one;
 * until then its calls do their share.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_READ_ONLY: the index cannot be changed; not for 0
 * - KITH_ERROR_MEMORY: the system gives no thread
 * - KITH_ERROR_BUSY: called from a callback of this index
 */
KITH_API kith_status kith_set_upkeep(kith_index *index,
                                     uint64_t every_us);

/**
 * Gives memory back to the system that removed and replaced vectors took: makes their places free as kith_maintain() does, moves vectors
 * together, and gives back what is behind them. Searches and changes go on meanwhile.
 *
 * - index: the index
 * - options: threads, progress; may be NULL
 *
 * Moving costs as much as inserting, for at most as many vectors as were removed. A file that kith_save() writes afterwards has no byte
 * of a vector whose kith_remove() or replacement had returned before this was called; nor has memory that other vectors use by then.
 * What searches, saves and checkpoints that are under way for long still hold is given back by a later call. Memory is given back by pages: each array
 * of the index keeps the one, of the system's size or a huge one of 2 MiB, that its end lies in. A graph stays one, however few vectors are left.
 *
 * Errors:
 * - KITH_ERROR_CANCELLED: progress returned non-zero. The index is whole, and moved together in part
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_compact(kith_index *index,
                                  const kith_build_options *options);

/**
 * Makes an index that grew bit by bit as good as one that was built as a whole: learns codes anew from the vectors that are there now, and
 * builds the graph anew, as kith_insert_batch() does for a large batch into an empty index.
 *
 * - index: the index. A flat one, or one that is KITH_CUSTOM, has nothing to gain: nothing is done
 * - options: threads, progress, and KITH_BUILD_FAST among the flags; may be NULL
 *
 * Worth calling after many single insertions, after the data have changed their nature, or after much was removed. Searches go on
 * with the old graph and see the new one when it is complete; insertions go on, too, but for the moment in which it is put in place.
 * Keys, vectors and files are what they were. Takes the time and the memory of building the graph in one batch: about 1 KB for each vector
 * while it works. With an m above 32 the graph stays, and only codes are learnt.
 *
 * Errors:
 * - KITH_ERROR_CANCELLED: progress returned non-zero; the graph is as it was
 * - KITH_ERROR_ARGUMENT: index is NULL
 * - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_optimize(kith_index *index,
                                   const kith_build_options *options);

/**
 * Gives a graph codes of another kind, or none, while it is used: KITH_QUANTIZER_AUTO, _NONE, _PROJECTED4, _PROJECTED2, _PROJECTED1, _PRODUCT or _SIGNS. What is
 * inserted later gets such, too; files are then as if the index had been made so.
 *
 * - index: the index
 * - quantizer: what is wanted. Nothing is done if the index has such codes already (kith_optimize() learns codes anew); and if it holds too few
 *   vectors to learn from, it gets them when there are enough
 * - options: threads and progress, which counts places coded; may be NULL
 *
 * Codes are learnt from a sample of the vectors that are there, and written for a few thousand at a time; searches go on, and insertions wait for
 * such a step at most. Takes the memory of both codes until the last is written. Vectors that are held as bytes without loss (see
 * KITH_QUANTIZER_AUTO) stay so. An index of KITH_KIND_AUTO that is flat still gets its codes when it becomes a graph. A durable directory keeps the change from the next checkpoint on.
 *
 * Errors:
 * - KITH_ERROR_CANCELLED: progress returned non-zero; the codes are as they were
 * - KITH_ERROR_UNSUPPORTED: KITH_QUANTIZER_BYTES or one of _LEADING8, here or when the index was made: these replace the vectors; metric or
 *   dimensions as for kith_create(); an unknown quantizer, flag, or options of a newer version
 * - KITH_ERROR_ARGUMENT: index is NULL; the vectors do not vary, or by too much to be coded
 * - KITH_ERROR_BUSY: another such call is under way, or the index was cleared meanwhile
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY
 */
KITH_API kith_status kith_requantize(kith_index *index,
                                     kith_quantizer quantizer,
                                     const kith_build_options *options);

/**
 * Looks at the whole graph as kith_check() does and, if anything is not as it should be, builds it anew from the vectors, on the calling
 * thread. A sound graph is left alone.
 *
 * - index: the index
 * - health: `size` must be set; receives how the graph is then. May be NULL
 *
 * There is nothing to repair but for defects of kith: files are checked when they are opened. Meant for an index that rests: what others
 * change beside the call may be taken for a fault, and costs a build that was not needed. Searches go on meanwhile; where m is above
 * 32 or the index is KITH_CUSTOM, they may miss vectors until the call returns.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: index is NULL; health->size is 0 or no size of this struct
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_repair(kith_index *index,
                                 kith_health *health);

/* ---- Search ---------------------------------------------------------------------------------------------- */

/**
 * Finds the vectors nearest to one query: min(k, vectors that may be returned) hits, ordered by distance and, where distances
 * are equal, by key. Few or no hits are not an error.
 *
 * - index: the index
 * - query: `dimensions` components of the index's element type, at any address; with KITH_CUSTOM whatever the distance function takes
 * - k: hits wanted, 1 to 4,294,967,295
 * - options: breadth, threads, filter; may be NULL
 * - keys: `k` places; receives the keys of the hits, then KITH_NO_KEY
 * - distances: `k` places; receives the distances of the hits, then +infinity; may be NULL
 * - count: receives the number of hits; 0 on failure
 *
 * Takes no lock, so it never waits for a change.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; k is 0 or too large; a component is NaN or infinite; under
 *   KITH_COSINE, the query is zero; a field of options is out of range
 * - KITH_ERROR_UNSUPPORTED: a recall under KITH_CUSTOM, an unknown flag, or options of a newer version
 * - KITH_ERROR_MEMORY
 *
 * ```c
 * uint64_t keys[10]; float distances[10]; size_t found;
 * if (kith_search(index, query, 10, NULL, keys, distances, &found)) fprintf(stderr, "%s\n", kith_last_error());
 * for (size_t i = 0; i < found; i++) printf("%llu at %g\n", (unsigned long long)keys[i], distances[i]);
 * ```
 */
KITH_API kith_status kith_search(const kith_index *index,
                                 const void *query,
                                 size_t k,
                                 const kith_search_options *options,
                                 uint64_t *keys,
                                 float *distances,
                                 size_t *count);

/**
 * Answers many queries, on several threads. Each answer is that of kith_search().
 *
 * - index: the index
 * - queries: number of queries; 0 succeeds, and then the pointers may be NULL
 * - vectors: the queries, the first byte of each `stride` bytes after that of the one before
 * - stride: bytes from one query to the next, at least those of a vector; 0 means packed
 * - k: hits wanted per query
 * - options: breadth, threads, filter, for all queries; may be NULL
 * - keys: `queries` x `k` places, row by row
 * - distances: `queries` x `k` places, row by row; may be NULL
 * - counts: `queries` places; receives the number of hits of each query; 0 on failure
 *
 * Errors: those of kith_search(), where one bad query refuses the batch and is named by its place; and
 * - KITH_ERROR_ARGUMENT: stride smaller than a vector; queries x k results do not fit into memory
 */
KITH_API kith_status kith_search_batch(const kith_index *index,
                                       size_t queries,
                                       const void *vectors,
                                       size_t stride,
                                       size_t k,
                                       const kith_search_options *options,
                                       uint64_t *keys,
                                       float *distances,
                                       size_t *counts);

/**
 * As kith_search(), with distances in double precision: under KITH_CUSTOM just what the distance function returned, else the floats
 * that kith_search() gives.
 *
 * - index, query, k, options, keys, count: as for kith_search()
 * - distances: `k` places; receives the distances of the hits, then +infinity; may be NULL
 *
 * Errors: those of kith_search().
 */
KITH_API kith_status kith_search_double(const kith_index *index,
                                        const void *query,
                                        size_t k,
                                        const kith_search_options *options,
                                        uint64_t *keys,
                                        double *distances,
                                        size_t *count);

/**
 * Searches for as long as an observer lets it, for ends that are no number of hits: all vectors within a distance, vectors of
 * so many different documents, a budget of time.
 *
 * - index: the index
 * - query: `dimensions` components of the index's element type, at any address
 * - observer: copied; its functions run on the calling thread and are told the hits at the end
 * - options: filter and stats; the rest must be 0. May be NULL
 *
 * The search begins with one candidate near the query (on a flat index: with all vectors, nearest first). As long as a candidate is left
 * and `stop` lets it, it takes the nearest one and looks at the vectors that are linked to it: what `consider` accepts is a candidate
 * and, unless the filter refuses it, a hit, which `add` is told; then the farthest hits are dropped as long as `excess` asks for it.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; a component is NaN or infinite; under KITH_COSINE, the query is zero
 * - KITH_ERROR_UNSUPPORTED: an unknown flag, an option that this call does not have, or options of a newer version
 * - KITH_ERROR_MEMORY
 */
KITH_API kith_status kith_search_observed(const kith_index *index,
                                          const void *query,
                                          const kith_observer *observer,
                                          const kith_search_options *options);

/**
 * Measures which breadth gives which recall on this index, for searches that ask for a recall (kith_search_options.recall). Compares
 * searches of 16 breadths from 10 to 2,048 with exact scans, for 1, 10 and 100 hits.
 *
 * - index: the index. A flat one has no breadth to learn: nothing is measured
 * - queries: queries like those to come, the first byte of each `stride` bytes after that of the one before; NULL with a count of 0: up to
 *   about 500 of the index's own vectors stand for them, each looking for the others
 * - count: number of queries. Some hundred are enough
 * - stride: bytes from one query to the next, at least those of a vector; 0 means packed
 * - options: threads, progress; may be NULL. Flags must be 0
 *
 * Searches and changes go on meanwhile. A later call measures anew. What was measured lives with the handle: a file does not keep it.
 * Takes the time of `count` exact scans and some 48 searches for each query. A handle that was opened read-only can be calibrated too.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: index is NULL; queries is NULL and count is not 0; a bad query, which is named by its place
 * - KITH_ERROR_CANCELLED: progress returned non-zero; what was measured before stays
 * - KITH_ERROR_UNSUPPORTED: the index is KITH_CUSTOM; an unknown flag, or options of a newer version
 * - KITH_ERROR_MEMORY, KITH_ERROR_BUSY
 *
 * ```c
 * if (kith_calibrate(index, NULL, 0, 0, NULL)) fprintf(stderr, "%s\n", kith_last_error());
 * kith_search_options options = {.size = sizeof options, .recall = 0.95f};
 * kith_search(index, query, 10, &options, keys, distances, &found);
 * ```
 */
KITH_API kith_status kith_calibrate(kith_index *index,
                                    const void *queries,
                                    size_t count,
                                    size_t stride,
                                    const kith_build_options *options);

/**
 * The breadth that a search for k hits with this recall has at present, from what kith_calibrate() measured and searches learnt since.
 *
 * - index: the index
 * - k: hits wanted
 * - recall: above 0 and up to 1
 * - ef: receives the breadth; beyond what was measured the largest, 2,048. On a flat index, and before kith_calibrate(): 0
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; k is 0; recall is out of range
 */
KITH_API kith_status kith_breadth_for(const kith_index *index,
                                      size_t k,
                                      float recall,
                                      uint32_t *ef);

/* ---- Reading --------------------------------------------------------------------------------------------- */

/**
 * Copies out the vector of a key, bit for bit as it was inserted; with KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 or one of _LEADING8, and with kith_options.held, the
 * vector that is held instead.
 *
 * - index: the index
 * - key: its key
 * - vector: room for `dimensions` components of the index's element type, at any address
 *
 * Errors:
 * - KITH_ERROR_NOT_FOUND: no vector has this key
 * - KITH_ERROR_ARGUMENT: a pointer is NULL
 */
KITH_API kith_status kith_get(const kith_index *index,
                              uint64_t key,
                              void *vector);

/**
 * Says whether a vector has this key.
 *
 * - index: the index
 * - key: the key
 * - found: receives 1 or 0
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL
 */
KITH_API kith_status kith_contains(const kith_index *index, uint64_t key, int *found);

/**
 * Copies out the keys, in no particular order.
 *
 * - index: the index
 * - keys: `capacity` places; receives as many keys as fit, the other places are left alone. May be NULL when capacity is 0
 * - capacity: places
 * - count: receives the number of all keys there are, which may be more than fit; 0 on failure
 *
 * To learn the number only, pass NULL and 0. Beside changes, each key that is present during the whole call is among them.
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; capacity x 8 bytes do not fit into memory
 */
KITH_API kith_status kith_keys(const kith_index *index,
                               uint64_t *keys,
                               size_t capacity,
                               size_t *count);

/**
 * Copies out the keys whose removed vectors kith_undelete() can bring back, in no particular order.
 *
 * - index, keys, capacity, count: as for kith_keys()
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; capacity x 8 bytes do not fit into memory
 */
KITH_API kith_status kith_removed_keys(const kith_index *index, uint64_t *keys, size_t capacity, size_t *count);

/**
 * Says where the vector of a key is stored, for reading it without a copy.
 *
 * - index: the index
 * - key: its key, or one whose removed vector kith_undelete() can bring back
 * - vector: receives the address of `dimensions` components of the index's element type; NULL on failure
 *
 * The bytes stay there, as they are, until the key gets another vector, or is removed for good (kith_remove() without KITH_KEEP_REMOVED,
 * kith_forget()), or the index is cleared or freed. To be read only. An index that held its vectors in less memory (see KITH_QUANTIZER_AUTO)
 * holds them as they were given from the first call that finds one on, which takes the time for a copy of all.
 *
 * Errors:
 * - KITH_ERROR_NOT_FOUND: no vector has this key
 * - KITH_ERROR_ARGUMENT: a pointer is NULL
 * - KITH_ERROR_MEMORY: there is none for vectors as they were given
 * - KITH_ERROR_UNSUPPORTED: something else is held in place of the vectors (KITH_QUANTIZER_BYTES and the like, kith_options.held)
 */
KITH_API kith_status kith_row(const kith_index *index,
                              uint64_t key,
                              const void **vector);

/**
 * Says what the index is and holds.
 *
 * - index: the index
 * - info: `size` must be set; the rest is written
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; info->size is 0 or no size of this struct
 *
 * ```c
 * kith_info info = {.size = sizeof info};
 * if (kith_describe(index, &info) == KITH_OK) printf("%llu vectors\n", (unsigned long long)info.count);
 * ```
 */
KITH_API kith_status kith_describe(const kith_index *index, kith_info *info);

/**
 * Copies out the keys of the vectors that a vector of a graph is linked to, in no particular order. Removed vectors are passed over.
 *
 * - index: the index
 * - key: the vector's key
 * - level: 0, where all vectors are, or a level above, where the vector is one of the few
 * - keys: `capacity` places; receives as many keys as fit, the other places are left alone. May be NULL when capacity is 0
 * - capacity: places; there are at most 2 m neighbours at level 0 and m above
 * - count: receives the number of all there are; 0 on failure
 *
 * Errors:
 * - KITH_ERROR_NOT_FOUND: no vector has this key, or it is not on that level
 * - KITH_ERROR_UNSUPPORTED: the index is flat
 * - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; capacity x 8 bytes do not fit into memory
 */
KITH_API kith_status kith_neighbours(const kith_index *index,
                                     uint64_t key,
                                     uint32_t level,
                                     uint64_t *keys,
                                     size_t capacity,
                                     size_t *count);

/**
 * Looks at the whole index and counts: links, the table of keys, counters, vectors, codes, and the file where it is used in place. Meant
 * for an index that rests: what is changed beside the call may be counted as it was, or as a fault. Reads all there is, so it takes
 * about as long as opening the index from a file does, and some bytes for each place.
 *
 * - index: the index
 * - health: `size` must be set; the rest is written
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; health->size is 0 or no size of this struct
 * - KITH_ERROR_MEMORY
 */
KITH_API kith_status kith_check(const kith_index *index,
                                kith_health *health);

/**
 * The distance between two vectors, as searches report it. Needs no index.
 *
 * - metric, element, dimensions: as in kith_options
 * - a, b: `dimensions` components each, at any address
 * - distance: receives the distance
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; metric, element or dimensions is unknown, out of range or does not go with the
 *   others; a component is NaN or infinite; under KITH_COSINE, a vector is zero
 */
KITH_API kith_status kith_distance(kith_metric metric,
                                   kith_element element,
                                   uint32_t dimensions,
                                   const void *a,
                                   const void *b,
                                   float *distance);

/* ---- Disk ------------------------------------------------------------------------------------------------ */

/**
 * Writes the index to a file: whole or not at all. It is written beside `path`, synced, renamed to `path`, and the directory is
 * synced; so whoever opens `path` finds the old file or the new one, and several saves to one path at once leave one of them
 * whole.
 *
 * - index: the index; searches and changes may go on meanwhile, and a change beside the call is in the file or not
 * - path: UTF-8 on Windows, else the bytes of a path; ends with a zero byte
 *
 * Errors:
 * - KITH_ERROR_IO: the system refused; the text holds path and cause, and a file that was there before is as it was
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty
 * - KITH_ERROR_MEMORY
 */
KITH_API kith_status kith_save(const kith_index *index,
                               const char *path);

/**
 * Opens a file that kith_save() wrote. The index can do everything the saved one could, inserting included. The file may come
 * from anywhere: sizes, checksums and ids are checked before use.
 *
 * - path: the file
 * - flags: 0 or an or of KITH_OPEN_MAPPED, KITH_OPEN_VECTORS_MAPPED, KITH_OPEN_READ_ONLY, KITH_OPEN_UNCHECKED, KITH_OPEN_ONE_THREAD
 * - index: receives the handle, to be ended with kith_free(). NULL on failure
 *
 * Errors:
 * - KITH_ERROR_IO: the file cannot be read
 * - KITH_ERROR_CORRUPT: not a kith file, truncated, a wrong checksum, impossible content
 * - KITH_ERROR_VERSION: a newer format, or the other byte order
 * - KITH_ERROR_UNSUPPORTED: an unknown flag, or content that this version cannot use
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty
 * - KITH_ERROR_MEMORY
 *
 * ```c
 * kith_index *index;
 * if (kith_open("packages.kith", KITH_OPEN_MAPPED, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
 * ```
 */
KITH_API kith_status kith_open(const char *path,
                               uint64_t flags,
                               kith_index **index);

/**
 * Hands the bytes that kith_save() would write to a function of yours, front to back: for files of your own kind, sockets, blocks of
 * a database. Together they are one file, which kith_open() and kith_open_buffer() take.
 *
 * - index: the index; searches and changes may go on meanwhile, and a change beside the call is in the bytes or not
 * - write: gets the pieces in their order; may read the index, must not change it
 * - ctx: handed to write; may be NULL
 *
 * Errors:
 * - KITH_ERROR_IO: write returned something else than 0; the text has the number
 * - KITH_ERROR_ARGUMENT: a pointer is NULL
 * - KITH_ERROR_MEMORY
 */
KITH_API kith_status kith_save_to(const kith_index *index,
                                  kith_write_fn write,
                                  void *ctx);

/**
 * Opens the bytes of a file that lie in memory: what kith_save() wrote or kith_save_to() handed out. They may come from anywhere:
 * sizes, checksums and ids are checked before use.
 *
 * - data: the bytes. They are copied, unless flags has KITH_OPEN_MAPPED or KITH_OPEN_VECTORS_MAPPED: then they, or the vectors among them, are used
 *   where they lie; the bytes must start at a multiple of 64, and must stay there unchanged until kith_free() has returned
 * - length: their number
 * - flags: as for kith_open()
 * - index: receives the handle, to be ended with kith_free(). NULL on failure
 *
 * Errors: those of kith_open(), without KITH_ERROR_IO; and
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; data with KITH_OPEN_MAPPED or KITH_OPEN_VECTORS_MAPPED is not a multiple of 64
 */
KITH_API kith_status kith_open_buffer(const void *data,
                                      size_t length,
                                      uint64_t flags,
                                      kith_index **index);

/**
 * Says what the head of a file says, without loading the file.
 *
 * - path: the file
 * - info: `size` must be set; the rest is written. `capacity` is the number of places in the
 *   file and `bytes` its length
 *
 * Errors:
 * - KITH_ERROR_IO, KITH_ERROR_CORRUPT, KITH_ERROR_VERSION: as for kith_open(), as far as the head of the file tells
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; info->size is 0 or no size of this struct
 */
KITH_API kith_status kith_file_info(const char *path, kith_info *info);

/* ---- Durable directories --------------------------------------------------------------------------------- */

/**
 * Opens the index that lives in a directory, or begins one there. From then on every change (kith_insert(), kith_upsert(),
 * kith_insert_batch(), kith_remove(), kith_remove_batch(), kith_clear()) is written to a log in the directory before it is seen and
 * before the call returns. Opening reads the last snapshot and the log behind it, up to the last whole change; a batch is there whole
 * or not at all.
 *
 * - path: the directory; made if it is missing and its parent is there
 * - options: what a new index is to be; for an index that is there, dimensions, metric, element and (unless it is KITH_KIND_AUTO)
 *   kind must be those it has, capacity is a hint, and the rest means nothing. May be NULL: then an index must be there
 * - log_options: when changes are made to last, and more; may be NULL
 * - index: receives the handle, to be ended with kith_free(). NULL on failure
 *
 * Under KITH_SYNC_COMMIT nothing that was acknowledged is lost: a change whose call returned KITH_OK is there after the program is
 * killed or the machine stops. A change is seen by searches only when it lasts, so nobody sees what a crash undoes. One whose call had not
 * returned may be there or not.
 *
 * When the log cannot be written or synced, the call that met this returns KITH_ERROR_IO and the index stays as it was; every later
 * change gives KITH_ERROR_READ_ONLY; reading, searching and kith_save() go on. Free the index and open the directory again: then the
 * change that failed is there or not.
 *
 * Changes of one key wait for each other, and kith_clear() for all; so a callback must not wait for another thread that changes the index.
 * Checkpoints are written by the changes, each a share that is in proportion to what it logged, and by opening where the log is due for one;
 * see kith_checkpoint().
 * A directory has one owner: the process that has it open, until kith_free() or its end. A child that it forks may search, not change. The
 * files named snapshot- are as kith_save() writes them; nothing in the directory is to be changed or removed while it is open.
 *
 * Errors:
 * - KITH_ERROR_BUSY: the directory is open already, in this process or another
 * - KITH_ERROR_IO: the system refused; or nothing is there and options is NULL
 * - KITH_ERROR_CORRUPT: a file is damaged or missing; the text names it. An end that a crash has torn is cut off, which is no error
 *   (kith_log_info.cut_bytes)
 * - KITH_ERROR_VERSION: a newer format, or the other byte order
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; options are out of range or not those of the index that is there; sync is
 *   unknown
 * - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
 * - KITH_ERROR_MEMORY
 *
 * ```c
 * kith_options options = {.size = sizeof options, .dimensions = 384, .metric = KITH_COSINE};
 * kith_index *index;
 * if (kith_open_directory("packages", &options, NULL, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
 * ```
 */
KITH_API kith_status kith_open_directory(const char *path,
                                         const kith_options *options,
                                         const kith_log_options *log_options,
                                         kith_index **index);

/**
 * Makes every change last that was acknowledged before, whatever `sync` says.
 *
 * - index: of kith_open_directory()
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: index is NULL or does not live in a directory
 * - KITH_ERROR_IO, KITH_ERROR_READ_ONLY: the log cannot be written; see kith_open_directory()
 */
KITH_API kith_status kith_sync_log(kith_index *index);

/**
 * Folds the log into a new snapshot, all of it on the calling thread; searches and changes go on meanwhile. Nobody needs to call this:
 * once the log has grown by `checkpoint_bytes`, changes do the same piece by piece. It makes the next opening quick, and spares the changes
 * the work: call it from a thread of your own, or before a long rest.
 *
 * - index: of kith_open_directory()
 *
 * Errors:
 * - KITH_ERROR_IO, KITH_ERROR_MEMORY: the snapshot could not be written; the index and its log go on as they were
 * - KITH_ERROR_ARGUMENT: index is NULL or does not live in a directory
 * - KITH_ERROR_READ_ONLY, KITH_ERROR_BUSY
 */
KITH_API kith_status kith_checkpoint(kith_index *index);

/**
 * Says how far the log of an index is, and what opening its directory found.
 *
 * - index: of kith_open_directory()
 * - info: `size` must be set; the rest is written
 *
 * Errors:
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; index does not live in a directory; info->size is 0 or no size of this struct
 */
KITH_API kith_status kith_describe_log(const kith_index *index,
                                       kith_log_info *info);

/* ---- Exchange -------------------------------------------------------------------------------------------- */

/**
 * Makes an index of another library's file: its vectors, keys and links. The graph is taken over, not built anew, and what it lacks is
 * added (vectors that nothing links to are linked); so opening takes little longer than reading, and inserting goes on from there. The
 * file may come from anywhere: sizes and ids are checked before use.
 *
 * - path: the file
 * - format: whose file it is
 * - options: as for kith_create(). KITH_FORMAT_HNSWLIB and KITH_FORMAT_HNSWLIB_FLAT: the file does not say what its vectors are, so
 *   dimensions, metric and element must be right. KITH_FORMAT_USEARCH and KITH_FORMAT_FAISS: the file says it; dimensions may be 0,
 *   metric and element are not looked at. m and ef_construction: 0 means those of the file. kind: KITH_KIND_FLAT leaves the
 *   graph out
 * - index: receives the handle, to be ended with kith_free(). NULL on failure
 *
 * With KITH_FIXED_CAPACITY the capacity is that of options or, if there are more, the number of vectors.
 *
 * Vectors that hnswlib has marked as deleted come back with kith_undelete(), if options has KITH_KEEP_REMOVED. Of a label that stands
 * twice in the file one vector is taken.
 *
 * Errors:
 * - KITH_ERROR_IO: the file cannot be read
 * - KITH_ERROR_CORRUPT: truncated, impossible content, NaN or infinity, a label that is KITH_NO_KEY, other dimensions
 * - KITH_ERROR_UNSUPPORTED: a metric, a type of component or a kind of index that kith does not have
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; format is unknown; options are out of range or do not fit the file
 * - KITH_ERROR_MEMORY
 *
 * ```c
 * kith_options options = {.size = sizeof options, .dimensions = 384, .metric = KITH_INNER_PRODUCT};
 * kith_index *index;
 * if (kith_import("hnsw.bin", KITH_FORMAT_HNSWLIB, &options, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
 * ```
 */
KITH_API kith_status kith_import(const char *path,
                                 kith_format format,
                                 const kith_options *options,
                                 kith_index **index);

/**
 * As kith_import(), from the bytes of a file.
 *
 * - data: the bytes; not needed any more when the call has returned
 * - length: their number
 * - format, options, index: as for kith_import()
 *
 * Errors: those of kith_import(), without KITH_ERROR_IO.
 */
KITH_API kith_status kith_import_buffer(const void *data,
                                        size_t length,
                                        kith_format format,
                                        const kith_options *options,
                                        kith_index **index);

/**
 * Writes the index as a file that another library loads, whole or not at all, as kith_save() does.
 *
 * - index: the index; searches and changes may go on meanwhile, and a change beside the call is in the file or not
 * - path: UTF-8 on Windows, else the bytes of a path; ends with a zero byte
 * - format: KITH_FORMAT_HNSWLIB for a graph, KITH_FORMAT_HNSWLIB_FLAT for a flat index. The components are written as they are, and
 *   whoever loads the file needs a space of that type. Under KITH_COSINE (KITH_F32 only) the vectors are written normalised, for
 *   hnswlib's inner product
 * - options: may be NULL
 *
 * Removed vectors that kith_undelete() could bring back are in a KITH_FORMAT_HNSWLIB file, marked as deleted.
 *
 * Errors:
 * - KITH_ERROR_IO: the system refused; the text holds path and cause, and a file that was there before is as it was
 * - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; format is unknown or not for the index's kind
 * - KITH_ERROR_UNSUPPORTED: a format that kith only reads, or an index that it cannot hold
 * - KITH_ERROR_MEMORY
 */
KITH_API kith_status kith_export(const kith_index *index,
                                 const char *path,
                                 kith_format format,
                                 const kith_export_options *options);

/**
 * Hands the bytes that kith_export() would write to a function of yours, front to back.
 *
 * - index, format, options: as for kith_export()
 * - write: gets the pieces in their order; may read the index, must not change it
 * - ctx: handed to write; may be NULL
 *
 * Errors: those of kith_export(), where
 * - KITH_ERROR_IO: write returned something else than 0; the text has the number
 */
KITH_API kith_status kith_export_to(const kith_index *index,
                                    kith_write_fn write,
                                    void *ctx,
                                    kith_format format,
                                    const kith_export_options *options);

/**
 * Says how many bytes kith_export() would write now.
 *
 * - index, format, options: as for kith_export()
 * - bytes: receives the number; 0 on failure
 *
 * Errors: those of kith_export(), without KITH_ERROR_IO.
 */
KITH_API kith_status kith_export_size(const kith_index *index,
                                      kith_format format,
                                      const kith_export_options *options,
                                      uint64_t *bytes);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KITH_H */
