// Values of the product model against the double-precision reference, and the cache against whole sequences.
#include "model/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "model/model_test_util.h"
#include "model/rope.h"

namespace r1 {
namespace {

struct Distance {
  double rms = 0, max = 0, spread = 0, correlation = 0;  // spread: standard deviation of the reference
};

Distance Compare(const std::vector<double>& got, const std::vector<double>& want) {
  Distance d;
  const double n = static_cast<double>(want.size());
  double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = got[i] - want[i];
    d.rms += error * error / n;
    d.max = std::max(d.max, std::abs(error));
    mean_a += got[i] / n;
    mean_b += want[i] / n;
  }
  for (size_t i = 0; i < want.size(); ++i) {
    aa += (got[i] - mean_a) * (got[i] - mean_a);
    bb += (want[i] - mean_b) * (want[i] - mean_b);
    ab += (got[i] - mean_a) * (want[i] - mean_b);
  }
  d.rms = std::sqrt(d.rms);
  d.spread = std::sqrt(bb / n);
  d.correlation = ab / std::sqrt(aa * bb);
  return d;
}

void Append(std::vector<double>* out, const std::vector<float>& x) { out->insert(out->end(), x.begin(), x.end()); }
void Append(std::vector<double>* out, const reference::Rows& rows) {
  for (const reference::Vec& row : rows) out->insert(out->end(), row.begin(), row.end());
}

class ModelAgainstReference : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
};

// The bound. A product's input is rounded to bf16, an error of at most u = 2^-9 of each element and of random sign. On
// the way to the logits a layer has 8 such roundings (norm, latents, q, k, v, attention weights, attention output,
// second norm, FFN hidden), the head one more and the prediction module four; independent errors add as squares, and
// norms and residual stream keep their relative size. That gives u sqrt(8 L + 1) of the spread of the
// log-probabilities; matrices 1.5 times a norm-keeping size amplify it to 1.2 to 2 times that (measured), so the bound
// is 3 times. Entropies get the same bound. A wrong formula anywhere is off by the spread itself.
TEST_P(ModelAgainstReference, LogProbsEntropiesAndLoad) {
  const ModelConfig& c = GetParam().config;
  ThreadPool pool(1);
  Context ctx;
  std::vector<double> got_logp, want_logp, got_entropy, want_entropy, got_mtp, want_mtp;
  int batches = 0;
  for (uint64_t seed = 1; batches < 4; ++seed) {
    ASSERT_LT(seed, 400u) << "no batch without near ties found";
    Model model(c, false);
    FillModel(model, seed);
    model.Pack(pool);
    const auto sequences = RandomSequences(c.vocab_size, {11, 2, c.n_routed_experts > 0 && c.is_mla() ? 8 : 70}, seed);
    Objective objective;
    objective.inv_temperature = 1 / 0.7f;
    objective.mtp_weight = static_cast<float>(c.num_nextn_predict_layers);
    reference::Model reference(c);
    const std::vector<double> flat = FlatCopy(model);
    const reference::Output want = reference.Forward(flat.data(), sequences, objective.options());
    // A choice of experts that hangs on less than the rounding of the scores may fall either way; such batches compare
    // nothing.
    if (want.margin < kClearMargin) continue;
    ++batches;
    const ProductResult got = RunProduct(ctx, model, sequences, objective, false);
    EXPECT_EQ(got.load, want.load);
    Append(&got_logp, got.logp);
    Append(&want_logp, want.logp);
    Append(&got_entropy, got.entropy);
    Append(&want_entropy, want.entropy);
    Append(&got_mtp, got.mtp_logp);
    Append(&want_mtp, want.mtp_logp);
  }
  ASSERT_EQ(got_logp.size(), want_logp.size());
  ASSERT_EQ(got_mtp.size(), want_mtp.size());
  ASSERT_GT(want_logp.size(), 40u);
  const double layers = static_cast<double>(c.num_hidden_layers),
               modules = static_cast<double>(c.num_nextn_predict_layers);
  const double unit = std::ldexp(3.0, -9) * std::sqrt(8 * layers + 1),
               mtp_unit = std::ldexp(3.0, -9) * std::sqrt(8 * (layers + modules) + 1 + 4 * modules);
  const Distance logp = Compare(got_logp, want_logp), entropy = Compare(got_entropy, want_entropy);
  RecordProperty("logp_rms_of_bound", std::to_string(logp.rms / (unit * logp.spread)));
  EXPECT_GT(logp.spread, 1.0);
  EXPECT_LT(logp.rms, unit * logp.spread);
  EXPECT_LT(logp.max, 6 * unit * logp.spread);
  EXPECT_GT(logp.correlation, 0.9997);
  EXPECT_LT(entropy.rms, unit * logp.spread);
  EXPECT_GT(entropy.correlation, 0.999);
  if (c.num_nextn_predict_layers > 0) {
    const Distance mtp = Compare(got_mtp, want_mtp);
    EXPECT_LT(mtp.rms, mtp_unit * mtp.spread);
    EXPECT_GT(mtp.correlation, 0.9997);
  }
}

