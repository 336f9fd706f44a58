#include "model/model.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/rng.h"
#include "model/rope.h"

namespace r1 {

using kernels::RoundUp;

// ---- cache
// ----------------------------------------------------------------------------------------------------------------

KvCache::KvCache(const ModelConfig& config, int64_t slots, int64_t positions)
    : slots_(slots),
      positions_(positions),
      heads_(config.kv_heads()),
      layers_(config.num_hidden_layers),
      page_(kernels::PageElements(config.qk_dim(), config.v_dim())),
      pages_(RoundUp(positions, kernels::kPagePositions) / kernels::kPagePositions),
      data_(slots * layers_ * heads_ * pages_ * page_) {}

int64_t KvCache::BytesPerSlot(const ModelConfig& config, int64_t positions) {
  return config.num_hidden_layers * config.kv_heads() * RoundUp(positions, kernels::kPagePositions) /
         kernels::kPagePositions * kernels::PageElements(config.qk_dim(), config.v_dim()) *
         static_cast<int64_t>(sizeof(Bf16));
}

KvLayer KvCache::Layer(int64_t layer) const {
  // The cache is memory that forward writes through; the object itself does not change.
  Bf16* base = const_cast<Bf16*>(data_.data());
  return {base + layer * heads_ * pages_ * page_, layers_ * heads_ * pages_ * page_, pages_ * page_, page_};
}

void KvCache::Copy(int64_t from, int64_t to, int64_t positions) {
  const int64_t used = RoundUp(positions, kernels::kPagePositions) / kernels::kPagePositions * page_,
                all = pages_ * page_, slot = layers_ * heads_ * all;
  for (int64_t i = 0; i < layers_ * heads_; ++i) {
    std::memcpy(static_cast<void*>(data_.data() + to * slot + i * all), data_.data() + from * slot + i * all,
                static_cast<size_t>(used) * sizeof(Bf16));
  }
}

template <class F>
void Model::EachWeight(Layer& layer, F visit) {
  for (Weight* w : {&layer.attn_in, &layer.q_b, &layer.kv_b, &layer.o, &layer.gate_up, &layer.down,
                    &layer.shared_gate_up, &layer.shared_down})
    visit(*w);
  for (Weight& w : layer.expert_gate_up) visit(w);
  for (Weight& w : layer.expert_down) visit(w);
}

// ---- building
// -------------------------------------------------------------------------------------------------------------

Model::Model(const ModelConfig& config, bool for_training)
    : config_(config), list_(ListParams(config)), for_training_(for_training) {
  R1_CHECK(ValidateModelConfig(config, "model").ok(), "invalid model config");
  params_ = AlignedBuffer<float>(list_.total);

  const int64_t rope_dim = RopeWidth(config);
  cos_sin_ = AlignedBuffer<float>(config.max_position_embeddings * rope_dim);
  FillRopeTable(config, config.max_position_embeddings, cos_sin_.data());
  shape_ = {.heads = config.num_attention_heads,
            .kv_heads = config.kv_heads(),
            .d_qk = config.qk_dim(),
            .d_v = config.v_dim(),
            .rope_dim = rope_dim,
            .interleaved = config.is_mla(),
            .scale = static_cast<float>(SoftmaxScale(config)),
            .cos_sin = cos_sin_.data()};
  route_ = {config.n_routed_experts,
            config.num_experts_per_tok,
            config.n_group,
            config.topk_group,
            config.scoring_func == "softmax",
            config.norm_topk_prob,
            static_cast<float>(config.routed_scaling_factor)};

  embed_ = Bind("model.embed_tokens.weight", config.vocab_size, config.hidden_size, config.head_is_embedding());
  if (config.num_labels > 0) {
    score_ = BindVector("score.weight");
  } else {
    head_ = config.tie_word_embeddings ? embed_ : Bind("lm_head.weight", config.vocab_size, config.hidden_size);
  }
  final_norm_ = BindVector("model.norm.weight");
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_.push_back(std::make_unique<Layer>());
    BindLayer(i, *layers_.back());
  }
  if (config.num_nextn_predict_layers > 0) {
    mtp_ = std::make_unique<Mtp>();
    const std::string p = "model.layers." + std::to_string(config.num_hidden_layers) + ".";
    mtp_->enorm = BindVector(p + "enorm.weight");
    mtp_->hnorm = BindVector(p + "hnorm.weight");
    mtp_->norm = BindVector(p + "shared_head.norm.weight");
    mtp_->eh = Bind(p + "eh_proj.weight", config.hidden_size, 2 * config.hidden_size);
    BindLayer(config.num_hidden_layers, mtp_->layer);
  }

