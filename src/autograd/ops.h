// The ops of the model: one function each, forward and recorded backward over the kernel table. MatMul(x, W) means x·Wᵀ
// everywhere. An output row depends on its own inputs only (exact mode), so a row is the same in prefill, decode and
// training. Letters: T rows, D model width, F FFN width, H query heads, G key-value heads, E experts, K experts a
// token, V vocabulary.
#pragma once

#include <cstdint>
#include <span>

#include "autograd/tape.h"

namespace r1 {

// A vector, e.g. of a norm.
struct VectorWeight {
  const float* w = nullptr;
  int64_t d = 0;
  int64_t offset = 0;
};

// An adapter of low rank (LoRA, Hu et al. 2021, arXiv 2106.09685) on columns [first, first + b.n) of a product:
//   y += (s · x·Aᵀ)·Bᵀ,  A [R, K], B [N, R], s = alpha / R;  s · x·Aᵀ is rounded to bf16, as what enters a product is.
//   dB += dyᵀ·(s · x·Aᵀ),  g = s · dy·B (rounded to bf16),  dA += gᵀ·x,  dx += g·A
struct LowRank {
  Weight a, b;
  int64_t first = 0;
  float scale = 1;
};

// Rows of a batch that belong to one sequence: rows [row, row + rows) hold positions first_position ... With a cache,
// `slot` is the sequence's place in it; without, first_position is 0.
struct Segment {
  int64_t row = 0, rows = 0, first_position = 0, slot = 0;
};

// Keys and values of one layer of a cache: page p of (slot, head) is base + slot*slot_stride + head*head_stride +
// p*page_stride.
struct KvLayer {
  Bf16* base = nullptr;
  int64_t slot_stride = 0, head_stride = 0, page_stride = 0;
};

struct AttentionShape {
  int64_t heads = 0, kv_heads = 0;
  int64_t d_qk = 0, d_v = 0;  // per head
  int64_t rope_dim = 0;       // rotated part: the last rope_dim of d_qk
  bool interleaved = false;   // pairs (2i, 2i+1), else (i, i + rope_dim/2)
  float scale = 1.0f;
  const float* cos_sin = nullptr;  // [positions, rope_dim]: cos of each pair, then sin
};

struct AttentionInputs {
  Var* q = nullptr;  // bf16 [T, H * DK], DK = RoundUp(d_qk, 32), padding zero
  Var* k = nullptr;  // bf16 [T, G * DK]
  Var* v = nullptr;  // bf16 [T, G * d_v]
};

// x [T, D] = table[token]; backward adds rows of the table's gradient in row order.
Var* Embed(Context& ctx, const Weight& table, const int32_t* token_T, int64_t t);
// bf16 of the normalised columns [first, first + w.d) of x.
Var* RmsNorm(Context& ctx, Var* x, const VectorWeight& w, float eps, int64_t first = 0);
// x·Wᵀ, then what w.low_rank adds, in order.
Var* MatMul(Context& ctx, Var* x, const Weight& w);
// x + bias in every row, in place: x must be the output of a product that nobody else reads.
Var* AddBias(Context& ctx, Var* x, const VectorWeight& bias);
// a + b. Backward aliases: both inputs share the output's gradient memory; b's producer must be the op recorded just
// before a's other consumers.
Var* AddResidual(Context& ctx, Var* a, Var* b);
Var* SwiGlu(Context& ctx, Var* gate_up);
// Float copy of a bf16 value.
Var* ToFloatVar(Context& ctx, Var* x);
// [a | b] as bf16, both bf16 of equal rows; widths multiples of 32.
Var* ConcatColumns(Context& ctx, Var* a, Var* b);

// What some models put between projection and rotation; w null: not there.
struct HeadExtras {
  VectorWeight bias;            // [H*d_qk + G*d_qk + G*d_v], added to qkv first
  VectorWeight q_norm, k_norm;  // [d_qk], root-mean-square norm of each query and key head; both or none
  float eps = 0;
};
// qkv [T, H*d_qk + G*d_qk + G*d_v]: adds the bias, norms the heads, rotates q and k, rounds to bf16.
AttentionInputs GqaInputs(Context& ctx, Var* qkv, const HeadExtras& extras, const AttentionShape& s,
                          const int32_t* position_T);
// Multi-head latent attention, unabsorbed. q [T, ...] holds H*d_qk columns from q_first (nope | rope in each head);
// kv [T, H*(nope + d_v)] is kv_b of the latent; k_pe is columns [pe_first, pe_first + rope_dim) of `down`, shared by
// all heads.
AttentionInputs MlaInputs(Context& ctx, Var* q, int64_t q_first, Var* kv, Var* down, int64_t pe_first,
                          const AttentionShape& s, const int32_t* position_T);
// bf16 [T, H * d_v]. With a cache (base not null) keys and values are appended to it first, and nothing may be
// recorded.
Var* Attention(Context& ctx, const AttentionInputs& in, const AttentionShape& s, std::span<const Segment> segments,
               const KvLayer& cache);

struct MoeWeights {
  VectorWeight gate;  // [E, D] float, row-major
  const float* bias_E = nullptr;
  const Weight* gate_up = nullptr;         // [E] each [2F, D]
  const Weight* down = nullptr;            // [E] each [D, F]
  const Weight* shared_gate_up = nullptr;  // null: no shared expert
  const Weight* shared_down = nullptr;
};
struct MoeStats {
  int64_t* load_E = nullptr;      // tokens routed to each expert are added, if not null
  float balance_alpha = 0;        // weight of the sequence-wise balance loss
  float* balance_loss = nullptr;  // the loss summed over sequences is added
  float balance_scale = 1;        // its gradient's factor (1 / sequences of the step)
};
Var* Moe(Context& ctx, Var* x, const MoeWeights& w, const kernels::RouteConfig& route,
         std::span<const Segment> segments, const MoeStats& stats);

// Log-probabilities of target tokens under softmax(inv_temperature * head(h)). Logits exist only a block of rows at a
// time.
struct LogProbs {
  int64_t rows = 0;
  float *logp = nullptr, *lse = nullptr, *entropy = nullptr;  // [rows]
  float *dlogp = nullptr, *dentropy = nullptr;                // [rows], zero: set them before Backward
};
LogProbs* HeadLogProbs(Context& ctx, Var* h, const Weight& head, const int32_t* row_R, const int32_t* target_R,
                       int64_t r, float inv_temperature);
// The scalar head: value = <w, h_row>, in float, columns in order.
struct Values {
  int64_t rows = 0;
  float* value = nullptr;   // [rows]
  float* dvalue = nullptr;  // [rows], zero: set before Backward
};
Values* ScalarHead(Context& ctx, Var* h, const VectorWeight& w, const int32_t* row_R, int64_t r);
// Distillation from a teacher's distributions (Hinton, Vinyals, Dean 2015): for each row
//   loss = T^2 KL(p || q),  p = softmax(teacher logits / T),  q = softmax(logits / T),  gradient T (q - p) to the
//   student's
// logits; none to the teacher. Rows of h and teacher_h are the same positions; the widths may differ, the vocabularies
// not.
struct SoftTargets {
  int64_t rows = 0;
  float* loss = nullptr;   // [rows]
  float* dloss = nullptr;  // [rows], zero: set before Backward
};
SoftTargets* HeadSoftTargets(Context& ctx, Var* h, const Weight& head, const Var* teacher_h, const Weight& teacher_head,
                             const int32_t* row_R, int64_t r, float temperature);
// Logits [R, V] of the given rows of h (null: all), without backward.
float* HeadLogits(Context& ctx, const Var* h, const Weight& head, const int32_t* row_R, int64_t r);

// dW += dYᵀ·X into ctx.param_grad at w.offset; nothing if w is frozen.
void AddWeightGrad(Context& ctx, const Weight& w, const Bf16* dy, int64_t lddy, const Bf16* x, int64_t ldx, int64_t t);

}  // namespace r1
