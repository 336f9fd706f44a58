// r1 tokenize: the tokens of a text, or the text of tokens.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/quote.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/token_input.h"

namespace r1::cli {
namespace {

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

struct TokenizeConfig {
  std::string file;
  bool content = false;
  bool around = false;
  std::string decode;
  bool skip_special = false;

  template <class V>
  void Fields(V& v) {
    v("file", file, "take the text from this file, as it is");
    v("content", content, "text of a user: nothing in it becomes an added token such as <think>");
    v("around", around, "add the tokens that the tokenizer's post_processor puts around a text (the begin token)");
    v("decode", decode, "token ids with commas or spaces between: print their text instead");
    v("skip_special", skip_special, "with --decode: leave special tokens out");
  }
};

Result<int> Decode(const Tokenizer& tokenizer, const TokenizeConfig& config, bool json) {
  R1_ASSIGN(const std::vector<int32_t> ids, ReadTokenIds(config.decode, "--decode"));
  const std::string text = tokenizer.Decode(ids, config.skip_special);
  if (json) {
    PrintJson({{"ids", ids}, {"text", text}});
  } else {
    Print(text + "\n");
  }
  return 0;
}

Result<int> Run(const TokenizeConfig& config, const Invocation& invocation) {
  const size_t texts =
      invocation.positionals.size() - 1 + (config.file.empty() ? 0 : 1) + (config.decode.empty() ? 0 : 1);
  if (texts != 1) return Error{ErrorCode::kUsage, "give one of TEXT, --file and --decode"};
  if (config.content && config.around) {
    return Error{ErrorCode::kUsage, "--content and --around exclude each other: content stands inside a template"};
  }
  R1_ASSIGN(const Tokenizer tokenizer, OpenTokenizer(invocation.positionals[0]));
  if (!config.decode.empty()) return Decode(tokenizer, config, invocation.json);
  std::string text;
  if (config.file.empty()) {
    text = invocation.positionals[1];
  } else {
    R1_ASSIGN(text, ReadFile(config.file, kMaxTextBytes));
  }
  const std::vector<int32_t> ids =
      config.content ? tokenizer.EncodeContent(text) : tokenizer.Encode(text, config.around);
  if (invocation.json) {
    nlohmann::ordered_json out = {{"count", ids.size()}, {"ids", ids}};
    out["pieces"] = nlohmann::ordered_json::array();
    for (const int32_t id : ids) out["pieces"].push_back(tokenizer.TextOf(id));
    PrintJson(out);
    return 0;
  }
  for (const int32_t id : ids) {
    Print(fmt::format("{:>7}  {}{}\n", id, Quote(tokenizer.TextOf(id)),
                      tokenizer.AddedOf(id) != nullptr ? "  added" : ""));
  }
  return 0;
}

}  // namespace

Command TokenizeCommand() {
  Command command;
  command.name = "tokenize";
  command.group = "Look at results";
  command.summary = "show the tokens of a text, or the text of tokens";
  command.description =
      "Reads the tokenizer.json of a model folder, a checkpoint or a file, of r1 or published (GPT-2, Llama 2 and 3, "
      "Qwen2 and 3, DeepSeek), or a vocabulary of llama2.c (.bin). One line a token: its id and its bytes, and whether "
      "it is an added token. In JSON the "
      "bytes of a piece that is not whole characters are shown as U+FFFD.";
  command.examples = {{"r1 tokenize runs/r1/R1 \" try 19 + 13\"", "the tokens of a text"},
                      {"r1 tokenize tokenizer.json --file book.txt --json", "those of a file, as JSON"},
                      {"r1 tokenize tokenizer.json \"<think>\" --content", "what a user's text becomes"},
                      {"r1 tokenize tokenizer.json --decode 9707,4337", "the text of tokens"}};
  command.positionals = {{"TOKENIZER", "model folder, checkpoint, run, tokenizer.json or llama2.c vocabulary (.bin)"},
                         {"TEXT", "the text; or --file, or --decode", false}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
