/* The surrogate `mixing` of emulant in C11 and libm; see emulant_flavor.h. Written by `emulant export --format c`.
 *
 * The way of a cell: maximum-entropy distributions of all species on a grid in the cell's own frame; for each pair of
 * flavors the crossing of their lepton numbers, described by scale-free numbers; two small networks that correct the
 * profile of the mixing and the growth rate; the balance of both sides; a step to the cone of physical four-fluxes.
 * Loops run over LANES sums at a time, so that compilers vectorise them without being allowed to reorder anything.
 */
#include "emulant_flavor.h"

#include <math.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "emulant_flavor.c must not be compiled with -ffast-math: it has to see NaN"
#endif

/* Where GCC can, loops are compiled for AVX2 and AVX-512, too, and the processor decides when the program starts; and
 * GCC may forget about floating-point exceptions and errno, which this file neither raises on purpose nor reads. Both
 * make it two to three times as fast and change no bit. -DEMULANT_FLAVOR_PORTABLE leaves it. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(EMULANT_FLAVOR_PORTABLE)
#pragma GCC optimize("no-trapping-math", "no-math-errno")
#if defined(__x86_64__) && defined(__GLIBC__)
#define WIDE __attribute__((target_clones("default", "avx2", "avx512f")))
#endif
#endif
#ifndef WIDE
#define WIDE
#endif

@CONSTANTS@

#define SPECIES (2 * NF)
#define PAIRS (NF == 2 ? 1 : 3)
#define LANES 8
#define NODES ((DIRECTIONS + LANES) / LANES * LANES) /* the node after the grid's is a thin crossing's, if there is one */
#define PI 3.14159265358979323846
#define TINY 1e-60
#define ABSENT 1e-12
#define NOISE 1e-9
#define LARGEST_FLUX_FACTOR 0.98

#define EACH for (int i = 0; i < NODES; i++)
#define SUM(result, term)                                                                                              \
    do {                                                                                                               \
        double lanes_[LANES] = {0.0};                                                                                  \
        for (int j_ = 0; j_ < NODES; j_ += LANES)                                                                      \
            for (int l_ = 0; l_ < LANES; l_++) {                                                                       \
                const int i = j_ + l_;                                                                                 \
                lanes_[l_] += (term);                                                                                  \
            }                                                                                                          \
        double sum_ = 0.0;                                                                                             \
        for (int l_ = 0; l_ < LANES; l_++) sum_ += lanes_[l_];                                                         \
        (result) = sum_;                                                                                               \
    } while (0)

/* -- elementary ---------------------------------------------------------------------------------------------------- */

static inline double least(double a, double b) { return a < b ? a : b; }
static inline double most(double a, double b) { return a > b ? a : b; }
static inline double dot(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static inline void cross(const double a[3], const double b[3], double c[3])
{
    c[0] = a[1] * b[2] - a[2] * b[1];
    c[1] = a[2] * b[0] - a[0] * b[2];
    c[2] = a[0] * b[1] - a[1] * b[0];
}

static inline void normalise(double v[3])
{
    const double size = sqrt(dot(v, v));
    for (int m = 0; m < 3; m++) v[m] /= size;
}

/* exp within 2 ulp: 2^k times the Taylor polynomial of what is left. */
static inline double exponential(double x)
{
    const double magic = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer, in the low bits */
    x = x < -700.0 ? -700.0 : x > 700.0 ? 700.0 : x;
    const double shifted = x * LOG2E + magic;
    const double k = shifted - magic;
    const double r = (x - k * LN2_HIGH) - k * LN2_LOW;
    double value = 1.0 / 6227020800.0;
    value = value * r + 1.0 / 479001600.0;
    value = value * r + 1.0 / 39916800.0;
    value = value * r + 1.0 / 3628800.0;
    value = value * r + 1.0 / 362880.0;
    value = value * r + 1.0 / 40320.0;
    value = value * r + 1.0 / 5040.0;
    value = value * r + 1.0 / 720.0;
    value = value * r + 1.0 / 120.0;
    value = value * r + 1.0 / 24.0;
    value = value * r + 1.0 / 6.0;
    value = value * r + 0.5;
    value = value * r + 1.0;
    value = value * r + 1.0;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023u) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return value * power;
}

