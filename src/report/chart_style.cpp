#include "capstan/report/chart.h"

namespace capstan {

// Eight colours that stay apart for colour-blind readers by lightness, darker on white and brighter on black.
std::string_view chart_style() {
  return R"css(.cc { color-scheme: light dark; --ink: #1c2330; --mute: #667085; --grid: #e6e9ef; --axis: #b6bdc9;
  --tip: #ffffff; --tip-line: #cfd5df; --flag: #b42318;
  --s0: #2563eb; --s1: #e8590c; --s2: #0a8f6a; --s3: #9333ea;
  --s4: #d6267b; --s5: #0e8fb0; --s6: #a97e00; --s7: #64748b;
  display: block; width: 100%; height: auto; font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }
@media (prefers-color-scheme: dark) { .cc { --ink: #e8ebf1; --mute: #98a2b3; --grid: #2a303b; --axis: #4b5565;
  --tip: #11151c; --tip-line: #475063; --flag: #ff9b8f;
  --s0: #6ea8ff; --s1: #ff9a56; --s2: #3ddba9; --s3: #c99bff;
  --s4: #ff86bd; --s5: #4fd0ec; --s6: #f0c64a; --s7: #a8b3c5; } }
.cc text { fill: var(--mute); font-variant-numeric: tabular-nums; }
.cc .title { fill: var(--ink); font-size: 14px; font-weight: 600; }
.cc .name { fill: var(--ink); }
.cc .empty { font-size: 13px; }
.cc .grid { stroke: var(--grid); stroke-width: 1; shape-rendering: crispEdges; }
.cc .axis { stroke: var(--axis); stroke-width: 1; shape-rendering: crispEdges; }
.cc .line { fill: none; stroke: var(--c); stroke-width: 1.9; stroke-linejoin: round; stroke-linecap: round; }
.cc .faint { stroke-width: 1; stroke-opacity: .28; }
.cc .dot { fill: var(--c); }
.cc .mark line { stroke: var(--flag); stroke-width: 1; stroke-dasharray: 3 3; stroke-opacity: .55; }
.cc .mark path { fill: var(--flag); }
.cc .c0 { --c: var(--s0); } .cc .c1 { --c: var(--s1); } .cc .c2 { --c: var(--s2); } .cc .c3 { --c: var(--s3); }
.cc .c4 { --c: var(--s4); } .cc .c5 { --c: var(--s5); } .cc .c6 { --c: var(--s6); } .cc .c7 { --c: var(--s7); }
.cc .at .zone { fill: transparent; }
.cc .at .tip { visibility: hidden; pointer-events: none; }
.cc .at:hover .tip { visibility: visible; }
.cc .tip .rule { stroke: var(--mute); stroke-width: 1; stroke-dasharray: 2 2; }
.cc .tip .box { fill: var(--tip); stroke: var(--tip-line); }
.cc .tip .ring { fill: var(--tip); stroke: var(--c); stroke-width: 2; }
.cc .tip .value { fill: var(--ink); font-weight: 600; }
@media print { .cc .at { display: none; } }
)css";
}

}  // namespace capstan
