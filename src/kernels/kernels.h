// The kernel table: every numeric operation of the project on raw pointers. No allocation, no threads, no tensors; a
// caller splits work over threads by rows or tensors. One table per ISA (portable, avx2, avx512, amx), chosen once at
// start; the environment variable R1_ISA forces one. All tables give the same bits: the definition of each operation,
// with its order of additions, is in kernels/ref, and is written in logical vectors of 16 lanes whatever the machine
// has.
//
// Numerics (exact mode). An output row depends on its own inputs only.
//   Product of bf16 matrices: for each block of 32 along the reduction, an even chain and an odd chain of 16 fused
//   multiply-adds start at +0, are added to each other, and the sum is added to the float accumulator (the order of the
//   matrix-tile instruction TDPBF16PS, so that tiles and plain FMA agree in every bit). Blocks ascend.
//   Sum over a row of floats: lane l of 16 adds elements l, l+16, ... in order (fused where a product is summed); then
//   lanes are added as a tree: l += l+8, then +4, +2, +1.
//   exp is one polynomial (Exp16 in vec16.h) for every ISA. Flush-to-zero and denormals-are-zero are on (SetFloatMode).
//
// Letters: T rows (tokens), D model width, F expert or FFN width, K reduction, N outputs, V vocabulary, E experts.
// Row-major everywhere; ld* is the distance between rows in elements. A bf16 matrix that is read as the left side of a
// product has rows readable up to a multiple of 32 columns, finite there (zero is natural); float outputs need no
// padding.
#pragma once

#include <cstdint>

#include "kernels/bf16.h"

