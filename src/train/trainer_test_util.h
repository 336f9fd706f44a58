// For tests of the trainer: sequences that own their tokens, and an optimizer with few settings.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "model/model_test_util.h"
#include "train/trainer.h"

namespace r1 {

// Sequences that own their tokens.
struct Data {
  std::vector<reference::Sequence> owned;
  std::vector<TrainSequence> view;
  Data(int64_t vocab, const std::vector<int64_t>& lengths, uint64_t seed)
      : Data(RandomSequences(vocab, lengths, seed)) {}
  explicit Data(std::vector<reference::Sequence> sequences) : owned(std::move(sequences)) {
    for (const reference::Sequence& s : owned)
      view.push_back({s.tokens.data(), static_cast<int64_t>(s.tokens.size()), s.loss_from});
  }
  int64_t targets() const {
    int64_t n = 0;
    for (const TrainSequence& s : view) n += s.n - s.loss_from;
    return n;
  }
};

inline OptimizerConfig Config(int64_t shards, int64_t micro) {
  OptimizerConfig c;
  c.learning_rate = 0.01;
  c.warmup_steps = 0;
  c.grad_shards = shards;
  c.micro_tokens = micro;
  return c;
}

}  // namespace r1
