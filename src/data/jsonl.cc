#include "data/jsonl.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"

namespace r1 {

namespace {

constexpr int64_t kMaxFileBytes = int64_t{4} << 30;
constexpr size_t kMaxLineBytes = size_t{16} << 20;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

}  // namespace

Status ForEachJsonLine(
    std::string_view jsonl, std::string_view where,
    const std::function<Status(const nlohmann::json& object, int64_t line, const std::string& where)>& visit) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (jsonl.starts_with(kByteOrderMark)) jsonl.remove_prefix(kByteOrderMark.size());
  int64_t line = 0;
  for (size_t begin = 0; begin < jsonl.size();) {
    const size_t newline = jsonl.find('\n', begin);
    const size_t end = newline == std::string_view::npos ? jsonl.size() : newline;
    const std::string_view text = jsonl.substr(begin, end - begin);
    begin = end + 1;
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string at = std::string(where) + " line " + std::to_string(line);
    if (text.size() > kMaxLineBytes) return Bad(at, "longer than 16 MiB");
    R1_ASSIGN(const nlohmann::json object, ParseJson(text, at));
    if (!object.is_object()) return Bad(at, "a JSON object is wanted, like {\"prompt\": \"...\", ...}");
    R1_TRY(visit(object, line, at));
  }
  return {};
}

Result<std::string> ReadJsonl(const std::string& path) {
  if (path.ends_with(".gz")) return Bad(Quote(path), "compressed files are not read; unpack it with gunzip first");
  return ReadFile(path, kMaxFileBytes);
}

Result<std::string> StringAt(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto entry = object.find(key);
  if (entry == object.end() || entry->is_null()) return Bad(where, std::string("there is no '") + key + "'");
  if (!entry->is_string()) return Bad(where, std::string("'") + key + "' is not a string but " + entry->type_name());
  return entry->get<std::string>();
}

}  // namespace r1
