// Backward of causal attention of one head over a whole sequence (kernels.h):
//   P = exp(scale q·k - m) · (1/l);  D_i = sum bf16(dO)∘O;  dP = dO·Vᵀ;  dS = P∘(dP - D)·scale;
//   dV += Pᵀ·dO;  dK += dSᵀ·Q;  dQ = dS·K.
// Works on transposed scores [keys, queries], where row statistics lie along the vector, Pᵀ and dSᵀ
// are left sides as they are stored, and merging two key rows gives dSᵀ as the packed right side of
// dQᵀ = Kᵀ·dSᵀ. Queries go in blocks whose size bounds the scratch, keys in blocks of 32 up to the
// diagonal. Reductions run over positions in ascending blocks of 32 whatever the block size, so the
// result does not depend on it.
#include "kernels/cpu/attention_scratch.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/units.h"

namespace r1::kernels::R1_ISA_NAME {
namespace {

// B = Xᵀ of bf16 X [n, k], k a multiple of 32: rows of X are columns of B. Panels up to n_padded,
// zero beyond n.
void PackRows(Bf16* b, const Bf16* x, int64_t n, int64_t n_padded, int64_t k, int64_t ldx) {
  for (int64_t n0 = 0; n0 < n_padded; n0 += 16) {
    for (int64_t k0 = 0; k0 < k; k0 += 32) {
      const Bf16 zero[32] = {};
      U16 unit[16];
      for (int64_t i = 0; i < 16; ++i) unit[i] = LoadUnits(n0 + i < n ? x + (n0 + i) * ldx + k0 : zero);
      Transpose16(unit);
      for (int64_t i = 0; i < 16; ++i) StoreUnits(b + n0 * k + k0 * 16 + i * 32, unit[i]);
    }
  }
}

// Row sum of a∘b for bf16 rows of n, in the row-sum order.
float RowDot(const Bf16* a, const Bf16* b, int64_t n) {
  F16 sum = Zero();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) sum = Fma(LoadBf16(a + i), LoadBf16(b + i), sum);
  if (i < n) {
    Bf16 a_tail[16] = {}, b_tail[16] = {};
    std::memcpy(a_tail, a + i, static_cast<size_t>(n - i) * sizeof(Bf16));
    std::memcpy(b_tail, b + i, static_cast<size_t>(n - i) * sizeof(Bf16));
    sum = Fma(LoadBf16(a_tail), LoadBf16(b_tail), sum);
  }
  return ReduceSum(sum);
}

// kStep[32 + query - key] is 1 where the query sees the key, both counted within a diagonal block.
struct Step {
  float value[64] = {};
  constexpr Step() {
    for (int i = 32; i < 64; ++i) value[i] = 1.0f;
  }
};
constexpr Step kStep;

class Backward {
 public:
  explicit Backward(const AttentionBackwardArgs& args) : a_(args), shape_(args.t, args.d_qk, args.d_v) {
    Bf16* next = reinterpret_cast<Bf16*>(a_.scratch);
    const auto take = [&](int64_t elements) {
      Bf16* at = next;
      next += RoundUp(elements, 32);
      return at;
    };
    const int64_t tp = shape_.t_padded, dk = shape_.dk, dv = shape_.dv;
    q_columns_ = take(tp * dk);
    q_rows_ = take(tp * dk);
    dout_ = take(tp * dv);
    dout_columns_ = take(tp * dv);
    dout_rows_ = take(tp * dv);
    k_transposed_ = take(tp * dk);
    k_tail_ = take(32 * dk);
    v_tail_ = take(32 * dv);
    p_ = take(32 * shape_.queries);
    ds_ = take(32 * shape_.queries);
    ds_packed_ = take(tp * shape_.queries);
    float* next_float = reinterpret_cast<float*>(next);
    const auto take_floats = [&](int64_t floats) {
      float* at = next_float;
      next_float += RoundUp(floats, 16);
      return at;
    };
    max_ = take_floats(tp);
    inverse_sum_ = take_floats(tp);
    delta_ = take_floats(tp);
    dq_transposed_ = take_floats(32 * dk);
  }

