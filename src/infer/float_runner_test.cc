// Float32 inference against the double-precision reference of every kind of model, against recorded numbers of
// published weights, and against itself: in pieces, on other threads and instruction sets, in both forms of latent
// attention.
#include "infer/float_runner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "infer/float_rollout.h"
#include "kernels/kernels.h"
#include "model/model_test_util.h"
#include "text/tokenizer_llama2c.h"

namespace r1 {
namespace {

using Latent = FloatRunner::Latent;
using Rows = FloatRunner::Rows;

// What bf16 products do not take: narrow heads and widths that fill no lanes.
std::vector<NamedConfig> AllConfigs() {
  std::vector<NamedConfig> list = TestConfigs();
  list.push_back({"llama_narrow", TestDense(40, 5, 5, 8, 37, 45)});
  list.push_back({"v3_narrow", TestV3()});
  list.back().config.hidden_size = 36;
  list.back().config.v_head_dim = 7;
  list.back().config.kv_lora_rank = 19;
  return list;
}

std::vector<float> RandomParams(const ModelConfig& config, uint64_t seed) {
  const ParamList list = ListParams(config);
  std::vector<float> flat(static_cast<size_t>(list.total));
  FillParams(list, flat.data(), seed);
  return flat;
}

std::vector<int32_t> RandomTokens(const ModelConfig& config, int64_t n, uint64_t seed) {
  return RandomSequences(config.vocab_size, {n}, seed)[0].tokens;
}

// Logits of all tokens, given in the pieces named (their sum is the number of tokens).
std::vector<float> LogitsOf(const ModelConfig& config, const std::vector<float>& params,
                            const std::vector<int32_t>& tokens, Latent latent, const std::vector<int64_t>& pieces,
                            ThreadPool& pool) {
  FloatRunner runner(config, params.data(), static_cast<int64_t>(tokens.size()), pool, latent);
  std::vector<float> out;
  size_t at = 0;
  for (const int64_t n : pieces) {
    const auto rows = runner.Append(std::span(tokens).subspan(at, static_cast<size_t>(n)), Rows::kAll);
    EXPECT_TRUE(rows.ok());
    out.insert(out.end(), rows->begin(), rows->end());
    at += static_cast<size_t>(n);
  }
  return out;
}

// Logits of bf16 inference, all tokens at once.
std::vector<float> RunProductModel(const ModelConfig& config, const std::vector<float>& params,
                                   const std::vector<int32_t>& tokens, ThreadPool& pool) {
  Model model(config, false);
  std::copy(params.begin(), params.end(), model.data());
  model.Pack(pool);
  std::vector<int32_t> position(tokens.size());
  for (size_t i = 0; i < position.size(); ++i) position[i] = static_cast<int32_t>(i);
  const int64_t n = static_cast<int64_t>(tokens.size());
  const Segment all{0, n, 0, 0};
  Context ctx;
  const Var* h = model.Forward(ctx, {tokens.data(), position.data(), n, {&all, 1}}, nullptr, nullptr);
  const float* logits = HeadLogits(ctx, h, model.head(), nullptr, n);
  return {logits, logits + n * config.vocab_size};
}

double LargestDifference(const std::vector<float>& got, const reference::Rows& want) {
  double largest = 0;
  size_t i = 0;
  for (const reference::Vec& row : want) {
    for (const double x : row) largest = std::max(largest, std::abs(static_cast<double>(got.at(i++)) - x));
  }
  return largest;
}

// The reference's logits of tokens but the last.
struct Wanted {
  reference::Rows logits;
  double margin;
};
Wanted Reference(const ModelConfig& config, const std::vector<float>& params, const std::vector<int32_t>& tokens,
                 bool absorbed) {
  reference::Model model(config);
  const std::vector<double> flat(params.begin(), params.end());
  const reference::Output out = model.Forward(flat.data(), {reference::Sequence{tokens, 1}}, {.absorbed = absorbed});
  return {out.logits[0], out.margin};
}

void ExpectSameBits(const std::vector<float>& got, const std::vector<float>& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0) << what;
}

class FloatRunnerOf : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
  std::vector<Latent> Forms() const {
    if (!GetParam().config.is_mla()) return {Latent::kExpanded};
    return {Latent::kExpanded, Latent::kAbsorbed};
  }
};

