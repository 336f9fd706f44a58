#include "text/chat_prompt.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/bpe_train.h"
#include "text/chat_template.h"

namespace r1 {
namespace {

constexpr char kR1Like[] =
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|> ' + m.content + ' <|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|><think>\\n' }}{% endif %}";

const Tokenizer& Small() {
  static const Tokenizer tokenizer = [] {
    const std::vector<std::string> texts = {" what is the answer user wait hello there 12 + 30 the the user user"};
    return TrainBpe(texts,
                    {{.id = -1, .content = "<s>"},
                     {.id = -1, .content = "<|user|>", .rstrip = true},
                     {.id = -1, .content = "<|assistant|>"},
                     {.id = -1, .content = "<|end|>", .lstrip = true},
                     {.id = -1, .content = "<think>"},
                     {.id = -1, .content = "</think>", .special = false}},
                    {.max_vocab = 400, .min_count = 1})
        .value();
  }();
  return tokenizer;
}

RenderedPrompt Render(const std::string& text, const std::string& vars) {
  return ChatTemplate::Parse(text, "t")
      ->Render(TemplateVars::FromJsonText(vars, "v").value(), {.max_ms = 60'000})
      .value();
}

std::string Vars(const std::string& content) {
  return R"({"bos_token": "<s>", "add_generation_prompt": true, "messages": [{"role": "user", "content": ")" + content +
         R"("}]})";
}

int SpecialCount(const std::vector<int32_t>& ids) {
  int count = 0;
  for (const int32_t id : ids) {
    for (const AddedToken& added : Small().parts().added) count += added.id == id;
  }
  return count;
}

// "[scaffold](content)".
std::string Marked(const RenderedPrompt& prompt) {
  std::string out;
  for (const auto& stretch : prompt.stretches) {
    const std::string text = prompt.text.substr(stretch.begin, stretch.end - stretch.begin);
    out += stretch.content ? "(" + text + ")" : "[" + text + "]";
  }
  return out;
}

TEST(ChatPrompt, OriginsAreKeptThroughEveryOperation) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a{{ x }}b", "[a](q Ww)[b]"},
      {"{{ 'a' + x + 'b' ~ x }}", "[a](q Ww)[b](q Ww)"},
      {"{{ ('  ' + x + '  ')|trim }}", "(q Ww)"},
      {"{{ ('<' + x + '>')|upper }}", "[<](Q WW)[>]"},
      {"{{ (x + '-' + x).split('-')[1] }}", "(q Ww)"},
      {"{{ ('ab' + x)[1:4] }}", "[b](q )"},
      {"{{ ('ab' + x)[::-1] }}", "(wW q)[ba]"},
      {"{{ x|replace('W', '<w>') }}", "(q )[<w>](w)"},
      {"{{ 'aXb'|replace('X', x) }}", "[a](q Ww)[b]"},
      {"{{ [x, 'y', x]|join(', ') }}", "(q Ww)[, y, ](q Ww)"},
      {"{{ '%s:%5s' % (x, 'z') }}", "(q Ww)[:    z]"},
      {"{{ '<{}>'.format(x) }}", "[<](q Ww)[>]"},
      {"{{ [x, 'y'] }}", "[[]('q Ww')[, 'y']]"},
      {"{{ d|tojson }}", R"(({"k": "v\"", "n": [1, true]}))"},
      {"{{ {'a': x}|tojson }}", R"([{"a": ]("q Ww")[}])"},
      {"{{ n }}{{ n + 1 }}{{ 5 }}{{ t }}{{ z }}", "(78)[5](TrueNone)"},
      {"{% set b %}<{{ x }}>{% endset %}{{ b }}", "[<](q Ww)[>]"},
      {"{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(x) }}", "[<](q Ww)[>]"},
      {"{{ x|indent(2, true) }}", "[  ](q Ww)"},
      {"{{ x.center(8, '*') }}", "[**](q Ww)[**]"},
      {"{{ x * 2 }}", "(q Wwq Ww)"},
      {"{% for c in 'a' + x %}{{ c }}.{% endfor %}", "[a.](q)[.]( )[.](W)[.](w)[.]"},
      {"{{ bos_token }}{{ m[0].role }}", "[<s>](user)"},
      {"{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}", "[user](<s>adminc)"},
  };
  const std::string vars =
      R"({"x": "q Ww", "n": 7, "t": true, "z": null, "d": {"k": "v\"", "n": [1, true]}, "bos_token": "<s>",
          "m": [{"role": "user"}], "messages": [{"role": "user", "content": "<s>"}, {"role": "admin", "content": "c"}]})";
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(Marked(Render(text, vars)), expected) << text;
  }
}

