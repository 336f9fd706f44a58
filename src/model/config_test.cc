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
    EXPECT_TRUE(back->rope_scaling == want.rope_scaling) << test.name;
    EXPECT_EQ(back->attention_bias, want.attention_bias) << test.name;
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

// config.json as published (the fields that matter of each), read into what the reference page states.
TEST(ModelConfig, PublishedModels) {
  const Result<ModelConfig> v2_lite = ModelConfigFromJson(
      R"({"model_type": "deepseek_v2", "vocab_size": 102400, "hidden_size": 2048, "intermediate_size": 10944,
          "moe_intermediate_size": 1408, "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16,
          "n_shared_experts": 2, "n_routed_experts": 64, "routed_scaling_factor": 1.0, "kv_lora_rank": 512,
          "q_lora_rank": null, "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
          "topk_method": "greedy", "n_group": 1, "topk_group": 1, "num_experts_per_tok": 6, "moe_layer_freq": 1,
          "first_k_dense_replace": 1, "norm_topk_prob": false, "scoring_func": "softmax", "hidden_act": "silu",
          "max_position_embeddings": 163840, "rms_norm_eps": 1e-06, "rope_theta": 10000, "attention_bias": false,
          "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707,
                           "original_max_position_embeddings": 4096, "type": "yarn"}})",
      "v2-lite");
  ASSERT_TRUE(v2_lite.ok()) << v2_lite.error().message;
  EXPECT_EQ(v2_lite->q_lora_rank, 0);
  EXPECT_FALSE(v2_lite->has_router_bias());
  EXPECT_EQ(v2_lite->scoring_func, "softmax");
  EXPECT_FALSE(v2_lite->norm_topk_prob);
  EXPECT_EQ(v2_lite->rope_scaling.rope_type, "yarn");
  EXPECT_EQ(v2_lite->rope_scaling.mscale_all_dim, 0.707);

  const Result<ModelConfig> qwen2 = ModelConfigFromJson(
      R"({"model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864,
          "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "hidden_act": "silu",
          "max_position_embeddings": 32768, "max_window_layers": 21, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
          "sliding_window": 32768, "use_sliding_window": false, "tie_word_embeddings": true})",
      "qwen2");
  ASSERT_TRUE(qwen2.ok()) << qwen2.error().message;
  EXPECT_EQ(qwen2->head_dim, 64);
  EXPECT_TRUE(qwen2->has_qkv_bias());
  EXPECT_FALSE(qwen2->has_qk_norm());

  const Result<ModelConfig> qwen3 = ModelConfigFromJson(
      R"({"model_type": "qwen3", "attention_bias": false, "head_dim": 128, "vocab_size": 151936, "hidden_size": 1024,
          "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
          "max_position_embeddings": 40960, "rms_norm_eps": 1e-06, "rope_theta": 1000000, "rope_scaling": null,
          "sliding_window": null, "use_sliding_window": false, "tie_word_embeddings": true})",
      "qwen3");
  ASSERT_TRUE(qwen3.ok()) << qwen3.error().message;
  EXPECT_EQ(qwen3->head_dim, 128);
  EXPECT_TRUE(qwen3->has_qk_norm());
  EXPECT_FALSE(qwen3->has_qkv_bias());

  const Result<ModelConfig> llama = ModelConfigFromJson(
      R"({"model_type": "llama", "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192,
          "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
          "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "attention_bias": false,
          "mlp_bias": false, "tie_word_embeddings": true,
          "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                           "original_max_position_embeddings": 8192, "rope_type": "llama3"}})",
      "llama");
  ASSERT_TRUE(llama.ok()) << llama.error().message;
  EXPECT_EQ(llama->rope_scaling.rope_type, "llama3");
  EXPECT_EQ(llama->rope_scaling.factor, 32);
  EXPECT_EQ(llama->rope_scaling.original_max_position_embeddings, 8192);
}

TEST(ModelConfig, RefusesWhatWouldChangeTheArithmetic) {
  struct Bad {
    const char* key;
    nlohmann::json value;
    bool latent;
  };
  const Bad bad[] = {{"rope_scaling", {{"type", "dynamic"}, {"factor", 40}}, true},
                     {"rope_scaling", {{"rope_type", "longrope"}, {"factor", 40}}, false},
                     {"rope_scaling", {{"type", "yarn"}, {"factor", 0.5}}, true},
                     {"rope_scaling", {{"type", "yarn"}, {"factor", 40}, {"truncate", false}}, true},
                     {"rope_scaling", {{"type", "llama3"}, {"factor", 8}}, false},
                     {"attention_bias", true, true},
                     {"attention_bias", "no", false},
                     {"layer_types", {"full_attention", "sliding_attention"}, false},
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

// What float32 inference takes and bf16 products do not.
TEST(ModelConfig, StoredModelsMayBeNarrower) {
  ModelConfig c = TestDense(64, 8, 4, 8, 40, 45);
  EXPECT_TRUE(ValidateStoredConfig(c, "x").ok());
  const Status narrow = ValidateModelConfig(c, "x");
  ASSERT_FALSE(narrow.ok());
  EXPECT_EQ(narrow.error().code, ErrorCode::kRefused);
  EXPECT_EQ(
      narrow.error().message,
      "x: head_dim is 8; training and bf16 inference need a multiple of 16 (r1 logits and r1 generate take others "
      "with --dtype f32)");
  EXPECT_TRUE(ModelConfigFromJson(ModelConfigToJson(c), "x").ok());
  for (const int64_t head_dim : {0, 1, 7, 4098, -8}) {
    c.head_dim = head_dim;
    const Status status = ValidateStoredConfig(c, "x");
    ASSERT_FALSE(status.ok()) << head_dim;
    EXPECT_NE(status.error().message.find("head_dim"), std::string::npos) << status.error().message;
  }
  c = TestV3();
  c.v_head_dim = 7;
  EXPECT_TRUE(ValidateStoredConfig(c, "x").ok());
  EXPECT_FALSE(ValidateModelConfig(c, "x").ok());
  c.v_head_dim = 0;
  EXPECT_FALSE(ValidateStoredConfig(c, "x").ok());
}

}  // namespace
}  // namespace r1
