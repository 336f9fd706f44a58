// Definitions of the mixture of experts: routing as DeepSeek-V3 publishes it (report,
// section 2.1.2; released inference code), its gradient with the choice held fixed, the
// sequence-wise balance loss, and moving rows. T tokens, E experts, K chosen, D width.
#pragma once

#include <limits>

#include "kernels/kernels.h"
#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

// logits [T, E] = x · gateᵀ, one fused chain over D ascending from 0.
template <class S>
void RouterLogits(S* logits_TE, const S* x, int64_t ldx, const S* gate_ED, int64_t t, int64_t e, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t expert = 0; expert < e; ++expert) {
      S sum = 0;
      for (int64_t i = 0; i < d; ++i) sum = Fma(x[row * ldx + i], gate_ED[expert * d + i], sum);
      logits_TE[row * e + expert] = sum;
    }
  }
}

// dx [T, D] += dlogits · gate, experts in order; dgate [E, D] += dlogitsᵀ · x, rows in order. Terms
// with dlogit = 0 are left out.
template <class S>
void RouterBackward(S* dx, int64_t lddx, S* dgate_ED, const S* dlogits_TE, const S* x, int64_t ldx, const S* gate_ED,
                    int64_t t, int64_t e, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t expert = 0; expert < e; ++expert) {
      const S g = dlogits_TE[row * e + expert];
      if (g == S(0)) continue;
      for (int64_t i = 0; i < d; ++i) {
        dx[row * lddx + i] = Fma(g, gate_ED[expert * d + i], dx[row * lddx + i]);
        dgate_ED[expert * d + i] = Fma(g, x[row * ldx + i], dgate_ED[expert * d + i]);
      }
    }
  }
}

// Scores of one token.
template <class S>
void RouteScores(S* score_E, const S* logits_E, const RouteConfig& c) {
  if (c.softmax) {
    S top = logits_E[0];
    for (int64_t i = 1; i < c.experts; ++i) top = Larger(logits_E[i], top);
    for (int64_t i = 0; i < c.experts; ++i) score_E[i] = Exp(logits_E[i] - top);
    const S inverse = S(1) / RowSum<S>(c.experts, [&](S sum, int64_t i) { return sum + score_E[i]; });
    for (int64_t i = 0; i < c.experts; ++i) score_E[i] = score_E[i] * inverse;
  } else {
    for (int64_t i = 0; i < c.experts; ++i) score_E[i] = Sigmoid(logits_E[i]);
  }
}

// The chosen experts of one token, ascending. A choice that is NaN or -infinity counts as -FLT_MAX.
inline void RouteChoose(int32_t* expert_K, const float* score_E, const float* bias_E, const RouteConfig& c) {
  constexpr float kLowest = -std::numeric_limits<float>::max();
  float choice[kMaxExperts];
  bool open[kMaxExperts];
  for (int64_t i = 0; i < c.experts; ++i) {
    choice[i] = Larger(c.softmax || bias_E == nullptr ? score_E[i] : score_E[i] + bias_E[i], kLowest);
    open[i] = c.groups <= 1;
  }
  if (c.groups > 1) {
    const int64_t size = c.experts / c.groups;
    float group_score[kMaxExperts];
    bool kept[kMaxExperts] = {};
    for (int64_t group = 0; group < c.groups; ++group) {
      float first = -std::numeric_limits<float>::infinity(), second = first;
      for (int64_t i = group * size; i < (group + 1) * size; ++i) {
        if (choice[i] > first) {
          second = first;
          first = choice[i];
        } else if (choice[i] > second) {
          second = choice[i];
        }
      }
      group_score[group] = c.softmax || size == 1 ? first : first + second;
    }
    for (int64_t n = 0; n < c.topk_group; ++n) {
      int64_t best = -1;
      for (int64_t group = 0; group < c.groups; ++group) {
        if (!kept[group] && (best < 0 || group_score[group] > group_score[best])) best = group;
      }
      kept[best] = true;
      for (int64_t i = best * size; i < (best + 1) * size; ++i) open[i] = true;
    }
  }
  bool chosen[kMaxExperts] = {};
  for (int64_t k = 0; k < c.top_k; ++k) {
    int64_t best = -1;
    for (int64_t i = 0; i < c.experts; ++i) {
      if (open[i] && !chosen[i] && (best < 0 || choice[i] > choice[best])) best = i;
    }
    chosen[best] = true;
  }
  for (int64_t i = 0; i < c.experts; ++i) {
    if (chosen[i]) *expert_K++ = static_cast<int32_t>(i);
  }
}

// Weights of the chosen experts of one token: s · (scale / (sum of chosen s + 1e-20)) when
// normalised, else s · scale.
template <class S>
void RouteWeights(S* weight_K, const S* score_E, const int32_t* expert_K, const RouteConfig& c) {
  S sum = 0;
  for (int64_t k = 0; k < c.top_k; ++k) sum += score_E[expert_K[k]];
  const S factor = c.normalize ? S(c.scale) / (sum + S(1e-20f)) : S(c.scale);
  for (int64_t k = 0; k < c.top_k; ++k) weight_K[k] = score_E[expert_K[k]] * factor;
}

