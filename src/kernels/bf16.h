// bfloat16 as stored bits, round to nearest even. Matrix inputs are bf16; everything else is float.
#pragma once

#include <bit>
#include <cstdint>

namespace r1 {

struct Bf16 {
  uint16_t bits = 0;
};

inline float ToFloat(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

inline Bf16 ToBf16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((u >> 16) | 0x40u)};  // quiet NaN
  u += 0x7fffu + ((u >> 16) & 1u);
  return {static_cast<uint16_t>(u >> 16)};
}

}  // namespace r1