/* A unit vector across v. */
static void perpendicular(const double v[3], double across[3])
{
    if (fabs(v[2]) > 0.7) {
        across[0] = v[2];
        across[1] = 0.0;
        across[2] = -v[0];
    } else {
        across[0] = -v[1];
        across[1] = v[0];
        across[2] = 0.0;
    }
    normalise(across);
}

/* -- the closure --------------------------------------------------------------------------------------------------- */

static void langevin(double z, double *value, double *slope)
{
    if (z < 0.1) {
        const double s = z * z;
        *value = z * (1.0 / 3 - s * (1.0 / 45 - s * (2.0 / 945 - s * (1.0 / 4725 - s * (2.0 / 93555)))));
        *slope = 1.0 / 3 - s * (1.0 / 15 - s * (2.0 / 189 - s * (1.0 / 675 - s * (2.0 / 10395))));
        return;
    }
    const double decay = exponential(-2.0 * z);
    *value = (1.0 + decay) / (1.0 - decay) - 1.0 / z;
    *slope = 1.0 / (z * z) - 4.0 * decay / ((1.0 - decay) * (1.0 - decay));
}

static double concentration(double f)
{
    const double s = f * f;
    double z = f * (3.0 - s * (6.0 + s - 2.0 * s * s) / 5.0) / (1.0 - s);
    for (int step = 0; step < 4; step++) {
        double value, slope;
        langevin(z, &value, &slope);
        z = most(z - (value - f) / slope, 0.0);
    }
    return z;
}

static double peak(double z)
{
    if (z < 0.1) {
        const double s = z * z;
        return exponential(z) / (1.0 + s * (1.0 / 6 + s * (1.0 / 120 + s * (1.0 / 5040 + s * (1.0 / 362880)))));
    }
    return 2.0 * z / (1.0 - exponential(-2.0 * z));
}

/* g(v) = amplitude exp(drift.v - size); flux and drift are given in the frame. */
typedef struct {
    double amplitude, drift[3], size;
} Species;

static Species closed(const double flux[3], double density)
{
    Species species = {0.0, {0.0, 0.0, 0.0}, 0.0};
    if (!(density > 0.0)) return species;
    const double size = sqrt(dot(flux, flux));
    const double z = concentration(least(size / density, LARGEST_FLUX_FACTOR));
    species.amplitude = density / (4.0 * PI) * peak(z);
    for (int m = 0; m < 3; m++) species.drift[m] = size > 0.0 ? z * (flux[m] / size) : 0.0;
    species.size = sqrt(dot(species.drift, species.drift));
    return species;
}

/* -- the frame ----------------------------------------------------------------------------------------------------- */

/* The first candidate that is more than noise, as a unit vector; 0 if none is. */
static int first(double candidates[][3], int count, double unit[3])
{
    for (int c = 0; c < count; c++) {
        const double size = sqrt(dot(candidates[c], candidates[c]));
        if (size > NOISE) {
            for (int m = 0; m < 3; m++) unit[m] = candidates[c][m] / size;
            return 1;
        }
    }
    return 0;
}

