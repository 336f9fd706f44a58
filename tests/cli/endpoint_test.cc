// r1 distill and r1 sample against endpoints, from outside: a teacher behind an API, keys that stay secret, refusals.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/test_dir.h"
#include "data/corpus_stream.h"
#include "kernels/kernels.h"
#include "model/io.h"
#include "support/fake_endpoint.h"
#include "support/program.h"
#include "world/task.h"

namespace r1::cli {
namespace {

constexpr char kKey[] = "sk-secret-of-the-teacher-77";
constexpr int64_t kMaxBytes = int64_t{1} << 28;

std::string Read(const std::string& path) {
  const Result<std::string> text = ReadFile(path, kMaxBytes);
  EXPECT_TRUE(text.ok()) << text.error().message;
  return text.ok() ? *text : "";
}

// Every file below the folder that holds the words.
std::vector<std::string> FilesWith(const std::string& folder, const std::string& words) {
  std::vector<std::string> found;
  const Result<std::vector<std::string>> names = ListDir(folder);
  for (const std::string& name : names.value()) {
    const std::string path = JoinPath(folder, name);
    if (IsDir(path)) {
      for (std::string& below : FilesWith(path, words)) found.push_back(std::move(below));
    } else if (Read(path).find(words) != std::string::npos) {
      found.push_back(path);
    }
  }
  return found;
}

class EndpointCommand : public testing::Test {
 protected:
  void SetUp() override {
    setenv("R1_TEST_KEY", kKey, 1);
    ASSERT_TRUE(MakeDirs(dir_ / "work").ok());
    MakeModel(dir_ / "student", 3000);
  }
  void TearDown() override { unsetenv("R1_TEST_KEY"); }

  // A tiny untrained model with a tokenizer of so many documents.
  static void MakeModel(const std::string& folder, uint64_t documents) {
    SetFloatMode();
    const Tokenizer tokenizer = TrainTokenizer(7, documents).value();
    ModelConfig config = ModelPreset("tiny").value();
    config.vocab_size = kernels::RoundUp(tokenizer.size(), 32);
    Model model(config, true);
    model.Init(7);
    ASSERT_TRUE(MakeDirs(folder).ok());
    ASSERT_TRUE(WriteModelFiles(folder, model, tokenizer.IdOf("<|begin|>"), tokenizer.IdOf("<|end|>")).ok());
    ASSERT_TRUE(WriteFileAtomic(JoinPath(folder, "tokenizer.json"), tokenizer.ToJson()).ok());
  }

  static Outcome R1(std::vector<std::string> words) {
    words.insert(words.begin(), R1_BINARY);
    return Execute(words);
  }

  Outcome Distill(const std::string& url, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"distill",
                                      dir_ / "student",
                                      "--endpoint",
                                      url,
                                      "--endpoint-model",
                                      "big",
                                      "--endpoint-key-env",
                                      "R1_TEST_KEY",
                                      "--task",
                                      "general",
                                      "--problems",
                                      "40",
                                      "--num-generations",
                                      "1",
                                      "--num-train-epochs",
                                      "1",
                                      "--threads",
                                      "2",
                                      "--output-dir",
                                      dir_ / "run"};
    words.insert(words.end(), more.begin(), more.end());
    return R1(words);
  }

  static std::string QuestionOf(const FakeRequest& request) {
    return nlohmann::json::parse(request.body)["messages"][0]["content"].get<std::string>();
  }

  TempDir dir_;
};

TEST_F(EndpointCommand, AStudentLearnsFromTheRightAnswersOfATeacherBehindAnApi) {
  FakeEndpoint teacher([](const FakeRequest& r, int64_t index) {
    if (index % 4 == 3) return FakeReply{.body = FakeChatBody("I do not know")};
    return FakeReply{.body = FakeChatBody(ParseTaskPrompt(QuestionOf(r)).value().solution)};
  });
  const Outcome outcome = Distill(teacher.url());
  ASSERT_EQ(outcome.code, 0) << outcome.text();
  const nlohmann::json stats = nlohmann::json::parse(Read(dir_ / "run/sample/stats.json"));
  EXPECT_EQ(stats["source"], "endpoint");
  EXPECT_EQ(stats["samples"], 40);
  EXPECT_GE(stats["kept"], 20);
  EXPECT_LE(stats["kept"], 30);
  EXPECT_EQ(stats["dropped"]["incorrect"], 10);
  EXPECT_FALSE(Read(dir_ / "run/sft/metrics.jsonl").empty());
  for (const FakeRequest& request : teacher.requests())
    EXPECT_NE(request.head.find(std::string("Bearer ") + kKey), std::string::npos);
  EXPECT_EQ(outcome.text().find(kKey), std::string::npos);
  EXPECT_EQ(FilesWith(dir_ / "run", kKey), std::vector<std::string>{});
  const nlohmann::json manifest = nlohmann::json::parse(Read(dir_ / "run/manifest.json"));
  EXPECT_EQ(manifest["stages"][0]["endpoint"], teacher.url());
  // The same command finds all done.
  const size_t asked = teacher.requests().size();
  EXPECT_EQ(Distill(teacher.url()).code, 0);
  EXPECT_EQ(teacher.requests().size(), asked);
}

TEST_F(EndpointCommand, ARefusedKeyIsExitCode69AndNotShown) {
  FakeEndpoint teacher([](const FakeRequest&, int64_t) {
    return FakeReply{.status = 401, .body = "{\"error\": \"wrong key " + std::string(kKey) + "\"}"};
  });
  const Outcome outcome = Distill(teacher.url());
  EXPECT_EQ(outcome.code, 69) << outcome.text();
  EXPECT_NE(outcome.text().find(teacher.url()), std::string::npos) << outcome.text();
  EXPECT_EQ(outcome.text().find(kKey), std::string::npos) << outcome.text();
  unsetenv("R1_TEST_KEY");
  const Outcome unset = Distill(teacher.url());
  EXPECT_EQ(unset.code, 69) << unset.text();
  EXPECT_NE(unset.text().find("R1_TEST_KEY"), std::string::npos) << unset.text();
}

TEST_F(EndpointCommand, ATeacherThatIsNeverRightTeachesNothing) {
  FakeEndpoint teacher([](const FakeRequest&, int64_t) { return FakeReply{.body = FakeChatBody("I do not know")}; });
  const Outcome outcome = Distill(teacher.url());
  EXPECT_NE(outcome.code, 0);
  EXPECT_NE(outcome.text().find("samples.jsonl"), std::string::npos) << outcome.text();
  EXPECT_FALSE(Exists(dir_ / "run/sft/metrics.jsonl"));
}

TEST_F(EndpointCommand, LogitsNeedATeacherWithTheSameTokenizer) {
  const Outcome text = Distill("http://127.0.0.1:9/v1", {"--method", "logits"});
  EXPECT_EQ(text.code, 64) << text.text();
  EXPECT_NE(text.text().find("text has no logits"), std::string::npos) << text.text();
  MakeModel(dir_ / "other", 2500);
  if (Read(dir_ / "other/tokenizer.json") == Read(dir_ / "student/tokenizer.json")) FAIL() << "one tokenizer";
  const Outcome other = R1({"distill", dir_ / "student", "--teacher", dir_ / "other", "--method", "logits",
                            "--problems", "2", "--output-dir", dir_ / "run"});
  EXPECT_EQ(other.code, 78) << other.text();
  EXPECT_NE(other.text().find("tokenizer"), std::string::npos) << other.text();
}

}  // namespace
}  // namespace r1::cli
