// Adapters in a model: what they compute and their gradients against the double-precision reference with the product
// B·A in its weights, nothing for the frozen rest, the same bits on every instruction set, merged weights, and the
// files.
#include "model/lora.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/test_dir.h"
#include "model/io.h"
#include "model/model_test_util.h"
#include "store/safetensors.h"

namespace r1 {
namespace {

LoraConfig Rank(int64_t r, double alpha, const std::string& targets = "all-linear") { return {r, alpha, targets}; }

// Random values in A and B, of which bf16 loses nothing.
void FillAdapter(Model& model, uint64_t seed) {
  Rng rng(seed, Stream::kTest, 9);
  for (const ParamSpec& spec : model.trained().specs) {
    const double spread =
        spec.name.find("lora_A") != std::string::npos ? 1 / std::sqrt(static_cast<double>(spec.cols)) : 0.3;
    for (int64_t i = 0; i < spec.count(); ++i)
      model.trained_data()[spec.offset + i] = ToFloat(ToBf16(static_cast<float>(spread * rng.Normal())));
  }
}

// The model's parameters with scale · B·A added, in double; adapter: flat as trained().
std::vector<double> Merged(const Model& model, const std::vector<double>& adapter) {
  std::vector<double> flat = FlatCopy(model);
  const std::vector<ParamSpec>& specs = model.trained().specs;
  const double scale = model.adapter()->config().scale();
  for (size_t i = 0; i < specs.size(); i += 2) {
    const ParamSpec* w = model.params().Find(std::string(LoraModuleOf(specs[i].name)) + ".weight");
    for (int64_t row = 0; row < w->rows; ++row) {
      for (int64_t j = 0; j < specs[i].rows; ++j) {
        const double b = adapter[static_cast<size_t>(specs[i + 1].offset + row * specs[i].rows + j)];
        for (int64_t l = 0; l < w->cols; ++l)
          flat[static_cast<size_t>(w->offset + row * w->cols + l)] +=
              scale * b * adapter[static_cast<size_t>(specs[i].offset + j * w->cols + l)];
      }
    }
  }
  return flat;
}

std::vector<double> AdapterCopy(const Model& model) {
  return {model.adapter()->data(), model.adapter()->data() + model.trained().total};
}

struct Case {
  std::unique_ptr<Model> model;
  std::unique_ptr<reference::Model> reference;
  std::vector<reference::Sequence> sequences;
  Objective objective;
};

// A model with an adapter on everything, and sequences without near ties in its routing.
Case MakeCase(const ModelConfig& c, const LoraConfig& lora) {
  ThreadPool pool(1);
  for (uint64_t seed = 1; seed < 400; ++seed) {
    Case out;
    out.model = std::make_unique<Model>(c, true);
    out.reference = std::make_unique<reference::Model>(c);
    FillModel(*out.model, seed);
    EXPECT_TRUE(out.model->AddAdapter(lora, seed, "base", "test").ok());
    FillAdapter(*out.model, seed);
    out.model->Pack(pool);
    out.sequences = RandomSequences(c.vocab_size, {9, 2, 8}, seed);
    const std::vector<double> flat = Merged(*out.model, AdapterCopy(*out.model));
    out.objective.mtp_weight = c.num_nextn_predict_layers > 0 ? 8.0f : 0.0f;
    out.objective.balance_alpha = 2.0f;
    Rng rng(11, Stream::kTest);
    for (const reference::Sequence& s : out.sequences) {
      for (size_t i = static_cast<size_t>(s.loss_from); i < s.tokens.size(); ++i) {
        out.objective.dlogp.push_back(static_cast<float>(rng.Normal()));
        out.objective.dentropy.push_back(static_cast<float>(rng.Normal()));
      }
    }
    if (out.reference->Forward(flat.data(), out.sequences, out.objective.options()).margin < kClearMargin) continue;
    out.reference->Freeze();
    return out;
  }
  ADD_FAILURE() << "no sequences without near ties found";
  return {};
}

class Lora : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
};

TEST_P(Lora, ComputesTheMergedModel) {
  Case test = MakeCase(GetParam().config, Rank(5, 7));
  ASSERT_NE(test.model, nullptr);
  const std::vector<double> flat = Merged(*test.model, AdapterCopy(*test.model));
  const reference::Output want = test.reference->Forward(flat.data(), test.sequences, test.objective.options());
  const std::vector<double> plain = FlatCopy(*test.model);
  const reference::Output without = test.reference->Forward(plain.data(), test.sequences, test.objective.options());
  Context ctx;
  const ProductResult got = RunProduct(ctx, *test.model, test.sequences, test.objective, false);
  ctx.low_rank = false;
  const ProductResult base = RunProduct(ctx, *test.model, test.sequences, test.objective, false);
  double error = 0, base_error = 0, change = 0;
  size_t i = 0;
  for (size_t s = 0; s < want.logp.size(); ++s) {
    for (size_t t = 0; t < want.logp[s].size(); ++t, ++i) {
      error = std::max(error, std::abs(want.logp[s][t] - static_cast<double>(got.logp[i])));
      base_error = std::max(base_error, std::abs(without.logp[s][t] - static_cast<double>(base.logp[i])));
      change = std::max(change, std::abs(want.logp[s][t] - without.logp[s][t]));
    }
  }
  EXPECT_GT(change, 0.3);
  EXPECT_LT(error, 0.1);
  if (!GetParam().config.is_mla()) {  // frozen choices are those of the adapted model
    EXPECT_LT(base_error, 0.1);
  }
}

// Each tensor's gradient along itself and along a random direction, as model/gradient_test.cc does, with its bounds.
TEST_P(Lora, GradientOfEveryTensor) {
  Case test = MakeCase(GetParam().config, Rank(5, 7));
  ASSERT_NE(test.model, nullptr);
  Context ctx;
  const std::vector<float> g = RunProduct(ctx, *test.model, test.sequences, test.objective, true).gradient;
  ASSERT_EQ(static_cast<int64_t>(g.size()), test.model->trained().total);
  const std::vector<double> at = AdapterCopy(*test.model);
  const auto derivative = [&](const std::vector<double>& direction) {
    constexpr double kStep = 1e-4;
    double value[2];
    for (int side = 0; side < 2; ++side) {
      std::vector<double> moved(at);
      for (size_t i = 0; i < moved.size(); ++i) moved[i] += (side == 0 ? kStep : -kStep) * direction[i];
      const std::vector<double> flat = Merged(*test.model, moved);
      value[side] =
          test.objective.Value(test.reference->Forward(flat.data(), test.sequences, test.objective.options()));
    }
    return (value[0] - value[1]) / (2 * kStep);
  };
  double whole = 0;
  for (const float x : g) whole += static_cast<double>(x) * static_cast<double>(x);
  whole = std::sqrt(whole);
  for (const ParamSpec& spec : test.model->trained().specs) {
    const size_t begin = static_cast<size_t>(spec.offset), end = begin + static_cast<size_t>(spec.count());
    std::vector<double> along(g.size(), 0.0), random(g.size(), 0.0);
    Rng rng(begin, Stream::kTest, 3);
    double norm = 0, squares = 0, expected = 0;
    for (size_t i = begin; i < end; ++i) {
      norm += static_cast<double>(g[i]) * static_cast<double>(g[i]);
      squares += (random[i] = rng.Normal()) * random[i];
    }
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 0) << spec.name;
    for (size_t i = begin; i < end; ++i) {
      along[i] = static_cast<double>(g[i]) / norm;
      expected += (random[i] /= std::sqrt(squares)) * static_cast<double>(g[i]);
    }
    const double slack = 1 + 0.002 * whole / (0.04 * norm);
    EXPECT_LT(std::abs(derivative(along) / norm - 1), 0.04 * slack) << spec.name;
    EXPECT_LT(std::abs(derivative(random) - expected) / norm * std::sqrt(static_cast<double>(end - begin)),
              0.25 * slack)
        << spec.name;
  }
}

