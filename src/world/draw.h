// Small deterministic tools of the world: the same results on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/rng.h"

namespace r1 {

// Fisher-Yates over anything with size() and [].
template <class T>
void Shuffle(Rng& rng, T& items) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.Below(i)]);
}

// 64-bit FNV-1a of the bytes, then the splitmix64 finaliser. It decides what is held out: never change it.
inline uint64_t StableHash(std::string_view bytes) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  return h ^ (h >> 31);
}
inline constexpr uint64_t kHeldOutModulus = 10;  // held out: StableHash mod 10 = 0

}  // namespace r1
