// Config is data with one visitor. A config struct has
//   template <class V> void Fields(V& v) { v("learning_rate", learning_rate, "peak learning rate"); v("model", model,
//   "..."); }
// where a field is bool, int64_t, double, std::string or another such struct (whose names get the prefix "model.").
// File, command line, --help, hash, manifest and diff all walk the flat list that CollectFields returns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/result.h"

namespace r1 {

struct Field {
  std::string name;  // dotted
  std::variant<bool*, int64_t*, double*, std::string*> value;
  std::string help;  // meaning and unit
};
using FieldList = std::vector<Field>;

class FieldCollector {
 public:
  explicit FieldCollector(FieldList* out, std::string prefix = "") : out_(out), prefix_(std::move(prefix)) {}
  template <class T>
  void operator()(const char* name, T& value, const char* help) {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, double> ||
                  std::is_same_v<T, std::string>) {
      out_->push_back({prefix_ + name, &value, help});
    } else {
      FieldCollector inner(out_, prefix_ + name + ".");
      value.Fields(inner);
    }
  }

 private:
  FieldList* out_;
  std::string prefix_;
};

// The fields of a config struct; pointers stay valid as long as the struct does not move.
template <class Config>
FieldList CollectFields(Config& config) {
  FieldList list;
  FieldCollector collector(&list);
  config.Fields(collector);
  return list;
}

// The text form of a field's present value ("true", "8", "0.0003", "grpo").
std::string FieldText(const Field& field);
// Parses text into the field; error kUsage names the field, the text and the type wanted.
Status SetField(const Field& field, std::string_view text);
// Finds by name; '-' and '_' are the same. nullptr if there is none.
const Field* FindField(const FieldList& list, std::string_view name);
// The candidate with the smallest edit distance to `name` ('-' and '_' equal), or "" if none is near enough to suggest.
std::string NearestName(std::string_view name, const std::vector<std::string>& candidates);
// "unknown key 'lerning_rate' in WHERE; did you mean 'learning_rate'?"
Error UnknownField(std::string_view name, const FieldList& list, std::string_view where);
// One line per field: "name = value\n" in list order; the input of the config hash.
std::string FieldsText(const FieldList& list);

}  // namespace r1