TEST_P(Lora, EveryInstructionSetGivesTheSameBits) {
  const std::string chosen = kernels::Kernels().isa;
  ThreadPool pool(1);
  ProductResult first;
  int tables = 0;
  for (const char* const* isa = kernels::AvailableIsas(); *isa != nullptr; ++isa, ++tables) {
    ASSERT_TRUE(kernels::SelectIsa(*isa));
    Model model(GetParam().config, true);
    FillModel(model, 3, false);
    ASSERT_TRUE(model.AddAdapter(Rank(8, 16), 3, "", "test").ok());
    FillAdapter(model, 4);
    model.Pack(pool);
    Objective o;
    o.mtp_weight = static_cast<float>(GetParam().config.num_nextn_predict_layers);
    o.dlogp.assign(1000, 0.3f);
    Context ctx;
    const ProductResult got =
        RunProduct(ctx, model, RandomSequences(GetParam().config.vocab_size, {9, 40}, 3), o, true);
    if (tables == 0) first = got;
    EXPECT_EQ(std::memcmp(got.logp.data(), first.logp.data(), got.logp.size() * sizeof(float)), 0) << *isa;
    EXPECT_EQ(std::memcmp(got.gradient.data(), first.gradient.data(), got.gradient.size() * sizeof(float)), 0) << *isa;
  }
  EXPECT_GE(tables, 1);
  ASSERT_TRUE(kernels::SelectIsa(chosen.c_str()));
}

