// A model.safetensors.index.json as hostile input. What must hold: no crash; an accepted index names only plain files
// and places every tensor once; written again it reads back as the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "store/safetensors_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto require = [](bool condition) {
    if (!condition) std::abort();
  };
  const auto index = r1::ParseSafetensorsIndex(text, "fuzz");
  if (!index.ok()) {
    require(index.error().message.size() > 6 && index.error().message.size() < 10000);
    return 0;
  }
  for (const std::string& shard : index->shards)
    require(!shard.empty() && shard[0] != '.' && shard.find('/') == std::string::npos &&
            shard.find('\0') == std::string::npos);
  for (size_t i = 0; i < index->placement.size(); ++i) {
    require(index->placement[i].second < index->shards.size());
    require(i == 0 || index->placement[i - 1].first < index->placement[i].first);
  }
  const auto again = r1::ParseSafetensorsIndex(r1::SafetensorsIndexText(*index), "again");
  require(again.ok() && again->shards == index->shards && again->placement == index->placement &&
          again->total_size == index->total_size);
  return 0;
}
