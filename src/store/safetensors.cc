#include "store/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

#include "base/files.h"
#include "base/json_scan.h"
#include "base/quote.h"

namespace r1 {
namespace {

constexpr size_t kMaxRank = 8;
constexpr int kMaxDepth = 4;  // {"name": {"shape": [ ... ]}} is 3 deep
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

using Token = JsonScanner::Token;

// Reads the header token by token; every error names file and byte offset.
class HeaderReader {
 public:
  HeaderReader(std::string_view header, std::string_view data, std::string_view where)
      : scanner_(header, kMaxDepth), data_(data), where_(where) {}

  Status Read(std::vector<StoredTensor>* tensors, std::vector<std::pair<std::string, std::string>>* metadata) {
    bool has_metadata = false;
    if (scanner_.Next() != Token::kObjectBegin) return Unexpected("the header must be a JSON object");
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kObjectEnd) break;
      if (token != Token::kKey) return Unexpected("a tensor name is wanted");
      if (scanner_.value() == "__metadata__") {
        if (has_metadata) return Fail("duplicate key '__metadata__'");
        has_metadata = true;
        R1_TRY(ReadMetadata(metadata));
      } else {
        if (tensors->size() >= std::numeric_limits<uint32_t>::max()) return Fail("too many tensors");
        StoredTensor tensor;
        tensor.name = std::string(scanner_.value());
        R1_TRY(ReadTensor(&tensor));
        tensors->push_back(std::move(tensor));
      }
    }
    if (scanner_.Next() != Token::kEnd) return Unexpected("something follows the header");
    return {};
  }

 private:
  Error Fail(const std::string& message) const {
    return Error{ErrorCode::kBadInput, fmt::format("{}: byte {}: {}", where_, 8 + scanner_.offset(), message)};
  }
  // The scanner's own error, if it has one, says more.
  Error Unexpected(const std::string& message) const {
    return Fail(scanner_.error().empty() ? message : scanner_.error());
  }

  Status ReadMetadata(std::vector<std::pair<std::string, std::string>>* metadata) {
    std::set<std::string, std::less<>> seen;
    if (scanner_.Next() != Token::kObjectBegin) return Unexpected("'__metadata__' must be an object");
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kObjectEnd) return {};
      if (token != Token::kKey) return Unexpected("a key is wanted");
      std::string key(scanner_.value());
      if (!seen.insert(key).second) return Fail(fmt::format("duplicate key {} in '__metadata__'", Quote(key)));
      if (scanner_.Next() != Token::kString) return Unexpected("the values of '__metadata__' must be strings");
      metadata->emplace_back(std::move(key), scanner_.value());
    }
  }

  Status ReadTensor(StoredTensor* tensor) {
    bool has_type = false, has_shape = false, has_offsets = false;
    std::vector<int64_t> offsets;
    if (scanner_.Next() != Token::kObjectBegin) return Unexpected(Named(*tensor, "an object is wanted"));
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kObjectEnd) break;
      if (token != Token::kKey) return Unexpected(Named(*tensor, "a key is wanted"));
      const std::string_view key = scanner_.value();
      bool* seen = key == "dtype"          ? &has_type
                   : key == "shape"        ? &has_shape
                   : key == "data_offsets" ? &has_offsets
                                           : nullptr;
      if (seen == nullptr) return Fail(Named(*tensor, "unknown key " + Quote(key)));
      if (*seen) return Fail(Named(*tensor, "duplicate key " + Quote(key)));
      *seen = true;
      if (seen == &has_type) {
        R1_TRY(ReadType(tensor));
      } else if (seen == &has_shape) {
        R1_TRY(ReadNumbers(*tensor, "shape", kMaxRank, &tensor->shape));
      } else {
        R1_TRY(ReadNumbers(*tensor, "data_offsets", 2, &offsets));
      }
    }
    if (!has_type || !has_shape || !has_offsets)
      return Fail(Named(*tensor, "dtype, shape and data_offsets are all needed"));
    return Place(offsets, tensor);
  }

  Status ReadType(StoredTensor* tensor) {
    if (scanner_.Next() != Token::kString) return Unexpected(Named(*tensor, "dtype must be a string"));
    const std::optional<StoredType> type = StoredTypeOfName(scanner_.value());
    if (type && StoredTypeBlock(*type) == 1) {
      tensor->type = *type;
      return {};
    }
    return Fail(Named(*tensor, fmt::format("dtype {} is not supported", Quote(scanner_.value()))));
  }

  Status ReadNumbers(const StoredTensor& tensor, const char* what, size_t most, std::vector<int64_t>* out) {
    if (scanner_.Next() != Token::kArrayBegin) return Unexpected(Named(tensor, fmt::format("{} must be a list", what)));
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kArrayEnd) return {};
      int64_t value = -1;
      if (token == Token::kInteger) {
        const std::string_view digits = scanner_.value();
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (parsed.ec != std::errc() || digits[0] == '-') value = -1;
      }
      if (value < 0) {
        return Unexpected(Named(tensor, fmt::format("{} must be whole numbers from 0 to {}", what, kMax)));
      }
      if (out->size() >= most) return Fail(Named(tensor, fmt::format("{} has more than {} numbers", what, most)));
      out->push_back(value);
    }
  }

  // Checks the range against the file and the shape; only then is a pointer made.
  Status Place(const std::vector<int64_t>& offsets, StoredTensor* tensor) {
    if (offsets.size() != 2) return Fail(Named(*tensor, "data_offsets must be two numbers"));
    const int64_t size = static_cast<int64_t>(data_.size());
    if (offsets[0] > offsets[1] || offsets[1] > size) {
      return Fail(Named(*tensor, fmt::format("data_offsets [{}, {}] are not inside the {} bytes of data", offsets[0],
                                             offsets[1], size)));
    }
    const std::optional<int64_t> bytes = StoredBytes(tensor->type, tensor->shape);
    if (!bytes) return Fail(Named(*tensor, fmt::format("shape {} is too large", ShapeText(tensor->shape))));
    if (*bytes != offsets[1] - offsets[0]) {
      return Fail(Named(*tensor, fmt::format("{} of shape {} has {} bytes, but data_offsets [{}, {}] have {}",
                                             StoredTypeName(tensor->type), ShapeText(tensor->shape), *bytes, offsets[0],
                                             offsets[1], offsets[1] - offsets[0])));
    }
    tensor->data = data_.data() + offsets[0];
    tensor->bytes = *bytes;
    return {};
  }

  static std::string Named(const StoredTensor& tensor, const std::string& message) {
    return fmt::format("tensor {}: {}", Quote(tensor.name), message);
  }

  JsonScanner scanner_;
  std::string_view data_;
  std::string_view where_;
};