namespace r1::kernels {

inline int64_t RoundUp(int64_t x, int64_t m) { return (x + m - 1) / m * m; }

// ---- Packed right side of a product
// ------------------------------------------------------------------------------------- B [K, N] in panels of 16
// columns. Element (k, n): b[(((n / 16) * (Kp / 2) + k / 2) * 16 + n % 16) * 2 + k % 2], with Kp = RoundUp(K, 32);
// padding is zero. 16 k-pairs of a panel (1,024 bytes) are one matrix tile. 64-byte aligned.
inline int64_t PackedElements(int64_t k, int64_t n) { return RoundUp(k, 32) * RoundUp(n, 16); }

struct GemmArgs {  // C [M, N] (+)= A [M, K] · B [K, N]
  const Bf16* a;   // [M, lda], lda >= RoundUp(K, 32) unless M == 1; any alignment
  int64_t lda;
  const Bf16* b;  // packed
  float* c;       // [M, ldc]; exactly M x N elements are written
  int64_t ldc;
  int64_t m, n, k;
  bool accumulate;  // start the accumulator from C instead of 0
};

// ---- Attention
// ---------------------------------------------------------------------------------------------------------- Keys and
// values of one (sequence, kv head) live in pages of 32 positions. A page is
//   keys:   2 panels of 16 positions, each [DK / 2 pairs][16 positions][2]     (right side [DK, 32], DK = RoundUp(d_qk,
//   32)) values: DV / 16 panels, each [16 position pairs][16 columns][2]            (right side [32, DV], DV =
//   RoundUp(d_v, 16))
// Unwritten positions are zero. Page p is base + p * stride, or table[p] if table is not null.
constexpr int64_t kPagePositions = 32;
inline int64_t PageElements(int64_t d_qk, int64_t d_v) { return 32 * (RoundUp(d_qk, 32) + RoundUp(d_v, 16)); }

struct KvView {
  const Bf16* base = nullptr;
  int64_t stride = 0;
  const Bf16* const* table = nullptr;
  const Bf16* Page(int64_t p) const { return table != nullptr ? table[p] : base + p * stride; }
};

// Query row i (position first_position + i) sees keys 0 .. first_position + i:
//   s_j = scale * (q·k_j)   m = max_j s_j   p_j = exp(s_j - m)   l = sum of p_j   out = (sum over j of bf16(p_j) v_j) /
//   l
// q·k and p·v in the product order above (p·v: one reduction block of 32 per page), l in the row-sum order over all
// positions.
struct AttentionArgs {
  const Bf16* q;  // rows of one head: row i at q + i * ldq, DK columns (zero padded)
  int64_t ldq;
  KvView kv;
  int64_t rows, first_position;
  int64_t d_qk, d_v;
  float scale;
  Bf16* out;  // row i at out + i * ldo, d_v columns
  int64_t ldo;
  float* max;      // [rows] m, or null
  float* sum;      // [rows] l, or null
  float* scratch;  // AttentionScratch(...) floats
};
inline int64_t AttentionScratch(int64_t rows,
                                int64_t first_position) {  // scores of a block of at most 32 rows, and bf16 of them
  return (rows < 32 ? rows : 32) * RoundUp(first_position + rows, 32) * 2 + 1024;
}

// Backward of one head over one whole sequence (first_position = 0, kv contiguous rows instead of pages):
//   P = exp(scale * qk - m)·(1/l);  dV += Pᵀ·dO;  dP = dO·Vᵀ;  D_i = sum dO∘O;  dS = P∘(dP - D)·scale;  dQ = dS·K;  dK
//   += dSᵀ·Q.
// P and dS are rounded to bf16 as product inputs, dO before all else. With grouped queries it is called once a query
// head, in order; dk and dv are added to.
struct AttentionBackwardArgs {
  const Bf16 *q, *k, *v;  // [T, ld], DK / DK / RoundUp(d_v,16)+ columns; v rows readable to a multiple of 32 columns
  int64_t ldq, ldk, ldv;
  const Bf16* out;  // [T, ldo] the forward's output
  int64_t ldo;
  const float* dout;  // [T, lddo]
  int64_t lddo;
  const float *max, *sum;  // [T]
  int64_t t, d_qk, d_v;
  float scale;
  float *dq, *dk, *dv;  // dq [T, lddq] written; dk [T, lddk], dv [T, lddv] added to
  int64_t lddq, lddk, lddv;
  float* scratch;  // AttentionBackwardScratch(t, d_qk, d_v) floats
};
int64_t AttentionBackwardScratch(int64_t t, int64_t d_qk, int64_t d_v);

// ---- Mixture of experts
// ------------------------------------------------------------------------------------------------- V3 routing, in the
// published order: score = sigmoid(logit); choice = score + bias; a group's score is the sum of its two largest
// choices; the topk_group best groups stay; of them the top_k experts with the largest choice (ties: lower index);
// weight = score / (sum of chosen scores + 1e-20) * scale when normalised. Softmax gates (V2): group score is the
// maximum, bias ignored.
constexpr int64_t kMaxExperts =
    1024;             // routed experts of one layer (V3 has 256); the kernels keep a row of them on the stack
struct RouteConfig {  // experts <= kMaxExperts, a multiple of groups; top_k <= topk_group * (experts / groups)
  int64_t experts, top_k, groups, topk_group;
  bool softmax, normalize;
  float scale;
};

struct AdamWArgs {
  float *w, *m, *v;
  const float* g;
  int64_t n;
  float lr, beta1, beta2, eps, weight_decay;
  float bias1, bias2;  // 1 - beta1^t, 1 - beta2^t
  float grad_scale;    // gradient is multiplied by this first (clipping, averaging)
};

struct KernelTable {
  const char* isa;

  // -- products and packing (gemm.cc, pack.cc)
  void (*gemm)(const GemmArgs&);
  // B = Wᵀ of float W [N, K] (y = x·Wᵀ).
  void (*pack_nk)(Bf16* b, const float* w_NK, int64_t n, int64_t k, int64_t ldw);
  // B = W of float W [K, N] (dx = dy·W).
  void (*pack_kn)(Bf16* b, const float* w_KN, int64_t k, int64_t n, int64_t ldw);
  // B = X of bf16 X [K, N]: rows are the reduction (dW = dYᵀ·X).
  void (*pack_kn_bf16)(Bf16* b, const Bf16* x_KN, int64_t k, int64_t n, int64_t ldx);
  // out [N, ldo] = Xᵀ of bf16 X [T, N], columns T .. RoundUp(T, 32) zeroed. ldo >= RoundUp(T, 32).
  void (*transpose_bf16)(Bf16* out_NT, int64_t ldo, const Bf16* x_TN, int64_t t, int64_t n, int64_t ldx);
  // y = bf16(x), columns n .. n_padded zeroed.
  void (*to_bf16)(Bf16* y, int64_t ldy, const float* x, int64_t ldx, int64_t t, int64_t n, int64_t n_padded);

