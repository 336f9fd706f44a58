// Counter-based random numbers (Philox4x32-10, Salmon et al. 2011): a number is a pure function of (seed, stream,
// counter), so a sampled token does not depend on batch, order or threads, and "saving the RNG" means saving integers.
#pragma once

#include <array>
#include <cstdint>

namespace r1 {

// The raw function: 10 rounds of Philox4x32 on a 128-bit counter under a 64-bit key.
std::array<uint32_t, 4> Philox(uint64_t key, const std::array<uint32_t, 4>& counter);

// Streams keep users of one seed apart. Values are part of every saved run: append only.
enum class Stream : uint32_t {
  kInit = 1,
  kCorpus = 2,
  kProblems = 3,
  kSampling = 4,
  kShuffle = 5,
  kEval = 6,
  kTest = 7,
  kPreference = 8,
  kSft = 9,
  kDropped = 10,
  kValue = 11
};

// One uniform in [0, 1) with 24 bits, keyed by everything that names a sampled token.
float UniformAt(uint64_t seed, Stream stream, uint32_t step, uint32_t prompt, uint32_t sample, uint32_t position);

// A sequential generator over the counters of one (seed, stream, index). Cheap to construct; copyable.
class Rng {
 public:
  Rng(uint64_t seed, Stream stream, uint64_t index = 0);
  uint32_t NextU32();
  uint64_t NextU64();
  double Uniform();                       // [0, 1), 53 bits
  uint64_t Below(uint64_t n);             // [0, n), unbiased; n > 0
  int64_t Range(int64_t lo, int64_t hi);  // [lo, hi] inclusive
  bool Chance(double p) { return Uniform() < p; }
  double Normal();  // mean 0, standard deviation 1 (Box-Muller, both values used)

 private:
  uint64_t key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_;
  int used_ = 4;
  bool has_spare_ = false;
  double spare_ = 0;
};

}  // namespace r1
