#include "model/gguf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "base/log.h"
#include "base/quote.h"
#include "model/rope.h"
#include "store/quant.h"

namespace r1 {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 30;
constexpr int64_t kSoftmaxGates = 1, kSigmoidGates = 2;
constexpr std::string_view kArchitectures[] = {"llama", "qwen2", "qwen3", "deepseek2"};
constexpr char kOwnModelType[] = "r1.model_type";
constexpr char kOwnRope[] = "r1.rope_scaling.";
constexpr char kDivisors[] = "rope_freqs.weight";

// Keys that change what a layer computes, with the value that changes nothing.
struct Refused {
  const char* suffix;
  double neutral;
};
constexpr Refused kRefusedKeys[] = {{"attention.sliding_window", 0},
                                    {"attention.scale", 0},
                                    {"attention.clamp_kqv", 0},
                                    {"attention.max_alibi_bias", 0},
                                    {"attention.causal", 1},
                                    {"attn_logit_softcapping", 0},
                                    {"final_logit_softcapping", 0},
                                    {"logit_scale", 0},
                                    {"residual_scale", 0},
                                    {"embedding_scale", 0},
                                    {"rope.scaling.yarn_ext_factor", 1},
                                    {"rope.scaling.yarn_attn_factor", 1},
                                    {"moe_every_n_layers", 0},
                                    {"pooling_type", 0}};

struct PublishedGroups {
  int64_t experts, gates, groups, used;
};
constexpr PublishedGroups kPublishedGroups[] = {{256, kSigmoidGates, 8, 4}, {160, kSoftmaxGates, 8, 3}};

// The double nearest to the shortest decimal that reads as this float.
double Plain(double value) {
  char text[64];
  const float narrow = static_cast<float>(value);
  const auto end = std::to_chars(text, text + sizeof text, narrow);
  double plain = static_cast<double>(narrow);
  (void)std::from_chars(text, end.ptr, plain);
  return plain;
}

int64_t RotatedWidth(const ModelConfig& c) { return c.is_mla() ? c.qk_rope_head_dim : c.head_dim; }

bool SameDivisors(const ModelConfig& config, const std::vector<float>& wanted) {
  constexpr float kTolerance = 1e-4F;  // converters compute in float32
  const std::vector<float> found = FrequencyDivisors(config);
  if (found.size() != wanted.size()) return false;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!(std::abs(found[i] - wanted[i]) <= kTolerance * std::abs(wanted[i]))) return false;
  }
  return true;
}

class ConfigReader {
 public:
  explicit ConfigReader(const GgufFile& file) : file_(file) {}

  Result<ModelConfig> Read() {
    R1_TRY(CheckGgufModel(file_));
    R1_ASSIGN(const std::string_view name, file_.String("general.architecture"));
    arch_ = name;
    if (std::find(std::begin(kArchitectures), std::end(kArchitectures), name) == std::end(kArchitectures)) {
      return Refuse(fmt::format("general.architecture is {}; this version reads {}", Quote(name),
                                fmt::join(kArchitectures, ", ")));
    }
    R1_TRY(RefuseKeys());
    R1_ASSIGN(c_.hidden_size, Size("embedding_length"));
    R1_ASSIGN(c_.intermediate_size, Size("feed_forward_length"));
    R1_ASSIGN(c_.num_attention_heads, Size("attention.head_count"));
    R1_ASSIGN(c_.max_position_embeddings, Size("context_length"));
    R1_ASSIGN(c_.rms_norm_eps, Number("attention.layer_norm_rms_epsilon"));
    R1_ASSIGN(c_.rope_theta, Number("rope.freq_base", 10000));
    R1_ASSIGN(const int64_t blocks, Size("block_count"));
    if (blocks > static_cast<int64_t>(file_.tensors().size())) {  // no list is made of what cannot be there
      return BadKey(Key("block_count"), fmt::format("{} blocks, but only {} tensors", blocks, file_.tensors().size()));
    }
    R1_ASSIGN(c_.num_nextn_predict_layers, Size("nextn_predict_layers", 0));
    c_.num_hidden_layers = blocks - c_.num_nextn_predict_layers;
    R1_ASSIGN(c_.vocab_size, Vocabulary());
    c_.tie_word_embeddings = file_.Find("output.weight") == nullptr;
    if (arch_ == "deepseek2") {
      R1_TRY(Latent());
    } else {
      R1_TRY(Grouped());
    }
    R1_TRY(Scaling());
    R1_TRY(ValidateStoredConfig(c_, file_.path()));
    return c_;
  }

