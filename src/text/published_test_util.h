// For tests only: tokenizer.json files of published tokenizers, put together from the parts that the data collection
// has (R1_DATA, ../shared/data if it is not set) in the form that their publishers give them.
#pragma once

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "text/token_spelling.h"

namespace r1::published {

using Json = nlohmann::json;

inline std::filesystem::path DataFolder() {
  const char* folder = std::getenv("R1_DATA");
  return folder != nullptr ? std::filesystem::path(folder) : std::filesystem::path(R1_SOURCE_DIR) / "../shared/data";
}

inline std::filesystem::path Data(const std::string& name) { return DataFolder() / "tokenizers" / name; }

inline std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

inline Json ByteLevel(bool trim_offsets) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", trim_offsets}, {"use_regex", false}};
}

inline Json Published(const std::vector<std::string>& splits, const Json& normalizer, const Json& added,
                      const Json& vocab, const Json& merges, bool ignore_merges) {
  Json steps = Json::array();
  for (const std::string& split : splits) {
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", split}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(ByteLevel(false));
  Json file;
  file["version"] = "1.0";
  file["added_tokens"] = added;
  file["normalizer"] = normalizer;
  file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  file["post_processor"] = ByteLevel(false);
  file["decoder"] = ByteLevel(false);
  file["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", ""},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"vocab", vocab},
                   {"merges", merges},
                   {"end_of_word_suffix", ""},
                   {"ignore_merges", ignore_merges}};
  return file;
}

// added_tokens_decoder of tokenizer_config.json.
inline Json AddedOf(const std::string& config) {
  Json added = Json::array();
  const Json file = Json::parse(ReadAll(Data(config)));
  std::map<int, Json> by_id;
  for (const auto& [id, token] : file["added_tokens_decoder"].items()) by_id[std::stoi(id)] = token;
  for (auto& [id, token] : by_id) {
    token["id"] = id;
    added.push_back(token);
  }
  return added;
}

inline std::string FromBase64(const std::string& text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const char* const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char* const digit = std::strchr(digits, c);
    if (c == '=' || digit == nullptr) break;
    bits = bits << 6 | static_cast<uint32_t>(digit - digits);
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  return out;
}

// Lines "BASE64 ID": every way to cut a token into two tokens is a merge, in the order of the product's id.
inline void FromRanks(const std::vector<std::string>& lines, const std::set<std::string>& not_tokens, Json* vocab,
                      Json* merges) {
  std::map<std::string, int> id_of;
  std::map<int, std::string> by_id;
  for (const std::string& line : lines) {
    const size_t space = line.find_first_of(" \t");
    if (space == std::string::npos) continue;
    const std::string token = FromBase64(line.substr(0, space));
    if (not_tokens.contains(token)) continue;
    by_id[std::stoi(line.substr(space + 1))] = token;
  }
  for (const auto& [id, token] : by_id) id_of[token] = id;
  *vocab = Json::object();
  *merges = Json::array();
  for (const auto& [id, token] : by_id) {
    (*vocab)[SpellBytes(token)] = id;
    std::map<std::pair<int, int>, Json> cuts;
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = id_of.find(token.substr(0, cut));
      const auto right = id_of.find(token.substr(cut));
      if (left == id_of.end() || right == id_of.end()) continue;
      cuts[{left->second, right->second}] = Json::array({SpellBytes(left->first), SpellBytes(right->first)});
    }
    for (const auto& [pair, merge] : cuts) merges->push_back(merge);
  }
}

inline Json Merges(const std::string& file) {
  Json merges = Json::array();
  for (const std::string& line : Lines(ReadAll(Data(file)))) {
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
  }
  return merges;
}

// Of "qwen2.5" or "qwen3".
inline Json QwenTokenizer(const std::string& name) {
  return Published(
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
      {{"type", "NFC"}}, AddedOf(name + "/tokenizer_config.json"), Json::parse(ReadAll(Data("qwen2.5/vocab.json"))),
      Merges("qwen2.5/merges.txt"), false);
}

// Of DeepSeek-V3, or of DeepSeek-R1 with its thinking tags. folder: for a file on the way.
inline Json DeepSeekTokenizer(const std::string& folder, bool r1) {
  const std::string plain = folder + "/deepseek_v3.tiktoken";
  const std::string packed = Data("deepseek-v3/deepseek_v3.tiktoken.gz").string();
  if (std::system(("gzip -dc '" + packed + "' > '" + plain + "'").c_str()) != 0) return {};
  Json added = Json::array();
  std::set<std::string> contents;
  const Json lists = Json::parse(ReadAll(Data("deepseek-v3/added_tokens.json")));
  for (Json token : lists["v3"]) {
    token.erase("source");
    token["normalized"] = false;
    contents.insert(token["content"].get<std::string>());
    for (const Json& change : lists["r1_changes"]) {
      if (r1 && change["id"] == token["id"]) token["content"] = change["content"];
    }
    added.push_back(token);
  }
  Json vocab;
  Json merges;
  FromRanks(Lines(ReadAll(plain)), contents, &vocab, &merges);
  const std::vector<std::string> splits = {
      R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
      " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"};
  const Json none = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  return Published(splits, none, added, vocab, merges, false);
}

inline Json Llama3Tokenizer() {
  Json vocab;
  Json merges;
  FromRanks(Lines(ReadAll(Data("llama3/tokenizer.model"))), {}, &vocab, &merges);
  Json file = Published(
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
      nullptr, AddedOf("llama3/tokenizer_config.json"), vocab, merges, true);
  const std::string begin = "<|begin_of_text|>";
  file["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       Json::array({ByteLevel(false),
                    {{"type", "TemplateProcessing"},
                     {"single", Json::array({{{"SpecialToken", {{"id", begin}, {"type_id", 0}}}},
                                             {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})},
                     {"pair", Json::array()},
                     {"special_tokens", {{begin, {{"id", begin}, {"ids", {128000}}, {"tokens", {begin}}}}}}}})}};
  return file;
}

}  // namespace r1::published
