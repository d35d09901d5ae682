// The front: points, zoom, limits.
const isNear = (p) => Boolean(p.front || p.perhaps || p.role);
const near = points.filter(isNear);
const isWithin = (p) => [...state.limits].every(([i, most]) => p.values[i] <= most);
const isThere = (p) => p.order <= state.until;
// Of the points on the front within the limits the least of the first objective without one.
const wantedObjective = () => Math.max(0, objectives.findIndex((_, i) => !state.limits.has(i)));
function bestWithin() {
  const wanted = wantedObjective();
  return d3.least(points.filter((p) => p.front && isThere(p) && isWithin(p)), (p) => p.values[wanted]);
}
// The front of what was there after so many trials, by the figures known at the end.
function frontThen() {
  if (state.until >= data.trials) return points.filter((p) => p.front);
  const there = points.filter(isThere);
  return there.filter((p) => !there.some((q) => q !== p && q.values.every((v, i) => v <= p.values[i]) && q.values.some((v, i) => v < p.values[i])));
}
function domain(values) {
  const [low, high] = d3.extent(values);
  if (state.log && low > 0) return [low / 1.08, high * 1.08];
  const pad = (high - low || Math.abs(high) * 0.02 || 1) * 0.07;
  return [low - pad < 0 && low >= 0 ? 0 : low - pad, high + pad];
}
let chart = null; // scales and sizes of what is drawn
function drawFront() {
  const host = byKey("front");
  const width = Math.max(280, host.clientWidth), narrow = width < 560;
  const height = Math.round(Math.min(480, Math.max(320, width * 0.52)));
  const failed = failures.length ? 26 : 0;
  const m = { top: 22 + failed, right: narrow ? 14 : 24, bottom: 46, left: narrow ? 52 : 64 };
  const ox = objectives[state.x], oy = objectives[state.y];
  const label = (o) => `${o.name} (${unitOf(o)})`;
  const px = (p) => scaled(ox, p.values[state.x]), py = (p) => scaled(oy, p.values[state.y]);
  const shown = state.all || near.length < 2 ? points : near;
  const limits = (i, o) => (state.limits.has(i) ? [scaled(o, state.limits.get(i))] : []);
  const scaleOf = (range) => (state.log && range[0] > 0 ? d3.scaleLog : d3.scaleLinear);
  const given = data.limits.map((l) => l.objective); // those that moved do not move the axes
  const xs = state.view ? state.view[0] : domain(shown.map(px).concat(given.includes(state.x) ? limits(state.x, ox) : []));
  const ys = state.view ? state.view[1] : domain(shown.map(py).concat(given.includes(state.y) ? limits(state.y, oy) : []));
  const x = scaleOf(xs)(xs, [m.left, width - m.right]), y = scaleOf(ys)(ys, [height - m.bottom, m.top]);
  chart = { x, y, m, width, height };
  const inside = (p) => px(p) <= x.domain()[1] && py(p) <= y.domain()[1] && px(p) >= x.domain()[0] && py(p) >= y.domain()[0];
  const svg = d3.create("svg").attr("width", width).attr("height", height).attr("role", "group")
    .attr("aria-label", `${ox.name} against ${oy.name}, ${points.length} points`);
  const few = (scale, n) => { const values = scale.ticks(n); return state.log && values.length > n + 2 ? values.filter((v) => /^[125]/.test(v.toExponential())) : values; };
  svg.append("g").selectAll("line").data(few(y, 5)).join("line").attr("class", "gridline")
    .attr("x1", m.left).attr("x2", width - m.right).attr("y1", y).attr("y2", y);
  const format = (values) => (values.every((v) => Number.isInteger(v)) ? d3.format("d") : d3.format("~g"));
  const axis = (side, scale, n) => { const values = few(scale, n); return side(scale).tickValues(values).tickFormat(format(values)); };
  svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - m.bottom})`).call(axis(d3.axisBottom, x, narrow ? 4 : 8));
  svg.append("g").attr("class", "axis").attr("transform", `translate(${m.left},0)`).call(axis(d3.axisLeft, y, 5));
  svg.append("text").attr("x", width - m.right).attr("y", height - 10).attr("text-anchor", "end").text(`${label(ox)} →`);
  svg.append("text").attr("x", 4).attr("y", m.top - 8).text(`↑ ${label(oy)}`);
  svg.append("g").attr("class", "brush").call(d3.brush().extent([[m.left, m.top], [width - m.right, height - m.bottom]]).on("end", zoomTo))
    .on("dblclick", () => { state.view = null; drawFront(); });
  const plot = svg.append("g");
  const then = new Set(frontThen());
  const stair = [...then].sort((a, b) => px(a) - px(b));
  const clip = (scale, v) => Math.max(Math.min(...scale.range()), Math.min(Math.max(...scale.range()), scale(v)));
  if (objectives.length === 2 && stair.length > 1)
    plot.append("path").attr("class", "stairs").attr("d", d3.line((p) => clip(x, px(p)), (p) => clip(y, py(p))).curve(d3.curveStepAfter)(stair));
  for (const p of near) {
    if (!p.low || !inside(p) || !isThere(p) || !(p.front || p.perhaps)) continue;
    const end = (scale, i, side, o) => clip(scale, scaled(o, p[side][i]));
    if (p.low[state.x] !== null)
      plot.append("line").attr("class", "whisker").attr("y1", y(py(p))).attr("y2", y(py(p)))
        .attr("x1", end(x, state.x, "low", ox)).attr("x2", end(x, state.x, "high", ox));
    if (p.low[state.y] !== null)
      plot.append("line").attr("class", "whisker").attr("x1", x(px(p))).attr("x2", x(px(p)))
        .attr("y1", end(y, state.y, "low", oy)).attr("y2", end(y, state.y, "high", oy));
  }
  const isPast = state.until < data.trials;
  const rank = (p) => (then.has(p) ? 2 : p.perhaps ? 1 : 0);
  const drawn = points.filter((p) => inside(p) && isThere(p)).sort((a, b) => rank(a) - rank(b));
  const best = state.limits.size ? bestWithin() : null;
  const classOf = (p) => [
    "point", then.has(p) && "front", !isPast && p.front && p.verdict !== "on" && data.isNoiseKnown && "unsure", !then.has(p) && p.perhaps && "perhaps",
    p === state.selected && "selected", p === state.compared && "compared", state.limits.size && !isWithin(p) && "beyond", p === best && "best",
  ].filter(Boolean).join(" ");
  const dots = svg.append("g").selectAll("g").data(drawn).join("g").attr("class", classOf)
    .attr("data-id", (p) => p.id).attr("transform", (p) => `translate(${x(px(p))},${y(py(p))})`)
    .attr("tabindex", (p) => (isNear(p) ? 0 : null)).attr("role", "button").attr("aria-label", (p) => (isNear(p) ? wordsOf(p).filter(Boolean).join(", ") : nameOf(p)));
  dots.append("circle").attr("class", "hit").attr("r", 12);
  dots.append("circle").attr("class", "dot").attr("r", (p) => (then.has(p) ? 6 : p.perhaps ? 4.5 : 3.5))
    .style("fill", (p) => (state.colour === "place" ? null : categoryColour(p)));
  dots.filter((p) => p.role || p === best).append("circle").attr("class", "ring").attr("r", 9);
  tagPoints(svg, drawn.filter((p) => p.role || (p.handle && then.has(p))), (p) => x(px(p)), (p) => y(py(p)));
  dots.on("pointerenter pointermove", (event, p) => showTip(wordsOf(p), event)).on("focus", (event, p) => showTip(wordsOf(p), event))
    .on("pointerleave blur", hideTip).on("click", (event, p) => pick(p, event.shiftKey))
    .on("keydown", (event, p) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(p, event.shiftKey); } });
  const out = state.view ? [] : points.filter((p) => !inside(p) && isThere(p));
  svg.append("g").selectAll("path").data(out.length > 40 ? [] : out).join("path").attr("class", "outside").attr("d", d3.symbol(d3.symbolTriangle, 26)())
    .attr("transform", (p) => {
      const right = px(p) > x.domain()[1], top = py(p) > y.domain()[1];
      return `translate(${clip(x, px(p))},${clip(y, py(p))}) rotate(${right && top ? 45 : right ? 90 : top ? 0 : 180})`;
    })
    .on("pointerenter", (event, p) => showTip(wordsOf(p), event)).on("pointerleave", hideTip).on("click", (_, p) => select(p));
  if (failed) {
    const came = failures.filter(isThere);
    svg.append("text").attr("x", width - m.right).attr("y", 12).attr("text-anchor", "end").attr("fill", "var(--soft)").text(`${isPast ? came.length : data.failureCount} failed`);
    const room = width - m.left - m.right - 70, gap = Math.min(9, room / failures.length);
    svg.append("g").selectAll("path").data(came).join("path").attr("class", "failure").attr("d", "M-3,-3L3,3M-3,3L3,-3")
      .attr("transform", (_, i) => `translate(${m.left + 6 + i * gap},8)`)
      .on("pointerenter", (event, f) => showTip([`${f.kind} · id ${shortId(f.id)}`, f.message, f.digits ? counts(f).map(([b, n]) => `${n} ${b}`).join(" · ") : ""], event))
      .on("pointerleave", hideTip).on("click", (_, f) => f.digits && select(f));
  }
  drawLimits(svg);
  const focused = host.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  host.replaceChildren(svg.node());
  if (focused) svg.selectAll(".point").filter((p) => p.id === focused).node()?.focus({ preventScroll: true });
  const words = [];
  if (out.length && !state.all) words.push(`${out.length} point${out.length > 1 ? "s lie" : " lies"} outside${out.length > 40 ? "" : " (triangles)"}: “All points” shows them.`);
  if (data.leftOut) words.push(`${data.leftOut} of ${data.measured} measured points are left out of the picture, none of them near the front.`);
  byKey("left-out").textContent = words.join(" ");
  byKey("unzoom").hidden = !state.view;
  sayWithin(best);
}
// A tag stands right of its point, or where another tag is already left, above, below, or nowhere; one that says what
// a point is stands even over a point, but over no other tag.
function tagPoints(svg, tagged, atX, atY) {
  const taken = [], important = (p) => (p === state.selected || p === state.compared ? 0 : p.role ? 1 : 2);
  const places = [];
  for (const p of [...tagged].sort((a, b) => important(a) - important(b))) {
    const text = [p.handle, p.role].filter(Boolean).join(" · "), w = 8 * text.length, cx = atX(p), cy = atY(p);
    const tries = [[cx + 11, cy + 4, "start"], [cx - 11, cy + 4, "end"], [cx - w / 2, cy - 12, "start"], [cx - w / 2, cy + 21, "start"], [cx - w, cy - 24, "start"], [cx - w, cy + 33, "start"], [cx + 11, cy + 20, "start"]];
    const boxOf = ([tx, ty, anchor]) => [anchor === "end" ? tx - w : tx, ty - 11, anchor === "end" ? tx : tx + w, ty + 3];
    const isIn = (box) => box[0] > chart.m.left && box[2] < chart.width && box[1] > 0;
    const isOffTags = (box) => !taken.some((t) => t[0] < box[2] && t[2] > box[0] && t[1] < box[3] && t[3] > box[1]);
    const isOffPoints = (box) => !tagged.some((q) => q !== p && atX(q) > box[0] - 5 && atX(q) < box[2] + 5 && atY(q) > box[1] - 3 && atY(q) < box[3] + 3);
    const free = tries.filter((one) => isIn(boxOf(one)) && isOffTags(boxOf(one)));
    const place = free.find((one) => isOffPoints(boxOf(one))) || (important(p) < 2 ? free[0] || tries[cx > chart.width * 0.7 ? 1 : 0] : null);
    if (!place) continue;
    taken.push(boxOf(place));
    places.push([text, ...place]);
  }
  svg.append("g").selectAll("text").data(places).join("text").attr("class", "tag").attr("x", (t) => t[1]).attr("y", (t) => t[2])
    .attr("text-anchor", (t) => t[3]).attr("pointer-events", "none").text((t) => t[0]);
}

// ---- zoom: by dragging a box, by the buttons, by the wheel with Ctrl
function zoomTo(event) {
  if (!event.selection || !event.sourceEvent) return;
  const [[x0, y0], [x1, y1]] = event.selection;
  if (x1 - x0 < 6 || y1 - y0 < 6) { drawFront(); return; }
  state.view = [[chart.x.invert(x0), chart.x.invert(x1)], [chart.y.invert(y1), chart.y.invert(y0)]];
  drawFront();
}
function zoomBy(factor, at = null) {
  const { x, y, m, width, height } = chart;
  const centre = at || (state.selected && state.selected.values
    ? [x(scaled(objectives[state.x], state.selected.values[state.x])), y(scaled(objectives[state.y], state.selected.values[state.y]))]
    : [width / 2, height / 2]);
  const ends = (low, high, c) => [c - (c - low) / factor, c + (high - c) / factor];
  const [x0, x1] = ends(m.left, width - m.right, centre[0]), [y0, y1] = ends(m.top, height - m.bottom, centre[1]);
  state.view = [[x.invert(x0), x.invert(x1)], [y.invert(y1), y.invert(y0)]];
  drawFront();
}

// ---- limits: lines to drag, and numbers to type
function drawLimits(svg) {
  const { x, y, m, width, height } = chart;
  for (const [axis, i, scale] of [["x", state.x, x], ["y", state.y, y]]) {
    const o = objectives[i], most = limitOf(o);
    const ends = scale.range(), low = Math.min(...ends), high = Math.max(...ends);
    const open = axis === "x" ? high : low;
    const at = most === undefined ? open : Math.max(low, Math.min(high, scale(scaled(o, most))));
    const g = svg.append("g").attr("class", `limit-line${most === undefined ? " unset" : ""}`).attr("data-axis", axis);
    const place = (q) => {
      g.select("line").attr(`${axis}1`, q).attr(`${axis}2`, q);
      g.select(".shade").attr("x", axis === "x" ? q : m.left).attr("y", axis === "x" ? m.top : m.top)
        .attr("width", axis === "x" ? Math.max(0, high - q) : width - m.right - m.left)
        .attr("height", axis === "x" ? height - m.bottom - m.top : Math.max(0, q - m.top));
      g.select(".grip").attr("transform", axis === "x" ? `translate(${q},${m.top - 6})` : `translate(${width - m.right + 6},${q})`);
    };
    g.append("rect").attr("class", "shade");
    const line = g.append("line").attr("class", "limit");
    if (axis === "x") line.attr("y1", m.top).attr("y2", height - m.bottom);
    else line.attr("x1", m.left).attr("x2", width - m.right);
    const grip = g.append("g").attr("class", "grip");
    grip.append("path").attr("d", axis === "x" ? "M-7,-9H7V-2L0,5L-7,-2Z" : "M9,-7V7H2L-5,0L2,-7Z");
    grip.append("title").text(`drag: ${o.name} at most`);
    place(at);
    grip.call(d3.drag().container(() => svg.node())
      .on("drag", (event) => {
        const q = Math.max(low, Math.min(high, event[axis]));
        g.classed("unset", false);
        place(q);
        setLimit(i, Math.abs(q - open) < 3 ? undefined : unscaled(o, scale.invert(q)), false);
      })
      .on("end", () => { drawFront(); remember(); }));
    if (most !== undefined)
      g.append("text").attr("class", "limit-text").attr("text-anchor", "end")
        .attr("x", axis === "x" ? at - 6 : width - m.right - 14).attr("y", axis === "x" ? m.top + 12 : at - 5).text(`≤ ${figure(o, most)}`);
  }
}
function setLimit(i, most, isDrawn = true) {
  if (most === undefined) state.limits.delete(i);
  else state.limits.set(i, most);
  const input = document.querySelector(`#limits input[data-objective="${i}"]`);
  if (input && document.activeElement !== input) input.value = most === undefined ? "" : Number(scaled(objectives[i], most).toPrecision(4));
  sayWithin(state.limits.size ? bestWithin() : null);
  if (isDrawn) { drawFront(); remember(); }
}
// What a limit's text stands for, in the unit of the figures; undefined for none, null for nonsense.
const UNITS = { s: 1e3, ms: 1, us: 1e-3, µs: 1e-3, B: 1 / 1024, kB: 1000 / 1024, KB: 1000 / 1024, MB: 1e6 / 1024, GB: 1e9 / 1024, KiB: 1, MiB: 1024, GiB: 1048576 };
function limitIn(o, text) {
  if (!text.trim()) return undefined;
  const parts = /^([\d.,]+)\s*([a-zA-Zµ]*)$/.exec(text.trim()), number = parts ? Number(parts[1].replace(",", ".")) : NaN;
  if (!(number > 0)) return null;
  if (!parts[2]) return unscaled(o, number);
  const isTime = /s$/.test(parts[2]), factor = UNITS[parts[2]];
  return factor && isTime === (o.unit === "ms") && (isTime || o.unit === "KiB") ? number * factor : null;
}
function sayWithin(best) {
  const host = byKey("within");
  if (!state.limits.size) { host.replaceChildren(); return; }
  if (!best) { host.replaceChildren("Nothing on the front keeps these limits."); return; }
  const show = element("button", { type: "button", textContent: `Show ${nameOf(best)}` });
  show.addEventListener("click", () => select(best));
  const figures = objectives.map((o, i) => figure(o, best.values[i])).join(" · ");
  host.replaceChildren(`The least ${objectives[wantedObjective()].name} within the limits: ${nameOf(best)}, ${figures}. `, show);
}

