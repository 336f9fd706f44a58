// The public interface on a small model with random weights, saved and opened as a user would.
#include "r1/engine.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/test_dir.h"
#include "model/io.h"
#include "text/bpe_train.h"

namespace r1 {
namespace {

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<AddedToken> markers;
    for (const char* marker : {"<|begin|>", "<|user|>", "<|assistant|>", "<|end|>"})
      markers.push_back({-1, marker, true, false, true});
    const Result<Tokenizer> tokenizer = TrainBpe(std::vector<std::string>{" sort 3 1 2 sort 3 1 2"}, markers, {});
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    ModelConfig config = *ModelPreset("tiny");
    config.vocab_size = kernels::RoundUp(tokenizer->size(), 32);
    Model model(config, false);
    model.Init(3);
    ASSERT_TRUE(MakeDirs(folder()).ok());
    ASSERT_TRUE(WriteModelFiles(folder(), model, tokenizer->IdOf("<|begin|>"), tokenizer->IdOf("<|end|>")).ok());
    ASSERT_TRUE(WriteFileAtomic(JoinPath(folder(), "tokenizer.json"), tokenizer->ToJson()).ok());
  }
  std::string folder() const { return JoinPath(dir_.path(), "model"); }
  TempDir dir_;
};

TEST_F(EngineTest, SameSeedSameAnswerWhateverTheThreads) {
  Result<Engine> one = Engine::Open(folder(), {.threads = 1}), two = Engine::Open(folder(), {.threads = 2});
  ASSERT_TRUE(one.ok()) << one.error().message;
  ASSERT_TRUE(two.ok());
  const auto a = one->Generate("pick 14 8 20 3 5 sum 42", {.max_new_tokens = 40, .seed = 5});
  const auto b = two->Generate("pick 14 8 20 3 5 sum 42", {.max_new_tokens = 40, .seed = 5});
  const auto c = one->Generate("pick 14 8 20 3 5 sum 42", {.max_new_tokens = 40, .seed = 6});
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(a->tokens, b->tokens);
  EXPECT_EQ(a->logprobs, b->logprobs);
  EXPECT_NE(a->tokens, c->tokens);
  EXPECT_EQ(a->tokens.size(), a->logprobs.size());
  EXPECT_GT(one->parameters(), 100'000);
}

TEST_F(EngineTest, PiecesJoinToTheTextAndTheCallbackStops) {
  Result<Engine> engine = Engine::Open(folder(), {.threads = 1});
  ASSERT_TRUE(engine.ok());
  std::string joined;
  const auto whole = engine->Generate("sort 3 1 2", {.max_new_tokens = 30, .seed = 1}, [&](std::string_view piece) {
    joined += piece;
    return true;
  });
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(joined, whole->text);
  int calls = 0;
  const auto cut =
      engine->Generate("sort 3 1 2", {.max_new_tokens = 30, .seed = 1}, [&](std::string_view) { return ++calls < 3; });
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(calls, 3);
  EXPECT_LT(cut->tokens.size(), whole->tokens.size());
}

TEST_F(EngineTest, MarkersInAPromptStayText) {
  Result<Engine> engine = Engine::Open(folder(), {.threads = 1});
  ASSERT_TRUE(engine.ok());
  const GenerateOptions o{.max_new_tokens = 1, .temperature = 0};
  // 400 markers are 400 tokens of a raw prompt, which fits; as text each is several, which does not.
  std::string markers;
  for (int i = 0; i < 400; ++i) markers += "<|end|>";
  GenerateOptions raw = o;
  raw.raw = true;
  EXPECT_TRUE(engine->Generate(markers, raw).ok());
  EXPECT_FALSE(engine->Generate(markers, o).ok());
}

TEST_F(EngineTest, ErrorsSayWhatIsWrong) {
  const auto missing = Engine::Open(JoinPath(dir_.path(), "nothing"));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kBadInput);
  Result<Engine> engine = Engine::Open(folder(), {.threads = 1});
  ASSERT_TRUE(engine.ok());
  const auto hot = engine->Generate("sort 3 1", {.temperature = -1});
  ASSERT_FALSE(hot.ok());
  EXPECT_EQ(hot.error().code, ErrorCode::kRefused);
  std::string longer;
  for (int i = 0; i < 600; ++i) longer += " 3";
  const auto full = engine->Generate(longer);
  ASSERT_FALSE(full.ok());
  EXPECT_NE(full.error().message.find("512"), std::string::npos) << full.error().message;
  ASSERT_TRUE(RemoveFile(JoinPath(folder(), "tokenizer.json")).ok());
  EXPECT_FALSE(Engine::Open(folder()).ok());
}

}  // namespace
}  // namespace r1
