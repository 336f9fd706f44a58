// Model configs as Hugging Face config.json: round trips, foreign spellings, and everything that must be refused.
#include "model/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/fields.h"
#include "model/model_test_util.h"

namespace r1 {
namespace {

std::string Text(ModelConfig c) { return FieldsText(CollectFields(c)); }

TEST(ModelConfig, JsonRoundTrip) {
  std::vector<NamedConfig> configs = TestConfigs();
  for (const std::string& name : ModelPresetNames()) {
    configs.push_back({name, ModelPreset(name).value()});
    if (configs.back().config.vocab_size == 0) configs.back().config.vocab_size = 160;
  }
  for (const NamedConfig& test : configs) {
    const Result<ModelConfig> back = ModelConfigFromJson(ModelConfigToJson(test.config), test.name);
    ASSERT_TRUE(back.ok()) << back.error().message;
    ModelConfig want = test.config;
    if (want.is_mla()) {  // what this kind does not have is not stored
      want.num_key_value_heads = want.num_attention_heads;
      want.head_dim = ModelConfig().head_dim;
    }
    EXPECT_EQ(Text(*back), Text(want)) << test.name;
  }
}

TEST(ModelConfig, ScalarHead) {
  for (const bool latent : {true, false}) {
    ModelConfig c = latent ? TestV3() : TestDense(64, 4, 2, 16, 40, 45);
    const std::string plain = ModelConfigToJson(c);
    EXPECT_EQ(plain.find("num_labels"), std::string::npos);
    c.num_labels = 1;
    const std::string text = ModelConfigToJson(c);
    EXPECT_NE(text.find(latent ? "\"DeepseekV3ForSequenceClassification\"" : "\"LlamaForSequenceClassification\""),
              std::string::npos);
    const Result<ModelConfig> back = ModelConfigFromJson(text, "x");
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(back->num_labels, 1);
    EXPECT_EQ(ModelConfigFromJson(plain, "x")->num_labels, 0);

    nlohmann::json j = nlohmann::json::parse(text);
    j.erase("num_labels");
    j["id2label"] = {{"0", "LABEL_0"}};  // how transformers writes it
    EXPECT_EQ(ModelConfigFromJson(j.dump(), "x")->num_labels, 1);
    for (const nlohmann::json& labels : {nlohmann::json({{"0", "bad"}, {"1", "good"}}), nlohmann::json()}) {
      j["id2label"] = labels;
      const Result<ModelConfig> two = ModelConfigFromJson(j.dump(), "dir/config.json");
      ASSERT_FALSE(two.ok());
      EXPECT_EQ(two.error().code, ErrorCode::kRefused);
      EXPECT_NE(two.error().message.find("dir/config.json: a classifier with one label"), std::string::npos);
    }
    j["num_labels"] = "one";
    EXPECT_EQ(ModelConfigFromJson(j.dump(), "x").error().code, ErrorCode::kBadInput);
  }
}

TEST(ModelConfig, PresetsAreValidAndUnknownOnesNameTheNearest) {
  ASSERT_FALSE(ModelPresetNames().empty());
  for (const std::string& name : ModelPresetNames()) {
    ModelConfig c = ModelPreset(name).value();
    if (c.vocab_size == 0) c.vocab_size = 160;
    EXPECT_TRUE(ValidateModelConfig(c, name).ok()) << name;
  }
  const Result<ModelConfig> wrong = ModelPreset("mini-v4");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, ErrorCode::kUsage);
  EXPECT_NE(wrong.error().message.find("mini-v3"), std::string::npos) << wrong.error().message;
}

nlohmann::json Stored(const ModelConfig& c) { return nlohmann::json::parse(ModelConfigToJson(c)); }

TEST(ModelConfig, PublishedSpellings) {
  nlohmann::json j = Stored(TestDense(64, 4, 2, 16, 40, 45));
  j.erase("head_dim");  // Llama files leave it out
  j.erase("rms_norm_eps");
  j.erase("num_key_value_heads");
  j["rope_scaling"] = nullptr;
  j["attention_bias"] = nullptr;
  j["transformers_version"] = "4.33.1";
  const Result<ModelConfig> llama = ModelConfigFromJson(j.dump(), "llama");
  ASSERT_TRUE(llama.ok()) << llama.error().message;
  EXPECT_EQ(llama->head_dim, 16);
  EXPECT_EQ(llama->num_key_value_heads, 4);  // as many as query heads
  EXPECT_EQ(llama->rms_norm_eps, 1e-6);      // the default of these files, not of this program
  j.erase("rope_theta");
  j["rope_parameters"] = {{"rope_theta", 50000.0}, {"rope_type", "default"}};
  const Result<ModelConfig> newer = ModelConfigFromJson(j.dump(), "llama");
  ASSERT_TRUE(newer.ok()) << newer.error().message;
  EXPECT_EQ(newer->rope_theta, 50000.0);

  nlohmann::json v3 = Stored(TestV3());
  v3["q_lora_rank"] = nullptr;
  v3.erase("scoring_func");
  const Result<ModelConfig> read = ModelConfigFromJson(v3.dump(), "v3");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->q_lora_rank, 0);
  EXPECT_EQ(read->scoring_func, "sigmoid");
}

