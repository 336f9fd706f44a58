#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace r1 {
namespace {

double YarnScale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

// The (real-valued) dimension whose pair turns `turns` times within `positions`.
double TurningDimension(double turns, double theta, double d, double positions) {
  return d * std::log(positions / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

double YarnFrequency(const RopeScaling& s, double f, double theta, double d, double i, double positions) {
  const double low = std::max(std::floor(TurningDimension(s.beta_fast, theta, d, positions)), 0.0);
  double high = std::min(std::ceil(TurningDimension(s.beta_slow, theta, d, positions)), d - 1);
  if (low == high) high += 0.001;
  const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
  return f / s.factor * ramp + f * (1 - ramp);
}

double Llama3Frequency(const RopeScaling& s, double f) {
  const double length = static_cast<double>(s.original_max_position_embeddings);
  const double wave = 2 * std::numbers::pi / f;
  if (wave < length / s.high_freq_factor) return f;
  if (wave > length / s.low_freq_factor) return f / s.factor;
  const double t = (length / wave - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - t) * f / s.factor + t * f;
}

}  // namespace

Status ValidateRopeScaling(const RopeScaling& s, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status {
    return Error{ErrorCode::kRefused, where + ": rope_scaling: " + what};
  };
  if (s.rope_type == "default") return {};
  if (s.rope_type != "linear" && s.rope_type != "llama3" && s.rope_type != "yarn")
    return fail("rope_type '" + s.rope_type + "' is not supported (default, linear, llama3, yarn)");
  const auto positive = [](double x) { return x > 0 && std::isfinite(x); };
  if (!(s.factor >= 1) || !std::isfinite(s.factor)) return fail("factor must be at least 1");
  if (s.original_max_position_embeddings < 0 || s.original_max_position_embeddings > (1 << 24))
    return fail("original_max_position_embeddings must be in 0 .. 16777216");
  if (s.rope_type == "llama3") {
    if (s.original_max_position_embeddings == 0) return fail("llama3 needs original_max_position_embeddings");
    if (!positive(s.low_freq_factor) || !positive(s.high_freq_factor) || s.high_freq_factor <= s.low_freq_factor)
      return fail("high_freq_factor must be above low_freq_factor, both positive");
  }
  if (s.rope_type == "yarn") {
    if (!positive(s.beta_fast) || !positive(s.beta_slow) || s.beta_fast <= s.beta_slow)
      return fail("beta_fast must be above beta_slow, both positive");
    for (const double x : {s.mscale, s.mscale_all_dim, s.attention_factor}) {
      if (!(x >= 0) || !std::isfinite(x))
        return fail("mscale, mscale_all_dim and attention_factor must not be negative");
    }
  }
  return {};
}

std::vector<double> RopeFrequencies(const RopeScaling& s, double theta, int64_t d, int64_t max_positions) {
  std::vector<double> out(static_cast<size_t>(d / 2));
  const int64_t positions = s.original_max_position_embeddings > 0 ? s.original_max_position_embeddings : max_positions;
  for (size_t i = 0; i < out.size(); ++i) {
    const double at = static_cast<double>(i), width = static_cast<double>(d);
    const double f = std::pow(theta, -2 * at / width);
    out[i] = s.rope_type == "linear"   ? f / s.factor
             : s.rope_type == "llama3" ? Llama3Frequency(s, f)
             : s.rope_type == "yarn"   ? YarnFrequency(s, f, theta, width, at, static_cast<double>(positions))
                                       : f;
  }
  return out;
}

double RopeAttentionFactor(const RopeScaling& s) {
  if (s.rope_type != "yarn") return 1;
  if (s.attention_factor > 0) return s.attention_factor;
  if (s.mscale > 0 && s.mscale_all_dim > 0)
    return YarnScale(s.factor, s.mscale) / YarnScale(s.factor, s.mscale_all_dim);
  return YarnScale(s.factor, 1);
}

int64_t RopeWidth(const ModelConfig& c) { return c.is_mla() ? c.qk_rope_head_dim : c.head_dim; }

void FillRopeTable(const ModelConfig& c, int64_t positions, float* table) {
  const int64_t d = RopeWidth(c);
  const std::vector<double> frequency = RopeFrequencies(c.rope_scaling, c.rope_theta, d, c.max_position_embeddings);
  const double factor = RopeAttentionFactor(c.rope_scaling);
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < d / 2; ++i) {
      const double angle = static_cast<double>(p) * frequency[static_cast<size_t>(i)];
      table[p * d + i] = static_cast<float>(factor * std::cos(angle));
      table[p * d + d / 2 + i] = static_cast<float>(factor * std::sin(angle));
    }
  }
}

double SoftmaxScale(const ModelConfig& c) {
  const double base = 1.0 / std::sqrt(static_cast<double>(c.qk_dim()));
  if (!c.is_mla() || c.rope_scaling.rope_type != "yarn" || c.rope_scaling.mscale_all_dim == 0) return base;
  const double m = YarnScale(c.rope_scaling.factor, c.rope_scaling.mscale_all_dim);
  return base * m * m;
}

}  // namespace r1
