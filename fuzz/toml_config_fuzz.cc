// A TOML config as hostile input. What must hold: no crash; the config is unchanged if the file is refused; an accepted
// config, written as TOML and as JSON, reads back to the same values.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/fields.h"
#include "base/toml.h"

namespace {

struct Inner {
  int64_t layers = 4;
  double rate = 0.5;
  template <class V>
  void Fields(V& v) {
    v("layers", layers, "blocks");
    v("rate", rate, "per step");
  }
};

struct Config {
  bool flag = false;
  std::string name = "x";
  Inner inner;
  template <class V>
  void Fields(V& v) {
    v("flag", flag, "");
    v("name", name, "of the run");
    v("inner", inner, "");
  }
};

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto table = r1::ParseToml({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!table.ok()) {
    Require(table.error().message.rfind("fuzz:", 0) == 0);
    return 0;
  }
  Config config;
  const r1::FieldList list = r1::CollectFields(config);
  const std::string before = r1::FieldsText(list);
  if (!r1::ApplyTable(*table, "fuzz", list).ok()) {
    Require(r1::FieldsText(list) == before);
    return 0;
  }
  const auto again = r1::ParseToml(r1::FieldsToToml(list, size % 2 == 0), "again");
  Require(again.ok());
  Config from_toml, from_json;
  Require(r1::ApplyTable(*again, "again", r1::CollectFields(from_toml)).ok());
  Require(r1::ApplyTable(r1::FieldsToJson(list), "json", r1::CollectFields(from_json)).ok());
  Require(r1::FieldsText(r1::CollectFields(from_toml)) == r1::FieldsText(list));
  Require(r1::FieldsText(r1::CollectFields(from_json)) == r1::FieldsText(list));
  return 0;
}