  void Run() {
    Prepare();
    for (int64_t q0 = 0; q0 < shape_.t_padded; q0 += shape_.queries) {
      const int64_t q1 = q0 + shape_.queries < shape_.t_padded ? q0 + shape_.queries : shape_.t_padded;
      for (int64_t key = 0; key < q1; key += 32) KeyBlock(key, key > q0 ? key : q0, q0, q1);
      for (int64_t query = q0; query < q1; query += 32) QueryGradient(query, q0);
    }
  }

 private:
  // Packs the inputs once, and gathers the row statistics. Rows past the end have P = 0.
  void Prepare() {
    const int64_t t = a_.t, tp = shape_.t_padded, dk = shape_.dk, dv = shape_.dv;
    PackRows(q_columns_, a_.q, t, tp, dk, a_.ldq);
    pack_kn_bf16(q_rows_, a_.q, t, dk, a_.ldq);
    to_bf16(dout_, dv, a_.dout, a_.lddo, t, a_.d_v, dv);
    PackRows(dout_columns_, dout_, t, tp, dv, dv);
    pack_kn_bf16(dout_rows_, dout_, t, dv, dv);
    transpose_bf16(k_transposed_, tp, a_.k, t, dk, a_.ldk);
    const int64_t whole = t / 32 * 32;
    for (int64_t row = 0; row < tp - whole; ++row) {
      const bool inside = whole + row < t;
      for (int64_t c = 0; c < dk; ++c) k_tail_[row * dk + c] = inside ? a_.k[(whole + row) * a_.ldk + c] : Bf16{};
      for (int64_t c = 0; c < dv; ++c) v_tail_[row * dv + c] = inside ? a_.v[(whole + row) * a_.ldv + c] : Bf16{};
    }
    for (int64_t i = 0; i < tp; ++i) {
      max_[i] = i < t ? a_.max[i] : 0.0f;
      inverse_sum_[i] = i < t ? 1.0f / a_.sum[i] : 0.0f;
      delta_[i] = i < t ? RowDot(dout_ + i * dv, a_.out + i * a_.ldo, a_.d_v) : 0.0f;
    }
  }

  // Keys key .. key+31 against queries begin .. q1: Pᵀ and dSᵀ, then their sums into dV and dK.
  void KeyBlock(int64_t key, int64_t begin, int64_t q0, int64_t q1) {
    const int64_t dk = shape_.dk, dv = shape_.dv, tp = shape_.t_padded;
    const bool whole = key + 32 <= a_.t;
    const Bf16* k = whole ? a_.k + key * a_.ldk : k_tail_;
    const Bf16* v = whole ? a_.v + key * a_.ldv : v_tail_;
    const int64_t ldk = whole ? a_.ldk : dk, ldv = whole ? a_.ldv : dv;
    constexpr int64_t kColumns = 64;
    alignas(64) float score[32 * kColumns], dp[32 * kColumns];
    for (int64_t query = begin; query < q1; query += kColumns) {
      const int64_t columns = q1 - query < kColumns ? q1 - query : kColumns;
      Multiply(Product<PackedRight>{
          k, ldk, {q_columns_ + query * dk, dk * kPanel}, score, kColumns, 32, columns, dk / 32, false});
      Multiply(Product<PackedRight>{
          v, ldv, {dout_columns_ + query * dv, dv * kPanel}, dp, kColumns, 32, columns, dv / 32, false});
      for (int64_t c = 0; c < columns; c += 32) {
        if (query + c == key)
          Elementwise<true>(score + c, dp + c, kColumns, key, query + c, q0);
        else
          Elementwise<false>(score + c, dp + c, kColumns, key, query + c, q0);
      }
    }
    const int64_t rows = whole ? 32 : a_.t - key, blocks = (q1 - begin) / 32, at = begin - q0;
    const int64_t skip = begin / 32 * kTileElements;
    Multiply(Product<PackedRight>{p_ + at,
                                  shape_.queries,
                                  {dout_rows_ + skip, tp * kPanel},
                                  a_.dv + key * a_.lddv,
                                  a_.lddv,
                                  rows,
                                  a_.d_v,
                                  blocks,
                                  true});
    Multiply(Product<PackedRight>{ds_ + at,
                                  shape_.queries,
                                  {q_rows_ + skip, tp * kPanel},
                                  a_.dk + key * a_.lddk,
                                  a_.lddk,
                                  rows,
                                  a_.d_qk,
                                  blocks,
                                  true});
  }

