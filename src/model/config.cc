#include "model/config.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/fields.h"
#include "base/json.h"
#include "kernels/kernels.h"
#include "model/rope.h"

namespace r1 {

namespace {

// Chosen by measurement, docs/log/2026-11-22-mini-v3.md: fine-grained experts of which several are used make the model
// robust to the noisy updates of reinforcement learning; the prediction module makes the base verify its sums.
ModelConfig MiniV3() {
  ModelConfig c;
  c.kv_lora_rank = 96;
  c.moe_intermediate_size = 64;
  c.n_routed_experts = 16;
  c.num_experts_per_tok = 4;
  c.n_group = 4;
  c.topk_group = 2;
  c.num_nextn_predict_layers = 1;
  return c;
}

ModelConfig Dense(int64_t width, int64_t layers, int64_t heads, int64_t ffn, int64_t vocab) {
  ModelConfig c;
  c.model_type = "llama";
  c.hidden_size = width;
  c.num_hidden_layers = layers;
  c.num_attention_heads = heads;
  c.num_key_value_heads = heads;
  c.head_dim = width / heads;
  c.intermediate_size = ffn;
  c.vocab_size = vocab;
  return c;
}

ModelConfig Tiny() {
  ModelConfig c = MiniV3();
  c.hidden_size = 64;
  c.intermediate_size = 96;
  c.moe_intermediate_size = 32;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.num_key_value_heads = 2;
  c.kv_lora_rank = 32;
  c.qk_nope_head_dim = 16;
  c.qk_rope_head_dim = 16;
  c.n_routed_experts = 8;
  c.num_experts_per_tok = 2;
  return c;
}

// One small model of each published kind, with all that sets it apart.
ModelConfig TinyLlama3() {
  ModelConfig c = Dense(64, 2, 4, 96, 0);
  c.num_key_value_heads = 2;
  c.rope_theta = 500000;
  c.rope_scaling = {.rope_type = "llama3", .factor = 8, .original_max_position_embeddings = 64};
  return c;
}

ModelConfig TinyQwen2() {
  ModelConfig c = Dense(64, 2, 4, 96, 0);
  c.model_type = "qwen2";
  c.num_key_value_heads = 2;
  c.rope_theta = 1e6;
  c.rms_norm_eps = 1e-6;
  c.tie_word_embeddings = true;
  return c;
}

ModelConfig TinyQwen3() {
  ModelConfig c = TinyQwen2();
  c.model_type = "qwen3";
  c.head_dim = 32;
  return c;
}

ModelConfig TinyV2() {
  ModelConfig c = Tiny();
  c.model_type = "deepseek_v2";
  c.num_nextn_predict_layers = 0;
  c.scoring_func = "softmax";
  c.norm_topk_prob = false;
  c.rope_scaling = {.rope_type = "yarn",
                    .factor = 4,
                    .original_max_position_embeddings = 128,
                    .mscale = 0.707,
                    .mscale_all_dim = 0.707};
  return c;
}

struct Preset {
  const char* name;
  ModelConfig config;
};

std::vector<Preset> Presets() {
  return {{"mini-v3", MiniV3()},
          {"mini-dense", Dense(128, 4, 4, 384, 0)},
          {"student-64", Dense(64, 4, 4, 192, 0)},
          {"student-32", Dense(32, 4, 2, 96, 0)},
          {"mini", Dense(128, 4, 4, 512, 512)},
          {"A", Dense(256, 6, 4, 1024, 4096)},
          {"tiny", Tiny()},
          {"tiny-dense", Dense(64, 2, 2, 96, 0)},
          {"tiny-v2", TinyV2()},
          {"tiny-llama3", TinyLlama3()},
          {"tiny-qwen2", TinyQwen2()},
          {"tiny-qwen3", TinyQwen3()}};
}

struct Architecture {
  const char* model_type;
  const char* name;  // of the class in Hugging Face files, without its task
};
constexpr Architecture kArchitectures[] = {{"deepseek_v3", "DeepseekV3"},
                                           {"deepseek_v2", "DeepseekV2"},
                                           {"llama", "Llama"},
                                           {"qwen2", "Qwen2"},
                                           {"qwen3", "Qwen3"}};
const Architecture* ArchitectureOf(const std::string& model_type) {
  for (const Architecture& a : kArchitectures) {
    if (model_type == a.model_type) return &a;
  }
  return nullptr;
}
std::string KnownModelTypes() {
  std::string names;
  for (const Architecture& a : kArchitectures) names += (names.empty() ? "" : ", ") + std::string(a.model_type);
  return names;
}

// Ends the architecture's name of a model with a scalar head.
constexpr const char* kScalarHead = "ForSequenceClassification";

struct Limit {
  const char* name;
  int64_t value, min, max;
};

}  // namespace

std::vector<std::string> ModelPresetNames() {
  std::vector<std::string> names;
  for (const Preset& p : Presets()) names.emplace_back(p.name);
  return names;
}

Result<ModelConfig> ModelPreset(const std::string& name) {
  std::string known;
  for (const Preset& p : Presets()) {
    if (name == p.name) return p.config;
    known += (known.empty() ? "" : ", ") + std::string(p.name);
  }
  const std::string nearest = NearestName(name, ModelPresetNames());
  return Error{ErrorCode::kUsage, "unknown model preset '" + name + "'" +
                                      (nearest.empty() ? "" : "; did you mean '" + nearest + "'?") +
                                      " Known: " + known};
}

Status ValidateStoredConfig(const ModelConfig& c, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (ArchitectureOf(c.model_type) == nullptr)
    return fail("model_type '" + c.model_type + "' is not supported (" + KnownModelTypes() + ")");
  const Limit limits[] = {{"vocab_size", c.vocab_size, 1, 1 << 22},
                          {"hidden_size", c.hidden_size, 32, 1 << 16},
                          {"intermediate_size", c.intermediate_size, 16, 1 << 18},
                          {"num_hidden_layers", c.num_hidden_layers, 1, 1024},
                          {"num_nextn_predict_layers", c.num_nextn_predict_layers, 0, 1},
                          {"num_attention_heads", c.num_attention_heads, 1, 1024},
                          {"max_position_embeddings", c.max_position_embeddings, 1, 1 << 20}};
  for (const Limit& l : limits) {
    if (l.value < l.min || l.value > l.max)
      return fail(std::string(l.name) + " is " + std::to_string(l.value) + "; it must be in " + std::to_string(l.min) +
                  " .. " + std::to_string(l.max));
  }
  if (c.num_labels != 0 && c.num_labels != 1)
    return fail("num_labels is " + std::to_string(c.num_labels) +
                "; 0 (language model) and 1 (scalar head) are supported");
  if (c.num_nextn_predict_layers != 0 && c.model_type != "deepseek_v3")
    return fail("num_nextn_predict_layers needs model_type deepseek_v3");
  if (c.num_labels == 1 && c.num_nextn_predict_layers != 0)
    return fail("num_nextn_predict_layers must be 0 with a scalar head (num_labels 1)");
  if (!(c.rms_norm_eps > 0) || !(c.rms_norm_eps < 1)) return fail("rms_norm_eps must be in (0, 1)");
  if (!(c.rope_theta > 1) || !std::isfinite(c.rope_theta)) return fail("rope_theta must be above 1");
  R1_TRY(ValidateRopeScaling(c.rope_scaling, where));
  if (c.is_mla()) {
    const Limit mla[] = {{"q_lora_rank", c.q_lora_rank, 0, 1 << 16},
                         {"kv_lora_rank", c.kv_lora_rank, 16, 1 << 16},
                         {"qk_nope_head_dim", c.qk_nope_head_dim, 1, 4096},
                         {"qk_rope_head_dim", c.qk_rope_head_dim, 2, 4096},
                         {"v_head_dim", c.v_head_dim, 1, 4096},
                         {"first_k_dense_replace", c.first_k_dense_replace, 0, 1024},
                         {"n_routed_experts", c.n_routed_experts, 0, kernels::kMaxExperts},
                         {"n_shared_experts", c.n_shared_experts, 0, 64}};
    for (const Limit& l : mla) {
      if (l.value < l.min || l.value > l.max)
        return fail(std::string(l.name) + " is " + std::to_string(l.value) + "; it must be in " +
                    std::to_string(l.min) + " .. " + std::to_string(l.max));
    }
    if (c.attention_bias) return fail("attention_bias is not supported with latent attention");
    if (c.qk_rope_head_dim % 2 != 0) return fail("qk_rope_head_dim must be even");
    if (c.n_routed_experts > 0) {
      if (c.moe_intermediate_size < 16 || c.moe_intermediate_size > (1 << 18))
        return fail("moe_intermediate_size must be in 16 .. 262144");
      if (c.n_group < 1 || c.n_routed_experts % c.n_group != 0) return fail("n_group must divide n_routed_experts");
      if (c.topk_group < 1 || c.topk_group > c.n_group) return fail("topk_group must be in 1 .. n_group");
      const int64_t reachable = c.topk_group * (c.n_routed_experts / c.n_group);
      if (c.num_experts_per_tok < 1 || c.num_experts_per_tok > reachable)
        return fail("num_experts_per_tok must be in 1 .. " + std::to_string(reachable) +
                    " (experts of topk_group groups)");
      if (c.scoring_func != "sigmoid" && c.scoring_func != "softmax")
        return fail("scoring_func '" + c.scoring_func + "' is not supported (sigmoid, softmax)");
      if (c.scoring_func == "sigmoid" && c.n_group > 1 && c.n_routed_experts / c.n_group < 2)
        return fail("a group needs at least 2 experts (its score is the sum of its two best)");
      if (!(c.routed_scaling_factor > 0) || !std::isfinite(c.routed_scaling_factor))
        return fail("routed_scaling_factor must be positive");
      if (!c.has_router_bias() && c.scoring_func != "softmax")
        return fail("scoring_func must be softmax with model_type deepseek_v2");
      // The published programs disagree on whether both apply.
      if (!c.has_router_bias() && c.norm_topk_prob && c.routed_scaling_factor != 1)
        return fail("norm_topk_prob with a routed_scaling_factor other than 1 is not supported for deepseek_v2");
    }
  } else {
    if (c.attention_bias && c.model_type == "qwen2")
      return fail("attention_bias is not a field of qwen2, whose q, k and v always have biases");
    if (c.num_key_value_heads < 1 || c.num_attention_heads % c.num_key_value_heads != 0)
      return fail("num_key_value_heads must divide num_attention_heads");
    if (c.head_dim < 2 || c.head_dim > 4096 || c.head_dim % 2 != 0)
      return fail("head_dim is " + std::to_string(c.head_dim) + "; it must be even, in 2 .. 4096");
  }
  return {};
}

Status ValidateModelConfig(const ModelConfig& c, const std::string& where) {
  R1_TRY(ValidateStoredConfig(c, where));
  const auto whole = [&](const std::string& name, int64_t value, int64_t unit) -> Status {
    if (value % unit == 0) return {};
    return Error{ErrorCode::kRefused, where + ": " + name + " is " + std::to_string(value) +
                                          "; training and bf16 inference need a multiple of " + std::to_string(unit) +
                                          " (r1 logits and r1 generate take others with --dtype f32)"};
  };
  R1_TRY(whole("hidden_size", c.hidden_size, 32));
  return c.is_mla() ? whole("v_head_dim", c.v_head_dim, 16) : whole("head_dim", c.head_dim, 16);
}

namespace {

// The object of config.json under "rope_scaling", or under "rope_parameters" in newer files.
Result<RopeScaling> RopeScalingFromJson(const nlohmann::json& j, const std::string& where) {
  RopeScaling s;
  const auto bad = [&](const std::string& what) { return Error{ErrorCode::kBadInput, where + ": " + what}; };
  if (!j.is_object()) return bad("not an object");
  for (const char* key : {"type", "rope_type"}) {  // the first is the older spelling
    if (!j.contains(key)) continue;
    if (!j[key].is_string()) return bad(std::string("'") + key + "' must be a string");
    s.rope_type = j[key].get<std::string>();
  }
  if (s.rope_type == "default") return s;
  const std::pair<const char*, double*> numbers[] = {{"factor", &s.factor},
                                                     {"low_freq_factor", &s.low_freq_factor},
                                                     {"high_freq_factor", &s.high_freq_factor},
                                                     {"beta_fast", &s.beta_fast},
                                                     {"beta_slow", &s.beta_slow},
                                                     {"mscale", &s.mscale},
                                                     {"mscale_all_dim", &s.mscale_all_dim},
                                                     {"attention_factor", &s.attention_factor}};
  for (const auto& [key, value] : numbers) {
    if (!j.contains(key) || j[key].is_null()) continue;
    if (!j[key].is_number()) return bad(std::string("'") + key + "' must be a number");
    *value = j[key].get<double>();
  }
  if (!j.contains("factor")) return bad("no factor");
  const char* original = "original_max_position_embeddings";
  if (j.contains(original) && !j[original].is_null()) {
    if (!j[original].is_number_integer()) return bad(std::string("'") + original + "' must be a whole number");
    s.original_max_position_embeddings = j[original].get<int64_t>();
  }
  if (j.contains("truncate") && j["truncate"] != true)
    return Error{ErrorCode::kRefused, where + ": 'truncate' is set to a value that this version does not support"};
  return s;
}

nlohmann::ordered_json RopeScalingToJson(const RopeScaling& s) {
  nlohmann::ordered_json j;
  j["rope_type"] = s.rope_type;
  j["factor"] = s.factor;
  if (s.original_max_position_embeddings > 0)
    j["original_max_position_embeddings"] = s.original_max_position_embeddings;
  if (s.rope_type == "llama3") {
    j["low_freq_factor"] = s.low_freq_factor;
    j["high_freq_factor"] = s.high_freq_factor;
  } else if (s.rope_type == "yarn") {
    j["beta_fast"] = s.beta_fast;
    j["beta_slow"] = s.beta_slow;
    if (s.mscale > 0) j["mscale"] = s.mscale;
    if (s.mscale_all_dim > 0) j["mscale_all_dim"] = s.mscale_all_dim;
    if (s.attention_factor > 0) j["attention_factor"] = s.attention_factor;
  }
  return j;
}

// Labels of the head: 0 unless the architecture is a sequence classifier. Its files say num_labels, or name the labels.
Result<int64_t> NumLabels(const nlohmann::json& j, const std::string& where) {
  if (!j.contains("architectures") || !j["architectures"].is_array() || j["architectures"].empty()) return int64_t{0};
  const nlohmann::json& name = j["architectures"][0];
  if (!name.is_string() || !name.get<std::string>().ends_with(kScalarHead)) return int64_t{0};
  if (j.contains("num_labels") && !j["num_labels"].is_null()) {
    if (!j["num_labels"].is_number_integer())
      return Error{ErrorCode::kBadInput, where + ": 'num_labels' must be a whole number"};
    if (j["num_labels"] == 1) return int64_t{1};
  } else if (j.contains("id2label") && j["id2label"].size() == 1) {
    return int64_t{1};
  }
  return Error{ErrorCode::kRefused, where + ": a classifier with one label ('num_labels' 1) is supported, no other"};
}

}  // namespace

std::string ModelConfigToJson(const ModelConfig& config) {
  nlohmann::ordered_json j;
  j["architectures"] = {std::string(ArchitectureOf(config.model_type)->name) +
                        (config.num_labels == 0 ? "ForCausalLM" : kScalarHead)};
  ModelConfig copy = config;
  for (const Field& field : CollectFields(copy)) {
    std::visit([&](auto* value) { j[field.name] = *value; }, field.value);
  }
  if (config.num_labels != 0) j["num_labels"] = config.num_labels;
  j["hidden_act"] = "silu";
  j["torch_dtype"] = "float32";
  if (config.is_mla()) {
    j["rope_interleave"] = true;
    j["topk_method"] = config.has_router_bias() ? "noaux_tc" : config.n_group > 1 ? "group_limited_greedy" : "greedy";
    j["moe_layer_freq"] = 1;
    if (config.q_lora_rank == 0) j["q_lora_rank"] = nullptr;
    if (!config.has_router_bias()) j.erase("num_nextn_predict_layers");
    for (const char* key : {"num_key_value_heads", "head_dim"}) j.erase(key);
    j["num_key_value_heads"] = config.num_attention_heads;
  } else {
    for (const char* key :
         {"moe_intermediate_size", "num_nextn_predict_layers", "first_k_dense_replace", "q_lora_rank", "kv_lora_rank",
          "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "n_routed_experts", "n_shared_experts",
          "num_experts_per_tok", "n_group", "topk_group", "norm_topk_prob", "scoring_func", "routed_scaling_factor"}) {
      j.erase(key);
    }
    if (config.attention_bias) j["attention_bias"] = true;
    if (config.model_type == "qwen2") j["use_sliding_window"] = false;
  }
  if (config.rope_scaling != RopeScaling{}) j["rope_scaling"] = RopeScalingToJson(config.rope_scaling);
  return j.dump(2) + "\n";
}

Result<ModelConfig> ModelConfigFromJson(const std::string& text, const std::string& where) {
  R1_ASSIGN(const nlohmann::json j, ParseJson(text, where));
  if (!j.is_object()) return Error{ErrorCode::kBadInput, where + ": not a JSON object"};
  ModelConfig c;
  if (!j.contains("model_type")) return Error{ErrorCode::kBadInput, where + ": no model_type"};
  for (const Field& field : CollectFields(c)) {
    if (!j.contains(field.name) || j[field.name].is_null()) continue;
    const nlohmann::json& value = j[field.name];
    const auto wrong = [&](const char* want) {
      return Error{ErrorCode::kBadInput, where + ": '" + field.name + "' must be " + want};
    };
    if (auto* const* b = std::get_if<bool*>(&field.value)) {
      if (!value.is_boolean()) return wrong("true or false");
      **b = value.get<bool>();
    } else if (auto* const* i = std::get_if<int64_t*>(&field.value)) {
      if (!value.is_number_integer()) return wrong("a whole number");
      **i = value.get<int64_t>();
    } else if (auto* const* d = std::get_if<double*>(&field.value)) {
      if (!value.is_number()) return wrong("a number");
      **d = value.get<double>();
    } else {
      if (!value.is_string()) return wrong("a string");
      *std::get<std::string*>(field.value) = value.get<std::string>();
    }
  }
  if (j.contains("q_lora_rank") && j["q_lora_rank"].is_null()) c.q_lora_rank = 0;
  const auto present = [&](const char* key) { return j.contains(key) && !j[key].is_null(); };
  const auto refuse = [&](const char* key) {
    return Error{ErrorCode::kRefused, where + ": '" + key + "' is set to a value that this version does not support"};
  };
  // Absent or null is as good as the value that this program computes with.
  const std::pair<const char*, nlohmann::json> fixed[] = {
      {"mlp_bias", false}, {"hidden_act", "silu"}, {"use_sliding_window", false}};
  for (const auto& [key, value] : fixed) {
    if (present(key) && j[key] != value) return refuse(key);
  }
  if (present("layer_types")) {
    for (const nlohmann::json& type : j["layer_types"]) {
      if (type != "full_attention") return refuse("layer_types");
    }
  }
  for (const char* key :
       {"rope_scaling", "rope_parameters"}) {  // the second is the newer spelling, with rope_theta in it
    if (!present(key)) continue;
    const nlohmann::json& rope = j[key];
    R1_ASSIGN(c.rope_scaling, RopeScalingFromJson(rope, where + ": '" + key + "'"));
    if (!rope.contains("rope_theta")) continue;
    if (!rope["rope_theta"].is_number()) return refuse(key);
    c.rope_theta = rope["rope_theta"].get<double>();
  }
  if (c.is_mla()) {
    if (present("rope_interleave") && j["rope_interleave"] != true) return refuse("rope_interleave");
    if (present("moe_layer_freq") && j["moe_layer_freq"] != 1) return refuse("moe_layer_freq");
    if (c.has_router_bias()) {
      if (c.scoring_func == "sigmoid" && present("topk_method") && j["topk_method"] != "noaux_tc")
        return refuse("topk_method");
    } else {
      if (!present("scoring_func")) c.scoring_func = "softmax";
      if (!present("norm_topk_prob")) c.norm_topk_prob = false;
      if (j.value("topk_method", "greedy") == "greedy") {
        c.n_group = c.topk_group = 1;
      } else if (j["topk_method"] != "group_limited_greedy") {
        return refuse("topk_method");
      }
    }
  }
  if (present("attention_bias")) {
    if (!j["attention_bias"].is_boolean()) return refuse("attention_bias");
    c.attention_bias = j["attention_bias"].get<bool>();
  }
  // The tensors' shapes do not tell these, and the defaults of this program are not those of the files.
  if (j.contains("n_routed_experts") && j["n_routed_experts"].is_null()) c.n_routed_experts = 0;
  std::vector<const char*> needed = {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"};
  if (c.is_mla() && c.n_routed_experts > 0) {
    needed.insert(needed.end(), {"n_routed_experts", "num_experts_per_tok", "routed_scaling_factor"});
    if (c.has_router_bias() || c.n_group > 1) needed.insert(needed.end(), {"n_group", "topk_group"});
  }
  for (const char* key : needed) {
    if (!present(key)) return Error{ErrorCode::kBadInput, where + ": no " + key};
  }
  R1_ASSIGN(c.num_labels, NumLabels(j, where));
  if (!present("rms_norm_eps")) c.rms_norm_eps = 1e-6;
  if (!c.is_mla() && !present("num_key_value_heads")) c.num_key_value_heads = c.num_attention_heads;
  if (!c.is_mla() && !present("head_dim") && c.num_attention_heads > 0)
    c.head_dim = c.hidden_size / c.num_attention_heads;
  R1_TRY(ValidateStoredConfig(c, where));
  return c;
}

}  // namespace r1
