// Products of bf16 matrices in the one order of the contract (kernels.h), as templates over where
// the right side lies, so that gemm, attention and its backward share two micro-kernels: fused
// multiply-adds in registers, and matrix tiles.
//
//   C [m, n] (+)= A [m, 32·blocks] · B,   c += (((a0·b0 ⊕ a2·b2) ⊕ ...) + ((a1·b1 ⊕ a3·b3) ⊕ ...))
//   for each block of 32
//
// B is read in tiles of 16 pairs x 16 columns x 2 (1,024 bytes); Right(block, panel) returns where
// such a tile starts. TDPBF16PS (Intel SDM volume 2) has exactly this order, so both kernels give
// the same bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/vec16.h"
#include "kernels/kernels.h"

#if defined(R1_ISA_amx)
#include <immintrin.h>
#endif

namespace r1::kernels::R1_ISA_NAME {

constexpr int64_t kBlock = 32;          // reduction block
constexpr int64_t kPanel = 16;          // columns of a panel
constexpr int64_t kTileElements = 512;  // bf16 elements of one tile of B

// B packed as one matrix (kernels.h): panels follow each other at panel_stride elements.
struct PackedRight {
  const Bf16* b;
  int64_t panel_stride;
  const Bf16* operator()(int64_t block, int64_t panel) const {
    return b + panel * panel_stride + block * kTileElements;
  }
};
inline PackedRight Packed(const Bf16* b, int64_t k) { return {b, RoundUp(k, kBlock) * kPanel}; }

template <class Right>
struct Product {
  const Bf16* a;  // [m, lda]
  int64_t lda;
  Right b;
  float* c;  // [m, ldc]
  int64_t ldc;
  int64_t m, n, blocks;
  bool accumulate;
};

// ---- Fused multiply-adds
// ------------------------------------------------------------------------------------------------
// A part is one machine vector: a whole panel with AVX-512, half of one with AVX2.
#if defined(R1_ISA_portable)
constexpr int kPartLanes = 16;
using Part = F16;
inline Part PartZero() { return Zero(); }
inline Part PartSet(float x) { return Set(x); }
inline Part PartLoad(const float* p) { return Load(p); }
inline void PartStore(float* p, Part a) { Store(p, a); }
inline Part PartAdd(Part a, Part b) { return Add(a, b); }
inline Part PartFma(Part a, Part b, Part c) { return Fma(a, b, c); }
inline void PartPairs(const Bf16* p, Part* even, Part* odd) { LoadPairs(p, even, odd); }
constexpr int kMaxRows = 2;
constexpr int PartsFor(int) { return 1; }
#else
constexpr int kPartLanes = kPart;
using Part = hn::Vec<Tag>;
HWY_INLINE Part PartZero() { return hn::Zero(Tag()); }
HWY_INLINE Part PartSet(float x) { return hn::Set(Tag(), x); }
HWY_INLINE Part PartLoad(const float* p) { return hn::LoadU(Tag(), p); }
HWY_INLINE void PartStore(float* p, Part a) { hn::StoreU(a, Tag(), p); }
HWY_INLINE Part PartAdd(Part a, Part b) { return hn::Add(a, b); }
HWY_INLINE Part PartFma(Part a, Part b, Part c) { return hn::MulAdd(a, b, c); }
HWY_INLINE void PartPairs(const Bf16* p, Part* even, Part* odd) {
  const TagU du;
  const auto u = hn::BitCast(du, hn::LoadU(Tag(), reinterpret_cast<const float*>(p)));
  *even = hn::BitCast(Tag(), hn::ShiftLeft<16>(u));
  *odd = hn::BitCast(Tag(), hn::And(u, hn::Set(du, 0xffff0000u)));
}
// Rows and parts in flight: two chains each, within 32 registers (AVX-512) or 16 (AVX2).
constexpr int kMaxRows = 6;
constexpr int PartsFor(int rows) {
  if (kParts == 1) return rows <= 2 ? 4 : 2;
  return rows == 1 ? 4 : rows <= 3 ? 2 : 1;
}
#endif
constexpr int64_t kChunkBlocks = 16;  // reduction blocks whose left side is held as floats at a time

// Left side as floats: per row and block 16 even elements, then 16 odd ones.
inline void WidenLeft(float* out, const Bf16* a, int64_t blocks) {
  for (int64_t block = 0; block < blocks; ++block) {
    F16 even, odd;
    LoadPairs(a + block * kBlock, &even, &odd);
    Store(out + block * kBlock, even);
    Store(out + block * kBlock + 16, odd);
  }
}

// R rows x P parts starting at part `part`. left [R, left_stride] is widened; blocks first .. first
// + blocks of B, of the last one only the first last_pairs pairs (the left side is zero in the
// others, which would change nothing).
template <int R, int P, class Right>
inline void FmaKernel(const float* left, int64_t left_stride, const Right& b, int64_t first, int64_t blocks,
                      int64_t part, float* c, int64_t ldc, bool accumulate, int64_t last_pairs) {
  constexpr int kPerPanel = static_cast<int>(kPanel) / kPartLanes;
  Part sum[R][P];
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < P; ++p) sum[r][p] = accumulate ? PartLoad(c + r * ldc + p * kPartLanes) : PartZero();
  }
  for (int64_t block = 0; block < blocks; ++block) {
    const Bf16* tile[P];
    for (int p = 0; p < P; ++p) {
      const int64_t at = part + p;
      tile[p] = b(first + block, at / kPerPanel) + at % kPerPanel * kPartLanes * 2;
    }
    Part even[R][P], odd[R][P];
    for (int r = 0; r < R; ++r) {
      for (int p = 0; p < P; ++p) even[r][p] = odd[r][p] = PartZero();
    }
    const float* x = left + block * kBlock;
    const int64_t pairs = block + 1 < blocks ? 16 : last_pairs;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      Part be[P], bo[P];
      for (int p = 0; p < P; ++p) PartPairs(tile[p] + pair * 32, &be[p], &bo[p]);
      for (int r = 0; r < R; ++r) {
        const Part ae = PartSet(x[r * left_stride + pair]);
        for (int p = 0; p < P; ++p) even[r][p] = PartFma(ae, be[p], even[r][p]);
        const Part ao = PartSet(x[r * left_stride + pair + 16]);
        for (int p = 0; p < P; ++p) odd[r][p] = PartFma(ao, bo[p], odd[r][p]);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int p = 0; p < P; ++p) sum[r][p] = PartAdd(sum[r][p], PartAdd(even[r][p], odd[r][p]));
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < P; ++p) PartStore(c + r * ldc + p * kPartLanes, sum[r][p]);
  }
}