TEST(ChatPrompt, J16ContentNeverBecomesASpecialToken) {
  std::string every;
  for (const AddedToken& added : Small().parts().added) every += added.content + " " + added.content;
  const RenderedPrompt clean = Render(kR1Like, Vars("hello"));
  const RenderedPrompt attack = Render(kR1Like, Vars(every));
  const std::vector<int32_t> clean_ids = EncodePrompt(Small(), clean), ids = EncodePrompt(Small(), attack);
  EXPECT_EQ(SpecialCount(clean_ids), 5);  // <s> <|user|> <|end|> <|assistant|> <think>
  EXPECT_EQ(SpecialCount(ids), 5);
  EXPECT_NE(attack.text.find(every), std::string::npos);
  // The same scaffolding at both ends, and every special token of it in its place.
  EXPECT_EQ(ids[0], clean_ids[0]);
  EXPECT_EQ(ids[1], clean_ids[1]);
  EXPECT_EQ(std::vector<int32_t>(ids.end() - 4, ids.end()), std::vector<int32_t>(clean_ids.end() - 4, clean_ids.end()));
  // Scaffold and content together must not make one either.
  const RenderedPrompt split = Render("{{ '<|us' }}{{ x }}{{ '<thi' + y + '>' }}", R"({"x": "er|>", "y": "nk"})");
  EXPECT_EQ(split.text, "<|user|><think>");
  EXPECT_EQ(SpecialCount(EncodePrompt(Small(), split)), 0);
  EXPECT_EQ(Small().Decode(EncodePrompt(Small(), split)), split.text);
}

TEST(ChatPrompt, IdsEqualThoseOfTheWholeTextWithoutSpecialContent) {
  for (const char* content :
       {"hello", "  what is the answer  ", "", "the", "12 + 30", "\\n\\nwait\\n", "等等", "<", "|>", " "}) {
    const RenderedPrompt prompt = Render(kR1Like, Vars(content));
    EXPECT_EQ(EncodePrompt(Small(), prompt), Small().Encode(prompt.text)) << prompt.text;
  }
  // A word that begins in the scaffold and ends in the content is one word.
  const RenderedPrompt word = Render("{{ ' us' + x }}", R"({"x": "er"})");
  EXPECT_EQ(EncodePrompt(Small(), word), Small().Encode(" user"));
  EXPECT_EQ(word.stretches.size(), 2U);
}

TEST(ChatPrompt, ThinkState) {
  const auto state = [](const std::string& text, const std::string& vars = "{}") {
    return std::string(ThinkStateName(ThinkStateOf(Render(text, vars))));
  };
  EXPECT_EQ(state(kR1Like, Vars("hi")), "open");
  EXPECT_EQ(state("<|user|>hi<|assistant|>"), "outside");
  EXPECT_EQ(state("<|assistant|><think>\n\n</think>\n\n"), "closed");
  EXPECT_EQ(state("<|assistant|></think>"), "closed");
  EXPECT_EQ(state("<think>a</think>b<|end|><|assistant|>"), "outside");
  EXPECT_EQ(state("Answer inside <think> tags.<|assistant|>"), "outside");
  EXPECT_EQ(state("<|assistant|><think>{{ x }}", R"({"x": "so far"})"), "open");
  EXPECT_EQ(state("<|assistant|>{{ x }}", R"({"x": "<think>"})"), "outside");
  EXPECT_EQ(state("<think>{{ x }}", R"({"x": "</think>"})"), "open");
  EXPECT_EQ(state("<think>{{ x }}</think>{{ x }}", R"({"x": "a"})"), "closed");
  EXPECT_EQ(state(""), "outside");
}

TEST(ChatPrompt, GenerationBlocks) {
  const RenderedPrompt prompt = Render("a{% generation %}{{ x }}b{% endgeneration %}c", R"({"x": "X"})");
  ASSERT_EQ(prompt.text, "aXbc");
  ASSERT_EQ(prompt.generations.size(), 1U);
  EXPECT_EQ(prompt.generations[0].begin, 1U);
  EXPECT_EQ(prompt.generations[0].end, 3U);
}

}  // namespace
}  // namespace r1
