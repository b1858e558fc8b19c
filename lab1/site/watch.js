// Watch depth fail: small networks train in the page, and it draws what they do.
// Nothing is loaded but the digits, nothing is sent, and there is no library.
(() => {
  // Perceptrons with the starts of the package's `MLP` and `ResidualMLP` (training/models/mlp.py),
  // torch's Adam, and a rate that falls as a cosine: one function, as its text goes to the worker.
  const trainer = (Numbers = Float32Array) => {
    // Numbers from 0 to 1 that a seed determines (mulberry32), and normal ones (Box & Muller).
    const stream = (seed) => () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
    const normal = (random) =>
      Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    // C = A B, of M rows and N columns, each number a sum of K products. The steps are those in A
    // to the next row and along a sum, and in B to the next column and along a sum. Eight sums at
    // a time stay in registers, which is three times as fast; so M is a multiple of 4, and N of 2.
    const multiply = (C, A, B, M, N, K, [down, along, right, below]) => {
      for (let m = 0; m < M; m += 4) {
        for (let n = 0; n < N; n += 2) {
          let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
          for (let k = 0, a = m * down, b = n * right; k < K; k++, a += along, b += below) {
            const p = A[a], q = A[a + down], r = A[a + 2 * down], s = A[a + 3 * down];
            const x = B[b], y = B[b + right];
            s0 += p * x; s1 += q * x; s2 += r * x; s3 += s * x;
            t0 += p * y; t1 += q * y; t2 += r * y; t3 += s * y;
          }
          const c = m * N + n;
          C[c] = s0; C[c + N] = s1; C[c + 2 * N] = s2; C[c + 3 * N] = s3;
          C[c + 1] = t0; C[c + N + 1] = t1; C[c + 2 * N + 1] = t2; C[c + 3 * N + 1] = t3;
        }
      }
    };
    // The layers of a network; weights are in values[input * columns + output].
    const network = ({ kind, depth, width, inputs, classes, seed }) => {
      const random = stream(seed);
      const names = ["values", "slope", "mean", "square"];
      const made = (size) => Object.fromEntries(names.map((name) => [name, new Numbers(size)]));
      return Array.from({ length: depth + 1 }, (_, index) => {
        const [rows, columns] = [index ? width : inputs, index < depth ? width : classes];
        const inner = index > 0 && index < depth;
        // He's factor 2 behind a ReLU; and between hidden layers, for a sum of branches, theirs.
        const scale = inner && kind !== "plain" ? (depth - 1) ** -0.5 : 1;
        const deviation = scale * Math.sqrt((index ? 2 : 1) / rows);
        const one = inner && kind === "identity" ? 1 : 0;
        const [weights, bias] = [made(rows * columns), made(columns)];
        weights.values.forEach((_, place, values) => {
          values[place] = normal(random) * deviation + (place % (columns + 1) ? 0 : one);
        });
        return { rows, columns, skips: inner && kind === "residual", weights, bias };
      });
    };
    // Room for `count` images: what enters each layer, what leaves it, and the loss's slopes there.
    const room = (layers, count) => ({
      labels: new Uint8Array(count),
      acts: layers.map(({ rows }) => new Numbers(count * rows)),
      sums: layers.map(({ columns }) => new Numbers(count * columns)),
      slopes: layers.map(({ columns }) => new Numbers(count * columns)),
    });
    const forward = (layers, { acts, sums }, count) =>
      layers.forEach(({ rows, columns, weights, bias, skips }, index) => {
        const [ins, outs, before] = [acts[index], sums[index], sums[index - 1]];
        for (let k = 0; index && k < count * rows; k++) ins[k] = before[k] > 0 ? before[k] : 0;
        multiply(outs, ins, weights.values, count, columns, rows, [rows, 1, 1, columns]);
        for (let n = 0, place = 0; n < count; n++) {
          for (let k = 0; k < columns; k++) outs[place++] += bias.values[k];
        }
        for (let k = 0; skips && k < count * columns; k++) outs[k] += before[k];
      });
    // Cross-entropy and share of right answers; the loss's slopes by the logits go into `slopes`.
    const score = (logits, labels, count, classes, slopes) => {
      let [loss, right] = [0, 0];
      for (let n = 0; n < count; n++) {
        const answer = logits.subarray(n * classes, (n + 1) * classes);
        let [best, sum] = [0, 0];
        for (let k = 1; k < classes; k++) if (answer[k] > answer[best]) best = k;
        for (let k = 0; k < classes; k++) sum += Math.exp(answer[k] - answer[best]);
        loss += Math.log(sum) + answer[best] - answer[labels[n]];
        right += best === labels[n];
        const slope = (k) => (Math.exp(answer[k] - answer[best]) / sum - (k === labels[n])) / count;
        for (let k = 0; slopes && k < classes; k++) slopes[n * classes + k] = slope(k);
      }
      return [loss / count, right / count];
    };
    // The loss's slopes by all weights, from the last layer to the first.
    const backward = (layers, { acts, sums, slopes }, count) => {
      for (let index = layers.length - 1; index >= 0; index--) {
        const { rows, columns, weights, bias, skips } = layers[index];
        const [after, before, sum] = [slopes[index], slopes[index - 1], sums[index - 1]];
        multiply(weights.slope, acts[index], after, rows, columns, count, [1, rows, 1, columns]);
        bias.slope.fill(0);
        for (let n = 0, place = 0; n < count; n++) {
          for (let k = 0; k < columns; k++) bias.slope[k] += after[place++];
        }
        if (!index) return;
        multiply(before, after, weights.values, count, rows, columns, [columns, 1, columns, 1]);
        for (let k = 0; k < count * rows; k++) {
          before[k] = (sum[k] > 0 ? before[k] : 0) + (skips ? after[k] : 0);
        }
      }
    };
    const adam = ({ values, slope, mean, square }, rate, step) => {
      const [first, second] = [1 - 0.9 ** step, Math.sqrt(1 - 0.999 ** step)];
      for (let k = 0; k < values.length; k++) {
        mean[k] += 0.1 * (slope[k] - mean[k]);
        square[k] += 0.001 * (slope[k] * slope[k] - square[k]);
        values[k] -= ((rate / first) * mean[k]) / (Math.sqrt(square[k]) / second + 1e-8);
      }
    };
    // A step of training at a time.
    function* training(choice, { images, labels, training: count, test }) {
      const { epochs, batch, rate, inputs, classes, seed } = choice;
      const layers = network(choice);
      const [space, others] = [room(layers, batch), room(layers, test)];
      const fill = (into, indices) =>
        indices.forEach((from, to) => {
          into.acts[0].set(images.subarray(from * inputs, (from + 1) * inputs), to * inputs);
          into.labels[to] = labels[from];
        });
      const tested = () => {
        forward(layers, others, test);
        return score(others.sums.at(-1), others.labels, test, classes)[1];
      };
      const order = Array.from({ length: count + test }, (_, index) => index);
      fill(others, order.splice(count));
      const random = stream(~seed); // whatever the network, a seed's images come in one order
      const steps = (epochs * count) / batch;
      for (let done = 0; done < steps; ) {
        const first = (done * batch) % count;
        for (let k = count - 1; first === 0 && k > 0; k--) {
          const other = Math.floor(random() * (k + 1));
          [order[k], order[other]] = [order[other], order[k]];
        }
        fill(space, order.slice(first, first + batch));
        forward(layers, space, batch);
        const [logits, slopes] = [space.sums.at(-1), space.slopes.at(-1)];
        const [loss] = score(logits, space.labels, batch, classes, slopes);
        backward(layers, space, batch);
        const now = (rate / 2) * (1 + Math.cos((Math.PI * done++) / steps));
        for (const { weights, bias } of layers) [weights, bias].forEach((w) => adam(w, now, done));
        yield { done, steps, loss, layers, space, tested };
      }
    }
    return { network, room, forward, backward, score, training };
  };

  // The worker: it trains several networks at once, a step of the one that is furthest behind at a
  // time, listens every 40 ms, and posts a line for each half epoch of each network.
  const pool = (tools) => {
    const lanes = new Map();
    let [digits, paused, busy] = [null, false, false];
    const size = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    const advance = (id, lane) => {
      const { value: step, done } = lane.steps.next();
      if (done) return lanes.delete(id);
      lane.done = step.done;
      lane.loss += step.loss / lane.every;
      const lengths = step.layers.map(({ weights }) => size(weights.slope) / lane.every);
      lane.gradient = lane.gradient.map((sum, k) => sum + lengths[k]);
      if (step.done % lane.every) return;
      const { loss, gradient } = lane;
      const [epoch, ended] = [step.done / lane.every / 2, step.done === step.steps];
      postMessage({ id, epoch, ended, loss, gradient, accuracy: step.tested() });
      lane.loss = 0;
      lane.gradient.fill(0);
    };
    const turn = () => {
      const until = performance.now() + 40;
      while (!paused && lanes.size && performance.now() < until) {
        advance(...[...lanes].reduce((one, other) => (other[1].done < one[1].done ? other : one)));
      }
      busy = !paused && lanes.size > 0;
      if (busy) setTimeout(turn);
    };
    onmessage = ({ data: message }) => {
      if (message.digits) ({ digits } = message);
      if ("paused" in message) ({ paused } = message);
      if (message.stop) lanes.clear();
      for (const { id, choice } of message.train ?? []) {
        const every = digits.training / choice.batch / 2;
        const gradient = Array(choice.depth + 1).fill(0);
        lanes.set(id, { steps: tools.training(choice, digits), every, gradient, loss: 0, done: 0 });
      }
      if (!busy) turn();
    };
  };

  // As a worker this file trains; a page opened from a file may start one of a text alone.
  if (typeof document === "undefined") return pool(trainer());
  const { src } = document.currentScript;
  const text = () => URL.createObjectURL(new Blob([`(${pool})((${trainer})())`]));
  const hire = () => new Worker(location.protocol === "file:" ? text() : src);

  const load = (src) =>
    new Promise((onload, reject) => {
      const onerror = () => reject(new Error(`${src} could not be loaded`));
      const script = Object.assign(document.createElement("script"), { src, onload, onerror });
      document.head.append(script);
    });
  // The digits of a picture, whose rows are images that end with their label, in two pixels of four
  // greys; as numbers of mean 0 and deviation 1 over those that are trained on.
  const unpacked = async (address, { training, test, inputs }) => {
    const sheet = Object.assign(new Image(), { src: address });
    await sheet.decode();
    const { width, height } = sheet;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(sheet, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const grey = (row, column) => Math.round(data[4 * (row * width + column)] / 85);
    const label = (_, row) => 4 * grey(row, inputs) + grey(row, inputs + 1);
    const labels = Uint8Array.from({ length: height }, label);
    if (labels.some((digit) => digit > 9)) throw new Error("this browser hides what pictures hold");
    const pixel = (_, place) => grey(Math.floor(place / inputs), place % inputs) / 3;
    const pixels = Float64Array.from({ length: height * inputs }, pixel);
    const known = pixels.subarray(0, training * inputs);
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length;
    const images = Float32Array.from(pixels, (value) => (value - mean) / Math.sqrt(variance));
    return { images, labels, training, test };
  };

  const NAMES = { plain: "plain", identity: "identity start", residual: "residual" };
  const STYLES = { plain: "plain", identity: "control", residual: "residual" };
  const percent = (share) => `${Math.round(100 * share)} %`;
  const alike = ({ choice: one }, { choice: other }) =>
    one.kind === other.kind && one.depth === other.depth;

  // What a chart shows of a run's line, and where between 0 and 1; `least` is the smallest loss.
  const CHARTS = (least, test) => {
    const height = (loss) => Math.min(1, Math.log(loss / least) / Math.log(4 / least));
    const losses = [3, 1, 0.3, 0.1, 0.03, 0.01].filter((tick) => tick >= least);
    const shares = [0, 0.25, 0.5, 0.75, 1];
    return [
      ["Training loss: lower is better", ({ loss }) => loss, height, losses, String],
      [`Accuracy on ${test} other digits`, ({ accuracy }) => accuracy, Number, shares, percent],
    ];
  };
  // A line for each run, deeper networks thicker; of like runs the last has its name at the end.
  const drawn = (runs, epochs, wide, [title, value, at, ticks, written]) => {
    const [high, left, right, top, bottom] = [270, 44, 126, 34, 32];
    const x = (epoch) => left + (epoch / epochs) * (wide - left - right);
    const y = (amount) => Math.round(top + (1 - at(amount)) * (high - top - bottom));
    const text = (where, height, words, anchor) =>
      `<text x="${where}" y="${height + 4}" text-anchor="${anchor}">${words}</text>`;
    const axes = [
      ...ticks.map((tick) => `<path class="lab1-grid" d="M${left} ${y(tick)}H${wide - right}"/>`),
      ...ticks.map((tick) => text(left - 8, y(tick), written(tick), "end")),
      ...[1, 2, 3].map((k) => text(x((k * epochs) / 3), high - 14, (k * epochs) / 3, "middle")),
      text(left, high - 14, "epoch", "start"),
    ];
    const ends = runs
      .filter(({ lines }) => lines.length)
      .map((run) => ({ ...run, run, end: y(value(run.lines.at(-1))) }))
      .sort((one, other) => one.end - other.end);
    const named = ends.filter(({ run }) => runs.findLast((other) => alike(run, other)) === run);
    // Names keep a distance: downwards from the top, then upwards from the bottom.
    named.forEach((each, k) => (each.name = Math.max(each.end, k ? named[k - 1].name + 17 : top)));
    const floor = high - bottom + 20;
    named.reduceRight((below, each) => (each.name = Math.min(each.name, below - 17)), floor);
    const curves = ends.map(({ choice: { kind, depth }, lines, end, name }) => {
      const points = lines.map((one) => `${x(one.epoch).toFixed(1)} ${y(value(one)).toFixed(1)}`);
      const tip = x(lines.at(-1).epoch);
      const thick = 1.25 + depth / 16;
      const label = `<circle cx="${tip}" cy="${end}" r="${thick + 1.2}"/>
        <path class="lab1-lead" d="M${tip} ${end}L${tip + 12} ${name}"/>
        ${text(tip + 16, name, `${NAMES[kind]} ${depth}`, "start")}`;
      return `<g class="lab1-${STYLES[kind]}"><path class="lab1-line${name ? "" : " lab1-earlier"}"
        stroke-width="${thick}" d="M${points.join("L")}"/>${name ? label : ""}</g>`;
    });
    return `<svg viewBox="0 0 ${wide} ${high}" width="${wide}" height="${high}" aria-hidden="true">
      <text class="lab1-name" y="12">${title}</text>${[...axes, ...curves].join("")}</svg>`;
  };
  // Gradients from 0.01 to 10, a bar for each layer, the first at the left.
  const bars = (norms) => {
    const heights = norms.map((norm) => Math.min(24, Math.max(1, 8 * (Math.log10(norm) + 2))));
    const all = heights.map((height, k) => `<path d="M${6 * k} 24v${-height}h5v${height}z"/>`);
    const frame = 'viewBox="0 0 198 24" preserveAspectRatio="none" aria-hidden="true"';
    return `<svg class="lab1-bars" ${frame}>${all.join("")}</svg>`;
  };
  const CURES = [
    ["residual", "layers with skip connections"],
    ["identity", "plain layers with an identity start"],
  ];
  // What the runs of the last one's seed show, in words.
  const told = (runs) => {
    const { depth, seed } = runs.at(-1).choice;
    const like = runs.filter(({ choice }) => choice.seed === seed);
    const loss = (kind, depth) =>
      like.findLast((run) => alike(run, { choice: { kind, depth } }))?.lines.at(-1).loss.toFixed(2);
    const few = Math.min(...like.map(({ choice: c }) => (c.kind === "plain" ? c.depth : depth)));
    const [deep, shallow] = [loss("plain", depth), loss("plain", few)];
    const worse = Number(deep) > Number(shallow);
    const why = worse ? "These are the very digits they are shown: it is not overfitting. " : "";
    const than = few < depth ? ` learn ${worse ? "" : "no "}worse than ${few}` : "";
    const against = few < depth ? ` against ${shallow}. ${why}` : ". ";
    const first = deep ? `${depth} plain layers${than}: training loss ${deep}${against}` : "";
    const ends = ([kind, words]) => `${depth} ${words}: loss ${loss(kind, depth)}. `;
    return first + CURES.filter(([kind]) => loss(kind, depth)).map(ends).join("");
  };

  const open = (place) => {
    const { digits: address, setting, recorded } = JSON.parse(place.dataset.watch);
    let runs = recorded; // until a reader trains her own
    place.append(place.querySelector("template").content.cloneNode(true));
    const form = place.querySelector("form");
    const { networks, depth, seed, go, stop } = form.elements;
    const [progress, said] = place.querySelectorAll(".lab1-progress, .lab1-said");
    const panels = place.querySelectorAll(".lab1-panel");
    const body = place.querySelector("tbody");
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    let [batch, worker, paused, began, due] = [[], null, false, 0, 0];
    const draw = () => {
      due = 0;
      const least = Math.min(0.05, ...runs.flatMap((run) => run.lines.map(({ loss }) => loss)));
      CHARTS(least, setting.test).forEach((chart, k) => {
        const wide = Math.max(280, panels[k].clientWidth);
        panels[k].innerHTML = drawn(runs, setting.epochs, wide, chart);
      });
      for (const { row, lines } of runs.filter((run) => run.lines.length)) {
        const { loss, accuracy, gradient } = lines.at(-1);
        row.cells[1].innerHTML = bars(gradient);
        row.cells[2].textContent = loss.toFixed(2);
        row.cells[3].textContent = percent(accuracy);
      }
    };
    const drawSoon = () => (due ||= requestAnimationFrame(draw));
    const enter = (run) => {
      const { kind, depth, seed } = run.choice;
      run.row = Object.assign(body.insertRow(), { className: `lab1-${STYLES[kind]}` });
      run.row.innerHTML = `<th scope="row">${NAMES[kind]}, ${depth} <small>seed ${seed}</small></th>
        <td></td><td></td><td></td>`;
    };
    const choices = () => {
      const asked = { ...setting, depth: Number(depth.value), seed: seed.valueAsNumber | 0 || 1 };
      if (networks.value !== "all") return [{ ...asked, kind: networks.value }];
      const shallow = asked.depth > 2 ? [{ ...asked, kind: "plain", depth: 2 }] : [];
      return [...shallow, ...Object.keys(NAMES).map((kind) => ({ ...asked, kind }))];
    };
    const state = () => {
      const many = networks.value === "all" ? `these ${choices().length}` : "this one";
      go.textContent = paused ? "Go on" : batch.length ? "Pause" : `▶ Train ${many}`;
      stop.textContent = batch.length ? "Stop" : "Clear";
      form.querySelector("output").value = depth.value;
    };
    // What is chosen stands in the address, to be sent.
    const write = () => {
      history.replaceState(null, "", `#${new URLSearchParams(new FormData(form))}`);
    };
    const read = () => {
      const stated = new URLSearchParams(location.hash.slice(1));
      for (const field of [networks, depth, seed]) {
        if (stated.has(field.name)) field.value = stated.get(field.name);
      }
      if (networks.selectedIndex < 0) networks.selectedIndex = 0;
      state();
    };
    const clear = () => {
      [runs, said.textContent] = [[], ""];
      body.replaceChildren();
    };
    const end = (words) => {
      [batch, paused, progress.textContent] = [[], false, words];
      state();
    };
    const heard = ({ data: { id, ended, ...line } }) => {
      const run = batch.find((one) => one.id === id);
      if (!run) return; // it was stopped
      run.ended = ended;
      run.lines.push(line);
      const { epochs } = setting;
      const least = Math.min(...batch.map(({ lines }) => lines.at(-1)?.epoch ?? 0));
      const spent = (performance.now() - began) / 1000;
      const more = least < 1 ? "" : `, ${Math.ceil((spent * epochs) / least - spent)} s to go`;
      if (!paused) progress.textContent = `Epoch ${Math.ceil(least)} of ${epochs}${more}`;
      if (batch.every((one) => one.ended)) {
        said.textContent = told(runs.filter((one) => one.ended));
        end(`Trained in ${Math.ceil(spent)} s.`);
        draw();
      } else if (!still.matches || line.epoch % 3 === 0) drawSoon();
    };
    const train = async () => {
      const asked = choices().map((choice) => ({ id: Math.random(), choice, lines: [] }));
      [batch, began, progress.textContent] = [asked, 0, "Loading the digits"];
      state();
      write();
      try {
        if (!window.lab1Digits) await load(address);
        const digits = worker ? undefined : await unpacked(window.lab1Digits, setting);
        if (asked !== batch) return; // it was stopped
        worker ??= hire();
        worker.onmessage = heard;
        worker.onerror = () => end("This browser starts no worker, so nothing can train here.");
        if (!runs[0]?.id) clear(); // the recorded ones
        said.textContent = "In training. Which line falls fastest?";
        worker.postMessage({ digits, train: asked });
        asked.forEach(enter);
        runs.push(...asked);
        began = performance.now();
      } catch (error) {
        end(`The digits did not come: ${error.message}.`);
      }
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!batch.length) return train();
      if (!began) return; // the digits are on their way
      paused = !paused;
      began = performance.now() - began; // in a pause, how long it took so far
      worker.postMessage({ paused });
      state();
    });
    stop.addEventListener("click", () => {
      worker?.postMessage({ stop: true, paused: false });
      for (const run of batch) if (!run.ended) run.row?.querySelector("small").append(", stopped");
      if (!batch.length) clear();
      end(batch.length ? "Stopped." : "");
      draw();
    });
    form.addEventListener("input", () => {
      state();
      write();
    });
    window.addEventListener("hashchange", read);
    new ResizeObserver(drawSoon).observe(place);
    runs.forEach(enter);
    said.textContent = told(runs);
    read();
    window.lab1Watch = { trainer, unpacked, setting, runs: () => runs }; // for the tests
  };
  for (const place of document.querySelectorAll(".lab1-watch")) open(place);
})();
