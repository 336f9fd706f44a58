#include "recipe/recipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/test_dir.h"
#include "data/corpus_stream.h"
#include "world/corpus.h"
#include "world/verifier.h"

namespace r1 {
namespace {

using Overrides = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kGood = R"(name = "test"
seed = 3

[model]
preset = "tiny"
num_hidden_layers = 3

[tokenizer]
documents = 2000

[[stage]]
name = "base"
kind = "pretrain"
max_steps = 24
learning_rate = 4e-3

[[stage]]
name = "eval_base"
kind = "eval"
model = "base"
problems = 20

[[stage]]
name = "zero"
kind = "rl"
model = "base"
num_prompts = 4
beta = 0.001
)";

Result<Recipe> Parse(const std::string& text, const Overrides& overrides = {}) {
  return ParseRecipe(text, "r.toml", overrides);
}

// The text of kGood with one part replaced.
std::string With(const std::string& what, const std::string& with) {
  std::string text = kGood;
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(Recipe, ReadsStagesAndDefaults) {
  const Result<Recipe> parsed = Parse(kGood);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const Recipe& r = *parsed;
  EXPECT_EQ(r.name, "test");
  EXPECT_EQ(r.seed, 3);
  EXPECT_EQ(r.preset, "tiny");
  EXPECT_EQ(r.model.hidden_size, ModelPreset("tiny").value().hidden_size);
  EXPECT_EQ(r.model.num_hidden_layers, 3);
  EXPECT_EQ(r.tokenizer_documents, 2000);
  ASSERT_EQ(r.stages.size(), 3u);
  const auto& base = std::get<PretrainConfig>(r.stages[0]->settings);
  EXPECT_EQ(base.max_steps, 24);
  EXPECT_EQ(base.optimizer.learning_rate, 4e-3);
  EXPECT_EQ(base.tokens_per_step, PretrainConfig().tokens_per_step);
  const auto& eval = std::get<EvalConfig>(r.stages[1]->settings);
  EXPECT_EQ(r.stages[1]->in.model, "base");
  EXPECT_EQ(eval.problems, 20);
  EXPECT_EQ(eval.samples, EvalConfig().samples);
  const auto& zero = std::get<RlConfig>(r.stages[2]->settings);
  EXPECT_EQ(zero.num_prompts, 4);
  EXPECT_EQ(zero.loss.beta, 0.001);
  EXPECT_EQ(zero.optimizer.learning_rate, 3e-4);
}

TEST(Recipe, EveryErrorNamesFileAndPlace) {
  struct Case {
    std::string text;
    ErrorCode code;
    const char* says;
  };
  const Case cases[] = {
      {"", ErrorCode::kUsage, "has no [[stage]]"},
      {"name = ", ErrorCode::kBadInput, "r.toml:1:"},
      {With("seed = 3", "sede = 3"), ErrorCode::kUsage, "did you mean 'seed'"},
      {With("seed = 3", "seed = \"3\""), ErrorCode::kUsage, "a whole number is wanted"},
      {With("seed = 3", "seed = 3.5"), ErrorCode::kUsage, "a whole number is wanted"},
      {With("seed = 3", "seed = -1"), ErrorCode::kRefused, "seed must not be negative"},
      {With("preset = \"tiny\"", "preset = \"tinny\""), ErrorCode::kUsage, "did you mean 'tiny'"},
      {With("preset = \"tiny\"", "preset = 7"), ErrorCode::kUsage, "'preset' must be a string"},
      {With("num_hidden_layers = 3", "num_hiden_layers = 3"), ErrorCode::kUsage,
       "did you mean 'model.num_hidden_layers'"},
      {With("num_hidden_layers = 3", "num_hidden_layers = 0"), ErrorCode::kRefused, "num_hidden_layers is 0"},
      {With("num_hidden_layers = 3", "hidden_size = 48"), ErrorCode::kRefused,
       "hidden_size is 48; training and bf16 inference need a multiple of 32"},
      {With("num_hidden_layers = 3", "hidden_size = 4611686018427387904"), ErrorCode::kRefused, "hidden_size"},
      {With("num_hidden_layers = 3", "num_experts_per_tok = 9"), ErrorCode::kRefused, "num_experts_per_tok"},
      {With("[model]", "[modell]"), ErrorCode::kUsage, "did you mean 'model'"},
      {With("documents = 2000", "documents = 5"), ErrorCode::kRefused, "tokenizer.documents"},
      {With("documents = 2000", "document = 2000"), ErrorCode::kUsage, "did you mean 'tokenizer.documents'"},
      {With("max_steps = 24", "max_step = 24"), ErrorCode::kUsage, "did you mean 'max_steps'"},
      {With("max_steps = 24", "max_steps = \"many\""), ErrorCode::kUsage, "a whole number is wanted"},
      {With("max_steps = 24", "max_steps = 0"), ErrorCode::kRefused, "stage 'base': max_steps"},
      {With("max_steps = 24", "max_steps = 24\nnum_prompts = 2"), ErrorCode::kUsage, "num_prompts"},
      {With("learning_rate = 4e-3", "learning_rate = -1"), ErrorCode::kRefused, "stage 'base': learning_rate"},
      {With("learning_rate = 4e-3", "learning_rate = nan"), ErrorCode::kBadInput, "r.toml:"},
      {With("problems = 20", "problems = 0"), ErrorCode::kRefused, "stage 'eval_base': problems"},
      {With("problems = 20", "problems = 99999999"), ErrorCode::kRefused, "stage 'eval_base': problems"},
      {With("num_prompts = 4", "num_generations = 1"), ErrorCode::kRefused, "stage 'zero': num_generations"},
      {With("num_prompts = 4", "max_completion_length = 100000"), ErrorCode::kRefused,
       "stage 'zero': max_completion_length"},
      {With("problems = 20", "max_completion_length = 100000"), ErrorCode::kRefused,
       "stage 'eval_base': max_completion_length"},
      {With("kind = \"pretrain\"", "kind = \"pretraining\""), ErrorCode::kUsage,
       "kind 'pretraining' is not known; did you mean 'pretrain'?"},
      {With("kind = \"pretrain\"", ""), ErrorCode::kUsage, "[[stage]] 1: kind '' is not known"},
      {With("kind = \"pretrain\"", "kind = 3"), ErrorCode::kUsage, "'kind' must be a string"},
      {With("name = \"base\"", ""), ErrorCode::kUsage, "[[stage]] 1: needs a name"},
      {With("name = \"base\"", "name = \"../up\""), ErrorCode::kUsage, "needs a name of letters"},
      {With("name = \"base\"", "name = \"model\""), ErrorCode::kUsage, "needs a name of letters"},
      {With("name = \"zero\"", "name = \"base\""), ErrorCode::kUsage, "[[stage]] 3: the name 'base' is used twice"},
      {With("name = \"zero\"", "name = \"eval-base\""), ErrorCode::kUsage,
       "[[stage]] 3: the name 'eval-base' is used twice"},
      {With("kind = \"rl\"\nmodel = \"base\"", "kind = \"rl\""), ErrorCode::kUsage,
       "stage 'zero': its model '' is neither an earlier stage that makes a model nor a folder"},
      {With("kind = \"rl\"\nmodel = \"base\"", "kind = \"rl\"\nmodel = \"zero\""), ErrorCode::kUsage,
       "its model 'zero' is neither"},
      {With("kind = \"rl\"\nmodel = \"base\"", "kind = \"rl\"\nmodel = \"eval_base\""), ErrorCode::kUsage,
       "its model 'eval_base' is neither"},
      {With("kind = \"rl\"\nmodel = \"base\"", "kind = \"rl\"\nmodel = 5"), ErrorCode::kUsage,
       "'model' must be a string"},
      {With("kind = \"pretrain\"", "kind = \"pretrain\"\nmodel = \"x\""), ErrorCode::kUsage,
       "stage 'base': a pretrain stage starts from random weights"},
      {With("num_hidden_layers = 3", "max_position_embeddings = 64"), ErrorCode::kRefused,
       "stage 'base': model.max_position_embeddings is 64"},
      {"model = 3\n[[stage]]\nname = \"a\"\nkind = \"pretrain\"\n", ErrorCode::kUsage, "'model' must be a table"},
      {"tokenizer = \"x\"\n[[stage]]\nname = \"a\"\nkind = \"pretrain\"\n", ErrorCode::kUsage,
       "'tokenizer' must be a table"},
      {"[stage]\nname = \"a\"\nkind = \"pretrain\"\n", ErrorCode::kUsage, "must be written as [[stage]]"},
      {"stage = [1]\n", ErrorCode::kUsage, "[[stage]] 1: must be a table"},
      {"stage = []\n", ErrorCode::kUsage, "has no [[stage]]"},
  };
  for (const Case& each : cases) {
    const Result<Recipe> parsed = Parse(each.text);
    ASSERT_FALSE(parsed.ok()) << each.says;
    EXPECT_EQ(static_cast<int>(parsed.error().code), static_cast<int>(each.code)) << parsed.error().message;
    EXPECT_NE(parsed.error().message.find(each.says), std::string::npos)
        << parsed.error().message << "\n  wanted: " << each.says;
    const bool of_preset = parsed.error().message.find("model preset") != std::string::npos;
    EXPECT_TRUE(of_preset || parsed.error().message.find("r.toml") != std::string::npos) << parsed.error().message;
  }
}

TEST(Recipe, OverridesOfTheCommandLine) {
  const Result<Recipe> parsed = Parse(kGood, {{"seed", "9"},
                                              {"zero.max_steps", "11"},
                                              {"zero.max-completion-length", "33"},
                                              {"base.learning_rate", "1e-4"},
                                              {"model.num-hidden-layers", "5"},
                                              {"tokenizer.documents", "300"},
                                              {"zero.loss_type", "grpo"}});
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->seed, 9);
  const auto& zero = std::get<RlConfig>(parsed->stages[2]->settings);
  EXPECT_EQ(zero.max_steps, 11);
  EXPECT_EQ(zero.max_completion_length, 33);
  EXPECT_EQ(zero.loss.loss_type, "grpo");
  EXPECT_EQ(std::get<PretrainConfig>(parsed->stages[0]->settings).optimizer.learning_rate, 1e-4);
  EXPECT_EQ(parsed->model.num_hidden_layers, 5);
  EXPECT_EQ(parsed->tokenizer_documents, 300);

  // A preset given there is what the file's other model settings start from.
  const Result<Recipe> preset = Parse(kGood, {{"model.preset", "mini-dense"}});
  ASSERT_TRUE(preset.ok()) << preset.error().message;
  EXPECT_EQ(preset->preset, "mini-dense");
  EXPECT_EQ(preset->model.model_type, "llama");
  EXPECT_EQ(preset->model.hidden_size, 128);
  EXPECT_EQ(preset->model.num_hidden_layers, 3);

  const std::pair<Overrides, const char*> bad[] = {{{{"zero.max_stps", "1"}}, "did you mean 'zero.max_steps'"},
                                                   {{{"zero.max_steps", "few"}}, "zero.max_steps"},
                                                   {{{"zero.max_steps", "0"}}, "stage 'zero': max_steps"},
                                                   {{{"model.preset", "huge"}}, "unknown model preset 'huge'"},
                                                   {{{"nowhere.max_steps", "1"}}, "nowhere.max_steps"},
                                                   {{{"zero.kind", "eval"}}, "zero.kind"},
                                                   {{{"model.hidden_size", "33"}}, "multiple of 32"}};
  for (const auto& [overrides, says] : bad) {
    const Result<Recipe> refused = Parse(kGood, overrides);
    ASSERT_FALSE(refused.ok()) << says;
    EXPECT_NE(refused.error().message.find(says), std::string::npos) << refused.error().message;
  }
}

TEST(Recipe, TomlReadsBackEqual) {
  TempDir dir;
  const Overrides odd = {{"name", "quote \" back \\ tab \t unicode 选"},
                         {"base.learning_rate", "0.00012345678901234567"},
                         {"base.weight_decay", "0"},
                         {"zero.epsilon", "1e-7"},
                         {"zero.temperature", "1"},
                         {"model.tie_word_embeddings", "true"},
                         {"seed", "9223372036854775807"}};
  for (const Overrides& overrides : {Overrides{}, odd}) {
    Result<Recipe> first = Parse(kGood, overrides);
    ASSERT_TRUE(first.ok()) << first.error().message;
    const std::string text = RecipeToToml(*first);
    Result<Recipe> second = Parse(text);
    ASSERT_TRUE(second.ok()) << second.error().message << "\n" << text;
    EXPECT_EQ(FieldsText(RecipeFields(*first)), FieldsText(RecipeFields(*second)));
    ASSERT_EQ(first->stages.size(), second->stages.size());
    for (size_t i = 0; i < first->stages.size(); ++i) {
      EXPECT_EQ(first->stages[i]->name, second->stages[i]->name);
      EXPECT_EQ(first->stages[i]->kind, second->stages[i]->kind);
      EXPECT_EQ(first->stages[i]->in.model, second->stages[i]->in.model);
      EXPECT_EQ(ShapingText(*first->stages[i]), ShapingText(*second->stages[i]));
    }
    EXPECT_EQ(RecipeToToml(*second), text);
    std::ofstream(dir / "r.toml") << text;
    Result<Recipe> loaded = LoadRecipe(dir / "r.toml", {});
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(RecipeToToml(*loaded), text);
  }
  EXPECT_NE(LoadRecipe(dir / "none.toml", {}).error().message.find("none.toml"), std::string::npos);
}

// The bounds that a recipe is checked against hold for what the world writes.
TEST(Recipe, TheWorldFitsItsPositions) {
  const Tokenizer tokenizer = TrainTokenizer(7, 2000).value();
  size_t longest = 0, longest_prompt = 0;
  for (uint64_t i = 0; i < 20000; ++i) {
    const Document d = DocumentAt(1, i);
    const size_t prompt = tokenizer.Encode(d.prompt).size();
    longest = std::max(longest, prompt + tokenizer.Encode(d.reply).size());
    longest_prompt = std::max(longest_prompt, prompt);
  }
  for (uint64_t i = 0; i < 300; ++i)
    longest = std::max({longest, tokenizer.Encode(VerifierProbeAt(i, true).text).size(),
                        tokenizer.Encode(VerifierProbeAt(i, false).text).size()});
  EXPECT_LE(longest, 131u);
  EXPECT_GT(longest, 125u) << "a smaller bound would do";
  EXPECT_LE(longest_prompt, 16u);
}

TEST(Recipe, ShapingTextLeavesOutSpeedAndSaving) {
  const auto shaping = [](const Overrides& overrides, size_t stage) {
    Result<Recipe> r = Parse(kGood, overrides);
    EXPECT_TRUE(r.ok()) << r.error().message;
    return ShapingText(*r->stages[stage]);
  };
  const std::string base = shaping({}, 0), zero = shaping({}, 2);
  for (const char* name : {"save_steps", "save_total_limit"})
    EXPECT_EQ(shaping({{std::string("base.") + name, "17"}}, 0), base) << name;
  for (const char* name : {"save_steps", "save_total_limit", "log_completions_steps", "slots"})
    EXPECT_EQ(shaping({{std::string("zero.") + name, "17"}}, 2), zero) << name;
  // Everything else counts: each field of each stage, changed to another valid value, changes the
  // text.
  Result<Recipe> recipe = Parse(kGood);
  ASSERT_TRUE(recipe.ok());
  size_t changed = 0;
  for (const auto& stage : recipe->stages) {
    const std::string before = ShapingText(*stage);
    for (const Field& field : StageFields(*stage)) {
      if (field.name == "save_steps" || field.name == "save_total_limit" || field.name == "log_completions_steps" ||
          field.name == "slots")
        continue;
      if (auto* const* b = std::get_if<bool*>(&field.value)) **b = !**b;
      if (auto* const* i = std::get_if<int64_t*>(&field.value)) **i += 1;
      if (auto* const* d = std::get_if<double*>(&field.value)) **d = **d * 1.0000000001 + 1e-12;
      if (auto* const* s = std::get_if<std::string*>(&field.value)) **s += "x";
      EXPECT_NE(ShapingText(*stage), before) << stage->name << "." << field.name;
      ++changed;
      if (auto* const* i = std::get_if<int64_t*>(&field.value)) **i -= 1;
      if (auto* const* s = std::get_if<std::string*>(&field.value)) (*s)->pop_back();
    }
  }
  EXPECT_GT(changed, 40u);
  EXPECT_NE(shaping({}, 0), shaping({}, 1)) << "the kind is part of it";
}

}  // namespace
}  // namespace r1
