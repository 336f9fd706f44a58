// Mixture of experts: routing in the published V3 order, its gradient, the sequence-wise balance
// loss, and moving rows between tokens and experts. Definition: ref/moe.h.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec16.h"

namespace r1::kernels::R1_ISA_NAME {

namespace {

constexpr float kNever = -__builtin_inff();  // a choice that is not there any more; live choices are at least -FLT_MAX
constexpr float kSmall = 1e-20f;

// Scores and selection values of one token: choice [RoundUp(E, 16)], NaN and -infinity replaced by
// -FLT_MAX, padding kNever.
void Choices(float* choice, float* score, const float* logits, const float* bias, const RouteConfig& c) {
  if (c.softmax) softmax_row(score, logits, c.experts, 1.0f);
  const F16 lowest = Set(-3.402823466e38f);
  for (int64_t i = 0; i < c.experts; i += 16) {
    const int64_t n = c.experts - i < 16 ? c.experts - i : 16;
    F16 value;
    if (c.softmax) {
      value = LoadN(score + i, n, 0);
    } else {
      value = Sigmoid(LoadN(logits + i, n, 0));
      StoreN(score + i, value, n);
      if (bias != nullptr) value = Add(value, LoadN(bias + i, n, 0));
    }
    Store(choice + i, KeepN(Max(value, lowest), n, kNever));
  }
}

// Keeps the topk_group best groups of consecutive experts; the others' choices become kNever.
void LimitGroups(float* choice, const RouteConfig& c) {
  float group_score[kMaxExperts];
  const int64_t size = c.experts / c.groups;
  for (int64_t group = 0; group < c.groups; ++group) {
    const float* p = choice + group * size;
    float first = p[0], second = kNever;
    for (int64_t i = 1; i < size; ++i) {
      const float low = p[i] < first ? p[i] : first;
      second = low > second ? low : second;
      first = p[i] > first ? p[i] : first;
    }
    group_score[group] = c.softmax || size == 1 ? first : first + second;
  }
  // A group is dropped when at least topk_group groups come before it: larger score, or equal score
  // and lower index.
  for (int64_t group = 0; group < c.groups; ++group) {
    int64_t before = 0;
    for (int64_t other = 0; other < c.groups; ++other) {
      before += group_score[other] > group_score[group] || (group_score[other] == group_score[group] && other < group);
    }
    if (before < c.topk_group) continue;
    for (int64_t i = 0; i < size; ++i) choice[group * size + i] = kNever;
  }
}

// The expert with the largest choice, the lower index among equals.
R1_VEC_INLINE int32_t Best(const float* choice, int64_t experts) {
  F16 top = Load(choice);
  for (int64_t i = 16; i < experts; i += 16) top = Max(top, Load(choice + i));
  const float best = ReduceMax(top);
  for (int64_t i = 0; i < experts; i += 16) {
    const int lane = FirstEqual(Load(choice + i), best);
    if (lane >= 0) return static_cast<int32_t>(i + lane);
  }
  return 0;
}

}  // namespace

// Sixteen experts by eight rows at a time: the gate is turned once into columns of sixteen experts,
// a row's inputs are broadcast. Every (row, expert) is one fused chain over D; between chunks of D
// it waits in logits.
void router_logits(float* logits_TE, const Bf16* x, int64_t ldx, const float* gate_ED, int64_t t, int64_t e,
                   int64_t d) {
  constexpr int64_t kChunk = 128, kRows = 8;
  alignas(64) float gate[kChunk * 16];
  alignas(64) float input[kRows][kChunk];
  for (int64_t first = 0; first < e; first += 16) {
    const int64_t lanes = e - first < 16 ? e - first : 16;
    for (int64_t begin = 0; begin < d; begin += kChunk) {
      const int64_t size = d - begin < kChunk ? d - begin : kChunk;
      for (int64_t k = 0; k < size; ++k) {
        for (int64_t lane = 0; lane < 16; ++lane)
          gate[k * 16 + lane] = lane < lanes ? gate_ED[(first + lane) * d + begin + k] : 0.0f;
      }
      for (int64_t row = 0; row < t; row += kRows) {
        const int64_t rows = t - row < kRows ? t - row : kRows;
        F16 sum[kRows];
        for (int64_t r = 0; r < kRows; ++r) {
          const int64_t source = r < rows ? row + r : row;  // rows past the end repeat the first one and are not stored
          const Bf16* x_row = x + source * ldx + begin;
          int64_t k = 0;
          for (; k + 16 <= size; k += 16) Store(&input[r][k], LoadBf16(x_row + k));
          if (k < size) Store(&input[r][k], LoadBf16N(x_row + k, size - k));
          sum[r] = begin == 0 ? Zero() : LoadN(logits_TE + source * e + first, lanes, 0);
        }
        for (int64_t k = 0; k < size; ++k) {
          const F16 column = Load(gate + k * 16);
          for (int64_t r = 0; r < kRows; ++r) sum[r] = Fma(Set(input[r][k]), column, sum[r]);
        }
        for (int64_t r = 0; r < kRows; ++r) {
          if (r < rows) StoreN(logits_TE + (row + r) * e + first, sum[r], lanes);
        }
      }
    }
  }
}

// Terms whose dlogit is exactly 0 (experts not chosen, when there is no balance loss) are left out.
void router_backward(float* dx, int64_t lddx, float* dgate_ED, const float* dlogits_TE, const Bf16* x, int64_t ldx,
                     const float* gate_ED, int64_t t, int64_t e, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    float* dx_row = dx + row * lddx;
    const Bf16* x_row = x + row * ldx;
    const float* dlogits = dlogits_TE + row * e;
    for (int64_t expert = 0; expert < e; ++expert) {
      if (dlogits[expert] == 0) continue;
      const F16 g = Set(dlogits[expert]);
      const float* gate = gate_ED + expert * d;
      float* dgate = dgate_ED + expert * d;
      int64_t i = 0;
      for (; i + 16 <= d; i += 16) {
        Store(dx_row + i, Fma(g, Load(gate + i), Load(dx_row + i)));
        Store(dgate + i, Fma(g, LoadBf16(x_row + i), Load(dgate + i)));
      }
      if (i < d) {
        const int64_t rest = d - i;
        StoreN(dx_row + i, Fma(g, LoadN(gate + i, rest, 0), LoadN(dx_row + i, rest, 0)), rest);
        StoreN(dgate + i, Fma(g, LoadBf16N(x_row + i, rest), LoadN(dgate + i, rest, 0)), rest);
      }
    }
  }
}

