#include "distill/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/fields.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/progress.h"
#include "train/run_files.h"
#include "world/corpus.h"
#include "world/words.h"

namespace r1 {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kJudgeReplyTokens = 64;
constexpr int64_t kMaxPassedOver = 10000;  // general documents in a row
// Settings of the raw replies; those of the filters join them where a judge is asked, as they decide what it is asked.
constexpr std::array<const char*, 9> kRawSettings = {
    "task",        "problems", "problems_file",         "first_problem", "num_generations",
    "temperature", "top_p",    "max_completion_length", "system_prompt"};
constexpr std::array<const char*, 2> kNotShaping = {"slots", "judge_key_env"};

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <class List>
bool Contains(const List& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// A problem's line in raw.jsonl.
struct RawLine {
  std::vector<RawReply> replies;
  std::vector<std::string> verdicts;  // as long as replies; "" where the judge was not asked
};

std::string RawText(int64_t problem, const SamplePrompt& prompt, const RawLine& raw) {
  Json line;
  line["problem"] = problem;
  line["prompt"] = prompt.question;
  line["replies"] = Json::array();
  for (size_t i = 0; i < raw.replies.size(); ++i) {
    const RawReply& reply = raw.replies[i];
    Json entry = {{"text", reply.text}, {"ended", reply.ended}, {"tokens", reply.tokens}};
    if (reply.missing) entry["missing"] = true;
    if (!raw.verdicts[i].empty()) entry["verdict"] = raw.verdicts[i];
    line["replies"].push_back(entry);
  }
  return ToLineText(line);
}

// nullopt if the line is not that of this problem.
std::optional<RawLine> ParseRaw(std::string_view text, int64_t problem) {
  const Result<nlohmann::json> line = ParseJson(text, "raw.jsonl");
  if (!line.ok() || !line->is_object() || !line->contains("problem") || (*line)["problem"] != problem) return {};
  if (!line->contains("replies") || !(*line)["replies"].is_array()) return {};
  RawLine raw;
  for (const nlohmann::json& entry : (*line)["replies"]) {
    const bool good = entry.is_object() && entry.contains("text") && entry["text"].is_string() &&
                      entry.contains("ended") && entry["ended"].is_boolean() && entry.contains("tokens") &&
                      entry["tokens"].is_number_integer();
    if (!good) return {};
    raw.replies.push_back({entry["text"].get<std::string>(), entry["ended"].get<bool>(), entry.contains("missing"),
                           entry["tokens"].get<int64_t>()});
    const auto verdict = entry.find("verdict");
    raw.verdicts.push_back(verdict != entry.end() && verdict->is_string() ? verdict->get<std::string>() : "");
  }
  return raw;
}

Sample MakeSample(const SamplePrompt& prompt, const RawReply& reply) {
  return {prompt.question, prompt.solution, prompt.problem, reply.text, reply.ended, reply.tokens};
}

class Pipeline {
 public:
  Pipeline(const SampleSource& source, const SampleConfig& config, const ModelText& text, uint64_t seed,
           std::string folder, const Judge& judge, ThreadPool& pool, std::string title)
      : source_(source),
        config_(config),
        text_(text),
        seed_(seed),
        folder_(std::move(folder)),
        judge_(judge),
        pool_(pool),
        title_(std::move(title)),
        raw_path_(JoinPath(folder_, "raw.jsonl")) {}

  Status Run() {
    R1_TRY(MakeDirs(folder_));
    R1_TRY(RemoveTemporaries(folder_));
    R1_ASSIGN(odds_, CorpusNamed(config_.corpus));
    R1_TRY(ReadBenchmarks());
    R1_TRY(MakeHashes());
    if (IsDone()) return {};
    R1_TRY(SampleAll());
    return WriteKept();
  }

 private:
  std::string Path(const char* name) const { return JoinPath(folder_, name); }

  Status ReadBenchmarks() {
    if (config_.decontaminate.empty()) return {};
    benchmarks_ = std::make_unique<NgramSet>(config_.decontaminate_ngram);
    for (const std::string& path : SplitCommas(config_.decontaminate)) {
      R1_TRY(benchmarks_->AddFile(path));
      R1_ASSIGN(const std::string hash, Sha256OfFile(path));
      benchmark_hashes_ += hash + "\n";
    }
    if (benchmarks_->short_texts() > 0) {
      LogInfo(fmt::format("{}: {} of {} benchmark texts have fewer than {} words and cannot be found in samples",
                          title_, benchmarks_->short_texts(), benchmarks_->texts(), config_.decontaminate_ngram));
    }
    return {};
  }

  Status MakeHashes() {
    SampleConfig copy = config_;
    FieldList raw, all;
    for (const Field& field : CollectFields(copy)) {
      if (Contains(kNotShaping, field.name)) continue;
      if (field.name == "system_prompt" && config_.system_prompt.empty()) continue;
      all.push_back(field);
      if (Contains(kRawSettings, field.name) || judge_ != nullptr) raw.push_back(field);
    }
    std::string inputs = source_.name + "\n" + source_.identity + "\n" + std::to_string(seed_) + "\n";
    if (!config_.problems_file.empty()) {
      R1_ASSIGN(const std::string hash, Sha256OfFile(config_.problems_file));
      inputs += hash + "\n";
    }
    if (config_.judge.judge == "model") {
      R1_ASSIGN(const std::string judge, ResolveModelFolder(config_.judge.judge_model));
      R1_ASSIGN(const std::string hash, Sha256OfFile(JoinPath(judge, "model.safetensors")));
      inputs += hash + "\n";
    }
    raw_hash_ = Sha256(inputs + FieldsText(raw));
    full_hash_ = Sha256(inputs + benchmark_hashes_ + FieldsText(all));
    return {};
  }

  bool IsDone() const {
    if (!Exists(Path("stats.json")) || !Exists(Path("samples.jsonl"))) return false;
    const Result<nlohmann::json> stats = ReadJsonFile(Path("stats.json"));
    return stats.ok() && stats->is_object() && stats->value("config_sha256", "") == full_hash_;
  }

  std::string HeaderText() const { return ToLineText(Json{{"format", 1}, {"config_sha256", raw_hash_}}); }

  // Prompts whose replies are in raw.jsonl, whole chunks only, and the length of the file up to there.
  Status FindDone(int64_t* done, int64_t* keep) const {
    *done = *keep = 0;
    if (!Exists(raw_path_)) return {};
    R1_ASSIGN(const int64_t bytes, FileSize(raw_path_));
    if (bytes == 0) return {};
    R1_ASSIGN(const MappedFile file, MappedFile::Open(raw_path_));
    const std::string_view text = file.bytes();
    size_t at = 0;
    const auto next = [&]() -> std::optional<std::string_view> {
      const size_t end = text.find('\n', at);
      if (end == std::string_view::npos) return {};
      const std::string_view line = text.substr(at, end - at);
      at = end + 1;
      return line;
    };
    std::optional<std::string_view> line = next();
    if (!line.has_value()) return {};  // killed while it was begun
    if (*line != HeaderText()) {
      return Error{ErrorCode::kRefused,
                   raw_path_ +
                       " was sampled with other settings or another model; give another folder, or "
                       "remove this one to sample again"};
    }
    *keep = static_cast<int64_t>(at);
    for (int64_t problem = 0; (line = next()).has_value() && problem < source_.prompts;) {
      if (!ParseRaw(*line, problem).has_value()) break;
      ++problem;
      if (problem % source_.chunk != 0 && problem != source_.prompts) continue;
      *done = problem;
      *keep = static_cast<int64_t>(at);
    }
    return file.CheckIntact();
  }

  Status SampleAll() {
    int64_t done = 0, keep = 0;
    R1_TRY(FindDone(&done, &keep));
    R1_ASSIGN(LineWriter raw, LineWriter::Open(raw_path_, keep > 0 || Exists(raw_path_) ? keep : -1));
    if (keep == 0) R1_TRY(raw.Append(HeaderText()));
    const int64_t chunks_done = (done + source_.chunk - 1) / source_.chunk;
    R1_ASSIGN(MetricsFile metrics, MetricsFile::Open(Path("metrics.jsonl"), chunks_done));
    if (done > 0 && done < source_.prompts)
      LogInfo(fmt::format("{}: going on after {} of {} problems", title_, done, source_.prompts));
    Progress progress(title_, source_.prompts, done);
    int64_t samples = 0, kept = 0, tokens = 0;
    const double began = Now();
    for (int64_t first = done; first < source_.prompts; first += source_.chunk) {
      const double chunk_began = Now();
      const int64_t count = std::min(source_.chunk, source_.prompts - first);
      const Status chunk = SampleChunk(first, count);
      if (!chunk.ok()) {
        R1_TRY(raw.Sync());
        if (chunk.error().code != ErrorCode::kInterrupted && !Interrupted()) return chunk;
        return Error{ErrorCode::kInterrupted,
                     fmt::format("{}: interrupted; {} of {} problems are kept, run the same command again to go on",
                                 title_, first, source_.prompts)};
      }
      const auto n = static_cast<double>(chunk_samples_);
      R1_TRY(metrics.Write(first / source_.chunk + 1, {{"samples", n},
                                                       {"kept", static_cast<double>(chunk_kept_)},
                                                       {"tokens", static_cast<double>(chunk_tokens_)},
                                                       {"step_time", Now() - chunk_began}}));
      for (const std::string& line : chunk_lines_) R1_TRY(raw.Append(line));
      KillPoint("sample.after_chunk");
      samples += chunk_samples_;
      kept += chunk_kept_;
      tokens += chunk_tokens_;
      progress.Update(first + count,
                      fmt::format("{} replies, {:.0f} % pass, {:.1f}k tok/s", samples,
                                  samples > 0 ? 100.0 * static_cast<double>(kept) / static_cast<double>(samples) : 0.0,
                                  static_cast<double>(tokens) / (Now() - began) / 1000));
    }
    R1_TRY(raw.Sync());
    R1_TRY(metrics.Sync());
    progress.Finish(fmt::format("{} replies sampled, {}", samples, DurationText(Now() - began)));
    return {};
  }

  // Fills chunk_lines_ and the chunk's counts.
  Status SampleChunk(int64_t first, int64_t count) {
    std::vector<SamplePrompt> prompts;
    for (int64_t i = 0; i < count; ++i) prompts.push_back(source_.prompt(first + i));
    R1_ASSIGN(std::vector<std::vector<RawReply>> replies, source_.replies(prompts, first));
    R1_CHECK(replies.size() == prompts.size(), "a list of replies for each prompt");
    std::vector<RawLine> lines(prompts.size());
    for (size_t p = 0; p < lines.size(); ++p) {
      lines[p].replies = std::move(replies[p]);
      lines[p].verdicts.resize(lines[p].replies.size());
    }
    const std::vector<std::vector<Filtered>> filtered = FilterLines(prompts, lines);
    chunk_samples_ = chunk_kept_ = chunk_tokens_ = 0;
    std::vector<JudgeQuestion> questions;
    std::vector<std::string*> answers;
    for (size_t p = 0; p < lines.size(); ++p) {
      for (size_t s = 0; s < lines[p].replies.size(); ++s) {
        ++chunk_samples_;
        chunk_tokens_ += lines[p].replies[s].tokens;
        const Filtered& f = filtered[p][s];
        if (f.drop != Drop::kNone) continue;
        ++chunk_kept_;
        if (!NeedsJudge(f)) continue;
        questions.push_back({prompts[p].question, prompts[p].solution, f.text.content});
        answers.push_back(&lines[p].verdicts[s]);
      }
    }
    if (!questions.empty()) {
      R1_ASSIGN(const std::vector<Verdict> verdicts, judge_(questions));
      R1_CHECK(verdicts.size() == questions.size(), "a verdict for each question");
      for (size_t i = 0; i < verdicts.size(); ++i) *answers[i] = VerdictName(verdicts[i]);
    }
    chunk_lines_.clear();
    for (size_t p = 0; p < lines.size(); ++p)
      chunk_lines_.push_back(RawText(first + static_cast<int64_t>(p), prompts[p], lines[p]));
    return {};
  }

  bool NeedsJudge(const Filtered& f) const {
    return judge_ != nullptr && config_.filters.keep_correct && f.check == Check::kUnknown;
  }

  std::vector<std::vector<Filtered>> FilterLines(const std::vector<SamplePrompt>& prompts,
                                                 const std::vector<RawLine>& lines) {
    std::vector<std::vector<Filtered>> filtered(lines.size());
    pool_.ParallelFor(static_cast<int64_t>(lines.size()), [&](int64_t i, int) {
      const size_t p = static_cast<size_t>(i);
      for (const RawReply& reply : lines[p].replies) {
        if (reply.missing) {
          filtered[p].push_back({.drop = Drop::kNoReply, .check = {}, .text = {}, .rewritten = false});
        } else {
          filtered[p].push_back(
              FilterSample(MakeSample(prompts[p], reply), config_.filters, judge_ != nullptr, benchmarks_.get()));
        }
      }
    });
    return filtered;
  }

  // The pass over raw.jsonl.
  Status WriteKept() {
    R1_ASSIGN(const MappedFile file, MappedFile::Open(raw_path_));
    const std::string temporary = Path("samples.jsonl.partial");
    R1_TRY(RemoveFile(temporary));
    R1_ASSIGN(FileWriter out, FileWriter::Create(temporary));
    const std::string_view text = file.bytes();
    size_t at = text.find('\n') + 1;
    for (int64_t first = 0; first < source_.prompts; first += source_.chunk) {
      std::vector<SamplePrompt> prompts;
      std::vector<RawLine> lines;
      const int64_t count = std::min(source_.chunk, source_.prompts - first);
      for (int64_t i = 0; i < count; ++i) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::optional<RawLine> line = ParseRaw(text.substr(at, end - at), first + i);
        if (!line.has_value())
          return Error{ErrorCode::kIo, raw_path_ + " changed while it was read; run the same command again"};
        at = std::min(end + 1, text.size());
        prompts.push_back(source_.prompt(first + i));
        lines.push_back(std::move(*line));
      }
      const std::vector<std::vector<Filtered>> filtered = FilterLines(prompts, lines);
      for (size_t p = 0; p < lines.size(); ++p) R1_TRY(WriteProblem(prompts[p], lines[p], filtered[p], out));
    }
    R1_TRY(file.CheckIntact());
    R1_TRY(out.Finish());
    R1_TRY(RenamePath(temporary, Path("samples.jsonl")));
    R1_TRY(SyncDir(folder_));
    KillPoint("sample.after_samples");
    R1_TRY(WriteFileAtomic(Path("stats.json"), StatsText()));
    if (kept_ == 0) LogWarn(fmt::format("{}: no sample passed the filters; stats.json says why", title_));
    return {};
  }

  Status WriteProblem(const SamplePrompt& prompt, const RawLine& line, const std::vector<Filtered>& filtered,
                      FileWriter& out) {
    TaskCounts& task = tasks_[prompt.task];
    const uint64_t prompt_hash = TextHash(prompt.question);
    bool any = false;
    for (size_t s = 0; s < filtered.size(); ++s) {
      ++samples_;
      ++task.samples;
      sampled_tokens_ += line.replies[s].tokens;
      const Filtered& f = filtered[s];
      const Drop drop = LastDrop(f, line.verdicts[s], prompt_hash);
      ++dropped_[static_cast<size_t>(drop)];
      if (drop != Drop::kNone) continue;
      any = true;
      ++task.kept;
      rewritten_ += f.rewritten;
      R1_TRY(WriteOne(prompt.question, f.text, prompt.task, source_.name, &kept_tokens_, out));
      ++kept_;
      R1_TRY(AddGeneral(out));
    }
    prompts_kept_ += any;
    return {};
  }

  // General documents up to their share of what is kept so far; those that overlap a benchmark are passed over.
  Status AddGeneral(FileWriter& out) {
    if (!text_.is_world()) return {};
    int64_t passed_over = 0;
    while (general_ < std::llround(config_.general * static_cast<double>(kept_)) && passed_over < kMaxPassedOver) {
      const Document document = GeneralDocumentAt(seed_, general_cursor_++, odds_);
      const std::string question = UserContent(document.prompt);
      if (benchmarks_ != nullptr && (benchmarks_->Overlaps(question) || benchmarks_->Overlaps(document.reply))) {
        ++passed_over;
        ++general_skipped_;
        continue;
      }
      passed_over = 0;
      ++general_;
      R1_TRY(WriteOne(question, SplitReplyText(document.reply), TaskName(TaskKind::kGeneral), "corpus",
                      &general_tokens_, out));
    }
    return {};
  }

  // With what depends on the judge and on the samples before.
  Drop LastDrop(const Filtered& f, const std::string& verdict, uint64_t prompt_hash) {
    if (f.drop != Drop::kNone) return f.drop;
    if (NeedsJudge(f) && verdict != VerdictName(Verdict::kCorrect))
      return verdict == VerdictName(Verdict::kIncorrect) ? Drop::kIncorrect : Drop::kJudgeFailed;
    if (config_.dedup) {
      const uint64_t hash = NormalizedHash(JoinReplyText(f.text.thinking, f.text.content));
      if (!seen_.insert(hash ^ (prompt_hash * 0x9e3779b97f4a7c15u)).second) return Drop::kDuplicate;
    }
    if (config_.max_per_prompt > 0) {
      int64_t& count = per_prompt_[prompt_hash];
      if (count >= config_.max_per_prompt) return Drop::kPerPrompt;
      ++count;
    }
    return Drop::kNone;
  }

  Status WriteOne(const std::string& question, const ReplyText& reply, std::string_view task, std::string_view source,
                  int64_t* total, FileWriter& out) {
    const int64_t tokens = CountReplyTokens(text_, reply.thinking, reply.content);
    *total += tokens;
    return out.Write(MessagesLine(config_.system_prompt, question, reply, task, source, tokens) + "\n");
  }

  std::string StatsText() const {
    Json stats;
    stats["source"] = source_.name;
    stats["prompts"] = source_.prompts;
    stats["samples"] = samples_;
    stats["kept"] = kept_;
    stats["general"] = general_;
    if (general_skipped_ > 0) stats["general_skipped"] = general_skipped_;
    stats["dropped"] = Json::object();
    for (size_t i = 1; i < dropped_.size(); ++i) {
      if (dropped_[i] > 0) stats["dropped"][DropName(static_cast<Drop>(i))] = dropped_[i];
    }
    const auto share = [](int64_t a, int64_t b) {
      return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0.0;
    };
    stats["tokens"] = kept_tokens_ + general_tokens_;
    stats["sampled_tokens"] = sampled_tokens_;
    stats["mean_tokens"] = share(kept_tokens_, kept_);
    stats["share_kept"] = share(kept_, samples_);
    stats["prompts_kept"] = prompts_kept_;
    stats["rewritten"] = rewritten_;
    for (const auto& [name, counts] : tasks_)
      stats["tasks"][name] = {{"samples", counts.samples}, {"kept", counts.kept}};
    stats["config_sha256"] = full_hash_;
    return ToPrettyText(stats);
  }

  struct TaskCounts {
    int64_t samples = 0, kept = 0;
  };

  const SampleSource& source_;
  const SampleConfig& config_;
  const ModelText& text_;
  uint64_t seed_;
  std::string folder_;
  const Judge& judge_;
  ThreadPool& pool_;
  std::string title_, raw_path_;
  std::unique_ptr<NgramSet> benchmarks_;
  std::string benchmark_hashes_, raw_hash_, full_hash_;
  std::vector<std::string> chunk_lines_;
  int64_t chunk_samples_ = 0, chunk_kept_ = 0, chunk_tokens_ = 0;
  std::array<int64_t, static_cast<size_t>(Drop::kCount)> dropped_{};
  CorpusOdds odds_;  // of the general documents
  int64_t samples_ = 0, kept_ = 0, general_ = 0, general_skipped_ = 0, prompts_kept_ = 0, rewritten_ = 0;
  uint64_t general_cursor_ = 0;  // of the next document
  int64_t sampled_tokens_ = 0, kept_tokens_ = 0, general_tokens_ = 0;
  std::map<std::string, TaskCounts> tasks_;
  std::unordered_set<uint64_t> seen_;
  std::unordered_map<uint64_t, int64_t> per_prompt_;
};

}  // namespace

