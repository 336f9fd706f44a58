// The parameters of a stored model as floats, by their Hugging Face names and shapes (model/params.h), whatever file
// they lie in: what loading and converting read from.
//   Hugging Face: a folder with config.json and model.safetensors, or the shards of model.safetensors.index.json;
//   F32, F16, BF16, F64, and F8_E4M3 with its NAME_scale_inv (store/quant.h);
//   GGUF: model/gguf_params.h; a .bin file of llama2.c: model/llama2c.h.
// Files from elsewhere hold a few tensors that say nothing new; they are passed over after a look: rotary_emb.inv_freq
// of old Llama files, lm_head.weight of a tied model and the copies of embedding and head in V3's prediction module,
// which must equal what they copy. Every other tensor that the model does not have is an error that names it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "model/params.h"
#include "store/tensors.h"

namespace r1 {

// Shape of a parameter in Hugging Face files: [rows, cols] of a matrix, [cols] of a vector.
std::vector<int64_t> StoredShape(const ParamSpec& spec);

class ParamSource {
 public:
  struct Entry {
    std::string name;
    std::vector<int64_t> shape;
    StoredType type = StoredType::kF32;  // as stored; F32 if it is put together from tensors of several
    int64_t elements() const;
  };
  virtual ~ParamSource() = default;

  // One a parameter of the model, in the order of ListParams.
  const std::vector<Entry>& entries() const { return entries_; }
  const std::string& path() const { return path_; }
  // Values of entries()[index], row-major.
  virtual Status Read(size_t index, float* out_elements) const = 0;
  // Fails if a file was shortened while it was open. Call it after the data was read.
  virtual Status CheckIntact() const = 0;

 protected:
  std::string path_;
  std::vector<Entry> entries_;
};

// Tensors that a set holds under Hugging Face names. The set is checked against the config at once: names, shapes,
// types that can be decoded.
Result<std::unique_ptr<ParamSource>> ParamsOfTensors(std::unique_ptr<TensorSet> set, const ModelConfig& config);

// All parameters into their places in a flat vector (model/params.h). Warns of values that are not finite.
Status ReadParams(const ParamSource& source, const ParamList& list, float* flat);

// A stored model: what it is and where its parameters are. path is a model folder or file.
struct ModelSource {
  ModelConfig config;
  std::unique_ptr<ParamSource> params;
};
Result<ModelSource> OpenModelSource(const std::string& path);
Result<ModelConfig> ReadModelConfig(const std::string& folder);  // its config.json

}  // namespace r1