static void frame_of(double f4[4][2][NF], double frame[3][3])
{
    double candidates[6][3];
    const int count = NF == 3 ? 6 : 4;
    for (int m = 0; m < 3; m++) {
        double lepton[NF], number[NF], heavy = 0.0, total = 0.0;
        for (int a = 0; a < NF; a++) {
            lepton[a] = f4[m][0][a] - f4[m][1][a];
            number[a] = f4[m][0][a] + f4[m][1][a];
            heavy += a > 0 ? lepton[a] : 0.0;
            total += number[a];
        }
        candidates[0][m] = lepton[0] - heavy / (NF - 1);
        candidates[1][m] = total;
        candidates[2][m] = number[0];
        candidates[3][m] = lepton[0];
        candidates[4][m] = number[NF - 2] - number[NF - 1]; /* of three flavors only */
        candidates[5][m] = lepton[NF - 2] - lepton[NF - 1];
    }
    double *x = frame[0], *y = frame[1], *z = frame[2];
    if (!first(candidates, count, z)) {
        z[0] = z[1] = 0.0;
        z[2] = 1.0;
    }
    for (int c = 0; c < count; c++) {
        const double along = dot(candidates[c], z);
        for (int m = 0; m < 3; m++) candidates[c][m] -= along * z[m];
    }
    if (!first(candidates, count, x)) perpendicular(z, x);
    const double along = dot(x, z);
    for (int m = 0; m < 3; m++) x[m] -= along * z[m];
    normalise(x);
    cross(z, x, y);
}

/* -- thin crossings ------------------------------------------------------------------------------------------------ */

/* h(v) = sum of four terms; its expansion about v. */
typedef struct {
    double value, first[3], second[3], g1, g2, a, b, d, low, high;
} Expansion;

static double level(const Species h[4], const double v[3])
{
    double sum = 0.0;
    for (int s = 0; s < 4; s++) sum += h[s].amplitude * exponential(dot(h[s].drift, v) - h[s].size);
    return sum;
}

static Expansion expansion(const Species h[4], const double v[3])
{
    Expansion e;
    perpendicular(v, e.first);
    cross(v, e.first, e.second);
    double value = 0.0, g1 = 0.0, g2 = 0.0, a = 0.0, b = 0.0, d = 0.0, radial = 0.0;
    for (int s = 0; s < 4; s++) {
        const double along = dot(h[s].drift, v), p = dot(h[s].drift, e.first), q = dot(h[s].drift, e.second);
        const double term = h[s].amplitude * exponential(along - h[s].size);
        value += term;
        radial += term * along;
        g1 += term * p;
        g2 += term * q;
        a += term * p * p;
        b += term * p * q;
        d += term * q * q;
    }
    a -= radial;
    d -= radial;
    const double mean = 0.5 * (a + d), gap = sqrt(0.25 * (a - d) * (a - d) + b * b);
    e.value = value;
    e.g1 = g1;
    e.g2 = g2;
    e.a = a;
    e.b = b;
    e.d = d;
    e.low = mean - gap;
    e.high = mean + gap;
    return e;
}

/* Newton's method on the sphere, made to descend. */
static double descend(const Species h[4], double v[3])
{
    double reach = 0.5, value = level(h, v);
    for (int step = 0; step < 12; step++) {
        const Expansion e = expansion(h, v);
        const double mean = 0.5 * (e.low + e.high), gap = 0.5 * (e.high - e.low);
        const double lift = most(1e-3 * (gap + fabs(mean)) + 1e-300 - e.low, 0.0);
        const double a = e.a + lift, d = e.d + lift;
        double determinant = a * d - e.b * e.b;
        if (!(determinant > 0.0)) determinant = 1.0;
        const double s1 = (e.b * e.g2 - d * e.g1) / determinant, s2 = (e.b * e.g1 - a * e.g2) / determinant;
        const double shrink = reach / most(sqrt(s1 * s1 + s2 * s2), reach);
        double moved[3];
        for (int m = 0; m < 3; m++) moved[m] = v[m] + shrink * s1 * e.first[m] + shrink * s2 * e.second[m];
        normalise(moved);
        const double there = level(h, moved);
        if (there < value) {
            memcpy(v, moved, sizeof moved);
            value = there;
        } else {
            reach *= 0.25;
        }
    }
    return value;
}

/* The solid angle around `at` where h < 0, 0 if none is found; `seen` are the values on the grid, `mean` the mean
   direction. */
