#include "text/tokenizer_gguf.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "text/token_spelling.h"

namespace r1 {
namespace {

GgufVocabulary ByteLevel() {
  GgufVocabulary v;
  v.model = "gpt2";
  v.pre = "qwen2";
  for (int byte = 0; byte < 256; ++byte) v.tokens.push_back(SpellBytes(std::string(1, static_cast<char>(byte))));
  for (const char* token : {"ab", "\u0120ab", "<|end|>", "<tool>", "[PAD]"}) v.tokens.emplace_back(token);
  v.types.assign(v.tokens.size(), 1);
  v.types[258] = 3;
  v.types[259] = 4;
  v.types[260] = 5;
  v.merges = {"a b", "\u0120 ab"};
  v.bos = 258;
  return v;
}

GgufVocabulary SentencePiece() {
  GgufVocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>"};
  v.types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    v.tokens.push_back(SpellByteToken(byte));
    v.types.push_back(6);
  }
  for (const char* token : {"\u2581a", "aa", "ba", "aab", "\u2581", "a", "b"}) {
    v.tokens.emplace_back(token);
    v.types.push_back(1);
  }
  v.scores.assign(v.tokens.size(), 0);
  for (size_t i = 259; i < v.tokens.size(); ++i) v.scores[i] = -static_cast<float>(i);
  v.bos = 1;
  v.eos = 2;
  return v;
}

TEST(TokenizerGguf, ByteLevel) {
  const Tokenizer t = TokenizerFromGguf(ByteLevel(), "a.gguf").value();
  EXPECT_EQ(t.Encode("ab ab<|end|><tool>"), (std::vector<int32_t>{256, 257, 258, 259}));
  EXPECT_EQ(t.Decode(std::vector<int32_t>{256, 258, 259}, true), "ab<tool>");
  EXPECT_EQ(t.Encode("[PAD]").size(), 5u);
  EXPECT_EQ(t.Encode("ab", true), (std::vector<int32_t>{256}));  // gpt2: no begin token unless the file says so
  GgufVocabulary v = ByteLevel();
  v.add_bos = true;
  EXPECT_EQ(TokenizerFromGguf(v, "a.gguf")->Encode("ab", true), (std::vector<int32_t>{258, 256}));
  v.add_bos.reset();
  v.pre = "llama-bpe";
  EXPECT_EQ(TokenizerFromGguf(v, "a.gguf")->Encode("ab", true), (std::vector<int32_t>{258, 256}));
}

TEST(TokenizerGguf, SentencePieceJoinsByScore) {
  const Tokenizer t = TokenizerFromGguf(SentencePiece(), "a.gguf").value();
  const auto id = [&](const char* token) { return t.IdOf(token); };
  EXPECT_EQ(t.Encode("aaa", true), (std::vector<int32_t>{1, id(" a"), id("aa")}));  // the better score first
  EXPECT_EQ(t.Encode("baab"), (std::vector<int32_t>{id(" "), id("b"), id("aab")}));
  EXPECT_EQ(t.Encode("\u4e2d\n"), (std::vector<int32_t>{id(" "), 3 + 0xE4, 3 + 0xB8, 3 + 0xAD, 3 + '\n'}));
  EXPECT_EQ(t.Decode(t.Encode("a\u4e2d b", true), true), "a\u4e2d b");
  EXPECT_EQ(t.Decode(t.EncodeContent("</s>")), "</s>");
  EXPECT_EQ(t.Encode("a</s>b"), (std::vector<int32_t>{id(" a"), 2, id(" "), id("b")}));
  // One score for several tokens: the leftmost pair first.
  GgufVocabulary v = SentencePiece();
  v.scores.assign(v.tokens.size(), 0);
  EXPECT_EQ(TokenizerFromGguf(v, "a.gguf")->Encode("aab"), (std::vector<int32_t>{id(" a"), id("a"), id("b")}));
}

struct Edit {
  const char* name;
  bool sentence_piece;
  std::function<void(GgufVocabulary&)> edit;
  const char* message;
};

TEST(TokenizerGguf, RefusesByName) {
  const std::vector<Edit> edits = {
      {"model", false, [](auto& v) { v.model = "t5"; }, "'t5'"},
      {"pre", false, [](auto& v) { v.pre = "default"; }, "'default'"},
      {"no tokens", false, [](auto& v) { v.tokens.clear(); }, "tokens"},
      {"types", false, [](auto& v) { v.types.pop_back(); }, "260 entries"},
      {"type", false, [](auto& v) { v.types[5] = 7; }, "token 5 is 7"},
      {"byte", false, [](auto& v) { v.types[5] = 6; }, "byte token"},
      {"spelling", false, [](auto& v) { v.tokens[256] = "\u4e2d"; }, "alphabet"},
      {"twice", false, [](auto& v) { v.tokens[256] = "a"; }, "twice"},
      {"merge form", false, [](auto& v) { v.merges[0] = "ab"; }, "merge 1"},
      {"merge unknown", false, [](auto& v) { v.merges[1] = "a q9"; }, "q9"},
      {"merge product", false, [](auto& v) { v.merges[1] = "b b"; }, "'bb'"},
      {"merge of added", false, [](auto& v) { v.merges[1] = "a <tool>"; }, "<tool>"},
      {"bos", false, [](auto& v) { v.bos = 261; }, "bos_token_id is 261"},
      {"bos below", false, [](auto& v) { v.bos = -2; }, "bos_token_id is -2"},
      {"no eos", false, [](auto& v) { v.add_eos = true; }, "add_eos"},
      {"hole", false, [](auto& v) { v.tokens[7] = "zzz"; }, "no token for byte"},
      {"scores", true, [](auto& v) { v.scores.pop_back(); }, "scores"},
      {"score", true, [](auto& v) { v.scores[260] = std::numeric_limits<float>::quiet_NaN(); }, "not finite"},
      {"byte spelling", true, [](auto& v) { v.tokens[3] = "<0x0g>"; }, "not <0xNN>"},
      {"missing byte", true, [](auto& v) { v.tokens[3] = "<0x01>"; }, "byte 0"},
      {"long", true, [](auto& v) { v.tokens[260] = std::string(300, 'a'); }, "256 bytes"},
      {"utf-8", true, [](auto& v) { v.tokens[260] = "\xFF"; }, "UTF-8"},
      {"prefix", true, [](auto& v) { v.add_space_prefix = false; }, "add_space_prefix"},
  };
  for (const Edit& edit : edits) {
    GgufVocabulary v = edit.sentence_piece ? SentencePiece() : ByteLevel();
    edit.edit(v);
    const Result<Tokenizer> t = TokenizerFromGguf(v, "odd.gguf");
    ASSERT_FALSE(t.ok()) << edit.name;
    EXPECT_EQ(t.error().code, ErrorCode::kBadInput);
    EXPECT_TRUE(t.error().message.starts_with("odd.gguf: ")) << t.error().message;
    EXPECT_NE(t.error().message.find(edit.message), std::string::npos) << edit.name << ": " << t.error().message;
  }
}

}  // namespace
}  // namespace r1
