// The ops one by one: values against the formula, backward of the linear ones as exact adjoints, rows that do not see
// each other, steps run in reverse, and misuse that is caught. Gradients of whole models against double precision:
// model/gradient_test.cc.
#include "autograd/ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>

#include "base/check.h"
#include "base/rng.h"
#include "base/threads.h"

namespace r1 {
namespace {

using kernels::RoundUp;

class Ops : public ::testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    ctx_.recording = true;
    gradient_.assign(1 << 16, 0.0f);
    ctx_.param_grad = gradient_.data();
  }
  std::vector<float> Random(int64_t n, double spread = 1) {
    std::vector<float> out(static_cast<size_t>(n));
    for (float& x : out) x = ToFloat(ToBf16(static_cast<float>(spread * rng_.Normal())));
    return out;
  }
  Var* Float(int64_t rows, int64_t cols, const std::vector<float>& x) {
    Var* v = NewVar(ctx_, rows, cols);
    std::copy(x.begin(), x.end(), v->data);
    return v;
  }
  Var* Half(int64_t rows, int64_t cols, const std::vector<float>& x) {
    Var* v = NewVar16(ctx_, rows, cols);
    std::memset(static_cast<void*>(v->data16), 0, static_cast<size_t>(rows * v->ld16) * sizeof(Bf16));
    for (int64_t i = 0; i < rows * cols; ++i)
      v->data16[i / cols * v->ld16 + i % cols] = ToBf16(x[static_cast<size_t>(i)]);
    return v;
  }
  // A matrix [n, k] with its packed copies; its gradient is at `offset` of gradient_.
  Weight Matrix(int64_t n, int64_t k, const std::vector<float>& w, int64_t offset) {
    float* data = ctx_.arena.Array<float>(n * k);
    std::copy(w.begin(), w.end(), data);
    Bf16* forward = ctx_.arena.Array<Bf16>(kernels::PackedElements(k, n));
    Bf16* backward = ctx_.arena.Array<Bf16>(kernels::PackedElements(n, k));
    ctx_.k->pack_nk(forward, data, n, k, k);
    ctx_.k->pack_kn(backward, data, n, k, k);
    return {data, forward, backward, n, k, offset};
  }
  static void SetGrad(Context& ctx, Var* v, const std::vector<float>& g) {
    const GradRef ref = GradOf(ctx, v);
    ASSERT_TRUE(ref.fresh);
    std::copy(g.begin(), g.end(), ref.grad);
  }
  Rng rng_{1, Stream::kTest};
  Context ctx_;
  std::vector<float> gradient_;
};

TEST_F(Ops, MatMulAndItsAdjoints) {
  for (const auto& [t, n, k] : {std::array<int64_t, 3>{5, 7, 19}, {33, 48, 32}, {1, 3, 100}}) {
    gradient_.assign(gradient_.size(), 0.0f);
    const std::vector<float> x = Random(t * k), w = Random(n * k), dy = Random(t * n);
    Var* in = Half(t, k, x);
    Var* y = MatMul(ctx_, in, Matrix(n, k, w, 16));
    SetGrad(ctx_, y, dy);
    ctx_.tape.Backward();
    const auto at = [](const std::vector<float>& v, int64_t i) {
      return static_cast<double>(v[static_cast<size_t>(i)]);
    };
    for (int64_t i = 0; i < t; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double want = 0;
        for (int64_t l = 0; l < k; ++l) want += at(x, i * k + l) * at(w, j * k + l);
        EXPECT_NEAR(y->data[i * n + j], want, 1e-4);
      }
      for (int64_t l = 0; l < k; ++l) {
        double want = 0;
        for (int64_t j = 0; j < n; ++j) want += at(dy, i * n + j) * at(w, j * k + l);
        EXPECT_NEAR(in->grad[i * k + l], want, 1e-4);
      }
    }
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) {
        double want = 0;
        for (int64_t i = 0; i < t; ++i) want += at(dy, i * n + j) * at(x, i * k + l);
        EXPECT_NEAR(gradient_[static_cast<size_t>(16 + j * k + l)], want, 1e-4);
      }
    }
    EXPECT_EQ(gradient_[15], 0.0f);
    EXPECT_EQ(gradient_[static_cast<size_t>(16 + n * k)], 0.0f);
  }
}

