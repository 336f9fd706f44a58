// Definition of rotary position embedding (Su et al. 2021), in place: head vectors of `dim` at x +
// row·ldx + head·head_stride; cos_sin [positions, dim] holds dim / 2 cosines, then dim / 2 sines.
// Pair i is elements (2i, 2i + 1) if interleaved, else (i, i + dim / 2).
//   (a, b) -> (a c - b s, b c + a s);  inverse: s -> -s
#pragma once

#include "kernels/ref/scalar.h"

namespace r1::kernels::ref {

template <class S>
void Rope(S* x, int64_t ldx, int64_t heads, int64_t head_stride, int64_t dim, const int32_t* position_T,
          const float* cos_sin, int64_t t, bool interleaved, bool inverse) {
  for (int64_t row = 0; row < t; ++row) {
    const float* cosine = cos_sin + position_T[row] * dim;
    const float* sine = cosine + dim / 2;
    for (int64_t head = 0; head < heads; ++head) {
      S* p = x + row * ldx + head * head_stride;
      for (int64_t i = 0; i < dim / 2; ++i) {
        S& a = p[interleaved ? 2 * i : i];
        S& b = p[interleaved ? 2 * i + 1 : i + dim / 2];
        const S c = cosine[i];
        const S s = inverse ? -sine[i] : sine[i];
        const S rotated = Fma(b, -s, a * c);
        b = Fma(a, s, b * c);
        a = rotated;
      }
    }
  }
}

}  // namespace r1::kernels::ref
