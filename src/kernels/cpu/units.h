// Sixteen 32-bit units, each a pair of bf16: what packed panels are made of (kernels.h). Rounding,
// merging two rows into pairs, and the 16 x 16 transposition.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/vec16.h"

#if defined(R1_ISA_avx512) || defined(R1_ISA_amx)
#include <immintrin.h>
#endif

namespace r1::kernels::R1_ISA_NAME {

#if defined(R1_ISA_portable)
struct U16 {
  uint32_t v[16];
};
inline U16 LoadUnits(const void* p) {
  U16 r;
  std::memcpy(r.v, p, sizeof(r.v));
  return r;
}
inline void StoreUnits(void* p, U16 a) { std::memcpy(p, a.v, sizeof(a.v)); }
inline U16 Widen(const Bf16* p) {
  U16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = p[i].bits;
  return r;
}
inline U16 Rounded(F16 x) {
  U16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = ToBf16(x.v[i]).bits;
  return r;
}
inline U16 Merge(U16 low, U16 high) {
  for (int i = 0; i < 16; ++i) low.v[i] |= high.v[i] << 16;
  return low;
}
inline void Transpose16(U16* rows) {
  U16 out[16];
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) out[j].v[i] = rows[i].v[j];
  }
  std::memcpy(rows, out, sizeof(out));
}
#else
struct U16 {
  hn::Vec<TagU> v[kParts];
};
HWY_INLINE U16 LoadUnits(const void* p) {
  U16 r;
  for (int i = 0; i < kParts; ++i) r.v[i] = hn::LoadU(TagU(), static_cast<const uint32_t*>(p) + i * kPart);
  return r;
}
HWY_INLINE void StoreUnits(void* p, U16 a) {
  for (int i = 0; i < kParts; ++i) hn::StoreU(a.v[i], TagU(), static_cast<uint32_t*>(p) + i * kPart);
}
// Sixteen bf16, each in the low half of a unit.
HWY_INLINE U16 Widen(const Bf16* p) {
  U16 r;
  const hn::Rebind<uint16_t, Tag> d16;
  for (int i = 0; i < kParts; ++i) {
    r.v[i] = hn::PromoteTo(TagU(), hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p) + i * kPart));
  }
  return r;
}
// Sixteen floats rounded to bf16, each in the low half of a unit.
HWY_INLINE U16 Rounded(F16 x) {
  U16 r;
  const TagU du;
  for (int i = 0; i < kParts; ++i) {
    const auto u = hn::BitCast(du, x.v[i]);
    const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1));
    const auto near = hn::ShiftRight<16>(hn::Add(hn::Add(u, hn::Set(du, 0x7fff)), odd));
    const auto nan = hn::Gt(hn::And(u, hn::Set(du, 0x7fffffffu)), hn::Set(du, 0x7f800000u));
    r.v[i] = hn::IfThenElse(nan, hn::Or(hn::ShiftRight<16>(u), hn::Set(du, 0x40)), near);
  }
  return r;
}
#if defined(R1_ISA_avx512) || defined(R1_ISA_amx)
// The high half of each unit is the float rounded to bf16; NaN of arithmetic stays NaN, the low
// half is anything.
HWY_INLINE U16 NearHigh(F16 x) {
  const TagU du;
  const auto u = hn::BitCast(du, x.v[0]);
  U16 r;
  r.v[0] = hn::Add(hn::Add(u, hn::Set(du, 0x7fff)), hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1)));
  return r;
}
#endif
HWY_INLINE U16 Merge(U16 low, U16 high) {
  for (int i = 0; i < kParts; ++i) low.v[i] = hn::Or(low.v[i], hn::ShiftLeft<16>(high.v[i]));
  return low;
}
#if defined(R1_ISA_avx512) || defined(R1_ISA_amx)
HWY_INLINE void Transpose16(U16* rows) {
  __m512i a[16], b[16];
  for (int i = 0; i < 8; ++i) {  // 2 x 2 units
    a[2 * i] = _mm512_unpacklo_epi32(rows[2 * i].v[0].raw, rows[2 * i + 1].v[0].raw);
    a[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i].v[0].raw, rows[2 * i + 1].v[0].raw);
  }
  for (int i = 0; i < 4; ++i) {  // 4 x 4 units within each 128-bit lane
    b[4 * i + 0] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {  // lanes
    const __m512i low01 = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88),
                  high01 = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
    const __m512i low23 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
    const __m512i high23 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
    rows[i].v[0].raw = _mm512_shuffle_i32x4(low01, low23, 0x88);
    rows[i + 4].v[0].raw = _mm512_shuffle_i32x4(high01, high23, 0x88);
    rows[i + 8].v[0].raw = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    rows[i + 12].v[0].raw = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}
