#include "model/adapter.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace r1 {

Adapter::Adapter(const LoraConfig& config, ParamList list, std::string base_name, uint64_t seed)
    : config_(config), list_(std::move(list)), base_name_(std::move(base_name)) {
  params_ = AlignedBuffer<float>(list_.total);
  InitLora(list_, seed, params_.data());
  int64_t elements = 0;
  for (const ParamSpec& spec : list_.specs)
    elements += kernels::PackedElements(spec.cols, spec.rows) + kernels::PackedElements(spec.rows, spec.cols);
  packed_ = AlignedBuffer<Bf16>(elements);
  Bf16* next = packed_.data();
  for (const ParamSpec& spec : list_.specs) {
    Weight w;
    w.w = params_.data() + spec.offset;
    w.n = spec.rows;
    w.k = spec.cols;
    w.offset = spec.offset;
    w.forward = next;
    next += kernels::PackedElements(w.k, w.n);
    w.backward = next;
    next += kernels::PackedElements(w.n, w.k);
    weights_.push_back(w);
  }
}

void Adapter::Attach(const ParamList& model, Weight* w) {
  std::vector<LowRank> parts;
  for (const ParamSpec& spec : model.specs) {
    if (spec.offset < w->offset || spec.offset >= w->offset + w->n * w->k) continue;
    const std::string_view module = LoraModuleOf(spec.name);
    for (size_t i = 0; i < weights_.size(); i += 2) {
      if (LoraModuleOf(list_.specs[i].name) != module) continue;
      R1_CHECK(spec.cols == w->k, "a parameter of another width in a matrix");
      parts.push_back(
          {weights_[i], weights_[i + 1], (spec.offset - w->offset) / w->k, static_cast<float>(config_.scale())});
    }
  }
  if (parts.empty()) return;
  attached_.push_back(std::move(parts));
  w->low_rank = attached_.back().data();
  w->low_rank_count = static_cast<int64_t>(attached_.back().size());
}

void Adapter::Pack(ThreadPool& pool) {
  const kernels::KernelTable& k = kernels::Kernels();
  pool.ParallelFor(static_cast<int64_t>(weights_.size()), [&](int64_t i, int) {
    const Weight& w = weights_[static_cast<size_t>(i)];
    Bf16* packed = packed_.data();
    k.pack_nk(packed + (w.forward - packed), w.w, w.n, w.k, w.k);
    k.pack_kn(packed + (w.backward - packed), w.w, w.n, w.k, w.k);
  });
}

void Adapter::MergeInto(const ParamSpec& spec, float* w) const {
  const std::string_view module = LoraModuleOf(spec.name);
  for (size_t i = 0; i < weights_.size(); i += 2) {
    if (LoraModuleOf(list_.specs[i].name) != module) continue;
    AddLowRankProduct(w, spec.rows, spec.cols, weights_[i + 1].w, weights_[i].w, config_.lora_r, config_.scale());
  }
}

}  // namespace r1
