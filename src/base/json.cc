#include "base/json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/files.h"
#include "base/json_scan.h"
#include "base/quote.h"

namespace r1 {
namespace {

using Token = JsonScanner::Token;

// False if the number does not fit a double.
bool ReadNumber(std::string_view text, bool integer, nlohmann::json* out) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (integer) {
    int64_t value = 0;
    if (std::from_chars(begin, end, value).ec == std::errc()) {
      *out = value;
      return true;
    }
    uint64_t large = 0;
    if (text[0] != '-' && std::from_chars(begin, end, large).ec == std::errc()) {
      *out = large;
      return true;
    }
  }
  double value = 0;
  if (std::from_chars(begin, end, value).ec != std::errc()) {
    value = std::strtod(std::string(text).c_str(), nullptr);  // tells too small (0) from too large (infinity)
    if (!std::isfinite(value)) return false;
  }
  *out = value;
  return true;
}

template <class Json>
std::string Dump(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text, std::string_view where, int max_depth) {
  using nlohmann::json;
  JsonScanner scanner(text, max_depth);
  const auto fail = [&](const std::string& message) {
    return Error{ErrorCode::kBadInput, fmt::format("{}:{}: {}", where, LineColumn(text, scanner.offset()), message)};
  };
  json root;
  std::vector<json*> open;  // containers we are in
  json* slot = &root;       // where the next value goes: the root, a member, or null for the next of an array
  for (;;) {
    const Token token = scanner.Next();
    if (token == Token::kError) return fail(scanner.error());
    if (token == Token::kEnd) return root;
    if (token == Token::kKey) {
      const auto [member, fresh] = open.back()->get_ref<json::object_t&>().emplace(scanner.value(), nullptr);
      if (!fresh) return fail(fmt::format("duplicate key {}", Quote(scanner.value())));
      slot = &member->second;
      continue;
    }
    if (token == Token::kObjectEnd || token == Token::kArrayEnd) {
      open.pop_back();
      slot = nullptr;
      continue;
    }
    json* here = slot;
    if (here == nullptr) {
      open.back()->push_back(nullptr);
      here = &open.back()->back();
    }
    switch (token) {
      case Token::kObjectBegin:
        *here = json::object();
        open.push_back(here);
        break;
      case Token::kArrayBegin:
        *here = json::array();
        open.push_back(here);
        break;
      case Token::kString:
        *here = std::string(scanner.value());
        break;
      case Token::kTrue:
        *here = true;
        break;
      case Token::kFalse:
        *here = false;
        break;
      case Token::kNull:
        break;
      default:
        if (!ReadNumber(scanner.value(), token == Token::kInteger, here)) {
          return fail(fmt::format("the number {} is too large", Quote(scanner.value())));
        }
    }
    slot = nullptr;
  }
}

Result<nlohmann::json> ReadJsonFile(const std::string& path, int64_t max_bytes) {
  R1_ASSIGN(const std::string text, ReadFile(path, max_bytes));
  return ParseJson(text, path);
}

std::string ToPrettyText(const nlohmann::json& value) { return Dump(value, 2) + "\n"; }
std::string ToPrettyText(const nlohmann::ordered_json& value) { return Dump(value, 2) + "\n"; }
std::string ToLineText(const nlohmann::json& value) { return Dump(value, -1); }
std::string ToLineText(const nlohmann::ordered_json& value) { return Dump(value, -1); }

}  // namespace r1
