/* packages.h: the demo's data. 10,000 Debian packages: a name, one line of description, and the 384 numbers
 * that a language model made of the description (see data/README.md for the files and their origin).
 * Portable C99, nothing in here is about kith. */
#ifndef PACKAGES_H
#define PACKAGES_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packages {
    size_t count;
    uint32_t dimensions;
    float *vectors;            /* count x dimensions */
    const char **names;        /* into text */
    const char **descriptions; /* into text */
    char *text;
};

/* An IEEE half, bit by bit, for compilers without such a type. The files hold no infinities and no NaN. */
static float float_of_half(uint16_t half) {
    const unsigned exponent = (half >> 10) & 31u, fraction = half & 1023u;
    const double size = exponent == 0 ? ldexp((double)fraction, -24) : ldexp((double)(1024u + fraction), (int)exponent - 25);
    return (float)(half & 0x8000u ? -size : size);
}

static uint32_t little_endian_u32(const unsigned char *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The whole of a file with a 0 behind it; NULL after a message. */
static unsigned char *read_file(const char *directory, const char *name, size_t *length) {
    char path[4096];
    unsigned char *content = NULL;
    long size;
    FILE *file;
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) {
        fprintf(stderr, "the path of the data directory is too long: %s\n", directory);
        return NULL;
    }
    file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "cannot open %s (--data DIRECTORY says where the data is)\n", path);
        return NULL;
    }
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0
        && (content = malloc((size_t)size + 1)) != NULL) {
        *length = fread(content, 1, (size_t)size, file);
        content[*length] = 0;
        if (*length != (size_t)size) {
            free(content);
            content = NULL;
        }
    }
    fclose(file);
    if (content == NULL) fprintf(stderr, "cannot read %s\n", path);
    return content;
}

/* Header u32 count, u32 dimensions, then halves row after row; made floats of norm 1. */
static int read_vectors(struct packages *p, const char *directory) {
    size_t length = 0, row, column;
    unsigned char *file = read_file(directory, "packages10k.bin", &length);
    if (file == NULL) return -1;
    if (length >= 8) {
        p->count = little_endian_u32(file);
        p->dimensions = little_endian_u32(file + 4);
    }
    if (p->count == 0 || p->dimensions == 0 || (length - 8) / 2 / p->dimensions != p->count) {
        fprintf(stderr, "packages10k.bin in %s is not complete\n", directory);
        free(file);
        return -1;
    }
    p->vectors = malloc(p->count * p->dimensions * sizeof *p->vectors);
    for (row = 0; p->vectors != NULL && row < p->count; row++) {
        const unsigned char *from = file + 8 + row * p->dimensions * 2;
        float *to = p->vectors + row * p->dimensions;
        double squares = 0;
        for (column = 0; column < p->dimensions; column++) {
            to[column] = float_of_half((uint16_t)(from[2 * column] | from[2 * column + 1] << 8));
            squares += (double)to[column] * to[column];
        }
        for (column = 0; column < p->dimensions; column++) to[column] = (float)(to[column] / sqrt(squares));
    }
    free(file);
    return p->vectors != NULL ? 0 : -1;
}

/* Line i is "name TAB description" of vector i. */
static int read_names(struct packages *p, const char *directory) {
    size_t length = 0, row;
    char *at;
    p->text = (char *)read_file(directory, "packages10k.tsv", &length);
    p->names = calloc(p->count, sizeof *p->names);
    p->descriptions = calloc(p->count, sizeof *p->descriptions);
    if (p->text == NULL || p->names == NULL || p->descriptions == NULL) return -1;
    for (at = p->text, row = 0; row < p->count; row++) {
        char *tab = strchr(at, '\t'), *end = strchr(at, '\n');
        if (tab == NULL || end == NULL || tab > end) {
            fprintf(stderr, "packages10k.tsv in %s: line %zu is not name, tab, description\n", directory, row + 1);
            return -1;
        }
        *tab = *end = 0;
        p->names[row] = at;
        p->descriptions[row] = tab + 1;
        at = end + 1;
    }
    return 0;
}

static void free_packages(struct packages *p) {
    free(p->vectors);
    free((void *)p->names);
    free((void *)p->descriptions);
    free(p->text);
}

/* 0, or -1 after a message. */
static int load_packages(struct packages *p, const char *directory) {
    memset(p, 0, sizeof *p);
    if (read_vectors(p, directory) == 0 && read_names(p, directory) == 0) return 0;
    free_packages(p);
    return -1;
}

/* The row of this name, or count. */
static size_t find_package(const struct packages *p, const char *name) {
    size_t row;
    for (row = 0; row < p->count && strcmp(p->names[row], name) != 0; row++) {}
    return row;
}

/* How many letters to change, add, drop or swap with the next one make a of b, of which only the first n letters count.
 * Names of 64 letters and more are far from everything. */
static unsigned spelling_distance(const char *a, const char *b, size_t n) {
    unsigned row[3][64], i, j;
    const size_t m = strlen(a);
    if (m > 63 || n > 63) return 64;
    for (j = 0; j <= n; j++) row[0][j] = j;
    for (i = 1; i <= m; i++) {
        unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *two_above = row[(i + 1) % 3];
        now[0] = i;
        for (j = 1; j <= n; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_above[j - 2] + 1 < best)
                best = two_above[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[m % 3][n];
}

/* How far a wanted name is from one that exists; a misspelt beginning of a longer name is nearly as good as the whole. */
static unsigned name_distance(const char *wanted, const char *name) {
    const size_t m = strlen(wanted), n = strlen(name);
    unsigned cost = spelling_distance(wanted, name, n);
    if (m >= 4 && n > m) {
        const unsigned beginning = 1 + spelling_distance(wanted, name, m);
        if (beginning < cost) cost = beginning;
    }
    if (m >= 3 && cost > 2 && strstr(name, wanted) != NULL) cost = 2;
    return cost;
}

/* Says that there is no such name and what may have been meant. */
static void suggest_packages(const struct packages *p, const char *name) {
    enum { MOST = 6 };
    size_t best[MOST], found = 0, row, place;
    unsigned costs[MOST];
    for (row = 0; row < p->count; row++) {
        const unsigned cost = name_distance(name, p->names[row]);
        if (cost > 2 && cost * 3 > strlen(name)) continue;
        for (place = found < MOST ? found++ : MOST; place > 0 && costs[place - 1] > cost; place--) {
            if (place < MOST) {
                costs[place] = costs[place - 1];
                best[place] = best[place - 1];
            }
        }
        if (place < MOST) {
            costs[place] = cost;
            best[place] = row;
        }
    }
    fprintf(stderr, "no package is called \"%s\" among these %zu", name, p->count);
    for (place = 0; place < found; place++) fprintf(stderr, "%s %s", place == 0 ? "; did you mean" : ",", p->names[best[place]]);
    fprintf(stderr, "%s\n", found > 0 ? "?" : "; try gimp, vlc, postgresql or emacs");
}

#endif