// The largest differences are printed: what the documentation says of them comes from here.
TEST_P(FloatRunnerOf, LogitsAreThoseOfTheReference) {
  const ModelConfig& c = GetParam().config;
  ThreadPool pool(1);
  double expanded = 0, absorbed = 0, products = 0, spread = 0;
  int compared = 0;
  for (uint64_t seed = 1; compared < 3; ++seed) {
    ASSERT_LT(seed, 400u) << "no sequence without near ties found";
    const std::vector<float> params = RandomParams(c, seed);
    std::vector<int32_t> tokens = RandomTokens(c, c.is_mla() ? 9 : 40, seed);
    const Wanted want = Reference(c, params, tokens, false);
    // A choice of experts that hangs on less than bf16's rounding of the scores may fall either way.
    if (want.margin < kClearMargin) continue;
    ++compared;
    tokens.pop_back();
    const int64_t n = static_cast<int64_t>(tokens.size());
    expanded =
        std::max(expanded, LargestDifference(LogitsOf(c, params, tokens, Latent::kExpanded, {n}, pool), want.logits));
    if (c.is_mla()) {
      std::vector<int32_t> longer(tokens);
      longer.push_back(0);
      const Wanted other = Reference(c, params, longer, true);
      for (size_t i = 0; i < other.logits.size(); ++i) {  // one function, in double almost one number
        for (size_t j = 0; j < other.logits[i].size(); ++j) ASSERT_NEAR(other.logits[i][j], want.logits[i][j], 1e-9);
      }
      absorbed = std::max(absorbed,
                          LargestDifference(LogitsOf(c, params, tokens, Latent::kAbsorbed, {n}, pool), other.logits));
    }
    if (ValidateModelConfig(c, "test").ok())
      products = std::max(products, LargestDifference(RunProductModel(c, params, tokens, pool), want.logits));
    double squares = 0, count = 0;
    for (const reference::Vec& row : want.logits) {
      for (const double x : row) squares += x * x;
      count += static_cast<double>(row.size());
    }
    spread = std::max(spread, std::sqrt(squares / count));
  }
  std::printf(
      "%-16s largest difference of a logit: float32 %.1e, absorbed %.1e, bf16 %.1e (0: none; rms of logits %.2f)\n",
      GetParam().name.c_str(), expanded, absorbed, products, spread);
  EXPECT_GT(spread, 0.5);
  EXPECT_LT(expanded, 3e-5);
  EXPECT_LT(absorbed, 3e-5);
  EXPECT_LT(products, 0.15 * spread);  // 8 roundings of 2^-9 a layer; model_test.cc has the exact bound
}

