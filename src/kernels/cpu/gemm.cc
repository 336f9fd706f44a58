// C [M, N] (+)= A [M, K] · B [K, N], bf16 inputs, float sums, in the order stated in kernels.h.
#include "kernels/cpu/ops.h"
#include "kernels/cpu/product.h"

namespace r1::kernels::R1_ISA_NAME {

#if defined(R1_ISA_amx)
namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

thread_local uint32_t tile_shape = 0;  // what this thread's tiles are configured for, kept over fork; 0 is nothing

}  // namespace

void ConfigureTiles(int64_t rows0, int64_t rows1, int64_t cols0, int64_t cols1) {
  const uint32_t shape = static_cast<uint32_t>(rows0 | rows1 << 8 | cols0 << 16 | cols1 << 24);
  if (shape == tile_shape) return;
  TileConfig config;
  const auto set = [&](int tile, int64_t rows, int64_t columns) {
    config.rows[tile] = static_cast<uint8_t>(rows);
    config.row_bytes[tile] = static_cast<uint16_t>(4 * columns);
  };
  set(0, rows0, cols0);
  set(1, rows0, cols1);
  set(2, rows1, cols0);
  set(3, rows1, cols1);
  set(4, rows0, 16);
  set(5, rows1, 16);
  set(6, 16, cols0);
  set(7, 16, cols1);
  asm volatile("" ::"r"(&config) : "memory");  // gcc 12 believes that the instruction reads 8 bytes only
  _tile_loadconfig(&config);
  tile_shape = shape;
}
#endif

void gemm(const GemmArgs& g) {
  Multiply(Product<PackedRight>{g.a, g.lda, Packed(g.b, g.k), g.c, g.ldc, g.m, g.n, RoundUp(g.k, kBlock) / kBlock,
                                g.accumulate});
}

}  // namespace r1::kernels::R1_ISA_NAME
