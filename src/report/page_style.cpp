#include "report/page_parts.h"

namespace capstan::report {

std::string_view page_style() {
  return R"css(:root { color-scheme: light dark; --back: #f5f6f9; --card: #ffffff; --text: #1c2330; --soft: #667085;
  --edge: #e2e6ed; --accent: #2563eb; --good: #067647; --bad: #b42318; --bad-back: #fef3f2; --code: #f5f6f9; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --card: #161b23; --text: #e8ebf1; --soft: #98a2b3;
  --edge: #2a303b; --accent: #6ea8ff; --good: #5fdb9f; --bad: #ff9b8f; --bad-back: #2b1715; --code: #0d1117; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 12px; }
.sub { color: var(--soft); margin: 4px 0 0; }
nav { margin: 14px 0 0; display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 14px; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
.bar { height: 6px; border-radius: 3px; background: var(--edge); margin: 16px 0 0; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(158px, 1fr)); gap: 12px; margin: 18px 0 0; }
.facts div, figure, .panel, article { background: var(--card); border: 1px solid var(--edge); border-radius: 10px; }
.facts div { padding: 10px 14px 11px; }
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 0; font-size: 21px; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.facts small { display: block; color: var(--soft); font-size: 12.5px; font-weight: 400; }
dl { margin: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 470px), 1fr)); gap: 14px; }
figure { margin: 0; padding: 8px 6px 4px; min-width: 0; }
.panel { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 14px; border-top: 1px solid var(--edge); vertical-align: top; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 500; white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
.best { color: var(--good); font-weight: 600; }
td.any { overflow-wrap: anywhere; }
.tag { display: inline-block; padding: 0 8px; border-radius: 9px; font-size: 12.5px; background: var(--bad-back);
  color: var(--bad); white-space: nowrap; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 470px), 1fr)); gap: 14px; }
article { display: grid; grid-template-columns: 200px minmax(0, 1fr); gap: 16px; padding: 14px; align-items: start; }
article img { width: 100%; border-radius: 6px; display: block; background: var(--edge); }
article .none { aspect-ratio: 1; border-radius: 6px; background: var(--edge); color: var(--soft); display: grid;
  place-items: center; font-size: 13px; text-align: center; }
.id { color: var(--soft); font-size: 12px; margin: 6px 0 0; overflow-wrap: anywhere; }
img + .id { font-size: 11px; letter-spacing: -.2px; }
.now { font-size: 16.5px; font-weight: 600; margin: 0; overflow-wrap: anywhere; line-height: 1.35; }
.label { color: var(--soft); font-size: 12.5px; margin: 10px 0 2px; }
ul, ol { margin: 0; padding: 0; list-style: none; font-size: 14px; }
li { overflow-wrap: anywhere; }
.past li { display: grid; grid-template-columns: 104px minmax(0, 1fr); gap: 8px; padding: 2px 0; }
.past span { color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; font-size: 13px; }
.empty { color: var(--soft); font-style: italic; }
details > summary { cursor: pointer; color: var(--accent); font-size: 14px; padding: 2px 0; }
.panel > details > summary, .panel > .more { padding: 10px 14px; }
.more { color: var(--soft); font-size: 13px; margin: 0; }
pre { margin: 0; padding: 14px; overflow-x: auto; font: 13px/1.5 ui-monospace, "SF Mono", Menlo, monospace;
  background: var(--code); border-top: 1px solid var(--edge); border-radius: 0 0 10px 10px; }
pre i { color: var(--soft); font-style: normal; }
.note { background: var(--bad-back); color: var(--bad); border-radius: 8px; padding: 8px 14px; margin: 14px 0 0;
  overflow-wrap: anywhere; }
@media (max-width: 560px) { main { padding: 18px 12px 40px; } article { grid-template-columns: 1fr; } }
@media print { body { background: none; } nav { display: none; } figure, article { break-inside: avoid; } }
)css";
}

}  // namespace capstan::report
