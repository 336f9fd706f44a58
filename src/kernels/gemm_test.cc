// Products and packing of every kernel table against the definition in ref/gemm.h, bit for bit.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "kernels/ref/gemm.h"

namespace r1::kernels {
namespace {

// Aligned, and with a guard on both sides.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t n, T fill = T{}) : n_(n), data_(static_cast<size_t>(n) + 2 * kGuard, fill) {
    const auto address = reinterpret_cast<uintptr_t>(data_.data());
    start_ = ((address + 63) / 64 * 64 - address) / sizeof(T);
  }
  T* get() { return data_.data() + start_; }
  int64_t size() const { return n_; }

 private:
  static constexpr size_t kGuard = 64;
  int64_t n_;
  size_t start_;
  std::vector<T> data_;
};

Bf16 RandomBf16(Rng& rng, double spread) { return ToBf16(static_cast<float>(rng.Normal() * spread)); }

std::string Isa(const KernelTable& table) { return std::string("isa ") + table.isa; }

std::vector<const KernelTable*> AllTables() {
  std::vector<const KernelTable*> tables;
  for (const char* const* name = AvailableIsas(); *name != nullptr; ++name) tables.push_back(KernelsFor(*name));
  return tables;
}

class GemmTest : public ::testing::Test {
 protected:
  void SetUp() override { SetFloatMode(); }
};

struct Shape {
  int64_t m, n, k;
};

// A random product, its packed right side and its defined result.
struct Case {
  Case(Shape s, bool accumulate, uint64_t seed, double spread = 1.0)
      : shape(s),
        lda(RoundUp(s.k, 32) + 32 * (seed % 2)),
        ldc(s.n + seed % 3),
        a(s.m * lda),
        b(PackedElements(s.k, s.n)),
        c(s.m * ldc),
        accumulate_c(accumulate) {
    Rng rng(seed, Stream::kTest);
    a_float.resize(static_cast<size_t>(s.m * s.k));
    b_float.resize(static_cast<size_t>(s.k * s.n));
    for (int64_t i = 0; i < s.m * lda; ++i) {  // beyond k anything finite
      a.get()[i] = RandomBf16(rng, spread);
      if (i % lda < s.k) a_float[i / lda * s.k + i % lda] = ToFloat(a.get()[i]);
    }
    for (int64_t k = 0; k < s.k; ++k) {
      for (int64_t n = 0; n < s.n; ++n) {
        const Bf16 x = RandomBf16(rng, spread);
        b_float[k * s.n + n] = ToFloat(x);
        b.get()[ref::PackedIndex(k, n, s.k)] = x;
      }
    }
    for (int64_t i = 0; i < s.m * ldc; ++i) c.get()[i] = static_cast<float>(rng.Normal() * spread);
    expected.assign(c.get(), c.get() + s.m * ldc);
    ref::Gemm<float>(expected.data(), ldc, a_float.data(), s.k, b_float.data(), s.n, s.m, s.n, s.k, accumulate);
  }
  std::vector<float> Run(const KernelTable& table) {
    std::vector<float> out(c.get(), c.get() + shape.m * ldc);
    table.gemm({a.get(), lda, b.get(), out.data(), ldc, shape.m, shape.n, shape.k, accumulate_c});
    return out;
  }
  Shape shape;
  int64_t lda, ldc;
  Buffer<Bf16> a, b;
  Buffer<float> c;
  bool accumulate_c;
  std::vector<float> a_float, b_float, expected;
};

bool SameBits(const std::vector<float>& x, const std::vector<float>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
}

TEST_F(GemmTest, EveryTableEqualsTheDefinitionInEveryBit) {
  std::vector<Shape> shapes;
  for (int64_t m = 1; m <= 70; ++m) shapes.push_back({m, 1 + m * 7 % 50, 1 + m * 29 % 100});
  for (int64_t n = 1; n <= 66; n += 5) shapes.push_back({33, n, 64});
  for (int64_t k : {1, 2, 31, 32, 33, 95, 128, 511, 512, 513, 1100}) shapes.push_back({7, 40, k});
  for (Shape s : {Shape{64, 64, 64}, Shape{100, 96, 128}, Shape{1, 128, 544}, Shape{6, 31, 32}, Shape{48, 17, 1056},
                  Shape{205, 41, 300}})
    shapes.push_back(s);
  uint64_t seed = 1;
  for (const Shape& s : shapes) {
    for (bool accumulate : {false, true}) {
      Case c(s, accumulate, ++seed);
      for (const KernelTable* table : AllTables()) {
        ASSERT_TRUE(SameBits(c.Run(*table), c.expected))
            << Isa(*table) << " m " << s.m << " n " << s.n << " k " << s.k << " accumulate " << accumulate;
      }
    }
  }
}

TEST_F(GemmTest, TinyAndHugeValuesHaveTheSameBits) {
  // Products and sums in the range of denormals, which are zero by contract, and near overflow.
  for (double spread : {1e-19, 3e-20, 1e-25, 3e-38, 1e-39, 1e18, 3e18}) {
    Case c({40, 33, 70}, true, 77, spread);
    for (const KernelTable* table : AllTables())
      EXPECT_TRUE(SameBits(c.Run(*table), c.expected)) << Isa(*table) << " spread " << spread;
  }
}

