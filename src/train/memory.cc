#include "train/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/files.h"
#include "kernels/kernels.h"
#include "model/params.h"

namespace r1 {

namespace {

using kernels::RoundUp;
constexpr int64_t kFloat = 4, kHalf = 2;

int64_t PackedBytes(int64_t rows, int64_t cols, bool both) {
  return kHalf * (kernels::PackedElements(cols, rows) + (both ? kernels::PackedElements(rows, cols) : 0));
}

// A bf16 value with a float gradient, and a float value with a bf16 gradient, of one row.
int64_t HalfVar(int64_t cols) { return kHalf * RoundUp(cols, 32) + kFloat * cols; }
int64_t FloatVar(int64_t cols) { return kFloat * cols + kHalf * RoundUp(cols, 32); }

// Scratch memory of a weight's gradient over t rows: both sides transposed.
int64_t WeightGradBytes(int64_t n, int64_t k, int64_t t) {
  return kHalf * (n * RoundUp(t, 32) + RoundUp(t, 32) * RoundUp(k, 16));
}

struct Pass {
  int64_t a_row = 0;    // bytes of the arena for each row
  int64_t scratch = 0;  // of the largest op
};

// A product of t rows of k values with a matrix [n, k]: what its backward needs for a moment.
void Product(int64_t n, int64_t k, int64_t t, const LoraConfig& lora, Pass* pass) {
  const int64_t rounded = kHalf * t * RoundUp(n, 32);  // its gradient in bf16
  const int64_t weight =
      lora.on() ? WeightGradBytes(std::max(n, lora.lora_r), std::max(k, lora.lora_r), t) / 2 : WeightGradBytes(n, k, t);
  pass->scratch = std::max(pass->scratch, rounded + weight + (lora.on() ? rounded : 0));
}

void AddFfn(int64_t d, int64_t f, int64_t t, const LoraConfig& lora, Pass* pass) {
  pass->a_row += FloatVar(2 * f) + HalfVar(f) + kFloat * d;
  Product(2 * f, d, t, lora, pass);
  Product(d, f, t, lora, pass);
}

void AddLayer(const ModelConfig& c, int64_t layer, int64_t t, const LoraConfig& lora, Pass* pass) {
  const int64_t d = c.hidden_size, h = c.num_attention_heads, g = c.kv_heads(), dk = RoundUp(c.qk_dim(), 32);
  int64_t row = 2 * (HalfVar(d) + kFloat);  // both norms
  if (c.is_mla()) {
    const int64_t q = h * c.qk_dim(), kv = h * (c.qk_nope_head_dim + c.v_head_dim);
    const bool latent = c.q_lora_rank > 0;
    const int64_t in = (latent ? c.q_lora_rank : q) + c.kv_lora_rank + c.qk_rope_head_dim;
    row += 2 * kFloat * in + HalfVar(c.kv_lora_rank) + FloatVar(kv);
    if (latent) row += HalfVar(c.q_lora_rank) + FloatVar(q);
    Product(in, d, t, lora, pass);
    Product(kv, c.kv_lora_rank, t, lora, pass);
  } else {
    const int64_t in = (h + 2 * g) * c.head_dim;
    row += FloatVar(in) + (c.has_qk_norm() ? kFloat * (h + g) * (c.head_dim + 1) : 0);
    Product(in, d, t, lora, pass);
  }
  row += HalfVar(h * dk) + HalfVar(g * dk) + HalfVar(g * c.v_dim());  // queries, keys, values
  row += HalfVar(h * c.v_dim()) + 2 * kFloat * h;                     // attention
  row += 3 * kFloat * d;                                              // output projection and both sums
  Product(d, h * c.v_dim(), t, lora, pass);
  if (lora.on()) row += 7 * kHalf * RoundUp(lora.lora_r, 32);
  pass->a_row += row;
  if (!c.is_moe_layer(layer)) {
    AddFfn(d, c.intermediate_size, t, lora, pass);
    return;
  }
  if (c.n_shared_experts > 0) AddFfn(d, c.n_shared_experts * c.moe_intermediate_size, t, lora, pass);
  const int64_t f = c.moe_intermediate_size, top = c.num_experts_per_tok, e = c.n_routed_experts;
  pass->a_row += 2 * kFloat * e + 3 * kFloat * top + kFloat * d;
  pass->a_row += top * (kHalf * RoundUp(d, 32) + kFloat * 2 * f + kHalf * RoundUp(f, 32) + kFloat * d);
  pass->scratch =
      std::max(pass->scratch,
               t * (top * (kHalf * RoundUp(d, 32) + kFloat * (1 + f + d) + kHalf * RoundUp(2 * f, 32)) + kFloat * e));
}

}  // namespace

int64_t ModelBytes(const ModelConfig& config, bool for_training) {
  const ParamList list = ListParams(config);
  int64_t bytes = kFloat * list.total;
  for (const ParamSpec& spec : list.specs) {
    const bool lookup = spec.name == "model.embed_tokens.weight" && !config.head_is_embedding();
    if (spec.kind != ParamKind::kMatrix || lookup || spec.name.ends_with(".mlp.gate.weight")) continue;
    bytes += PackedBytes(spec.rows, spec.cols, for_training);
  }
  const int64_t rope = config.is_mla() ? config.qk_rope_head_dim : config.head_dim;
  return bytes + kFloat * config.max_position_embeddings * rope;
}

int64_t PassBytes(const ModelConfig& c, int64_t tokens, const LoraConfig& lora) {
  const int64_t d = c.hidden_size, v = c.num_labels > 0 ? 1 : c.vocab_size;
  Pass pass;
  pass.a_row = 2 * kFloat * d + HalfVar(d) + kFloat;  // embedding, the gradient of the sum, the last norm
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) AddLayer(c, i, tokens, lora, &pass);
  const int64_t heads = c.num_nextn_predict_layers > 0 ? 2 : 1;
  if (c.num_nextn_predict_layers > 0) {
    pass.a_row += 2 * (kFloat * d + HalfVar(d)) + HalfVar(2 * d) + 3 * kFloat * d + HalfVar(d) + kFloat * d;
    AddLayer(c, c.num_hidden_layers, tokens, {}, &pass);
  }
  pass.a_row += heads * (kHalf * RoundUp(d, 32) + 5 * kFloat);
  const int64_t block = std::min(tokens, std::clamp<int64_t>((int64_t{1} << 18) / v / 32 * 32, 32, 512));
  const int64_t head = block * (v * (kFloat + kHalf) + kFloat * d) + (lora.on() ? 0 : WeightGradBytes(v, d, block));
  return tokens * pass.a_row + std::max(pass.scratch, head);
}

