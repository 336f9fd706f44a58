// Recorded encodings of published tokenizers, in ../shared/data/tokenizers. Where the collection has only a vocabulary
// and merges, or a file of ranks, the tokenizer.json is put together here, in the form that its publisher gives it.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "text/published_test_util.h"
#include "text/token_spelling.h"
#include "text/tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace r1 {
namespace {

using namespace published;  // NOLINT(google-build-using-namespace)

struct Vector {
  std::string name;
  std::string text;
  std::vector<int32_t> ids;
  std::string decoded;       // what Decode gives; "" where it is not recorded
  std::string decoded_skip;  // with special tokens left out
};

// NAME.inp and NAME.out of llama.cpp.
std::vector<Vector> LlamaCppVectors(const std::string& name) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<Vector> vectors;
  const std::string input = ReadAll(Data("vectors/" + name + ".inp"));
  for (size_t at = 0; at < input.size();) {
    const size_t end = input.find(separator, at);
    if (end == std::string::npos) break;
    vectors.push_back({name, input.substr(at, end - at), {}, "", ""});
    at = end + separator.size();
  }
  const std::vector<std::string> lines = Lines(ReadAll(Data("vectors/" + name + ".out")));
  EXPECT_EQ(lines.size(), vectors.size());
  for (size_t i = 0; i < std::min(lines.size(), vectors.size()); ++i) {
    std::stringstream ids(lines[i]);
    for (int32_t id = 0; ids >> id;) vectors[i].ids.push_back(id);
  }
  return vectors;
}

std::vector<Vector> JsonVectors(const std::string& file, const std::string& tokenizer) {
  std::vector<Vector> vectors;
  for (const std::string& line : Lines(ReadAll(Data("vectors/" + file)))) {
    const Json row = Json::parse(line);
    if (!tokenizer.empty() && !row["tokenizer"].get<std::string>().starts_with(tokenizer)) continue;
    vectors.push_back({row.value("case", row.value("kind", file)), row["text"], row["ids"], row.value("decoded", ""),
                       row.value("decoded_skip_special", "")});
  }
  return vectors;
}

// Counts what agrees, prints it as a row of the table, and fails for every difference. `around`: the recorded ids hold
// the begin token. Texts whose recorded decoding was tidied up afterwards (" !" -> "!") are compared with the text.
void Check(const Tokenizer& t, const std::string& title, const std::vector<Vector>& vectors, bool around) {
  size_t encoded = 0;
  size_t decoded = 0;
  for (const Vector& v : vectors) {
    const std::vector<int32_t> ids = t.Encode(v.text, around);
    EXPECT_EQ(ids, v.ids) << title << " " << v.name << ": " << v.text;
    encoded += ids == v.ids;
    const bool characters = t.parts().alphabet == Alphabet::kCharacters;
    std::string want = v.text;
    if (t.parts().normalizer == Normalizer::kNfc) {
      std::string buffer;
      want = ToNfc(v.text, &buffer);
    } else if (characters && v.decoded.empty()) {
      want = ReadSpelledCharacters(v.text);
    }
    const bool tidied = v.decoded.find("!!to") != std::string::npos && v.text.find(" !!to") != std::string::npos;
    if (!v.decoded.empty()) want = tidied ? (around && characters ? "<s> " : "") + v.text : v.decoded;
    std::string got = t.Decode(v.ids);
    bool right = got == want;
    EXPECT_EQ(got, want) << title << " " << v.name;
    if (!v.decoded_skip.empty() && !tidied) {
      got = t.Decode(v.ids, true);
      EXPECT_EQ(got, v.decoded_skip) << title << " " << v.name;
      right = right && got == v.decoded_skip;
    }
    decoded += right;
  }
  EXPECT_GT(vectors.size(), 0u) << title;
  std::cout << "  " << title << ": " << encoded << " of " << vectors.size() << " encoded, " << decoded << " decoded\n";
}

#define NEED(...)                                                                     \
  for (const char* needed : {__VA_ARGS__}) {                                          \
    if (!std::filesystem::exists(Data(needed)))                                       \
      GTEST_SKIP() << "missing: " << Data(needed) << " (R1_DATA says where data is)"; \
  }

