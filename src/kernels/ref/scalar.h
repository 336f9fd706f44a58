// Scalar pieces shared by the definitions in this folder. S is float, double or
// std::complex<double>: with float the definitions give the bits of every kernel table, with double
// they are the yardstick of accuracy, with complex numbers they are differentiated by a complex
// step.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <cstdint>
#include <type_traits>

namespace r1::kernels::ref {

// The type in which a float definition takes its few double steps.
template <class S>
using Wide = std::conditional_t<std::is_same_v<S, float>, double, S>;

template <class S>
S Fma(S a, S b, S c) {
  if constexpr (std::is_floating_point_v<S>) {
    return std::fma(a, b, c);
  } else {
    return a * b + c;
  }
}

// Comparisons look at the real part.
template <class S>
auto Real(S x) {
  if constexpr (std::is_floating_point_v<S>) {
    return x;
  } else {
    return x.real();
  }
}
template <class S>
S Larger(S a, S b) {  // b if either is NaN, as the vector maximum
  return Real(a) > Real(b) ? a : b;
}

// The steps of Exp in cpu/vec16.h for one number.
inline float Exp(float x) {
  const float capped = 88.3f < x ? 88.3f : x;
  const float t = std::fma(capped, 1.44269504088896341f, 12582912.0f);
  const float n = t - 12582912.0f;
  float r = std::fma(n, -0.693359375f, capped);
  r = std::fma(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = std::fma(p, r, 1.3981999507e-3f);
  p = std::fma(p, r, 8.3334519073e-3f);
  p = std::fma(p, r, 4.1665795894e-2f);
  p = std::fma(p, r, 1.6666665459e-1f);
  p = std::fma(p, r, 5.0000001201e-1f);
  p = std::fma(std::fma(p, r, 1.0f), r, 1.0f);
  if (x >= -87.3f) return std::bit_cast<float>(std::bit_cast<uint32_t>(p) + (std::bit_cast<uint32_t>(t) << 23));
  return 0.0f > x ? 0.0f : x;
}
inline double Exp(double x) { return std::exp(x); }
inline std::complex<double> Exp(std::complex<double> x) { return std::exp(x); }

template <class S>
S Sigmoid(S x) {
  return S(1) / (S(1) + Exp(S(0) - x));
}

// The row sum of the contract: step(lane value, i) adds element i to its lane i % 16; lanes are
// added as a tree.
template <class S, class Step>
S RowSum(int64_t n, Step step) {
  S lane[16] = {};
  for (int64_t i = 0; i < n; ++i) lane[i % 16] = step(lane[i % 16], i);
  for (int half = 8; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] = lane[l] + lane[l + half];
  }
  return lane[0];
}

}  // namespace r1::kernels::ref