  packed_ = AlignedBuffer<Bf16>(packed_elements_);
  // Places become pointers now that the packed vector exists.
  const auto resolve = [&](Weight& w) {
    if (w.n == 0) return;
    for (const PackTask& task : pack_) {
      if (task.offset != w.offset) continue;
      w.forward = packed_.data() + task.forward;
      w.backward = task.backward < 0 ? nullptr : packed_.data() + task.backward;
    }
  };
  resolve(embed_);
  resolve(head_);
  for (auto& layer : layers_) EachWeight(*layer, resolve);
  if (mtp_ != nullptr) {
    resolve(mtp_->eh);
    EachWeight(mtp_->layer, resolve);
  }
}

Status Model::AddAdapter(const LoraConfig& config, uint64_t seed, const std::string& base_name,
                         const std::string& where) {
  R1_CHECK(for_training_ && adapter_ == nullptr && config_.num_labels == 0,
           "an adapter belongs to a language model in training, once");
  R1_ASSIGN(ParamList list, ListLoraParams(config_, config, where));
  adapter_ = std::make_unique<Adapter>(config, std::move(list), base_name, seed);
  for (auto& layer : layers_) {
    EachWeight(*layer, [&](Weight& w) {
      if (w.n > 0) adapter_->Attach(list_, &w);
    });
  }
  const auto freeze = [](auto& w) { w.offset = kFrozen; };
  const auto freeze_layer = [&](Layer& layer) {
    EachWeight(layer, freeze);
    for (VectorWeight* w : {&layer.input_norm, &layer.post_norm, &layer.q_norm, &layer.kv_norm, &layer.o_bias,
                            &layer.heads.bias, &layer.heads.q_norm, &layer.heads.k_norm, &layer.experts.gate})
      freeze(*w);
  };
  freeze(embed_);
  freeze(head_);
  freeze(final_norm_);
  for (auto& layer : layers_) freeze_layer(*layer);
  if (mtp_ != nullptr) {
    freeze(mtp_->enorm);
    freeze(mtp_->hnorm);
    freeze(mtp_->norm);
    freeze(mtp_->eh);
    freeze_layer(mtp_->layer);
  }
  return {};
}

void Model::PackTrained(ThreadPool& pool) {
  if (adapter_ != nullptr) {
    adapter_->Pack(pool);
  } else {
    Pack(pool);
  }
}

void Model::MergedParam(size_t index, float* out) const {
  const ParamSpec& spec = list_.specs[index];
  std::memcpy(out, params_.data() + spec.offset, static_cast<size_t>(spec.count()) * sizeof(float));
  if (adapter_ != nullptr) adapter_->MergeInto(spec, out);
}

Weight Model::Bind(const std::string& first, int64_t rows, int64_t cols, bool product) {
  const ParamSpec* spec = list_.Find(first);
  R1_CHECK(spec != nullptr && spec->cols == cols, "parameter missing or of another width: " + first);
  Weight w;
  w.w = params_.data() + spec->offset;
  w.n = rows;
  w.k = cols;
  w.offset = spec->offset;
  if (!product) return w;
  PackTask task{packed_elements_, -1, rows, cols, spec->offset};
  packed_elements_ += kernels::PackedElements(cols, rows);
  if (for_training_) {
    task.backward = packed_elements_;
    packed_elements_ += kernels::PackedElements(rows, cols);
  }
  pack_.push_back(task);
  return w;
}

VectorWeight Model::BindVector(const std::string& name) {
  const ParamSpec* spec = list_.Find(name);
  R1_CHECK(spec != nullptr, "parameter missing: " + name);
  return {params_.data() + spec->offset, spec->cols, spec->offset};
}

