// JSON text as hostile input, held against a second parser (nlohmann's own). What must hold: no crash; the same texts
// are accepted, but for duplicate keys, depth, a byte order mark and NUL (the end of the text to the other one), which
// only this one refuses; the same values are read; and what is written reads back.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto require = [](bool condition) {
    if (!condition) std::abort();
  };
  const auto mine = r1::ParseJson(text, "fuzz");
  const nlohmann::json theirs = nlohmann::json::parse(text, nullptr, false);
  if (!mine.ok()) {
    const std::string& message = mine.error().message;
    require(message.rfind("fuzz:", 0) == 0);
    const bool stricter = message.find("duplicate key") != std::string::npos ||
                          message.find("nested deeper") != std::string::npos || text.substr(0, 3) == "\xef\xbb\xbf" ||
                          text.find('\0') != std::string_view::npos;
    require(stricter || theirs.is_discarded());
    return 0;
  }
  require(!theirs.is_discarded() && *mine == theirs);
  const auto again = r1::ParseJson(r1::ToLineText(*mine), "again");
  require(again.ok() && *again == *mine);
  const auto pretty = r1::ParseJson(r1::ToPrettyText(*mine), "pretty");
  require(pretty.ok() && *pretty == *mine);
  return 0;
}
