#include "data/model_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "data/chat.h"
#include "data/model_text_own.h"
#include "text/r1_zero_template.h"
#include "world/words.h"

namespace r1 {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxTokenizerBytes = int64_t{256} << 20;
constexpr int64_t kMaxConfigBytes = int64_t{16} << 20;
constexpr int64_t kMaxTemplateMs = 1000;          // a training text may be long
constexpr int64_t kTemplateDate = 1'721'952'000;  // 26 July 2024, UTC
constexpr size_t kMaxStop = 4096;
constexpr const char* kTokenNames[] = {"bos_token", "eos_token", "pad_token", "unk_token",
                                       "sep_token", "cls_token", "mask_token"};
constexpr const char* kTokenizerConfig = "tokenizer_config.json";
constexpr const char* kTemplateFile = "chat_template.jinja";
constexpr const char* kGenerationConfig = "generation_config.json";

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

// The prompt of R1-Zero as a template, for base models without one.
std::string BaseTemplate() {
  return "{{ bos_token }}" + std::string(kR1ZeroPreamble) +
         "{% for m in messages %}{% if m.role == 'user' %}{{ 'User: ' + m.content + '\\n' }}"
         "{% elif m.role == 'assistant' %}{{ 'Assistant: ' + m.content + eos_token + '\\n' }}"
         "{% else %}{{ raise_exception('a base model without a chat template takes no ' + m.role + ' message') }}"
         "{% endif %}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";
}

// A special token is a text or an object with one; "" if there is none.
Result<std::string> TokenText(const nlohmann::json& config, const char* name, const std::string& where) {
  const auto entry = config.find(name);
  if (entry == config.end() || entry->is_null()) return std::string();
  const nlohmann::json* text = &*entry;
  if (entry->is_object() && entry->contains("content")) text = &(*entry)["content"];
  if (!text->is_string())
    return Bad(where, std::string("'") + name + "' is neither a text nor an object with 'content'");
  return text->get<std::string>();
}

Result<std::string> TemplateOf(const nlohmann::json& config, const std::string& where) {
  const auto entry = config.find("chat_template");
  if (entry == config.end() || entry->is_null()) return std::string();
  if (entry->is_string()) return entry->get<std::string>();
  std::string names;
  for (const nlohmann::json& named : entry->is_array() ? *entry : nlohmann::json::array()) {
    const bool good = named.is_object() && named.contains("name") && named["name"].is_string() &&
                      named.contains("template") && named["template"].is_string();
    if (!good) return Bad(where, "'chat_template' has an entry without 'name' and 'template'");
    if (named["name"] == "default") return named["template"].get<std::string>();
    names += " " + named["name"].get<std::string>();
  }
  return Bad(where, names.empty() ? "'chat_template' is neither a text nor a list of named templates"
                                  : "'chat_template' has no template named default, only" + names);
}

// eos_token_id: an id, a list of ids, null or -1 for none.
Status AddStopIds(const nlohmann::json& config, int32_t vocabulary, const std::string& where,
                  std::vector<int32_t>* stop) {
  const auto entry = config.find("eos_token_id");
  if (entry == config.end() || entry->is_null()) return {};
  const nlohmann::json ids = entry->is_array() ? *entry : nlohmann::json::array({*entry});
  if (ids.size() > kMaxStop) return Bad(where, "'eos_token_id' has more than " + std::to_string(kMaxStop) + " ids");
  for (const nlohmann::json& id : ids) {
    if (id == -1) continue;
    if (!id.is_number_integer() || id < 0 || id >= vocabulary)
      return Bad(where, "'eos_token_id' is not an id of the tokenizer, or a list of such: " + id.dump());
    stop->push_back(id.get<int32_t>());
  }
  return {};
}

Result<nlohmann::json> ReadConfig(const std::string& folder, const char* name) {
  const std::string path = JoinPath(folder, name);
  if (!Exists(path)) return nlohmann::json(nlohmann::json::object());
  R1_ASSIGN(nlohmann::json config, ReadJsonFile(path, kMaxConfigBytes));
  if (!config.is_object()) return Bad(path, "a JSON object is wanted");
  return Result<nlohmann::json>(std::move(config));
}

bool HasWorldMarkers(const Tokenizer& tokenizer) {
  const std::string_view needed[] = {kBeginMarker, kUserMarker, kAssistantMarker, kEndMarker};
  return std::all_of(std::begin(needed), std::end(needed), [&](auto marker) { return tokenizer.IdOf(marker) >= 0; });
}

// The token that the template writes after a reply, or -1.
int32_t EndOfTurn(const ChatTemplate& chat, const Tokenizer& tokenizer, Json vars) {
  constexpr const char* kReply = "reply";
  vars["messages"] =
      Json::array({{{"role", "user"}, {"content", "question"}}, {{"role", "assistant"}, {"content", kReply}}});
  const Result<TemplateVars> values = TemplateVars::FromJson(vars, "probe");
  if (!values.ok()) return -1;
  const Result<RenderedPrompt> text = chat.Render(*values, {.max_ms = kMaxTemplateMs, .now = kTemplateDate});
  const size_t n = text.ok() ? text->stretches.size() : 0;
  if (n < 2 || text->stretches[n - 1].content ||
      !std::string_view(text->text).substr(0, text->stretches[n - 1].begin).ends_with(kReply))
    return -1;
  for (const int32_t id : tokenizer.Encode(std::string_view(text->text).substr(text->stretches.back().begin))) {
    if (tokenizer.AddedOf(id) != nullptr) return id;
  }
  return -1;
}

// generation_config.json with all the tokens that end a reply: who loads the folder must stop where training did.
Result<std::string> GenerationConfig(const std::string& given, int32_t begin, const std::vector<int32_t>& stop) {
  Json config = Json::object();
  std::vector<int32_t> known;
  if (!given.empty()) {
    R1_ASSIGN(const nlohmann::json checked, ParseJson(given, kGenerationConfig));
    config = Json::parse(given);
    const nlohmann::json ids = checked.contains("eos_token_id") ? checked["eos_token_id"] : nlohmann::json();
    for (const nlohmann::json& id : ids.is_array() ? ids : nlohmann::json::array({ids})) {
      if (id.is_number_integer()) known.push_back(id.get<int32_t>());
    }
    const auto is_known = [&](int32_t id) { return std::find(known.begin(), known.end(), id) != known.end(); };
    if (std::all_of(stop.begin(), stop.end(), is_known)) return std::string(given);
  } else {
    if (begin >= 0) config["bos_token_id"] = begin;
    config["do_sample"] = true;
  }
  config["eos_token_id"] = stop;
  return ToPrettyText(config);
}

Json SpecialTokens(const std::vector<std::pair<std::string, std::string>>& tokens) {
  Json vars = Json::object();
  for (const auto& [name, text] : tokens) vars[name] = text;
  return vars;
}

}  // namespace

