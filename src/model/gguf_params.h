// The tensors of a GGUF model file and the parameters they hold: both directions follow one list.
//   llama q, k (weights and biases)   the two numbers of a rotated pair lie in neighbouring rows: row 2i + s of a head
//                                     is row i + s·d/2 of Hugging Face's head, s = 0, 1
//   experts                           one tensor [experts, out, in] of a layer's gate, up and down matrices
//   kv_b_proj                         attn_k_b [heads, kv_lora_rank, nope], a head's key rows transposed, and attn_v_b
//                                     [heads, v, kv_lora_rank], its value rows; attn_kv_b as it is in files of before
//                                     2025-04
//   head                              output.weight, absent if tied
//   rope_freqs.weight                 of llama3 scaling (model/gguf_config.h)
//   prediction module                 blk.{layers}.nextn.*; its copies of embedding and head may be there and must
//                                     equal them
// Names: the table in gguf_params.cc. Sources: llama.cpp's converter (convert_hf_to_gguf.py) and gguf-py's tensor
// names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "model/param_source.h"
#include "store/tensors.h"

namespace r1 {

struct GgufTensor {
  enum class Order { kSame, kRotatedPairs, kLatentKeys, kLatentValues, kDivisors };
  std::string name = {};
  std::vector<int64_t> shape = {};  // row-major
  Order order = Order::kSame;
  int64_t heads = 0;                // of kRotatedPairs
  std::vector<size_t> params = {};  // of ListParams: one, or all experts in order; none for kDivisors
  size_t parts() const { return params.empty() ? 1 : params.size(); }
};

// In the order in which ListParams names their parameters. split_latent: kv_b_proj in two.
std::vector<GgufTensor> ListGgufTensors(const ModelConfig& config, bool split_latent = true);

// Values of one part of a tensor, one expert or all of it, in the order of the file. params: those of the config.
Status ReadGgufPart(const GgufTensor& tensor, size_t part, const ModelConfig& config, const ParamSource& params,
                    std::vector<float>* values);

// The parameters that a GGUF file's tensors hold. The file is checked against the config at once: every tensor of the
// list is there with its shape and a type that can be decoded, and no other one.
Result<std::unique_ptr<ParamSource>> ParamsOfGguf(std::unique_ptr<TensorSet> file, const ModelConfig& config);

// A .gguf file, or a folder with one and no config.json.
Result<ModelSource> OpenGgufModel(const std::string& path);

}  // namespace r1
