// Tables that are sorted by a click on a column's name, and what is folded away.
function makeSortable(table) {
  for (const [k, head] of [...table.tHead.rows[0].cells].entries()) {
    if (!head.textContent.trim()) continue;
    const button = element("button", { type: "button", className: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const isUp = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
      const value = (row) => { const cell = row.cells[k], text = cell.dataset.value ?? cell.textContent.trim(); return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text; };
      const rows = [...table.tBodies[0].rows].sort((a, b) => d3.ascending(value(a), value(b)) * (isUp ? 1 : -1));
      table.tBodies[0].append(...rows);
    });
  }
}
function startTables() {
  for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
  const more = byKey("more");
  if (more) more.addEventListener("click", () => {
    const isOpen = byKey("front-table").classList.toggle("whole");
    more.setAttribute("aria-expanded", String(isOpen));
    more.textContent = isOpen ? "Show only the front" : more.dataset.words;
  });
}
