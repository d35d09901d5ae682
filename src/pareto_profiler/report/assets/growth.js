// How the front grew: the hypervolume over the trials, and a slider that goes back.
function drawGrowth() {
  const host = byKey("growth"), width = Math.max(260, host.clientWidth), height = 96;
  if (!steps.length || data.trials < 3) { byKey("growth-box").hidden = true; return; }
  const m = { top: 8, right: 9, bottom: 20, left: 9 };
  const whole = steps.concat([{ ...steps[steps.length - 1], trials: data.trials, seconds: data.seconds }]);
  const x = d3.scaleLinear([1, data.trials], [m.left, width - m.right]);
  const y = d3.scaleLinear([0, d3.max(steps, (s) => s.hypervolume) || 1], [height - m.bottom, m.top]);
  const svg = d3.create("svg").attr("width", width).attr("height", height).attr("role", "img").attr("aria-label", "hypervolume over trials");
  const step = d3.line((s) => x(Math.max(1, s.trials)), (s) => y(s.hypervolume)).curve(d3.curveStepAfter);
  svg.append("path").attr("class", "under").attr("d", `${step(whole)}L${x(data.trials)},${y(0)}L${x(Math.max(1, whole[0].trials))},${y(0)}Z`);
  svg.append("path").attr("class", "curve").attr("d", step(whole));
  svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - m.bottom})`).call(d3.axisBottom(x).ticks(6).tickSize(3));
  svg.append("line").attr("class", "cursor").attr("y1", m.top - 4).attr("y2", height - m.bottom);
  svg.on("pointermove", (event) => { const s = stepAt(Math.round(x.invert(d3.pointer(event)[0]))); showTip([`after trial ${s.trials}, ${Math.round(s.seconds)} s`, `hypervolume ${s.hypervolume.toFixed(4)}`], event); })
    .on("pointerleave", hideTip).on("click", (event) => goTo(Math.round(x.invert(d3.pointer(event)[0]))));
  host.replaceChildren(svg.node());
  host.cursor = (n) => svg.select(".cursor").attr("x1", x(n)).attr("x2", x(n));
  sayGrowth();
}
const stepAt = (n) => [...steps].reverse().find((s) => s.trials <= n) || { trials: n, seconds: 0, hypervolume: 0 };
function sayGrowth() {
  const slider = byKey("until"), n = state.until;
  slider.value = n;
  const s = stepAt(n), share = n >= data.trials ? steps[steps.length - 1] : s;
  byKey("growth-words").textContent = n >= data.trials
    ? `all ${data.trials} trials, hypervolume ${share.hypervolume.toFixed(4)}`
    : `after ${n} of ${data.trials} trials: ${frontThen().length} points, hypervolume ${s.hypervolume.toFixed(4)}`;
  if (byKey("growth").cursor) byKey("growth").cursor(n);
}
function goTo(n) {
  state.until = Math.max(1, Math.min(data.trials, n));
  drawFront();
  sayGrowth();
}
let playing = null;
function play() {
  const button = byKey("play");
  if (playing) { clearInterval(playing); playing = null; button.textContent = "Play"; return; }
  button.textContent = "Stop";
  if (state.until >= data.trials) state.until = 1;
  const stride = Math.max(1, Math.round(data.trials / 100));
  playing = setInterval(() => {
    goTo(state.until + stride);
    if (state.until >= data.trials) play();
  }, 90);
}
function startGrowth() {
  const slider = byKey("until");
  slider.max = data.trials;
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  byKey("play").addEventListener("click", play);
  drawGrowth();
}
