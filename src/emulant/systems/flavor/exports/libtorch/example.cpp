// emulant_flavor.pt from C++ with libtorch: the merger-like cell NSM1. TorchScript is deprecated upstream from torch 2.13
// on; new hosts do better with the C library of `emulant export --format c`.
#include <torch/script.h>

#include <cstdio>

int main(int count, const char *argument[])
{
    torch::jit::script::Module model = torch::jit::load(count > 1 ? argument[1] : "emulant_flavor.pt");
    torch::NoGradGuard no_gradients;
    const double heavy = 19.65e32 / 4;
    const double density[2][3] = {{14.22e32, heavy, heavy}, {19.15e32, heavy, heavy}};
    const double factor[2][2][3] = {{{0.0974, 0.0421, -0.1343}, {-0.0216, 0.0743, -0.5354}},
                                    {{0.0723, 0.0313, -0.3446}, {-0.0216, 0.0743, -0.5354}}};
    torch::Tensor f4 = torch::zeros({1, 4, 2, 3}, torch::kFloat64);
    auto a = f4.accessor<double, 4>();
    for (int s = 0; s < 2; s++)
        for (int f = 0; f < 3; f++) {
            a[0][3][s][f] = density[s][f];
            for (int m = 0; m < 3; m++) a[0][m][s][f] = density[s][f] * factor[s][f > 0][m];
        }
    auto answer = model.forward({f4}).toTuple()->elements();
    torch::Tensor after = answer[0].toTensor();
    std::printf("stable %d growth %.15e\n", int(answer[2].toTensor()[0].item<bool>()),
                answer[1].toTensor()[0].item<double>());
    for (int s = 0; s < 2; s++)
        for (int f = 0; f < 3; f++) {
            for (int m = 0; m < 4; m++) std::printf("%.15e ", after[0][m][s][f].item<double>());
            std::printf("\n");
        }
}