function drawControls() {
  const host = byKey("front-controls");
  const toggle = (text, isOn, change, id = "") => {
    const button = element("button", { type: "button", textContent: text, id });
    const say = () => button.setAttribute("aria-pressed", String(isOn()));
    button.addEventListener("click", () => { change(); for (const other of host.querySelectorAll("[aria-pressed]")) other.say(); drawFront(); });
    button.say = say;
    say();
    return button;
  };
  const ends = points.filter((p) => p.front);
  state.log = [state.x, state.y].some((i) => ends.length && d3.min(ends, (p) => p.values[i]) > 0 && d3.max(ends, (p) => p.values[i]) > 5 * d3.min(ends, (p) => p.values[i]));
  if (points.length > 2) {
    const all = (value) => () => { state.all = value; state.view = null; };
    host.append(element("span", { className: "group" }, toggle("Near the front", () => !state.all, all(false)), toggle("All points", () => state.all, all(true))));
    host.append(toggle("Log axes", () => state.log, () => { state.log = !state.log; }, "log"));
    const button = (text, title, action, id = "") => { const b = element("button", { type: "button", textContent: text, title, id }); b.addEventListener("click", action); return b; };
    host.append(element("span", { className: "group" }, button("+", "zoom in; or drag a box in the picture", () => zoomBy(1.6), "zoom-in"), button("−", "zoom out", () => zoomBy(1 / 1.6), "zoom-out")));
    const reset = button("Whole picture", "or double-click in the picture", () => { state.view = null; drawFront(); }, "unzoom");
    reset.hidden = true;
    host.append(reset);
    const kinds = [["place", "place on the front"], ["origin", "how they came about"], ...(runs.length > 1 ? [["runtime", "run"]] : [])];
    if (runs.length > 1) state.colour = "runtime";
    const choice = element("select", { id: "colour" }, ...kinds.map(([value, text]) => new Option(text, value, false, value === state.colour)));
    choice.addEventListener("change", () => { state.colour = choice.value; drawFront(); drawLegend(); });
    host.append(element("label", {}, "coloured by ", choice));
  }
  if (objectives.length > 2)
    for (const axis of ["x", "y"]) {
      const choice = element("select", {}, ...objectives.map((o, i) => new Option(o.name, i, false, state[axis] === i)));
      choice.addEventListener("change", () => { state[axis] = Number(choice.value); state.view = null; drawFront(); });
      host.append(element("label", {}, axis === "x" ? "across " : "up ", choice));
    }
  byKey("front").addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = byKey("front").getBoundingClientRect();
    zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, [event.clientX - box.left, event.clientY - box.top]);
  }, { passive: false });
  const limits = byKey("limits");
  limits.append("at most");
  objectives.forEach((o, i) => {
    const input = element("input", { type: "text", inputMode: "decimal", placeholder: "any", title: "a number, or one with its unit: 450us, 13 MB" });
    input.dataset.objective = i;
    const most = limitOf(o);
    if (most !== undefined) input.value = Number(scaled(o, most).toPrecision(4));
    input.addEventListener("input", () => {
      const most = limitIn(o, input.value);
      input.setAttribute("aria-invalid", String(most === null));
      if (most !== null) setLimit(i, most);
    });
    limits.append(element("label", {}, input, ` ${unitOf(o)} ${o.name}`));
  });
  drawLegend();
}
function drawLegend() {
  const legend = byKey("front-legend"), parts = [];
  const key = (kind, text, fill = "") => {
    const svg = d3.create("svg").attr("class", "key").attr("viewBox", "-7 -7 14 14");
    svg.append("g").attr("class", `point ${kind}`).append("circle").attr("class", "dot").attr("r", kind.startsWith("front") ? 5.5 : kind ? 4.5 : 3.5).style("fill", fill);
    parts.push(element("span", {}, svg.node(), text));
  };
  if (state.colour === "place") {
    key("front", data.isNoiseKnown ? "surely on the front" : "on the front");
    if (points.some((p) => p.front && p.verdict !== "on") && data.isNoiseKnown) key("front unsure", "likely, not decided");
    if (points.some((p) => p.perhaps)) key("perhaps", "perhaps");
    key("", "measured");
  } else for (const category of categories()) key("front", category, categoryColour(points.find((p) => categoryOf(p) === category)));
  if (data.isNoiseKnown) parts.push("lines: 95 % intervals");
  legend.replaceChildren(...parts);
}
