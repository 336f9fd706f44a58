// For tests: every kind of model, with language or scalar head, in plain double precision, written from the DeepSeek-V3
// report, the reference pages of Llama and Qwen and the Hugging Face parameter names. No kernels, no bf16, no batching:
// one loop per formula. Gradients come from central differences of it, so it has no backward to get wrong.
//
//   h = embed(t);  h += Attention(RMSNorm(h));  h += FFN(RMSNorm(h));  logits = head(RMSNorm(h))
//   llama, qwen2, qwen3: grouped queries, rotation of pairs (i, i + d/2).    deepseek_v2, deepseek_v3: latent
//   attention, rotation of pairs (2i, 2i + 1), routing.
// Expert choices can be frozen, so that a small change of the parameters cannot make the function jump.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "model/config.h"
#include "model/params.h"

namespace r1::reference {

using Vec = std::vector<double>;
using Rows = std::vector<Vec>;

struct Sequence {
  std::vector<int32_t> tokens;
  int64_t loss_from = 1;  // targets are tokens[loss_from ..]
};

struct Options {
  double inv_temperature = 1;
  bool mtp = false;
  double balance_alpha = 0;
  bool absorbed = false;  // latent attention in its other form: over the latents themselves
};

struct Output {
  Rows logp, entropy;         // [sequence][target]
  std::vector<Rows> logits;   // [sequence][input token][V], inputs being all tokens but the last
  Rows values;                // [sequence][token], with a scalar head (and then none of the rest)
  Rows mtp_logp;              // [sequence][target of the prediction module]
  double balance = 0;         // alpha * sum f P, summed over layers, mean over sequences
  std::vector<int64_t> load;  // [layers (with prediction modules), E]
  double margin = 1e300;      // smallest distance, in score, of a chosen expert or group to the best one left out
};

class Model {
 public:
  explicit Model(const ModelConfig& config) : c_(config) {
    for (const ParamSpec& spec : ListParams(config).specs) specs_[spec.name] = spec;
  }
  // The choices made by the last Forward are kept (and reused by every later one) until Thaw.
  void Freeze() { frozen_ = true; }
  void Thaw() { frozen_ = false; }

  // flat: parameters, laid out as in model/params.h.
  Output Forward(const double* flat, const std::vector<Sequence>& sequences, const Options& options) {
    flat_ = flat;
    out_ = Output{};
    absorbed_ = options.absorbed;
    if (Latent())
      out_.load.assign(static_cast<size_t>((c_.num_hidden_layers + c_.num_nextn_predict_layers) * c_.n_routed_experts),
                       0);
    alpha_ = options.balance_alpha / static_cast<double>(sequences.size());
    for (size_t s = 0; s < sequences.size(); ++s) {
      sequence_ = s;
      RunSequence(sequences[s], options);
    }
    return out_;
  }

