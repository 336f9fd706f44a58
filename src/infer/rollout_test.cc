// Sampling is a function of (seed, stream, step, prompt key, sample, position) and the weights: batches, order, slots,
// threads and prefix sharing cannot be seen in tokens, log-probabilities or entropies. Equality with the trainer:
// rl/exactness_test.cc.
#include "infer/rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "model/model_test_util.h"

namespace r1 {
namespace {

using Results = std::vector<std::vector<Completion>>;

void ExpectSame(const Completion& a, const Completion& b, const std::string& what) {
  EXPECT_EQ(a.tokens, b.tokens) << what;
  EXPECT_EQ(a.logp, b.logp) << what;
  EXPECT_EQ(a.entropy_sum, b.entropy_sum) << what;
  EXPECT_EQ(a.finish, b.finish) << what;
}

class RolloutTest : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override {
    SetFloatMode();
    model_ = std::make_unique<Model>(GetParam().config, false);
    FillModel(*model_, 1, false);
    ThreadPool pool(1);
    model_->Pack(pool);
    const int64_t v = GetParam().config.vocab_size;
    for (size_t i = 0; i < 7; ++i) {
      const int64_t lengths[] = {3, 33, 1, 31, 32, 40, 7};
      requests_.push_back({RandomSequences(v, {lengths[i] + 1}, i)[0].tokens, static_cast<uint32_t>(100 + i), 4});
      requests_.back().prompt.resize(static_cast<size_t>(lengths[i]));
    }
    options_.max_new_tokens = 24;
    options_.stop = {3, 4};
    options_.seed = 5;
  }
  Results Run(const std::vector<RolloutRequest>& requests, const RolloutOptions& options, int threads = 1) {
    ThreadPool pool(threads);
    RolloutEngine engine(*model_, pool);
    Result<Results> results = engine.Run(requests, options);
    EXPECT_TRUE(results.ok());
    return std::move(results).value();
  }
  std::unique_ptr<Model> model_;
  std::vector<RolloutRequest> requests_;
  RolloutOptions options_;
};

TEST_P(RolloutTest, NothingButTheKeysMatters) {
  const Results base = Run(requests_, options_);
  size_t stopped = 0, tokens = 0;
  for (const auto& group : base) {
    for (const Completion& c : group) {
      stopped += c.finish == FinishReason::kStop ? 1 : 0;
      tokens += c.tokens.size();
      ASSERT_EQ(c.tokens.size(), c.logp.size());
      EXPECT_EQ(c.finish == FinishReason::kStop, c.tokens.back() == 3 || c.tokens.back() == 4);
      for (size_t i = 0; i + 1 < c.tokens.size(); ++i) EXPECT_TRUE(c.tokens[i] != 3 && c.tokens[i] != 4);
    }
  }
  EXPECT_GT(stopped, 0u);
  EXPECT_GT(tokens, 200u);
  EXPECT_NE(base[0][0].tokens, base[0][1].tokens);
  for (int threads : {1, 2, 3}) {
    for (int64_t slots : {1, 5, 64}) {
      RolloutOptions options = options_;
      options.slots_per_lane = slots;
      const Results other = Run(requests_, options, threads);
      for (size_t i = 0; i < base.size(); ++i) {
        for (size_t s = 0; s < 4; ++s)
          ExpectSame(other[i][s], base[i][s],
                     std::to_string(threads) + " threads, " + std::to_string(slots) + " slots");
      }
    }
  }
  std::vector<RolloutRequest> reversed(requests_.rbegin(), requests_.rend());
  const Results back = Run(reversed, options_, 2);
  for (size_t i = 0; i < base.size(); ++i) {
    for (size_t s = 0; s < 4; ++s) ExpectSame(back[base.size() - 1 - i][s], base[i][s], "reversed");
  }
  // One prompt alone, with other numbers of samples: the prompt is then computed once for one, four or eight.
  for (size_t i = 0; i < base.size(); ++i) {
    for (int64_t samples : {1, 3, 8}) {
      RolloutRequest one = requests_[i];
      one.samples = samples;
      const Results alone = Run({one}, options_);
      for (size_t s = 0; s < static_cast<size_t>(std::min<int64_t>(samples, 4)); ++s)
        ExpectSame(alone[0][s], base[i][s], "alone");
    }
  }
}

TEST_P(RolloutTest, AnEngineCanBeUsedAgain) {
  ThreadPool pool(2);
  RolloutEngine engine(*model_, pool);
  const Results first = engine.Run(requests_, options_).value();
  RolloutOptions longer = options_;
  longer.max_new_tokens = 60;
  longer.stop.clear();
  engine.Run({requests_[1], requests_[5]}, longer).value();  // leaves its keys and values in the slots
  const Results again = engine.Run(requests_, options_).value();
  for (size_t i = 0; i < first.size(); ++i) {
    for (size_t s = 0; s < 4; ++s) ExpectSame(again[i][s], first[i][s], "second use");
  }
}

TEST_P(RolloutTest, KeysChangeTheSamples) {
  const Results base = Run({requests_[0]}, options_);
  std::vector<RolloutRequest> other = {requests_[0]};
  other[0].key += 1;
  EXPECT_NE(Run(other, options_)[0][0].tokens, base[0][0].tokens);
  RolloutOptions options = options_;
  options.step = 1;
  EXPECT_NE(Run({requests_[0]}, options)[0][0].tokens, base[0][0].tokens);
  options = options_;
  options.seed = 6;
  EXPECT_NE(Run({requests_[0]}, options)[0][0].tokens, base[0][0].tokens);
  options = options_;
  options.stream = Stream::kEval;
  EXPECT_NE(Run({requests_[0]}, options)[0][0].tokens, base[0][0].tokens);
}

// Log-probabilities and entropies are those of the whole text computed at once; greedy takes the likeliest token of it.
TEST_P(RolloutTest, AgreesWithOnePassOverTheText) {
  for (double temperature : {1.0, 0.7, 0.0}) {
    RolloutOptions options = options_;
    options.sampling.temperature = temperature;
    const Results results = Run(requests_, options);
    Context ctx;
    for (size_t i = 0; i < results.size(); ++i) {
      for (const Completion& c : results[i]) {
        reference::Sequence text{requests_[i].prompt, static_cast<int64_t>(requests_[i].prompt.size())};
        text.tokens.insert(text.tokens.end(), c.tokens.begin(), c.tokens.end());
        Objective objective;
        objective.inv_temperature = InverseTemperature(options.sampling);
        const ProductResult whole = RunProduct(ctx, *model_, {text}, objective, false);
        ASSERT_EQ(whole.logp, c.logp);
        double entropy = 0;
        for (float e : whole.entropy) entropy += static_cast<double>(e);
        ASSERT_EQ(entropy, c.entropy_sum);
        if (temperature > 0) continue;
        for (size_t t = 0; t < c.tokens.size(); ++t) {
          for (int32_t other = 0; other < 5; ++other) {
            reference::Sequence changed = text;
            changed.tokens.resize(requests_[i].prompt.size() + t + 1);
            changed.tokens.back() = other;
            changed.loss_from = static_cast<int64_t>(changed.tokens.size()) - 1;
            ASSERT_LE(RunProduct(ctx, *model_, {changed}, objective, false).logp[0], c.logp[t]);
          }
          if (t > 2) break;
        }
        break;  // greedy samples are all alike
      }
    }
  }
}

TEST_P(RolloutTest, NextTokenProbabilitiesAreThoseOfThePass) {
  ThreadPool pool(2);
  const std::vector<std::vector<int32_t>> texts = {requests_[1].prompt, requests_[0].prompt, requests_[2].prompt},
                                          candidates = {{0, 7, 9}, {}, {32}};
  const auto p = NextTokenProbabilities(*model_, pool, texts, candidates);
  ASSERT_EQ(p.size(), 3u);
  Context ctx;
  for (size_t i = 0; i < texts.size(); ++i) {
    ASSERT_EQ(p[i].size(), candidates[i].size());
    for (size_t j = 0; j < p[i].size(); ++j) {
      reference::Sequence text{texts[i], static_cast<int64_t>(texts[i].size())};
      text.tokens.push_back(candidates[i][j]);
      const double want = std::exp(static_cast<double>(RunProduct(ctx, *model_, {text}, {}, false).logp[0]));
      EXPECT_NEAR(static_cast<double>(p[i][j]), want, 1e-5 * want);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, RolloutTest, ::testing::ValuesIn([] {
                           std::vector<NamedConfig> some;
                           for (const NamedConfig& c : TestConfigs()) {
                             if (c.name == "llama_grouped" || c.name == "v3_query_latent" || c.name == "v3_plain")
                               some.push_back(c);
                           }
                           return some;
                         }()),
                         [](const auto& info) { return info.param.name; });

class Rollout : public ::testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    FillModel(model_, 1);
    model_.Pack(pool_);
    options_.max_new_tokens = 20;
  }
  ThreadPool pool_{2};
  Model model_{TestDense(32, 2, 2, 16, 32, 40), false};
  RolloutEngine engine_{model_, pool_};
  RolloutOptions options_;
};

TEST_F(Rollout, PaddingOfTheVocabularyIsNeverSampled) {
  options_.token_limit = 6;
  const Results results = engine_.Run({{{1, 2}, 0, 16}}, options_).value();
  bool high = false;
  for (const Completion& c : results[0]) {
    EXPECT_EQ(c.tokens.size(), 20u);
    for (int32_t t : c.tokens) {
      EXPECT_LT(t, 6);
      high |= t == 5;
    }
  }
  EXPECT_TRUE(high);
}

TEST_F(Rollout, CallbackSeesEveryTokenAndCanStop) {
  const Results all = engine_.Run({{{1, 2}, 0, 3}, {{4}, 1, 2}}, options_).value();
  std::mutex mutex;
  std::vector<std::vector<std::vector<int32_t>>> seen = {std::vector<std::vector<int32_t>>(3),
                                                         std::vector<std::vector<int32_t>>(2)};
  options_.on_token = [&](size_t request, int64_t sample, int32_t token) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::vector<int32_t>& tokens = seen[request][static_cast<size_t>(sample)];
    tokens.push_back(token);
    return !(request == 0 && sample == 1 && tokens.size() == 5);
  };
  const Results some = engine_.Run({{{1, 2}, 0, 3}, {{4}, 1, 2}}, options_).value();
  for (size_t i = 0; i < 2; ++i) {
    for (size_t s = 0; s < some[i].size(); ++s) {
      EXPECT_EQ(seen[i][s], some[i][s].tokens);
      const std::vector<int32_t>& whole = all[i][s].tokens;
      if (i == 0 && s == 1) {
        EXPECT_EQ(some[i][s].tokens, std::vector<int32_t>(whole.begin(), whole.begin() + 5));
      } else {
        EXPECT_EQ(some[i][s].tokens, whole);
      }
    }
  }
}

