#include "base/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/quote.h"

namespace r1 {
namespace {

char Fold(char c) { return c == '-' ? '_' : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return Fold(x) == Fold(y); });
}

// Damerau-Levenshtein distance with adjacent swaps, '-' and '_' equal.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t cost = Fold(a[i - 1]) == Fold(b[j - 1]) ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + cost});
      if (i > 1 && j > 1 && Fold(a[i - 1]) == Fold(b[j - 2]) && Fold(a[i - 2]) == Fold(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before = above;
    std::swap(above, row);
  }
  return above[b.size()];
}

Error WrongType(const Field& field, std::string_view text, const char* wanted) {
  return Error{ErrorCode::kUsage, fmt::format("{}: {} is not {}", field.name, Quote(text), wanted)};
}

}  // namespace

std::string FieldText(const Field& field) {
  if (const auto* b = std::get_if<bool*>(&field.value)) return **b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t*>(&field.value)) return std::to_string(**i);
  if (const auto* d = std::get_if<double*>(&field.value)) return fmt::format("{}", **d);  // shortest that reads back
  return *std::get<std::string*>(field.value);
}

Status SetField(const Field& field, std::string_view text) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (auto* const* b = std::get_if<bool*>(&field.value)) {
    if (text == "true" || text == "1" || text == "yes" || text == "on") {
      **b = true;
    } else if (text == "false" || text == "0" || text == "no" || text == "off") {
      **b = false;
    } else {
      return WrongType(field, text, "true or false");
    }
  } else if (auto* const* i = std::get_if<int64_t*>(&field.value)) {
    int64_t value = 0;
    const auto parsed = std::from_chars(begin, end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
      return WrongType(field, text,
                       parsed.ec == std::errc::result_out_of_range ? "a 64-bit whole number" : "a whole number");
    }
    **i = value;
  } else if (auto* const* d = std::get_if<double*>(&field.value)) {
    double value = 0;
    const auto parsed = std::from_chars(begin, end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value))
      return WrongType(field, text, "a finite number");
    **d = value;
  } else {
    *std::get<std::string*>(field.value) = std::string(text);
  }
  return {};
}

const Field* FindField(const FieldList& list, std::string_view name) {
  for (const Field& field : list) {
    if (SameName(field.name, name)) return &field;
  }
  return nullptr;
}

std::string NearestName(std::string_view name, const std::vector<std::string>& candidates) {
  const auto last = [](std::string_view s) {
    return s.substr(s.rfind('.') == std::string_view::npos ? 0 : s.rfind('.') + 1);
  };
  const std::string_view shown = name.substr(0, 128);
  const std::string* best = nullptr;
  size_t best_distance = std::numeric_limits<size_t>::max();
  for (const std::string& candidate : candidates) {
    size_t distance = EditDistance(shown, candidate);
    // The right key in the wrong table: 'learning_rate' for 'rl.learning_rate'.
    if (distance > 1 && SameName(last(shown), last(candidate))) distance = 1;
    if (distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  // About one slip in three letters; short names are suggested only for a single slip.
  if (best == nullptr || best_distance > std::max<size_t>(1, shown.size() / 3)) return "";
  return *best;
}

Error UnknownField(std::string_view name, const FieldList& list, std::string_view where) {
  std::vector<std::string> names;
  for (const Field& field : list) names.push_back(field.name);
  std::string message = fmt::format("unknown key {} in {}", Quote(name), where);
  if (const std::string nearest = NearestName(name, names); !nearest.empty()) {
    message += fmt::format("; did you mean {}?", Quote(nearest));
  }
  return Error{ErrorCode::kUsage, std::move(message)};
}

std::string FieldsText(const FieldList& list) {
  std::string text;
  for (const Field& field : list) text += field.name + " = " + FieldText(field) + "\n";
  return text;
}

}  // namespace r1