// R rows over the n columns from part `part` on; the last, partial part goes through a buffer.
template <int R, class Right>
inline void FmaRows(const float* left, int64_t left_stride, const Right& b, int64_t first, int64_t blocks, float* c,
                    int64_t ldc, int64_t n, bool accumulate, int64_t last_pairs = 16, int64_t part = 0) {
  constexpr int P = PartsFor(R);
  const int64_t parts = n / kPartLanes;
  for (; part + P <= parts; part += P) {
    FmaKernel<R, P>(left, left_stride, b, first, blocks, part, c + part * kPartLanes, ldc, accumulate, last_pairs);
  }
  if constexpr (P > 2) {
    for (; part + 2 <= parts; part += 2) {
      FmaKernel<R, 2>(left, left_stride, b, first, blocks, part, c + part * kPartLanes, ldc, accumulate, last_pairs);
    }
  }
  for (; part < parts; ++part) {
    FmaKernel<R, 1>(left, left_stride, b, first, blocks, part, c + part * kPartLanes, ldc, accumulate, last_pairs);
  }
  const int64_t rest = n - parts * kPartLanes;
  if (rest == 0) return;
  float buffer[R * kPartLanes] = {};
  float* edge = c + parts * kPartLanes;
  if (accumulate) {
    for (int r = 0; r < R; ++r)
      std::memcpy(buffer + r * kPartLanes, edge + r * ldc, static_cast<size_t>(rest) * sizeof(float));
  }
  FmaKernel<R, 1>(left, left_stride, b, first, blocks, parts, buffer, kPartLanes, accumulate, last_pairs);
  for (int r = 0; r < R; ++r)
    std::memcpy(edge + r * ldc, buffer + r * kPartLanes, static_cast<size_t>(rest) * sizeof(float));
}

