#include "store/quant.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/files.h"
#include "base/rng.h"
#include "base/test_dir.h"
#include "store/safetensors.h"

namespace r1 {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> Decode(StoredType type, const std::string& bytes) {
  std::vector<float> out(bytes.size() / static_cast<size_t>(StoredTypeBytes(type)) *
                         static_cast<size_t>(StoredTypeBlock(type)));
  DecodeValues(type, bytes.data(), static_cast<int64_t>(out.size()), out.data());
  return out;
}

std::string Encode(StoredType type, const std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  std::string out(static_cast<size_t>(count / StoredTypeBlock(type) * StoredTypeBytes(type)), '\0');
  const Status status = EncodeValues(type, values.data(), count, out.data());
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

ConversionError Loss(StoredType type, const std::vector<float>& values) {
  ConversionMeter meter;
  meter.Add(values.data(), Decode(type, Encode(type, values)).data(), static_cast<int64_t>(values.size()));
  return meter.Total();
}

std::vector<float> Bell(size_t count, double sigma, uint64_t seed) {
  Rng rng(seed, Stream::kTest);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(sigma * rng.Normal());
  return values;
}

TEST(Quant, HalfKnownValuesAndRounding) {
  EXPECT_EQ(HalfToFloat(0x3c00), 1.0f);
  EXPECT_EQ(HalfToFloat(0xc000), -2.0f);
  EXPECT_EQ(HalfToFloat(0x7bff), 65504.0f);
  EXPECT_EQ(HalfToFloat(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(HalfToFloat(0x0400), std::ldexp(1.0f, -14));
  EXPECT_EQ(HalfToFloat(0x3555), 0.333251953125f);
  EXPECT_EQ(HalfToFloat(0xfc00), -kInf);
  EXPECT_TRUE(std::isnan(HalfToFloat(0x7e00)));
  EXPECT_TRUE(std::signbit(HalfToFloat(0x8000)));
  EXPECT_EQ(FloatToHalf(1.0f / 3), 0x3555);
  EXPECT_EQ(FloatToHalf(1 + std::ldexp(1.0f, -11)), 0x3c00) << "a tie goes to even";
  EXPECT_EQ(FloatToHalf(1 + 3 * std::ldexp(1.0f, -11)), 0x3c02) << "a tie goes to even";
  EXPECT_EQ(FloatToHalf(std::nextafter(1 + std::ldexp(1.0f, -11), 2.0f)), 0x3c01);
  EXPECT_EQ(FloatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00) << "half way to the next exponent is infinite";
  EXPECT_EQ(FloatToHalf(-1e30f), 0xfc00);
  EXPECT_EQ(FloatToHalf(std::ldexp(1.0f, -25)), 0x0000) << "a tie goes to even, which is 0";
  EXPECT_EQ(FloatToHalf(std::nextafter(std::ldexp(1.0f, -25), 1.0f)), 0x0001);
  EXPECT_EQ(FloatToHalf(-std::ldexp(1.0f, -26)), 0x8000);
  EXPECT_EQ(FloatToHalf(std::ldexp(2047.0f, -25)), 0x0400) << "a subnormal that rounds up to a normal number";
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::denorm_min()), 0x0000);
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(kNan))));
  // NaN whose payload lies only in the bits that are cut off.
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(std::bit_cast<float>(0x7f800001u)))));
}

TEST(Quant, EveryHalfAndBf16ComesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto word = static_cast<uint16_t>(bits);
    const float half = HalfToFloat(word), bf16 = Bf16ToFloat(word);
    if (!std::isnan(half)) {
      ASSERT_EQ(FloatToHalf(half), word);
    }
    ASSERT_EQ(std::bit_cast<uint32_t>(bf16), bits << 16) << bits;
    if (!std::isnan(bf16)) {
      ASSERT_EQ(FloatToBf16(bf16), word);
    }
  }
}