std::vector<ChatTurn> UserMessages(const std::string& system, const std::string& content) {
  std::vector<ChatTurn> messages;
  if (!system.empty()) messages.push_back({"system", system});
  messages.push_back({"user", content});
  return messages;
}

Result<ModelText> ModelText::Make(Tokenizer tokenizer, ModelTextParts parts) {
  auto own = std::make_shared<Own>(std::move(tokenizer));
  const Tokenizer& t = own->tokenizer;
  const auto text_of = [&](const char* name) {
    for (const auto& [key, text] : parts.tokens) {
      if (key == name) return text;
    }
    return std::string();
  };
  // A template may ask for either; a published tokenizer that puts a begin token before texts has one.
  if (text_of("bos_token").empty() && !t.parts().before.empty())
    parts.tokens.emplace_back("bos_token", t.TextOf(t.parts().before.front()));
  if (text_of("eos_token").empty() && !parts.stop.empty())
    parts.tokens.emplace_back("eos_token", t.TextOf(parts.stop.front()));
  if (parts.chat_template.empty()) {
    parts.chat_template = BaseTemplate();
    parts.where = "the built-in template for base models";
    parts.files.emplace_back(kTemplateFile, parts.chat_template);
  }
  R1_ASSIGN(own->chat, ChatTemplate::Parse(parts.chat_template, parts.where));
  own->begin = text_of("bos_token").empty() ? -1 : t.IdOf(text_of("bos_token"));
  const auto add = [&](int32_t id) {
    if (id >= 0 && std::find(own->stop.begin(), own->stop.end(), id) == own->stop.end()) own->stop.push_back(id);
  };
  add(EndOfTurn(*own->chat, t, SpecialTokens(parts.tokens)));
  add(text_of("eos_token").empty() ? -1 : t.IdOf(text_of("eos_token")));
  for (const int32_t id : parts.stop) add(id);
  if (own->stop.empty()) {
    return Error{ErrorCode::kRefused,
                 parts.where +
                     ": no token ends a reply: the template writes none after it, and there is neither an "
                     "eos_token (tokenizer_config.json) nor an eos_token_id (generation_config.json, "
                     "config.json); add one of them"};
  }
  std::string generation;
  for (const auto& [name, bytes] : parts.files) {
    if (name == kGenerationConfig) generation = bytes;
  }
  std::erase_if(parts.files, [](const auto& file) { return file.first == kGenerationConfig; });
  if (t.AddedOf(own->stop.front()) == nullptr)
    return Error{ErrorCode::kRefused, parts.where + ": what ends a reply, " + Quote(t.TextOf(own->stop.front())) +
                                          ", is not among the tokenizer's added_tokens: add it there"};
  R1_ASSIGN(generation, GenerationConfig(generation, own->begin, own->stop));
  parts.files.emplace_back(kGenerationConfig, generation);
  std::string all = own->chat->sha256();
  for (const auto& [name, text] : parts.tokens) all += "\n" + name + " " + text;
  for (const int32_t id : own->stop) all += "\n" + std::to_string(id);
  own->identity = Sha256(all);
  own->tokens = std::move(parts.tokens);
  own->files = std::move(parts.files);
  ModelText text(own->tokenizer);
  text.own_ = std::move(own);
  return text;
}

