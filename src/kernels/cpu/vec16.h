// The logical vector of the numerics: 16 float lanes whatever the machine has, so that every ISA computes the same bits.
// AVX-512 is one register, AVX2 two of eight (through Highway), the portable form an array with std::fma.
// Included by kernels/cpu/*.cc only, each compiled once per ISA inside namespace r1::kernels::R1_ISA_NAME.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/bf16.h"

#if !defined(R1_ISA_portable)
#include <hwy/highway.h>
#endif

namespace r1::kernels::R1_ISA_NAME {

#if defined(R1_ISA_portable)
struct F16 {
  float v[16];
};
template <class Function>
inline F16 Map(Function f) {
  F16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = f(i);
  return r;
}
inline F16 Zero() { return Map([](int) { return 0.0f; }); }
inline F16 Set(float x) { return Map([=](int) { return x; }); }
inline F16 Load(const float* p) { F16 r; std::memcpy(r.v, p, sizeof(r.v)); return r; }
inline void Store(float* p, F16 a) { std::memcpy(p, a.v, sizeof(a.v)); }
inline F16 Add(F16 a, F16 b) { return Map([&](int i) { return a.v[i] + b.v[i]; }); }
inline F16 Sub(F16 a, F16 b) { return Map([&](int i) { return a.v[i] - b.v[i]; }); }
inline F16 Mul(F16 a, F16 b) { return Map([&](int i) { return a.v[i] * b.v[i]; }); }
inline F16 Div(F16 a, F16 b) { return Map([&](int i) { return a.v[i] / b.v[i]; }); }
inline F16 Fma(F16 a, F16 b, F16 c) { return Map([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); }); }
inline F16 Max(F16 a, F16 b) { return Map([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
inline F16 Min(F16 a, F16 b) { return Map([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
inline F16 Sqrt(F16 a) { return Map([&](int i) { return std::sqrt(a.v[i]); }); }
inline F16 Round(F16 a) { return Map([&](int i) { return std::nearbyint(a.v[i]); }); }
// 2^n for integral n in [-126, 127].
inline F16 Pow2(F16 n) { return Map([&](int i) { return std::bit_cast<float>((static_cast<int32_t>(n.v[i]) + 127) << 23); }); }
inline F16 LoadBf16(const Bf16* p) { return Map([=](int i) { return ToFloat(p[i]); }); }
inline void StoreBf16(Bf16* p, F16 a) { for (int i = 0; i < 16; ++i) p[i] = ToBf16(a.v[i]); }
// Sixteen (even, odd) bf16 pairs, as in a packed panel.
inline void LoadPairs(const Bf16* p, F16* even, F16* odd) {
  for (int i = 0; i < 16; ++i) { even->v[i] = ToFloat(p[2 * i]); odd->v[i] = ToFloat(p[2 * i + 1]); }
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
template <class Function>
HWY_INLINE F16 Map(Function f) {
  F16 r;
  for (int i = 0; i < kParts; ++i) r.v[i] = f(i);
  return r;
}
HWY_INLINE F16 Zero() { return Map([](int) { return hn::Zero(Tag()); }); }
HWY_INLINE F16 Set(float x) { return Map([=](int) { return hn::Set(Tag(), x); }); }
HWY_INLINE F16 Load(const float* p) { return Map([=](int i) { return hn::LoadU(Tag(), p + i * kPart); }); }
HWY_INLINE void Store(float* p, F16 a) { for (int i = 0; i < kParts; ++i) hn::StoreU(a.v[i], Tag(), p + i * kPart); }
HWY_INLINE F16 Add(F16 a, F16 b) { return Map([&](int i) { return hn::Add(a.v[i], b.v[i]); }); }
HWY_INLINE F16 Sub(F16 a, F16 b) { return Map([&](int i) { return hn::Sub(a.v[i], b.v[i]); }); }
HWY_INLINE F16 Mul(F16 a, F16 b) { return Map([&](int i) { return hn::Mul(a.v[i], b.v[i]); }); }
HWY_INLINE F16 Div(F16 a, F16 b) { return Map([&](int i) { return hn::Div(a.v[i], b.v[i]); }); }
HWY_INLINE F16 Fma(F16 a, F16 b, F16 c) { return Map([&](int i) { return hn::MulAdd(a.v[i], b.v[i], c.v[i]); }); }
HWY_INLINE F16 Max(F16 a, F16 b) { return Map([&](int i) { return hn::Max(a.v[i], b.v[i]); }); }
HWY_INLINE F16 Min(F16 a, F16 b) { return Map([&](int i) { return hn::Min(a.v[i], b.v[i]); }); }
HWY_INLINE F16 Sqrt(F16 a) { return Map([&](int i) { return hn::Sqrt(a.v[i]); }); }
HWY_INLINE F16 Round(F16 a) { return Map([&](int i) { return hn::Round(a.v[i]); }); }
HWY_INLINE F16 Pow2(F16 n) {
  return Map([&](int i) {
    return hn::BitCast(Tag(), hn::ShiftLeft<23>(hn::Add(hn::NearestInt(n.v[i]), hn::Set(TagI(), 127))));
  });
}
HWY_INLINE F16 LoadBf16(const Bf16* p) {
  return Map([=](int i) {
    const hn::Rebind<uint16_t, Tag> d16;
    const auto half = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p) + i * kPart);
    return hn::BitCast(Tag(), hn::ShiftLeft<16>(hn::PromoteTo(TagU(), half)));
  });
}
HWY_INLINE void StoreBf16(Bf16* p, F16 a) {
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
HWY_INLINE void LoadPairs(const Bf16* p, F16* even, F16* odd) {
  for (int i = 0; i < kParts; ++i) {
    const TagU du;
    const auto u = hn::BitCast(du, hn::LoadU(Tag(), reinterpret_cast<const float*>(p) + i * kPart));
    even->v[i] = hn::BitCast(Tag(), hn::ShiftLeft<16>(u));
    odd->v[i] = hn::BitCast(Tag(), hn::And(u, hn::Set(du, 0xffff0000u)));
  }
}
#endif

// Lanes summed as the tree of the contract: l += l+8, +4, +2, +1.
inline float ReduceSum(F16 a) {
  float t[16];
  Store(t, a);
  for (int step = 8; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) t[i] = t[i] + t[i + step];
  }
  return t[0];
}
inline float ReduceMax(F16 a) {
  float t[16];
  Store(t, a);
  for (int step = 8; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) t[i] = t[i] > t[i + step] ? t[i] : t[i + step];
  }
  return t[0];
}
// First n lanes from memory (n in 0..16), the rest `fill`; the partial store writes n lanes.
inline F16 LoadN(const float* p, int64_t n, float fill) {
  float t[16];
  for (int i = 0; i < 16; ++i) t[i] = i < n ? p[i] : fill;
  return Load(t);
}
inline void StoreN(float* p, F16 a, int64_t n) {
  float t[16];
  Store(t, a);
  std::memcpy(p, t, static_cast<size_t>(n) * sizeof(float));
}

// exp(x) for every lane, relative error below 2e-7; 0 below -87.3, saturates at +88.3 (about 2.4e38).
// x = n ln 2 + r with |r| <= ln 2 / 2; a degree-6 polynomial in r by Horner with fused steps; times 2^n.
inline F16 Exp(F16 x) {
  const F16 clamped = Max(Min(x, Set(88.3f)), Set(-87.3f));
  const F16 n = Round(Mul(clamped, Set(1.44269504088896341f)));
  F16 r = Fma(n, Set(-0.693359375f), clamped);
  r = Fma(n, Set(2.12194440e-4f), r);
  F16 p = Set(1.9875691500e-4f);
  p = Fma(p, r, Set(1.3981999507e-3f));
  p = Fma(p, r, Set(8.3334519073e-3f));
  p = Fma(p, r, Set(4.1665795894e-2f));
  p = Fma(p, r, Set(1.6666665459e-1f));
  p = Fma(p, r, Set(5.0000001201e-1f));
  p = Fma(p, Mul(r, r), Add(r, Set(1.0f)));
  const F16 y = Mul(p, Pow2(n));
  // Below the range the answer is exactly zero, so that masked scores add nothing.
#if defined(R1_ISA_portable)
  return Map([&](int i) { return x.v[i] < -87.3f ? 0.0f : y.v[i]; });
#else
  return Map([&](int i) { return hn::IfThenZeroElse(hn::Lt(x.v[i], hn::Set(Tag(), -87.3f)), y.v[i]); });
#endif
}

}  // namespace r1::kernels::R1_ISA_NAME
