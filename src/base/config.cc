#include "base/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/quote.h"
#include "base/toml.h"

namespace r1 {
namespace {

using nlohmann::ordered_json;
using Value = std::variant<bool, int64_t, double, std::string>;

const char* WantedType(const Field& field) {
  switch (field.value.index()) {
    case 0:
      return "true or false";
    case 1:
      return "a whole number";
    case 2:
      return "a number";
    default:
      return "text in quotes";
  }
}

template <class Json>
std::string Shown(const Json& value) {
  if (value.is_object()) return "a table";
  if (value.is_array()) return "a list";
  if (value.is_string()) return Quote(value.template get_ref<const std::string&>());
  return value.dump();
}

struct Assignment {
  const Field* field;
  Value value;
};

// Walks the nested tables and collects what is to be set.
template <class Json>
class Walker {
 public:
  Walker(std::string_view where, const FieldList& list) : where_(where), list_(list) {
    for (const Field& field : list) {
      for (size_t dot = field.name.find('.'); dot != std::string::npos; dot = field.name.find('.', dot + 1)) {
        const std::string name = field.name.substr(0, dot);
        if (FindField(tables_, name) == nullptr) tables_.push_back({name, field.value, ""});
      }
    }
  }

  Status Walk(const Json& table, const std::string& prefix) {
    if (!table.is_object())
      return Error{ErrorCode::kUsage, fmt::format("{}: a table is wanted, not {}", where_, Shown(table))};
    for (const auto& [key, value] : table.items()) {
      const std::string name = prefix + key;
      if (const Field* field = FindField(list_, name); field != nullptr) {
        R1_TRY(Take(*field, value));
      } else if (value.is_object() && FindField(tables_, name) != nullptr) {
        R1_TRY(Walk(value, name + "."));
      } else {
        return UnknownName(name);
      }
    }
    return {};
  }

  const std::vector<Assignment>& assignments() const { return assignments_; }

 private:
  Status Take(const Field& field, const Json& value) {
    for (const Assignment& other : assignments_) {
      if (other.field == &field) {
        return Error{ErrorCode::kUsage, fmt::format("{}: {} is given twice", where_, Quote(field.name))};
      }
    }
    if (std::holds_alternative<bool*>(field.value) && value.is_boolean()) {
      assignments_.push_back({&field, value.template get<bool>()});
    } else if (std::holds_alternative<int64_t*>(field.value) && FitsInt64(value)) {
      assignments_.push_back({&field, value.template get<int64_t>()});
    } else if (std::holds_alternative<double*>(field.value) && value.is_number()) {
      assignments_.push_back({&field, value.template get<double>()});
    } else if (std::holds_alternative<std::string*>(field.value) && value.is_string()) {
      assignments_.push_back({&field, value.template get<std::string>()});
    } else {
      return Error{ErrorCode::kUsage, fmt::format("{}: {} is {}, but {} is wanted", where_, Quote(field.name),
                                                  Shown(value), WantedType(field))};
    }
    return {};
  }

  static bool FitsInt64(const Json& value) {
    return value.is_number_integer() &&
           (!value.is_number_unsigned() || value.template get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  }

  Error UnknownName(const std::string& name) const {
    FieldList known = list_;
    known.insert(known.end(), tables_.begin(), tables_.end());
    return UnknownField(name, known, where_);
  }

  std::string_view where_;
  const FieldList& list_;
  FieldList tables_;  // the names of the tables: every beginning of a field's name that ends before a dot
  std::vector<Assignment> assignments_;
};

template <class Json>
Status Apply(const Json& table, std::string_view where, const FieldList& list) {
  Walker<Json> walker(where, list);
  R1_TRY(walker.Walk(table, ""));
  for (const Assignment& assignment : walker.assignments()) {
    std::visit([&](auto* target) { *target = std::get<std::remove_pointer_t<decltype(target)>>(assignment.value); },
               assignment.field->value);
  }
  return {};
}

ordered_json ToJson(const Field& field) {
  return std::visit([](const auto* value) { return ordered_json(*value); }, field.value);
}

// A field's value as TOML: JSON's form, except that a double must not look like a whole number.
std::string TomlValue(const Field& field) {
  std::string text = ToLineText(ToJson(field));
  if (std::holds_alternative<std::string*>(field.value)) {
    std::string escaped;  // TOML wants DEL escaped, JSON does not
    for (const char c : text) escaped += c == '\x7f' ? std::string("\\u007f") : std::string(1, c);
    return escaped;
  }
  return text;
}

}  // namespace

Status ApplyTable(const nlohmann::ordered_json& table, std::string_view where, const FieldList& list) {
  return Apply(table, where, list);
}

Status ApplyTable(const nlohmann::json& table, std::string_view where, const FieldList& list) {
  return Apply(table, where, list);
}

Status ApplyConfigFile(const std::string& path, const FieldList& list) {
  if (path.size() > 5 && path.substr(path.size() - 5) == ".json") {
    R1_ASSIGN(const nlohmann::json table, ReadJsonFile(path, int64_t{4} << 20));
    return ApplyTable(table, path, list);
  }
  R1_ASSIGN(const ordered_json table, ReadTomlFile(path));
  return ApplyTable(table, path, list);
}

ordered_json FieldsToJson(const FieldList& list) {
  ordered_json root = ordered_json::object();
  for (const Field& field : list) {
    ordered_json* at = &root;
    size_t begin = 0;
    for (size_t dot = field.name.find('.'); dot != std::string::npos; dot = field.name.find('.', begin)) {
      at = &(*at)[field.name.substr(begin, dot - begin)];
      begin = dot + 1;
    }
    (*at)[field.name.substr(begin)] = ToJson(field);
  }
  return root;
}

std::string FieldsToToml(const FieldList& list, bool with_help) {
  std::string text;
  std::vector<std::string> sections{""};  // the plain keys first, then each table once, in the order of its first field
  const auto section_of = [](const Field& field) {
    const size_t dot = field.name.rfind('.');
    return dot == std::string::npos ? std::string() : field.name.substr(0, dot);
  };
  for (const Field& field : list) {
    const std::string section = section_of(field);
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) sections.push_back(section);
  }
  for (const std::string& section : sections) {
    if (!section.empty()) text += (text.empty() ? "[" : "\n[") + section + "]\n";
    for (const Field& field : list) {
      if (section_of(field) != section) continue;
      const std::string name = section.empty() ? field.name : field.name.substr(section.size() + 1);
      text += name + " = " + TomlValue(field);
      if (with_help && !field.help.empty()) text += "  # " + field.help;
      text += '\n';
    }
  }
  return text;
}

}  // namespace r1
