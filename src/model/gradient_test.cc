// The tape's gradient of every parameter tensor against central differences of the double-precision reference with the
// expert choices held fixed; and proof that the check sees a wrong backward: eight kernels broken one at a time.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>

#include "model/model_test_util.h"

namespace r1 {
namespace {

// A model, sequences without near ties in the routing, and the frozen reference of them.
struct Case {
  std::unique_ptr<Model> model;
  std::unique_ptr<reference::Model> reference;
  std::vector<reference::Sequence> sequences;
  std::vector<double> flat;
  int64_t targets = 0;
};

Case MakeCase(const ModelConfig& c) {
  ThreadPool pool(1);
  const std::vector<int64_t> lengths = {9, 2, 8};
  for (uint64_t seed = 1; seed < 400; ++seed) {
    Case out;
    out.model = std::make_unique<Model>(c, true);
    out.reference = std::make_unique<reference::Model>(c);
    FillModel(*out.model, seed);
    out.sequences = RandomSequences(c.vocab_size, lengths, seed);
    out.flat = FlatCopy(*out.model);
    if (out.reference->Forward(out.flat.data(), out.sequences, {1, c.num_nextn_predict_layers > 0, 0}).margin <
        kClearMargin)
      continue;
    out.reference->Freeze();
    out.model->Pack(pool);
    for (const reference::Sequence& s : out.sequences)
      out.targets += static_cast<int64_t>(s.tokens.size()) - s.loss_from;
    return out;
  }
  ADD_FAILURE() << "no sequences without near ties found";
  return {};
}

// Everything at once: log-probabilities and entropies with random factors, a temperature, the prediction loss, the
// balance loss.
Objective Everything(const Case& test) {
  Objective o;
  Rng rng(11, Stream::kTest);
  for (int64_t i = 0; i < test.targets; ++i) {
    o.dlogp.push_back(static_cast<float>(rng.Normal()));
    o.dentropy.push_back(static_cast<float>(rng.Normal()));
  }
  o.inv_temperature = 1 / 0.8f;
  o.mtp_weight = test.model->config().num_nextn_predict_layers > 0 ? 8.0f : 0.0f;
  o.balance_alpha = 2.0f;
  return o;
}

double Derivative(Case& test, const Objective& o, const std::vector<double>& direction) {
  constexpr double kStep = 1e-4;
  std::vector<double> w(test.flat);
  for (size_t i = 0; i < w.size(); ++i) w[i] = test.flat[i] + kStep * direction[i];
  const double up = o.Value(test.reference->Forward(w.data(), test.sequences, o.options()));
  for (size_t i = 0; i < w.size(); ++i) w[i] = test.flat[i] - kStep * direction[i];
  const double down = o.Value(test.reference->Forward(w.data(), test.sequences, o.options()));
  return (up - down) / (2 * kStep);
}

struct Check {
  std::string tensor;
  double along = 0;   // |derivative along g / |g| - |g|| / |g|
  double random = 0;  // |derivative along a random unit vector - <g, it>| / (|g| / sqrt(n)): in units of the part of g
                      // on a random axis
  double norm = 0;
};

// Of one tensor, or of all parameters together if spec is null.
Check CheckGradient(Case& test, const Objective& o, const std::vector<float>& g, const ParamSpec* spec) {
  Check out;
  out.tensor = spec != nullptr ? spec->name : "all";
  const size_t begin = spec != nullptr ? static_cast<size_t>(spec->offset) : 0,
               end = spec != nullptr ? begin + static_cast<size_t>(spec->count()) : g.size();
  std::vector<double> direction(g.size(), 0.0);
  for (size_t i = begin; i < end; ++i) out.norm += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  out.norm = std::sqrt(out.norm);
  Rng rng(begin, Stream::kTest, 3);
  double squares = 0, expected = 0;
  for (size_t i = begin; i < end; ++i) squares += (direction[i] = rng.Normal()) * direction[i];
  for (size_t i = begin; i < end; ++i) expected += (direction[i] /= std::sqrt(squares)) * static_cast<double>(g[i]);
  const double random = Derivative(test, o, direction);
  if (out.norm == 0) {  // an expert no token reached, for instance: nothing may depend on it
    out.random = std::abs(random) < 1e-9 ? 0 : 1e9;
    return out;
  }
  out.random = std::abs(random - expected) / out.norm * std::sqrt(static_cast<double>(end - begin));
  for (size_t i = begin; i < end; ++i) direction[i] = static_cast<double>(g[i]) / out.norm;
  out.along = std::abs(Derivative(test, o, direction) / out.norm - 1);
  return out;
}

// bf16 rounding of values and of gradients makes a relative error of about 1 % in the gradient of a tensor. Along the
// gradient itself it enters as a change of length; on a random axis the error is as large as the gradient's own share
// times that 1 %, so a quarter of it is far out, while a wrong gradient is off by 1. What reaches a tensor with a small
// gradient comes rounded from the larger rest of the network: for it the bound grows by 0.2 % of the whole gradient.
constexpr double kAlong = 0.04, kRandom = 0.25, kOfWhole = 0.002;

double Slack(const Check& c, double whole) { return c.norm > 0 ? 1 + kOfWhole * whole / (kAlong * c.norm) : 1; }
bool Fails(const Check& c, double whole) {
  return !(c.along < kAlong * Slack(c, whole) && c.random < kRandom * Slack(c, whole));
}

// Each part of the objective by itself.
std::vector<std::pair<std::string, Objective>> Parts(const Case& test) {
  const Objective all = Everything(test);
  const ModelConfig& c = test.model->config();
  std::vector<std::pair<std::string, Objective>> parts(2);
  parts[0].first = "log-probabilities";
  parts[0].second.dlogp = all.dlogp;
  parts[1].first = "entropies";
  parts[1].second.dentropy = all.dentropy;
  if (c.num_nextn_predict_layers > 0) {
    parts.emplace_back("prediction module", Objective{});
    parts.back().second.mtp_weight = 1;
  }
  if (c.is_mla() && c.n_routed_experts > 0) {
    parts.emplace_back("balance", Objective{});
    parts.back().second.balance_alpha = 1;
  }
  return parts;
}

class Gradient : public ::testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { SetFloatMode(); }
};

TEST_P(Gradient, EveryTensor) {
  Case test = MakeCase(GetParam().config);
  ASSERT_NE(test.model, nullptr);
  const Objective o = Everything(test);
  Context ctx;
  const ProductResult result = RunProduct(ctx, *test.model, test.sequences, o, true);
  const double whole = CheckGradient(test, o, result.gradient, nullptr).norm;
  double worst_along = 0, worst_random = 0;
  for (const ParamSpec& spec : test.model->params().specs) {
    if (!spec.trainable()) continue;
    const Check c = CheckGradient(test, o, result.gradient, &spec);
    EXPECT_FALSE(Fails(c, whole)) << c.tensor << ": along " << c.along << ", random " << c.random << ", norm " << c.norm
                                  << " of " << whole;
    worst_along = std::max(worst_along, c.along / Slack(c, whole));
    worst_random = std::max(worst_random, c.random / Slack(c, whole));
  }
  RecordProperty("worst_along", std::to_string(worst_along));
  RecordProperty("worst_random", std::to_string(worst_random));
  // The balance loss that is reported is the one that is differentiated.
  if (GetParam().config.is_mla() && GetParam().config.n_routed_experts > 0) {
    const double want = test.reference->Forward(test.flat.data(), test.sequences, o.options()).balance;
    EXPECT_NEAR(result.balance, want, 0.005 * want);
  }
  // Router biases get no gradient.
  for (const ParamSpec& spec : test.model->params().specs) {
    if (spec.trainable()) continue;
    for (int64_t i = 0; i < spec.count(); ++i) ASSERT_EQ(result.gradient[static_cast<size_t>(spec.offset + i)], 0.0f);
  }
}

// Each part of the objective alone, over all parameters together, so that no part hides behind a larger one.
TEST_P(Gradient, EveryPartOfTheObjective) {
  Case test = MakeCase(GetParam().config);
  ASSERT_NE(test.model, nullptr);
  Context ctx;
  for (const auto& [name, o] : Parts(test)) {
    const Check c = CheckGradient(test, o, RunProduct(ctx, *test.model, test.sequences, o, true).gradient, nullptr);
    EXPECT_GT(c.norm, 0) << name;
    EXPECT_LT(c.along, kAlong) << name;
    EXPECT_LT(c.random, kRandom) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, Gradient, ::testing::ValuesIn(TestConfigs()),
                         [](const auto& info) { return info.param.name; });

// ---- the check can fail ----------------------------------------------------------------

struct Broken {
  const char* name;
  void (*apply)(kernels::KernelTable&);
};

const Broken kBroken[] = {
    {"rope_not_turned_back",
     [](kernels::KernelTable& k) {
       k.rope = [](float* x, int64_t ldx, int64_t heads, int64_t stride, int64_t dim, const int32_t* position,
                   const float* cos_sin, int64_t t, bool interleaved, bool) {
         kernels::Kernels().rope(x, ldx, heads, stride, dim, position, cos_sin, t, interleaved, false);
       };
     }},
    {"norm_without_its_mean_term",
     [](kernels::KernelTable& k) {
       k.rms_norm_backward = [](float* dx, int64_t lddx, bool accumulate, float* dw, const float* dy, int64_t lddy,
                                const float* x, int64_t ldx, const float* w, const float* r, int64_t t, int64_t d) {
         for (int64_t i = 0; i < t; ++i) {
           for (int64_t j = 0; j < d; ++j) {
             float& at = dx[i * lddx + j];
             at = (accumulate ? at : 0.0f) + r[i] * dy[i * lddy + j] * w[j];
             dw[j] += dy[i * lddy + j] * x[i * ldx + j] * r[i];
           }
         }
       };
     }},
    {"attention_without_its_row_term",
     [](kernels::KernelTable& k) {
       k.attention_backward = [](const kernels::AttentionBackwardArgs& args) {
         kernels::AttentionBackwardArgs a = args;
         const std::vector<Bf16> zeros(static_cast<size_t>(a.t * a.ldo + 64));
         a.out = zeros.data();
         kernels::Kernels().attention_backward(a);
       };
     }},
    {"swiglu_gate_a_tenth_short",
     [](kernels::KernelTable& k) {
       k.swiglu_backward = [](Bf16* dgu, int64_t ld, const float* dh, int64_t lddh, const float* gu, int64_t ldgu,
                              int64_t t, int64_t f) {
         kernels::Kernels().swiglu_backward(dgu, ld, dh, lddh, gu, ldgu, t, f);
         for (int64_t i = 0; i < t * f; ++i) dgu[i / f * ld + i % f] = ToBf16(0.9f * ToFloat(dgu[i / f * ld + i % f]));
       };
     }},
    {"routing_weights_as_if_not_normalised",
     [](kernels::KernelTable& k) {
       k.route_backward = [](float* dlogits, const float* dweight, const float* extra, const float* score,
                             const int32_t* expert, const float* weight, int64_t t,
                             const kernels::RouteConfig& config) {
         kernels::RouteConfig other = config;
         other.normalize = false;
         kernels::Kernels().route_backward(dlogits, dweight, extra, score, expert, weight, t, other);
       };
     }},
    {"balance_loss_without_gradient",
     [](kernels::KernelTable& k) {
       k.balance_loss = [](float* loss, float* dscore, const float* score, const int32_t* expert, int64_t t,
                           const kernels::RouteConfig& config, float alpha) {
         kernels::Kernels().balance_loss(loss, dscore, score, expert, t, config, alpha);
         std::memset(dscore, 0, static_cast<size_t>(t * config.experts) * sizeof(float));
       };
     }},
    {"one_expert_of_a_token_forgotten",
     [](kernels::KernelTable& k) {
       k.moe_scatter_add = [](float* dx, int64_t lddx, const float* rows, int64_t ldr, const int32_t* slot, int64_t t,
                              int64_t count, int64_t d) {
         for (int64_t i = 0; i < t; ++i)
           kernels::Kernels().moe_scatter_add(dx + i * lddx, lddx, rows, ldr, slot + i * count, 1, count - 1, d);
       };
     }},
    {"entropy_gradient_left_out",
     [](kernels::KernelTable& k) {
       k.logprob_backward = [](Bf16* dlogits, int64_t ldd, const float* logits, int64_t ldl, const int32_t* target,
                               const float* lse, const float* g, const float*, const float*, int64_t t, int64_t v,
                               float inv_temperature) {
         kernels::Kernels().logprob_backward(dlogits, ldd, logits, ldl, target, lse, g, nullptr, nullptr, t, v,
                                             inv_temperature);
       };
     }},
};

TEST(GradientCheck, SeesEveryBrokenBackward) {
  SetFloatMode();
  std::vector<NamedConfig> configs = TestConfigs();
  const auto config =
      std::find_if(configs.begin(), configs.end(), [](const NamedConfig& c) { return c.name == "v3_query_latent"; });
  ASSERT_NE(config, configs.end());
  Case test = MakeCase(config->config);
  ASSERT_NE(test.model, nullptr);
  // True if the gradient that this table computes passes, for everything at once tensor by tensor and for each part
  // over all tensors.
  const auto passes = [&](const kernels::KernelTable& table) {
    Context ctx;
    ctx.k = &table;
    for (const auto& [name, o] : Parts(test)) {
      const Check c = CheckGradient(test, o, RunProduct(ctx, *test.model, test.sequences, o, true).gradient, nullptr);
      if (Fails(c, c.norm)) return false;
    }
    const Objective o = Everything(test);
    const std::vector<float> gradient = RunProduct(ctx, *test.model, test.sequences, o, true).gradient;
    const double whole = CheckGradient(test, o, gradient, nullptr).norm;
    for (const ParamSpec& spec : test.model->params().specs) {
      if (spec.trainable() && Fails(CheckGradient(test, o, gradient, &spec), whole)) return false;
    }
    return true;
  };
  const kernels::KernelTable copy = kernels::Kernels();
  EXPECT_TRUE(passes(copy));
  for (const Broken& broken : kBroken) {
    kernels::KernelTable table = kernels::Kernels();
    broken.apply(table);
    EXPECT_FALSE(passes(table)) << broken.name;
  }
}

}  // namespace
}  // namespace r1
