// GGUF, version 3 (2 has the same layout and is read too). Little-endian throughout:
//   "GGUF"  u32 version  u64 tensor count  u64 key count
//   key:     string name, u32 value type, value
//   tensor:  string name (<= 64 bytes), u32 rank (<= 4), u64 dims[rank] (fastest first: a [out, in] weight is in, out),
//            u32 type, u64 offset
//   zeros up to a multiple of general.alignment (32 if that key is absent), then the data: tensors in the order of
//   their list, each at a multiple of the alignment, zeros between them
//   string = u64 bytes, the bytes; array = u32 type of its elements, u64 count, the elements
// Sources: ggml's docs/gguf.md; type numbers and block sizes from ggml.h.
//
// Reading trusts nothing: every count and length is held against what is left of the file before memory is taken, keys
// and names are unique, tensors and zeros cover the file exactly. More than 65,536 keys or tensors, keys above 1,024
// bytes, strings above 16 MiB, arrays nested deeper than four, alignments that are no power of two up to 1 MiB and
// dimensions of 0 are refused. Values are views into the file. Errors name the file, the byte and the key or tensor.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "store/tensors.h"

namespace r1 {

enum class GgufType : uint32_t {  // the format's numbers
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12
};
std::string_view GgufTypeName(GgufType type);  // "u32", "string"
int64_t GgufTypeBytes(GgufType type);          // of a value; 0: string or array

struct GgufEntry {
  std::string key = {};
  GgufType type = GgufType::kU8;
  GgufType element = GgufType::kU8;  // of an array
  uint64_t count = 1;                // of an array
  std::string_view bytes = {};       // a string's text, an array's elements as stored, or the value

  // Nothing if the value is of another kind, or an integer from 2^63 on.
  std::optional<int64_t> Integer() const;  // any integer type
  std::optional<double> Number() const;    // a float or an integer
  std::optional<bool> Bool() const;
  std::optional<std::string_view> String() const;
};

class GgufFile final : public TensorSet {
 public:
  static constexpr uint64_t kMaxKeys = 65536;
  static constexpr uint64_t kMaxTensors = 65536;
  static constexpr uint64_t kMaxStringBytes = uint64_t{16} << 20;
  static constexpr uint64_t kMaxKeyBytes = 1024;
  static constexpr uint64_t kMaxNameBytes = 64;
  static constexpr uint32_t kMaxRank = 4;
  static constexpr uint32_t kMaxAlignment = 1u << 20;
  static constexpr int kMaxArrayDepth = 4;

  static Result<GgufFile> Open(const std::string& path);
  // The same on bytes in memory (tests, fuzzing); they must outlive the object.
  static Result<GgufFile> Parse(std::string_view file, std::string_view where);

  uint32_t version() const { return version_; }
  int64_t alignment() const { return alignment_; }
  const std::vector<GgufEntry>& metadata() const { return metadata_; }  // in the order of the file
  const GgufEntry* FindKey(std::string_view key) const;

  // The value of a key; an Error that names it if it is absent, of another kind or out of range.
  Result<int64_t> Integer(std::string_view key) const;  // any integer type
  Result<double> Number(std::string_view key) const;    // a float or an integer
  Result<bool> Bool(std::string_view key) const;
  Result<std::string_view> String(std::string_view key) const;
  Result<std::vector<int64_t>> Integers(std::string_view key) const;
  Result<std::vector<double>> Numbers(std::string_view key) const;
  Result<std::vector<std::string_view>> Strings(std::string_view key) const;

  Status CheckIntact() const override;

 private:
  GgufFile() = default;
  template <class T>
  Result<T> Scalar(std::string_view key, std::string_view wanted, std::optional<T> (GgufEntry::*read)() const) const;
  template <class T>
  Result<std::vector<T>> Array(std::string_view key, std::string_view wanted,
                               std::optional<T> (GgufEntry::*read)() const) const;
  Result<const GgufEntry*> Entry(std::string_view key) const;
  Error WrongKind(const GgufEntry& entry, std::string_view wanted) const;