static double hidden(const Species h[4], const double seen[NODES], double at[3], double mean[3])
{
    int lowest = 0;
    for (int i = 1; i < DIRECTIONS; i++)
        if (seen[i] < seen[lowest]) lowest = i;
    double other[3], beam_level = 0.0;
    for (int m = 0; m < 3; m++) at[m] = GRID[m][lowest];
    for (int s = 0; s < 4; s++) {
        double beam[3];
        for (int m = 0; m < 3; m++) beam[m] = h[s].size > 0.0 ? h[s].drift[m] / h[s].size : GRID[m][0];
        const double there = level(h, beam);
        if (s == 0 || there < beam_level) {
            beam_level = there;
            memcpy(other, beam, sizeof other);
        }
    }
    const double from_grid = descend(h, at), from_beam = descend(h, other);
    if (from_beam < from_grid) memcpy(at, other, sizeof other);
    const Expansion e = expansion(h, at);
    if (!(e.value < 0.0)) return 0.0;
    memcpy(mean, at, 3 * sizeof(double));
    if (e.low < 1e-6 * e.high) { /* of a ring about the axis any point was found; the mean of all lies on the axis */
        int longest = 0;
        for (int s = 1; s < 4; s++)
            if (h[s].size > h[longest].size) longest = s;
        const double along = dot(at, h[longest].drift) / (h[longest].size * h[longest].size);
        for (int m = 0; m < 3; m++) mean[m] = along * h[longest].drift[m];
    }
    const double depth = fabs(e.value), flat = 2.0 * depth + 1e-300;
    return PI * depth / sqrt(most(e.low, flat) * most(e.high, flat));
}

/* -- the networks -------------------------------------------------------------------------------------------------- */

/* outputs = inputs W + b; W is [inputs][outputs], so that the loop over outputs vectorises. */
static inline void affine(int inputs, int outputs, const double *restrict w, const double *restrict b,
                          const double *restrict x, double *restrict y)
{
    for (int o = 0; o < outputs; o++) y[o] = 0.0;
    for (int i = 0; i < inputs; i++)
        for (int o = 0; o < outputs; o++) y[o] += x[i] * w[i * outputs + o];
    for (int o = 0; o < outputs; o++) y[o] += b[o];
}

static inline void activate(int count, double *x)
{
    for (int o = 0; o < count; o++) x[o] = 0.5 * x[o] * (1.0 + x[o] / sqrt(1.0 + x[o] * x[o]));
}

static inline double bounded(double x, double bound) { return x / sqrt(1.0 + (x / bound) * (x / bound)); }

@PERCEPTRONS@

/* -- a pair of flavors --------------------------------------------------------------------------------------------- */

typedef struct {
    int present, unseen;
    double rate;             /* sqrt(I+ I-) */
    double growth;           /* over K n_tot */
    double log_error;        /* ln of the expected error over the root of the change */
    double moments[2][4];    /* of neutrinos and antineutrinos, from a to b, in the frame */
} Pair;