Result<ModelText> ModelText::Load(const std::string& folder) {
  const std::string tokenizer_path = JoinPath(folder, "tokenizer.json");
  R1_ASSIGN(std::string json, ReadFile(tokenizer_path, kMaxTokenizerBytes));
  R1_ASSIGN(Tokenizer tokenizer, Tokenizer::FromJson(json, tokenizer_path));
  const std::string config_path = JoinPath(folder, kTokenizerConfig), template_path = JoinPath(folder, kTemplateFile);
  R1_ASSIGN(const nlohmann::json config, ReadConfig(folder, kTokenizerConfig));
  ModelTextParts parts;
  parts.where = config_path;
  if (Exists(template_path)) {
    parts.where = template_path;
    R1_ASSIGN(parts.chat_template, ReadFile(template_path, int64_t{ChatTemplate::kMaxBytes}));
  } else {
    R1_ASSIGN(parts.chat_template, TemplateOf(config, config_path));
  }
  if (parts.chat_template.empty() && HasWorldMarkers(tokenizer)) {
    const auto own = std::make_shared<Own>(std::move(tokenizer));
    own->world = true;
    ModelText text(own->tokenizer);
    text.own_ = own;
    return text;
  }
  for (const char* name : kTokenNames) {
    R1_ASSIGN(std::string token, TokenText(config, name, config_path));
    if (!token.empty()) parts.tokens.emplace_back(name, std::move(token));
  }
  for (const char* name : {kGenerationConfig, "config.json"}) {
    R1_ASSIGN(const nlohmann::json generation, ReadConfig(folder, name));
    if (parts.stop.empty()) R1_TRY(AddStopIds(generation, tokenizer.size(), JoinPath(folder, name), &parts.stop));
  }
  parts.files.emplace_back("tokenizer.json", std::move(json));
  for (const char* name : {kTokenizerConfig, "special_tokens_map.json", kTemplateFile, kGenerationConfig}) {
    const std::string path = JoinPath(folder, name);
    if (!Exists(path)) continue;
    R1_ASSIGN(std::string bytes, ReadFile(path, kMaxConfigBytes));
    parts.files.emplace_back(name, std::move(bytes));
  }
  return Make(std::move(tokenizer), std::move(parts));
}

bool ModelText::is_world() const { return own_ == nullptr || own_->world; }

std::string ModelText::identity() const { return is_world() ? "" : own_->identity; }

const std::vector<std::pair<std::string, std::string>>& ModelText::files() const {
  static const std::vector<std::pair<std::string, std::string>> none;
  return own_ == nullptr ? none : own_->files;
}

std::vector<int32_t> ModelText::stop() const {
  if (!is_world()) return own_->stop;
  const int32_t id = tokenizer_->IdOf(kEndMarker);
  return id >= 0 ? std::vector<int32_t>{id} : std::vector<int32_t>{};
}