 private:
  std::string Key(std::string_view suffix) const { return fmt::format("{}.{}", arch_, suffix); }
  Error Refuse(const std::string& what) const {
    return Error{ErrorCode::kRefused, fmt::format("{}: {}", file_.path(), what)};
  }
  Error BadKey(const std::string& key, const std::string& what) const {
    return Error{ErrorCode::kBadInput, fmt::format("{}: key {}: {}", file_.path(), Quote(key), what)};
  }

  // absent: what to give if the key is; below 0: it must be there.
  Result<int64_t> Size(std::string_view suffix, int64_t absent = -1) const {
    const std::string key = Key(suffix);
    if (absent >= 0 && file_.FindKey(key) == nullptr) return absent;
    R1_ASSIGN(const int64_t value, file_.Integer(key));
    if (value < 0 || value > kMaxSize) return BadKey(key, fmt::format("{} is not from 0 to {}", value, kMaxSize));
    return value;
  }
  Result<double> Number(std::string_view suffix, std::optional<double> absent = std::nullopt) const {
    return NumberOf(Key(suffix), absent);
  }
  Result<double> NumberOf(const std::string& key, std::optional<double> absent) const {
    if (absent && file_.FindKey(key) == nullptr) return *absent;
    R1_ASSIGN(const double value, file_.Number(key));
    if (!std::isfinite(value)) return BadKey(key, "it is not finite");
    return Plain(value);
  }

  Status RefuseKeys() const {
    for (const auto& [suffix, neutral] : kRefusedKeys) {
      const GgufEntry* entry = file_.FindKey(Key(suffix));
      if (entry == nullptr) continue;
      const std::optional<bool> truth = entry->Bool();
      const std::optional<double> number = truth ? std::optional<double>(*truth ? 1 : 0) : entry->Number();
      if (number != neutral) {
        return Refuse(fmt::format("key {} is set to a value that this version does not support", Quote(entry->key)));
      }
    }
    return {};
  }

  Result<int64_t> Vocabulary() const {
    if (file_.FindKey(Key("vocab_size")) != nullptr) return Size("vocab_size");
    const GgufEntry* tokens = file_.FindKey("tokenizer.ggml.tokens");
    if (tokens != nullptr) return static_cast<int64_t>(tokens->count);
    const StoredTensor* embedding = file_.Find("token_embd.weight");
    if (embedding != nullptr && embedding->shape.size() == 2) return embedding->shape[0];
    return BadKey(Key("vocab_size"), "it is absent, and there are no tokens and no token_embd.weight to tell it");
  }

  Status Expect(std::string_view suffix, int64_t wanted) const {
    R1_ASSIGN(const int64_t value, Size(suffix, wanted));
    if (value == wanted) return {};
    return Refuse(fmt::format("key {} is {}; {} is supported here", Quote(Key(suffix)), value, wanted));
  }

  Status Grouped() {
    c_.model_type = arch_;
    R1_ASSIGN(c_.num_key_value_heads, Size("attention.head_count_kv", c_.num_attention_heads));
    R1_ASSIGN(c_.head_dim, Size("attention.key_length", c_.hidden_size / std::max<int64_t>(1, c_.num_attention_heads)));
    R1_TRY(Expect("attention.value_length", c_.head_dim));
    R1_TRY(Expect("rope.dimension_count", c_.head_dim));
    R1_TRY(Expect("expert_count", 0));
    c_.attention_bias = arch_ != "qwen2" && file_.Find("blk.0.attn_q.bias") != nullptr;
    return {};
  }

  Status Latent() {
    R1_ASSIGN(c_.kv_lora_rank, Size("attention.kv_lora_rank"));
    R1_ASSIGN(c_.q_lora_rank, Size("attention.q_lora_rank", 0));
    R1_ASSIGN(c_.qk_rope_head_dim, Size("rope.dimension_count"));
    const bool split = file_.FindKey(Key("attention.key_length_mla")) != nullptr;
    const char* key_length = split ? "attention.key_length_mla" : "attention.key_length";
    R1_ASSIGN(const int64_t width, Size(key_length));
    R1_ASSIGN(c_.v_head_dim, Size(split ? "attention.value_length_mla" : "attention.value_length"));
    c_.qk_nope_head_dim = width - c_.qk_rope_head_dim;
    if (c_.qk_nope_head_dim < 1) {
      return BadKey(Key(key_length),
                    fmt::format("{} leaves nothing beside the {} rotated dimensions", width, c_.qk_rope_head_dim));
    }
    if (split) {
      R1_TRY(Expect("attention.key_length", c_.kv_lora_rank + c_.qk_rope_head_dim));
      R1_TRY(Expect("attention.value_length", c_.kv_lora_rank));
      R1_TRY(Expect("attention.head_count_kv", 1));
    } else {
      R1_TRY(Expect("attention.head_count_kv", c_.num_attention_heads));
    }
    c_.num_key_value_heads = c_.num_attention_heads;
    R1_ASSIGN(c_.first_k_dense_replace, Size("leading_dense_block_count", 0));
    return Experts();
  }

