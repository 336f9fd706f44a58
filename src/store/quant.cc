#include "store/quant.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/quote.h"

namespace r1 {
namespace {

template <class T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

uint8_t Byte(const char* at) { return static_cast<uint8_t>(*at); }

// A float of E exponent and M fraction bits, all exponents finite.
template <int E, int M>
float FiniteToFloat(uint32_t bits) {
  constexpr int kBias = (1 << (E - 1)) - 1;
  const uint32_t exponent = (bits >> M) & ((1u << E) - 1), fraction = bits & ((1u << M) - 1);
  const float size = exponent == 0 ? std::ldexp(static_cast<float>(fraction), 1 - kBias - M)
                                   : std::bit_cast<float>((exponent + 127u - kBias) << 23 | fraction << (23 - M));
  return (bits >> (E + M) & 1) != 0 ? -size : size;
}

// The same with infinities and NaN in the highest exponent, as IEEE 754 has them.
template <int E, int M>
float IeeeToFloat(uint32_t bits) {
  constexpr uint32_t kExponent = ((1u << E) - 1) << M;
  if ((bits & kExponent) != kExponent) return FiniteToFloat<E, M>(bits);
  const uint32_t sign = (bits >> (E + M) & 1) << 31;
  return std::bit_cast<float>(sign | 0x7f800000u | (bits & ((1u << M) - 1)) << (23 - M));
}

// Round to nearest even. The significand with its leading bit is shifted to M bits and added to the exponent, so that a
// carry out of the fraction moves to the next exponent, from the subnormals too.
template <int E, int M>
uint16_t FloatToIeee(float value) {
  constexpr int kBias = (1 << (E - 1)) - 1;
  constexpr uint32_t kInfinity = ((1u << E) - 1) << M;
  const uint32_t u = std::bit_cast<uint32_t>(value), sign = u >> 31 << (E + M), size = u & 0x7fffffffu;
  if (size > 0x7f800000u) return static_cast<uint16_t>(sign | kInfinity | (u & 0x7fffffu) >> (23 - M) | 1u << (M - 1));
  if (size == 0x7f800000u) return static_cast<uint16_t>(sign | kInfinity);
  const int stored = static_cast<int>(size >> 23);
  const uint64_t significand = (size & 0x7fffffu) | (stored > 0 ? 0x800000u : 0u);
  const int exponent = std::max(stored, 1) - 127 + kBias;  // below 1: a subnormal of the target
  const int shift = 23 - M + std::max(0, 1 - exponent);
  if (shift > 25) return static_cast<uint16_t>(sign);  // less than half of the least value
  const uint64_t half = uint64_t{1} << (shift - 1), odd = significand >> shift & 1;
  const uint64_t rounded = (significand + half - 1 + odd) >> shift;
  const uint64_t bits = rounded + (static_cast<uint64_t>(std::max(exponent, 1) - 1) << M);
  return static_cast<uint16_t>(sign | std::min<uint64_t>(bits, kInfinity));
}

void DecodeQ8_0(const char* block, float* out) {
  const float d = HalfToFloat(Load<uint16_t>(block));
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(Load<int8_t>(block + 2 + i));
}

void DecodeQ4_0(const char* block, float* out) {
  const float d = HalfToFloat(Load<uint16_t>(block));
  for (int i = 0; i < 16; ++i) {
    const int both = Byte(block + 2 + i);
    out[i] = d * static_cast<float>((both & 15) - 8);
    out[i + 16] = d * static_cast<float>((both >> 4) - 8);
  }
}

// Scale and min of sub-block j: the first four lie in the low 6 bits of bytes j and j + 4; of the last four the low 4
// bits lie in byte j + 4 (scale low, min high), the high 2 bits above those of the first four.
void UnpackScaleQ4K(const char* packed, int j, int* scale, int* min) {
  if (j < 4) {
    *scale = Byte(packed + j) & 63;
    *min = Byte(packed + j + 4) & 63;
  } else {
    *scale = (Byte(packed + j + 4) & 15) | Byte(packed + j - 4) >> 6 << 4;
    *min = Byte(packed + j + 4) >> 4 | Byte(packed + j) >> 6 << 4;
  }
}

void DecodeQ4K(const char* block, float* out) {
  const float d = HalfToFloat(Load<uint16_t>(block)), dmin = HalfToFloat(Load<uint16_t>(block + 2));
  const char* quants = block + 16;
  for (int j = 0; j < 8; ++j) {
    int scale = 0, min = 0;
    UnpackScaleQ4K(block + 4, j, &scale, &min);
    const float step = d * static_cast<float>(scale), low = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      const int q = Byte(quants + j / 2 * 32 + i) >> (j % 2 * 4) & 15;
      out[j * 32 + i] = step * static_cast<float>(q) - low;
    }
  }
}

void DecodeQ6K(const char* block, float* out) {
  const float d = HalfToFloat(Load<uint16_t>(block + 208));
  for (int i = 0; i < 256; ++i) {
    // Value i: half n of the block, quarter k of the half, place l in the quarter.
    const int n = i / 128, k = i / 32 % 4, l = i % 32;
    const int low = Byte(block + 64 * n + 32 * (k % 2) + l) >> (k / 2 * 4) & 15;
    const int high = Byte(block + 128 + 32 * n + l) >> (2 * k) & 3;
    const float scale = static_cast<float>(Load<int8_t>(block + 192 + i / 16));
    out[i] = d * scale * static_cast<float>((low | high << 4) - 32);
  }
}

template <class T>
void DecodeEach(const char* data, int64_t count, float* out, float (*decode)(T)) {
  for (int64_t i = 0; i < count; ++i) out[i] = decode(Load<T>(data + i * static_cast<int64_t>(sizeof(T))));
}

// FP8 values [rows, cols] times the scale of their square of 128 by 128.
void DecodeScaledE4m3(const char* data, const char* scales, int64_t rows, int64_t cols, float* out) {
  const int64_t scales_a_row = (cols + 127) / 128;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const float scale = Load<float>(scales + (r / 128 * scales_a_row + c / 128) * 4);
      out[r * cols + c] = E4m3ToFloat(Byte(data + r * cols + c)) * scale;
    }
  }
}

}  // namespace

