// Rejection sampling as a whole: a model trained for seconds, endpoints that answer as a test wants, recorded traces.
#include "distill/sample.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/test_dir.h"
#include "data/corpus_stream.h"
#include "data/sft_data.h"
#include "kernels/kernels.h"
#include "model/io.h"
#include "support/fake_endpoint.h"
#include "train/trainer.h"
#include "world/corpus.h"
#include "world/words.h"

namespace r1 {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int64_t kMaxBytes = int64_t{1} << 28;

std::string Read(const std::string& path) {
  const Result<std::string> text = ReadFile(path, kMaxBytes);
  EXPECT_TRUE(text.ok()) << text.error().message;
  return text.ok() ? *text : "";
}

nlohmann::json StatsOf(const std::string& folder) {
  return nlohmann::json::parse(Read(JoinPath(folder, "stats.json")));
}

std::vector<nlohmann::json> LinesOf(const std::string& path) {
  std::vector<nlohmann::json> lines;
  const std::string text = Read(path);
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(nlohmann::json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return lines;
}

class SampleTest : public testing::Test {
 protected:
  struct World {
    TempDir dir;
    Tokenizer tokenizer = TrainTokenizer(kSeed, 3000).value();
    std::string model;
  };
  static void SetUpTestSuite() {
    SetFloatMode();
    SetLogLevel(LogLevel::kError);
    world_ = new World;
    ThreadPool pool(2);
    ModelConfig config = ModelPreset("tiny").value();
    config.vocab_size = kernels::RoundUp(tokenizer().size(), 32);
    Model model(config, true);
    model.Init(kSeed);
    TrainOnGeneralTasks(model, pool);
    world_->model = world_->dir / "base";
    ASSERT_TRUE(MakeDirs(world_->model).ok());
    ASSERT_TRUE(
        WriteModelFiles(world_->model, model, tokenizer().IdOf(kBeginMarker), tokenizer().IdOf(kEndMarker)).ok());
    ASSERT_TRUE(WriteFileAtomic(JoinPath(world_->model, "tokenizer.json"), tokenizer().ToJson()).ok());
  }
  // The easiest tasks of the world, of which so small a model learns some in seconds.
  static void TrainOnGeneralTasks(Model& model, ThreadPool& pool) {
    constexpr int64_t kSteps = 150, kDocuments = 64;
    OptimizerConfig optimizer;
    optimizer.learning_rate = 1e-2;
    optimizer.warmup_steps = 10;
    Trainer trainer(model, optimizer, pool);
    model.Pack(pool);
    for (int64_t step = 0; step < kSteps; ++step) {
      std::vector<TokenDocument> documents;
      std::vector<TrainSequence> sequences;
      float targets = 0;
      for (int64_t i = 0; i < kDocuments; ++i) {
        const Document d = GeneralDocumentAt(kSeed, static_cast<uint64_t>(step * kDocuments + i));
        documents.push_back(TokenizeExample(tokenizer(), d.prompt, d.reply));
      }
      for (const TokenDocument& d : documents) {
        sequences.push_back({d.tokens.data(), static_cast<int64_t>(d.tokens.size()), d.loss_from});
        targets += static_cast<float>(sequences.back().n - d.loss_from);
      }
      trainer.Step(step, kSteps, sequences, {}, [&](int, const MicroBatch& micro, LogProbs& logp) {
        for (int64_t i = 0; i < micro.rows; ++i) logp.dlogp[i] = -1.0f / targets;
      });
    }
  }
  static void TearDownTestSuite() {
    delete world_;
    world_ = nullptr;
  }
  void TearDown() override { ClearInterrupt(); }

  static const Tokenizer& tokenizer() { return world_->tokenizer; }

  static SampleConfig Small() {
    SampleConfig c;
    c.task = "general";
    c.problems = 300;  // two chunks
    c.num_generations = 3;
    c.max_completion_length = 16;
    return c;
  }

  static Status Run(const SampleConfig& config, const std::string& folder, int threads = 2, uint64_t seed = kSeed) {
    ThreadPool pool(threads);
    Result<Model> model = LoadModel(world_->model, false, pool);
    if (!model.ok()) return model.error();
    return RunSample(*model, world_->tokenizer, config, seed, folder, pool, "test");
  }

  static ChatClient ClientOf(const FakeEndpoint& endpoint) {
    ChatOptions options;
    options.base_url = endpoint.url();
    options.model = "teacher";
    options.http.backoff = 0.01;
    options.http.max_attempts = 2;
    options.http.total_timeout = 10;
    return ChatClient::Create(options).value();
  }

  static World* world_;
  TempDir dir_;
};
SampleTest::World* SampleTest::world_ = nullptr;

TEST_F(SampleTest, KeepsRightAnswersAndCountsTheRest) {
  const SampleConfig config = Small();
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  const nlohmann::json stats = StatsOf(dir_ / "a");
  const int64_t kept = stats["kept"];
  EXPECT_EQ(stats["prompts"], 300);
  EXPECT_EQ(stats["samples"], 900);
  ASSERT_GT(kept, 20);
  EXPECT_LT(kept, 600);
  int64_t dropped = 0;
  for (const auto& [name, count] : stats["dropped"].items()) dropped += count.get<int64_t>();
  EXPECT_EQ(dropped + kept, 900);
  EXPECT_GT(stats["dropped"]["incorrect"], 0);
  EXPECT_EQ(stats["general"], (kept + 1) / 2);
  EXPECT_EQ(stats["tasks"]["general"]["kept"], kept);
  EXPECT_DOUBLE_EQ(stats["share_kept"], static_cast<double>(kept) / 900);

  int64_t sampled = 0, tokens = 0;
  for (const nlohmann::json& line : LinesOf(dir_ / "a/samples.jsonl")) {
    tokens += line["metadata"]["tokens"].get<int64_t>();
    sampled += line["metadata"]["source"] == "sample";
    const std::string question = line["messages"][0]["content"];
    const TaskProblem problem = ParseTaskPrompt(question).value();
    EXPECT_EQ(line["metadata"]["task"], TaskName(problem.kind));
    const nlohmann::json& message = line["messages"][1];
    const std::string reply =
        JoinReplyText(message.value("reasoning_content", ""), message["content"].get<std::string>());
    EXPECT_TRUE(AnalyzeTaskReply(problem, reply).correct) << question << reply;
  }
  EXPECT_EQ(sampled, kept);
  EXPECT_EQ(stats["tokens"], tokens);
  // What is written is what supervised training reads.
  const auto documents = LoadSftData(dir_ / "a/samples.jsonl", tokenizer());
  ASSERT_TRUE(documents.ok()) << documents.error().message;
  EXPECT_EQ(static_cast<int64_t>(documents->size()), kept + stats["general"].get<int64_t>());
  int64_t reply_tokens = 0;
  for (const TokenDocument& d : *documents) reply_tokens += static_cast<int64_t>(d.tokens.size()) - d.loss_from;
  EXPECT_EQ(reply_tokens, tokens);
}

TEST_F(SampleTest, TheBytesDoNotDependOnThreadsOrOnWhereItWasStopped) {
  const SampleConfig config = Small();
  ASSERT_TRUE(Run(config, dir_ / "one", 1).ok());
  ASSERT_TRUE(Run(config, dir_ / "three", 3).ok());
  const std::string raw = Read(dir_ / "one/raw.jsonl");
  for (const char* name : {"raw.jsonl", "samples.jsonl", "stats.json"})
    EXPECT_EQ(Read(JoinPath(dir_ / "one", name)), Read(JoinPath(dir_ / "three", name))) << name;

  // Killed in the header, in the first chunk, within a line of the second, and before the last pass.
  const size_t second = raw.find("{\"problem\":256,");
  ASSERT_NE(second, std::string::npos);
  int folder = 0;
  for (const size_t length :
       {size_t{0}, size_t{10}, raw.size() / 3, second, second + 100, raw.size() - 1, raw.size()}) {
    const std::string stopped = dir_ / ("stopped" + std::to_string(folder++));
    ASSERT_TRUE(MakeDirs(stopped).ok());
    ASSERT_TRUE(WriteFileAtomic(JoinPath(stopped, "raw.jsonl"), raw.substr(0, length)).ok());
    ASSERT_TRUE(WriteFileAtomic(JoinPath(stopped, "samples.jsonl.partial"), "half").ok());
    ASSERT_TRUE(Run(config, stopped).ok()) << length;
    for (const char* name : {"raw.jsonl", "samples.jsonl", "stats.json"})
      EXPECT_EQ(Read(JoinPath(stopped, name)), Read(JoinPath(dir_ / "one", name))) << name << " " << length;
    EXPECT_FALSE(Exists(JoinPath(stopped, "samples.jsonl.partial")));
  }
}

TEST_F(SampleTest, AnInterruptKeepsWholeChunksAndIsResumed) {
  const SampleConfig config = Small();
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  RequestInterrupt();
  const Status stopped = Run(config, dir_ / "b");
  ClearInterrupt();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
  EXPECT_FALSE(Exists(dir_ / "b/samples.jsonl"));
  ASSERT_TRUE(Run(config, dir_ / "b").ok());
  EXPECT_EQ(Read(dir_ / "a/samples.jsonl"), Read(dir_ / "b/samples.jsonl"));
}

TEST_F(SampleTest, FiltersMayChangeWithoutSamplingAgainButSettingsOfSamplingMayNot) {
  SampleConfig config = Small();
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  const std::string raw = Read(dir_ / "a/raw.jsonl");
  const int64_t kept = StatsOf(dir_ / "a")["kept"];
  config.max_per_prompt = 1;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  EXPECT_EQ(Read(dir_ / "a/raw.jsonl"), raw);
  const nlohmann::json stats = StatsOf(dir_ / "a");
  EXPECT_LT(stats["kept"], kept);
  EXPECT_EQ(stats["kept"], stats["prompts_kept"]);
  EXPECT_GT(stats["dropped"]["per_prompt"], 0);
  config.temperature = 0.5;
  const Status other = Run(config, dir_ / "a");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kRefused);
  EXPECT_FALSE(Run(Small(), dir_ / "a", 2, kSeed + 1).ok());
}

TEST_F(SampleTest, EqualRepliesAreKeptOnce) {
  SampleConfig config = Small();
  config.problems = 100;
  config.temperature = 0;  // all replies to a prompt are equal
  config.max_per_prompt = 0;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  const nlohmann::json once = StatsOf(dir_ / "a");
  const int64_t kept = once["kept"], duplicates = once["dropped"]["duplicate"];
  ASSERT_GT(kept, 0);
  EXPECT_GE(duplicates, 2 * kept);  // more where a problem comes twice
  config.dedup = false;
  ASSERT_TRUE(Run(config, dir_ / "b").ok());
  EXPECT_EQ(StatsOf(dir_ / "b")["kept"], kept + duplicates);
}

TEST_F(SampleTest, FirstProblemMovesAlongTheList) {
  SampleConfig config = Small();
  config.problems = 20;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  config.first_problem = 10;
  config.problems = 10;
  ASSERT_TRUE(Run(config, dir_ / "b").ok());
  const auto a = LinesOf(dir_ / "a/raw.jsonl"), b = LinesOf(dir_ / "b/raw.jsonl");
  for (size_t i = 1; i <= 10; ++i) {
    EXPECT_EQ(a[i + 10]["prompt"], b[i]["prompt"]);
    EXPECT_EQ(a[i + 10]["replies"], b[i]["replies"]);
  }
}

TEST_F(SampleTest, BenchmarksAreKeptOutOfSamplesAndGeneralDocuments) {
  SampleConfig config = Small();
  config.general = 2;
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  std::set<std::string> sampled, general;
  for (const nlohmann::json& line : LinesOf(dir_ / "a/samples.jsonl"))
    (line["metadata"]["source"] == "corpus" ? general : sampled).insert(line["messages"][0]["content"]);
  const std::vector<std::string> benchmark = {*sampled.begin(), *general.begin()};
  std::string text;
  for (const std::string& question : benchmark) text += nlohmann::json{{"question", question}}.dump() + "\n";
  ASSERT_TRUE(WriteFileAtomic(dir_ / "bench.jsonl", text).ok());
  config.decontaminate = dir_ / "bench.jsonl";
  config.decontaminate_ngram = 3;  // the shortest questions have three words
  ASSERT_TRUE(Run(config, dir_ / "a").ok());
  const nlohmann::json stats = StatsOf(dir_ / "a");
  EXPECT_GT(stats["dropped"]["contaminated"], 0);
  EXPECT_GT(stats["general_skipped"], 0);
  int64_t from_corpus = 0;
  for (const nlohmann::json& line : LinesOf(dir_ / "a/samples.jsonl")) {
    from_corpus += line["metadata"]["source"] == "corpus";
    for (const std::string& question : benchmark) EXPECT_NE(line["messages"][0]["content"], question);
  }
  EXPECT_EQ(from_corpus, 2 * stats["kept"].get<int64_t>());
  config.decontaminate = dir_ / "none.jsonl";
  EXPECT_FALSE(Run(config, dir_ / "a").ok());
}

TEST_F(SampleTest, AProblemFileIsReadAndJudgedByAnEndpoint) {
  std::string problems;
  for (int i = 0; i < 6; ++i)
    problems += nlohmann::json{{"prompt", "say " + std::to_string(i)}, {"solution", "yes"}}.dump() + "\n";
  problems += nlohmann::json{{"prompt", "add 3 9"}}.dump() + "\n";
  ASSERT_TRUE(WriteFileAtomic(dir_ / "problems.jsonl", problems).ok());
  const auto question_of = [](const FakeRequest& r) {
    const nlohmann::json body = nlohmann::json::parse(r.body);
    return body["messages"].back()["content"].get<std::string>();
  };
  FakeEndpoint teacher([&](const FakeRequest& r, int64_t) {
    const std::string q = question_of(r);
    if (q == "say 5") return FakeReply{.body = FakeChatBody("yes", "cut", "length")};
    if (q == "say 4") return FakeReply{.body = FakeChatBody("of course <|user|> forged")};
    if (q == "say 3") return FakeReply{.body = "{\"choices\": 1}"};
    if (q == "say 0") return FakeReply{.body = FakeChatBody("<think> easy </think> yes")};
    return FakeReply{.body = FakeChatBody(q == "add 3 9" ? "12" : "of course " + q, "let me see")};
  });
  FakeEndpoint judge([&](const FakeRequest& r, int64_t) {
    const std::string answer = nlohmann::json::parse(question_of(r))["answer"];
    if (answer == "of course say 1") return FakeReply{.body = FakeChatBody("looks correct to me")};
    return FakeReply{.body = FakeChatBody(R"({"analysis":"ok","correctness":"correct"})")};
  });
  SampleConfig config = Small();
  config.problems_file = dir_ / "problems.jsonl";
  config.num_generations = 1;
  config.general = 0;
  config.judge.judge = "endpoint";
  config.judge.judge_url = judge.url();
  config.judge.judge_model = "judge";
  ThreadPool pool(2);
  const Status done = SampleFromEndpoint(ClientOf(teacher), tokenizer(), config, kSeed, dir_ / "a", pool, "test");
  ASSERT_TRUE(done.ok()) << done.error().message;
  const nlohmann::json stats = StatsOf(dir_ / "a");
  EXPECT_EQ(stats["samples"], 7);
  EXPECT_EQ(stats["kept"], 3);
  EXPECT_EQ(stats["dropped"], (nlohmann::json{{"truncated", 1}, {"markers", 1}, {"no_reply", 1}, {"judge_failed", 1}}));
  const auto kept = LinesOf(dir_ / "a/samples.jsonl");
  EXPECT_EQ(kept[0]["messages"][0]["content"], "say 0");
  EXPECT_EQ(kept[0]["messages"][1]["reasoning_content"], "easy");
  EXPECT_EQ(kept[0]["messages"][1]["content"], "yes");
  EXPECT_EQ(kept[1]["messages"][0]["content"], "say 2");
  EXPECT_EQ(kept[2]["messages"][0]["content"], "add 3 9");
  EXPECT_EQ(kept[2]["metadata"]["task"], "general");
  EXPECT_EQ(judge.requests().size(), 2u);  // only where no rule could tell
  // A second call finds all done and asks nobody.
  const size_t asked = teacher.requests().size();
  ASSERT_TRUE(SampleFromEndpoint(ClientOf(teacher), tokenizer(), config, kSeed, dir_ / "a", pool, "test").ok());
  EXPECT_EQ(teacher.requests().size(), asked);
}

TEST_F(SampleTest, ATeacherThatIsGoneIsAnErrorAndWhatWasDoneIsKept) {
  SampleConfig config = Small();
  config.problems = 40;  // two chunks of an endpoint
  config.num_generations = 1;
  bool gone = true;
  const auto answer = [&](const FakeRequest& r, int64_t index) {
    if (gone && index >= 32) return FakeReply{.status = 401};
    return FakeReply{.body = FakeChatBody("<answer> 1 </answer>", "q " + std::to_string(r.body.size()))};
  };
  FakeEndpoint teacher(answer);
  ThreadPool pool(2);
  const Status lost = SampleFromEndpoint(ClientOf(teacher), tokenizer(), config, kSeed, dir_ / "a", pool, "test");
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(LinesOf(dir_ / "a/raw.jsonl").size(), 33u);
  gone = false;
  ASSERT_TRUE(SampleFromEndpoint(ClientOf(teacher), tokenizer(), config, kSeed, dir_ / "a", pool, "test").ok());
  EXPECT_EQ(teacher.requests().size(), 32u + 8u + 8u);
  EXPECT_EQ(StatsOf(dir_ / "a")["samples"], 40);
}

TEST_F(SampleTest, TheSamplesOfAnEndpointHaveSeedsOfTheirOwn) {
  SampleConfig config = Small();
  config.problems = 2;
  config.num_generations = 2;
  std::set<int64_t> seeds;
  FakeEndpoint teacher([&](const FakeRequest& r, int64_t) {
    seeds.insert(nlohmann::json::parse(r.body)["seed"].get<int64_t>());
    return FakeReply{.body = FakeChatBody("x")};
  });
  ThreadPool pool(1);
  ASSERT_TRUE(SampleFromEndpoint(ClientOf(teacher), tokenizer(), config, kSeed, dir_ / "a", pool, "test").ok());
  EXPECT_EQ(seeds.size(), 4u);
}

TEST_F(SampleTest, RecordedTracesPassTheSameFilters) {
  const std::string good = "try 2 + 9 = 11 + 17 = 28 yes so";
  const auto trace = [](const std::string& question, const std::string& thinking, const std::string& content) {
    return nlohmann::json{{"messages",
                           {{{"role", "user"}, {"content", question}},
                            {{"role", "assistant"}, {"reasoning_content", thinking}, {"content", content}}}}}
               .dump() +
           "\n";
  };
  const std::string question = "pick 17 2 14 9 11 sum 28";
  ASSERT_TRUE(WriteFileAtomic(dir_ / "traces.jsonl", trace(question, good, "<answer> 2 9 17 </answer>") +
                                                         trace(question, good + " so", "<answer> 2 9 14 </answer>") +
                                                         trace(question, good + "!", "<answer> 2 9 17 </answer>") +
                                                         trace(question, good + " so", "<answer> 2 9 17 </answer>") +
                                                         trace(question, "so " + good, "<answer> 2 9 17 </answer>"))
                  .ok());
  SampleConfig config;
  config.general = 1;
  ThreadPool pool(2);
  const Status done = SampleFromTraces(dir_ / "traces.jsonl", tokenizer(), config, kSeed, dir_ / "a", pool, "test");
  ASSERT_TRUE(done.ok()) << done.error().message;
  const nlohmann::json stats = StatsOf(dir_ / "a");
  EXPECT_EQ(stats["source"], "traces");
  EXPECT_EQ(stats["kept"], 2);
  EXPECT_EQ(stats["general"], 2);
  EXPECT_EQ(stats["dropped"], (nlohmann::json{{"incorrect", 1}, {"duplicate", 1}, {"per_prompt", 1}}));
}

TEST_F(SampleTest, ALocalModelThatCannotJudgeKeepsNothing) {
  ASSERT_TRUE(
      WriteFileAtomic(dir_ / "problems.jsonl", "{\"prompt\": \"red cat\", \"solution\": \"never said so\"}\n").ok());
  SampleConfig config = Small();
  config.problems_file = dir_ / "problems.jsonl";
  config.judge.judge = "model";
  config.judge.judge_model = world_->model;
  const Status done = Run(config, dir_ / "a");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(StatsOf(dir_ / "a")["kept"], 0);
  EXPECT_EQ(Read(dir_ / "a/samples.jsonl"), "");
}

TEST(ValidateSample, ImpossibleSettingsAreNamed) {
  EXPECT_TRUE(ValidateSampleConfig({}, "x").ok());
  const auto refused = [](const std::function<void(SampleConfig&)>& change, const std::string& name) {
    SampleConfig config;
    change(config);
    const Status status = ValidateSampleConfig(config, "x");
    return !status.ok() && status.error().message.find(name) != std::string::npos;
  };
  EXPECT_TRUE(refused([](SampleConfig& c) { c.task = "poetry"; }, "poetry"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.task = "helpful"; }, "keep_correct"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.problems = 0; }, "problems"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.num_generations = 0; }, "num_generations"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.temperature = -1; }, "temperature"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.general = -1; }, "general"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.decontaminate_ngram = 0; }, "decontaminate_ngram"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.filters.rewrite = "x"; }, "rewrite"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.judge.judge = "oracle"; }, "judge"));
  EXPECT_TRUE(refused([](SampleConfig& c) { c.judge.judge = "model"; }, "judge_model"));
  EXPECT_TRUE(refused(
      [](SampleConfig& c) {
        c.judge.judge = "endpoint";
        c.judge.judge_model = "m";
        c.judge.judge_url = "file:///x";
      },
      "judge_url"));
}

}  // namespace
}  // namespace r1