void route(float* score_TE, int32_t* expert_TK, float* weight_TK, const float* logits_TE, const float* bias_E,
           int64_t t, const RouteConfig& c) {
  alignas(64) float choice[kMaxExperts];
  for (int64_t row = 0; row < t; ++row) {
    float* score = score_TE + row * c.experts;
    int32_t* expert = expert_TK + row * c.top_k;
    float* weight = weight_TK + row * c.top_k;
    Choices(choice, score, logits_TE + row * c.experts, bias_E, c);
    if (c.groups > 1) LimitGroups(choice, c);
    for (int64_t k = 0; k < c.top_k; ++k) {
      const int32_t best = Best(choice, c.experts);
      choice[best] = kNever;
      int64_t at = k;  // insertion keeps the chosen ascending
      for (; at > 0 && expert[at - 1] > best; --at) expert[at] = expert[at - 1];
      expert[at] = best;
    }
    float factor = c.scale, sum = 0;
    for (int64_t k = 0; k < c.top_k; ++k) sum += score[expert[k]];
    if (c.normalize) factor = c.scale / (sum + kSmall);
    for (int64_t k = 0; k < c.top_k; ++k) weight[k] = score[expert[k]] * factor;
  }
}

// With S = sum of the chosen scores + 1e-20 and w = scale s / S, for the chosen
//   ds_i = (scale dw_i - sum_j dw_j w_j) / S
// sigmoid: dlogit = ds s (1 - s).   softmax: dlogit = s (ds - sum_j ds_j s_j).
void route_backward(float* dlogits_TE, const float* dweight_TK, const float* dscore_extra_TE, const float* score_TE,
                    const int32_t* expert_TK, const float* weight_TK, int64_t t, const RouteConfig& c) {
  for (int64_t row = 0; row < t; ++row) {
    const float* score = score_TE + row * c.experts;
    const float* extra = dscore_extra_TE != nullptr ? dscore_extra_TE + row * c.experts : nullptr;
    const int32_t* expert = expert_TK + row * c.top_k;
    const float* dweight = dweight_TK + row * c.top_k;
    const float* weight = weight_TK + row * c.top_k;
    float* dlogits = dlogits_TE + row * c.experts;
    const size_t bytes = static_cast<size_t>(c.experts) * sizeof(float);
    if (extra != nullptr) {
      std::memcpy(dlogits, extra, bytes);
    } else {
      std::memset(dlogits, 0, bytes);
    }
    float sum = 0, dot = 0, inverse = 1.0f;
    if (c.normalize) {
      for (int64_t k = 0; k < c.top_k; ++k) {
        sum += score[expert[k]];
        dot = std::fma(dweight[k], weight[k], dot);
      }
      inverse = 1.0f / (sum + kSmall);
    }
    for (int64_t k = 0; k < c.top_k; ++k) dlogits[expert[k]] += (c.scale * dweight[k] - dot) * inverse;
    if (!c.softmax && extra == nullptr) {  // the others are zero already
      for (int64_t k = 0; k < c.top_k; ++k) {
        const float s = score[expert[k]];
        dlogits[expert[k]] *= s * (1.0f - s);
      }
      continue;
    }
    F16 mean = Zero();
    if (c.softmax) {
      for (int64_t i = 0; i < c.experts; i += 16) {
        const int64_t n = c.experts - i < 16 ? c.experts - i : 16;
        mean = Fma(LoadN(dlogits + i, n, 0), LoadN(score + i, n, 0), mean);
      }
      mean = Set(ReduceSum(mean));
    }
    for (int64_t i = 0; i < c.experts; i += 16) {
      const int64_t n = c.experts - i < 16 ? c.experts - i : 16;
      const F16 s = LoadN(score + i, n, 0);
      const F16 ds = LoadN(dlogits + i, n, 0);
      StoreN(dlogits + i, c.softmax ? Mul(s, Sub(ds, mean)) : Mul(ds, Mul(s, Sub(Set(1.0f), s))), n);
    }
  }
}

