#include "data/shuffle.h"

#include <cstddef>
#include <utility>

#include "base/rng.h"

namespace r1 {

std::vector<uint32_t> ShuffledStream(uint64_t seed, uint32_t n, int64_t epochs) {
  std::vector<uint32_t> stream;
  stream.reserve(static_cast<size_t>(n) * static_cast<size_t>(epochs));
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const size_t first = stream.size();
    for (uint32_t i = 0; i < n; ++i) stream.push_back(i);
    Rng rng(seed, Stream::kSft, static_cast<uint64_t>(epoch));
    for (size_t i = n; i > 1; --i) std::swap(stream[first + i - 1], stream[first + rng.Below(i)]);
  }
  return stream;
}

}  // namespace r1
