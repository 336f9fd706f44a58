// r1 inspect: what a model folder, safetensors file or GGUF file holds. Reads headers and the small files; the weights
// only with --verify.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/inspect_config.h"
#include "cli/inspect_count.h"
#include "cli/inspect_gguf.h"
#include "cli/output.h"
#include "model/config.h"
#include "store/checkpoint.h"
#include "store/gguf.h"
#include "store/safetensors.h"
#include "store/safetensors_index.h"

namespace r1::cli {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kMaxTextBytes = int64_t{256} << 20;

struct InspectConfig {
  bool tensors = false;
  bool verify = false;

  template <class V>
  void Fields(V& v) {
    v("tensors", tensors, "list every tensor with its type, shape and size");
    v("verify", verify,
      "read all weights: compare every file with the checkpoint's manifest and look for NaN and infinite values");
  }
};

struct Weights {
  std::unique_ptr<TensorSet> set;  // null: there are none
  size_t files = 1;
  const GgufFile* gguf = nullptr;  // the set, if it is one
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<StoredTensor> tensors() const { return set == nullptr ? std::vector<StoredTensor>{} : set->tensors(); }
};

Result<Weights> OpenWeights(const std::string& path) {
  Weights weights;
  R1_ASSIGN(weights.set, OpenTensors(path));
  weights.gguf = dynamic_cast<const GgufFile*>(weights.set.get());
  if (const auto* one = dynamic_cast<const SafetensorsFile*>(weights.set.get())) weights.metadata = one->metadata();
  if (const auto* many = dynamic_cast<const ShardedSafetensors*>(weights.set.get())) {
    weights.files = many->shards().size();
    if (!many->shards().empty()) weights.metadata = many->shards()[0].metadata();
  }
  return Result<Weights>(std::move(weights));
}

bool HoldsWeights(const std::string& folder) {
  if (Exists(JoinPath(folder, "model.safetensors")) || Exists(JoinPath(folder, kSafetensorsIndexName))) return true;
  const auto names = ListDir(folder);
  return names.ok() &&
         std::any_of(names->begin(), names->end(), [](const auto& name) { return name.ends_with(".gguf"); });
}

// A folder that holds no model itself may hold checkpoints: say where.
Error NotAModel(const std::string& path) {
  std::string hint = "; a model folder has config.json and model.safetensors";
  if (const auto checkpoints = ListCheckpoints(path); checkpoints.ok() && !checkpoints->empty()) {
    hint = fmt::format("; did you mean its newest checkpoint, {}?", checkpoints->back().path);
  } else if (const auto names = ListDir(path); names.ok()) {
    for (const std::string& name : *names) {
      const auto inner = IsDir(JoinPath(path, name)) ? ListCheckpoints(JoinPath(path, name))
                                                     : Result<std::vector<CheckpointRef>>(std::vector<CheckpointRef>{});
      if (inner.ok() && !inner->empty()) hint = fmt::format("; it looks like a run: try {}", inner->back().path);
    }
  }
  return Error{ErrorCode::kBadInput, fmt::format("{}: holds no model{}", path, hint)};
}

int64_t IntegerOr(const Json& object, const char* key, int64_t fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : fallback;
}

std::string TextOr(const Json& object, const char* key, const std::string& fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
}

OrderedJson Architecture(const Json& config, const Result<ModelConfig>& model, const std::string& path) {
  OrderedJson out;
  out["model_type"] = TextOr(config, "model_type", "unknown");
  if (const auto names = config.find("architectures"); names != config.end()) out["architectures"] = *names;
  for (const char* key : {"num_hidden_layers",
                          "hidden_size",
                          "intermediate_size",
                          "vocab_size",
                          "max_position_embeddings",
                          "num_attention_heads",
                          "num_key_value_heads",
                          "q_lora_rank",
                          "kv_lora_rank",
                          "qk_nope_head_dim",
                          "qk_rope_head_dim",
                          "v_head_dim",
                          "n_routed_experts",
                          "n_shared_experts",
                          "num_experts_per_tok",
                          "moe_intermediate_size",
                          "n_group",
                          "topk_group",
                          "first_k_dense_replace",
                          "num_nextn_predict_layers",
                          "tie_word_embeddings"}) {
    if (const auto value = config.find(key); value != config.end()) out[key] = *value;
  }
  const Status valid = model.ok() ? ValidateModelConfig(*model, path) : Status(model.error());
  out["loads_here"] = valid.ok();
  if (!valid.ok()) out["why_not"] = valid.error().message;
  return out;
}

CountShape ShapeOf(const Json& config, const GgufFile* gguf) {
  if (gguf != nullptr) return GgufCountShape(*gguf);
  CountShape shape;
  shape.layers = IntegerOr(config, "num_hidden_layers", 0);
  shape.routed_experts = std::max<int64_t>(0, IntegerOr(config, "n_routed_experts", 0));
  shape.experts_per_token = std::clamp<int64_t>(IntegerOr(config, "num_experts_per_tok", 0), 0, shape.routed_experts);
  return shape;
}

OrderedJson MemoryByType(const std::vector<StoredTensor>& tensors) {
  struct Sum {
    int64_t tensors = 0, elements = 0, bytes = 0;
  };
  std::map<std::string, Sum> sums;
  for (const StoredTensor& tensor : tensors) {
    Sum& sum = sums[std::string(StoredTypeName(tensor.type))];
    ++sum.tensors;
    sum.elements += tensor.elements();
    sum.bytes += tensor.bytes;
  }
  OrderedJson out = OrderedJson::array();
  for (const auto& [type, sum] : sums)
    out.push_back({{"type", type}, {"tensors", sum.tensors}, {"elements", sum.elements}, {"bytes", sum.bytes}});
  return out;
}

Result<OrderedJson> TokenizerFacts(const std::string& path) {
  R1_ASSIGN(const Json file, ReadJsonFile(path, kMaxTextBytes));
  OrderedJson out;
  const auto size_of = [](const Json& object, const char* key) -> int64_t {
    const auto found = object.find(key);
    return found != object.end() && found->is_structured() ? static_cast<int64_t>(found->size()) : 0;
  };
  const Json model = file.value("model", Json::object());
  out["kind"] = TextOr(model, "type", "unknown");
  out["vocabulary"] = size_of(model, "vocab");
  out["merges"] = size_of(model, "merges");
  out["special_tokens"] = OrderedJson::array();
  if (const auto added = file.find("added_tokens"); added != file.end() && added->is_array()) {
    for (const Json& token : *added) {
      if (token.is_object()) out["special_tokens"].push_back(TextOr(token, "content", ""));
    }
  }
  return out;
}

// Step, cursor, seed and the like: what is one value. Lists and tables are left to the file itself.
Result<OrderedJson> TrainingFacts(const std::string& path) {
  R1_ASSIGN(const Json file, ReadJsonFile(path, kMaxTextBytes));
  OrderedJson out = OrderedJson::object();
  if (!file.is_object()) return Error{ErrorCode::kBadInput, fmt::format("{}: not a JSON object", path)};
  for (const auto& [key, value] : file.items()) {
    if (value.is_primitive()) out[key] = value;
  }
  return out;
}

Result<OrderedJson> Verify(const std::string& path, const Weights& weights) {
  OrderedJson out;
  if (IsDir(path) && Exists(JoinPath(path, "manifest.json"))) {
    R1_TRY(VerifyCheckpoint(path));
    out["manifest"] = "every file has the size and SHA-256 of the manifest";
  } else if (IsDir(path) && Exists(JoinPath(path, kSumsName))) {
    R1_ASSIGN(const int64_t files, VerifySums(path));
    out["manifest"] = fmt::format("{} file(s) have the SHA-256 of {}", files, kSumsName);
  } else {
    out["manifest"] = "none: the files cannot be compared with what was written";
  }
  int64_t non_finite = 0;
  for (const StoredTensor& tensor : weights.tensors()) non_finite += CountNonFinite(tensor);
  if (weights.set != nullptr) R1_TRY(weights.set->CheckIntact());
  out["non_finite"] = non_finite;
  return out;
}

Result<OrderedJson> Inspect(const InspectConfig& options, const std::string& path) {
  Weights weights;
  OrderedJson out;
  out["path"] = path;
  Json config = Json::object();
  if (!Exists(path)) return Error{ErrorCode::kBadInput, fmt::format("{}: no such file or folder", path)};
  const bool config_alone = !IsDir(path) && BaseName(path) == "config.json";
  const bool has_weights = IsDir(path) ? HoldsWeights(path) : !config_alone;
  const std::string config_path = config_alone ? path : JoinPath(path, "config.json");
  if (IsDir(path) && !Exists(config_path) && !has_weights) return NotAModel(path);
  if (config_alone || (IsDir(path) && Exists(config_path))) {
    R1_ASSIGN(config, ReadJsonFile(config_path, kMaxTextBytes));
    if (!config.is_object()) return Error{ErrorCode::kBadInput, fmt::format("{}: not a JSON object", config_path)};
    const Result<ModelConfig> model = ModelConfigFromJson(config.dump(), config_path);
    out["architecture"] = Architecture(config, model, config_path);
    if (!has_weights && model.ok()) out["from_config"] = ConfigFacts(*model);
  }
  if (has_weights) {
    R1_ASSIGN(weights, OpenWeights(path));
  }
  const std::vector<StoredTensor> tensors = weights.tensors();
  if (weights.gguf != nullptr) out["gguf"] = GgufFacts(*weights.gguf);
  if (weights.set != nullptr) {
    const ParameterCounts counts = CountParameters(tensors, ShapeOf(config, weights.gguf));
    out["parameters"] = {{"total", counts.total},
                         {"active_per_token", counts.active},
                         {"in_routed_experts", counts.routed},
                         {"multi_token_prediction", counts.mtp}};
    int64_t bytes = 0;
    for (const StoredTensor& tensor : tensors) bytes += tensor.bytes;
    out["weights"] = {
        {"files", weights.files}, {"tensors", counts.tensors}, {"bytes", bytes}, {"by_type", MemoryByType(tensors)}};
    for (const auto& [key, value] : weights.metadata) out["weights"]["metadata"][key] = value;
  }
  if (IsDir(path)) {
    const std::string tokenizer = JoinPath(path, "tokenizer.json"), state = JoinPath(path, "trainer_state.json"),
                      optimizer = JoinPath(path, "optimizer.safetensors");
    if (Exists(tokenizer)) {
      R1_ASSIGN(out["tokenizer"], TokenizerFacts(tokenizer));
    }
    if (Exists(state)) {
      R1_ASSIGN(out["training_state"], TrainingFacts(state));
    }
    if (Exists(optimizer)) {
      R1_ASSIGN(const SafetensorsFile moments, SafetensorsFile::Open(optimizer));
      int64_t bytes = 0;
      for (const StoredTensor& tensor : moments.tensors()) bytes += tensor.bytes;
      out["optimizer"] = {{"tensors", moments.tensors().size()}, {"bytes", bytes}};
    }
  }
  if (options.verify) {
    R1_ASSIGN(out["verified"], Verify(path, weights));
  }
  if (options.tensors) {
    out["tensors"] = OrderedJson::array();
    for (const StoredTensor& tensor : tensors) {
      out["tensors"].push_back({{"name", tensor.name},
                                {"type", StoredTypeName(tensor.type)},
                                {"shape", tensor.shape},
                                {"bytes", tensor.bytes}});
    }
  }
  return out;
}

std::string ArchitectureText(const OrderedJson& a) {
  const auto number = [&](const char* key) {
    return a.contains(key) && a[key].is_number_integer() ? a[key].get<int64_t>() : int64_t{0};
  };
  std::vector<std::vector<std::string>> rows;
  rows.push_back({"model type", TextOr(Json(a), "model_type", "unknown")});
  const int64_t layers = number("num_hidden_layers"), experts = number("n_routed_experts"),
                dense = std::min(number("first_k_dense_replace"), layers);
  rows.push_back({"layers", experts > 0 ? fmt::format("{}: {} dense, {} with experts", layers, dense, layers - dense)
                                        : fmt::format("{}", layers)});
  rows.push_back({"width", fmt::format("{}, dense FFN {}", number("hidden_size"), number("intermediate_size"))});
  if (number("kv_lora_rank") > 0) {
    rows.push_back(
        {"attention",
         fmt::format("latent, {} heads; key-value latent {}, query latent {}; head {} plain + {} rotated, value {}",
                     number("num_attention_heads"), number("kv_lora_rank"),
                     number("q_lora_rank") == 0 ? std::string("none") : std::to_string(number("q_lora_rank")),
                     number("qk_nope_head_dim"), number("qk_rope_head_dim"), number("v_head_dim"))});
  } else {
    rows.push_back({"attention", fmt::format("{} heads, {} key-value heads", number("num_attention_heads"),
                                             number("num_key_value_heads"))});
  }
  if (experts > 0) {
    rows.push_back(
        {"experts",
         fmt::format("{} routed of which a token uses {}, {} shared; width {}; {} groups of which {} are used", experts,
                     number("num_experts_per_tok"), number("n_shared_experts"), number("moe_intermediate_size"),
                     number("n_group"), number("topk_group"))});
  }
  if (number("num_nextn_predict_layers") > 0)
    rows.push_back({"prediction", fmt::format("{} multi-token module(s)", number("num_nextn_predict_layers"))});
  rows.push_back({"vocabulary", CountText(number("vocab_size"))});
  rows.push_back({"context", CountText(number("max_position_embeddings")) + " tokens"});
  const bool loads = a.value("loads_here", false);
  rows.push_back({"r1 can load it", loads ? "yes" : "no: " + TextOr(Json(a), "why_not", "")});
  return "Architecture\n" + ColumnsText(rows, 2);
}

std::string WeightsText(const OrderedJson& out) {
  const OrderedJson& p = out["parameters"];
  const auto both = [](const OrderedJson& value) {
    const int64_t count = value.get<int64_t>();
    return CountText(count) + (count >= 1000 ? "  (" + ShortCountText(count) + ")" : "");
  };
  std::vector<std::vector<std::string>> rows = {{"total", both(p["total"])},
                                                {"used for one token", both(p["active_per_token"])}};
  if (p["in_routed_experts"] != 0) rows.push_back({"in routed experts", both(p["in_routed_experts"])});
  if (p["multi_token_prediction"] != 0)
    rows.push_back({"prediction modules, besides", both(p["multi_token_prediction"])});
  std::string text = "\nParameters\n" + ColumnsText(rows, 2);
  const OrderedJson& w = out["weights"];
  rows = {{"type", "tensors", "numbers", "size"}};
  for (const OrderedJson& sum : w["by_type"]) {
    rows.push_back({sum["type"].get<std::string>(), CountText(sum["tensors"].get<int64_t>()),
                    CountText(sum["elements"].get<int64_t>()), BytesText(sum["bytes"].get<int64_t>())});
  }
  rows.push_back({"all", CountText(w["tensors"].get<int64_t>()), "",
                  fmt::format("{} in {} file(s)", BytesText(w["bytes"].get<int64_t>()), w["files"].get<int64_t>())});
  text += "\nWeights\n" + ColumnsText(rows, 2);
  return text;
}

std::string InspectText(const OrderedJson& out) {
  std::string text = out["path"].get<std::string>() + "\n\n";
  if (out.contains("architecture")) text += ArchitectureText(out["architecture"]);
  if (out.contains("from_config")) text += ConfigText(out["from_config"]);
  if (out.contains("gguf")) text += GgufText(out["gguf"]);
  if (out.contains("weights")) text += WeightsText(out);
  if (out.contains("tokenizer")) {
    const OrderedJson& t = out["tokenizer"];
    std::string special;
    for (const OrderedJson& token : t["special_tokens"])
      special += (special.empty() ? "" : " ") + token.get<std::string>();
    text += "\nTokenizer\n" +
            ColumnsText({{"kind", t["kind"].get<std::string>()},
                         {"entries", CountText(t["vocabulary"].get<int64_t>())},
                         {"merges", CountText(t["merges"].get<int64_t>())},
                         {"special", fmt::format("{}: {}", t["special_tokens"].size(),
                                                 special.size() > 200 ? special.substr(0, 200) + " ..." : special)}},
                        2);
  }
  if (out.contains("training_state")) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& [key, value] : out["training_state"].items())
      rows.push_back({key, value.is_string() ? value.get<std::string>() : value.dump()});
    text += "\nTraining state\n" + ColumnsText(rows, 2);
  }
  if (out.contains("optimizer")) {
    text += "\nOptimizer state\n" + ColumnsText({{"tensors", CountText(out["optimizer"]["tensors"].get<int64_t>())},
                                                 {"size", BytesText(out["optimizer"]["bytes"].get<int64_t>())}},
                                                2);
  }
  if (out.contains("verified")) {
    const int64_t bad = out["verified"]["non_finite"].get<int64_t>();
    text +=
        "\nVerified\n" + ColumnsText({{"files", out["verified"]["manifest"].get<std::string>()},
                                      {"values", bad == 0 ? "all finite" : CountText(bad) + " are NaN or infinite"}},
                                     2);
  }
  if (out.contains("tensors")) {
    std::vector<std::vector<std::string>> rows;
    for (const OrderedJson& tensor : out["tensors"]) {
      rows.push_back({EscapedName(tensor["name"].get<std::string>()), tensor["type"].get<std::string>(),
                      tensor["shape"].dump(), BytesText(tensor["bytes"].get<int64_t>())});
    }
    text += "\nTensors\n" + ColumnsText(rows, 2);
  }
  return text;
}

