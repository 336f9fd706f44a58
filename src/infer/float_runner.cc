#include "infer/float_runner.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/float_kernels.h"
#include "model/param_source.h"
#include "model/params.h"
#include "model/rope.h"

namespace r1 {

using kernels::FloatKernels;
using kernels::KernelTable;

Result<FloatModel> LoadFloatModel(const std::string& path) {
  // As LoadModel: memory is taken once every tensor is known to be there.
  R1_ASSIGN(const ModelSource source, OpenModelSource(path));
  FloatModel model;
  model.config = source.config;
  const ParamList list = ListParams(source.config);
  R1_ASSIGN(model.params, AlignedBuffer<float>::Create(list.total));
  R1_TRY(ReadParams(*source.params, list, model.params.data()));
  return Result<FloatModel>(std::move(model));
}

namespace {

struct Ffn {
  const float *gate, *up, *down;
};

// Names as in model/params.h; null: this kind of model has none.
struct Layer {
  const float *input_norm, *post_norm, *o, *o_bias;
  const float *q, *k, *v, *q_bias, *k_bias, *v_bias, *q_norm, *k_norm;
  const float *q_a, *q_a_norm, *q_b, *kv_a, *kv_a_norm, *kv_b;
  const float *router, *router_bias;
  std::vector<Ffn> experts;
  Ffn ffn;  // of a layer without experts, or the shared one beside them
};

class Parameters {
 public:
  Parameters(const ModelConfig& config, const float* flat) : flat_(flat) {
    for (const ParamSpec& spec : ListParams(config).specs) offset_[spec.name] = spec.offset;
  }
  const float* Find(const std::string& name) const {  // null: there is none
    const auto at = offset_.find(name);
    return at == offset_.end() ? nullptr : flat_ + at->second;
  }
  Ffn FindFfn(const std::string& p) const {
    return {Find(p + "gate_proj.weight"), Find(p + "up_proj.weight"), Find(p + "down_proj.weight")};
  }

 private:
  const float* flat_;
  std::unordered_map<std::string, int64_t> offset_;
};

Layer FindLayer(const Parameters& params, const ModelConfig& config, int64_t index) {
  const std::string p = "model.layers." + std::to_string(index) + ".", a = p + "self_attn.";
  Layer layer{};
  layer.input_norm = params.Find(p + "input_layernorm.weight");
  layer.post_norm = params.Find(p + "post_attention_layernorm.weight");
  layer.o = params.Find(a + "o_proj.weight");
  layer.o_bias = params.Find(a + "o_proj.bias");
  layer.q = params.Find(a + "q_proj.weight");
  layer.k = params.Find(a + "k_proj.weight");
  layer.v = params.Find(a + "v_proj.weight");
  layer.q_bias = params.Find(a + "q_proj.bias");
  layer.k_bias = params.Find(a + "k_proj.bias");
  layer.v_bias = params.Find(a + "v_proj.bias");
  layer.q_norm = params.Find(a + "q_norm.weight");
  layer.k_norm = params.Find(a + "k_norm.weight");
  layer.q_a = params.Find(a + "q_a_proj.weight");
  layer.q_a_norm = params.Find(a + "q_a_layernorm.weight");
  layer.q_b = params.Find(a + "q_b_proj.weight");
  layer.kv_a = params.Find(a + "kv_a_proj_with_mqa.weight");
  layer.kv_a_norm = params.Find(a + "kv_a_layernorm.weight");
  layer.kv_b = params.Find(a + "kv_b_proj.weight");
  if (!config.is_moe_layer(index)) {
    layer.ffn = params.FindFfn(p + "mlp.");
    return layer;
  }
  layer.router = params.Find(p + "mlp.gate.weight");
  layer.router_bias = params.Find(p + "mlp.gate.e_score_correction_bias");
  for (int64_t e = 0; e < config.n_routed_experts; ++e)
    layer.experts.push_back(params.FindFfn(p + "mlp.experts." + std::to_string(e) + "."));
  if (config.n_shared_experts > 0) layer.ffn = params.FindFfn(p + "mlp.shared_experts.");
  return layer;
}

}  // namespace

// Letters of kernels/kernels.h: T rows of one call, D width, H heads; R width of the latent with k_pe behind it.
struct FloatRunner::State {
  State(const ModelConfig& config, const float* params, int64_t most, ThreadPool& threads, Latent latent);

