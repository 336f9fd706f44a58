// Adapters of PEFT merged into stored models: the values, number types, and everything that is refused.
#include "model/lora_merge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/test_dir.h"
#include "model/io.h"
#include "model/lora.h"
#include "model/model_test_util.h"
#include "store/quant.h"
#include "store/safetensors.h"

namespace r1 {
namespace {

class LoraMerge : public ::testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    FillModel(model_, 1, false);
    ASSERT_TRUE(MakeDirs(dir_ / "base").ok());
    ASSERT_TRUE(MakeDirs(dir_ / "adapter").ok());
    ASSERT_TRUE(WriteModelFiles(dir_ / "base", model_, 1, 2).ok());
    config_ = ParseJson(LoraConfigToPeftJson(model_.config(), {kRank, 6, "k_proj,up_proj"}, "base"), "c").value();
    Rng rng(3, Stream::kTest);
    const ParamList list = ListLoraParams(model_.config(), {kRank, 6, "k_proj,up_proj"}, "c").value();
    for (const ParamSpec& spec : list.specs) {
      tensors_.push_back({kPeftPrefix + spec.name, StoredType::kF32, {spec.rows, spec.cols}, nullptr});
      std::vector<float> values(static_cast<size_t>(spec.count()));
      for (float& x : values) x = ToFloat(ToBf16(static_cast<float>(rng.Normal())));
      values_.push_back(std::move(values));
    }
  }
  void Write() {
    ASSERT_TRUE(WriteFileAtomic(dir_ / "adapter/adapter_config.json", ToPrettyText(config_)).ok());
    for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].data = values_[i].data();
    ASSERT_TRUE(WriteSafetensors(dir_ / "adapter/adapter_model.safetensors", tensors_, {}).ok());
  }
  Result<std::unique_ptr<ParamSource>> Merge() {
    return MergeAdapter(OpenModelSource(dir_ / "base").value().params, dir_ / "adapter");
  }
  void ExpectError(ErrorCode code, const std::string& part) {
    Write();
    const auto merged = Merge();
    ASSERT_FALSE(merged.ok()) << part;
    EXPECT_EQ(merged.error().code, code) << merged.error().message;
    EXPECT_NE(merged.error().message.find(part), std::string::npos) << merged.error().message;
  }
  // Every parameter against W + scale · B·A in double.
  void ExpectMerged(double scale) {
    const auto merged = Merge();
    ASSERT_TRUE(merged.ok()) << merged.error().message;
    ASSERT_EQ((*merged)->entries().size(), model_.params().specs.size());
    std::vector<float> flat(static_cast<size_t>(model_.params().total));
    ASSERT_TRUE(ReadParams(**merged, model_.params(), flat.data()).ok());
    int changed = 0;
    for (const ParamSpec& spec : model_.params().specs) {
      const std::string a = kPeftPrefix + std::string(LoraModuleOf(spec.name)) + ".lora_A.weight";
      size_t at = 0;
      while (at < tensors_.size() && tensors_[at].name != a) ++at;
      const bool has = at < tensors_.size();
      changed += has ? 1 : 0;
      for (int64_t i = 0; i < spec.count(); ++i) {
        double want = static_cast<double>(model_.data()[spec.offset + i]);
        for (int64_t j = 0; has && j < kRank; ++j)
          want += scale * static_cast<double>(values_[at + 1][static_cast<size_t>(i / spec.cols * kRank + j)]) *
                  static_cast<double>(values_[at][static_cast<size_t>(j * spec.cols + i % spec.cols)]);
        ASSERT_NEAR(static_cast<double>(flat[static_cast<size_t>(spec.offset + i)]), want, 1e-6 * std::abs(want) + 1e-7)
            << spec.name;
      }
    }
    EXPECT_EQ(changed, 4);
    EXPECT_TRUE((*merged)->CheckIntact().ok());
  }
  static constexpr int64_t kRank = 3;
  TempDir dir_;
  Model model_{TestDense(64, 4, 2, 16, 40, 45), false};
  nlohmann::json config_;
  std::vector<TensorToStore> tensors_;  // A, B, A, B, ...
  std::vector<std::vector<float>> values_;
};

TEST_F(LoraMerge, AddsTheProduct) {
  Write();
  ExpectMerged(2.0);
  // Square-root scaling; fields that say nothing about the arithmetic, and unknown ones that are off.
  config_["use_rslora"] = true;
  config_["peft_version"] = "0.17.1";
  config_["ensure_weight_tying"] = false;
  config_["target_parameters"] = nullptr;
  config_["init_lora_weights"] = "gaussian";
  config_["lora_dropout"] = 0.05;
  Write();
  ExpectMerged(6 / std::sqrt(3.0));
}

TEST_F(LoraMerge, ReadsBf16) {
  std::vector<std::vector<char>> bytes;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].type = StoredType::kBF16;
    bytes.emplace_back(values_[i].size() * 2);
    ASSERT_TRUE(
        EncodeValues(StoredType::kBF16, values_[i].data(), static_cast<int64_t>(values_[i].size()), bytes.back().data())
            .ok());
    tensors_[i].data = bytes[i].data();
  }
  ASSERT_TRUE(WriteFileAtomic(dir_ / "adapter/adapter_config.json", ToPrettyText(config_)).ok());
  ASSERT_TRUE(WriteSafetensors(dir_ / "adapter/adapter_model.safetensors", tensors_, {}).ok());
  ExpectMerged(2.0);
}

