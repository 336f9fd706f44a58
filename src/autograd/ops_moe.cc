// DeepSeekMoE: route, gather tokens by expert, grouped products, combine in slot order with the shared expert as base.
#include <cstring>
#include <string>

#include "autograd/ops.h"
#include "base/check.h"

namespace r1 {

using kernels::RoundUp;

Var* Moe(Context& ctx, Var* x, const MoeWeights& w, const kernels::RouteConfig& route,
         std::span<const Segment> segments, const MoeStats& stats) {
  const int64_t t = x->rows, d = x->cols, experts = route.experts, top = route.top_k, slots = t * top;
  const int64_t f = w.down[0].k, ldh = RoundUp(f, 32), ldg = RoundUp(2 * f, 32);
  Var* base = nullptr;
  if (w.shared_gate_up != nullptr) base = MatMul(ctx, SwiGlu(ctx, MatMul(ctx, x, *w.shared_gate_up)), *w.shared_down);

  float* score = ctx.arena.Array<float>(t * experts);
  int32_t* expert = ctx.arena.Array<int32_t>(slots);
  float* weight = ctx.arena.Array<float>(slots);
  {
    ArenaScope scope(ctx.scratch);
    float* logits = ctx.scratch.Array<float>(t * experts);
    ctx.k->router_logits(logits, x->data16, x->ld16, w.gate.w, t, experts, d);
    ctx.k->route(score, expert, weight, logits, w.bias_E, t, route);
  }
  // Slot order: by expert, then by token.
  int64_t* first = ctx.arena.Zeroed<int64_t>(experts + 1);
  int32_t* slot = ctx.arena.Array<int32_t>(slots);
  for (int64_t i = 0; i < slots; ++i) ++first[expert[i] + 1];
  if (stats.load_E != nullptr) {
    for (int64_t e = 0; e < experts; ++e) stats.load_E[e] += first[e + 1];
  }
  for (int64_t e = 0; e < experts; ++e) first[e + 1] += first[e];
  Bf16* gathered = ctx.arena.Array<Bf16>(slots * x->ld16);
  {
    ArenaScope scope(ctx.scratch);
    int64_t* next = ctx.scratch.Array<int64_t>(experts);
    std::memcpy(next, first, static_cast<size_t>(experts) * sizeof(int64_t));
    for (int64_t i = 0; i < slots; ++i) {
      const int64_t to = next[expert[i]]++;
      slot[i] = static_cast<int32_t>(to);
      std::memcpy(static_cast<void*>(gathered + to * x->ld16), x->data16 + i / top * x->ld16,
                  static_cast<size_t>(x->ld16) * sizeof(Bf16));
    }
  }
  float* gu = ctx.arena.Array<float>(slots * 2 * f);
  Bf16* h = ctx.arena.Array<Bf16>(slots * ldh);
  float* rows = ctx.arena.Array<float>(slots * d);
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t n = first[e + 1] - first[e];
    if (n == 0) continue;
    ctx.k->gemm({.a = gathered + first[e] * x->ld16,
                 .lda = x->ld16,
                 .b = w.gate_up[e].forward,
                 .c = gu + first[e] * 2 * f,
                 .ldc = 2 * f,
                 .m = n,
                 .n = 2 * f,
                 .k = d,
                 .accumulate = false});
  }
  ctx.k->swiglu(h, ldh, gu, 2 * f, slots, f);
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t n = first[e + 1] - first[e];
    if (n == 0) continue;
    ctx.k->gemm({.a = h + first[e] * ldh,
                 .lda = ldh,
                 .b = w.down[e].forward,
                 .c = rows + first[e] * d,
                 .ldc = d,
                 .m = n,
                 .n = d,
                 .k = f,
                 .accumulate = false});
  }
  Var* y = NewVar(ctx, t, d);
  ctx.k->moe_combine(y->data, d, base == nullptr ? nullptr : base->data, d, rows, d, slot, weight, t, top, d);

  if (ctx.recording) {
    Context* c = &ctx;
    float* extra = nullptr;  // gradient of the balance loss with respect to the scores
    if (stats.balance_alpha > 0) {
      extra = ctx.arena.Zeroed<float>(t * experts);
      for (const Segment& seg : segments) {
        if (seg.rows == 0) continue;
        float loss = 0;
        ctx.k->balance_loss(&loss, extra + seg.row * experts, score + seg.row * experts, expert + seg.row * top,
                            seg.rows, route, stats.balance_alpha);
        if (stats.balance_loss != nullptr) *stats.balance_loss += loss;
      }
      ctx.k->scale(extra, stats.balance_scale, t * experts);
    }
    const MoeWeights weights = w;
    const kernels::RouteConfig config = route;
    ctx.tape.Record([=] {
      if (y->grad == nullptr) return;
      const kernels::KernelTable& k = *c->k;
      if (base != nullptr) base->grad = y->grad;  // the shared expert's product runs backward next and only reads it
      ArenaScope scope(c->scratch);
      const int64_t ldr = RoundUp(d, 32);
      Bf16* drows = c->scratch.Array<Bf16>(slots * ldr);
      float* dweight = c->scratch.Array<float>(slots);
      k.moe_combine_backward(drows, ldr, dweight, y->grad, d, rows, d, slot, weight, t, top, d);
      float* dh = c->scratch.Array<float>(slots * f);
      Bf16* dgu = c->scratch.Array<Bf16>(slots * ldg);
      float* dgathered = c->scratch.Array<float>(slots * d);
      for (int64_t e = 0; e < experts; ++e) {
        const int64_t n = first[e + 1] - first[e], at = first[e];
        if (n == 0) continue;
        k.gemm({.a = drows + at * ldr,
                .lda = ldr,
                .b = weights.down[e].backward,
                .c = dh + at * f,
                .ldc = f,
                .m = n,
                .n = f,
                .k = d,
                .accumulate = false});
        AddWeightGrad(*c, weights.down[e], drows + at * ldr, ldr, h + at * ldh, ldh, n);
      }
      k.swiglu_backward(dgu, ldg, dh, f, gu, 2 * f, slots, f);
      for (int64_t e = 0; e < experts; ++e) {
        const int64_t n = first[e + 1] - first[e], at = first[e];
        if (n == 0) continue;
        k.gemm({.a = dgu + at * ldg,
                .lda = ldg,
                .b = weights.gate_up[e].backward,
                .c = dgathered + at * d,
                .ldc = d,
                .m = n,
                .n = d,
                .k = 2 * f,
                .accumulate = false});
        AddWeightGrad(*c, weights.gate_up[e], dgu + at * ldg, ldg, gathered + at * x->ld16, x->ld16, n);
      }
      const GradRef dx = GradOf(*c, x);
      if (dx.fresh) std::memset(dx.grad, 0, static_cast<size_t>(t * d) * sizeof(float));
      k.moe_scatter_add(dx.grad, d, dgathered, d, slot, t, top, d);
      float* dlogits = c->scratch.Array<float>(t * experts);
      k.route_backward(dlogits, dweight, extra, score, expert, weight, t, config);
      k.router_backward(dx.grad, d, ParamGradOf(*c, weights.gate.offset, experts * d), dlogits, x->data16, x->ld16,
                        weights.gate.w, t, experts, d);
    });
  }
  return y;
}

}  // namespace r1
