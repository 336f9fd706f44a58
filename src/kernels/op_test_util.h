// Shared by the tests of this folder: random inputs, buffers whose surroundings are checked,
// comparison bit by bit over every table this machine runs, and gradients by the complex step
// f'(x) = Im f(x + ih) / h, which subtracts nothing.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/kernels.h"

namespace r1::kernels {

using Complex = std::complex<double>;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

inline std::vector<const KernelTable*> AllTables() {
  std::vector<const KernelTable*> tables;
  for (const char* const* name = AvailableIsas(); *name != nullptr; ++name) tables.push_back(KernelsFor(*name));
  return tables;
}

// Runs the test body under the floating-point mode of the product. A loop over no tables would
// prove nothing, so there must be one.
class OpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    ASSERT_FALSE(AllTables().empty());
  }
};

// n numbers: normal with the given spread.
inline Floats RandomFloats(int64_t n, uint64_t seed, double spread = 1.0) {
  Rng rng(seed, Stream::kTest);
  Floats out(static_cast<size_t>(n));
  for (float& x : out) x = static_cast<float>(rng.Normal() * spread);
  return out;
}

template <class To, class From>
std::vector<To> Cast(const std::vector<From>& x) {
  return std::vector<To>(x.begin(), x.end());
}
inline std::vector<Bf16> RoundAll(const Floats& x) {
  std::vector<Bf16> out;
  for (float v : x) out.push_back(ToBf16(v));
  return out;
}
inline Floats WidenAll(const std::vector<Bf16>& x) {
  Floats out;
  for (Bf16 v : x) out.push_back(ToFloat(v));
  return out;
}

inline float AsFloat(float x) { return x; }
inline float AsFloat(Bf16 x) { return ToFloat(x); }

// Rows [t, ld] of which `width` columns may be written; everything else, and a margin before and
// after, must stay as it was.
template <class T>
class Rows {
 public:
  static constexpr int64_t kMargin = 64;
  Rows(int64_t t, int64_t width, int64_t ld)
      : t_(t), width_(width), ld_(ld), data_(static_cast<size_t>(t * ld + 2 * kMargin)) {
    for (size_t i = 0; i < data_.size(); ++i) data_[i] = Pattern(i);
  }
  Rows(int64_t t, int64_t width, int64_t ld, const std::vector<T>& packed) : Rows(t, width, ld) {
    for (int64_t row = 0; row < t; ++row) {
      for (int64_t i = 0; i < width; ++i) (*this)(row, i) = packed[static_cast<size_t>(row * width + i)];
    }
  }
  T* data() { return data_.data() + kMargin; }
  int64_t ld() const { return ld_; }
  T& operator()(int64_t row, int64_t i) { return data()[row * ld_ + i]; }
  // The written columns, packed.
  std::vector<T> Packed() {
    std::vector<T> out;
    for (int64_t row = 0; row < t_; ++row) out.insert(out.end(), data() + row * ld_, data() + row * ld_ + width_);
    return out;
  }
  void ExpectUntouched(const std::string& what) {
    for (int64_t i = -kMargin; i < t_ * ld_ + kMargin; ++i) {
      const bool inside = i >= 0 && i < t_ * ld_ && i % ld_ < width_;
      const T want = Pattern(static_cast<size_t>(i + kMargin));
      if (inside || std::memcmp(data() + i, &want, sizeof(T)) == 0) continue;
      ADD_FAILURE() << what << ": element " << i << " outside the output was written";
      return;
    }
  }

 private:
  static T Pattern(size_t i) {
    const uint32_t bits = 0x3f000000u + static_cast<uint32_t>(i) * 2654435761u % 0x7fffffu;  // a float in [0.5, 1)
    if constexpr (sizeof(T) == sizeof(uint32_t)) {
      return std::bit_cast<T>(bits);
    } else {
      return std::bit_cast<T>(static_cast<uint16_t>(bits >> 8));
    }
  }
  int64_t t_, width_, ld_;
  std::vector<T> data_;
};

// Equal bits; NaN equals NaN.
template <class T>
void ExpectBits(const std::string& what, const std::vector<T>& got, const std::vector<T>& want) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::memcmp(&got[i], &want[i], sizeof(T)) == 0) continue;
    const float a = AsFloat(got[i]), b = AsFloat(want[i]);
    if (std::isnan(a) && std::isnan(b)) continue;
    ADD_FAILURE() << what << ": element " << i << " is " << ::testing::PrintToString(a) << ", want "
                  << ::testing::PrintToString(b);
    return;
  }
}

// |got - want| <= relative · max|want| + absolute, element by element.
template <class A, class B>
void ExpectClose(const std::string& what, const std::vector<A>& got, const std::vector<B>& want, double relative,
                 double absolute = 0) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double largest = 0;
  for (const B& x : want) largest = std::fmax(largest, std::fabs(static_cast<double>(x)));
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    if (error <= relative * largest + absolute) continue;
    ADD_FAILURE() << what << ": element " << i << " is " << static_cast<double>(got[i]) << ", want "
                  << static_cast<double>(want[i]);
    return;
  }
}

using ComplexFunction = std::function<Complex(const std::vector<Complex>&)>;

// The gradient of a real analytic function by complex steps.
inline Doubles ComplexGradient(const ComplexFunction& f, const Doubles& x) {
  constexpr double kStep = 1e-30;
  std::vector<Complex> z(x.begin(), x.end());
  Doubles gradient;
  for (size_t i = 0; i < x.size(); ++i) {
    z[i] = Complex(x[i], kStep);
    gradient.push_back(f(z).imag() / kStep);
    z[i] = x[i];
  }
  return gradient;
}

}  // namespace r1::kernels
