// For tests of training stages: a tokenizer of the world, a small model for it, and comparison of what two runs left.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/test_dir.h"
#include "data/corpus_stream.h"
#include "model/model.h"

namespace r1 {

inline const Tokenizer& StageTokenizer() {
  static const Tokenizer tokenizer = TrainTokenizer(7, 2000).value();
  return tokenizer;
}

inline ModelConfig StageModelConfig() {
  ModelConfig config = ModelPreset("tiny").value();
  config.vocab_size = kernels::RoundUp(StageTokenizer().size(), 32);
  return config;
}

// The lines of metrics.jsonl without what depends on the clock.
inline std::vector<nlohmann::json> StageMetrics(const std::string& folder) {
  std::ifstream file(JoinPath(folder, "metrics.jsonl"));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(ParseJson(line, "metrics").value());
    lines.back().erase("step_time");
    lines.back().erase("tokens_per_second");
  }
  return lines;
}

// Every byte of the checkpoints of a step, and the metrics.
inline void ExpectSameStage(const std::string& a, const std::string& b, int64_t step) {
  const std::string name = "checkpoint-" + std::to_string(step);
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "trainer_state.json", "config.json",
                           "tokenizer.json", "manifest.json"}) {
    EXPECT_TRUE(ReadFile(JoinPath(a, name + "/" + file), int64_t{1} << 30).value() ==
                ReadFile(JoinPath(b, name + "/" + file), int64_t{1} << 30).value())
        << file;
  }
  EXPECT_EQ(StageMetrics(a), StageMetrics(b));
}

}  // namespace r1
