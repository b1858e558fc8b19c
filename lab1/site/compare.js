// Runs side by side: a reader picks configurations and their seeds, and sees the curves together and
// what differs in the settings. What is picked stands in the address, so that a view can be sent.
(() => {
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const link = (href, text) => make("a", { href, textContent: text });

  const start = () => {
    const page = document.querySelector(".lab1-compare");
    const { configurations, series, chart, letters } = window.lab1Runs;
    const places = Object.keys(letters);
    const kinds = Object.keys(configurations[0].filters);
    const assets = page.dataset.assets;

    // Of each configuration that is picked: its letter, and the keys of its runs that are shown.
    const picked = new Map();
    const filters = Object.fromEntries(kinds.map((kind) => [kind, ""]));

    // The form: what the list is filtered by, and the list.
    const selects = new Map();
    const form = make("div", { className: "lab1-controls" });
    for (const kind of kinds) {
      const all = configurations.flatMap((each) => each.filters[kind]);
      const options = [...new Set(all)];
      options.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
      const select = make("select", {}, make("option", { value: "", textContent: "all" }));
      select.append(...options.map((value) => make("option", { value, textContent: value })));
      select.addEventListener("change", () => {
        filters[kind] = select.value;
        update();
      });
      selects.set(kind, select);
      form.append(make("label", {}, kind[0].toUpperCase() + kind.slice(1), select));
    }
    const clear = make("button", { type: "button", textContent: "Take all away" });
    clear.addEventListener("click", () => {
      picked.clear();
      update();
    });
    form.append(clear);

    const items = new Map();
    const list = make("ul", { className: "lab1-choice" });
    for (const configuration of configurations) {
      const box = make("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        if (box.checked) pick(configuration, configuration.runs.map((run) => run.key));
        else picked.delete(configuration);
        update();
      });
      const mark = make("b", { className: "lab1-letter" });
      const item = make("li", {}, make("label", {}, box, mark, configuration.title));
      items.set(configuration, { item, box, mark, seeds: new Map() });
      list.append(item);
    }

    // The boxes of its seeds are made when a configuration is first picked.
    const offerSeeds = (configuration) => {
      const { item, seeds } = items.get(configuration);
      if (seeds.size || configuration.runs.length < 2) return;
      const group = make("span", { className: "lab1-seeds" });
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", `Seeds of ${configuration.title}`);
      for (const run of configuration.runs) {
        const box = make("input", { type: "checkbox" });
        box.addEventListener("change", () => {
          const { keys } = picked.get(configuration);
          if (box.checked) keys.add(run.key);
          else keys.delete(run.key);
          if (!keys.size) picked.delete(configuration);
          update();
        });
        seeds.set(run.key, box);
        group.append(make("label", {}, box, `seed ${run.seed}`));
      }
      item.append(group);
    };

    const pick = (configuration, keys) => {
      const taken = [...picked.values()].map((each) => each.letter);
      const letter = places.find((each) => !taken.includes(each));
      if (letter) picked.set(configuration, { letter, keys: new Set(keys) });
    };

    const said = make("p", { className: "lab1-common" });
    said.setAttribute("role", "status");
    const drawing = make("div");
    const table = make("div");
    page.replaceChildren(form, list, said, drawing, table);
    window.lab1Charts.walk(drawing, JSON.stringify(chart));

    const runsOf = ([configuration, { letter, keys }]) =>
      configuration.runs.filter((run) => keys.has(run.key)).map((run) => ({ ...run, letter }));

    // The address: the picked runs by their keys, and what the list is filtered by.
    const write = () => {
      const stated = new URLSearchParams();
      for (const kind of kinds) if (filters[kind]) stated.set(kind, filters[kind]);
      const keys = [...picked].flatMap(runsOf).map((run) => run.key);
      const parts = [stated.toString(), keys.length ? `runs=${keys.join(",")}` : ""];
      const hash = parts.filter(Boolean).join("&");
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    };

    // Returns what the address asks for and the page does not have.
    const read = () => {
      const stated = new URLSearchParams(location.hash.slice(1));
      for (const kind of kinds) {
        const has = [...selects.get(kind).options].some((each) => each.value === stated.get(kind));
        filters[kind] = has ? stated.get(kind) : "";
      }
      picked.clear();
      const missing = [];
      for (const key of new Set((stated.get("runs") ?? "").split(",").filter(Boolean))) {
        const owner = configurations.find((each) => each.runs.some((run) => run.key === key));
        if (owner && !picked.has(owner)) pick(owner, []);
        if (picked.has(owner)) picked.get(owner).keys.add(key);
        else missing.push(key);
      }
      return missing;
    };

    const showList = () => {
      let fitting = 0;
      for (const [configuration, { item, box, mark, seeds }] of items) {
        const mine = picked.get(configuration);
        const fits = kinds.every(
          (kind) => !filters[kind] || configuration.filters[kind].includes(filters[kind]),
        );
        fitting += fits;
        item.hidden = !fits && !mine;
        box.checked = Boolean(mine);
        box.disabled = !mine && picked.size === places.length;
        mark.textContent = mine?.letter ?? "";
        mark.style.setProperty("--colour", mine ? letters[mine.letter] : "transparent");
        if (mine) offerSeeds(configuration);
        for (const [key, seed] of seeds) seed.checked = Boolean(mine?.keys.has(key));
        item.classList.toggle("lab1-picked", Boolean(mine));
      }
      for (const [kind, select] of selects) select.value = filters[kind];
      clear.disabled = !picked.size;
      return fitting;
    };

    // The settings of a configuration, and on what these runs of it were trained.
    const factsOf = (configuration, runs) => {
      const facts = { ...configuration.settings };
      for (const name of new Set(runs.flatMap((run) => Object.keys(run.facts)))) {
        facts[name] = [...new Set(runs.map((run) => run.facts[name]))].join(" / ");
      }
      return facts;
    };

    // What is the same in all is said once; what differs is a row.
    const showTable = () => {
      if (!picked.size) return table.replaceChildren();
      const columns = [...picked].map((each) => [each[0], runsOf(each)]);
      const rows = [];
      for (const name of Object.keys(columns[0][1][0].results)) {
        rows.push([name, columns.map(([, runs]) => runs.map((run) => run.results[name]).join(", "))]);
      }
      const files = ({ file, seed }) => (file ? link(file, `seed ${seed}`) : `seed ${seed}`);
      const listed = (runs) => runs.flatMap((run, index) => [index ? ", " : "", files(run)]);
      rows.push(["Records", columns.map(([, runs]) => make("span", {}, ...listed(runs)))]);
      const same = [];
      const stated = columns.map(([each, runs]) => factsOf(each, runs));
      for (const name of new Set(stated.flatMap((facts) => Object.keys(facts)))) {
        const values = stated.map((facts) => facts[name] ?? "none");
        if (columns.length > 1 && values.every((value) => value === values[0])) {
          same.push(`${name} ${values[0]}`);
        } else rows.push([name, values]);
      }
      const heading = ([configuration]) => {
        const { letter } = picked.get(configuration);
        const mark = make("b", { className: "lab1-letter", textContent: letter });
        mark.style.setProperty("--colour", letters[letter]);
        const name = link(`runs.html#runs-${configuration.group}`, configuration.title);
        return make("th", { scope: "col" }, mark, " ", name);
      };
      const head = make("tr", {}, make("td"), ...columns.map(heading));
      const body = rows.map(([name, values]) => {
        const cells = values.map((value) => make("td", {}, value));
        return make("tr", {}, make("th", { scope: "row", textContent: name }), ...cells);
      });
      const box = make("div", { className: "lab1-table", tabIndex: 0 });
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "what was found, and what differs; may scroll");
      box.append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
      const common = make("p", { className: "lab1-common" });
      if (same.length) common.textContent = `The same in all: ${same.join("; ")}.`;
      table.replaceChildren(box, common);
    };

    // The last point of a curve has the letter of its run.
    const rowsOf = (run) =>
      run.curves.flatMap((values, index) => {
        const last = values.findLastIndex((value) => value !== null);
        const common = { ...series[index], training: run.letter, run: run.key };
        return values.flatMap((value, at) => {
          if (value === null) return [];
          return { ...common, epoch: at + 1, value, ...(at === last && { name: run.letter, end: value }) };
        });
      });

    const alternative = (runs) => {
      const ends = runs.flatMap((run) =>
        run.curves.flatMap((values, index) =>
          values.length && values.at(-1) !== null
            ? `${run.letter}, seed ${run.seed}, ${series[index].split} ${series[index].panel}: ` +
              values.at(-1)
            : [],
        ),
      );
      return `Curves by epoch. In the last epoch: ${ends.join("; ")}.`;
    };

    let shown; // the chart that stands, and for which runs and width
    let latest = 0;
    const showChart = async () => {
      const mine = ++latest;
      const runs = [...picked].flatMap(runsOf);
      const used = [...picked.values()].map((each) => each.letter);
      const spec = structuredClone(chart);
      spec.datasets = { [spec.data.name]: runs.flatMap(rowsOf) };
      for (const layer of spec.spec.layer) {
        const scale = layer.encoding.color?.scale;
        if (scale) Object.assign(scale, { domain: used, range: used.map((each) => letters[each]) });
      }
      const embed = runs.length ? await window.lab1Charts.load(assets) : null;
      if (mine !== latest) return; // the reader was faster
      shown?.finalize();
      drawing.replaceChildren();
      shown = undefined;
      drawing.className = runs.length ? "lab1-chart" : "";
      if (!runs.length) return;
      drawing.setAttribute("role", "img");
      drawing.setAttribute("aria-label", alternative(runs));
      const live = make("div", { className: "lab1-view lab1-live" });
      live.setAttribute("aria-hidden", "true");
      drawing.append(live);
      const width = drawing.clientWidth;
      const options = { renderer: "svg", actions: false, ast: true };
      const made = await embed(live, window.lab1Charts.fit(spec, width), options);
      if (mine === latest) shown = { ...made, width };
      else made.finalize();
    };

    const show = (missing = []) => {
      const fitting = showList();
      const count = [...picked].flatMap(runsOf).length;
      said.textContent = [
        `${fitting} of ${configurations.length} configurations fit; `,
        `${picked.size} chosen, with ${count} ${count === 1 ? "run" : "runs"}.`,
        picked.size === places.length ? " No more can be told apart: take one away first." : "",
        missing.length ? ` Not on this site, or one too many: ${missing.join(", ")}.` : "",
      ].join("");
      showTable();
      showChart().catch((error) => console.error(error));
    };
    const update = () => {
      write();
      show();
    };

    const follow = () => {
      show(read());
      const [first] = list.getElementsByClassName("lab1-picked"); // it may stand below what is seen
      if (first) list.scrollTop += first.getBoundingClientRect().top - list.getBoundingClientRect().top;
    };
    window.addEventListener("hashchange", follow);
    let soon;
    window.addEventListener("resize", () => {
      clearTimeout(soon);
      soon = setTimeout(() => shown && drawing.clientWidth !== shown.width && showChart(), 200);
    });
    follow();
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
