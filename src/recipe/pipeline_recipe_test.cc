// Recipes of the whole pipeline: what stages read from each other, and what is refused before anything is computed.
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/test_dir.h"
#include "recipe/recipe.h"

namespace r1 {
namespace {

constexpr const char* kPipeline = R"(name = "p"
[model]
preset = "tiny"
[corpus]
name = "wide"
[[stage]]
name = "base"
kind = "pretrain"
reasoning = 0.5
[[stage]]
name = "small"
kind = "pretrain"
preset = "student-32"
[[stage]]
name = "cold"
kind = "sample"
model = "base"
corpus = "wide"
[[stage]]
name = "dev1"
kind = "sft"
model = "base"
data = "cold"
[[stage]]
name = "prefs"
kind = "preferences"
model = "dev1"
[[stage]]
name = "rm"
kind = "rm"
model = "dev1"
data = "prefs"
[[stage]]
name = "final"
kind = "rl"
model = "dev1"
helpful = "rm"
task = "pick:0.5,helpful:0.5"
)";

std::string With(const std::string& what, const std::string& with) {
  std::string text = kPipeline;
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(PipelineRecipe, KeepsWhatStagesRead) {
  Result<Recipe> parsed = ParseRecipe(kPipeline, "p.toml", {});
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->corpus, "wide");
  EXPECT_EQ(parsed->Find("base")->in.reasoning, 0.5);
  EXPECT_EQ(parsed->Find("small")->in.preset, "student-32");
  EXPECT_EQ(parsed->Find("dev1")->in.data, "cold");
  EXPECT_EQ(parsed->Find("final")->in.helpful, "rm");
  EXPECT_EQ(parsed->Find("nobody"), nullptr);
  Result<Recipe> again = ParseRecipe(RecipeToToml(*parsed), "again.toml", {});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(RecipeToToml(*again), RecipeToToml(*parsed));
}

TEST(PipelineRecipe, ImpossibleGraphsAreRefusedWithTheStageNamed) {
  struct Case {
    std::string text;
    const char* says;
  };
  const Case cases[] = {
      {With("kind = \"sft\"", "kind = \"stf\""), "did you mean 'sft'"},
      {With("data = \"cold\"\n", ""), "stage 'dev1': needs 'data'"},
      {With("data = \"cold\"", "data = \"base\""), "its data 'base' is neither an earlier stage that writes data"},
      {With("data = \"cold\"", "data = \"prefs\""), "its data 'prefs' is neither an earlier stage"},
      {With("model = \"base\"\ncorpus", "model = \"cold\"\ncorpus"), "its model 'cold' is neither an earlier stage"},
      {With("model = \"dev1\"\ndata", "model = \"prefs\"\ndata"), "its model 'prefs' is neither an earlier stage"},
      {With("helpful = \"rm\"", "helpful = \"prefs\""), "its model 'prefs'"},
      {With("helpful = \"rm\"", "teacher = \"base\""), "'teacher' belongs to stages of kind sft"},
      {With("reasoning = 0.5", "reasoning = 1.5"), "reasoning must be in 0 .. 1"},
      {With("reasoning = 0.5", "reasoning = \"much\""), "'reasoning' must be a number"},
      {With("preset = \"student-32\"", "preset = \"student-23\""), "did you mean 'student-32'"},
      {With("name = \"wide\"", "name = \"wider\""), "wide"},
      {With("model = \"base\"\ncorpus", "model = \"base\"\npreset = \"tiny\"\ncorpus"),
       "'preset' belongs to stages of kind pretrain"},
      {With("name = \"cold\"", "name = \"corpus\""), "needs a name"},
      {With("model = \"base\"\ncorpus", "corpus"), "samples from one of 'model', 'traces_file' and 'endpoint'"},
      {With("model = \"base\"\ncorpus", "model = \"base\"\nendpoint = \"http://localhost:1/v1\"\ncorpus"),
       "samples from one of"},
      {With("model = \"base\"\ncorpus", "endpoint = \"http://localhost:1/v1\"\ncorpus"), "needs 'endpoint_model'"},
      {With("model = \"base\"\ncorpus", "traces_file = \"/nowhere.jsonl\"\ncorpus"),
       "there is no file '/nowhere.jsonl'"},
      {With("model = \"base\"\ndata", "model = \"base\"\nendpoint = \"http://localhost:1/v1\"\ndata"),
       "'endpoint' belongs to stages of kind sample"},
  };
  for (const Case& c : cases) {
    const Result<Recipe> parsed = ParseRecipe(c.text, "p.toml", {});
    ASSERT_FALSE(parsed.ok()) << c.says;
    EXPECT_NE(parsed.error().message.find(c.says), std::string::npos)
        << parsed.error().message << "\nwanted " << c.says;
  }
}

TEST(PipelineRecipe, ShapingKnowsTheShareOfReasoning) {
  Result<Recipe> half = ParseRecipe(kPipeline, "p.toml", {});
  Result<Recipe> less = ParseRecipe(With("reasoning = 0.5", "reasoning = 0.25"), "p.toml", {});
  ASSERT_TRUE(half.ok() && less.ok());
  EXPECT_NE(ShapingText(*half->stages[0]), ShapingText(*less->stages[0]));
}

TEST(PipelineRecipe, ListsAreSplitAtCommas) {
  EXPECT_EQ(SplitList("a, b ,c"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(SplitList(""), std::vector<std::string>());
  EXPECT_EQ(SplitList(" , ,"), std::vector<std::string>());
  EXPECT_EQ(SplitList("one"), std::vector<std::string>{"one"});
}

TEST(PipelineRecipe, TheRecipesOfTheProjectAreValid) {
  for (const char* name : {"mini-zero", "smoke-zero", "mini-r1", "compare-rl", "base-quality"}) {
    const Result<Recipe> recipe = LoadRecipe(std::string(R1_SOURCE_DIR) + "/recipes/" + name + ".toml", {});
    EXPECT_TRUE(recipe.ok()) << (recipe.ok() ? "" : recipe.error().message);
  }
}

}  // namespace
}  // namespace r1