  void Multiply(float* y, int64_t ldy, const float* x, int64_t ldx, const float* w, int64_t t, int64_t n, int64_t k);
  void AddRow(float* y_TN, const float* row_N, int64_t t, int64_t n) const;
  float* Norm(std::vector<float>& y, const float* x, const float* w, int64_t t, int64_t d) const;
  void Rotate(float* x, int64_t ldx, int64_t heads, int64_t head_stride, int64_t t) const;
  void RunFfn(float* y_TD, const float* x_TD, const Ffn& ffn, int64_t t, int64_t width);
  void RunExperts(float* y_TD, const float* x_TD, const Layer& layer, int64_t t);
  void GroupedHeads(const Layer& layer, int64_t index, const float* x_TD, int64_t t);
  void LatentHeads(const Layer& layer, int64_t index, const float* x_TD, int64_t t);
  void StoreHead(int64_t layer, int64_t head, int64_t position, const float* nope, const float* pe, const float* v);
  void Attend(const Layer& layer, int64_t index, int64_t t);
  void Head(int64_t layer, int64_t head, const float* q, int64_t seen, float* out, float* scratch) const;
  void AbsorbedHead(const Layer& layer, int64_t index, int64_t head, const float* q, int64_t seen, float* out,
                    float* scratch) const;
  void Block(int64_t index, float* x_TD, int64_t t);

  const ModelConfig c;
  const KernelTable& kernel = kernels::Kernels();
  const FloatKernels& ops = kernels::FloatKernelsOf(kernel);
  ThreadPool& pool;
  const int64_t positions;
  const bool absorbed;
  const float eps, scale;
  const kernels::RouteConfig route;
  const float *embed, *final_norm, *head;
  std::vector<Layer> layers;
  int64_t length = 0;
  AlignedBuffer<float> cos_sin;
  // Of each layer. keys: [kv head][position][d_qk], absorbed [position][R]; values: [kv head][position][d_v], absorbed
  // none.
  std::vector<AlignedBuffer<float>> keys, values;
  int64_t scratch_floats;  // of one head of one row
  std::vector<int32_t> position_T;
  std::vector<float> x, normed, q, k, v, kv, latent_in, attended, y, gate, up, logits, scratch;
  std::vector<float> router_logits, score, weight, gathered, expert_rows;
  std::vector<int32_t> expert, slot;
};

FloatRunner::State::State(const ModelConfig& config, const float* params, int64_t most, ThreadPool& threads,
                          Latent latent)
    : c(config),
      pool(threads),
      positions(most),
      absorbed(config.is_mla() && latent == Latent::kAbsorbed),
      eps(static_cast<float>(config.rms_norm_eps)),
      scale(static_cast<float>(SoftmaxScale(config))),
      route{config.n_routed_experts,
            config.num_experts_per_tok,
            config.n_group,
            config.topk_group,
            config.scoring_func == "softmax",
            config.norm_topk_prob,
            static_cast<float>(config.routed_scaling_factor)} {
  R1_CHECK(ValidateStoredConfig(config, "model").ok(), "invalid model config");
  const Parameters named(config, params);
  embed = named.Find("model.embed_tokens.weight");
  final_norm = named.Find("model.norm.weight");
  head = config.num_labels > 0        ? named.Find("score.weight")
         : config.tie_word_embeddings ? embed
                                      : named.Find("lm_head.weight");
  const int64_t latent_width = c.kv_lora_rank + c.qk_rope_head_dim;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    layers.push_back(FindLayer(named, config, i));
    keys.emplace_back(absorbed ? positions * latent_width : c.kv_heads() * positions * c.qk_dim());
    values.emplace_back(absorbed ? 0 : c.kv_heads() * positions * c.v_dim());
  }
  scratch_floats = positions + (absorbed ? latent_width + c.kv_lora_rank : 0);
  cos_sin = AlignedBuffer<float>(positions * RopeWidth(c));
  FillRopeTable(c, positions, cos_sin.data());
}

// y [T, N] = x [T, K] · w [N, K]ᵀ, outputs split over the threads.
void FloatRunner::State::Multiply(float* y_TN, int64_t ldy, const float* x_TK, int64_t ldx, const float* w, int64_t t,
                                  int64_t n, int64_t width) {
  constexpr int64_t kWorthAThread = 1 << 16;  // multiply-adds
  const int64_t most = std::max<int64_t>(t * n * width / kWorthAThread, 1);
  const int64_t parts = std::min<int64_t>({most, int64_t{4} * pool.threads(), n});
  const int64_t share = kernels::RoundUp((n + parts - 1) / parts, 4);
  const auto part = [&](int64_t i, int) {
    const int64_t from = i * share, count = std::min(share, n - from);
    if (count > 0) ops.product({x_TK, ldx, w + from * width, width, y_TN + from, ldy, t, count, width});
  };
  if (parts == 1) {
    part(0, 0);
  } else {
    pool.ParallelFor(parts, part);
  }
}

