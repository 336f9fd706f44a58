#include "model/lora_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "model/lora.h"
#include "store/quant.h"
#include "store/safetensors.h"
#include "store/safetensors_index.h"

namespace r1 {
namespace {

constexpr int64_t kMaxConfigBytes = int64_t{1} << 20;
constexpr int64_t kMaxRank = int64_t{1} << 16;
constexpr const char* kConfigName = "adapter_config.json";
constexpr const char* kWeightsName = "adapter_model.safetensors";
constexpr std::string_view kLoraA = ".lora_A.weight", kLoraB = ".lora_B.weight";

// Fields that say where an adapter came from, how it was trained or what its tensors say too.
constexpr std::string_view kHarmless[] = {"alpha_pattern",
                                          "auto_mapping",
                                          "base_model_name_or_path",
                                          "bias",
                                          "corda_config",
                                          "eva_config",
                                          "exclude_modules",
                                          "inference_mode",
                                          "init_lora_weights",
                                          "layers_pattern",
                                          "layers_to_transform",
                                          "loftq_config",
                                          "lora_alpha",
                                          "lora_dropout",
                                          "megatron_config",
                                          "megatron_core",
                                          "modules_to_save",
                                          "peft_type",
                                          "peft_version",
                                          "qalora_group_size",
                                          "r",
                                          "rank_pattern",
                                          "revision",
                                          "runtime_config",
                                          "target_modules",
                                          "task_type",
                                          "use_rslora"};
// Ways of starting that leave the base as it is.
constexpr std::string_view kPlainStarts[] = {"gaussian", "eva", "orthogonal"};

// Null, false, 0, "", [] and {}: a field that is off.
bool IsOff(const nlohmann::json& v) {
  return v.is_null() || (v.is_boolean() && !v.get<bool>()) || (v.is_number() && v.get<double>() == 0) ||
         ((v.is_string() || v.is_array() || v.is_object()) &&
          (v.is_string() ? v.get_ref<const std::string&>().empty() : v.empty()));
}

struct AdapterScale {
  int64_t r = 0;
  double scale = 0;
};

Result<AdapterScale> ReadAdapterConfig(const std::string& path) {
  R1_ASSIGN(const nlohmann::json j, ReadJsonFile(path, kMaxConfigBytes));
  const auto bad = [&](const std::string& what) { return Error{ErrorCode::kBadInput, path + ": " + what}; };
  const auto refuse = [&](const std::string& field, const std::string& why) {
    return Error{ErrorCode::kRefused, fmt::format("{}: {} {}; merge the adapter with PEFT (merge_and_unload) first",
                                                  path, Quote(field), why)};
  };
  if (!j.is_object()) return bad("is no JSON object");
  if (!j.contains("peft_type") || j["peft_type"] != "LORA") return bad("'peft_type' is not \"LORA\"");
  if (!j.contains("r") || !j["r"].is_number_integer() || j["r"] < 1 || j["r"] > kMaxRank)
    return bad(fmt::format("'r' is not a whole number in 1 .. {}", kMaxRank));
  if (!j.contains("lora_alpha") || !j["lora_alpha"].is_number()) return bad("'lora_alpha' is not a number");
  if (j.contains("use_rslora") && !j["use_rslora"].is_boolean()) return bad("'use_rslora' is not true or false");
  if (j.contains("bias") && j["bias"] != "none") return refuse("bias", "is not \"none\"");
  for (const char* field : {"modules_to_save", "rank_pattern", "alpha_pattern"}) {
    if (j.contains(field) && !IsOff(j[field])) return refuse(field, "is set");
  }
  if (j.contains("init_lora_weights")) {
    const nlohmann::json& start = j["init_lora_weights"];
    const bool plain = start.is_boolean() || start.is_null() ||
                       (start.is_string() && std::find(std::begin(kPlainStarts), std::end(kPlainStarts),
                                                       start.get<std::string>()) != std::end(kPlainStarts));
    if (!plain) return refuse("init_lora_weights", "is a way of starting that changes the base model too");
  }
  for (const auto& [field, value] : j.items()) {
    if (std::find(std::begin(kHarmless), std::end(kHarmless), field) == std::end(kHarmless) && !IsOff(value))
      return refuse(field, "is set, and may change what the adapter computes in a way that this program does not know");
  }
  AdapterScale out;
  out.r = j["r"].get<int64_t>();
  const double alpha = j["lora_alpha"].get<double>(), r = static_cast<double>(out.r);
  out.scale = alpha / (j.value("use_rslora", false) ? std::sqrt(r) : r);
  if (!std::isfinite(out.scale)) return bad("'lora_alpha' is too large");
  return out;
}

class MergedParams final : public ParamSource {
 public:
  MergedParams(std::unique_ptr<ParamSource> base, SafetensorsFile file, const AdapterScale& scale)
      : base_(std::move(base)), file_(std::move(file)), scale_(scale) {
    path_ = base_->path();
    entries_ = base_->entries();
  }

