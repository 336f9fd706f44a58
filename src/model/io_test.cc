// Models on disk: the same bits come back, and every way a folder can be wrong is an error that says what is wrong.
#include "model/io.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/test_dir.h"
#include "model/model_test_util.h"
#include "store/safetensors.h"

namespace r1 {
namespace {

class ModelFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    FillModel(model_, 1, false);
    ASSERT_TRUE(WriteModelFiles(dir_.path(), model_, 1, 2).ok());
  }
  // Rewrites the weights with a change to the list of tensors.
  void Rewrite(const std::function<void(std::vector<TensorToStore>&)>& change) {
    std::vector<TensorToStore> tensors;
    for (const ParamSpec& spec : model_.params().specs) {
      const std::vector<int64_t> shape = spec.kind == ParamKind::kMatrix ? std::vector<int64_t>{spec.rows, spec.cols}
                                                                         : std::vector<int64_t>{spec.cols};
      tensors.push_back({spec.name, StoredType::kF32, shape, model_.data() + spec.offset});
    }
    change(tensors);
    ASSERT_TRUE(WriteSafetensors(dir_ / "model.safetensors", tensors, {}).ok());
  }
  TensorToStore& Find(std::vector<TensorToStore>& tensors, const std::string& name) {
    const auto at =
        std::find_if(tensors.begin(), tensors.end(), [&](const TensorToStore& t) { return t.name == name; });
    R1_CHECK(at != tensors.end(), name);
    return *at;
  }
  void ExpectError(ErrorCode code, const std::string& part) {
    const Result<Model> loaded = LoadModel(dir_.path(), false, pool_);
    ASSERT_FALSE(loaded.ok()) << part;
    EXPECT_EQ(loaded.error().code, code) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find(part), std::string::npos) << loaded.error().message;
  }
  const std::string kMatrix = "model.layers.1.mlp.experts.2.up_proj.weight";
  ThreadPool pool_{1};
  Model model_{TestV3(), false};
  TempDir dir_;
};