void FloatRunner::State::AddRow(float* y_TN, const float* row_N, int64_t t, int64_t n) const {
  for (int64_t i = 0; row_N != nullptr && i < t; ++i) kernel.add(y_TN + i * n, row_N, n);
}

float* FloatRunner::State::Norm(std::vector<float>& out, const float* in, const float* w, int64_t t, int64_t d) const {
  out.resize(static_cast<size_t>(t * d));
  kernel.rms_norm_float(out.data(), d, nullptr, in, d, w, t, d, eps);
  return out.data();
}

void FloatRunner::State::Rotate(float* at, int64_t ldx, int64_t heads, int64_t head_stride, int64_t t) const {
  kernel.rope(at, ldx, heads, head_stride, RopeWidth(c), position_T.data(), cos_sin.data(), t, c.is_mla(), false);
}

void FloatRunner::State::RunFfn(float* y_TD, const float* x_TD, const Ffn& ffn, int64_t t, int64_t width) {
  const int64_t d = c.hidden_size;
  gate.resize(static_cast<size_t>(t * width));
  up.resize(static_cast<size_t>(t * width));
  Multiply(gate.data(), width, x_TD, d, ffn.gate, t, width, d);
  Multiply(up.data(), width, x_TD, d, ffn.up, t, width, d);
  ops.swiglu(gate.data(), gate.data(), up.data(), t * width);
  Multiply(y_TD, d, gate.data(), width, ffn.down, t, d, width);
}

// Tokens of one expert are rows side by side; then every token adds its experts' rows, the lowest expert first.
void FloatRunner::State::RunExperts(float* y_TD, const float* x_TD, const Layer& layer, int64_t t) {
  const int64_t d = c.hidden_size, experts = c.n_routed_experts, used = c.num_experts_per_tok;
  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  router_logits.resize(size(t * experts));
  score.resize(size(t * experts));
  expert.resize(size(t * used));
  slot.resize(size(t * used));
  weight.resize(size(t * used));
  gathered.resize(size(t * used * d));
  expert_rows.resize(size(t * used * d));
  Multiply(router_logits.data(), experts, x_TD, d, layer.router, t, experts, d);
  kernel.route(score.data(), expert.data(), weight.data(), router_logits.data(), layer.router_bias, t, route);
  int64_t row = 0;
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t first = row;
    for (int64_t i = 0; i < t * used; ++i) {
      if (expert[size(i)] != e) continue;
      slot[size(i)] = static_cast<int32_t>(row);
      std::copy_n(x_TD + i / used * d, d, gathered.data() + row++ * d);
    }
    if (row == first) continue;
    RunFfn(expert_rows.data() + first * d, gathered.data() + first * d, layer.experts[size(e)], row - first,
           c.moe_intermediate_size);
  }
  const float* shared = nullptr;
  if (c.n_shared_experts > 0) {
    RunFfn(gathered.data(), x_TD, layer.ffn, t, c.n_shared_experts * c.moe_intermediate_size);
    shared = gathered.data();
  }
  kernel.moe_combine(y_TD, d, shared, d, expert_rows.data(), d, slot.data(), weight.data(), t, used, d);
}

// The key (two parts, the second may be empty) and value of one head at one position.
void FloatRunner::State::StoreHead(int64_t layer, int64_t head_index, int64_t position, const float* nope,
                                   const float* pe, const float* value) {
  const int64_t pe_width = c.is_mla() ? c.qk_rope_head_dim : 0, nope_width = c.qk_dim() - pe_width;
  const int64_t at = head_index * positions + position;
  float* key = keys[static_cast<size_t>(layer)].data() + at * c.qk_dim();
  std::copy_n(nope, nope_width, key);
  if (pe_width > 0) std::copy_n(pe, pe_width, key + nope_width);
  std::copy_n(value, c.v_dim(), values[static_cast<size_t>(layer)].data() + at * c.v_dim());
}

