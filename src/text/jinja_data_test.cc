// Recorded renderings: templates of real models, a conformance set, and what other engines made of them.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "text/chat_template.h"

namespace r1 {
namespace {

using Json = nlohmann::ordered_json;

std::filesystem::path DataFolder() {
  if (const char* folder = std::getenv("R1_DATA")) return folder;
  return std::filesystem::path(__FILE__).parent_path() / "../../../shared/data";
}

std::vector<Json> ReadRows(const std::string& name) {
  std::vector<Json> rows;
  std::ifstream in(DataFolder() / "templates" / name);
  for (std::string line; std::getline(in, line);) rows.push_back(Json::parse(line));
  return rows;
}

// As patient as a sanitizer build on a busy machine needs; at noon of 20 January 2025, when the records were made.
TemplateLimits Patient() { return {.max_ms = 60'000, .now = 1737374400}; }

Result<RenderedPrompt> Render(const std::string& text, const Json& vars) {
  R1_ASSIGN(const ChatTemplate parsed, ChatTemplate::Parse(text, "template"));
  R1_ASSIGN(const TemplateVars values, TemplateVars::FromJson(vars, "vars"));
  return parsed.Render(values, Patient());
}

// What holds of every rendering.
void CheckStretches(const RenderedPrompt& prompt) {
  size_t at = 0;
  for (size_t i = 0; i < prompt.stretches.size(); ++i) {
    const RenderedPrompt::Stretch& stretch = prompt.stretches[i];
    EXPECT_EQ(stretch.begin, at);
    EXPECT_LT(stretch.begin, stretch.end);
    EXPECT_TRUE(i == 0 || stretch.content != prompt.stretches[i - 1].content);
    at = stretch.end;
  }
  EXPECT_EQ(at, prompt.text.size());
}

#define R1_NEED_DATA(name)                                                                                   \
  if (!std::filesystem::exists(DataFolder() / "templates" / (name))) {                                       \
    GTEST_SKIP() << "missing: " << (DataFolder() / "templates" / (name)) << " (R1_DATA says where data is)"; \
  }

TEST(JinjaData, ConformanceCases) {
  R1_NEED_DATA("jinja_cases.jsonl");
  int count = 0;
  for (const Json& row : ReadRows("jinja_cases.jsonl")) {
    SCOPED_TRACE(row["section"].get<std::string>() + ": " + row["name"].get<std::string>());
    const auto prompt = Render(row["template"].get<std::string>(), row["vars"]);
    ++count;
    if (!prompt.ok()) {
      ADD_FAILURE() << prompt.error().message;
      continue;
    }
    EXPECT_EQ(prompt->text, row["expected"].get<std::string>());
    CheckStretches(*prompt);
  }
  EXPECT_GE(count, 100);
}

TEST(JinjaData, TemplatesOfModels) {
  R1_NEED_DATA("renderings.jsonl");
  int count = 0, refused = 0;
  std::map<std::string, std::string> texts;
  for (const Json& row : ReadRows("renderings.jsonl")) {
    const auto name = row["template"].get<std::string>();
    SCOPED_TRACE(name + ": " + row["case"].get<std::string>());
    std::string& text = texts[name];
    if (text.empty()) text = ReadFile((DataFolder() / "templates" / (name + ".jinja")).string(), 1 << 20).value();
    const auto prompt = Render(text, row["vars"]);
    ++count;
    if (row.contains("error")) {
      EXPECT_FALSE(prompt.ok()) << "rendered although Jinja says " << row["error"];
      ++refused;
    } else if (prompt.ok()) {
      EXPECT_EQ(prompt->text, row["expected"].get<std::string>());
      CheckStretches(*prompt);
    } else {
      ADD_FAILURE() << prompt.error().message;
    }
  }
  EXPECT_GE(count, 200);
  EXPECT_GE(refused, 10);
}

TEST(JinjaData, ConversationsOfOtherEngines) {
  R1_NEED_DATA("chat_llamacpp.jsonl");
  int count = 0;
  for (const Json& row : ReadRows("chat_llamacpp.jsonl")) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const Json vars = {{"messages", row["messages"]},
                       {"add_generation_prompt", row["add_generation_prompt"]},
                       {"bos_token", row["bos_token"]},
                       {"eos_token", row["eos_token"]}};
    const auto prompt = Render(row["template"].get<std::string>(), vars);
    ++count;
    if (!prompt.ok()) {
      ADD_FAILURE() << prompt.error().message;
      continue;
    }
    const bool differs = row["python_jinja2"].is_string();
    EXPECT_EQ(prompt->text, row[differs ? "python_jinja2" : "expected"].get<std::string>());
  }
  EXPECT_GE(count, 15);
}

}  // namespace
}  // namespace r1
