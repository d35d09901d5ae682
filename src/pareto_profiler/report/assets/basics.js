// What the page shows, what is chosen on it, and how figures are written. All files of the page's
// script share one scope.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const { objectives, points, failures, runs, steps } = data;
const byId = new Map(points.map((p) => [p.id, p]));
const byHandle = new Map(points.filter((p) => p.handle).map((p) => [p.handle, p]));
const byKey = (id) => document.getElementById(id);
const state = {
  x: 0, y: Math.min(1, objectives.length - 1), all: false, log: false, colour: "place",
  view: null, // what the reader zoomed to: [[x0, x1], [y0, y1]]
  limits: new Map(data.limits.map((l) => [l.objective, l.most])),
  until: data.trials, selected: null, compared: null, comparing: false,
};
const runOf = (p) => runs[p.run];
const colourOf = (run, backend) => run.colours[run.backends.indexOf(backend)] || "var(--soft)";
const nameOf = (p) => p.handle || shortId(p.id);
const limitOf = (o) => state.limits.get(objectives.indexOf(o));

const inMiB = (o) => o.unit === "KiB";
const scaled = (o, v) => (inMiB(o) ? v / 1024 : v);
const unscaled = (o, v) => (inMiB(o) ? v * 1024 : v);
const unitOf = (o) => (inMiB(o) ? "MiB" : o.unit);
const figure = (o, v) => {
  if (inMiB(o) && Math.abs(v) >= 1024) return `${(v / 1024).toFixed(v >= 102400 ? 1 : 2)} MiB`;
  return `${Number(v.toPrecision(4))} ${o.unit}`;
};
const bytes = (n) => (n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(1)} MiB`);
const shortId = (id) => (id.length > 24 ? `${id.slice(0, -16).slice(0, 12)}…${id.slice(-8)}` : id);
const digitOf = (p, v) => (p.digits.charCodeAt(v) < 256 ? parseInt(p.digits[v], 36) : p.digits.charCodeAt(v) - 220);
const choiceOf = (p, v) => runOf(p).variables[v].choices[digitOf(p, v)];
const backendOf = (p, operation) => (operation.variable < 0 ? null : choiceOf(p, operation.variable));
const isUntold = (p) => Boolean(p.low) && p.low.includes(null);
const likelihood = (p) =>
  !data.isNoiseKnown ? "" : isUntold(p) && p.verdict === "open" ? "no verdict" : p.verdict === "on" ? "on the front" : p.verdict === "off" ? "not on the front"
    : `on the front with ${Math.floor(100 * p.probability)} %, not decided`;
const ORIGINS = { baseline: "baseline and uniform assignments", uniform: "baseline and uniform assignments", anchor: "baseline and uniform assignments", explain: "simplified" };
const originOf = (p) => ORIGINS[p.origin] || `proposed by ${p.origin}`;
const categoryOf = (p) => (state.colour === "runtime" ? runOf(p).name : originOf(p));
const categories = () => [...new Set(points.map(categoryOf))];
const categoryColour = (p) => d3.schemeTableau10[categories().indexOf(categoryOf(p)) % 10];

function counts(p) {
  const many = new Map(), { operations, variables } = runOf(p);
  for (const operation of operations.length ? operations : variables.flatMap((v, i) => (v.isSetting ? [] : [{ variable: i }]))) {
    const b = backendOf(p, operation) || "runtime's choice";
    many.set(b, (many.get(b) || 0) + 1);
  }
  return [...many].sort((a, b) => b[1] - a[1]);
}
const settingsOf = (p) => runOf(p).variables.map((v, i) => (v.isSetting ? `${v.name} ${choiceOf(p, i)}` : "")).filter(Boolean);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
function tableOf(head, rows) {
  const line = (cells, kind) => element("tr", {}, ...cells.map(([text, left]) => element(kind, { className: left ? "left" : "", textContent: text })));
  const table = element("table");
  table.createTHead().append(line(head, "th"));
  table.createTBody().append(...rows.map((cells) => line(cells, "td")));
  return table;
}

// ---- what is told beside the pointer
const tip = byKey("tip");
function showTip(lines, event) {
  tip.replaceChildren(...lines.filter(Boolean).map((text, i) => {
    const line = element("div", { textContent: text });
    if (!i) line.style.fontWeight = "600";
    return line;
  }));
  tip.classList.add("on");
  const box = tip.getBoundingClientRect();
  const at = event.clientX === undefined || (!event.clientX && !event.clientY)
    ? event.target.getBoundingClientRect() : { left: event.clientX, bottom: event.clientY };
  tip.style.left = `${Math.max(8, Math.min(at.left + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${at.bottom + 14 + box.height > innerHeight ? at.bottom - box.height - 14 : at.bottom + 14}px`;
}
const hideTip = () => tip.classList.remove("on");
const idWords = (p) => (runs.length > 1 ? shortId(p.id) : `id ${shortId(p.id)}`);
const wordsOf = (p) => [
  `${p.handle ? `${p.handle} · ` : ""}${idWords(p)}${p.role ? ` · ${p.role}` : ""}`,
  ...objectives.map((o, i) => {
    const known = p.low && p.low[i] !== null && p.high[i] !== null;
    return `${o.name} ${figure(o, p.values[i])}${known ? ` (${figure(o, p.low[i])} to ${figure(o, p.high[i])})` : ""}`;
  }),
  likelihood(p),
  p.digits ? counts(p).map(([b, n]) => `${n} ${b}`).join(" · ") + (settingsOf(p).length ? ` · ${settingsOf(p).join(", ")}` : "") : "",
  `${originOf(p)}, trial ${p.order}`,
  p.ties && p.ties.length ? `cannot be told from ${p.ties.slice(0, 3).map(shortId).join(", ")}` : "",
];

// ---- what is chosen stands in the address
function remember() {
  const names = [state.selected, state.compared].filter(Boolean).map((q) => q.handle || q.id).join(",");
  const limits = [...state.limits].map(([i, most]) => `&${objectives[i].name}=${Number(scaled(objectives[i], most).toPrecision(6))}`);
  try { history.replaceState(null, "", `#${names}${limits.join("")}`); } catch { /* a page in a frame has no address of its own */ }
}
function recall() {
  const [names, ...limits] = decodeURIComponent(location.hash.slice(1)).split("&");
  for (const [name, most] of limits.map((text) => text.split("="))) {
    const i = objectives.findIndex((o) => o.name === name);
    if (i >= 0 && Number(most) > 0) state.limits.set(i, unscaled(objectives[i], Number(most)));
  }
  return names.split(",").map((name) => byHandle.get(name) || byId.get(name));
}
