#include "model/lora.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/json.h"
#include "base/quote.h"
#include "base/rng.h"
#include "kernels/kernels.h"

namespace r1 {

namespace {

constexpr int64_t kMaxRank = 4096;
constexpr uint64_t kInitIndex = uint64_t{1} << 40;  // of the random numbers; a model's own begin at 0
constexpr std::string_view kWeight = ".weight", kLoraA = ".lora_A.weight", kLoraB = ".lora_B.weight";
constexpr std::string_view kAll = "all-linear";

std::vector<std::string> TargetsOf(const LoraConfig& config) {
  std::vector<std::string> names;
  std::string name;
  for (const char c : config.lora_target_modules + ",") {
    if (c != ',') {
      if (c != ' ') name += c;
    } else if (!name.empty()) {
      names.push_back(std::move(name));
      name.clear();
    }
  }
  return names;
}

std::string_view LeafOf(std::string_view module) {
  const size_t dot = module.rfind('.');
  return dot == std::string_view::npos ? module : module.substr(dot + 1);
}

template <class Names>
std::string Joined(const Names& names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

// Layers of the prediction module follow those of the model.
bool InMainLayers(const std::string& name, const ModelConfig& model) {
  constexpr std::string_view kLayers = "model.layers.";
  return name.starts_with(kLayers) && std::stoll(name.substr(kLayers.size(), 9)) < model.num_hidden_layers;
}

bool IsProjection(const ParamSpec& spec, const ModelConfig& model) {
  const std::string_view leaf = LeafOf(LoraModuleOf(spec.name));
  return spec.kind == ParamKind::kMatrix && InMainLayers(spec.name, model) &&
         std::find(std::begin(kLoraModules), std::end(kLoraModules), leaf) != std::end(kLoraModules);
}

}  // namespace

std::string_view LoraModuleOf(std::string_view tensor) {
  for (const std::string_view ending : {kLoraA, kLoraB, kWeight}) {
    if (tensor.ends_with(ending)) return tensor.substr(0, tensor.size() - ending.size());
  }
  return tensor;
}

Status ValidateLoraConfig(const LoraConfig& c, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (c.lora_r < 0 || c.lora_r > kMaxRank) return fail("lora_r must be in 0 .. " + std::to_string(kMaxRank));
  if (!(c.lora_alpha > 0 && c.lora_alpha <= 1e6)) return fail("lora_alpha must be above 0 and at most 1000000");
  const std::vector<std::string> targets = TargetsOf(c);
  if (targets.empty()) return fail("lora_target_modules names no module");
  if (targets.size() == 1 && targets[0] == kAll) return {};
  for (const std::string& target : targets) {
    if (target.find("expert") != std::string::npos)
      return fail("lora_target_modules: " + Quote(target) + ": routed experts take no adapter; the shared expert has " +
                  "gate_proj, up_proj and down_proj");
    if (std::find(std::begin(kLoraModules), std::end(kLoraModules), target) == std::end(kLoraModules))
      return fail("lora_target_modules: " + Quote(target) + " cannot have an adapter; all-linear, or some of " +
                  Joined(kLoraModules));
  }
  return {};
}

Result<ParamList> ListLoraParams(const ModelConfig& model, const LoraConfig& config, const std::string& where) {
  R1_CHECK(config.on(), "an adapter of rank 0");
  const std::vector<std::string> targets = TargetsOf(config);
  const bool all = targets.size() == 1 && targets[0] == kAll;
  ParamList list;
  std::set<std::string> known, found;
  const auto put = [&](std::string name, int64_t rows, int64_t cols) {
    list.total = kernels::RoundUp(list.total, 16);
    list.specs.push_back({std::move(name), rows, cols, ParamKind::kMatrix, 0, list.total, false});
    list.total += rows * cols;
  };
  for (const ParamSpec& spec : ListParams(model).specs) {
    if (!IsProjection(spec, model) || spec.expert) continue;
    const std::string module(LoraModuleOf(spec.name)), leaf(LeafOf(module));
    known.insert(leaf);
    if (!all && std::find(targets.begin(), targets.end(), leaf) == targets.end()) continue;
    found.insert(leaf);
    put(module + std::string(kLoraA), config.lora_r, spec.cols);
    put(module + std::string(kLoraB), spec.rows, config.lora_r);
  }
  list.total = kernels::RoundUp(list.total, 16);
  for (const std::string& target : targets) {
    if (all || found.contains(target)) continue;
    return Error{ErrorCode::kRefused, where + ": lora_target_modules: this model (" + model.model_type +
                                          ") has no module " + Quote(target) + " that can have an adapter; it has " +
                                          Joined(known)};
  }
  return list;
}

void InitLora(const ParamList& list, uint64_t seed, float* flat) {
  for (size_t i = 0; i < list.specs.size(); ++i) {
    const ParamSpec& spec = list.specs[i];
    float* w = flat + spec.offset;
    const bool is_a = spec.name.ends_with(kLoraA);
    const double bound = 1 / std::sqrt(static_cast<double>(spec.cols));
    Rng rng(seed, Stream::kInit, kInitIndex + i);
    for (int64_t j = 0; j < spec.count(); ++j) w[j] = is_a ? static_cast<float>((2 * rng.Uniform() - 1) * bound) : 0.0f;
  }
}

void AddLowRankProduct(float* w, int64_t rows, int64_t cols, const float* b, const float* a, int64_t r, double scale) {
  std::vector<double> sum(static_cast<size_t>(cols));
  for (int64_t i = 0; i < rows; ++i) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (int64_t j = 0; j < r; ++j) {
      const double factor = scale * static_cast<double>(b[i * r + j]);
      const float* row = a + j * cols;
      for (int64_t l = 0; l < cols; ++l) sum[static_cast<size_t>(l)] += factor * static_cast<double>(row[l]);
    }
    float* out = w + i * cols;
    for (int64_t l = 0; l < cols; ++l)
      out[l] = static_cast<float>(static_cast<double>(out[l]) + sum[static_cast<size_t>(l)]);
  }
}

std::string LoraConfigToPeftJson(const ModelConfig& model, const LoraConfig& config, const std::string& base_name) {
  // PEFT gives an adapter to every module whose name ends with a target. Where that would also be routed experts, the
  // targets are whole names.
  const Result<ParamList> list = ListLoraParams(model, config, "adapter");
  R1_CHECK(list.ok(), "an adapter that the model cannot have");
  std::set<std::string> targets, modules;
  for (const ParamSpec& spec : list->specs) {
    modules.emplace(LoraModuleOf(spec.name));
    targets.emplace(LeafOf(LoraModuleOf(spec.name)));
  }
  const bool ambiguous = [&] {
    for (const ParamSpec& spec : ListParams(model).specs) {
      if (spec.kind != ParamKind::kMatrix || modules.contains(std::string(LoraModuleOf(spec.name)))) continue;
      if (InMainLayers(spec.name, model) && targets.contains(std::string(LeafOf(LoraModuleOf(spec.name))))) return true;
    }
    return false;
  }();
  nlohmann::ordered_json j;
  j["alpha_pattern"] = nlohmann::ordered_json::object();
  j["auto_mapping"] = nullptr;
  j["base_model_name_or_path"] = base_name;
  j["bias"] = "none";
  j["fan_in_fan_out"] = false;
  j["inference_mode"] = true;
  j["init_lora_weights"] = true;
  j["layers_pattern"] = nullptr;
  j["layers_to_transform"] = nullptr;
  if (config.lora_alpha == std::floor(config.lora_alpha)) {
    j["lora_alpha"] = static_cast<int64_t>(config.lora_alpha);
  } else {
    j["lora_alpha"] = config.lora_alpha;
  }
  j["lora_dropout"] = 0.0;
  j["modules_to_save"] = nullptr;
  j["peft_type"] = "LORA";
  j["r"] = config.lora_r;
  j["rank_pattern"] = nlohmann::ordered_json::object();
  j["revision"] = nullptr;
  j["target_modules"] = ambiguous ? modules : targets;
  j["task_type"] = "CAUSAL_LM";
  j["use_dora"] = false;
  j["use_rslora"] = false;
  return ToPrettyText(j);
}

}  // namespace r1