float HalfToFloat(uint16_t bits) { return IeeeToFloat<5, 10>(bits); }
uint16_t FloatToHalf(float value) { return FloatToIeee<5, 10>(value); }
float Bf16ToFloat(uint16_t bits) { return IeeeToFloat<8, 7>(bits); }
uint16_t FloatToBf16(float value) { return FloatToIeee<8, 7>(value); }
float E4m3ToFloat(uint8_t bits) {
  return (bits & 0x7f) == 0x7f ? std::numeric_limits<float>::quiet_NaN() : FiniteToFloat<4, 3>(bits);
}

bool CanDecode(StoredType type) { return CanEncode(type) || type == StoredType::kF64 || type == StoredType::kF8E4M3; }

bool CanEncode(StoredType type) {
  switch (type) {
    case StoredType::kF32:
    case StoredType::kF16:
    case StoredType::kBF16:
    case StoredType::kQ8_0:
    case StoredType::kQ4_0:
    case StoredType::kQ4K:
    case StoredType::kQ6K:
      return true;
    default:
      return false;
  }
}

void DecodeValues(StoredType type, const char* data, int64_t count, float* out) {
  const int64_t block = StoredTypeBlock(type), bytes = StoredTypeBytes(type);
  R1_CHECK(count >= 0 && count % block == 0, "DecodeValues: not whole blocks");
  const auto blocks = [&](void (*decode)(const char*, float*)) {
    for (int64_t i = 0; i < count / block; ++i) decode(data + i * bytes, out + i * block);
  };
  switch (type) {
    case StoredType::kF32:
      if (count > 0) std::memcpy(out, data, static_cast<size_t>(count) * 4);
      return;
    case StoredType::kF64:
      return DecodeEach<double>(data, count, out, [](double value) { return static_cast<float>(value); });
    case StoredType::kF16:
      return DecodeEach<uint16_t>(data, count, out, HalfToFloat);
    case StoredType::kBF16:
      return DecodeEach<uint16_t>(data, count, out, Bf16ToFloat);
    case StoredType::kF8E4M3:
      return DecodeEach<uint8_t>(data, count, out, E4m3ToFloat);
    case StoredType::kQ8_0:
      return blocks(DecodeQ8_0);
    case StoredType::kQ4_0:
      return blocks(DecodeQ4_0);
    case StoredType::kQ4K:
      return blocks(DecodeQ4K);
    case StoredType::kQ6K:
      return blocks(DecodeQ6K);
    default:
      R1_CHECK(false, fmt::format("DecodeValues: {} cannot be decoded", StoredTypeName(type)));
  }
}

