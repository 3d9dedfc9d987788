// Draws the report's figures, follows the reader's colours, and switches runs on and off in all figures at once.
// A trace names its runs in meta.runs: it is shown while one of them is on, or if it has none. Nothing is asked from
// outside the page.
(async () => {
  "use strict";
  async function unpacked(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (sign) => sign.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }
  if (matchMedia("(max-width: 640px)").matches) {
    document.querySelector("details.switches")?.removeAttribute("open"); // they would push the figures off a phone
  }
  let figures;
  try {
    const plotly = document.createElement("script");
    plotly.textContent = await unpacked("plotly");
    document.head.append(plotly);
    figures = JSON.parse(await unpacked("figures"));
  } catch (error) {
    document.getElementById("undrawn").hidden = false;
    document.documentElement.setAttribute("data-drawn", 0);
    throw error;
  }
  const boxes = [...document.querySelectorAll("input[name=run]")];
  const platforms = [...document.querySelectorAll("details.platform")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const TITLE = 20, BOTTOM = 46, TOP = 30, PRINTED = 680, LEAF = 800, NARROW = 520, PANEL = 150; // pixels
  const config = { displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const place = (id) => document.getElementById(id);
  const isOn = () => new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const shows = (runs, on) => runs.length === 0 || runs.some((run) => on.has(run));

  function colours(layout) {
    const css = getComputedStyle(document.documentElement);
    const of = (name) => css.getPropertyValue(name).trim();
    const changes = {
      "font.color": of("--ink"), paper_bgcolor: of("--card"), plot_bgcolor: of("--card"),
      "hoverlabel.bgcolor": of("--paper"), "hoverlabel.bordercolor": of("--line"), "hoverlabel.font.color": of("--ink"),
      "modebar.color": of("--dim"), "modebar.activecolor": of("--accent"), "modebar.bgcolor": "rgba(0,0,0,0)",
    };
    for (const axis of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
      Object.assign(changes, {
        [`${axis}.gridcolor`]: of("--grid"), [`${axis}.linecolor`]: of("--line"), [`${axis}.zerolinecolor`]: of("--line"),
      });
    }
    return changes;
  }

  // Panels that are shown share the height from the top; the others vanish, title and all.
  function packed(figure, on) {
    if (!figure.panels.length) return { height: figure.height + TOP };
    const shown = figure.panels.map((run) => on.has(run));
    const rows = Math.max(1, shown.filter(Boolean).length);
    const inner = rows * (figure.height + TITLE);
    const changes = { height: inner + BOTTOM + TOP };
    let row = 0;
    figure.panels.forEach((_, number) => {
      const axis = `yaxis${number ? number + 1 : ""}`;
      const top = 1 - (row * (figure.height + TITLE) + TITLE) / inner;
      changes[`${axis}.visible`] = shown[number];
      changes[`annotations[${number}].visible`] = shown[number];
      changes[`${axis}.domain`] = shown[number] ? [Math.max(0, top - figure.height / inner), top] : [0, 1e-3];
      row += shown[number];
    });
    return changes;
  }

  function assign(layout, changes) {
    for (const [path, value] of Object.entries(changes)) {
      const keys = path.replace(/\[(\d+)\]/g, ".$1").split(".");
      const last = keys.pop();
      keys.reduce((at, key) => (at[key] ??= {}), layout)[last] = value;
    }
    return layout;
  }

  function draw(figure) {
    const layout = Object.assign({
      showlegend: false, width: place(figure.id).clientWidth, hovermode: "closest", barmode: "overlay",
      margin: { l: 54, r: 14, t: TOP, b: BOTTOM, autoexpand: true },
      font: { size: 12, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: { namelength: -1, align: "left" },
      // A finger that scrolls the page must not zoom; the bar above the figure still does.
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    }, figure.layout);
    for (const axis of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
      layout[axis] = { automargin: true, ...layout[axis] };
    }
    if (layout.grid && layout.width < NARROW) { // small panels stand below one another
      const panels = layout.grid.rows * layout.grid.columns;
      layout.grid = { ...layout.grid, rows: panels, columns: 1 };
      figure.height = PANEL * panels;
    }
    const on = isOn();
    assign(layout, { ...packed(figure, on), ...colours(layout) });
    const traces = figure.traces.map((trace) => ({ ...trace, visible: shows(trace.meta.runs, on) }));
    return Plotly.newPlot(place(figure.id), traces, layout, config);
  }

  // Figures inside a fold are drawn when it is opened for the first time.
  const isDrawn = ({ id }) => place(id).data !== undefined;
  const isFolded = ({ id }) => place(id).closest("details.singles:not([open])") !== null;

  function switched() {
    const on = isOn();
    place("count").textContent = `${on.size} of ${boxes.length}`;
    for (const each of platforms) {
      const box = each.querySelector("input[name=platform]");
      const own = [...each.querySelectorAll("input[name=run]")].map((run) => run.checked);
      box.checked = own.every(Boolean);
      box.indeterminate = !box.checked && own.some(Boolean);
    }
    for (const figure of figures.filter(isDrawn)) {
      const visible = figure.traces.map((trace) => shows(trace.meta.runs, on));
      if (visible.some((shown, number) => shown !== place(figure.id).data[number].visible)) {
        Plotly.update(place(figure.id), { visible }, packed(figure, on));
      }
    }
  }

  const recolour = () => figures.filter(isDrawn).forEach((figure) =>
    Plotly.relayout(place(figure.id), colours(place(figure.id).layout)));

  // Not Plotly's own "responsive": it stops once a height has been set, and packing sets one.
  function resized() {
    for (const { id } of figures.filter(isDrawn)) {
      const plot = place(id);
      if (plot.clientWidth && plot.clientWidth !== plot.layout.width && !printing()) {
        Plotly.relayout(plot, { width: plot.clientWidth });
      }
    }
  }

  const printing = () => document.documentElement.classList.contains("printing");
  let opened = [];
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    opened = [...document.querySelectorAll("details:is(.data, .doubts, .tables):not([open])")]
      .filter((each) => !each.closest(".singles:not([open])"));
    opened.forEach((each) => { each.open = true; });
    for (const { id } of figures.filter(isDrawn)) { // none is higher than a leaf
      const { layout } = place(id);
      Plotly.relayout(place(id), { ...colours(layout), width: PRINTED, height: Math.min(layout.height, LEAF) });
    }
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    opened.forEach((each) => { each.open = false; });
    const on = isOn();
    figures.filter(isDrawn).forEach((figure) =>
      Plotly.relayout(place(figure.id), { ...colours(place(figure.id).layout), ...packed(figure, on) }));
    resized();
  });
  dark.addEventListener("change", () => recolour());
  boxes.forEach((box) => box.addEventListener("change", switched));
  for (const [id, checked] of [["all", true], ["none", false]]) {
    place(id)?.addEventListener("click", () => { boxes.forEach((box) => { box.checked = checked; }); switched(); });
  }
  for (const each of platforms) {
    const box = each.querySelector("input[name=platform]");
    box.addEventListener("change", () => {
      each.querySelectorAll("input[name=run]").forEach((run) => { run.checked = box.checked; });
      switched();
    });
  }
  for (const fold of document.querySelectorAll("details.singles")) {
    fold.addEventListener("toggle", () => {
      const asked = figures.filter((figure) => fold.contains(place(figure.id)) && !isDrawn(figure));
      if (fold.open) { asked.forEach(draw); }
    });
  }
  const shown = figures.filter((figure) => !isFolded(figure));
  Promise.all(shown.map(draw)).then(() => {
    const observer = new ResizeObserver(() => requestAnimationFrame(resized));
    figures.forEach(({ id }) => observer.observe(place(id)));
    document.documentElement.setAttribute("data-drawn", shown.length);
  });
})();
