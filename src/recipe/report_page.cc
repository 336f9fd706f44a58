// The document around the report's sections: style sheet (light and dark, narrow and wide screens,
// print) and the script that reads curves out under the pointer and folds thinking. The page is
// complete without the script. It may load nothing: the content security policy says so to the
// browser too.
#include "recipe/report_html.h"

#include <string>

#include "recipe/report_svg.h"

namespace r1 {
namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2430;--dim:#5b6675;--grid:#e3e7ec;--page:#f5f7f9;--soft:#eef2f6;
--c0:#0b62b8;--c1:#c2410c;--c2:#0b7a5c;--c3:#9a3aa8;--c4:#8a6500;--c5:#4d5a6b;
--good:#0b6b4f;--good-bg:#e0f3ec;--bad:#a8330a;--bad-bg:#fbe9e2;--think:#f2f0fa;--think-edge:#8d7cc9;--answer:#e7f1fb;--answer-edge:#0b62b8}
@media(prefers-color-scheme:dark){:root{--paper:#11161d;--ink:#e6ebf2;--dim:#9fabbb;--grid:#29323e;--page:#0b0f14;--soft:#1a212b;
--c0:#6cb2ff;--c1:#ff9a5c;--c2:#4fd1a5;--c3:#e39af0;--c4:#e5c04d;--c5:#b4c0cf;
--good:#6fdcb6;--good-bg:#12352b;--bad:#ffab85;--bad-bg:#3d1e13;--think:#1b1a2b;--think-edge:#8f80d6;--answer:#122438;--answer-edge:#6cb2ff}}
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
h3{margin:0 0 .3rem;font-size:1rem}
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
.results th,.results td{padding:.42rem .8rem;border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap}
.results tbody th,.results thead th:first-child{text-align:left;padding-left:0}
.results thead th{color:var(--dim);font-weight:600;vertical-align:bottom;white-space:normal}
.results tbody tr:last-child>*{border-bottom:0}
.results tbody th{font-weight:600;white-space:normal;min-width:11rem}
.results small{display:block;font-weight:400;font-size:.8rem;line-height:1.3}
.results .paper{color:var(--dim)}
.se{color:var(--dim);font-size:.85em}
.change{font-weight:600}
.change .se{font-weight:400}
.pairs th{text-align:left;font-weight:600;padding:.15rem 1rem .15rem 0;vertical-align:top;white-space:nowrap}
.pairs td{padding:.15rem 0;font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.85rem;overflow-wrap:anywhere}
pre{background:var(--soft);border-radius:8px;padding:12px 14px;overflow-x:auto;font-size:.85rem;line-height:1.45;margin:.4rem 0}
ul{padding-left:1.2rem;margin:.4rem 0}
li{margin:.3rem 0;overflow-wrap:anywhere}
.missing{color:var(--dim);font-size:.9rem}
summary{cursor:pointer}
section>details{margin:.6rem 0}
.axes>input{position:absolute;opacity:0;pointer-events:none}
.axes>label{display:inline-block;padding:.3rem .8rem;border:1px solid var(--grid);font-size:.88rem;color:var(--dim);cursor:pointer}
.axes>label[for=axis-step]{border-radius:8px 0 0 8px;border-right:0}
.axes>label[for=axis-tokens]{border-radius:0 8px 8px 0}
.axes>input:checked+label{background:var(--c0);border-color:var(--c0);color:var(--paper);font-weight:600}
.axes>input:focus-visible+label{outline:2px solid var(--c0);outline-offset:2px}
.charts .by-tokens{display:none}
#axis-tokens:checked~.charts .by-step{display:none}
#axis-tokens:checked~.charts .by-tokens{display:block}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:26px 22px}
figure{margin:0;position:relative;min-width:0}
figure svg{display:block;width:100%;height:auto;touch-action:pan-y;overflow:visible}
figure svg:focus-visible{outline:2px solid var(--c0);outline-offset:3px;border-radius:4px}
figcaption{font-size:.82rem;line-height:1.4;color:var(--dim);margin-top:.1rem}
.hero{grid-column:1/-1}
.hero .narrow,#axis-tokens:checked~.charts .hero .narrow{display:none}
@media(max-width:760px){.hero .wide,#axis-tokens:checked~.charts .hero .wide{display:none}
.hero .narrow.by-step{display:block}#axis-tokens:checked~.charts .hero .narrow.by-tokens{display:block}
#axis-tokens:checked~.charts .hero .narrow.by-step{display:none}}
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
.prompt{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;font-size:.95rem;font-weight:600;
overflow-wrap:anywhere;white-space:pre-wrap;margin-bottom:.5rem}
.prompt .chip{margin-left:.8rem;font-family:system-ui,sans-serif}
.sides{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:14px}
.sides.one{grid-template-columns:minmax(0,1fr)}
@media(max-width:760px){.sides{grid-template-columns:minmax(0,1fr)}}
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
footer{color:var(--dim);font-size:.82rem;margin-top:1.2rem}
@media(max-width:520px){main{padding:0 12px 32px}section{padding:14px 13px}nav div{padding:.5rem 12px}h1{font-size:1.5rem}
.tiles{grid-template-columns:1fr 1fr}.tile{padding:8px 11px}.tile .value{font-size:1.02rem}
.results{font-size:.84rem}.results th,.results td{padding:.4rem .4rem}.results .se,.results small{display:block;line-height:1.2}
.results tbody th,.results thead th:first-child{min-width:6.4rem;max-width:7rem;position:sticky;left:0;background:var(--paper)}
.results small{font-size:.72rem}
.prompt .chip{margin-left:0;display:table;margin-top:.2rem}}
@media print{:root{--page:#fff}nav,.legend button,.axes>label,.tip{display:none!important}section{border:0;padding:0;margin:14px 0}
figure,.pair,tr{break-inside:avoid}body{font-size:11pt}.charts{grid-template-columns:1fr 1fr}main{max-width:none;padding:0}
.sides{grid-template-columns:1fr 1fr}pre,.reply{white-space:pre-wrap}}
)css";

constexpr std::string_view kScript = R"js(
'use strict';
const tip = document.createElement('div');
tip.className = 'tip';
tip.hidden = true;
document.body.append(tip);

const number = (value, percent) => {
  if (value === null || value === undefined) return '–';
  if (percent) return (100 * value).toFixed(1) + ' %';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(4)));
};

const nearest = (values, wanted) => {
  let low = 0, high = values.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle; else high = middle;
  }
  return Math.abs(values[low] - wanted) <= Math.abs(values[high] - wanted) ? low : high;
};

for (const figure of document.querySelectorAll('figure.chart')) {
  const data = JSON.parse(figure.querySelector('script').textContent);
  for (const svg of figure.querySelectorAll('svg')) {
    const tokens = svg.classList.contains('by-tokens');
    const axis = tokens ? 'tokens' : 'step';
    const curves = data.curves.filter((curve) => curve[axis] && curve[axis].length);
    const [left, right, top, bottom] = svg.dataset.box.split(' ').map(Number);
    const [x0, x1] = svg.dataset.range.split(' ').map(Number);
    const cross = document.createElementNS('http://www.w3.org/2000/svg', 'line');
    cross.setAttribute('class', 'cross');
    cross.setAttribute('y1', top);
    cross.setAttribute('y2', bottom);
    let at = null;

    const hide = () => { cross.remove(); tip.hidden = true; at = null; };
    const show = (wanted, clientX, clientY) => {
      at = null;
      for (const curve of curves) {
        const x = curve[axis][nearest(curve[axis], wanted)];
        if (at === null || Math.abs(x - wanted) < Math.abs(at - wanted)) at = x;
      }
      if (at === null) return;
      const px = left + (at - x0) / (x1 - x0) * (right - left);
      cross.setAttribute('x1', px);
      cross.setAttribute('x2', px);
      svg.append(cross);
      const title = document.createElement('b');
      title.textContent = (tokens ? 'after ' : data.step + ' ') + number(at, false) + (tokens ? ' tokens' : '');
      tip.replaceChildren(title);
      for (const curve of curves) {
        const i = nearest(curve[axis], at);
        if (Math.abs(curve[axis][i] - at) > (x1 - x0) / 120 || curve.y[i] === null) continue;
        const row = document.createElement('div'), dot = document.createElement('i');
        dot.style.background = 'var(--c' + curve.color + ')';
        const mean = curve.mean ? ' (average ' + number(curve.mean[i], data.percent) + ')' : '';
        row.append(dot, curve.label + ': ' + number(curve.y[i], data.percent) + mean);
        tip.append(row);
      }
      tip.hidden = false;
      const box = tip.getBoundingClientRect();
      tip.style.left = Math.max(4, Math.min(clientX + 14, innerWidth - box.width - 4)) + 'px';
      tip.style.top = Math.max(4, clientY - box.height - 14) + 'px';
    };
    const scale = () => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    svg.addEventListener('pointermove', (event) => {
      const x = (event.clientX - svg.getBoundingClientRect().left) / scale();
      if (x < left - 8 || x > right + 8) { hide(); return; }
      show(x0 + (x - left) / (right - left) * (x1 - x0), event.clientX, event.clientY);
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.tabIndex = 0;
    svg.addEventListener('keydown', (event) => {
      const move = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
      if (event.key === 'Escape') hide();
      if (!move || !curves.length) return;
      event.preventDefault();
      const all = curves.reduce((a, b) => (b[axis].length > a.length ? b[axis] : a), []);
      const i = at === null ? (move > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, nearest(all, at) + move));
      const box = svg.getBoundingClientRect();
      show(all[i], box.left + (left + (all[i] - x0) / (x1 - x0) * (right - left)) * scale(), box.top + top * scale() + 60);
    });
  }
}

for (const button of document.querySelectorAll('button[data-fold]')) {
  button.hidden = false;
  button.addEventListener('click', () => {
    for (const block of document.querySelectorAll('details.think')) block.open = button.dataset.fold === 'open';
  });
}
)js";

}  // namespace

std::string HtmlPage(std::string_view title, std::string_view body) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline'\">"
      "<meta name=\"referrer\" content=\"no-referrer\"><title>";
  out += EscapeHtml(title);
  out += "</title><style>";
  out += kStyle;
  out += ChartRules();
  out += "</style></head><body>";
  out += body;
  out += "<script>";
  out += kScript;
  out += "</script></body></html>\n";
  return out;
}

}  // namespace r1
