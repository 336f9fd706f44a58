// tokenizer.json: reading, with every form that is not known refused by name, and writing. Model BPE without dropout
// and affixes, merges as "a b" or ["a", "b"], spelled as token_spelling.h says; the other parts: tokenizer_forms.h. A
// file of the early form without model.type is a BPE's if it has merges.

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "text/token_spelling.h"
#include "text/tokenizer.h"
#include "text/tokenizer_forms.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{256} << 20;

std::string JsonText(const std::string& s) { return Json(s).dump(-1, ' ', false, Json::error_handler_t::replace); }

// A reader of one file: every method fails with the file's name in front.
class Reader {
 public:
  explicit Reader(std::string_view where) : where_(where) {}

  Error Bad(const std::string& what) const { return {ErrorCode::kBadInput, where_ + ": " + what}; }

  // `object[key]` must be absent or one of `allowed`; the message tells what this build can do.
  Status Allow(const Json& object, const char* path, const char* key, std::initializer_list<Json> allowed) const {
    const auto found = object.find(key);
    if (found == object.end()) return {};
    for (const Json& value : allowed) {
      if (*found == value) return {};
    }
    std::string text = Quote(found->dump(-1, ' ', false, Json::error_handler_t::replace));
    return Bad(std::string(path) + key + " is " + text + ", which this tokenizer does not implement");
  }

  Status Known(const Json& object, const std::string& path, std::initializer_list<const char*> keys) const {
    if (!object.is_object()) return Bad(path + " is not an object");
    for (const auto& item : object.items()) {
      const auto same = [&](const char* key) { return item.key() == key; };
      if (std::none_of(keys.begin(), keys.end(), same)) return Bad("unknown key " + Quote(item.key()) + " in " + path);
    }
    return {};
  }

  Result<int32_t> Id(const Json& value, const std::string& what) const {
    if (!value.is_number_integer() || value < 0 || value >= 2'000'000) {
      return Bad(what + " has the id " + Quote(value.dump()) + "; wanted is an integer from 0 to 1,999,999");
    }
    return value.get<int32_t>();
  }

  Status Added(const Json& root, TokenizerParts* parts) const {
    const auto list = root.find("added_tokens");
    if (list == root.end() || list->is_null()) return {};
    if (!list->is_array()) return Bad("added_tokens is not a list");
    std::unordered_set<std::string> seen;
    for (const Json& entry : *list) {
      R1_TRY(
          Known(entry, "added_tokens", {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}));
      AddedToken token;
      const auto content = entry.find("content");
      if (content == entry.end() || !content->is_string()) return Bad("an added token has no content");
      token.content = content->get<std::string>();
      if (token.content.empty()) return Bad("an added token is empty");
      if (!seen.insert(token.content).second) return Bad("added token " + Quote(token.content) + " occurs twice");
      R1_ASSIGN(token.id, Id(entry.value("id", Json()), "added token " + Quote(token.content)));
      for (const char* key : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
        if (const auto flag = entry.find(key); flag != entry.end() && !flag->is_boolean()) {
          return Bad(std::string(key) + " of added token " + Quote(token.content) + " is not true or false");
        }
      }
      token.single_word = entry.value("single_word", false);
      token.normalized = entry.value("normalized", false);
      token.lstrip = entry.value("lstrip", false);
      token.rstrip = entry.value("rstrip", false);
      token.special = entry.value("special", false);
      parts->added.push_back(std::move(token));
    }
    return {};
  }