// An adapter as it starts changes no bit, and the merged weights are the model's own.
TEST_P(Lora, StartsAsTheBase) {
  ThreadPool pool(1);
  Model model(GetParam().config, true);
  FillModel(model, 5, false);
  model.Pack(pool);
  const std::vector<reference::Sequence> sequences = RandomSequences(GetParam().config.vocab_size, {12, 7}, 5);
  Context ctx;
  const ProductResult before = RunProduct(ctx, model, sequences, {}, false);
  ASSERT_TRUE(model.AddAdapter(Rank(4, 8), 5, "", "test").ok());
  model.Pack(pool);
  const ProductResult after = RunProduct(ctx, model, sequences, {}, false);
  EXPECT_EQ(std::memcmp(before.logp.data(), after.logp.data(), before.logp.size() * sizeof(float)), 0);
  for (size_t i = 0; i < model.params().specs.size(); ++i) {
    const ParamSpec& spec = model.params().specs[i];
    std::vector<float> merged(static_cast<size_t>(spec.count()));
    model.MergedParam(i, merged.data());
    EXPECT_EQ(std::memcmp(merged.data(), model.data() + spec.offset, merged.size() * sizeof(float)), 0) << spec.name;
  }
  for (const ParamSpec& spec : model.trained().specs) {
    const bool is_a = spec.name.ends_with(".lora_A.weight");
    const float* w = model.trained_data() + spec.offset;
    double largest = 0, squares = 0;
    for (int64_t i = 0; i < spec.count(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(w[i])));
      squares += static_cast<double>(w[i]) * static_cast<double>(w[i]);
    }
    if (!is_a) {
      EXPECT_EQ(largest, 0) << spec.name;
      continue;
    }
    const double bound = 1 / std::sqrt(static_cast<double>(spec.cols));
    EXPECT_LE(largest, bound * 1.000001) << spec.name;
    EXPECT_NEAR(squares / static_cast<double>(spec.count()), bound * bound / 3, 0.35 * bound * bound / 3) << spec.name;
  }
}

TEST_P(Lora, MergedWeightsAreTheSum) {
  Case test = MakeCase(GetParam().config, Rank(3, 4));
  ASSERT_NE(test.model, nullptr);
  const std::vector<double> want = Merged(*test.model, AdapterCopy(*test.model));
  Model loaded(GetParam().config, false);
  int64_t changed = 0;
  for (size_t i = 0; i < test.model->params().specs.size(); ++i) {
    const ParamSpec& spec = test.model->params().specs[i];
    test.model->MergedParam(i, loaded.data() + spec.offset);
    for (int64_t j = spec.offset; j < spec.offset + spec.count(); ++j) {
      const double w = want[static_cast<size_t>(j)];
      ASSERT_NEAR(static_cast<double>(loaded.data()[j]), w, 1e-6 * std::abs(w)) << spec.name;
      changed += loaded.data()[j] != test.model->data()[j] ? 1 : 0;
    }
  }
  EXPECT_GT(changed, 1000);
  // As a model: apart by what bf16 loses of the sum.
  ThreadPool pool(1);
  loaded.Pack(pool);
  Context ctx;
  const ProductResult a = RunProduct(ctx, *test.model, test.sequences, {}, false);
  const ProductResult b = RunProduct(ctx, loaded, test.sequences, {}, false);
  double sum = 0;
  for (size_t i = 0; i < a.logp.size(); ++i) {
    EXPECT_NEAR(a.logp[i], b.logp[i], 0.3);
    sum += std::abs(static_cast<double>(a.logp[i] - b.logp[i]));
  }
  EXPECT_LT(sum / static_cast<double>(a.logp.size()), 0.06);
}

