// r1 template: what a chat template makes of messages, and which part of it the template wrote.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/quote.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "text/chat_template.h"

namespace r1::cli {
namespace {

constexpr int64_t kMaxVarsBytes = int64_t{64} << 20;
constexpr size_t kMaxShownBytes = 2000;  // of a segment

struct TemplateConfig {
  std::string template_file;
  std::string vars;
  bool raw = false;
  int64_t max_ms = 100;
  int64_t now = -1;

  template <class V>
  void Fields(V& v) {
    v("template_file", template_file, "file of the template (chat_template.jinja)");
    v("vars", vars,
      "JSON file of the variables: messages, add_generation_prompt, tools, bos_token, ...; none if empty");
    v("raw", raw, "print the text alone, without a line end");
    v("max_ms", max_ms, "longest computing time, ms");
    v("now", now, "what strftime_now takes as now: seconds since 1970, shown in UTC; -1: the clock, in local time");
  }
};

nlohmann::ordered_json ToJson(const RenderedPrompt& prompt, const ChatTemplate& parsed) {
  nlohmann::ordered_json segments = nlohmann::ordered_json::array();
  for (const RenderedPrompt::Stretch& stretch : prompt.stretches) {
    segments.push_back({{"origin", stretch.content ? "content" : "scaffold"},
                        {"begin", stretch.begin},
                        {"end", stretch.end},
                        {"text", prompt.text.substr(stretch.begin, stretch.end - stretch.begin)}});
  }
  nlohmann::ordered_json generations = nlohmann::ordered_json::array();
  for (const RenderedPrompt::Stretch& stretch : prompt.generations) {
    generations.push_back({{"begin", stretch.begin}, {"end", stretch.end}});
  }
  return {{"text", prompt.text},
          {"segments", segments},
          {"think_state", ThinkStateName(ThinkStateOf(prompt))},
          {"generations", generations},
          {"template_sha256", parsed.sha256()}};
}

Result<int> Run(const TemplateConfig& config, const Invocation& invocation) {
  if (config.template_file.empty()) {
    return Error{ErrorCode::kUsage, "--template-file is needed: the file of a chat template"};
  }
  if (config.raw && invocation.json) return Error{ErrorCode::kUsage, "--raw and --json exclude each other"};
  if (config.max_ms < 1 || config.max_ms > 3'600'000) {
    return Error{ErrorCode::kUsage, fmt::format("--max-ms: {} is not in 1 .. 3600000", config.max_ms)};
  }
  R1_ASSIGN(const ChatTemplate parsed, ChatTemplate::Load(config.template_file));
  std::string json = "{}";
  if (!config.vars.empty()) {
    R1_ASSIGN(json, ReadFile(config.vars, kMaxVarsBytes));
  }
  R1_ASSIGN(const TemplateVars vars, TemplateVars::FromJsonText(json, config.vars));
  TemplateLimits limits;
  limits.max_ms = config.max_ms;
  limits.now = config.now;
  R1_ASSIGN(const RenderedPrompt prompt, parsed.Render(vars, limits));
  if (invocation.json) {
    PrintJson(ToJson(prompt, parsed));
  } else if (config.raw) {
    Print(prompt.text);
  } else {
    for (const RenderedPrompt::Stretch& stretch : prompt.stretches) {
      const std::string text = prompt.text.substr(stretch.begin, stretch.end - stretch.begin);
      Print(fmt::format("{}  {}\n", stretch.content ? "content " : "scaffold", Quote(text, kMaxShownBytes)));
    }
    Print(fmt::format("think tags at the end: {}\ntemplate sha256: {}\n", ThinkStateName(ThinkStateOf(prompt)),
                      parsed.sha256()));
  }
  return 0;
}

}  // namespace

Command TemplateCommand() {
  Command command;
  command.name = "template";
  command.group = "Look at results";
  command.summary = "render a chat template: the text of a prompt, and who wrote which part of it";
  command.description =
      "Renders a chat template (Jinja, as Hugging Face Transformers does it) with the variables of a JSON file. Shows "
      "the prompt in "
      "segments: scaffold, which the template wrote and in which alone special tokens are found, and content, which "
      "came from the "
      "variables and never becomes a special token. Says too whether the reply would begin inside <think>.\n\n"
      "A template is a program from outside; it runs within limits of size (256 KB), nesting, steps, output (4 MiB) "
      "and "
      "computing time, and can reach nothing but its variables. Errors name file, line and column.";
  command.examples = {
      {"r1 template --template-file chat_template.jinja --vars vars.json", "the prompt in segments"},
      {"r1 template --template-file chat_template.jinja --vars vars.json --raw", "its text, byte for byte"},
      {"r1 template --template-file chat_template.jinja --vars vars.json --json", "text, segments and think_state"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