TEST(Quant, Bf16Rounding) {
  const auto bits = [](uint32_t u) { return FloatToBf16(std::bit_cast<float>(u)); };
  EXPECT_EQ(bits(0x3f808000), 0x3f80);
  EXPECT_EQ(bits(0x3f818000), 0x3f82);
  EXPECT_EQ(bits(0x3f808001), 0x3f81);
  EXPECT_EQ(bits(0x7f7fffff), 0x7f80) << "the largest float is nearer to infinity";
  EXPECT_EQ(bits(0x00018000), 0x0002) << "subnormal tie";
  EXPECT_EQ(bits(0x007fffff), 0x0080) << "a subnormal that rounds up to a normal number";
  EXPECT_EQ(bits(0x7f800001) & 0x7fc0, 0x7fc0) << "NaN stays NaN";
  EXPECT_EQ(bits(0xff800000), 0xff80);
}

TEST(Quant, E4m3) {
  EXPECT_EQ(E4m3ToFloat(0x38), 1.0f);
  EXPECT_EQ(E4m3ToFloat(0x7e), 448.0f);
  EXPECT_EQ(E4m3ToFloat(0x78), 256.0f) << "the highest exponent is finite";
  EXPECT_EQ(E4m3ToFloat(0x01), std::ldexp(1.0f, -9));
  EXPECT_EQ(E4m3ToFloat(0x08), std::ldexp(1.0f, -6));
  EXPECT_EQ(E4m3ToFloat(0xb9), -1.125f);
  EXPECT_TRUE(std::isnan(E4m3ToFloat(0x7f)));
  EXPECT_TRUE(std::isnan(E4m3ToFloat(0xff)));
  for (int bits = 1; bits < 0x7f; ++bits)
    ASSERT_GT(E4m3ToFloat(static_cast<uint8_t>(bits)), E4m3ToFloat(static_cast<uint8_t>(bits - 1)));
}

// A matrix of 130 x 129: four squares, three of them partial, each with a scale of its own.
TEST(Quant, E4m3WithScalesOfSquares) {
  TempDir dir;
  const std::string ones(130 * 129, '\x38');
  const std::vector<float> scales{1, 2, 3, 4};
  const auto write = [&](const std::vector<int64_t>& shape, const char* name = "w_scale_inv") {
    EXPECT_TRUE(
        WriteSafetensors(
            dir / "f",
            {{"w", StoredType::kF8E4M3, {130, 129}, ones.data()}, {name, StoredType::kF32, shape, scales.data()}}, {})
            .ok());
  };
  std::vector<float> out(130 * 129);
  const auto message = [&] {
    const auto file = SafetensorsFile::Open(dir / "f");
    const Status status = DecodeTensor(*file, *file->Find("w"), out.data());
    return status.ok() ? std::string("decoded") : status.error().message;
  };
  write({2, 2});
  ASSERT_EQ(message(), "decoded");
  for (size_t r = 0; r < 130; ++r) {
    for (size_t c = 0; c < 129; ++c) ASSERT_EQ(out[r * 129 + c], scales[r / 128 * 2 + c / 128]) << r << " " << c;
  }
  write({1, 4});
  EXPECT_NE(message().find("'w_scale_inv' is F32 [1, 4], but F32 [2, 2] is wanted"), std::string::npos) << message();
  write({2, 2}, "other");
  EXPECT_NE(message().find("there is no tensor 'w_scale_inv'"), std::string::npos) << message();
}

TEST(Quant, TypesThatCannotBeDecodedAreNamed) {
  TempDir dir;
  const int32_t one = 1;
  ASSERT_TRUE(WriteSafetensors(dir / "f", {{"w", StoredType::kI32, {1}, &one}}, {}).ok());
  const auto file = SafetensorsFile::Open(dir / "f");
  float out = 0;
  const Status status = DecodeTensor(*file, *file->Find("w"), &out);
  EXPECT_NE(status.error().message.find("tensor 'w' is I32, which cannot be converted"), std::string::npos);
}

