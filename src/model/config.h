// What a model is: pure data, with the field names of Hugging Face config.json. Two kinds of body:
//   latent attention, routed experts after the first dense layers: "deepseek_v3" (with multi-token prediction) and
//   "deepseek_v2" (softmax gates, no correction bias);
//   grouped-query attention, dense: "llama" (2, 3.x), "qwen2" (2, 2.5: biases on q, k, v), "qwen3" (normed q and k).
// Either can carry a scalar head in place of the language head (reward and value models). Facts: DeepSeek-V2 and V3
// reports, the published config.json files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace r1 {

// How the rotary frequencies are stretched beyond the context of pretraining (model/rope.h has the formulas).
struct RopeScaling {
  std::string rope_type = "default";  // default, linear, llama3, yarn
  double factor = 1;
  int64_t original_max_position_embeddings = 0;      // llama3, yarn
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  double mscale = 0, mscale_all_dim = 0;             // yarn; 0: not given
  double attention_factor = 0;                       // yarn; 0: follows from the factor
  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

struct ModelConfig {
  std::string model_type = "deepseek_v3";
  int64_t vocab_size = 0;
  int64_t hidden_size = 128;
  int64_t intermediate_size = 352;
  int64_t moe_intermediate_size = 96;
  int64_t num_hidden_layers = 4;
  int64_t num_nextn_predict_layers = 0;
  int64_t first_k_dense_replace = 1;
  int64_t num_attention_heads = 4;
  int64_t num_key_value_heads = 4;
  int64_t head_dim = 32;
  int64_t q_lora_rank = 0;
  int64_t kv_lora_rank = 64;
  int64_t qk_nope_head_dim = 32;
  int64_t qk_rope_head_dim = 32;
  int64_t v_head_dim = 32;
  int64_t n_routed_experts = 8;
  int64_t n_shared_experts = 1;
  int64_t num_experts_per_tok = 2;
  int64_t n_group = 2;
  int64_t topk_group = 1;
  bool norm_topk_prob = true;
  std::string scoring_func = "sigmoid";
  double routed_scaling_factor = 1.0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000.0;
  int64_t max_position_embeddings = 512;
  bool tie_word_embeddings = false;
  // From here on none of the fields below: what the file of a published model says, or what a stage trains, never set
  // by hand.
  bool attention_bias = false;  // llama, qwen3: biases on q, k, v and the output projection
  RopeScaling rope_scaling;
  // 0: language model. 1: a scalar head `score.weight` [1, D] and neither language head nor prediction module.
  int64_t num_labels = 0;

  template <class V>
  void Fields(V& v) {
    v("model_type", model_type,
      "deepseek_v3 or deepseek_v2 (latent attention, experts); llama, qwen2 or qwen3 (grouped-query attention, dense)");
    v("vocab_size", vocab_size, "rows of embedding and head; 0: taken from the tokenizer, rounded up to 32");
    v("hidden_size", hidden_size, "model width, a multiple of 32");
    v("intermediate_size", intermediate_size, "width of a dense FFN");
    v("moe_intermediate_size", moe_intermediate_size, "width of one expert");
    v("num_hidden_layers", num_hidden_layers, "layers of the main model");
    v("num_nextn_predict_layers", num_nextn_predict_layers,
      "multi-token prediction modules (0 or 1), used as a training loss");
    v("first_k_dense_replace", first_k_dense_replace, "first layers with a dense FFN instead of experts");
    v("num_attention_heads", num_attention_heads, "query heads");
    v("num_key_value_heads", num_key_value_heads, "key-value heads (dense kinds)");
    v("head_dim", head_dim, "width of a head (dense kinds)");
    v("q_lora_rank", q_lora_rank, "query latent width, 0: none (latent attention)");
    v("kv_lora_rank", kv_lora_rank, "key-value latent width (latent attention)");
    v("qk_nope_head_dim", qk_nope_head_dim, "unrotated part of a key (latent attention)");
    v("qk_rope_head_dim", qk_rope_head_dim, "rotated part of a key, shared by the heads (latent attention)");
    v("v_head_dim", v_head_dim, "width of a value head (latent attention)");
    v("n_routed_experts", n_routed_experts, "routed experts of an MoE layer");
    v("n_shared_experts", n_shared_experts, "shared experts (one FFN of that many times the expert width)");
    v("num_experts_per_tok", num_experts_per_tok, "routed experts a token uses");
    v("n_group", n_group, "expert groups");
    v("topk_group", topk_group, "groups a token may use");
    v("norm_topk_prob", norm_topk_prob, "weights of the chosen experts sum to one");
    v("scoring_func", scoring_func, "sigmoid (V3) or softmax (V2)");
    v("routed_scaling_factor", routed_scaling_factor, "factor on the routed experts' weights");
    v("rms_norm_eps", rms_norm_eps, "epsilon of the norms");
    v("rope_theta", rope_theta, "base of the rotary frequencies");
    v("max_position_embeddings", max_position_embeddings, "longest sequence, tokens");
    v("tie_word_embeddings", tie_word_embeddings, "the head is the embedding");
  }

  bool is_mla() const { return model_type == "deepseek_v3" || model_type == "deepseek_v2"; }
  bool has_router_bias() const { return model_type == "deepseek_v3"; }
  bool has_qkv_bias() const { return model_type == "qwen2" || attention_bias; }
  bool has_qk_norm() const { return model_type == "qwen3"; }
  bool is_moe_layer(int64_t layer) const { return is_mla() && layer >= first_k_dense_replace && n_routed_experts > 0; }
  int64_t qk_dim() const { return is_mla() ? qk_nope_head_dim + qk_rope_head_dim : head_dim; }
  int64_t v_dim() const { return is_mla() ? v_head_dim : head_dim; }
  bool head_is_embedding() const { return tie_word_embeddings && num_labels == 0; }
  int64_t kv_heads() const { return is_mla() ? num_attention_heads : num_key_value_heads; }
};

// Every impossible size is an error that names the field. where: the file or flag the values came from.
// A stored model, which float32 inference takes (infer/float_runner.h), and what Model (model/model.h) computes with:
// of these only sizes that fill the lanes of its bf16 products.
Status ValidateStoredConfig(const ModelConfig& config, const std::string& where);
Status ValidateModelConfig(const ModelConfig& config, const std::string& where);

// Named presets: mini-v3, mini-dense (equal size, for comparison), student-64 and student-32 (a quarter and a tenth of
// it, for distillation), mini and A (benchmark shapes of docs), tiny and one tiny model of each published kind (tests).
Result<ModelConfig> ModelPreset(const std::string& name);
std::vector<std::string> ModelPresetNames();

// Hugging Face config.json text, and back. Fields that this program does not know are refused when they change the
// arithmetic.
std::string ModelConfigToJson(const ModelConfig& config);
Result<ModelConfig> ModelConfigFromJson(const std::string& text, const std::string& where);

}  // namespace r1
