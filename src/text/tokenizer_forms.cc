#include "text/tokenizer_forms.h"

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/quote.h"
#include "text/token_spelling.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr std::array kSplitPatterns = {WordPattern::kR1,    WordPattern::kGpt2,       WordPattern::kLlama3,
                                       WordPattern::kQwen2, WordPattern::kDeepSeekV3, WordPattern::kDeepSeekLlm};

// The expressions of Split steps; empty for GPT-2, whose expression is in ByteLevel.
std::vector<std::string> SplitsOf(WordPattern pattern) {
  switch (pattern) {
    case WordPattern::kR1:
      return {std::string(kWordPattern)};
    case WordPattern::kLlama3:
      return {std::string(kLlama3Pattern)};
    case WordPattern::kQwen2:
      return {std::string(kQwen2Pattern)};
    case WordPattern::kDeepSeekV3:
      return {kDeepSeekV3Patterns.begin(), kDeepSeekV3Patterns.end()};
    case WordPattern::kDeepSeekLlm:
      return {kDeepSeekLlmPatterns.begin(), kDeepSeekLlmPatterns.end()};
    case WordPattern::kGpt2:
    case WordPattern::kWhole:
      break;
  }
  return {};
}

// A file may spell a line end inside an expression as \n or as the character.
std::string PlainNewlines(std::string text) {
  for (const auto& [escape, character] : {std::pair{"\\r", '\r'}, std::pair{"\\n", '\n'}}) {
    for (size_t at = text.find(escape); at != std::string::npos; at = text.find(escape, at + 1)) {
      if (at > 0 && text[at - 1] == '\\') continue;
      text.replace(at, 2, 1, character);
    }
  }
  return text;
}

