#include "infer/gguf_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/quote.h"
#include "text/token_spelling.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{256} << 20;
constexpr int64_t kMaxTemplateBytes = int64_t{1} << 20;
constexpr char kGgml[] = "tokenizer.ggml.";
constexpr char kTemplate[] = "tokenizer.chat_template";
constexpr char kWholeFile[] = "tokenizer.huggingface.json";
constexpr char kStopTokens[] = "r1.eos_token_ids";
constexpr char kNoVocabulary[] = "no_vocab";
enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

std::string Key(std::string_view suffix) { return kGgml + std::string(suffix); }
std::string PaddingToken(size_t id) { return fmt::format("[PAD{}]", id); }

std::string_view PreOf(WordPattern pattern) {
  switch (pattern) {
    case WordPattern::kGpt2:
      return "gpt-2";
    case WordPattern::kLlama3:
      return "llama-bpe";
    case WordPattern::kQwen2:
      return "qwen2";
    case WordPattern::kDeepSeekV3:
      return "deepseek-v3";
    case WordPattern::kDeepSeekLlm:
      return "deepseek-llm";
    case WordPattern::kR1:
      return "r1";
    case WordPattern::kWhole:
      break;
  }
  return "";
}

// The file as an object; an empty one if it is absent.
Result<Json> ObjectIn(const std::string& folder, const char* name) {
  const std::string path = JoinPath(folder, name);
  if (!Exists(path)) return Json::object();
  R1_ASSIGN(Json file, ReadJsonFile(path, kMaxFileBytes));
  if (!file.is_object()) return Error{ErrorCode::kBadInput, path + ": not a JSON object"};
  return Result<Json>(std::move(file));
}

std::vector<int32_t> IdsIn(const Json& object, const char* key) {
  std::vector<int32_t> ids;
  const auto found = object.find(key);
  if (found == object.end()) return ids;
  const Json list = found->is_array() ? *found : Json::array({*found});
  for (const Json& id : list) {
    if (id.is_number_integer() && id >= 0 && id < 2'000'000) ids.push_back(id.get<int32_t>());
  }
  return ids;
}

std::optional<bool> FlagIn(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_boolean()) return std::nullopt;
  return found->get<bool>();
}

// "<s>" or {"content": "<s>", ...}; "" if there is none.
std::string TokenIn(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  const auto content = found->is_object() ? found->find("content") : found->end();
  return found->is_object() && content != found->end() && content->is_string() ? content->get<std::string>() : "";
}

int32_t IdOfToken(const Tokenizer& tokenizer, const std::string& text) {
  if (text.empty()) return -1;
  for (const AddedToken& added : tokenizer.parts().added) {
    if (added.content == text) return added.id;
  }
  return tokenizer.IdOf(text);
}

// A string, or a list of {"name", "template"} of which the one named "default" is taken.
std::string TemplateIn(const Json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const Json& entry : *found) {
    if (entry.is_object() && TokenIn(entry, "name") == "default") return TokenIn(entry, "template");
  }
  return "";
}

// Types and spelled texts of the ids.
void AddTokens(const Tokenizer& tokenizer, GgufVocabulary* v) {
  const TokenizerParts& parts = tokenizer.parts();
  const bool characters = parts.alphabet == Alphabet::kCharacters;
  for (int32_t id = 0; id < tokenizer.size(); ++id) {
    const std::string& text = parts.tokens[static_cast<size_t>(id)];
    if (const AddedToken* added = tokenizer.AddedOf(id)) {
      v->tokens.push_back(added->content);
      v->types.push_back(characters && id == parts.unknown ? kUnknown : added->special ? kControl : kUserDefined);
    } else {
      v->tokens.push_back(characters ? SpellCharacters(text) : SpellBytes(text));
      v->types.push_back(kNormal);
    }
  }
  for (size_t byte = 0; byte < parts.byte_tokens.size(); ++byte) {
    const auto id = static_cast<size_t>(parts.byte_tokens[byte]);
    v->tokens[id] = SpellByteToken(static_cast<int>(byte));
    v->types[id] = kByte;
  }
}

void AddScores(const Tokenizer& tokenizer, GgufVocabulary* v) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto never = -static_cast<float>(parts.merges.size() + 1);
  v->scores.assign(v->tokens.size(), never);
  for (size_t id = 0; id < v->types.size(); ++id) {
    if (v->types[id] != kNormal) v->scores[id] = 0;
  }
  for (size_t i = parts.merges.size(); i-- > 0;) {
    const auto& [left, right] = parts.merges[i];
    const int32_t made =
        tokenizer.IdOf(parts.tokens[static_cast<size_t>(left)] + parts.tokens[static_cast<size_t>(right)]);
    const int32_t rank = parts.merge_ranks.empty() ? static_cast<int32_t>(i) : parts.merge_ranks[i];
    if (made >= 0) v->scores[static_cast<size_t>(made)] = -static_cast<float>(rank);
  }
}

