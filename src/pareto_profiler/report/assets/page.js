// The report's page: draws the front, the selected assignment on the model's graph, and the history.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { objectives, points, failures, variables, backends, operations, edges, profiles, steps } = data;
  const byId = new Map(points.map((p) => [p.id, p]));
  const tip = document.getElementById("tip");
  const byKey = (id) => document.getElementById(id);
  const colour = (backend) => data.colours[backends.indexOf(backend)] || "var(--soft)";
  const state = { x: 0, y: Math.min(1, objectives.length - 1), all: false, log: false, selected: null, compared: null, comparing: false };
  const nameOf = (p) => p.handle || `id ${shortId(p.id)}`;

  const figure = (o, v) => {
    if (o.unit === "KiB" && Math.abs(v) >= 1024) return `${(v / 1024).toFixed(v >= 102400 ? 1 : 2)} MiB`;
    return `${Number(v.toPrecision(4))} ${o.unit}`;
  };
  const bytes = (n) => (n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(1)} MiB`);
  const shortId = (id) => (id.length > 20 ? `${id.slice(0, 8)}…${id.slice(-8)}` : id);
  const digitOf = (p, v) => (p.digits.charCodeAt(v) < 256 ? parseInt(p.digits[v], 36) : p.digits.charCodeAt(v) - 220);
  const choiceOf = (p, v) => variables[v].choices[digitOf(p, v)];
  const backendOf = (p, operation) => (operation.variable < 0 ? null : choiceOf(p, operation.variable));
  const isUntold = (p) => Boolean(p.low) && p.low.includes(null);
  const likelihood = (p) =>
    !data.isNoiseKnown ? "" : isUntold(p) && p.verdict === "open" ? "no verdict" : p.verdict === "on" ? "on the front" : p.verdict === "off" ? "not on the front"
      : `on the front with ${Math.floor(100 * p.probability)} %, not decided`;

  function counts(p) {
    const found = new Map();
    for (const operation of operations.length ? operations : variables.flatMap((v, i) => (v.isSetting ? [] : [{ variable: i }]))) {
      const b = backendOf(p, operation) || "runtime's choice";
      found.set(b, (found.get(b) || 0) + 1);
    }
    return [...found].sort((a, b) => b[1] - a[1]);
  }
  const settingsOf = (p) => variables.map((v, i) => (v.isSetting ? `${v.name} ${choiceOf(p, i)}` : "")).filter(Boolean);

  // ---- tooltip
  function showTip(lines, event) {
    tip.replaceChildren(...lines.filter(Boolean).map((text, i) => {
      const line = document.createElement("div");
      line.textContent = text;
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
  const wordsOf = (p) => [
    `${p.handle ? `${p.handle} · ` : ""}id ${shortId(p.id)}${p.role ? ` · ${p.role}` : ""}`,
    ...objectives.map((o, i) => {
      const known = p.low && p.low[i] !== null && p.high[i] !== null;
      return `${o.name} ${figure(o, p.values[i])}${known ? ` (${figure(o, p.low[i])} to ${figure(o, p.high[i])})` : ""}`;
    }),
    likelihood(p),
    p.digits ? counts(p).map(([b, n]) => `${n} ${b}`).join(" · ") + (settingsOf(p).length ? ` · ${settingsOf(p).join(", ")}` : "") : "",
    p.ties && p.ties.length ? `cannot be told from ${p.ties.slice(0, 3).map(shortId).join(", ")}` : "",
  ];

  // ---- the front
  function domain(values, limits) {
    const [low, high] = d3.extent(values.concat(limits));
    if (state.log && low > 0) return [low / 1.08, high * 1.08];
    const pad = (high - low || Math.abs(high) * 0.02 || 1) * 0.07;
    return [low - pad < 0 && low >= 0 ? 0 : low - pad, high + pad];
  }
  function drawFront() {
    const host = byKey("front");
    const width = Math.max(280, host.clientWidth), narrow = width < 560;
    const height = Math.round(Math.min(480, Math.max(320, width * 0.52)));
    const failed = failures.length ? 26 : 0;
    const m = { top: 14 + failed, right: narrow ? 14 : 24, bottom: 46, left: narrow ? 52 : 64 };
    const ox = objectives[state.x], oy = objectives[state.y];
    const inKiB = (o) => o.unit === "KiB";
    const scaled = (o, v) => (inKiB(o) ? v / 1024 : v);
    const label = (o) => `${o.name} (${inKiB(o) ? "MiB" : o.unit})`;
    const px = (p) => scaled(ox, p.values[state.x]), py = (p) => scaled(oy, p.values[state.y]);
    const near = points.filter((p) => p.front || p.perhaps || p.role);
    const limits = (axis, o) => data.limits.filter((l) => l.objective === axis).map((l) => scaled(o, l.most));
    const shown = state.all || near.length < 2 ? points : near;
    const scaleOf = (range) => (state.log && range[0] > 0 ? d3.scaleLog : d3.scaleLinear);
    const xs = domain(shown.map(px), limits(state.x, ox)), ys = domain(shown.map(py), limits(state.y, oy));
    const x = scaleOf(xs)(xs, [m.left, width - m.right]);
    const y = scaleOf(ys)(ys, [height - m.bottom, m.top]);
    const ticks = state.log ? [4, "~g"] : [narrow ? 4 : 8];
    const inside = (p) => px(p) <= x.domain()[1] && py(p) <= y.domain()[1] && px(p) >= x.domain()[0] && py(p) >= y.domain()[0];
    const svg = d3.create("svg").attr("width", width).attr("height", height).attr("role", "group")
      .attr("aria-label", `${ox.name} against ${oy.name}, ${points.length} points`);
    svg.append("g").selectAll("line").data(y.ticks(5)).join("line").attr("class", "gridline")
      .attr("x1", m.left).attr("x2", width - m.right).attr("y1", y).attr("y2", y);
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - m.bottom})`).call(d3.axisBottom(x).ticks(...ticks));
    svg.append("g").attr("class", "axis").attr("transform", `translate(${m.left},0)`).call(d3.axisLeft(y).ticks(5, state.log ? "~g" : null));
    svg.append("text").attr("x", width - m.right).attr("y", height - 10).attr("text-anchor", "end").text(`${label(ox)} →`);
    svg.append("text").attr("x", 4).attr("y", m.top - (failed ? 8 : 2)).text(`↑ ${label(oy)}`);
    for (const limit of data.limits) {
      const line = svg.append("line").attr("class", "limit");
      if (limit.objective === state.x) {
        const at = x(scaled(ox, limit.most));
        line.attr("x1", at).attr("x2", at).attr("y1", m.top).attr("y2", height - m.bottom);
        svg.append("text").attr("class", "limit-text").attr("x", at - 4).attr("y", m.top + 12).attr("text-anchor", "end").text(limit.words);
      } else if (limit.objective === state.y) {
        const at = y(scaled(oy, limit.most));
        line.attr("x1", m.left).attr("x2", width - m.right).attr("y1", at).attr("y2", at);
        svg.append("text").attr("class", "limit-text").attr("x", (width + m.left - m.right) / 2).attr("y", at - 4).attr("text-anchor", "middle").text(limit.words);
      } else line.remove();
    }
    const stair = points.filter((p) => p.front).sort((a, b) => px(a) - px(b));
    if (objectives.length === 2 && stair.length > 1)
      svg.append("path").attr("class", "stairs").attr("d", d3.line((p) => x(px(p)), (p) => y(py(p))).curve(d3.curveStepAfter)(stair));
    for (const p of near) {
      if (!p.low || !inside(p) || !(p.front || p.perhaps)) continue;
      const clip = (scale, v) => Math.max(Math.min(...scale.range()), Math.min(Math.max(...scale.range()), scale(v)));
      const end = (scale, i, side, o) => clip(scale, scaled(o, p[side][i]));
      if (p.low[state.x] !== null)
        svg.append("line").attr("class", "whisker").attr("y1", y(py(p))).attr("y2", y(py(p)))
          .attr("x1", end(x, state.x, "low", ox)).attr("x2", end(x, state.x, "high", ox));
      if (p.low[state.y] !== null)
        svg.append("line").attr("class", "whisker").attr("x1", x(px(p))).attr("x2", x(px(p)))
          .attr("y1", end(y, state.y, "low", oy)).attr("y2", end(y, state.y, "high", oy));
    }
    const order = (p) => (p.front ? 2 : p.perhaps ? 1 : 0);
    const drawn = points.filter(inside).sort((a, b) => order(a) - order(b));
    const dots = svg.append("g").selectAll("g").data(drawn).join("g")
      .attr("class", (p) => `point${p.front ? " front" : ""}${p.front && p.verdict !== "on" && data.isNoiseKnown ? " unsure" : ""}${p.perhaps ? " perhaps" : ""}${p === state.selected ? " selected" : ""}${p === state.compared ? " compared" : ""}`)
      .attr("data-id", (p) => p.id).attr("transform", (p) => `translate(${x(px(p))},${y(py(p))})`)
      .attr("tabindex", (p) => (p.front || p.perhaps || p.role ? 0 : null)).attr("role", "button").attr("aria-label", (p) => wordsOf(p).filter(Boolean).join(", "));
    dots.append("circle").attr("class", "hit").attr("r", 12);
    dots.append("circle").attr("class", "dot").attr("r", (p) => (p.front ? 6 : p.perhaps ? 4.5 : 3.5));
    dots.filter((p) => p.role).append("circle").attr("class", "ring").attr("r", 9);
    const tagged = drawn.filter((p) => p.role || p.handle), isFarRight = (p) => x(px(p)) > width * 0.7;
    svg.append("g").selectAll("text").data(tagged).join("text").attr("class", "tag")
      // To the left of what is far right the front comes in: above it.
      .attr("x", (p) => x(px(p)) + (isFarRight(p) ? 9 : 13)).attr("y", (p) => y(py(p)) + (isFarRight(p) ? -13 : 4))
      .attr("text-anchor", (p) => (isFarRight(p) ? "end" : "start")).attr("pointer-events", "none").text((p) => [p.handle, p.role].filter(Boolean).join(" · "));
    dots.on("pointerenter pointermove", (event, p) => showTip(wordsOf(p), event)).on("focus", (event, p) => showTip(wordsOf(p), event))
      .on("pointerleave blur", hideTip).on("click", (event, p) => pick(p, event.shiftKey))
      .on("keydown", (event, p) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(p, event.shiftKey); } });
    const out = points.filter((p) => !inside(p));
    svg.append("g").selectAll("path").data(out.length > 40 ? [] : out).join("path").attr("class", "outside").attr("d", d3.symbol(d3.symbolTriangle, 26)())
      .attr("transform", (p) => {
        const right = px(p) > x.domain()[1], top = py(p) > y.domain()[1];
        const cx = Math.max(m.left, Math.min(width - m.right, x(px(p)))), cy = Math.max(m.top, Math.min(height - m.bottom, y(py(p))));
        return `translate(${cx},${cy}) rotate(${right && top ? 45 : right ? 90 : top ? 0 : 180})`;
      })
      .on("pointerenter", (event, p) => showTip(wordsOf(p), event)).on("pointerleave", hideTip).on("click", (_, p) => select(p));
    if (failed) {
      svg.append("text").attr("x", width - m.right).attr("y", 12).attr("text-anchor", "end").attr("fill", "var(--soft)").text(`${data.failureCount} failed`);
      const room = width - m.left - m.right - 70, gap = Math.min(9, room / failures.length);
      svg.append("g").selectAll("path").data(failures).join("path").attr("class", "failure").attr("d", "M-3,-3L3,3M-3,3L3,-3")
        .attr("transform", (_, i) => `translate(${m.left + 6 + i * gap},8)`)
        .on("pointerenter", (event, f) => showTip([`${f.kind} · id ${shortId(f.id)}`, f.message, f.digits ? counts(f).map(([b, n]) => `${n} ${b}`).join(" · ") : ""], event))
        .on("pointerleave", hideTip).on("click", (_, f) => f.digits && select(f));
    }
    const focused = host.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    host.replaceChildren(svg.node());
    if (focused) svg.selectAll(".point").filter((p) => p.id === focused).node()?.focus({ preventScroll: true });
    const words = [];
    if (out.length && !state.all) words.push(`${out.length} point${out.length > 1 ? "s lie" : " lies"} outside${out.length > 40 ? "" : " (triangles)"}: “All points” shows them.`);
    if (data.leftOut) words.push(`${data.leftOut} of ${data.measured} measured points are left out of the picture, none of them near the front.`);
    byKey("left-out").textContent = words.join(" ");
  }

  function drawControls() {
    const host = byKey("front-controls");
    const group = document.createElement("span");
    group.className = "group";
    for (const [text, all] of [["Near the front", false], ["All points", true]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.setAttribute("aria-pressed", String(state.all === all));
      button.addEventListener("click", () => {
        state.all = all;
        for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
        drawFront();
      });
      group.append(button);
    }
    if (points.length > 2) host.append(group);
    const log = document.createElement("button");
    log.type = "button";
    log.id = "log";
    log.textContent = "Log axes";
    const near = points.filter((p) => p.front);
    state.log = [state.x, state.y].some((i) => near.length && d3.min(near, (p) => p.values[i]) > 0 && d3.max(near, (p) => p.values[i]) > 5 * d3.min(near, (p) => p.values[i]));
    log.setAttribute("aria-pressed", String(state.log));
    log.addEventListener("click", () => {
      state.log = !state.log;
      log.setAttribute("aria-pressed", String(state.log));
      drawFront();
    });
    if (points.length > 2) host.append(log);
    if (objectives.length > 2)
      for (const axis of ["x", "y"]) {
        const label = document.createElement("label"), choice = document.createElement("select");
        objectives.forEach((o, i) => choice.add(new Option(o.name, i, false, state[axis] === i)));
        choice.addEventListener("change", () => { state[axis] = Number(choice.value); drawFront(); });
        label.append(axis === "x" ? "across " : "up ", choice);
        host.append(label);
      }
    const legend = byKey("front-legend");
    const key = (kind, text) => {
      const span = document.createElement("span");
      const svg = d3.create("svg").attr("class", "key").attr("viewBox", "-7 -7 14 14");
      svg.append("g").attr("class", `point ${kind}`).append("circle").attr("class", "dot").attr("r", kind.startsWith("front") ? 5.5 : kind ? 4.5 : 3.5);
      span.append(svg.node(), text);
      legend.append(span);
    };
    key("front", data.isNoiseKnown ? "surely on the front" : "on the front");
    if (points.some((p) => p.front && p.verdict !== "on") && data.isNoiseKnown) key("front unsure", "likely, not decided");
    if (points.some((p) => p.perhaps)) key("perhaps", "perhaps");
    key("", "measured");
    if (data.isNoiseKnown) legend.append("lines: 95 % intervals");
  }

  // ---- the selected assignment, and the one that it is compared with
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
    const words = [p, state.compared].filter(Boolean).map((q) => q.handle || q.id).join(",");
    try { history.replaceState(null, "", `#${words}`); } catch { /* a page in a frame has no address of its own */ }
    const section = byKey("selected");
    section.hidden = false;
    byKey("selected-title").textContent = `${p.handle ? `${p.handle} · ` : ""}id ${shortId(p.id)}${p.role ? ` (${p.role})` : ""}`;
    drawTiles(p);
    drawConfiguration(p);
    const isDrawn = Boolean(p.digits) && operations.length > 0;
    for (const id of ["graph", "graph-title", "graph-words", "operations"]) byKey(id).hidden = !isDrawn;
    byKey("graph").style.display = isDrawn ? "" : "none";
    byKey("backends").replaceChildren(...(p.digits ? keyOf(p) : []));
    if (isDrawn) { drawGraph(p); drawTable(p); }
    // Beside the front it is in sight already.
    if (scroll && section.getBoundingClientRect().top > innerHeight * 0.7) section.scrollIntoView({ behavior: "smooth", block: "start" });
    hideTip();
  }
  function drawCompared(p, q) {
    const button = byKey("compare");
    button.setAttribute("aria-pressed", String(state.comparing));
    button.textContent = state.comparing ? "Click the other point" : q ? `Compared with ${nameOf(q)}: end` : "Compare with another point";
    button.hidden = !p.values || points.length < 2;
    byKey("compared").hidden = !q;
    if (!q) return;
    byKey("compared-title").textContent = `${nameOf(p)} against ${nameOf(q)}`;
    const changes = objectives.map((o, i) => {
      const ratio = q.values[i] ? p.values[i] / q.values[i] - 1 : 0;
      return `${o.name} ${ratio > 0 ? "+" : "−"}${Math.abs(100 * ratio).toFixed(1)} %`;
    });
    const settings = variables.map((v, i) => (v.isSetting && p.digits && q.digits && choiceOf(p, i) !== choiceOf(q, i) ? `${v.name} ${choiceOf(q, i)} → ${choiceOf(p, i)}` : "")).filter(Boolean);
    const known = p.digits && q.digits;
    const units = known && operations.length ? operations.map((o, i) => ({ name: `@${i} ${o.name}`, from: backendOf(q, o), to: backendOf(p, o), i, bytes: o.bytes }))
      : known ? variables.flatMap((v, i) => (v.isSetting ? [] : [{ name: v.name, from: choiceOf(q, i), to: choiceOf(p, i), i: -1 }])) : [];
    const moved = units.filter((u) => u.from !== u.to);
    byKey("compared-words").textContent = [...changes, ...settings, known ? `${moved.length} of ${units.length} operations run elsewhere` : "what ran where is not in this file"].join("; ") + ".";
    const table = document.createElement("table");
    const row = (cells, kind) => {
      const tr = document.createElement("tr");
      cells.forEach(([text, left]) => { const cell = document.createElement(kind); cell.textContent = text; if (left) cell.className = "left"; tr.append(cell); });
      return tr;
    };
    const time = (b, i) => (profiles[b] && profiles[b][i] !== undefined ? `${Number(profiles[b][i].toPrecision(3))} ms` : "–");
    table.createTHead().append(row([["operation", 1], [nameOf(q), 1], ["", 0], [nameOf(p), 1], ["", 0], ["in and out", 0]], "th"));
    const body = table.createTBody();
    moved.forEach((u) => body.append(row([[u.name, 1], [u.from || "runtime", 1], [time(u.from, u.i), 0], [u.to || "runtime", 1], [time(u.to, u.i), 0], [u.bytes ? bytes(u.bytes) : "–", 0]], "td")));
    byKey("compared-table").replaceChildren(...(moved.length ? [table] : []));
  }
  function keyOf(p) {
    const found = counts(p).map(([b, n]) => {
      const span = document.createElement("span"), swatch = document.createElement("i");
      swatch.className = "swatch";
      swatch.style.background = colour(b);
      span.append(swatch, `${b} · ${n} operation${n > 1 ? "s" : ""}`);
      return span;
    });
    return found.concat(settingsOf(p).map((text) => { const s = document.createElement("span"); s.textContent = text; return s; }));
  }
  function drawTiles(p) {
    const tile = (big, small) => {
      const box = document.createElement("div"), b = document.createElement("b"), s = document.createElement("span");
      box.className = "tile"; s.className = "soft"; b.textContent = big; s.textContent = small;
      box.append(b, s);
      return box;
    };
    const found = [];
    if (!p.values) found.push(tile(p.kind, p.message));
    else {
      const base = data.baseline && byId.get(data.baseline);
      objectives.forEach((o, i) => {
        const known = p.low && p.low[i] !== null && p.high[i] !== null;
        const spread = known ? `${figure(o, p.low[i])} to ${figure(o, p.high[i])}` : "";
        const against = base && base !== p && base.values[i] > 0 ? `${(100 * p.values[i] / base.values[i]).toFixed(1)} % of the baseline` : "";
        found.push(tile(figure(o, p.values[i]), [o.name, spread, against].filter(Boolean).join(" · ")));
      });
      if (data.isNoiseKnown && isUntold(p) && p.verdict === "open") found.push(tile("?", "no verdict"));
      else if (data.isNoiseKnown) found.push(tile(p.verdict === "on" ? "yes" : p.verdict === "off" ? "no" : `${Math.floor(100 * p.probability)} %`, p.verdict === "on" || p.verdict === "off" ? "on the front" : "on the front, not decided"));
    }
    byKey("tiles").replaceChildren(...found);
  }
  function drawConfiguration(p) {
    const host = byKey("configuration");
    const text = p.configuration;
    if (text === undefined) {
      const words = document.createElement("p");
      words.className = "soft";
      words.textContent = `Not on the front, so it is not in this file: pareto-profiler deploy RUN ${p.id} --format env writes it.`;
      host.replaceChildren(words);
      return;
    }
    const box = document.createElement("div"), pre = document.createElement("pre"), button = document.createElement("button");
    box.className = "copyable";
    pre.textContent = text;
    button.type = "button"; button.textContent = "Copy"; button.dataset.copy = "";
    box.append(pre, button);
    host.replaceChildren(box);
  }

  // ---- the graph
  const CELL = { width: 214, height: 26, rank: 18, across: 18 };
  let placed = null;
  // Laid out block by block between bottlenecks: operations that every path through the model passes.
  function layout() {
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
    const at = new Array(n), routes = new Map();
    let top = 0;
    for (let c = 0; c < cuts.length; c++) {
      const first = cuts[c], end = c + 1 < cuts.length ? cuts[c + 1] : n - 1;
      if (first === end) { if (c + 1 === cuts.length) at[first] = at[first] || { x: 0, y: top }; continue; }
      const g = new dagre.graphlib.Graph({ multigraph: true });
      g.setGraph({ nodesep: CELL.across, ranksep: CELL.rank, rankdir: "TB" });
      g.setDefaultEdgeLabel(() => ({}));
      const mine = edges.map((e, k) => [e, k]).slice(...range(first, end)).filter(([[a, b]]) => a >= first && b <= end);
      // A row of operations that feed nothing but each other is one tall node: there is less to lay out.
      const outs = d3.rollup(mine, (v) => v.length, ([[a]]) => a), ins = d3.rollup(mine, (v) => v.length, ([[, b]]) => b);
      const isInner = ([a, b]) => a < b && outs.get(a) === 1 && ins.get(b) === 1;
      const head = d3.range(n), rows = new Map();
      mine.filter(([e]) => isInner(e)).forEach(([[a, b]]) => { head[b] = head[a]; });
      for (let i = first; i <= end; i++) rows.set(head[i], [...(rows.get(head[i]) || []), i]);
      const step = CELL.height + CELL.rank;
      rows.forEach((row, h) => g.setNode(String(h), { width: CELL.width, height: step * row.length - CELL.rank }));
      mine.filter(([e]) => !isInner(e)).forEach(([[a, b], k]) => g.setEdge(String(head[a]), String(head[b]), {}, String(k)));
      dagre.layout(g);
      const placeOf = (h) => { const q = g.node(String(h)); return { x: q.x, y: q.y - (q.height - CELL.height) / 2 }; };
      const origin = placeOf(first);
      const dx = (at[first] ? at[first].x : 0) - origin.x, dy = (at[first] ? at[first].y : top) - origin.y;
      rows.forEach((row, h) => { const q = placeOf(h); row.forEach((i, k) => { at[i] = { x: q.x + dx, y: q.y + dy + k * step }; }); });
      // From below the producer to above the consumer, wherever in its row that is.
      const nearest = (i, x) => Math.max(at[i].x - CELL.width / 2 + 16, Math.min(at[i].x + CELL.width / 2 - 16, x));
      mine.forEach(([[a, b], k]) => {
        const bends = isInner([a, b]) ? [] : g.edge(String(head[a]), String(head[b]), String(k)).points.slice(1, -1).map((q) => [q.x + dx, q.y + dy]);
        const from = bends.length ? bends[0][0] : at[b].x, to = bends.length ? bends[bends.length - 1][0] : at[a].x;
        routes.set(k, [[nearest(a, from), at[a].y + CELL.height / 2], ...bends, [nearest(b, to), at[b].y - CELL.height / 2]]);
      });
      top = d3.max(at.slice(first, end + 1), (q) => q.y);
    }
    const x0 = d3.min(at, (q) => q.x) - CELL.width / 2 - 16, y0 = d3.min(at, (q) => q.y) - CELL.height / 2 - 12;
    at.forEach((q) => { q.x -= x0; q.y -= y0; });
    for (const route of routes.values()) for (const q of route) { q[0] -= x0; q[1] -= y0; }
    return { at, routes, width: d3.max(at, (q) => q.x) + CELL.width / 2 + 16, height: d3.max(at, (q) => q.y) + CELL.height / 2 + 12 };
  }
  // Edges are sorted by consumer: those of a block stand together.
  const consumers = edges.map((e) => e[1]);
  const range = (first, end) => [d3.bisectLeft(consumers, first + 1), d3.bisectRight(consumers, end)];

  function timeOf(p, i) {
    const b = backendOf(p, operations[i]);
    return b && profiles[b] ? profiles[b][i] : undefined;
  }
  function drawGraph(p) {
    const began = performance.now();
    placed = placed || layout();
    const { at, routes, width, height } = placed;
    const view = byKey("view"), kept = view.scrollTop;
    const svg = d3.create("svg").attr("width", width).attr("height", height).attr("role", "img").attr("aria-label", "the model's graph");
    const crossing = ([a, b]) => { const s = backendOf(p, operations[a]), t = backendOf(p, operations[b]); return s && t && s !== t; };
    const line = d3.line().curve(d3.curveBasis);
    svg.append("g").selectAll("path").data([...routes].sort((u, v) => crossing(edges[u[0]]) - crossing(edges[v[0]]))).join("path")
      .attr("class", ([k]) => (crossing(edges[k]) ? "edge crossing" : "edge")).attr("d", ([, route]) => line(route))
      .on("pointerenter", (event, [k]) => { const [a, b, size] = edges[k]; showTip([`@${a} → @${b}: ${bytes(size)}`, crossing(edges[k]) ? `handed over from ${backendOf(p, operations[a])} to ${backendOf(p, operations[b])}` : `stays on ${backendOf(p, operations[a]) || "the runtime's choice"}`], event); })
      .on("pointerleave", hideTip);
    const slowest = d3.max(operations, (_, i) => timeOf(p, i)) || 0;
    const nodes = svg.append("g").selectAll("g").data(operations).join("g").attr("class", "node").attr("data-operation", (_, i) => i)
      .attr("transform", (_, i) => `translate(${at[i].x - CELL.width / 2},${at[i].y - CELL.height / 2})`);
    const fill = (o) => { const b = backendOf(p, o); return b ? colour(b) : "var(--soft)"; };
    nodes.append("rect").attr("class", "back").attr("width", CELL.width).attr("height", CELL.height).attr("rx", 5).attr("stroke", fill);
    nodes.append("rect").attr("height", CELL.height).attr("rx", 5).attr("fill", fill).attr("fill-opacity", 0.28)
      .attr("width", (_, i) => (slowest ? Math.max(6, CELL.width * (timeOf(p, i) || 0) / slowest) : CELL.width));
    nodes.append("text").attr("x", 8).attr("y", 17).text((o, i) => `${i} ${o.name}`);
    nodes.append("text").attr("class", "time").attr("x", CELL.width - 8).attr("y", 17).attr("text-anchor", "end")
      .text((_, i) => (timeOf(p, i) === undefined ? "" : `${Number(timeOf(p, i).toPrecision(3))} ms`));
    nodes.on("pointerenter pointermove", (event, o) => showTip(wordsOfOperation(p, o), event)).on("pointerleave", hideTip);
    view.replaceChildren(svg.node());
    view.scrollTop = kept;
    drawStrip(p, slowest);
    const handed = edges.filter(crossing);
    byKey("graph-words").textContent = [
      `${operations.length} operations`,
      handed.length ? `${handed.length} tensor${handed.length > 1 ? "s are" : " is"} handed from one backend to another (thick lines), ${bytes(d3.sum(handed, (e) => e[2]))} in all` : "nothing is handed from one backend to another",
      slowest ? "the shade is as long as an operation takes on its backend in a traced run of its own" : "no profile: how long each operation takes was not traced",
    ].join("; ") + ".";
    byKey("graph").dataset.milliseconds = String(Math.round(performance.now() - began));
  }
  function wordsOfOperation(p, o) {
    const i = operations.indexOf(o), b = backendOf(p, o);
    const was = o.origin === null ? "" : `, @${o.origin} of the original`;
    return [`@${i} ${o.name} (${o.builtin}${was})`, b ? `on ${b}` : "where the runtime puts it",
      ...Object.keys(profiles).filter((c) => profiles[c][i] !== undefined).map((c) => `${Number(profiles[c][i].toPrecision(3))} ms on ${c}`),
      `${bytes(o.bytes)} in and out, ${bytes(o.weights)} of it weights`,
      o.variable >= 0 && variables[o.variable].count > 1 ? `decided with ${variables[o.variable].count - 1} more as ${variables[o.variable].name}` : ""];
  }
  function drawStrip(p, slowest) {
    const svg = d3.select("#strip"), n = operations.length;
    svg.attr("viewBox", `0 0 18 ${n}`).attr("preserveAspectRatio", "none");
    svg.selectAll("rect").data(operations).join("rect").attr("x", 0).attr("y", (_, i) => i).attr("height", 1.02)
      .attr("width", 18).attr("fill", (o) => { const b = backendOf(p, o); return b ? colour(b) : "var(--soft)"; })
      .attr("fill-opacity", (_, i) => (slowest ? 0.25 + 0.75 * Math.sqrt((timeOf(p, i) || 0) / slowest) : 0.8));
    svg.on("click", (event) => {
      const box = svg.node().getBoundingClientRect();
      const i = Math.max(0, Math.min(n - 1, Math.floor(n * (event.clientY - box.top) / box.height)));
      const view = byKey("view");
      view.scrollTo({ top: placed.at[i].y - view.clientHeight / 2, left: placed.at[i].x - view.clientWidth / 2 });
    });
  }
  function drawTable(p) {
    const names = Object.keys(profiles), table = document.createElement("table");
    const row = (cells, kind) => {
      const tr = document.createElement("tr");
      cells.forEach(([text, left]) => { const cell = document.createElement(kind); cell.textContent = text; if (left) cell.className = "left"; tr.append(cell); });
      return tr;
    };
    const head = table.createTHead(), body = table.createTBody();
    head.append(row([["", 0], ["operation", 1], ["runs on", 1], ...names.map((b) => [`${b} ms`, 0])], "th"));
    operations.forEach((o, i) => body.append(row([[`@${i}`, 0], [o.name, 1], [backendOf(p, o) || "runtime's choice", 1],
      ...names.map((b) => [profiles[b][i] === undefined ? "–" : profiles[b][i].toFixed(3), 0])], "td")));
    byKey("operations-table").replaceChildren(table);
  }

  // ---- the history
  function drawCurve(id, value, label) {
    const host = byKey(id), width = Math.max(260, host.clientWidth), height = 200;
    const m = { top: 18, right: 16, bottom: 40, left: 48 };
    if (!steps.length) return;
    const whole = steps.concat([{ ...steps[steps.length - 1], trials: data.trials, seconds: data.seconds }]);
    const x = d3.scaleLinear([0, d3.max(whole, value)], [m.left, width - m.right]);
    const y = d3.scaleLinear([0, 1.05 * d3.max(steps, (s) => s.hypervolume) || 1], [height - m.bottom, m.top]);
    const svg = d3.create("svg").attr("width", width).attr("height", height).attr("role", "img").attr("aria-label", `hypervolume over ${label}`);
    svg.append("g").selectAll("line").data(y.ticks(4)).join("line").attr("class", "gridline").attr("x1", m.left).attr("x2", width - m.right).attr("y1", y).attr("y2", y);
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - m.bottom})`).call(d3.axisBottom(x).ticks(5));
    svg.append("g").attr("class", "axis").attr("transform", `translate(${m.left},0)`).call(d3.axisLeft(y).ticks(4));
    svg.append("text").attr("x", width - m.right).attr("y", height - 8).attr("text-anchor", "end").text(`${label} →`);
    svg.append("text").attr("x", 4).attr("y", 11).text("↑ hypervolume");
    svg.append("path").attr("class", "curve").attr("d", d3.line((s) => x(value(s)), (s) => y(s.hypervolume)).curve(d3.curveStepAfter)(whole));
    host.replaceChildren(svg.node());
  }
  function drawHistory() {
    drawCurve("over-trials", (s) => s.trials, "trials");
    drawCurve("over-time", (s) => s.seconds, "seconds");
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      const pre = button.parentElement.querySelector("pre"), text = pre.textContent;
      const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
      const bySelection = () => { getSelection().selectAllChildren(pre); document.execCommand("copy"); done(); };
      if (navigator.clipboard && isSecureContext) navigator.clipboard.writeText(text).then(done, bySelection);
      else bySelection();
      return;
    }
    const row = event.target.closest("[data-point]");
    if (row) pick(byId.get(row.dataset.point), event.shiftKey, true);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("[data-point]")) pick(byId.get(event.target.dataset.point), event.shiftKey, true);
  });
  drawControls();
  byKey("compare").addEventListener("click", () => {
    if (state.compared) state.compared = null;
    else state.comparing = !state.comparing;
    if (state.comparing) drawCompared(state.selected, null);
    else select(state.selected);
  });
  const byHandle = new Map(points.filter((p) => p.handle).map((p) => [p.handle, p]));
  const asked = decodeURIComponent(location.hash.slice(1)).split(",").map((name) => byHandle.get(name) || byId.get(name));
  const first = asked[0] || byId.get(data.first);
  if (asked[0] && asked[1] && asked[1] !== first) state.compared = asked[1];
  if (first) select(first);
  else drawFront();
  drawHistory();
  let width = document.body.clientWidth;
  new ResizeObserver(() => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    drawFront();
    drawHistory();
  }).observe(document.body);
})();
