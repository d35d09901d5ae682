// The model's graph: which operation runs where.
const CELL = { width: 236, height: 38, rank: 20, across: 20 };
// Laid out block by block between bottlenecks: operations that every path through the model passes.
function layout({ operations, edges }) {
  const consumers = edges.map((e) => e[1]);
  // Edges are sorted by consumer: those of a block stand together.
  const range = (first, end) => [d3.bisectLeft(consumers, first + 1), d3.bisectRight(consumers, end)];
  const n = operations.length, last = new Array(n).fill(0), cuts = [];
  edges.forEach(([a, b]) => { last[a] = Math.max(last[a], b); });
  let reach = 0;
  const isForward = edges.every(([a, b]) => a < b);
  const fed = new Set(edges.map(([, b]) => b));
  for (let i = 0; i < n; i++) {
    if (isForward && reach <= i && (fed.has(i) || i === 0)) cuts.push(i);
    reach = Math.max(reach, last[i], i + (fed.has(i + 1) ? 0 : 1));
  }
  if (!cuts.length || cuts[0] !== 0) cuts.unshift(0);
  const at = new Array(n), routes = new Map(), head = d3.range(n), numbered = edges.map((e, k) => [e, k]), laid = new Map();
  let top = 0;
  for (let c = 0; c < cuts.length; c++) {
    const first = cuts[c], end = c + 1 < cuts.length ? cuts[c + 1] : n - 1;
    if (first === end) { if (c + 1 === cuts.length) at[first] = at[first] || { x: 0, y: top }; continue; }
    const mine = numbered.slice(...range(first, end)).filter(([[a, b]]) => a >= first && b <= end);
    // A row of operations that feed nothing but each other is one tall node: there is less to lay out.
    const outs = d3.rollup(mine, (v) => v.length, ([[a]]) => a), ins = d3.rollup(mine, (v) => v.length, ([[, b]]) => b);
    const isInner = ([a, b]) => a < b && outs.get(a) === 1 && ins.get(b) === 1;
    const rows = new Map();
    for (let i = first; i <= end; i++) head[i] = i; // the end of one block begins the next
    mine.filter(([e]) => isInner(e)).forEach(([[a, b]]) => { head[b] = head[a]; });
    for (let i = first; i <= end; i++) rows.set(head[i], [...(rows.get(head[i]) || []), i]);
    const step = CELL.height + CELL.rank, outer = mine.filter(([e]) => !isInner(e));
    // Layers repeat: of blocks of one shape one is laid out.
    const nameOf = (i) => String(head[i] - first);
    const shape = JSON.stringify([[...rows].map(([h, row]) => [h - first, row.length]), outer.map(([[a, b]]) => [nameOf(a), nameOf(b)])]);
    if (!laid.has(shape)) {
      const drawn = new dagre.graphlib.Graph({ multigraph: true });
      drawn.setGraph({ nodesep: CELL.across, ranksep: CELL.rank, rankdir: "TB" });
      drawn.setDefaultEdgeLabel(() => ({}));
      rows.forEach((row, h) => drawn.setNode(nameOf(h), { width: CELL.width, height: step * row.length - CELL.rank }));
      outer.forEach(([[a, b]], j) => drawn.setEdge(nameOf(a), nameOf(b), {}, String(j)));
      dagre.layout(drawn);
      laid.set(shape, drawn);
    }
    const g = laid.get(shape);
    const placeOf = (h) => { const q = g.node(nameOf(h)); return { x: q.x, y: q.y - (q.height - CELL.height) / 2 }; };
    const origin = placeOf(first);
    const dx = (at[first] ? at[first].x : 0) - origin.x, dy = (at[first] ? at[first].y : top) - origin.y;
    rows.forEach((row, h) => { const q = placeOf(h); row.forEach((i, k) => { at[i] = { x: q.x + dx, y: q.y + dy + k * step }; }); });
    // From below the producer to above the consumer, wherever in its row that is.
    const nearest = (i, x) => Math.max(at[i].x - CELL.width / 2 + 16, Math.min(at[i].x + CELL.width / 2 - 16, x));
    const route = ([[a, b], k], bends) => {
      const from = bends.length ? bends[0][0] : at[b].x, to = bends.length ? bends[bends.length - 1][0] : at[a].x;
      routes.set(k, [[nearest(a, from), at[a].y + CELL.height / 2], ...bends, [nearest(b, to), at[b].y - CELL.height / 2]]);
    };
    mine.filter(([e]) => isInner(e)).forEach((one) => route(one, []));
    outer.forEach((one, j) => {
      const [a, b] = one[0];
      route(one, g.edge(nameOf(a), nameOf(b), String(j)).points.slice(1, -1).map((q) => [q.x + dx, q.y + dy]));
    });
    top = d3.max(at.slice(first, end + 1), (q) => q.y);
  }
  const x0 = d3.min(at, (q) => q.x) - CELL.width / 2 - 16, y0 = d3.min(at, (q) => q.y) - CELL.height / 2 - 12;
  at.forEach((q) => { q.x -= x0; q.y -= y0; });
  for (const route of routes.values()) for (const q of route) { q[0] -= x0; q[1] -= y0; }
  return { at, routes, width: d3.max(at, (q) => q.x) + CELL.width / 2 + 16, height: d3.max(at, (q) => q.y) + CELL.height / 2 + 12 };
}