template <class T>
std::span<const T> SpanOf(const std::vector<T>& values) {
  return {values.data(), values.size()};
}

void AddStrings(const std::string& key, const std::vector<std::string>& texts, GgufMetadata* keys) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  keys->AddStrings(key, views);
}

Status AddVocabularyKeys(const StoredText& text, int64_t vocab_size, GgufMetadata* keys,
                         std::vector<std::string>* notes) {
  const Tokenizer& tokenizer = *text.tokenizer;
  const TokenizerParts& parts = tokenizer.parts();
  if (tokenizer.size() > vocab_size) {
    return Error{ErrorCode::kBadInput, fmt::format("the tokenizer has {} tokens, the model's embedding only {} rows",
                                                   tokenizer.size(), vocab_size)};
  }
  GgufVocabulary v = VocabularyOf(tokenizer);
  for (size_t id = v.tokens.size(); id < static_cast<size_t>(vocab_size); ++id) {
    v.tokens.push_back(PaddingToken(id));
    v.types.push_back(kUnused);
    if (!v.scores.empty()) v.scores.push_back(-1e9F);
  }
  keys->AddString(Key("model"), v.model);
  if (!v.pre.empty()) keys->AddString(Key("pre"), v.pre);
  AddStrings(Key("tokens"), v.tokens, keys);
  keys->AddArray(Key("token_type"), SpanOf(v.types));
  if (!v.scores.empty()) keys->AddArray(Key("scores"), SpanOf(v.scores));
  if (parts.alphabet == Alphabet::kBytes) AddStrings(Key("merges"), v.merges, keys);
  if (parts.pattern == WordPattern::kR1)
    notes->push_back(
        "tokenizer.ggml.pre is 'r1', the word pattern of r1's own tokenizers; other programs do not know it");
  const auto is = [](const std::vector<int32_t>& ids, int32_t id) { return ids.size() == 1 && ids[0] == id; };
  if ((!parts.before.empty() && !is(parts.before, text.bos)) || (!parts.after.empty() && !is(parts.after, text.eos)))
    notes->push_back("the tokens that the tokenizer puts around a text are not begin and end: kept in its JSON only");
  return {};
}

}  // namespace

GgufVocabulary VocabularyOf(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  GgufVocabulary v;
  v.model = parts.alphabet == Alphabet::kCharacters ? "llama" : "gpt2";
  v.pre = PreOf(parts.pattern);
  AddTokens(tokenizer, &v);
  if (parts.alphabet == Alphabet::kCharacters) {
    AddScores(tokenizer, &v);
    return v;
  }
  for (const auto& [left, right] : parts.merges)
    v.merges.push_back(v.tokens[static_cast<size_t>(left)] + " " + v.tokens[static_cast<size_t>(right)]);
  return v;
}

Result<StoredText> ReadFolderText(const std::string& folder) {
  StoredText text;
  R1_ASSIGN(const Json tokenizer_config, ObjectIn(folder, "tokenizer_config.json"));
  R1_ASSIGN(const Json generation, ObjectIn(folder, "generation_config.json"));
  R1_ASSIGN(const Json config, ObjectIn(folder, "config.json"));
  if (const std::string path = JoinPath(folder, "tokenizer.json"); Exists(path)) {
    R1_ASSIGN(text.tokenizer_json, ReadFile(path, kMaxFileBytes));
    R1_ASSIGN(text.tokenizer, Tokenizer::FromJson(text.tokenizer_json, path));
  }
  // The tokenizer's own word goes before that of the model's files.
  const auto id = [&](const char* token, const char* token_id) {
    if (text.tokenizer) {
      if (const int32_t named = IdOfToken(*text.tokenizer, TokenIn(tokenizer_config, token)); named >= 0) return named;
    }
    for (const Json* file : {&generation, &config}) {
      if (const std::vector<int32_t> ids = IdsIn(*file, token_id); !ids.empty()) return ids[0];
    }
    return int32_t{-1};
  };
  text.bos = id("bos_token", "bos_token_id");
  text.eos = id("eos_token", "eos_token_id");
  text.pad = id("pad_token", "pad_token_id");
  if (text.tokenizer) {
    const TokenizerParts& parts = text.tokenizer->parts();
    text.unknown =
        parts.unknown >= 0 ? parts.unknown : IdOfToken(*text.tokenizer, TokenIn(tokenizer_config, "unk_token"));
    if (text.bos < 0 && parts.before.size() == 1) text.bos = parts.before[0];
  }
  for (const Json* file : {&generation, &config}) {
    if (text.stop.empty()) text.stop = IdsIn(*file, "eos_token_id");
  }
  if (text.stop.empty() && text.eos >= 0) text.stop = {text.eos};
  text.add_bos = FlagIn(tokenizer_config, "add_bos_token");
  text.add_eos = FlagIn(tokenizer_config, "add_eos_token");
  text.chat_template = TemplateIn(tokenizer_config);
  if (const std::string path = JoinPath(folder, "chat_template.jinja"); Exists(path)) {
    R1_ASSIGN(text.chat_template, ReadFile(path, kMaxTemplateBytes));
  }
  return Result<StoredText>(std::move(text));
}