  Status Experts() {
    R1_ASSIGN(c_.n_routed_experts, Size("expert_count", 0));
    const bool any = c_.n_routed_experts > 0;
    R1_ASSIGN(c_.num_experts_per_tok, Size("expert_used_count", any ? -1 : c_.num_experts_per_tok));
    R1_ASSIGN(c_.n_shared_experts, Size("expert_shared_count", 0));
    R1_ASSIGN(c_.moe_intermediate_size, Size("expert_feed_forward_length", any ? -1 : c_.moe_intermediate_size));
    R1_ASSIGN(const double scale, Number("expert_weights_scale", 1));
    c_.routed_scaling_factor = scale == 0 ? 1 : scale;
    c_.norm_topk_prob = false;
    if (const std::string key = Key("expert_weights_norm"); file_.FindKey(key) != nullptr) {
      R1_ASSIGN(c_.norm_topk_prob, file_.Bool(key));
    }
    R1_ASSIGN(const int64_t gates, Size("expert_gating_func", kSoftmaxGates));
    if (gates != kSoftmaxGates && gates != kSigmoidGates) {
      return Refuse(fmt::format("key {} is {}; 1 (softmax) and 2 (sigmoid) are supported",
                                Quote(Key("expert_gating_func")), gates));
    }
    c_.scoring_func = gates == kSigmoidGates ? "sigmoid" : "softmax";
    R1_TRY(Groups(gates));
    return LatentModelType();
  }

  Status Groups(int64_t gates) {
    R1_ASSIGN(c_.n_group, Size("expert_group_count", 0));
    R1_ASSIGN(c_.topk_group, Size("expert_group_used_count", 0));
    if (c_.n_group > 0 && c_.topk_group > 0) return {};
    c_.n_group = c_.topk_group = 1;
    for (const PublishedGroups& known : kPublishedGroups) {
      if (known.experts != c_.n_routed_experts || known.gates != gates) continue;
      c_.n_group = known.groups;
      c_.topk_group = known.used;
      LogWarn(
          fmt::format("{}: no key {}; taken as in the published models of {} experts: {} groups, of which {} are used",
                      file_.path(), Quote(Key("expert_group_count")), known.experts, known.groups, known.used));
    }
    return {};
  }

  Status LatentModelType() {
    const bool biases = std::any_of(file_.tensors().begin(), file_.tensors().end(), [](const StoredTensor& tensor) {
      return tensor.name.ends_with(".exp_probs_b.bias");
    });
    c_.model_type = biases || c_.num_nextn_predict_layers > 0 ? "deepseek_v3" : "deepseek_v2";
    if (file_.FindKey(kOwnModelType) == nullptr) return {};
    R1_ASSIGN(const std::string_view own, file_.String(kOwnModelType));
    if (own != "deepseek_v2" && own != "deepseek_v3")
      return BadKey(kOwnModelType, fmt::format("{} is neither deepseek_v2 nor deepseek_v3", Quote(own)));
    c_.model_type = own;
    return {};
  }

  Status Scaling() {
    RopeScaling& s = c_.rope_scaling;
    if (file_.Find(kDivisors) != nullptr) return Llama3();
    R1_ASSIGN(s.factor, Number("rope.scaling.factor", 0));
    if (s.factor == 0) {
      R1_ASSIGN(s.factor, Number("rope.scale_linear", 0));  // the older key
    }
    std::string type = s.factor == 0 || s.factor == 1 ? "none" : "linear";
    if (const std::string key = Key("rope.scaling.type"); file_.FindKey(key) != nullptr) {
      R1_ASSIGN(type, file_.String(key));
    }
    if (type == "none") {
      s = {};
      return {};
    }
    if (type != "linear" && type != "yarn") {
      return Refuse(fmt::format("key {} is {}; none, linear and yarn are supported", Quote(Key("rope.scaling.type")),
                                Quote(type)));
    }
    s.rope_type = type;
    R1_ASSIGN(s.original_max_position_embeddings, Size("rope.scaling.original_context_length", 0));
    if (type == "linear") return {};
    R1_ASSIGN(s.beta_fast, Number("rope.scaling.yarn_beta_fast", s.beta_fast));
    R1_ASSIGN(s.beta_slow, Number("rope.scaling.yarn_beta_slow", s.beta_slow));
    R1_ASSIGN(const double multiplier, Number("rope.scaling.yarn_log_multiplier", 0));
    s.mscale_all_dim = Plain(multiplier / 0.1);
    R1_ASSIGN(s.mscale, NumberOf(std::string(kOwnRope) + "mscale", s.mscale_all_dim));
    R1_ASSIGN(const double times, Number("rope.scaling.attn_factor", 0));
    if (times > 0 && times != 1) {
      s.attention_factor = Plain(times * (0.1 * std::log(s.factor) + 1));
    }
    return {};
  }

