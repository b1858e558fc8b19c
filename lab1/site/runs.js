// The page of all runs: a reader filters the table, ticks up to six configurations, and sees their
// curves together and in what they differ. What is ticked stands in the address, to be sent.
(() => {
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const rounded = (value) => Number(value.toPrecision(4));
  const lettered = (element, letters, colour) => {
    element.dataset.letter = letters;
    element.style.setProperty("--colour", colour);
    return element;
  };

  const start = () => {
    const { configurations, letters } = window.lab1Runs;
    const page = document.querySelector(".lab1-runs");
    const form = page.querySelector("form");
    const body = page.querySelector("tbody");
    const chart = page.querySelector(".lab1-chart");
    const template = chart.querySelector(".lab1-spec").textContent;
    const kinds = Object.keys(configurations[0].filters);
    const rows = new Map(); // of each configuration: its row, its box, and the text that is searched
    for (const each of configurations) {
      const row = document.getElementById(`runs-${each.group}`);
      const { title, filters, settings, facts, runs } = each;
      const values = [filters, settings, facts].flatMap(Object.values);
      const text = [title, ...values, ...runs.map((run) => run.key)].join(" ").toLowerCase();
      rows.set(each, [row, row.querySelector("input"), text]);
    }

    // What is ticked, by its letter: a configuration, or one of its runs that an address names.
    const ticked = new Map();
    const tick = (configuration, runs) => {
      const letter = Object.keys(letters).find((each) => !ticked.has(each));
      if (!letter) return false;
      const [{ seed, results, facts }] = runs;
      const single = { title: `${configuration.title}, seed ${seed}`, results, facts, spread: null };
      const whole = runs.length === configuration.runs.length;
      ticked.set(letter, { ...configuration, ...(!whole && single), runs, configuration });
      return true;
    };
    const lettersOf = (configuration) =>
      [...ticked.keys()].filter((each) => ticked.get(each).configuration === configuration);

    // The address: what is ticked by the keys of its runs, and what the form says.
    const write = () => {
      const stated = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
      const keys = [...ticked.values()].flatMap(({ runs }) => runs.map((run) => run.key));
      history.replaceState(null, "", `#${[stated, `runs=${keys}`].filter(String).join("&")}`);
    };

    // Returns what the address asks for and the page does not have.
    const read = () => {
      const [, group] = /^#runs-(\w+)$/.exec(location.hash) ?? [];
      const stated = new URLSearchParams(group ? "" : location.hash.slice(1));
      for (const field of form.elements) {
        const value = stated.get(field.name) ?? "";
        if (field.type === "checkbox") field.checked = value === field.value;
        else field.value = value;
        if (field.selectedIndex === -1) field.selectedIndex = 0;
      }
      const keys = stated.get("runs")?.split(",");
      const missing = new Set(keys?.filter(Boolean));
      ticked.clear();
      for (const [each, [row, box]] of rows) {
        const whole = each.group === group || (!group && !keys && box.defaultChecked);
        const runs = each.runs.filter((run) => whole || missing.has(run.key));
        const parts = runs.length === each.runs.length ? [runs] : runs.map((run) => [run]);
        for (const part of parts) {
          if (tick(each, part)) part.forEach((run) => missing.delete(run.key));
        }
      }
      body.prepend(...[...ticked.values()].map(({ configuration }) => rows.get(configuration)[0]));
      body.closest(".lab1-table").scrollTop = 0;
      return missing;
    };

    const showRows = () => {
      const words = form.elements.search.value.toLowerCase().split(/\s+/);
      let fitting = 0;
      for (const [each, [row, box, text]] of rows) {
        const fits =
          words.every((word) => text.includes(word)) &&
          kinds.every((kind) => ["", ...each.filters[kind]].includes(form.elements[kind].value));
        fitting += fits;
        const its = lettersOf(each);
        row.hidden = !fits && !its.length;
        box.checked = its.length > 0;
        box.indeterminate = box.checked && ticked.get(its[0]).runs.length < each.runs.length;
        box.disabled = !box.checked && ticked.size === Object.keys(letters).length;
        lettered(box.parentElement, its.join(""), letters[its[0]] ?? "transparent");
      }
      return fitting;
    };

    // The settings that differ come first; what is the same in all is said once, below.
    const showTable = () => {
      const items = [...ticked.values()];
      const same = [];
      const linesOf = (part) =>
        [...new Set(items.flatMap((each) => Object.keys(each[part])))].flatMap((name) => {
          const values = items.map((each) => each[part][name] ?? "none");
          if (items.length < 2 || part === "results" || new Set(values).size > 1) {
            return [[name, values]];
          }
          same.push(`${name} ${values[0]}`);
          return [];
        });
      const record = ({ key, file, seed, results }) => {
        const short = key.slice(0, 8); // enough for `lab1 verify`
        const name = file ? make("a", { href: file, title: key, textContent: short }) : short;
        return make("div", {}, `${seed}: ${results["Test accuracy (%)"]}, `, name);
      };
      const records = items.map(({ runs }) => make("div", {}, ...runs.map(record)));
      const lines = [...linesOf("settings"), ...linesOf("results"), ["Each seed", records]];
      const body = [...lines, ...linesOf("facts")].map(([name, values]) => {
        const cells = values.map((value) => make("td", {}, value));
        return make("tr", {}, make("th", { scope: "row", textContent: name }), ...cells);
      });
      const heading = ([letter, { title }]) =>
        lettered(make("th", { scope: "col", textContent: title }), letter, letters[letter]);
      const head = make("tr", {}, make("td"), ...[...ticked].map(heading));
      const box = make("div", { className: "lab1-table", tabIndex: 0 });
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "what differs, and what was found; may scroll");
      box.append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
      const common = same.length ? `The same in all: ${same.join("; ")}.` : "";
      const after = make("p", { className: "lab1-common", textContent: common });
      page.querySelector(".lab1-compared").replaceChildren(...(items.length ? [box, after] : []));
    };

    // A mean goes as far as all its seeds went, as by_epoch in lab1/reporting/curves.py has it.
    const averaged = (curves, spread) =>
      curves[0].map((_, epoch) => {
        const values = curves.map((curve) => curve[epoch]);
        if (values.some((each) => each == null)) return { value: null };
        const value = values.reduce((sum, each) => sum + each / values.length, 0);
        const squares = values.reduce((sum, each) => sum + (each - value) ** 2, 0);
        const half = spread * Math.sqrt(squares / (values.length - 1));
        const [low, high] = [value - half, value + half];
        return { value, low, high, interval: `${rounded(low)} to ${rounded(high)}` };
      });

    const rowsOf = ([letter, { runs, spread }]) => {
      const { series, curves } = window.lab1Curves;
      const mean = spread && !form.elements.seeds.checked;
      return series.flatMap((which, index) => {
        const each = runs.map((run) => curves[run.key][index]);
        const lines = mean
          ? [[`mean of ${runs.length} seeds`, averaged(each, spread)]]
          : runs.map(({ seed }, at) => [`seed ${seed}`, each[at].map((value) => ({ value, interval: "none" }))]);
        return lines.flatMap(([run, points]) =>
          points.map((point, at) => ({ training: letter, ...which, run, epoch: at + 1, ...point })),
        );
      });
    };

    let latest;
    const showChart = async () => {
      const mine = (latest = {});
      page.querySelector(".lab1-figure").hidden = !ticked.size;
      if (!ticked.size) return;
      await window.lab1Charts.load(page.dataset.assets, "curves-data");
      if (mine !== latest) return; // the reader was faster
      const log = !form.elements.axes.checked;
      const points = [...ticked].flatMap(rowsOf).filter(({ value }) => value > 0 || (value === 0 && !log));
      const lowest = {};
      for (const { panel, value } of points) lowest[panel] = Math.min(lowest[panel] ?? value, value);
      // As cut_at_zero in lab1/reporting/charts.py has it.
      for (const each of points) if (log && each.low) each.low = Math.max(each.low, lowest[each.panel] / 2);
      const spec = JSON.parse(template);
      spec.datasets = { [spec.data.name]: points };
      const used = [...ticked.keys()];
      const colours = { domain: used, range: used.map((each) => letters[each]) };
      for (const { encoding } of spec.spec.layer) {
        const linear = { scale: { ...encoding.y.scale, type: "linear", zero: false }, axis: {} };
        if (!log) Object.assign(encoding.y, linear);
        if (encoding.color) Object.assign(encoding.color.scale, colours);
      }
      const ends = points.filter((each, at) => !(points[at + 1]?.epoch > each.epoch));
      const said = ends.map((each) => {
        const { training, run, split, panel, value } = each;
        return `${training}, ${run}, ${split} ${panel}: ${rounded(value)}`;
      });
      chart.setAttribute("aria-label", `Curves by epoch. At the end: ${said.join("; ")}.`);
      await window.lab1Charts.show(chart, spec);
    };

    const show = (missing = []) => {
      const fitting = showRows();
      const full = ticked.size === Object.keys(letters).length ? "; six at most" : "";
      const absent = [...missing].join(", ");
      page.querySelector("[role=status]").textContent =
        `${fitting} of ${configurations.length} configurations fit; ${ticked.size} ticked${full}.` +
        (absent && ` Not on this site, or one too many: ${absent}.`);
      showTable();
    };
    const draw = () => showChart().catch((error) => console.error(error));

    page.addEventListener("input", ({ target }) => {
      const [each] = [...rows].find(([, [, box]]) => box === target) ?? [];
      if (each && target.checked) tick(each, each.runs);
      else if (each) lettersOf(each).forEach((letter) => ticked.delete(letter));
      write();
      show();
      if (each || target.type === "checkbox") draw();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    const follow = () => {
      show(read());
      draw();
    };
    window.addEventListener("hashchange", follow);
    show(read());
    if (!location.hash) return; // the picture is of what is ticked
    chart.querySelector(".lab1-view").style.visibility = "hidden"; // until the live chart stands
    draw();
  };

  start();
})();