WIDE static Pair pair_of(const Species *const species[4], const double *const g[4])
{
    Pair pair;
    memset(&pair, 0, sizeof pair);
    double lepton[NODES], difference[2][NODES], weight[NODES], point[3][NODES];
    for (int i = 0; i < NODES; i++) {
        difference[0][i] = g[0][i] - g[2][i];
        difference[1][i] = g[1][i] - g[3][i];
        lepton[i] = difference[0][i] - difference[1][i];
    }
    memcpy(weight, WEIGHT, sizeof weight);
    memcpy(point, GRID, sizeof point);
    double positive, negative;
    SUM(positive, weight[i] * most(lepton[i], 0.0));
    SUM(negative, weight[i] * most(-lepton[i], 0.0));
    if (least(positive, negative) <= ABSENT) {
        if (most(positive, negative) <= ABSENT) return pair;
        const double turn = positive > negative ? 1.0 : -1.0;
        Species h[4];
        double seen[NODES], at[3], mean[3];
        for (int s = 0; s < 4; s++) {
            h[s] = *species[s];
            h[s].amplitude *= (s == 0 || s == 3) ? turn : -turn;
        }
        EACH seen[i] = turn * lepton[i];
        const double solid = hidden(h, seen, at, mean);
        if (solid == 0.0) return pair;
        double there[4];
        for (int s = 0; s < 4; s++)
            there[s] = species[s]->amplitude * exponential(dot(species[s]->drift, at) - species[s]->size);
        const int i = DIRECTIONS;
        difference[0][i] = there[0] - there[2];
        difference[1][i] = there[1] - there[3];
        lepton[i] = difference[0][i] - difference[1][i];
        weight[i] = solid;
        for (int m = 0; m < 3; m++) point[m][i] = mean[m];
        SUM(positive, weight[i] * most(lepton[i], 0.0));
        SUM(negative, weight[i] * most(-lepton[i], 0.0));
        if (least(positive, negative) <= ABSENT) return pair;
    }
    pair.present = 1;

    /* the small side and the large one */
    const double turn = positive <= negative ? 1.0 : -1.0;
    double turned[NODES], square[NODES], small[NODES], large[NODES], small_weight[NODES], large_weight[NODES];
    for (int i = 0; i < NODES; i++) {
        turned[i] = turn * lepton[i];
        square[i] = turned[i] * turned[i];
        small[i] = weight[i] * most(turned[i], 0.0);
        large[i] = weight[i] * most(-turned[i], 0.0);
        small_weight[i] = turned[i] > 0.0 ? weight[i] : 0.0;
        large_weight[i] = turned[i] > 0.0 ? 0.0 : weight[i];
    }
    double lesser, greater, solid_small, solid_large, square_small, square_large;
    SUM(lesser, small[i]);
    SUM(greater, large[i]);
    SUM(solid_small, small_weight[i]);
    SUM(solid_large, large_weight[i]);
    SUM(square_small, small_weight[i] * square[i]);
    SUM(square_large, large_weight[i] * square[i]);
    const double under = lesser + TINY, over = greater + TINY;
    const double mean_small = lesser / (solid_small + TINY), mean_large = greater / (solid_large + TINY);
    double profile = 0.0;
    for (int step = 0; step < 6; step++) {
        double falling[NODES], value, slope;
        EACH falling[i] = 1.0 / (1.0 + profile * square[i]);
        SUM(value, large[i] * falling[i]);
        SUM(slope, large[i] * square[i] * falling[i] * falling[i]);
        value += TINY;
        slope += TINY;
        profile += least(most(value * (value - lesser) / (slope * (lesser + TINY)), 0.0), 1e30);
    }
    double low_mean[3], high_mean[3], axis[3], low_tensor[6], high_tensor[6];
    for (int m = 0, k = 0; m < 3; m++) {
        SUM(low_mean[m], small[i] * point[m][i]);
        SUM(high_mean[m], large[i] * point[m][i]);
        low_mean[m] /= under;
        high_mean[m] /= over;
        axis[m] = low_mean[m] - high_mean[m];
        for (int n = m; n < 3; n++, k++) {
            SUM(low_tensor[k], small[i] * point[m][i] * point[n][i]);
            SUM(high_tensor[k], large[i] * point[m][i] * point[n][i]);
            low_tensor[k] /= under;
            high_tensor[k] /= over;
        }
    }
    const double size = sqrt(dot(axis, axis));
    for (int m = 0; m < 3; m++) axis[m] = size > NOISE ? axis[m] / size : axis[m] / 1e9;
    double along[NODES], low_squared, high_squared;
    EACH along[i] = point[0][i] * axis[0] + point[1][i] * axis[1] + point[2][i] * axis[2];
    SUM(low_squared, small[i] * along[i] * along[i]);
    SUM(high_squared, large[i] * along[i] * along[i]);
    const double low_along = dot(low_mean, axis), high_along = dot(high_mean, axis);
    double low_low = 0.0, high_high = 0.0, low_high = 0.0;
    for (int k = 0; k < 6; k++) {
        const double count = (k == 0 || k == 3 || k == 5) ? 1.0 : 2.0; /* off the diagonal there are two */
        low_low += count * low_tensor[k] * low_tensor[k];
        high_high += count * high_tensor[k] * high_tensor[k];
        low_high += count * low_tensor[k] * high_tensor[k];
    }
    const double feature[FEATURES] = {
        lesser / over,
        log((lesser + 1e-12) / (greater + 1e-12)),
        solid_small / (4.0 * PI),
        low_along,
        high_along,
        dot(high_mean, high_mean) - high_along * high_along,
        low_squared / under,
        high_squared / over,
        low_low,
        high_high,
        low_high,
        lesser * mean_small / (square_small + TINY),
        greater * mean_large / (square_large + TINY),
        1.0 / (1.0 + profile * mean_large * mean_large),
    };
    double scaled[FEATURES], correction[CORRECTIONS], exponent[1];
    for (int k = 0; k < FEATURES; k++) {
        pair.unseen |= feature[k] < LOWEST[k] || feature[k] > HIGHEST[k];
        const double one = (feature[k] - MEAN[k]) / DEVIATION[k];
        scaled[k] = least(most(one, -LARGEST_FEATURE), LARGEST_FEATURE);
    }
    mixing(scaled, correction);
    growth(scaled, exponent);
    for (int k = 0; k < CORRECTIONS; k++) correction[k] = bounded(correction[k], LARGEST_CORRECTION);
    pair.rate = sqrt(positive * negative);
    pair.growth = pair.rate * exponential(bounded(exponent[0], LARGEST_GROWTH));
    pair.log_error = UNCERTAINTY[FEATURES];
    for (int k = 0; k < FEATURES; k++) pair.log_error += fabs(scaled[k]) * UNCERTAINTY[k];

    /* how far each direction mixes */
    const double scale = profile * exponential(correction[2 * TERMS]);
    const double *const of_small = correction, *const of_large = correction + TERMS;
    double q[NODES], less, more;
    for (int i = 0; i < NODES; i++) {
        const int is_small = turned[i] > 0.0;
        const double size_here = fabs(turned[i]);
        const double bright = size_here / (size_here + (is_small ? mean_small : mean_large) + TINY);
        const double low_odds = of_small[0] + of_small[1] * bright + of_small[2] * along[i] +
                                of_small[3] * (along[i] * along[i]) + of_small[4] * (bright * along[i]);
        const double high_odds = of_large[0] + of_large[1] * bright + of_large[2] * along[i] +
                                 of_large[3] * (along[i] * along[i]) + of_large[4] * (bright * along[i]);
        const double against = is_small ? 1.0 - EQUILIBRIUM : 1.0 - EQUILIBRIUM + scale * square[i];
        q[i] = EQUILIBRIUM / (EQUILIBRIUM + against * exponential(is_small ? -low_odds : -high_odds));
    }
    SUM(less, small[i] * q[i]);
    SUM(more, large[i] * q[i]);
    const double both = least(less, more);
    const double small_share = SHARE * (both / (less > 0.0 ? less : 1.0));
    const double large_share = SHARE * (both / (more > 0.0 ? more : 1.0));
    EACH q[i] *= weight[i] * (turned[i] > 0.0 ? small_share : large_share);
    for (int s = 0; s < 2; s++) {
        for (int m = 0; m < 3; m++) SUM(pair.moments[s][m], q[i] * difference[s][i] * point[m][i]);
        SUM(pair.moments[s][3], q[i] * difference[s][i]);
    }
    return pair;
}