void Model::BindLayer(int64_t index, Layer& layer) {
  const ModelConfig& c = config_;
  const std::string p = "model.layers." + std::to_string(index) + ".", a = p + "self_attn.";
  const int64_t d = c.hidden_size, h = c.num_attention_heads;
  layer.input_norm = BindVector(p + "input_layernorm.weight");
  layer.post_norm = BindVector(p + "post_attention_layernorm.weight");
  if (c.is_mla()) {
    const bool latent = c.q_lora_rank > 0;
    const int64_t q_rows = latent ? c.q_lora_rank : h * c.qk_dim();
    layer.attn_in =
        Bind(a + (latent ? "q_a_proj.weight" : "q_proj.weight"), q_rows + c.kv_lora_rank + c.qk_rope_head_dim, d);
    if (latent) {
      layer.q_norm = BindVector(a + "q_a_layernorm.weight");
      layer.q_b = Bind(a + "q_b_proj.weight", h * c.qk_dim(), c.q_lora_rank);
    }
    layer.kv_norm = BindVector(a + "kv_a_layernorm.weight");
    layer.kv_b = Bind(a + "kv_b_proj.weight", h * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank);
  } else {
    const int64_t width = (h + 2 * c.num_key_value_heads) * c.head_dim;
    layer.attn_in = Bind(a + "q_proj.weight", width, d);
    if (c.has_qkv_bias()) {
      layer.heads.bias = BindVector(a + "q_proj.bias");
      layer.heads.bias.d = width;  // those of k and v follow
    }
    if (c.has_qk_norm()) {
      layer.heads.q_norm = BindVector(a + "q_norm.weight");
      layer.heads.k_norm = BindVector(a + "k_norm.weight");
      layer.heads.eps = static_cast<float>(c.rms_norm_eps);
    }
  }
  if (c.attention_bias) layer.o_bias = BindVector(a + "o_proj.bias");
  layer.o = Bind(a + "o_proj.weight", d, h * c.v_dim());
  layer.moe = c.is_moe_layer(index);
  if (!layer.moe) {
    layer.gate_up = Bind(p + "mlp.gate_proj.weight", 2 * c.intermediate_size, d);
    layer.down = Bind(p + "mlp.down_proj.weight", d, c.intermediate_size);
    return;
  }
  const ParamSpec* gate = list_.Find(p + "mlp.gate.weight");
  layer.experts.gate = {params_.data() + gate->offset, d, gate->offset};
  if (c.has_router_bias())
    layer.experts.bias_E = params_.data() + list_.Find(p + "mlp.gate.e_score_correction_bias")->offset;
  for (int64_t e = 0; e < c.n_routed_experts; ++e) {
    const std::string x = p + "mlp.experts." + std::to_string(e) + ".";
    layer.expert_gate_up.push_back(Bind(x + "gate_proj.weight", 2 * c.moe_intermediate_size, d));
    layer.expert_down.push_back(Bind(x + "down_proj.weight", d, c.moe_intermediate_size));
  }
  layer.experts.gate_up = layer.expert_gate_up.data();
  layer.experts.down = layer.expert_down.data();
  if (c.n_shared_experts > 0) {
    const std::string x = p + "mlp.shared_experts.";
    layer.shared_gate_up = Bind(x + "gate_proj.weight", 2 * c.n_shared_experts * c.moe_intermediate_size, d);
    layer.shared_down = Bind(x + "down_proj.weight", d, c.n_shared_experts * c.moe_intermediate_size);
    layer.experts.shared_gate_up = &layer.shared_gate_up;
    layer.experts.shared_down = &layer.shared_down;
  }
}

void Model::Init(uint64_t seed) {
  for (size_t i = 0; i < list_.specs.size(); ++i) {
    const ParamSpec& spec = list_.specs[i];
    float* w = params_.data() + spec.offset;
    Rng rng(seed, Stream::kInit, i);
    for (int64_t j = 0; j < spec.count(); ++j) {
      w[j] = spec.kind == ParamKind::kMatrix ? static_cast<float>(rng.Normal() * spec.init_std)
             : spec.kind == ParamKind::kNorm ? 1.0f
                                             : 0.0f;
    }
  }
}

void Model::Pack(ThreadPool& pool) {
  const kernels::KernelTable& k = kernels::Kernels();
  pool.ParallelFor(static_cast<int64_t>(pack_.size()), [&](int64_t i, int) {
    const PackTask& task = pack_[static_cast<size_t>(i)];
    const float* w = params_.data() + task.offset;
    k.pack_nk(packed_.data() + task.forward, w, task.n, task.k, task.k);
    if (task.backward >= 0) k.pack_kn(packed_.data() + task.backward, w, task.n, task.k, task.k);
  });
  if (adapter_ != nullptr) adapter_->Pack(pool);
}