// One token: dlogits [E] from dweight [K] and, if not null, dscore_extra [E].
template <class S>
void RouteBackward(S* dlogits_E, const S* dweight_K, const S* dscore_extra_E, const S* score_E, const int32_t* expert_K,
                   const S* weight_K, const RouteConfig& c) {
  for (int64_t i = 0; i < c.experts; ++i) dlogits_E[i] = dscore_extra_E != nullptr ? dscore_extra_E[i] : S(0);
  S sum = 0, dot = 0, inverse = 1;
  if (c.normalize) {
    for (int64_t k = 0; k < c.top_k; ++k) {
      sum += score_E[expert_K[k]];
      dot = Fma(dweight_K[k], weight_K[k], dot);
    }
    inverse = S(1) / (sum + S(1e-20f));
  }
  for (int64_t k = 0; k < c.top_k; ++k) dlogits_E[expert_K[k]] += (S(c.scale) * dweight_K[k] - dot) * inverse;
  const S mean = RowSum<S>(c.experts, [&](S total, int64_t i) { return Fma(dlogits_E[i], score_E[i], total); });
  for (int64_t i = 0; i < c.experts; ++i) {
    dlogits_E[i] = c.softmax ? score_E[i] * (dlogits_E[i] - mean) : dlogits_E[i] * (score_E[i] * (S(1) - score_E[i]));
  }
}

// Sequence-wise balance loss of V3 (report, eq. 17 to 20) over the T tokens of one sequence. f
// counts the chosen experts and is a constant:
//   f_i = E / (K T) · count_i        S_t = sum_i s_ti + 1e-20        q_t = sum_i f_i s_ti / S_t
//   loss = alpha / T · sum_t q_t     dloss/ds_ti = alpha / (T S_t) · (f_i - q_t)
template <class S>
void BalanceLoss(S* loss, S* dscore_TE, const S* score_TE, const int32_t* expert_TK, int64_t t, const RouteConfig& c,
                 float alpha) {
  *loss = 0;
  if (t == 0) return;
  S f[kMaxExperts] = {};
  for (int64_t i = 0; i < t * c.top_k; ++i) f[expert_TK[i]] += S(1);
  const S unit = S(static_cast<float>(c.experts)) / S(static_cast<float>(c.top_k * t));
  for (int64_t i = 0; i < c.experts; ++i) f[i] = f[i] * unit;
  const S share = S(alpha) / S(static_cast<float>(t));
  Wide<S> total = 0;
  for (int64_t row = 0; row < t; ++row) {
    const S* score = score_TE + row * c.experts;
    const S sum = RowSum<S>(c.experts, [&](S lane, int64_t i) { return lane + score[i]; });
    const S dot = RowSum<S>(c.experts, [&](S lane, int64_t i) { return Fma(score[i], f[i], lane); });
    const S inverse = S(1) / (sum + S(1e-20f));
    const S q = dot * inverse;
    total += Wide<S>(q);
    for (int64_t i = 0; i < c.experts; ++i) dscore_TE[row * c.experts + i] = share * inverse * (f[i] - q);
  }
  *loss = S(Wide<S>(share) * total);
}

// y_t = base_t (0 if null) + sum over the K slots, in order, of weight · rows[slot].
template <class S>
void MoeCombine(S* y, int64_t ldy, const S* base, int64_t ldb, const S* rows, int64_t ldr, const int32_t* slot_TK,
                const S* weight_TK, int64_t t, int64_t k, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t i = 0; i < d; ++i) {
      S sum = base != nullptr ? base[row * ldb + i] : S(0);
      for (int64_t s = 0; s < k; ++s) sum = Fma(weight_TK[row * k + s], rows[slot_TK[row * k + s] * ldr + i], sum);
      y[row * ldy + i] = sum;
    }
  }
}

// drows[slot] = weight · dy_t (the kernel rounds it to bf16); dweight = row sum of dy_t ∘
// rows[slot].
template <class S>
void MoeCombineBackward(S* drows, int64_t lddr, S* dweight_TK, const S* dy, int64_t lddy, const S* rows, int64_t ldr,
                        const int32_t* slot_TK, const S* weight_TK, int64_t t, int64_t k, int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    const S* g = dy + row * lddy;
    for (int64_t s = 0; s < k; ++s) {
      const int64_t slot = slot_TK[row * k + s];
      const S* p = rows + slot * ldr;
      for (int64_t i = 0; i < d; ++i) drows[slot * lddr + i] = weight_TK[row * k + s] * g[i];
      dweight_TK[row * k + s] = RowSum<S>(d, [&](S sum, int64_t i) { return Fma(g[i], p[i], sum); });
    }
  }
}

// dx_t += sum over the K slots, in order, of drows[slot].
template <class S>
void MoeScatterAdd(S* dx, int64_t lddx, const S* drows, int64_t lddr, const int32_t* slot_TK, int64_t t, int64_t k,
                   int64_t d) {
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t s = 0; s < k; ++s) {
      for (int64_t i = 0; i < d; ++i) dx[row * lddx + i] = dx[row * lddx + i] + drows[slot_TK[row * k + s] * lddr + i];
    }
  }
}

}  // namespace r1::kernels::ref
