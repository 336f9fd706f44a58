// Conversion from folder to GGUF and back: bytes, types, reported errors, what is refused.
#include "cli/convert_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/rng.h"
#include "base/test_dir.h"
#include "model/gguf_params.h"
#include "model/io.h"
#include "model/model_test_util.h"
#include "model/param_source.h"
#include "store/gguf.h"
#include "store/safetensors.h"
#include "store/safetensors_index.h"
#include "support/program.h"

namespace r1::cli {
namespace {

// A folder with the weights in the given types, and what a published folder has besides.
void WriteTyped(const std::string& folder, const Model& model,
                const std::function<StoredType(const std::string&)>& type_of) {
  ASSERT_TRUE(MakeDirs(folder).ok());
  ASSERT_TRUE(WriteFileAtomic(JoinPath(folder, "config.json"), ModelConfigToJson(model.config())).ok());
  ASSERT_TRUE(WriteFileAtomic(JoinPath(folder, "generation_config.json"), R"({"eos_token_id": 1})").ok());
  std::vector<std::string> bytes;
  std::vector<TensorToStore> tensors;
  for (const ParamSpec& spec : model.params().specs) {
    const StoredType type = type_of(spec.name);
    bytes.emplace_back(static_cast<size_t>(spec.count() * StoredTypeBytes(type)), '\0');
    ASSERT_TRUE(EncodeValues(type, model.data() + spec.offset, spec.count(), bytes.back().data()).ok());
    tensors.push_back({spec.name, type, StoredShape(spec)});
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].data = bytes[i].data();
  ASSERT_TRUE(WriteShardedSafetensors(folder, tensors, {{"format", "pt"}}, int64_t{1} << 40).ok());
}

class Convert : public ::testing::Test {
 protected:
  void SetUp() override { SetFloatMode(); }
  ConvertReport Ok(const std::string& source, const std::string& target, std::optional<StoredType> type = {}) {
    ConvertOptions options;
    options.source = source;
    options.target = target;
    options.type = type;
    Result<ConvertReport> report = ConvertModel(options);
    EXPECT_TRUE(report.ok()) << report.error().message;
    return report.ok() ? std::move(report).value() : ConvertReport{};
  }
  Error Fails(const std::string& source, const std::string& target, std::optional<StoredType> type = {}) {
    ConvertOptions options;
    options.source = source;
    options.target = target;
    options.type = type;
    const Result<ConvertReport> report = ConvertModel(options);
    EXPECT_FALSE(report.ok());
    return report.ok() ? Error{} : report.error();
  }
  void ExpectSameTensors(const std::string& a, const std::string& b) {
    const auto one = OpenTensors(a).value(), two = OpenTensors(b).value();
    EXPECT_EQ(one->tensors().size(), two->tensors().size());
    for (const StoredTensor& tensor : one->tensors()) {
      const StoredTensor* other = two->Find(tensor.name);
      ASSERT_NE(other, nullptr) << tensor.name;
      EXPECT_EQ(other->type, tensor.type) << tensor.name;
      EXPECT_EQ(other->shape, tensor.shape) << tensor.name;
      ASSERT_EQ(other->bytes, tensor.bytes) << tensor.name;
      EXPECT_EQ(std::memcmp(other->data, tensor.data, static_cast<size_t>(tensor.bytes)), 0) << tensor.name;
    }
  }
  TempDir dir_;
  std::string folder_ = dir_ / "model", file_ = dir_ / "model.gguf", back_ = dir_ / "back",
              again_ = dir_ / "again.gguf";
};

std::vector<NamedConfig> Presets() {
  std::vector<NamedConfig> list;
  for (const char* name : {"tiny", "tiny-dense", "tiny-v2", "tiny-llama3", "tiny-qwen2", "tiny-qwen3"}) {
    list.push_back({name, ModelPreset(name).value()});
    list.back().config.vocab_size = 64;
  }
  return list;
}

TEST_F(Convert, RoundTripsAreByteIdentical) {
  for (const NamedConfig& test : Presets()) {
    Model model(test.config, false);
    FillModel(model, 5, false);
    for (const StoredType type : {StoredType::kF32, StoredType::kF16, StoredType::kBF16}) {
      SCOPED_TRACE(test.name + " " + std::string(StoredTypeName(type)));
      for (const std::string& path : {folder_, file_, back_, again_}) ASSERT_TRUE(RemoveTree(path).ok());
      WriteTyped(folder_, model, [&](const std::string& name) {
        return name.ends_with("e_score_correction_bias") ? StoredType::kF32 : type;
      });
      const ConvertReport out = Ok(folder_, file_), in = Ok(file_, back_);
      for (const ConvertedTensor& tensor : out.tensors) EXPECT_FALSE(tensor.error.has_value()) << tensor.name;
      for (const ConvertedTensor& tensor : in.tensors) EXPECT_FALSE(tensor.error.has_value()) << tensor.name;
      EXPECT_EQ(Slurp(JoinPath(back_, "model.safetensors")), Slurp(JoinPath(folder_, "model.safetensors")));
      EXPECT_EQ(ModelConfigToJson(ReadModelConfig(back_).value()), ModelConfigToJson(test.config));
      EXPECT_EQ(ReadJsonFile(JoinPath(back_, "config.json")).value()["torch_dtype"],
                type == StoredType::kF32   ? "float32"
                : type == StoredType::kF16 ? "float16"
                                           : "bfloat16");
      Ok(back_, again_);
      ExpectSameTensors(file_, again_);
      // Vectors and gates are F32 in GGUF, the rest is as it was.
      const GgufFile gguf = GgufFile::Open(file_).value();
      for (const StoredTensor& tensor : gguf.tensors()) {
        const bool forced = tensor.shape.size() == 1 || tensor.name.find("ffn_gate_inp") != std::string::npos;
        EXPECT_EQ(tensor.type, forced ? StoredType::kF32 : type) << tensor.name;
      }
      EXPECT_EQ(gguf.Integer("general.file_type").value(), type == StoredType::kF32   ? 0
                                                           : type == StoredType::kF16 ? 1
                                                                                      : 32);
      EXPECT_EQ(gguf.FindKey("general.quantization_version"), nullptr);
      EXPECT_EQ(gguf.FindKey("r1.stored_types"), nullptr);
    }
  }
}

// Types that differ from the usual come back too: F32 norms whose values BF16 has, a BF16 correction bias.
TEST_F(Convert, UnusualTypesComeBack) {
  Model model(Presets()[0].config, false);
  FillModel(model, 5);
  for (const ParamSpec& spec : model.params().specs) {
    for (int64_t i = spec.offset; i < spec.offset + spec.count() && spec.rows == 1; ++i) model.data()[i] = 1;
  }
  WriteTyped(folder_, model, [](const std::string& name) {
    const bool norm = name.ends_with("layernorm.weight");
    return norm ? StoredType::kF32 : name.ends_with("mlp.gate.weight") ? StoredType::kF16 : StoredType::kBF16;
  });
  Ok(folder_, file_);
  EXPECT_GT(GgufFile::Open(file_)->Strings("r1.stored_types")->size(), 3U);
  Ok(file_, back_);
  EXPECT_EQ(Slurp(JoinPath(back_, "model.safetensors")), Slurp(JoinPath(folder_, "model.safetensors")));
  // One expert of another type: values are kept, in F32.
  const std::string odd = "model.layers.1.mlp.experts.3.up_proj.weight";
  ASSERT_TRUE(RemoveTree(folder_).ok());
  WriteTyped(folder_, model,
             [&](const std::string& name) { return name == odd ? StoredType::kF32 : StoredType::kBF16; });
  ASSERT_TRUE(RemoveFile(file_).ok());
  Ok(folder_, file_);
  EXPECT_EQ(GgufFile::Open(file_)->Find("blk.1.ffn_up_exps.weight")->type, StoredType::kF32);
  EXPECT_EQ(GgufFile::Open(file_)->Find("blk.1.ffn_gate_exps.weight")->type, StoredType::kBF16);
}

TEST_F(Convert, LoadsAsTheSameModel) {
  Model model(Presets()[3].config, false);
  FillModel(model, 5, false);
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kBF16; });
  Ok(folder_, file_);
  ThreadPool pool(1);
  const Result<Model> a = LoadModel(folder_, false, pool), b = LoadModel(file_, false, pool);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(FlatCopy(*a), FlatCopy(*b));
}

