// A chat template and a conversation as hostile input: {"template": "...", "messages": [...]} with a tokenizer of
// bytes. An error with a message, or documents whose tokens exist and whose losses lie inside them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json.h"
#include "data/chat_messages.h"
#include "data/model_text.h"
#include "text/bpe_train.h"

namespace {

void Expect(bool good) {
  if (!good) std::abort();
}

r1::Tokenizer Bytes() {
  return r1::TrainBpe(r1::WordCounts{}, {{-1, "<s>"}, {-1, "</s>"}, {-1, "<think>"}, {-1, "</think>"}}, {}).value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto input = r1::ParseJson({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!input.ok() || !input->is_object() || !input->contains("template") || !(*input)["template"].is_string()) return 0;
  r1::ModelTextParts parts;
  parts.chat_template = (*input)["template"].get<std::string>();
  parts.tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const auto text = r1::ModelText::Make(Bytes(), parts);
  if (!text.ok()) {
    Expect(!text.error().message.empty());
    return 0;
  }
  const auto messages =
      r1::ReadMessages(input->contains("messages") ? (*input)["messages"] : nlohmann::json(), "messages", "fuzz");
  if (!messages.ok()) {
    Expect(!messages.error().message.empty());
    return 0;
  }
  const auto prompt = text->Prompt(*messages, "fuzz");
  if (prompt.ok()) Expect(!prompt->tokens.empty());
  const auto documents = text->Conversation(*messages, "fuzz");
  if (!documents.ok()) {
    Expect(!documents.error().message.empty());
    return 0;
  }
  Expect(!documents->empty());
  for (const r1::TokenDocument& d : *documents) {
    const auto n = static_cast<int32_t>(d.tokens.size());
    Expect(d.loss_from >= 1 && d.loss_from < n);
    for (const int32_t token : d.tokens) Expect(token >= 0 && token < text->tokenizer().size());
    int32_t at = d.loss_from;
    for (const r1::TokenSpan& span : d.masked) {
      Expect(span.begin > at && span.end > span.begin && span.end < n);
      at = span.end;
    }
  }
  return 0;
}