void FloatRunner::State::GroupedHeads(const Layer& layer, int64_t index, const float* x_TD, int64_t t) {
  const int64_t d = c.hidden_size, heads = c.num_attention_heads, kv_heads = c.num_key_value_heads, width = c.head_dim;
  const auto project = [&](std::vector<float>& out, const float* w, const float* bias, int64_t count) {
    out.resize(static_cast<size_t>(t * count * width));
    Multiply(out.data(), count * width, x_TD, d, w, t, count * width, d);
    AddRow(out.data(), bias, t, count * width);
  };
  project(q, layer.q, layer.q_bias, heads);
  project(k, layer.k, layer.k_bias, kv_heads);
  project(v, layer.v, layer.v_bias, kv_heads);
  if (layer.q_norm != nullptr) {
    Norm(q, q.data(), layer.q_norm, t * heads, width);
    Norm(k, k.data(), layer.k_norm, t * kv_heads, width);
  }
  Rotate(q.data(), heads * width, heads, width, t);
  Rotate(k.data(), kv_heads * width, kv_heads, width, t);
  for (int64_t i = 0; i < t * kv_heads; ++i)
    StoreHead(index, i % kv_heads, length + i / kv_heads, k.data() + i * width, nullptr, v.data() + i * width);
}

void FloatRunner::State::LatentHeads(const Layer& layer, int64_t index, const float* x_TD, int64_t t) {
  const int64_t d = c.hidden_size, heads = c.num_attention_heads, latent = c.kv_lora_rank, pe = c.qk_rope_head_dim;
  const int64_t row = latent + pe, nope = c.qk_nope_head_dim, kv_width = nope + c.v_head_dim;
  q.resize(static_cast<size_t>(t * heads * c.qk_dim()));
  if (layer.q_a != nullptr) {
    latent_in.resize(static_cast<size_t>(t * c.q_lora_rank));
    Multiply(latent_in.data(), c.q_lora_rank, x_TD, d, layer.q_a, t, c.q_lora_rank, d);
    Norm(latent_in, latent_in.data(), layer.q_a_norm, t, c.q_lora_rank);
    Multiply(q.data(), heads * c.qk_dim(), latent_in.data(), c.q_lora_rank, layer.q_b, t, heads * c.qk_dim(),
             c.q_lora_rank);
  } else {
    Multiply(q.data(), heads * c.qk_dim(), x_TD, d, layer.q, t, heads * c.qk_dim(), d);
  }
  Rotate(q.data() + nope, heads * c.qk_dim(), heads, c.qk_dim(), t);
  k.resize(static_cast<size_t>(t * row));
  Multiply(k.data(), row, x_TD, d, layer.kv_a, t, row, d);
  kernel.rms_norm_float(k.data(), row, nullptr, k.data(), row, layer.kv_a_norm, t, latent, eps);
  Rotate(k.data() + latent, row, 1, 0, t);
  if (absorbed) {
    std::copy_n(k.data(), t * row, keys[static_cast<size_t>(index)].data() + length * row);
    return;
  }
  kv.resize(static_cast<size_t>(t * heads * kv_width));
  Multiply(kv.data(), heads * kv_width, k.data(), row, layer.kv_b, t, heads * kv_width, latent);
  for (int64_t i = 0; i < t * heads; ++i) {
    const float* both = kv.data() + i * kv_width;
    StoreHead(index, i % heads, length + i / heads, both, k.data() + i / heads * row + latent, both + nope);
  }
}

// One head of one row over the first `seen` positions.
void FloatRunner::State::Head(int64_t layer, int64_t head_index, const float* q_row, int64_t seen, float* out,
                              float* p) const {
  const int64_t kv_head = head_index / (c.num_attention_heads / c.kv_heads());
  const float* key = keys[static_cast<size_t>(layer)].data() + kv_head * positions * c.qk_dim();
  const float* value = values[static_cast<size_t>(layer)].data() + kv_head * positions * c.v_dim();
  ops.product({q_row, c.qk_dim(), key, c.qk_dim(), p, seen, 1, seen, c.qk_dim()});
  kernel.softmax_row(p, p, seen, scale);
  ops.weighted_sum(out, p, value, c.v_dim(), seen, c.v_dim());
}

void FloatRunner::State::AbsorbedHead(const Layer& layer, int64_t index, int64_t head_index, const float* q_row,
                                      int64_t seen, float* out, float* p) const {
  const int64_t latent = c.kv_lora_rank, pe = c.qk_rope_head_dim, row = latent + pe, nope = c.qk_nope_head_dim;
  const float* cache = keys[static_cast<size_t>(index)].data();
  const float* wuk = layer.kv_b + head_index * (nope + c.v_head_dim) * latent;
  const float* wuv = wuk + nope * latent;
  float *query = p + positions, *mixed = query + row;
  ops.weighted_sum(query, q_row, wuk, latent, nope, latent);
  std::copy_n(q_row + nope, pe, query + latent);
  ops.product({query, row, cache, row, p, seen, 1, seen, row});
  kernel.softmax_row(p, p, seen, scale);
  ops.weighted_sum(mixed, p, cache, row, seen, latent);
  ops.product({mixed, latent, wuv, latent, out, c.v_head_dim, 1, c.v_head_dim, latent});
}