// Rows of 256 and of 64, of 96 and of 16: whole blocks of both sizes and of neither.
ModelConfig WideConfig() {
  ModelConfig c = Presets()[0].config;
  c.hidden_size = 256;
  c.intermediate_size = 96;
  c.moe_intermediate_size = 64;
  c.num_nextn_predict_layers = 0;
  return c;
}

TEST_F(Convert, ReportedErrorsAreTheErrors) {
  const ModelConfig config = WideConfig();
  Model model(config, false);
  FillModel(model, 6, false);
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kF32; });
  const ModelSource exact = OpenModelSource(folder_).value();
  struct Want {
    StoredType type, other, row_64, head;  // asked for; what rows of 64, and the head, become
    int64_t file_type;
    double most;  // relative error of any tensor
  };
  const Want wants[] = {
      {StoredType::kQ8_0, StoredType::kF16, StoredType::kQ8_0, StoredType::kQ8_0, 7, 0.01},
      {StoredType::kQ4_0, StoredType::kF16, StoredType::kQ4_0, StoredType::kQ6K, 2, 0.12},
      {StoredType::kQ4K, StoredType::kF16, StoredType::kQ8_0, StoredType::kQ6K, 14, 0.12},
      {StoredType::kQ6K, StoredType::kF16, StoredType::kQ8_0, StoredType::kQ6K, 18, 0.03},
      {StoredType::kF16, StoredType::kF16, StoredType::kF16, StoredType::kF16, 1, 0.001},
      {StoredType::kBF16, StoredType::kBF16, StoredType::kBF16, StoredType::kBF16, 32, 0.01},
  };
  for (const Want& want : wants) {
    SCOPED_TRACE(StoredTypeName(want.type));
    ASSERT_TRUE(RemoveFile(file_).ok());
    const ConvertReport report = Ok(folder_, file_, want.type);
    const ModelSource read = OpenModelSource(file_).value();
    const std::vector<GgufTensor> list = ListGgufTensors(config);
    ASSERT_EQ(report.tensors.size(), list.size());
    const GgufFile gguf = GgufFile::Open(file_).value();
    EXPECT_EQ(gguf.Integer("general.file_type").value(), want.file_type);
    EXPECT_EQ(gguf.FindKey("general.quantization_version") != nullptr, StoredTypeBlock(want.type) > 1);
    int64_t lossy = 0;
    for (size_t t = 0; t < list.size(); ++t) {
      const ConvertedTensor& tensor = report.tensors[t];
      SCOPED_TRACE(tensor.name);
      const bool forced = tensor.shape.size() == 1 || tensor.name.find("ffn_gate_inp") != std::string::npos;
      const int64_t row = tensor.shape.back();
      const StoredType type = forced                           ? StoredType::kF32
                              : tensor.name == "output.weight" ? want.head
                              : row % 256 == 0                 ? want.type
                              : row % 32 == 0                  ? want.row_64
                                                               : want.other;
      EXPECT_EQ(tensor.to, type);
      EXPECT_EQ(gguf.Find(tensor.name)->type, type);
      EXPECT_EQ(tensor.fallback, !forced && type != want.type && tensor.name != "output.weight");
      EXPECT_EQ(tensor.error.has_value(), !forced);
      if (forced) continue;
      ++lossy;
      double most = 0, errors = 0, xx = 0, yy = 0, xy = 0, count = 0;
      std::vector<float> x, y;
      for (size_t part = 0; part < list[t].parts(); ++part) {
        ASSERT_TRUE(ReadGgufPart(list[t], part, config, *exact.params, &x).ok());
        ASSERT_TRUE(ReadGgufPart(list[t], part, config, *read.params, &y).ok());
        for (size_t i = 0; i < x.size(); ++i) {
          const double a = x[i], b = y[i];
          most = std::max(most, std::abs(a - b));
          errors += (a - b) * (a - b);
          xx += a * a;
          yy += b * b;
          xy += a * b;
          count += 1;
        }
      }
      EXPECT_NEAR(tensor.error->max_abs, most, 1e-12);
      EXPECT_NEAR(tensor.error->rms, std::sqrt(errors / count), 1e-12);
      EXPECT_NEAR(tensor.error->relative_rms, std::sqrt(errors / xx), 1e-12);
      EXPECT_NEAR(tensor.error->cosine, xy / std::sqrt(xx * yy), 1e-12);
      EXPECT_GT(tensor.error->relative_rms, 0);
      EXPECT_LT(tensor.error->relative_rms, want.most);
    }
    EXPECT_GT(lossy, 10);
  }
}