// With S_t = sum_i s_ti + 1e-20 and q_t = sum_i f_i s_ti / S_t:
//   loss = alpha / T · sum_t q_t     dloss/ds_ti = alpha / (T S_t) · (f_i - q_t)
void balance_loss(float* loss, float* dscore_extra_TE, const float* score_TE, const int32_t* expert_TK, int64_t t,
                  const RouteConfig& c, float alpha) {
  *loss = 0;
  if (t == 0) return;
  alignas(64) float f[kMaxExperts];
  for (int64_t i = 0; i < RoundUp(c.experts, 16); ++i) f[i] = 0;
  for (int64_t i = 0; i < t * c.top_k; ++i) f[expert_TK[i]] += 1.0f;  // exact up to 2^24 tokens
  scale(f, static_cast<float>(c.experts) / static_cast<float>(c.top_k * t), c.experts);
  const float share = alpha / static_cast<float>(t);
  double total = 0;
  for (int64_t row = 0; row < t; ++row) {
    const float* score = score_TE + row * c.experts;
    F16 sum = Zero(), dot = Zero();
    for (int64_t i = 0; i < c.experts; i += 16) {
      const F16 s = c.experts - i < 16 ? LoadN(score + i, c.experts - i, 0) : Load(score + i);
      sum = Add(sum, s);
      dot = Fma(s, Load(f + i), dot);
    }
    const float inverse = 1.0f / (ReduceSum(sum) + kSmall);
    const float q = ReduceSum(dot) * inverse;
    total += static_cast<double>(q);
    const F16 factor = Set(share * inverse);
    const F16 q_row = Set(q);
    float* out = dscore_extra_TE + row * c.experts;
    for (int64_t i = 0; i < c.experts; i += 16) {
      const int64_t n = c.experts - i < 16 ? c.experts - i : 16;
      StoreN(out + i, Mul(factor, Sub(Load(f + i), q_row)), n);
    }
  }
  *loss = static_cast<float>(static_cast<double>(share) * total);
}

