// Filters and sorting of the tables of results; without it everything is shown in the order of the file.
"use strict";
for (const table of document.querySelectorAll("table.results")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], form = table.closest("section").querySelector(".filters");
  for (const row of body.rows) [...row.cells].forEach((cell, n) => { cell.dataset.title = heads[n].textContent; });
  if (!form) continue;
  form.hidden = body.rows.length < 2;
  const output = form.querySelector("output");
  const filter = () => {
    const words = form.text.value.toLowerCase().split(/[\s,]+/).filter(Boolean), most = parseFloat(form.cost.value);
    let shown = 0;
    for (const row of body.rows) {
      const {text, level, cost, date} = row.dataset;
      const fits = words.every(word => text.includes(word)) && Number(level) >= Number(form.level.value)
        && (Number.isNaN(most) || (cost !== "" && Number(cost) <= most)) && (!form.since.value || date >= form.since.value);
      row.hidden = !fits;
      row.style.display = fits ? "" : "none";
      shown += fits;
    }
    output.textContent = `${shown} of ${body.rows.length}`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", event => event.preventDefault());
  filter();
  const value = cell => { const text = cell.textContent.trim(), number = parseFloat(text.replace(/,/g, "")); return Number.isNaN(number) || /^\d{4}-/.test(text) ? text : number; };
  heads.forEach((head, n) => {
    head.setAttribute("aria-sort", "none");
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const x = value(a.cells[n]), y = value(b.cells[n]);
        const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;  // what is not known comes last
        return up || typeof x !== typeof y ? order : -order;
      });
      body.append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } });
  });
}
document.documentElement.setAttribute("data-drawn", "");