TEST_F(Convert, QuantisedSources) {
  Model model(WideConfig(), false);
  FillModel(model, 6, false);
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kF32; });
  Ok(folder_, file_, StoredType::kQ4K);
  const ConvertReport same = Ok(file_, again_);  // between GGUF files block types stay, byte for byte
  ExpectSameTensors(file_, again_);
  for (const ConvertedTensor& tensor : same.tensors) EXPECT_FALSE(tensor.error.has_value());
  Ok(file_, back_);  // in a folder their values do
  ThreadPool pool(1);
  EXPECT_EQ(FlatCopy(LoadModel(file_, false, pool).value()), FlatCopy(LoadModel(back_, false, pool).value()));
  ASSERT_TRUE(RemoveFile(again_).ok());
  const ConvertReport twice = Ok(file_, again_, StoredType::kQ8_0);
  ASSERT_EQ(twice.notes.size(), 1U);
  EXPECT_NE(twice.notes[0].find("quantised already"), std::string::npos);
}

TEST_F(Convert, FoldersInOtherTypesAndShards) {
  Model model(Presets()[0].config, false);
  FillModel(model, 5, false);
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kF32; });
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/tokenizer_config.json", R"({"chat_template": "{{ 1 }}"})").ok());
  ConvertOptions options;
  options.source = folder_;
  options.target = back_ + "/";
  options.type = StoredType::kBF16;
  options.max_shard_bytes = 20000;
  int64_t calls = 0;
  options.progress = [&](int64_t, int64_t, const std::string&) { ++calls; };
  const Result<ConvertReport> report = ConvertModel(options);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(calls, static_cast<int64_t>(report->tensors.size()));
  EXPECT_TRUE(Exists(back_ + "/model.safetensors.index.json"));
  EXPECT_EQ(Slurp(back_ + "/tokenizer_config.json"), Slurp(folder_ + "/tokenizer_config.json"));
  EXPECT_EQ(ReadJsonFile(back_ + "/config.json").value()["torch_dtype"], "bfloat16");
  const ModelSource read = OpenModelSource(back_).value();
  for (const ParamSource::Entry& entry : read.params->entries()) {
    EXPECT_EQ(entry.type, entry.name.ends_with("e_score_correction_bias") ? StoredType::kF32 : StoredType::kBF16)
        << entry.name;
  }
  const std::vector<std::string> left = ListDir(dir_.path()).value();
  for (const std::string& name : left) EXPECT_EQ(name.find("partial"), std::string::npos) << name;
}

