// Predict before you see: a reader may draw or type what she expects before she looks at a chart.
// Nothing is sent, and nothing kept but that she wants no more of it.
(() => {
  const kept = (...value) => {
    try {
      return localStorage[value.length ? "setItem" : "getItem"]("lab1-predict", ...value);
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const GO = { plain: "Predict first", asking: "Show the truth", answered: "Predict again" };
  const open = (place) => {
    const { at, title, unit, ticks, series } = JSON.parse(place.dataset.predict);
    const [low, high] = [ticks[0], ticks.at(-1)];
    const [tall, left, right, top, bottom] = [280, 56, 110, 16, 40];
    const cell = (name, row, k) => `<td><input type="number" min="0" max="100" step="any"
      name="${row} ${k}" aria-label="${name}, ${at[k]}, in ${unit}"></td>`;
    const lines = series.map(({ name }, row) => `<label><input type="radio" name="line"
      value="${row}"${row ? "" : " checked"}>${name}</label>`);
    const rows = series.map(({ name, style, values }, row) => `<tr class="lab1-${style}">
      <th scope="row">${name}</th><td>${values[0].toFixed(1)}</td>
      ${at.slice(1).map((_, k) => cell(name, row, k + 1)).join("")}</tr>`);
    place.innerHTML = `<form novalidate><div class="lab1-controls">
      <button name="go" class="lab1-first"></button><button type="button" name="off"></button>
      <span class="lab1-lines">${lines.length > 1 ? `Draw ${lines.join("")}` : ""}</span></div>
      <div class="lab1-panel"></div><p class="lab1-said" role="status"></p>
      <table><caption>Or type it, in ${unit}</caption><thead><tr><th scope="col">${title}</th>
      ${at.map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead>
      <tbody>${rows.join("")}</tbody></table></form>`;
    const form = place.querySelector("form");
    const [panel, said] = place.querySelectorAll(".lab1-panel, .lab1-said");
    const { go, off } = form.elements;
    const inputs = [...place.querySelectorAll("input[type=number]")];
    let [mode, guesses, wide] = ["plain", [], 0]; // or "asking", or "answered"
    const x = (k) => left + (k / (at.length - 1)) * (wide - left - right);
    const y = (value) => {
      const share = (high - Math.min(high, Math.max(low, value))) / (high - low);
      return top + share * (tall - top - bottom);
    };
    const text = (across, down, words, anchor) =>
      `<text x="${across}" y="${down}" text-anchor="${anchor}">${words}</text>`;
    const line = (values, name, kind) => {
      const points = values.map((value, k) => `${x(k)} ${y(value)}`);
      const length = kind === "truth" ? 'pathLength="1"' : "";
      return `<path class="lab1-line lab1-${kind}" ${length} d="M${points.join("L")}"/>
        ${text(x(values.length - 1) + 10, y(values.at(-1)) + 4, name, "start")}`;
    };
    const draw = () => {
      if (mode === "plain") return;
      wide = Math.max(280, panel.clientWidth);
      const asking = mode === "asking";
      const curves = series.map(({ name, style, values, halves }, row) => {
        const points = values.slice(0, asking ? 1 : undefined).map((value, k) => {
          const interval = `M${x(k)} ${y(value - halves[k])}V${y(value + halves[k])}`;
          return `<path class="lab1-line" d="${interval}"/>
            <circle cx="${x(k)}" cy="${y(value)}" r="4"/>`;
        });
        const guess = guesses[row] ? line(guesses[row], asking ? `${name}?` : "", "guess") : "";
        const truth = asking ? "" : line(values, name, "truth");
        return `<g class="lab1-${style}">${guess}${truth}${points.join("")}</g>`;
      });
      const axes = [
        ...ticks.map((tick) => `<path class="lab1-grid" d="M${left} ${y(tick)}H${wide - right}"/>`),
        ...ticks.map((tick) => text(left - 8, y(tick) + 4, `${tick} ${unit}`, "end")),
        ...at.map((name, k) => text(x(k), tall - 20, name, "middle")),
        text((left + wide - right) / 2, tall - 2, title, "middle"),
      ];
      panel.innerHTML = `<svg viewBox="0 0 ${wide} ${tall}" width="${wide}" height="${tall}"
        aria-hidden="true">${[...axes, ...curves].join("")}</svg>`;
    };
    const enter = (row, k, value) => {
      guesses[row] ??= at.map(() => series[row].values[0]);
      guesses[row][k] = value;
      draw();
    };
    const turn = (next, words) => {
      [mode, place.dataset.mode, said.textContent] = [next, next, words];
      go.textContent = GO[mode];
      go.hidden = kept() === "off";
      off.textContent = mode === "asking" ? "Cancel" : go.hidden ? "Offer predictions" : "Never offer this";
      draw();
    };
    // Of a line, where it is furthest from what was expected.
    const compared = ({ name, values, halves }, row) => {
      if (!guesses[row]) return "";
      const gaps = values.map((value, k) => Math.abs(value - guesses[row][k]) - halves[k]);
      const k = gaps.indexOf(Math.max(...gaps.slice(1)), 1);
      const [truth, gap] = [values[k], values[k] - guesses[row][k]];
      const points = `${Math.abs(gap).toFixed(1)} points ${gap < 0 ? "less" : "more"}`;
      const than = gaps[k] > 0 ? `${points} than you expected` : "as you expected";
      return `${name}, ${at[k]}${Number(at[k]) ? ` ${title}` : ""}: ${truth.toFixed(1)} ${unit}, ${than}. `;
    };
    const ask = () => {
      guesses = [];
      for (const input of inputs) input.value = "";
      turn("asking", "How does each line go on? Draw it, or type it below.");
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (mode !== "asking") return ask();
      turn("answered", series.map(compared).join("") || "You expected nothing; here it is.");
    });
    off.addEventListener("click", () => {
      if (mode !== "asking") kept(go.hidden ? "on" : "off");
      guesses = [];
      turn("plain", "");
    });
    form.addEventListener("input", ({ target: { type, name, value } }) => {
      if (type === "number" && value) enter(...name.split(" ").map(Number), Number(value));
    });
    const point = (event) => {
      if (mode !== "asking" || !event.buttons) return;
      const box = panel.getBoundingClientRect();
      const share = (event.clientX - box.left - left) / (wide - left - right);
      const k = Math.min(at.length - 1, Math.max(1, Math.round(share * (at.length - 1))));
      const down = (event.clientY - box.top - top) / (tall - top - bottom);
      const row = Number(form.elements.line?.value ?? 0);
      const value = high - Math.min(1, Math.max(0, down)) * (high - low);
      enter(row, k, Math.round(10 * value) / 10);
      form.elements[`${row} ${k}`].value = guesses[row][k].toFixed(1);
    };
    panel.addEventListener("pointerdown", (event) => panel.setPointerCapture(event.pointerId));
    for (const kind of ["pointerdown", "pointermove"]) panel.addEventListener(kind, point);
    new ResizeObserver(draw).observe(place);
    turn("plain", "");
    if (location.hash === "#predict") ask();
  };
  for (const place of document.querySelectorAll(".lab1-predict")) open(place);
})();
