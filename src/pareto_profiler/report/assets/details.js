// The selected point, and the one that it is compared with.
function pick(p, isCompared = false, scroll = false) {
  const isSecond = (isCompared || state.comparing) && state.selected && p.values && state.selected.values;
  state.comparing = false;
  if (isSecond) state.compared = p === state.selected || p === state.compared ? null : p;
  select(isSecond ? state.selected : p, scroll);
}
function select(p, scroll = false) {
  state.selected = p;
  if (state.compared === p || !p.values) state.compared = null;
  if (p.values) drawFront();
  for (const row of document.querySelectorAll("[data-point]")) {
    row.classList.toggle("selected", row.dataset.point === p.id);
    row.classList.toggle("compared", Boolean(state.compared) && row.dataset.point === state.compared.id);
  }
  drawCompared(p, state.compared);
  remember();
  const section = byKey("selected");
  section.hidden = false;
  byKey("selected-title").textContent = `${p.handle ? `${p.handle} · ` : ""}${idWords(p)}${p.role ? ` (${p.role})` : ""}`;
  drawTiles(p);
  drawConfiguration(p);
  const isDrawn = Boolean(p.digits) && runOf(p).operations.length > 0;
  for (const id of ["graph-box", "graph-title", "graph-words", "operations"]) byKey(id).hidden = !isDrawn;
  byKey("backends").replaceChildren(...(p.digits ? keyOf(p) : []));
  if (isDrawn) { drawGraph(p); drawOperations(p); }
  // Beside the front it is in sight already.
  if (scroll && section.getBoundingClientRect().top > innerHeight * 0.7) section.scrollIntoView({ behavior: "smooth", block: "start" });
  hideTip();
}
// Operations, or variables where no graph is known, that run elsewhere in q; null where that cannot be told.
function movedBetween(p, q) {
  if (!p.digits || !q.digits) return null;
  const a = runOf(p), b = runOf(q);
  if (a.operations.length && a.operations.length === b.operations.length)
    return a.operations.map((o, i) => ({ name: `@${i} ${o.builtin}`, from: backendOf(q, b.operations[i]), to: backendOf(p, o), i, bytes: o.bytes }));
  if (a !== b) return null;
  return a.variables.flatMap((v, i) => (v.isSetting ? [] : [{ name: v.name, from: choiceOf(q, i), to: choiceOf(p, i), i: -1 }]));
}
const isMoved = (u) => u.from !== u.to;
function drawCompared(p, q) {
  const button = byKey("compare");
  button.setAttribute("aria-pressed", String(state.comparing));
  button.textContent = state.comparing ? "Click the other point" : q ? `Compared with ${nameOf(q)}: end` : "Compare with another point";
  button.hidden = !p.values || points.length < 2;
  byKey("compared").hidden = !q;
  byKey("differences").hidden = !q;
  if (!q) return;
  byKey("compared-title").textContent = `${nameOf(p)} against ${nameOf(q)}`;
  const changes = objectives.map((o, i) => {
    const ratio = q.values[i] ? p.values[i] / q.values[i] - 1 : 0;
    return `${o.name} ${ratio > 0 ? "+" : "−"}${Math.abs(100 * ratio).toFixed(1)} %`;
  });
  const a = runOf(p), b = runOf(q);
  const settings = a === b && p.digits && q.digits
    ? a.variables.map((v, i) => (v.isSetting && choiceOf(p, i) !== choiceOf(q, i) ? `${v.name} ${choiceOf(q, i)} → ${choiceOf(p, i)}` : "")).filter(Boolean) : [];
  const units = movedBetween(p, q), moved = (units || []).filter(isMoved);
  const words = units ? `${moved.length} of ${units.length} operations run elsewhere` : a === b ? "what ran where is not in this file" : `${a.name} and ${b.name} have other operations`;
  byKey("compared-words").textContent = [...changes, ...settings, words].join("; ") + ".";
  const ms = (r, backend, i) => (r.profiles[backend] && r.profiles[backend][i] !== undefined ? `${Number(r.profiles[backend][i].toPrecision(3))} ms` : "–");
  const table = tableOf(
    [["operation", 1], [nameOf(p), 1], ["", 0], [nameOf(q), 1], ["", 0], ["in and out", 0]],
    moved.map((u) => [[u.name, 1], [u.to || "runtime", 1], [ms(a, u.to, u.i), 0], [u.from || "runtime", 1], [ms(b, u.from, u.i), 0], [u.bytes ? bytes(u.bytes) : "–", 0]]),
  );
  byKey("compared-table").replaceChildren(...(moved.length ? [table] : []));
}
function keyOf(p) {
  const keys = counts(p).map(([b, n]) => {
    const swatch = element("i", { className: "swatch" });
    swatch.style.background = colourOf(runOf(p), b);
    return element("span", {}, swatch, `${b} · ${n} operation${n > 1 ? "s" : ""}`);
  });
  return keys.concat(settingsOf(p).map((text) => element("span", { textContent: text })));
}
function drawTiles(p) {
  const tile = (big, small) => element("div", { className: "tile" }, element("b", { textContent: big }), element("span", { className: "soft", textContent: small }));
  if (!p.values) { byKey("tiles").replaceChildren(tile(p.kind, p.message)); return; }
  const base = data.baseline && byId.get(data.baseline);
  const tiles = objectives.map((o, i) => {
    const known = p.low && p.low[i] !== null && p.high[i] !== null;
    const spread = known ? `${figure(o, p.low[i])} to ${figure(o, p.high[i])}` : "";
    const isTold = (q) => !data.isNoiseKnown || (q.low && q.low[i] !== null);
    const against = base && base !== p && !(isTold(p) && isTold(base)) ? "no verdict" : base && base !== p && base.values[i] > 0 ? `${(100 * p.values[i] / base.values[i]).toFixed(1)} % of the baseline` : "";
    return tile(figure(o, p.values[i]), [o.name, spread, against].filter(Boolean).join(" · "));
  });
  const isOpen = p.verdict !== "on" && p.verdict !== "off";
  if (data.isNoiseKnown && isUntold(p) && p.verdict === "open") tiles.push(tile("?", "no verdict"));
  else if (data.isNoiseKnown) tiles.push(tile(p.verdict === "on" ? "yes" : p.verdict === "off" ? "no" : `${Math.floor(100 * p.probability)} %`, isOpen ? "on the front, not decided" : "on the front"));
  byKey("tiles").replaceChildren(...tiles);
}
const copyable = (text) => element("div", { className: "copyable" }, element("pre", { textContent: text }), Object.assign(element("button", { type: "button", textContent: "Copy" }), { copies: true }));
function drawConfiguration(p) {
  const host = byKey("configuration"), parts = [];
  if (p.ship) parts.push(copyable(p.ship));
  if (p.configuration !== undefined) parts.push(element("details", {}, element("summary", { textContent: "What the runtime is told" }), copyable(p.configuration)));
  if (!parts.length) parts.push(element("p", { className: "soft", textContent: `Not on the front, so it is not in this file: pareto-profiler deploy RUN ${p.id} --format env writes it.` }));
  host.replaceChildren(...parts);
}
