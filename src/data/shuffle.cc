#include "data/shuffle.h"

#include <cstddef>
#include <utility>

#include "base/rng.h"

namespace r1 {

std::vector<uint32_t> ShuffledEpoch(uint64_t seed, uint32_t n, uint64_t epoch) {
  std::vector<uint32_t> order(n);
  for (uint32_t i = 0; i < n; ++i) order[i] = i;
  Rng rng(seed, Stream::kSft, epoch);
  for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
  return order;
}

std::vector<uint32_t> ShuffledStream(uint64_t seed, uint32_t n, int64_t epochs) {
  std::vector<uint32_t> stream;
  stream.reserve(static_cast<size_t>(n) * static_cast<size_t>(epochs));
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const std::vector<uint32_t> order = ShuffledEpoch(seed, n, static_cast<uint64_t>(epoch));
    stream.insert(stream.end(), order.begin(), order.end());
  }
  return stream;
}

}  // namespace r1