TEST_F(GemmTest, ARowDoesNotDependOnItsBatch) {
  Case c({70, 45, 160}, true, 5);
  for (const KernelTable* table : AllTables()) {
    const std::vector<float> whole = c.Run(*table);
    for (int64_t count : {1, 2, 3, 4, 5, 6, 13, 31, 34}) {
      for (int64_t row = 0; row + count <= c.shape.m; row += count) {
        std::vector<float> part(c.c.get() + row * c.ldc, c.c.get() + (row + count) * c.ldc);
        table->gemm({c.a.get() + row * c.lda, c.lda, c.b.get(), part.data(), c.ldc, count, c.shape.n, c.shape.k, true});
        ASSERT_EQ(0, std::memcmp(part.data(), whole.data() + row * c.ldc, part.size() * sizeof(float)))
            << Isa(*table) << " rows " << row << " + " << count;
      }
    }
  }
}

TEST_F(GemmTest, IsAccurate) {
  // Error of a sum of k products in float: at most about k/32 + 16 + 2 roundings of a partial sum.
  Case c({9, 20, 512}, false, 9);
  std::vector<double> a(c.a_float.begin(), c.a_float.end()), b(c.b_float.begin(), c.b_float.end()), exact(9 * 20);
  ref::Gemm<double>(exact.data(), 20, a.data(), 512, b.data(), 20, 9, 20, 512, false);
  for (const KernelTable* table : AllTables()) {
    const std::vector<float> got = c.Run(*table);
    for (int64_t i = 0; i < 9; ++i) {
      for (int64_t j = 0; j < 20; ++j) {
        double magnitude = 0;
        for (int64_t p = 0; p < 512; ++p) magnitude += std::abs(a[i * 512 + p] * b[p * 20 + j]);
        EXPECT_NEAR(got[i * c.ldc + j], exact[i * 20 + j], magnitude * 34 * 6e-8) << Isa(*table);
      }
    }
  }
}

TEST_F(GemmTest, WritesNothingElse) {
  for (const KernelTable* table : AllTables()) {
    for (Shape s : {Shape{5, 5, 33}, Shape{17, 33, 32}, Shape{1, 1, 1}, Shape{35, 47, 64}}) {
      Case c(s, false, 3);
      const int64_t ldc = s.n + 19;
      Buffer<float> out((s.m + 2) * ldc, 123.0f);
      table->gemm({c.a.get(), c.lda, c.b.get(), out.get() + ldc, ldc, s.m, s.n, s.k, false});
      for (int64_t i = 0; i < s.m + 2; ++i) {
        for (int64_t j = 0; j < ldc; ++j) {
          const bool inside = i >= 1 && i <= s.m && j < s.n;
          const float want = inside ? c.expected[(i - 1) * c.ldc + j] : 123.0f;
          ASSERT_EQ(out.get()[i * ldc + j], want) << Isa(*table) << " row " << i << " column " << j;
        }
      }
    }
  }
}

TEST_F(GemmTest, EmptyReductionIsZeroOrUnchanged) {
  for (const KernelTable* table : AllTables()) {
    Bf16 a[64] = {};
    for (int64_t m : {1, 6, 40}) {
      for (int64_t n : {1, 20}) {
        std::vector<float> c(static_cast<size_t>(m * n), 3.0f);
        table->gemm({a, 0, a, c.data(), n, m, n, 0, true});
        EXPECT_EQ(c, std::vector<float>(c.size(), 3.0f)) << Isa(*table) << " m " << m;
        table->gemm({a, 0, a, c.data(), n, m, n, 0, false});
        EXPECT_EQ(c, std::vector<float>(c.size(), 0.0f)) << Isa(*table) << " m " << m;
      }
    }
  }
}

TEST_F(GemmTest, WorksInAForkedChild) {
  Case c({40, 40, 64}, false, 4);
  for (const KernelTable* table : AllTables()) {
    ASSERT_TRUE(SameBits(c.Run(*table), c.expected));
    const pid_t child = fork();
    if (child == 0) _exit(SameBits(c.Run(*table), c.expected) ? 0 : 1);
    int status = 0;
    ASSERT_EQ(child, waitpid(child, &status, 0));
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << Isa(*table) << " status " << status;
  }
}