int64_t CountReplyTokens(const ModelText& text, std::string_view thinking, std::string_view content) {
  const Tokenizer& tokenizer = text.tokenizer();
  if (text.is_world()) return static_cast<int64_t>(tokenizer.Encode(JoinReplyText(thinking, content)).size());
  const std::string tags = thinking.empty() ? "" : std::string(kThinkMarker) + std::string(kEndThinkMarker);
  return static_cast<int64_t>(tokenizer.Encode(tags).size() + tokenizer.EncodeContent(thinking).size() +
                              tokenizer.EncodeContent(content).size() + 1);
}

Result<Judge> MakeJudge(const JudgeConfig& config, ThreadPool& pool) {
  if (config.judge == "none") return Judge();
  if (config.judge == "model") return ModelJudge(config.judge_model, kJudgeReplyTokens, pool);
  ChatOptions options;
  options.base_url = config.judge_url;
  options.model = config.judge_model;
  R1_ASSIGN(options.http.key, KeyFromEnvironment(config.judge_key_env));
  R1_ASSIGN(const ChatClient client, ChatClient::Create(std::move(options)));
  return EndpointJudge(client);
}

Status RunPipeline(const SampleSource& source, const SampleConfig& config, const ModelText& text, uint64_t seed,
                   const std::string& folder, const Judge& judge, ThreadPool& pool, const std::string& title) {
  return Pipeline(source, config, text, seed, folder, judge, pool, title).Run();
}

}  // namespace r1