TEST_F(Convert, Refusals) {
  Model model(Presets()[1].config, false);
  FillModel(model, 5, false);
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kF32; });
  EXPECT_EQ(Fails(folder_, folder_).code, ErrorCode::kCannotCreate);
  EXPECT_EQ(Fails(folder_, back_, StoredType::kQ4K).code, ErrorCode::kUsage);
  EXPECT_NE(Fails(dir_ / "nothing", file_).message.find("nothing"), std::string::npos);
  ASSERT_TRUE(WriteFileAtomic(file_, "GGUF").ok());
  EXPECT_EQ(Fails(file_, back_).code, ErrorCode::kBadInput);
  EXPECT_EQ(Fails(folder_, file_).code, ErrorCode::kCannotCreate);
  // A value that no block can hold is named, and nothing is left behind.
  ASSERT_TRUE(RemoveFile(file_).ok());
  model.data()[model.params().Find("model.layers.1.mlp.up_proj.weight")->offset + 3] = std::nanf("");
  ASSERT_TRUE(RemoveTree(folder_).ok());
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kF32; });
  const Error nan = Fails(folder_, file_, StoredType::kQ8_0);
  EXPECT_NE(nan.message.find("blk.1.ffn_up.weight"), std::string::npos) << nan.message;
  EXPECT_EQ(ListDir(dir_.path()).value(), std::vector<std::string>{"model"});
  // Keys of our own are not trusted either.
  model.data()[model.params().Find("model.layers.1.mlp.up_proj.weight")->offset + 3] = 0;
  ASSERT_TRUE(RemoveTree(folder_).ok());
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kF32; });
  Ok(folder_, file_);
  const GgufFile file = GgufFile::Open(file_).value();
  GgufMetadata keys;
  for (const GgufEntry& entry : file.metadata()) keys.Raw(entry);
  const std::vector<std::string_view> lines = {"Q4_K model.norm.weight"};
  keys.AddStrings("r1.stored_types", lines);
  std::vector<TensorToStore> tensors;
  for (const StoredTensor& tensor : file.tensors())
    tensors.push_back({tensor.name, tensor.type, tensor.shape, tensor.data});
  ASSERT_TRUE(WriteGguf(again_, keys, tensors).ok());
  EXPECT_NE(Fails(again_, back_).message.find("r1.stored_types"), std::string::npos);
  EXPECT_FALSE(Exists(back_));
}

