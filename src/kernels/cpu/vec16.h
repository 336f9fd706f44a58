// The logical vector of the numerics: 16 float lanes whatever the machine has, so that every ISA
// computes the same bits. AVX-512 is one register, AVX2 two of eight (through Highway), the
// portable form an array with std::fma. Included by kernels/cpu/*.cc only, each compiled once per
// ISA inside namespace r1::kernels::R1_ISA_NAME.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/bf16.h"

#if !defined(R1_ISA_portable)
#include <hwy/highway.h>
#endif

// Always inlined, but never under sanitizers, with whose checks a unit would take minutes to
// compile.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define R1_VEC_INLINE inline __attribute__((noinline))
#else
#define R1_VEC_INLINE inline __attribute__((always_inline))
#endif

namespace r1::kernels::R1_ISA_NAME {

#if defined(R1_ISA_portable)
struct F16 {
  float v[16];
};
template <class Function>
R1_VEC_INLINE F16 Map(Function f) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = f(i);
  return r;
}
R1_VEC_INLINE F16 Zero() {
  return Map([](int) { return 0.0f; });
}
R1_VEC_INLINE F16 Set(float x) {
  return Map([=](int) { return x; });
}
R1_VEC_INLINE F16 Load(const float* p) {
  F16 r;
  std::memcpy(r.v, p, sizeof(r.v));
  return r;
}
R1_VEC_INLINE void Store(float* p, F16 a) { std::memcpy(p, a.v, sizeof(a.v)); }
R1_VEC_INLINE F16 Add(F16 a, F16 b) {
  return Map([&](int i) { return a.v[i] + b.v[i]; });
}
R1_VEC_INLINE F16 Sub(F16 a, F16 b) {
  return Map([&](int i) { return a.v[i] - b.v[i]; });
}
R1_VEC_INLINE F16 Mul(F16 a, F16 b) {
  return Map([&](int i) { return a.v[i] * b.v[i]; });
}
R1_VEC_INLINE F16 Div(F16 a, F16 b) {
  return Map([&](int i) { return a.v[i] / b.v[i]; });
}
R1_VEC_INLINE F16 Fma(F16 a, F16 b, F16 c) {
  return Map([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); });
}
R1_VEC_INLINE F16 Max(F16 a, F16 b) {
  return Map([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
R1_VEC_INLINE F16 Min(F16 a, F16 b) {
  return Map([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
R1_VEC_INLINE F16 Sqrt(F16 a) {
  return Map([&](int i) { return std::sqrt(a.v[i]); });
}
// Nearest integer, ties to even; what the hardware instruction gives, without a call. Magnitudes
// from 2^22 on are returned as they are.
R1_VEC_INLINE F16 Round(F16 a) {
  return Map([&](int i) {
    const float x = a.v[i];
    const float magnitude = std::fabs(x);
    const float near = (magnitude + 8388608.0f) - 8388608.0f;
    return magnitude < 4194304.0f ? std::copysign(near, x) : x;
  });
}
// p * 2^n where t = n + 1.5 * 2^23 (integral n): n sits in the low mantissa bits of t and is added
// to the exponent of p.
R1_VEC_INLINE F16 ScaleByMagic(F16 p, F16 t) {
  return Map([&](int i) {
    return std::bit_cast<float>(std::bit_cast<uint32_t>(p.v[i]) + (std::bit_cast<uint32_t>(t.v[i]) << 23));
  });
}
// x >= low ? y : other, lane by lane (NaN in x gives other).
R1_VEC_INLINE F16 SelectAtLeast(F16 x, F16 low, F16 y, F16 other) {
  return Map([&](int i) { return x.v[i] >= low.v[i] ? y.v[i] : other.v[i]; });
}
// First n lanes from memory (n in 0..16), the rest `fill`; the partial store writes n lanes.
R1_VEC_INLINE F16 LoadN(const float* p, int64_t n, float fill) {
  return Map([=](int i) { return i < n ? p[i] : fill; });
}
R1_VEC_INLINE void StoreN(float* p, F16 a, int64_t n) { std::memcpy(p, a.v, static_cast<size_t>(n) * sizeof(float)); }
// First n lanes of a, the rest `fill`.
R1_VEC_INLINE F16 KeepN(F16 a, int64_t n, float fill) {
  return Map([&](int i) { return i < n ? a.v[i] : fill; });
}
// p[0] p[0] p[1] p[1] ...: n / 2 numbers are read (n even, in 0..16), the lanes from n on are zero.
R1_VEC_INLINE F16 LoadTwiceN(const float* p, int64_t n) {
  return Map([=](int i) { return i < n ? p[i / 2] : 0.0f; });
}
// Lanes 2i and 2i + 1 exchanged.
R1_VEC_INLINE F16 SwapPairs(F16 a) {
  return Map([&](int i) { return a.v[i ^ 1]; });
}
// Index of the first lane equal to x, or -1.
R1_VEC_INLINE int FirstEqual(F16 a, float x) {
  for (int i = 0; i < 16; ++i) {
    if (a.v[i] == x) return i;
  }
  return -1;
}
R1_VEC_INLINE F16 LoadBf16(const Bf16* p) {
  return Map([=](int i) { return ToFloat(p[i]); });
}
R1_VEC_INLINE void StoreBf16(Bf16* p, F16 a) {
  for (int i = 0; i < 16; ++i) p[i] = ToBf16(a.v[i]);
}
// Sixteen (even, odd) bf16 pairs, as in a packed panel.
R1_VEC_INLINE void LoadPairs(const Bf16* p, F16* even, F16* odd) {
  for (int i = 0; i < 16; ++i) {
    even->v[i] = ToFloat(p[2 * i]);
    odd->v[i] = ToFloat(p[2 * i + 1]);
  }
}
#else
namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::CappedTag<float, 16>;
using TagI = hn::RebindToSigned<Tag>;
using TagU = hn::RebindToUnsigned<Tag>;
constexpr int kParts = 16 / static_cast<int>(hn::MaxLanes(Tag()));
constexpr int kPart = 16 / kParts;
struct F16 {
  hn::Vec<Tag> v[kParts];
};
static_assert(kParts == 1 || kParts == 2 || kParts == 4, "vectors of 128, 256 or 512 bits");
#if defined(R1_ISA_avx2)
static_assert(kParts == 2, "Highway fell back to 128 bits: its AVX2 target wants -march=haswell -maes");
#elif defined(R1_ISA_avx512) || defined(R1_ISA_amx)
static_assert(kParts == 1, "Highway fell back to narrow vectors: its AVX-512 target wants -march=skylake-avx512");
#endif
// Written out, so that the parts stay in registers.
template <class Function>
R1_VEC_INLINE F16 Map(Function f) {
  F16 r;
  r.v[0] = f(0);
  if constexpr (kParts > 1) r.v[1] = f(1);
  if constexpr (kParts > 2) {
    r.v[2] = f(2);
    r.v[3] = f(3);
  }
  return r;
}
// Lanes of part i that are below n.
R1_VEC_INLINE size_t Rest(int64_t n, int i) {
  if constexpr (kParts == 1) return static_cast<size_t>(n);
  const int64_t rest = n - i * kPart;
  return static_cast<size_t>(rest < 0 ? 0 : rest < kPart ? rest : kPart);
}
R1_VEC_INLINE F16 Zero() {
  return Map([](int) { return hn::Zero(Tag()); });
}
R1_VEC_INLINE F16 Set(float x) {
  return Map([=](int) { return hn::Set(Tag(), x); });
}
R1_VEC_INLINE F16 Load(const float* p) {
  return Map([=](int i) { return hn::LoadU(Tag(), p + i * kPart); });
}
R1_VEC_INLINE void Store(float* p, F16 a) {
  for (int i = 0; i < kParts; ++i) hn::StoreU(a.v[i], Tag(), p + i * kPart);
}
R1_VEC_INLINE F16 Add(F16 a, F16 b) {
  return Map([&](int i) { return hn::Add(a.v[i], b.v[i]); });
}
R1_VEC_INLINE F16 Sub(F16 a, F16 b) {
  return Map([&](int i) { return hn::Sub(a.v[i], b.v[i]); });
}
R1_VEC_INLINE F16 Mul(F16 a, F16 b) {
  return Map([&](int i) { return hn::Mul(a.v[i], b.v[i]); });
}
R1_VEC_INLINE F16 Div(F16 a, F16 b) {
  return Map([&](int i) { return hn::Div(a.v[i], b.v[i]); });
}
R1_VEC_INLINE F16 Fma(F16 a, F16 b, F16 c) {
  return Map([&](int i) { return hn::MulAdd(a.v[i], b.v[i], c.v[i]); });
}
R1_VEC_INLINE F16 Max(F16 a, F16 b) {
  return Map([&](int i) { return hn::Max(a.v[i], b.v[i]); });
}
R1_VEC_INLINE F16 Min(F16 a, F16 b) {
  return Map([&](int i) { return hn::Min(a.v[i], b.v[i]); });
}
R1_VEC_INLINE F16 Sqrt(F16 a) {
  return Map([&](int i) { return hn::Sqrt(a.v[i]); });
}
R1_VEC_INLINE F16 Round(F16 a) {
  return Map([&](int i) { return hn::Round(a.v[i]); });
}
R1_VEC_INLINE F16 ScaleByMagic(F16 p, F16 t) {
  return Map([&](int i) {
    const TagU du;
    return hn::BitCast(Tag(), hn::Add(hn::BitCast(du, p.v[i]), hn::ShiftLeft<23>(hn::BitCast(du, t.v[i]))));
  });
}
R1_VEC_INLINE F16 SelectAtLeast(F16 x, F16 low, F16 y, F16 other) {
  return Map([&](int i) { return hn::IfThenElse(hn::Ge(x.v[i], low.v[i]), y.v[i], other.v[i]); });
}
R1_VEC_INLINE F16 LoadN(const float* p, int64_t n, float fill) {
  return Map([=](int i) {
    const auto mask = hn::FirstN(Tag(), Rest(n, i));
    return hn::IfThenElse(mask, hn::MaskedLoad(mask, Tag(), p + i * kPart), hn::Set(Tag(), fill));
  });
}
R1_VEC_INLINE void StoreN(float* p, F16 a, int64_t n) {
  for (int i = 0; i < kParts; ++i) hn::BlendedStore(a.v[i], hn::FirstN(Tag(), Rest(n, i)), Tag(), p + i * kPart);
}
R1_VEC_INLINE F16 KeepN(F16 a, int64_t n, float fill) {
  return Map([&](int i) { return hn::IfThenElse(hn::FirstN(Tag(), Rest(n, i)), a.v[i], hn::Set(Tag(), fill)); });
}
R1_VEC_INLINE F16 LoadTwiceN(const float* p, int64_t n) {
  alignas(64) static constexpr int32_t kTwice[16] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7};
  return Map([=](int i) {
    const auto half = hn::MaskedLoad(hn::FirstN(Tag(), Rest(n, i) / 2), Tag(), p + i * (kPart / 2));
    return hn::TableLookupLanes(half, hn::SetTableIndices(Tag(), kTwice));
  });
}
R1_VEC_INLINE F16 SwapPairs(F16 a) {
  return Map([&](int i) { return hn::Shuffle2301(a.v[i]); });
}
R1_VEC_INLINE int FirstEqual(F16 a, float x) {
  for (int i = 0; i < kParts; ++i) {
    const intptr_t lane = hn::FindFirstTrue(Tag(), hn::Eq(a.v[i], hn::Set(Tag(), x)));
    if (lane >= 0) return i * kPart + static_cast<int>(lane);
  }
  return -1;
}
R1_VEC_INLINE F16 LoadBf16(const Bf16* p) {
  return Map([=](int i) {
    const hn::Rebind<uint16_t, Tag> d16;
    const auto half = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p) + i * kPart);
    return hn::BitCast(Tag(), hn::ShiftLeft<16>(hn::PromoteTo(TagU(), half)));
  });
}
R1_VEC_INLINE void StoreBf16(Bf16* p, F16 a) {
  for (int i = 0; i < kParts; ++i) {
    const hn::Rebind<uint16_t, Tag> d16;
    const TagU du;
    const auto u = hn::BitCast(du, a.v[i]);
    const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1));
    auto r = hn::ShiftRight<16>(hn::Add(hn::Add(u, hn::Set(du, 0x7fff)), odd));
    const auto nan = hn::Gt(hn::And(u, hn::Set(du, 0x7fffffffu)), hn::Set(du, 0x7f800000u));
    r = hn::IfThenElse(nan, hn::Or(hn::ShiftRight<16>(u), hn::Set(du, 0x40)), r);
    hn::StoreU(hn::TruncateTo(d16, r), d16, reinterpret_cast<uint16_t*>(p) + i * kPart);
  }
}
R1_VEC_INLINE void LoadPairs(const Bf16* p, F16* even, F16* odd) {
  for (int i = 0; i < kParts; ++i) {
    const TagU du;
    const auto u = hn::BitCast(du, hn::LoadU(Tag(), reinterpret_cast<const float*>(p) + i * kPart));
    even->v[i] = hn::BitCast(Tag(), hn::ShiftLeft<16>(u));
    odd->v[i] = hn::BitCast(Tag(), hn::And(u, hn::Set(du, 0xffff0000u)));
  }
}
#endif

// Lanes combined as the tree of the contract: l op= l+8, +4, +2, +1.
#if defined(R1_ISA_portable)
template <class Op>
R1_VEC_INLINE float ReduceTree(F16 a, Op op) {
  for (int step = 8; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) a.v[i] = op(a.v[i], a.v[i + step]);
  }
  return a.v[0];
}
R1_VEC_INLINE float ReduceSum(F16 a) {
  return ReduceTree(a, [](float x, float y) { return x + y; });
}
R1_VEC_INLINE float ReduceMax(F16 a) {
  return ReduceTree(a, [](float x, float y) { return x > y ? x : y; });
}
#else
template <class V, class Op>
R1_VEC_INLINE float ReduceLanes(V v, Op op) {
  if constexpr (hn::MaxLanes(hn::DFromV<V>()) > 4) {
    const hn::Half<hn::DFromV<V> > half;
    return ReduceLanes(op(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), op);
  } else {
    const V two = op(v, hn::Shuffle1032(v));
    return hn::GetLane(op(two, hn::Shuffle2301(two)));
  }
}
template <class Op>
R1_VEC_INLINE float ReduceTree(F16 a, Op op) {
  if constexpr (kParts == 4) {
    a.v[0] = op(a.v[0], a.v[2]);
    a.v[1] = op(a.v[1], a.v[3]);
  }
  if constexpr (kParts >= 2) a.v[0] = op(a.v[0], a.v[1]);
  return ReduceLanes(a.v[0], op);
}
R1_VEC_INLINE float ReduceSum(F16 a) {
  return ReduceTree(a, [](auto x, auto y) HWY_ATTR { return hn::Add(x, y); });
}
R1_VEC_INLINE float ReduceMax(F16 a) {
  return ReduceTree(a, [](auto x, auto y) HWY_ATTR { return hn::Max(x, y); });
}
#endif

