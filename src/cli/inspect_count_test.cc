// The counts must reproduce the published totals of DeepSeek-V3 from its list of tensors.
#include "cli/inspect_count.h"

#include <gtest/gtest.h>

namespace r1::cli {
namespace {

class Builder {
 public:
  void Add(const std::string& name, std::vector<int64_t> shape, StoredType type = StoredType::kBF16) {
    StoredTensor tensor;
    tensor.name = name;
    tensor.type = type;
    tensor.bytes = StoredTypeBytes(type);
    for (const int64_t size : shape) tensor.bytes *= size;
    tensor.shape = std::move(shape);
    tensors.push_back(std::move(tensor));
  }

  // An 8-bit matrix with its scales.
  void Add8(const std::string& name, int64_t rows, int64_t columns) {
    Add(name, {rows, columns}, StoredType::kF8E4M3);
    Add(name + "_scale_inv", {(rows + 127) / 128, (columns + 127) / 128}, StoredType::kF32);
  }

  void Ffn(const std::string& prefix, int64_t width) {
    Add8(prefix + "gate_proj.weight", width, 7168);
    Add8(prefix + "up_proj.weight", width, 7168);
    Add8(prefix + "down_proj.weight", 7168, width);
  }

  void Layer(int64_t layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Add(p + "input_layernorm.weight", {7168});
    Add(p + "post_attention_layernorm.weight", {7168});
    Add8(p + "self_attn.q_a_proj.weight", 1536, 7168);
    Add(p + "self_attn.q_a_layernorm.weight", {1536});
    Add8(p + "self_attn.q_b_proj.weight", 24576, 1536);
    Add8(p + "self_attn.kv_a_proj_with_mqa.weight", 576, 7168);
    Add(p + "self_attn.kv_a_layernorm.weight", {512});
    Add8(p + "self_attn.kv_b_proj.weight", 32768, 512);
    Add8(p + "self_attn.o_proj.weight", 7168, 16384);
    if (layer < 3) return Ffn(p + "mlp.", 18432);
    Add(p + "mlp.gate.weight", {256, 7168});
    Add(p + "mlp.gate.e_score_correction_bias", {256}, StoredType::kF32);
    for (int64_t expert = 0; expert < 256; ++expert) Ffn(p + "mlp.experts." + std::to_string(expert) + ".", 2048);
    Ffn(p + "mlp.shared_experts.", 2048);
  }

  std::vector<StoredTensor> tensors;
};

TEST(CountParameters, DeepSeekV3) {
  Builder b;
  b.Add("model.embed_tokens.weight", {129280, 7168});
  for (int64_t layer = 0; layer < 62; ++layer) b.Layer(layer);
  b.Add("model.norm.weight", {7168});
  b.Add("lm_head.weight", {129280, 7168});
  for (const char* name : {"enorm.weight", "hnorm.weight", "shared_head.norm.weight"})
    b.Add(std::string("model.layers.61.") + name, {7168});
  b.Add("model.layers.61.eh_proj.weight", {7168, 14336});
  b.Add("model.layers.61.embed_tokens.weight", {129280, 7168});
  b.Add("model.layers.61.shared_head.head.weight", {129280, 7168});
  const ParameterCounts counts = CountParameters(b.tensors, {61, 256, 8});
  EXPECT_EQ(counts.total, 671'026'419'200);
  EXPECT_EQ(counts.active, 37'552'297'472);
  EXPECT_EQ(counts.mtp, 11'610'068'224 + 2 * 926'679'040);
  EXPECT_EQ(counts.total + counts.mtp, 684'489'845'504);
  EXPECT_EQ(counts.routed, int64_t{58} * 256 * 44'040'192);
  EXPECT_EQ(counts.tensors, 91'991);  // the published number of tensors
  int64_t bytes = 0;
  for (const StoredTensor& tensor : b.tensors) bytes += tensor.bytes;
  EXPECT_EQ(bytes, 688'574'839'360);  // and of bytes
}

TEST(CountParameters, DenseModel) {
  Builder b;
  b.Add("model.embed_tokens.weight", {100, 8});
  b.Add("model.layers.0.mlp.up_proj.weight", {16, 8});
  const ParameterCounts counts = CountParameters(b.tensors, {});
  EXPECT_EQ(counts.total, 928);
  EXPECT_EQ(counts.active, 928);
  EXPECT_EQ(counts.mtp, 0);
}

TEST(LayerOf, Names) {
  EXPECT_EQ(LayerOf("model.layers.17.mlp.gate.weight"), 17);
  EXPECT_EQ(LayerOf("model.norm.weight"), -1);
  EXPECT_EQ(LayerOf("model.layers."), -1);
  EXPECT_EQ(LayerOf("model.layers.3"), -1);
  EXPECT_EQ(LayerOf("model.layers.x.y"), -1);
}

}  // namespace
}  // namespace r1::cli
