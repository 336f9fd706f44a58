// The one unit that includes toml++.
#include "base/toml.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#define TOML_EXCEPTIONS 1  // caught below; the path of toml++ without them is less travelled
// toml++ 3.3 asserts that a table name begins with a key character before it checks that ("[!]"), and with NDEBUG it
// tells clang to assume it. Assertions that do nothing leave the check to give the error.
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "base/files.h"
#include "base/json_scan.h"

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
      case toml::node_type::table:
        return Table(*node.as_table(), depth);
      case toml::node_type::array: {
        ordered_json array = ordered_json::array();
        for (const toml::node& item : *node.as_array()) {
          R1_ASSIGN(ordered_json value, Convert(item, depth + 1));
          array.push_back(std::move(value));
        }
        return array;
      }
      case toml::node_type::string:
        return ordered_json(node.as_string()->get());
      case toml::node_type::integer:
        return ordered_json(node.as_integer()->get());
      case toml::node_type::boolean:
        return ordered_json(node.as_boolean()->get());
      case toml::node_type::floating_point:
        if (!std::isfinite(node.as_floating_point()->get())) return Fail(node, "a finite number is wanted");
        return ordered_json(node.as_floating_point()->get());
      default:
        return Fail(node, "dates and times are not used here; write text in quotes");
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

// What toml++ 3.3 does not survive, found before it sees the text. Strings and comments are stepped over; where they
// are malformed the walk may lose its way, but toml++ stops there with an error, so what follows does not matter.
//   Non-ASCII characters outside strings and comments (never valid) reach code it believes unreachable.
//   Keys of thousands of dots build tables that are destroyed by recursion.
struct Trouble {
  size_t at = 0;
  const char* what = nullptr;
};

Trouble FindTrouble(std::string_view text) {
  constexpr int kMaxDots = 1000;
  int dots = 0;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '"' || c == '\'') {
      const bool multi_line = text.substr(i, 3) == std::string(3, c);
      const std::string_view quotes = text.substr(i, multi_line ? 3 : 1);
      for (i += quotes.size(); i < text.size() && text.substr(i, quotes.size()) != quotes; ++i) {
        if (!multi_line && text[i] == '\n') break;
        if (c == '"' && text[i] == '\\') ++i;
      }
      i = std::min(i + quotes.size(), text.size());
      for (int extra = 0; multi_line && extra < 2 && i < text.size() && text[i] == c; ++extra)
        ++i;  // two quotes before the closing three
    } else {
      if (static_cast<unsigned char>(c) >= 0x80)
        return {i, "a character outside quotes that only text in quotes may have"};
      if (c == '\n' || c == '=' || c == ',' || c == '[' || c == '{') dots = 0;
      if (c == '.' && ++dots > kMaxDots) return {i, "a key with more than 1000 dots"};
      ++i;
    }
  }
  return {};
}

}  // namespace

Result<ordered_json> ParseToml(std::string_view text, std::string_view where) {
  if (static_cast<int64_t>(text.size()) > kMaxBytes) {
    return Error{ErrorCode::kBadInput, fmt::format("{}: larger than the {} allowed", where, BytesText(kMaxBytes))};
  }
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);  // a byte order mark
  if (const Trouble trouble = FindTrouble(text); trouble.what != nullptr) {
    return Error{ErrorCode::kBadInput, fmt::format("{}:{}: {}", where, LineColumn(text, trouble.at), trouble.what)};
  }
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
