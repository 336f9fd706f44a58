#include "distill/sample.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/files.h"
#include "base/quote.h"
#include "data/problem_set.h"
#include "data/traces.h"
#include "distill/pipeline.h"
#include "infer/rollout.h"
#include "reward/answer.h"
#include "world/corpus.h"

namespace r1 {
namespace {

constexpr int64_t kChunk = 256, kEndpointChunk = 32;
// Keeps the random numbers of sampling apart from those of reinforcement learning, whose steps count from 1.
constexpr uint32_t kSampleStep = 0x80000000u;
constexpr int64_t kMaxProblems = int64_t{1} << 31;

// The prompts of the settings: the world's, or a file's.
struct Prompts {
  int64_t count = 0;
  std::function<SamplePrompt(int64_t i)> at;
};

SamplePrompt PromptOf(const std::string& question, const std::string& solution) {
  SamplePrompt prompt{question, solution, "file", std::nullopt};
  if (Result<TaskProblem> problem = ParseTaskPrompt(question); problem.ok()) {
    prompt.task = TaskName(problem->kind);
    prompt.problem = std::move(*problem);
  }
  return prompt;
}

Result<Prompts> MakePrompts(const SampleConfig& config, uint64_t seed) {
  const int64_t first = config.first_problem;
  if (config.problems_file.empty()) {
    R1_ASSIGN(const std::vector<TaskShare> mix, ParseTaskMix(config.task));
    return Prompts{config.problems, [mix, seed, first](int64_t i) {
                     const auto index = static_cast<uint64_t>(first + i);
                     TaskProblem problem = TrainTask(TaskOfIndex(mix, index), seed, index);
                     SamplePrompt prompt{UserContent(problem.prompt), problem.solution, TaskName(problem.kind), {}};
                     prompt.problem = std::move(problem);
                     return prompt;
                   }};
  }
  R1_ASSIGN(std::vector<Problem> loaded, LoadProblems(config.problems_file, {.solution_required = false}));
  if (first >= static_cast<int64_t>(loaded.size())) {
    return Error{ErrorCode::kRefused, config.problems_file + " has only " + std::to_string(loaded.size()) +
                                          " problems; first_problem is " + std::to_string(first)};
  }
  const auto problems = std::make_shared<const std::vector<Problem>>(std::move(loaded));
  const int64_t count = std::min(config.problems, static_cast<int64_t>(problems->size()) - first);
  return Prompts{count, [problems, first](int64_t i) {
                   const Problem& problem = (*problems)[static_cast<size_t>(first + i)];
                   return PromptOf(problem.prompt, problem.solution);
                 }};
}

// What an endpoint said, as a reply of ours. Thinking may come apart, or in <think> tags before the content.
RawReply ReplyOfChoice(const ModelText& text, const ChatChoice& choice) {
  std::string thinking = choice.reasoning, content = choice.content, a, b;
  if (thinking.empty() && SplitThinkTags(content, &a, &b)) {
    thinking = std::move(a);
    content = std::move(b);
  }
  RawReply reply;
  reply.text = JoinReplyText(thinking, content);
  reply.ended = choice.finish_reason.empty() || choice.finish_reason == "stop";
  reply.tokens = CountReplyTokens(text, thinking, content);
  return reply;
}

// What a model said, in the form of the world.
std::string ReplyOfTokens(const ModelText& text, const std::vector<int32_t>& tokens, ThinkState think) {
  if (text.is_world()) return text.tokenizer().Decode(tokens);
  const AnswerReply parts = SplitAnswerReply(text.ReplyText(tokens, think), {});
  return JoinReplyText(parts.thinking, parts.content);
}

RawReply Missing() { return {"", false, true, 0}; }

// A seed for each sample that fits the 31 bits every endpoint takes.
int64_t SampleSeed(uint64_t seed, int64_t problem, int64_t sample) {
  const std::string name = std::to_string(seed) + " " + std::to_string(problem) + " " + std::to_string(sample);
  return static_cast<int64_t>(TextHash(name) & 0x7fffffffu);
}

}  // namespace

Status ValidateSampleConfig(const SampleConfig& c, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  R1_TRY(ValidateFilterConfig(c.filters, where));
  SamplingConfig sampling;
  sampling.temperature = c.temperature;
  sampling.top_p = c.top_p;
  R1_TRY(ValidateSamplingConfig(sampling, where));
  const Result<std::vector<TaskShare>> mix = ParseTaskMix(c.task);
  if (!mix.ok()) return fail("task: " + mix.error().message);
  if (const Result<CorpusOdds> odds = CorpusNamed(c.corpus); !odds.ok()) return fail(odds.error().message);
  if (c.problems < 1 || c.first_problem < 0 || c.problems > kMaxProblems || c.first_problem > kMaxProblems)
    return fail("problems must be in 1 .. 2^31, and first_problem in 0 .. 2^31");
  if (c.num_generations < 1 || c.num_generations > 65536) return fail("num_generations must be in 1 .. 65536");
  if (c.max_completion_length < 1 || c.max_completion_length > (int64_t{1} << 24))
    return fail("max_completion_length must be in 1 .. 2^24");
  if (c.max_per_prompt < 0) return fail("max_per_prompt must not be negative");
  if (c.decontaminate_ngram < 1 || c.decontaminate_ngram > 1000)
    return fail("decontaminate_ngram must be in 1 .. 1000");
  if (!(c.general >= 0 && c.general <= 100)) return fail("general must be in 0 .. 100");
  if (c.slots < 1 || c.slots > 65536) return fail("slots must be in 1 .. 65536");
  const JudgeConfig& j = c.judge;
  if (j.judge != "none" && j.judge != "model" && j.judge != "endpoint")
    return fail("judge must be none, model or endpoint");
  if (j.judge == "model" && j.judge_model.empty()) return fail("judge = model needs judge_model, a model folder");
  if (j.judge == "endpoint") {
    if (j.judge_model.empty()) return fail("judge = endpoint needs judge_model, a name the endpoint knows");
    if (const Status url = CheckHttpUrl(j.judge_url); !url.ok()) return fail("judge_url: " + url.error().message);
  }
  if (c.problems_file.empty() && c.filters.keep_correct && j.judge == "none") {
    for (const TaskShare& share : *mix) {
      if (share.kind != TaskKind::kHelpful && share.kind != TaskKind::kHarmless) continue;
      return fail(std::string("no rule says what is right for task '") + TaskName(share.kind) +
                  "': set keep_correct = false, or a judge");
    }
  }
  return {};
}

Status RunSample(const Model& model, const ModelText& text, const SampleConfig& config, uint64_t seed,
                 const std::string& folder, ThreadPool& pool, const std::string& title) {
  R1_TRY(ValidateSampleConfig(config, title));
  R1_ASSIGN(const Prompts prompts, MakePrompts(config, seed));
  R1_ASSIGN(const Judge judge, MakeJudge(config.judge, pool));
  RolloutEngine engine(model, pool);
  SampleSource source;
  source.name = "sample";
  const auto bytes = static_cast<size_t>(model.params().total) * sizeof(float);
  source.identity = ModelConfigToJson(model.config()) + Sha256(text.tokenizer().ToJson()) + text.identity() +
                    Sha256({reinterpret_cast<const char*>(model.data()), bytes});
  source.prompts = prompts.count;
  source.chunk = kChunk;
  source.prompt = prompts.at;
  source.replies = [&](const std::vector<SamplePrompt>& asked,
                       int64_t first) -> Result<std::vector<std::vector<RawReply>>> {
    std::vector<RolloutRequest> requests;
    std::vector<ThinkState> think;
    for (size_t i = 0; i < asked.size(); ++i) {
      const auto key = static_cast<uint32_t>(config.first_problem + first + static_cast<int64_t>(i));
      R1_ASSIGN(EncodedPrompt prompt, text.Prompt(UserMessages(config.system_prompt, asked[i].question),
                                                  "problem " + std::to_string(first + static_cast<int64_t>(i))));
      think.push_back(prompt.think);
      requests.push_back({std::move(prompt.tokens), key, config.num_generations});
    }
    RolloutOptions options;
    options.sampling.temperature = config.temperature;
    options.sampling.top_p = config.top_p;
    options.max_new_tokens = config.max_completion_length;
    options.stop = text.stop();
    options.token_limit = std::min<int64_t>(text.tokenizer().size(), model.config().vocab_size);
    options.seed = seed;
    options.step = kSampleStep;
    options.slots_per_lane = config.slots;
    options.want_logp = false;
    R1_ASSIGN(const auto completions, engine.Run(requests, options));
    std::vector<std::vector<RawReply>> replies(completions.size());
    pool.ParallelFor(static_cast<int64_t>(completions.size()), [&](int64_t i, int) {
      for (const Completion& c : completions[static_cast<size_t>(i)]) {
        replies[static_cast<size_t>(i)].push_back({ReplyOfTokens(text, c.tokens, think[static_cast<size_t>(i)]),
                                                   c.finish == FinishReason::kStop, false,
                                                   static_cast<int64_t>(c.tokens.size())});
      }
    });
    return replies;
  };
  return RunPipeline(source, config, text, seed, folder, judge, pool, title);
}

Status SampleFromEndpoint(const ChatClient& teacher, const ModelText& text, const SampleConfig& config, uint64_t seed,
                          const std::string& folder, ThreadPool& pool, const std::string& title) {
  R1_TRY(ValidateSampleConfig(config, title));
  R1_ASSIGN(const Prompts prompts, MakePrompts(config, seed));
  R1_ASSIGN(const Judge judge, MakeJudge(config.judge, pool));
  SampleSource source;
  source.name = "endpoint";
  source.identity = teacher.url() + " " + teacher.model() + Sha256(text.tokenizer().ToJson()) + text.identity();
  source.prompts = prompts.count;
  source.chunk = kEndpointChunk;
  source.prompt = prompts.at;
  source.replies = [&](const std::vector<SamplePrompt>& asked,
                       int64_t first) -> Result<std::vector<std::vector<RawReply>>> {
    std::vector<ChatRequest> requests;
    for (size_t i = 0; i < asked.size(); ++i) {
      for (int64_t s = 0; s < config.num_generations; ++s) {
        ChatRequest request;
        for (const ChatTurn& turn : UserMessages(config.system_prompt, asked[i].question))
          request.messages.push_back({turn.role, turn.content});
        request.temperature = config.temperature;
        request.top_p = config.top_p;
        request.max_tokens = config.max_completion_length;
        request.seed = SampleSeed(seed, config.first_problem + first + static_cast<int64_t>(i), s);
        requests.push_back(std::move(request));
      }
    }
    const std::vector<Result<ChatAnswer>> answers = teacher.Complete(requests);
    std::vector<std::vector<RawReply>> replies(asked.size());
    size_t unanswered = 0;
    for (size_t i = 0; i < answers.size(); ++i) {
      std::vector<RawReply>& of_prompt = replies[i / static_cast<size_t>(config.num_generations)];
      if (answers[i].ok()) {
        of_prompt.push_back(ReplyOfChoice(text, answers[i]->choices[0]));
        continue;
      }
      if (answers[i].error().code == ErrorCode::kInterrupted) return answers[i].error();
      of_prompt.push_back(Missing());
      ++unanswered;
    }
    if (unanswered == answers.size()) return answers[0].error();
    return replies;
  };
  return RunPipeline(source, config, text, seed, folder, judge, pool, title);
}

Status SampleFromTraces(const std::string& file, const ModelText& text, const SampleConfig& config, uint64_t seed,
                        const std::string& folder, ThreadPool& pool, const std::string& title) {
  R1_TRY(ValidateSampleConfig(config, title));
  R1_ASSIGN(const std::vector<Trace> traces, LoadTraces(file));
  R1_ASSIGN(const Judge judge, MakeJudge(config.judge, pool));
  R1_ASSIGN(const std::string hash, Sha256OfFile(file));
  SampleSource source;
  source.name = "traces";
  source.identity = hash + Sha256(text.tokenizer().ToJson()) + text.identity();
  source.prompts = static_cast<int64_t>(traces.size());
  source.chunk = kChunk;
  source.prompt = [&](int64_t i) {
    const Trace& trace = traces[static_cast<size_t>(i)];
    return PromptOf(trace.question, trace.solution);
  };
  source.replies = [&](const std::vector<SamplePrompt>& asked,
                       int64_t first) -> Result<std::vector<std::vector<RawReply>>> {
    std::vector<std::vector<RawReply>> replies(asked.size());
    pool.ParallelFor(static_cast<int64_t>(asked.size()), [&](int64_t i, int) {
      const Trace& trace = traces[static_cast<size_t>(first + i)];
      const std::string reply = JoinReplyText(trace.thinking, trace.content);
      replies[static_cast<size_t>(i)] = {{reply, true, false, CountReplyTokens(text, trace.thinking, trace.content)}};
    });
    return replies;
  };
  return RunPipeline(source, config, text, seed, folder, judge, pool, title);
}

}  // namespace r1