INSTANTIATE_TEST_SUITE_P(Configs, Lora, ::testing::ValuesIn(TestConfigs()),
                         [](const auto& info) { return info.param.name; });

std::vector<std::string> ModulesOf(const ModelConfig& config, const std::string& targets) {
  std::vector<std::string> names;
  const ParamList list = ListLoraParams(config, Rank(2, 2, targets), "test").value();
  for (size_t i = 0; i < list.specs.size(); i += 2) {
    EXPECT_EQ(LoraModuleOf(list.specs[i].name), LoraModuleOf(list.specs[i + 1].name));
    names.emplace_back(LoraModuleOf(list.specs[i].name));
  }
  return names;
}

TEST(LoraParams, EveryProjectionHasOneAndExpertsHaveNone) {
  ModelConfig dense = TestDense(64, 4, 2, 16, 40, 45);
  EXPECT_EQ(ModulesOf(dense, "all-linear").size(), 14u);
  EXPECT_EQ(ModulesOf(dense, "v_proj, q_proj"),
            (std::vector<std::string>{"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj",
                                      "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"}));
  ModelConfig v3 = TestV3();
  v3.q_lora_rank = 24;
  v3.num_nextn_predict_layers = 1;
  const std::vector<std::string> modules = ModulesOf(v3, "all-linear");
  EXPECT_EQ(modules.size(), 16u);  // 5 of attention and 3 of FFN or shared expert, in two layers; no prediction module
  for (const std::string& module : modules) EXPECT_EQ(module.find(".experts."), std::string::npos) << module;
  EXPECT_EQ(ModulesOf(v3, "down_proj"),
            (std::vector<std::string>{"model.layers.0.mlp.down_proj", "model.layers.1.mlp.shared_experts.down_proj"}));
  const ParamList list = ListLoraParams(dense, Rank(3, 2, "k_proj"), "test").value();
  ASSERT_EQ(list.specs.size(), 4u);
  EXPECT_EQ(list.specs[0].rows, 3);
  EXPECT_EQ(list.specs[0].cols, 64);
  EXPECT_EQ(list.specs[1].rows, 32);
  EXPECT_EQ(list.specs[1].cols, 3);
}

TEST(LoraParams, WhatCannotHaveOneIsRefusedByName) {
  const auto error = [](const LoraConfig& lora) {
    const Status status = ValidateLoraConfig(lora, "stage 'x'");
    EXPECT_FALSE(status.ok());
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_TRUE(ValidateLoraConfig({}, "x").ok());
  EXPECT_NE(error(Rank(-1, 1)).find("stage 'x': lora_r"), std::string::npos);
  EXPECT_NE(error(Rank(4097, 1)).find("lora_r"), std::string::npos);
  EXPECT_NE(error(Rank(1, 0)).find("lora_alpha"), std::string::npos);
  EXPECT_NE(error(Rank(1, std::nan(""))).find("lora_alpha"), std::string::npos);
  EXPECT_NE(error(Rank(1, 1, " ,")).find("names no module"), std::string::npos);
  EXPECT_NE(error(Rank(1, 1, "q_proj,lm_head")).find("'lm_head' cannot have an adapter"), std::string::npos);
  EXPECT_NE(error(Rank(1, 1, "mlp.experts.0.up_proj")).find("routed experts take no adapter"), std::string::npos);
  const Result<ParamList> other = ListLoraParams(TestDense(64, 4, 2, 16, 40, 45), Rank(1, 1, "q_proj,kv_b_proj"), "s");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kRefused);
  EXPECT_NE(other.error().message.find("'kv_b_proj'"), std::string::npos) << other.error().message;
  EXPECT_NE(other.error().message.find("it has down_proj, gate_proj"), std::string::npos) << other.error().message;
  ModelConfig only_routed = TestV3();
  only_routed.first_k_dense_replace = 0;
  only_routed.n_shared_experts = 0;
  EXPECT_FALSE(ListLoraParams(only_routed, Rank(1, 1, "up_proj"), "s").ok());
}