void FloatRunner::State::Attend(const Layer& layer, int64_t index, int64_t t) {
  const int64_t heads = c.num_attention_heads;
  attended.resize(static_cast<size_t>(t * heads * c.v_dim()));
  scratch.resize(static_cast<size_t>(pool.threads() * scratch_floats));
  pool.ParallelFor(t * heads, [&](int64_t i, int worker) {
    float* p = scratch.data() + worker * scratch_floats;
    const float* q_row = q.data() + i * c.qk_dim();
    float* out = attended.data() + i * c.v_dim();
    const int64_t seen = length + i / heads + 1;
    if (absorbed) {
      AbsorbedHead(layer, index, i % heads, q_row, seen, out, p);
    } else {
      Head(index, i % heads, q_row, seen, out, p);
    }
  });
}

void FloatRunner::State::Block(int64_t index, float* x_TD, int64_t t) {
  const Layer& layer = layers[static_cast<size_t>(index)];
  const int64_t d = c.hidden_size, joined = c.num_attention_heads * c.v_dim();
  y.resize(static_cast<size_t>(t * d));
  const float* in = Norm(normed, x_TD, layer.input_norm, t, d);
  if (c.is_mla()) {
    LatentHeads(layer, index, in, t);
  } else {
    GroupedHeads(layer, index, in, t);
  }
  Attend(layer, index, t);
  Multiply(y.data(), d, attended.data(), joined, layer.o, t, d, joined);
  AddRow(y.data(), layer.o_bias, t, d);
  kernel.add(x_TD, y.data(), t * d);
  in = Norm(normed, x_TD, layer.post_norm, t, d);
  if (layer.experts.empty()) {
    RunFfn(y.data(), in, layer.ffn, t, c.intermediate_size);
  } else {
    RunExperts(y.data(), in, layer, t);
  }
  kernel.add(x_TD, y.data(), t * d);
}

FloatRunner::FloatRunner(const ModelConfig& config, const float* params, int64_t positions, ThreadPool& pool,
                         Latent latent)
    : state_(std::make_unique<State>(config, params, positions, pool, latent)) {}
FloatRunner::~FloatRunner() = default;

const ModelConfig& FloatRunner::config() const { return state_->c; }
int64_t FloatRunner::length() const { return state_->length; }
int64_t FloatRunner::positions() const { return state_->positions; }
int64_t FloatRunner::width() const { return state_->c.num_labels > 0 ? state_->c.num_labels : state_->c.vocab_size; }

void FloatRunner::Rewind(int64_t length) {
  R1_CHECK(length >= 0 && length <= state_->length, "rewinding to what is not there");
  state_->length = length;
}

Result<std::span<const float>> FloatRunner::Append(std::span<const int32_t> tokens, Rows rows) {
  State& s = *state_;
  const int64_t t = static_cast<int64_t>(tokens.size()), d = s.c.hidden_size;
  if (t > s.positions - s.length) {
    return Error{ErrorCode::kBadInput, "the sequence grows to " + std::to_string(s.length + t) +
                                           " tokens and has only " + std::to_string(s.positions) + " positions"};
  }
  for (const int32_t token : tokens) {
    if (token < 0 || token >= s.c.vocab_size) {
      return Error{ErrorCode::kBadInput, "token " + std::to_string(token) + " is outside the vocabulary of " +
                                             std::to_string(s.c.vocab_size)};
    }
  }
  if (t == 0) return std::span<const float>();
  s.x.resize(static_cast<size_t>(t * d));
  s.position_T.resize(static_cast<size_t>(t));
  for (int64_t i = 0; i < t; ++i) {
    s.position_T[static_cast<size_t>(i)] = static_cast<int32_t>(s.length + i);
    std::copy_n(s.embed + tokens[static_cast<size_t>(i)] * d, d, s.x.data() + i * d);
  }
  for (int64_t i = 0; i < s.c.num_hidden_layers; ++i) s.Block(i, s.x.data(), t);
  s.length += t;
  const int64_t count = rows == Rows::kAll ? t : 1;
  const float* h = s.Norm(s.normed, s.x.data() + (t - count) * d, s.final_norm, count, d);
  s.logits.resize(static_cast<size_t>(count * width()));
  s.Multiply(s.logits.data(), width(), h, d, s.head, count, width(), d);
  return std::span<const float>(s.logits);
}

}  // namespace r1
