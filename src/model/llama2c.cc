#include "model/llama2c.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/files.h"

namespace r1 {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and read as they are");

constexpr int64_t kHeaderBytes = 7 * 4;
constexpr uint32_t kOtherVersions = 0x616b3432;  // "24ka" in the file

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

Result<ModelConfig> ReadHeader(std::string_view file, const std::string& where) {
  if (file.size() < kHeaderBytes)
    return Bad(where, fmt::format("{} bytes are too few for a llama2.c model, which begins with 28", file.size()));
  std::array<int32_t, 7> header{};
  std::memcpy(header.data(), file.data(), kHeaderBytes);
  if (static_cast<uint32_t>(header[0]) == kOtherVersions)
    return Bad(where,
               "a llama2.c model of version 1 or later; version 0 is read, which export.py writes with --version 0");
  ModelConfig c;
  c.model_type = "llama";
  c.hidden_size = header[0];
  c.intermediate_size = header[1];
  c.num_hidden_layers = header[2];
  c.num_attention_heads = header[3];
  c.num_key_value_heads = header[4];
  c.vocab_size = header[5] < 0 ? -int64_t{header[5]} : header[5];
  c.tie_word_embeddings = header[5] >= 0;
  c.max_position_embeddings = header[6];
  c.rms_norm_eps = 1e-5;
  c.rope_theta = 10000;
  if (c.num_attention_heads < 1 || c.hidden_size % c.num_attention_heads != 0) {
    return Bad(where, fmt::format("n_heads {} does not divide dim {}: not a llama2.c model", c.num_attention_heads,
                                  c.hidden_size));
  }
  c.head_dim = c.hidden_size / c.num_attention_heads;
  R1_TRY(ValidateStoredConfig(c, where + " (as a llama2.c model)"));
  return c;
}

class Llama2cParams final : public ParamSource {
 public:
  Llama2cParams(std::string_view file, const std::string& where, std::optional<MappedFile> mapped)
      : file_(file), mapped_(std::move(mapped)) {
    path_ = where;
  }

  Status Bind(const ModelConfig& config) {
    config_ = config;
    PlaceAll();
    if (end_ != static_cast<int64_t>(file_.size())) {
      return Bad(path_,
                 fmt::format("the sizes at its begin (dim {}, hidden_dim {}, n_layers {}, n_heads {}, n_kv_heads {}, "
                             "vocab_size {}, seq_len {}) make {} bytes; the file has {}",
                             config.hidden_size, config.intermediate_size, config.num_hidden_layers,
                             config.num_attention_heads, config.num_key_value_heads, config.vocab_size,
                             config.max_position_embeddings, end_, file_.size()));
    }
    for (const ParamSpec& spec : ListParams(config).specs) {
      entries_.push_back({spec.name, StoredShape(spec), StoredType::kF32});
      const auto place = places_.find(spec.name);
      R1_CHECK(place != places_.end(), "llama2.c has no " + spec.name);
      in_order_.push_back(place->second);
    }
    return {};
  }

  Status Read(size_t index, float* out) const override {
    const Place& place = in_order_[index];
    const char* from = file_.data() + place.offset;
    const int64_t elements = entries_[index].elements();
    if (!place.rotated) {
      std::memcpy(out, from, static_cast<size_t>(elements) * sizeof(float));
      return {};
    }
    // Row 2 i + part of a head becomes row i + part · head_dim / 2.
    const int64_t cols = config_.hidden_size, half = config_.head_dim / 2;
    for (int64_t row = 0; row < elements / cols; ++row) {
      const int64_t in_head = row % config_.head_dim;
      const int64_t source = row - in_head + 2 * (in_head % half) + in_head / half;
      std::memcpy(out + row * cols, from + source * cols * 4, static_cast<size_t>(cols) * sizeof(float));
    }
    return {};
  }
  Status CheckIntact() const override { return mapped_ ? mapped_->CheckIntact() : Status(); }

 private:
  struct Place {
    int64_t offset = 0;  // bytes from the begin of the file
    bool rotated = false;
  };

  // No product overflows: the sizes are limited by ValidateStoredConfig (2^44 elements a kind at most).
  void PlaceAll() {
    const ModelConfig& c = config_;
    const int64_t d = c.hidden_size, kv = c.num_key_value_heads * c.head_dim, f = c.intermediate_size;
    One("model.embed_tokens.weight", c.vocab_size * d);
    EachLayer("input_layernorm.weight", d);
    EachLayer("self_attn.q_proj.weight", d * d, true);
    EachLayer("self_attn.k_proj.weight", kv * d, true);
    EachLayer("self_attn.v_proj.weight", kv * d);
    EachLayer("self_attn.o_proj.weight", d * d);
    EachLayer("post_attention_layernorm.weight", d);
    EachLayer("mlp.gate_proj.weight", f * d);
    EachLayer("mlp.down_proj.weight", d * f);
    EachLayer("mlp.up_proj.weight", f * d);
    One("model.norm.weight", d);
    end_ += c.max_position_embeddings * c.head_dim * 4;  // cos and sin
    if (!c.tie_word_embeddings) One("lm_head.weight", c.vocab_size * d);
  }
  void One(const std::string& name, int64_t elements) {
    places_[name] = {end_, false};
    end_ += elements * 4;
  }
  void EachLayer(const std::string& name, int64_t elements, bool rotated = false) {
    for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
      places_[fmt::format("model.layers.{}.{}", i, name)] = {end_, rotated};
      end_ += elements * 4;
    }
  }

  std::string_view file_;
  std::optional<MappedFile> mapped_;
  ModelConfig config_;
  std::map<std::string, Place> places_;
  std::vector<Place> in_order_;  // of entries_
  int64_t end_ = kHeaderBytes;
};

Result<ModelSource> Open(std::string_view file, const std::string& where, std::optional<MappedFile> mapped) {
  ModelSource source;
  R1_ASSIGN(source.config, ReadHeader(file, where));
  auto params = std::make_unique<Llama2cParams>(file, where, std::move(mapped));
  R1_TRY(params->Bind(source.config));
  source.params = std::move(params);
  return Result<ModelSource>(std::move(source));
}

}  // namespace

bool LooksLikeLlama2c(const std::string& path) { return path.ends_with(".bin") && FileSize(path).ok(); }

Result<ModelSource> OpenLlama2c(const std::string& path) {
  R1_ASSIGN(MappedFile mapped, MappedFile::Open(path));
  const std::string_view bytes = mapped.bytes();
  return Open(bytes, path, std::move(mapped));
}

Result<ModelSource> ParseLlama2c(std::string_view file, const std::string& where) { return Open(file, where, {}); }

}  // namespace r1
