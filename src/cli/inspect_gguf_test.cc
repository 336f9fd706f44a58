#include "cli/inspect_gguf.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/test_dir.h"

namespace r1::cli {
namespace {

TEST(InspectGguf, KeysAndShortenedArrays) {
  TempDir dir;
  GgufMetadata keys;
  keys.AddString("general.architecture", "deepseek2");
  keys.Add("deepseek2.block_count", 62u);
  keys.Add("deepseek2.nextn_predict_layers", 1u);
  keys.Add("deepseek2.expert_count", 256u);
  keys.Add("deepseek2.expert_used_count", 8u);
  keys.Add("deepseek2.expert_weights_norm", true);
  keys.Add("large", std::numeric_limits<uint64_t>::max());
  keys.AddString("tokenizer.chat_template", std::string(500, 't') + "\x1b[2J");
  const std::vector<std::string_view> tokens(1000, "a\n");
  keys.AddStrings("tokenizer.ggml.tokens", tokens);
  const std::vector<float> few{0.5f, 1};
  keys.AddArray("few", std::span<const float>(few));
  keys.AddString("\x1b[2J", "");
  ASSERT_TRUE(WriteGguf(dir / "f", keys, {}).ok());
  const auto file = GgufFile::Open(dir / "f");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const nlohmann::ordered_json facts = GgufFacts(*file);
  EXPECT_EQ(facts["version"], 3);
  EXPECT_EQ(facts["alignment"], 32);
  EXPECT_TRUE(facts["consistent"].get<bool>());
  ASSERT_EQ(facts["keys"].size(), 11u);
  EXPECT_EQ(facts["keys"][0].dump(), R"({"key":"general.architecture","type":"string","value":"deepseek2"})");
  EXPECT_EQ(facts["keys"][6].dump(), R"({"key":"large","type":"u64","value":18446744073709551615})");
  EXPECT_EQ(facts["keys"][7]["value"].get<std::string>().size(), 504u) << "JSON has the whole text";
  EXPECT_EQ(facts["keys"][8]["count"], 1000);
  EXPECT_EQ(facts["keys"][8]["first"].size(), 8u);
  EXPECT_EQ(facts["keys"][9].dump(), R"({"key":"few","type":"array of f32","count":2,"first":[0.5,1.0]})");
  const std::string text = GgufText(facts);
  EXPECT_NE(text.find("  general.architecture            string           'deepseek2'\n"), std::string::npos) << text;
  EXPECT_NE(text.find("1,000: 'a\\n' 'a\\n' 'a\\n' 'a\\n' 'a\\n' 'a\\n' 'a\\n' 'a\\n' ...\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("2: 0.5 1.0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("'tttttttttt"), std::string::npos);
  EXPECT_EQ(text.find(std::string(100, 't')), std::string::npos) << "long texts are cut";
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << "keys and values are escaped";
  const CountShape shape = GgufCountShape(*file);
  EXPECT_EQ(shape.layers, 61);
  EXPECT_EQ(shape.routed_experts, 256);
  EXPECT_EQ(shape.experts_per_token, 8);
}

TEST(InspectGguf, ParametersUnderGgufNames) {
  EXPECT_EQ(LayerOf("blk.17.ffn_gate_exps.weight"), 17);
  EXPECT_EQ(LayerOf("blk.17"), -1);
  EXPECT_EQ(LayerOf("blk.x.y"), -1);
  const auto tensor = [](const std::string& name, std::vector<int64_t> shape, StoredType type) {
    StoredTensor out{.name = name, .type = type, .shape = std::move(shape), .data = nullptr, .bytes = 0};
    out.bytes = *StoredBytes(out.type, out.shape);
    return out;
  };
  const ParameterCounts counts = CountParameters({tensor("token_embd.weight", {100, 256}, StoredType::kQ6K),
                                                  tensor("blk.0.ffn_up_exps.weight", {4, 10, 256}, StoredType::kQ4K),
                                                  tensor("blk.1.nextn.eh_proj.weight", {2, 256}, StoredType::kF32)},
                                                 {.layers = 1, .routed_experts = 4, .experts_per_token = 1});
  EXPECT_EQ(counts.total, 25600 + 10240);
  EXPECT_EQ(counts.routed, 10240);
  EXPECT_EQ(counts.active, 25600 + 2560);
  EXPECT_EQ(counts.mtp, 512);
}

TEST(InspectGguf, ContradictionsAreNamed) {
  TempDir dir;
  ASSERT_TRUE(WriteGguf(dir / "f", {}, {}).ok());
  const auto file = GgufFile::Open(dir / "f");
  const nlohmann::ordered_json facts = GgufFacts(*file);
  EXPECT_FALSE(facts["consistent"].get<bool>());
  EXPECT_NE(GgufText(facts).find("there is no key 'general.architecture'"), std::string::npos);
  EXPECT_EQ(GgufCountShape(*file).layers, 0);
}

}  // namespace
}  // namespace r1::cli
