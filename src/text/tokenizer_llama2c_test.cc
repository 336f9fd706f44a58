// Vocabulary files of llama2.c made here: what they encode, and everything they may not be.
#include "text/tokenizer_llama2c.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>
#include <vector>

#include "text/token_spelling.h"

namespace r1 {
namespace {

using Tokens = std::vector<std::pair<float, std::string>>;

std::string FileOf(int32_t longest, const Tokens& tokens) {
  std::string bytes(reinterpret_cast<const char*>(&longest), 4);
  for (const auto& [score, text] : tokens) {
    const auto length = static_cast<int32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&score), 4);
    bytes.append(reinterpret_cast<const char*>(&length), 4);
    bytes += text;
  }
  return bytes;
}

Tokens Small() {
  Tokens tokens = {{0.0f, "<unk>"}, {0.0f, "\n<s>\n"}, {0.0f, "\n</s>\n"}};
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(0.0f, SpellByteToken(byte));
  for (const char* text : {" ", "a", "b", " a", "aa", "ab"})
    tokens.emplace_back(-static_cast<float>(tokens.size()), text);
  return tokens;
}

TEST(TokenizerLlama2c, EncodesByScore) {
  const Result<Tokenizer> t = ParseLlama2cTokenizer(FileOf(7, Small()), "a.bin");
  ASSERT_TRUE(t.ok()) << t.error().message;
  EXPECT_EQ(t->size(), 265);
  const auto id = [&](const char* token) { return t->IdOf(token); };
  EXPECT_EQ(t->Encode("", true), (std::vector<int32_t>{1}));
  EXPECT_EQ(t->Encode("aab", true), (std::vector<int32_t>{1, id(" a"), id("ab")}));
  EXPECT_EQ(t->Encode("baa"), (std::vector<int32_t>{id(" "), id("b"), id("aa")}));
  EXPECT_EQ(t->Encode("\n"), (std::vector<int32_t>{id(" "), 3 + '\n'}));
  EXPECT_EQ(t->Decode(t->Encode("ab b", true), true), "ab b");
  EXPECT_EQ(t->EncodeContent("<s>").size(), 4u);  // a user's text makes no begin token
  EXPECT_EQ(t->IdOf("<s>"), 1);
}

TEST(TokenizerLlama2c, RefusesByName) {
  struct Bad {
    const char* part;
    int32_t longest;
    std::function<void(Tokens&)> edit;
    std::string more;  // bytes at the end
  };
  const auto nothing = [](Tokens&) {};
  const std::vector<Bad> bad = {
      {"longest token has 0", 0, nothing, ""},
      {"longest token has -1", -1, nothing, ""},
      {"token 3 has the length 6; the longest is 5", 5, [](Tokens& t) { t[2].second = "</s>"; }, ""},
      {"ends inside token 265", 7, nothing, "abc"},
      {"ends inside token 265", 7, nothing, std::string("\0\0\0\0\7\0\0\0abc", 11)},
      {"length -1", 7, nothing, std::string("\0\0\0\0\377\377\377\377", 8)},
      {"258 tokens", 7, [](Tokens& t) { t.resize(258); }, ""},
      {"0 tokens", 7, [](Tokens& t) { t.clear(); }, ""},
      {"not <0xNN>", 7, [](Tokens& t) { t[5].second = "<0x3>"; }, ""},
      {"no token for byte", 7, [](Tokens& t) { t[5].second = "<0x03>"; }, ""},
      {"not finite", 7, [](Tokens& t) { t[260].first = -std::numeric_limits<float>::infinity(); }, ""},
      {"twice", 7, [](Tokens& t) { t[260].second = "b"; }, ""},
      {"UTF-8", 7, [](Tokens& t) { t[260].second = "\xFF"; }, ""},
      {"empty", 7, [](Tokens& t) { t[260].second.clear(); }, ""},
  };
  for (const Bad& b : bad) {
    Tokens tokens = Small();
    b.edit(tokens);
    const Result<Tokenizer> t = ParseLlama2cTokenizer(FileOf(b.longest, tokens) + b.more, "odd.bin");
    ASSERT_FALSE(t.ok()) << b.part;
    EXPECT_EQ(t.error().code, ErrorCode::kBadInput);
    EXPECT_TRUE(t.error().message.starts_with("odd.bin: ")) << t.error().message;
    EXPECT_NE(t.error().message.find(b.part), std::string::npos) << b.part << ": " << t.error().message;
  }
  EXPECT_FALSE(ParseLlama2cTokenizer("abc", "odd.bin").ok());
}

}  // namespace
}  // namespace r1