// Rotation angles, positions and causality over more than one page of keys: the longest sequence the test models take.
TEST_P(ModelAgainstReference, LongSequenceOfOneLayer) {
  ModelConfig c = GetParam().config;
  c.num_hidden_layers = 1;
  c.num_nextn_predict_layers = 0;
  c.n_routed_experts = 0;
  ThreadPool pool(1);
  Context ctx;
  Model model(c, false);
  FillModel(model, 7);
  model.Pack(pool);
  const auto sequences = RandomSequences(c.vocab_size, {c.max_position_embeddings + 1}, 7);
  reference::Model reference(c);
  const std::vector<double> flat = FlatCopy(model);
  std::vector<double> want, got;
  Append(&want, reference.Forward(flat.data(), sequences, {}).logp);
  Append(&got, RunProduct(ctx, model, sequences, {}, false).logp);
  const Distance d = Compare(got, want);
  // Rounding of q and k moves a score in proportion to its scale, which yarn raises (by 1.87 in v2_lite).
  const double sharper = SoftmaxScale(c) * std::sqrt(static_cast<double>(c.qk_dim()));
  EXPECT_LT(d.rms, std::ldexp(2.0, -9) * 3 * sharper * d.spread);
  EXPECT_GT(d.correlation, 0.9998);
}

// Feeding a sequence in pieces through the cache gives the bits of the whole sequence at once, whatever the pieces,
// wherever the pages end, with another sequence beside it, and in a slot that held something else before.
TEST_P(ModelAgainstReference, CacheInPiecesEqualsWholeSequence) {
  const ModelConfig& c = GetParam().config;
  ThreadPool pool(1);
  Model model(c, false);
  FillModel(model, 3, false);
  model.Pack(pool);
  const int64_t n = 75;
  const std::vector<int32_t> tokens = RandomSequences(c.vocab_size, {n}, 3)[0].tokens,
                             other = RandomSequences(c.vocab_size, {n}, 4)[0].tokens;
  std::vector<int32_t> position(static_cast<size_t>(n));
  for (int32_t i = 0; i < n; ++i) position[static_cast<size_t>(i)] = i;
  Context whole_ctx, ctx;
  const Segment all{0, n, 0, 0};
  const Var* whole = model.Forward(whole_ctx, {tokens.data(), position.data(), n, {&all, 1}}, nullptr, nullptr);

  const std::vector<std::vector<int64_t>> cuts = {
      {75}, {1, 31, 1, 31, 11}, {33, 42}, {31, 1, 1, 1, 41}, std::vector<int64_t>(75, 1)};
  for (const std::vector<int64_t>& pieces : cuts) {
    KvCache cache(c, 3, 96);
    // Dirt from an earlier use, in the pages that will be read.
    const Segment dirt[2] = {{0, n, 0, 2}, {n, n, 0, 1}};
    std::vector<int32_t> both(other), both_position(position);
    both.insert(both.end(), other.begin(), other.end());
    both_position.insert(both_position.end(), position.begin(), position.end());
    ctx.Reset();
    model.Forward(ctx, {both.data(), both_position.data(), 2 * n, {dirt, 2}}, &cache, nullptr);
    int64_t done = 0;
    for (int64_t rows : pieces) {
      // One step of a neighbour in slot 1 goes along, its position ahead of ours.
      std::vector<int32_t> token{other[5]}, at{static_cast<int32_t>(n)};
      token.insert(token.end(), tokens.begin() + done, tokens.begin() + done + rows);
      at.insert(at.end(), position.begin() + done, position.begin() + done + rows);
      const Segment segments[2] = {{0, 1, n, 1}, {1, rows, done, 2}};
      ctx.Reset();
      const Var* h = model.Forward(ctx, {token.data(), at.data(), rows + 1, {segments, 2}}, &cache, nullptr);
      for (int64_t i = 0; i < rows; ++i) {
        ASSERT_EQ(std::memcmp(h->data16 + (i + 1) * h->ld16, whole->data16 + (done + i) * whole->ld16,
                              static_cast<size_t>(whole->ld16) * sizeof(Bf16)),
                  0)
            << "row " << done + i << " of pieces that begin with " << pieces[0];
      }
      done += rows;
    }
    // A copy of a prefix that ends inside a page goes on as the original would.
    const int64_t prefix = 37;
    cache.Copy(2, 0, prefix);
    const Segment rest{0, n - prefix, prefix, 0};
    ctx.Reset();
    const Var* h =
        model.Forward(ctx, {tokens.data() + prefix, position.data() + prefix, n - prefix, {&rest, 1}}, &cache, nullptr);
    EXPECT_EQ(std::memcmp(h->data16, whole->data16 + prefix * whole->ld16,
                          static_cast<size_t>((n - prefix) * whole->ld16) * sizeof(Bf16)),
              0);
  }
}

