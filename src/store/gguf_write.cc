// GgufMetadata and WriteGguf of gguf.h.
#include <fmt/format.h>

#include <cstring>
#include <set>

#include "base/quote.h"
#include "store/gguf.h"
#include "store/tensor_writer.h"

namespace r1 {
namespace {

constexpr uint32_t kDefaultAlignment = 32;
constexpr int64_t kMaxDataBytes = int64_t{1} << 60;

template <class T>
void Append(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendString(std::string* out, std::string_view text) {
  Append(out, static_cast<uint64_t>(text.size()));
  out->append(text);
}

int64_t AlignUp(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

}  // namespace

void GgufMetadata::AddStrings(std::string_view key, std::span<const std::string_view> texts) {
  std::string bytes;
  for (const std::string_view text : texts) AppendString(&bytes, text);
  Raw({.key = std::string(key),
       .type = GgufType::kArray,
       .element = GgufType::kString,
       .count = texts.size(),
       .bytes = bytes});
}

void GgufMetadata::Raw(const GgufEntry& entry) {
  AppendString(&bytes_, entry.key);
  Append(&bytes_, static_cast<uint32_t>(entry.type));
  if (entry.type == GgufType::kArray) {
    Append(&bytes_, static_cast<uint32_t>(entry.element));
    Append(&bytes_, entry.count);
  } else if (entry.type == GgufType::kString) {
    Append(&bytes_, static_cast<uint64_t>(entry.bytes.size()));
  }
  bytes_.append(entry.bytes);
  keys_.emplace_back(entry.key);
  if (entry.key == "general.alignment") {
    alignment_ = 0;  // refused, unless
    if (entry.type == GgufType::kU32) std::memcpy(&*alignment_, entry.bytes.data(), sizeof *alignment_);
  }
}

// Everything before the data.
class GgufHeader {
 public:
  static Result<GgufHeader> Make(const std::string& where, const GgufMetadata& metadata,
                                 const std::vector<TensorToStore>& tensors) {
    const auto fail = [&](const std::string& message) {
      return Error{ErrorCode::kBadInput, fmt::format("cannot write {}: {}", where, message)};
    };
    GgufHeader out;
    const uint32_t alignment = metadata.alignment_.value_or(kDefaultAlignment);
    out.alignment = alignment;
    if (alignment == 0 || alignment > GgufFile::kMaxAlignment || (alignment & (alignment - 1)) != 0) {
      return fail(
          fmt::format("general.alignment must be a power of two from 1 to {}, of type u32", GgufFile::kMaxAlignment));
    }
    if (metadata.keys_.size() > GgufFile::kMaxKeys || tensors.size() > GgufFile::kMaxTensors) {
      return fail(fmt::format("{} keys and {} tensors; at most {} and {} can be written", metadata.keys_.size(),
                              tensors.size(), GgufFile::kMaxKeys, GgufFile::kMaxTensors));
    }
    std::set<std::string_view> seen;
    for (const std::string& key : metadata.keys_) {
      if (key.empty() || key.size() > GgufFile::kMaxKeyBytes || !seen.insert(key).second)
        return fail(fmt::format("key {} is empty, too long or given twice", Quote(key)));
    }
    out.bytes = "GGUF";
    Append(&out.bytes, uint32_t{3});
    Append(&out.bytes, static_cast<uint64_t>(tensors.size()));
    Append(&out.bytes, static_cast<uint64_t>(metadata.keys_.size()));
    out.bytes += metadata.bytes_;
    seen.clear();
    for (const TensorToStore& tensor : tensors) {
      const std::string what = fmt::format("tensor {}", Quote(tensor.name));
      if (tensor.name.empty() || tensor.name.size() > GgufFile::kMaxNameBytes) {
        return fail(
            fmt::format("the name of {} has {} bytes, not 1 to {}", what, tensor.name.size(), GgufFile::kMaxNameBytes));
      }
      if (!seen.insert(tensor.name).second) return fail(what + " is given twice");
      const std::optional<uint32_t> id = GgmlIdOf(tensor.type);
      if (!id) return fail(fmt::format("{} is {}, which GGUF does not know", what, StoredTypeName(tensor.type)));
      const std::optional<int64_t> bytes = StoredBytes(tensor.type, tensor.shape);
      if (!bytes || *bytes == 0 || *bytes > kMaxDataBytes - out.data_bytes ||
          tensor.shape.size() > GgufFile::kMaxRank) {
        return fail(
            fmt::format("{}: {} of shape {} is empty, too large, of more than {} dimensions or not of whole "
                        "blocks of {}",
                        what, StoredTypeName(tensor.type), ShapeText(tensor.shape), GgufFile::kMaxRank,
                        StoredTypeBlock(tensor.type)));
      }
      AppendString(&out.bytes, tensor.name);
      Append(&out.bytes, static_cast<uint32_t>(tensor.shape.size()));
      for (size_t i = tensor.shape.size(); i-- > 0;) Append(&out.bytes, static_cast<uint64_t>(tensor.shape[i]));
      Append(&out.bytes, *id);
      Append(&out.bytes, static_cast<uint64_t>(out.data_bytes));
      out.data_bytes += AlignUp(*bytes, out.alignment);
    }
    if (!tensors.empty())  // a file of keys alone ends with them
      out.bytes.resize(static_cast<size_t>(AlignUp(static_cast<int64_t>(out.bytes.size()), out.alignment)), '\0');
    return Result<GgufHeader>(std::move(out));
  }

  std::string bytes;
  int64_t alignment = kDefaultAlignment;
  int64_t data_bytes = 0;
};

Status WriteGguf(const std::string& path, const GgufMetadata& metadata, const std::vector<TensorToStore>& tensors,
                 const TensorSource& source) {
  R1_ASSIGN(const GgufHeader header, GgufHeader::Make(path, metadata, tensors));
  return WriteTensorFile(path, header.bytes, tensors, source, header.alignment, header.data_bytes, "gguf.after_rename");
}

Result<int64_t> GgufFileBytes(const GgufMetadata& metadata, const std::vector<TensorToStore>& tensors) {
  R1_ASSIGN(const GgufHeader header, GgufHeader::Make("GGUF", metadata, tensors));
  return static_cast<int64_t>(header.bytes.size()) + header.data_bytes;
}

}  // namespace r1