// Blocks put together by hand from the layouts.
TEST(Quant, KnownBlocks) {
  std::string q8("\x00\x38", 2);  // d = 0.5
  for (int i = 0; i < 32; ++i) q8 += static_cast<char>(i == 1 ? -128 : i);
  const std::vector<float> a = Decode(StoredType::kQ8_0, q8);
  EXPECT_EQ(a[0], 0.0f);
  EXPECT_EQ(a[1], -64.0f);
  EXPECT_EQ(a[31], 15.5f);

  std::string q4("\x00\xc0", 2);  // d = -2
  for (int i = 0; i < 16; ++i) q4 += static_cast<char>(i | (15 - i) << 4);
  const std::vector<float> b = Decode(StoredType::kQ4_0, q4);
  EXPECT_EQ(b[0], 16.0f);    // -2 · (0 - 8)
  EXPECT_EQ(b[15], -14.0f);  // -2 · (15 - 8)
  EXPECT_EQ(b[16], -14.0f);
  EXPECT_EQ(b[31], 16.0f);

  // Q4_K: d = 1, dmin = 0.5; sub-block j has scale 8j + 1 and min 63 - 8j, all six bits in use.
  std::string q4k("\x00\x3c\x00\x38", 4);
  std::string packed(12, '\0');
  for (int j = 0; j < 4; ++j) {
    const int high = j + 4, scale = 8 * j + 1, min = 63 - 8 * j, scale_high = 8 * high + 1, min_high = 63 - 8 * high;
    packed[static_cast<size_t>(j)] = static_cast<char>(scale | scale_high >> 4 << 6);
    packed[static_cast<size_t>(j + 4)] = static_cast<char>(min | min_high >> 4 << 6);
    packed[static_cast<size_t>(j + 8)] = static_cast<char>((scale_high & 15) | (min_high & 15) << 4);
  }
  q4k += packed;
  for (int i = 0; i < 128; ++i) q4k += static_cast<char>((i % 16) | (15 - i % 16) << 4);
  const std::vector<float> c = Decode(StoredType::kQ4K, q4k);
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      const float q = static_cast<float>(j % 2 == 0 ? i % 16 : 15 - i % 16);
      const float wanted = static_cast<float>(8 * j + 1) * q - 0.5f * static_cast<float>(63 - 8 * j);
      ASSERT_EQ(c[static_cast<size_t>(32 * j + i)], wanted) << j << " " << i;
    }
  }

  // Q6_K, written as the format's page unpacks it: value = (i · 7) % 64, scale of 16 values = index - 8, d = 0.25.
  std::string low(128, '\0'), high(64, '\0'), scales;
  const auto value = [](int i) { return i * 7 % 64; };
  for (int n = 0; n < 2; ++n) {
    for (int l = 0; l < 32; ++l) {
      const int q1 = value(128 * n + l), q2 = value(128 * n + l + 32), q3 = value(128 * n + l + 64),
                q4v = value(128 * n + l + 96);
      low[static_cast<size_t>(64 * n + l)] = static_cast<char>((q1 & 15) | (q3 & 15) << 4);
      low[static_cast<size_t>(64 * n + l + 32)] = static_cast<char>((q2 & 15) | (q4v & 15) << 4);
      high[static_cast<size_t>(32 * n + l)] = static_cast<char>(q1 >> 4 | q2 >> 4 << 2 | q3 >> 4 << 4 | q4v >> 4 << 6);
    }
  }
  for (int i = 0; i < 16; ++i) scales += static_cast<char>(i - 8);
  const std::vector<float> e = Decode(StoredType::kQ6K, low + high + scales + std::string("\x00\x34", 2));
  for (int i = 0; i < 256; ++i) {
    ASSERT_EQ(e[static_cast<size_t>(i)], 0.25f * static_cast<float>(i / 16 - 8) * static_cast<float>(value(i) - 32))
        << i;
  }
}

TEST(Quant, EncodedByHand) {
  // Q8_0: the largest is 254, d = 2 exactly; 3 / 2 = 1.5 goes away from zero.
  std::vector<float> x(32, 0);
  x[0] = 254;
  x[1] = 3;
  x[2] = -3;
  x[3] = 2.9f;
  const std::string q8 = Encode(StoredType::kQ8_0, x);
  EXPECT_EQ(q8.substr(0, 6), std::string("\x00\x40\x7f\x02\xfe\x01", 6));
  // Q4_0: the value of largest size is 16, d = -2: 16 → 0, -14 → 15, 0 → 8, 1 → trunc(-0.5 + 8.5) = 8.
  std::vector<float> y(32, 0);
  y[0] = 16;
  y[16] = -14;
  y[1] = 1;
  y[17] = -16;  // as large, but later; -16 would be 16 and becomes 15
  const std::string q4 = Encode(StoredType::kQ4_0, y);
  EXPECT_EQ(q4.substr(0, 5), std::string("\x00\xc0\xf0\xf8\x88", 5));
}

