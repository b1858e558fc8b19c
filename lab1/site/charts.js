// Replaces the picture of a chart by a live chart when a reader turns to it.
// The Vega bundle lies beside this script; no other host is asked.
(() => {
  if (window.lab1Charts) return; // each chart names this script; once is enough

  const loads = {};
  const load = (assets, name) => {
    if (window.vegaEmbed) return Promise.resolve(); // a page that is one file holds it
    loads[name] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${assets}/${name}.js`;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${script.src} could not be loaded`));
      document.head.append(script);
    });
    return loads[name];
  };

  // As lab1/reporting/figure.py fits a picture: panels fill the width, and so does a single chart.
  const fit = (drawn, width) => {
    // Six families in one row of a legend would be wider than a telephone.
    const entries = Math.max(1, Math.floor(width / 100));
    const layout = { top: { direction: "vertical", anchor: "start" } }; // one below another
    const legend = { ...drawn.config?.legend, columns: entries, layout };
    const config = { ...drawn.config, legend };
    const spec = width < 480 ? { ...drawn, config } : drawn;
    const panel = spec.spec?.width;
    if (!panel) {
      return { ...spec, width: "container", autosize: { type: "fit-x", contains: "padding" } };
    }
    const rows = spec.datasets[spec.data.name];
    const panels = new Set(rows.map((row) => String(row[spec.facet.field]))).size;
    const gap = spec.spacing?.column ?? 20; // with room for the names of lines
    const between = gap + (spec.resolve?.scale?.y === "independent" ? 55 : 0);
    const room = width - 70 - (gap - 20);
    const most = Math.floor((room + between) / (0.7 * panel + between));
    const columns = Math.max(1, Math.min(spec.columns ?? 1, panels, most));
    const share = Math.floor((room - between * (columns - 1)) / columns);
    return { ...spec, columns, spec: { ...spec.spec, width: share } };
  };

  const zooming = () => {
    const hint = document.createElement("p");
    hint.className = "lab1-zooming";
    hint.textContent = "Ctrl and the wheel zoom, Ctrl and dragging move, a double click resets.";
    return hint;
  };

  const controls = (chart) => {
    const beside = document.createElement("div");
    beside.className = "lab1-controls";
    chart.after(beside);
    return beside;
  };

  const drawn = new Map(); // of each live chart: its view, what it shows, and for which width
  const begun = new Map(); // of each chart that is to come alive: when it will be drawn

  const draw = (chart) => {
    if (!begun.has(chart)) begun.set(chart, enliven(chart));
  };

  const enliven = async (chart) => {
    const view = chart.querySelector(".lab1-view");
    const spec = JSON.parse(chart.querySelector(".lab1-spec").textContent);
    const live = document.createElement("div");
    live.className = "lab1-view lab1-live";
    live.setAttribute("aria-hidden", "true"); // as the picture's, its marks are named as a whole
    try {
      await load(chart.dataset.assets, "vega");
      view.before(live); // measured in place; the picture stays until the live chart stands
      // Interpreted (ast), since a site's policy may forbid code that is made of text.
      const options = { renderer: "svg", actions: false, ast: true, tooltip: { formatTooltip } };
      options.loader = { load: refuse, sanitize };
      // What the reader turns stands beside the chart, which is one picture to a screen reader.
      if (turns(spec)) options.bind = controls(chart);
      await embed(chart, live, spec, options);
      view.remove();
      if (JSON.stringify(spec).includes('"bind":"scales"')) chart.after(zooming());
    } catch (error) {
      live.remove();
      begun.delete(chart);
      console.error(error);
    }
  };

  // A chart's data are in it, and a mark that is clicked leads nowhere: `hold` shows what it says.
  const refuse = (address) => Promise.reject(new Error(`a chart asks for ${address}`));
  const sanitize = (href, { context }) => (context === "href" ? refuse(href) : Promise.resolve({ href }));

  const embed = async (chart, live, spec, options) => {
    drawn.get(chart)?.finalize();
    forget();
    const width = chart.clientWidth;
    const made = await window.vegaEmbed(live, fit(spec, width), options);
    drawn.set(chart, { ...made, live, spec, width, options });
  };

  // Draws something else in the place of what a chart shows, once that is drawn.
  const show = (chart, spec) => {
    const again = () => {
      const { live, options } = drawn.get(chart);
      return embed(chart, live, spec, options);
    };
    if (begun.has(chart)) begun.set(chart, begun.get(chart).then(again));
    else chart.querySelector(".lab1-spec").textContent = JSON.stringify(spec);
    draw(chart);
    return begun.get(chart);
  };

  // Panels are fitted again when the page's width has changed; a single chart follows by itself.
  const refit = () => {
    for (const [chart, { spec, width }] of drawn) {
      if (spec.spec && chart.clientWidth && chart.clientWidth !== width) show(chart, spec);
    }
  };
  let soon;
  window.addEventListener("resize", () => {
    clearTimeout(soon);
    soon = setTimeout(refit, 200);
  });

  const marks = (chart) =>
    [...chart.querySelectorAll(".lab1-live .role-mark *")].filter((each) => each.__data__?.tooltip);

  // What a mark says, without an interval that is not known.
  const known = (tooltip) => Object.entries(tooltip).filter(([, value]) => value !== "null");
  const said = (mark) => known(mark.__data__.tooltip);
  const formatTooltip = (tooltip, sanitize) => {
    const row = (pair) => pair.map((text, k) => `<td class="${k ? "value" : "key"}">${sanitize(text)}</td>`);
    return `<table>${known(tooltip).map((pair) => `<tr>${row(pair).join("")}</tr>`).join("")}</table>`;
  };

  const element = (kind, text = "") => Object.assign(document.createElement(kind), { textContent: text });

  // Where a reader taps or clicks, what the nearest mark says stays, with a link to its runs.
  const hold = (chart, { clientX: x, clientY: y, pointerType }) => {
    const apart = (mark) => {
      const box = mark.getBoundingClientRect();
      return Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
    };
    let [nearest, reach] = [null, pointerType === "touch" ? 24 : 2]; // pixels; of several the topmost
    for (const mark of marks(chart)) if (apart(mark) <= reach) [nearest, reach] = [mark, apart(mark)];
    if (!nearest) return;
    const tip = element("div");
    tip.className = "lab1-tip";
    tip.setAttribute("role", "status");
    const list = element("dl");
    for (const [name, value] of said(nearest)) list.append(element("dt", name), element("dd", value));
    tip.append(list);
    const { href } = nearest.__data__;
    if (href) tip.append(Object.assign(element("a", "To its runs"), { href }));
    chart.after(tip); // measured where it stands, and moved beside the finger
    const box = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(x + 12, document.documentElement.clientWidth - box.width - 8));
    const top = y + 12 + box.height > innerHeight ? y - 12 - box.height : y + 12;
    Object.assign(tip.style, { left: `${left - box.left}px`, top: `${top - box.top}px` });
  };

  const forget = () => document.querySelector(".lab1-tip")?.remove();
  document.addEventListener("click", (event) => event.target.closest(".lab1-tip") || forget(), true);
  document.addEventListener("keydown", (event) => event.key === "Escape" && forget());

  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 };

  // For the keyboard what a pointer does: arrows go from point to point and show what each says, Enter
  // follows it.  A screen reader hears a slider whose values are the points.
  const walk = (chart, spec) => {
    const slider = document.createElement("div");
    slider.className = "lab1-walk";
    slider.textContent = "Arrow keys: from point to point.";
    if (spec.includes('"href"')) slider.textContent += " Enter: to a point's runs.";
    slider.tabIndex = 0;
    let at = -1;
    const points = () => marks(chart);
    const point = (...kinds) => {
      const place = points()[at];
      const box = place?.getBoundingClientRect();
      const [clientX, clientY] = [box?.x + box?.width / 2, box?.y + box?.height / 2];
      const event = (kind) => new PointerEvent(kind, { bubbles: true, clientX, clientY });
      for (const kind of kinds) place?.dispatchEvent(event(kind));
    };
    const leave = () => point("pointerout", "mouseout");
    const tell = () => {
      const parts = at < 0 ? ["none yet"] : said(points()[at]).map((each) => each.join(": "));
      const value = { valuemin: 0, valuemax: points().length, valuenow: at + 1, valuetext: parts.join(", ") };
      for (const [name, text] of Object.entries(value)) slider.setAttribute(`aria-${name}`, text);
    };
    slider.setAttribute("role", "slider");
    slider.setAttribute("aria-label", `Points of the chart. ${slider.textContent}`);
    tell();
    slider.addEventListener("keydown", (event) => {
      const last = points().length - 1;
      const next = { Home: 0, End: last }[event.key] ?? at + steps[event.key];
      if (event.key === "Enter" && points()[at]?.__data__.href) location.assign(points()[at].__data__.href);
      if (event.key === "Escape") leave();
      if (last < 0 || Number.isNaN(next)) return;
      event.preventDefault();
      at = Math.min(last, Math.max(0, next));
      points()[at].scrollIntoView({ block: "nearest" });
      point("pointermove");
      tell();
    });
    slider.addEventListener("blur", leave);
    chart.before(slider);
  };

  window.lab1Charts = { load, show }; // for the page of all runs

  const turns = (spec) => (spec.params ?? []).some((each) => each.bind?.input);

  // A chart comes alive when a reader turns to it, by pointer, finger or keyboard, and not before:
  // the script that draws it weighs more than the page.  One with something to turn does so in view.
  const start = () => {
    const inView = new IntersectionObserver(
      (entries) => entries.forEach((entry) => entry.isIntersecting && draw(entry.target)),
      { rootMargin: "300px" },
    );
    for (const figure of document.querySelectorAll(".lab1-figure")) {
      const chart = figure.querySelector(".lab1-chart");
      const spec = chart.querySelector(".lab1-spec").textContent;
      if (spec.includes('"tooltip"')) walk(chart, spec);
      for (const kind of ["pointerenter", "focusin", "click"]) {
        figure.addEventListener(kind, (event) => {
          // A finger that only scrolls the page enters too.
          if (kind !== "pointerenter" || event.pointerType !== "touch") draw(chart);
          if (kind !== "click" || !chart.contains(event.target) || event.ctrlKey || event.metaKey) return;
          if (!event.target.closest(".role-legend")) begun.get(chart).then(() => hold(chart, event));
        });
      }
      if (turns(JSON.parse(spec))) inView.observe(chart);
    }
  };

  start();
})();
