#include "text/tokenizer.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "text/bpe_train.h"
#include "text/r1_zero_template.h"
#include "text/word_split.h"

namespace r1 {
namespace {

std::filesystem::path DataFolder() {
  if (const char* folder = std::getenv("R1_DATA")) return folder;
  return std::filesystem::path(__FILE__).parent_path() / "../../../shared/data";
}

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<AddedToken> Markers() {
  return {{.id = -1, .content = "<|end|>", .lstrip = true, .special = true},
          {.id = -1, .content = "<think>", .lstrip = true, .special = false},
          {.id = -1, .content = "<thinker>", .lstrip = false, .rstrip = true, .special = true}};
}

const Tokenizer& Small() {
  static const Tokenizer tokenizer = [] {
    const std::vector<std::string> texts = {" try 19 + 13 = 32 big wait 试 等等 大 the cat saw the other cats there",
                                            "<think> try 19 wait wait <|end|>"};
    return TrainBpe(texts, Markers(), {.max_vocab = 400, .min_count = 1}).value();
  }();
  return tokenizer;
}

std::vector<std::string> Pieces(const Tokenizer& t, const std::vector<int32_t>& ids) {
  std::vector<std::string> pieces;
  for (const int32_t id : ids) pieces.push_back(t.TextOf(id));
  return pieces;
}

using Words = std::vector<std::string>;

TEST(Tokenizer, AddedTokensInScaffoldText) {
  const Tokenizer& t = Small();
  EXPECT_EQ(Pieces(t, t.Encode(" <think> try 19 \n <|end|>")), (Words{"<think>", " try", " 19", "<|end|>"}));
  EXPECT_EQ(Pieces(t, t.Encode("a<thinker>  wait")), (Words{"a", "<thinker>", "w", "a", "i", "t"}));  // longest, rstrip
  EXPECT_EQ(Pieces(t, t.Encode("<thin <think>")).back(), "<think>");
  EXPECT_EQ(Pieces(t, t.Encode("　<think>")), (Words{"<think>"}));  // lstrip takes Unicode white space
  EXPECT_EQ(t.Encode("").size(), 0u);
}

TEST(Tokenizer, ContentNeverBecomesAnAddedToken) {
  const Tokenizer& t = Small();
  for (const char* text : {"<think>", " <think>", "<|end|>", "a <thinker> b<|end|><|end|>"}) {
    const std::vector<int32_t> ids = t.EncodeContent(text);
    for (const AddedToken& added : t.parts().added) {
      EXPECT_EQ(std::count(ids.begin(), ids.end(), added.id), 0) << text;
    }
    EXPECT_EQ(t.Decode(ids), text);
  }
}

TEST(Tokenizer, DecodeSkipsSpecialOnly) {
  const Tokenizer& t = Small();
  const std::vector<int32_t> ids = t.Encode("<think> try<|end|>");
  EXPECT_EQ(t.Decode(ids), "<think> try<|end|>");
  EXPECT_EQ(t.Decode(ids, true), "<think> try");
}

TEST(Tokenizer, IdsOutsideTheVocabulary) {
  const Tokenizer& t = Small();
  const std::vector<int32_t> ids = {t.size(), -1, std::numeric_limits<int32_t>::max()};
  EXPECT_EQ(t.Decode(ids), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(t.TextOf(t.size()), "");
  EXPECT_EQ(t.TextOf(-1), "");
}

TEST(Tokenizer, IdOf) {
  const Tokenizer& t = Small();
  EXPECT_EQ(t.TextOf(t.IdOf(" try")), " try");
  EXPECT_EQ(t.TextOf(t.IdOf("<think>")), "<think>");
  EXPECT_EQ(t.IdOf("no such token"), -1);
}

// Merging by definition: again and again the pair of lowest rank, leftmost first.
std::vector<int32_t> SlowEncode(const Tokenizer& t, std::string_view text) {
  std::map<std::pair<int32_t, int32_t>, size_t> rank;
  for (size_t i = 0; i < t.parts().merges.size(); ++i) rank.emplace(t.parts().merges[i], i);
  std::vector<int32_t> all;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = NextWordEnd(text, begin);
    std::vector<int32_t> ids;
    for (size_t i = begin; i < end; ++i) ids.push_back(t.IdOf(text.substr(i, 1)));
    for (;;) {
      size_t best = rank.size();
      size_t at = 0;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        const auto found = rank.find({ids[i], ids[i + 1]});
        if (found != rank.end() && found->second < best) best = found->second, at = i;
      }
      if (best == rank.size()) break;
      ids[at] = t.IdOf(t.TextOf(ids[at]) + t.TextOf(ids[at + 1]));
      ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
    }
    all.insert(all.end(), ids.begin(), ids.end());
    begin = end;
  }
  return all;
}

TEST(Tokenizer, AgreesWithTheDefinitionOnRandomText) {
  const Tokenizer t =
      TrainBpe(std::vector<std::string>{"abab abba aabb bbaa abcabc abcab cab cabba aaaa aaaaaaaa bababa"}, {},
               {.max_vocab = 300, .min_count = 1})
          .value();
  ASSERT_GT(t.size(), 270);
  size_t merged = 0;
  for (uint64_t round = 0; round < 2000; ++round) {
    Rng rng(2, Stream::kTest, round);
    std::string text;
    const uint64_t length = 1 + rng.Below(60);
    for (uint64_t i = 0; i < length; ++i) text += "aaabbbcc "[rng.Below(9)];
    const std::vector<int32_t> ids = t.EncodeContent(text);
    ASSERT_EQ(ids, SlowEncode(t, text)) << text;
    merged += ids.size() < text.size();
  }
  EXPECT_GT(merged, 1500u);
}

TEST(Tokenizer, AnyBytesRoundTrip) {
  for (uint64_t round = 0; round < 500; ++round) {
    Rng rng(3, Stream::kTest, round);
    std::string text;
    const uint64_t length = rng.Below(80);
    for (uint64_t i = 0; i < length; ++i) text += static_cast<char>(rng.Below(256));
    EXPECT_EQ(Small().Decode(Small().EncodeContent(text)), text);
  }
}

TEST(Tokenizer, JsonRoundTripIsByteStable) {
  const std::string json = Small().ToJson();
  const Result<Tokenizer> again = Tokenizer::FromJson(json, "again.json");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->ToJson(), json);
  for (const char* text : {"<think> try 19 + 13", " 等等 the others", "\xFF\n\n x <|end|>"}) {
    EXPECT_EQ(again->Encode(text), Small().Encode(text));
  }
  EXPECT_EQ(again->Decode(again->Encode("<think> try<|end|>"), true), "<think> try");
}