  // Fills parts->tokens from model.vocab and the added tokens (whose ids may be in the vocabulary or follow it).
  Status Vocabulary(const Json& model, TokenizerParts* parts) const {
    const auto vocab = model.find("vocab");
    if (vocab == model.end() || !vocab->is_object()) return Bad("model.vocab is missing or not an object");
    const size_t most = vocab->size() + parts->added.size();
    parts->tokens.assign(most, "");
    std::vector<bool> taken(most, false);
    size_t count = 0;
    for (const AddedToken& added : parts->added) {
      const auto id = static_cast<size_t>(added.id);
      if (id >= most) return Bad("added token " + Quote(added.content) + " leaves a hole in the ids before it");
      if (taken[id]) return Bad("id " + std::to_string(id) + " occurs twice");
      taken[id] = true;
      parts->tokens[id] = added.content;
      ++count;
    }
    std::unordered_map<std::string_view, int32_t> added_id;
    for (const AddedToken& added : parts->added) added_id.emplace(added.content, added.id);
    const bool characters = parts->alphabet == Alphabet::kCharacters;
    if (characters) parts->byte_tokens.assign(256, -1);
    std::string bytes;
    for (const auto& item : vocab->items()) {
      R1_ASSIGN(const int32_t id, Id(item.value(), "token " + Quote(item.key())));
      const auto index = static_cast<size_t>(id);
      if (index >= most) return Bad("token " + Quote(item.key()) + " leaves a hole in the ids before it");
      if (const auto added = added_id.find(item.key()); added != added_id.end()) {
        if (added->second == id) continue;
        return Bad("added token " + Quote(item.key()) + " has another id in model.vocab");
      }
      if (taken[index]) return Bad("id " + std::to_string(id) + " occurs twice");
      if (characters) {
        if (item.key().find(' ') != std::string::npos) {
          return Bad("token " + Quote(item.key()) + " holds a space, which this alphabet spells U+2581");
        }
        const int byte = ReadByteToken(item.key());
        if (byte >= 0) parts->byte_tokens[static_cast<size_t>(byte)] = id;
        bytes = byte >= 0 ? std::string(1, static_cast<char>(byte)) : ReadSpelledCharacters(item.key());
      } else if (!ReadSpelledBytes(item.key(), &bytes)) {
        return Bad("token " + Quote(item.key()) + " is not spelled in the byte-level alphabet");
      }
      taken[index] = true;
      parts->tokens[index] = bytes;
      ++count;
    }
    for (size_t id = 0; id < count; ++id) {
      if (!taken[id]) return Bad("no token has the id " + std::to_string(id));
    }
    parts->tokens.resize(count);
    return {};
  }

  Status Merges(const Json& model, TokenizerParts* parts) const {
    const auto list = model.find("merges");
    if (list == model.end() || !list->is_array()) return Bad("model.merges is missing or not a list");
    // Tokens that a merge may have as a side; an added token or a byte's token is none.
    std::vector<bool> plain(parts->tokens.size(), true);
    for (const AddedToken& added : parts->added) plain[static_cast<size_t>(added.id)] = false;
    for (const int32_t id : parts->byte_tokens) {
      if (id >= 0) plain[static_cast<size_t>(id)] = false;
    }
    std::unordered_map<std::string_view, int32_t> id_of;
    std::unordered_set<std::string_view> added_texts;
    for (const AddedToken& added : parts->added) added_texts.insert(added.content);
    for (size_t id = 0; id < parts->tokens.size(); ++id) {
      if (plain[id]) id_of.emplace(parts->tokens[id], static_cast<int32_t>(id));
    }
    std::string joined;
    for (const Json& entry : *list) {
      const std::string name = "merge " + std::to_string(parts->merges.size() + 1);
      std::array<std::string, 2> side;
      if (entry.is_string()) {
        const auto& text = entry.get_ref<const std::string&>();
        const size_t space = text.find(' ');
        if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
          return Bad(name + " is not two tokens with one space between: " + Quote(text));
        }
        side = {text.substr(0, space), text.substr(space + 1)};
      } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
        side = {entry[0].get<std::string>(), entry[1].get<std::string>()};
      } else {
        return Bad(name + " is neither a string nor a pair of strings");
      }
      std::array<int32_t, 2> id{};
      std::string bytes;
      joined.clear();
      for (size_t i = 0; i < 2; ++i) {
        bool spelled = true;
        if (parts->alphabet == Alphabet::kCharacters) {
          bytes = ReadSpelledCharacters(side[i]);
        } else {
          spelled = ReadSpelledBytes(side[i], &bytes);
        }
        const auto found = spelled ? id_of.find(bytes) : id_of.end();
        if (found == id_of.end()) return Bad(name + " joins " + Quote(side[i]) + ", which is not in the vocabulary");
        id[i] = found->second;
        joined += bytes;
      }
      // A merge that spells an added token is left out: content must not make one, and scaffold text never gets there.
      if (added_texts.contains(joined)) continue;
      parts->merges.emplace_back(id[0], id[1]);
    }
    return {};
  }

  Status Unknown(const Json& model, TokenizerParts* parts) const {
    const Json name = model.value("unk_token", Json());
    if (name.is_null()) return {};
    if (!name.is_string()) return Bad("model.unk_token is neither null nor a string");
    const auto found = std::find(parts->tokens.begin(), parts->tokens.end(), name.get_ref<const std::string&>());
    if (found == parts->tokens.end()) return Bad("model.unk_token is not in the vocabulary");
    parts->unknown = static_cast<int32_t>(found - parts->tokens.begin());
    return {};
  }

  Result<TokenizerParts> Read(const Json& root) const {
    R1_TRY(Known(root, "the file",
                 {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                  "decoder", "model"}));
    R1_TRY(Allow(root, "", "version", {"1.0"}));
    for (const char* key : {"truncation", "padding"}) R1_TRY(Allow(root, "", key, {nullptr}));
    const auto model = root.find("model");
    if (model == root.end() || !model->is_object()) return Bad("there is no model");
    R1_TRY(Known(*model, "model",
                 {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                  "byte_fallback", "ignore_merges", "vocab", "merges"}));
    R1_TRY(Allow(*model, "model.", "type", {"BPE"}));
    R1_TRY(Allow(*model, "model.", "dropout", {nullptr}));
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      R1_TRY(Allow(*model, "model.", key, {nullptr, ""}));
    }
    for (const char* key : {"fuse_unk", "byte_fallback", "ignore_merges"}) {
      R1_TRY(Allow(*model, "model.", key, {false, true}));
    }
    const bool byte_fallback = model->value("byte_fallback", false);
    if (!byte_fallback) {  // every byte has a token: there is nothing unknown
      R1_TRY(Allow(*model, "model.", "unk_token", {nullptr}));
      R1_TRY(Allow(*model, "model.", "fuse_unk", {false}));
    }
    TokenizerParts parts;
    if (byte_fallback && root.value("pre_tokenizer", Json()) != nullptr) {
      R1_TRY(Allow(*model, "model.", "byte_fallback", {false}));
    }
    R1_TRY(ReadForms(root, byte_fallback, where_, &parts));
    parts.ignore_merges = model->value("ignore_merges", false);
    if (byte_fallback) R1_TRY(Allow(*model, "model.", "ignore_merges", {false}));
    R1_TRY(Added(root, &parts));
    R1_TRY(Vocabulary(*model, &parts));
    R1_TRY(Merges(*model, &parts));
    if (byte_fallback) R1_TRY(Unknown(*model, &parts));
    return parts;
  }

 private:
  std::string where_;
};

}  // namespace

