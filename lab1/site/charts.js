// Replaces the drawn SVG of each chart by a live one, when it comes into view.
// The Vega bundle lies beside this script; no other host is asked.
(() => {
  if (window.lab1Charts) return; // each chart names this script; once is enough
  window.lab1Charts = true;

  let bundle;
  const load = (assets) => {
    bundle ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${assets}/vega.js`;
      script.onload = () => resolve(window.vegaEmbed);
      script.onerror = () => reject(new Error(`${script.src} could not be loaded`));
      document.head.append(script);
    });
    return bundle;
  };

  // A specification is drawn for a wide page; on a narrow one, panels stand below each other and
  // a single chart takes the width there is.
  const fit = (drawn, width) => {
    // Six families in one row of a legend would be wider than a telephone.
    const entries = Math.max(1, Math.floor(width / 100));
    const config = { ...drawn.config, legend: { ...drawn.config?.legend, columns: entries } };
    const spec = width < 480 ? { ...drawn, config } : drawn;
    const panel = spec.spec?.width;
    if (panel) {
      const columns = Math.max(1, Math.min(spec.columns ?? 1, Math.floor(width / (panel + 60))));
      return { ...spec, columns, spec: { ...spec.spec, width: Math.min(panel, width - 80) } };
    }
    return { ...spec, width: "container", autosize: { type: "fit-x", contains: "padding" } };
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

  const draw = async (chart) => {
    const view = chart.querySelector(".lab1-view");
    const spec = JSON.parse(chart.querySelector(".lab1-spec").textContent);
    const embed = await load(chart.dataset.assets);
    const live = document.createElement("div");
    live.className = "lab1-view lab1-live";
    live.setAttribute("aria-hidden", "true"); // as the drawing's, its marks are named as a whole
    view.before(live); // measured in place; the SVG stays until the live chart stands
    try {
      // Interpreted (ast), since a site's policy may forbid code that is made of text.
      const options = { renderer: "svg", actions: false, ast: true };
      // What the reader turns stands beside the chart, which is one picture to a screen reader.
      const turns = (spec.params ?? []).some((each) => each.bind?.input);
      if (turns) options.bind = controls(chart);
      await embed(live, fit(spec, chart.clientWidth), options);
      view.remove();
      if (JSON.stringify(spec).includes('"bind":"scales"')) live.after(zooming());
    } catch (error) {
      live.remove();
      console.error(error);
    }
  };

  const start = () => {
    const observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (!entry.isIntersecting) continue;
          observer.unobserve(entry.target);
          draw(entry.target);
        }
      },
      { rootMargin: "300px" },
    );
    document.querySelectorAll(".lab1-chart").forEach((chart) => observer.observe(chart));
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