TEST(Quant, RepresentableValuesComeBackExactly) {
  Rng rng(5, Stream::kTest);
  const auto below = [&](uint64_t n) { return static_cast<int>(rng.Below(n)); };
  for (int round = 0; round < 50; ++round) {
    std::vector<float> q8(32), q4(32), q4k(256), q6k(256);
    const float d = std::ldexp(1.0f, below(20) - 10);
    for (float& v : q8) v = d * static_cast<float>(below(255) - 127);
    q8[3] = d * 127;
    EXPECT_EQ(Decode(StoredType::kQ8_0, Encode(StoredType::kQ8_0, q8)), q8);
    for (float& v : q4) v = d * static_cast<float>(below(15) - 7);
    q4[7] = d * -8;
    EXPECT_EQ(Decode(StoredType::kQ4_0, Encode(StoredType::kQ4_0, q4)), q4);
    // Both ends of the levels are used in every sub-block, so the fit has no error anywhere else.
    for (int j = 0; j < 8; ++j) {
      const int scale = j == 0 ? 63 : 1 + below(63), min = j == 1 ? 63 : below(64);
      for (int i = 0; i < 32; ++i) {
        const int q = i == 0 ? 0 : i == 1 ? 15 : below(16);
        q4k[static_cast<size_t>(32 * j + i)] = d * static_cast<float>(scale * q) - 2 * d * static_cast<float>(min);
      }
    }
    EXPECT_LT(Loss(StoredType::kQ4K, q4k).relative_rms, 1e-6);
    for (int j = 0; j < 16; ++j) {
      const int scale = j == 0 ? -128 : below(255) - 127;
      for (int i = 0; i < 16; ++i)
        q6k[static_cast<size_t>(16 * j + i)] = d * static_cast<float>(scale * (i == 0 ? -32 : below(64) - 32));
    }
    EXPECT_LT(Loss(StoredType::kQ6K, q6k).relative_rms, 1e-6);
  }
}

struct Bound {
  StoredType type;
  double least, most;  // relative rms of normal values
};

TEST(Quant, ErrorsAreAsSmallAsTheFormatAllows) {
  for (const Bound& bound : {Bound{StoredType::kF16, 1e-4, 3e-4}, Bound{StoredType::kBF16, 1e-3, 2e-3},
                             Bound{StoredType::kQ8_0, 0.003, 0.007}, Bound{StoredType::kQ4_0, 0.07, 0.11},
                             Bound{StoredType::kQ4K, 0.05, 0.085}, Bound{StoredType::kQ6K, 0.01, 0.025}}) {
    for (const double sigma : {0.02, 1.0, 300.0}) {
      const ConversionError loss = Loss(bound.type, Bell(4096, sigma, 7));
      EXPECT_GT(loss.relative_rms, bound.least) << StoredTypeName(bound.type) << " " << sigma;
      EXPECT_LT(loss.relative_rms, bound.most) << StoredTypeName(bound.type) << " " << sigma;
      EXPECT_GT(loss.cosine, 1 - bound.most * bound.most);
      EXPECT_EQ(loss.count, 4096);
      EXPECT_EQ(loss.non_finite, 0);
    }
    // Shifted values: only Q4_K has an offset, the others still keep their relative error.
    std::vector<float> shifted = Bell(2560, 1, 8);
    for (float& value : shifted) value += 5;
    EXPECT_LT(Loss(bound.type, shifted).relative_rms, bound.most) << StoredTypeName(bound.type);
  }
}

TEST(Quant, EdgesOfBlocks) {
  for (const StoredType type : {StoredType::kQ8_0, StoredType::kQ4_0, StoredType::kQ4K, StoredType::kQ6K}) {
    const std::string name(StoredTypeName(type));
    const auto zeros = Decode(type, Encode(type, std::vector<float>(256, 0)));
    for (const float value : zeros) ASSERT_EQ(value, 0.0f) << name;
    for (const float value : {1e-42f, -1e-42f, 1e-6f, -1e-6f, 1.0f, -1.0f, 30000.0f, -30000.0f}) {
      const std::vector<float> same(256, value), back = Decode(type, Encode(type, same));
      for (const float b : back) ASSERT_NEAR(b, value, std::abs(value) * 0.02f + 1e-6f) << name;
      EXPECT_EQ(Encode(type, same), Encode(type, same));
    }
    std::vector<float> x(512, 1);
    std::string out(static_cast<size_t>(512 / StoredTypeBlock(type) * StoredTypeBytes(type)), '\0');
    for (const float bad : {kNan, kInf, -kInf}) {
      x[300] = bad;
      const Status status = EncodeValues(type, x.data(), 512, out.data());
      EXPECT_NE(status.error().message.find("value 300 is "), std::string::npos) << status.error().message;
      EXPECT_EQ(status.error().code, ErrorCode::kBadInput);
    }
    x[300] = 3e38f;
    EXPECT_NE(EncodeValues(type, x.data(), 512, out.data()).error().message.find("too large for the scales of " + name),
              std::string::npos);
  }
}

