// Models on disk: writing a folder with stock Hugging Face files (config.json, model.safetensors with F32 tensors,
// generation_config.json), loading whatever model/param_source.h reads.
#pragma once

#include <string>

#include "base/result.h"
#include "model/model.h"

namespace r1 {

// config.json, generation_config.json and model.safetensors; an adapter is merged into the weights that are written.
// end_token: the id that ends a reply, -1 if none.
Status WriteModelFiles(const std::string& folder, const Model& model, int32_t begin_token, int32_t end_token);
// The F32 weights that WriteModelFiles wrote, into a model of the same config. Checks names, shapes and types of every
// parameter; a tensor too many or too few is an error that names it.
Status ReadWeights(const std::string& folder, Model& model);
// The adapter of a model alone, as model/lora.h says; and back into an adapter of the same config.
Status WriteAdapterFiles(const std::string& folder, const Model& model);
Status ReadAdapterWeights(const std::string& folder, Model& model);
Result<Model> LoadModel(const std::string& path, bool for_training, ThreadPool& pool);
// A model for training with another head on the body of the one in folder: its parameters of the same name, without the
// prediction module; the rest (score.weight on a language model's body) as Init(seed) makes it. A reward model's folder
// with num_labels 1 keeps its score.weight.
Result<Model> LoadBody(const std::string& folder, int64_t num_labels, ThreadPool& pool, uint64_t seed);
// The same from a model in memory. Error if the model cannot have that head.
Result<Model> CopyBody(const Model& source, int64_t num_labels, ThreadPool& pool, uint64_t seed);
// A flat vector laid out as the model's parameters (Adam moments, a reference policy), one tensor a parameter with the
// prefix.
Status WriteFlat(const std::string& path, const ParamList& params,
                 const std::vector<std::pair<std::string, const float*>>& vectors);
Status ReadFlat(const std::string& path, const ParamList& params,
                const std::vector<std::pair<std::string, float*>>& vectors);

}  // namespace r1
