// Tokenizers, special tokens and templates between folders and GGUF keys.
#include "infer/gguf_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "base/test_dir.h"
#include "text/bpe_train.h"
#include "text/token_spelling.h"

namespace r1 {
namespace {

std::string DataPath(const std::string& name) {
  const char* data = std::getenv("R1_DATA");
  return JoinPath(data != nullptr ? std::string(data) : std::string(R1_SOURCE_DIR) + "/../shared/data", name);
}

const char* const kTexts[] = {"Hello, world! 12345 67", "  two  spaces\n\nand\tlines ",
                              "it's we'll DON'T",       "\u4e2d\u6587 \u00e9t\u00e9 na\u00efve \U0001f600",
                              "<s></s> x=3.14;",        ""};

Tokenizer SmallTokenizer() {
  return TrainBpe(std::vector<std::string>{"ab ab abc"},
                  {{.id = -1, .content = "<begin>"},
                   {.id = -1, .content = "<end>"},
                   {.id = -1, .content = "<think>", .rstrip = true, .special = false}},
                  {.max_vocab = 300, .min_count = 1})
      .value();
}

// Through a file with one small tensor.
Result<GgufFile> WriteAndOpen(const std::string& path, const GgufMetadata& keys) {
  R1_TRY(WriteGguf(path, keys, {}));
  return GgufFile::Open(path);
}

TEST(GgufText, PublishedVocabularies) {
  struct Published {
    const char* file;
    int32_t size;
    bool scores;
  };
  const Published published[] = {{"deepseek-llm", 102400, false}, {"gpt-2", 50257, false}, {"llama-spm", 32000, true}};
  for (const Published& each : published) {
    SCOPED_TRACE(each.file);
    const std::string path = DataPath(std::string("tokenizers/gguf/ggml-vocab-") + each.file + ".gguf");
    if (!Exists(path)) GTEST_SKIP() << "missing: " << path << " (R1_DATA says where data is)";
    const GgufFile file = GgufFile::Open(path).value();
    const Result<StoredText> text = ReadGgufText(file);
    ASSERT_TRUE(text.ok()) << text.error().message;
    ASSERT_TRUE(text->tokenizer.has_value());
    EXPECT_EQ(text->tokenizer->size(), each.size);
    EXPECT_GE(text->bos, 0);
    EXPECT_GE(text->eos, 0);
    // The keys that we write for it make the same tokenizer.
    const GgufVocabulary theirs = VocabularyFromGguf(file).value().value();
    GgufVocabulary ours = VocabularyOf(*text->tokenizer);
    EXPECT_EQ(ours.model, theirs.model);
    EXPECT_EQ(ours.tokens, theirs.tokens);
    EXPECT_EQ(ours.merges, theirs.merges);
    EXPECT_EQ(ours.scores.size(), each.scores ? theirs.scores.size() : 0U);
    ours.bos = theirs.bos;
    ours.eos = theirs.eos;
    ours.add_bos = theirs.add_bos;
    const Result<Tokenizer> again = TokenizerFromGguf(ours, "again");
    ASSERT_TRUE(again.ok()) << again.error().message;
    for (const char* sample : kTexts) {
      EXPECT_EQ(again->Encode(sample, true), text->tokenizer->Encode(sample, true)) << sample;
      EXPECT_EQ(again->EncodeContent(sample), text->tokenizer->EncodeContent(sample)) << sample;
    }
    if (!each.scores) continue;
    // The folder's file too.
    const Tokenizer json = Tokenizer::FromJson(text->tokenizer_json, "json").value();
    for (const char* sample : kTexts) EXPECT_EQ(json.EncodeContent(sample), text->tokenizer->EncodeContent(sample));
  }
}

TEST(GgufText, PublishedTokenizerFiles) {
  for (const char* name : {"llama2", "minimind"}) {
    SCOPED_TRACE(name);
    const std::string path = DataPath(std::string("tokenizers/") + name + "/tokenizer.json");
    if (!Exists(path)) GTEST_SKIP() << "missing: " << path << " (R1_DATA says where data is)";
    const Tokenizer tokenizer = Tokenizer::Load(path).value();
    const Result<Tokenizer> again = TokenizerFromGguf(VocabularyOf(tokenizer), "again");
    ASSERT_TRUE(again.ok()) << again.error().message;
    ASSERT_EQ(again->size(), tokenizer.size());
    for (const char* sample : kTexts)
      EXPECT_EQ(again->EncodeContent(sample), tokenizer.EncodeContent(sample)) << sample;
  }
}

TEST(GgufText, EverythingComesBack) {
  const TempDir dir;
  StoredText text;
  text.tokenizer = SmallTokenizer();
  text.tokenizer_json = text.tokenizer->ToJson();
  text.bos = text.tokenizer->IdOf("<begin>");
  text.eos = text.tokenizer->IdOf("<end>");
  text.pad = text.eos;
  text.stop = {text.eos, text.tokenizer->IdOf("<think>")};
  text.add_bos = true;
  text.add_eos = false;
  text.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}";
  const int64_t rows = text.tokenizer->size() + 7;
  GgufMetadata keys;
  keys.AddString("general.architecture", "llama");
  std::vector<std::string> notes;
  ASSERT_TRUE(AddTextKeys(text, rows, &keys, &notes).ok());
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("'r1'"), std::string::npos) << notes[0];
  const GgufFile file = WriteAndOpen(dir / "a.gguf", keys).value();
  EXPECT_TRUE(CheckGgufModel(file).ok());
  EXPECT_EQ(file.Strings("tokenizer.ggml.tokens")->size(), static_cast<size_t>(rows));
  EXPECT_EQ(file.Strings("tokenizer.ggml.tokens")->back(), "[PAD" + std::to_string(rows - 1) + "]");
  EXPECT_EQ(file.Integers("tokenizer.ggml.token_type")->back(), 5);
  EXPECT_EQ(file.Integers("tokenizer.ggml.token_type")->at(static_cast<size_t>(text.bos)), 3);
  EXPECT_EQ(file.Integers("tokenizer.ggml.token_type")->at(static_cast<size_t>(text.stop[1])), 4);
  const StoredText read = ReadGgufText(file).value();
  EXPECT_EQ(read.tokenizer_json, text.tokenizer_json);
  EXPECT_EQ(read.stop, text.stop);
  EXPECT_EQ(read.chat_template, text.chat_template);
  EXPECT_EQ(read.bos, text.bos);
  EXPECT_EQ(read.pad, text.pad);
  EXPECT_EQ(read.add_bos, true);
  // Without the whole file: the same tokens, the flags of added tokens are lost.
  GgufMetadata plain;
  for (const GgufEntry& entry : file.metadata()) {
    if (entry.key != "tokenizer.huggingface.json") plain.Raw(entry);
  }
  const GgufFile without = WriteAndOpen(dir / "b.gguf", plain).value();
  const StoredText less = ReadGgufText(without).value();
  EXPECT_EQ(less.tokenizer->size(), text.tokenizer->size());
  EXPECT_EQ(less.tokenizer->Encode("ab<think>abc ab", false), text.tokenizer->Encode("ab<think>abc ab", false));
  EXPECT_FALSE(less.tokenizer->AddedOf(text.stop[1])->rstrip);
  EXPECT_EQ(less.tokenizer->Encode("ab", true)[0], text.bos);
  // And through a folder.
  ASSERT_TRUE(WriteFolderText(read, dir.path(), 512).ok());
  const StoredText folder = ReadFolderText(dir.path()).value();
  EXPECT_EQ(folder.tokenizer_json, text.tokenizer_json);
  EXPECT_EQ(folder.bos, text.bos);
  EXPECT_EQ(folder.eos, text.eos);
  EXPECT_EQ(folder.pad, text.pad);
  EXPECT_EQ(folder.stop, text.stop);
  EXPECT_EQ(folder.add_bos, true);
  EXPECT_EQ(folder.add_eos, false);
  EXPECT_EQ(folder.chat_template, text.chat_template);
}

