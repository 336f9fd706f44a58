// An adapter of PEFT merged into a stored model: W + scale · B·A in float, a parameter at a time as it is read.
//   scale = lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora.
// Adapters come from elsewhere: every tensor must be the A or B of a matrix that the model has, with the shapes that
// matrix and rank ask for. Fields of adapter_config.json that would change the arithmetic in another way are refused by
// name: use_dora, fan_in_fan_out, lora_bias, a bias other than none, modules_to_save, rank_pattern, alpha_pattern,
// initialisations that also change the base (PiSSA, OLoRA, ...), and every field that this program does not know if it
// is set to anything.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/param_source.h"

namespace r1 {

// folder: adapter_config.json and adapter_model.safetensors (model/lora.h). Entries keep the types that the base's have
// as stored. Errors: kBadInput for what is broken, kRefused for what is not supported; they name file and field.
Result<std::unique_ptr<ParamSource>> MergeAdapter(std::unique_ptr<ParamSource> base, const std::string& folder);

}  // namespace r1
