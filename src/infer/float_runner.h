// Forward pass in float32 throughout (no bf16 anywhere), of every kind of model: what numbers are compared with those
// of other programs in. One sequence with a cache; tokens in, logits out. It reads the flat parameters (model/params.h)
// where they lie and makes no packed copies.
//   llama, qwen2, qwen3: the rotated keys and the values of every key-value head are cached.
//   deepseek_v2, deepseek_v3: the keys and values of every head, expanded from the latent; or, `absorbed`, the normed
//   latent c and the rotated k_pe (DeepSeek-V2 report sec. 2.1.2), with kv_b of a head split into rows
//   Wuk, Wuv:
//       score_s = scale · ((Wukᵀ q_nope)·c_s + q_pe·k_pe_s)        out = Wuv · (sum over s of p_s c_s)
//   Both are the same function; their roundings differ.
// Sums have one order (kernels/float_kernels.h), so logits do not depend on the number of threads, on the instruction
// set or on how a sequence is cut into calls of Append. Sizes are those of ValidateStoredConfig: any even head_dim.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/memory.h"
#include "base/threads.h"
#include "model/config.h"

namespace r1 {

// The parameters of a stored model in their flat vector, from whatever model/param_source.h opens.
struct FloatModel {
  ModelConfig config;
  AlignedBuffer<float> params;
};
Result<FloatModel> LoadFloatModel(const std::string& path);

class FloatRunner {
 public:
  enum class Latent { kExpanded, kAbsorbed };  // of the last two kinds; the others have one form
  // params and pool must outlive the object; positions: most tokens of the sequence. The config must be valid.
  FloatRunner(const ModelConfig& config, const float* params, int64_t positions, ThreadPool& pool,
              Latent latent = Latent::kExpanded);
  ~FloatRunner();

  // Puts tokens at the end of the sequence. The logits [rows, width()] of each of them, or of the last one only; they
  // stay until the next call. Error if a token is outside the vocabulary or there are too many positions.
  enum class Rows { kAll, kLast };
  Result<std::span<const float>> Append(std::span<const int32_t> tokens, Rows rows);
  // Cuts the sequence to its first `length` tokens.
  void Rewind(int64_t length);

  const ModelConfig& config() const;
  int64_t length() const;
  int64_t positions() const;
  int64_t width() const;  // vocab_size, or num_labels of a scalar head

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace r1