TEST(Tokenizer, MergesAsPairsAreRead) {
  std::string json = Small().ToJson();
  const size_t at = json.find("\"merges\"");
  std::string tail = json.substr(at);
  for (size_t q = tail.find("      \""); q != std::string::npos; q = tail.find("      \"", q + 9)) {
    tail.replace(q, 6, "     [");
    const size_t space = tail.find(' ', q + 7);
    tail.replace(space, 1, "\", \"");
    tail.insert(tail.find('"', space + 4) + 1, "]");
  }
  const Result<Tokenizer> t = Tokenizer::FromJson(json.substr(0, at) + tail, "pairs.json");
  ASSERT_TRUE(t.ok()) << t.error().message;
  EXPECT_EQ(t->ToJson(), json);
}

struct Edit {
  const char* name;
  const char* from;
  const char* to;
  const char* message;  // part of the error
};

class TokenizerRefuses : public testing::TestWithParam<Edit> {};

TEST_P(TokenizerRefuses, ByName) {
  std::string json = Small().ToJson();
  const size_t at = json.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  json.replace(at, std::string(GetParam().from).size(), GetParam().to);
  const Result<Tokenizer> t = Tokenizer::FromJson(json, "odd.json");
  ASSERT_FALSE(t.ok());
  EXPECT_EQ(t.error().code, ErrorCode::kBadInput);
  EXPECT_NE(t.error().message.find("odd.json"), std::string::npos) << t.error().message;
  EXPECT_NE(t.error().message.find(GetParam().message), std::string::npos) << t.error().message;
}