void Model::UpdateRouterBias(const std::vector<int64_t>& load, double gamma) {
  const int64_t experts = config_.n_routed_experts;
  for (int64_t layer = 0; layer < config_.num_hidden_layers + config_.num_nextn_predict_layers; ++layer) {
    if (!config_.is_moe_layer(layer) || !config_.has_router_bias()) continue;
    const ParamSpec* spec = list_.Find("model.layers." + std::to_string(layer) + ".mlp.gate.e_score_correction_bias");
    const int64_t* count = load.data() + layer * experts;
    int64_t sum = 0;
    for (int64_t e = 0; e < experts; ++e) sum += count[e];
    for (int64_t e = 0; e < experts; ++e) {
      const int64_t over = count[e] * experts - sum;  // sign of load - mean
      if (over != 0) params_.data()[spec->offset + e] += static_cast<float>(over > 0 ? -gamma : gamma);
    }
  }
}

// ---- forward
// --------------------------------------------------------------------------------------------------------------

Var* Model::Block(Context& ctx, const Layer& layer, int64_t index, Var* x, const Batch& batch, const KvCache* cache,
                  RoutingStats* stats) const {
  const ModelConfig& c = config_;
  const float eps = static_cast<float>(c.rms_norm_eps);
  Var* in = MatMul(ctx, RmsNorm(ctx, x, layer.input_norm, eps), layer.attn_in);
  AttentionInputs qkv;
  if (c.is_mla()) {
    const bool latent = c.q_lora_rank > 0;
    const int64_t c_first = latent ? c.q_lora_rank : c.num_attention_heads * c.qk_dim();
    Var* q = latent ? MatMul(ctx, RmsNorm(ctx, in, layer.q_norm, eps, 0), layer.q_b) : in;
    Var* kv = MatMul(ctx, RmsNorm(ctx, in, layer.kv_norm, eps, c_first), layer.kv_b);
    qkv = MlaInputs(ctx, q, 0, kv, in, c_first + c.kv_lora_rank, shape_, batch.position_T);
  } else {
    qkv = GqaInputs(ctx, in, layer.heads, shape_, batch.position_T);
  }
  const KvLayer kv_layer = cache != nullptr ? cache->Layer(index) : KvLayer{};
  Var* attended = MatMul(ctx, Attention(ctx, qkv, shape_, batch.segments, kv_layer), layer.o);
  if (layer.o_bias.w != nullptr) attended = AddBias(ctx, attended, layer.o_bias);
  x = AddResidual(ctx, x, attended);
  Var* h = RmsNorm(ctx, x, layer.post_norm, eps);
  Var* y;
  if (layer.moe) {
    MoeStats moe;
    if (stats != nullptr) {
      if (!stats->load.empty()) moe.load_E = stats->load.data() + index * c.n_routed_experts;
      moe.balance_alpha = stats->balance_alpha;
      moe.balance_loss = &stats->balance_loss;
      moe.balance_scale = stats->balance_scale;
    }
    y = Moe(ctx, h, layer.experts, route_, batch.segments, moe);
  } else {
    y = MatMul(ctx, SwiGlu(ctx, MatMul(ctx, h, layer.gate_up)), layer.down);
  }
  return AddResidual(ctx, x, y);
}

Var* Model::Forward(Context& ctx, const Batch& batch, const KvCache* cache, RoutingStats* stats) const {
  for (const Segment& s : batch.segments) {
    R1_CHECK(s.first_position + s.rows <= config_.max_position_embeddings,
             "sequence longer than max_position_embeddings");
  }
  Var* x = Embed(ctx, embed_, batch.token_T, batch.t);
  for (size_t i = 0; i < layers_.size(); ++i)
    x = Block(ctx, *layers_[i], static_cast<int64_t>(i), x, batch, cache, stats);
  return RmsNorm(ctx, x, final_norm_, static_cast<float>(config_.rms_norm_eps));
}

Var* Model::ForwardMtp(Context& ctx, const Batch& batch, Var* hidden, const int32_t* next_token_T,
                       RoutingStats* stats) const {
  R1_CHECK(mtp_ != nullptr, "the model has no prediction module");
  const float eps = static_cast<float>(config_.rms_norm_eps);
  // Published weights expect the embedding's half first.
  Var* e = RmsNorm(ctx, Embed(ctx, embed_, next_token_T, batch.t), mtp_->enorm, eps);
  Var* h = RmsNorm(ctx, ToFloatVar(ctx, hidden), mtp_->hnorm, eps);
  Var* x = MatMul(ctx, ConcatColumns(ctx, e, h), mtp_->eh);
  x = Block(ctx, mtp_->layer, config_.num_hidden_layers, x, batch, nullptr, stats);
  return RmsNorm(ctx, x, mtp_->norm, eps);
}

}  // namespace r1
