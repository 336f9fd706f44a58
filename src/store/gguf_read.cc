// GgufFile of gguf.h: the parser.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/quote.h"
#include "store/gguf.h"

namespace r1 {
namespace {

constexpr std::string_view kTypeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                           "bool", "string", "array", "u64", "i64", "f64"};
constexpr int64_t kTypeBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct GgmlType {
  uint32_t id;
  StoredType type;
};
constexpr GgmlType kGgmlTypes[] = {
    {0, StoredType::kF32},     {1, StoredType::kF16},    {2, StoredType::kQ4_0},    {3, StoredType::kQ4_1},
    {6, StoredType::kQ5_0},    {7, StoredType::kQ5_1},   {8, StoredType::kQ8_0},    {9, StoredType::kQ8_1},
    {10, StoredType::kQ2K},    {11, StoredType::kQ3K},   {12, StoredType::kQ4K},    {13, StoredType::kQ5K},
    {14, StoredType::kQ6K},    {15, StoredType::kQ8K},   {16, StoredType::kIQ2XXS}, {17, StoredType::kIQ2XS},
    {18, StoredType::kIQ3XXS}, {19, StoredType::kIQ1S},  {20, StoredType::kIQ4NL},  {21, StoredType::kIQ3S},
    {22, StoredType::kIQ2S},   {23, StoredType::kIQ4XS}, {24, StoredType::kI8},     {25, StoredType::kI16},
    {26, StoredType::kI32},    {27, StoredType::kI64},   {28, StoredType::kF64},    {29, StoredType::kIQ1M},
    {30, StoredType::kBF16},   {34, StoredType::kTQ1_0}, {35, StoredType::kTQ2_0},  {39, StoredType::kMXFP4}};

constexpr uint64_t kHeaderBytes = 24;
constexpr uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;             // a name of one byte, a value of one byte
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 0 + 4 + 8;  // a scalar with a name of one byte

// What is needed of the file for one element at least.
uint64_t LeastBytes(GgufType type) {
  const int64_t fixed = GgufTypeBytes(type);
  return fixed > 0 ? static_cast<uint64_t>(fixed) : type == GgufType::kString ? 8 : 12;
}

class Reader {
 public:
  Reader(std::string_view file, std::string_view where) : file_(file), where_(where) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return file_.size() - at_; }

  Error Fail(const std::string& message) const { return FailAt(begin_, message); }
  Error FailAt(uint64_t offset, const std::string& message) const {
    return Error{ErrorCode::kBadInput, fmt::format("{}: byte {}: {}", where_, offset, message)};
  }

