// Memory of training, estimated from the sizes alone before anything is allocated.
//   weights      floats of all parameters, bf16 copies packed for products in both directions, those of an adapter too
//   gradients    a float vector of what is trained for each shard; optimizer: two more, Adam's moments
//   activations  what forward keeps for backward and backward makes, of the passes that run side by side, and the
//                largest op's scratch memory
// With an adapter what is trained is the adapter (model/lora.h).
#pragma once

#include <cstdint>
#include <string>

#include "model/config.h"
#include "model/lora.h"
#include "train/config.h"

namespace r1 {

struct TrainingMemory {
  int64_t parameters = 0, trained = 0;  // numbers of them
  int64_t lora_r = 0;
  int64_t weights = 0, gradients = 0, optimizer = 0, activations = 0;  // bytes
  int64_t reference = 0;  // the reference policy, where it is a model of its own
  int64_t value = 0;      // PPO's value model with its gradients and moments
  int64_t beside = 0;     // reward models, teacher
  int64_t rollout = 0;    // keys, values and logits of sampling
  int64_t total() const { return weights + gradients + optimizer + activations + reference + value + beside + rollout; }
};

// Bytes of a model; for_training: with the copies that backward reads.
int64_t ModelBytes(const ModelConfig& config, bool for_training);
// Bytes of one pass over `tokens` tokens, forward and backward, every token a target.
int64_t PassBytes(const ModelConfig& config, int64_t tokens, const LoraConfig& lora);
// longest: tokens of the longest sequence, 0 if it is not known; a pass holds at least one. Error if the model cannot
// have the adapter.
Result<TrainingMemory> EstimateTraining(const ModelConfig& config, const OptimizerConfig& optimizer,
                                        const LoraConfig& lora, int64_t longest, int threads, const std::string& where);

// "1.2 GB: weights 800 MB, ..."
std::string MemoryText(const TrainingMemory& memory);
// kRefused with the numbers if it is more than `limit` bytes.
Status CheckMemory(const TrainingMemory& memory, int64_t limit, const std::string& where);

}  // namespace r1
