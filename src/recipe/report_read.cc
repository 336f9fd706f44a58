#include "recipe/report_read.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"

namespace r1 {
namespace {

using nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

}  // namespace

Error Malformed(const std::string& where, const std::string& what) {
  return Error{ErrorCode::kBadInput, where + ": " + what};
}

Status ReadJsonLines(const std::string& path, std::vector<std::string>* notes, size_t max_lines,
                     const std::function<Status(const json&, const std::string&)>& row) {
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxFileBytes));
  size_t begin = 0;
  for (size_t line = 1; begin < text.size(); ++line) {
    const size_t newline = text.find('\n', begin);
    const size_t end = newline == std::string::npos ? text.size() : newline;
    const std::string_view content(text.data() + begin, end - begin);
    begin = end + 1;
    if (line > max_lines) {
      notes->push_back(path + ": only the first " + std::to_string(max_lines) + " lines are used.");
      break;
    }
    if (content.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = path + ":" + std::to_string(line);
    Result<json> value = ParseJson(content, where);
    if (!value.ok()) {
      if (newline == std::string::npos) {
        notes->push_back(path +
                         ": the last line is incomplete (the run was still writing or was cut off) "
                         "and is left out.");
        break;
      }
      return value.error();
    }
    if (!value->is_object()) return Malformed(where, "a line must be a JSON object");
    R1_TRY(row(*value, where));
  }
  return {};
}

Status GetNumber(const json& object, const char* key, const std::string& where, double* out) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number()) return Malformed(where, "\"" + std::string(key) + "\" must be a number");
  *out = it->get<double>();
  return {};
}

Status OptionalNumber(const json& object, const char* key, const std::string& where, double* out) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return {};
  return GetNumber(object, key, where, out);
}

Status OptionalCount(const json& object, const char* key, const std::string& where, int64_t* out) {
  double value = static_cast<double>(*out);
  R1_TRY(OptionalNumber(object, key, where, &value));
  if (!(std::abs(value) <= 9e15) || value != std::floor(value)) {
    return Malformed(where, "\"" + std::string(key) + "\" must be a whole number");
  }
  *out = static_cast<int64_t>(value);
  return {};
}

Status OptionalShare(const json& object, const char* key, const std::string& where, double* out) {
  R1_TRY(OptionalNumber(object, key, where, out));
  if (*out < 0 || *out > 1) return Malformed(where, "\"" + std::string(key) + "\" must lie between 0 and 1");
  return {};
}

Status OptionalAmount(const json& object, const char* key, const std::string& where, double* out) {
  R1_TRY(OptionalNumber(object, key, where, out));
  if (*out < 0 || *out > 1e18) return Malformed(where, "\"" + std::string(key) + "\" must lie between 0 and 1e18");
  return {};
}

Status GetText(const json& object, const char* key, const std::string& where, std::string* out) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string()) return Malformed(where, "\"" + std::string(key) + "\" must be a text");
  *out = it->get<std::string>();
  return {};
}

Status OptionalText(const json& object, const char* key, const std::string& where, std::string* out) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return {};
  return GetText(object, key, where, out);
}

Status ReadNumberTable(const json& object, const char* key, const std::string& where,
                       std::vector<std::pair<std::string, double>>* out) {
  const auto table = object.find(key);
  if (table == object.end() || table->is_null()) return {};
  if (!table->is_object()) return Malformed(where, "\"" + std::string(key) + "\" must be an object");
  for (const auto& [name, value] : table->items()) {
    if (value.is_null()) continue;
    if (!value.is_number())
      return Malformed(where, "\"" + std::string(key) + "\"." + Quote(name) + " must be a number");
    out->emplace_back(name, value.get<double>());
  }
  return {};
}

}  // namespace r1