TEST_F(Ops, TwoConsumersAddTheirGradients) {
  const std::vector<float> x = Random(4 * 32), w = Random(32 * 32), dy = Random(4 * 32);
  const Weight a = Matrix(32, 32, w, 0);
  const auto run = [&](int times) {
    Var* in = Half(4, 32, x);
    for (int i = 0; i < times; ++i) SetGrad(ctx_, MatMul(ctx_, in, a), dy);
    ctx_.tape.Backward();
    return std::vector<float>(in->grad, in->grad + 4 * 32);
  };
  const std::vector<float> once = run(1), twice = run(2);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(twice[i], 2 * once[i], 1e-5 * std::abs(once[i]) + 1e-6);
}

TEST_F(Ops, EmbedAddsRowsOfRepeatedTokens) {
  const std::vector<float> table = Random(6 * 32), dy = Random(4 * 32);
  const int32_t token[4] = {5, 2, 5, 5};
  Var* y = Embed(ctx_, Matrix(6, 32, table, 0), token, 4);
  SetGrad(ctx_, y, dy);
  ctx_.tape.Backward();
  for (size_t j = 0; j < 32; ++j) {
    EXPECT_EQ(y->data[j], table[5 * 32 + j]);
    EXPECT_EQ(y->data[32 + j], table[2 * 32 + j]);
    EXPECT_EQ(gradient_[5 * 32 + j], dy[j] + dy[64 + j] + dy[96 + j]);  // in row order
    EXPECT_EQ(gradient_[2 * 32 + j], dy[32 + j]);
    EXPECT_EQ(gradient_[j], 0.0f);
  }
}

TEST_F(Ops, JoinsPassGradientsOn) {
  const std::vector<float> a = Random(3 * 32), b = Random(3 * 64), g = Random(3 * 96);
  Var *va = Half(3, 32, a), *vb = Half(3, 64, b);
  Var* joined = ConcatColumns(ctx_, va, vb);
  SetGrad(ctx_, joined, g);
  ctx_.tape.Backward();
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 96; ++j) {
      const size_t at = static_cast<size_t>(i * 96 + j);
      EXPECT_EQ(ToFloat(joined->data16[i * joined->ld16 + j]),
                j < 32 ? a[static_cast<size_t>(i * 32 + j)] : b[static_cast<size_t>(i * 64 + j - 32)]);
      EXPECT_EQ(j < 32 ? va->grad[i * 32 + j] : vb->grad[i * 64 + j - 32], g[at]);
    }
  }
  // A float copy of a value that already has a gradient adds to it.
  Var* half = Half(3, 32, a);
  Var* copy = ToFloatVar(ctx_, half);
  SetGrad(ctx_, half, std::vector<float>(96, 1.0f));
  SetGrad(ctx_, copy, std::vector<float>(96, 2.0f));
  ctx_.tape.Backward();
  for (int64_t i = 0; i < 96; ++i) {
    EXPECT_EQ(copy->data[i], a[static_cast<size_t>(i)]);
    EXPECT_EQ(half->grad[i], 3.0f);
  }
  // A residual sum hands its gradient to both sides.
  Var *left = Float(3, 32, a), *right = Float(3, 32, a);
  Var* sum = AddResidual(ctx_, left, right);
  SetGrad(ctx_, sum, std::vector<float>(96, 0.5f));
  ctx_.tape.Backward();
  for (int64_t i = 0; i < 96; ++i) {
    EXPECT_EQ(sum->data[i], 2 * a[static_cast<size_t>(i)]);
    EXPECT_EQ(left->grad[i], 0.5f);
    EXPECT_EQ(right->grad[i], 0.5f);
  }
}

