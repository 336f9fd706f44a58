#include "cli/convert_model.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/quote.h"
#include "cli/token_input.h"
#include "infer/gguf_text.h"
#include "model/gguf_config.h"
#include "model/gguf_params.h"
#include "model/lora_merge.h"
#include "model/param_source.h"
#include "store/gguf.h"
#include "store/safetensors_index.h"
#include "train/run_files.h"

namespace r1::cli {
namespace {

constexpr char kStoredTypes[] = "r1.stored_types";
constexpr std::string_view kRouterBias = ".e_score_correction_bias";
// Beside config.json and the weights; copied as they are from folder to folder.
constexpr const char* kSideFiles[] = {
    "tokenizer.json",          "tokenizer_config.json", "chat_template.jinja", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json",     "vocab.json",          "merges.txt",
    "generation_config.json"};
constexpr int64_t kMaxSideBytes = int64_t{256} << 20;

bool IsGguf(const std::string& path) { return path.ends_with(".gguf") || LooksLikeGguf(path); }
bool IsBlock(StoredType type) { return StoredTypeBlock(type) > 1; }
bool IsFloat(StoredType type) {
  return type == StoredType::kF32 || type == StoredType::kF16 || type == StoredType::kBF16;
}

// What "keep" makes of a type outside GGUF.
StoredType Kept(StoredType type) {
  if (IsFloat(type)) return type;
  return type == StoredType::kF8E4M3 ? StoredType::kBF16 : StoredType::kF32;
}

// Every value of the first type is one of the second.
bool Widens(StoredType from, StoredType to) {
  return from == to || (to == StoredType::kF32 && from != StoredType::kF64);
}

bool AlwaysF32(const GgufTensor& tensor) {
  return tensor.shape.size() < 2 || tensor.name.ends_with(".ffn_gate_inp.weight");
}

// general.file_type, a list of llama.cpp's: what most of the numbers are.
uint32_t FileTypeOf(StoredType type) {
  switch (type) {
    case StoredType::kF16:
      return 1;
    case StoredType::kQ4_0:
      return 2;
    case StoredType::kQ8_0:
      return 7;
    case StoredType::kQ4K:
      return 14;
    case StoredType::kQ6K:
      return 18;
    case StoredType::kBF16:
      return 32;
    default:
      return 0;
  }
}

bool SurvivesIn(StoredType type, const std::vector<float>& values) {
  if (type == StoredType::kF32) return true;
  std::string bytes(values.size() * static_cast<size_t>(StoredTypeBytes(type)), '\0');
  const auto count = static_cast<int64_t>(values.size());
  if (!EncodeValues(type, values.data(), count, bytes.data()).ok()) return false;
  std::vector<float> back(values.size());
  DecodeValues(type, bytes.data(), count, back.data());
  return std::memcmp(back.data(), values.data(), values.size() * sizeof(float)) == 0;
}

class Converter {
 public:
  explicit Converter(const ConvertOptions& options) : o_(options), to_gguf_(options.target.ends_with(".gguf")) {}

  Result<ConvertReport> Run() {
    if (Exists(o_.target)) {
      return Error{ErrorCode::kCannotCreate,
                   fmt::format("{}: is there already; name a new one or remove it", o_.target)};
    }
    if (!to_gguf_ && o_.type && !IsFloat(*o_.type)) {
      return Error{ErrorCode::kUsage,
                   fmt::format("{} is a folder (its name does not end in .gguf), which holds F32, F16 "
                               "and BF16, not {}",
                               o_.target, StoredTypeName(*o_.type))};
    }
    R1_TRY(Open());
    R1_TRY(to_gguf_ ? WriteGgufFile() : WriteFolder());
    return std::move(report_);
  }

