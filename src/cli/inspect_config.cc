#include "cli/inspect_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/files.h"
#include "cli/output.h"
#include "store/tensors.h"

namespace r1::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Part {
  std::string name, arithmetic;
  int64_t count = 0;   // of one
  int64_t times = 1;   // in the main model
  int64_t used = 1;    // of them for one token
  int64_t module = 0;  // in the prediction module besides
};

class Counter {
 public:
  explicit Counter(const ModelConfig& config) : c_(config) {}

  std::vector<Part> List() {
    const int64_t layers = c_.num_hidden_layers;
    if (c_.is_mla()) {
      Latent();
    } else {
      Grouped();
    }
    All("layer norms", fmt::format("2 x {}", c_.hidden_size), 2 * c_.hidden_size);
    const int64_t moe = c_.n_routed_experts > 0 ? layers - std::min(layers, c_.first_k_dense_replace) : 0;
    const int64_t with_experts = c_.is_mla() ? moe : 0, dense = layers - with_experts;
    const bool module_is_moe = c_.is_moe_layer(layers);
    const int64_t modules = c_.num_nextn_predict_layers;
    Add({"dense FFN", Ffn(c_.intermediate_size), FfnCount(c_.intermediate_size), dense, dense,
         module_is_moe ? 0 : modules});
    if (with_experts > 0 || (modules > 0 && module_is_moe)) Experts(with_experts, modules);
    Add({"final norm", fmt::format("{}", c_.hidden_size), c_.hidden_size, 1, 1, 0});
    if (modules > 0) {
      Add({"prediction: eh_proj", fmt::format("2 x {0} x {0}", c_.hidden_size), 2 * c_.hidden_size * c_.hidden_size, 0,
           0, modules});
      Add({"prediction: norms", fmt::format("3 x {}", c_.hidden_size), 3 * c_.hidden_size, 0, 0, modules});
    }
    return std::move(parts_);
  }

 private:
  void Add(Part part) { parts_.push_back(std::move(part)); }
  // Once in every layer, the module's too.
  void All(const std::string& name, const std::string& arithmetic, int64_t count) {
    Add({name, arithmetic, count, c_.num_hidden_layers, c_.num_hidden_layers, c_.num_nextn_predict_layers});
  }
  void Product(const std::string& name, int64_t a, int64_t b) { All(name, fmt::format("{} x {}", a, b), a * b); }
  int64_t FfnCount(int64_t width) const { return 3 * c_.hidden_size * width; }
  std::string Ffn(int64_t width) const { return fmt::format("3 x {} x {}", c_.hidden_size, width); }

  void Latent() {
    const int64_t d = c_.hidden_size, heads = c_.num_attention_heads;
    if (c_.q_lora_rank > 0) {
      Product("q_a", d, c_.q_lora_rank);
      Product("q_b", c_.q_lora_rank, heads * c_.qk_dim());
    } else {
      Product("q", d, heads * c_.qk_dim());
    }
    Product("kv_a", d, c_.kv_lora_rank + c_.qk_rope_head_dim);
    Product("kv_b", c_.kv_lora_rank, heads * (c_.qk_nope_head_dim + c_.v_head_dim));
    Product("o", heads * c_.v_head_dim, d);
    All("latent norms", fmt::format("{} + {}", c_.q_lora_rank, c_.kv_lora_rank), c_.q_lora_rank + c_.kv_lora_rank);
  }

  void Grouped() {
    const int64_t d = c_.hidden_size, q = c_.num_attention_heads * c_.head_dim,
                  kv = c_.num_key_value_heads * c_.head_dim;
    Product("q", d, q);
    Product("k and v", d, 2 * kv);
    Product("o", q, d);
    if (c_.has_qkv_bias()) All("q, k, v biases", fmt::format("{} + 2 x {}", q, kv), q + 2 * kv);
    if (c_.attention_bias) All("o bias", fmt::format("{}", d), d);
    if (c_.has_qk_norm()) All("head norms", fmt::format("2 x {}", c_.head_dim), 2 * c_.head_dim);
  }

  void Experts(int64_t layers, int64_t modules) {
    const int64_t shared = c_.n_shared_experts, bias = c_.has_router_bias() ? c_.n_routed_experts : 0;
    Add({"routed experts", Ffn(c_.moe_intermediate_size), FfnCount(c_.moe_intermediate_size),
         layers * c_.n_routed_experts, layers * c_.num_experts_per_tok, modules * c_.n_routed_experts});
    if (shared > 0) {
      Add({"shared experts", Ffn(c_.moe_intermediate_size), FfnCount(c_.moe_intermediate_size), layers * shared,
           layers * shared, modules * shared});
    }
    Add({"routers", fmt::format("{} x {} + {}", c_.n_routed_experts, c_.hidden_size, bias),
         c_.n_routed_experts * c_.hidden_size + bias, layers, layers, modules});
  }

  const ModelConfig& c_;
  std::vector<Part> parts_;
};

OrderedJson Memory(int64_t parameters) {
  OrderedJson out = OrderedJson::array();
  for (const StoredType type : {StoredType::kF32, StoredType::kBF16, StoredType::kF8E4M3, StoredType::kQ8_0,
                                StoredType::kQ6K, StoredType::kQ4K}) {
    const int64_t bytes = StoredTypeBytes(type), block = StoredTypeBlock(type);
    out.push_back({{"type", StoredTypeName(type)},
                   {"bits", 8.0 * static_cast<double>(bytes) / static_cast<double>(block)},
                   {"bytes", (parameters + block - 1) / block * bytes}});
  }
  return out;
}