  // -- attention (attention.cc, attention_backward.cc)
  void (*attention)(const AttentionArgs&);
  void (*attention_backward)(const AttentionBackwardArgs&);
  // Writes row k (DK columns) and row v (d_v columns) of one position into its page (position % 32).
  void (*append_kv)(Bf16* page, int64_t position, const Bf16* k, const Bf16* v, int64_t d_qk, int64_t d_v);

  // -- norms and activations (norm.cc, activation.cc, rope.cc)
  // y = bf16(x * r * w), r = 1 / sqrt(mean(x²) + eps); columns d .. RoundUp(d, 32) of y zeroed. r_T may be null.
  void (*rms_norm)(Bf16* y, int64_t ldy, float* r_T, const float* x, int64_t ldx, const float* w_D, int64_t t,
                   int64_t d, float eps);
  // The same in float: y = x * r * w, no padding; y may be x.
  void (*rms_norm_float)(float* y, int64_t ldy, float* r_T, const float* x, int64_t ldx, const float* w_D, int64_t t,
                         int64_t d, float eps);
  // dx (+)= r·(dy∘w - x·r²·mean(dy∘w∘x)); dw += sum over rows of dy∘x·r. accumulate: dx is added to, else
  // written, and may then be dy.
  void (*rms_norm_backward)(float* dx, int64_t lddx, bool accumulate, float* dw_D, const float* dy, int64_t lddy,
                            const float* x, int64_t ldx, const float* w_D, const float* r_T, int64_t t, int64_t d);
  // gu [T, 2F] = gate | up;  h [T, F] = bf16(silu(gate) * up), columns F .. RoundUp(F, 32) zeroed.
  void (*swiglu)(Bf16* h, int64_t ldh, const float* gu, int64_t ldgu, int64_t t, int64_t f);
  // dgu [T, 2F] in bf16 (it only feeds products), columns 2F .. RoundUp(2F, 32) zeroed.
  void (*swiglu_backward)(Bf16* dgu, int64_t lddgu, const float* dh, int64_t lddh, const float* gu, int64_t ldgu,
                          int64_t t, int64_t f);
  // Rotates `heads` vectors of `dim` per row (at x + row*ldx + head*head_stride) by the angle of position_T[row]:
  // cos_sin [positions, dim] holds cos in its first half and sin in its second, one per pair. interleaved: pairs (2i,
  // 2i+1), else (i, i + dim/2). inverse: rotates back (the backward pass).
  void (*rope)(float* x, int64_t ldx, int64_t heads, int64_t head_stride, int64_t dim, const int32_t* position_T,
               const float* cos_sin, int64_t t, bool interleaved, bool inverse);
  // y += x; y = a + b (n floats); y *= s
  void (*add)(float* y, const float* x, int64_t n);
  void (*add_to)(float* y, const float* a, const float* b, int64_t n);
  void (*scale)(float* y, float s, int64_t n);
  // Column sums: out_N += sum over rows of x [T, N], rows in order.
  void (*column_sum)(float* out_N, const float* x, int64_t ldx, int64_t t, int64_t n);
  // Row-sum order over blocks of 4,096 elements, block results added in double.
  double (*sum_squares)(const float* x, int64_t n);

  // -- vocabulary (softmax.cc)
  // Per row: lse = log(sum exp(inv_temperature * logit)) with the row maximum taken out; logp =
  // inv_temperature*logit[target] - lse; entropy = lse - sum p·(inv_temperature·logit). Any output may be null; target
  // may be null if logp is.
  void (*logprob)(float* logp_T, float* lse_T, float* entropy_T, const float* logits, int64_t ldl,
                  const int32_t* target_T, int64_t t, int64_t v, float inv_temperature);
  // dlogits = bf16(inv_temperature * (g_T·(onehot(target) - p) - h_T·p·(log p + entropy))), columns v .. RoundUp(v, 32)
  // zeroed: the gradient of sum g·logp + h·entropy. entropy_T and h_T may both be null.
  void (*logprob_backward)(Bf16* dlogits, int64_t ldd, const float* logits, int64_t ldl, const int32_t* target_T,
                           const float* lse_T, const float* g_T, const float* entropy_T, const float* h_T, int64_t t,
                           int64_t v, float inv_temperature);
  // prob = softmax(inv_temperature * logits), one row.
  void (*softmax_row)(float* prob, const float* logits, int64_t v, float inv_temperature);