Status DecodeTensor(const TensorSet& set, const StoredTensor& tensor, float* out_elements) {
  if (!CanDecode(tensor.type)) {
    return Error{ErrorCode::kBadInput,
                 fmt::format("{}: tensor {} is {}, which cannot be converted; use a file of F32, F16, BF16, F8_E4M3, "
                             "Q8_0, Q4_0, Q4_K or Q6_K",
                             set.path(), Quote(tensor.name), StoredTypeName(tensor.type))};
  }
  if (tensor.type != StoredType::kF8E4M3) {
    DecodeValues(tensor.type, tensor.data, tensor.elements(), out_elements);
    return {};
  }
  if (tensor.shape.size() != 2) {
    return Error{ErrorCode::kBadInput,
                 fmt::format("{}: tensor {} is F8_E4M3 of shape {}, but only matrices have scales", set.path(),
                             Quote(tensor.name), ShapeText(tensor.shape))};
  }
  const int64_t rows = tensor.shape[0], cols = tensor.shape[1];
  R1_ASSIGN(const StoredTensor* scales, set.Get(tensor.name + "_scale_inv", StoredType::kF32,
                                                {rows / 128 + (rows % 128 != 0), cols / 128 + (cols % 128 != 0)}));
  DecodeScaledE4m3(tensor.data, scales->data, rows, cols, out_elements);
  return {};
}

int64_t BlocksWithBadScale(StoredType type, const char* data, int64_t bytes) {
  const auto bad = [](const char* half) { return (Load<uint16_t>(half) & 0x7c00) == 0x7c00; };
  int64_t found = 0;
  for (int64_t at = 0; at < bytes; at += StoredTypeBytes(type)) {
    const char* block = data + at;
    switch (type) {
      case StoredType::kQ8_0:
      case StoredType::kQ4_0:
        found += bad(block);
        break;
      case StoredType::kQ4K:
        found += bad(block) || bad(block + 2);
        break;
      case StoredType::kQ6K:
        found += bad(block + 208);
        break;
      default:
        return 0;
    }
  }
  return found;
}

void ConversionMeter::Add(const float* exact, const float* converted, int64_t count) {
  count_ += count;
  for (int64_t i = 0; i < count; ++i) {
    const double x = exact[i], y = converted[i];
    if (!std::isfinite(x) || !std::isfinite(y)) {
      ++non_finite_;
      continue;
    }
    max_abs_ = std::max(max_abs_, std::abs(x - y));
    error_squares_ += (x - y) * (x - y);
    exact_squares_ += x * x;
    converted_squares_ += y * y;
    products_ += x * y;
  }
}

ConversionError ConversionMeter::Total() const {
  ConversionError out;
  out.count = count_;
  out.non_finite = non_finite_;
  out.max_abs = max_abs_;
  if (const int64_t finite = count_ - non_finite_; finite > 0)
    out.rms = std::sqrt(error_squares_ / static_cast<double>(finite));
  if (error_squares_ > 0) out.relative_rms = std::sqrt(error_squares_ / exact_squares_);
  if (exact_squares_ > 0 && converted_squares_ > 0) {
    out.cosine = products_ / (std::sqrt(exact_squares_) * std::sqrt(converted_squares_));
  } else if (exact_squares_ > 0 || converted_squares_ > 0) {
    out.cosine = 0;
  }
  return out;
}

}  // namespace r1