constexpr Edit kEdits[] = {
    {"ModelType", "\"type\": \"BPE\"", "\"type\": \"Unigram\"", "Unigram"},
    {"Normalizer", "\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}", "NFKC"},
    {"Pattern", "?[0-9]{1,256}|", "(a+)+$|", "(a+)+$"},
    {"PreTokenizer", "\"type\": \"Sequence\"", "\"type\": \"Whitespace\"", "Whitespace"},
    {"Regex", "\"use_regex\": false", "\"use_regex\": true", "unknown pre_tokenizer"},
    {"PostProcessor", "\"post_processor\": null", "\"post_processor\": {\"type\": \"TemplateProcessing\"}",
     "post_processor"},
    {"NoTemplate", "\"post_processor\": null", "\"post_processor\": {\"type\": \"BertProcessing\"}", "BertProcessing"},
    {"AroundOutside", "\"post_processor\": null",
     "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"x\"}}, "
     "{\"Sequence\": {\"id\": \"A\"}}], \"special_tokens\": {\"x\": {\"ids\": [99999]}}}",
     "99999"},
    {"Decoder", "\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": {\"type\": \"Metaspace\"", "decoder"},
    {"Dropout", "\"dropout\": null", "\"dropout\": 0.1", "dropout"},
    {"ByteFallback", "\"byte_fallback\": false", "\"byte_fallback\": true", "byte_fallback"},
    {"SingleWord", "\"single_word\": false", "\"single_word\": 1", "single_word"},
    {"UnknownToken", "\"unk_token\": null", "\"unk_token\": \"!\"", "unk_token"},
    {"UnknownKey", "\"ignore_merges\"", "\"ignore_murges\"", "ignore_murges"},
    {"DuplicateToken", "\"!\": 36", "\"#\": 36", "#"},
    {"DuplicateId", "\"!\": 36", "\"!\": 37", "37"},
    {"NegativeId", "\"!\": 36", "\"!\": -1", "-1"},
    {"HugeId", "\"!\": 36", "\"!\": 2147483648", "2147483648"},
    {"HoleInIds", "\"!\": 36", "\"!\": 1999999", "hole"},
    {"MissingByte", "\"!\": 36", "\"!!\": 36", "byte 33"},
    {"NotByteLevel", "\"!\": 36", "\"中\": 36", "byte-level alphabet"},
    {"MergeUnknown", "\"merges\": [\n", "\"merges\": [\n\"a zz\",", "zz"},
    {"MergeMakesUnknown", "\"merges\": [\n", "\"merges\": [\n\"! !\",", "not in the vocabulary"},
    {"MergeForm", "\"merges\": [\n", "\"merges\": [\n\"a b c\",", "merge 1"},
    {"EmptyAdded", "\"content\": \"<think>\"", "\"content\": \"\"", "empty"},
    {"AddedTwice", "\"content\": \"<think>\"", "\"content\": \"<|end|>\"", "'<|end|>' occurs twice"},
    {"AddedElsewhere", "{\"id\": 1, ", "{\"id\": 250, ", "another id"},
    {"AddedFlag", "\"lstrip\": true", "\"lstrip\": 1", "lstrip"},
    {"NotJson", "\"version\"", "version", "odd.json"},
};
INSTANTIATE_TEST_SUITE_P(Edits, TokenizerRefuses, testing::ValuesIn(kEdits),
                         [](const testing::TestParamInfo<Edit>& info) { return info.param.name; });

TEST(Tokenizer, DeepJsonIsAnErrorNotACrash) {
  EXPECT_FALSE(Tokenizer::FromJson(std::string(100000, '['), "deep.json").ok());
  EXPECT_FALSE(Tokenizer::FromJson("", "empty.json").ok());
  EXPECT_FALSE(Tokenizer::FromJson("null", "null.json").ok());
  EXPECT_FALSE(Tokenizer::Load("/no/such/tokenizer.json").ok());
}

// Of any form, so of a test: Small() with other parts. `edit` changes them.
Tokenizer Changed(const std::function<void(TokenizerParts&)>& edit) {
  TokenizerParts parts = Small().parts();
  edit(parts);
  return Tokenizer::FromParts(std::move(parts), "changed").value();
}

TEST(Tokenizer, SingleWord) {
  const Tokenizer t = Changed([](TokenizerParts& parts) { parts.added[1].single_word = true; });
  EXPECT_EQ(t.Encode("<think>")[0], 1);
  EXPECT_EQ(t.Encode("!<think>!")[1], 1);
  EXPECT_EQ(t.Encode("中 <think>").back(), 1);
  for (const char* text : {"a<think>", "<think>7", "_<think>", "中<think>", "<think>\u0301"}) {
    const std::vector<int32_t> ids = t.Encode(text);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), 1), 0) << text;
    EXPECT_EQ(t.Decode(ids), text);
  }
}

