/* What a fast flavor instability makes of the four-fluxes of a cell: the surrogate `mixing` of emulant.
 *
 * Arrays are row-major [n][4][2][EMULANT_FLAVOR_NF]: component x, y, z, t (t is the number density n, x, y, z the flux
 * divided by c), then neutrino and antineutrino, then flavor e, mu, tau (or e, x); in 1/cm^3. To Fortran this is an
 * array (NF, 2, 4, n). Growth rates are [n], in 1/s.
 *
 * Every cell that has a valid input gets a physical output: n >= 0, |F| <= n, the number of neutrinos and of
 * antineutrinos and every lepton number unchanged. A cell without a crossing comes back bit for bit, with growth 0 and
 * stable 1.
 *
 * The library owns no memory, starts no threads, writes nothing, keeps no state and never ends the program: call it from
 * as many threads as you like. f4_final may be f4_initial. Do not compile it with -ffast-math.
 */
#ifndef EMULANT_FLAVOR_H
#define EMULANT_FLAVOR_H

#include <stddef.h>
#include <stdint.h>

#define EMULANT_FLAVOR_NF @NF@

/* Bits of status. */
#define EMULANT_FLAVOR_INVALID 1 /* NaN, inf, n < 0 or |F| > n (1 + 1e-9): the cell is copied, growth 0, stable 1 */
#define EMULANT_FLAVOR_UNSEEN 2  /* the crossing is outside the range of the training data */
#define EMULANT_FLAVOR_STEPPED 4 /* the change was shortened to stay physical */

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the number of invalid cells. */
int emulant_flavor_predict(size_t n, const double *f4_initial, double *f4_final, double *growth_rate, uint8_t *stable,
                           uint8_t *status);

/* The same, and the error that is expected of each cell: [n], rms over all components of its f4_final, in units of the
 * sum of its densities; 0 without a crossing. error may be NULL. */
int emulant_flavor_predict_error(size_t n, const double *f4_initial, double *f4_final, double *growth_rate,
                                 uint8_t *stable, uint8_t *status, double *error);

/* SHA-256 of the weights inside, as hexadecimal digits. */
const char *emulant_flavor_weights(void);

#ifdef __cplusplus
}
#endif

#endif