// A norm of some columns leaves the others alone, forward and backward.
TEST_F(Ops, RmsNormOfColumns) {
  const int64_t t = 3, cols = 50, first = 9, d = 24;
  const std::vector<float> x = Random(t * cols), w = Random(d), dy = Random(t * d);
  Var* in = Float(t, cols, x);
  Var* y = RmsNorm(ctx_, in, {w.data(), d, 100}, 1e-5f, first);
  SetGrad(ctx_, y, dy);
  GradOf(ctx_, in);
  std::fill(in->grad, in->grad + t * cols, 7.0f);
  ctx_.tape.Backward();
  for (int64_t i = 0; i < t; ++i) {
    double squares = 0, mix = 0;
    for (int64_t j = 0; j < d; ++j)
      squares += std::pow(static_cast<double>(x[static_cast<size_t>(i * cols + first + j)]), 2);
    const double r = 1 / std::sqrt(squares / static_cast<double>(d) + 1e-5);
    const auto value = [&](int64_t j) { return static_cast<double>(x[static_cast<size_t>(i * cols + first + j)]); };
    const auto back = [&](int64_t j) {
      return static_cast<double>(dy[static_cast<size_t>(i * d + j)]) * static_cast<double>(w[static_cast<size_t>(j)]);
    };
    for (int64_t j = 0; j < d; ++j) mix += back(j) * value(j) / static_cast<double>(d);
    for (int64_t j = 0; j < cols; ++j) {
      const float g = in->grad[i * cols + j];
      if (j < first || j >= first + d) {
        EXPECT_EQ(g, 7.0f);
        continue;
      }
      const int64_t k = j - first;
      EXPECT_NEAR(g, r * back(k) - value(k) * r * r * r * mix, 1e-5);
      EXPECT_NEAR(ToFloat(y->data16[i * y->ld16 + k]), value(k) * r * static_cast<double>(w[static_cast<size_t>(k)]),
                  0.005 * std::abs(value(k) * r) + 1e-6);
    }
    for (int64_t j = d; j < y->ld16; ++j) EXPECT_EQ(y->data16[i * y->ld16 + j].bits, 0);
  }
}

// The head works on blocks of rows; where a block ends cannot be seen.
TEST_F(Ops, HeadRowsDoNotDependOnBlocks) {
  const int64_t v = 5000, d = 32, t = 150;  // blocks of 32 rows
  const std::vector<float> x = Random(t * d), w = Random(v * d, 0.3);
  gradient_.assign(static_cast<size_t>(v * d), 0.0f);
  ctx_.param_grad = gradient_.data();
  const Weight head = Matrix(v, d, w, 0);
  std::vector<int32_t> row, target;
  for (int32_t i = 0; i < 100; ++i) {
    row.push_back(static_cast<int32_t>((i * 37) % t));
    target.push_back(static_cast<int32_t>((i * 991) % v));
  }
  Var* h = Half(t, d, x);
  LogProbs* all = HeadLogProbs(ctx_, h, head, row.data(), target.data(), 100, 1.25f);
  for (int64_t i = 0; i < 100; ++i) all->dlogp[i] = 0.01f * static_cast<float>(i);
  all->dentropy[70] = 0.5f;
  ctx_.tape.Backward();
  std::vector<float> dh(static_cast<size_t>(t * d), 0.0f);
  for (int64_t i = 0; i < 100; ++i) {
    Context one;
    one.recording = true;
    std::vector<float> other(static_cast<size_t>(v * d), 0.0f);
    one.param_grad = other.data();
    LogProbs* single =
        HeadLogProbs(one, h, head, &row[static_cast<size_t>(i)], &target[static_cast<size_t>(i)], 1, 1.25f);
    ASSERT_EQ(single->logp[0], all->logp[i]);
    ASSERT_EQ(single->lse[0], all->lse[i]);
    ASSERT_EQ(single->entropy[0], all->entropy[i]);
    one.tape.Clear();
    if (i % 10 != 0) continue;  // the gradient of a few rows, each through its own pass
    Var* alone = NewVar16(one, 1, d);
    std::memcpy(static_cast<void*>(alone->data16), h->data16 + row[static_cast<size_t>(i)] * h->ld16,
                static_cast<size_t>(d) * sizeof(Bf16));
    LogProbs* again = HeadLogProbs(one, alone, head, nullptr, &target[static_cast<size_t>(i)], 1, 1.25f);
    again->dlogp[0] = all->dlogp[i];
    again->dentropy[0] = all->dentropy[i];
    one.tape.Backward();
    for (int64_t j = 0; j < d; ++j) ASSERT_EQ(alone->grad[j], h->grad[row[static_cast<size_t>(i)] * d + j]) << i;
  }
  // Rows that predict nothing get no gradient: 150 rows, 100 used.
  int64_t untouched = 0;
  for (int64_t i = 0; i < t; ++i)
    untouched += std::all_of(h->grad + i * d, h->grad + (i + 1) * d, [](float g) { return g == 0; }) ? 1 : 0;
  EXPECT_EQ(untouched, 50 + 1);  // row 0 has factor 0
}

