// Models as GGUF files: config and tensors of every kind go out and come back, two orders of rows against cases made by
// hand, files as other programs write them, and every way a file can be wrong is an error that says what is wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "base/test_dir.h"
#include "model/gguf_config.h"
#include "model/gguf_params.h"
#include "model/io.h"
#include "model/model_test_util.h"
#include "store/gguf.h"
#include "store/quant.h"

namespace r1 {
namespace {

// The parameters of a model in memory.
class MemoryParams final : public ParamSource {
 public:
  explicit MemoryParams(const Model& model) : model_(model) {
    for (const ParamSpec& spec : model.params().specs) entries_.push_back({spec.name, StoredShape(spec)});
  }
  Status Read(size_t index, float* out) const override {
    const ParamSpec& spec = model_.params().specs[index];
    std::memcpy(out, model_.data() + spec.offset, static_cast<size_t>(spec.count()) * sizeof(float));
    return {};
  }
  Status CheckIntact() const override { return {}; }

 private:
  const Model& model_;
};

// A GGUF file in memory that a test may change before it is written.
struct GgufModel {
  GgufMetadata keys;
  std::vector<TensorToStore> tensors;
  std::vector<std::string> bytes;  // of the tensors
  TensorToStore& Tensor(const std::string& name) {
    for (TensorToStore& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    R1_CHECK(false, "no tensor " + name);
    return tensors[0];
  }
  void Write(const std::string& path) const {
    std::vector<TensorToStore> list = tensors;
    for (size_t i = 0; i < list.size(); ++i) list[i].data = bytes[i].data();
    const Status written = WriteGguf(path, keys, list);
    ASSERT_TRUE(written.ok()) << written.error().message;
  }
};

GgufModel ToGguf(const Model& model, StoredType wanted, bool split = true) {
  GgufModel out;
  const MemoryParams params(model);
  for (const GgufTensor& tensor : ListGgufTensors(model.config(), split)) {
    const StoredType type = tensor.order == GgufTensor::Order::kDivisors ? StoredType::kF32 : wanted;
    std::string& bytes = out.bytes.emplace_back();
    std::vector<float> values;
    for (size_t part = 0; part < tensor.parts(); ++part) {
      R1_CHECK(ReadGgufPart(tensor, part, model.config(), params, &values).ok(), "part");
      const size_t begin = bytes.size();
      bytes.resize(begin + values.size() * static_cast<size_t>(StoredTypeBytes(type)));
      R1_CHECK(EncodeValues(type, values.data(), static_cast<int64_t>(values.size()), bytes.data() + begin).ok(),
               "enc");
    }
    out.tensors.push_back({tensor.name, type, tensor.shape});
  }
  return out;
}

GgufModel WithKeys(const Model& model, StoredType type = StoredType::kF32) {
  GgufModel out = ToGguf(model, type);
  R1_CHECK(AddConfigKeys(model.config(), &out.keys).ok(), "keys");
  return out;
}

std::vector<NamedConfig> AllConfigs() {
  std::vector<NamedConfig> list = TestConfigs();
  for (const char* name : {"tiny", "tiny-dense", "tiny-v2", "tiny-llama3", "tiny-qwen2", "tiny-qwen3"}) {
    list.push_back({name, ModelPreset(name).value()});
    list.back().config.vocab_size = 40;
  }
  list.push_back({"yarn_other_numbers", TestDense(64, 4, 2, 16, 40, 45)});
  list.back().config.rope_scaling = {.rope_type = "yarn",
                                     .factor = 4,
                                     .original_max_position_embeddings = 32,
                                     .beta_fast = 16,
                                     .beta_slow = 2,
                                     .attention_factor = 1.25};
  list.push_back({"qwen3_biased", TestDense(64, 4, 2, 32, 40, 45)});
  list.back().config.model_type = "qwen3";
  list.back().config.attention_bias = true;
  return list;
}

class GgufModelFiles : public ::testing::Test {
 protected:
  void SetUp() override { SetFloatMode(); }
  std::string ErrorOf(ErrorCode code) {
    const Result<Model> loaded = LoadModel(path_, false, pool_);
    EXPECT_FALSE(loaded.ok());
    if (loaded.ok()) return "";
    EXPECT_EQ(loaded.error().code, code) << loaded.error().message;
    EXPECT_TRUE(loaded.error().message.starts_with(path_)) << loaded.error().message;
    return loaded.error().message;
  }
  ThreadPool pool_{1};
  TempDir dir_;
  std::string path_ = dir_ / "m.gguf";
};

TEST_F(GgufModelFiles, EveryKindComesBack) {
  for (const NamedConfig& test : AllConfigs()) {
    SCOPED_TRACE(test.name);
    for (const StoredType type : {StoredType::kF32, StoredType::kF16, StoredType::kBF16}) {
      Model model(test.config, false);
      FillModel(model, 9, false);
      if (type == StoredType::kF32) {
        model.data()[0] = std::numeric_limits<float>::min();
        model.data()[1] = -0.0f;
        model.data()[2] = std::numeric_limits<float>::infinity();
      }
      for (const ParamSpec& spec : model.params().specs) {  // values that the type has
        std::vector<char> bytes(static_cast<size_t>(spec.count() * StoredTypeBytes(type)));
        ASSERT_TRUE(EncodeValues(type, model.data() + spec.offset, spec.count(), bytes.data()).ok());
        DecodeValues(type, bytes.data(), spec.count(), model.data() + spec.offset);
      }
      WithKeys(model, type).Write(path_);
      const Result<Model> loaded = LoadModel(path_, false, pool_);
      ASSERT_TRUE(loaded.ok()) << loaded.error().message;
      EXPECT_EQ(ModelConfigToJson(loaded->config()), ModelConfigToJson(test.config));
      for (const ParamSpec& spec : model.params().specs) {
        EXPECT_EQ(std::memcmp(loaded->data() + spec.offset, model.data() + spec.offset,
                              static_cast<size_t>(spec.count()) * sizeof(float)),
                  0)
            << spec.name;
      }
      const Result<ModelSource> source = OpenModelSource(path_);
      ASSERT_TRUE(source.ok());
      for (const ParamSource::Entry& entry : source->params->entries()) EXPECT_EQ(entry.type, type) << entry.name;
    }
  }
}

// The published numbers, without our own keys.
TEST_F(GgufModelFiles, ConfigsOfPublishedModels) {
  ModelConfig llama;
  llama.model_type = "llama";
  llama.vocab_size = 64;
  llama.hidden_size = 256;
  llama.num_attention_heads = llama.num_key_value_heads = 2;
  llama.head_dim = 128;
  llama.num_hidden_layers = 1;
  llama.rope_theta = 500000;
  llama.max_position_embeddings = 16384;
  llama.rope_scaling = {.rope_type = "llama3", .factor = 8, .original_max_position_embeddings = 8192};
  const std::vector<float> divisors = FrequencyDivisors(llama);
  ASSERT_EQ(divisors.size(), 64U);
  EXPECT_EQ(divisors[0], 1.0f);
  EXPECT_EQ(divisors[28], 1.0f);             // wavelength 2 pi 500000^(28/64) = 1957 < 2048
  EXPECT_NEAR(divisors[32], 2.6946f, 1e-3);  // 4443: t = (8192 / 4443 - 1) / 3, 1 / ((1 - t) / 8 + t)
  EXPECT_EQ(divisors[36], 8.0f);             // 10089 > 8192
  Model model(llama, false);
  FillModel(model, 3);
  for (const int64_t length : {8192, 64}) {
    ModelConfig c = llama;
    c.rope_scaling.original_max_position_embeddings = length;
    c.rope_scaling.factor = length == 8192 ? 8 : 32;
    Model other(c, false);
    FillModel(other, 3);
    GgufModel file = ToGguf(other, StoredType::kF32);
    file.keys.AddString("general.architecture", "llama");
    file.keys.Add("llama.context_length", uint32_t{16384});
    file.keys.Add("llama.embedding_length", uint32_t{256});
    file.keys.Add("llama.block_count", uint32_t{1});
    file.keys.Add("llama.feed_forward_length", uint32_t{352});
    file.keys.Add("llama.attention.head_count", uint32_t{2});
    file.keys.Add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    file.keys.Add("llama.rope.freq_base", 500000.0f);
    file.Write(path_);
    const Result<ModelSource> source = OpenModelSource(path_);
    ASSERT_TRUE(source.ok()) << source.error().message;
    EXPECT_EQ(ModelConfigToJson(source->config), ModelConfigToJson(c));
  }
}

// DeepSeek files of before the two halves of kv_b_proj were split, and without keys of groups.
TEST_F(GgufModelFiles, OldLatentLayout) {
  ModelConfig c = TestV3();
  c.n_group = c.topk_group = 1;
  c.norm_topk_prob = true;
  c.routed_scaling_factor = 2.5;
  Model model(c, false);
  FillModel(model, 4);
  const auto keys = [&](GgufModel& file, uint32_t kv_heads) {
    const auto add = [&](const char* suffix, int64_t value) {
      file.keys.Add(std::string("deepseek2.") + suffix, static_cast<uint32_t>(value));
    };
    file.keys.AddString("general.architecture", "deepseek2");
    add("context_length", 128);
    add("embedding_length", 64);
    add("block_count", 2);
    add("feed_forward_length", 48);
    add("leading_dense_block_count", 1);
    add("attention.head_count", 2);
    add("attention.head_count_kv", kv_heads);
    add("attention.key_length", 32);
    add("attention.value_length", 32);
    add("attention.kv_lora_rank", 32);
    add("rope.dimension_count", 16);
    add("expert_count", 8);
    add("expert_used_count", 2);
    add("expert_shared_count", 1);
    add("expert_feed_forward_length", 32);
    add("expert_gating_func", 2);
    file.keys.Add("deepseek2.attention.layer_norm_rms_epsilon", 1e-5f);
    file.keys.Add("deepseek2.expert_weights_scale", 2.5f);
    file.keys.Add("deepseek2.expert_weights_norm", true);
  };
  GgufModel old = ToGguf(model, StoredType::kF32, false);
  keys(old, 2);
  EXPECT_EQ(old.Tensor("blk.0.attn_kv_b.weight").shape, (std::vector<int64_t>{96, 32}));
  old.Write(path_);
  const Result<Model> loaded = LoadModel(path_, false, pool_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(ModelConfigToJson(loaded->config()), ModelConfigToJson(c));
  EXPECT_EQ(FlatCopy(*loaded), FlatCopy(model));
  GgufModel odd = ToGguf(model, StoredType::kF32, false);
  keys(odd, 1);
  odd.Write(path_);
  EXPECT_NE(ErrorOf(ErrorCode::kRefused).find("'deepseek2.attention.head_count_kv' is 1"), std::string::npos);
}

// Two heads of width 16: rows 0, 8, 1, 9, ... of each.
TEST(GgufOrder, RotatedRowsOfLlama) {
  const ModelConfig c = TestDense(32, 2, 1, 16, 32, 33);
  Model model(c, false);
  FillModel(model, 1);
  const ParamSpec& q = *model.params().Find("model.layers.0.self_attn.q_proj.weight");
  for (int64_t i = 0; i < q.count(); ++i) model.data()[q.offset + i] = static_cast<float>(i / 32);
  const GgufModel file = ToGguf(model, StoredType::kF32);
  for (size_t t = 0; t < file.tensors.size(); ++t) {
    if (file.tensors[t].name != "blk.0.attn_q.weight") continue;
    std::vector<float> values(32 * 32);
    std::memcpy(values.data(), file.bytes[t].data(), values.size() * sizeof(float));
    const std::vector<float> want = {0,  8,  1,  9,  2,  10, 3,  11, 4,  12, 5,  13, 6,  14, 7,  15,
                                     16, 24, 17, 25, 18, 26, 19, 27, 20, 28, 21, 29, 22, 30, 23, 31};
    for (size_t row = 0; row < 32; ++row) EXPECT_EQ(values[row * 32 + 31], want[row]) << row;
  }
  // Qwen's rows stay.
  ModelConfig qwen = c;
  qwen.model_type = "qwen2";
  for (const GgufTensor& tensor : ListGgufTensors(qwen))
    EXPECT_EQ(tensor.order, GgufTensor::Order::kSame) << tensor.name;
}

// 2 heads of 16 key and 32 value rows, latent 32: element (head, row, column) is 10000 head + 100 row + column.
TEST(GgufOrder, LatentKeysAreTransposed) {
  Model model(TestV3(), false);
  FillModel(model, 1);
  const ParamSpec& b = *model.params().Find("model.layers.0.self_attn.kv_b_proj.weight");
  ASSERT_EQ(b.rows, 2 * 48);
  for (int64_t i = 0; i < b.count(); ++i) {
    const int64_t row = i / 32;
    model.data()[b.offset + i] = static_cast<float>(row / 48 * 10000 + row % 48 * 100 + i % 32);
  }
  const GgufModel file = ToGguf(model, StoredType::kF32);
  for (size_t t = 0; t < file.tensors.size(); ++t) {
    const std::string& name = file.tensors[t].name;
    const auto at = [&](size_t index) {
      float value = 0;
      std::memcpy(&value, file.bytes[t].data() + index * sizeof value, sizeof value);
      return value;
    };
    if (name == "blk.0.attn_k_b.weight") {
      EXPECT_EQ(file.tensors[t].shape, (std::vector<int64_t>{2, 32, 16}));
      EXPECT_EQ(at(0), 0);
      EXPECT_EQ(at(1), 100);  // next row of the head
      EXPECT_EQ(at(16), 1);   // next column
      EXPECT_EQ(at(32 * 16 + 5 * 16 + 3), 10305);
    }
    if (name == "blk.0.attn_v_b.weight") {
      EXPECT_EQ(file.tensors[t].shape, (std::vector<int64_t>{2, 32, 32}));
      EXPECT_EQ(at(0), 1600);  // the rows after the 16 of the keys
      EXPECT_EQ(at(32 * 32 + 2 * 32 + 7), 11807);
    }
    if (name == "blk.1.ffn_down_exps.weight") {
      EXPECT_EQ(file.tensors[t].shape, (std::vector<int64_t>{8, 64, 32}));
    }
  }
}

struct KeyCase {
  const char* key;  // left out of the file's keys
  std::function<void(GgufMetadata&)> add;
  ErrorCode code;
  const char* message;
};

TEST_F(GgufModelFiles, HostileKeys) {
  Model dense(TestDense(64, 4, 2, 16, 40, 45), false), latent(TestV3(), false);
  FillModel(dense, 1);
  FillModel(latent, 1);
  const auto u32 = [](const char* key, uint32_t value) { return [=](GgufMetadata& keys) { keys.Add(key, value); }; };
  const auto text = [](const char* key, const char* value) {
    return [=](GgufMetadata& keys) { keys.AddString(key, value); };
  };
  const auto nothing = [](GgufMetadata&) {};
  constexpr ErrorCode kBad = ErrorCode::kBadInput, kRefused = ErrorCode::kRefused;
  const KeyCase llama[] = {
      {"general.architecture", nothing, kBad, "no key 'general.architecture'"},
      {"general.architecture", text("general.architecture", "falcon"), kRefused, "general.architecture is 'falcon'"},
      {"general.architecture", u32("general.architecture", 3), kBad, "'general.architecture'"},
      {"llama.block_count", nothing, kBad, "'llama.block_count'"},
      {"llama.block_count", u32("llama.block_count", 0), kBad, "'llama.block_count'"},
      {"llama.block_count", text("llama.block_count", "2"), kBad, "'llama.block_count'"},
      {"llama.block_count", u32("llama.block_count", 3), kBad, "blk.2"},
      {"llama.embedding_length", u32("llama.embedding_length", 0xffffffffu), kBad, "'llama.embedding_length'"},
      {"llama.embedding_length", u32("llama.embedding_length", 96), kBad, "token_embd.weight"},
      {"llama.attention.head_count_kv", u32("llama.attention.head_count_kv", 3), kBad, "head_count_kv"},
      {"llama.attention.key_length", u32("llama.attention.key_length", 7), kRefused, "'llama.attention.value_length'"},
      {"llama.attention.layer_norm_rms_epsilon", nothing, kBad, "layer_norm_rms_epsilon"},
      {"llama.attention.layer_norm_rms_epsilon",
       [](GgufMetadata& keys) {
         keys.Add("llama.attention.layer_norm_rms_epsilon", std::numeric_limits<float>::quiet_NaN());
       },
       kBad, "layer_norm_rms_epsilon"},
      {"llama.rope.dimension_count", u32("llama.rope.dimension_count", 8), kRefused,
       "'llama.rope.dimension_count' is 8"},
      {"llama.vocab_size", u32("llama.vocab_size", 46), kBad, "token_embd.weight"},
      {"", u32("llama.attention.sliding_window", 4096), kRefused, "'llama.attention.sliding_window'"},
      {"", u32("llama.expert_count", 8), kRefused, "'llama.expert_count' is 8"},
      {"", u32("llama.nextn_predict_layers", 0xffffffffu), kBad, "'llama.nextn_predict_layers'"},
      {"", text("llama.rope.scaling.type", "longrope"), kRefused, "'longrope'"}};
  const KeyCase deepseek[] = {
      {"deepseek2.attention.kv_lora_rank", nothing, kBad, "'deepseek2.attention.kv_lora_rank'"},
      {"deepseek2.attention.key_length_mla", u32("deepseek2.attention.key_length_mla", 16), kBad, "key_length_mla"},
      {"deepseek2.attention.key_length", u32("deepseek2.attention.key_length", 99), kRefused, "is 99; 48 is supported"},
      {"deepseek2.expert_gating_func", u32("deepseek2.expert_gating_func", 3), kRefused,
       "'deepseek2.expert_gating_func'"},
      {"deepseek2.expert_used_count", u32("deepseek2.expert_used_count", 9), kBad, "'deepseek2.expert_used_count'"},
      {"deepseek2.expert_group_count", u32("deepseek2.expert_group_count", 3), kRefused, "n_group"},
      {"r1.model_type", text("r1.model_type", "llama"), kBad, "'r1.model_type'"}};
  const auto check = [&](const Model& model, const KeyCase& test) {
    SCOPED_TRACE(std::string(test.key) + " -> " + test.message);
    WithKeys(model).Write(path_);
    GgufModel changed = ToGguf(model, StoredType::kF32);
    {
      const GgufFile file = GgufFile::Open(path_).value();
      for (const GgufEntry& entry : file.metadata()) {
        if (entry.key != test.key) changed.keys.Raw(entry);
      }
    }
    test.add(changed.keys);
    changed.Write(path_);
    const std::string message = ErrorOf(test.code);
    EXPECT_NE(message.find(test.message), std::string::npos) << message;
  };
  for (const KeyCase& test : llama) check(dense, test);
  for (const KeyCase& test : deepseek) check(latent, test);
}

TEST_F(GgufModelFiles, WrongTensors) {
  ModelConfig c = TestDense(64, 4, 2, 16, 40, 45);
  c.rope_scaling = {.rope_type = "llama3", .factor = 8, .original_max_position_embeddings = 24};
  Model model(c, false);
  FillModel(model, 1);
  const auto expect = [&](const std::function<void(GgufModel&)>& change, ErrorCode code, const std::string& part) {
    GgufModel file = WithKeys(model);
    change(file);
    file.Write(path_);
    const std::string message = ErrorOf(code);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect([](GgufModel& file) { file.Tensor("blk.1.ffn_up.weight").name = "blk.2.ffn_up.weight"; }, ErrorCode::kBadInput,
         "no tensor 'blk.1.ffn_up.weight'");
  expect(
      [](GgufModel& file) {
        file.tensors.push_back({"blk.0.attn_rot.weight", StoredType::kF32, {2}});
        file.bytes.emplace_back(8, '\0');
      },
      ErrorCode::kBadInput, "'blk.0.attn_rot.weight' does not belong");
  expect(
      [](GgufModel& file) {
        std::swap(file.Tensor("blk.0.ffn_up.weight").shape[0], file.Tensor("blk.0.ffn_up.weight").shape[1]);
      },
      ErrorCode::kBadInput, "has the shape [64, 40]; the keys make it [40, 64]");
  expect([](GgufModel& file) { file.Tensor("blk.0.attn_norm.weight").type = StoredType::kI32; }, ErrorCode::kBadInput,
         "has the type I32");
  expect([](GgufModel& file) { file.bytes.back()[3] = 'x'; }, ErrorCode::kRefused, "rope_freqs.weight");
  // Without its own head the model is tied.
  GgufModel tied = WithKeys(model);
  for (size_t i = 0; i < tied.tensors.size(); ++i) {
    if (tied.tensors[i].name != "output.weight") continue;
    tied.tensors.erase(tied.tensors.begin() + static_cast<std::ptrdiff_t>(i));
    tied.bytes.erase(tied.bytes.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  tied.Write(path_);
  EXPECT_TRUE(OpenModelSource(path_)->config.tie_word_embeddings);
  GgufMetadata keys;
  ModelConfig scalar = c;
  scalar.num_labels = 1;
  EXPECT_EQ(AddConfigKeys(scalar, &keys).error().code, ErrorCode::kRefused);
}

// A file of the full DeepSeek has copies of embedding and head in its prediction module.
TEST_F(GgufModelFiles, CopiesInThePredictionModule) {
  ModelConfig c = TestV3();
  c.num_nextn_predict_layers = 1;
  Model model(c, false);
  FillModel(model, 1);
  for (const bool same : {true, false}) {
    GgufModel file = WithKeys(model);
    const auto copy = [&](const char* from, const char* to) {
      const TensorToStore tensor = file.Tensor(from);
      const auto index = static_cast<size_t>(&file.Tensor(from) - file.tensors.data());
      const std::string bytes = file.bytes[index];
      file.tensors.push_back({to, tensor.type, tensor.shape});
      file.bytes.push_back(bytes);
    };
    copy("token_embd.weight", "blk.2.nextn.embed_tokens.weight");
    copy("output.weight", "blk.2.nextn.shared_head_head.weight");
    if (!same) file.bytes.back()[5] ^= 1;
    file.Write(path_);
    if (same) {
      EXPECT_TRUE(LoadModel(path_, false, pool_).ok());
    } else {
      EXPECT_NE(ErrorOf(ErrorCode::kBadInput).find("must be a copy of 'output.weight'"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace r1