TEST_F(Rollout, WithoutLogProbsTheTokensAreTheSame) {
  const Results with = engine_.Run({{{1, 2}, 0, 3}}, options_).value();
  options_.want_logp = false;
  const Results without = engine_.Run({{{1, 2}, 0, 3}}, options_).value();
  for (size_t s = 0; s < 3; ++s) EXPECT_EQ(without[0][s].tokens, with[0][s].tokens);
}

TEST_F(Rollout, EmptyWorkAndBadPrompts) {
  EXPECT_TRUE(engine_.Run({}, options_).value().empty());
  EXPECT_TRUE(engine_.Run({{{1}, 0, 0}}, options_).value()[0].empty());
  const Results mixed = engine_.Run({{{1}, 0, 0}, {{1}, 1, 2}, {{2}, 2, 0}}, options_).value();
  EXPECT_TRUE(mixed[0].empty() && mixed[2].empty());
  EXPECT_EQ(mixed[1][1].tokens.size(), 20u);
  const std::pair<std::vector<int32_t>, const char*> bad[] = {
      {{}, "empty"}, {std::vector<int32_t>(109, 1), "109 tokens"}, {{1, 40}, "token 40"}, {{-1}, "token -1"}};
  for (const auto& [prompt, part] : bad) {
    const Result<Results> result = engine_.Run({{{1}, 0, 1}, {prompt, 1, 1}}, options_);
    ASSERT_FALSE(result.ok()) << part;
    EXPECT_EQ(result.error().code, ErrorCode::kBadInput);
    EXPECT_NE(result.error().message.find("prompt 1"), std::string::npos) << result.error().message;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }
  // 108 + 20 tokens are exactly as many as there are positions.
  EXPECT_TRUE(engine_.Run({{std::vector<int32_t>(108, 1), 0, 1}}, options_).ok());
}

}  // namespace
}  // namespace r1