Status AddTextKeys(const StoredText& text, int64_t vocab_size, GgufMetadata* keys, std::vector<std::string>* notes) {
  if (text.tokenizer) {
    R1_TRY(AddVocabularyKeys(text, vocab_size, keys, notes));
  } else {
    keys->AddString(Key("model"), kNoVocabulary);
    notes->push_back("no tokenizer.json: the GGUF file has no vocabulary");
  }
  const std::pair<const char*, int32_t> ids[] = {{"bos_token_id", text.bos},
                                                 {"eos_token_id", text.eos},
                                                 {"padding_token_id", text.pad},
                                                 {"unknown_token_id", text.unknown}};
  for (const auto& [suffix, id] : ids) {
    if (id >= vocab_size) {
      notes->push_back(fmt::format("{} {} is no token of this model and is left out", suffix, id));
    } else if (id >= 0) {
      keys->Add(Key(suffix), static_cast<uint32_t>(id));
    }
  }
  if (text.tokenizer) {
    const TokenizerParts& parts = text.tokenizer->parts();
    keys->Add(Key("add_bos_token"), text.bos >= 0 && text.add_bos.value_or(!parts.before.empty()));
    keys->Add(Key("add_eos_token"), text.eos >= 0 && text.add_eos.value_or(!parts.after.empty()));
  }
  if (text.stop.size() > 1) keys->AddArray(kStopTokens, SpanOf(text.stop));
  if (!text.chat_template.empty()) keys->AddString(kTemplate, text.chat_template);
  if (text.tokenizer) {
    if (text.tokenizer_json.size() <= GgufFile::kMaxStringBytes) {
      keys->AddString(kWholeFile, text.tokenizer_json);
    } else {
      notes->push_back("tokenizer.json is larger than 16 MiB and is not kept whole");
    }
  }
  return {};
}

Result<std::optional<GgufVocabulary>> VocabularyFromGguf(const GgufFile& file) {
  using Found = Result<std::optional<GgufVocabulary>>;
  if (file.FindKey(Key("tokens")) == nullptr) return Found(std::nullopt);
  R1_TRY(CheckGgufModel(file));
  const auto has = [&](const char* suffix) { return file.FindKey(Key(suffix)) != nullptr; };
  GgufVocabulary v;
  R1_ASSIGN(const std::string_view model, file.String(Key("model")));
  v.model = model;
  if (has("pre")) {
    R1_ASSIGN(const std::string_view pre, file.String(Key("pre")));
    v.pre = pre;
  }
  R1_ASSIGN(const std::vector<std::string_view> tokens, file.Strings(Key("tokens")));
  v.tokens.assign(tokens.begin(), tokens.end());
  if (has("token_type")) {
    R1_ASSIGN(const std::vector<int64_t> types, file.Integers(Key("token_type")));
    for (const int64_t type : types) v.types.push_back(static_cast<int32_t>(std::clamp<int64_t>(type, -1, 99)));
  }
  if (has("scores") && v.model == "llama") {
    R1_ASSIGN(const std::vector<double> scores, file.Numbers(Key("scores")));
    for (const double score : scores) v.scores.push_back(static_cast<float>(score));
  }
  if (has("merges") && v.model == "gpt2") {
    R1_ASSIGN(const std::vector<std::string_view> merges, file.Strings(Key("merges")));
    v.merges.assign(merges.begin(), merges.end());
  }
  const std::pair<const char*, int32_t*> ids[] = {
      {"bos_token_id", &v.bos}, {"eos_token_id", &v.eos}, {"unknown_token_id", &v.unknown}};
  for (const auto& [suffix, id] : ids) {
    if (!has(suffix)) continue;
    R1_ASSIGN(const int64_t value, file.Integer(Key(suffix)));
    *id = static_cast<int32_t>(value);  // in the vocabulary: CheckGgufModel
  }
  const std::pair<const char*, std::optional<bool>*> flags[] = {
      {"add_bos_token", &v.add_bos}, {"add_eos_token", &v.add_eos}, {"add_space_prefix", &v.add_space_prefix}};
  for (const auto& [suffix, flag] : flags) {
    if (!has(suffix)) continue;
    R1_ASSIGN(*flag, file.Bool(Key(suffix)));
  }
  while (!v.types.empty() && v.types.back() == kUnused && v.tokens.back() == PaddingToken(v.tokens.size() - 1)) {
    v.tokens.pop_back();
    v.types.pop_back();
    if (!v.scores.empty()) v.scores.pop_back();
  }
  return Found(std::move(v));
}