Result<int> Run(const InspectConfig& config, const Invocation& invocation) {
  R1_ASSIGN(const OrderedJson out, Inspect(config, invocation.positionals[0]));
  if (invocation.json) {
    PrintJson(out);
  } else {
    Print(InspectText(out));
  }
  return 0;
}

}  // namespace

Command InspectCommand() {
  Command command;
  command.name = "inspect";
  command.group = "Look at results";
  command.summary = "show what a model folder or weight file holds";
  command.description =
      "Prints the architecture, the parameters (all, and those one token uses), memory by number type, the tokenizer "
      "and the training "
      "state of a checkpoint or Hugging Face folder (in one weight file or in shards), or what one safetensors or GGUF "
      "file holds: for GGUF also version, alignment and keys. Of a config.json without weights, what follows from it: "
      "parameters with the arithmetic, memory by number type and context. The weights themselves are read only with "
      "--verify.";
  command.examples = {
      {"r1 inspect runs/zero/rl/checkpoint-150", "a checkpoint of a run"},
      {"r1 inspect runs/zero/rl/checkpoint-150 --verify", "also prove that every byte is as it was written"},
      {"r1 inspect model.safetensors --tensors --json", "one file, for a script"},
      {"r1 inspect model.gguf", "the keys of a GGUF file, and its memory by number type"},
      {"r1 inspect DeepSeek-V3/config.json", "how many parameters a model has, and how much memory it takes"}};
  command.positionals = {
      {"PATH", "a checkpoint, a Hugging Face model folder, a config.json, or a .safetensors or .gguf file"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