// As FmaRows<R> for the rows left over, 1 .. R of them.
template <int R, class Right>
inline void FmaRowsUpTo(int64_t rows, const float* left, int64_t left_stride, const Right& b, int64_t first,
                        int64_t blocks, float* c, int64_t ldc, int64_t n, bool accumulate, int64_t part = 0) {
  if constexpr (R > 1) {
    if (rows < R) return FmaRowsUpTo<R - 1>(rows, left, left_stride, b, first, blocks, c, ldc, n, accumulate, part);
  }
  FmaRows<R>(left, left_stride, b, first, blocks, c, ldc, n, accumulate, 16, part);
}

#if defined(R1_ISA_avx2)
// ---- Both sides as floats
// Sixteen registers do not hold two chains of enough rows and parts beside the unpacking of B. So
// all even elements of a block go first, then all odd ones, and a panel of B is unpacked once for
// many rows.
constexpr int64_t kWideRows = 4;        // rows in flight, times the two parts of a panel
constexpr int64_t kWideChunkRows = 96;  // rows that share an unpacked panel
constexpr int64_t kWideMinRows = 12;    // fewer rows do not pay for unpacking

// One chain over 16 pairs: right [16, kPanel] floats, left [R] rows of 16.
template <int R>
HWY_INLINE void WideChain(Part (&chain)[R][kParts], const float* left, int64_t left_stride, const float* right) {
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < kParts; ++p) chain[r][p] = PartZero();
  }
  for (int64_t pair = 0; pair < 16; ++pair) {
    Part b[kParts];
    for (int p = 0; p < kParts; ++p) b[p] = PartLoad(right + pair * kPanel + p * kPartLanes);
    for (int r = 0; r < R; ++r) {
      const Part a = PartSet(left[r * left_stride + pair]);
      for (int p = 0; p < kParts; ++p) chain[r][p] = PartFma(a, b[p], chain[r][p]);
    }
  }
}

// R rows x one panel; right [blocks][even, odd][16, kPanel].
template <int R>
inline void WideKernel(const float* left, int64_t left_stride, const float* right, int64_t blocks, float* c,
                       int64_t ldc, bool accumulate) {
  for (int64_t block = 0; block < blocks; ++block) {
    alignas(64) float kept[R][kPanel];
    Part chain[R][kParts];
    WideChain<R>(chain, left + block * kBlock, left_stride, right + block * kTileElements);
    for (int r = 0; r < R; ++r) {
      for (int p = 0; p < kParts; ++p) PartStore(kept[r] + p * kPartLanes, chain[r][p]);
    }
    WideChain<R>(chain, left + block * kBlock + 16, left_stride, right + block * kTileElements + 16 * kPanel);
    for (int r = 0; r < R; ++r) {
      for (int p = 0; p < kParts; ++p) {
        float* out = c + r * ldc + p * kPartLanes;
        const Part sum = accumulate || block > 0 ? PartLoad(out) : PartZero();
        PartStore(out, PartAdd(sum, PartAdd(PartLoad(kept[r] + p * kPartLanes), chain[r][p])));
      }
    }
  }
}

// As WideKernel<R> for the rows left over, 1 .. R of them.
template <int R>
inline void WideRowsUpTo(int64_t rows, const float* left, int64_t left_stride, const float* right, int64_t blocks,
                         float* c, int64_t ldc, bool accumulate) {
  if constexpr (R > 1) {
    if (rows < R) return WideRowsUpTo<R - 1>(rows, left, left_stride, right, blocks, c, ldc, accumulate);
  }
  WideKernel<R>(left, left_stride, right, blocks, c, ldc, accumulate);
}