TEST_F(GemmTest, PackingPutsEveryElementInItsPlace) {
  Rng rng(11, Stream::kTest);
  for (Shape s :
       {Shape{0, 16, 32}, Shape{0, 1, 1}, Shape{0, 40, 70}, Shape{0, 33, 31}, Shape{0, 16, 2}, Shape{0, 7, 96}}) {
    const int64_t ld_k = s.k + 3, ld_n = s.n + 5;
    std::vector<float> w_nk(static_cast<size_t>(s.n * ld_k)), w_kn(static_cast<size_t>(s.k * ld_n));
    std::vector<Bf16> x_kn(w_kn.size());
    for (float& x : w_nk) x = static_cast<float>(rng.Normal());
    for (size_t i = 0; i < w_kn.size(); ++i) x_kn[i] = ToBf16(w_kn[i] = static_cast<float>(rng.Normal()));
    const int64_t size = PackedElements(s.k, s.n);
    for (const KernelTable* table : AllTables()) {
      const Bf16 mark{0xabcd};
      Buffer<Bf16> from_nk(size, mark), from_kn(size, mark), from_bf16(size, mark);
      table->pack_nk(from_nk.get(), w_nk.data(), s.n, s.k, ld_k);
      table->pack_kn(from_kn.get(), w_kn.data(), s.k, s.n, ld_n);
      table->pack_kn_bf16(from_bf16.get(), x_kn.data(), s.k, s.n, ld_n);
      for (int64_t k = 0; k < RoundUp(s.k, 32); ++k) {
        for (int64_t n = 0; n < RoundUp(s.n, 16); ++n) {
          const bool inside = k < s.k && n < s.n;
          const int64_t at = ref::PackedIndex(k, n, s.k);
          ASSERT_EQ(from_nk.get()[at].bits, inside ? ToBf16(w_nk[n * ld_k + k]).bits : 0)
              << Isa(*table) << " " << k << " " << n;
          ASSERT_EQ(from_kn.get()[at].bits, inside ? ToBf16(w_kn[k * ld_n + n]).bits : 0)
              << Isa(*table) << " " << k << " " << n;
          ASSERT_EQ(from_bf16.get()[at].bits, inside ? x_kn[k * ld_n + n].bits : 0)
              << Isa(*table) << " " << k << " " << n;
        }
      }
      ASSERT_EQ(from_nk.get()[size].bits, mark.bits);
      ASSERT_EQ(from_kn.get()[size].bits, mark.bits);
      ASSERT_EQ(from_bf16.get()[size].bits, mark.bits);
    }
  }
}

TEST_F(GemmTest, TransposesWithZeroPadding) {
  Rng rng(12, Stream::kTest);
  for (int64_t t : {1, 2, 31, 32, 33, 70}) {
    for (int64_t n : {1, 15, 16, 17, 40}) {
      const int64_t ldx = n + 3, ldo = RoundUp(t, 32) + 32;
      std::vector<Bf16> x(static_cast<size_t>(t * ldx));
      for (Bf16& v : x) v = RandomBf16(rng, 1);
      for (const KernelTable* table : AllTables()) {
        const Bf16 mark{0xabcd};
        Buffer<Bf16> out(n * ldo, mark);
        table->transpose_bf16(out.get(), ldo, x.data(), t, n, ldx);
        for (int64_t j = 0; j < n; ++j) {
          for (int64_t i = 0; i < ldo; ++i) {
            const uint16_t want = i < t ? x[i * ldx + j].bits : i < RoundUp(t, 32) ? 0 : mark.bits;
            ASSERT_EQ(out.get()[j * ldo + i].bits, want) << Isa(*table) << " t " << t << " n " << n;
          }
        }
      }
    }
  }
}

TEST_F(GemmTest, RoundsToNearestEvenAndPads) {
  std::vector<float> x = {1.0f,
                          1.00390625f,
                          1.01171875f,
                          1.0039063f,
                          -1.00390625f,
                          3.4e38f,
                          1e-39f,
                          0.0f,
                          -0.0f,
                          std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(),
                          1e-45f};
  Rng rng(13, Stream::kTest);
  while (x.size() < 100) x.push_back(std::bit_cast<float>(rng.NextU32()));
  x.push_back(std::numeric_limits<float>::quiet_NaN());
  x.push_back(std::bit_cast<float>(0x7f800001u));
  const int64_t n = 34;
  for (const KernelTable* table : AllTables()) {
    std::vector<Bf16> y(3 * 70, Bf16{0xabcd});
    table->to_bf16(y.data(), 70, x.data(), n, 3, n, 64);
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t i = 0; i < 70; ++i) {
        const uint16_t want = i < n ? ToBf16(x[row * n + i]).bits : i < 64 ? 0 : 0xabcd;
        ASSERT_EQ(y[row * 70 + i].bits, want) << Isa(*table) << " element " << i;
      }
    }
  }
  EXPECT_EQ(ToBf16(1.00390625f).bits, 0x3f80);  // a tie goes to the even neighbour
  EXPECT_EQ(ToBf16(1.01171875f).bits, 0x3f82);
}

TEST(KernelTableTest, NamesAndSelection) {
  EXPECT_STREQ(AvailableIsas()[0], "portable");
  EXPECT_EQ(KernelsFor("sse9"), nullptr);
  EXPECT_FALSE(SelectIsa("sse9"));
  const std::string before = Kernels().isa;
  for (const char* const* name = AvailableIsas(); *name != nullptr; ++name) {
    ASSERT_TRUE(SelectIsa(*name));
    EXPECT_STREQ(Kernels().isa, *name);
  }
  EXPECT_TRUE(SelectIsa(before.c_str()));
}

}  // namespace
}  // namespace r1::kernels