  // What made the divisors: the scaling that our own keys name, else that of the published models with one length of
  // the original context after the other.
  Status Llama3() {
    const StoredTensor& tensor = *file_.Find(kDivisors);
    const int64_t width = RotatedWidth(c_);
    if (tensor.shape != std::vector<int64_t>{width / 2} || !CanDecode(tensor.type) || width < 2) {
      return Refuse(fmt::format("tensor {} is {} of the shape {}; {} numbers are wanted", Quote(kDivisors),
                                StoredTypeName(tensor.type), ShapeText(tensor.shape), width / 2));
    }
    std::vector<float> divisors(static_cast<size_t>(tensor.elements()));
    R1_TRY(DecodeTensor(file_, tensor, divisors.data()));
    RopeScaling& s = c_.rope_scaling;
    s.rope_type = "llama3";
    s.factor = Plain(static_cast<double>(*std::max_element(divisors.begin(), divisors.end())));
    std::vector<int64_t> lengths = {8192};
    if (const std::string key = std::string(kOwnRope) + "original_max_position_embeddings";
        file_.FindKey(key) != nullptr) {
      R1_ASSIGN(lengths[0], file_.Integer(key));
      R1_ASSIGN(s.factor, NumberOf(std::string(kOwnRope) + "factor", std::nullopt));
      R1_ASSIGN(s.low_freq_factor, NumberOf(std::string(kOwnRope) + "low_freq_factor", std::nullopt));
      R1_ASSIGN(s.high_freq_factor, NumberOf(std::string(kOwnRope) + "high_freq_factor", std::nullopt));
    } else {
      for (int64_t length = 16; length <= (1 << 20); length *= 2) lengths.push_back(length);
    }
    for (const int64_t length : lengths) {
      s.original_max_position_embeddings = length;
      if (ValidateRopeScaling(s, file_.path()).ok() && SameDivisors(c_, divisors)) return {};
    }
    return Refuse(fmt::format("tensor {} does not hold the divisors of Llama 3's scaling", Quote(kDivisors)));
  }

  const GgufFile& file_;
  std::string arch_;
  ModelConfig c_;
};

// Adds keys of one architecture; numbers in the types that llama.cpp reads them as.
class KeyWriter {
 public:
  KeyWriter(std::string arch, GgufMetadata* keys) : arch_(std::move(arch)), keys_(*keys) {}
  void Size(std::string_view suffix, int64_t value) { keys_.Add(Key(suffix), static_cast<uint32_t>(value)); }
  void Number(std::string_view suffix, double value) { keys_.Add(Key(suffix), static_cast<float>(value)); }
  void Truth(std::string_view suffix, bool value) { keys_.Add(Key(suffix), value); }
  void Text(std::string_view suffix, std::string_view value) { keys_.AddString(Key(suffix), value); }

 private:
  std::string Key(std::string_view suffix) const { return fmt::format("{}.{}", arch_, suffix); }
  std::string arch_;
  GgufMetadata& keys_;
};

