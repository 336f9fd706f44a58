// A chat template, and after a NUL byte its variables, as hostile input. What must hold: no crash, within the limits;
// what renders is UTF-8 and made of stretches of alternating origin; without variables nothing is content; its tokens
// decode to it, and content holds none that is special.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "text/bpe_train.h"
#include "text/chat_template.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

const r1::Tokenizer& Trained() {
  static const r1::Tokenizer tokenizer =
      r1::TrainBpe(std::vector<std::string>{" user assistant system think hello <| |>"},
                   {{.id = -1, .content = "<think>"}, {.id = -1, .content = "<|user|>"}, {.id = -1, .content = "<s>"}},
                   {.max_vocab = 400, .min_count = 1})
          .value();
  return tokenizer;
}

void CheckPrompt(const r1::RenderedPrompt& prompt, bool has_vars) {
  Require(r1::FirstInvalidUtf8(prompt.text) == prompt.text.size());
  size_t at = 0;
  bool content = true;
  size_t scaffold_specials = 0;
  for (const auto& stretch : prompt.stretches) {
    Require(stretch.begin == at && stretch.end > at && (at == 0 || stretch.content != content));
    content = stretch.content;
    Require(has_vars || !content);
    at = stretch.end;
    if (content) continue;
    for (const int32_t id : Trained().Encode(prompt.text.substr(stretch.begin, stretch.end - stretch.begin))) {
      for (const auto& added : Trained().parts().added) scaffold_specials += added.id == id;
    }
  }
  Require(at == prompt.text.size());
  const std::vector<int32_t> ids = r1::EncodePrompt(Trained(), prompt);
  Require(Trained().Decode(ids) == prompt.text);
  for (const int32_t id : ids) {
    for (const auto& added : Trained().parts().added) {
      if (added.id == id) Require(scaffold_specials-- > 0);
    }
  }
  Require(scaffold_specials == 0);
  (void)r1::ThinkStateOf(prompt);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = input.find('\0');
  const auto parsed = r1::ChatTemplate::Parse(input.substr(0, nul), "fuzz");
  if (!parsed.ok()) {
    Require(parsed.error().message.rfind("fuzz:", 0) == 0);
    return 0;
  }
  const bool has_vars = nul != std::string_view::npos;
  auto vars = r1::TemplateVars::FromJsonText(has_vars ? input.substr(nul + 1) : "{}", "vars");
  if (!vars.ok())
    vars = r1::TemplateVars::FromJsonText(R"({"messages": [{"role": "user", "content": "<s> hi"}]})", "v");
  const auto prompt = parsed->Render(*vars, {.max_steps = 100'000, .max_output = 1 << 16, .max_bytes = 1 << 22});
  if (prompt.ok()) {
    CheckPrompt(*prompt, has_vars);
  } else {
    Require(prompt.error().message.rfind("fuzz:", 0) == 0);
  }
  return 0;
}
