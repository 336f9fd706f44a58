// EncodeValues of quant.h.
//
// Q4_K, for each sub-block of 32 values x with weights w = rms + |x| (large values matter more): for 21 spacings of the
// levels from -min(x, 0) on, the values get their nearest level q of 0..15, then step and low are the weighted least
// squares fit of x = step·q - low with low >= 0; the fit of least error is kept. The eight steps become 6-bit multiples
// of d, the lows of dmin, and q is taken anew with the rounded ones. Q6_K, for each sub-block of 16 with w = x²: for 19
// spacings around m/-32 (m: the value of largest size) q is the nearest of -32..31 and the scale fits x = scale·q; the
// best is kept, the scales become 8-bit multiples of d, q anew. The fits are in double precision and in a fixed order:
// the bytes are a function of the values.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "store/quant.h"

namespace r1 {
namespace {

void Store(char* at, uint16_t value) { std::memcpy(at, &value, sizeof value); }
void StoreByte(char* at, int value) { *at = static_cast<char>(static_cast<uint8_t>(value)); }

// Nearest, ties to even (the rounding mode is never changed).
int Nearest(double value, int least, int most) {
  return static_cast<int>(std::nearbyint(std::clamp(value, static_cast<double>(least), static_cast<double>(most))));
}

float LargestOf(const float* x, int count) {
  float largest = 0;
  for (int i = 0; i < count; ++i) {
    if (std::abs(x[i]) > std::abs(largest)) largest = x[i];
  }
  return largest;
}

// 1/d; 0 for a d so small that all values become 0.
float Inverse(float d) {
  const float inverse = 1.0f / d;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

void EncodeQ8_0(const float* x, char* out) {
  const float d = std::abs(LargestOf(x, 32)) / 127.0f, inverse = Inverse(d);
  Store(out, FloatToHalf(d));
  for (int i = 0; i < 32; ++i)
    StoreByte(out + 2 + i, static_cast<int>(std::round(std::clamp(x[i] * inverse, -127.0f, 127.0f))));
}

void EncodeQ4_0(const float* x, char* out) {
  const float d = LargestOf(x, 32) / -8.0f, inverse = Inverse(d);
  Store(out, FloatToHalf(d));
  const auto level = [&](float value) { return static_cast<int>(std::clamp(value * inverse + 8.5f, 0.0f, 15.0f)); };
  for (int i = 0; i < 16; ++i) StoreByte(out + 2 + i, level(x[i]) | level(x[i + 16]) << 4);
}

struct Line {  // x = step·q - low
  double step = 0, low = 0;
};

Line FitQ4K(const float* x) {
  double squares = 0, least = 0, most = 0;
  for (int i = 0; i < 32; ++i) {
    squares += double{x[i]} * x[i];
    least = std::min(least, double{x[i]});
    most = i == 0 ? x[i] : std::max(most, double{x[i]});
  }
  Line best{(most - least) / 15, -least};
  if (!(most > least)) return Line{0, -least};
  const double rms = std::sqrt(squares / 32);
  double best_error = -1;
  for (int trial = 0; trial <= 20; ++trial) {
    const double spacing = (most - least) / (14 + 0.1 * trial);
    double w_sum = 0, wq = 0, wqq = 0, wx = 0, wqx = 0;
    std::array<int, 32> q{};
    for (int i = 0; i < 32; ++i) {
      const double w = rms + std::abs(x[i]);
      const int level = q[static_cast<size_t>(i)] = Nearest((x[i] - least) / spacing, 0, 15);
      w_sum += w;
      wq += w * level;
      wqq += w * level * level;
      wx += w * x[i];
      wqx += w * level * x[i];
    }
    const double determinant = w_sum * wqq - wq * wq;
    if (!(determinant > 0)) continue;
    Line line{(w_sum * wqx - wx * wq) / determinant, -(wqq * wx - wq * wqx) / determinant};
    if (line.low < 0) line = {wqx / wqq, 0};
    double error = 0;
    for (int i = 0; i < 32; ++i) {
      const double miss = line.step * q[static_cast<size_t>(i)] - line.low - x[i];
      error += (rms + std::abs(x[i])) * miss * miss;
    }
    if (line.step > 0 && (best_error < 0 || error < best_error)) {
      best_error = error;
      best = line;
    }
  }
  return best;
}

void EncodeQ4K(const float* x, char* out) {
  std::array<Line, 8> lines;
  double most_step = 0, most_low = 0;
  for (size_t j = 0; j < 8; ++j) {
    lines[j] = FitQ4K(x + 32 * j);
    most_step = std::max(most_step, lines[j].step);
    most_low = std::max(most_low, lines[j].low);
  }
  const uint16_t d_bits = FloatToHalf(static_cast<float>(most_step / 63)),
                 dmin_bits = FloatToHalf(static_cast<float>(most_low / 63));
  const double d = HalfToFloat(d_bits), dmin = HalfToFloat(dmin_bits);
  std::memset(out, 0, 144);
  Store(out, d_bits);
  Store(out + 2, dmin_bits);
  if (!std::isfinite(d) || !std::isfinite(dmin)) return;  // EncodeValues refuses the block
  char* packed = out + 4;
  char* quants = out + 16;
  for (int j = 0; j < 8; ++j) {
    const Line& line = lines[static_cast<size_t>(j)];
    const int scale = d > 0 ? Nearest(line.step / d, 0, 63) : 0, min = dmin > 0 ? Nearest(line.low / dmin, 0, 63) : 0;
    if (j < 4) {
      StoreByte(packed + j, (packed[j] & 0xc0) | scale);
      StoreByte(packed + j + 4, (packed[j + 4] & 0xc0) | min);
    } else {
      StoreByte(packed + j + 4, (scale & 15) | (min & 15) << 4);
      StoreByte(packed + j - 4, (packed[j - 4] & 63) | scale >> 4 << 6);
      StoreByte(packed + j, (packed[j] & 63) | min >> 4 << 6);
    }
    const double step = d * scale, low = dmin * min;
    for (int i = 0; i < 32; ++i) {
      const int q = step > 0 ? Nearest((x[32 * j + i] + low) / step, 0, 15) : 0;
      char* at = quants + j / 2 * 32 + i;
      StoreByte(at, (*at & 0xff) | q << (j % 2 * 4));
    }
  }
}

double FitQ6K(const float* x) {
  const double largest = LargestOf(x, 16);
  if (largest == 0) return 0;
  double best = largest / -32, best_gain = -1;
  for (int trial = -9; trial <= 9; ++trial) {
    const double spacing = largest / -(32 + 0.1 * trial);
    double wqx = 0, wqq = 0;
    for (int i = 0; i < 16; ++i) {
      const int q = Nearest(x[i] / spacing, -32, 31);
      const double w = double{x[i]} * x[i];
      wqx += w * q * x[i];
      wqq += w * q * q;
    }
    // The error of the fit is its value without levels less this gain.
    if (wqq > 0 && wqx * wqx / wqq > best_gain) {
      best_gain = wqx * wqx / wqq;
      best = wqx / wqq;
    }
  }
  return best;
}

void EncodeQ6K(const float* x, char* out) {
  std::array<double, 16> scales;
  double largest = 0;
  for (size_t j = 0; j < 16; ++j) {
    scales[j] = FitQ6K(x + 16 * j);
    if (std::abs(scales[j]) > std::abs(largest)) largest = scales[j];
  }
  const uint16_t d_bits = FloatToHalf(static_cast<float>(largest / -128));
  const double d = HalfToFloat(d_bits);
  std::memset(out, 0, 210);
  Store(out + 208, d_bits);
  if (!std::isfinite(d)) return;  // as above
  for (int i = 0; i < 256; ++i) {
    const int scale = d != 0 ? Nearest(scales[static_cast<size_t>(i / 16)] / d, -128, 127) : 0;
    StoreByte(out + 192 + i / 16, scale);
    const double step = d * scale;
    const int q = (step != 0 ? Nearest(x[i] / step, -32, 31) : 0) + 32;
    const int n = i / 128, k = i / 32 % 4, l = i % 32;
    char* low = out + 64 * n + 32 * (k % 2) + l;
    char* high = out + 128 + 32 * n + l;
    StoreByte(low, (*low & 0xff) | (q & 15) << (k / 2 * 4));
    StoreByte(high, (*high & 0xff) | q >> 4 << (2 * k));
  }
}

}  // namespace

Status EncodeValues(StoredType type, const float* values, int64_t count, char* out) {
  const int64_t block = StoredTypeBlock(type), bytes = StoredTypeBytes(type);
  R1_CHECK(count >= 0 && count % block == 0, "EncodeValues: not whole blocks");
  R1_CHECK(CanEncode(type), fmt::format("EncodeValues: {} cannot be encoded", StoredTypeName(type)));
  if (type == StoredType::kF32) {
    if (count > 0) std::memcpy(out, values, static_cast<size_t>(count) * sizeof(float));
    return {};
  }
  if (block == 1) {
    const auto convert = type == StoredType::kF16 ? FloatToHalf : FloatToBf16;
    for (int64_t i = 0; i < count; ++i) Store(out + 2 * i, convert(values[i]));
    return {};
  }
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) {
      return Error{ErrorCode::kBadInput,
                   fmt::format("value {} is {}: {} cannot hold it", i, values[i], StoredTypeName(type))};
    }
  }
  const auto encode = type == StoredType::kQ8_0   ? EncodeQ8_0
                      : type == StoredType::kQ4_0 ? EncodeQ4_0
                      : type == StoredType::kQ4K  ? EncodeQ4K
                                                  : EncodeQ6K;
  for (int64_t i = 0; i < count / block; ++i) {
    encode(values + i * block, out + i * bytes);
    if (BlocksWithBadScale(type, out + i * bytes, bytes) > 0) {
      return Error{ErrorCode::kBadInput, fmt::format("values {} to {} are too large for the scales of {}", i * block,
                                                     (i + 1) * block - 1, StoredTypeName(type))};
    }
  }
  return {};
}

}  // namespace r1
