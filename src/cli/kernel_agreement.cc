#include "cli/kernel_agreement.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "base/memory.h"
#include "base/rng.h"
#include "base/threads.h"
#include "kernels/kernels.h"

namespace r1::cli {
namespace {

// Sizes that leave a rest in every direction.
constexpr int64_t kRows = 37, kInner = 75, kOuter = 53;

// All results of one table, in a row.
std::vector<float> Compute(const kernels::KernelTable& table) {
  const int64_t inner_padded = kernels::RoundUp(kInner, 32);
  AlignedBuffer<float> x(kRows * kInner), w(kOuter * kInner), scale(kInner), inverse(kRows);
  AlignedBuffer<Bf16> normed(kRows * inner_padded), packed(kernels::PackedElements(kInner, kOuter));
  Rng rng(1, Stream::kTest);
  for (float& value : x) value = static_cast<float>(rng.Normal());
  for (float& value : w) value = static_cast<float>(rng.Normal());
  for (float& value : scale) value = static_cast<float>(rng.Uniform());
  std::vector<float> out(static_cast<size_t>(2 * kRows * kOuter));
  float* product = out.data();
  float* probabilities = product + kRows * kOuter;
  table.rms_norm(normed.data(), inner_padded, inverse.data(), x.data(), kInner, scale.data(), kRows, kInner, 1e-5F);
  table.pack_nk(packed.data(), w.data(), kOuter, kInner, kInner);
  table.gemm({normed.data(), inner_padded, packed.data(), product, kOuter, kRows, kOuter, kInner, false});
  for (int64_t row = 0; row < kRows; ++row)
    table.softmax_row(probabilities + row * kOuter, product + row * kOuter, kOuter, 1.0F);
  return out;
}

}  // namespace

KernelAgreement CompareKernels() {
  SetFloatMode();
  KernelAgreement agreement;
  std::vector<float> first;
  std::string first_name;
  for (const char* const* name = kernels::AvailableIsas(); *name != nullptr; ++name) {
    const kernels::KernelTable* table = kernels::KernelsFor(*name);
    if (table == nullptr) continue;
    std::vector<float> values = Compute(*table);
    ++agreement.compared;
    if (first.empty()) {
      first = std::move(values);
      first_name = *name;
    } else if (std::memcmp(first.data(), values.data(), first.size() * sizeof(float)) != 0) {
      agreement.agree = false;
      agreement.text = fmt::format("'{}' and '{}' give different bits in the self-test", first_name, *name);
      return agreement;
    }
  }
  agreement.text = agreement.compared < 2
                       ? "one instruction set only, nothing to compare"
                       : fmt::format("{} instruction sets agree in every bit of the self-test", agreement.compared);
  return agreement;
}

}  // namespace r1::cli
