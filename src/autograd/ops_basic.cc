// Embedding, norm, product, activation and the joins between them.
#include <cstring>

#include "autograd/ops.h"
#include "base/check.h"

namespace r1 {

using kernels::RoundUp;

namespace {
std::string Sizes(const char* op, int64_t a, int64_t b) {
  return std::string(op) + ": sizes differ: " + std::to_string(a) + " and " + std::to_string(b);
}
}  // namespace

Var* Embed(Context& ctx, const Weight& table, const int32_t* token_T, int64_t t) {
  const int64_t d = table.k;
  Var* y = NewVar(ctx, t, d);
  for (int64_t i = 0; i < t; ++i) {
    R1_CHECK(token_T[i] >= 0 && token_T[i] < table.n, "token id outside the vocabulary");
    std::memcpy(y->data + i * d, table.w + token_T[i] * d, static_cast<size_t>(d) * sizeof(float));
  }
  if (ctx.recording) {
    Context* c = &ctx;
    const int64_t offset = table.offset;
    ctx.tape.Record([=] {
      if (y->grad == nullptr || offset == kFrozen) return;
      for (int64_t i = 0; i < t; ++i) c->k->add(c->param_grad + offset + token_T[i] * d, y->grad + i * d, d);
    });
  }
  return y;
}

Var* RmsNorm(Context& ctx, Var* x, const VectorWeight& w, float eps, int64_t first) {
  R1_CHECK(first + w.d <= x->cols, Sizes("RmsNorm", w.d, x->cols));
  const int64_t t = x->rows, d = w.d, ldx = x->cols;
  Var* y = NewVar16(ctx, t, d);
  float* r = ctx.arena.Array<float>(t);
  ctx.k->rms_norm(y->data16, y->ld16, r, x->data + first, ldx, w.w, t, d, eps);
  if (ctx.recording) {
    Context* c = &ctx;
    const VectorWeight weight = w;
    const bool whole = first == 0 && d == x->cols;
    ctx.tape.Record([=] {
      if (y->grad == nullptr) return;
      // A norm of some columns writes those; the op that uses the others writes them (MlaInputs and RmsNorm cover all).
      GradRef g = GradOf(*c, x);
      ArenaScope scope(c->scratch);
      c->k->rms_norm_backward(g.grad + first, ldx, whole && !g.fresh, ParamGradOf(*c, weight.offset, d), y->grad, d,
                              x->data + first, ldx, weight.w, r, t, d);
    });
  }
  return y;
}

void AddWeightGrad(Context& ctx, const Weight& w, const Bf16* dy, int64_t lddy, const Bf16* x, int64_t ldx, int64_t t) {
  if (t == 0 || w.offset == kFrozen) return;
  ArenaScope scope(ctx.scratch);
  const int64_t tp = RoundUp(t, 32);
  Bf16* dy_NT = ctx.scratch.Array<Bf16>(w.n * tp);
  ctx.k->transpose_bf16(dy_NT, tp, dy, t, w.n, lddy);
  Bf16* x_packed = ctx.scratch.Array<Bf16>(kernels::PackedElements(t, w.k));
  ctx.k->pack_kn_bf16(x_packed, x, t, w.k, ldx);
  ctx.k->gemm({.a = dy_NT,
               .lda = tp,
               .b = x_packed,
               .c = ctx.param_grad + w.offset,
               .ldc = w.k,
               .m = w.n,
               .n = w.k,
               .k = t,
               .accumulate = true});
}

namespace {

// y += s·(x·Aᵀ)·Bᵀ in the adapter's columns. Returns s·(x·Aᵀ) as it entered the second product, [T, R].
Var* AddLowRank(Context& ctx, Var* y, const Var* x, const LowRank& p) {
  const int64_t t = x->rows, r = p.a.n;
  R1_CHECK(p.a.k == x->cols && p.b.k == r && p.first + p.b.n <= y->cols, Sizes("AddLowRank", p.first + p.b.n, y->cols));
  Var* h = NewVar16(ctx, t, r);
  ArenaScope scope(ctx.scratch);
  float* sum = ctx.scratch.Array<float>(t * r);
  ctx.k->gemm({.a = x->data16,
               .lda = x->ld16,
               .b = p.a.forward,
               .c = sum,
               .ldc = r,
               .m = t,
               .n = r,
               .k = p.a.k,
               .accumulate = false});
  ctx.k->scale(sum, p.scale, t * r);
  ctx.k->to_bf16(h->data16, h->ld16, sum, r, t, r, h->ld16);
  ctx.k->gemm({.a = h->data16,
               .lda = h->ld16,
               .b = p.b.forward,
               .c = y->data + p.first,
               .ldc = y->cols,
               .m = t,
               .n = p.b.n,
               .k = r,
               .accumulate = true});
  return h;
}

// dy: gradient of the whole product. x already has what came through W, if it takes a gradient.
void AddLowRankBackward(Context& ctx, const Grad16Ref& dy, Var* x, const Var* h, const LowRank& p, int64_t columns) {
  ArenaScope scope(ctx.scratch);
  const int64_t t = x->rows, n = p.b.n, r = p.a.n, ldr = RoundUp(r, 32);
  Grad16Ref own = dy;
  if (p.first != 0 || n != columns) {  // products read whole blocks of columns: the adapter's own, padded
    own.ld = RoundUp(n, 32);
    Bf16* copy = ctx.scratch.Zeroed<Bf16>(t * own.ld);
    for (int64_t i = 0; i < t; ++i)
      std::memcpy(static_cast<void*>(copy + i * own.ld), dy.grad + i * dy.ld + p.first,
                  static_cast<size_t>(n) * sizeof(Bf16));
    own.grad = copy;
  }
  AddWeightGrad(ctx, p.b, own.grad, own.ld, h->data16, h->ld16, t);
  float* sum = ctx.scratch.Array<float>(t * r);
  ctx.k->gemm({.a = own.grad,
               .lda = own.ld,
               .b = p.b.backward,
               .c = sum,
               .ldc = r,
               .m = t,
               .n = r,
               .k = n,
               .accumulate = false});
  ctx.k->scale(sum, p.scale, t * r);
  Bf16* g = ctx.scratch.Array<Bf16>(t * ldr);
  ctx.k->to_bf16(g, ldr, sum, r, t, r, ldr);
  AddWeightGrad(ctx, p.a, g, ldr, x->data16, x->ld16, t);
  if (!x->needs_grad) return;
  const GradRef dx = GradOf(ctx, x);
  ctx.k->gemm({.a = g,
               .lda = ldr,
               .b = p.a.backward,
               .c = dx.grad,
               .ldc = p.a.k,
               .m = t,
               .n = p.a.k,
               .k = r,
               .accumulate = !dx.fresh});
}

}  // namespace

Var* MatMul(Context& ctx, Var* x, const Weight& w) {
  R1_CHECK(x->data16 != nullptr && x->cols == w.k, Sizes("MatMul", x->cols, w.k));
  const int64_t t = x->rows;
  Var* y = NewVar(ctx, t, w.n);
  ctx.k->gemm({.a = x->data16,
               .lda = x->ld16,
               .b = w.forward,
               .c = y->data,
               .ldc = w.n,
               .m = t,
               .n = w.n,
               .k = w.k,
               .accumulate = false});
  const int64_t parts = ctx.low_rank ? w.low_rank_count : 0;
  Var** inner = parts > 0 ? ctx.arena.Array<Var*>(parts) : nullptr;
  for (int64_t i = 0; i < parts; ++i) inner[i] = AddLowRank(ctx, y, x, w.low_rank[i]);
  if (ctx.recording) {
    Context* c = &ctx;
    const Weight weight = w;
    ctx.tape.Record([=] {
      ArenaScope scope(c->scratch);
      const Grad16Ref dy = Grad16Of(*c, y);
      if (dy.grad == nullptr) return;
      if (x->needs_grad) {
        const GradRef dx = GradOf(*c, x);
        c->k->gemm({.a = dy.grad,
                    .lda = dy.ld,
                    .b = weight.backward,
                    .c = dx.grad,
                    .ldc = weight.k,
                    .m = t,
                    .n = weight.k,
                    .k = weight.n,
                    .accumulate = !dx.fresh});
      }
      AddWeightGrad(*c, weight, dy.grad, dy.ld, x->data16, x->ld16, t);
      for (int64_t i = 0; i < parts; ++i) AddLowRankBackward(*c, dy, x, inner[i], weight.low_rank[i], weight.n);
    });
  }
  return y;
}

Var* AddBias(Context& ctx, Var* x, const VectorWeight& bias) {
  R1_CHECK(bias.d == x->cols, Sizes("AddBias", bias.d, x->cols));
  for (int64_t i = 0; i < x->rows; ++i) ctx.k->add(x->data + i * x->cols, bias.w, bias.d);
  if (ctx.recording) {
    Context* c = &ctx;
    const int64_t offset = bias.offset;
    ctx.tape.Record([=] {
      if (x->grad != nullptr && offset != kFrozen)
        c->k->column_sum(c->param_grad + offset, x->grad, x->cols, x->rows, x->cols);
    });
  }
  return x;
}

Var* AddResidual(Context& ctx, Var* a, Var* b) {
  R1_CHECK(a->rows == b->rows && a->cols == b->cols, Sizes("AddResidual", a->cols, b->cols));
  Var* y = NewVar(ctx, a->rows, a->cols);
  ctx.k->add_to(y->data, a->data, b->data, a->rows * a->cols);
  if (ctx.recording) {
    ctx.tape.Record([=] {
      R1_CHECK(a->grad == nullptr && b->grad == nullptr, "AddResidual: an input has another consumer after the sum");
      a->grad = y->grad;
      b->grad = y->grad;
    });
  }
  return y;
}

Var* SwiGlu(Context& ctx, Var* gate_up) {
  const int64_t t = gate_up->rows, f = gate_up->cols / 2;
  Var* h = NewVar16(ctx, t, f);
  ctx.k->swiglu(h->data16, h->ld16, gate_up->data, gate_up->cols, t, f);
  if (ctx.recording) {
    Context* c = &ctx;
    ctx.tape.Record([=] {
      if (h->grad == nullptr) return;
      Bf16* dgu = NewGrad16(*c, gate_up);
      c->k->swiglu_backward(dgu, gate_up->ld16g, h->grad, f, gate_up->data, gate_up->cols, t, f);
    });
  }
  return h;
}

Var* ToFloatVar(Context& ctx, Var* x) {
  const int64_t t = x->rows, d = x->cols;
  Var* y = NewVar(ctx, t, d);
  for (int64_t i = 0; i < t; ++i) {
    for (int64_t j = 0; j < d; ++j) y->data[i * d + j] = ToFloat(x->data16[i * x->ld16 + j]);
  }
  if (ctx.recording) {
    Context* c = &ctx;
    ctx.tape.Record([=] {
      if (y->grad == nullptr) return;
      const GradRef g = GradOf(*c, x);
      if (g.fresh) {
        std::memcpy(g.grad, y->grad, static_cast<size_t>(t * d) * sizeof(float));
      } else {
        c->k->add(g.grad, y->grad, t * d);
      }
    });
  }
  return y;
}

Var* ConcatColumns(Context& ctx, Var* a, Var* b) {
  R1_CHECK(a->rows == b->rows && a->cols % 32 == 0 && b->cols % 32 == 0, Sizes("ConcatColumns", a->cols, b->cols));
  const int64_t t = a->rows, da = a->cols, db = b->cols;
  Var* y = NewVar16(ctx, t, da + db);
  for (int64_t i = 0; i < t; ++i) {
    std::memcpy(y->data16 + i * y->ld16, a->data16 + i * a->ld16, static_cast<size_t>(da) * sizeof(Bf16));
    std::memcpy(y->data16 + i * y->ld16 + da, b->data16 + i * b->ld16, static_cast<size_t>(db) * sizeof(Bf16));
  }
  if (ctx.recording) {
    Context* c = &ctx;
    ctx.tape.Record([=] {
      if (y->grad == nullptr) return;
      const GradRef ga = GradOf(*c, a), gb = GradOf(*c, b);
      R1_CHECK(ga.fresh && gb.fresh, "ConcatColumns: an input has another consumer");
      for (int64_t i = 0; i < t; ++i) {
        std::memcpy(ga.grad + i * da, y->grad + i * (da + db), static_cast<size_t>(da) * sizeof(float));
        std::memcpy(gb.grad + i * db, y->grad + i * (da + db) + da, static_cast<size_t>(db) * sizeof(float));
      }
    });
  }
  return y;
}

}  // namespace r1