TEST_F(ModelFiles, RoundTripBitwise) {
  for (const NamedConfig& test : TestConfigs()) {
    Model model(test.config, true);
    FillModel(model, 9, false);
    // Values that text formats lose: the smallest normal number, minus zero, an infinity.
    model.data()[0] = std::numeric_limits<float>::min();
    model.data()[1] = -0.0f;
    model.data()[2] = std::numeric_limits<float>::infinity();
    ASSERT_TRUE(WriteModelFiles(dir_.path(), model, 1, 2).ok());
    const Result<Model> loaded = LoadModel(dir_.path(), true, pool_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    for (const ParamSpec& spec : model.params().specs) {
      EXPECT_EQ(std::memcmp(loaded->data() + spec.offset, model.data() + spec.offset,
                            static_cast<size_t>(spec.count()) * sizeof(float)),
                0)
          << test.name << " " << spec.name;
    }
  }
}

TEST_F(ModelFiles, LoadedModelComputesTheSame) {
  Result<Model> loaded = LoadModel(dir_.path(), false, pool_);
  ASSERT_TRUE(loaded.ok());
  model_.Pack(pool_);
  const auto sequences = RandomSequences(45, {20, 9}, 1);
  Context ctx;
  const ProductResult want = RunProduct(ctx, model_, sequences, {}, false);
  EXPECT_EQ(RunProduct(ctx, *loaded, sequences, {}, false).logp, want.logp);  // the copy is packed
}

TEST_F(ModelFiles, SameModelSameBytes) {
  const TempDir other;
  ASSERT_TRUE(WriteModelFiles(other.path(), model_, 1, 2).ok());
  for (const char* name : {"config.json", "generation_config.json", "model.safetensors"}) {
    EXPECT_EQ(ReadFile(dir_ / name, int64_t{1} << 30).value(), ReadFile(other / name, int64_t{1} << 30).value())
        << name;
  }
}

TEST_F(ModelFiles, MissingTensor) {
  Rewrite([&](std::vector<TensorToStore>& t) {
    std::erase_if(t, [&](const TensorToStore& x) { return x.name == kMatrix; });
  });
  ExpectError(ErrorCode::kBadInput, kMatrix);
}

TEST_F(ModelFiles, ExtraTensor) {
  const float zero = 0;
  Rewrite([&](std::vector<TensorToStore>& t) {
    t.push_back({"model.layers.2.input_layernorm.weight", StoredType::kF32, {1}, &zero});
  });
  ExpectError(ErrorCode::kBadInput, "model.layers.2.input_layernorm.weight");
}

TEST_F(ModelFiles, WrongShapeAndWrongType) {
  Rewrite([&](std::vector<TensorToStore>& t) { std::swap(Find(t, kMatrix).shape[0], Find(t, kMatrix).shape[1]); });
  ExpectError(ErrorCode::kBadInput, kMatrix);
  Rewrite([&](std::vector<TensorToStore>& t) { Find(t, "model.norm.weight").shape = {1, 64}; });
  ExpectError(ErrorCode::kBadInput, "model.norm.weight");
  Rewrite([&](std::vector<TensorToStore>& t) { Find(t, kMatrix).type = StoredType::kI32; });
  ExpectError(ErrorCode::kBadInput, kMatrix);
}

TEST_F(ModelFiles, TruncatedAnywhere) {
  const std::string bytes = ReadFile(dir_ / "model.safetensors", int64_t{1} << 30).value();
  for (size_t size : {size_t{0}, size_t{7}, size_t{100}, bytes.size() / 3, bytes.size() * 3 / 4, bytes.size() - 1}) {
    ASSERT_TRUE(WriteFileAtomic(dir_ / "model.safetensors", bytes.substr(0, size)).ok());
    ExpectError(ErrorCode::kBadInput, "model.safetensors");
  }
  ASSERT_TRUE(WriteFileAtomic(dir_ / "model.safetensors", bytes + "x").ok());
  ExpectError(ErrorCode::kBadInput, "model.safetensors");
}

TEST_F(ModelFiles, ConfigOfAnotherModel) {
  ModelConfig c = TestV3();
  c.num_hidden_layers = 3;
  ASSERT_TRUE(WriteFileAtomic(dir_ / "config.json", ModelConfigToJson(c)).ok());
  ExpectError(ErrorCode::kBadInput, "model.layers.2");
  c.num_hidden_layers = 1000;  // no memory is taken for what the weights cannot fill
  c.hidden_size = 32768;
  ASSERT_TRUE(WriteFileAtomic(dir_ / "config.json", ModelConfigToJson(c)).ok());
  ExpectError(ErrorCode::kBadInput, "config.json");
  ASSERT_TRUE(WriteFileAtomic(dir_ / "config.json", "{").ok());
  ExpectError(ErrorCode::kBadInput, "config.json");
  ASSERT_TRUE(RemoveTree(dir_ / "config.json").ok());
  EXPECT_FALSE(LoadModel(dir_.path(), false, pool_).ok());
}

// A reward model starts as a language model's body with a small random head.
TEST_F(ModelFiles, BodyOfALanguageModel) {
  for (const NamedConfig& test : TestConfigs()) {
    const TempDir body_dir;
    Model language(test.config, false);
    FillModel(language, 9, false);
    ASSERT_TRUE(WriteModelFiles(dir_.path(), language, 1, 2).ok());
    Result<Model> body = LoadBody(dir_.path(), 1, pool_, 5);
    ASSERT_TRUE(body.ok()) << body.error().message;
    EXPECT_EQ(body->config().num_labels, 1);
    EXPECT_EQ(body->config().num_nextn_predict_layers, 0);
    int64_t copied = 0;
    double squares = 0;
    for (const ParamSpec& spec : body->params().specs) {
      if (spec.name == "score.weight") {
        for (int64_t i = 0; i < spec.count(); ++i) squares += std::pow(body->data()[spec.offset + i], 2);
        continue;
      }
      const ParamSpec* from = language.params().Find(spec.name);
      ASSERT_NE(from, nullptr) << spec.name;
      EXPECT_EQ(std::memcmp(body->data() + spec.offset, language.data() + from->offset,
                            static_cast<size_t>(spec.count()) * sizeof(float)),
                0)
          << test.name << " " << spec.name;
      ++copied;
    }
    EXPECT_GT(copied, 5);
    EXPECT_GT(squares, 0.003);  // expected: 0.01
    EXPECT_LT(squares, 0.03);
    // The seed is the head's; the same one gives the same head.
    const float* head = body->score().w;
    EXPECT_EQ(LoadBody(dir_.path(), 1, pool_, 5)->score().w[3], head[3]);
    EXPECT_NE(LoadBody(dir_.path(), 1, pool_, 6)->score().w[3], head[3]);
    // It is packed, and goes through its own files, whose head it keeps.
    const std::vector<int32_t> token = {3, 1, 4, 1, 5}, position = {0, 1, 2, 3, 4}, row = {4};
    const Segment segment{0, 5, 0, 0};
    const auto value = [&](const Model& model) {
      Context ctx;
      Var* hidden = model.Forward(ctx, {token.data(), position.data(), 5, {&segment, 1}}, nullptr, nullptr);
      return ScalarHead(ctx, hidden, model.score(), row.data(), 1)->value[0];
    };
    const float want = value(*body);
    EXPECT_NE(want, 0.0f);
    ASSERT_TRUE(WriteModelFiles(body_dir.path(), *body, 1, 2).ok());
    EXPECT_EQ(value(LoadModel(body_dir.path(), false, pool_).value()), want);
    EXPECT_EQ(value(LoadBody(body_dir.path(), 1, pool_, 99).value()), want);
  }
  const Result<Model> two = LoadBody(dir_.path(), 2, pool_, 5);
  ASSERT_FALSE(two.ok());
  EXPECT_NE(two.error().message.find("num_labels"), std::string::npos);
}

TEST_F(ModelFiles, FlatVectors) {
  std::vector<float> m(static_cast<size_t>(model_.params().total)), v(m.size()), m2(m.size()), v2(m.size());
  for (const ParamSpec& spec : model_.params().specs) {
    for (int64_t i = spec.offset; i < spec.offset + spec.count(); ++i) {
      m[static_cast<size_t>(i)] = static_cast<float>(i);
      v[static_cast<size_t>(i)] = 1 / static_cast<float>(i + 1);
    }
  }
  const std::string path = dir_ / "optimizer.safetensors";
  ASSERT_TRUE(WriteFlat(path, model_.params(), {{"m.", m.data()}, {"v.", v.data()}}).ok());
  ASSERT_TRUE(ReadFlat(path, model_.params(), {{"m.", m2.data()}, {"v.", v2.data()}}).ok());
  EXPECT_EQ(m2, m);
  EXPECT_EQ(v2, v);
  const Status half = ReadFlat(path, model_.params(), {{"m.", m2.data()}});
  ASSERT_FALSE(half.ok());
  EXPECT_NE(half.error().message.find("v.model"), std::string::npos) << half.error().message;
  EXPECT_FALSE(ReadFlat(path, model_.params(), {{"w.", m2.data()}}).ok());
}

}  // namespace
}  // namespace r1
