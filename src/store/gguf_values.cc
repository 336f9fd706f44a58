// Typed access to the values of gguf.h, and what must hold between those that every model file has.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/quote.h"
#include "store/gguf.h"

namespace r1 {
namespace {

template <class T>
T Load(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::string KindText(const GgufEntry& entry) {
  if (entry.type == GgufType::kArray) return fmt::format("an array of {}", GgufTypeName(entry.element));
  if (const std::optional<double> number = entry.Number())
    return fmt::format("{} {}", GgufTypeName(entry.type), *number);
  return entry.type == GgufType::kU64 ? fmt::format("u64 {}", Load<uint64_t>(entry.bytes))
                                      : std::string(GgufTypeName(entry.type));
}

}  // namespace

std::optional<int64_t> GgufEntry::Integer() const {
  switch (type) {
    case GgufType::kU8:
      return Load<uint8_t>(bytes);
    case GgufType::kI8:
      return Load<int8_t>(bytes);
    case GgufType::kU16:
      return Load<uint16_t>(bytes);
    case GgufType::kI16:
      return Load<int16_t>(bytes);
    case GgufType::kU32:
      return Load<uint32_t>(bytes);
    case GgufType::kI32:
      return Load<int32_t>(bytes);
    case GgufType::kI64:
      return Load<int64_t>(bytes);
    case GgufType::kU64: {
      const uint64_t value = Load<uint64_t>(bytes);
      if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(value);
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> GgufEntry::Number() const {
  if (type == GgufType::kF32) return Load<float>(bytes);
  if (type == GgufType::kF64) return Load<double>(bytes);
  if (const std::optional<int64_t> integer = Integer()) return static_cast<double>(*integer);
  return std::nullopt;
}

std::optional<bool> GgufEntry::Bool() const {
  if (type != GgufType::kBool) return std::nullopt;
  return bytes[0] != 0;
}

std::optional<std::string_view> GgufEntry::String() const {
  if (type != GgufType::kString) return std::nullopt;
  return bytes;
}

bool GgufElements::Next(GgufEntry* element) {
  if (index_ == array_.count || array_.type != GgufType::kArray) return false;
  const std::string_view rest = array_.bytes.substr(at_);
  *element = {.type = array_.element};
  if (array_.element == GgufType::kArray) return ++index_, true;
  uint64_t bytes = static_cast<uint64_t>(GgufTypeBytes(array_.element)), head = 0;
  if (array_.element == GgufType::kString) {
    head = 8;
    if (rest.size() < head) return false;
    bytes = Load<uint64_t>(rest);
  }
  if (bytes > rest.size() - head) return false;
  element->bytes = rest.substr(head, bytes);
  at_ += head + bytes;
  ++index_;
  return true;
}

Result<const GgufEntry*> GgufFile::Entry(std::string_view key) const {
  const GgufEntry* entry = FindKey(key);
  if (entry == nullptr) return Error{ErrorCode::kBadInput, fmt::format("{}: there is no key {}", path_, Quote(key))};
  return entry;
}

Error GgufFile::WrongKind(const GgufEntry& entry, std::string_view wanted) const {
  return Error{ErrorCode::kBadInput,
               fmt::format("{}: key {} is {}, but {} is wanted", path_, Quote(entry.key), KindText(entry), wanted)};
}

template <class T>
Result<T> GgufFile::Scalar(std::string_view key, std::string_view wanted,
                           std::optional<T> (GgufEntry::*read)() const) const {
  R1_ASSIGN(const GgufEntry* entry, Entry(key));
  const std::optional<T> value = (entry->*read)();
  if (!value) return WrongKind(*entry, wanted);
  return *value;
}

template <class T>
Result<std::vector<T>> GgufFile::Array(std::string_view key, std::string_view wanted,
                                       std::optional<T> (GgufEntry::*read)() const) const {
  R1_ASSIGN(const GgufEntry* entry, Entry(key));
  if (entry->type != GgufType::kArray) return WrongKind(*entry, wanted);
  std::vector<T> values;
  values.reserve(entry->count);  // the parser has held it against the bytes of the array
  GgufElements elements(*entry);
  GgufEntry element;
  while (elements.Next(&element)) {
    const std::optional<T> value = (element.*read)();
    if (!value) return WrongKind(*entry, wanted);
    values.push_back(*value);
  }
  if (values.size() != entry->count) {  // the file was changed while it was open
    return Error{ErrorCode::kBadInput, fmt::format("{}: key {} changed while it was read", path_, Quote(key))};
  }
  return Result<std::vector<T>>(std::move(values));
}

Result<int64_t> GgufFile::Integer(std::string_view key) const {
  return Scalar(key, "an integer below 2^63", &GgufEntry::Integer);
}
Result<double> GgufFile::Number(std::string_view key) const { return Scalar(key, "a number", &GgufEntry::Number); }
Result<bool> GgufFile::Bool(std::string_view key) const { return Scalar(key, "a truth value", &GgufEntry::Bool); }
Result<std::string_view> GgufFile::String(std::string_view key) const {
  return Scalar(key, "a string", &GgufEntry::String);
}
Result<std::vector<int64_t>> GgufFile::Integers(std::string_view key) const {
  return Array(key, "an array of integers below 2^63", &GgufEntry::Integer);
}
Result<std::vector<double>> GgufFile::Numbers(std::string_view key) const {
  return Array(key, "an array of numbers", &GgufEntry::Number);
}
Result<std::vector<std::string_view>> GgufFile::Strings(std::string_view key) const {
  return Array(key, "an array of strings", &GgufEntry::String);
}

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 30;
constexpr int64_t kMaxLayers = 10000;

Error BadKey(const GgufFile& file, const std::string& key, const std::string& message) {
  return Error{ErrorCode::kBadInput, fmt::format("{}: key {}: {}", file.path(), Quote(key), message)};
}

Status CheckVocabulary(const GgufFile& file) {
  const GgufEntry* tokens = file.FindKey("tokenizer.ggml.tokens");
  if (tokens == nullptr) return {};
  if (tokens->type != GgufType::kArray || tokens->element != GgufType::kString)
    return BadKey(file, "tokenizer.ggml.tokens", "it must be an array of strings");
  for (const char* suffix : {"scores", "token_type"}) {
    const std::string key = std::string("tokenizer.ggml.") + suffix;
    const GgufEntry* list = file.FindKey(key);
    if (list == nullptr) continue;
    if (list->type != GgufType::kArray || list->count != tokens->count) {
      return BadKey(file, key,
                    fmt::format("it must be an array as long as the {} tokens, not {}", tokens->count,
                                list->type == GgufType::kArray ? std::to_string(list->count) : "one value"));
    }
  }
  for (const GgufEntry& entry : file.metadata()) {
    if (!entry.key.starts_with("tokenizer.ggml.") || !entry.key.ends_with("_token_id")) continue;
    const std::string key(entry.key);
    R1_ASSIGN(const int64_t id, file.Integer(key));
    if (id < 0 || static_cast<uint64_t>(id) >= tokens->count)
      return BadKey(file, key, fmt::format("there is no token {}, only {} of them", id, tokens->count));
  }
  return {};
}

// A size of the model: one integer, or one a layer. absent: what to give if there is no such key.
Result<int64_t> SizeOf(const GgufFile& file, const std::string& key, int64_t least, int64_t most, int64_t absent) {
  const GgufEntry* entry = file.FindKey(key);
  if (entry == nullptr) return absent;
  std::vector<int64_t> values;
  if (entry->type == GgufType::kArray) {
    R1_ASSIGN(values, file.Integers(key));
  } else {
    R1_ASSIGN(values.emplace_back(), file.Integer(key));
  }
  for (const int64_t value : values) {
    if (value < least || value > most)
      return BadKey(file, key, fmt::format("{} is not from {} to {}", value, least, most));
  }
  return values.size() == 1 ? values[0] : absent;
}

}  // namespace

Status CheckGgufModel(const GgufFile& file) {
  R1_TRY(CheckVocabulary(file));
  R1_ASSIGN(const std::string_view name, file.String("general.architecture"));
  const std::string arch(name);
  const auto size = [&](const char* suffix, int64_t least, int64_t most) {
    return SizeOf(file, arch + suffix, least, most, 0);
  };
  R1_TRY(size(".block_count", 1, kMaxLayers));
  R1_TRY(size(".context_length", 1, kMaxSize));
  R1_TRY(size(".feed_forward_length", 0, kMaxSize));
  R1_TRY(size(".vocab_size", 1, kMaxSize));
  R1_ASSIGN(const int64_t width, size(".embedding_length", 1, kMaxSize));
  R1_ASSIGN(const int64_t heads, size(".attention.head_count", 1, kMaxSize));
  R1_ASSIGN(const int64_t kv_heads, size(".attention.head_count_kv", 0, kMaxSize));
  R1_ASSIGN(const int64_t key_length, size(".attention.key_length", 1, kMaxSize));
  R1_ASSIGN(const int64_t rotated, size(".rope.dimension_count", 0, kMaxSize));
  if (heads > 0 && key_length == 0 && width % heads != 0) {
    return BadKey(file, arch + ".embedding_length", fmt::format("{} is no multiple of the {} heads", width, heads));
  }
  if (heads > 0 && kv_heads > 0 && heads % kv_heads != 0) {
    return BadKey(file, arch + ".attention.head_count_kv",
                  fmt::format("the {} heads are no multiple of {}", heads, kv_heads));
  }
  if (rotated % 2 != 0)
    return BadKey(file, arch + ".rope.dimension_count", fmt::format("{} is odd; rotations take pairs", rotated));
  R1_ASSIGN(const int64_t experts, size(".expert_count", 0, kMaxSize));
  R1_ASSIGN(const int64_t used, size(".expert_used_count", 0, kMaxSize));
  if (used > experts)
    return BadKey(file, arch + ".expert_used_count", fmt::format("{} of {} experts cannot be used", used, experts));
  return {};
}

}  // namespace r1
