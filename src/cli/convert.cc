// r1 convert: a Hugging Face folder or a GGUF file to either, with or without another number type.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/convert_model.h"
#include "cli/inspect_gguf.h"
#include "cli/output.h"

namespace r1::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct ConvertConfig {
  std::string dtype = "keep";
  int64_t max_shard_size = 5'000'000'000;
  std::string tokenizer;
  std::string lora;

  template <class V>
  void Fields(V& v) {
    v("dtype", dtype,
      "number type of the matrices: keep|f32|f16|bf16|q8_0|q4_0|q4_k|q6_k; the block types (q...) in GGUF only");
    v("max_shard_size", max_shard_size,
      "bytes of tensors in one safetensors file; a larger model is written in shards");
    v("tokenizer", tokenizer, "vocabulary of a .bin source of llama2.c (its tokenizer .bin, or a tokenizer.json)");
    v("lora", lora, "folder of an adapter (PEFT: adapter_config.json, adapter_model.safetensors) to merge first");
  }
};

struct TypeName {
  const char* name;
  StoredType type;
};
constexpr TypeName kTypes[] = {{"f32", StoredType::kF32},   {"f16", StoredType::kF16},   {"bf16", StoredType::kBF16},
                               {"q8_0", StoredType::kQ8_0}, {"q4_0", StoredType::kQ4_0}, {"q4_k", StoredType::kQ4K},
                               {"q6_k", StoredType::kQ6K}};

Result<std::optional<StoredType>> TypeOf(std::string name) {
  using Found = Result<std::optional<StoredType>>;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (name == "keep") return Found(std::nullopt);
  for (const TypeName& type : kTypes) {
    if (name == type.name) return Found(type.type);
  }
  return Error{ErrorCode::kUsage,
               fmt::format("--dtype: '{}' is not one of keep, f32, f16, bf16, q8_0, q4_0, q4_k, q6_k", name)};
}

struct Sum {
  int64_t tensors = 0, bytes = 0;
};

std::map<std::string, Sum> ByType(const ConvertReport& report) {
  std::map<std::string, Sum> sums;
  for (const ConvertedTensor& tensor : report.tensors) {
    Sum& sum = sums[std::string(StoredTypeName(tensor.to))];
    ++sum.tensors;
    sum.bytes += tensor.bytes;
  }
  return sums;
}

OrderedJson ToJson(const ConvertReport& report) {
  OrderedJson out = {{"source", report.source}, {"target", report.target}, {"bytes", report.bytes}};
  out["by_type"] = OrderedJson::array();
  for (const auto& [type, sum] : ByType(report))
    out["by_type"].push_back({{"type", type}, {"tensors", sum.tensors}, {"bytes", sum.bytes}});
  out["notes"] = report.notes;
  out["tensors"] = OrderedJson::array();
  for (const ConvertedTensor& tensor : report.tensors) {
    OrderedJson& row = out["tensors"].emplace_back();
    row = {{"name", tensor.name},
           {"from", StoredTypeName(tensor.from)},
           {"to", StoredTypeName(tensor.to)},
           {"shape", tensor.shape},
           {"bytes", tensor.bytes},
           {"fallback", tensor.fallback}};
    if (!tensor.error) continue;
    row["error"] = {{"max_abs", tensor.error->max_abs},
                    {"rms", tensor.error->rms},
                    {"relative_rms", tensor.error->relative_rms},
                    {"cosine", tensor.error->cosine},
                    {"non_finite", tensor.error->non_finite}};
  }
  return out;
}

