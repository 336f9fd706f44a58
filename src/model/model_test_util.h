// For tests of models: small configs with awkward sizes, models with values that are all visible in the result,
// sequences packed into one batch, and forward and backward of the product model on them, to be compared with
// reference_model.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "model/model.h"
#include "model/reference_model.h"

namespace r1 {

// Distance in score between what a router takes and what it leaves, above which bf16 rounding before the router cannot
// change the choice.
constexpr double kClearMargin = 0.004;

struct NamedConfig {
  std::string name;
  ModelConfig config;
};
inline void PrintTo(const NamedConfig& c, std::ostream* out) { *out << c.name; }

// The fields of DeepSeek-V3's published config.json.
inline ModelConfig PublishedV3() {
  ModelConfig c;
  c.vocab_size = 129280;
  c.hidden_size = 7168;
  c.intermediate_size = 18432;
  c.moe_intermediate_size = 2048;
  c.num_hidden_layers = 61;
  c.num_nextn_predict_layers = 1;
  c.first_k_dense_replace = 3;
  c.num_attention_heads = 128;
  c.q_lora_rank = 1536;
  c.kv_lora_rank = 512;
  c.qk_nope_head_dim = 128;
  c.qk_rope_head_dim = 64;
  c.v_head_dim = 128;
  c.n_routed_experts = 256;
  c.num_experts_per_tok = 8;
  c.n_group = 8;
  c.topk_group = 4;
  c.routed_scaling_factor = 2.5;
  c.max_position_embeddings = 163840;
  return c;
}

inline ModelConfig TestDense(int64_t width, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t ffn,
                             int64_t vocab) {
  ModelConfig c;
  c.model_type = "llama";
  c.vocab_size = vocab;
  c.hidden_size = width;
  c.intermediate_size = ffn;
  c.num_hidden_layers = 2;
  c.num_attention_heads = heads;
  c.num_key_value_heads = kv_heads;
  c.head_dim = head_dim;
  c.max_position_embeddings = 128;
  return c;
}

inline ModelConfig TestV3() {
  ModelConfig c;
  c.vocab_size = 45;
  c.hidden_size = 64;
  c.intermediate_size = 48;
  c.moe_intermediate_size = 32;
  c.num_hidden_layers = 2;
  c.first_k_dense_replace = 1;
  c.num_attention_heads = 2;
  c.kv_lora_rank = 32;
  c.qk_nope_head_dim = 16;
  c.qk_rope_head_dim = 16;
  c.v_head_dim = 32;
  c.n_routed_experts = 8;
  c.num_experts_per_tok = 2;
  c.n_group = 2;
  c.topk_group = 1;
  c.max_position_embeddings = 128;
  return c;
}

// Every kind of model, and in them every branch: tied and untied heads, grouped queries, biases, normed heads, every
// scaling of the rotary frequencies (with a context short enough to be seen), with and without query latent, sigmoid
// and softmax gates, groups, several or no shared experts, a prediction module; widths that are no multiple of 32, 16
// or even 8.
inline std::vector<NamedConfig> TestConfigs() {
  std::vector<NamedConfig> list;
  list.push_back({"llama_grouped", TestDense(64, 4, 2, 16, 40, 45)});
  list.push_back({"llama_tied", TestDense(32, 2, 2, 32, 32, 33)});
  list.back().config.tie_word_embeddings = true;
  list.push_back({"llama_3", TestDense(64, 4, 2, 16, 40, 45)});
  list.back().config.rope_theta = 100;
  list.back().config.rope_scaling = {.rope_type = "llama3", .factor = 8, .original_max_position_embeddings = 24};
  list.push_back({"llama_biased", TestDense(64, 2, 1, 32, 40, 45)});
  list.back().config.attention_bias = true;
  list.back().config.rope_scaling = {.rope_type = "linear", .factor = 2};
  list.push_back({"qwen2", TestDense(64, 4, 2, 16, 40, 45)});
  list.back().config.model_type = "qwen2";
  list.back().config.tie_word_embeddings = true;
  list.push_back({"qwen3", TestDense(64, 4, 2, 32, 40, 45)});
  list.back().config.model_type = "qwen3";
  list.back().config.rope_theta = 100;
  list.back().config.rope_scaling = {.rope_type = "yarn", .factor = 4, .original_max_position_embeddings = 32};
  list.push_back({"v2_lite", TestV3()});
  {
    ModelConfig& v2 = list.back().config;
    v2.model_type = "deepseek_v2";
    v2.scoring_func = "softmax";
    v2.norm_topk_prob = false;
    v2.rope_theta = 100;
    v2.rope_scaling = {.rope_type = "yarn",
                       .factor = 40,
                       .original_max_position_embeddings = 32,
                       .mscale = 0.707,
                       .mscale_all_dim = 1.0};
  }
  list.push_back({"v3_plain", TestV3()});
  list.push_back({"v3_query_latent", TestV3()});
  ModelConfig* c = &list.back().config;
  c->q_lora_rank = 24;
  c->kv_lora_rank = 40;
  c->qk_nope_head_dim = 13;
  c->qk_rope_head_dim = 6;
  c->v_head_dim = 16;
  c->moe_intermediate_size = 20;
  c->num_hidden_layers = 1;
  c->first_k_dense_replace = 0;
  c->n_routed_experts = 6;
  c->num_experts_per_tok = 3;
  c->n_group = 3;
  c->topk_group = 2;
  c->n_shared_experts = 2;
  c->routed_scaling_factor = 2.5;
  c->num_nextn_predict_layers = 1;
  list.push_back({"v3_softmax", TestV3()});
  c = &list.back().config;
  c->scoring_func = "softmax";
  c->norm_topk_prob = false;
  c->routed_scaling_factor = 3.0;
  c->n_shared_experts = 0;
  c->qk_nope_head_dim = 32;
  c->v_head_dim = 16;
  c->tie_word_embeddings = true;
  list.push_back({"v3_no_experts", TestV3()});
  c = &list.back().config;
  c->n_routed_experts = 0;
  c->num_hidden_layers = 1;
  c->num_nextn_predict_layers = 1;
  return list;
}

// Random values everywhere: norms around 1, router biases around 0, matrices large enough that every part matters. With
// `rounded`, every matrix is bf16 already, so that the packed copies hold the same numbers.
inline void FillParams(const ParamList& list, float* flat, uint64_t seed, bool rounded = true) {
  Rng rng(seed, Stream::kTest, 1);
  for (const ParamSpec& spec : list.specs) {
    const bool lookup = spec.name == "model.embed_tokens.weight";
    for (int64_t i = 0; i < spec.count(); ++i) {
      float& w = flat[spec.offset + i];
      if (spec.kind == ParamKind::kNorm) {
        w = static_cast<float>(1 + 0.2 * rng.Normal());
      } else if (spec.kind == ParamKind::kRouterBias || spec.kind == ParamKind::kBias) {
        w = static_cast<float>((spec.kind == ParamKind::kBias ? 0.5 : 0.1) * rng.Normal());
      } else {
        w = static_cast<float>((lookup ? 0.3 : 1.5 / std::sqrt(static_cast<double>(spec.cols))) * rng.Normal());
        if (rounded) w = ToFloat(ToBf16(w));
      }
    }
  }
}
inline void FillModel(Model& model, uint64_t seed, bool rounded = true) {
  FillParams(model.params(), model.data(), seed, rounded);
}

inline std::vector<double> FlatCopy(const Model& model) { return {model.data(), model.data() + model.params().total}; }

inline std::vector<reference::Sequence> RandomSequences(int64_t vocab, const std::vector<int64_t>& lengths,
                                                        uint64_t seed) {
  std::vector<reference::Sequence> out;
  Rng rng(seed, Stream::kTest, 2);
  for (int64_t n : lengths) {
    reference::Sequence s;
    for (int64_t i = 0; i < n; ++i) s.tokens.push_back(static_cast<int32_t>(rng.Below(static_cast<uint64_t>(vocab))));
    s.loss_from = 1 + static_cast<int64_t>(rng.Below(static_cast<uint64_t>(std::min<int64_t>(n - 1, 4))));
    out.push_back(std::move(s));
  }
  return out;
}

// Sequences side by side in one batch; the last token of each is only a target.
struct PackedBatch {
  std::vector<int32_t> token, position, next, row, target, mtp_row, mtp_target;
  std::vector<Segment> segments;
  explicit PackedBatch(const std::vector<reference::Sequence>& sequences) {
    for (const reference::Sequence& s : sequences) {
      const int64_t first = static_cast<int64_t>(token.size()), inputs = static_cast<int64_t>(s.tokens.size()) - 1;
      segments.push_back({first, inputs, 0, 0});
      for (int64_t i = 0; i < inputs; ++i) {
        const size_t at = static_cast<size_t>(i);
        token.push_back(s.tokens[at]);
        position.push_back(static_cast<int32_t>(i));
        next.push_back(s.tokens[at + 1]);
        if (i + 1 >= s.loss_from) {
          row.push_back(static_cast<int32_t>(first + i));
          target.push_back(s.tokens[at + 1]);
        }
        if (i + 1 < inputs && i + 2 >= s.loss_from) {
          mtp_row.push_back(static_cast<int32_t>(first + i));
          mtp_target.push_back(s.tokens[at + 2]);
        }
      }
    }
  }
  Batch batch() const { return {token.data(), position.data(), static_cast<int64_t>(token.size()), segments}; }
};

// What is differentiated: sum of dlogp * logp + dentropy * entropy over the targets, minus mtp_weight times the mean
// log-probability of the prediction module's targets, plus the balance loss.
struct Objective {
  std::vector<float> dlogp, dentropy;  // in the order of PackedBatch::row; empty: zero
  float inv_temperature = 1;
  float mtp_weight = 0, balance_alpha = 0;
  reference::Options options() const {
    return {static_cast<double>(inv_temperature), mtp_weight > 0, static_cast<double>(balance_alpha)};
  }
  double Value(const reference::Output& out) const {
    double value = out.balance;
    size_t i = 0;
    for (size_t s = 0; s < out.logp.size(); ++s) {
      for (size_t t = 0; t < out.logp[s].size(); ++t, ++i) {
        if (!dlogp.empty()) value += static_cast<double>(dlogp[i]) * out.logp[s][t];
        if (!dentropy.empty()) value += static_cast<double>(dentropy[i]) * out.entropy[s][t];
      }
    }
    double mtp = 0, count = 0;
    for (const reference::Vec& sequence : out.mtp_logp) {
      for (double logp : sequence) mtp -= logp;
      count += static_cast<double>(sequence.size());
    }
    return value + (count > 0 ? static_cast<double>(mtp_weight) * mtp / count : 0.0);
  }
};

// What the product model computes for a batch; gradient is flat as what is trained and empty without a backward pass.
struct ProductResult {
  std::vector<float> logp, entropy, mtp_logp, gradient;
  std::vector<int64_t> load;
  double balance = 0;
};

inline ProductResult RunProduct(Context& ctx, const Model& model, const std::vector<reference::Sequence>& sequences,
                                const Objective& objective, bool backward) {
  const ModelConfig& c = model.config();
  const PackedBatch packed(sequences);
  ProductResult out;
  out.gradient.assign(backward ? static_cast<size_t>(model.trained().total) : 0, 0.0f);
  ctx.Reset();
  ctx.recording = backward;
  ctx.param_grad = out.gradient.data();
  RoutingStats stats;
  if (c.is_mla())
    stats.load.assign(static_cast<size_t>((c.num_hidden_layers + c.num_nextn_predict_layers) * c.n_routed_experts), 0);
  stats.balance_alpha = objective.balance_alpha;
  stats.balance_scale = 1.0f / static_cast<float>(sequences.size());
  Var* hidden = model.Forward(ctx, packed.batch(), nullptr, &stats);
  const int64_t r = static_cast<int64_t>(packed.row.size());
  LogProbs* first =
      HeadLogProbs(ctx, hidden, model.head(), packed.row.data(), packed.target.data(), r, objective.inv_temperature);
  for (int64_t i = 0; i < r; ++i) {
    if (!objective.dlogp.empty()) first->dlogp[i] = objective.dlogp[static_cast<size_t>(i)];
    if (!objective.dentropy.empty()) first->dentropy[i] = objective.dentropy[static_cast<size_t>(i)];
  }
  out.logp.assign(first->logp, first->logp + r);
  out.entropy.assign(first->entropy, first->entropy + r);
  if (objective.mtp_weight > 0) {
    const int64_t m = static_cast<int64_t>(packed.mtp_row.size());
    Var* mtp = model.ForwardMtp(ctx, packed.batch(), hidden, packed.next.data(), &stats);
    LogProbs* second = HeadLogProbs(ctx, mtp, model.head(), packed.mtp_row.data(), packed.mtp_target.data(), m, 1.0f);
    for (int64_t i = 0; i < m; ++i) second->dlogp[i] = -objective.mtp_weight / static_cast<float>(m);
    out.mtp_logp.assign(second->logp, second->logp + m);
  }
  if (backward) ctx.tape.Backward();
  out.load = stats.load;
  out.balance = static_cast<double>(stats.balance_loss * stats.balance_scale);
  return out;
}

}  // namespace r1