Tokenizer Open(const Json& file, const std::string& name) {
  Result<Tokenizer> t = Tokenizer::FromJson(file.dump(), name);
  EXPECT_TRUE(t.ok()) << t.error().message;
  const std::string json = t->ToJson();
  const Result<Tokenizer> again = Tokenizer::FromJson(json, name + " written");
  EXPECT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again.ok() && again->ToJson() == json) << name;
  return std::move(t).value();
}

TEST(TokenizerVectors, Gpt2) {
  NEED("gpt2/tokenizer.json", "vectors/gpt-2.inp", "vectors/cases.jsonl", "vectors/bulk_gpt2.jsonl")
  const Tokenizer t = Open(Json::parse(ReadAll(Data("gpt2/tokenizer.json"))), "gpt2");
  Check(t, "gpt-2, llama.cpp", LlamaCppVectors("gpt-2"), false);
  Check(t, "gpt-2, cases", JsonVectors("cases.jsonl", "gpt2"), false);
  Check(t, "gpt-2, bulk", JsonVectors("bulk_gpt2.jsonl", ""), false);
}

TEST(TokenizerVectors, Qwen) {
  NEED("qwen2.5/vocab.json", "vectors/qwen2.inp", "vectors/cases.jsonl", "vectors/bulk_qwen2.5.jsonl")
  for (const std::string name : {"qwen2.5", "qwen3"}) {
    const Tokenizer t = Open(QwenTokenizer(name), name);
    EXPECT_EQ(t.size(), name == "qwen3" ? 151669 : 151665);
    EXPECT_EQ(t.IdOf("<think>"), name == "qwen3" ? 151667 : -1);
    Check(t, name + ", llama.cpp", LlamaCppVectors("qwen2"), false);
    Check(t, name + ", cases", JsonVectors("cases.jsonl", "qwen2.5"), false);
    std::vector<Vector> bulk = JsonVectors("bulk_qwen2.5.jsonl", "");
    if (name == "qwen3") {  // recorded with Qwen2.5, which has no such token
      EXPECT_EQ(std::erase_if(bulk, [](const Vector& v) { return v.text.find("<think>") != std::string::npos; }), 1u);
    }
    Check(t, name + ", bulk", bulk, false);
  }
}

TEST(TokenizerVectors, Llama2) {
  NEED("llama2/tokenizer.json", "vectors/llama-spm.inp", "vectors/cases.jsonl")
  const Tokenizer t = Open(Json::parse(ReadAll(Data("llama2/tokenizer.json"))), "llama2");
  Check(t, "llama-2, llama.cpp", LlamaCppVectors("llama-spm"), false);
  Check(t, "llama-2, cases", JsonVectors("cases.jsonl", "llama2"), true);
}

TEST(TokenizerVectors, DeepSeekV3) {
  NEED("deepseek-v3/deepseek_v3.tiktoken.gz", "deepseek-v3/added_tokens.json", "vectors/bulk_deepseek_v3.jsonl")
  const Tokenizer t = Open(DeepSeekTokenizer(testing::TempDir(), false), "deepseek-v3");
  EXPECT_EQ(t.Encode("<｜User｜>x"), (std::vector<int32_t>{128803, t.IdOf("x")}));
  Check(t, "deepseek-v3, bulk", JsonVectors("bulk_deepseek_v3.jsonl", ""), false);
}

TEST(TokenizerVectors, Llama3LoadsAndKeepsText) {
  NEED("llama3/tokenizer.model", "llama3/tokenizer_config.json", "vectors/llama-spm.inp")
  const Tokenizer t = Open(Llama3Tokenizer(), "llama3");
  EXPECT_EQ(t.size(), 128256);
  // Published: "Hello world" with its begin token, and numbers in groups of three.
  EXPECT_EQ(t.Encode("Hello world", true), (std::vector<int32_t>{128000, 9906, 1917}));
  EXPECT_EQ(t.Encode("1234567").size(), 3u);
  for (const Vector& v : LlamaCppVectors("llama-spm")) EXPECT_EQ(t.Decode(t.Encode(v.text)), v.text);
}

