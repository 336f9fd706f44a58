// r1 logits, and r1 generate in float32, from outside: models made here, and stories260K with its recorded text.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/test_dir.h"
#include "model/io.h"
#include "support/program.h"
#include "text/bpe_train.h"

namespace r1::cli {
namespace {

Outcome R1(std::vector<std::string> words) {
  words.insert(words.begin(), R1_BINARY);
  return Execute(words);
}

nlohmann::json Json(const Outcome& outcome) {
  const nlohmann::json parsed = nlohmann::json::parse(outcome.out, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << outcome.text();
  return parsed;
}

// A folder with a small model of the preset and a tokenizer of bytes.
class LogitsCommandOn : public ::testing::Test {
 protected:
  void Make(const std::string& preset, int64_t num_labels = 0) {
    ModelConfig config = ModelPreset(preset).value();
    config.vocab_size = 288;
    config.num_labels = num_labels;
    if (num_labels > 0) config.num_nextn_predict_layers = 0;
    Model model(config, false);
    model.Init(3);
    ASSERT_TRUE(WriteModelFiles(dir_.path(), model, -1, -1).ok());
    const Result<Tokenizer> tokenizer = TrainBpe(
        std::vector<std::string>{" one two"}, {{.id = -1, .content = "<|end|>"}}, {.max_vocab = 260, .min_count = 1});
    ASSERT_TRUE(tokenizer.ok());
    ASSERT_TRUE(WriteFileAtomic(dir_ / "tokenizer.json", tokenizer->ToJson()).ok());
  }
  nlohmann::json Logits(std::vector<std::string> more) {
    std::vector<std::string> words = {"logits", "--model", dir_.path(), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = R1(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return Json(outcome);
  }
  struct Distance {
    double largest = 0, mean = 0;  // of the absolute differences of logits
  };
  static Distance Difference(const nlohmann::json& a, const nlohmann::json& b) {
    Distance d;
    double count = 0;
    EXPECT_EQ(a["positions"].size(), b["positions"].size());
    for (size_t i = 0; i < a["positions"].size(); ++i) {
      const auto x = a["positions"][i]["logits"].get<std::vector<double>>(),
                 y = b["positions"][i]["logits"].get<std::vector<double>>();
      EXPECT_EQ(x.size(), y.size());
      for (size_t j = 0; j < x.size(); ++j) {
        d.largest = std::max(d.largest, std::abs(x[j] - y[j]));
        d.mean += std::abs(x[j] - y[j]);
      }
      count += static_cast<double>(x.size());
    }
    d.mean /= count;
    return d;
  }
  const TempDir dir_;
};

TEST_F(LogitsCommandOn, AllPositionsTheLastAndTheLargest) {
  Make("tiny");
  const nlohmann::json all = Logits({"--tokens", "5, 6 7,200"});
  EXPECT_EQ(all["dtype"], "f32");
  EXPECT_EQ(all["tokens"], nlohmann::json({5, 6, 7, 200}));
  ASSERT_EQ(all["positions"].size(), 4u);
  const nlohmann::json& third = all["positions"][2];
  EXPECT_EQ(third["position"], 2);
  EXPECT_EQ(third["token"], 7);
  ASSERT_EQ(third["logits"].size(), 288u);
  const auto row = third["logits"].get<std::vector<double>>();
  EXPECT_EQ(third["argmax"], std::max_element(row.begin(), row.end()) - row.begin());

  const nlohmann::json last = Logits({"--tokens", "5,6,7,200", "--last"});
  ASSERT_EQ(last["positions"].size(), 1u);
  EXPECT_EQ(last["positions"][0], all["positions"][3]);
  EXPECT_EQ(Logits({"--tokens", "5,6,7"})["positions"][2], third);  // tokens behind it change nothing
  EXPECT_EQ(Logits({"--tokens", "5,6,7,200", "--threads", "3"}), all);

  const nlohmann::json top = Logits({"--tokens", "5,6,7", "--top", "2"})["positions"][2]["top"];
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0]["token"], third["argmax"]);
  EXPECT_EQ(top[0]["logit"], *std::max_element(row.begin(), row.end()));
  double sum = 0;
  for (const double x : row) sum += std::exp(x);
  EXPECT_NEAR(std::exp(top[1]["logprob"].get<double>()), std::exp(top[1]["logit"].get<double>()) / sum, 1e-6);
}

TEST_F(LogitsCommandOn, FormsOfOneFunctionAgree) {
  for (const char* preset : {"tiny", "tiny-v2", "tiny-qwen3"}) {
    SCOPED_TRACE(preset);
    Make(preset);
    std::string tokens;  // more than the command takes in one block
    for (int i = 0; i < 70; ++i) tokens += std::to_string((7 * i * i + 3) % 288) + " ";
    const nlohmann::json f32 = Logits({"--tokens", tokens}), bf16 = Logits({"--tokens", tokens, "--dtype", "bf16"}),
                         absorbed = Logits({"--tokens", tokens, "--absorbed"});
    EXPECT_EQ(f32["positions"].size(), 70u);
    EXPECT_LT(Difference(f32, absorbed).largest, 1e-4);
    // Not the largest one: where two experts are nearly tied, the roundings of bf16 may choose the other.
    const double mean = Difference(f32, bf16).mean;
    RecordProperty(std::string("mean_of_") + preset, std::to_string(mean));
    EXPECT_GT(mean, 0);
    EXPECT_LT(mean, 0.05);
    const nlohmann::json last = Logits({"--tokens", tokens, "--last"});
    EXPECT_EQ(last["positions"][0], f32["positions"][69]);
    EXPECT_EQ(Logits({"--tokens", tokens, "--last", "--dtype", "bf16"})["positions"][0], bf16["positions"][69]);
  }
}

TEST_F(LogitsCommandOn, PromptsAndTables) {
  Make("tiny-llama3");
  const nlohmann::json prompt = Logits({"--prompt", " one<|end|>"});
  EXPECT_EQ(prompt["tokens"].size(), prompt["positions"].size());
  EXPECT_EQ(prompt["tokens"].back(), prompt["positions"].back()["token"]);
  const Outcome table = R1({"logits", "--model", dir_.path(), "--prompt", " one", "--last"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_EQ(std::count(table.out.begin(), table.out.end(), '\n'), 6) << table.out;  // a head and five tokens
}

TEST_F(LogitsCommandOn, Refusals) {
  Make("tiny");
  const std::string model = dir_.path();
  const auto refused = [&](std::vector<std::string> words, int code, const std::string& part) {
    words.insert(words.begin(), "logits");
    const Outcome outcome = R1(words);
    EXPECT_EQ(outcome.code, code) << outcome.text();
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  };
  refused({"--tokens", "1"}, 64, "--model is missing");
  refused({"--model", model}, 64, "give one of --tokens and --prompt");
  refused({"--model", model, "--tokens", "1", "--prompt", "a"}, 64, "give one of --tokens and --prompt");
  refused({"--model", model, "--tokens", "1,x"}, 64, "'x' is not a token id");
  refused({"--model", model, "--tokens", " , "}, 64, "there is no token");
  refused({"--model", model, "--tokens", "1", "--dtype", "f16"}, 64, "neither f32 nor bf16");
  refused({"--model", model, "--tokens", "1", "--dtype", "bf16", "--absorbed"}, 64, "--absorbed");
  refused({"--model", model, "--tokens", "1", "--last", "--all-positions"}, 64, "exclude each other");
  refused({"--model", model, "--tokens", "1,288"}, 65, "token 288 is outside the vocabulary of 288");
  refused({"--model", "/nonexistent", "--tokens", "1"}, 65, "/nonexistent");
  std::string many;
  for (int i = 0; i < 513; ++i) many += "1 ";
  refused({"--model", model, "--tokens", many}, 65, "513 tokens are more than the model's 512 positions");
  Make("tiny", 1);
  refused({"--model", model, "--tokens", "1"}, 78, "num_labels 1");
}

class StoriesFromOutside : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("R1_DATA");
    folder_ = JoinPath(data != nullptr ? data : R1_SOURCE_DIR "/../shared/data", "models/stories260k");
    if (!IsDir(folder_)) GTEST_SKIP() << "missing: " << folder_ << " (R1_DATA says where data is)";
    model_ = JoinPath(folder_, "stories260K.bin");
    vocabulary_ = JoinPath(folder_, "tok512.bin");
    greedy_ = nlohmann::json::parse(Slurp(JoinPath(folder_, "greedy.json")));
  }
  std::string folder_, model_, vocabulary_;
  nlohmann::json greedy_;
};

TEST_F(StoriesFromOutside, TwoHundredStepsOfText) {
  std::vector<std::string> words = {"generate",  model_,
                                    "",          "--tokenizer",
                                    vocabulary_, "--dtype",
                                    "f32",       "--temperature",
                                    "0",         "--max-completion-length",
                                    "200"};
  EXPECT_EQ(R1(words).out, greedy_["text_200_steps"].get<std::string>() + "\n");  // streamed
  words.emplace_back("--json");
  const nlohmann::json json = Json(R1(words));
  EXPECT_EQ(json["completions"][0]["text"], greedy_["text_200_steps"]);
  EXPECT_EQ(json["prompt_tokens"], 1);
  // Behind a prompt the text goes on with its space.
  words[2] = "Once upon a time, there was a little girl named";
  const std::string text = Json(R1(words))["completions"][0]["text"];
  EXPECT_EQ(text.substr(0, 6), " Lily.");
}

// Of the same model as a GGUF file and as a folder, tokenizer included.
TEST_F(StoriesFromOutside, ConvertedItTellsTheSameStory) {
  const TempDir dir;
  for (const char* name : {"stories.gguf", "stories"}) {
    SCOPED_TRACE(name);
    const std::string target = dir / name;
    const Outcome converted = R1({"convert", model_, target, "--tokenizer", vocabulary_});
    ASSERT_EQ(converted.code, 0) << converted.err;
    EXPECT_NE(converted.out.find("Every value is kept."), std::string::npos) << converted.out;
    const Outcome told = R1({"generate", target, "", "--tokenizer",
                             name == std::string("stories") ? JoinPath(target, "tokenizer.json") : target, "--dtype",
                             "f32", "--temperature", "0", "--max-completion-length", "200"});
    EXPECT_EQ(told.out, greedy_["text_200_steps"].get<std::string>() + "\n") << told.err;
  }
  const Outcome bare = R1({"convert", model_, dir / "bare.gguf"});
  EXPECT_EQ(bare.code, 0) << bare.err;
  EXPECT_NE(bare.out.find("--tokenizer names one"), std::string::npos) << bare.out;
  EXPECT_EQ(R1({"convert", dir / "stories.gguf", dir / "x.gguf", "--tokenizer", vocabulary_}).code, 64);
}

TEST_F(StoriesFromOutside, RecordedLogits) {
  std::string tokens;
  for (size_t i = 0; i < 24; ++i) tokens += greedy_["tokens"][i].dump() + ",";
  const nlohmann::json got = Json(R1({"logits", "--model", model_, "--tokens", tokens, "--json"}));
  std::string lines = Slurp(JoinPath(folder_, "logits.jsonl"));
  ASSERT_EQ(got["positions"].size(), 24u);
  for (const nlohmann::json& position : got["positions"]) {
    const size_t end = lines.find('\n');
    const nlohmann::json want = nlohmann::json::parse(lines.substr(0, end));
    lines.erase(0, end + 1);
    ASSERT_EQ(position["token"], want["token"]);
    ASSERT_EQ(position["logits"].size(), want["logits"].size());
    for (size_t i = 0; i < want["logits"].size(); ++i) {
      ASSERT_NEAR(position["logits"][i].get<double>(), want["logits"][i].get<double>(), 1e-3)
          << "position " << position["position"] << " token " << i;
    }
  }
}

TEST_F(StoriesFromOutside, NarrowHeadsNeedFloat32) {
  const Outcome bf16 = R1({"logits", "--model", model_, "--tokens", "1", "--dtype", "bf16"});
  EXPECT_EQ(bf16.code, 78);
  EXPECT_NE(bf16.err.find("head_dim is 8; training and bf16 inference need a multiple of 16"), std::string::npos)
      << bf16.err;
  EXPECT_NE(bf16.err.find("--dtype f32"), std::string::npos);
  const Outcome nothing = R1({"logits", "--model", model_, "--prompt", "Once"});
  EXPECT_EQ(nothing.code, 64);
  EXPECT_NE(nothing.err.find("name one with --tokenizer"), std::string::npos) << nothing.err;
}

}  // namespace
}  // namespace r1::cli
