// An adapter in a model (model/lora.h): its parameters in a flat vector of their own, packed copies for the products,
// and for each matrix of the model what is added to its product.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "base/memory.h"
#include "base/threads.h"
#include "model/lora.h"

namespace r1 {

class Adapter {
 public:
  // list: ListLoraParams of the model's config, initialised from the seed.
  Adapter(const LoraConfig& config, ParamList list, std::string base_name, uint64_t seed);
  // Pointers into it are given to the model's matrices.
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;

  const LoraConfig& config() const { return config_; }
  const ParamList& params() const { return list_; }
  const std::string& base_name() const { return base_name_; }  // of the frozen model, for who loads both
  float* data() { return params_.data(); }
  const float* data() const { return params_.data(); }

  // Adds to w's product what the adapter has for the parameters it is made of (specs of `model`).
  void Attach(const ParamList& model, Weight* w);
  // Renews the packed copies after the parameters changed.
  void Pack(ThreadPool& pool);
  // w (values of the model's parameter `spec`) += scale · B·A, if the parameter has an adapter.
  void MergeInto(const ParamSpec& spec, float* w) const;

 private:
  LoraConfig config_;
  ParamList list_;
  std::string base_name_;
  AlignedBuffer<float> params_;
  AlignedBuffer<Bf16> packed_;
  std::vector<Weight> weights_;                 // of list_
  std::vector<std::vector<LowRank>> attached_;  // one a matrix; what Weight::low_rank points to
};

}  // namespace r1
