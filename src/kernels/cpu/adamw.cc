// AdamW with decoupled weight decay (Loshchilov and Hutter 2019). Definition: ref/adamw.h.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec16.h"

namespace r1::kernels::R1_ISA_NAME {

namespace {
struct Constants {
  F16 grad_scale, beta1, rest1, beta2, rest2, inverse_bias1, inverse_bias2, eps, decay, minus_lr;
};
R1_VEC_INLINE void Update(const Constants& c, F16 gradient, F16* w, F16* m, F16* v) {
  const F16 g = Mul(gradient, c.grad_scale);
  *m = Fma(c.beta1, *m, Mul(c.rest1, g));
  *v = Fma(c.beta2, *v, Mul(c.rest2, Mul(g, g)));
  const F16 step = Div(Mul(*m, c.inverse_bias1), Add(Sqrt(Mul(*v, c.inverse_bias2)), c.eps));
  *w = Fma(c.minus_lr, Fma(c.decay, *w, step), *w);
}
}  // namespace

void adamw(const AdamWArgs& a) {
  const Constants c = {Set(a.grad_scale),   Set(a.beta1),        Set(1.0f - a.beta1), Set(a.beta2),
                       Set(1.0f - a.beta2), Set(1.0f / a.bias1), Set(1.0f / a.bias2), Set(a.eps),
                       Set(a.weight_decay), Set(-a.lr)};
  int64_t i = 0;
  for (; i + 16 <= a.n; i += 16) {
    F16 w = Load(a.w + i), m = Load(a.m + i), v = Load(a.v + i);
    Update(c, Load(a.g + i), &w, &m, &v);
    Store(a.w + i, w);
    Store(a.m + i, m);
    Store(a.v + i, v);
  }
  if (i < a.n) {
    const int64_t rest = a.n - i;
    F16 w = LoadN(a.w + i, rest, 0), m = LoadN(a.m + i, rest, 0), v = LoadN(a.v + i, rest, 0);
    Update(c, LoadN(a.g + i, rest, 0), &w, &m, &v);
    StoreN(a.w + i, w, rest);
    StoreN(a.m + i, m, rest);
    StoreN(a.v + i, v, rest);
  }
}

}  // namespace r1::kernels::R1_ISA_NAME