  Status Bind() {
    std::map<std::string, size_t, std::less<>> index;
    for (size_t i = 0; i < entries_.size(); ++i) index[entries_[i].name] = i;
    for (const StoredTensor& tensor : file_.tensors()) R1_TRY(BindTensor(tensor, index));
    for (const auto& [i, pair] : pairs_) {
      if (pair.a == nullptr || pair.b == nullptr)
        return Fail(fmt::format("{} has no lora_{}", Quote(entries_[i].name), pair.a == nullptr ? "A" : "B"));
    }
    if (pairs_.empty()) return Fail("holds no adapter");
    return {};
  }

  Status Read(size_t index, float* out) const override {
    R1_TRY(base_->Read(index, out));
    const auto found = pairs_.find(index);
    if (found == pairs_.end()) return {};
    const int64_t rows = entries_[index].shape[0], cols = entries_[index].shape[1];
    R1_ASSIGN(const std::vector<float> a, Decoded(*found->second.a));
    R1_ASSIGN(const std::vector<float> b, Decoded(*found->second.b));
    AddLowRankProduct(out, rows, cols, b.data(), a.data(), scale_.r, scale_.scale);
    return {};
  }

  Status CheckIntact() const override {
    R1_TRY(base_->CheckIntact());
    return file_.CheckIntact();
  }

 private:
  struct Pair {
    const StoredTensor *a = nullptr, *b = nullptr;
  };

  Error Fail(const std::string& what) const { return Error{ErrorCode::kBadInput, file_.path() + ": " + what}; }

  Status BindTensor(const StoredTensor& tensor, const std::map<std::string, size_t, std::less<>>& index) {
    const std::string_view name = tensor.name;
    const bool is_a = name.ends_with(kLoraA);
    if (!name.starts_with(kPeftPrefix) || !(is_a || name.ends_with(kLoraB)))
      return Fail(fmt::format("tensor {} is no lora_A or lora_B of a module", Quote(name)));
    const std::string param = std::string(LoraModuleOf(name.substr(std::string_view(kPeftPrefix).size()))) + ".weight";
    const auto found = index.find(param);
    if (found == index.end() || entries_[found->second].shape.size() != 2)
      return Fail(fmt::format("tensor {} is for {}, which is no matrix of this model", Quote(name), Quote(param)));
    const std::vector<int64_t>& shape = entries_[found->second].shape;
    const std::vector<int64_t> want =
        is_a ? std::vector<int64_t>{scale_.r, shape[1]} : std::vector<int64_t>{shape[0], scale_.r};
    if (tensor.shape != want)
      return Fail(fmt::format("tensor {} has the shape {}; rank and model make it {}", Quote(name),
                              ShapeText(tensor.shape), ShapeText(want)));
    if (!CanDecode(tensor.type))
      return Fail(fmt::format("tensor {} has the type {}, which this version does not read", Quote(name),
                              StoredTypeName(tensor.type)));
    if (CountNonFinite(tensor) > 0) return Fail(fmt::format("tensor {} has values that are not finite", Quote(name)));
    Pair& pair = pairs_[found->second];
    (is_a ? pair.a : pair.b) = &tensor;
    return {};
  }

  Result<std::vector<float>> Decoded(const StoredTensor& tensor) const {
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    R1_TRY(DecodeTensor(file_, tensor, values.data()));
    return values;
  }

  std::unique_ptr<ParamSource> base_;
  SafetensorsFile file_;
  AdapterScale scale_;
  std::map<size_t, Pair> pairs_;  // by index of the matrix they change
};

}  // namespace

Result<std::unique_ptr<ParamSource>> MergeAdapter(std::unique_ptr<ParamSource> base, const std::string& folder) {
  if (!Exists(JoinPath(folder, kConfigName)) || !Exists(JoinPath(folder, kWeightsName)))
    return Error{ErrorCode::kBadInput, fmt::format("{}: an adapter folder has {} and {} (a pickled .bin is not read)",
                                                   folder, kConfigName, kWeightsName)};
  R1_ASSIGN(const std::string config_path, ResolveInFolder(folder, kConfigName));
  R1_ASSIGN(const AdapterScale scale, ReadAdapterConfig(config_path));
  R1_ASSIGN(const std::string weights_path, ResolveInFolder(folder, kWeightsName));
  R1_ASSIGN(SafetensorsFile file, SafetensorsFile::Open(weights_path));
  auto merged = std::make_unique<MergedParams>(std::move(base), std::move(file), scale);
  R1_TRY(merged->Bind());
  return Result<std::unique_ptr<ParamSource>>(std::move(merged));
}

}  // namespace r1