TEST(ModelConfig, RefusesWhatWouldChangeTheArithmetic) {
  struct Bad {
    const char* key;
    nlohmann::json value;
    bool latent;
  };
  const Bad bad[] = {{"rope_scaling", {{"type", "yarn"}, {"factor", 40}}, true},
                     {"rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e4}}, true},
                     {"rope_parameters", "default", true},
                     {"attention_bias", true, false},
                     {"attention_bias", "no", false},
                     {"mlp_bias", true, false},
                     {"hidden_act", "gelu", false},
                     {"hidden_act", 3, false},
                     {"use_sliding_window", true, false},
                     {"rope_interleave", false, true},
                     {"moe_layer_freq", 2, true},
                     {"topk_method", "greedy", true},
                     {"model_type", "gpt2", false},
                     {"scoring_func", "tanh", true}};
  for (const Bad& b : bad) {
    nlohmann::json j = Stored(b.latent ? TestV3() : TestDense(64, 4, 2, 16, 40, 45));
    ASSERT_TRUE(ModelConfigFromJson(j.dump(), "x").ok());
    j[b.key] = b.value;
    const Result<ModelConfig> c = ModelConfigFromJson(j.dump(), "dir/config.json");
    ASSERT_FALSE(c.ok()) << b.key << " " << b.value;
    EXPECT_EQ(c.error().code, ErrorCode::kRefused) << b.key;
    EXPECT_NE(c.error().message.find(b.key), std::string::npos) << c.error().message;
    EXPECT_NE(c.error().message.find("dir/config.json"), std::string::npos) << c.error().message;
  }
}

TEST(ModelConfig, MalformedFiles) {
  const std::string good = ModelConfigToJson(TestV3());
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("null"), good.substr(0, good.size() / 2)}) {
    const Result<ModelConfig> c = ModelConfigFromJson(text, "x");
    ASSERT_FALSE(c.ok()) << text;
    EXPECT_EQ(c.error().code, ErrorCode::kBadInput);
  }
  // A value of another type, at every key.
  const nlohmann::json stored = Stored(TestV3());
  for (const auto& [key, value] : stored.items()) {
    if (key == "architectures" || key == "torch_dtype") continue;
    nlohmann::json j = Stored(TestV3());
    j[key] = nlohmann::json::array({1});
    const Result<ModelConfig> c = ModelConfigFromJson(j.dump(), "x");
    ASSERT_FALSE(c.ok()) << key;
    EXPECT_NE(c.error().message.find(key), std::string::npos) << c.error().message;
  }
  // What the shapes of the tensors do not tell must be in the file.
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "num_experts_per_tok", "n_group", "topk_group", "routed_scaling_factor"}) {
    nlohmann::json j = Stored(TestV3());
    j.erase(key);
    const Result<ModelConfig> c = ModelConfigFromJson(j.dump(), "x");
    ASSERT_FALSE(c.ok()) << key;
    EXPECT_NE(c.error().message.find(key), std::string::npos) << c.error().message;
  }
}