// blocks > 0: an empty reduction, which writes zeros, is FmaProduct's. 64 KiB of stack.
template <class Right>
void WideProduct(const Product<Right>& p) {
  constexpr int64_t kWideBlocks = 4;                      // reduction blocks at a time
  constexpr int64_t kStride = kWideBlocks * kBlock + 16;  // rows do not share the sets of a cache
  alignas(64) float left[kWideChunkRows * kStride];
  alignas(64) float right[kWideBlocks * kTileElements];
  const int64_t panels = p.n / kPanel;
  for (int64_t row = 0; row < p.m; row += kWideChunkRows) {
    const int64_t rows = p.m - row < kWideChunkRows ? p.m - row : kWideChunkRows;
    for (int64_t first = 0; first < p.blocks; first += kWideBlocks) {
      const int64_t blocks = p.blocks - first < kWideBlocks ? p.blocks - first : kWideBlocks;
      const bool accumulate = p.accumulate || first > 0;
      float* c = p.c + row * p.ldc;
      for (int64_t r = 0; r < rows; ++r)
        WidenLeft(left + r * kStride, p.a + (row + r) * p.lda + first * kBlock, blocks);
      for (int64_t panel = 0; panel < panels; ++panel) {
        for (int64_t block = 0; block < blocks; ++block) {
          const Bf16* tile = p.b(first + block, panel);
          for (int64_t pair = 0; pair < 16; ++pair) {
            F16 even, odd;
            LoadPairs(tile + pair * 32, &even, &odd);
            Store(right + block * kTileElements + pair * kPanel, even);
            Store(right + block * kTileElements + (16 + pair) * kPanel, odd);
          }
        }
        for (int64_t r = 0; r < rows; r += kWideRows)
          WideRowsUpTo<kWideRows>(rows - r, left + r * kStride, kStride, right, blocks, c + r * p.ldc + panel * kPanel,
                                  p.ldc, accumulate);
      }
      if (panels * kPanel == p.n) continue;
      for (int64_t r = 0; r < rows; r += kMaxRows)
        FmaRowsUpTo<kMaxRows>(rows - r, left + r * kStride, kStride, p.b, first, blocks, c + r * p.ldc, p.ldc, p.n,
                              accumulate, panels * (kPanel / kPartLanes));
    }
  }
}
#endif

template <class Right>
void FmaProduct(const Product<Right>& p) {
  float left[kMaxRows * kChunkBlocks * kBlock];
  constexpr int64_t kStride = kChunkBlocks * kBlock;
  int64_t first = 0;
  do {
    const int64_t blocks = p.blocks - first < kChunkBlocks ? p.blocks - first : kChunkBlocks;
    for (int64_t row = 0; row < p.m; row += kMaxRows) {
      const int64_t rows = p.m - row < kMaxRows ? p.m - row : kMaxRows;
      for (int64_t r = 0; r < rows; ++r)
        WidenLeft(left + r * kStride, p.a + (row + r) * p.lda + first * kBlock, blocks);
      FmaRowsUpTo<kMaxRows>(rows, left, kStride, p.b, first, blocks, p.c + row * p.ldc, p.ldc, p.n,
                            p.accumulate || first > 0);
    }
    first += blocks;
  } while (first < p.blocks);
}

// ---- Matrix tiles
// -------------------------------------------------------------------------------------------------------
#if defined(R1_ISA_amx)
// Shapes of the eight tiles of this thread: C 0..3 (2 x 2), A 4..5, B 6..7. rows0/rows1 are the
// heights of the two tile rows, cols0/cols1 the widths of the two tile columns, 1 .. 16. Kept until
// other shapes are asked for (gemm.cc).
void ConfigureTiles(int64_t rows0, int64_t rows1, int64_t cols0, int64_t cols1);