TEST(TokenizerVectors, MinimindKeepsText) {
  NEED("minimind/tokenizer.json", "vectors/gpt-2.inp")
  const Tokenizer t = Open(Json::parse(ReadAll(Data("minimind/tokenizer.json"))), "minimind");
  for (const Vector& v : LlamaCppVectors("gpt-2")) EXPECT_EQ(t.Decode(t.Encode(v.text)), v.text);
  EXPECT_LT(t.Encode("今天天气很好。").size(), 10u);
}

// The metadata of a GGUF file (little-endian), as far as the vocabulary files need it.
class GgufMetadata {
 public:
  explicit GgufMetadata(std::string bytes) : bytes_(std::move(bytes)) {
    at_ = 16;  // magic, version, number of tensors
    const auto count = Number<uint64_t>();
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key = Text();
      values_[key] = Value(Number<uint32_t>());
    }
  }
  GgufVocabulary Vocabulary() {
    const auto get = [&](const char* key) -> Json& { return values_[std::string("tokenizer.ggml.") + key]; };
    GgufVocabulary v;
    v.model = get("model");
    v.pre = get("pre");
    v.tokens = get("tokens").get<std::vector<std::string>>();
    v.types = get("token_type").get<std::vector<int32_t>>();
    if (!get("scores").is_null()) v.scores = get("scores").get<std::vector<float>>();
    if (!get("merges").is_null()) v.merges = get("merges").get<std::vector<std::string>>();
    if (!get("bos_token_id").is_null()) v.bos = get("bos_token_id");
    if (!get("eos_token_id").is_null()) v.eos = get("eos_token_id");
    if (!get("add_bos_token").is_null()) v.add_bos = get("add_bos_token").get<int>() != 0;
    if (!get("add_eos_token").is_null()) v.add_eos = get("add_eos_token").get<int>() != 0;
    return v;
  }

 private:
  template <class T>
  T Number() {
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string Text() {
    const auto size = Number<uint64_t>();
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  Json Value(uint32_t type) {
    if (type == 4) return Number<uint32_t>();
    if (type == 5) return Number<int32_t>();
    if (type == 6) return Number<float>();
    if (type == 7) return static_cast<int>(Number<uint8_t>());
    if (type == 8) return Text();
    EXPECT_EQ(type, 9u);
    Json list = Json::array();
    const auto inner = Number<uint32_t>();
    const auto count = Number<uint64_t>();
    for (uint64_t i = 0; i < count; ++i) {  // the elements of these files are plain
      list.push_back(inner == 8 ? Json(Text()) : inner == 6 ? Json(Number<float>()) : Json(Number<int32_t>()));
    }
    return list;
  }
  std::string bytes_;
  size_t at_ = 0;
  std::map<std::string, Json> values_;
};

TEST(TokenizerVectors, FromGguf) {
  NEED("gguf/ggml-vocab-deepseek-llm.gguf", "gguf/ggml-vocab-gpt-2.gguf", "gguf/ggml-vocab-llama-spm.gguf")
  for (const std::string name : {"deepseek-llm", "gpt-2", "llama-spm"}) {
    const Result<Tokenizer> t =
        TokenizerFromGguf(GgufMetadata(ReadAll(Data("gguf/ggml-vocab-" + name + ".gguf"))).Vocabulary(), name);
    ASSERT_TRUE(t.ok()) << t.error().message;
    Check(*t, "gguf " + name + ", llama.cpp", LlamaCppVectors(name), false);
    if (name == "llama-spm") Check(*t, "gguf llama-spm, cases", JsonVectors("cases.jsonl", "llama2"), true);
    if (name == "gpt-2") Check(*t, "gguf gpt-2, bulk", JsonVectors("bulk_gpt2.jsonl", ""), false);
    EXPECT_EQ(t->parts().before.size(), name == "gpt-2" ? 0u : 1u);
    const Result<Tokenizer> again = Tokenizer::FromJson(t->ToJson(), name + " written");
    ASSERT_TRUE(again.ok()) << again.error().message;
    Check(*again, "gguf " + name + " as tokenizer.json", LlamaCppVectors(name), false);
  }
}

}  // namespace
}  // namespace r1
