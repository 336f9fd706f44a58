// The parameter list against sums made by hand, and against the published size of DeepSeek-V3.
#include "model/params.h"

#include <gtest/gtest.h>

#include "model/model_test_util.h"

namespace r1 {
namespace {

ModelConfig Small() {
  ModelConfig c;
  c.vocab_size = 10;
  c.hidden_size = 32;
  c.intermediate_size = 16;
  c.moe_intermediate_size = 16;
  c.num_hidden_layers = 2;
  c.first_k_dense_replace = 1;
  c.num_nextn_predict_layers = 1;
  c.num_attention_heads = 2;
  c.q_lora_rank = 16;
  c.kv_lora_rank = 16;
  c.qk_nope_head_dim = 8;
  c.qk_rope_head_dim = 4;
  c.v_head_dim = 16;
  c.n_routed_experts = 4;
  c.num_experts_per_tok = 2;
  c.n_group = 1;
  c.topk_group = 1;
  return c;
}

TEST(Params, CountedByHand) {
  // q_a 16x32, kv_a 20x32, norms 16 + 16, q_b 24x16, kv_b 48x16, o 32x32, norms 32 + 32
  const int64_t attention_matrices = 512 + 640 + 384 + 768 + 1024, attention = attention_matrices + 32 + 64;
  const int64_t ffn = 3 * 16 * 32, router = 4 * 32 + 4, moe = router + 4 * ffn + ffn;
  const ParamCounts n = CountParams(Small());
  EXPECT_EQ(n.total, 320 + 2 * attention + ffn + moe + 32 + 320);
  EXPECT_EQ(n.total, 16868);
  EXPECT_EQ(n.active, n.total - 2 * ffn);
  EXPECT_EQ(n.active_matmul, 2 * attention_matrices + ffn + 4 * 32 + 2 * ffn + ffn + 320);
  EXPECT_EQ(n.mtp, 32 + 32 + 32 * 64 + attention + moe + 32);

  ModelConfig dense = TestDense(64, 4, 2, 16, 40, 45);
  EXPECT_EQ(CountParams(dense).total, 2 * 45 * 64 + 64 + 2 * (64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 40 * 64 + 128));
  EXPECT_EQ(CountParams(dense).mtp, 0);
  const int64_t untied = CountParams(dense).total;
  const int64_t matmul = CountParams(dense).active_matmul;
  dense.tie_word_embeddings = true;
  EXPECT_EQ(CountParams(dense).total, untied - 45 * 64);
  EXPECT_EQ(CountParams(dense).active_matmul, matmul);  // the tied embedding multiplies as the head
}

TEST(Params, ScalarHeadInPlaceOfTheLanguageHead) {
  for (const bool tied : {false, true}) {
    ModelConfig c = TestDense(64, 4, 2, 16, 40, 45);
    c.tie_word_embeddings = tied;
    const ParamCounts language = CountParams(c);
    c.num_labels = 1;
    const ParamCounts scalar = CountParams(c);
    EXPECT_EQ(scalar.total, language.total - (tied ? 0 : 45 * 64) + 64);
    EXPECT_EQ(scalar.active_matmul, language.active_matmul - 45 * 64 + 64);
    const ParamList list = ListParams(c);
    EXPECT_EQ(list.Find("lm_head.weight"), nullptr);
    const ParamSpec* score = list.Find("score.weight");
    ASSERT_NE(score, nullptr);
    EXPECT_EQ(score->rows, 1);
    EXPECT_EQ(score->cols, 64);
    EXPECT_TRUE(score->trainable());
  }
}

TEST(Params, PublishedSizesOfV3) {
  const ModelConfig c = PublishedV3();
  ASSERT_TRUE(ValidateModelConfig(c, "test").ok());
  const ParamCounts n = CountParams(c);
  EXPECT_EQ(n.total, 671026419200);
  EXPECT_EQ(n.mtp, 11610068224);
  EXPECT_EQ(n.active, 37552297472);
}

TEST(Params, PlacesDoNotOverlapAndJointMatricesAreAdjacent) {
  for (const NamedConfig& test : TestConfigs()) {
    const ModelConfig& c = test.config;
    const ParamList list = ListParams(c);
    int64_t end = 0;
    for (const ParamSpec& spec : list.specs) {
      EXPECT_GE(spec.offset, end) << test.name << " " << spec.name;
      EXPECT_LT(spec.offset - end, 16) << test.name << " " << spec.name;
      end = spec.offset + spec.count();
      EXPECT_EQ(list.Find(spec.name), &spec) << "two parameters of one name";
    }
    EXPECT_LE(end, list.total);
    const auto adjacent = [&](const std::string& first, const std::string& second) {
      const ParamSpec *a = list.Find(first), *b = list.Find(second);
      ASSERT_TRUE(a != nullptr && b != nullptr) << test.name << " " << first << " " << second;
      EXPECT_EQ(a->offset % 16, 0) << first;
      EXPECT_EQ(a->offset + a->count(), b->offset) << first << " " << second;
    };
    const std::string a = "model.layers.0.self_attn.";
    if (c.is_mla()) {
      adjacent(a + (c.q_lora_rank > 0 ? "q_a_proj.weight" : "q_proj.weight"), a + "kv_a_proj_with_mqa.weight");
    } else {
      adjacent(a + "q_proj.weight", a + "k_proj.weight");
      EXPECT_EQ(list.Find(a + "v_proj.weight")->offset,
                list.Find(a + "k_proj.weight")->offset + list.Find(a + "k_proj.weight")->count());
    }
    const std::string ffn = c.is_moe_layer(0) ? "model.layers.0.mlp.experts.1." : "model.layers.0.mlp.";
    adjacent(ffn + "gate_proj.weight", ffn + "up_proj.weight");
    EXPECT_EQ(list.Find("lm_head.weight") == nullptr, c.tie_word_embeddings);
  }
  EXPECT_EQ(ListParams(Small()).Find("no.such.tensor"), nullptr);
}

TEST(Params, WhatIsTrainedAndDecayed) {
  const ParamList list = ListParams(Small());
  const ParamSpec* bias = list.Find("model.layers.1.mlp.gate.e_score_correction_bias");
  ASSERT_NE(bias, nullptr);
  EXPECT_FALSE(bias->trainable());
  EXPECT_FALSE(bias->decayed());
  EXPECT_TRUE(list.Find("model.norm.weight")->trainable());
  EXPECT_FALSE(list.Find("model.norm.weight")->decayed());
  EXPECT_TRUE(list.Find("model.layers.1.mlp.gate.weight")->decayed());
  EXPECT_TRUE(list.Find("model.layers.1.mlp.experts.3.down_proj.weight")->expert);
  EXPECT_FALSE(list.Find("model.layers.1.mlp.shared_experts.down_proj.weight")->expert);
}

}  // namespace
}  // namespace r1