Result<Tokenizer> Tokenizer::FromJson(std::string_view json, std::string_view where) {
  if (json.size() > static_cast<size_t>(kMaxFileBytes)) {
    return Error{ErrorCode::kBadInput, std::string(where) + ": larger than 256 MiB"};
  }
  R1_ASSIGN(const Json root, ParseJson(json, where));
  R1_ASSIGN(TokenizerParts parts, Reader(where).Read(root));
  return FromParts(std::move(parts), where);
}

Result<Tokenizer> Tokenizer::Load(const std::string& path) {
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxFileBytes));
  return FromJson(text, path);
}

std::string Tokenizer::ToJson() const {
  const bool characters = parts_.alphabet == Alphabet::kCharacters;
  const auto spell = [&](int32_t id) {
    const std::string& bytes = parts_.tokens[static_cast<size_t>(id)];
    if (AddedOf(id) != nullptr) return bytes;
    if (is_byte_[static_cast<size_t>(id)]) return SpellByteToken(static_cast<unsigned char>(bytes[0]));
    return characters ? SpellCharacters(bytes) : SpellBytes(bytes);
  };
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::string text = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [";
  const char* comma = "\n";
  for (const AddedToken& added : parts_.added) {
    text += comma;
    text += "    {\"id\": " + std::to_string(added.id) + ", \"content\": " + JsonText(added.content) +
            ", \"single_word\": " + flag(added.single_word) + ", \"lstrip\": " + flag(added.lstrip) +
            ", \"rstrip\": " + flag(added.rstrip) + ", \"normalized\": " + flag(added.normalized) +
            ", \"special\": " + flag(added.special) + "}";
    comma = ",\n";
  }
  text += "\n  ],\n  \"normalizer\": " + NormalizerText(parts_) + ",\n";
  text += "  \"pre_tokenizer\": " + PreTokenizerText(parts_) + ",\n";
  text += "  \"post_processor\": " + PostProcessorText(parts_) + ",\n";
  text += "  \"decoder\": " + DecoderText(parts_) + ",\n";
  text += "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": ";
  text += parts_.unknown < 0 ? "null" : JsonText(spell(parts_.unknown));
  text += ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n";
  text += std::string("    \"fuse_unk\": ") + flag(characters) + ",\n    \"byte_fallback\": " + flag(characters) +
          ",\n    \"ignore_merges\": " + flag(parts_.ignore_merges) + ",\n    \"vocab\": {";
  comma = "\n";
  for (int32_t id = 0; id < size(); ++id) {
    text += comma;
    text += "      " + JsonText(spell(id)) + ": " + std::to_string(id);
    comma = ",\n";
  }
  text += "\n    },\n    \"merges\": [";
  comma = "\n";
  for (const auto& [left, right] : parts_.merges) {
    text += comma;
    text += "      " + JsonText(spell(left) + " " + spell(right));
    comma = ",\n";
  }
  text += "\n    ]\n  }\n}\n";
  return text;
}

}  // namespace r1