TEST(Quant, BadScalesAreCounted) {
  const std::string inf("\x00\x7c", 2), nan("\x01\x7c", 2), one("\x00\x3c", 2);
  const auto count = [](StoredType type, const std::string& bytes) {
    return BlocksWithBadScale(type, bytes.data(), static_cast<int64_t>(bytes.size()));
  };
  EXPECT_EQ(count(StoredType::kQ8_0, inf + std::string(32, 0) + one + std::string(32, 0) + nan + std::string(32, 0)),
            2);
  EXPECT_EQ(count(StoredType::kQ4_0, nan + std::string(16, 0) + one + std::string(16, 0)), 1);
  EXPECT_EQ(count(StoredType::kQ4K, one + inf + std::string(140, 0)), 1);
  EXPECT_EQ(count(StoredType::kQ4K, nan + inf + std::string(140, 0)), 1);
  EXPECT_EQ(count(StoredType::kQ6K, std::string(208, '\x7c') + one + std::string(208, 0) + inf), 1);
}

TEST(Quant, Meter) {
  const std::vector<float> exact{3, 4, kNan, 1}, converted{3, 5, 0, kInf};
  ConversionMeter meter;
  meter.Add(exact.data(), converted.data(), 2);
  meter.Add(exact.data() + 2, converted.data() + 2, 2);
  const ConversionError loss = meter.Total();
  EXPECT_EQ(loss.count, 4);
  EXPECT_EQ(loss.non_finite, 2);
  EXPECT_EQ(loss.max_abs, 1);
  EXPECT_DOUBLE_EQ(loss.rms, std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(loss.relative_rms, 0.2);
  EXPECT_DOUBLE_EQ(loss.cosine, 29 / (5 * std::sqrt(34.0)));
  EXPECT_EQ(ConversionMeter().Total().cosine, 1);
  const std::vector<float> zeros(2, 0);
  ConversionMeter lost;
  lost.Add(exact.data(), zeros.data(), 2);
  EXPECT_EQ(lost.Total().cosine, 0);
  EXPECT_DOUBLE_EQ(lost.Total().relative_rms, 1);
}

// The weights of a published model, BF16: exact in float, and each matrix through every block type.
TEST(Quant, PublishedWeights) {
  const char* data = std::getenv("R1_DATA");
  const std::string path =
      JoinPath(data != nullptr ? data : R1_SOURCE_DIR "/../shared/data", "models/digit_llama/model.safetensors");
  if (!Exists(path)) GTEST_SKIP() << "missing: " << path << " (R1_DATA says where data is)";
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  int64_t matrices = 0;
  for (const StoredTensor& tensor : file->tensors()) {
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    ASSERT_TRUE(DecodeTensor(*file, tensor, values.data()).ok());
    EXPECT_EQ(Encode(tensor.type, values), std::string(tensor.data, static_cast<size_t>(tensor.bytes))) << tensor.name;
    if (tensor.shape.size() < 2 || values.size() % 256 != 0) continue;  // as one row: they are 128 wide
    ++matrices;
    EXPECT_LT(Loss(StoredType::kQ8_0, values).relative_rms, 0.008) << tensor.name;
    EXPECT_LT(Loss(StoredType::kQ6K, values).relative_rms, 0.03) << tensor.name;
    EXPECT_LT(Loss(StoredType::kQ4K, values).relative_rms, 0.09) << tensor.name;
    EXPECT_LT(Loss(StoredType::kQ4_0, values).relative_rms, 0.12) << tensor.name;
  }
  EXPECT_GT(matrices, 0);
}

}  // namespace
}  // namespace r1