// Values and both gradients against double precision, and against central differences of the values.
TEST_F(Ops, ScalarHead) {
  const int64_t t = 7, d = 64, r = 4;
  const std::vector<float> x = Random(t * d), w = Random(d, 0.2), dvalue = Random(r);
  const int32_t row[r] = {5, 0, 5, 2};  // one of them twice
  Var* h = Half(t, d, x);
  Values* values = ScalarHead(ctx_, h, {w.data(), d, 16}, row, r);
  ASSERT_EQ(values->rows, r);
  const auto value = [&](const std::vector<float>& hidden, const std::vector<float>& weight, int64_t i) {
    double sum = 0;
    for (int64_t j = 0; j < d; ++j)
      sum += static_cast<double>(hidden[static_cast<size_t>(row[i] * d + j)]) *
             static_cast<double>(weight[static_cast<size_t>(j)]);
    return sum;
  };
  const auto objective = [&](const std::vector<float>& hidden, const std::vector<float>& weight) {
    double sum = 0;
    for (int64_t i = 0; i < r; ++i)
      sum += static_cast<double>(dvalue[static_cast<size_t>(i)]) * value(hidden, weight, i);
    return sum;
  };
  for (int64_t i = 0; i < r; ++i) {
    EXPECT_NEAR(values->value[i], value(x, w, i), 1e-5);
    EXPECT_EQ(values->dvalue[i], 0.0f);
    values->dvalue[i] = dvalue[static_cast<size_t>(i)];
  }
  EXPECT_EQ(values->value[0], values->value[2]);
  ctx_.tape.Backward();
  const auto slope = [&](const std::vector<float>& at, size_t i, const auto& function) {
    std::vector<float> up(at), down(at);
    up[i] += 0.25f;
    down[i] -= 0.25f;
    return (function(up) - function(down)) / (static_cast<double>(up[i]) - static_cast<double>(down[i]));
  };
  for (int64_t i = 0; i < t * d; ++i) {
    const double want = slope(x, static_cast<size_t>(i), [&](const std::vector<float>& y) { return objective(y, w); });
    EXPECT_NEAR(h->grad[i], want, 1e-5) << i;
  }
  for (int64_t j = 0; j < d; ++j) {
    const double want = slope(w, static_cast<size_t>(j), [&](const std::vector<float>& y) { return objective(x, y); });
    EXPECT_NEAR(gradient_[static_cast<size_t>(16 + j)], want, 1e-5) << j;
  }
  EXPECT_EQ(gradient_[15], 0.0f);
  EXPECT_EQ(gradient_[16 + d], 0.0f);
}

// Distillation: loss and gradient of the student against double precision and central differences; blocks cannot be
// seen; the teacher gets nothing.
TEST_F(Ops, HeadSoftTargets) {
  const int64_t v = 4100, d = 32, teacher_d = 64, t = 40, r = 35;  // blocks of 63 and of 32 rows would differ
  const float temperature = 2.5f;
  const std::vector<float> x = Random(t * d), w = Random(v * d, 0.3), y = Random(t * teacher_d),
                           u = Random(v * teacher_d, 0.3), dloss = Random(r);
  gradient_.assign(static_cast<size_t>(v * d), 0.0f);
  ctx_.param_grad = gradient_.data();
  std::vector<int32_t> row;
  for (int32_t i = 0; i < r; ++i) row.push_back(static_cast<int32_t>((i * 11) % t));
  Var *h = Half(t, d, x), *teacher_h = Half(t, teacher_d, y);
  const Weight head = Matrix(v, d, w, 0), teacher = Matrix(v, teacher_d, u, 0);
  SoftTargets* soft = HeadSoftTargets(ctx_, h, head, teacher_h, teacher, row.data(), r, temperature);
  for (int64_t i = 0; i < r; ++i) soft->dloss[i] = dloss[static_cast<size_t>(i)];
  ctx_.tape.Backward();
  EXPECT_EQ(teacher_h->grad, nullptr);

  using Vec = std::vector<double>;
  const auto softmax = [&](const Vec& hidden, const std::vector<float>& weight) {
    Vec p(static_cast<size_t>(v));
    double sum = 0;
    for (size_t n = 0; n < p.size(); ++n) {
      double z = 0;
      for (size_t k = 0; k < hidden.size(); ++k) z += hidden[k] * static_cast<double>(weight[n * hidden.size() + k]);
      sum += p[n] = std::exp(z / static_cast<double>(temperature));
    }
    for (double& q : p) q /= sum;
    return p;
  };
  const auto rows_of = [](const std::vector<float>& from, int64_t at, int64_t width) {
    return Vec(from.begin() + at * width, from.begin() + (at + 1) * width);
  };
  const auto loss = [&](const Vec& p, const Vec& q) {
    double kl = 0;
    for (size_t n = 0; n < p.size(); ++n) kl += p[n] * std::log(p[n] / q[n]);
    return kl * static_cast<double>(temperature * temperature);
  };
  Vec dw(static_cast<size_t>(v * d), 0.0);
  for (int64_t i = 0; i < r; ++i) {
    const int64_t at = row[static_cast<size_t>(i)];
    const Vec hidden = rows_of(x, at, d), p = softmax(rows_of(y, at, teacher_d), u), q = softmax(hidden, w);
    EXPECT_NEAR(soft->loss[i], loss(p, q), 1e-4 * loss(p, q) + 1e-5);
    EXPECT_GT(loss(p, q), 0.1);
    const double factor = static_cast<double>(temperature * dloss[static_cast<size_t>(i)]);
    for (size_t n = 0; n < q.size(); ++n) {
      for (size_t k = 0; k < static_cast<size_t>(d); ++k)
        dw[n * static_cast<size_t>(d) + k] += factor * (q[n] - p[n]) * hidden[k];
    }
    if (i % 10 != 0) continue;
    double norm = 0, error = 0;
    for (int64_t k = 0; k < d; k += 5) {
      Vec up(hidden), down(hidden);
      up[static_cast<size_t>(k)] += 1e-4;
      down[static_cast<size_t>(k)] -= 1e-4;
      const double want = (loss(p, softmax(up, w)) - loss(p, softmax(down, w))) / 2e-4 *
                          static_cast<double>(dloss[static_cast<size_t>(i)]);
      norm += want * want;
      error += std::pow(static_cast<double>(h->grad[at * d + k]) - want, 2);
    }
    EXPECT_LT(std::sqrt(error), 0.01 * std::sqrt(norm)) << i;  // the gradient of logits is rounded to bf16
    // Alone in its block.
    Context one;
    EXPECT_EQ(HeadSoftTargets(one, h, head, teacher_h, teacher, &row[static_cast<size_t>(i)], 1, temperature)->loss[0],
              soft->loss[i]);
  }
  double norm = 0, error = 0;
  for (size_t i = 0; i < dw.size(); ++i) {
    norm += dw[i] * dw[i];
    error += std::pow(dw[i] - static_cast<double>(gradient_[i]), 2);
  }
  EXPECT_LT(std::sqrt(error), 0.01 * std::sqrt(norm));
}