TEST(Tokenizer, NormalizedAddedTokensAreSoughtInTheNormalForm) {
  const Tokenizer t = Changed([](TokenizerParts& parts) {
    parts.normalizer = Normalizer::kNfc;
    parts.added.push_back(
        {.id = static_cast<int32_t>(parts.tokens.size()), .content = "<a\u0301>", .normalized = true});
    parts.tokens.push_back(parts.added.back().content);
    parts.added.push_back({.id = static_cast<int32_t>(parts.tokens.size()), .content = "<e\u0301>"});
    parts.tokens.push_back(parts.added.back().content);
  });
  const int32_t normalized = t.size() - 2;
  const int32_t raw = t.size() - 1;
  EXPECT_EQ(t.Encode("<á>"), (std::vector<int32_t>{normalized}));
  EXPECT_EQ(t.Encode("<a\u0301>"), (std::vector<int32_t>{normalized}));
  EXPECT_EQ(t.Encode("<e\u0301>"), (std::vector<int32_t>{raw}));
  EXPECT_EQ(t.Decode(t.Encode("<é>")), "<é>");
  EXPECT_EQ(t.Decode(t.EncodeContent("<e\u0301>")), "<é>");
  EXPECT_GT(t.EncodeContent("<a\u0301>").size(), 1u);
}

TEST(Tokenizer, AroundAText) {
  const Tokenizer t = Changed([](TokenizerParts& parts) {
    parts.before = {0, 2};
    parts.after = {1};
  });
  const Tokenizer again = Tokenizer::FromJson(t.ToJson(), "again").value();
  for (const Tokenizer* one : {&t, &again}) {
    EXPECT_EQ(one->Encode("a", true), (std::vector<int32_t>{0, 2, one->IdOf("a"), 1}));
    EXPECT_EQ(one->Encode("a"), (std::vector<int32_t>{one->IdOf("a")}));
    EXPECT_EQ(one->EncodeContent("a"), (std::vector<int32_t>{one->IdOf("a")}));
  }
}

TEST(Tokenizer, IgnoreMerges) {
  const auto add = [](TokenizerParts& parts) { parts.tokens.push_back("xyz"); };  // no merge makes it
  const Tokenizer by_merges = Changed(add);
  const Tokenizer whole = Changed([&](TokenizerParts& parts) {
    add(parts);
    parts.ignore_merges = true;
  });
  EXPECT_EQ(by_merges.Encode("xyz").size(), 3u);
  EXPECT_EQ(whole.Encode("xyz"), (std::vector<int32_t>{whole.size() - 1}));
  EXPECT_EQ(whole.Encode("xyzz").size(), 4u);
  EXPECT_EQ(Tokenizer::FromJson(whole.ToJson(), "again").value().Encode("xyz").size(), 1u);
}