Result<StoredText> ReadGgufText(const GgufFile& file) {
  StoredText text;
  R1_ASSIGN(const std::optional<GgufVocabulary> vocabulary, VocabularyFromGguf(file));
  if (vocabulary) {
    R1_ASSIGN(text.tokenizer, TokenizerFromGguf(*vocabulary, file.path()));
    text.tokenizer_json = text.tokenizer->ToJson();
    text.add_bos = vocabulary->add_bos;
    text.add_eos = vocabulary->add_eos;
    // The whole file says more (what added tokens swallow, a normalizer), if it is of the same tokens.
    if (const GgufEntry* whole = file.FindKey(kWholeFile); whole != nullptr && whole->String()) {
      const std::string where = fmt::format("{}: key {}", file.path(), kWholeFile);
      Result<Tokenizer> from_json = Tokenizer::FromJson(*whole->String(), where);
      if (from_json.ok() && VocabularyOf(*from_json).tokens == vocabulary->tokens) {
        text.tokenizer = std::move(from_json).value();
        text.tokenizer_json = *whole->String();
      } else {
        LogWarn(
            fmt::format("{}: passed over: {}", where,
                        from_json.ok() ? "it has other tokens than tokenizer.ggml.tokens" : from_json.error().message));
      }
    }
  }
  const std::pair<const char*, int32_t*> ids[] = {{"bos_token_id", &text.bos},
                                                  {"eos_token_id", &text.eos},
                                                  {"padding_token_id", &text.pad},
                                                  {"unknown_token_id", &text.unknown}};
  for (const auto& [suffix, id] : ids) {
    if (file.FindKey(Key(suffix)) == nullptr) continue;
    R1_ASSIGN(const int64_t value, file.Integer(Key(suffix)));
    if (value >= 0 && value < 2'000'000) *id = static_cast<int32_t>(value);
  }
  if (text.eos >= 0) text.stop = {text.eos};
  if (file.FindKey(kStopTokens) != nullptr) {
    R1_ASSIGN(const std::vector<int64_t> stop, file.Integers(kStopTokens));
    text.stop.clear();
    for (const int64_t id : stop) {
      if (id >= 0 && id < 2'000'000) text.stop.push_back(static_cast<int32_t>(id));
    }
  }
  if (file.FindKey(kTemplate) != nullptr) {
    R1_ASSIGN(text.chat_template, file.String(kTemplate));
  }
  return Result<StoredText>(std::move(text));
}

Status WriteFolderText(const StoredText& text, const std::string& folder, int64_t max_length) {
  nlohmann::ordered_json config = nlohmann::ordered_json::object(), generation = config;
  if (text.tokenizer) {
    R1_TRY(WriteFileAtomic(JoinPath(folder, "tokenizer.json"), text.tokenizer_json));
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
    config["clean_up_tokenization_spaces"] = false;
    config["model_max_length"] = max_length;
    if (text.add_bos) config["add_bos_token"] = *text.add_bos;
    if (text.add_eos) config["add_eos_token"] = *text.add_eos;
    const std::pair<const char*, int32_t> tokens[] = {
        {"bos_token", text.bos}, {"eos_token", text.eos}, {"pad_token", text.pad}, {"unk_token", text.unknown}};
    for (const auto& [key, id] : tokens) {
      const AddedToken* added = text.tokenizer->AddedOf(id);
      if (added != nullptr) config[key] = added->content;
    }
  }
  if (!text.chat_template.empty()) config["chat_template"] = text.chat_template;
  if (!config.empty()) R1_TRY(WriteFileAtomic(JoinPath(folder, "tokenizer_config.json"), ToPrettyText(config)));
  if (text.bos >= 0) generation["bos_token_id"] = text.bos;
  if (text.stop.size() == 1) generation["eos_token_id"] = text.stop[0];
  if (text.stop.size() > 1) generation["eos_token_id"] = text.stop;
  if (text.pad >= 0) generation["pad_token_id"] = text.pad;
  if (generation.empty()) return {};
  return WriteFileAtomic(JoinPath(folder, "generation_config.json"), ToPrettyText(generation));
}

}  // namespace r1
