// Stored numbers to floats and back, one value after the other: the definition that faster code is held to.
//
//   F16    IEEE half                  BF16  upper half of a float          F8_E4M3  OCP E4M3FN: no infinity, NaN = 0x7f
//   FP8 weights have a tensor NAME_scale_inv, F32 [ceil(out/128), ceil(in/128)]: w[o, i] = fp8 · scale[o/128, i/128]
// Blocks of GGUF; half = F16, no filling, values of a row in order:
//   Q8_0   32: half d, int8 q[32]                            x = d·q
//   Q4_0   32: half d, 16 bytes; byte j holds q of value j (low half) and j + 16        x = d·(q - 8)
//   Q4_K  256: half d, half dmin, 12 bytes of eight 6-bit scales and mins, 128 bytes    x = d·scale·q - dmin·min
//   Q6_K  256: 128 bytes of low 4 bits, 64 of high 2 bits, int8 scale[16], half d       x = d·scale·(q - 32)
// Sources: DeepSeek-V3 weight README (FP8); ggml's block definitions. Products are float: (d·scale)·q.
//
// From float: F16 and BF16 round to nearest even; what is too large becomes infinite, NaN stays NaN. Q8_0: d =
// max|x|/127, q = round(x·(1/d)) half away from zero. Q4_0: d = m/-8 with m the value of largest size, q = min(15,
// trunc(x/d + 8.5)). These two give ggml's bytes. Q4_K and Q6_K look for the scales of least weighted squared error
// (quant_encode.cc); other writers choose other scales.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "store/tensors.h"

namespace r1 {

float HalfToFloat(uint16_t bits);
uint16_t FloatToHalf(float value);
float Bf16ToFloat(uint16_t bits);
uint16_t FloatToBf16(float value);
float E4m3ToFloat(uint8_t bits);

bool CanDecode(StoredType type);  // F64, F32, F16, BF16, F8_E4M3, Q8_0, Q4_0, Q4_K, Q6_K
bool CanEncode(StoredType type);  // F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K

// count values, a multiple of the type's block. CanDecode(type). F8_E4M3 without scales.
void DecodeValues(StoredType type, const char* data, int64_t count, float* out);
// A whole tensor; F8_E4M3 is multiplied by its scales, which must be in the set. An Error for types that cannot be
// decoded and for scales that are absent or of another shape.
Status DecodeTensor(const TensorSet& set, const StoredTensor& tensor, float* out_elements);

// count values, a multiple of the type's block. CanEncode(type). An Error, with the index of the value, if a block type
// is to hold NaN, an infinity, or values so large that their scale is no half.
Status EncodeValues(StoredType type, const float* values, int64_t count, char* out);

// Blocks whose scale is NaN or infinite; 0 for types that this file does not decode.
int64_t BlocksWithBadScale(StoredType type, const char* data, int64_t bytes);

// What a conversion cost. NaN and infinite values on either side are counted and left out of the rest.
struct ConversionError {
  int64_t count = 0;
  int64_t non_finite = 0;
  double max_abs = 0;
  double rms = 0;           // of the difference
  double relative_rms = 0;  // rms / rms of the exact values; 0 if both are 0
  double cosine = 1;        // 1 if both sides are all zero, 0 if one is
};
class ConversionMeter {
 public:
  void Add(const float* exact, const float* converted, int64_t count);
  ConversionError Total() const;

 private:
  int64_t count_ = 0, non_finite_ = 0;
  double max_abs_ = 0, error_squares_ = 0, exact_squares_ = 0, converted_squares_ = 0, products_ = 0;
};

}  // namespace r1
