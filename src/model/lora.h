// Low-rank adapters (LoRA, Hu et al. 2021): what a module computes is x·Wᵀ + (alpha / r) (x·Aᵀ)·Bᵀ with W frozen.
//   A [r, in] starts uniform in ±1/sqrt(in) (PEFT: Kaiming uniform with a = sqrt(5)), B [out, r] at zero.
// Modules that can have one: every projection of the main model's layers (kLoraModules). Routed experts, router,
// embedding, heads and the prediction module have none.
//
// On disk as PEFT writes it, in one folder:
//   adapter_config.json         peft_type LORA, task_type CAUSAL_LM, r, lora_alpha, target_modules, ...
//   adapter_model.safetensors   F32, base_model.model.MODULE.lora_A.weight [r, in] and .lora_B.weight [out, r]
// Source: huggingface/peft, LoraConfig and save_pretrained.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/params.h"

namespace r1 {

// Names of settings and their meaning are those of TRL's ModelConfig.
struct LoraConfig {
  int64_t lora_r = 0;
  double lora_alpha = 32;
  std::string lora_target_modules = "all-linear";

  template <class V>
  void Fields(V& v) {
    v("lora_r", lora_r,
      "rank of the adapters that are trained in place of the weights (LoRA); 0: all weights are trained");
    v("lora_alpha", lora_alpha, "what an adapter computes is multiplied by lora_alpha / lora_r");
    v("lora_target_modules", lora_target_modules,
      "modules with an adapter, separated by commas: q_proj, v_proj, ...; all-linear: every projection of the layers, "
      "routed experts aside");
  }
  bool on() const { return lora_r > 0; }
  double scale() const { return lora_alpha / static_cast<double>(lora_r); }
};
Status ValidateLoraConfig(const LoraConfig& config, const std::string& where);

inline constexpr std::string_view kLoraModules[] = {
    "q_proj",    "k_proj",    "v_proj",  "o_proj",   "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa",
    "kv_b_proj", "gate_proj", "up_proj", "down_proj"};

// The adapter's parameters, A then B of each module, in the order of the model's list; places in a flat vector of their
// own. Error if a named module is none of this model's that can have one.
Result<ParamList> ListLoraParams(const ModelConfig& model, const LoraConfig& config, const std::string& where);
// "model.layers.0.mlp.up_proj" of "model.layers.0.mlp.up_proj.weight" and of its "....lora_A.weight".
std::string_view LoraModuleOf(std::string_view tensor);

// As PEFT draws them. flat is laid out by list.
void InitLora(const ParamList& list, uint64_t seed, float* flat);

// w [rows, cols] += scale · b·a, with b [rows, r], a [r, cols]; sums over r in double, in order.
void AddLowRankProduct(float* w, int64_t rows, int64_t cols, const float* b, const float* a, int64_t r, double scale);

// base_name: base_model_name_or_path, what PEFT loads under the adapter.
std::string LoraConfigToPeftJson(const ModelConfig& model, const LoraConfig& config, const std::string& base_name);
inline constexpr const char* kPeftPrefix = "base_model.model.";

}  // namespace r1