// One block of (1 or 2) x (1 or 2) tiles of C at row `row`, panel `panel`.
template <int TileRows, int TileCols, class Right>
inline void TileKernel(const Product<Right>& p, int64_t row, int64_t panel) {
  const Bf16* a0 = p.a + row * p.lda;
  const Bf16* a1 = a0 + 16 * p.lda;
  float* c0 = p.c + row * p.ldc + panel * kPanel;
  float* c1 = c0 + 16 * p.ldc;
  const size_t ldc = static_cast<size_t>(p.ldc) * sizeof(float);
  const size_t lda = static_cast<size_t>(p.lda) * sizeof(Bf16);
  if (p.accumulate) {
    _tile_loadd(0, c0, ldc);
    if constexpr (TileCols == 2) _tile_loadd(1, c0 + 16, ldc);
    if constexpr (TileRows == 2) _tile_loadd(2, c1, ldc);
    if constexpr (TileRows == 2 && TileCols == 2) _tile_loadd(3, c1 + 16, ldc);
  } else {
    _tile_zero(0);
    if constexpr (TileCols == 2) _tile_zero(1);
    if constexpr (TileRows == 2) _tile_zero(2);
    if constexpr (TileRows == 2 && TileCols == 2) _tile_zero(3);
  }
  for (int64_t block = 0; block < p.blocks; ++block) {
    _tile_loadd(6, p.b(block, panel), 64);
    _tile_loadd(4, a0 + block * kBlock, lda);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (TileRows == 2) {
      _tile_loadd(5, a1 + block * kBlock, lda);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (TileCols == 2) {
      _tile_loadd(7, p.b(block, panel + 1), 64);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (TileRows == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c0, ldc);
  if constexpr (TileCols == 2) _tile_stored(1, c0 + 16, ldc);
  if constexpr (TileRows == 2) _tile_stored(2, c1, ldc);
  if constexpr (TileRows == 2 && TileCols == 2) _tile_stored(3, c1 + 16, ldc);
}

// Rows [row_begin, row_end) and panels [panel_begin, panel_end), all of the shape now configured.
template <int TileRows, int TileCols, class Right>
inline void TileRegion(const Product<Right>& p, int64_t row_begin, int64_t row_end, int64_t panel_begin,
                       int64_t panel_end) {
  for (int64_t row = row_begin; row < row_end; row += 32) {
    for (int64_t panel = panel_begin; panel < panel_end; panel += 2) TileKernel<TileRows, TileCols>(p, row, panel);
  }
}

// Whole 32 x 32 blocks first, then the strip of columns left over, then the rows left over: at most
// four tile shapes.
template <class Right>
void TileProduct(const Product<Right>& p) {
  const int64_t m32 = p.m / 32 * 32, panels = p.n / 32 * 2, end = panels + 2;
  const int64_t m_rest = p.m - m32, n_rest = p.n - panels * kPanel;
  const int64_t rows0 = m_rest < 16 ? m_rest : 16, rows1 = m_rest > 16 ? m_rest - 16 : 16;
  const int64_t cols0 = n_rest < 16 ? n_rest : 16, cols1 = n_rest > 16 ? n_rest - 16 : 16;
  if (m32 > 0 && panels > 0) {
    ConfigureTiles(16, 16, 16, 16);
    TileRegion<2, 2>(p, 0, m32, 0, panels);
  }
  if (m32 > 0 && n_rest > 0) {
    ConfigureTiles(16, 16, cols0, cols1);
    if (n_rest > 16)
      TileRegion<2, 2>(p, 0, m32, panels, end);
    else
      TileRegion<2, 1>(p, 0, m32, panels, end);
  }
  if (m_rest == 0) return;
  if (panels > 0) {
    ConfigureTiles(rows0, rows1, 16, 16);
    if (m_rest > 16)
      TileRegion<2, 2>(p, m32, p.m, 0, panels);
    else
      TileRegion<1, 2>(p, m32, p.m, 0, panels);
  }
  if (n_rest > 0) {
    ConfigureTiles(rows0, rows1, cols0, cols1);
    if (m_rest > 16 && n_rest > 16)
      TileRegion<2, 2>(p, m32, p.m, panels, end);
    else if (m_rest > 16)
      TileRegion<2, 1>(p, m32, p.m, panels, end);
    else if (n_rest > 16)
      TileRegion<1, 2>(p, m32, p.m, panels, end);
    else
      TileRegion<1, 1>(p, m32, p.m, panels, end);
  }
}
constexpr int64_t kTileMinRows = 5;  // fewer rows leave a tile mostly empty
#endif

// The unit of matrix tiles falls asleep about 1,600 cycles after its last product and takes about
// 640 to wake (measured on Emerald Rapids). Loops of vector work between products call this every
// few hundred cycles: a product whose result is dropped. Some product of tiles must have gone
// before on this thread.
inline void KeepTilesAwake() {
#if defined(R1_ISA_amx)
  _tile_dpbf16ps(0, 4, 6);
#endif
}

template <class Right>
inline void Multiply(const Product<Right>& p) {
#if defined(R1_ISA_amx)
  if (p.m >= kTileMinRows) return TileProduct(p);
#elif defined(R1_ISA_avx2)
  if (p.m >= kWideMinRows && p.blocks > 0) return WideProduct(p);
#endif
  FmaProduct(p);
}

}  // namespace r1::kernels::R1_ISA_NAME
