#include "recipe/diff_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "recipe/volatile_fields.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxJsonBytes = int64_t{256} << 20;
constexpr size_t kShownBytes = 120;

std::string Shown(const Json& value) {
  if (value.is_string()) return Quote(value.get_ref<const std::string&>(), kShownBytes);
  std::string text = ToLineText(value);
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes) + "...";
  return text;
}

// Two texts, cut to where they part.
void ShowTexts(const std::string& a, const std::string& b, RunDifference* out) {
  const size_t at = static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<int64_t>(std::min(a.size(), b.size())), b.begin()).first -
      a.begin());
  constexpr size_t kBefore = 40;
  if (std::max(a.size(), b.size()) <= kShownBytes) {
    out->a = Quote(a, kShownBytes);
    out->b = Quote(b, kShownBytes);
    return;
  }
  size_t begin = at > kBefore ? at - kBefore : 0;
  while (begin > 0 && begin < a.size() && (static_cast<unsigned char>(a[begin]) & 0xc0) == 0x80)
    --begin;  // a whole character
  const auto part = [&](const std::string& text) {
    return fmt::format("{}{}", begin > 0 ? "..." : "",
                       Quote(std::string_view(text).substr(std::min(begin, text.size())), 2 * kBefore));
  };
  out->a = part(a);
  out->b = part(b);
}

bool SameNumber(const Json& a, const Json& b) {
  if (a.is_number_float() || b.is_number_float())
    return std::bit_cast<uint64_t>(a.get<double>()) == std::bit_cast<uint64_t>(b.get<double>());
  return a == b;
}

bool FindDifference(const Json& a, const Json& b, const std::string& path, bool top, RunDifference* out) {
  out->name = path;
  if (a.is_object() && b.is_object()) {
    const std::string prefix = path.empty() ? "" : path + ".";
    auto in_a = a.begin();
    auto in_b = b.begin();
    while (in_a != a.end() || in_b != b.end()) {
      const bool only_a = in_b == b.end() || (in_a != a.end() && in_a.key() < in_b.key());
      const bool only_b = !only_a && (in_a == a.end() || in_b.key() < in_a.key());
      const std::string& key = only_b ? in_b.key() : in_a.key();
      if (!IsVolatileField(key, top)) {
        if (only_a || only_b) {
          out->name = prefix + key;
          out->a = only_a ? Shown(*in_a) : "absent";
          out->b = only_b ? Shown(*in_b) : "absent";
          return true;
        }
        if (FindDifference(*in_a, *in_b, prefix + key, false, out)) return true;
      }
      if (!only_b) ++in_a;
      if (!only_a) ++in_b;
    }
    return false;
  }
  if (a.is_array() && b.is_array()) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (FindDifference(a[i], b[i], fmt::format("{}[{}]", path, i), false, out)) return true;
    }
    if (a.size() == b.size()) return false;
    out->name = path;
    out->a = fmt::format("{} values", a.size());
    out->b = fmt::format("{} values", b.size());
    return true;
  }
  const bool same = a.is_number() && b.is_number() ? SameNumber(a, b) : a == b;
  if (same) return false;
  if (a.is_string() && b.is_string()) {
    ShowTexts(a.get_ref<const std::string&>(), b.get_ref<const std::string&>(), out);
  } else {
    out->a = Shown(a);
    out->b = Shown(b);
  }
  return true;
}

std::string_view NextLine(std::string_view* rest) {
  const size_t end = std::min(rest->find('\n'), rest->size());
  const std::string_view line = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return line;
}

int64_t CountLines(std::string_view text) {
  return std::count(text.begin(), text.end(), '\n') + (text.empty() || text.back() == '\n' ? 0 : 1);
}

Result<Json> ParseRecord(std::string_view line, const std::string& path, int64_t number) {
  R1_ASSIGN(Json record, ParseJson(line, fmt::format("{} line {}", path, number)));
  if (!record.is_object())
    return Error{ErrorCode::kBadInput, fmt::format("{} line {}: not a JSON object", path, number)};
  return record;
}

int64_t StepOf(const Json& record) {
  const auto step = record.find("step");
  return step != record.end() && step->is_number_integer() ? step->get<int64_t>() : -1;
}

double Half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double fraction = bits & 1023, sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31)
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

template <class T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::string ShapeText(const StoredTensor& tensor) {
  return fmt::format("{} [{}]", StoredTypeName(tensor.type), fmt::join(tensor.shape, ", "));
}

}  // namespace

std::optional<RunDifference> FirstJsonDifference(const Json& a, const Json& b) {
  RunDifference difference;
  if (!FindDifference(a, b, "", true, &difference)) return std::nullopt;
  return difference;
}

double TensorValue(const StoredTensor& tensor, int64_t index) {
  const char* at = tensor.data + index * StoredTypeBytes(tensor.type);
  switch (tensor.type) {
    case StoredType::kF32:
      return Load<float>(at);
    case StoredType::kF64:
      return Load<double>(at);
    case StoredType::kBF16:
      return std::bit_cast<float>(static_cast<uint32_t>(Load<uint16_t>(at)) << 16);
    case StoredType::kF16:
      return Half(Load<uint16_t>(at));
    case StoredType::kI64:
      return static_cast<double>(Load<int64_t>(at));
    case StoredType::kU64:
      return static_cast<double>(Load<uint64_t>(at));
    case StoredType::kI32:
      return Load<int32_t>(at);
    case StoredType::kU32:
      return Load<uint32_t>(at);
    case StoredType::kI16:
      return Load<int16_t>(at);
    case StoredType::kU16:
      return Load<uint16_t>(at);
    case StoredType::kI8:
      return Load<int8_t>(at);
    default:
      return Load<uint8_t>(at);  // bool, bytes, and 8-bit floats as their bits
  }
}

