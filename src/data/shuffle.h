// The order in which a training stage reads its data: every epoch is a permutation of 0 .. n-1 that depends on (seed,
// epoch) only, so the loader's whole state is its position in the stream.
#pragma once

#include <cstdint>
#include <vector>

namespace r1 {

// The permutation of one epoch.
std::vector<uint32_t> ShuffledEpoch(uint64_t seed, uint32_t n, uint64_t epoch);
// The permutations of epochs 0 .. epochs-1 one after the other.
std::vector<uint32_t> ShuffledStream(uint64_t seed, uint32_t n, int64_t epochs);

}  // namespace r1
