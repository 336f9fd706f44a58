#include "store/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/quote.h"
#include "store/quant.h"

namespace r1 {
namespace {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

struct TypeInfo {
  StoredType type;
  std::string_view name;
  int64_t bytes;
  int64_t block = 1;
};
constexpr TypeInfo kTypes[] = {{StoredType::kBool, "BOOL", 1},
                               {StoredType::kU8, "U8", 1},
                               {StoredType::kI8, "I8", 1},
                               {StoredType::kF8E4M3, "F8_E4M3", 1},
                               {StoredType::kF8E5M2, "F8_E5M2", 1},
                               {StoredType::kF8E8M0, "F8_E8M0", 1},
                               {StoredType::kI16, "I16", 2},
                               {StoredType::kU16, "U16", 2},
                               {StoredType::kF16, "F16", 2},
                               {StoredType::kBF16, "BF16", 2},
                               {StoredType::kI32, "I32", 4},
                               {StoredType::kU32, "U32", 4},
                               {StoredType::kF32, "F32", 4},
                               {StoredType::kI64, "I64", 8},
                               {StoredType::kU64, "U64", 8},
                               {StoredType::kF64, "F64", 8},
                               {StoredType::kQ4_0, "Q4_0", 18, 32},
                               {StoredType::kQ4_1, "Q4_1", 20, 32},
                               {StoredType::kQ5_0, "Q5_0", 22, 32},
                               {StoredType::kQ5_1, "Q5_1", 24, 32},
                               {StoredType::kQ8_0, "Q8_0", 34, 32},
                               {StoredType::kQ8_1, "Q8_1", 36, 32},
                               {StoredType::kQ2K, "Q2_K", 84, 256},
                               {StoredType::kQ3K, "Q3_K", 110, 256},
                               {StoredType::kQ4K, "Q4_K", 144, 256},
                               {StoredType::kQ5K, "Q5_K", 176, 256},
                               {StoredType::kQ6K, "Q6_K", 210, 256},
                               {StoredType::kQ8K, "Q8_K", 292, 256},
                               {StoredType::kIQ2XXS, "IQ2_XXS", 66, 256},
                               {StoredType::kIQ2XS, "IQ2_XS", 74, 256},
                               {StoredType::kIQ3XXS, "IQ3_XXS", 98, 256},
                               {StoredType::kIQ1S, "IQ1_S", 50, 256},
                               {StoredType::kIQ4NL, "IQ4_NL", 18, 32},
                               {StoredType::kIQ3S, "IQ3_S", 110, 256},
                               {StoredType::kIQ2S, "IQ2_S", 82, 256},
                               {StoredType::kIQ4XS, "IQ4_XS", 136, 256},
                               {StoredType::kIQ1M, "IQ1_M", 56, 256},
                               {StoredType::kTQ1_0, "TQ1_0", 54, 256},
                               {StoredType::kTQ2_0, "TQ2_0", 66, 256},
                               {StoredType::kMXFP4, "MXFP4", 17, 32}};

const TypeInfo& InfoOf(StoredType type) {
  const auto at = static_cast<size_t>(type);
  R1_CHECK(at < std::size(kTypes) && kTypes[at].type == type, "unknown StoredType");
  return kTypes[at];
}

}  // namespace

std::string_view StoredTypeName(StoredType type) { return InfoOf(type).name; }
int64_t StoredTypeBlock(StoredType type) { return InfoOf(type).block; }
int64_t StoredTypeBytes(StoredType type) { return InfoOf(type).bytes; }

std::optional<StoredType> StoredTypeOfName(std::string_view name) {
  for (const TypeInfo& info : kTypes) {
    if (info.name == name) return info.type;
  }
  return std::nullopt;
}

std::string ShapeText(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::optional<int64_t> StoredBytes(StoredType type, const std::vector<int64_t>& shape) {
  const TypeInfo& info = InfoOf(type);
  if ((shape.empty() ? 1 : shape.back()) % info.block != 0) return std::nullopt;
  int64_t product = info.bytes;
  bool zero = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t dim = i + 1 == shape.size() ? shape[i] / info.block : shape[i];
    if (shape[i] < 0) return std::nullopt;
    if (dim == 0) {
      zero = true;
    } else if (product > std::numeric_limits<int64_t>::max() / info.block / dim) {
      return std::nullopt;
    } else {
      product *= dim;
    }
  }
  return zero ? 0 : product;
}

int64_t CountNonFinite(const StoredTensor& tensor) {
  // An element is NaN or infinite if all bits of its exponent are set; E4M3 has no infinity, E8M0 is one exponent.
  const auto count = [&]<class Word>(Word mask, Word wanted) {
    int64_t found = 0;
    for (int64_t at = 0; at < tensor.bytes; at += static_cast<int64_t>(sizeof(Word))) {
      Word word;
      std::memcpy(&word, tensor.data + at, sizeof(Word));
      found += (word & mask) == wanted;
    }
    return found;
  };
  switch (tensor.type) {
    case StoredType::kF8E4M3:
      return count(uint8_t{0x7f}, uint8_t{0x7f});
    case StoredType::kF8E5M2:
      return count(uint8_t{0x7c}, uint8_t{0x7c});
    case StoredType::kF8E8M0:
      return count(uint8_t{0xff}, uint8_t{0xff});
    case StoredType::kF16:
      return count(uint16_t{0x7c00}, uint16_t{0x7c00});
    case StoredType::kBF16:
      return count(uint16_t{0x7f80}, uint16_t{0x7f80});
    case StoredType::kF32:
      return count(uint32_t{0x7f800000}, uint32_t{0x7f800000});
    case StoredType::kF64:
      return count(uint64_t{0x7ff0000000000000}, uint64_t{0x7ff0000000000000});
    default:
      return StoredTypeBlock(tensor.type) * BlocksWithBadScale(tensor.type, tensor.data, tensor.bytes);
  }
}

const StoredTensor* TensorSet::Find(std::string_view name) const {
  const auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](uint32_t index, std::string_view wanted) { return tensors_[index].name < wanted; });
  return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

Result<const StoredTensor*> TensorSet::Get(std::string_view name, StoredType type,
                                           const std::vector<int64_t>& shape) const {
  const StoredTensor* tensor = Find(name);
  if (tensor == nullptr)
    return Error{ErrorCode::kBadInput, fmt::format("{}: there is no tensor {}", path_, Quote(name))};
  if (tensor->type != type || tensor->shape != shape) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: tensor {} is {} {}, but {} {} is wanted", path_, Quote(name),
                                                   StoredTypeName(tensor->type), ShapeText(tensor->shape),
                                                   StoredTypeName(type), ShapeText(shape))};
  }
  return tensor;
}

Status TensorSet::IndexNames() {
  by_name_.resize(tensors_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(),
            [&](uint32_t a, uint32_t b) { return tensors_[a].name < tensors_[b].name; });
  for (size_t i = 1; i < by_name_.size(); ++i) {
    const std::string& name = tensors_[by_name_[i]].name;
    if (name == tensors_[by_name_[i - 1]].name)
      return Error{ErrorCode::kBadInput, fmt::format("{}: duplicate tensor {}", path_, Quote(name))};
  }
  return {};
}

}  // namespace r1