  // 32 keys x 32 queries of P and dS, to both layouts.
  template <bool Diagonal>
  void Elementwise(const float* score, const float* dp, int64_t ld, int64_t key, int64_t query, int64_t q0) {
    const F16 scale = Set(a_.scale);
    F16 m[2], inverse[2], delta[2];
    for (int64_t half = 0; half < 2; ++half) {
      m[half] = Load(max_ + query + 16 * half);
      inverse[half] = Load(inverse_sum_ + query + 16 * half);
      delta[half] = Load(delta_ + query + 16 * half);
    }
    Bf16* p_out = p_ + query - q0;
    Bf16* ds_out = ds_ + query - q0;
    Bf16* packed = ds_packed_ + (query - q0) * shape_.t_padded + key * 16;
    for (int64_t row = 0; row < 32; row += 2) {
      if (row % 8 == 0) KeepTilesAwake();
      Near p[2][2], ds[2][2];
      for (int64_t i = 0; i < 2; ++i) {
        for (int64_t half = 0; half < 2; ++half) {
          const int64_t at = (row + i) * ld + 16 * half;
          F16 x = Mul(Exp(Sub(Mul(Load(score + at), scale), m[half])), inverse[half]);
          if constexpr (Diagonal) x = Mul(x, Load(kStep.value + 32 + 16 * half - (row + i)));
          p[i][half] = RoundFinite(x);
          ds[i][half] = RoundFinite(Mul(Mul(x, Sub(Load(dp + at), delta[half])), scale));
        }
        StoreFinite(p_out + (row + i) * shape_.queries, p[i][0], p[i][1]);
        StoreFinite(ds_out + (row + i) * shape_.queries, ds[i][0], ds[i][1]);
      }
      for (int64_t half = 0; half < 2; ++half) {
        StoreUnits(packed + 16 * half * shape_.t_padded + row * 16, MergeFinite(ds[0][half], ds[1][half]));
      }
    }
  }

  // dQ of queries query .. query+31 from all keys they see.
  void QueryGradient(int64_t query, int64_t q0) {
    const int64_t dk = shape_.dk, tp = shape_.t_padded;
    Multiply(Product<PackedRight>{k_transposed_,
                                  tp,
                                  {ds_packed_ + (query - q0) * tp, tp * kPanel},
                                  dq_transposed_,
                                  32,
                                  dk,
                                  32,
                                  query / 32 + 1,
                                  false});
    const int64_t rows = a_.t - query < 32 ? a_.t - query : 32;
    for (int64_t d0 = 0; d0 < a_.d_qk; d0 += 16) {
      const int64_t columns = a_.d_qk - d0 < 16 ? a_.d_qk - d0 : 16;
      for (int64_t half = 0; half < rows; half += 16) {
        U16 unit[16];
        for (int64_t i = 0; i < 16; ++i) unit[i] = LoadUnits(dq_transposed_ + (d0 + i) * 32 + half);
        Transpose16(unit);
        for (int64_t i = 0; i < 16 && half + i < rows; ++i) {
          float* to = a_.dq + (query + half + i) * a_.lddq + d0;
          if (columns == 16) {
            StoreUnits(to, unit[i]);
          } else {
            float row[16];
            StoreUnits(row, unit[i]);
            std::memcpy(to, row, static_cast<size_t>(columns) * sizeof(float));
          }
        }
      }
    }
  }

  const AttentionBackwardArgs& a_;
  const AttentionBackwardShape shape_;
  Bf16 *q_columns_, *q_rows_, *dout_, *dout_columns_, *dout_rows_, *k_transposed_, *k_tail_, *v_tail_, *p_, *ds_,
      *ds_packed_;
  float *max_, *inverse_sum_, *delta_, *dq_transposed_;
};

}  // namespace

void attention_backward(const AttentionBackwardArgs& args) {
  if (args.t > 0) Backward(args).Run();
}

}  // namespace r1::kernels::R1_ISA_NAME