 private:
  Status Open() {
    source_ = o_.source;
    if (!Exists(source_)) return Error{ErrorCode::kBadInput, fmt::format("{}: no such file or folder", source_)};
    if (IsDir(source_)) {
      R1_ASSIGN(source_, ResolveModelFolder(source_));
    }
    R1_ASSIGN(model_, OpenModelSource(source_));
    if (!o_.adapter.empty()) {
      R1_ASSIGN(model_.params, MergeAdapter(std::move(model_.params), o_.adapter));
      report_.notes.push_back(fmt::format("{} is merged into the weights; errors are against the sum", o_.adapter));
    }
    if (IsGguf(source_)) {
      R1_ASSIGN(GgufFile file, GgufFile::Open(source_));
      gguf_ = std::make_unique<GgufFile>(std::move(file));
    }
    R1_TRY(OpenText());
    list_ = ListGgufTensors(model_.config);
    report_.source = source_;
    report_.target = o_.target;
    if (o_.type && gguf_ != nullptr && IsBlock(model_.params->entries()[0].type))
      report_.notes.push_back("the source is quantised already: errors are against its values, not the original ones");
    return {};
  }

  // What the source says of its texts. A file of llama2.c says nothing.
  Status OpenText() {
    const bool bare = gguf_ == nullptr && !IsDir(source_);
    if (!bare && !o_.tokenizer.empty())
      return Error{ErrorCode::kUsage, fmt::format("--tokenizer: {} has a tokenizer of its own", source_)};
    if (gguf_ != nullptr) {
      R1_ASSIGN(text_, ReadGgufText(*gguf_));
    } else if (!bare) {
      R1_ASSIGN(text_, ReadFolderText(source_));
    } else if (o_.tokenizer.empty()) {
      report_.notes.push_back("the model has no tokenizer now; --tokenizer names one");
    } else {
      R1_ASSIGN(Tokenizer tokenizer, OpenTokenizer(o_.tokenizer));
      if (tokenizer.size() > model_.config.vocab_size) {
        return Error{ErrorCode::kBadInput, fmt::format("{}: the tokenizer has {} tokens, the model only {}",
                                                       o_.tokenizer, tokenizer.size(), model_.config.vocab_size)};
      }
      text_.bos = tokenizer.parts().before.empty() ? -1 : tokenizer.parts().before.front();
      text_.eos = tokenizer.IdOf("</s>");
      text_.unknown = tokenizer.parts().unknown;
      if (text_.eos >= 0) text_.stop = {text_.eos};
      text_.add_bos = text_.bos >= 0;
      text_.tokenizer_json = tokenizer.ToJson();
      text_.tokenizer = std::move(tokenizer);
    }
    return {};
  }

  // One type for the parameters that a tensor joins.
  StoredType SourceType(const GgufTensor& tensor) const {
    const auto& entries = model_.params->entries();
    if (const StoredTensor* same = SameTensor(tensor)) return same->type;
    if (tensor.params.empty()) return StoredType::kF32;
    const StoredType first = entries[tensor.params[0]].type;
    for (const size_t index : tensor.params) {
      if (entries[index].type != first) return StoredType::kF32;
    }
    return first;
  }

  // The stored bytes of a tensor that a GGUF source has in the same form; null otherwise, and where an adapter may have
  // changed it.
  const StoredTensor* SameTensor(const GgufTensor& tensor) const {
    if (!o_.adapter.empty()) return nullptr;
    const StoredTensor* found = gguf_ == nullptr ? nullptr : gguf_->Find(tensor.name);
    return found != nullptr && found->shape == tensor.shape ? found : nullptr;
  }

  StoredType GgufTarget(const GgufTensor& tensor, StoredType from, bool* fallback) const {
    if (AlwaysF32(tensor)) return StoredType::kF32;
    StoredType type = o_.type.value_or(IsBlock(from) ? from : Kept(from));
    if (!o_.type && IsBlock(from) && SameTensor(tensor) != nullptr) return from;
    const bool head =
        tensor.name == "output.weight" || (tensor.name == "token_embd.weight" && model_.config.head_is_embedding());
    if (head && o_.type && (type == StoredType::kQ4_0 || type == StoredType::kQ4K)) type = StoredType::kQ6K;
    const StoredType wanted = type;
    const int64_t row = tensor.shape.back();
    if (row % StoredTypeBlock(type) != 0 && StoredTypeBlock(type) > StoredTypeBlock(StoredType::kQ8_0))
      type = StoredType::kQ8_0;
    if (row % StoredTypeBlock(type) != 0) type = StoredType::kF16;
    *fallback = type != wanted;
    return type;
  }

  Status ReadParam(size_t index, std::vector<float>* values) const {
    values->resize(static_cast<size_t>(model_.params->entries()[index].elements()));
    return model_.params->Read(index, values->data());
  }

