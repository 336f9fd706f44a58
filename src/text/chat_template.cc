#include "text/chat_template.h"

#include "base/files.h"
#include "base/json_scan.h"
#include "base/utf8.h"
#include "text/jinja_eval.h"
#include "text/jinja_lexer.h"
#include "text/jinja_parse.h"

namespace r1 {
namespace {

Error At(const std::string& where, std::string_view text, size_t offset, const std::string& message) {
  return {ErrorCode::kBadInput, where + ":" + LineColumn(text, offset) + ": " + message};
}

std::vector<RenderedPrompt::Stretch> StretchesOf(const OriginText& text) {
  std::vector<RenderedPrompt::Stretch> stretches;
  size_t begin = 0;
  text.ForEachStretch([&](std::string_view stretch, bool content) {
    stretches.push_back({begin, begin + stretch.size(), content});
    begin += stretch.size();
  });
  return stretches;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::Parse(std::string_view text, std::string_view where) {
  ChatTemplate parsed;
  parsed.where_ = where;
  if (text.size() > kMaxBytes) {
    return Error{ErrorCode::kBadInput, parsed.where_ + ": a template of " + std::to_string(text.size()) +
                                           " bytes; at most " + std::to_string(kMaxBytes) +
                                           " are allowed. Is it a chat template?"};
  }
  if (const size_t bad = FirstInvalidUtf8(text); bad < text.size()) {
    return At(parsed.where_, text.substr(0, bad), bad, "the template is not valid UTF-8; save it as UTF-8");
  }
  parsed.sha256_ = Sha256(text);
  parsed.text_ = jinja::NormalizeNewlines(text);
  auto program = std::make_shared<jinja::Program>();
  jinja::SourceError error;
  if (!jinja::ParseProgram(parsed.text_, program.get(), &error)) {
    return At(parsed.where_, parsed.text_, error.offset, error.message);
  }
  parsed.program_ = std::move(program);
  return parsed;
}

Result<ChatTemplate> ChatTemplate::Load(const std::string& path) {
  R1_ASSIGN(const std::string text, ReadFile(path, int64_t{64} << 20));
  return Parse(text, path);
}

Result<RenderedPrompt> ChatTemplate::Render(const TemplateVars& vars, const TemplateLimits& limits) const {
  jinja::RenderState state(limits.max_steps, limits.max_bytes, limits.max_output, limits.max_ms * 1000);
  state.now = limits.now;
  jinja::Interpreter interpreter(*program_, vars.values(), state);
  const OriginText text = interpreter.Run();
  if (state.failed()) return At(where_, text_, state.failed_at(), state.message());
  RenderedPrompt prompt;
  prompt.stretches = StretchesOf(text);
  prompt.text = text.bytes();
  for (const auto& span : interpreter.generations()) prompt.generations.push_back({span.begin, span.end, false});
  return prompt;
}

}  // namespace r1