// ---- files ----------------------------------------------------------------

TEST(LoraFiles, AreThoseOfPeft) {
  TempDir dir;
  Model model(TestDense(64, 4, 2, 16, 40, 45), true);
  FillModel(model, 1);
  ASSERT_TRUE(model.AddAdapter(Rank(4, 6, "q_proj,v_proj,down_proj"), 1, "models/base", "test").ok());
  FillAdapter(model, 1);
  ASSERT_TRUE(WriteAdapterFiles(dir.path(), model).ok());
  const SafetensorsFile file = SafetensorsFile::Open(dir / "adapter_model.safetensors").value();
  std::map<std::string, std::vector<int64_t>> want;
  for (const char* layer : {"0", "1"}) {
    const std::string p = std::string("base_model.model.model.layers.") + layer + ".";
    want[p + "self_attn.q_proj.lora_A.weight"] = {4, 64};
    want[p + "self_attn.q_proj.lora_B.weight"] = {64, 4};
    want[p + "self_attn.v_proj.lora_A.weight"] = {4, 64};
    want[p + "self_attn.v_proj.lora_B.weight"] = {32, 4};
    want[p + "mlp.down_proj.lora_A.weight"] = {4, 40};
    want[p + "mlp.down_proj.lora_B.weight"] = {64, 4};
  }
  EXPECT_EQ(file.tensors().size(), want.size());
  for (const auto& [name, shape] : want) {
    EXPECT_TRUE(file.Get(name, StoredType::kF32, shape).ok()) << name;
  }
  const nlohmann::json j = ReadJsonFile(dir / "adapter_config.json").value();
  EXPECT_EQ(j.at("peft_type"), "LORA");
  EXPECT_EQ(j.at("task_type"), "CAUSAL_LM");
  EXPECT_EQ(j.at("r"), 4);
  EXPECT_TRUE(j.at("lora_alpha").is_number_integer());
  EXPECT_EQ(j.at("lora_alpha"), 6);
  EXPECT_EQ(j.at("target_modules"), nlohmann::json({"down_proj", "q_proj", "v_proj"}));
  EXPECT_EQ(j.at("base_model_name_or_path"), "models/base");
  EXPECT_EQ(j.at("bias"), "none");
  EXPECT_EQ(j.at("use_dora"), false);
  EXPECT_EQ(j.at("use_rslora"), false);
  EXPECT_TRUE(j.at("modules_to_save").is_null());
  EXPECT_EQ(j.at("lora_dropout"), 0.0);

  // And back, bit by bit.
  Model other(model.config(), true);
  ASSERT_TRUE(other.AddAdapter(model.adapter()->config(), 2, "", "test").ok());
  ASSERT_TRUE(ReadAdapterWeights(dir.path(), other).ok());
  for (const ParamSpec& spec : model.trained().specs) {
    EXPECT_EQ(std::memcmp(model.trained_data() + spec.offset, other.trained_data() + spec.offset,
                          static_cast<size_t>(spec.count()) * sizeof(float)),
              0)
        << spec.name;
  }
  // Where a plain name would also be routed experts to PEFT, the targets are whole names.
  const nlohmann::json experts =
      ParseJson(LoraConfigToPeftJson(TestV3(), Rank(2, 2.5, "o_proj,up_proj"), ""), "config").value();
  EXPECT_EQ(experts.at("target_modules"),
            nlohmann::json({"model.layers.0.mlp.up_proj", "model.layers.0.self_attn.o_proj",
                            "model.layers.1.mlp.shared_experts.up_proj", "model.layers.1.self_attn.o_proj"}));
  EXPECT_EQ(experts.at("lora_alpha"), 2.5);
}

}  // namespace
}  // namespace r1
