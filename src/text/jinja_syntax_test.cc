// Constructs of the template language one by one. Expected texts are what Jinja 3.1 gives in the set-up of Hugging
// Face.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "text/chat_template.h"

namespace r1 {
namespace {

constexpr char kVars[] =
    R"({"name": "Ann", "n": 7, "f": 2.5, "l": [3, 1, 2], "words": ["b", "A", "c"],
"d": {"k": 1, "j": "x"},
"people": [{"n": "Bo", "a": 3, "t": {"u": 1}}, {"n": "Al", "a": 1, "t": {"u": 2}}, {"n": "Cy", "a": 3, "t": {"u": 0}}],
"s": "  Some Text\nline  ", "e": "", "none": null, "uni": "Äé ß Ж中😀", "big": 123456789012345678901234567890})";

using Cases = std::vector<std::pair<std::string, std::string>>;

std::string Render(const std::string& text) {
  const auto parsed = ChatTemplate::Parse(text, "t");
  if (!parsed.ok()) return "error: " + parsed.error().message;
  const auto prompt = parsed->Render(TemplateVars::FromJsonText(kVars, "vars").value(), {.max_ms = 60'000});
  return prompt.ok() ? prompt->text : "error: " + prompt.error().message;
}

void Check(const Cases& cases) {
  for (const auto& [text, expected] : cases) EXPECT_EQ(Render(text), expected) << text;
}

TEST(JinjaSyntax, Operators) {
  Check({
      {"{{ 1 + 2 * 3 - 4 / 2 }}", "5.0"},
      {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}", "3 -4 2 -2 3.0 0.5"},
      {"{{ 2 ** 3 ** 2 }} {{ 2 ** -1 }} {{ -2 ** 2 }}", "64 0.5 4"},
      {"{{ 10 / 4 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 1e22 }} {{ 100000000000000000.0 }}",
       "2.5 1e+16 1e-05 0.30000000000000004 1e+22 1e+17"},
      {"{{ 'a' + 'b' ~ 1 ~ none ~ true }}", "ab1NoneTrue"},
      {"{{ [1] + [2] }} {{ (1, 2) + (3,) }} {{ 'ab' * 3 }} {{ [0] * 2 }}", "[1, 2] (1, 2, 3) ababab [0, 0]"},
      {"{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }}",
       "True False True True True"},
      {"{{ 'a' in 'cat' }} {{ 3 in l }} {{ 'k' in d }} {{ 9 not in l }}", "True True True True"},
      {"{{ not true or true and false }} {{ 1 or 2 }} {{ 0 or 'x' }} {{ '' and 1 }}", "False 1 x "},
      {"{{ 'y' if n > 5 else 'n' }} {{ 'only' if false }}|{{ 1 if 0 else 2 if 0 else 3 }}", "y |3"},
      {"{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1.5e3 }}", "31 5 15 1000 1500.0"},
      {"{{ 'a\\n\\x41\\u00e9\\'\\q' }} {{ \"it's\" 'joined' }}", "a\nAé'\\q it'sjoined"},
      {"{{ -n|abs }} {{ (-n)|abs }} {{ - 3.5 }} {{ +n }}", "7 7 -3.5 7"},
      {"{{ true + 1 }} {{ true == 1 }} {{ 1.0 is float }} {{ '%s-%05.1f-%x-%-4d|%%' % ('a', 3.14159, 255, 7) }}",
       "2 True True a-003.1-ff-7   |%"},
  });
}

TEST(JinjaSyntax, Access) {
  Check({
      {"{{ d.k }} {{ d['j'] }} {{ d.missing }} {{ d['missing'] is undefined }}", "1 x  True"},
      {"{{ l[0] }} {{ l[-1] }} {{ l[9] is undefined }} {{ l.0 }}", "3 2 True 3"},
      {"{{ l[1:] }} {{ l[::-1] }} {{ l[-2:] }} {{ l[:1] }} {{ 'abcdef'[::2] }} {{ 'abcdef'[4:1:-1] }}",
       "[1, 2] [2, 1, 3] [1, 2] [3] ace edc"},
      {"{{ uni[0] }}{{ uni[-1] }} {{ uni|length }} {{ uni[3:5] }}", "Ä😀 8 ß "},
      {"{{ d.items()|list }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.get('zz', 5) }} {{ d.get('zz') }}",
       "[('k', 1), ('j', 'x')] ['k', 'j'] [1, 'x'] 5 None"},
      {"{{ people[0].t.u }} {{ people|map(attribute='t.u')|list }}", "1 [1, 2, 0]"},
      {"{{ (1, 2)[1] }} {{ {'a': 1, 2: 'b'}[2] }} {{ range(5)[2] }} {{ range(5)[1:3]|list }}", "2 b 2 [1, 2]"},
      {"{{ range(3) }} {{ range(1, 7, 2)|list }} {{ range(3, 0, -1)|list }} {{ 5 in range(0, 10, 5) }}",
       "range(0, 3) [1, 3, 5] [3, 2, 1] True"},
      {"{{ d }} {{ l }} {{ (1,) }} {{ ['a\\'b', \"q\"] }} {{ {'x': none, 'y': [true, 1.0]} }} {{ [uni] }}",
       "{'k': 1, 'j': 'x'} [3, 1, 2] (1,) [\"a'b\", 'q'] {'x': None, 'y': [True, 1.0]} ['Äé ß Ж中😀']"},
      {"{{ dict(a=1, b='x') }} {{ dict(d, z=2) }} {{ big }} {{ big|tojson }} {{ [big] }}",
       "{'a': 1, 'b': 'x'} {'k': 1, 'j': 'x', 'z': 2} 123456789012345678901234567890 123456789012345678901234567890 "
       "[123456789012345678901234567890]"},
  });
}

TEST(JinjaSyntax, Statements) {
  Check({
      {"{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ "
       "loop.length }};{% endfor %}",
       "103TrueFalse3;212FalseFalse3;321FalseTrue3;"},
      {"{% for x in [] %}a{% else %}none{% endfor %}", "none"},
      {"{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{% endfor %}", "3122"},
      {"{% for k, v in d.items() %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}", "k=1, j=x"},
      {"{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% "
       "endfor %}",
       "0134"},
      {"{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "3121"},
      {"{% set ns = namespace(x=1, y='a') %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}",
       "7a"},
      {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d2), e2 = [[1, 2], 3] %}{{ c + d2 + e2 }}", "126"},
      {"{% set x %}block {{ n }}{% endset %}[{{ x }}]{% set y | upper | trim %} up {% endset %}[{{ y }}]",
       "[block 7][UP]"},
      {"{% if n > 10 %}a{% elif n > 5 %}b{% else %}c{% endif %}{% if e %}d{% endif %}", "b"},
      {"{% macro m(a, b=2, c='z') %}({{ a }}{{ b }}{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(b=5, a=4) }}",
       "(12z)(123)(45z)"},
      {"{% macro v(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, 3, k=4) }}", "1(2, 3){'k': 4}"},
      {"{% macro w() %}<{{ caller('in') }}>{% endmacro %}{% call(x) w() %}{{ x }}{{ n }}{% endcall %}", "<in7>"},
      {"{% macro fact(k) %}{{ 1 if k < 2 else k * (fact(k - 1)|int) }}{% endmacro %}{{ fact(6) }}", "720"},
      {"{% with a = 1, b = n %}{{ a + b }}{% set q = 5 %}{% endwith %}{{ q is defined }}", "8False"},
      {"{% filter upper %}abc {{ name }}{% endfilter %}", "ABC ANN"},
      {"{% raw %}{{ not }} {% this %}{% endraw %}", "{{ not }} {% this %}"},
      {"{# a {{ comment }} #}x", "x"},
      {"{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}{{ loop.depth }}){% else %}{{ x }}{% "
       "endif %}{% endfor %}",
       "1(2(32)1)"},
      {"{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{{ loop.previtem }}{{ loop.nextitem }}|{% "
       "endfor %}",
       "aTrue1|bTrue32|aTrue1|"},
      {"{% set c = cycler('x', 'y') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('; ') "
       "%}{{ j() }}a{{ j() }}b",
       "xyxya; b"},
      {"{% block b %}in {{ n }}{% endblock b %}", "in 7"},
      {"{% set f = 'x' %}{% macro g() %}{{ f }}{% endmacro %}{% set f = 'late' %}{{ g() }}", "late"},
      {"{% for i in [1,2] %}{% for j in [1,2] %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "121 122 "},
  });
}

TEST(JinjaSyntax, WhiteSpace) {
  Check({
      {"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
      {"a  {%- if true -%}  b  {%- endif -%}  c", "abc"},
      {"  {{ n }}\n  {{- n }}\n", "  77"},
      {"{% if true %}\n\nx{% endif %}\n\n", "\nx"},
      {"a\n    {%+ if true %}b{% endif +%}\nc", "a\n    b\nc"},
      {"{# c #}\nx\n  {# d #}\ny", "x\ny"},
      {"x\n  {#- c -#}  \n y", "xy"},
      {"{% for i in l %}\n  - {{ i }}\n{% endfor %}\nend", "  - 3\n  - 1\n  - 2\nend"},
      {"a\r\nb\r\n{% if true %}\r\nc{% endif %}", "a\nb\nc"},
      {"\t{% set x = 1 %}  z", "  z"},
      {"{{ 'a' }}  {% if true %}b{% endif %}", "a  b"},
      {"{% raw -%}  a {%- endraw %} b\n  {% raw %}\n x {% endraw %}\ny", "a b\n\n x y"},
  });
}

TEST(JinjaSyntax, TextFilters) {
  Check({
      {"{{ s|trim }}|{{ 'xxaxx'|trim('x') }}|{{ s.strip().split() }}", "Some Text\nline|a|['Some', 'Text', 'line']"},
      {"{{ name|upper }}{{ name|lower }}{{ 'hELLO wORLD-foo'|capitalize }}{{ 'hELLO wORLD-foo (bar'|title }}",
       "ANNannHello world-fooHello World-Foo (Bar"},
      {"{{ uni|upper }} {{ uni|lower }} {{ 'ǆ ﬁ'|upper }}", "ÄÉ SS Ж中😀 äé ß ж中😀 Ǆ FI"},
      {"{{ 'a,b,c'|replace(',', ';') }} {{ 'aaa'|replace('a', 'b', 2) }}", "a;b;c bba"},
      {"{{ 'ab'|center(7) }}|{{ 'abc'|center(8) }}|", "   ab  |  abc   |"},
      {"{{ 'one\ntwo\n\nthree'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent('> ', blank=true) }}",
       "one\n    two\n\n    three|  a\n  b|a\n> \n> b"},
      {"{{ '<a href=\"x\">&'|escape }} {{ '<b>'|safe }} {{ '<'|safe ~ '<' }} {{ '<'|e + '>' }}",
       "&lt;a href=&#34;x&#34;&gt;&amp; <b> << &lt;&gt;"},
      {"{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar'|truncate(6, false, "
       "'..', 0) }}",
       "foo... foo ba... foo.."},
      {"{{ '42'|int + 1 }} {{ 'x'|int(7) }} {{ '3.9'|int }} {{ ' 12 '|int }} {{ '0x1f'|int(base=16) }} {{ '1_0'|int }}",
       "43 7 3 12 31 10"},
      {"{{ '2.5'|float }} {{ 'x'|float }} {{ 3|float }} {{ 'nope'|float(1.5) }}", "2.5 0.0 3.0 1.5"},
      {"{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 1.23|round(1, 'ceil') }} {{ 1.29|round(1, 'floor') }} "
       "{{ 42|round }} {{ 1234.5|round(-2) }}",
       "2.0 4.0 2.67 1.3 1.2 42 1200.0"},
      {"{{ [1, 'a', none]|string }} {{ 'a b'|wordcount }} {{ 'a b&ü'|urlencode }}", "[1, 'a', None] 2 a%20b%26%C3%BC"},
      {"{{ '%s is %d'|format(name, n) }} {{ '%(x)s'|format(x=3) }}", "Ann is 7 3"},
      {"{{ d|tojson }} {{ d|tojson(indent=2) }} {{ l|tojson(separators=(',', ':')) }} {{ 'a\"\\\\/\né\001'|tojson }} "
       "{{ uni|tojson(ensure_ascii=true) }} {{ {'b': 1, 'a': {}}|tojson(sort_keys=true, indent=1) }} {{ [1.0, none, "
       "true, 1e30]|tojson }} {{ {1: 2, none: 3, 1.5: []}|tojson }}",
       "{\"k\": 1, \"j\": \"x\"} {\n  \"k\": 1,\n  \"j\": \"x\"\n} [3,1,2] \"a\\\"\\\\/\\né\\u0001\" \"\\u00c4\\u00e9 "
       "\\u00df \\u0416\\u4e2d\\ud83d\\ude00\" {\n \"a\": {},\n \"b\": 1\n} [1.0, null, true, 1e+30] {\"1\": 2, "
       "\"null\": 3, \"1.5\": []}"},
  });
}

TEST(JinjaSyntax, ListFilters) {
  Check({
      {"{{ l|sort }} {{ l|sort(reverse=true) }} {{ words|sort }} {{ words|sort(case_sensitive=true) }}",
       "[1, 2, 3] [3, 2, 1] ['A', 'b', 'c'] ['A', 'b', 'c']"},
      {"{{ people|sort(attribute='a')|map(attribute='n')|join(',') }} {{ "
       "people|sort(attribute='a,n')|map(attribute='n')|join(',') }}",
       "Al,Bo,Cy Al,Bo,Cy"},
      {"{{ l|first }}{{ l|last }}{{ l|length }}{{ l|sum }}{{ l|min }}{{ l|max }} {{ people|sum('a') }} {{ "
       "people|sum(attribute='a', start=10) }}",
       "323613 7 17"},
      {"{{ l|join('-') }} {{ people|join('/', attribute='n') }} {{ l|reverse|list }} {{ 'abc'|reverse }}",
       "3-1-2 Bo/Al/Cy [2, 1, 3] cba"},
      {"{{ people|selectattr('a', 'equalto', 3)|map(attribute='n')|list }} {{ people|rejectattr('a', 'gt', "
       "2)|map(attribute='n')|list }}",
       "['Bo', 'Cy'] ['Al']"},
      {"{{ l|select('odd')|list }} {{ l|reject('odd')|list }} {{ [0, 1, '']|select|list }} {{ l|select('>', 1)|list }}",
       "[3, 1] [2] [1] [3, 2]"},
      {"{{ words|map('upper')|list }} {{ words|map('replace', 'A', 'z')|list }} {{ people|map(attribute='zz', "
       "default='-')|list }}",
       "['B', 'A', 'C'] ['b', 'z', 'c'] ['-', '-', '-']"},
      {"{{ d|items|list }} {{ d|dictsort }} {{ {'b': 1, 'A': 2}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(by='value', "
       "reverse=true) }}",
       "[('k', 1), ('j', 'x')] [('j', 'x'), ('k', 1)] [('A', 2), ('b', 1)] [('A', 2), ('b', 1)]"},
      {"{{ [1, 2, 1, 3]|unique|list }} {{ ['a', 'A', 'b']|unique|list }}", "[1, 2, 3] ['a', 'b']"},
      {"{{ range(5)|batch(2)|list }} {{ range(5)|batch(2, 0)|list }} {{ range(5)|slice(3)|list }} {{ range(5)|slice(3, "
       "'x')|list }}",
       "[[0, 1], [2, 3], [4]] [[0, 1], [2, 3], [4, 0]] [[0, 1], [2, 3], [4]] [[0, 1], [2, 3], [4, 'x']]"},
      {"{% for g in people|groupby('a') %}{{ g.grouper }}:{{ g.list|map(attribute='n')|join('+') }} {% endfor %}",
       "1:Al 3:Bo+Cy "},
      {"{% for k, v in people|groupby('a') %}{{ k }}{{ v|length }} {% endfor %}", "11 32 "},
      {"{{ x|default('d') }} {{ e|default('d') }}|{{ e|default('d', true) }} {{ none|d('q', boolean=true) }}",
       "d |d q"},
      {"{{ 'abc'|list }} {{ d|list }} {{ d|length }} {{ d|first }} {{ [[1, 2], [3]]|map('first')|list }} {{ "
       "d|attr('items') is callable }}",
       "['a', 'b', 'c'] ['k', 'j'] 2 k [1, 3] True"},
      {"{{ people|max(attribute='a') == people[0] }} {{ words|min }} {{ words|max }}", "True A c"},
  });
}

TEST(JinjaSyntax, TextMethods) {
  Check({
      {"{{ 'a b  c'.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' "
       "a b c '.rsplit(none, 1) }} {{ ' a b c '.split(none, 1) }}",
       "['a', 'b', 'c'] ['a', 'b', '', 'c'] ['a', 'b,c'] ['a,b', 'c'] [' a b', 'c'] ['a', 'b c ']"},
      {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') "
       "}} {{ 'abc'.find('z') }} {{ 'abcabc'.count('b') }} {{ 'éaéa'.index('a') }}",
       "True True 2 5 -1 2 1"},
      {"{{ 'xxaxx'.strip('x') }} {{ 'xxaxx'.lstrip('x') }} {{ 'xxaxx'.rstrip('x') }} {{ '\u00A0a\u2003'.strip() }}",
       "a axx xxa a"},
      {"{{ 'Ab'.upper() }}{{ 'Ab'.lower() }}{{ 'aB'.swapcase() }}{{ 'ab cd-ef'.title() }}{{ 'aB c'.capitalize() }}",
       "ABabAbAb Cd-EfAb c"},
      {"{{ '-'.join(['a', 'b']) }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'ab'.partition('z') "
       "}}",
       "a-b ('a', '-', 'b-c') ('a-b', '-', 'c') ('ab', '', '')"},
      {"{{ 'ab'.ljust(4, '.') }}{{ 'ab'.rjust(4) }}{{ 'ab'.center(5, '*') }}{{ '-42'.zfill(5) }}",
       "ab..  ab**ab*-0042"},
      {"{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ 'a\\nb\\r\\nc'.splitlines() }} "
       "{{ 'a\\nb\\n'.splitlines(true) }}",
       "x x ['a', 'b', 'c'] ['a\\n', 'b\\n']"},
      {"{{ '12'.isdigit() }}{{ 'a1'.isalnum() }}{{ 'ab'.isalpha() }}{{ ' '.isspace() }}{{ 'AB'.isupper() }}{{ "
       "'ab1'.islower() }}{{ ''.isdigit() }}",
       "TrueTrueTrueTrueTrueTrueFalse"},
      {"{{ '{0}-{1}-{0}'.format(1, 2) }} {{ '{a.k} {b[1]}'.format(a=d, b=l) }} {{ "
       "'{:>5}|{:<5}|{:^5}|{:*^7}|{:05d}|{:.2f}|{:,}|{:x}|{:+d}|{!r}|{:%}'.format('a', 'b', 'c', 'd', 42, 3.14159, "
       "1234567, 255, 5, 'q', 0.5) }} {{ '{{}}'.format() }}",
       "1-2-1 1 1     a|b    |  c  |***d***|00042|3.14|1,234,567|ff|+5|'q'|50.000000% {}"},
      {"{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }} {{ 'aXbX'.replace('X', '') }} {{ 2.0.is_integer() }}",
       "2 1 ab True"},
  });
}

TEST(JinjaSyntax, Tests) {
  Check({
      {"{{ n is number }}{{ name is string }}{{ l is sequence }}{{ d is mapping }}{{ none is none }}{{ true is boolean "
       "}}{{ n is integer }}{{ f is float }}",
       "TrueTrueTrueTrueTrueTrueTrueTrue"},
      {"{{ x is defined }}{{ x is undefined }}{{ n is not defined }}{{ n is odd }}{{ n is even }}{{ n is divisibleby 7 "
       "}}",
       "FalseTrueFalseTrueFalseTrue"},
      {"{{ n is eq 7 }}{{ n is ne(7) }}{{ n is gt 3 }}{{ n is le 7 }}{{ n is in [7] }}{{ n is sameas n }}{{ l is "
       "iterable }}{{ n is iterable }}",
       "TrueFalseTrueTrueTrueTrueTrueFalse"},
      {"{{ 'upper' is filter }}{{ 'zz' is filter }}{{ 'odd' is test }}{{ 'AB' is upper }}{{ 'ab' is lower }}{{ true is "
       "true }}{{ 1 is true }}{{ false is false }}",
       "TrueFalseTrueTrueTrueTrueFalseTrue"},
      {"{{ undefined_thing == other_undefined }}{{ x is none }}{{ d.get is callable }}{{ range is callable }}",
       "TrueFalseTrueTrue"},
  });
}

}  // namespace
}  // namespace r1
