// What begins it all, and listens.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button && (button.copies || button.dataset.copy !== undefined)) {
    const pre = button.parentElement.querySelector("pre"), text = pre.textContent;
    const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
    const bySelection = () => { getSelection().selectAllChildren(pre); document.execCommand("copy"); done(); };
    if (navigator.clipboard && isSecureContext) navigator.clipboard.writeText(text).then(done, bySelection);
    else bySelection();
    return;
  }
  const row = event.target.closest("[data-point]");
  if (row && byId.has(row.dataset.point)) pick(byId.get(row.dataset.point), event.shiftKey, true);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[data-point]")) pick(byId.get(event.target.dataset.point), event.shiftKey, true);
});
byKey("compare").addEventListener("click", () => {
  if (state.compared) state.compared = null;
  else state.comparing = !state.comparing;
  if (state.comparing) drawCompared(state.selected, null);
  else select(state.selected);
});
byKey("fit").addEventListener("click", fitGraph);
for (const [id, factor] of [["graph-in", 1.4], ["graph-out", 1 / 1.4]]) byKey(id).addEventListener("click", () => moving.svg.call(moving.zoom.scaleBy, factor));
// On paper the operations stand as a table.
window.addEventListener("beforeprint", () => { byKey("operations").open = true; });
const asked = recall();
const firstShown = asked[0] || byId.get(data.first);
if (asked[0] && asked[1] && asked[1] !== firstShown) state.compared = asked[1];
drawControls();
startTables();
if (firstShown) select(firstShown);
else drawFront();
startGrowth();
let bodyWidth = document.body.clientWidth;
new ResizeObserver(() => {
  if (document.body.clientWidth === bodyWidth) return;
  bodyWidth = document.body.clientWidth;
  drawFront();
  drawGrowth();
}).observe(document.body);
// A page that is made again while a search goes on says where its newest state is.
const live = document.querySelector("meta[name=live]");
if (live) setInterval(async () => {
  try {
    const answer = await fetch(live.content, { cache: "no-store" });
    if (answer.ok && Number(await answer.text()) > data.trials) location.reload();
    document.body.classList.remove("ended");
  } catch { document.body.classList.add("ended"); }
}, 2000);
// How long it took until the page could be used, for benchmarks.
document.body.dataset.ready = String(Math.round(performance.now()));
