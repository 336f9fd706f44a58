#include "autograd/tape.h"

#include <cstring>

#include "base/check.h"

namespace r1 {

Var* NewVar(Context& ctx, int64_t rows, int64_t cols) {
  Var* v = ctx.arena.New<Var>();
  v->rows = rows;
  v->cols = cols;
  v->data = ctx.arena.Array<float>(rows * cols);
  return v;
}

Var* NewVar16(Context& ctx, int64_t rows, int64_t cols) {
  Var* v = ctx.arena.New<Var>();
  v->rows = rows;
  v->cols = cols;
  v->ld16 = kernels::RoundUp(cols, 32);
  // Kernels read whole blocks of 32 columns from a head's first column: 32 zeros follow the last row.
  v->data16 = ctx.arena.Array<Bf16>(rows * v->ld16 + 32);
  std::memset(static_cast<void*>(v->data16 + rows * v->ld16), 0, 32 * sizeof(Bf16));
  return v;
}

GradRef GradOf(Context& ctx, Var* v) {
  R1_CHECK(v->grad16 == nullptr, "a Var with a bf16 gradient has a second consumer");
  if (v->grad != nullptr) return {v->grad, false};
  v->grad = ctx.arena.Array<float>(v->rows * v->cols);
  return {v->grad, true};
}

Grad16Ref Grad16Of(Context& ctx, Var* v) {
  if (v->grad16 != nullptr) return {v->grad16, v->ld16g};
  if (v->grad == nullptr) return {nullptr, 0};
  const int64_t ld = kernels::RoundUp(v->cols, 32);
  Bf16* g = ctx.scratch.Array<Bf16>(v->rows * ld);
  ctx.k->to_bf16(g, ld, v->grad, v->cols, v->rows, v->cols, ld);
  return {g, ld};
}

float* ParamGradOf(Context& ctx, int64_t offset, int64_t count) {
  return offset == kFrozen ? ctx.scratch.Zeroed<float>(count) : ctx.param_grad + offset;
}

Bf16* NewGrad16(Context& ctx, Var* v) {
  R1_CHECK(v->grad == nullptr && v->grad16 == nullptr, "a Var with a bf16 gradient has a second consumer");
  v->ld16g = kernels::RoundUp(v->cols, 32);
  v->grad16 = ctx.arena.Array<Bf16>(v->rows * v->ld16g);
  return v->grad16;
}

}  // namespace r1