  // The type that "keep" gives a parameter that is F32 in every GGUF file.
  Result<StoredType> FolderTypeOfF32(size_t index) const {
    const StoredType usual = Kept(model_.params->entries()[0].type);
    if (usual == StoredType::kF32 || model_.params->entries()[index].name.ends_with(kRouterBias))
      return StoredType::kF32;
    std::vector<float> values;
    R1_TRY(ReadParam(index, &values));
    return SurvivesIn(usual, values) ? usual : StoredType::kF32;
  }

  // "BF16 model.norm.weight": where FolderTypeOfF32 would be wrong.
  Result<std::vector<std::string>> StoredTypes() const {
    std::vector<std::string> lines;
    if (o_.type || gguf_ != nullptr) return lines;
    for (const GgufTensor& tensor : list_) {
      if (!AlwaysF32(tensor)) continue;
      for (const size_t index : tensor.params) {
        R1_ASSIGN(const StoredType usual, FolderTypeOfF32(index));
        const auto& entry = model_.params->entries()[index];
        if (const StoredType kept = Kept(entry.type); kept != usual)
          lines.push_back(fmt::format("{} {}", StoredTypeName(kept), entry.name));
      }
    }
    return lines;
  }

  Result<std::map<std::string, StoredType, std::less<>>> ReadStoredTypes() const {
    std::map<std::string, StoredType, std::less<>> types;
    if (gguf_ == nullptr || gguf_->FindKey(kStoredTypes) == nullptr) return types;
    R1_ASSIGN(const std::vector<std::string_view> lines, gguf_->Strings(kStoredTypes));
    for (const std::string_view line : lines) {
      const size_t space = std::min(line.find(' '), line.size());
      const std::optional<StoredType> type = StoredTypeOfName(line.substr(0, space));
      if (!type || !IsFloat(*type) || space + 1 >= line.size()) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{}: key {}: {} is not a number type and a name", source_, kStoredTypes, Quote(line))};
      }
      types.emplace(line.substr(space + 1), *type);
    }
    return types;
  }

  Result<std::vector<StoredType>> FolderTypes() const {
    const auto& entries = model_.params->entries();
    std::vector<StoredType> types;
    for (const ParamSource::Entry& entry : entries) {
      const bool stays = o_.type && entry.name.ends_with(kRouterBias);
      types.push_back(stays ? StoredType::kF32 : o_.type.value_or(Kept(entry.type)));
    }
    if (o_.type || gguf_ == nullptr) return types;
    R1_ASSIGN(const auto named, ReadStoredTypes());
    std::vector<float> values;
    for (const GgufTensor& tensor : list_) {
      if (!AlwaysF32(tensor)) continue;
      for (const size_t index : tensor.params) {
        if (entries[index].type != StoredType::kF32) continue;
        const auto found = named.find(entries[index].name);
        if (found == named.end()) {
          R1_ASSIGN(types[index], FolderTypeOfF32(index));
          continue;
        }
        R1_TRY(ReadParam(index, &values));
        if (SurvivesIn(found->second, values)) types[index] = found->second;
      }
    }
    return types;
  }

  // Appends the values as they are written to bytes_, and measures what that changed.
  Status Encode(ConvertedTensor* tensor, const std::vector<float>& values, ConversionMeter* meter) {
    const auto count = static_cast<int64_t>(values.size());
    const size_t begin = bytes_.size();
    const auto size = static_cast<size_t>(count / StoredTypeBlock(tensor->to) * StoredTypeBytes(tensor->to));
    bytes_.resize(begin + size);
    if (Status done = EncodeValues(tensor->to, values.data(), count, bytes_.data() + begin); !done.ok()) {
      return Error{done.error().code,
                   fmt::format("{}: tensor {}: {}", source_, Quote(tensor->name), done.error().message)};
    }
    if (Widens(tensor->from, tensor->to)) return {};
    converted_.resize(values.size());
    DecodeValues(tensor->to, bytes_.data() + begin, count, converted_.data());
    meter->Add(values.data(), converted_.data(), count);
    return {};
  }

