// Templates and variables that mean harm, J1 to J16 of the reliability plan: each ends in an error that says where and
// what to do, within its budget.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "text/chat_template.h"

namespace r1 {
namespace {

std::string Times(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

Result<RenderedPrompt> Render(const std::string& text, const std::string& vars = "{}",
                              const TemplateLimits& limits = {.max_ms = 20'000}) {
  R1_ASSIGN(const ChatTemplate parsed, ChatTemplate::Parse(text, "evil.jinja"));
  R1_ASSIGN(const TemplateVars values, TemplateVars::FromJsonText(vars, "vars.json"));
  return parsed.Render(values, limits);
}

void ExpectError(const std::string& text, const std::string& part, const std::string& vars = "{}",
                 const TemplateLimits& limits = {.max_ms = 20'000}) {
  const auto prompt = Render(text, vars, limits);
  ASSERT_FALSE(prompt.ok()) << text.substr(0, 200) << " gave " << prompt->text.substr(0, 200);
  EXPECT_EQ(prompt.error().code, ErrorCode::kBadInput);
  EXPECT_NE(prompt.error().message.find(part), std::string::npos) << prompt.error().message;
  EXPECT_LT(prompt.error().message.size(), 1000U);
  EXPECT_EQ(prompt.error().message.rfind("evil.jinja:", 0), 0U) << prompt.error().message;
}

TEST(JinjaLimits, J1MacroThatCallsItself) {
  ExpectError("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "does 'm' call itself without end?");
  ExpectError("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "deep");
  ExpectError("{% for x in [[1]] recursive %}{{ loop([[x]]) }}{% endfor %}", "deep");
  ExpectError("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}", "deep");
  // A depth that is allowed.
  EXPECT_TRUE(Render("{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(90) }}").ok());
}

TEST(JinjaLimits, J2NestedParentheses) {
  const std::pair<const char*, const char*> nests[] = {{"(", ")"},   {"[", "]"},  {"-", ""},   {"not ", ""},
                                                       {"{1:", "}"}, {"f(", ")"}, {"x[", "]"}, {"1 if 1 else ", ""}};
  for (const auto& [open, close] : nests) {
    const int count = std::min(60'000, 250'000 / static_cast<int>(std::string(open).size() + 1));
    ExpectError("{{ " + Times(open, count) + "1" + Times(close, count) + " }}", "100 deep");
  }
  ExpectError("{{ " + Times("1 if ", 50'000) + "1 }}", "too many conditions");
  ExpectError("{{ " + Times("(", 60'000), "without its end");
  EXPECT_EQ(Render("{{ " + Times("(", 90) + "7" + Times(")", 90) + " }}")->text, "7");
  // Long is not deep.
  EXPECT_EQ(Render("{{ 0" + Times(" + 1", 20'000) + " }}")->text, "20000");
  EXPECT_EQ(Render("{{ 'x'" + Times("|trim", 20'000) + " }}")->text, "x");
  EXPECT_EQ(Render("{{ true" + Times(" and true", 20'000) + " }}")->text, "True");
  EXPECT_EQ(Render("{% if 0 %}" + Times("{% elif 0 %}", 15'000) + "{% endif %}")->text, "");
}

TEST(JinjaLimits, J3NestedBlocks) {
  ExpectError(Times("{% if 1 %}", 20'000), "100 deep");
  ExpectError(Times("{% for a in b %}", 15'000), "100 deep");
  ExpectError(Times("{% macro m() %}", 15'000), "100 deep");
  EXPECT_EQ(Render(Times("{% if 1 %}", 90) + "x" + Times("{% endif %}", 90))->text, "x");
}

TEST(JinjaLimits, J4DivisionByZeroAndOverflow) {
  for (const char* text : {"{{ 1/0 }}", "{{ 1%0 }}", "{{ 1//0 }}", "{{ 1.5/0 }}", "{{ 1.5 % 0.0 }}", "{{ 0 ** -1 }}",
                           "{{ 4 is divisibleby 0 }}"}) {
    ExpectError(text, "division by zero");
  }
  const std::string least = "(-9223372036854775807 - 1)";
  for (const char* text : {"{{ 9223372036854775807 + 1 }}", "{{ 3037000500 * 3037000500 }}", "{{ 2 ** 64 }}",
                           "{{ 9223372036854775807 * -2 }}"}) {
    ExpectError(text, "63 bits");
  }
  ExpectError("{{ " + least + " // -1 }}", "63 bits");
  ExpectError("{{ " + least + "|abs }}", "63 bits");
  EXPECT_EQ(Render("{{ " + least + " % -1 }}")->text, "0");
}

TEST(JinjaLimits, J5HugeRange) {
  ExpectError("{{ range(1000000000000)|list }}", "range: 1000000000000 numbers; at most 100000");
  ExpectError("{% for i in range(1000000000000) %}{% endfor %}", "at most 100000");
  ExpectError("{{ range(0, 9223372036854775807, 9000000000000000000) }}", "2^53");
}

TEST(JinjaLimits, J6NestedLoops) {
  const std::string loops = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}";
  ExpectError(loops + Times("{% endfor %}", 3), "steps");
  ExpectError(loops + Times("{% endfor %}", 3), "1 ms", "{}",
              {.max_steps = int64_t{1} << 40, .max_bytes = int64_t{1} << 40, .max_ms = 1});
}

TEST(JinjaLimits, J7HugeStrings) {
  ExpectError("{{ 'x' * 1000000000 }}", "at most 4194304 are allowed");
  ExpectError("{{ [0] * 1000000000 }}", "limit");
  ExpectError("{{ 'x' * 9223372036854775807 }}", "limit");
  ExpectError("{% set ns = namespace(s='xx') %}{% for i in range(90) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
              "limit");
  ExpectError("{% set ns = namespace(s=[1]) %}{% for i in range(90) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
              "limit");
  ExpectError("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "limit");
  ExpectError("{{ 'x'.center(1000000000) }}", "limit");
  ExpectError("{{ '%1000000000d' % 1 }}", "limit");
  ExpectError("{{ '{:1000000000}'.format(1) }}", "limit");
  ExpectError("{{ 'a'|indent(1000000000) }}", "limit");
  ExpectError("{{ [1]|tojson(indent=1000000000) }}", "limit");
  ExpectError("{{ ('x' * 4000).replace('', 'y' * 4000) }}", "limit");
  ExpectError("{{ (['y' * 4000] * 4000)|join }}", "limit");
  // Many strings that live at once.
  ExpectError(
      "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = ns.l + ['x' * 99999] %}{% endfor %}",
      "limit");
  // A list of a list of a list ... is a tree of 2^60 leaves.
  std::string tree = "{% set a = [1, 1] %}";
  for (int i = 0; i < 60; ++i) tree += "{% set a = [a, a] %}";
  ExpectError(tree + "{{ a }}", "limit");
  ExpectError(tree + "{{ a|tojson }}", "limit");
  ExpectError(tree + "{% set b = a + [] %}{{ a == b }}{{ a|string|length }}", "limit");
}

TEST(JinjaLimits, J8UnclosedTags) {
  ExpectError("ab\n  {{ x ", "evil.jinja:2:3: an expression without its end; write }}");
  ExpectError("{% if x ", "without its end; write %}");
  ExpectError("{# never", "write #}");
  ExpectError("{% if x %}a", "write {% endif %}");
  ExpectError("\n{% for x in y %}a", "evil.jinja:2:");
  ExpectError("{% raw %}{{", "endraw");
  ExpectError("{{ 'abc }}", "a string without its end");
  ExpectError("{{ (1 }}", "expected ')'");
  ExpectError("{% endif %}", "'endif' without the block");
  ExpectError("{% set x %}", "endset");
  ExpectError("{{ }}", "expected an expression");
  ExpectError("{{ a b }}", "expected '}}', found 'b'");
  ExpectError("{% frobnicate %}", "unknown tag 'frobnicate'");
  ExpectError("{% break %}", "outside of a loop");
}

TEST(JinjaLimits, J9HugeTemplate) {
  ExpectError(std::string(10 << 20, 'x'), "at most 262144 are allowed");
  EXPECT_TRUE(ChatTemplate::Parse(std::string(ChatTemplate::kMaxBytes, 'x'), "t").ok());
  EXPECT_FALSE(ChatTemplate::Parse(std::string(ChatTemplate::kMaxBytes + 1, 'x'), "t").ok());
  ExpectError("ok \xC3(", "not valid UTF-8");
  for (const char* piece :
       {"{", "{{", "{%", "{#", "{% raw %}", "{{'", "{{(", "{{-", "}", "{{x|", "{%if ", "\r", "{{1_"}) {
    const auto parsed = ChatTemplate::Parse(Times(piece, 250'000 / static_cast<int>(std::string(piece).size())), "t");
    EXPECT_TRUE(parsed.ok() || parsed.error().message.size() < 300U) << piece;
  }
}

TEST(JinjaLimits, J10AttributesOfPython) {
  for (const char* text : {"{{ ''.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ cycler.__init__ }}",
                           "{{ cycler.__init__.__globals__ }}", "{{ messages.__class__ }}", "{{ ''['__class__'] }}",
                           "{{ ''|attr('__class__') }}", "{{ '{0.__class__}'.format(1) }}", "{{ namespace.__init__ }}",
                           "{{ [''.__class__]|map(attribute='__base__')|list }}"}) {
    const auto prompt = Render(text, R"({"messages": []})");
    ASSERT_FALSE(prompt.ok()) << text << " gave " << prompt->text;
  }
  ExpectError("{{ ''.__class__ }}", "not allowed");
  ExpectError("{{ self.x }}", "'self' is undefined");
  EXPECT_EQ(Render("{{ x.__class__ is defined }}{{ x.__y }}", R"({"x": {"__y": 1}})")->text, "False1");
  ExpectError("{{ [1].append(2) }}", "would change a list");
  ExpectError("{{ {}.update({}) }}", "would change a dict");
  ExpectError("{% set x.a = 1 %}", "only a namespace() can be changed", R"({"x": {}})");
}

TEST(JinjaLimits, J11OtherFiles) {
  for (const std::string tag : {"include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'"}) {
    ExpectError("{% " + tag + " %}", "is not supported: a chat template is one file");
  }
}

TEST(JinjaLimits, J12LoopWithoutProgress) {
  const std::string text =
      "{% set ns = namespace(go=true) %}{% for a in range(99999) %}{% for b in range(99999) %}{% if ns.go %}{% set "
      "ns.go = "
      "true %}{% endif %}{% endfor %}{% endfor %}";
  ExpectError(text, "steps");
  ExpectError(text, " ms of computing time", "{}",
              {.max_steps = int64_t{1} << 40, .max_bytes = int64_t{1} << 40, .max_ms = 5});
}

TEST(JinjaLimits, J13Cycles) {
  ExpectError("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns|tojson }}", "cannot be written as JSON");
  ExpectError("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x }}", "holds itself");
  ExpectError("{% set ns = namespace() %}{% set ns.x = {'a': ns} %}{{ ns.x|tojson }}", "cannot be written as JSON");
  // Chains that no single value shows as deep, and what is left to free at the end.
  const std::string chain =
      "{% set o = namespace(c=namespace()) %}{% for i in range(20000) %}{% set c = o.c %}{% set n = namespace() %}"
      "{% set c.next = n %}{% set o.c = n %}{% endfor %}ok";
  EXPECT_EQ(Render(chain)->text, "ok");
  ExpectError("{% set ns = namespace(x=1) %}{% for i in range(200) %}{% set ns.x = [ns.x] %}{% endfor %}", "100 deep");
  const std::string closures =
      "{% set ns = namespace(m=1) %}{% for i in range(20000) %}{% set p = ns.m %}{% macro f() %}{{ p }}{% endmacro %}"
      "{% set ns.m = f %}{% endfor %}ok";
  EXPECT_EQ(Render(closures)->text, "ok");
  EXPECT_EQ(Render("{% for x in [1] %}{% set l = loop %}{{ loop.changed([l]) }}{% endfor %}")->text, "True");
  std::string deep = "{\"x\": " + Times("[", 5000) + Times("]", 5000) + "}";
  EXPECT_FALSE(TemplateVars::FromJsonText(deep, "v").ok());
}

TEST(JinjaLimits, J14RaiseException) {
  ExpectError("{{ raise_exception('Roles must\\nalternate \\x1b[31m' ~ x) }}",
              R"(the template refuses these messages: 'Roles must\nalternate \x1b[31mq\'')", R"({"x": "q'"})");
  ExpectError("\n {{- raise_exception('no') }}", "evil.jinja:2:");
}

TEST(JinjaLimits, J15WrongTypes) {
  const std::string text =
      "{% for m in messages %}{{ '<' + m.role + '>' + m['content'] + m.tool_calls[0].function.name }}{% endfor %}";
  for (const char* vars :
       {R"({"messages": 5})", R"({"messages": [1]})", R"({"messages": [{"role": 5}]})", R"({"messages": [{}]})",
        R"({"messages": [{"role": "user", "content": null}]})", R"({"messages": [{"role": "user", "content": {}}]})",
        R"({"messages": [{"role": "user", "content": "x", "tool_calls": []}]})",
        R"({"messages": [{"role": "user", "content": "x", "tool_calls": 1.5}]})", R"({"messages": "abc"})"}) {
    ExpectError(text, ":1:", vars);
  }
  EXPECT_EQ(Render(text)->text, "");  // no messages at all
  ExpectError(text, "'role'", R"({"messages": [{"content": "x"}]})");
  ExpectError("{{ 'a' + 1 }}", "make a string of both with | string");
  ExpectError("{{ x|nosuchfilter }}", "no filter named 'nosuchfilter'");
  ExpectError("{{ 1 is nosuchtest }}", "no test named");
  ExpectError("{{ [1, 'a']|sort }}", "no order");
  ExpectError("{{ [1]|map('upper')|length }}", "| list");
  ExpectError("{{ {[1]: 2} }}", "unhashable");
  ExpectError("{% set a, b = [1] %}", "cannot unpack 1 value(s) into 2");
  for (const char* vars : {"[]", "5", "{", "{\"a\": 1e400}", "{\"a\": 1, \"a\": 2}", "{\"a\": \"\\ud800\"}", ""}) {
    const auto bad = TemplateVars::FromJsonText(vars, "vars.json");
    ASSERT_FALSE(bad.ok()) << vars;
    EXPECT_EQ(bad.error().message.rfind("vars.json:", 0), 0U) << bad.error().message;
  }
  EXPECT_FALSE(TemplateVars::FromJsonText("{\"a\": [" + Times("1,", 500'000) + "1]}", "v").ok());
}

}  // namespace
}  // namespace r1
