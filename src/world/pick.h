// The task "pick 3 of 5" of the built-in world. Five distinct integers from 1..20 and a target T that is the sum of
// three of them; exactly one of the ten triples sums to T, so a blind guess is right in one of ten.
//   prompt  <|begin|><|user|> pick 14 8 20 3 5 sum 42<|assistant|>        (选 … 和 in Chinese)
//   reply    <think> try 14 + 8 = 22 + 5 = 27 small wait … yes so </think> <answer> 14 8 20 </answer><|end|>
// Held out: problems whose PickHash is 0 mod 10. Training material of any kind uses only the others.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/rng.h"

namespace r1 {

struct PickProblem {
  std::array<int, 5> nums{};  // distinct, 1..20, in prompt order
  int target = 0;
  bool chinese = false;  // language of the prompt
  friend bool operator==(const PickProblem&, const PickProblem&) = default;
};

inline constexpr int kPickMaxNumber = 20;
inline constexpr double kChineseShare = 0.4;

// The ten ways to choose three of five positions, in lexicographic order.
using Triple = std::array<int, 3>;
inline constexpr std::array<Triple, 10> kTriples = {
    {{0, 1, 2}, {0, 1, 3}, {0, 1, 4}, {0, 2, 3}, {0, 2, 4}, {0, 3, 4}, {1, 2, 3}, {1, 2, 4}, {1, 3, 4}, {2, 3, 4}}};
int TripleSum(const PickProblem& problem, int triple);
// The numbers of a triple in random order.
Triple ShuffledTriple(Rng& rng, const PickProblem& problem, int triple);
// Index into kTriples of the one that sums to T; -1 if there is none or more than one.
int SolvingTriple(const PickProblem& problem);

// StableHash (world/draw.h) of the five sorted numbers and T, a byte each: independent of language and prompt order.
uint64_t PickHash(const PickProblem& problem);
bool IsHeldOut(const PickProblem& problem);

// A problem that is not held out, drawn from rng.
PickProblem DrawTrainProblem(Rng& rng);
// Problem `index` of the endless training list of a seed; a pure function of both.
PickProblem TrainProblem(uint64_t seed, uint64_t index);
// The held-out list: every held-out problem once, in one fixed order that depends on no seed. Of any five in a row
// starting at a multiple of five, three are English and two Chinese. index is taken modulo HeldOutCount().
PickProblem HeldOutProblem(uint64_t index);
uint64_t HeldOutCount();

std::string PromptText(const PickProblem& problem);
// The problem of a prompt: the words "pick … sum …" or "选 … 和 …", with or without the markers around them. Error
// kBadInput says what is wrong. It must have a unique solution.
Result<PickProblem> ParsePickPrompt(std::string_view prompt);

}  // namespace r1
