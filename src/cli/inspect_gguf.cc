#include "cli/inspect_gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "cli/output.h"

namespace r1::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr size_t kShownElements = 8;
constexpr size_t kShownTextBytes = 60;

OrderedJson Value(const GgufEntry& entry) {
  if (const auto text = entry.String()) return std::string(*text);
  if (const auto truth = entry.Bool()) return *truth;
  if (const auto integer = entry.Integer()) return *integer;
  if (const auto number = entry.Number()) return *number;
  if (entry.type != GgufType::kU64) return "...";  // an array in an array
  uint64_t large = 0;                              // from 2^63 on
  std::memcpy(&large, entry.bytes.data(), sizeof large);
  return large;
}

std::string ValueText(const OrderedJson& value) {
  return value.is_string() ? Quote(value.get<std::string>(), kShownTextBytes)
                           : value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace

OrderedJson GgufFacts(const GgufFile& file) {
  OrderedJson out;
  out["version"] = file.version();
  out["alignment"] = file.alignment();
  out["keys"] = OrderedJson::array();
  for (const GgufEntry& entry : file.metadata()) {
    OrderedJson& key = out["keys"].emplace_back();
    key["key"] = entry.key;
    if (entry.type != GgufType::kArray) {
      key["type"] = GgufTypeName(entry.type);
      key["value"] = Value(entry);
      continue;
    }
    key["type"] = fmt::format("array of {}", GgufTypeName(entry.element));
    key["count"] = entry.count;
    key["first"] = OrderedJson::array();
    GgufElements elements(entry);
    GgufEntry element;
    while (key["first"].size() < kShownElements && elements.Next(&element)) key["first"].push_back(Value(element));
  }
  const Status consistent = CheckGgufModel(file);
  out["consistent"] = consistent.ok();
  if (!consistent.ok()) out["why_not"] = consistent.error().message;
  return out;
}

std::string GgufText(const OrderedJson& facts) {
  std::vector<std::vector<std::string>> rows = {{"version", facts["version"].dump()},
                                                {"alignment", facts["alignment"].dump()}};
  if (!facts["consistent"].get<bool>()) rows.push_back({"problem", facts["why_not"].get<std::string>()});
  std::string text = "GGUF\n" + ColumnsText(rows, 2);
  rows.clear();
  for (const OrderedJson& key : facts["keys"]) {
    std::string value;
    if (key.contains("value")) {
      value = ValueText(key["value"]);
    } else {
      value = CountText(key["count"].get<int64_t>()) + ": ";
      for (const OrderedJson& element : key["first"]) value += ValueText(element) + " ";
      if (key["count"].get<size_t>() > key["first"].size()) value += "...";
    }
    rows.push_back({EscapedName(key["key"].get<std::string>()), key["type"].get<std::string>(), value});
  }
  return text + "\nKeys\n" + ColumnsText(rows, 2);
}

std::string EscapedName(const std::string& name) {
  const std::string quoted = Quote(name, 256);
  return quoted.substr(1, quoted.size() - 2);
}

CountShape GgufCountShape(const GgufFile& file) {
  const auto architecture = file.String("general.architecture");
  if (!architecture.ok()) return {};
  const auto number = [&](const char* suffix) {
    const auto value = file.Integer(std::string(*architecture) + suffix);
    return value.ok() ? std::max<int64_t>(0, *value) : 0;
  };
  CountShape shape;
  shape.layers = std::max<int64_t>(0, number(".block_count") - number(".nextn_predict_layers"));
  shape.routed_experts = number(".expert_count");
  shape.experts_per_token = std::min(number(".expert_used_count"), shape.routed_experts);
  return shape;
}

}  // namespace r1::cli