 private:
  bool Latent() const { return c_.model_type == "deepseek_v2" || c_.model_type == "deepseek_v3"; }
  bool Routed(int64_t layer) const { return Latent() && c_.n_routed_experts > 0 && layer >= c_.first_k_dense_replace; }
  const double* P(const std::string& name) const {
    const auto at = specs_.find(name);
    R1_CHECK(at != specs_.end(), "reference: no parameter " + name);
    return flat_ + at->second.offset;
  }
  Vec Linear(const std::string& name, const Vec& x) const {
    const ParamSpec& spec = specs_.at(name);
    R1_CHECK(spec.cols == static_cast<int64_t>(x.size()), "reference: width of " + name);
    const double* w = P(name);
    Vec y(static_cast<size_t>(spec.rows));
    for (int64_t n = 0; n < spec.rows; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < spec.cols; ++k) sum += w[n * spec.cols + k] * x[static_cast<size_t>(k)];
      y[static_cast<size_t>(n)] = sum;
    }
    return y;
  }
  Vec Norm(const std::string& name, const Vec& x) const {
    double squares = 0;
    for (double v : x) squares += v * v;
    const double r = 1 / std::sqrt(squares / static_cast<double>(x.size()) + c_.rms_norm_eps);
    const double* w = P(name);
    Vec y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * r * w[i];
    return y;
  }
  static Vec Slice(const Vec& x, int64_t first, int64_t count) {
    return Vec(x.begin() + first, x.begin() + first + count);
  }
  static void Add(Vec& y, const Vec& x, double factor = 1) {
    for (size_t i = 0; i < y.size(); ++i) y[i] += factor * x[i];
  }
  static double Dot(const Vec& a, const Vec& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }
  // Angle of pair i of a rotated width d, a position apart.
  double Frequency(size_t i, double d) const {
    const double pi = std::acos(-1.0), f = std::pow(c_.rope_theta, -2.0 * static_cast<double>(i) / d);
    const RopeScaling& s = c_.rope_scaling;
    const double length = static_cast<double>(s.original_max_position_embeddings);
    if (s.rope_type == "linear") return f / s.factor;
    if (s.rope_type == "llama3") {
      const double turns = length * f / (2 * pi);  // of this pair in the old context
      if (turns > s.high_freq_factor) return f;
      if (turns < s.low_freq_factor) return f / s.factor;
      const double keep = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
      return f * (keep + (1 - keep) / s.factor);
    }
    if (s.rope_type == "yarn") {
      const auto dimension = [&](double turns) {
        return d / 2 * std::log(length / (2 * pi * turns)) / std::log(c_.rope_theta);
      };
      double first = std::floor(dimension(s.beta_fast)), last = std::ceil(dimension(s.beta_slow));
      if (first < 0) first = 0;
      if (last > d - 1) last = d - 1;
      if (first == last) last += 0.001;
      double part = (static_cast<double>(i) - first) / (last - first);
      if (part < 0) part = 0;
      if (part > 1) part = 1;
      return f * (1 - part + part / s.factor);
    }
    return f;
  }
  static double YarnGain(double factor, double mscale) { return 1 + 0.1 * mscale * std::log(factor); }
  double RotationLength() const {
    const RopeScaling& s = c_.rope_scaling;
    if (s.rope_type != "yarn") return 1;
    if (s.attention_factor != 0) return s.attention_factor;
    if (s.mscale != 0 && s.mscale_all_dim != 0)
      return YarnGain(s.factor, s.mscale) / YarnGain(s.factor, s.mscale_all_dim);
    return YarnGain(s.factor, 1);
  }
  Vec Rotate(const Vec& x, int64_t position, bool interleaved) const {
    const size_t half = x.size() / 2;
    const double length = RotationLength();
    Vec y(x.size());
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * Frequency(i, static_cast<double>(x.size()));
      const size_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + half;
      y[a] = length * (x[a] * std::cos(angle) - x[b] * std::sin(angle));
      y[b] = length * (x[a] * std::sin(angle) + x[b] * std::cos(angle));
    }
    return y;
  }
  Vec Biased(const std::string& matrix, const Vec& x, bool with_bias) const {
    Vec y = Linear(matrix + ".weight", x);
    for (size_t i = 0; with_bias && i < y.size(); ++i) y[i] += P(matrix + ".bias")[i];
    return y;
  }
  Vec Embedding(int32_t token) const {
    const double* row = P("model.embed_tokens.weight") + token * c_.hidden_size;
    return Vec(row, row + c_.hidden_size);
  }
  static double Silu(double x) { return x / (1 + std::exp(-x)); }
  Vec Ffn(const std::string& p, const Vec& x) const {
    Vec gate = Linear(p + "gate_proj.weight", x);
    const Vec up = Linear(p + "up_proj.weight", x);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = Silu(gate[i]) * up[i];
    return Linear(p + "down_proj.weight", gate);
  }

  // Queries, keys and values of every position and head.
  struct Heads {
    std::vector<Rows> q, k, v;  // [head][position]
  };
  Heads GroupedHeads(const std::string& a, const Rows& x) const {
    const int64_t heads = c_.num_attention_heads, group = heads / c_.num_key_value_heads, d = c_.head_dim;
    Heads out{std::vector<Rows>(static_cast<size_t>(heads)), std::vector<Rows>(static_cast<size_t>(heads)),
              std::vector<Rows>(static_cast<size_t>(heads))};
    for (size_t t = 0; t < x.size(); ++t) {
      const bool bias = c_.model_type == "qwen2" || c_.attention_bias, normed = c_.model_type == "qwen3";
      const Vec q = Biased(a + "q_proj", x[t], bias), k = Biased(a + "k_proj", x[t], bias),
                v = Biased(a + "v_proj", x[t], bias);
      for (int64_t h = 0; h < heads; ++h) {
        Vec qh = Slice(q, h * d, d), kh = Slice(k, h / group * d, d);
        if (normed) {
          qh = Norm(a + "q_norm.weight", qh);
          kh = Norm(a + "k_norm.weight", kh);
        }
        out.q[static_cast<size_t>(h)].push_back(Rotate(qh, static_cast<int64_t>(t), false));
        out.k[static_cast<size_t>(h)].push_back(Rotate(kh, static_cast<int64_t>(t), false));
        out.v[static_cast<size_t>(h)].push_back(Slice(v, h / group * d, d));
      }
    }
    return out;
  }
  Heads LatentHeads(const std::string& a, const Rows& x) const {
    const int64_t heads = c_.num_attention_heads, nope = c_.qk_nope_head_dim, rope = c_.qk_rope_head_dim,
                  dv = c_.v_head_dim;
    Heads out{std::vector<Rows>(static_cast<size_t>(heads)), std::vector<Rows>(static_cast<size_t>(heads)),
              std::vector<Rows>(static_cast<size_t>(heads))};
    for (size_t t = 0; t < x.size(); ++t) {
      const int64_t position = static_cast<int64_t>(t);
      Vec q;
      if (c_.q_lora_rank > 0) {
        q = Linear(a + "q_b_proj.weight", Norm(a + "q_a_layernorm.weight", Linear(a + "q_a_proj.weight", x[t])));
      } else {
        q = Linear(a + "q_proj.weight", x[t]);
      }
      const Vec ckv = Linear(a + "kv_a_proj_with_mqa.weight", x[t]);
      const Vec k_pe = Rotate(Slice(ckv, c_.kv_lora_rank, rope), position, true);
      const Vec latent = Norm(a + "kv_a_layernorm.weight", Slice(ckv, 0, c_.kv_lora_rank));
      const Vec kv = Linear(a + "kv_b_proj.weight", latent);
      for (int64_t h = 0; h < heads; ++h) {
        Vec qh = Slice(q, h * (nope + rope), nope), kh = Slice(kv, h * (nope + dv), nope);
        const Vec q_pe = Rotate(Slice(q, h * (nope + rope) + nope, rope), position, true);
        if (absorbed_) {
          qh = QueryOfLatent(a, h, qh);
          kh = latent;
        }
        qh.insert(qh.end(), q_pe.begin(), q_pe.end());
        kh.insert(kh.end(), k_pe.begin(), k_pe.end());
        out.q[static_cast<size_t>(h)].push_back(std::move(qh));
        out.k[static_cast<size_t>(h)].push_back(std::move(kh));
        out.v[static_cast<size_t>(h)].push_back(absorbed_ ? latent : Slice(kv, h * (nope + dv) + nope, dv));
      }
    }
    return out;
  }
  // Absorbed: rows of kv_b of one head are Wuk above Wuv. q_nope becomes Wukᵀ q_nope, a mixture of latents Wuv times
  // it.
  const double* KvB(const std::string& a, int64_t h) const {
    return P(a + "kv_b_proj.weight") + h * (c_.qk_nope_head_dim + c_.v_head_dim) * c_.kv_lora_rank;
  }
  Vec QueryOfLatent(const std::string& a, int64_t h, const Vec& q_nope) const {
    Vec y(static_cast<size_t>(c_.kv_lora_rank), 0.0);
    for (int64_t i = 0; i < c_.qk_nope_head_dim; ++i) {
      const double* row = KvB(a, h) + i * c_.kv_lora_rank;
      Add(y, Vec(row, row + c_.kv_lora_rank), q_nope[static_cast<size_t>(i)]);
    }
    return y;
  }
  Vec ValueOfLatent(const std::string& a, int64_t h, const Vec& mixed) const {
    Vec y;
    for (int64_t i = 0; i < c_.v_head_dim; ++i) {
      const double* row = KvB(a, h) + (c_.qk_nope_head_dim + i) * c_.kv_lora_rank;
      y.push_back(Dot(Vec(row, row + c_.kv_lora_rank), mixed));
    }
    return y;
  }
  // Causal softmax attention of every head, heads side by side, then the output projection.
  Rows Attention(const std::string& a, const Rows& x) const {
    const Heads heads = Latent() ? LatentHeads(a, x) : GroupedHeads(a, x);
    const int64_t width = Latent() ? c_.qk_nope_head_dim + c_.qk_rope_head_dim : c_.head_dim;
    double scale = 1 / std::sqrt(static_cast<double>(width));
    if (Latent() && c_.rope_scaling.rope_type == "yarn")
      scale *= std::pow(YarnGain(c_.rope_scaling.factor, c_.rope_scaling.mscale_all_dim), 2);
    Rows out(x.size());
    for (size_t h = 0; h < heads.q.size(); ++h) {
      for (size_t t = 0; t < x.size(); ++t) {
        Vec p(t + 1), mixed(heads.v[h][0].size(), 0.0);
        double top = -1e300, sum = 0;
        for (size_t s = 0; s <= t; ++s) top = std::max(top, p[s] = scale * Dot(heads.q[h][t], heads.k[h][s]));
        for (double& v : p) sum += (v = std::exp(v - top));
        for (size_t s = 0; s <= t; ++s) Add(mixed, heads.v[h][s], p[s] / sum);
        if (Latent() && absorbed_) mixed = ValueOfLatent(a, static_cast<int64_t>(h), mixed);
        out[t].insert(out[t].end(), mixed.begin(), mixed.end());
      }
    }
    for (Vec& row : out) row = Biased(a + "o_proj", row, c_.attention_bias);
    return out;
  }

  static double Nth(Vec values, size_t n) {  // the n-th largest, from 0
    std::sort(values.begin(), values.end(), std::greater<>());
    return values[n];
  }
  // The experts of one token, in the published order (report sec. 2.1.2; steps 3 to 7 of the reference page).
  std::vector<int64_t> Choose(const Vec& score, const double* bias) {
    const bool softmax = c_.scoring_func == "softmax";
    const size_t experts = score.size(), groups = static_cast<size_t>(c_.n_group), size = experts / groups;
    Vec choice(score);
    for (size_t e = 0; !softmax && e < experts; ++e) choice[e] += bias[e];
    std::vector<size_t> order(groups);
    Vec group_score(groups);
    for (size_t g = 0; g < groups; ++g) {
      const Vec members(choice.begin() + static_cast<int64_t>(g * size),
                        choice.begin() + static_cast<int64_t>((g + 1) * size));
      group_score[g] = softmax || size == 1 ? Nth(members, 0) : Nth(members, 0) + Nth(members, 1);
      order[g] = g;
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return group_score[a] > group_score[b]; });
    const size_t kept = static_cast<size_t>(c_.topk_group);
    if (kept < groups) out_.margin = std::min(out_.margin, group_score[order[kept - 1]] - group_score[order[kept]]);
    std::vector<std::pair<double, int64_t>> open;  // most wanted first, lower index first among equals
    for (size_t g = 0; g < kept; ++g) {
      for (size_t e = order[g] * size; e < (order[g] + 1) * size; ++e)
        open.emplace_back(-choice[e], static_cast<int64_t>(e));
    }
    std::sort(open.begin(), open.end());
    const size_t k = static_cast<size_t>(c_.num_experts_per_tok);
    if (k < open.size()) out_.margin = std::min(out_.margin, open[k].first - open[k - 1].first);
    std::vector<int64_t> chosen;
    for (size_t i = 0; i < k; ++i) chosen.push_back(open[i].second);
    return chosen;
  }

  Rows Experts(const std::string& p, int64_t layer, const Rows& x) {
    const size_t experts = static_cast<size_t>(c_.n_routed_experts);
    const double t_count = static_cast<double>(x.size());
    Vec count(experts, 0.0), share(experts, 0.0);  // of this sequence: tokens routed, mean normalised score
    Rows out;
    for (size_t t = 0; t < x.size(); ++t) {
      Vec score = Linear(p + "gate.weight", x[t]);
      double total = 0;
      if (c_.scoring_func == "softmax") {
        const double top = *std::max_element(score.begin(), score.end());
        for (double& s : score) total += (s = std::exp(s - top));
        for (double& s : score) s /= total;
        total = 1;
      } else {
        for (double& s : score) total += (s = 1 / (1 + std::exp(-s)));
      }
      std::vector<int64_t>& chosen = choices_[{layer, sequence_, t}];
      const bool corrected = c_.model_type == "deepseek_v3";
      if (!frozen_) chosen = Choose(score, corrected ? P(p + "gate.e_score_correction_bias") : nullptr);
      double sum = 0;
      for (int64_t e : chosen) sum += score[static_cast<size_t>(e)];
      Vec y(x[t].size(), 0.0);
      for (int64_t e : chosen) {
        const double weight =
            c_.routed_scaling_factor * score[static_cast<size_t>(e)] / (c_.norm_topk_prob ? sum + 1e-20 : 1.0);
        Add(y, Ffn(p + "experts." + std::to_string(e) + ".", x[t]), weight);
        count[static_cast<size_t>(e)] += 1;
        ++out_.load[static_cast<size_t>(layer) * experts + static_cast<size_t>(e)];
      }
      if (c_.n_shared_experts > 0) Add(y, Ffn(p + "shared_experts.", x[t]));
      for (size_t e = 0; e < experts; ++e) share[e] += score[e] / total / t_count;
      out.push_back(std::move(y));
    }
    for (size_t e = 0; e < experts; ++e) {
      const double f =
          static_cast<double>(experts) / (static_cast<double>(c_.num_experts_per_tok) * t_count) * count[e];
      out_.balance += alpha_ * f * share[e];
    }
    return out;
  }

  void Block(int64_t layer, Rows& x) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Rows in;
    for (const Vec& row : x) in.push_back(Norm(p + "input_layernorm.weight", row));
    const Rows attended = Attention(p + "self_attn.", in);
    for (size_t t = 0; t < x.size(); ++t) {
      Add(x[t], attended[t]);
      in[t] = Norm(p + "post_attention_layernorm.weight", x[t]);
    }
    if (Routed(layer)) {
      const Rows y = Experts(p + "mlp.", layer, in);
      for (size_t t = 0; t < x.size(); ++t) Add(x[t], y[t]);
    } else {
      for (size_t t = 0; t < x.size(); ++t) Add(x[t], Ffn(p + "mlp.", in[t]));
    }
  }

  struct TokenFacts {
    double logp, entropy;
  };
  Vec Logits(const Vec& h) const {
    return Linear(c_.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight", h);
  }
  static TokenFacts Predict(Vec z, int32_t target, double inv_temperature) {
    for (double& v : z) v *= inv_temperature;
    const double top = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (double v : z) sum += std::exp(v - top);
    const double lse = top + std::log(sum);
    TokenFacts facts{z[static_cast<size_t>(target)] - lse, 0};
    for (double v : z) facts.entropy -= std::exp(v - lse) * (v - lse);
    return facts;
  }

  void RunSequence(const Sequence& s, const Options& options) {
    const int64_t n = static_cast<int64_t>(s.tokens.size());
    Rows x;
    const bool scalar = c_.num_labels == 1;
    for (int64_t t = 0; t + (scalar ? 0 : 1) < n; ++t) x.push_back(Embedding(s.tokens[static_cast<size_t>(t)]));
    for (int64_t layer = 0; layer < c_.num_hidden_layers; ++layer) Block(layer, x);
    for (Vec& row : x) row = Norm("model.norm.weight", row);
    if (scalar) {
      out_.values.emplace_back();
      for (const Vec& row : x) out_.values.back().push_back(Linear("score.weight", row)[0]);
      return;
    }
    out_.logits.emplace_back();
    for (const Vec& row : x) out_.logits.back().push_back(Logits(row));
    out_.logp.emplace_back();
    out_.entropy.emplace_back();
    for (int64_t target = s.loss_from; target < n; ++target) {
      const TokenFacts facts = Predict(out_.logits.back()[static_cast<size_t>(target - 1)],
                                       s.tokens[static_cast<size_t>(target)], options.inv_temperature);
      out_.logp.back().push_back(facts.logp);
      out_.entropy.back().push_back(facts.entropy);
    }
    if (!options.mtp) return;
    // The prediction module: embedding of the next token first, then the hidden state after the final norm.
    const std::string p = "model.layers." + std::to_string(c_.num_hidden_layers) + ".";
    for (size_t t = 0; t < x.size(); ++t) {
      Vec both = Norm(p + "enorm.weight", Embedding(s.tokens[t + 1]));
      const Vec hidden = Norm(p + "hnorm.weight", x[t]);
      both.insert(both.end(), hidden.begin(), hidden.end());
      x[t] = Linear(p + "eh_proj.weight", both);
    }
    Block(c_.num_hidden_layers, x);
    out_.mtp_logp.emplace_back();
    for (int64_t target = std::max<int64_t>(s.loss_from, 2); target < n; ++target) {
      const Vec h = Norm(p + "shared_head.norm.weight", x[static_cast<size_t>(target - 2)]);
      out_.mtp_logp.back().push_back(Predict(Logits(h), s.tokens[static_cast<size_t>(target)], 1.0).logp);
    }
  }

  ModelConfig c_;
  std::map<std::string, ParamSpec> specs_;
  const double* flat_ = nullptr;
  bool frozen_ = false, absorbed_ = false;
  std::map<std::tuple<int64_t, size_t, size_t>, std::vector<int64_t>> choices_;  // layer, sequence, position
  size_t sequence_ = 0;
  double alpha_ = 0;
  Output out_;
};

}  // namespace r1::reference
