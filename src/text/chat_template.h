// Chat templates: a Jinja template and variables (messages, tools, add_generation_prompt, bos_token, ...) to the text
// of a prompt, as Hugging Face Transformers renders it: Jinja's sandbox with trim_blocks, lstrip_blocks, loop controls,
// tojson without HTML escapes, raise_exception, strftime_now, generation blocks. A template is code from outside: its
// size, nesting, steps, memory, output and computing time are bounded, and it can reach nothing but its variables.
// Differences from Jinja: integers have 64 bits; inheritance, include and import, autoescape, and the filters pprint,
// random, urlize, wordwrap, xmlattr, striptags and filesizeformat are refused; what map, select and their kin yield is
// computed at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "text/chat_prompt.h"

namespace r1 {

namespace jinja {
struct DictObject;
struct Program;
}  // namespace jinja

struct TemplateLimits {
  int64_t max_steps = 1'000'000;          // evaluations, iterations, and one for each 256 bytes copied
  int64_t max_output = 4 << 20;           // bytes of the text, and of any string on the way
  int64_t max_bytes = int64_t{48} << 20;  // of all strings and lists made on the way together
  int64_t max_ms = 100;                   // computing time of the thread
  int64_t now = -1;  // what strftime_now takes as now: seconds since 1970, shown in UTC; -1: the clock
};

// The variables of a template: a JSON object whose order of keys is kept. Their strings are content, which never
// becomes a special token, but for two kinds that are scaffold: the variables bos_token, eos_token, pad_token,
// unk_token, sep_token, cls_token and mask_token, and the role of a message if it is one of the known words. Who lets
// requests add variables must keep those names out.
class TemplateVars {
 public:
  // At most 32 MiB, 400,000 values and 90 levels; no duplicate keys. `where` names the text in errors.
  static Result<TemplateVars> FromJsonText(std::string_view text, std::string_view where);
  static Result<TemplateVars> FromJson(const nlohmann::ordered_json& vars, std::string_view where);
  // nlohmann::json sorts keys, so tools come out with theirs in another order than given: prefer the one above.
  static Result<TemplateVars> FromJson(const nlohmann::json& vars, std::string_view where);

  const jinja::DictObject& values() const { return *values_; }

 private:
  TemplateVars() = default;
  std::shared_ptr<const jinja::DictObject> values_;
};

class ChatTemplate {
 public:
  static constexpr size_t kMaxBytes = size_t{256} << 10;

  // Errors are "WHERE:LINE:COLUMN: what is wrong; what to do".
  static Result<ChatTemplate> Parse(std::string_view text, std::string_view where);
  static Result<ChatTemplate> Load(const std::string& path);

  // May be called from several threads. raise_exception of the template is an error that quotes its message.
  Result<RenderedPrompt> Render(const TemplateVars& vars, const TemplateLimits& limits = {}) const;

  const std::string& sha256() const { return sha256_; }  // of the text as given

 private:
  ChatTemplate() = default;
  std::string where_;
  std::string text_;  // with normal newlines, for places in errors
  std::string sha256_;
  std::shared_ptr<const jinja::Program> program_;
};

}  // namespace r1
