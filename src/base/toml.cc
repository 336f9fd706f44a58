// The one unit that includes toml++.
#include "base/toml.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#define TOML_EXCEPTIONS 1  // caught below; the path of toml++ without them is less travelled
// toml++ 3.3 asserts that a table name begins with a key character before it checks that ("[!]"), and with NDEBUG it tells clang to
// assume it. Assertions that do nothing leave the check to give the error.
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "base/files.h"
#include "base/quote.h"

namespace r1 {
namespace {

using nlohmann::ordered_json;

constexpr int kMaxDepth = 64;
constexpr int64_t kMaxBytes = int64_t{4} << 20;

class Converter {
 public:
  explicit Converter(std::string_view where) : where_(where) {}

  Result<ordered_json> Convert(const toml::node& node, int depth) {
    if (depth > kMaxDepth) return Fail(node, fmt::format("nested deeper than {} levels", kMaxDepth));
    switch (node.type()) {
      case toml::node_type::table: return Table(*node.as_table(), depth);
      case toml::node_type::array: {
        ordered_json array = ordered_json::array();
        for (const toml::node& item : *node.as_array()) {
          R1_ASSIGN(ordered_json value, Convert(item, depth + 1));
          array.push_back(std::move(value));
        }
        return array;
      }
      case toml::node_type::string: return ordered_json(node.as_string()->get());
      case toml::node_type::integer: return ordered_json(node.as_integer()->get());
      case toml::node_type::boolean: return ordered_json(node.as_boolean()->get());
      case toml::node_type::floating_point:
        if (!std::isfinite(node.as_floating_point()->get())) return Fail(node, "a finite number is wanted");
        return ordered_json(node.as_floating_point()->get());
      default: return Fail(node, "dates and times are not used here; write text in quotes");
    }
  }

 private:
  // toml++ sorts keys by name; the file's order comes back from their positions.
  Result<ordered_json> Table(const toml::table& table, int depth) {
    struct Item {
      toml::source_position at;
      std::string_view key;
      const toml::node* node;
    };
    std::vector<Item> items;
    for (const auto& [key, node] : table) items.push_back({key.source().begin, key.str(), &node});
    std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
      return a.at.line != b.at.line ? a.at.line < b.at.line : a.at.column < b.at.column;
    });
    ordered_json::object_t object;
    object.reserve(items.size());
    for (const Item& item : items) {
      R1_ASSIGN(ordered_json value, Convert(*item.node, depth + 1));
      object.push_back({std::string(item.key), std::move(value)});
    }
    return ordered_json(std::move(object));
  }

  Error Fail(const toml::node& node, const std::string& message) const {
    const auto at = node.source().begin;
    return Error{ErrorCode::kBadInput, fmt::format("{}:{}:{}: {}", where_, at.line, at.column, message)};
  }

  std::string_view where_;
};

// toml++ bounds brackets but not dotted keys, whose tables it also destroys by recursion: a long run of dots is refused first.
bool HasDeepKey(std::string_view text) {
  int dots = 0;
  for (const char c : text) {
    if (c == '\n' || c == '=' || c == ',' || c == '[' || c == '{') dots = 0;
    if (c == '.' && ++dots > 1000) return true;
  }
  return false;
}

}  // namespace

Result<ordered_json> ParseToml(std::string_view text, std::string_view where) {
  if (static_cast<int64_t>(text.size()) > kMaxBytes) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: larger than the {} allowed", where, BytesText(kMaxBytes))};
  }
  if (HasDeepKey(text)) return Error{ErrorCode::kBadInput, fmt::format("{}: a key with more than 1000 dots", where)};
  try {
    return Converter(where).Convert(toml::parse(text), 0);
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return Error{ErrorCode::kBadInput, fmt::format("{}:{}:{}: {}", where, at.line, at.column, error.description())};
  }
}

Result<ordered_json> ReadTomlFile(const std::string& path) {
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxBytes));
  return ParseToml(text, path);
}

}  // namespace r1
