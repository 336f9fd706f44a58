// Batched sampling: groups of completions of prompts, with continuous batching. Every lane (thread) takes the next
// group when it has room, computes the shared prompt once, copies its keys and values to the group's sequences, and
// decodes all its sequences together; a finished sequence leaves at once. What is sampled depends on (seed, stream,
// step, prompt key, sample, position) and the weights only, never on batch, order or threads (exact mode).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "infer/sampler.h"
#include "model/model.h"

namespace r1 {

struct RolloutRequest {
  std::vector<int32_t> prompt;
  uint32_t key = 0;  // names the prompt to the random numbers
  int64_t samples = 1;
};

enum class FinishReason { kStop, kLength };

struct Completion {
  std::vector<int32_t> tokens;  // with the stop token, if it came
  std::vector<float>
      logp;  // of each token under softmax(logits / temperature), before truncation by top-k, top-p, min-p
  double entropy_sum = 0;  // of those distributions, nats
  FinishReason finish = FinishReason::kLength;
};

struct RolloutOptions {
  SamplingConfig sampling;
  int64_t max_new_tokens = 150;
  std::vector<int32_t> stop;  // token ids that end a completion
  int64_t token_limit = 0;    // ids from here on are padding of the vocabulary and never sampled; 0: no padding
  uint64_t seed = 0;
  Stream stream = Stream::kSampling;
  uint32_t step = 0;
  int64_t slots_per_lane = 128;  // sequences decoded together by a thread
  bool want_logp = true;
  // Called for each token of each completion as it comes (streaming); return false to stop that completion. Any thread.
  std::function<bool(size_t request, int64_t sample, int32_t token)> on_token;
};

class RolloutEngine {
 public:
  RolloutEngine(const Model& model, ThreadPool& pool);
  ~RolloutEngine();
  // result[i][s]: sample s of request i. Error if a prompt is empty, too long or has a token outside the vocabulary.
  Result<std::vector<std::vector<Completion>>> Run(const std::vector<RolloutRequest>& requests,
                                                   const RolloutOptions& options);

 private:
  struct Lane;
  struct Work;
  void RunLane(Lane& lane, Work& work);
  const Model& model_;
  ThreadPool& pool_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

// Probabilities of some tokens right after each text (no sampling): result[i][j] = P(token candidates[i][j] |
// texts[i]).
std::vector<std::vector<float>> NextTokenProbabilities(const Model& model, ThreadPool& pool,
                                                       const std::vector<std::vector<int32_t>>& texts,
                                                       const std::vector<std::vector<int32_t>>& candidates);

}  // namespace r1