TEST(Tokenizer, EveryPatternIsWrittenAndRead) {
  for (const WordPattern pattern : {WordPattern::kR1, WordPattern::kGpt2, WordPattern::kLlama3, WordPattern::kQwen2,
                                    WordPattern::kDeepSeekV3, WordPattern::kDeepSeekLlm}) {
    for (const Normalizer normalizer : {Normalizer::kNone, Normalizer::kNfc}) {
      const Tokenizer t = Changed([&](TokenizerParts& parts) {
        parts.pattern = pattern;
        parts.normalizer = normalizer;
      });
      const Result<Tokenizer> again = Tokenizer::FromJson(t.ToJson(), "again");
      ASSERT_TRUE(again.ok()) << again.error().message;
      EXPECT_EQ(again->parts().pattern, pattern);
      EXPECT_EQ(again->parts().normalizer, normalizer);
      EXPECT_EQ(again->ToJson(), t.ToJson());
    }
  }
}

TEST(Tokenizer, LongRunsOfOneThing) {
  // Merges that apply everywhere in the run; the work itself is counted in bpe_merge_test and word_pattern_test.
  const std::vector<std::string> texts = {std::string(64, 'a') + std::string(32, ' ')};
  const Tokenizer own = TrainBpe(texts, Markers(), {.max_vocab = 280, .min_count = 1}).value();
  const Tokenizer whole_runs =
      TrainBpe(texts, Markers(), {.max_vocab = 280, .min_count = 1, .pattern = WordPattern::kGpt2}).value();
  for (const std::string unit : {"a", " ", "\n", "<think", "<", "\xFF", "中", "7", "ab"}) {
    std::string text;
    while (text.size() < 300'000) text += unit;
    for (const Tokenizer* t : {&own, &whole_runs}) {
      const std::vector<int32_t> ids = t->Encode(text);
      EXPECT_EQ(t->Decode(ids), text) << unit;
      if (unit == "a") {
        EXPECT_LT(ids.size(), text.size() / 30);
      }
    }
  }
}

TEST(Tokenizer, ManyAddedTokensWithOnePrefix) {
  std::vector<AddedToken> added;
  for (int i = 0; i < 100'000; ++i)
    added.push_back({.id = -1, .content = "<|common_prefix_" + std::to_string(i) + "|>"});
  const Tokenizer t = TrainBpe(std::vector<std::string>{}, added, {.max_vocab = 110'000}).value();
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "<|common_prefix_" + std::to_string(i % 3 == 0 ? i : 999999) + "|>";
  const std::vector<int32_t> ids = t.Encode(text);
  EXPECT_EQ(ids[0], 0);
  EXPECT_EQ(std::count_if(ids.begin(), ids.end(), [](int32_t id) { return id < 100'000; }), 6667);
  EXPECT_EQ(t.Decode(ids), text);
}

TEST(Tokenizer, CorporaRoundTripAndCompress) {
  const std::filesystem::path english = DataFolder() / "corpora/tinyshakespeare.txt";
  const std::filesystem::path chinese = DataFolder() / "corpora/sishu_zh.txt";
  for (const std::filesystem::path& needed : {english, chinese}) {
    if (!std::filesystem::exists(needed)) GTEST_SKIP() << "missing: " << needed << " (R1_DATA says where data is)";
  }
  const std::string a = ReadAll(english).substr(0, 300'000);
  const std::string b = ReadAll(chinese);
  const Tokenizer t = TrainBpe(std::vector<std::string>{a, b}, Markers(), {.max_vocab = 2000}).value();
  EXPECT_EQ(t.size(), 2000);
  for (const std::string& text : {a, b}) {
    const std::vector<int32_t> ids = t.Encode(text);
    EXPECT_EQ(t.Decode(ids), text);
    EXPECT_LT(ids.size() * 2, text.size());
  }
}

TEST(R1ZeroTemplate, SaysWhatTheReportLists) {
  const std::string prompt = R1ZeroPrompt("How many?");
  size_t at = 0;
  for (const char* part : {"conversation", "User", "Assistant", "mind", "<think>", "</think>", "<answer>", "</answer>",
                           "<think> the reasoning goes here </think> <answer> the answer goes here </answer>",
                           "User: How many?", "Assistant:"}) {
    at = prompt.find(part, std::string(part).starts_with("<think> the") ? 0 : at);
    ASSERT_NE(at, std::string::npos) << part;
  }
  EXPECT_TRUE(prompt.ends_with("User: How many?\nAssistant:"));
}

}  // namespace
}  // namespace r1
