// Inputs of attention (rotation, rounding, head layout) and attention itself.
#include <cstring>
#include <string>

#include "autograd/ops.h"
#include "base/check.h"

namespace r1 {

using kernels::RoundUp;

namespace {

// Rows of `heads` vectors of width d (at x + row*ldx + head*head_stride) to bf16 vectors of width padded (at y +
// row*ldy + head*padded).
void HeadsToBf16(Context& ctx, Bf16* y, int64_t ldy, int64_t padded, const float* x, int64_t ldx, int64_t head_stride,
                 int64_t t, int64_t heads, int64_t d) {
  if (d == padded && head_stride == d) {
    ctx.k->to_bf16(y, ldy, x, ldx, t, heads * d, heads * d);
    return;
  }
  for (int64_t h = 0; h < heads; ++h) ctx.k->to_bf16(y + h * padded, ldy, x + h * head_stride, ldx, t, d, padded);
}

void ZeroTail(Var* v) {
  for (int64_t i = 0; v->ld16 > v->cols && i < v->rows; ++i) {
    std::memset(static_cast<void*>(v->data16 + i * v->ld16 + v->cols), 0,
                static_cast<size_t>(v->ld16 - v->cols) * sizeof(Bf16));
  }
}

AttentionInputs NewInputs(Context& ctx, const AttentionShape& s, int64_t t) {
  const int64_t dk = RoundUp(s.d_qk, 32);
  AttentionInputs in{NewVar16(ctx, t, s.heads * dk), NewVar16(ctx, t, s.kv_heads * dk),
                     NewVar16(ctx, t, s.kv_heads * s.d_v)};
  ZeroTail(in.v);
  return in;
}

}  // namespace

namespace {

// What backward of the head norms needs: the values before them, and 1 / rms of each head and row.
struct SavedHeads {
  const float* x = nullptr;  // [T, heads * d]
  float* r_HT = nullptr;     // [heads, T]
};

// Norms the query and key heads of qkv in place.
SavedHeads NormHeads(Context& ctx, Var* qkv, const HeadExtras& extras, const AttentionShape& s) {
  const int64_t t = qkv->rows, heads = s.heads + s.kv_heads, d = s.d_qk;
  SavedHeads saved;
  if (ctx.recording) {
    float* copy = ctx.arena.Array<float>(t * heads * d);
    for (int64_t i = 0; i < t; ++i)
      std::memcpy(copy + i * heads * d, qkv->data + i * qkv->cols, static_cast<size_t>(heads * d) * sizeof(float));
    saved = {copy, ctx.arena.Array<float>(heads * t)};
  }
  for (int64_t h = 0; h < heads; ++h) {
    float* x = qkv->data + h * d;
    ctx.k->rms_norm_float(x, qkv->cols, saved.r_HT == nullptr ? nullptr : saved.r_HT + h * t, x, qkv->cols,
                          h < s.heads ? extras.q_norm.w : extras.k_norm.w, t, d, extras.eps);
  }
  return saved;
}

// Gradient of the norms of `heads` heads, in place: g [T, ldg], head h at column h * head_stride. first: of these heads
// among all that were normed.
void NormHeadsBackward(Context& ctx, float* g, int64_t ldg, int64_t head_stride, int64_t heads, int64_t first,
                       int64_t all, const SavedHeads& saved, const VectorWeight& w, int64_t t) {
  ArenaScope scope(ctx.scratch);
  float* dw = ParamGradOf(ctx, w.offset, w.d);
  for (int64_t h = 0; h < heads; ++h) {
    float* head = g + h * head_stride;
    ctx.k->rms_norm_backward(head, ldg, false, dw, head, ldg, saved.x + (first + h) * w.d, all * w.d, w.w,
                             saved.r_HT + (first + h) * t, t, w.d);
  }
}

}  // namespace

AttentionInputs GqaInputs(Context& ctx, Var* qkv, const HeadExtras& extras, const AttentionShape& s,
                          const int32_t* position_T) {
  const int64_t t = qkv->rows, ld = qkv->cols, dk = RoundUp(s.d_qk, 32);
  const int64_t k_first = s.heads * s.d_qk, v_first = k_first + s.kv_heads * s.d_qk;
  R1_CHECK(ld == v_first + s.kv_heads * s.d_v, "GqaInputs: qkv has " + std::to_string(ld) + " columns");
  const AttentionInputs in = NewInputs(ctx, s, t);
  if (extras.bias.w != nullptr) {
    R1_CHECK(extras.bias.d == ld, "GqaInputs: the bias has another width than qkv");
    for (int64_t i = 0; i < t; ++i) ctx.k->add(qkv->data + i * ld, extras.bias.w, ld);
  }
  SavedHeads saved;
  if (extras.q_norm.w != nullptr) saved = NormHeads(ctx, qkv, extras, s);
  // Query and key heads are adjacent columns of equal width: one rotation over all of them.
  const int64_t skip = s.d_qk - s.rope_dim;
  ctx.k->rope(qkv->data + skip, ld, s.heads + s.kv_heads, s.d_qk, s.rope_dim, position_T, s.cos_sin, t, s.interleaved,
              false);
  HeadsToBf16(ctx, in.q->data16, in.q->ld16, dk, qkv->data, ld, s.d_qk, t, s.heads, s.d_qk);
  HeadsToBf16(ctx, in.k->data16, in.k->ld16, dk, qkv->data + k_first, ld, s.d_qk, t, s.kv_heads, s.d_qk);
  HeadsToBf16(ctx, in.v->data16, in.v->ld16, s.d_v, qkv->data + v_first, ld, s.d_v, t, s.kv_heads, s.d_v);
  if (ctx.recording) {
    Context* c = &ctx;
    const AttentionShape shape = s;
    const HeadExtras parts = extras;
    ctx.tape.Record([=] {
      if (in.q->grad == nullptr) return;
      Bf16* g = NewGrad16(*c, qkv);
      const int64_t ldg = qkv->ld16g;
      c->k->rope(in.q->grad + skip, in.q->cols, shape.heads, dk, shape.rope_dim, position_T, shape.cos_sin, t,
                 shape.interleaved, true);
      c->k->rope(in.k->grad + skip, in.k->cols, shape.kv_heads, dk, shape.rope_dim, position_T, shape.cos_sin, t,
                 shape.interleaved, true);
      if (parts.q_norm.w != nullptr) {
        const int64_t all = shape.heads + shape.kv_heads;
        NormHeadsBackward(*c, in.q->grad, in.q->cols, dk, shape.heads, 0, all, saved, parts.q_norm, t);
        NormHeadsBackward(*c, in.k->grad, in.k->cols, dk, shape.kv_heads, shape.heads, all, saved, parts.k_norm, t);
      }
      if (parts.bias.w != nullptr && parts.bias.offset != kFrozen) {
        float* db = c->param_grad + parts.bias.offset;
        for (int64_t h = 0; h < shape.heads; ++h)
          c->k->column_sum(db + h * shape.d_qk, in.q->grad + h * dk, in.q->cols, t, shape.d_qk);
        for (int64_t h = 0; h < shape.kv_heads; ++h)
          c->k->column_sum(db + k_first + h * shape.d_qk, in.k->grad + h * dk, in.k->cols, t, shape.d_qk);
        c->k->column_sum(db + v_first, in.v->grad, in.v->cols, t, shape.kv_heads * shape.d_v);
      }
      for (int64_t h = 0; h < shape.heads; ++h)
        c->k->to_bf16(g + h * shape.d_qk, ldg, in.q->grad + h * dk, in.q->cols, t, shape.d_qk, shape.d_qk);
      for (int64_t h = 0; h < shape.kv_heads; ++h) {
        c->k->to_bf16(g + k_first + h * shape.d_qk, ldg, in.k->grad + h * dk, in.k->cols, t, shape.d_qk, shape.d_qk);
        c->k->to_bf16(g + v_first + h * shape.d_v, ldg, in.v->grad + h * shape.d_v, in.v->cols, t, shape.d_v,
                      shape.d_v);
      }
      if (ldg > ld) {
        for (int64_t i = 0; i < t; ++i)
          std::memset(static_cast<void*>(g + i * ldg + ld), 0, static_cast<size_t>(ldg - ld) * sizeof(Bf16));
      }
    });
  }
  return in;
}

AttentionInputs MlaInputs(Context& ctx, Var* q, int64_t q_first, Var* kv, Var* down, int64_t pe_first,
                          const AttentionShape& s, const int32_t* position_T) {
  const int64_t t = q->rows, dk = RoundUp(s.d_qk, 32), heads = s.heads;
  const int64_t nope = s.d_qk - s.rope_dim, kv_head = nope + s.d_v;
  R1_CHECK(kv->cols == heads * kv_head && s.kv_heads == heads,
           "MlaInputs: kv has " + std::to_string(kv->cols) + " columns");
  const AttentionInputs in = NewInputs(ctx, s, t);
  ctx.k->rope(q->data + q_first + nope, q->cols, heads, s.d_qk, s.rope_dim, position_T, s.cos_sin, t, s.interleaved,
              false);
  ctx.k->rope(down->data + pe_first, down->cols, 1, s.rope_dim, s.rope_dim, position_T, s.cos_sin, t, s.interleaved,
              false);
  HeadsToBf16(ctx, in.q->data16, in.q->ld16, dk, q->data + q_first, q->cols, s.d_qk, t, heads, s.d_qk);
  for (int64_t h = 0; h < heads; ++h) {
    ctx.k->to_bf16(in.k->data16 + h * dk, in.k->ld16, kv->data + h * kv_head, kv->cols, t, nope, nope);
    ctx.k->to_bf16(in.k->data16 + h * dk + nope, in.k->ld16, down->data + pe_first, down->cols, t, s.rope_dim,
                   dk - nope);
    ctx.k->to_bf16(in.v->data16 + h * s.d_v, in.v->ld16, kv->data + h * kv_head + nope, kv->cols, t, s.d_v, s.d_v);
  }
  if (ctx.recording) {
    Context* c = &ctx;
    const AttentionShape shape = s;
    ctx.tape.Record([=] {
      if (in.q->grad == nullptr) return;
      const int64_t rope = shape.rope_dim;
      // Shared rotary key: the heads' gradients in order, then rotated back.
      const GradRef dd = GradOf(*c, down);
      float* dpe = dd.grad + pe_first;
      for (int64_t i = 0; i < t; ++i) {
        float* out = dpe + i * down->cols;
        const float* g = in.k->grad + i * in.k->cols + nope;
        std::memcpy(out, g, static_cast<size_t>(rope) * sizeof(float));
        for (int64_t h = 1; h < heads; ++h) c->k->add(out, g + h * dk, rope);
      }
      c->k->rope(dpe, down->cols, 1, rope, rope, position_T, shape.cos_sin, t, shape.interleaved, true);
      c->k->rope(in.q->grad + nope, in.q->cols, heads, dk, rope, position_T, shape.cos_sin, t, shape.interleaved, true);
      if (q == down) {  // no query latent: these columns of the down projection are written as float
        for (int64_t i = 0; i < t; ++i) {
          for (int64_t h = 0; h < heads; ++h) {
            std::memcpy(dd.grad + i * down->cols + q_first + h * shape.d_qk, in.q->grad + i * in.q->cols + h * dk,
                        static_cast<size_t>(shape.d_qk) * sizeof(float));
          }
        }
      } else {
        Bf16* gq = NewGrad16(*c, q);
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t width = h + 1 == heads ? q->ld16g - h * shape.d_qk : shape.d_qk;
          c->k->to_bf16(gq + h * shape.d_qk, q->ld16g, in.q->grad + h * dk, in.q->cols, t, shape.d_qk, width);
        }
      }
      Bf16* gkv = NewGrad16(*c, kv);
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t width = h + 1 == heads ? kv->ld16g - h * kv_head - nope : shape.d_v;
        c->k->to_bf16(gkv + h * kv_head, kv->ld16g, in.k->grad + h * dk, in.k->cols, t, nope, nope);
        c->k->to_bf16(gkv + h * kv_head + nope, kv->ld16g, in.v->grad + h * shape.d_v, in.v->cols, t, shape.d_v, width);
      }
    });
  }
  return in;
}

