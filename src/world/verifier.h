// Probes of the base model's verifier, which sets how far reinforcement learning can go: before RL, P(yes | wrong sum)
// should be at most 2 % and P(yes | right sum) at least 95 %. A probe is scaffold text that ends right after a complete
// try with correct arithmetic; the next word should be the verdict. Read the model's probabilities of the three
// candidates there.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "world/pick.h"

namespace r1 {

struct VerifierProbe {
  PickProblem problem;                  // of the held-out list
  std::string text;                     // prompt, " <think> try a + b = s + c = t"
  std::array<std::string, 3> verdicts;  // " big", " small", " yes" in the prompt's language; one token each
  int expected = 0;                     // index into verdicts of the true one
  bool right = false;                   // t == T
};
inline constexpr int kYesVerdict = 2;

// Probe `index` of the right-sum or of the wrong-sum list; pure. Probes follow 0, 1 or 2 earlier (wrong) tries in turn.
VerifierProbe VerifierProbeAt(uint64_t index, bool right);

}  // namespace r1