const timeOf = (p, i) => {
  const { operations, profiles } = runOf(p), b = backendOf(p, operations[i]);
  return b && profiles[b] ? profiles[b][i] : undefined;
};
const shapeOf = (o) => (o.shape.length ? o.shape.join("×") : "");
let moving = null; // the graph that is shown: its zoom, and what it moves
function drawGraph(p) {
  const began = performance.now(), run = runOf(p), { operations, edges } = run;
  run.placed = run.placed || layout(run);
  const { at, routes, width, height } = run.placed;
  const view = byKey("view"), kept = moving && moving.run === run ? d3.zoomTransform(moving.svg.node()) : null;
  const svg = d3.create("svg").attr("width", "100%").attr("height", "100%").attr("role", "img").attr("aria-label", "the model's graph");
  const whole = svg.append("g");
  const crossing = ([a, b]) => { const s = backendOf(p, operations[a]), t = backendOf(p, operations[b]); return s && t && s !== t; };
  const line = d3.line().curve(d3.curveBasis);
  const handed = edges.filter(crossing);
  whole.append("g").selectAll("path").data([...routes].sort((u, v) => crossing(edges[u[0]]) - crossing(edges[v[0]]))).join("path")
    .attr("class", ([k]) => (crossing(edges[k]) ? "edge crossing" : "edge")).attr("d", ([, route]) => line(route))
    .on("pointerenter", (event, [k]) => { const [a, b, size] = edges[k]; showTip([`@${a} → @${b}: ${bytes(size)}`, crossing(edges[k]) ? `handed over from ${backendOf(p, operations[a])} to ${backendOf(p, operations[b])}` : `stays on ${backendOf(p, operations[a]) || "the runtime's choice"}`], event); })
    .on("pointerleave", hideTip);
  const slowest = d3.max(operations, (_, i) => timeOf(p, i)) || 0;
  const units = state.compared ? movedBetween(p, state.compared) : null;
  const was = (i) => (units && units[i] && units[i].i === i && isMoved(units[i]) ? units[i].from || "runtime" : null);
  const fill = (o) => { const b = backendOf(p, o); return b ? colourOf(run, b) : "var(--soft)"; };
  const nodes = whole.append("g").selectAll("g").data(operations).join("g").attr("data-operation", (_, i) => i)
    .attr("class", (_, i) => `node${units ? (was(i) ? " moved" : " same") : ""}`)
    .attr("transform", (_, i) => `translate(${at[i].x - CELL.width / 2},${at[i].y - CELL.height / 2})`);
  nodes.append("rect").attr("class", "back").attr("width", CELL.width).attr("height", CELL.height).attr("rx", 6).attr("stroke", fill);
  nodes.append("rect").attr("height", CELL.height).attr("rx", 6).attr("fill", fill).attr("fill-opacity", 0.26)
    .attr("width", (_, i) => (slowest ? Math.max(6, CELL.width * (timeOf(p, i) || 0) / slowest) : CELL.width));
  const narrowed = (text) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);
  nodes.append("text").attr("x", 9).attr("y", 16).text((o, i) => narrowed(`${i} ${o.builtin}`));
  nodes.append("text").attr("class", "shape").attr("x", 9).attr("y", 31).text(shapeOf);
  nodes.append("text").attr("class", "time").attr("x", CELL.width - 9).attr("y", 31).attr("text-anchor", "end")
    .text((_, i) => was(i) ? `was on ${was(i)}` : timeOf(p, i) === undefined ? "" : `${Number(timeOf(p, i).toPrecision(3))} ms`);
  // On a hand-over, how much is handed over.
  whole.append("g").selectAll("text").data([...routes].filter(([k]) => crossing(edges[k]))).join("text").attr("class", "size")
    .attr("x", ([, route]) => route[0][0] + 6).attr("y", ([, route]) => route[0][1] + 14).text(([k]) => bytes(edges[k][2]));
  nodes.on("pointerenter pointermove", (event, o) => showTip(wordsOfOperation(p, o), event)).on("pointerleave", hideTip);
  view.replaceChildren(svg.node());
  const box = view.getBoundingClientRect();
  const zoom = d3.zoom().scaleExtent([Math.min(0.1, box.height / height / 2), 3])
    .filter((event) => !event.button && (event.type !== "wheel" || event.ctrlKey || event.metaKey))
    .on("zoom", ({ transform }) => { whole.attr("transform", transform); svg.classed("far", transform.k < 0.45); showWindow(p, transform); });
  moving = { run, svg, zoom, width, height };
  svg.call(zoom).on("dblclick.zoom", null).on("wheel.pan", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const { k } = d3.zoomTransform(svg.node());
    svg.call(zoom.translateBy, -event.deltaX / k, -event.deltaY / k);
  });
  drawStrip(p, slowest);
  svg.call(zoom.transform, kept || beginning());
  byKey("graph-words").textContent = [
    `${operations.length} operations`,
    handed.length ? `${handed.length} tensor${handed.length > 1 ? "s are" : " is"} handed from one backend to another (thick lines), ${bytes(d3.sum(handed, (e) => e[2]))} in all` : "nothing is handed from one backend to another",
    slowest ? "the shade is as long as an operation takes on its backend in a traced run of its own" : "no profile: how long each operation takes was not traced",
  ].join("; ") + ".";
  byKey("graph").dataset.milliseconds = String(Math.round(performance.now() - began));
}
// A small graph whole; of a large one the first operations, as wide as the box or in their own size where it is wider.
function beginning() {
  const box = byKey("view").getBoundingClientRect(), { run, width, height } = moving;
  const wide = Math.min(1, box.width / width), whole = Math.min(wide, box.height / height);
  const k = whole >= 0.35 ? whole : Math.max(0.5, wide);
  return d3.zoomIdentity.translate(box.width / 2 - k * (k * width > box.width ? run.placed.at[0].x : width / 2), 0).scale(k);
}
function fitGraph() {
  const box = byKey("view").getBoundingClientRect(), whole = Math.min(1.5, box.width / moving.width, box.height / moving.height);
  // What would be too small to read is fitted by its width: the strip shows all of it.
  const k = whole < 0.3 ? Math.min(1, box.width / moving.width) : whole;
  moving.svg.transition().duration(200).call(moving.zoom.transform, d3.zoomIdentity.translate((box.width - k * moving.width) / 2, Math.max(0, (box.height - k * moving.height) / 2)).scale(k));
}
function wordsOfOperation(p, o) {
  const { operations, profiles, variables } = runOf(p), i = operations.indexOf(o), b = backendOf(p, o);
  const was = o.origin === null ? "" : `, @${o.origin} of the original`;
  return [`@${i} ${o.builtin} (${o.name}${was})`, shapeOf(o) && `makes ${shapeOf(o)}`, b ? `on ${b}` : "where the runtime puts it",
    ...Object.keys(profiles).filter((c) => profiles[c][i] !== undefined).map((c) => `${Number(profiles[c][i].toPrecision(3))} ms on ${c}`),
    `${bytes(o.bytes)} in and out, ${bytes(o.weights)} of it weights`,
    o.variable >= 0 && variables[o.variable].count > 1 ? `decided with ${variables[o.variable].count - 1} more as ${variables[o.variable].name}` : ""];
}
// All operations in the order of the file, and which of them the view shows.
function drawStrip(p, slowest) {
  const run = runOf(p), { operations } = run, svg = d3.select("#strip"), n = operations.length;
  svg.attr("viewBox", `0 0 18 ${n}`).attr("preserveAspectRatio", "none");
  svg.selectAll("rect.operation").data(operations).join("rect").attr("class", "operation").attr("x", 0).attr("y", (_, i) => i).attr("height", 1.02)
    .attr("width", 18).attr("fill", (o) => { const b = backendOf(p, o); return b ? colourOf(run, b) : "var(--soft)"; })
    .attr("fill-opacity", (_, i) => (slowest ? 0.25 + 0.75 * Math.sqrt((timeOf(p, i) || 0) / slowest) : 0.8));
  svg.selectAll("rect.window").data([0]).join("rect").attr("class", "window").attr("x", 0).attr("width", 18).raise();
  svg.on("click", (event) => {
    const box = svg.node().getBoundingClientRect();
    goToOperation(run, Math.max(0, Math.min(n - 1, Math.floor(n * (event.clientY - box.top) / box.height))));
  });
}
function goToOperation(run, i) {
  const box = byKey("view").getBoundingClientRect(), { k } = d3.zoomTransform(moving.svg.node()), { x, y } = run.placed.at[i];
  moving.svg.call(moving.zoom.transform, d3.zoomIdentity.translate(box.width / 2 - k * x, box.height / 2 - k * y).scale(k));
}
function showWindow(p, transform) {
  const run = runOf(p), { at } = run.placed, box = byKey("view").getBoundingClientRect();
  const [low, high] = [transform.invertY(0), transform.invertY(box.height)];
  const seen = d3.range(at.length).filter((i) => at[i].y >= low && at[i].y <= high);
  d3.select("#strip .window").attr("y", seen.length ? seen[0] : 0).attr("height", seen.length ? seen[seen.length - 1] - seen[0] + 1 : 0);
}
function drawOperations(p) {
  const run = runOf(p), { operations, profiles } = run, names = Object.keys(profiles);
  const host = byKey("operations"), fillTable = () => {
    if (!host.open || host.drawn === p) return;
    host.drawn = p;
    byKey("operations-table").replaceChildren(tableOf(
      [["", 0], ["operation", 1], ["makes", 1], ["runs on", 1], ...names.map((b) => [`${b} ms`, 0])],
      operations.map((o, i) => [[`@${i}`, 0], [o.builtin, 1], [shapeOf(o), 1], [backendOf(p, o) || "runtime's choice", 1],
        ...names.map((b) => [profiles[b][i] === undefined ? "–" : profiles[b][i].toFixed(3), 0])]),
    ));
  };
  host.ontoggle = fillTable;
  fillTable();
}
