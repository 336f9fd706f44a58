// The style sheet of the report: light and dark, narrow and wide screens, print (light, every fold open, tables within
// the paper's width).
#include <string>

#include "recipe/report_html.h"
#include "recipe/report_svg.h"

namespace r1 {
namespace {

constexpr std::string_view kStyle = R"css(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:3.2rem}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif}
main{max-width:1180px;margin:0 auto;padding:0 20px 48px}
nav{position:sticky;top:0;z-index:2;background:var(--paper);border-bottom:1px solid var(--grid);overflow-x:auto;white-space:nowrap}
nav div{max-width:1180px;margin:0 auto;padding:.5rem 20px;font-size:.9rem}
nav a{color:var(--dim);text-decoration:none;margin-right:1.3rem}
nav a:hover,nav a:focus{color:var(--ink);text-decoration:underline}
header{padding:1.6rem 0 .4rem}
.kicker{margin:0;color:var(--dim);font-size:.85rem}
h1{margin:.1rem 0 .2rem;font-size:1.9rem;line-height:1.2;overflow-wrap:anywhere}
h2{margin:0 0 .7rem;font-size:1.3rem}
h2.run{margin:1rem 0 .1rem;font-size:1.05rem}
h3{margin:1.5rem 0 .5rem;font-size:1rem;overflow-wrap:anywhere}
h2+h3,figure>h3{margin:0 0 .3rem}
h3.phase{margin:1.9rem 0 .6rem;color:var(--dim);font-weight:600}
h4{margin:1rem 0 .4rem;font-size:.95rem}
p{margin:.5rem 0}
.facts,.dim,small,.legend{color:var(--dim)}
.facts{margin:.1rem 0 .8rem}
.dim{font-size:.85rem}
section{background:var(--paper);border:1px solid var(--grid);border-radius:10px;padding:18px 20px;margin:18px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:10px}
.tile{background:var(--paper);border:1px solid var(--grid);border-radius:10px;padding:10px 14px}
.tile .what{font-size:.85rem;color:var(--dim)}
.tile .value{font-size:1.14rem;white-space:nowrap;font-weight:650;line-height:1.35;font-variant-numeric:tabular-nums}
.tile .note{font-size:.8rem;color:var(--dim)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.93rem;font-variant-numeric:tabular-nums}
.results{min-width:100%;border-collapse:separate;border-spacing:0}
.results thead th[colspan]{text-align:center}
.results th,.results td{padding:.42rem .7rem;border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap;vertical-align:top}
.results td:last-child,.results th:last-child{padding-right:.2rem}
.results tbody th,.results thead th:first-child{text-align:left;padding-left:0}
.results.left th,.results.left td{text-align:left}
.results .wrap{white-space:normal;min-width:9rem;overflow-wrap:anywhere}
.results thead th{color:var(--dim);font-weight:600;vertical-align:bottom;white-space:normal}
.results tbody tr:last-child>*{border-bottom:0}
.results tbody th{font-weight:600;white-space:normal;min-width:9rem;overflow-wrap:anywhere}
.results .head th{padding-top:.9rem;color:var(--dim)}
.results .sum>*{font-weight:600}
.results small{display:block;font-weight:400;font-size:.8rem;line-height:1.3}
.results .led>*{border-bottom:0;padding-bottom:.1rem}
.results tr.paper>*{color:var(--dim);font-weight:400;font-size:.85rem;padding-top:.05rem;padding-bottom:.1rem;border-bottom:0}
.results tr.paper:has(+tr:not(.paper))>*{border-bottom:1px solid var(--grid);padding-bottom:.42rem}
.results td.paper{color:var(--dim)}
.claims tbody th{font-weight:400;min-width:13rem}
.se{color:var(--dim);font-size:.85em}
.change{font-weight:600}
.change .se{font-weight:400}
code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.85em;color:var(--dim)}
.pairs th{text-align:left;font-weight:600;padding:.15rem 1rem .15rem 0;vertical-align:top;white-space:nowrap}
.pairs td{padding:.15rem 0;font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.85rem;overflow-wrap:anywhere}
pre{background:var(--soft);border-radius:8px;padding:12px 14px;overflow-x:auto;font-size:.85rem;line-height:1.45;margin:.4rem 0}
ul{padding-left:1.2rem;margin:.4rem 0}
li{margin:.3rem 0;overflow-wrap:anywhere}
.missing{color:var(--dim);font-size:.9rem}
summary{cursor:pointer}
section>details{margin:.6rem 0}
.graphside{display:grid;grid-template-columns:minmax(0,11fr) minmax(0,9fr);gap:28px;align-items:start;margin-bottom:1.2rem}
.graphside.full{grid-template-columns:minmax(0,1fr)}
.graph{display:block;width:100%;height:auto;margin:0 auto}
.box rect{fill:var(--paper);stroke:var(--grid);stroke-width:1.2}
.box .edge{stroke:none}
.box.pretrain .edge{fill:var(--c5)}.box.sft .edge{fill:var(--c0)}.box.rl .edge{fill:var(--c1)}
.box.sample .edge{fill:var(--c2)}.box.rm .edge{fill:var(--c3)}.box.other .edge{fill:var(--dim)}
svg.graph .name{fill:var(--ink);font-size:12.5px;font-weight:650}
svg.graph .hash{font-size:10px;font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.link{fill:none;stroke-width:1.6}
.link.weights{stroke:var(--ink)}
.link.data{stroke:var(--c2);stroke-dasharray:6 4}
.link.reward{stroke:var(--c3);stroke-dasharray:1.5 3.5;stroke-linecap:round;stroke-width:2.2}
.tipof.weights{fill:var(--ink)}.tipof.data{fill:var(--c2)}.tipof.reward{fill:var(--c3)}
.keys{list-style:none;padding:0;font-size:.88rem}
.keys svg{vertical-align:middle;margin-right:.4rem}
.bars{display:grid;gap:.35rem;max-width:820px}
.bar{display:grid;grid-template-columns:11rem 1fr 7.4rem;gap:.8rem;align-items:center;font-size:.92rem}
.bar .track{position:relative;height:1.05rem;background:var(--soft);border-radius:3px}
.bar i{position:absolute;inset:0 auto 0 0;background:var(--c0);border-radius:3px;opacity:.85}
.bar b{position:absolute;top:50%;height:0;border-top:2px solid var(--ink);min-width:2px}
.bar .num{text-align:right;font-variant-numeric:tabular-nums}
.axis{position:fixed;top:0;opacity:0;pointer-events:none}
.axes{margin:.8rem 0}
.axes label,.pick+label{display:inline-block;padding:.3rem .8rem;border:1px solid var(--grid);font-size:.88rem;color:var(--dim);cursor:pointer}
.axes label[for=axis-step]{border-radius:8px 0 0 8px;border-right:0}
.axes label[for=axis-tokens]{border-radius:0 8px 8px 0}
#axis-step:checked~section label[for=axis-step],#axis-tokens:checked~section label[for=axis-tokens],.pick:checked+label{
background:var(--c0);border-color:var(--c0);color:var(--paper);font-weight:600}
#axis-step:focus-visible~section label[for=axis-step],#axis-tokens:focus-visible~section label[for=axis-tokens],
.pick:focus-visible+label{outline:2px solid var(--c0);outline-offset:2px}
.pick{position:absolute;opacity:0;pointer-events:none}
.pick+label{border-radius:8px;margin:0 .4rem .5rem 0}
.pick0:not(:checked)~.pair .t0,.pick1:not(:checked)~.pair .t1,.pick2:not(:checked)~.pair .t2,.pick3:not(:checked)~.pair .t3,
.pick4:not(:checked)~.pair .t4,.pick5:not(:checked)~.pair .t5,.pick6:not(:checked)~.pair .t6,.pick7:not(:checked)~.pair .t7{display:none}
.by-tokens,#axis-tokens:checked~section .by-step{display:none}
#axis-tokens:checked~section .by-tokens{display:block}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:26px 22px;margin:.6rem 0}
.more .charts{margin-top:1rem}
figure{margin:0;position:relative;min-width:0}
figure svg{width:100%;height:auto;touch-action:pan-y;overflow:visible}
figure svg:not(.by-tokens):not(.by-step){display:block}
.by-step{display:block}
figure svg:focus-visible{outline:2px solid var(--c0);outline-offset:3px;border-radius:4px}
figcaption{font-size:.82rem;line-height:1.4;color:var(--dim);margin-top:.1rem}
.alone{max-width:860px;margin-top:1.2rem}
.hero{grid-column:1/-1}
.narrow{display:none}
.none{color:var(--dim);font-size:.85rem}
.cross{stroke:var(--dim);stroke-width:1;stroke-dasharray:2 3}
.tip{position:fixed;z-index:5;pointer-events:none;background:var(--paper);color:var(--ink);border:1px solid var(--grid);border-radius:8px;
padding:.4rem .6rem;font-size:.82rem;line-height:1.4;box-shadow:0 4px 16px rgba(0,0,0,.18);max-width:92vw;font-variant-numeric:tabular-nums}
.tip b{display:block}
.tip i{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}
.legend{font-size:.85rem}
.legend>*{margin-right:.5rem}
button{font:inherit;font-size:.85rem;padding:.25rem .7rem;border:1px solid var(--grid);border-radius:8px;
background:var(--soft);color:var(--ink);cursor:pointer}
.pair{border-top:1px solid var(--grid);padding:.9rem 0 .3rem}
.charts.pair{border:0;padding:0}
.prompt{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;font-size:.95rem;font-weight:600;
overflow-wrap:anywhere;white-space:pre-wrap;margin-bottom:.5rem}
.prompt .chip{margin-left:.8rem;font-family:system-ui,sans-serif}
.sides{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:14px}
.sides.one{grid-template-columns:minmax(0,1fr)}
.sides.many{grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr))}
.side{min-width:0}
.who{font-size:.85rem;color:var(--dim);margin-bottom:.35rem;display:flex;flex-wrap:wrap;gap:.3rem;align-items:center}
.chip{font-size:.78rem;font-weight:400;padding:.05rem .5rem;border-radius:999px;background:var(--soft);color:var(--dim);white-space:nowrap}
.chip.right{background:var(--good-bg);color:var(--good)}
.chip.wrong{background:var(--bad-bg);color:var(--bad)}
.chip.strong{font-weight:650;color:var(--ink)}
.reply{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;font-size:.85rem;line-height:1.65;
overflow-wrap:anywhere;white-space:pre-wrap}
.think,.answer,.plain{padding:.4rem .7rem;border-left:3px solid var(--grid);margin:.2rem 0;border-radius:0 6px 6px 0}
.think{background:var(--think);border-color:var(--think-edge)}
.think summary{font-family:system-ui,sans-serif;font-size:.8rem;color:var(--dim)}
.answer{background:var(--answer);border-color:var(--answer-edge);font-weight:600}
.tag{color:var(--dim);font-weight:400}
.tail{padding:0 .7rem;font-size:.78rem;line-height:1.4}
[class^=w-]{white-space:nowrap}
.open{color:var(--bad);font-size:.8rem}
.w-wait{color:var(--c3);font-weight:650;text-decoration:underline;text-decoration-style:dotted;text-underline-offset:3px}
.w-no{color:var(--c4)}
.w-yes{color:var(--good);font-weight:650}
.w-stop{color:var(--bad);font-weight:650}
.step{border-top:1px solid var(--grid);padding:.6rem 0}
.step>summary{font-weight:600}
.step>.prompt{margin-top:.6rem}
.step>.step{margin-left:.9rem}
footer{color:var(--dim);font-size:.82rem;margin-top:1.2rem}
@media screen and (max-width:760px){.wide{display:none}.narrow{display:block}.sides,.graphside{grid-template-columns:minmax(0,1fr)}
.bar{grid-template-columns:6.6rem 1fr 4.2rem;gap:.5rem;font-size:.84rem}.bar .se{display:block;line-height:1.1}}
@media screen and (max-width:520px){main{padding:0 12px 32px}section{padding:14px 13px}nav div{padding:.5rem 12px}h1{font-size:1.5rem}
.tiles{grid-template-columns:1fr 1fr}.tile{padding:8px 11px}.tile .value{font-size:1.02rem}
.results{font-size:.84rem}.results th,.results td{padding:.4rem .4rem}.results .se,.results small{display:block;line-height:1.2}
.results tbody th,.results thead th:first-child{min-width:6.4rem;max-width:8.2rem;position:sticky;left:0;background:var(--paper)}
.claims,.claims tbody{display:block}.claims thead{display:none}
.claims tr{display:grid;grid-template-columns:1fr auto;gap:.1rem .6rem;padding:.5rem 0;border-bottom:1px solid var(--grid)}
.results.claims th,.results.claims td{display:block;border:0;padding:0;min-width:0;max-width:none;white-space:normal;position:static}
.claims td:last-child{grid-area:1/2}.claims td.paper,.claims td:nth-child(3){grid-column:1/-1}
.claims td.paper::before{content:"paper: "}.claims td:nth-child(3)::before{content:"ours: ";color:var(--dim)}
.results.claims .se,.results.claims td small{display:inline}.claims td small::before{content:" · "}
.results .head th{max-width:none}
.results small{font-size:.72rem}.results tr.paper>*{font-size:.76rem}
.prompt .chip{margin-left:0;display:table;margin-top:.2rem}}
@media print{@page{margin:13mm}html{font-size:11.5px}:root{--page:#fff;color-scheme:light}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
nav,.legend button,.axes,.pick+label,.tip,section>div>p.dim:first-child:has(+.pick){display:none!important}
section{border:0;padding:0;margin:18px 0}body{font-size:10pt}main{max-width:none;padding:0}
h2,h3,h4,summary{break-after:avoid}figure,.pair,tr,.tile,.bar,.graph{break-inside:avoid}.pair{break-inside:auto}
.charts{grid-template-columns:1fr 1fr}.scroll{overflow:visible}
.graphside{grid-template-columns:minmax(0,11fr) minmax(0,9fr);gap:14px}.graphside.full{grid-template-columns:minmax(0,1fr)}
.results{font-size:7.6pt;min-width:100%}.results th,.results td{padding:.2rem .3rem;white-space:normal}
.results tbody th,.claims tbody th,.results .wrap{min-width:0}.results .se{white-space:nowrap}
.sides{grid-template-columns:1fr 1fr}.sides.many{grid-template-columns:1fr 1fr}pre,.reply{white-space:pre-wrap}
details::details-content{content-visibility:visible;display:block;height:auto}.think summary,details>summary{list-style:none}}
)css";

