#include "model/gguf_params.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "model/gguf_config.h"
#include "store/gguf.h"
#include "store/quant.h"

namespace r1 {
namespace {

using Order = GgufTensor::Order;

constexpr std::string_view kLayers = "model.layers.", kExperts = "mlp.experts.", kDivisors = "rope_freqs.weight";

struct Name {
  std::string_view ours, gguf;
};
constexpr Name kModelNames[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                                {"model.norm.weight", "output_norm.weight"},
                                {"lm_head.weight", "output.weight"}};
// Below "model.layers.N." and "blk.N.".
constexpr Name kLayerNames[] = {{"input_layernorm.weight", "attn_norm.weight"},
                                {"post_attention_layernorm.weight", "ffn_norm.weight"},
                                {"self_attn.q_proj.weight", "attn_q.weight"},
                                {"self_attn.k_proj.weight", "attn_k.weight"},
                                {"self_attn.v_proj.weight", "attn_v.weight"},
                                {"self_attn.o_proj.weight", "attn_output.weight"},
                                {"self_attn.q_proj.bias", "attn_q.bias"},
                                {"self_attn.k_proj.bias", "attn_k.bias"},
                                {"self_attn.v_proj.bias", "attn_v.bias"},
                                {"self_attn.o_proj.bias", "attn_output.bias"},
                                {"self_attn.q_norm.weight", "attn_q_norm.weight"},
                                {"self_attn.k_norm.weight", "attn_k_norm.weight"},
                                {"self_attn.q_a_proj.weight", "attn_q_a.weight"},
                                {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
                                {"self_attn.q_b_proj.weight", "attn_q_b.weight"},
                                {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
                                {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
                                {"self_attn.kv_b_proj.weight", "attn_kv_b.weight"},
                                {"mlp.gate_proj.weight", "ffn_gate.weight"},
                                {"mlp.up_proj.weight", "ffn_up.weight"},
                                {"mlp.down_proj.weight", "ffn_down.weight"},
                                {"mlp.gate.weight", "ffn_gate_inp.weight"},
                                {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
                                {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
                                {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
                                {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
                                {"enorm.weight", "nextn.enorm.weight"},
                                {"hnorm.weight", "nextn.hnorm.weight"},
                                {"eh_proj.weight", "nextn.eh_proj.weight"},
                                {"shared_head.norm.weight", "nextn.shared_head_norm.weight"}};
// Below "mlp.experts.E.".
constexpr Name kExpertNames[] = {{"gate_proj.weight", "ffn_gate_exps.weight"},
                                 {"up_proj.weight", "ffn_up_exps.weight"},
                                 {"down_proj.weight", "ffn_down_exps.weight"}};

template <size_t N>
std::string_view GgufName(const Name (&names)[N], std::string_view ours) {
  for (const Name& name : names) {
    if (name.ours == ours) return name.gguf;
  }
  R1_CHECK(false, "parameter without a GGUF name: " + std::string(ours));
  return "";
}

// Takes "17." from the front of the rest of a parameter's name.
int64_t TakeNumber(std::string_view* rest) {
  int64_t number = 0;
  const auto parsed = std::from_chars(rest->data(), rest->data() + rest->size(), number);
  rest->remove_prefix(static_cast<size_t>(parsed.ptr - rest->data()) + 1);
  return number;
}

class Lister {
 public:
  Lister(const ModelConfig& config, bool split) : c_(config), split_(split) {}

  std::vector<GgufTensor> List() {
    const ParamList list = ListParams(c_);
    for (size_t i = 0; i < list.specs.size(); ++i) Add(list.specs[i], i);
    if (c_.rope_scaling.rope_type == "llama3") {
      const int64_t width = c_.is_mla() ? c_.qk_rope_head_dim : c_.head_dim;
      out_.push_back({.name = std::string(kDivisors), .shape = {width / 2}, .order = Order::kDivisors});
    }
    return std::move(out_);
  }

 private:
  void Add(const ParamSpec& spec, size_t index) {
    std::string_view rest = spec.name;
    if (!rest.starts_with(kLayers)) {
      Put(std::string(GgufName(kModelNames, rest)), StoredShape(spec), index);
      return;
    }
    rest.remove_prefix(kLayers.size());
    const std::string block = fmt::format("blk.{}.", TakeNumber(&rest));
    if (rest.starts_with(kExperts)) {
      rest.remove_prefix(kExperts.size());
      const int64_t expert = TakeNumber(&rest);
      AddExpert(block + std::string(GgufName(kExpertNames, rest)), spec, expert, index);
      return;
    }
    const int64_t heads = c_.num_attention_heads;
    if (split_ && rest == "self_attn.kv_b_proj.weight") {
      Put(block + "attn_k_b.weight", {heads, c_.kv_lora_rank, c_.qk_nope_head_dim}, index).order = Order::kLatentKeys;
      Put(block + "attn_v_b.weight", {heads, c_.v_head_dim, c_.kv_lora_rank}, index).order = Order::kLatentValues;
      return;
    }
    GgufTensor& tensor = Put(block + std::string(GgufName(kLayerNames, rest)), StoredShape(spec), index);
    const bool query = rest.starts_with("self_attn.q_proj."), key = rest.starts_with("self_attn.k_proj.");
    if (c_.model_type == "llama" && (query || key)) {
      tensor.order = Order::kRotatedPairs;
      tensor.heads = query ? heads : c_.num_key_value_heads;
    }
  }

  // The three stacks of a layer are begun by its first expert.
  void AddExpert(const std::string& name, const ParamSpec& spec, int64_t expert, size_t index) {
    if (expert == 0) {
      Put(name, {c_.n_routed_experts, spec.rows, spec.cols}, index);
      return;
    }
    for (size_t back = out_.size(); back-- > 0;) {
      if (out_[back].name != name) continue;
      out_[back].params.push_back(index);
      return;
    }
    R1_CHECK(false, "expert before the first one: " + spec.name);
  }

  GgufTensor& Put(std::string name, std::vector<int64_t> shape, size_t index) {
    out_.push_back({.name = std::move(name), .shape = std::move(shape), .params = {index}});
    return out_.back();
  }

  const ModelConfig& c_;
  bool split_;
  std::vector<GgufTensor> out_;
};

// Copies values between a part of a tensor and its place in the parameter. Calls copy(file index, our index, count)
// for runs that are adjacent on both sides.
template <class Copy>
void ForEachRun(const GgufTensor& tensor, const ModelConfig& c, int64_t elements, const Copy& copy) {
  const int64_t nope = c.qk_nope_head_dim, value = c.v_head_dim, latent = c.kv_lora_rank;
  switch (tensor.order) {
    case Order::kSame:
    case Order::kDivisors:
      copy(0, 0, elements);
      return;
    case Order::kRotatedPairs: {
      const int64_t rows = tensor.shape[0], cols = elements / rows, width = rows / tensor.heads;
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t at = row % width, ours = row - at + at % 2 * (width / 2) + at / 2;
        copy(row * cols, ours * cols, cols);
      }
      return;
    }
    case Order::kLatentKeys:
      for (int64_t head = 0; head < c.num_attention_heads; ++head) {
        for (int64_t i = 0; i < latent; ++i) {
          for (int64_t row = 0; row < nope; ++row)
            copy((head * latent + i) * nope + row, (head * (nope + value) + row) * latent + i, 1);
        }
      }
      return;
    case Order::kLatentValues:
      for (int64_t head = 0; head < c.num_attention_heads; ++head)
        copy(head * value * latent, (head * (nope + value) + nope) * latent, value * latent);
      return;
  }
}

int64_t Elements(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return n;
}

class GgufParams final : public ParamSource {
 public:
  GgufParams(std::unique_ptr<TensorSet> file, const ModelConfig& config) : file_(std::move(file)), c_(config) {
    path_ = file_->path();
  }

  Status Bind() {
    const ParamList list = ListParams(c_);
    list_ = ListGgufTensors(c_, file_->Find("blk.0.attn_kv_b.weight") == nullptr);
    places_.resize(list.specs.size());
    std::set<std::string_view> known;
    for (size_t i = 0; i < list_.size(); ++i) {
      const GgufTensor& wanted = list_[i];
      const StoredTensor* tensor = file_->Find(wanted.name);
      if (tensor == nullptr) return Fail(fmt::format("no tensor {}, which the model must have", Quote(wanted.name)));
      if (tensor->shape != wanted.shape) {
        return Fail(fmt::format("tensor {} has the shape {}; the keys make it {}", Quote(wanted.name),
                                ShapeText(tensor->shape), ShapeText(wanted.shape)));
      }
      if (!CanDecode(tensor->type)) {
        return Fail(fmt::format("tensor {} has the type {}, which this version does not read", Quote(wanted.name),
                                StoredTypeName(tensor->type)));
      }
      stored_.push_back(tensor);
      known.insert(tensor->name);
      for (size_t part = 0; part < wanted.params.size(); ++part) places_[wanted.params[part]].push_back({i, part});
    }
    for (size_t i = 0; i < list.specs.size(); ++i) {
      R1_CHECK(!places_[i].empty(), "parameter without a GGUF tensor: " + list.specs[i].name);
      StoredType type = stored_[places_[i][0].tensor]->type;
      for (const Place& place : places_[i]) {
        if (stored_[place.tensor]->type != type) type = StoredType::kF32;  // holds the values of all
      }
      entries_.push_back({list.specs[i].name, StoredShape(list.specs[i]), type});
    }
    for (const StoredTensor& tensor : file_->tensors()) {
      if (!known.contains(tensor.name)) R1_TRY(CheckSpare(tensor));
    }
    return {};
  }

  Status Read(size_t index, float* out) const override {
    std::vector<float> values;
    for (const Place& place : places_[index]) {
      const GgufTensor& tensor = list_[place.tensor];
      const StoredTensor& stored = *stored_[place.tensor];
      const int64_t count = stored.elements() / static_cast<int64_t>(tensor.parts());
      const char* data =
          stored.data + stored.bytes / static_cast<int64_t>(tensor.parts()) * static_cast<int64_t>(place.part);
      if (tensor.order == Order::kSame) {
        DecodeValues(stored.type, data, count, out);
        continue;
      }
      values.resize(static_cast<size_t>(count));
      DecodeValues(stored.type, data, count, values.data());
      ForEachRun(tensor, c_, count, [&](int64_t file, int64_t ours, int64_t n) {
        std::memcpy(out + ours, values.data() + file, static_cast<size_t>(n) * sizeof(float));
      });
    }
    return {};
  }
  Status CheckIntact() const override { return file_->CheckIntact(); }

 private:
  struct Place {
    size_t tensor, part;
  };
  Error Fail(const std::string& what) const { return Error{ErrorCode::kBadInput, path_ + ": " + what}; }

  // The prediction module's copies of embedding and head.
  Status CheckSpare(const StoredTensor& tensor) const {
    std::string_view original;
    if (c_.num_nextn_predict_layers > 0) {
      const std::string module = fmt::format("blk.{}.nextn.", c_.num_hidden_layers);
      if (tensor.name == module + "embed_tokens.weight") original = "token_embd.weight";
      if (tensor.name == module + "shared_head_head.weight")
        original = c_.head_is_embedding() ? "token_embd.weight" : "output.weight";
    }
    if (original.empty()) return Fail(fmt::format("tensor {} does not belong to this model", Quote(tensor.name)));
    const StoredTensor* other = file_->Find(original);
    if (other == nullptr || other->type != tensor.type || other->shape != tensor.shape ||
        std::memcmp(other->data, tensor.data, static_cast<size_t>(tensor.bytes)) != 0) {
      return Fail(fmt::format("tensor {} must be a copy of {} and is not; this model has one matrix for both",
                              Quote(tensor.name), Quote(original)));
    }
    return {};
  }

  std::unique_ptr<TensorSet> file_;
  ModelConfig c_;
  std::vector<GgufTensor> list_;
  std::vector<const StoredTensor*> stored_;  // of list_
  std::vector<std::vector<Place>> places_;   // of entries_
};

}  // namespace

std::vector<GgufTensor> ListGgufTensors(const ModelConfig& config, bool split_latent) {
  return Lister(config, split_latent).List();
}

Status ReadGgufPart(const GgufTensor& tensor, size_t part, const ModelConfig& config, const ParamSource& params,
                    std::vector<float>* values) {
  if (tensor.order == Order::kDivisors) {
    *values = FrequencyDivisors(config);
    return {};
  }
  const int64_t count = Elements(tensor.shape) / static_cast<int64_t>(tensor.parts());
  const size_t index = tensor.params[part];
  if (tensor.order == Order::kSame) {
    values->resize(static_cast<size_t>(count));
    return params.Read(index, values->data());
  }
  std::vector<float> whole(static_cast<size_t>(params.entries()[index].elements()));
  R1_TRY(params.Read(index, whole.data()));
  values->resize(static_cast<size_t>(count));
  ForEachRun(tensor, config, count, [&](int64_t file, int64_t ours, int64_t n) {
    std::memcpy(values->data() + file, whole.data() + ours, static_cast<size_t>(n) * sizeof(float));
  });
  return {};
}

Result<std::unique_ptr<ParamSource>> ParamsOfGguf(std::unique_ptr<TensorSet> file, const ModelConfig& config) {
  auto params = std::make_unique<GgufParams>(std::move(file), config);
  R1_TRY(params->Bind());
  return Result<std::unique_ptr<ParamSource>>(std::move(params));
}

Result<ModelSource> OpenGgufModel(const std::string& path) {
  R1_ASSIGN(std::unique_ptr<TensorSet> file, OpenTensors(path));
  const auto* gguf = dynamic_cast<const GgufFile*>(file.get());
  if (gguf == nullptr) return Error{ErrorCode::kBadInput, fmt::format("{}: not a GGUF file", path)};
  ModelSource source;
  R1_ASSIGN(source.config, ModelConfigFromGguf(*gguf));
  R1_ASSIGN(source.params, ParamsOfGguf(std::move(file), source.config));
  return Result<ModelSource>(std::move(source));
}

}  // namespace r1