  Status Begin(size_t index) {
    if (Interrupted()) return Error{ErrorCode::kInterrupted, "interrupted; nothing was written"};
    bytes_.clear();
    if (o_.progress) {
      o_.progress(static_cast<int64_t>(index), static_cast<int64_t>(report_.tensors.size()),
                  report_.tensors[index].name);
    }
    return {};
  }

  void End(ConvertedTensor* tensor, const ConversionMeter& meter, size_t bytes) {
    const ConversionError error = meter.Total();
    if (error.max_abs > 0 || error.non_finite > 0) tensor->error = error;
    tensor->bytes = static_cast<int64_t>(bytes);
    report_.bytes += tensor->bytes;
  }

  Result<std::string_view> GgufBytes(size_t index) {
    R1_TRY(Begin(index));
    ConvertedTensor& out = report_.tensors[index];
    const GgufTensor& tensor = list_[index];
    ConversionMeter meter;
    if (const StoredTensor* same = SameTensor(tensor); same != nullptr && same->type == out.to) {
      End(&out, meter, static_cast<size_t>(same->bytes));
      return std::string_view(same->data, static_cast<size_t>(same->bytes));
    }
    for (size_t part = 0; part < tensor.parts(); ++part) {
      R1_TRY(ReadGgufPart(tensor, part, model_.config, *model_.params, &values_));
      R1_TRY(Encode(&out, values_, &meter));
    }
    End(&out, meter, bytes_.size());
    return std::string_view(bytes_);
  }

  Result<std::string_view> FolderBytes(size_t index) {
    R1_TRY(Begin(index));
    ConvertedTensor& out = report_.tensors[index];
    ConversionMeter meter;
    R1_TRY(ReadParam(index, &values_));
    R1_TRY(Encode(&out, values_, &meter));
    End(&out, meter, bytes_.size());
    return std::string_view(bytes_);
  }

