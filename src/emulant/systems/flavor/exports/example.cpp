// The merger-like cell NSM1 from C++: c++ example.cpp emulant_flavor.o -lm, or by CMake.
#include "emulant_flavor.h"

#include <cstdint>
#include <cstdio>
#include <vector>

int main()
{
    constexpr int NF = EMULANT_FLAVOR_NF;
    const double density[2] = {14.22e32, 19.15e32}, heavy = 19.65e32 / (2 * (NF - 1));
    const double factor[2][3] = {{0.0974, 0.0421, -0.1343}, {0.0723, 0.0313, -0.3446}};
    const double heavy_factor[3] = {-0.0216, 0.0743, -0.5354};

    std::vector<double> f4(4 * 2 * NF), after(f4.size());
    auto at = [](int m, int s, int a) { return (m * 2 + s) * NF + a; };
    for (int s = 0; s < 2; s++)
        for (int a = 0; a < NF; a++) {
            const double n = a == 0 ? density[s] : heavy;
            f4[at(3, s, a)] = n;
            for (int m = 0; m < 3; m++) f4[at(m, s, a)] = n * (a == 0 ? factor[s][m] : heavy_factor[m]);
        }

    double growth;
    std::uint8_t stable, status;
    const int invalid = emulant_flavor_predict(1, f4.data(), after.data(), &growth, &stable, &status);
    std::printf("invalid %d status %d stable %d growth %.15e\n", invalid, status, stable, growth);
    for (int s = 0; s < 2; s++)
        for (int a = 0; a < NF; a++)
            std::printf("%.15e %.15e %.15e %.15e\n", after[at(0, s, a)], after[at(1, s, a)], after[at(2, s, a)],
                        after[at(3, s, a)]);
    return invalid;
}