/* -- a cell -------------------------------------------------------------------------------------------------------- */

/* n_tot, or -1 if the cell is invalid. */
static double total_of(double f4[4][2][NF])
{
    double largest = 0.0, total = 0.0;
    for (int s = 0; s < 2; s++)
        for (int a = 0; a < NF; a++) {
            for (int m = 0; m < 4; m++) {
                if (!(fabs(f4[m][s][a]) <= 1.7976931348623157e308)) return -1.0;
                largest = most(largest, fabs(f4[m][s][a]));
            }
            total += f4[3][s][a];
        }
    const double scale = largest > 0.0 ? largest : 1.0;
    for (int s = 0; s < 2; s++)
        for (int a = 0; a < NF; a++) {
            const double n = f4[3][s][a] / scale, bound = n + 1e-9 * n;
            double flux = 0.0;
            for (int m = 0; m < 3; m++) flux += (f4[m][s][a] / scale) * (f4[m][s][a] / scale);
            if (!(n >= 0.0) || !(flux <= bound * bound)) return -1.0;
        }
    return total;
}

/* The largest t in [0, 1] that keeps n >= 0 and |F| <= n in f4 + t change. */
static double step_to_the_cone(double f4[4][2][NF], double change[4][2][NF])
{
    double t = 2.0;
    for (int s = 0; s < 2; s++)
        for (int a = 0; a < NF; a++) {
            const double n = f4[3][s][a], dn = change[3][s][a];
            double ff = 0.0, fd = 0.0, dd = 0.0;
            for (int m = 0; m < 3; m++) {
                ff += f4[m][s][a] * f4[m][s][a];
                fd += f4[m][s][a] * change[m][s][a];
                dd += change[m][s][a] * change[m][s][a];
            }
            const double c0 = most(n * n - ff, 0.0), c1 = n * dn - fd, c2 = dn * dn - dd;
            const double discriminant = c1 * c1 - c0 * c2;
            const double root = sqrt(most(discriminant, 0.0));
            const int falls = c1 < 0.0 || (c2 < 0.0 && c0 + 2.0 * c1 + c2 < 0.0);
            const double divisor = c1 < 0.0 ? root - c1 : -c2, numerator = c1 < 0.0 ? c0 : c1 + root;
            if (falls && discriminant >= 0.0 && divisor > 0.0) t = least(t, numerator / divisor);
            if (dn < 0.0) t = least(t, n / -dn);
        }
    return t;
}

