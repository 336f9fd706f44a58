// Rotary position embedding in place. Definition: ref/rope.h.
//   (a, b) of a pair becomes (a c - b s, b c + a s), each one product and one fused step; inverse:
//   s changes sign.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec16.h"

namespace r1::kernels::R1_ISA_NAME {

namespace {

// Pairs (2i, 2i + 1). Sixteen lanes hold eight pairs; sign is - + - + ..., or + - + - ... for the
// inverse.
void RotateAdjacent(float* x, int64_t heads, int64_t head_stride, int64_t dim, const float* cosine, const float* sine,
                    F16 sign) {
  for (int64_t i = 0; i < dim; i += 16) {
    const int64_t n = dim - i < 16 ? dim - i : 16;
    const F16 c = LoadTwiceN(cosine + i / 2, n);
    const F16 s = Mul(LoadTwiceN(sine + i / 2, n), sign);
    for (int64_t head = 0; head < heads; ++head) {
      float* p = x + head * head_stride + i;
      if (n == 16) {
        const F16 v = Load(p);
        Store(p, Fma(SwapPairs(v), s, Mul(v, c)));
      } else {
        const F16 v = LoadN(p, n, 0);
        StoreN(p, Fma(SwapPairs(v), s, Mul(v, c)), n);
      }
    }
  }
}

// Pairs (i, i + dim / 2).
void RotateHalves(float* x, int64_t heads, int64_t head_stride, int64_t dim, const float* cosine, const float* sine,
                  F16 sign) {
  const int64_t half = dim / 2;
  for (int64_t i = 0; i < half; i += 16) {
    const int64_t n = half - i < 16 ? half - i : 16;
    const F16 c = n == 16 ? Load(cosine + i) : LoadN(cosine + i, n, 0);
    const F16 s = Mul(n == 16 ? Load(sine + i) : LoadN(sine + i, n, 0), sign);
    const F16 minus_s = Sub(Zero(), s);
    for (int64_t head = 0; head < heads; ++head) {
      float* p = x + head * head_stride + i;
      if (n == 16) {
        const F16 a = Load(p);
        const F16 b = Load(p + half);
        Store(p, Fma(b, minus_s, Mul(a, c)));
        Store(p + half, Fma(a, s, Mul(b, c)));
      } else {
        const F16 a = LoadN(p, n, 0);
        const F16 b = LoadN(p + half, n, 0);
        StoreN(p, Fma(b, minus_s, Mul(a, c)), n);
        StoreN(p + half, Fma(a, s, Mul(b, c)), n);
      }
    }
  }
}

}  // namespace

void rope(float* x, int64_t ldx, int64_t heads, int64_t head_stride, int64_t dim, const int32_t* position_T,
          const float* cos_sin, int64_t t, bool interleaved, bool inverse) {
  const float up = inverse ? -1.0f : 1.0f;
  const float signs[16] = {-up, up, -up, up, -up, up, -up, up, -up, up, -up, up, -up, up, -up, up};
  const F16 sign = interleaved ? Load(signs) : Set(up);
  for (int64_t row = 0; row < t; ++row) {
    const float* cosine = cos_sin + position_T[row] * dim;
    if (interleaved) {
      RotateAdjacent(x + row * ldx, heads, head_stride, dim, cosine, cosine + dim / 2, sign);
    } else {
      RotateHalves(x + row * ldx, heads, head_stride, dim, cosine, cosine + dim / 2, sign);
    }
  }
}

}  // namespace r1::kernels::R1_ISA_NAME
