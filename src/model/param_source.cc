#include "model/param_source.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/files.h"
#include "base/log.h"
#include "base/quote.h"
#include "model/gguf_params.h"
#include "model/llama2c.h"
#include "store/gguf.h"
#include "store/quant.h"

namespace r1 {
namespace {

constexpr int64_t kMaxConfigBytes = int64_t{1} << 20;
constexpr std::string_view kScaleSuffix = "_scale_inv";

// What a tensor that is no parameter may be: "" if the model cannot have it, "-" if its values do not matter, else the
// parameter that it must be a copy of.
std::string CopyOf(std::string_view name, const ModelConfig& config) {
  const std::string embedding = "model.embed_tokens.weight";
  if (name.ends_with(".rotary_emb.inv_freq")) return "-";
  if (name == "lm_head.weight" && config.head_is_embedding()) return embedding;
  if (config.num_nextn_predict_layers > 0) {
    const std::string module = fmt::format("model.layers.{}.", config.num_hidden_layers);
    if (name == module + "embed_tokens.weight") return embedding;
    if (name == module + "shared_head.head.weight") return config.head_is_embedding() ? embedding : "lm_head.weight";
  }
  return "";
}

class TensorParams final : public ParamSource {
 public:
  explicit TensorParams(std::unique_ptr<TensorSet> set) : set_(std::move(set)) { path_ = set_->path(); }

  Status Bind(const ModelConfig& config) {
    std::map<std::string_view, bool> is_param;
    for (const ParamSpec& spec : ListParams(config).specs) {
      const StoredTensor* tensor = set_->Find(spec.name);
      const std::vector<int64_t> shape = StoredShape(spec);
      if (tensor == nullptr) return Fail(fmt::format("no tensor {}, which the model must have", Quote(spec.name)));
      if (tensor->shape != shape) {
        return Fail(fmt::format("tensor {} has the shape {}; by config.json it would be {}", Quote(spec.name),
                                ShapeText(tensor->shape), ShapeText(shape)));
      }
      if (!CanDecode(tensor->type)) {
        return Fail(fmt::format("tensor {} has the type {}, which this version does not read", Quote(spec.name),
                                StoredTypeName(tensor->type)));
      }
      tensors_.push_back(tensor);
      entries_.push_back({spec.name, shape, tensor->type});
      is_param[tensor->name] = true;
    }
    for (const StoredTensor& tensor : set_->tensors()) {
      if (!is_param.contains(tensor.name)) R1_TRY(CheckSpare(tensor, config));
    }
    return {};
  }

  Status Read(size_t index, float* out) const override { return DecodeTensor(*set_, *tensors_[index], out); }
  Status CheckIntact() const override { return set_->CheckIntact(); }

 private:
  Error Fail(const std::string& what) const { return Error{ErrorCode::kBadInput, path_ + ": " + what}; }

  Status CheckSpare(const StoredTensor& tensor, const ModelConfig& config) const {
    std::string_view name = tensor.name;
    // The scales of an 8-bit weight belong to it.
    if (name.ends_with(kScaleSuffix)) {
      const StoredTensor* scaled = set_->Find(name.substr(0, name.size() - kScaleSuffix.size()));
      if (scaled != nullptr && scaled->type == StoredType::kF8E4M3) return {};
    }
    const std::string original = CopyOf(name, config);
    if (original.empty()) return Fail(fmt::format("tensor {} does not belong to this model", Quote(name)));
    if (original == "-") return {};
    const StoredTensor* other = set_->Find(original);
    if (other == nullptr || other->type != tensor.type || other->shape != tensor.shape ||
        std::memcmp(other->data, tensor.data, static_cast<size_t>(tensor.bytes)) != 0) {
      return Fail(fmt::format("tensor {} must be a copy of {} and is not; this model has one matrix for both",
                              Quote(name), Quote(original)));
    }
    return {};
  }

  std::unique_ptr<TensorSet> set_;
  std::vector<const StoredTensor*> tensors_;  // of entries_
};

}  // namespace

std::vector<int64_t> StoredShape(const ParamSpec& spec) {
  return spec.kind == ParamKind::kMatrix ? std::vector<int64_t>{spec.rows, spec.cols} : std::vector<int64_t>{spec.cols};
}

int64_t ParamSource::Entry::elements() const {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return n;
}

Result<std::unique_ptr<ParamSource>> ParamsOfTensors(std::unique_ptr<TensorSet> set, const ModelConfig& config) {
  auto params = std::make_unique<TensorParams>(std::move(set));
  R1_TRY(params->Bind(config));
  return Result<std::unique_ptr<ParamSource>>(std::move(params));
}

Status ReadParams(const ParamSource& source, const ParamList& list, float* flat) {
  R1_CHECK(source.entries().size() == list.specs.size(), "parameters of another model");
  for (size_t i = 0; i < list.specs.size(); ++i) {
    float* out = flat + list.specs[i].offset;
    R1_TRY(source.Read(i, out));
    int64_t bad = 0;
    for (int64_t j = 0; j < list.specs[i].count(); ++j) bad += std::isfinite(out[j]) ? 0 : 1;
    if (bad > 0)
      LogWarn(fmt::format("{}: tensor '{}' has {} values that are not finite", source.path(), list.specs[i].name, bad));
  }
  return source.CheckIntact();
}

Result<ModelConfig> ReadModelConfig(const std::string& folder) {
  const std::string path = JoinPath(folder, "config.json");
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxConfigBytes));
  return ModelConfigFromJson(text, path);
}

Result<ModelSource> OpenModelSource(const std::string& path) {
  if (path.ends_with(".gguf") || LooksLikeGguf(path)) return OpenGgufModel(path);
  if (LooksLikeLlama2c(path)) return OpenLlama2c(path);
  ModelSource source;
  R1_ASSIGN(source.config, ReadModelConfig(path));
  R1_ASSIGN(std::unique_ptr<TensorSet> set, OpenTensors(path));
  R1_ASSIGN(source.params, ParamsOfTensors(std::move(set), source.config));
  return Result<ModelSource>(std::move(source));
}

}  // namespace r1