TEST(GgufText, WhereTheTemplateStands) {
  const TempDir dir;
  const std::string config = dir / "tokenizer_config.json";
  EXPECT_EQ(ReadFolderText(dir.path())->chat_template, "");
  ASSERT_TRUE(WriteFileAtomic(config, R"({"chat_template": "one"})").ok());
  EXPECT_EQ(ReadFolderText(dir.path())->chat_template, "one");
  ASSERT_TRUE(WriteFileAtomic(config, R"({"chat_template": [{"name": "tool_use", "template": "two"},
                                          {"name": "default", "template": "three"}, 7]})")
                  .ok());
  EXPECT_EQ(ReadFolderText(dir.path())->chat_template, "three");
  ASSERT_TRUE(WriteFileAtomic(dir / "chat_template.jinja", "four\n").ok());
  EXPECT_EQ(ReadFolderText(dir.path())->chat_template, "four\n");
  ASSERT_TRUE(WriteFileAtomic(config, "[]").ok());
  EXPECT_EQ(ReadFolderText(dir.path()).error().code, ErrorCode::kBadInput);
}

TEST(GgufText, WithoutATokenizer) {
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "generation_config.json", R"({"eos_token_id": [1, 9], "pad_token_id": 99})").ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "config.json", R"({"bos_token_id": null, "eos_token_id": "x"})").ok());
  const StoredText text = ReadFolderText(dir.path()).value();
  EXPECT_EQ(text.bos, -1);
  EXPECT_EQ(text.eos, 1);
  EXPECT_EQ(text.stop, (std::vector<int32_t>{1, 9}));
  GgufMetadata keys;
  keys.AddString("general.architecture", "llama");
  std::vector<std::string> notes;
  ASSERT_TRUE(AddTextKeys(text, 16, &keys, &notes).ok());
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_NE(notes[1].find("padding_token_id 99"), std::string::npos) << notes[1];
  const GgufFile file = WriteAndOpen(dir / "a.gguf", keys).value();
  EXPECT_EQ(*file.String("tokenizer.ggml.model"), "no_vocab");
  const StoredText read = ReadGgufText(file).value();
  EXPECT_FALSE(read.tokenizer.has_value());
  EXPECT_EQ(read.stop, text.stop);
}

