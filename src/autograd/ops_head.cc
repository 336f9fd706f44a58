// Log-probabilities through the language head, a block of rows at a time; backward computes the block's logits again.
// The same with soft targets. Values through the scalar head.
#include <algorithm>
#include <cstring>

#include "autograd/ops.h"
#include "base/check.h"

namespace r1 {

using kernels::RoundUp;

namespace {

// Rows a block: about 1 MiB of logits, so that they stay in the second-level cache.
int64_t BlockRows(int64_t v) { return std::clamp<int64_t>((int64_t{1} << 18) / v / 32 * 32, 32, 512); }

const Bf16* GatherRows(Arena& arena, const Var* h, const int32_t* row_R, int64_t r) {
  if (row_R == nullptr) return h->data16;
  Bf16* out = arena.Array<Bf16>(r * h->ld16);
  for (int64_t i = 0; i < r; ++i) {
    R1_CHECK(row_R[i] >= 0 && row_R[i] < h->rows, "head: row outside the batch");
    std::memcpy(static_cast<void*>(out + i * h->ld16), h->data16 + row_R[i] * h->ld16,
                static_cast<size_t>(h->ld16) * sizeof(Bf16));
  }
  return out;
}

// logits [n, V] of n gathered rows.
void BlockLogits(Context& ctx, const Weight& head, const Bf16* x, int64_t ld, int64_t n, float* logits) {
  ctx.k->gemm({.a = x,
               .lda = ld,
               .b = head.forward,
               .c = logits,
               .ldc = head.n,
               .m = n,
               .n = head.n,
               .k = head.k,
               .accumulate = false});
}

// Backward from the logits of rows first .. first + n of the gathered ones: into the gradient of h [h->rows, D] and the
// head's. dx [n, D] is scratch.
void BlockBackward(Context& ctx, const Weight& head, const Bf16* dlogits, int64_t ldd, const Bf16* x, int64_t ld,
                   const int32_t* row_R, int64_t first, int64_t n, float* dx, float* dh) {
  const int64_t d = head.k;
  ctx.k->gemm({.a = dlogits,
               .lda = ldd,
               .b = head.backward,
               .c = dx,
               .ldc = d,
               .m = n,
               .n = d,
               .k = head.n,
               .accumulate = false});
  for (int64_t j = 0; j < n; ++j) ctx.k->add(dh + (row_R == nullptr ? first + j : row_R[first + j]) * d, dx + j * d, d);
  AddWeightGrad(ctx, head, dlogits, ldd, x + first * ld, ld, n);
}

}  // namespace

float* HeadLogits(Context& ctx, const Var* h, const Weight& head, const int32_t* row_R, int64_t r) {
  R1_CHECK(h->cols == head.k, "HeadLogits: hidden width and head width differ");
  float* logits = ctx.arena.Array<float>(r * head.n);
  const Bf16* x = GatherRows(ctx.arena, h, row_R, r);
  BlockLogits(ctx, head, x, h->ld16, r, logits);
  return logits;
}

LogProbs* HeadLogProbs(Context& ctx, Var* h, const Weight& head, const int32_t* row_R, const int32_t* target_R,
                       int64_t r, float inv_temperature) {
  R1_CHECK(h->cols == head.k, "HeadLogProbs: hidden width and head width differ");
  const int64_t v = head.n, ld = h->ld16, block = BlockRows(v);
  LogProbs* out = ctx.arena.New<LogProbs>();
  out->rows = r;
  out->logp = ctx.arena.Array<float>(r);
  out->lse = ctx.arena.Array<float>(r);
  out->entropy = ctx.arena.Array<float>(r);
  out->dlogp = ctx.arena.Zeroed<float>(r);
  out->dentropy = ctx.arena.Zeroed<float>(r);
  const Bf16* x = GatherRows(ctx.arena, h, row_R, r);
  {
    ArenaScope scope(ctx.scratch);
    float* logits = ctx.scratch.Array<float>(block * v);
    for (int64_t i = 0; i < r; i += block) {
      const int64_t n = std::min(block, r - i);
      BlockLogits(ctx, head, x + i * ld, ld, n, logits);
      ctx.k->logprob(out->logp + i, out->lse + i, out->entropy + i, logits, v, target_R + i, n, v, inv_temperature);
    }
  }
  if (ctx.recording) {
    Context* c = &ctx;
    const Weight weight = head;
    ctx.tape.Record([=] {
      ArenaScope scope(c->scratch);
      const int64_t d = weight.k, ldd = RoundUp(v, 32);
      float* logits = c->scratch.Array<float>(block * v);
      Bf16* dlogits = c->scratch.Array<Bf16>(block * ldd);
      float* dx = c->scratch.Array<float>(block * d);
      const GradRef dh = GradOf(*c, h);
      if (dh.fresh) std::memset(dh.grad, 0, static_cast<size_t>(h->rows * d) * sizeof(float));
      for (int64_t i = 0; i < r; i += block) {
        const int64_t n = std::min(block, r - i);
        BlockLogits(*c, weight, x + i * ld, ld, n, logits);
        c->k->logprob_backward(dlogits, ldd, logits, v, target_R + i, out->lse + i, out->dlogp + i, out->entropy + i,
                               out->dentropy + i, n, v, inv_temperature);
        BlockBackward(*c, weight, dlogits, ldd, x, ld, row_R, i, n, dx, dh.grad);
      }
    });
  }
  return out;
}

SoftTargets* HeadSoftTargets(Context& ctx, Var* h, const Weight& head, const Var* teacher_h, const Weight& teacher_head,
                             const int32_t* row_R, int64_t r, float temperature) {
  R1_CHECK(h->cols == head.k && teacher_h->cols == teacher_head.k, "HeadSoftTargets: hidden and head widths differ");
  R1_CHECK(head.n == teacher_head.n && h->rows == teacher_h->rows, "HeadSoftTargets: vocabularies or rows differ");
  const int64_t v = head.n, block = BlockRows(v);
  SoftTargets* out = ctx.arena.New<SoftTargets>();
  out->rows = r;
  out->loss = ctx.arena.Array<float>(r);
  out->dloss = ctx.arena.Zeroed<float>(r);
  const Bf16* x = GatherRows(ctx.arena, h, row_R, r);
  const Bf16* teacher_x = GatherRows(ctx.arena, teacher_h, row_R, r);
  const int64_t ld = h->ld16, teacher_ld = teacher_h->ld16;
  const float inv_temperature = 1.0f / temperature;
  const Weight student = head, teacher = teacher_head;
  Context* c = &ctx;
  // Logits of rows i .. i + n of the student and of the teacher.
  const auto logits = [=](float* q, float* p, int64_t i, int64_t n) {
    BlockLogits(*c, student, x + i * ld, ld, n, q);
    BlockLogits(*c, teacher, teacher_x + i * teacher_ld, teacher_ld, n, p);
  };
  {
    ArenaScope scope(ctx.scratch);
    float *q = ctx.scratch.Array<float>(block * v), *p = ctx.scratch.Array<float>(block * v);
    float *lse_q = ctx.scratch.Array<float>(block), *lse_p = ctx.scratch.Array<float>(block);
    float* prob = ctx.scratch.Array<float>(v);
    for (int64_t i = 0; i < r; i += block) {
      const int64_t n = std::min(block, r - i);
      logits(q, p, i, n);
      ctx.k->logprob(nullptr, lse_q, nullptr, q, v, nullptr, n, v, inv_temperature);
      ctx.k->logprob(nullptr, lse_p, nullptr, p, v, nullptr, n, v, inv_temperature);
      for (int64_t j = 0; j < n; ++j) {
        ctx.k->softmax_row(prob, p + j * v, v, inv_temperature);
        double kl = 0;  // sum p ((z_p - z_q) / T) - (lse_p - lse_q)
        for (int64_t t = 0; t < v; ++t)
          kl += static_cast<double>(prob[t]) * static_cast<double>(p[j * v + t] - q[j * v + t]);
        kl = kl * static_cast<double>(inv_temperature) - static_cast<double>(lse_p[j] - lse_q[j]);
        out->loss[i + j] = static_cast<float>(kl * static_cast<double>(temperature * temperature));
      }
    }
  }
  if (ctx.recording) {
    ctx.tape.Record([=] {
      ArenaScope scope(c->scratch);
      const int64_t d = student.k, ldd = RoundUp(v, 32);
      float *q = c->scratch.Array<float>(block * v), *p = c->scratch.Array<float>(block * v);
      float *prob_q = c->scratch.Array<float>(v), *prob_p = c->scratch.Array<float>(v);
      Bf16* dlogits = c->scratch.Array<Bf16>(block * ldd);
      float* dx = c->scratch.Array<float>(block * d);
      const GradRef dh = GradOf(*c, h);
      if (dh.fresh) std::memset(dh.grad, 0, static_cast<size_t>(h->rows * d) * sizeof(float));
      for (int64_t i = 0; i < r; i += block) {
        const int64_t n = std::min(block, r - i);
        logits(q, p, i, n);
        for (int64_t j = 0; j < n; ++j) {
          c->k->softmax_row(prob_q, q + j * v, v, inv_temperature);
          c->k->softmax_row(prob_p, p + j * v, v, inv_temperature);
          const float factor = temperature * out->dloss[i + j];
          for (int64_t t = 0; t < v; ++t) q[j * v + t] = factor * (prob_q[t] - prob_p[t]);
        }
        c->k->to_bf16(dlogits, ldd, q, v, n, v, ldd);
        BlockBackward(*c, student, dlogits, ldd, x, ld, row_R, i, n, dx, dh.grad);
      }
    });
  }
  return out;
}

Values* ScalarHead(Context& ctx, Var* h, const VectorWeight& w, const int32_t* row_R, int64_t r) {
  R1_CHECK(w.w != nullptr && h->cols == w.d, "ScalarHead: hidden width and head width differ");
  const int64_t d = w.d;
  Values* out = ctx.arena.New<Values>();
  out->rows = r;
  out->value = ctx.arena.Array<float>(r);
  out->dvalue = ctx.arena.Zeroed<float>(r);
  for (int64_t i = 0; i < r; ++i) {
    R1_CHECK(row_R[i] >= 0 && row_R[i] < h->rows, "head: row outside the batch");
    const Bf16* x = h->data16 + row_R[i] * h->ld16;
    float sum = 0;
    for (int64_t j = 0; j < d; ++j) sum += ToFloat(x[j]) * w.w[j];
    out->value[i] = sum;
  }
  if (ctx.recording) {
    Context* c = &ctx;
    const VectorWeight weight = w;
    ctx.tape.Record([=] {
      const GradRef dh = GradOf(*c, h);
      if (dh.fresh) std::memset(dh.grad, 0, static_cast<size_t>(h->rows * d) * sizeof(float));
      ArenaScope scope(c->scratch);
      float* dw = ParamGradOf(*c, weight.offset, d);
      for (int64_t i = 0; i < r; ++i) {
        const Bf16* x = h->data16 + row_R[i] * h->ld16;
        float* dx = dh.grad + row_R[i] * d;
        for (int64_t j = 0; j < d; ++j) {
          dx[j] += out->dvalue[i] * weight.w[j];
          dw[j] += out->dvalue[i] * ToFloat(x[j]);
        }
      }
    });
  }
  return out;
}

}  // namespace r1