  // The type that most numbers have.
  StoredType MainType() const {
    std::map<StoredType, int64_t> elements;
    for (const ConvertedTensor& tensor : report_.tensors) {
      int64_t count = 1;
      for (const int64_t size : tensor.shape) count *= size;
      elements[tensor.to] += count;
    }
    const auto most = std::max_element(elements.begin(), elements.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == elements.end() ? StoredType::kF32 : most->first;
  }

  std::vector<TensorToStore> TensorsToStore() const {
    std::vector<TensorToStore> tensors;
    for (const ConvertedTensor& tensor : report_.tensors) tensors.push_back({tensor.name, tensor.to, tensor.shape});
    return tensors;
  }

  Status AddGeneralKeys(GgufMetadata* keys) const {
    R1_TRY(AddConfigKeys(model_.config, keys));
    keys->AddString("general.type", "model");
    std::string name = BaseName(source_);
    if (gguf_ != nullptr) {
      for (const GgufEntry& entry : gguf_->metadata()) {
        const std::set<std::string_view> made = {"general.architecture", "general.type", "general.file_type",
                                                 "general.quantization_version", "general.alignment"};
        if (entry.key.starts_with("general.") && !made.contains(entry.key)) keys->Raw(entry);
      }
      if (gguf_->FindKey("general.name") != nullptr) name.clear();
    }
    if (!name.empty()) keys->AddString("general.name", name);
    keys->Add("general.file_type", FileTypeOf(MainType()));
    if (std::any_of(report_.tensors.begin(), report_.tensors.end(),
                    [](const ConvertedTensor& tensor) { return IsBlock(tensor.to); })) {
      keys->Add("general.quantization_version", uint32_t{2});
    }
    return {};
  }

  // Tokenizer, template, and what "keep" must know of the folder.
  Status AddOtherKeys(GgufMetadata* keys) {
    if (gguf_ != nullptr) {
      for (const GgufEntry& entry : gguf_->metadata()) {
        if (entry.key.starts_with("tokenizer.") || entry.key == "r1.eos_token_ids" || entry.key == kStoredTypes)
          keys->Raw(entry);
      }
      return {};
    }
    R1_TRY(AddTextKeys(text_, model_.config.vocab_size, keys, &report_.notes));
    R1_ASSIGN(const std::vector<std::string> types, StoredTypes());
    const std::vector<std::string_view> lines(types.begin(), types.end());
    if (!lines.empty()) keys->AddStrings(kStoredTypes, lines);
    return {};
  }

  Status WriteGgufFile() {
    for (const GgufTensor& tensor : list_) {
      ConvertedTensor& out = report_.tensors.emplace_back();
      out.name = tensor.name;
      out.shape = tensor.shape;
      out.from = SourceType(tensor);
      out.to = GgufTarget(tensor, out.from, &out.fallback);
    }
    GgufMetadata keys;
    R1_TRY(AddGeneralKeys(&keys));
    R1_TRY(AddOtherKeys(&keys));
    R1_TRY(WriteGguf(o_.target, keys, TensorsToStore(), [this](size_t index) { return GgufBytes(index); }));
    const Status intact = model_.params->CheckIntact();
    if (!intact.ok()) (void)RemoveFile(o_.target);
    return intact;
  }

  Status WriteFolder() {
    R1_ASSIGN(const std::vector<StoredType> types, FolderTypes());
    for (size_t i = 0; i < types.size(); ++i) {
      const ParamSource::Entry& entry = model_.params->entries()[i];
      ConvertedTensor& out = report_.tensors.emplace_back();
      out.name = entry.name;
      out.shape = entry.shape;
      out.from = entry.type;
      out.to = types[i];
    }
    std::string target = o_.target;
    while (target.size() > 1 && target.ends_with('/')) target.pop_back();
    const std::string partial = fmt::format("{}.partial-{}", target, getpid());
    R1_TRY(MakeDirs(partial));
    Status done = FillFolder(partial);
    if (done.ok()) done = RenamePath(partial, target);
    if (done.ok()) return SyncDir(ParentOf(target));
    (void)RemoveTree(partial);
    return done;
  }

  Status FillFolder(const std::string& folder) {
    R1_TRY(WriteShardedSafetensors(folder, TensorsToStore(), {{"format", "pt"}}, o_.max_shard_bytes,
                                   [this](size_t index) { return FolderBytes(index); }));
    R1_TRY(model_.params->CheckIntact());
    if (!IsDir(source_)) {
      R1_TRY(WriteFolderText(text_, folder, model_.config.max_position_embeddings));
    } else {
      for (const char* name : kSideFiles) {
        const std::string path = JoinPath(source_, name);
        if (!Exists(path)) continue;
        R1_ASSIGN(const std::string bytes, ReadFile(path, kMaxSideBytes));
        R1_TRY(WriteFileAtomic(JoinPath(folder, name), bytes));
      }
    }
    return WriteConfig(folder);
  }

  // config.json of the source, or one made of the config, with the type that is written now.
  Status WriteConfig(const std::string& folder) const {
    std::string original = ModelConfigToJson(model_.config);
    if (IsDir(source_)) {
      R1_ASSIGN(original, ReadFile(JoinPath(source_, "config.json"), kMaxSideBytes));
    }
    nlohmann::ordered_json config = nlohmann::ordered_json::parse(original, nullptr, false);
    if (!config.is_object()) return Error{ErrorCode::kBadInput, source_ + ": config.json is not an object"};
    const StoredType type = MainType();
    const char* name = type == StoredType::kF16 ? "float16" : type == StoredType::kBF16 ? "bfloat16" : "float32";
    config[config.contains("dtype") && !config.contains("torch_dtype") ? "dtype" : "torch_dtype"] = name;
    config.erase("quantization_config");
    if (IsDir(source_)) return WriteFileAtomic(JoinPath(folder, "config.json"), ToPrettyText(config));
    if (text_.bos >= 0) config["bos_token_id"] = text_.bos;
    if (text_.eos >= 0) config["eos_token_id"] = text_.eos;
    if (text_.pad >= 0) config["pad_token_id"] = text_.pad;
    return WriteFileAtomic(JoinPath(folder, "config.json"), ToPrettyText(config));
  }

  const ConvertOptions& o_;
  bool to_gguf_;
  std::string source_;
  ModelSource model_;
  std::unique_ptr<GgufFile> gguf_;  // the source, if it is one
  StoredText text_;
  std::vector<GgufTensor> list_;
  ConvertReport report_;
  std::vector<float> values_, converted_;
  std::string bytes_;  // of the tensor that is being written
};

}  // namespace

Result<ConvertReport> ConvertModel(const ConvertOptions& options) { return Converter(options).Run(); }

}  // namespace r1::cli