TEST(GgufText, Refusals) {
  const TempDir dir;
  StoredText text;
  text.tokenizer = SmallTokenizer();
  text.tokenizer_json = "{}";
  GgufMetadata keys;
  std::vector<std::string> notes;
  const Status few = AddTextKeys(text, text.tokenizer->size() - 1, &keys, &notes);
  ASSERT_FALSE(few.ok());
  EXPECT_NE(few.error().message.find("embedding"), std::string::npos);
  // A whole file that is of other tokens is passed over.
  keys = {};
  keys.AddString("general.architecture", "llama");
  ASSERT_TRUE(AddTextKeys(text, text.tokenizer->size(), &keys, &notes).ok());
  const GgufFile file = WriteAndOpen(dir / "a.gguf", keys).value();
  EXPECT_EQ(
      ReadGgufText(file)->tokenizer_json,
      text.tokenizer->ToJson().replace(text.tokenizer->ToJson().find("\"rstrip\": true"), 14, "\"rstrip\": false"));
  for (const char* odd : {"tokenizer.ggml.token_type", "tokenizer.ggml.merges", "tokenizer.ggml.model"}) {
    GgufMetadata wrong;
    for (const GgufEntry& entry : file.metadata()) {
      if (entry.key != odd) wrong.Raw(entry);
    }
    wrong.Add(odd, uint32_t{7});
    const Result<StoredText> read = ReadGgufText(WriteAndOpen(dir / "b.gguf", wrong).value());
    ASSERT_FALSE(read.ok()) << odd;
    EXPECT_NE(read.error().message.find(odd), std::string::npos) << read.error().message;
  }
}

}  // namespace
}  // namespace r1