// What is written is W + scale · B·A, from a folder and from a GGUF file, whose bytes must not be copied then.
TEST_F(Convert, AnAdapterIsMerged) {
  ModelConfig config = ModelPreset("tiny-qwen2").value();
  config.vocab_size = 64;
  Model model(config, true);
  FillModel(model, 5, false);
  WriteTyped(folder_, model, [](const std::string&) { return StoredType::kF32; });
  Ok(folder_, file_);
  ASSERT_TRUE(
      model.AddAdapter({.lora_r = 2, .lora_alpha = 6, .lora_target_modules = "q_proj,down_proj"}, 3, "base", "t").ok());
  Rng rng(1, Stream::kTest, 4);
  for (int64_t i = 0; i < model.trained().total; ++i) model.trained_data()[i] = static_cast<float>(rng.Normal());
  ASSERT_TRUE(MakeDirs(dir_ / "adapter").ok());
  ASSERT_TRUE(WriteAdapterFiles(dir_ / "adapter", model).ok());
  for (const std::string& source : {folder_, file_}) {
    ASSERT_TRUE(RemoveTree(back_).ok());
    ConvertOptions options;
    options.source = source;
    options.target = back_;
    options.adapter = dir_ / "adapter";
    const Result<ConvertReport> report = ConvertModel(options);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_NE(nlohmann::json(report->notes).dump().find("is merged into the weights"), std::string::npos);
    std::vector<float> flat(static_cast<size_t>(model.params().total));
    ASSERT_TRUE(ReadParams(*OpenModelSource(back_)->params, model.params(), flat.data()).ok());
    int changed = 0;
    for (size_t i = 0; i < model.params().specs.size(); ++i) {
      const ParamSpec& spec = model.params().specs[i];
      std::vector<float> want(static_cast<size_t>(spec.count()));
      model.MergedParam(i, want.data());
      changed += std::memcmp(want.data(), model.data() + spec.offset, want.size() * sizeof(float)) != 0 ? 1 : 0;
      EXPECT_EQ(std::memcmp(want.data(), flat.data() + spec.offset, want.size() * sizeof(float)), 0) << spec.name;
    }
    EXPECT_EQ(changed, 2 * config.num_hidden_layers);
  }
  ASSERT_TRUE(RemoveTree(dir_ / "adapter").ok());
  ConvertOptions options;
  options.source = folder_;
  options.target = again_;
  options.adapter = dir_ / "adapter";
  EXPECT_FALSE(ConvertModel(options).ok());
  EXPECT_FALSE(Exists(again_));
}

TEST_F(Convert, DigitLlama) {
  const char* data = std::getenv("R1_DATA");
  const std::string path = JoinPath(
      data != nullptr ? std::string(data) : std::string(R1_SOURCE_DIR) + "/../shared/data", "models/digit_llama");
  if (!IsDir(path)) GTEST_SKIP() << "missing: " << path << " (R1_DATA says where data is)";
  Ok(path, file_);
  const ConvertReport in = Ok(file_, back_);
  EXPECT_EQ(in.tensors.size(), 39U);
  ExpectSameTensors(path, back_);
  EXPECT_EQ(ModelConfigToJson(ReadModelConfig(back_).value()), ModelConfigToJson(ReadModelConfig(path).value()));
  EXPECT_EQ(ReadJsonFile(back_ + "/tokenizer_config.json").value()["chat_template"],
            ReadJsonFile(path + "/tokenizer_config.json").value()["chat_template"]);
  EXPECT_EQ(ReadJsonFile(back_ + "/generation_config.json").value()["eos_token_id"], 1);
}

}  // namespace
}  // namespace r1::cli