// Rows of a batch do not see each other: every sequence alone gives the bits it has among others.
TEST_P(ModelAgainstReference, SequenceAloneEqualsInBatch) {
  const ModelConfig& c = GetParam().config;
  ThreadPool pool(1);
  Model model(c, false);
  FillModel(model, 5, false);
  model.Pack(pool);
  const auto sequences = RandomSequences(c.vocab_size, {2, 34, 7, 66, 3}, 5);
  Objective objective;
  objective.mtp_weight = static_cast<float>(c.num_nextn_predict_layers);
  Context ctx;
  const ProductResult together = RunProduct(ctx, model, sequences, objective, false);
  std::vector<float> logp, mtp;
  for (const reference::Sequence& s : sequences) {
    const ProductResult alone = RunProduct(ctx, model, {s}, objective, false);
    logp.insert(logp.end(), alone.logp.begin(), alone.logp.end());
    mtp.insert(mtp.end(), alone.mtp_logp.begin(), alone.mtp_logp.end());
  }
  EXPECT_EQ(logp, together.logp);
  EXPECT_EQ(mtp, together.mtp_logp);
}

INSTANTIATE_TEST_SUITE_P(Configs, ModelAgainstReference, ::testing::ValuesIn(TestConfigs()),
                         [](const auto& info) { return info.param.name; });

TEST(Model, RouterBiasMovesAgainstTheLoad) {
  ModelConfig c = TestV3();
  c.n_routed_experts = 4;
  c.n_group = 1;
  c.num_nextn_predict_layers = 1;  // layers: 0 dense, 1 experts, 2 (prediction module) experts
  Model model(c, false);
  model.Init(1);
  const auto bias = [&](int layer) {
    const ParamSpec* spec =
        model.params().Find("model.layers." + std::to_string(layer) + ".mlp.gate.e_score_correction_bias");
    return std::vector<float>(model.data() + spec->offset, model.data() + spec->offset + 4);
  };
  EXPECT_EQ(bias(1), std::vector<float>(4, 0.0f));
  // Overloaded experts lose gamma, underloaded ones gain it, an exact mean moves nothing; the dense layer's entries are
  // ignored.
  model.UpdateRouterBias({9, 9, 9, 9, 10, 0, 5, 5, 1, 1, 1, 2}, 0.25);
  EXPECT_EQ(bias(1), (std::vector<float>{-0.25f, 0.25f, 0.0f, 0.0f}));
  EXPECT_EQ(bias(2), (std::vector<float>{0.25f, 0.25f, 0.25f, -0.25f}));
  model.UpdateRouterBias({0, 0, 0, 0, 3, 3, 3, 3, 0, 0, 0, 4}, 0.5);
  EXPECT_EQ(bias(1), (std::vector<float>{-0.25f, 0.25f, 0.0f, 0.0f}));
  EXPECT_EQ(bias(2), (std::vector<float>{0.75f, 0.75f, 0.75f, -0.75f}));
}

TEST(Model, InitIsAFunctionOfTheSeed) {
  Model a(TestV3(), false), b(TestV3(), true);
  a.Init(5);
  b.Init(5);
  EXPECT_EQ(FlatCopy(a), FlatCopy(b));
  b.Init(6);
  EXPECT_NE(FlatCopy(a), FlatCopy(b));
  // The spread of a matrix is the one its specification names.
  const ParamSpec* spec = a.params().Find("model.layers.0.mlp.gate_proj.weight");
  double squares = 0;
  for (int64_t i = 0; i < spec->count(); ++i)
    squares += static_cast<double>(a.data()[spec->offset + i]) * static_cast<double>(a.data()[spec->offset + i]);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(spec->count())), 1 / 8.0, 0.005);  // 1 / sqrt(64)
}

TEST(Model, CacheSizeIsWhatItSays) {
  const ModelConfig c = TestV3();
  // 2 layers, 2 heads, 40 positions in 2 pages of 32, a page 32 * (32 + 32) bf16.
  EXPECT_EQ(KvCache::BytesPerSlot(c, 40), 2 * 2 * 2 * 32 * 64 * 2);
}

}  // namespace
}  // namespace r1
