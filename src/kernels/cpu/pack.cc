// Packing into panels, transposition and rounding to bf16 (layouts in kernels.h). A panel is a
// matrix of 32-bit units, one (k, k+1) pair of bf16 each: rows are pairs, 16 columns. Rows that run
// along k need a 16 x 16 transposition of such units; rows that run along n only need two of them
// merged.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/units.h"

namespace r1::kernels::R1_ISA_NAME {
namespace {

// 16 pairs of rows k .. k+31, 16 columns: one tile. `row(i)` gives the i-th row of the 32 as units
// (low halves).
template <class Row>
inline void MergedTile(U16* tile, const Row& row) {
  for (int pair = 0; pair < 16; ++pair) tile[pair] = Merge(row(2 * pair), row(2 * pair + 1));
}

}  // namespace

void pack_nk(Bf16* b, const float* w, int64_t n, int64_t k, int64_t ldw) {
  const int64_t kp = RoundUp(k, 32);
  for (int64_t n0 = 0; n0 < n; n0 += 16) {
    Bf16* panel = b + n0 * kp;
    const int64_t columns = Clamp16(n - n0);
    for (int64_t k0 = 0; k0 < kp; k0 += 32) {
      U16 unit[16];
      for (int64_t i = 0; i < 16; ++i) {
        alignas(64) Bf16 row[32] = {};
        if (i < columns) {
          const float* from = w + (n0 + i) * ldw + k0;
          const bool whole = k0 + 32 <= k;
          StoreLow(row, whole ? Rounded(Load(from)) : RoundedN(from, Clamp16(k - k0)));
          StoreLow(row + 16, whole ? Rounded(Load(from + 16)) : RoundedN(from + 16, Clamp16(k - k0 - 16)));
        }
        unit[i] = LoadUnits(row);
      }
      Transpose16(unit);
      for (int64_t i = 0; i < 16; ++i) StoreUnits(panel + k0 * 16 + i * 32, unit[i]);
    }
  }
}

void pack_kn(Bf16* b, const float* w, int64_t k, int64_t n, int64_t ldw) {
  const int64_t kp = RoundUp(k, 32);
  for (int64_t n0 = 0; n0 < n; n0 += 16) {
    Bf16* panel = b + n0 * kp;
    const int64_t columns = Clamp16(n - n0);
    for (int64_t k0 = 0; k0 < kp; k0 += 2) {
      const auto row = [&](int64_t at) {
        if (at < k && columns == 16) return Rounded(Load(w + at * ldw + n0));
        return RoundedN(w + at * ldw + n0, at < k ? columns : 0);
      };
      StoreUnits(panel + k0 * 16, Merge(row(k0), row(k0 + 1)));
    }
  }
}

void pack_kn_bf16(Bf16* b, const Bf16* x, int64_t k, int64_t n, int64_t ldx) {
  const int64_t kp = RoundUp(k, 32);
  for (int64_t n0 = 0; n0 < n; n0 += 16) {
    Bf16* panel = b + n0 * kp;
    const int64_t columns = Clamp16(n - n0);
    for (int64_t k0 = 0; k0 < kp; k0 += 2) {
      const auto row = [&](int64_t at) {
        if (at < k && columns == 16) return Widen(x + at * ldx + n0);
        return WidenN(x + at * ldx + n0, at < k ? columns : 0);
      };
      StoreUnits(panel + k0 * 16, Merge(row(k0), row(k0 + 1)));
    }
  }
}

void transpose_bf16(Bf16* out, int64_t ldo, const Bf16* x, int64_t t, int64_t n, int64_t ldx) {
  for (int64_t t0 = 0; t0 < t; t0 += 32) {
    for (int64_t n0 = 0; n0 < n; n0 += 16) {
      const int64_t columns = Clamp16(n - n0);
      U16 unit[16];
      MergedTile(unit, [&](int64_t i) {
        if (t0 + i < t && columns == 16) return Widen(x + (t0 + i) * ldx + n0);
        return WidenN(x + (t0 + i) * ldx + n0, t0 + i < t ? columns : 0);
      });
      Transpose16(unit);
      for (int64_t i = 0; i < columns; ++i) StoreUnits(out + (n0 + i) * ldo + t0, unit[i]);
    }
  }
}

void to_bf16(Bf16* y, int64_t ldy, const float* x, int64_t ldx, int64_t t, int64_t n, int64_t n_padded) {
  for (int64_t row = 0; row < t; ++row) {
    const float* from = x + row * ldx;
    Bf16* to = y + row * ldy;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) StoreLow(to + i, Rounded(Load(from + i)));
    for (; i < n; ++i) to[i] = ToBf16(from[i]);
    for (i = n; i < n_padded; ++i) to[i] = Bf16{};
  }
}

}  // namespace r1::kernels::R1_ISA_NAME