  // -- mixture of experts (moe.cc)
  // logits [T, E] = x·gateᵀ in float: per (row, expert) a single fused chain over D ascending. x is bf16, gate [E, D]
  // float.
  void (*router_logits)(float* logits_TE, const Bf16* x, int64_t ldx, const float* gate_ED, int64_t t, int64_t e,
                        int64_t d);
  // dx [T, D] += dlogits·gate; dgate [E, D] += dlogitsᵀ·x.
  void (*router_backward)(float* dx, int64_t lddx, float* dgate_ED, const float* dlogits_TE, const Bf16* x, int64_t ldx,
                          const float* gate_ED, int64_t t, int64_t e, int64_t d);
  // score [T, E], expert [T, K] (ascending expert index within a token), weight [T, K].
  void (*route)(float* score_TE, int32_t* expert_TK, float* weight_TK, const float* logits_TE, const float* bias_E,
                int64_t t, const RouteConfig&);
  // dlogits [T, E] from dweight [T, K], plus dscore_extra [T, E] (balance loss) if not null. The choice is held fixed.
  void (*route_backward)(float* dlogits_TE, const float* dweight_TK, const float* dscore_extra_TE,
                         const float* score_TE, const int32_t* expert_TK, const float* weight_TK, int64_t t,
                         const RouteConfig&);
  // Sequence-wise balance loss of V3 over one sequence of t tokens: *loss = alpha * sum_e f_e P_e; dscore_extra [T, E]
  // = its gradient.
  void (*balance_loss)(float* loss, float* dscore_extra_TE, const float* score_TE, const int32_t* expert_TK, int64_t t,
                       const RouteConfig&, float alpha);
  // y_T (+)= sum over slots of weight * row(slot): rows [T*K sorted by expert], row index in slot_TK. Slots in order.
  // base may be null or added first.
  void (*moe_combine)(float* y, int64_t ldy, const float* base, int64_t ldb, const float* rows, int64_t ldr,
                      const int32_t* slot_TK, const float* weight_TK, int64_t t, int64_t k, int64_t d);
  // drows[slot] = bf16(weight * dy_t), columns d .. RoundUp(d, 32) zeroed; dweight_TK = dy_t · rows[slot].
  void (*moe_combine_backward)(Bf16* drows, int64_t lddr, float* dweight_TK, const float* dy, int64_t lddy,
                               const float* rows, int64_t ldr, const int32_t* slot_TK, const float* weight_TK,
                               int64_t t, int64_t k, int64_t d);
  // dx_t += sum over slots in order of drows[slot] (float): the backward of gathering tokens to experts.
  void (*moe_scatter_add)(float* dx, int64_t lddx, const float* drows, int64_t lddr, const int32_t* slot_TK, int64_t t,
                          int64_t k, int64_t d);

  // -- optimizer (adamw.cc): g' = g·grad_scale; m, v updated; w -= lr·(m̂/(sqrt(v̂)+eps) + weight_decay·w)
  void (*adamw)(const AdamWArgs&);
};

// The table in use: the best the machine runs, or the one named by R1_ISA (portable | avx2 | avx512 | amx).
const KernelTable& Kernels();
// By name; nullptr if unknown or this machine cannot run it. For tests and `r1 doctor`.
const KernelTable* KernelsFor(const char* isa);
// Names of the tables this machine can run, best last, ended by nullptr.
const char* const* AvailableIsas();
// Selects a table for the whole process (tests, bench). Returns false if it cannot run here.
bool SelectIsa(const char* isa);

}  // namespace r1::kernels