TEST_P(FloatRunnerOf, PiecesThreadsAndInstructionSetsChangeNoBit) {
  const ModelConfig& c = GetParam().config;
  const std::vector<float> params = RandomParams(c, 5);
  const std::vector<int32_t> tokens = RandomTokens(c, 37, 5);
  ThreadPool pool(1), threads(3);
  const char* const isa = kernels::Kernels().isa;
  for (const Latent latent : Forms()) {
    const std::vector<float> whole = LogitsOf(c, params, tokens, latent, {37}, pool);
    ExpectSameBits(LogitsOf(c, params, tokens, latent, std::vector<int64_t>(37, 1), pool), whole, "token by token");
    ExpectSameBits(LogitsOf(c, params, tokens, latent, {5, 1, 30, 1}, threads), whole, "in pieces, with three threads");
    for (const char* const* name = kernels::AvailableIsas(); *name != nullptr; ++name) {
      ASSERT_TRUE(kernels::SelectIsa(*name));
      ExpectSameBits(LogitsOf(c, params, tokens, latent, {37}, threads), whole, *name);
    }
    ASSERT_TRUE(kernels::SelectIsa(isa));
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, FloatRunnerOf, ::testing::ValuesIn(AllConfigs()),
                         [](const auto& info) { return info.param.name; });

TEST(FloatRunner, ScalarHead) {
  SetFloatMode();
  ModelConfig c = TestDense(64, 4, 2, 16, 40, 45);
  c.num_labels = 1;
  const std::vector<float> params = RandomParams(c, 2);
  const std::vector<int32_t> tokens = RandomTokens(c, 6, 2);
  ThreadPool pool(1);
  const std::vector<float> got = LogitsOf(c, params, tokens, Latent::kExpanded, {6}, pool);
  reference::Model model(c);
  const std::vector<double> flat(params.begin(), params.end());
  const reference::Vec want = model.Forward(flat.data(), {reference::Sequence{tokens, 1}}, {}).values[0];
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(static_cast<double>(got[i]), want[i], 1e-5);
}

TEST(FloatRunner, RefusesWhatItCannotTake) {
  SetFloatMode();
  const ModelConfig c = TestDense(64, 4, 2, 16, 40, 45);
  const std::vector<float> params = RandomParams(c, 2);
  ThreadPool pool(1);
  FloatRunner runner(c, params.data(), 4, pool);
  const auto error = [&](const std::vector<int32_t>& tokens) {
    const auto rows = runner.Append(tokens, Rows::kLast);
    return rows.ok() ? std::string("none") : rows.error().message;
  };
  EXPECT_EQ(error({45}), "token 45 is outside the vocabulary of 45");
  EXPECT_EQ(error({1, -1}), "token -1 is outside the vocabulary of 45");
  EXPECT_EQ(error({1, 2, 3, 4, 5}), "the sequence grows to 5 tokens and has only 4 positions");
  EXPECT_EQ(runner.length(), 0);
  EXPECT_EQ(error({1, 2, 3}), "none");
  EXPECT_EQ(error({4, 5}), "the sequence grows to 5 tokens and has only 4 positions");
  EXPECT_EQ(error({}), "none");
  EXPECT_EQ(error({44}), "none");
  EXPECT_EQ(runner.length(), 4);
  runner.Rewind(1);  // it goes on as if the rest had never been
  const auto again = runner.Append(std::vector<int32_t>{2, 3, 4}, Rows::kAll);
  ASSERT_TRUE(again.ok());
  const std::vector<float> whole = LogitsOf(c, params, {1, 2, 3, 4}, Latent::kExpanded, {4}, pool);
  ExpectSameBits({again->begin(), again->end()}, {whole.begin() + 45, whole.end()}, "rewound");
}

TEST(FloatRollout, SamplesAreThoseOfTheLogits) {
  SetFloatMode();
  const ModelConfig c = TestV3();
  const std::vector<float> params = RandomParams(c, 3);
  ThreadPool pool(1);
  FloatRunner runner(c, params.data(), 40, pool);
  const std::vector<int32_t> prompt = {3, 1, 4};
  RolloutOptions options;
  options.max_new_tokens = 12;
  options.sampling.temperature = 0;
  const auto greedy = SampleFloat(runner, prompt, 2, options);
  ASSERT_TRUE(greedy.ok());
  EXPECT_EQ((*greedy)[0].tokens, (*greedy)[1].tokens);
  ASSERT_EQ((*greedy)[0].tokens.size(), 12u);
  std::vector<int32_t> all(prompt);
  all.insert(all.end(), (*greedy)[0].tokens.begin(), (*greedy)[0].tokens.end());
  const std::vector<float> logits = LogitsOf(c, params, all, Latent::kExpanded, {15}, pool);
  for (size_t i = 2; i + 1 < all.size(); ++i) {
    const float* row = logits.data() + i * 45;
    EXPECT_EQ(all[i + 1], std::max_element(row, row + 45) - row) << "position " << i;
    double sum = 0;
    for (int j = 0; j < 45; ++j) sum += std::exp(static_cast<double>(row[j]));
    EXPECT_NEAR(static_cast<double>((*greedy)[0].logp[i - 2]), static_cast<double>(row[all[i + 1]]) - std::log(sum),
                1e-5);
  }
  // Samples differ from each other and not from run to run; a stop token ends one; on_token ends one.
  options.sampling.temperature = 1;
  options.seed = 7;
  runner.Rewind(0);
  const auto first = SampleFloat(runner, prompt, 3, options);
  runner.Rewind(0);
  const auto second = SampleFloat(runner, prompt, 3, options);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE((*first)[0].tokens, (*first)[1].tokens);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ((*first)[i].tokens, (*second)[i].tokens);
  options.stop = {(*first)[0].tokens[4]};
  options.on_token = [](size_t, int64_t sample, int32_t) { return sample != 1; };
  runner.Rewind(0);
  const auto stopped = SampleFloat(runner, prompt, 2, options);
  ASSERT_TRUE(stopped.ok());
  EXPECT_EQ((*stopped)[0].finish, FinishReason::kStop);
  EXPECT_LE((*stopped)[0].tokens.size(), 5u);
  EXPECT_EQ((*stopped)[1].tokens.size(), 1u);
  // What does not fit is refused.
  runner.Rewind(0);
  options.max_new_tokens = 38;
  EXPECT_FALSE(SampleFloat(runner, prompt, 1, options).ok());
  EXPECT_FALSE(SampleFloat(runner, {}, 1, options).ok());
}

// ---- published weights

std::string ModelData(const std::string& name) {
  const char* data = std::getenv("R1_DATA");
  return JoinPath(data != nullptr ? data : R1_SOURCE_DIR "/../shared/data", "models/" + name);
}

#define R1_NEED_DATA(path) \
  if (!Exists(path)) GTEST_SKIP() << "missing: " << (path) << " (R1_DATA says where data is)"

nlohmann::json ReadJson(const std::string& path) {
  return nlohmann::json::parse(ReadFile(path, int64_t{1} << 24).value());
}

class Stories : public ::testing::Test {
 protected:
  void SetUp() override { SetFloatMode(); }
  const std::string folder_ = ModelData("stories260k/");
  ThreadPool pool_{2};
};

TEST_F(Stories, RecordedLogits) {
  R1_NEED_DATA(folder_ + "logits.jsonl");
  const Result<FloatModel> model = LoadFloatModel(folder_ + "stories260K.bin");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->config.head_dim, 8);
  FloatRunner runner(model->config, model->params.data(), 512, pool_);
  const std::string text = ReadFile(folder_ + "logits.jsonl", int64_t{1} << 24).value();
  double largest = 0;
  size_t lines = 0;
  for (size_t at = 0; at < text.size(); ++lines) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const nlohmann::json line = nlohmann::json::parse(text.substr(at, end - at));
    at = end + 1;
    ASSERT_EQ(line["pos"], runner.length());
    const auto row = runner.Append(std::vector<int32_t>{line["token"].get<int32_t>()}, Rows::kLast);
    ASSERT_TRUE(row.ok());
    const std::vector<double> want = line["logits"].get<std::vector<double>>();
    ASSERT_EQ(row->size(), want.size());
    for (size_t i = 0; i < want.size(); ++i)
      largest = std::max(largest, std::abs(static_cast<double>((*row)[i]) - want[i]));
  }
  EXPECT_EQ(lines, 24u);
  std::printf("stories260K: %zu positions, largest difference of a logit %.1e\n", lines, largest);
  EXPECT_LT(largest, 1e-3);
}