// Partial rows of bf16: n lanes are read (the rest is zero), n lanes are written.
R1_VEC_INLINE F16 LoadBf16N(const Bf16* p, int64_t n) {
  Bf16 t[16] = {};
  std::memcpy(t, p, static_cast<size_t>(n) * sizeof(Bf16));
  return LoadBf16(t);
}
R1_VEC_INLINE void StoreBf16N(Bf16* p, F16 a, int64_t n) {
  Bf16 t[16];
  StoreBf16(t, a);
  std::memcpy(p, t, static_cast<size_t>(n) * sizeof(Bf16));
}

// exp(x) for every lane: relative error below 8e-8 (0.65 units in the last place; measured over
// every float), exactly 1 at 0, exactly 0 below -87.3, exp(88.3) (about 2.2e38) above 88.3; NaN
// stays NaN. ref/scalar.h has the same steps for one number. x = n ln 2 + r with |r| <= ln 2 / 2,
// ln 2 in two parts; exp(r) = 1 + r (1 + r p(r)), p of degree 5 by Horner with fused steps
// (coefficients of Cephes expf); times 2^n by adding n to the exponent bits. n comes from
// adding 1.5 * 2^23, which rounds.
R1_VEC_INLINE F16 Exp(F16 x) {
  const F16 capped = Min(Set(88.3f), x);
  const F16 magic = Set(12582912.0f);
  const F16 t = Fma(capped, Set(1.44269504088896341f), magic);
  const F16 n = Sub(t, magic);
  F16 r = Fma(n, Set(-0.693359375f), capped);
  r = Fma(n, Set(2.12194440e-4f), r);
  F16 p = Set(1.9875691500e-4f);
  p = Fma(p, r, Set(1.3981999507e-3f));
  p = Fma(p, r, Set(8.3334519073e-3f));
  p = Fma(p, r, Set(4.1665795894e-2f));
  p = Fma(p, r, Set(1.6666665459e-1f));
  p = Fma(p, r, Set(5.0000001201e-1f));
  p = Fma(Fma(p, r, Set(1.0f)), r, Set(1.0f));
  // Below the range the answer is exactly zero, so that masked scores add nothing; the maximum
  // keeps NaN.
  return SelectAtLeast(x, Set(-87.3f), ScaleByMagic(p, t), Max(Zero(), x));
}
// 1 / (1 + exp(-x)).
R1_VEC_INLINE F16 Sigmoid(F16 x) { return Div(Set(1.0f), Add(Set(1.0f), Exp(Sub(Zero(), x)))); }

}  // namespace r1::kernels::R1_ISA_NAME