std::optional<RunDifference> TensorDifference(const StoredTensor& a, const StoredTensor& b) {
  RunDifference out;
  out.name = a.name;
  if (a.type != b.type || a.shape != b.shape) {
    out.a = ShapeText(a);
    out.b = ShapeText(b);
    return out;
  }
  if (a.bytes == 0 || std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes)) == 0) return std::nullopt;
  const int64_t size = StoredTypeBytes(a.type);
  for (int64_t i = 0; i < a.elements(); ++i) {
    if (std::memcmp(a.data + i * size, b.data + i * size, static_cast<size_t>(size)) == 0) continue;
    const double x = TensorValue(a, i), y = TensorValue(b, i);
    if (out.elements++ == 0) {
      out.index = i;
      out.a = fmt::format("{:.9g}", x);
      out.b = fmt::format("{:.9g}", y);
    }
    const double distance = std::abs(x - y);
    if (std::isnan(distance) || distance > out.max_abs) out.max_abs = std::isnan(out.max_abs) ? out.max_abs : distance;
  }
  return out;
}

Result<std::optional<RunDifference>> CompareJsonFiles(const std::string& path_a, const std::string& path_b) {
  R1_ASSIGN(const Json a, ReadJsonFile(path_a, kMaxJsonBytes));
  R1_ASSIGN(const Json b, ReadJsonFile(path_b, kMaxJsonBytes));
  return FirstJsonDifference(a, b);
}

Result<std::optional<RunDifference>> CompareRecordFiles(const std::string& path_a, const std::string& path_b,
                                                        CompareCounts* counts) {
  R1_ASSIGN(const MappedFile file_a, MappedFile::Open(path_a));
  R1_ASSIGN(const MappedFile file_b, MappedFile::Open(path_b));
  std::string_view rest_a = file_a.bytes(), rest_b = file_b.bytes();
  if (rest_a == rest_b) {
    counts->records += CountLines(rest_a);
    return std::optional<RunDifference>();
  }
  int64_t number = 0;
  while (!rest_a.empty() && !rest_b.empty()) {
    const std::string_view line_a = NextLine(&rest_a), line_b = NextLine(&rest_b);
    ++number;
    ++counts->records;
    if (line_a == line_b) continue;
    R1_ASSIGN(const Json a, ParseRecord(line_a, path_a, number));
    R1_ASSIGN(const Json b, ParseRecord(line_b, path_b, number));
    std::optional<RunDifference> difference = FirstJsonDifference(a, b);
    if (!difference) continue;
    difference->index = number;
    difference->step = std::min(StepOf(a), StepOf(b));
    return difference;
  }
  if (rest_a.empty() && rest_b.empty()) return std::optional<RunDifference>();
  RunDifference difference;
  std::string_view more = rest_a.empty() ? rest_b : rest_a;
  const std::string& longer = rest_a.empty() ? path_b : path_a;
  R1_ASSIGN(const Json extra, ParseRecord(NextLine(&more), longer, number + 1));
  difference.step = StepOf(extra);
  difference.index = number + 1;
  difference.a = fmt::format("{} records", CountLines(file_a.bytes()));
  difference.b = fmt::format("{} records", CountLines(file_b.bytes()));
  return std::optional<RunDifference>(difference);
}

Result<std::optional<RunDifference>> CompareTensorFiles(const std::string& path_a, const std::string& path_b,
                                                        CompareCounts* counts) {
  R1_ASSIGN(const SafetensorsFile a, SafetensorsFile::Open(path_a));
  R1_ASSIGN(const SafetensorsFile b, SafetensorsFile::Open(path_b));
  std::optional<RunDifference> first;
  for (const StoredTensor& tensor : a.tensors()) {
    const StoredTensor* other = b.Find(tensor.name);
    ++counts->tensors;
    counts->numbers += tensor.elements();
    std::optional<RunDifference> difference;
    if (other == nullptr) {
      difference = RunDifference{};
      difference->name = tensor.name;
      difference->a = ShapeText(tensor);
      difference->b = "absent";
    } else {
      difference = TensorDifference(tensor, *other);
    }
    if (difference && !first) first = std::move(difference);
  }
  for (const StoredTensor& tensor : b.tensors()) {
    if (first || a.Find(tensor.name) != nullptr) continue;
    first = RunDifference{};
    first->name = tensor.name;
    first->a = "absent";
    first->b = ShapeText(tensor);
  }
  R1_TRY(a.CheckIntact());
  R1_TRY(b.CheckIntact());
  if (first) return first;
  return CompareBytes(path_a, path_b);  // the same tensors in another order, or other metadata
}

Result<std::optional<RunDifference>> CompareBytes(const std::string& path_a, const std::string& path_b) {
  R1_ASSIGN(const MappedFile a, MappedFile::Open(path_a));
  R1_ASSIGN(const MappedFile b, MappedFile::Open(path_b));
  const std::string_view x = a.bytes(), y = b.bytes();
  if (x == y) return std::optional<RunDifference>();
  RunDifference difference;
  const size_t common = std::min(x.size(), y.size());
  const size_t at = static_cast<size_t>(
      std::mismatch(x.begin(), x.begin() + static_cast<int64_t>(common), y.begin()).first - x.begin());
  const auto shown = [&](std::string_view bytes) {
    return at < bytes.size() ? fmt::format("byte {} is 0x{:02x}", at, static_cast<unsigned char>(bytes[at]))
                             : fmt::format("ends after {} bytes", bytes.size());
  };
  difference.index = static_cast<int64_t>(at);
  difference.a = shown(x);
  difference.b = shown(y);
  return std::optional<RunDifference>(difference);
}

}  // namespace r1