static int same(double f4[4][2][NF], int s, int a, int r, int b)
{
    for (int m = 0; m < 4; m++)
        if (f4[m][s][a] != f4[m][r][b]) return 0;
    return 1;
}

/* What is known of a cell with a crossing; of several pairs the mean log_error by their rates. */
typedef struct {
    int unseen;
    double growth, log_error; /* as in Pair */
} Cell;

/* The change of the four-fluxes, n_tot = 1, and what else is known; 0 if there is no crossing. */
WIDE static int changed(double f4[4][2][NF], double change[4][2][NF], Cell *cell)
{
    static const int FIRST[3] = {0, 0, 1}, SECOND[3] = {1, 2, 2};
    double frame[3][3], g[SPECIES][NODES];
    Species species[SPECIES];
    int known[SPECIES]; /* the first species that is the same: equal ones are worked out once */
    frame_of(f4, frame);
    for (int s = 0; s < SPECIES; s++) {
        known[s] = s;
        for (int r = s - 1; r >= 0; r--)
            if (same(f4, s / NF, s % NF, r / NF, r % NF)) known[s] = r;
        if (known[s] != s) continue;
        double flux[3];
        for (int k = 0; k < 3; k++) {
            flux[k] = 0.0;
            for (int m = 0; m < 3; m++) flux[k] += frame[k][m] * f4[m][s / NF][s % NF];
        }
        species[s] = closed(flux, f4[3][s / NF][s % NF]);
        const Species *const one = &species[s];
        EACH g[s][i] = one->drift[0] * GRID[0][i] + one->drift[1] * GRID[1][i] + one->drift[2] * GRID[2][i] - one->size;
        EACH g[s][i] = one->amplitude * exponential(g[s][i]);
    }
    int found = 0;
    Pair pair[PAIRS];
    double rates = 0.0;
    memset(cell, 0, sizeof *cell);
    for (int p = 0; p < PAIRS; p++) {
        const int a = FIRST[p], b = SECOND[p];
        const int who[4] = {known[a], known[NF + a], known[b], known[NF + b]};
        if (who[0] == who[2] && who[1] == who[3]) continue;
        if (p == 1 && who[2] == known[1] && who[3] == known[NF + 1]) {
            pair[1] = pair[0]; /* the heavies are equal */
        } else {
            const Species *const four[4] = {&species[who[0]], &species[who[1]], &species[who[2]], &species[who[3]]};
            const double *const values[4] = {g[who[0]], g[who[1]], g[who[2]], g[who[3]]};
            pair[p] = pair_of(four, values);
        }
        if (!pair[p].present) continue;
        if (!found) memset(change, 0, sizeof(double[4][2][NF]));
        found = 1;
        cell->growth = most(cell->growth, pair[p].growth);
        cell->unseen |= pair[p].unseen;
        cell->log_error += pair[p].rate * pair[p].log_error;
        rates += pair[p].rate;
        for (int s = 0; s < 2; s++)
            for (int m = 0; m < 4; m++) {
                double moved = pair[p].moments[s][3];
                if (m < 3) {
                    moved = 0.0;
                    for (int k = 0; k < 3; k++) moved += frame[k][m] * pair[p].moments[s][k];
                }
                change[m][s][a] -= moved;
                change[m][s][b] += moved;
            }
    }
    if (found) cell->log_error /= rates;
    return found;
}

