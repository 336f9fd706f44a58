// Figures that DeepSeek published, for the shape of an effect beside ours: other tasks, a far larger model. All in
// percent. Sources: DeepSeek-R1 (arXiv 2501.12948): v1 of January 2025 for the distillation table and R1-Zero's 71.0
// and 86.7 on AIME 2024, the revised text (v2, Nature) for the table of stages. -1: not published.
#pragma once

#include <array>
#include <string_view>

namespace r1 {

inline constexpr std::array<std::string_view, 6> kPaperStages = {"base", "zero", "dev1", "dev2", "dev3", "r1"};

struct PaperRow {
  const char* metric;  // ours that asks something similar
  const char* benchmark;
  std::array<double, 6> values;  // by kPaperStages
};

inline constexpr PaperRow kPaperRows[] = {
    {"pass@1", "AIME 2024", {15.6, 77.9, 59.0, 74.0, 78.1, 79.8}},
    {"pass@1", "MATH-500", {-1, 95.9, 94.2, 95.9, 95.4, 97.3}},
    {"code@1", "LiveCodeBench", {-1, 50.0, 57.5, 63.5, 64.6, 65.9}},
    {"code@1", "Codeforces, percentile", {-1, 80.4, 84.5, 90.5, 92.1, 96.3}},
    {"general", "MMLU", {87.1, 88.8, 89.1, 91.2, 91.0, 90.8}},
    {"general", "IFEval", {58.6, 46.6, 71.7, 72.0, 78.1, 83.3}},
    {"helpful", "AlpacaEval 2.0", {-1, 24.7, 50.1, 55.8, 62.1, 87.6}},
    {"helpful", "Arena-Hard", {-1, 53.6, 77.0, 73.2, 75.6, 92.3}},
};

// The value for one of our evaluations, -1 if the paper has none.
inline double PaperValue(const PaperRow& row, std::string_view stage) {
  for (size_t i = 0; i < kPaperStages.size(); ++i) {
    if (kPaperStages[i] == stage) return row.values[i];
  }
  return -1;
}

// A 32B student (Qwen2.5-32B): pass@1 by reinforcement learning on it (more than 10,000 steps) and by fine-tuning on
// 800,000 of R1's replies.
struct PaperStudent {
  const char* benchmark;
  double rl, distilled;
};
inline constexpr PaperStudent kPaperStudents[] = {
    {"AIME 2024", 47.0, 72.6}, {"MATH-500", 91.6, 94.3}, {"GPQA Diamond", 55.0, 62.1}, {"LiveCodeBench", 40.2, 57.2}};

}  // namespace r1
