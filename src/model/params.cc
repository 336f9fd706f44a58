#include "model/params.h"

#include <cmath>

#include "kernels/kernels.h"

namespace r1 {

namespace {

class Builder {
 public:
  explicit Builder(const ModelConfig& c) : c_(c) {}

  // Scaled as 1/sqrt(fan_in); matrices that write to the residual stream are further divided by sqrt(2 layers).
  void Matrix(const std::string& name, int64_t rows, int64_t cols, bool to_residual = false, bool expert = false) {
    const double std = 1.0 / std::sqrt(static_cast<double>(cols)) /
                       (to_residual ? std::sqrt(2.0 * static_cast<double>(c_.num_hidden_layers)) : 1.0);
    Put({name, rows, cols, ParamKind::kMatrix, std, 0, expert});
  }
  void MatrixStd(const std::string& name, int64_t rows, int64_t cols, double std) {
    Put({name, rows, cols, ParamKind::kMatrix, std, 0, false});
  }
  void Norm(const std::string& name, int64_t d) {
    Group();
    Put({name, 1, d, ParamKind::kNorm, 0, 0, false});
    Group();
  }
  void Bias(const std::string& name, int64_t d) { Put({name, 1, d, ParamKind::kBias, 0, 0, false}); }
  void RouterBias(const std::string& name, int64_t e) {
    Group();
    Put({name, 1, e, ParamKind::kRouterBias, 0, 0, false});
    Group();
  }
  void Group() { list_.total = kernels::RoundUp(list_.total, 16); }

  void Ffn(const std::string& p, int64_t width, bool expert = false) {
    Group();
    Matrix(p + "gate_proj.weight", width, c_.hidden_size, false, expert);
    Matrix(p + "up_proj.weight", width, c_.hidden_size, false, expert);
    Group();
    Matrix(p + "down_proj.weight", c_.hidden_size, width, true, expert);
    Group();
  }

  void Layer(int64_t layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const std::string a = p + "self_attn.";
    const int64_t d = c_.hidden_size, h = c_.num_attention_heads;
    Norm(p + "input_layernorm.weight", d);
    if (c_.is_mla()) {
      if (c_.q_lora_rank > 0) {
        Matrix(a + "q_a_proj.weight", c_.q_lora_rank, d);
      } else {
        Matrix(a + "q_proj.weight", h * c_.qk_dim(), d);
      }
      Matrix(a + "kv_a_proj_with_mqa.weight", c_.kv_lora_rank + c_.qk_rope_head_dim, d);
      Group();
      if (c_.q_lora_rank > 0) {
        Norm(a + "q_a_layernorm.weight", c_.q_lora_rank);
        Matrix(a + "q_b_proj.weight", h * c_.qk_dim(), c_.q_lora_rank);
        Group();
      }
      Norm(a + "kv_a_layernorm.weight", c_.kv_lora_rank);
      Matrix(a + "kv_b_proj.weight", h * (c_.qk_nope_head_dim + c_.v_head_dim), c_.kv_lora_rank);
    } else {
      Matrix(a + "q_proj.weight", h * c_.head_dim, d);
      Matrix(a + "k_proj.weight", c_.num_key_value_heads * c_.head_dim, d);
      Matrix(a + "v_proj.weight", c_.num_key_value_heads * c_.head_dim, d);
      Group();
      if (c_.has_qkv_bias()) {
        Bias(a + "q_proj.bias", h * c_.head_dim);
        Bias(a + "k_proj.bias", c_.num_key_value_heads * c_.head_dim);
        Bias(a + "v_proj.bias", c_.num_key_value_heads * c_.head_dim);
      }
      if (c_.has_qk_norm()) {
        Norm(a + "q_norm.weight", c_.head_dim);
        Norm(a + "k_norm.weight", c_.head_dim);
      }
    }
    Group();
    Matrix(a + "o_proj.weight", d, h * c_.v_dim(), true);
    if (c_.attention_bias) {
      Group();
      Bias(a + "o_proj.bias", d);
    }
    Norm(p + "post_attention_layernorm.weight", d);
    if (!c_.is_moe_layer(layer)) {
      Ffn(p + "mlp.", c_.intermediate_size);
      return;
    }
    MatrixStd(p + "mlp.gate.weight", c_.n_routed_experts, d, 1.0 / std::sqrt(static_cast<double>(d)));
    if (c_.has_router_bias()) RouterBias(p + "mlp.gate.e_score_correction_bias", c_.n_routed_experts);
    for (int64_t e = 0; e < c_.n_routed_experts; ++e)
      Ffn(p + "mlp.experts." + std::to_string(e) + ".", c_.moe_intermediate_size, true);
    if (c_.n_shared_experts > 0) Ffn(p + "mlp.shared_experts.", c_.n_shared_experts * c_.moe_intermediate_size);
  }

  ParamList Build() {
    const int64_t d = c_.hidden_size;
    const double width = static_cast<double>(d);
    MatrixStd("model.embed_tokens.weight", c_.vocab_size, d, 0.02 * std::sqrt(128.0 / width));
    Group();
    for (int64_t i = 0; i < c_.num_hidden_layers; ++i) Layer(i);
    Norm("model.norm.weight", d);
    if (c_.num_labels > 0) {
      MatrixStd("score.weight", c_.num_labels, d, 0.1 / std::sqrt(width));  // first values are near zero
    } else if (!c_.tie_word_embeddings) {
      MatrixStd("lm_head.weight", c_.vocab_size, d, 0.5 / std::sqrt(width));
    }
    Group();
    for (int64_t i = 0; i < c_.num_nextn_predict_layers; ++i) {
      const int64_t layer = c_.num_hidden_layers + i;
      const std::string p = "model.layers." + std::to_string(layer) + ".";
      Norm(p + "enorm.weight", d);
      Norm(p + "hnorm.weight", d);
      Matrix(p + "eh_proj.weight", d, 2 * d);
      Layer(layer);
      Norm(p + "shared_head.norm.weight", d);
    }
    return std::move(list_);
  }

 private:
  void Put(ParamSpec spec) {
    spec.offset = list_.total;
    list_.total += spec.count();
    list_.specs.push_back(std::move(spec));
  }
  const ModelConfig& c_;
  ParamList list_;
};

}  // namespace

const ParamSpec* ParamList::Find(const std::string& name) const {
  for (const ParamSpec& spec : specs) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

ParamList ListParams(const ModelConfig& config) { return Builder(config).Build(); }

ParamCounts CountParams(const ModelConfig& config) {
  ParamCounts n;
  const std::string mtp = "model.layers." + std::to_string(config.num_hidden_layers) + ".";
  const double share = config.n_routed_experts > 0 ? static_cast<double>(config.num_experts_per_tok) /
                                                         static_cast<double>(config.n_routed_experts)
                                                   : 0;
  double active = 0, matmul = 0;
  for (const ParamSpec& spec : ListParams(config).specs) {
    const double used = static_cast<double>(spec.count()) * (spec.expert ? share : 1.0);
    if (spec.name.compare(0, mtp.size(), mtp) == 0) {
      n.mtp += spec.count();
      continue;
    }
    n.total += spec.count();
    active += used;
    const bool embedding = spec.name == "model.embed_tokens.weight" && !config.head_is_embedding();
    if (spec.kind == ParamKind::kMatrix && !embedding) matmul += used;
  }
  n.active = std::llround(active);
  n.active_matmul = std::llround(matmul);
  return n;
}

}  // namespace r1
