#include "model/io.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "model/param_source.h"
#include "store/safetensors.h"

namespace r1 {

namespace {
constexpr const char* kAdapterFile = "adapter_model.safetensors";
}

Status WriteFlat(const std::string& path, const ParamList& params,
                 const std::vector<std::pair<std::string, const float*>>& vectors) {
  std::vector<TensorToStore> tensors;
  for (const auto& [prefix, data] : vectors) {
    for (const ParamSpec& spec : params.specs)
      tensors.push_back({prefix + spec.name, StoredType::kF32, StoredShape(spec), data + spec.offset});
  }
  return WriteSafetensors(path, tensors, {{"format", "pt"}});
}

Status ReadFlat(const std::string& path, const ParamList& params,
                const std::vector<std::pair<std::string, float*>>& vectors) {
  R1_ASSIGN(const SafetensorsFile file, SafetensorsFile::Open(path));
  std::set<std::string> wanted;
  for (const auto& [prefix, data] : vectors) {
    for (const ParamSpec& spec : params.specs) {
      R1_ASSIGN(const StoredTensor* tensor, file.Get(prefix + spec.name, StoredType::kF32, StoredShape(spec)));
      std::memcpy(data + spec.offset, tensor->data, static_cast<size_t>(tensor->bytes));
      wanted.insert(prefix + spec.name);
      if (const int64_t bad = CountNonFinite(*tensor); bad > 0)
        LogWarn(path + ": tensor '" + tensor->name + "' has " + std::to_string(bad) + " values that are not finite");
    }
  }
  for (const StoredTensor& tensor : file.tensors()) {
    if (!wanted.contains(tensor.name))
      return Error{ErrorCode::kBadInput, path + ": tensor '" + tensor.name + "' does not belong to this model"};
  }
  return file.CheckIntact();
}

Status WriteModelFiles(const std::string& folder, const Model& model, int32_t begin_token, int32_t end_token) {
  R1_TRY(WriteFileAtomic(JoinPath(folder, "config.json"), ModelConfigToJson(model.config())));
  nlohmann::ordered_json generation;
  generation["bos_token_id"] = begin_token;
  generation["eos_token_id"] = end_token;
  generation["do_sample"] = true;
  R1_TRY(WriteFileAtomic(JoinPath(folder, "generation_config.json"), ToPrettyText(generation)));
  const std::string path = JoinPath(folder, "model.safetensors");
  if (model.adapter() == nullptr) return WriteFlat(path, model.params(), {{"", model.data()}});
  // One merged matrix at a time.
  std::vector<TensorToStore> tensors;
  for (const ParamSpec& spec : model.params().specs)
    tensors.push_back({spec.name, StoredType::kF32, StoredShape(spec), nullptr});
  std::vector<float> merged;
  return WriteSafetensors(path, tensors, {{"format", "pt"}}, [&](size_t index) -> Result<std::string_view> {
    merged.resize(static_cast<size_t>(model.params().specs[index].count()));
    model.MergedParam(index, merged.data());
    return std::string_view(reinterpret_cast<const char*>(merged.data()), merged.size() * sizeof(float));
  });
}

Status WriteAdapterFiles(const std::string& folder, const Model& model) {
  const Adapter& adapter = *model.adapter();
  R1_TRY(WriteFileAtomic(JoinPath(folder, "adapter_config.json"),
                         LoraConfigToPeftJson(model.config(), adapter.config(), adapter.base_name())));
  return WriteFlat(JoinPath(folder, kAdapterFile), adapter.params(), {{kPeftPrefix, adapter.data()}});
}

Status ReadAdapterWeights(const std::string& folder, Model& model) {
  return ReadFlat(JoinPath(folder, kAdapterFile), model.trained(), {{kPeftPrefix, model.trained_data()}});
}

Status ReadWeights(const std::string& folder, Model& model) {
  return ReadFlat(JoinPath(folder, "model.safetensors"), model.params(), {{"", model.data()}});
}

Result<Model> LoadModel(const std::string& path, bool for_training, ThreadPool& pool) {
  // Sizes from a file are not trusted with memory before every tensor is known to be there: binding checks all shapes.
  R1_ASSIGN(const ModelSource source, OpenModelSource(path));
  R1_TRY(ValidateModelConfig(source.config, path));
  Model model(source.config, for_training);
  R1_TRY(ReadParams(*source.params, model.params(), model.data()));
  model.Pack(pool);
  return Result<Model>(std::move(model));
}

Result<Model> LoadBody(const std::string& folder, int64_t num_labels, ThreadPool& pool, uint64_t seed) {
  R1_ASSIGN(const Model source, LoadModel(folder, false, pool));
  return CopyBody(source, num_labels, pool, seed);
}

Result<Model> CopyBody(const Model& source, int64_t num_labels, ThreadPool& pool, uint64_t seed) {
  ModelConfig config = source.config();
  config.num_labels = num_labels;
  config.num_nextn_predict_layers = 0;
  R1_TRY(ValidateModelConfig(config, "head"));
  Model model(config, true);
  model.Init(seed);
  for (const ParamSpec& spec : model.params().specs) {
    const ParamSpec* from = source.params().Find(spec.name);
    if (from == nullptr) continue;
    std::memcpy(model.data() + spec.offset, source.data() + from->offset,
                static_cast<size_t>(spec.count()) * sizeof(float));
  }
  model.Pack(pool);
  return Result<Model>(std::move(model));
}

}  // namespace r1