void moe_combine(float* y, int64_t ldy, const float* base, int64_t ldb, const float* rows, int64_t ldr,
                 const int32_t* slot_TK, const float* weight_TK, int64_t t, int64_t k, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    const int32_t* slot = slot_TK + row * k;
    const float* weight = weight_TK + row * k;
    float* out = y + row * ldy;
    const float* start = base != nullptr ? base + row * ldb : nullptr;
    int64_t i = 0;
    for (; i + 64 <= d; i += 64) {
      F16 sum[4];
      for (int64_t j = 0; j < 4; ++j) sum[j] = start != nullptr ? Load(start + i + 16 * j) : Zero();
      for (int64_t s = 0; s < k; ++s) {
        const float* p = rows + slot[s] * ldr + i;
        const F16 w = Set(weight[s]);
        for (int64_t j = 0; j < 4; ++j) sum[j] = Fma(w, Load(p + 16 * j), sum[j]);
      }
      for (int64_t j = 0; j < 4; ++j) Store(out + i + 16 * j, sum[j]);
    }
    for (; i < d; i += 16) {
      const int64_t n = d - i < 16 ? d - i : 16;
      F16 sum = start != nullptr ? LoadN(start + i, n, 0) : Zero();
      for (int64_t s = 0; s < k; ++s) sum = Fma(Set(weight[s]), LoadN(rows + slot[s] * ldr + i, n, 0), sum);
      StoreN(out + i, sum, n);
    }
  }
}

void moe_combine_backward(Bf16* drows, int64_t lddr, float* dweight_TK, const float* dy, int64_t lddy,
                          const float* rows, int64_t ldr, const int32_t* slot_TK, const float* weight_TK, int64_t t,
                          int64_t k, int64_t d) {
  const int64_t padded = RoundUp(d, 32);
  for (int64_t row = 0; row < t; ++row) {
    const float* dy_row = dy + row * lddy;
    for (int64_t s = 0; s < k; ++s) {
      const int64_t slot = slot_TK[row * k + s];
      const float* p = rows + slot * ldr;
      Bf16* out = drows + slot * lddr;
      const F16 w = Set(weight_TK[row * k + s]);
      F16 dot = Zero();
      int64_t i = 0;
      for (; i + 16 <= d; i += 16) {
        const F16 g = Load(dy_row + i);
        dot = Fma(g, Load(p + i), dot);
        StoreBf16(out + i, Mul(w, g));
      }
      if (i < d) {
        const F16 g = LoadN(dy_row + i, d - i, 0);
        dot = Fma(g, LoadN(p + i, d - i, 0), dot);
        StoreBf16(out + i, KeepN(Mul(w, g), d - i, 0));
        i += 16;
      }
      for (; i < padded; i += 16) StoreBf16(out + i, Zero());
      dweight_TK[row * k + s] = ReduceSum(dot);
    }
  }
}

void moe_scatter_add(float* dx, int64_t lddx, const float* drows, int64_t lddr, const int32_t* slot_TK, int64_t t,
                     int64_t k, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    const int32_t* slot = slot_TK + row * k;
    float* out = dx + row * lddx;
    int64_t i = 0;
    for (; i + 64 <= d; i += 64) {
      F16 sum[4];
      for (int64_t j = 0; j < 4; ++j) sum[j] = Load(out + i + 16 * j);
      for (int64_t s = 0; s < k; ++s) {
        const float* p = drows + slot[s] * lddr + i;
        for (int64_t j = 0; j < 4; ++j) sum[j] = Add(sum[j], Load(p + 16 * j));
      }
      for (int64_t j = 0; j < 4; ++j) Store(out + i + 16 * j, sum[j]);
    }
    for (; i < d; i += 16) {
      const int64_t n = d - i < 16 ? d - i : 16;
      F16 sum = LoadN(out + i, n, 0);
      for (int64_t s = 0; s < k; ++s) sum = Add(sum, LoadN(drows + slot[s] * lddr + i, n, 0));
      StoreN(out + i, sum, n);
    }
  }
}

}  // namespace r1::kernels::R1_ISA_NAME