void AddLatentKeys(const ModelConfig& c, KeyWriter* out) {
  out->Size("attention.head_count_kv", 1);
  out->Size("attention.key_length", c.kv_lora_rank + c.qk_rope_head_dim);
  out->Size("attention.value_length", c.kv_lora_rank);
  out->Size("attention.key_length_mla", c.qk_dim());
  out->Size("attention.value_length_mla", c.v_head_dim);
  if (c.q_lora_rank > 0) out->Size("attention.q_lora_rank", c.q_lora_rank);
  out->Size("attention.kv_lora_rank", c.kv_lora_rank);
  out->Size("leading_dense_block_count", c.first_k_dense_replace);
  out->Size("expert_count", c.n_routed_experts);
  if (c.n_routed_experts > 0) out->Size("expert_used_count", c.num_experts_per_tok);
  out->Size("expert_feed_forward_length", c.moe_intermediate_size);
  out->Size("expert_shared_count", c.n_shared_experts);
  out->Size("expert_group_count", c.n_group);
  out->Size("expert_group_used_count", c.topk_group);
  out->Number("expert_weights_scale", c.routed_scaling_factor);
  out->Truth("expert_weights_norm", c.norm_topk_prob);
  out->Size("expert_gating_func", c.scoring_func == "sigmoid" ? kSigmoidGates : kSoftmaxGates);
  if (c.num_nextn_predict_layers > 0) out->Size("nextn_predict_layers", c.num_nextn_predict_layers);
}

void AddScalingKeys(const ModelConfig& c, KeyWriter* out, KeyWriter* own) {
  const RopeScaling& s = c.rope_scaling;
  if (s.rope_type == "default") return;
  if (s.rope_type == "llama3") {  // no {arch}.rope.scaling.factor: llama.cpp would divide by it once more
    own->Number("factor", s.factor);
    own->Number("low_freq_factor", s.low_freq_factor);
    own->Number("high_freq_factor", s.high_freq_factor);
    own->Size("original_max_position_embeddings", s.original_max_position_embeddings);
    return;
  }
  out->Text("rope.scaling.type", s.rope_type);
  out->Number("rope.scaling.factor", s.factor);
  if (s.original_max_position_embeddings > 0)
    out->Size("rope.scaling.original_context_length", s.original_max_position_embeddings);
  if (s.rope_type != "yarn") return;
  const RopeScaling usual;
  if (s.beta_fast != usual.beta_fast) out->Number("rope.scaling.yarn_beta_fast", s.beta_fast);
  if (s.beta_slow != usual.beta_slow) out->Number("rope.scaling.yarn_beta_slow", s.beta_slow);
  if (s.mscale_all_dim > 0) out->Number("rope.scaling.yarn_log_multiplier", 0.1 * s.mscale_all_dim);
  if (s.mscale != s.mscale_all_dim) own->Number("mscale", s.mscale);
  if (s.attention_factor > 0)
    out->Number("rope.scaling.attn_factor", s.attention_factor / (0.1 * std::log(s.factor) + 1));
}

}  // namespace

Result<ModelConfig> ModelConfigFromGguf(const GgufFile& file) { return ConfigReader(file).Read(); }

Status AddConfigKeys(const ModelConfig& c, GgufMetadata* keys) {
  if (c.num_labels != 0) {
    return Error{
        ErrorCode::kRefused,
        "a model with a scalar head (a reward model) cannot be written as GGUF: the format has no place for it"};
  }
  const std::string arch = c.is_mla() ? "deepseek2" : c.model_type;
  keys->AddString("general.architecture", arch);
  KeyWriter out(arch, keys);
  out.Size("vocab_size", c.vocab_size);
  out.Size("context_length", c.max_position_embeddings);
  out.Size("embedding_length", c.hidden_size);
  out.Size("block_count", c.num_hidden_layers + c.num_nextn_predict_layers);
  out.Size("feed_forward_length", c.intermediate_size);
  out.Size("attention.head_count", c.num_attention_heads);
  out.Number("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  out.Size("rope.dimension_count", RotatedWidth(c));
  out.Number("rope.freq_base", c.rope_theta);
  if (c.is_mla()) {
    AddLatentKeys(c, &out);
    keys->AddString(kOwnModelType, c.model_type);
  } else {
    out.Size("attention.head_count_kv", c.num_key_value_heads);
    out.Size("attention.key_length", c.head_dim);
    out.Size("attention.value_length", c.head_dim);
  }
  KeyWriter own("r1.rope_scaling", keys);
  AddScalingKeys(c, &out, &own);
  return {};
}

std::vector<float> FrequencyDivisors(const ModelConfig& c) {
  if (c.rope_scaling.rope_type != "llama3") return {};
  const int64_t width = RotatedWidth(c);
  const std::vector<double> plain = RopeFrequencies({}, c.rope_theta, width, c.max_position_embeddings),
                            scaled = RopeFrequencies(c.rope_scaling, c.rope_theta, width, c.max_position_embeddings);
  std::vector<float> divisors(plain.size());
  for (size_t i = 0; i < plain.size(); ++i) divisors[i] = static_cast<float>(plain[i] / scaled[i]);
  return divisors;
}

}  // namespace r1