Result<TrainingMemory> EstimateTraining(const ModelConfig& config, const OptimizerConfig& optimizer,
                                        const LoraConfig& lora, int64_t longest, int threads,
                                        const std::string& where) {
  TrainingMemory m;
  const ParamList params = ListParams(config);
  for (const ParamSpec& spec : params.specs) m.parameters += spec.count();
  m.weights = ModelBytes(config, true);
  int64_t total = params.total;
  m.trained = m.parameters;
  m.lora_r = lora.lora_r;
  if (lora.on()) {
    R1_ASSIGN(const ParamList adapter, ListLoraParams(config, lora, where));
    total = adapter.total;
    m.trained = 0;
    m.weights += kFloat * total;
    for (const ParamSpec& spec : adapter.specs) {
      m.trained += spec.count();
      m.weights += PackedBytes(spec.rows, spec.cols, true);
    }
  }
  m.gradients = kFloat * total * optimizer.grad_shards;
  m.optimizer = 2 * kFloat * total;
  const int64_t passes = std::min<int64_t>(threads, optimizer.grad_shards);
  m.activations = passes * PassBytes(config, std::max(optimizer.micro_tokens, longest), lora);
  return m;
}

std::string MemoryText(const TrainingMemory& m) {
  std::string text =
      fmt::format("{}: weights {}, gradients {}, optimizer {}, activations {}", BytesText(m.total()),
                  BytesText(m.weights), BytesText(m.gradients), BytesText(m.optimizer), BytesText(m.activations));
  for (const auto& [name, bytes] : {std::pair{"reference model", m.reference},
                                    {"value model", m.value},
                                    {"other models", m.beside},
                                    {"sampling", m.rollout}}) {
    if (bytes > 0) text += fmt::format(", {} {}", name, BytesText(bytes));
  }
  const double trained = static_cast<double>(m.trained) / 1e6, all = static_cast<double>(m.parameters) / 1e6;
  return text + (m.lora_r > 0 ? fmt::format("; {:.3f} M of {:.3f} M parameters are trained (LoRA of rank {})", trained,
                                            all, m.lora_r)
                              : fmt::format("; all {:.3f} M parameters are trained", all));
}

Status CheckMemory(const TrainingMemory& m, int64_t limit, const std::string& where) {
  if (m.total() <= limit) return {};
  return Error{ErrorCode::kRefused,
               fmt::format("{}: needs about {}; there are {} on this machine (or in its control group). Take a smaller "
                           "model, {}, or smaller micro_tokens and grad_shards",
                           where, MemoryText(m), BytesText(limit),
                           m.lora_r > 0 ? "a smaller lora_r" : "an adapter in place of all weights (lora_r)")};
}

}  // namespace r1