constexpr const char* kLight =
    "color-scheme:light dark;--paper:#fff;--ink:#1c2430;--dim:#5b6675;--grid:#e3e7ec;--page:#f5f7f9;--soft:#eef2f6;"
    "--good:#0b6b4f;--good-bg:#e0f3ec;--bad:#a8330a;--bad-bg:#fbe9e2;--think:#f2f0fa;--think-edge:#8d7cc9;--answer:#"
    "e7f1fb;"
    "--answer-edge:#0b62b8;";
constexpr const char* kDark =
    "--paper:#11161d;--ink:#e6ebf2;--dim:#9fabbb;--grid:#29323e;--page:#0b0f14;--soft:#1a212b;--good:#6fdcb6;"
    "--good-bg:#12352b;--bad:#ffab85;--bad-bg:#3d1e13;--think:#1b1a2b;--think-edge:#8f80d6;--answer:#122438;"
    "--answer-edge:#6cb2ff;";

}  // namespace

std::string PageStyle() {
  std::string out = std::string(":root{") + kLight;
  out += LightColors();
  out += std::string("}@media screen and (prefers-color-scheme:dark){:root{") + kDark;
  out += DarkColors();
  out += "}}";
  out += kStyle;
  out += ChartRules();
  return out;
}

}  // namespace r1