TEST(ModelConfig, ImpossibleSizesNameTheField) {
  struct Bad {
    const char* key;
    std::function<void(ModelConfig&)> change;
    bool latent = true;
  };
  const Bad bad[] = {
      {"vocab_size", [](ModelConfig& c) { c.vocab_size = 0; }},
      {"hidden_size", [](ModelConfig& c) { c.hidden_size = 48; }},
      {"hidden_size", [](ModelConfig& c) { c.hidden_size = -64; }},
      {"num_hidden_layers", [](ModelConfig& c) { c.num_hidden_layers = 0; }},
      {"num_hidden_layers", [](ModelConfig& c) { c.num_hidden_layers = int64_t{1} << 60; }},
      {"num_nextn_predict_layers", [](ModelConfig& c) { c.num_nextn_predict_layers = 2; }},
      {"num_attention_heads", [](ModelConfig& c) { c.num_attention_heads = 0; }},
      {"max_position_embeddings", [](ModelConfig& c) { c.max_position_embeddings = 0; }},
      {"num_labels", [](ModelConfig& c) { c.num_labels = 2; }},
      {"num_nextn_predict_layers", [](ModelConfig& c) { c.num_labels = c.num_nextn_predict_layers = 1; }},
      {"rms_norm_eps", [](ModelConfig& c) { c.rms_norm_eps = 0; }},
      {"rms_norm_eps", [](ModelConfig& c) { c.rms_norm_eps = std::nan(""); }},
      {"rope_theta", [](ModelConfig& c) { c.rope_theta = 1; }},
      {"qk_rope_head_dim", [](ModelConfig& c) { c.qk_rope_head_dim = 15; }},
      {"v_head_dim", [](ModelConfig& c) { c.v_head_dim = 24; }},
      {"kv_lora_rank", [](ModelConfig& c) { c.kv_lora_rank = 0; }},
      {"n_routed_experts", [](ModelConfig& c) { c.n_routed_experts = 2048; }},  // the kernels hold at most 1,024
      {"moe_intermediate_size", [](ModelConfig& c) { c.moe_intermediate_size = 0; }},
      {"n_group", [](ModelConfig& c) { c.n_group = 3; }},
      {"n_group", [](ModelConfig& c) { c.n_group = 0; }},
      {"topk_group", [](ModelConfig& c) { c.topk_group = 3; }},
      {"num_experts_per_tok", [](ModelConfig& c) { c.num_experts_per_tok = 5; }},  // one group of four is open
      {"num_experts_per_tok", [](ModelConfig& c) { c.num_experts_per_tok = 0; }},
      {"group", [](ModelConfig& c) { c.n_group = c.topk_group = 8; }},
      {"routed_scaling_factor", [](ModelConfig& c) { c.routed_scaling_factor = -1; }},
      {"num_key_value_heads", [](ModelConfig& c) { c.num_key_value_heads = 3; }, false},
      {"num_key_value_heads", [](ModelConfig& c) { c.num_key_value_heads = 0; }, false},
      {"head_dim", [](ModelConfig& c) { c.head_dim = 24; }, false},
      {"num_nextn_predict_layers", [](ModelConfig& c) { c.num_nextn_predict_layers = 1; }, false}};
  for (const Bad& b : bad) {
    ModelConfig c = b.latent ? TestV3() : TestDense(64, 4, 2, 16, 40, 45);
    ASSERT_TRUE(ValidateModelConfig(c, "x").ok());
    b.change(c);
    const Status status = ValidateModelConfig(c, "x");
    ASSERT_FALSE(status.ok()) << b.key;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find(b.key), std::string::npos) << status.error().message;
  }
}

}  // namespace
}  // namespace r1