TEST_F(Stories, RecordedGreedyText) {
  R1_NEED_DATA(folder_ + "greedy.json");
  const nlohmann::json want = ReadJson(folder_ + "greedy.json");
  const Result<FloatModel> model = LoadFloatModel(folder_ + "stories260K.bin");
  const Result<Tokenizer> tokenizer = LoadLlama2cTokenizer(folder_ + "tok512.bin");
  ASSERT_TRUE(model.ok() && tokenizer.ok());
  const std::vector<int32_t> prompt = tokenizer->Encode("", true);
  EXPECT_EQ(prompt, want["prompt_tokens"].get<std::vector<int32_t>>());
  FloatRunner runner(model->config, model->params.data(), 512, pool_);
  RolloutOptions options;
  options.sampling.temperature = 0;
  options.max_new_tokens = 256;
  const auto out = SampleFloat(runner, prompt, 1, options);
  ASSERT_TRUE(out.ok());
  const std::vector<int32_t>& tokens = (*out)[0].tokens;
  EXPECT_EQ(tokens, want["next"].get<std::vector<int32_t>>());
  EXPECT_EQ(tokenizer->Decode(tokens), want["text"]);
  EXPECT_EQ(tokenizer->Decode(std::span(tokens).first(200)), want["text_200_steps"]);
}

// The vocabulary's own way: the text of the story is encoded as the model wrote it.
TEST_F(Stories, TextIsEncodedAsItWasWritten) {
  R1_NEED_DATA(folder_ + "greedy.json");
  const nlohmann::json want = ReadJson(folder_ + "greedy.json");
  const Result<Tokenizer> tokenizer = LoadLlama2cTokenizer(folder_ + "tok512.bin");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->size(), 512);
  const std::vector<int32_t> ids = tokenizer->Encode(want["text"].get<std::string>(), true);
  EXPECT_EQ(tokenizer->Decode(ids, true), want["text"]);
  std::vector<int32_t> written = want["next"].get<std::vector<int32_t>>();
  written.insert(written.begin(), 1);
  EXPECT_EQ(ids, written);
}

TEST(DigitLlama, LogitsAreThoseOfTheReference) {
  SetFloatMode();
  const std::string folder = ModelData("digit_llama");
  R1_NEED_DATA(folder);
  const Result<FloatModel> model = LoadFloatModel(folder);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const std::vector<float> params(model->params.begin(), model->params.end());
  std::vector<int32_t> tokens = RandomTokens(model->config, 20, 1);
  const Wanted want = Reference(model->config, params, tokens, false);
  tokens.pop_back();
  ThreadPool pool(2);
  const double largest =
      LargestDifference(LogitsOf(model->config, params, tokens, Latent::kExpanded, {19}, pool), want.logits);
  std::printf("digit_llama: largest difference of a logit %.1e\n", largest);
  EXPECT_LT(largest, 1e-4);
}

}  // namespace
}  // namespace r1
