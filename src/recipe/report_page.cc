// The document around the report's sections, and the script that reads curves out under the pointer, folds thinking and
// opens every fold for printing. The page is complete without the script. It may load nothing: the content security
// policy says so to the browser too.
#include "recipe/report_html.h"

#include <string>

namespace r1 {
namespace {

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

let folded = [];
addEventListener('beforeprint', () => {
  folded = [...document.querySelectorAll('details:not([open])')];
  for (const block of folded) block.open = true;
});
addEventListener('afterprint', () => {
  for (const block of folded) block.open = false;
});

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
  out += PageStyle();
  out += "</style></head><body>";
  out += body;
  out += "<script>";
  out += kScript;
  out += "</script></body></html>\n";
  return out;
}

}  // namespace r1