#else
HWY_INLINE void Transpose16(U16* rows) {
  alignas(64) uint32_t in[16][16], out[16][16];
  for (int i = 0; i < 16; ++i) StoreUnits(in[i], rows[i]);
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) out[j][i] = in[i][j];
  }
  for (int i = 0; i < 16; ++i) rows[i] = LoadUnits(out[i]);
}
#endif
#endif

// n of 16 elements, the rest zero.
inline U16 RoundedN(const float* p, int64_t n) {
  float t[16] = {};
  if (n > 0) std::memcpy(t, p, static_cast<size_t>(n) * sizeof(float));
  return Rounded(Load(t));
}
inline U16 WidenN(const Bf16* p, int64_t n) {
  Bf16 t[16] = {};
  if (n > 0) std::memcpy(t, p, static_cast<size_t>(n) * sizeof(Bf16));
  return Widen(t);
}
inline void StoreLow(Bf16* p, U16 a) {
#if defined(R1_ISA_portable)
  for (int i = 0; i < 16; ++i) p[i].bits = static_cast<uint16_t>(a.v[i]);
#else
  const hn::Rebind<uint16_t, Tag> d16;
  for (int i = 0; i < kParts; ++i) {
    hn::StoreU(hn::TruncateTo(d16, a.v[i]), d16, reinterpret_cast<uint16_t*>(p) + i * kPart);
  }
#endif
}
inline int64_t Clamp16(int64_t n) { return n < 0 ? 0 : n < 16 ? n : 16; }

// Rounding for numbers that are results of arithmetic, whose NaN have no payload that the rounding
// could carry away.
#if defined(R1_ISA_avx512) || defined(R1_ISA_amx)
using Near = U16;  // the high halves are the bf16
R1_VEC_INLINE Near RoundFinite(F16 x) { return NearHigh(x); }
R1_VEC_INLINE void StoreFinite(Bf16* p, Near a, Near b) {
  alignas(64) static constexpr uint16_t kHighHalves[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                           23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43,
                                                           45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  const __m512i index = _mm512_load_si512(kHighHalves);
  _mm512_storeu_si512(p, _mm512_permutex2var_epi16(a.v[0].raw, index, b.v[0].raw));
}
R1_VEC_INLINE U16 MergeFinite(Near low, Near high) {
  U16 r;
  r.v[0].raw = _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(low.v[0].raw, 16), high.v[0].raw);
  return r;
}
#else
using Near = U16;  // the low halves are the bf16
R1_VEC_INLINE Near RoundFinite(F16 x) { return Rounded(x); }
R1_VEC_INLINE void StoreFinite(Bf16* p, Near a, Near b) {
  StoreLow(p, a);
  StoreLow(p + 16, b);
}
R1_VEC_INLINE U16 MergeFinite(Near low, Near high) { return Merge(low, high); }
#endif
R1_VEC_INLINE void StoreFinite(Bf16* p, F16 a, F16 b) { StoreFinite(p, RoundFinite(a), RoundFinite(b)); }

}  // namespace r1::kernels::R1_ISA_NAME