  template <class T>
  Status Take(T* out, std::string_view what) {
    begin_ = at_;
    if (left() < sizeof(T)) return Fail(fmt::format("the file ends inside {}", what));
    std::memcpy(out, file_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return {};
  }

  Status TakeString(std::string_view* out, uint64_t most, std::string_view what) {
    uint64_t length = 0;
    R1_TRY(Take(&length, what));
    if (length > most) return Fail(fmt::format("{} is said to have {} bytes; at most {} are read", what, length, most));
    if (length > left())
      return Fail(fmt::format("{} is said to have {} bytes, but the file ends after {}", what, length, left()));
    *out = file_.substr(at_, length);
    at_ += length;
    return {};
  }

  Status TakeEntry(GgufEntry* entry) {
    std::string_view key;
    R1_TRY(TakeString(&key, GgufFile::kMaxKeyBytes, "a key"));
    if (key.empty()) return Fail("a key is empty");
    entry->key = std::string(key);  // a copy, so that sorting does not read what another process may change
    const std::string what = fmt::format("key {}", Quote(entry->key));
    R1_TRY(TakeType(&entry->type, what));
    if (entry->type == GgufType::kArray) return TakeArray(entry, what);
    if (entry->type == GgufType::kString) return TakeString(&entry->bytes, GgufFile::kMaxStringBytes, what);
    return TakeFixed(entry->type, 1, what, &entry->bytes);
  }

  Status TakeTensor(StoredTensor* tensor, uint64_t* offset) {
    std::string_view name;
    R1_TRY(TakeString(&name, GgufFile::kMaxNameBytes, "a tensor's name"));
    if (name.empty()) return Fail("a tensor's name is empty");
    tensor->name = std::string(name);
    const std::string what = fmt::format("tensor {}", Quote(name));
    uint32_t rank = 0, type = 0;
    R1_TRY(Take(&rank, what));
    if (rank > GgufFile::kMaxRank)
      return Fail(fmt::format("{} has {} dimensions; at most {} are read", what, rank, GgufFile::kMaxRank));
    tensor->shape.resize(rank);
    for (uint32_t i = rank; i-- > 0;) {
      uint64_t dim = 0;
      R1_TRY(Take(&dim, what));
      if (dim == 0 || dim > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        return Fail(fmt::format("{}: dimension {} is {}, not from 1 to 2^63 - 1", what, rank - 1 - i, dim));
      tensor->shape[i] = static_cast<int64_t>(dim);
    }
    R1_TRY(Take(&type, what));
    const std::optional<StoredType> stored = StoredTypeOfGgml(type);
    if (!stored) return Fail(fmt::format("{}: type {} is unknown or no longer in use", what, type));
    tensor->type = *stored;
    const std::optional<int64_t> bytes = StoredBytes(tensor->type, tensor->shape);
    if (!bytes) {
      return Fail(fmt::format("{}: shape {} of {} is too large, or its rows are not whole blocks of {}", what,
                              ShapeText(tensor->shape), StoredTypeName(tensor->type), StoredTypeBlock(tensor->type)));
    }
    tensor->bytes = *bytes;
    return Take(offset, what);
  }

  // The zeros from `begin` to `end`.
  Status CheckZeros(uint64_t begin, uint64_t end) const {
    for (uint64_t i = begin; i < end; ++i) {
      if (file_[i] != 0) return FailAt(i, "the filling between tensors is not zero");
    }
    return {};
  }

 private:
  Status TakeType(GgufType* type, const std::string& what) {
    uint32_t number = 0;
    R1_TRY(Take(&number, what));
    if (number >= std::size(kTypeNames)) return Fail(fmt::format("{}: value type {} is unknown", what, number));
    *type = static_cast<GgufType>(number);
    return {};
  }

  // `count` values that have a fixed size; it has been checked that they are there if count > 1.
  Status TakeFixed(GgufType type, uint64_t count, const std::string& what, std::string_view* out) {
    const uint64_t bytes = count * static_cast<uint64_t>(GgufTypeBytes(type));
    begin_ = at_;
    if (bytes > left()) return Fail(fmt::format("the file ends inside {}", what));
    *out = file_.substr(at_, bytes);
    if (type == GgufType::kBool) {
      for (uint64_t i = 0; i < bytes; ++i) {
        const int value = static_cast<unsigned char>((*out)[i]);
        if (value > 1) return FailAt(at_ + i, fmt::format("{}: a truth value is {}, not 0 or 1", what, value));
      }
    }
    at_ += bytes;
    return {};
  }

  Status TakeArrayHead(GgufType* element, uint64_t* count, const std::string& what) {
    R1_TRY(TakeType(element, what));
    R1_TRY(Take(count, what));
    if (*count > left() / LeastBytes(*element)) {
      return Fail(fmt::format("{}: {} elements of type {} are more than the {} bytes left can hold", what, *count,
                              GgufTypeName(*element), left()));
    }
    return {};
  }

  // Arrays in arrays are followed with a list of how many elements are still to come at each depth, not by recursion.
  Status TakeArray(GgufEntry* entry, const std::string& what) {
    R1_TRY(TakeArrayHead(&entry->element, &entry->count, what));
    const uint64_t begin = at_;
    std::array<uint64_t, GgufFile::kMaxArrayDepth> to_come{};
    int depth = 0;
    GgufType element = entry->element;
    uint64_t count = entry->count;
    for (;;) {
      if (element == GgufType::kArray && count > 0) {
        if (depth + 1 == GgufFile::kMaxArrayDepth) {
          return Fail(fmt::format("{}: arrays are nested deeper than the {} allowed", what, GgufFile::kMaxArrayDepth));
        }
        to_come[static_cast<size_t>(depth++)] = count;
      } else {
        R1_TRY(TakeElements(element, count, what));
        while (depth > 0 && --to_come[static_cast<size_t>(depth - 1)] == 0) --depth;
        if (depth == 0) break;
      }
      R1_TRY(TakeArrayHead(&element, &count, what));
    }
    entry->bytes = file_.substr(begin, at_ - begin);
    return {};
  }

  Status TakeElements(GgufType element, uint64_t count, const std::string& what) {
    std::string_view ignored;
    if (GgufTypeBytes(element) > 0) return TakeFixed(element, count, what, &ignored);
    for (uint64_t i = 0; element == GgufType::kString && i < count; ++i)
      R1_TRY(TakeString(&ignored, GgufFile::kMaxStringBytes, what));
    return {};
  }

  std::string_view file_, where_;
  uint64_t at_ = 0;
  uint64_t begin_ = 0;  // of what was taken last
};

uint64_t AlignUp(uint64_t value, int64_t alignment) {  // value < 2^63: it lies inside the file, or was checked
  const uint64_t unit = static_cast<uint64_t>(alignment);
  return (value + unit - 1) / unit * unit;
}

Result<int64_t> Alignment(const GgufFile& file, const Reader& reader) {
  const GgufEntry* entry = file.FindKey("general.alignment");
  if (entry == nullptr) return int64_t{32};
  uint32_t value = 0;
  if (entry->type == GgufType::kU32) std::memcpy(&value, entry->bytes.data(), sizeof value);
  if (value == 0 || value > GgufFile::kMaxAlignment || (value & (value - 1)) != 0) {
    return reader.Fail(fmt::format("general.alignment ({} {}) must be a power of two from 1 to {}, of type u32",
                                   GgufTypeName(entry->type), value, GgufFile::kMaxAlignment));
  }
  return int64_t{value};
}

}  // namespace

std::string_view GgufTypeName(GgufType type) { return kTypeNames[static_cast<size_t>(type)]; }
int64_t GgufTypeBytes(GgufType type) { return kTypeBytes[static_cast<size_t>(type)]; }

std::optional<StoredType> StoredTypeOfGgml(uint32_t id) {
  for (const GgmlType& each : kGgmlTypes) {
    if (each.id == id) return each.type;
  }
  return std::nullopt;
}

std::optional<uint32_t> GgmlIdOf(StoredType type) {
  for (const GgmlType& each : kGgmlTypes) {
    if (each.type == type) return each.id;
  }
  return std::nullopt;
}

Result<GgufFile> GgufFile::Open(const std::string& path) {
  R1_ASSIGN(MappedFile mapped, MappedFile::Open(path));
  Result<GgufFile> parsed = Parse(mapped.bytes(), path);
  R1_TRY(mapped.CheckIntact());
  if (parsed.ok()) parsed.value().mapped_.emplace(std::move(mapped));
  return parsed;
}

Result<GgufFile> GgufFile::Parse(std::string_view file, std::string_view where) {
  Reader reader(file, where);
  if (file.size() < kHeaderBytes) return reader.Fail(fmt::format("{} bytes are too few for a GGUF file", file.size()));
  std::array<char, 4> magic{};
  uint64_t tensor_count = 0, key_count = 0;
  GgufFile out;
  out.path_ = std::string(where);
  R1_TRY(reader.Take(&magic, "the header"));
  if (std::string_view(magic.data(), 4) != "GGUF") return reader.Fail("not a GGUF file: it does not begin with 'GGUF'");
  R1_TRY(reader.Take(&out.version_, "the header"));
  if (out.version_ != 0 && (out.version_ & 0xffff) == 0)
    return reader.Fail("the file is big-endian; convert it to little-endian");
  if (out.version_ != 2 && out.version_ != 3)
    return reader.Fail(fmt::format("GGUF version {} cannot be read, only 3 (and 2)", out.version_));
  R1_TRY(reader.Take(&tensor_count, "the header"));
  if (tensor_count > kMaxTensors)
    return reader.Fail(fmt::format("{} tensors are announced; at most {} are read", tensor_count, kMaxTensors));
  R1_TRY(reader.Take(&key_count, "the header"));
  if (key_count > kMaxKeys)
    return reader.Fail(fmt::format("{} keys are announced; at most {} are read", key_count, kMaxKeys));
  if (key_count * kLeastKeyBytes + tensor_count * kLeastTensorBytes > reader.left()) {
    return reader.Fail(fmt::format("{} keys and {} tensors do not fit into the {} bytes left", key_count, tensor_count,
                                   reader.left()));
  }

  out.metadata_.resize(key_count);
  for (GgufEntry& entry : out.metadata_) R1_TRY(reader.TakeEntry(&entry));
  std::vector<uint32_t>& by_key = out.by_key_;
  by_key.resize(key_count);
  std::iota(by_key.begin(), by_key.end(), 0u);
  std::sort(by_key.begin(), by_key.end(),
            [&](uint32_t a, uint32_t b) { return out.metadata_[a].key < out.metadata_[b].key; });
  for (size_t i = 1; i < by_key.size(); ++i) {
    const std::string& key = out.metadata_[by_key[i]].key;
    if (key == out.metadata_[by_key[i - 1]].key) return reader.Fail(fmt::format("duplicate key {}", Quote(key)));
  }
  R1_ASSIGN(out.alignment_, Alignment(out, reader));

  std::vector<uint64_t> offsets(tensor_count);
  out.tensors_.resize(tensor_count);
  for (size_t i = 0; i < tensor_count; ++i) R1_TRY(reader.TakeTensor(&out.tensors_[i], &offsets[i]));
  R1_TRY(out.IndexNames());

  // Where each tensor must be, given those before it; only what is inside the file gets a pointer.
  const uint64_t list_end = reader.at();
  const uint64_t data_begin = std::min<uint64_t>(AlignUp(list_end, out.alignment_), file.size());
  R1_TRY(reader.CheckZeros(list_end, data_begin));
  const uint64_t data_bytes = file.size() - data_begin;
  uint64_t end = 0;
  for (size_t i = 0; i < tensor_count; ++i) {
    StoredTensor& tensor = out.tensors_[i];
    const uint64_t wanted = AlignUp(end, out.alignment_), bytes = static_cast<uint64_t>(tensor.bytes);
    if (offsets[i] != wanted) {
      return reader.FailAt(list_end, fmt::format("tensor {} is said to begin at {} of the data, but the one before it "
                                                 "ends so that it must begin at {}",
                                                 Quote(tensor.name), offsets[i], wanted));
    }
    if (wanted > data_bytes || bytes > data_bytes - wanted) {
      return reader.FailAt(list_end, fmt::format("tensor {} has {} bytes at {} of the data, but the file has only {} "
                                                 "bytes of data; was it cut off?",
                                                 Quote(tensor.name), bytes, wanted, data_bytes));
    }
    R1_TRY(reader.CheckZeros(data_begin + end, data_begin + wanted));
    tensor.data = file.data() + data_begin + wanted;
    end = wanted + bytes;
  }
  if (data_bytes > AlignUp(end, out.alignment_)) {
    return reader.FailAt(data_begin + end, fmt::format("{} bytes at the end belong to no tensor", data_bytes - end));
  }
  R1_TRY(reader.CheckZeros(data_begin + end, file.size()));
  return Result<GgufFile>(std::move(out));
}

Status GgufFile::CheckIntact() const { return mapped_ ? mapped_->CheckIntact() : Status{}; }

const GgufEntry* GgufFile::FindKey(std::string_view key) const {
  const auto at = std::lower_bound(by_key_.begin(), by_key_.end(), key, [&](uint32_t index, std::string_view wanted) {
    return metadata_[index].key < wanted;
  });
  return at != by_key_.end() && metadata_[*at].key == key ? &metadata_[*at] : nullptr;
}

}  // namespace r1