Json SplitForm(const std::string& pattern) {
  return {
      {"type", "Split"}, {"pattern", {{"Regex", PlainNewlines(pattern)}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json ByteLevelForm(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", use_regex}};
}

Json PreTokenizerForm(WordPattern pattern) {
  if (pattern == WordPattern::kGpt2) return ByteLevelForm(true);
  Json steps = Json::array();
  for (const std::string& split : SplitsOf(pattern)) steps.push_back(SplitForm(split));
  if (pattern == WordPattern::kDeepSeekLlm) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  steps.push_back(ByteLevelForm(false));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// What makes no difference is taken out, what may be left out is put in.
void MakeUniform(Json* step) {
  if (!step->is_object()) return;
  if (step->value("type", Json()) == "ByteLevel") {
    step->erase("trim_offsets");  // concerns offsets only
    step->emplace("use_regex", true);
  } else if (step->value("type", Json()) == "Split") {
    step->emplace("invert", false);
    const auto pattern = step->find("pattern");
    if (pattern == step->end() || !pattern->is_object()) return;
    if (const auto regex = pattern->find("Regex"); regex != pattern->end() && regex->is_string()) {
      *regex = PlainNewlines(regex->get<std::string>());
    }
  }
}

Json LlamaNormalizer() {
  const std::string bar = SpellCharacters(" ");
  return {{"type", "Sequence"},
          {"normalizers",
           {{{"type", "Prepend"}, {"prepend", bar}},
            {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", bar}}}}};
}

Json LlamaDecoder() {
  const std::string bar = SpellCharacters(" ");
  return {{"type", "Sequence"},
          {"decoders",
           {{{"type", "Replace"}, {"pattern", {{"String", bar}}}, {"content", " "}},
            {{"type", "ByteFallback"}},
            {{"type", "Fuse"}},
            {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
}

class Reader {
 public:
  Reader(std::string_view where, TokenizerParts* parts) : where_(where), parts_(*parts) {}

  Status Read(const Json& root, bool byte_fallback) {
    const auto part = [&](const char* key) {
      const auto found = root.find(key);
      return found == root.end() ? Json() : *found;
    };
    R1_TRY(Normalizers(part("normalizer"), byte_fallback));
    R1_TRY(PreTokenizer(part("pre_tokenizer"), byte_fallback));
    R1_TRY(Decoder(part("decoder"), byte_fallback));
    return PostProcessor(part("post_processor"));
  }

 private:
  Error Unknown(const char* what, const Json& found, const std::string& hint) const {
    const std::string text = Quote(found.dump(-1, ' ', false, Json::error_handler_t::replace), 512);
    return {ErrorCode::kBadInput, where_ + ": unknown " + what + " " + text + "; " + hint};
  }

  Status Normalizers(const Json& found, bool byte_fallback) {
    if (byte_fallback) {
      parts_.alphabet = Alphabet::kCharacters;
      parts_.normalizer = Normalizer::kSpaceBefore;
      if (found == LlamaNormalizer()) return {};
      return Unknown("normalizer", found,
                     "with model.byte_fallback this build knows only Prepend and Replace as Llama 2 has them");
    }
    const Json nfc = {{"type", "NFC"}};
    const auto sequence = [](const Json& steps) { return Json{{"type", "Sequence"}, {"normalizers", steps}}; };
    const bool is_nfc = found == nfc || found == sequence(Json::array({nfc}));
    parts_.normalizer = is_nfc ? Normalizer::kNfc : Normalizer::kNone;
    if (is_nfc || found.is_null() || found == sequence(Json::array())) return {};
    return Unknown("normalizer", found, "this build knows none and NFC for a byte-level vocabulary");
  }

  Status PreTokenizer(const Json& found, bool byte_fallback) {
    if (byte_fallback) {
      parts_.pattern = WordPattern::kWhole;
      if (found.is_null()) return {};
      return Unknown("pre_tokenizer", found, "with model.byte_fallback this build knows only null");
    }
    if (found.is_null()) return Error{ErrorCode::kBadInput, where_ + ": there is no pre_tokenizer"};
    Json uniform = found;
    MakeUniform(&uniform);
    if (const auto steps = uniform.find("pretokenizers"); steps != uniform.end() && steps->is_array()) {
      for (Json& step : *steps) MakeUniform(&step);
    }
    for (const WordPattern pattern : kSplitPatterns) {
      parts_.pattern = pattern;
      if (uniform == PreTokenizerForm(pattern)) return {};
    }
    return Unknown("pre_tokenizer", found,
                   "known are those of GPT-2, Llama 3, Qwen2, DeepSeek-V3, DeepSeek-LLM and of r1's own tokenizers");
  }

  Status Decoder(const Json& found, bool byte_fallback) const {
    if (byte_fallback ? found == LlamaDecoder() : found.is_object() && found.value("type", Json()) == "ByteLevel") {
      return {};
    }
    return Unknown("decoder", found,
                   byte_fallback ? "with model.byte_fallback this build knows only that of Llama 2"
                                 : "a byte-level vocabulary has ByteLevel");
  }

  Status PostProcessor(const Json& found) {
    if (found.is_null()) return {};
    std::vector<Json> steps = {found};
    if (found.is_object() && found.value("type", Json()) == "Sequence") {
      const auto list = found.find("processors");
      if (list == found.end() || !list->is_array()) return NotKnown(found);
      steps.clear();
      for (const Json& step : *list) steps.push_back(step);
    }
    bool seen = false;
    for (const Json& step : steps) {
      const Json type = step.is_object() ? step.value("type", Json()) : Json();
      if (type == "ByteLevel") continue;
      if (type != "TemplateProcessing" || seen) return NotKnown(found);
      seen = true;
      R1_TRY(Template(step));
    }
    return {};
  }

  Error NotKnown(const Json& found) const {
    return Unknown("post_processor", found, "known are null, ByteLevel, TemplateProcessing and a Sequence of them");
  }

  // {"single": [{"SpecialToken": {"id": NAME}} or {"Sequence": {"id": "A"}}, ...], "special_tokens": {NAME: {"ids":
  // [..]}}}
  Status Template(const Json& step) {
    const auto single = step.find("single");
    const auto special = step.find("special_tokens");
    if (single == step.end() || !single->is_array() || special == step.end() || !special->is_object()) {
      return NotKnown(step);
    }
    bool text_seen = false;
    for (const Json& item : *single) {
      if (!item.is_object() || item.size() != 1 || !item.begin()->is_object()) return NotKnown(step);
      const Json id = item.begin()->value("id", Json());
      if (item.begin().key() == "Sequence" && id == "A" && !text_seen) {
        text_seen = true;
        continue;
      }
      if (item.begin().key() != "SpecialToken" || !id.is_string()) return NotKnown(step);
      const auto entry = special->find(id.get_ref<const std::string&>());
      if (entry == special->end() || !entry->is_object()) return NotKnown(step);
      const auto ids = entry->find("ids");
      if (ids == entry->end() || !ids->is_array()) return NotKnown(step);
      for (const Json& value : *ids) {
        if (!value.is_number_integer() || value < 0 || value >= 2'000'000) return NotKnown(step);
        (text_seen ? parts_.after : parts_.before).push_back(value.get<int32_t>());
      }
    }
    return text_seen ? Status() : Status(NotKnown(step));
  }

  std::string where_;
  TokenizerParts& parts_;
};

std::string JsonText(const std::string& s) { return Json(s).dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

Status ReadForms(const Json& root, bool byte_fallback, std::string_view where, TokenizerParts* parts) {
  return Reader(where, parts).Read(root, byte_fallback);
}

std::string NormalizerText(const TokenizerParts& parts) {
  switch (parts.normalizer) {
    case Normalizer::kNone:
      break;
    case Normalizer::kNfc:
      return R"({"type": "NFC"})";
    case Normalizer::kSpaceBefore:
      return LlamaNormalizer().dump();
  }
  return "null";
}

std::string PreTokenizerText(const TokenizerParts& parts) {
  if (parts.pattern == WordPattern::kWhole) return "null";
  if (parts.pattern == WordPattern::kGpt2) {
    return R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";
  }
  std::string text = "{\n    \"type\": \"Sequence\",\n    \"pretokenizers\": [\n";
  for (const std::string& split : SplitsOf(parts.pattern)) {
    text += "      {\"type\": \"Split\", \"pattern\": {\"Regex\": " + JsonText(split) +
            "}, \"behavior\": \"Isolated\", \"invert\": false},\n";
  }
  if (parts.pattern == WordPattern::kDeepSeekLlm)
    text += "      {\"type\": \"Digits\", \"individual_digits\": true},\n";
  text +=
      "      {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}\n";
  return text + "    ]\n  }";
}

std::string PostProcessorText(const TokenizerParts& parts) {
  if (parts.before.empty() && parts.after.empty()) return "null";
  Json single = Json::array();
  Json special = Json::object();
  const auto add = [&](int32_t id) {
    // The name is only a key; the id makes it unlike every other.
    const std::string& token = parts.tokens[static_cast<size_t>(id)];
    const std::string text = parts.alphabet == Alphabet::kCharacters ? SpellCharacters(token) : token;
    const std::string name = special.contains(text) && special[text]["ids"][0] != id ? std::to_string(id) : text;
    single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
    special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {text}}};
  };
  for (const int32_t id : parts.before) add(id);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const int32_t id : parts.after) add(id);
  Json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  const Json form = {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
  return form.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string DecoderText(const TokenizerParts& parts) {
  if (parts.alphabet == Alphabet::kCharacters) return LlamaDecoder().dump();
  return R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})";
}

}  // namespace r1
