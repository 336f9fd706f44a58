// The model: parameters in one flat float vector, packed bf16 copies for the products, and one forward that
// serves training (recording), scoring and sampling (with a cache). Shapes and names: model/params.h. Structure:
// DeepSeek-V3 report sec. 2. On top of the body is a language head, or a scalar head (num_labels 1). With an adapter
// (model/lora.h) the parameters are frozen and what is trained lies in a vector of its own.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "autograd/ops.h"
#include "base/memory.h"
#include "base/threads.h"
#include "model/adapter.h"
#include "model/config.h"
#include "model/params.h"

namespace r1 {

// A batch of token rows made of segments (autograd/ops.h). token_T, position_T and segments must outlive the context's
// step.
struct Batch {
  const int32_t* token_T = nullptr;
  const int32_t* position_T = nullptr;
  int64_t t = 0;
  std::span<const Segment> segments;
};

// Keys and values of `slots` sequences of up to `positions` tokens, for every layer. Exact: rounded as in training.
class KvCache {
 public:
  KvCache(const ModelConfig& config, int64_t slots, int64_t positions);
  KvLayer Layer(int64_t layer) const;
  // Makes `to` a copy of the first `positions` positions of `from` (a shared prompt).
  void Copy(int64_t from, int64_t to, int64_t positions);
  int64_t slots() const { return slots_; }
  int64_t positions() const { return positions_; }
  static int64_t BytesPerSlot(const ModelConfig& config, int64_t positions);

 private:
  int64_t slots_, positions_, heads_, layers_, page_, pages_;
  AlignedBuffer<Bf16> data_;
};

// Expert load and balance loss of one forward pass, added over calls.
struct RoutingStats {
  std::vector<int64_t> load;  // [layers (with prediction modules), E]
  float balance_loss = 0;
  float balance_alpha = 0;
  float balance_scale = 1;
};

class Model {
 public:
  // for_training also keeps the packed copies that backward reads. The config must be valid (ValidateModelConfig).
  Model(const ModelConfig& config, bool for_training);
  Model(Model&&) = default;
  Model& operator=(Model&&) = default;

  void Init(uint64_t seed);
  // Renews the packed copies after the parameters changed, those of an adapter too.
  void Pack(ThreadPool& pool);

  // Freezes the parameters (no gradient goes to them any more) and adds an adapter that computes nothing yet. Once, on
  // a language model built for training; its parameters may be loaded and packed before or after.
  Status AddAdapter(const LoraConfig& config, uint64_t seed, const std::string& base_name, const std::string& where);
  const Adapter* adapter() const { return adapter_.get(); }
  // What training changes: the adapter's parameters if there is one, else the model's. Gradients are laid out alike.
  const ParamList& trained() const { return adapter_ != nullptr ? adapter_->params() : list_; }
  float* trained_data() { return adapter_ != nullptr ? adapter_->data() : params_.data(); }
  void PackTrained(ThreadPool& pool);
  // The values of params().specs[index], an adapter merged into them.
  void MergedParam(size_t index, float* out) const;

  const ModelConfig& config() const { return config_; }
  const ParamList& params() const { return list_; }
  float* data() { return params_.data(); }
  const float* data() const { return params_.data(); }

  // bf16 [T, D] after the final norm. cache may be null (each segment is then a whole sequence).
  Var* Forward(Context& ctx, const Batch& batch, const KvCache* cache, RoutingStats* stats) const;
  // Prediction module on the output of Forward: rows i with a next token t_{i+1}; next_token_T[i] is that token. bf16
  // [T, D] before the head.
  Var* ForwardMtp(Context& ctx, const Batch& batch, Var* hidden, const int32_t* next_token_T,
                  RoutingStats* stats) const;
  // Only one of them exists: the language head (num_labels 0), or the scalar head (num_labels 1).
  const Weight& head() const { return head_; }
  const VectorWeight& score() const { return score_; }

  // b += gamma * sign(mean load - load) for every expert of every MoE layer (aux-loss-free balancing). load as in
  // RoutingStats.
  void UpdateRouterBias(const std::vector<int64_t>& load, double gamma);

 private:
  struct Layer {
    VectorWeight input_norm, post_norm, q_norm, kv_norm;
    HeadExtras heads;     // grouped-query attention
    VectorWeight o_bias;  // w null: none
    Weight attn_in, q_b, kv_b, o, gate_up, down;
    bool moe = false;
    MoeWeights experts;
    std::vector<Weight> expert_gate_up, expert_down;
    Weight shared_gate_up, shared_down;
  };
  struct Mtp {
    VectorWeight enorm, hnorm, norm;
    Weight eh;
    Layer layer;
  };
  // The matrix that starts at a parameter and may span the next ones. product: it multiplies (is packed), else it is
  // only looked up.
  Weight Bind(const std::string& first, int64_t rows, int64_t cols, bool product = true);
  VectorWeight BindVector(const std::string& name);
  void BindLayer(int64_t index, Layer& layer);
  // Calls visit with each matrix that multiplies in a layer.
  template <class F>
  static void EachWeight(Layer& layer, F visit);
  Var* Block(Context& ctx, const Layer& layer, int64_t index, Var* x, const Batch& batch, const KvCache* cache,
             RoutingStats* stats) const;

  ModelConfig config_;
  ParamList list_;
  AlignedBuffer<float> params_;
  AlignedBuffer<Bf16> packed_;
  AlignedBuffer<float> cos_sin_;
  AttentionShape shape_;
  kernels::RouteConfig route_{};
  Weight embed_, head_;
  VectorWeight final_norm_, score_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::unique_ptr<Mtp> mtp_;
  std::unique_ptr<Adapter> adapter_;
  struct PackTask {
    int64_t forward, backward, n, k, offset;  // places in packed_ (-1: none) and params_
  };
  std::vector<PackTask> pack_;
  int64_t packed_elements_ = 0;
  bool for_training_;
};

}  // namespace r1