TEST_F(LoraMerge, AnExpertOfTheModelMayHaveOne) {
  Model v3(TestV3(), false);
  FillModel(v3, 2, false);
  ASSERT_TRUE(WriteModelFiles(dir_ / "base", v3, 1, 2).ok());
  const std::string module = "model.layers.1.mlp.experts.3.down_proj";
  const std::vector<float> a(32, 1.0f), b(64, 0.5f);
  tensors_ = {{kPeftPrefix + module + ".lora_A.weight", StoredType::kF32, {1, 32}, nullptr},
              {kPeftPrefix + module + ".lora_B.weight", StoredType::kF32, {64, 1}, nullptr}};
  values_ = {a, b};
  config_["r"] = 1;
  config_["lora_alpha"] = 4;
  Write();
  const auto merged = Merge();
  ASSERT_TRUE(merged.ok()) << merged.error().message;
  std::vector<float> flat(static_cast<size_t>(v3.params().total));
  ASSERT_TRUE(ReadParams(**merged, v3.params(), flat.data()).ok());
  const ParamSpec* spec = v3.params().Find(module + ".weight");
  for (int64_t i = spec->offset; i < spec->offset + spec->count(); ++i)
    EXPECT_EQ(flat[static_cast<size_t>(i)], static_cast<float>(static_cast<double>(v3.data()[i]) + 2.0));
  EXPECT_EQ(flat[static_cast<size_t>(spec->offset - 1)], v3.data()[spec->offset - 1]);
}

TEST_F(LoraMerge, FieldsThatChangeTheArithmeticAreRefusedByName) {
  const std::pair<const char*, nlohmann::json> refused[] = {
      {"use_dora", true},
      {"fan_in_fan_out", true},
      {"lora_bias", true},
      {"bias", "all"},
      {"modules_to_save", {"lm_head"}},
      {"rank_pattern", {{"k_proj", 8}}},
      {"alpha_pattern", {{"k_proj", 8}}},
      {"init_lora_weights", "pissa_niter_16"},
      {"init_lora_weights", "olora"},
      {"layer_replication", {{0, 1}}},
      {"trainable_token_indices", {1, 2}},
      {"alora_invocation_tokens", {7}},
      {"a_field_of_tomorrow", 1},
  };
  const nlohmann::json good = config_;
  for (const auto& [field, value] : refused) {
    config_ = good;
    config_[field] = value;
    ExpectError(ErrorCode::kRefused, std::string("'") + field + "'");
  }
}

TEST_F(LoraMerge, BrokenConfigsAreErrors) {
  const std::pair<const char*, nlohmann::json> bad[] = {{"peft_type", "IA3"},
                                                        {"peft_type", nullptr},
                                                        {"r", 0},
                                                        {"r", -3},
                                                        {"r", 1.5},
                                                        {"r", "3"},
                                                        {"r", 1 << 20},
                                                        {"lora_alpha", nullptr},
                                                        {"lora_alpha", "6"},
                                                        {"use_rslora", 1}};
  const nlohmann::json good = config_;
  for (const auto& [field, value] : bad) {
    config_ = good;
    config_[field] = value;
    ExpectError(ErrorCode::kBadInput, std::string("'") + field + "'");
  }
  config_ = nlohmann::json::array();
  ExpectError(ErrorCode::kBadInput, "is no JSON object");
  ASSERT_TRUE(RemoveTree(dir_ / "adapter").ok());
  EXPECT_NE(Merge().error().message.find("adapter_config.json and adapter_model.safetensors"), std::string::npos);
}

TEST_F(LoraMerge, BrokenTensorsAreErrors) {
  const auto tensors = tensors_;
  const auto values = values_;
  const auto with = [&](const std::function<void()>& change, const char* part) {
    tensors_ = tensors;
    values_ = values;
    change();
    ExpectError(ErrorCode::kBadInput, part);
  };
  with([&] { tensors_.pop_back(); }, "has no lora_B");
  with([&] { tensors_.erase(tensors_.begin()), values_.erase(values_.begin()); }, "has no lora_A");
  with([&] { tensors_.clear(); }, "holds no adapter");
  with([&] { tensors_[0].shape = {64, kRank}; }, "has the shape [64, 3]; rank and model make it [3, 64]");
  with([&] { config_["r"] = 2; }, "rank and model make it [2, 64]");
  config_["r"] = kRank;
  with([&] { tensors_[0].name = "base_model.model.model.layers.9.self_attn.k_proj.lora_A.weight"; },
       "is no matrix of this model");
  with([&] { tensors_[0].name = "base_model.model.model.norm.lora_A.weight"; }, "is no matrix of this model");
  with([&] { tensors_[0].name = "base_model.model.model.embed_tokens.lora_embedding_A"; }, "is no lora_A or lora_B");
  with([&] { tensors_[0].name = "model.layers.0.self_attn.k_proj.lora_A.weight"; }, "is no lora_A or lora_B");
  with([&] { tensors_[0].type = StoredType::kI32; }, "has the type I32");
  with([&] { values_[1][2] = INFINITY; }, "values that are not finite");
}

}  // namespace
}  // namespace r1