int32_t ModelText::begin() const { return is_world() ? tokenizer_->IdOf(kBeginMarker) : own_->begin; }
int32_t ModelText::end() const { return is_world() ? tokenizer_->IdOf(kEndMarker) : own_->stop.front(); }

bool ModelText::IsStop(int32_t id) const {
  if (is_world()) return id == tokenizer_->IdOf(kEndMarker);
  return std::find(own_->stop.begin(), own_->stop.end(), id) != own_->stop.end();
}

Result<RenderedPrompt> ModelText::Render(std::span<const ChatTurn> messages, bool generation_prompt, bool thinking,
                                         const std::string& where) const {
  Json vars = SpecialTokens(own_->tokens);
  vars["add_generation_prompt"] = generation_prompt;
  // What published templates call it.
  if (thinking) vars["enable_thinking"] = vars["thinking"] = vars["open_thinking"] = true;
  vars["messages"] = Json::array();
  for (const ChatTurn& message : messages) {
    Json entry = {{"role", message.role}, {"content", message.content}};
    if (message.reasoning.has_value()) entry["reasoning_content"] = *message.reasoning;
    vars["messages"].push_back(std::move(entry));
  }
  R1_ASSIGN(const TemplateVars values, TemplateVars::FromJson(vars, where));
  Result<RenderedPrompt> text = own_->chat->Render(values, {.max_ms = kMaxTemplateMs, .now = kTemplateDate});
  if (!text.ok()) return Error{text.error().code, where + ": " + text.error().message};
  return text;
}

Result<EncodedPrompt> ModelText::Prompt(const std::vector<ChatTurn>& messages, const std::string& where) const {
  EncodedPrompt prompt;
  if (is_world()) {
    if (messages.size() != 1 || messages[0].role != "user")
      return Error{ErrorCode::kRefused, where +
                                            ": the format of the built-in world has one user message a prompt, and "
                                            "no system message; a model with a chat template takes both"};
    R1_ASSIGN(prompt.tokens, ChatPrompt(*tokenizer_, messages[0].content, where));
    return prompt;
  }
  R1_ASSIGN(const RenderedPrompt text, Render(messages, true, false, where));
  prompt.tokens = EncodePrompt(*tokenizer_, text);
  prompt.think = ThinkStateOf(text);
  prompt.tight = text.text.ends_with(kThinkMarker);
  if (prompt.tokens.empty()) return Bad(where, "the chat template makes nothing of the prompt");
  return prompt;
}

Result<std::vector<int32_t>> ModelText::Piece(std::string_view text, const std::string& where) const {
  if (is_world()) return ReplyPiece(*tokenizer_, text, where);
  return tokenizer_->EncodeContent(text);
}

Result<TokenDocument> ModelText::Scaffold(std::string_view text, const std::string& where) const {
  if (end() < 0 || (is_world() && begin() < 0))
    return Error{ErrorCode::kRefused,
                 where + ": the tokenizer has no " + Quote(kBeginMarker) + " or no " + Quote(kEndMarker)};
  if (text.empty()) return Bad(where, "the text is empty");
  TokenDocument document{tokenizer_->Encode(text), 1};
  std::vector<int32_t>& tokens = document.tokens;
  if (begin() >= 0 && (tokens.empty() || tokens.front() != begin())) tokens.insert(tokens.begin(), begin());
  if (!IsStop(tokens.back())) tokens.push_back(end());
  if (tokens.size() < 2) return Bad(where, "the text has nothing to learn");
  return document;
}

std::string ModelText::ReplyText(std::span<const int32_t> tokens, ThinkState think) const {
  if (!tokens.empty() && IsStop(tokens.back())) tokens = tokens.first(tokens.size() - 1);
  return (think == ThinkState::kOpen ? std::string(kThinkMarker) : "") + tokenizer_->Decode(tokens);
}

std::string ModelText::WorldReplyText(std::span<const int32_t> tokens, ThinkState think) const {
  if (is_world()) return tokenizer_->Decode(tokens);
  const bool ended = !tokens.empty() && IsStop(tokens.back());
  return ReplyText(tokens, think) + std::string(ended ? kEndMarker : "");
}

}  // namespace r1
