// What a ModelText of a folder holds; for its own .cc files.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/model_text.h"
#include "text/chat_template.h"

namespace r1 {

struct ModelText::Own {
  explicit Own(Tokenizer t) : tokenizer(std::move(t)) {}
  Tokenizer tokenizer;
  bool world = false;
  std::optional<ChatTemplate> chat;
  std::vector<std::pair<std::string, std::string>> tokens;  // as ModelTextParts
  std::vector<int32_t> stop;                                // the first one ends a reply
  int32_t begin = -1;
  std::string identity;
  std::vector<std::pair<std::string, std::string>> files;
};

}  // namespace r1