// A student that is the teacher has nothing to learn from it.
TEST_F(Ops, SoftTargetsOfItself) {
  const int32_t row[3] = {0, 1, 2};
  const Weight head = Matrix(50, 32, Random(50 * 32), 0);
  Var* h = Half(3, 32, Random(96));
  SoftTargets* soft = HeadSoftTargets(ctx_, h, head, h, head, row, 3, 1.5f);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(soft->loss[i], 0.0f);
    soft->dloss[i] = 1;
  }
  ctx_.tape.Backward();
  for (int64_t i = 0; i < 96; ++i) EXPECT_EQ(h->grad[i], 0.0f);
}

// A token's experts give it the same bits whoever else is routed beside it.
TEST_F(Ops, MoeRowsAreIndependent) {
  const int64_t d = 32, f = 20, experts = 6, t = 23;
  std::vector<Weight> up, down;
  for (int64_t e = 0; e < experts; ++e) {
    up.push_back(Matrix(2 * f, d, Random(2 * f * d, 0.3), 0));
    down.push_back(Matrix(d, f, Random(d * f, 0.3), 0));
  }
  const std::vector<float> gate = Random(experts * d), x = Random(t * d), bias = Random(experts, 0.1);
  MoeWeights w;
  w.gate = {gate.data(), d, 0};
  w.bias_E = bias.data();
  w.gate_up = up.data();
  w.down = down.data();
  const kernels::RouteConfig route{experts, 2, 3, 2, false, true, 1.5f};
  ctx_.recording = false;
  std::vector<int64_t> load(experts, 0), load_one(experts, 0);
  MoeStats stats, stats_one;
  stats.load_E = load.data();
  stats_one.load_E = load_one.data();
  const Segment whole{0, t, 0, 0}, one{0, 1, 0, 0};
  const Var* all = Moe(ctx_, Half(t, d, x), w, route, {&whole, 1}, stats);
  for (int64_t i = 0; i < t; ++i) {
    const Var* alone = Moe(ctx_, Half(1, d, std::vector<float>(x.begin() + i * d, x.begin() + (i + 1) * d)), w, route,
                           {&one, 1}, stats_one);
    EXPECT_EQ(std::memcmp(alone->data, all->data + i * d, static_cast<size_t>(d) * sizeof(float)), 0);
  }
  EXPECT_EQ(load, load_one);
  EXPECT_EQ(std::accumulate(load.begin(), load.end(), int64_t{0}), 2 * t);
}

