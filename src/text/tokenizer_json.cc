// tokenizer.json: reading, with every form that is not known refused by name, and writing.
// In the file a token is spelled with one printable character a byte (GPT-2's table): bytes 33..126, 161..172 and
// 174..255 are the code points of the same number, the other 68 bytes in increasing order are U+0100, U+0101, and so
// on.

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "text/tokenizer.h"
#include "text/word_split.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{256} << 20;
constexpr int32_t kMaxCode = 0x144;  // of the table: 256 + 68 - 1 = 0x143

struct ByteTable {
  std::array<int32_t, 256> code_of{};
  std::array<int32_t, kMaxCode> byte_of{};
};

const ByteTable& Table() {
  static const ByteTable table = [] {
    ByteTable t;
    t.byte_of.fill(-1);
    int32_t next = 256;
    for (int32_t byte = 0; byte < 256; ++byte) {
      const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      const int32_t code = itself ? byte : next++;
      t.code_of[static_cast<size_t>(byte)] = code;
      t.byte_of[static_cast<size_t>(code)] = byte;
    }
    return t;
  }();
  return table;
}

std::string SpellBytes(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const int32_t code = Table().code_of[static_cast<unsigned char>(c)];
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else {
      text += static_cast<char>(0xC0 | code >> 6);
      text += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  return text;
}

// False if some character is not in the table.
bool ReadSpelling(std::string_view text, std::string* bytes) {
  bytes->clear();
  for (size_t at = 0; at < text.size();) {
    const Utf8Character c = Utf8At(text, at);
    if (c.code < 0 || c.code >= kMaxCode || Table().byte_of[static_cast<size_t>(c.code)] < 0) return false;
    *bytes += static_cast<char>(Table().byte_of[static_cast<size_t>(c.code)]);
    at += static_cast<size_t>(c.length);
  }
  return true;
}

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

  Status PreTokenizer(const Json& root) const {
    const Json want = Json::parse(R"({"type":"Sequence","pretokenizers":[
        {"type":"Split","pattern":{"Regex":""},"behavior":"Isolated","invert":false},
        {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]})");
    Json mine = want;
    mine["pretokenizers"][0]["pattern"]["Regex"] = std::string(kWordPattern);
    const auto found = root.find("pre_tokenizer");
    if (found == root.end() || found->is_null()) return Bad("there is no pre_tokenizer");
    if (*found == mine) return {};
    const auto text = found->dump(-1, ' ', false, Json::error_handler_t::replace);
    return Bad("unknown pre_tokenizer " + Quote(text, 512) + "; this build knows only Split by " +
               std::string(kWordPattern) + " followed by ByteLevel");
  }

  Status Decoder(const Json& root) const {
    const auto found = root.find("decoder");
    if (found != root.end() && found->is_object() && found->value("type", Json()) == "ByteLevel") return {};
    return Bad("the decoder is not ByteLevel");
  }

  Status PostProcessor(const Json& root) const {
    const auto found = root.find("post_processor");
    if (found == root.end() || found->is_null()) return {};
    if (found->is_object() && found->value("type", Json()) == "ByteLevel") return {};
    return Bad("post_processor is neither null nor ByteLevel");
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
      R1_TRY(Allow(entry, "added_tokens.", "single_word", {false}));
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
      if (!ReadSpelling(item.key(), &bytes)) {
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
    std::unordered_map<std::string, int32_t> id_of;
    for (size_t id = 0; id < parts->tokens.size(); ++id) id_of.emplace(parts->tokens[id], static_cast<int32_t>(id));
    for (const AddedToken& added : parts->added) id_of.erase(added.content);
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
      for (size_t i = 0; i < 2; ++i) {
        const bool spelled = ReadSpelling(side[i], &bytes);
        const auto found = spelled ? id_of.find(bytes) : id_of.end();
        if (found == id_of.end()) return Bad(name + " joins " + Quote(side[i]) + ", which is not in the vocabulary");
        id[i] = found->second;
      }
      parts->merges.emplace_back(id[0], id[1]);
    }
    return {};
  }

  Result<TokenizerParts> Read(const Json& root) const {
    R1_TRY(Known(root, "the file",
                 {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                  "decoder", "model"}));
    R1_TRY(Allow(root, "", "version", {"1.0"}));
    for (const char* key : {"truncation", "padding", "normalizer"}) R1_TRY(Allow(root, "", key, {nullptr}));
    const auto model = root.find("model");
    if (model == root.end() || !model->is_object()) return Bad("there is no model");
    R1_TRY(Known(*model, "model",
                 {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                  "byte_fallback", "ignore_merges", "vocab", "merges"}));
    R1_TRY(Allow(*model, "model.", "type", {"BPE"}));
    for (const char* key : {"dropout", "unk_token"}) R1_TRY(Allow(*model, "model.", key, {nullptr}));
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      R1_TRY(Allow(*model, "model.", key, {nullptr, ""}));
    }
    for (const char* key : {"fuse_unk", "byte_fallback", "ignore_merges"})
      R1_TRY(Allow(*model, "model.", key, {false}));
    R1_TRY(PreTokenizer(root));
    R1_TRY(Decoder(root));
    R1_TRY(PostProcessor(root));
    TokenizerParts parts;
    R1_TRY(Added(root, &parts));
    R1_TRY(Vocabulary(*model, &parts));
    R1_TRY(Merges(*model, &parts));
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
  const auto spell = [&](int32_t id) {
    const std::string& bytes = parts_.tokens[static_cast<size_t>(id)];
    return added_index_[static_cast<size_t>(id)] >= 0 ? bytes : SpellBytes(bytes);
  };
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::string text = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [";
  const char* comma = "\n";
  for (const AddedToken& added : parts_.added) {
    text += comma;
    text += "    {\"id\": " + std::to_string(added.id) + ", \"content\": " + JsonText(added.content) +
            ", \"single_word\": false, \"lstrip\": " + flag(added.lstrip) + ", \"rstrip\": " + flag(added.rstrip) +
            ", \"normalized\": false, \"special\": " + flag(added.special) + "}";
    comma = ",\n";
  }
  text +=
      "\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": {\n    \"type\": \"Sequence\",\n    \"pretokenizers\": "
      "[\n";
  text += "      {\"type\": \"Split\", \"pattern\": {\"Regex\": " + JsonText(std::string(kWordPattern)) +
          "}, \"behavior\": \"Isolated\", \"invert\": false},\n";
  text +=
      "      {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}\n";
  text +=
      "    ]\n  },\n  \"post_processor\": null,\n  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
      "\"trim_offsets\": true, \"use_regex\": true},\n";
  text +=
      "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
      "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
      "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {";
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