  std::optional<MappedFile> mapped_;  // nothing if the bytes are the caller's
  uint32_t version_ = 0;
  int64_t alignment_ = 0;
  std::vector<GgufEntry> metadata_;
  std::vector<uint32_t> by_key_;  // indices of metadata_
};

// Elements of an array one after the other, each as an entry of its own (key empty); false at the end. Reads again what
// is there now, inside the bytes of the array, so that a file changed meanwhile does no harm. Inner arrays are passed
// over: their entry has type kArray and no bytes.
class GgufElements {
 public:
  explicit GgufElements(const GgufEntry& array) : array_(array) {}
  bool Next(GgufEntry* element);

 private:
  GgufEntry array_;
  uint64_t index_ = 0;
  size_t at_ = 0;
};

// What any reader of a model takes for granted of the keys that are there: list lengths of the tokenizer agree, token
// ids lie in the vocabulary, sizes of {architecture}.* are positive, bounded and divide as they must.
Status CheckGgufModel(const GgufFile& file);

std::optional<StoredType> StoredTypeOfGgml(uint32_t id);
std::optional<uint32_t> GgmlIdOf(StoredType type);

// Keys and values to write, in the order of the calls. A key used twice is an Error of WriteGguf.
class GgufMetadata {
 public:
  template <class T>
  void Add(std::string_view key, T value) {
    static_assert(std::is_arithmetic_v<T>);
    Raw({.key = std::string(key), .type = TypeOf<T>(), .bytes = {reinterpret_cast<const char*>(&value), sizeof(T)}});
  }
  template <class T>
  void AddArray(std::string_view key, std::span<const T> values) {
    static_assert(std::is_arithmetic_v<T>);
    Raw({.key = std::string(key),
         .type = GgufType::kArray,
         .element = TypeOf<T>(),
         .count = values.size(),
         .bytes = {reinterpret_cast<const char*>(values.data()), values.size_bytes()}});
  }
  void AddString(std::string_view key, std::string_view text) {
    Raw({.key = std::string(key), .type = GgufType::kString, .bytes = text});
  }
  void AddStrings(std::string_view key, std::span<const std::string_view> texts);
  void Raw(const GgufEntry& entry);  // a value as it was read

 private:
  friend class GgufHeader;
  template <class T>
  static constexpr GgufType TypeOf() {
    if constexpr (std::is_same_v<T, bool>) {
      return GgufType::kBool;
    } else if constexpr (std::is_floating_point_v<T>) {
      return sizeof(T) == 4 ? GgufType::kF32 : GgufType::kF64;
    } else {
      constexpr GgufType kUnsigned[] = {GgufType::kU8, GgufType::kU16, GgufType::kU32, GgufType::kU64};
      constexpr GgufType kSigned[] = {GgufType::kI8, GgufType::kI16, GgufType::kI32, GgufType::kI64};
      constexpr int kLog = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
      return std::is_unsigned_v<T> ? kUnsigned[kLog] : kSigned[kLog];
    }
  }
  std::string bytes_;
  std::vector<std::string> keys_;
  std::optional<uint32_t> alignment_;  // of the key general.alignment
};

// Temporary file, sync, rename. The bytes are a function of the arguments: keys and tensors in the order given, version
// 3, aligned as the key general.alignment says (32 without it). So a file of version 3 whose keys and tensors are given
// again is written byte for byte as it was. Refuses what GgufFile would not read back.
Status WriteGguf(const std::string& path, const GgufMetadata& metadata, const std::vector<TensorToStore>& tensors,
                 const TensorSource& source = nullptr);
Result<int64_t> GgufFileBytes(const GgufMetadata& metadata, const std::vector<TensorToStore>& tensors);

}  // namespace r1