OrderedJson Cache(const ModelConfig& c) {
  const int64_t expanded = c.num_hidden_layers * c.kv_heads() * (c.qk_dim() + c.v_dim());
  const int64_t values = c.is_mla() ? c.num_hidden_layers * (c.kv_lora_rank + c.qk_rope_head_dim) : expanded;
  OrderedJson out = {{"values_per_token", values}, {"expanded_values_per_token", expanded}};
  out["bf16_bytes"] = OrderedJson::array();
  std::vector<int64_t> contexts = {4096, 32768, 131072};
  std::erase_if(contexts, [&](int64_t context) { return context >= c.max_position_embeddings; });
  contexts.push_back(c.max_position_embeddings);
  for (const int64_t context : contexts)
    out["bf16_bytes"].push_back({{"context", context}, {"bytes", 2 * values * context}});
  return out;
}

}  // namespace

OrderedJson ConfigFacts(const ModelConfig& c) {
  const int64_t embedding = c.vocab_size * c.hidden_size;
  const int64_t head = c.num_labels > 0 ? c.num_labels * c.hidden_size : c.tie_word_embeddings ? 0 : embedding;
  OrderedJson out;
  out["parts"] = OrderedJson::array();
  int64_t total = 0, active = 0, module = 0;
  for (const Part& part : Counter(c).List()) {
    total += part.count * part.times;
    active += part.count * part.used;
    module += part.count * part.module;
    if (part.times + part.module == 0) continue;
    out["parts"].push_back({{"name", part.name},
                            {"arithmetic", part.arithmetic},
                            {"count", part.count},
                            {"times", part.times > 0 ? part.times : part.module},
                            {"total", part.count * (part.times > 0 ? part.times : part.module)}});
  }
  const std::string matrix = fmt::format("{} x {}", c.vocab_size, c.hidden_size);
  out["parts"].push_back(
      {{"name", "embedding"}, {"arithmetic", matrix}, {"count", embedding}, {"times", 1}, {"total", embedding}});
  if (head > 0) {
    const std::string rows = fmt::format("{} x {}", head / c.hidden_size, c.hidden_size);
    out["parts"].push_back({{"name", "head"}, {"arithmetic", rows}, {"count", head}, {"times", 1}, {"total", head}});
  }
  total += embedding + head;
  active += c.head_is_embedding() ? embedding : head;
  const int64_t copies = c.num_nextn_predict_layers > 0 ? c.num_nextn_predict_layers * (embedding + head) : 0;
  out["total"] = total;
  out["prediction_module"] = module;
  out["prediction_copies"] = copies;
  out["with_prediction_module"] = total + module + copies;
  out["active"] = active;
  out["active_with_embedding"] = active + (c.head_is_embedding() ? 0 : embedding);
  out["memory"] = Memory(total);
  out["cache"] = Cache(c);
  return out;
}

std::string ConfigText(const OrderedJson& facts) {
  const auto count = [&](const OrderedJson& object, const char* key) { return CountText(object[key].get<int64_t>()); };
  std::vector<std::vector<std::string>> rows = {{"part", "one", "", "times", "all"}};
  for (const OrderedJson& part : facts["parts"]) {
    rows.push_back({part["name"].get<std::string>(), part["arithmetic"].get<std::string>(), "= " + count(part, "count"),
                    count(part, "times"), count(part, "total")});
  }
  std::string text = "\nParameters, from the config alone\n" + ColumnsText(rows, 2) + "\n";
  rows = {{"total", count(facts, "total")}};
  if (facts["prediction_module"].get<int64_t>() > 0) {
    rows.push_back({"prediction module", count(facts, "prediction_module")});
    rows.push_back({"its copies of embedding and head", count(facts, "prediction_copies")});
    rows.push_back({"total with all of these", count(facts, "with_prediction_module")});
  }
  rows.push_back({"used for one token, without the embedding", count(facts, "active")});
  rows.push_back({"used for one token, with it", count(facts, "active_with_embedding")});
  text += ColumnsText(rows, 2) + "\nMemory of the weights, without the prediction module\n";
  rows = {{"type", "bits", "size"}};
  for (const OrderedJson& memory : facts["memory"]) {
    rows.push_back({memory["type"].get<std::string>(), fmt::format("{:.4g}", memory["bits"].get<double>()),
                    BytesText(memory["bytes"].get<int64_t>())});
  }
  const OrderedJson& cache = facts["cache"];
  text += ColumnsText(rows, 2) + "\nMemory of keys and values of one sequence, BF16\n";
  rows = {{"values a token", count(cache, "values_per_token")}};
  if (cache["values_per_token"] != cache["expanded_values_per_token"])
    rows.push_back({"expanded, as r1 caches them", count(cache, "expanded_values_per_token")});
  for (const OrderedJson& at : cache["bf16_bytes"])
    rows.push_back({count(at, "context") + " tokens", BytesText(at["bytes"].get<int64_t>())});
  return text + ColumnsText(rows, 2);
}

}  // namespace r1::cli