int emulant_flavor_predict(size_t n, const double *f4_initial, double *f4_final, double *growth_rate, uint8_t *stable,
                           uint8_t *status)
{
    return emulant_flavor_predict_error(n, f4_initial, f4_final, growth_rate, stable, status, NULL);
}

int emulant_flavor_predict_error(size_t n, const double *f4_initial, double *f4_final, double *growth_rate,
                                 uint8_t *stable, uint8_t *status, double *error)
{
    int invalid = 0;
    for (size_t c = 0; c < n; c++) {
        double given[4][2][NF], f4[4][2][NF], change[4][2][NF];
        Cell cell;
        memcpy(given, f4_initial + c * 8 * NF, sizeof given);
        memcpy(f4_final + c * 8 * NF, given, sizeof given);
        growth_rate[c] = 0.0;
        stable[c] = 1;
        status[c] = 0;
        if (error) error[c] = 0.0;
        const double total = total_of(given);
        if (total < 0.0) {
            status[c] = EMULANT_FLAVOR_INVALID;
            invalid++;
            continue;
        }
        if (!(total > 1e-200) || !(total <= 1.7976931348623157e308)) continue;
        const double *const from = &given[0][0][0];
        double *const to = &f4[0][0][0];
        for (int k = 0; k < 8 * NF; k++) to[k] = from[k] / total;
        if (!changed(f4, change, &cell)) continue;
        const double bound = step_to_the_cone(f4, change);
        const double t = bound < 1.0 ? bound - 1e-9 * bound : 1.0;
        const double scale = total * t;
        const double *const step = &change[0][0][0];
        for (int k = 0; k < 8 * NF; k++) f4_final[c * 8 * NF + k] = from[k] + scale * step[k];
        growth_rate[c] = COUPLING * total * cell.growth;
        stable[c] = 0;
        status[c] = (uint8_t)((cell.unseen ? EMULANT_FLAVOR_UNSEEN : 0) | (bound < 1.0 ? EMULANT_FLAVOR_STEPPED : 0));
        if (error) {
            double square = 0.0;
            for (int k = 0; k < 8 * NF; k++) square += (t * step[k]) * (t * step[k]);
            error[c] = exponential(cell.log_error) * sqrt(sqrt(square / (8 * NF)));
        }
    }
    return invalid;
}

const char *emulant_flavor_weights(void) { return WEIGHTS_SHA256; }