std::string ToText(const ConvertReport& report) {
  std::string text = fmt::format("{} -> {}\n\nWritten\n", report.source, report.target);
  std::vector<std::vector<std::string>> rows = {{"type", "tensors", "size"}};
  for (const auto& [type, sum] : ByType(report)) rows.push_back({type, CountText(sum.tensors), BytesText(sum.bytes)});
  rows.push_back({"all", CountText(static_cast<int64_t>(report.tensors.size())), BytesText(report.bytes)});
  text += ColumnsText(rows, 2);
  rows = {{"tensor", "from", "to", "max error", "rms", "relative rms", "cosine", ""}};
  for (const ConvertedTensor& tensor : report.tensors) {
    if (!tensor.error) continue;
    const ConversionError& e = *tensor.error;
    std::string remark = tensor.fallback ? "rows are not whole blocks" : "";
    if (e.non_finite > 0) remark += fmt::format("{}{} not finite", remark.empty() ? "" : "; ", e.non_finite);
    rows.push_back({EscapedName(tensor.name), std::string(StoredTypeName(tensor.from)),
                    std::string(StoredTypeName(tensor.to)), fmt::format("{:.3g}", e.max_abs),
                    fmt::format("{:.3g}", e.rms), fmt::format("{:.3g}", e.relative_rms),
                    fmt::format("{:.7f}", e.cosine), remark});
  }
  if (rows.size() > 1) {
    text += "\nWhat the conversion changed\n" + ColumnsText(rows, 2);
  } else {
    text += "\nEvery value is kept.\n";
  }
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

Result<int> Run(const ConvertConfig& config, const Invocation& invocation) {
  ConvertOptions options;
  options.source = invocation.positionals[0];
  options.target = invocation.positionals[1];
  R1_ASSIGN(options.type, TypeOf(config.dtype));
  if (config.max_shard_size < 1) return Error{ErrorCode::kUsage, "--max-shard-size: must be positive"};
  options.max_shard_bytes = config.max_shard_size;
  options.tokenizer = config.tokenizer;
  options.adapter = config.lora;
  std::optional<Progress> progress;
  options.progress = [&](int64_t done, int64_t total, const std::string& tensor) {
    if (!progress) progress.emplace("convert", total);
    progress->Update(done + 1, EscapedName(tensor));
  };
  R1_ASSIGN(const ConvertReport report, ConvertModel(options));
  if (progress) progress->Finish(fmt::format("wrote {}", options.target));
  if (invocation.json) {
    PrintJson(ToJson(report));
  } else {
    Print(ToText(report));
  }
  return 0;
}

}  // namespace

Command ConvertCommand() {
  Command command;
  command.name = "convert";
  command.group = "Look at results";
  command.summary = "write a model in another format or number type: Hugging Face folder, GGUF, quantised";
  command.description =
      "Reads a Hugging Face folder (or the newest checkpoint of a run or stage) or a GGUF file of llama, qwen2, qwen3 "
      "or DeepSeek V2, V3, R1, and writes a GGUF file if DST ends in .gguf, otherwise a Hugging Face folder. "
      "Tokenizer and chat template go along. Without --dtype no value changes: unquantised weights are byte for byte "
      "the same after a round trip. With one, the table lists for every tensor what it cost: the largest error, root "
      "mean square, the "
      "same relative to the tensor's own, and the cosine between the two.\n\n"
      "In GGUF, vectors and router gates stay F32, and rows that are no whole blocks fall back to q8_0 or f16. Weights "
      "are streamed: memory is that of the largest tensor. DST must not be there; nothing is there until all is "
      "written.";
  command.examples = {{"r1 convert runs/r1/R1 r1.gguf", "a trained model for other programs"},
                      {"r1 convert Qwen2.5-0.5B qwen-q4.gguf --dtype q4_k", "quantised, with the error of each tensor"},
                      {"r1 convert model.gguf folder --dtype bf16", "GGUF to a Hugging Face folder"},
                      {"r1 convert Qwen2.5-0.5B tuned --lora runs/tuned/sft/checkpoint-300/adapter",
                       "an adapter merged into its model"},
                      {"r1 convert stories260K.bin stories.gguf --tokenizer tok512.bin", "a model of llama2.c"}};
  command.positionals = {
      {"SRC", "a Hugging Face model folder, a checkpoint or run, a .gguf file, or a .bin of llama2.c"},
      {"DST", "what to write: NAME.gguf, or a folder"}};
  command.reports = true;
  Bind(command, Run);
  return command;
}

}  // namespace r1::cli