TEST_F(Ops, TapeRunsInReverseOnceAndClears) {
  Tape& tape = ctx_.tape;
  int* order = ctx_.arena.Zeroed<int>(8);
  for (int i = 1; i <= 3; ++i) {
    tape.Record([=] { order[++order[0]] = i; });
  }
  EXPECT_EQ(tape.size(), 3u);
  tape.Backward();
  EXPECT_EQ(std::vector<int>(order, order + 4), (std::vector<int>{3, 3, 2, 1}));
  tape.Backward();
  EXPECT_EQ(order[0], 3) << "steps run once";
  tape.Record([=] { order[7] = 1; });
  tape.Clear();
  tape.Backward();
  EXPECT_EQ(order[7], 0);
}

TEST_F(Ops, NothingIsRecordedInInference) {
  ctx_.recording = false;
  Var* h = RmsNorm(ctx_, Float(2, 32, Random(64)), {Random(32).data(), 32, 0}, 1e-5f);
  SwiGlu(ctx_, MatMul(ctx_, h, Matrix(64, 32, Random(64 * 32), 0)));
  EXPECT_EQ(ctx_.tape.size(), 0u);
}

TEST_F(Ops, MisuseIsCaught) {
  const CheckHandler before =
      SetCheckHandler([](const char*, int, const std::string& message) { throw std::runtime_error(message); });
  const Weight w = Matrix(8, 32, Random(8 * 32), 0);
  const int32_t bad_token[1] = {8}, negative[1] = {-1};
  EXPECT_THROW(Embed(ctx_, w, bad_token, 1), std::runtime_error);
  EXPECT_THROW(Embed(ctx_, w, negative, 1), std::runtime_error);
  EXPECT_THROW(MatMul(ctx_, Half(2, 64, Random(128)), w), std::runtime_error);  // widths differ
  EXPECT_THROW(MatMul(ctx_, Float(2, 32, Random(64)), w), std::runtime_error);  // not bf16
  EXPECT_THROW(AddResidual(ctx_, Float(2, 32, Random(64)), Float(3, 32, Random(96))), std::runtime_error);
  EXPECT_THROW(ConcatColumns(ctx_, Half(2, 20, Random(40)), Half(2, 32, Random(64))), std::runtime_error);
  EXPECT_THROW(RmsNorm(ctx_, Float(2, 32, Random(64)), {Random(32).data(), 32, 0}, 1e-5f, 1), std::runtime_error);
  const int32_t row[1] = {2}, target[1] = {0};
  EXPECT_THROW(HeadLogProbs(ctx_, Half(2, 32, Random(64)), w, row, target, 1, 1.0f), std::runtime_error);
  const std::vector<float> narrow = Random(16), fits = Random(32);
  EXPECT_THROW(ScalarHead(ctx_, Half(2, 32, Random(64)), {narrow.data(), 16, 0}, row, 1), std::runtime_error);
  EXPECT_THROW(ScalarHead(ctx_, Half(2, 32, Random(64)), {fits.data(), 32, 0}, row, 1), std::runtime_error);
  EXPECT_THROW(ScalarHead(ctx_, Half(2, 32, Random(64)), {}, row, 0), std::runtime_error);  // no such head
  EXPECT_THROW(HeadLogits(ctx_, Half(2, 32, Random(64)), Weight{}, nullptr, 2), std::runtime_error);
  const Weight more = Matrix(9, 32, Random(9 * 32), 0);
  const int32_t good[1] = {1};
  EXPECT_THROW(HeadSoftTargets(ctx_, Half(2, 32, Random(64)), w, Half(2, 32, Random(64)), more, good, 1, 1),
               std::runtime_error);  // vocabularies differ
  EXPECT_THROW(HeadSoftTargets(ctx_, Half(2, 32, Random(64)), w, Half(3, 32, Random(96)), w, good, 1, 1),
               std::runtime_error);
  // A value whose gradient is kept in bf16 has one consumer.
  Var* v = Float(2, 32, Random(64));
  NewGrad16(ctx_, v);
  EXPECT_THROW(NewGrad16(ctx_, v), std::runtime_error);
  EXPECT_THROW(GradOf(ctx_, v), std::runtime_error);
  SetCheckHandler(before);
}

}  // namespace
}  // namespace r1