Var* Attention(Context& ctx, const AttentionInputs& in, const AttentionShape& s, std::span<const Segment> segments,
               const KvLayer& cache) {
  const int64_t t = in.q->rows, dk = RoundUp(s.d_qk, 32), group = s.heads / s.kv_heads;
  const int64_t page = kernels::PageElements(s.d_qk, s.d_v);
  R1_CHECK(cache.base == nullptr || !ctx.recording, "Attention: backward through a cache");
  Var* out = NewVar16(ctx, t, s.heads * s.d_v);
  ZeroTail(out);
  float *row_max = nullptr, *row_sum = nullptr;  // [H, T]
  if (ctx.recording) {
    row_max = ctx.arena.Array<float>(s.heads * t);
    row_sum = ctx.arena.Array<float>(s.heads * t);
  }
  for (const Segment& seg : segments) {
    if (seg.rows == 0) continue;
    ArenaScope scope(ctx.scratch);
    float* scratch = ctx.scratch.Array<float>(kernels::AttentionScratch(seg.rows, seg.first_position));
    const int64_t pages = RoundUp(seg.first_position + seg.rows, kernels::kPagePositions) / kernels::kPagePositions;
    Bf16* own = cache.base == nullptr ? ctx.scratch.Array<Bf16>(pages * page) : nullptr;
    for (int64_t g = 0; g < s.kv_heads; ++g) {
      Bf16* base = own;
      int64_t stride = page;
      if (own == nullptr) {
        base = cache.base + seg.slot * cache.slot_stride + g * cache.head_stride;
        stride = cache.page_stride;
      }
      for (int64_t i = 0; i < seg.rows; ++i) {
        const int64_t position = seg.first_position + i, row = seg.row + i;
        Bf16* at = base + position / kernels::kPagePositions * stride;
        // A page is cleared when its first position is written: what a sequence before left there must not be read.
        if (position % kernels::kPagePositions == 0)
          std::memset(static_cast<void*>(at), 0, static_cast<size_t>(page) * sizeof(Bf16));
        ctx.k->append_kv(at, position, in.k->data16 + row * in.k->ld16 + g * dk,
                         in.v->data16 + row * in.v->ld16 + g * s.d_v, s.d_qk, s.d_v);
      }
      for (int64_t h = g * group; h < (g + 1) * group; ++h) {
        kernels::AttentionArgs a;
        a.q = in.q->data16 + seg.row * in.q->ld16 + h * dk;
        a.ldq = in.q->ld16;
        a.kv = {base, stride, nullptr};
        a.rows = seg.rows;
        a.first_position = seg.first_position;
        a.d_qk = s.d_qk;
        a.d_v = s.d_v;
        a.scale = s.scale;
        a.out = out->data16 + seg.row * out->ld16 + h * s.d_v;
        a.ldo = out->ld16;
        a.max = row_max == nullptr ? nullptr : row_max + h * t + seg.row;
        a.sum = row_sum == nullptr ? nullptr : row_sum + h * t + seg.row;
        a.scratch = scratch;
        ctx.k->attention(a);
      }
    }
  }
  if (ctx.recording) {
    Context* c = &ctx;
    const AttentionShape shape = s;
    Segment* segs = ctx.arena.Array<Segment>(static_cast<int64_t>(segments.size()));
    std::memcpy(static_cast<void*>(segs), segments.data(), segments.size() * sizeof(Segment));
    const int64_t count = static_cast<int64_t>(segments.size());
    ctx.tape.Record([=] {
      if (out->grad == nullptr) return;
      float* dq = GradOf(*c, in.q).grad;
      const GradRef dk_ref = GradOf(*c, in.k), dv_ref = GradOf(*c, in.v);
      std::memset(dk_ref.grad, 0, static_cast<size_t>(t * in.k->cols) * sizeof(float));
      std::memset(dv_ref.grad, 0, static_cast<size_t>(t * in.v->cols) * sizeof(float));
      for (int64_t n = 0; n < count; ++n) {
        const Segment& seg = segs[n];
        if (seg.rows == 0) continue;
        ArenaScope scope(c->scratch);
        float* scratch = c->scratch.Array<float>(kernels::AttentionBackwardScratch(seg.rows, shape.d_qk, shape.d_v));
        for (int64_t h = 0; h < shape.heads; ++h) {
          const int64_t g = h / group;
          kernels::AttentionBackwardArgs a;
          a.q = in.q->data16 + seg.row * in.q->ld16 + h * dk;
          a.k = in.k->data16 + seg.row * in.k->ld16 + g * dk;
          a.v = in.v->data16 + seg.row * in.v->ld16 + g * shape.d_v;
          a.ldq = in.q->ld16;
          a.ldk = in.k->ld16;
          a.ldv = in.v->ld16;
          a.out = out->data16 + seg.row * out->ld16 + h * shape.d_v;
          a.ldo = out->ld16;
          a.dout = out->grad + seg.row * out->cols + h * shape.d_v;
          a.lddo = out->cols;
          a.max = row_max + h * t + seg.row;
          a.sum = row_sum + h * t + seg.row;
          a.t = seg.rows;
          a.d_qk = shape.d_qk;
          a.d_v = shape.d_v;
          a.scale = shape.scale;
          a.dq = dq + seg.row * in.q->cols + h * dk;
          a.dk = dk_ref.grad + seg.row * in.k->cols + g * dk;
          a.dv = dv_ref.grad + seg.row * in.v->cols + g * shape.d_v;
          a.lddq = in.q->cols;
          a.lddk = in.k->cols;
          a.lddv = in.v->cols;
          a.scratch = scratch;
          c->k->attention_backward(a);
        }
      }
    });
  }
  return out;
}

}  // namespace r1
