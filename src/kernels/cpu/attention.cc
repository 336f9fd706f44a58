// Causal attention of one head over paged keys and values (definition in kernels.h):
//   s_j = scale (q·k_j), j <= position;  m = max s_j;  p_j = exp(s_j - m);  l = sum p_j;  out =
//   (sum bf16(p_j) v_j) / l.
// Few rows (decoding) take a path of fused multiply-adds per row, more rows a path by blocks of 32
// with the products of product.h. A masked score has p = 0, and adding its product leaves every sum
// as it is: both paths give the same bits.
#include <limits>

#include "kernels/cpu/ops.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/units.h"

namespace r1::kernels::R1_ISA_NAME {
namespace {

constexpr int64_t kMinBlockRows = 8;  // fewer rows go one by one
constexpr int64_t kBlockRows = 32;
constexpr int64_t kOutColumns = 64;  // columns of the output that fit the scratch beside bf16(p)

// Keys as the right side [DK, positions]: two panels a page.
struct KeysRight {
  const KvView& kv;
  int64_t panel_stride;  // DK * 16
  const Bf16* operator()(int64_t block, int64_t panel) const {
    return kv.Page(panel >> 1) + (panel & 1) * panel_stride + block * kTileElements;
  }
};

// Values as the right side [positions, DV]: one reduction block a page.
struct ValuesRight {
  const KvView& kv;
  int64_t offset;  // of the first panel in a page
  const Bf16* operator()(int64_t block, int64_t panel) const { return kv.Page(block) + offset + panel * kTileElements; }
};

constexpr float kMasked = -std::numeric_limits<float>::infinity();  // a score with p = 0

// m of a row: the largest of its first `visible` raw scores, scaled.
inline float RowMax(const float* score, int64_t visible, float scale) {
  const F16 factor = Set(scale);
  F16 top = Set(kMasked);
  int64_t j = 0;
  for (; j + 16 <= visible; j += 16) top = Max(top, Mul(Load(score + j), factor));
  if (j < visible) top = Max(top, KeepN(Mul(Load(score + j), factor), visible - j, kMasked));
  return ReduceMax(top);
}

// bf16(p) of a row, zero from `visible` to `padded`; returns l.
inline float RowExp(Bf16* p, const float* score, int64_t visible, int64_t padded, float scale, float m) {
  const F16 factor = Set(scale), shift = Set(m);
  F16 sum = Zero();
  int64_t j = 0;
  for (; j + 32 <= visible; j += 32) {
    const F16 e0 = Exp(Sub(Mul(Load(score + j), factor), shift)),
              e1 = Exp(Sub(Mul(Load(score + j + 16), factor), shift));
    sum = Add(Add(sum, e0), e1);
    StoreFinite(p + j, e0, e1);
  }
  if (j < visible) {
    const int64_t rest = visible - j;
    const F16 e0 = Exp(Sub(KeepN(Mul(Load(score + j), factor), rest < 16 ? rest : 16, kMasked), shift));
    F16 e1 = Zero();
    if (rest > 16) e1 = Exp(Sub(KeepN(Mul(Load(score + j + 16), factor), rest - 16, kMasked), shift));
    sum = Add(Add(sum, e0), e1);
    StoreFinite(p + j, e0, e1);
    j += 32;
  }
  for (; j < padded; j += 32) StoreFinite(p + j, Zero(), Zero());
  return ReduceSum(sum);
}

// out = bf16(y / l), n columns.
inline void Normalize(Bf16* out, const float* y, float l, int64_t n) {
  const F16 divisor = Set(l);
  int64_t c = 0;
  for (; c + 16 <= n; c += 16) StoreBf16(out + c, Div(Load(y + c), divisor));
  if (c < n) {
    Bf16 tail[16];
    StoreBf16(tail, Div(LoadN(y + c, n - c, 0.0f), divisor));
    std::memcpy(out + c, tail, static_cast<size_t>(n - c) * sizeof(Bf16));
  }
}

// One row by itself. Scratch: scores, then bf16(p), then the left sides as floats.
void AttendRow(const AttentionArgs& a, int64_t row) {
  const int64_t visible = a.first_position + row + 1, padded = RoundUp(visible, 32);
  const int64_t dk = RoundUp(a.d_qk, 32);
  float* score = a.scratch;
  Bf16* p = reinterpret_cast<Bf16*>(score + padded);
  float* left = score + padded + padded / 2;
  WidenLeft(left, a.q + row * a.ldq, dk / kBlock);
  FmaRows<1>(left, 0, KeysRight{a.kv, dk * kPanel}, 0, dk / kBlock, score, 0, RoundUp(visible, 16), false);
  const float m = RowMax(score, visible, a.scale);
  const float l = RowExp(p, score, visible, padded, a.scale, m);
  float y[kOutColumns];
  WidenLeft(score, p, padded / kBlock);
  for (int64_t column = 0; column < a.d_v; column += kOutColumns) {
    const int64_t columns = a.d_v - column < kOutColumns ? a.d_v - column : kOutColumns;
    const ValuesRight values{a.kv, kPagePositions * dk + column / kPanel * kTileElements};
    FmaRows<1>(score, 0, values, 0, padded / kBlock, y, 0, RoundUp(columns, 16), false, (visible - padded + 33) / 2);
    Normalize(a.out + row * a.ldo + column, y, l, columns);
  }
  if (a.max != nullptr) a.max[row] = m;
  if (a.sum != nullptr) a.sum[row] = l;
}

// Rows first .. first + rows, at most 32. Scratch: bf16(p), then the scores, whose place the
// outputs take.
void AttendBlock(const AttentionArgs& a, int64_t first, int64_t rows) {
  const int64_t padded = RoundUp(a.first_position + first + rows, 32);
  const int64_t dk = RoundUp(a.d_qk, 32);
  Bf16* p = reinterpret_cast<Bf16*>(a.scratch);
  float* score = a.scratch + rows * padded / 2;
  float sum[kBlockRows], row_max[kBlockRows];
  Multiply(Product<KeysRight>{a.q + first * a.ldq, a.ldq, KeysRight{a.kv, dk * kPanel}, score, padded, rows, padded,
                              dk / kBlock, false});
  const int64_t visible = a.first_position + first + 1;
  constexpr int64_t kGroup = 8;  // rows whose scores are still in the first cache for the second pass
  for (int64_t group = 0; group < rows; group += kGroup) {
    const int64_t end = group + kGroup < rows ? group + kGroup : rows;
    for (int64_t i = group; i < end; ++i) row_max[i] = RowMax(score + i * padded, visible + i, a.scale);
    for (int64_t i = group; i < end; ++i) {
      sum[i] = RowExp(p + i * padded, score + i * padded, visible + i, padded, a.scale, row_max[i]);
      KeepTilesAwake();
    }
  }
  for (int64_t column = 0; column < a.d_v; column += kOutColumns) {
    const int64_t columns = a.d_v - column < kOutColumns ? a.d_v - column : kOutColumns;
    const int64_t stride = RoundUp(columns, 16);
    const ValuesRight values{a.kv, kPagePositions * dk + column / kPanel * kTileElements};
    Multiply(Product<ValuesRight>{p, padded, values, score, stride, rows, stride, padded / kBlock, false});
    for (int64_t i = 0; i < rows; ++i) {
      Normalize(a.out + (first + i) * a.ldo + column, score + i * stride, sum[i], columns);
    }
  }
  if (a.max != nullptr) std::memcpy(a.max + first, row_max, static_cast<size_t>(rows) * sizeof(float));
  if (a.sum != nullptr) std::memcpy(a.sum + first, sum, static_cast<size_t>(rows) * sizeof(float));
}

}  // namespace

void attention(const AttentionArgs& a) {
  for (int64_t first = 0; first < a.rows; first += kBlockRows) {
    const int64_t rows = a.rows - first < kBlockRows ? a.rows - first : kBlockRows;
    if (rows >= kMinBlockRows) {
      AttendBlock(a, first, rows);
    } else {
      for (int64_t i = 0; i < rows; ++i) AttendRow(a, first + i);
    }
  }
}

void append_kv(Bf16* page, int64_t position, const Bf16* k, const Bf16* v, int64_t d_qk, int64_t d_v) {
  const int64_t slot = position % kPagePositions, dk = RoundUp(d_qk, 32);
  // Keys: one 32-bit pair every 16 units of the slot's panel.
  Bf16* key = page + slot / kPanel * dk * kPanel + slot % kPanel * 2;
  for (int64_t pair = 0; pair < dk / 2; ++pair) std::memcpy(key + pair * 32, k + 2 * pair, sizeof(uint32_t));
  // Values: every second element of the slot's pair row, panel by panel.
  Bf16* value = page + kPagePositions * dk + slot / 2 * 32 + slot % 2;
  for (int64_t c = 0; c < d_v; ++c) value[c / kPanel * kTileElements + c % kPanel * 2] = v[c];
}

}  // namespace r1::kernels::R1_ISA_NAME
