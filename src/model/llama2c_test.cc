// Files of llama2.c made here: where every number goes, and everything a file may not be.
#include "model/llama2c.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/test_dir.h"

namespace r1 {
namespace {

// Two heads of width 16 at D 32, one key-value head, F 20, two layers, V 3, five positions. Element i of the file is i.
constexpr int32_t kHeader[7] = {32, 20, 2, 2, 1, 3, 5};
constexpr int64_t kD = 32, kF = 20, kKv = 16, kLayers = 2, kVocab = 3, kTables = 5 * 16;

std::string FileOf(const std::vector<int32_t>& header, int64_t elements) {
  std::string bytes(reinterpret_cast<const char*>(header.data()), header.size() * 4);
  for (int64_t i = 0; i < elements; ++i) {
    const float value = static_cast<float>(i);
    bytes.append(reinterpret_cast<const char*>(&value), 4);
  }
  return bytes;
}
std::vector<int32_t> Header() { return {kHeader, kHeader + 7}; }
constexpr int64_t kElements =
    kVocab * kD + kLayers * (2 * kD + 2 * kD * kD + 2 * kKv * kD + 3 * kF * kD) + kD + kTables;

std::vector<float> Values(const ModelSource& source, const std::string& name) {
  for (size_t i = 0; i < source.params->entries().size(); ++i) {
    const ParamSource::Entry& entry = source.params->entries()[i];
    if (entry.name != name) continue;
    std::vector<float> out(static_cast<size_t>(entry.elements()));
    EXPECT_TRUE(source.params->Read(i, out.data()).ok());
    return out;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(Llama2c, EveryNumberHasItsPlace) {
  const std::string file = FileOf(Header(), kElements);
  const Result<ModelSource> source = ParseLlama2c(file, "a.bin");
  ASSERT_TRUE(source.ok()) << source.error().message;
  const ModelConfig& c = source->config;
  EXPECT_EQ(c.model_type, "llama");
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.num_key_value_heads, 1);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_EQ(c.max_position_embeddings, 5);
  EXPECT_EQ(source->params->entries().size(), ListParams(c).specs.size());
  const auto first = [&](const std::string& name) { return Values(*source, name)[0]; };
  const int64_t att = kVocab * kD, wq = att + kLayers * kD, wk = wq + kLayers * kD * kD, wv = wk + kLayers * kKv * kD,
                wo = wv + kLayers * kKv * kD, ffn = wo + kLayers * kD * kD, w1 = ffn + kLayers * kD,
                w2 = w1 + kLayers * kF * kD, w3 = w2 + kLayers * kF * kD, last = w3 + kLayers * kF * kD;
  const std::string l1 = "model.layers.1.";
  EXPECT_EQ(first("model.embed_tokens.weight"), 0);
  EXPECT_EQ(first("model.layers.0.input_layernorm.weight"), static_cast<float>(att));
  EXPECT_EQ(first(l1 + "input_layernorm.weight"), static_cast<float>(att + kD));
  EXPECT_EQ(first(l1 + "self_attn.v_proj.weight"), static_cast<float>(wv + kKv * kD));
  EXPECT_EQ(first(l1 + "self_attn.o_proj.weight"), static_cast<float>(wo + kD * kD));
  EXPECT_EQ(first(l1 + "post_attention_layernorm.weight"), static_cast<float>(ffn + kD));
  EXPECT_EQ(first(l1 + "mlp.gate_proj.weight"), static_cast<float>(w1 + kF * kD));
  EXPECT_EQ(first(l1 + "mlp.down_proj.weight"), static_cast<float>(w2 + kF * kD));
  EXPECT_EQ(first(l1 + "mlp.up_proj.weight"), static_cast<float>(w3 + kF * kD));
  EXPECT_EQ(first("model.norm.weight"), static_cast<float>(last));
  // Pairs (2i, 2i + 1) of a head become (i, i + 8).
  const std::vector<float> q = Values(*source, l1 + "self_attn.q_proj.weight"),
                           k = Values(*source, l1 + "self_attn.k_proj.weight");
  const int64_t from[16] = {0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15};
  for (int64_t row = 0; row < 32; ++row) {
    const int64_t source_row = row / 16 * 16 + from[row % 16];
    EXPECT_EQ(q[static_cast<size_t>(row * kD + 3)], static_cast<float>(wq + kD * kD + source_row * kD + 3)) << row;
    if (row >= 16) continue;
    EXPECT_EQ(k[static_cast<size_t>(row * kD + 3)], static_cast<float>(wk + kKv * kD + source_row * kD + 3)) << row;
  }
}

TEST(Llama2c, HeadOfItsOwnAndFromDisk) {
  std::vector<int32_t> header = Header();
  header[5] = -3;
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "m.bin", FileOf(header, kElements + kVocab * kD)).ok());
  const Result<ModelSource> source = OpenModelSource(dir / "m.bin");
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_FALSE(source->config.tie_word_embeddings);
  EXPECT_EQ(source->config.vocab_size, 3);
  EXPECT_EQ(Values(*source, "lm_head.weight")[0], static_cast<float>(kElements));
  const ParamList list = ListParams(source->config);
  std::vector<float> flat(static_cast<size_t>(list.total));
  EXPECT_TRUE(ReadParams(*source->params, list, flat.data()).ok());
  EXPECT_FALSE(LooksLikeLlama2c(dir.path()));
  EXPECT_FALSE(LooksLikeLlama2c(dir / "none.bin"));
}

TEST(Llama2c, RefusesByName) {
  struct Bad {
    const char* part;
    std::vector<int32_t> header;
  };
  const Bad bad[] = {
      {"28", {32, 20, 2}},
      {"version 1 or later", {0x616b3432, 1, 32, 20, 2, 2, 1}},
      {"n_heads 0", {32, 20, 2, 0, 1, 3, 5}},
      {"n_heads 3", {32, 20, 2, 3, 1, 3, 5}},
      {"n_heads -2", {32, 20, 2, -2, 1, 3, 5}},
      {"hidden_size", {-32, 20, 2, 2, 1, 3, 5}},
      {"head_dim is 1", {32, 20, 2, 32, 1, 3, 5}},
      {"intermediate_size", {32, 1 << 30, 2, 2, 1, 3, 5}},
      {"num_hidden_layers", {32, 20, 0, 2, 1, 3, 5}},
      {"num_key_value_heads", {32, 20, 2, 2, 3, 3, 5}},
      {"num_key_value_heads", {32, 20, 2, 2, 0, 3, 5}},
      {"vocab_size", {32, 20, 2, 2, 1, 0, 5}},
      {"vocab_size", {32, 20, 2, 2, 1, std::numeric_limits<int32_t>::min(), 5}},
      {"max_position_embeddings", {32, 20, 2, 2, 1, 3, -5}},
      {"seq_len 6", {32, 20, 2, 2, 1, 3, 6}},  // one position more than the file has
      {"bytes; the file has", {65536, 262144, 1024, 1024, 1024, -4194304, 1048576}},
  };
  for (const Bad& b : bad) {
    const std::string file = FileOf(b.header, b.header.size() < 7 ? 0 : kElements);
    const Result<ModelSource> source = ParseLlama2c(file, "odd.bin");
    ASSERT_FALSE(source.ok()) << b.part;
    EXPECT_TRUE(source.error().message.starts_with("odd.bin")) << source.error().message;
    EXPECT_NE(source.error().message.find(b.part), std::string::npos) << b.part << ": " << source.error().message;
  }
  for (const int64_t elements : {kElements - 1, kElements + 1, int64_t{0}}) {
    const std::string file = FileOf(Header(), elements);
    EXPECT_FALSE(ParseLlama2c(file, "odd.bin").ok()) << elements;
  }
}

}  // namespace
}  // namespace r1
