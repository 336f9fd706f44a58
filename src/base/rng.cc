#include "base/rng.h"

#include <cmath>

#include "base/check.h"

namespace r1 {
namespace {

constexpr uint32_t kMul0 = 0xD2511F53, kMul1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

// The key of a (seed, stream): the finalizer of splitmix64, a bijection, over seeds set apart by odd multiples.
uint64_t StreamKey(uint64_t seed, Stream stream, uint64_t use) {
  uint64_t z = seed + (2 * static_cast<uint64_t>(stream) + use) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Natural logarithm of x in (0, 1]: x = m * 2^e, log m = 2 atanh((m - 1) / (m + 1)). Own, because the C library picks
// variants by processor whose last bits differ, and initial weights must not depend on the machine.
double Log(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // [0.5, 1)
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1), s2 = s * s;  // |s| <= 0.1716
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
  return 2 * s * sum + exponent * 0.69314718055994530942;
}

// sin and cos of 2*pi*u for u in [0, 1): the nearest quarter turn, then Taylor series on [-pi/4, pi/4].
void SinCos2Pi(double u, double* sine, double* cosine) {
  const int quarter = static_cast<int>(4 * u + 0.5);
  const double t = (u - quarter * 0.25) * 6.28318530717958647692, t2 = t * t;
  double s = 0, c = 0;
  for (int k = 17; k >= 3; k -= 2) s = (s + 1) * (-t2 / (k * (k - 1)));
  for (int k = 18; k >= 2; k -= 2) c = (c + 1) * (-t2 / (k * (k - 1)));
  s = (s + 1) * t;
  c = c + 1;
  switch (quarter & 3) {
    case 0:
      *sine = s;
      *cosine = c;
      break;
    case 1:
      *sine = c;
      *cosine = -s;
      break;
    case 2:
      *sine = -s;
      *cosine = -c;
      break;
    default:
      *sine = -c;
      *cosine = s;
      break;
  }
}

}  // namespace

std::array<uint32_t, 4> Philox(uint64_t key, const std::array<uint32_t, 4>& counter) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kMul0) * c0, p1 = static_cast<uint64_t>(kMul1) * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  return {c0, c1, c2, c3};
}

float UniformAt(uint64_t seed, Stream stream, uint32_t step, uint32_t prompt, uint32_t sample, uint32_t position) {
  const auto block = Philox(StreamKey(seed, stream, 1), {step, prompt, sample, position});
  return static_cast<float>(block[0] >> 8) * 0x1p-24f;
}

Rng::Rng(uint64_t seed, Stream stream, uint64_t index)
    : key_(StreamKey(seed, stream, 0)),
      counter_{0, 0, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)},
      block_{} {}

uint32_t Rng::NextU32() {
  if (used_ == 4) {
    block_ = Philox(key_, counter_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

uint64_t Rng::NextU64() {
  const uint64_t low = NextU32();
  return low | static_cast<uint64_t>(NextU32()) << 32;
}

double Rng::Uniform() { return static_cast<double>(NextU64() >> 11) * 0x1p-53; }

uint64_t Rng::Below(uint64_t n) {
  R1_CHECK(n > 0, "Rng::Below: n is 0");
  // Lemire 2019: the high half of a 128-bit product, with the few biased low halves drawn again.
  __extension__ using U128 = unsigned __int128;
  U128 product = static_cast<U128>(NextU64()) * n;
  if (static_cast<uint64_t>(product) < n) {
    const uint64_t threshold = (0 - n) % n;
    while (static_cast<uint64_t>(product) < threshold) product = static_cast<U128>(NextU64()) * n;
  }
  return static_cast<uint64_t>(product >> 64);
}

int64_t Rng::Range(int64_t lo, int64_t hi) {
  R1_CHECK(lo <= hi, "Rng::Range: lo is above hi");
  const uint64_t span = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo) + 1;  // 0 means all 2^64
  const uint64_t offset = span == 0 ? NextU64() : Below(span);
  return static_cast<int64_t>(static_cast<uint64_t>(lo) + offset);
}

double Rng::Normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2 * Log(1 - Uniform()));  // 1 - u is in (0, 1]
  double sine = 0, cosine = 0;
  SinCos2Pi(Uniform(), &sine, &cosine);
  spare_ = radius * sine;
  has_spare_ = true;
  return radius * cosine;
}

}  // namespace r1