void SortByData(std::vector<StoredTensor>* tensors) {
  const auto before = [](const StoredTensor& a, const StoredTensor& b) {
    return a.data != b.data ? a.data < b.data : a.bytes < b.bytes;  // empty tensors before the one that begins there
  };
  if (!std::is_sorted(tensors->begin(), tensors->end(), before))
    std::stable_sort(tensors->begin(), tensors->end(), before);
}

// The tensors, in order of their data, must cover it exactly.
Status CheckCover(const std::vector<StoredTensor>& tensors, std::string_view data, std::string_view where) {
  const auto fail = [&](int64_t offset, const std::string& message) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: data byte {}: {}", where, offset, message)};
  };
  int64_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    const int64_t begin = tensor.data - data.data();
    if (begin < end) return fail(begin, fmt::format("tensor {} overlaps the one before it", Quote(tensor.name)));
    if (begin > end)
      return fail(end, fmt::format("{} bytes before tensor {} belong to no tensor", begin - end, Quote(tensor.name)));
    end = begin + tensor.bytes;
  }
  if (end != static_cast<int64_t>(data.size())) {
    return fail(end, fmt::format("{} bytes at the end belong to no tensor", static_cast<int64_t>(data.size()) - end));
  }
  return {};
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::Open(const std::string& path, int64_t max_header_bytes) {
  R1_ASSIGN(MappedFile mapped, MappedFile::Open(path));
  Result<SafetensorsFile> parsed = Parse(mapped.bytes(), path, max_header_bytes);
  if (Status intact = mapped.CheckIntact(); !intact.ok()) return intact.error();
  if (!parsed.ok()) return parsed;
  parsed.value().mapped_.emplace(std::move(mapped));
  return parsed;
}

Result<SafetensorsFile> SafetensorsFile::Parse(std::string_view file, std::string_view where,
                                               int64_t max_header_bytes) {
  const auto fail = [&](const std::string& message) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: {}", where, message)};
  };
  if (file.size() < 8) return fail(fmt::format("{} bytes are too few for a safetensors file", file.size()));
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > static_cast<uint64_t>(max_header_bytes)) {
    return fail(
        fmt::format("the header is said to have {} bytes, more than the {} allowed", header_bytes, max_header_bytes));
  }
  if (header_bytes > file.size() - 8) {
    return fail(fmt::format("the header is said to have {} bytes, but the file has {}", header_bytes, file.size()));
  }
  const std::string_view header = file.substr(8, header_bytes), data = file.substr(8 + header_bytes);
  SafetensorsFile out;
  out.path_ = std::string(where);
  R1_TRY(HeaderReader(header, data, where).Read(&out.tensors_, &out.metadata_));
  SortByData(&out.tensors_);
  R1_TRY(out.IndexNames());
  // After the names, so that a name given twice on one range is called what it is.
  R1_TRY(CheckCover(out.tensors_, data, where));
  return Result<SafetensorsFile>(std::move(out));
}

Status SafetensorsFile::CheckIntact() const { return mapped_ ? mapped_->CheckIntact() : Status{}; }

}  // namespace r1
