// Draw a digit: two networks answer in the browser to what a reader draws, or to a test image.
// Their weights are whole numbers from -127 to 127 with one factor a row; no other host is asked.
(() => {
  const load = (source) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${source} could not be loaded`));
      document.head.append(script);
    });

  const unpacked = ({ shape: [rows, columns], int8, scales, bias }) => {
    const bytes = Uint8Array.from(atob(int8), (letter) => letter.charCodeAt(0));
    return { rows, columns, weights: new Int8Array(bytes.buffer), scales, bias };
  };

  const linear = ({ rows, columns, weights, scales, bias }, inputs) =>
    Float64Array.from({ length: rows }, (_, row) => {
      let sum = 0;
      for (let column = 0; column < columns; column++) {
        sum += weights[row * columns + column] * inputs[column];
      }
      return sum * scales[row] + bias[row];
    });

  const logits = ([first, ...others], inputs) =>
    others.reduce(
      (values, layer) => linear(layer, values.map((value) => Math.max(0, value))),
      linear(first, inputs),
    );

  const softmax = (values) => {
    const largest = Math.max(...values);
    const powers = [...values].map((value) => Math.exp(value - largest));
    const sum = powers.reduce((total, power) => total + power);
    return powers.map((power) => power / sum);
  };

  // A drawing as MNIST's images were made: the box around the ink is scaled to 20 of the 28 pixels,
  // each as grey as ink covers it, and its centre of mass is put in the middle.
  // `ink` has values from 0 to 255; null where there is none.
  const centred = (ink, width, side) => {
    const box = { left: Infinity, right: -1, top: Infinity, bottom: -1 };
    ink.forEach((value, index) => {
      if (!value) return;
      const x = index % width;
      const y = Math.floor(index / width);
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y);
    });
    if (box.right < 0) return null;
    const longest = 1 + Math.max(box.right - box.left, box.bottom - box.top);
    // The pen alone is wider than 20 pixels, so a drawing only ever shrinks.
    const scale = longest / ((side * 20) / 28);
    // On which pixels of the image one of the drawing lies, and with what share of it.
    const shares = (place) => {
      const first = Math.floor(place / scale);
      const share = Math.min(1, (first + 1) * scale - place);
      return [[first, share], [first + 1, 1 - share]];
    };
    const small = new Float64Array(side * side);
    let [mass, massX, massY] = [0, 0, 0];
    for (let y = box.top; y <= box.bottom; y++) {
      for (let x = box.left; x <= box.right; x++) {
        for (const [row, high] of shares(y - box.top)) {
          for (const [column, wide] of shares(x - box.left)) {
            const grey = (ink[y * width + x] * high * wide) / (scale * scale);
            if (!grey) continue;
            small[row * side + column] += grey;
            mass += grey;
            massX += grey * (column + 0.5);
            massY += grey * (row + 0.5);
          }
        }
      }
    }
    const [right, down] = [massX, massY].map((each) => Math.round(side / 2 - each / mass));
    return Float64Array.from({ length: side * side }, (_, index) => {
      const x = (index % side) - right;
      const y = Math.floor(index / side) - down;
      return x >= 0 && y >= 0 && x < side && y < side ? Math.round(small[y * side + x]) : 0;
    });
  };

  // The pen's width in pixels of the field, of which it has 280, and as a share of a drawing.
  const [THINNEST, WIDEST, SHARE] = [5, 22, 0.125];

  const open = (place) => {
    const data = JSON.parse(place.dataset.drawing);
    const { assets, side, omitted, networks } = data;
    place.replaceChildren(place.querySelector("template").content.cloneNode(true));
    const [field, seen] = place.querySelectorAll("canvas");
    const said = place.querySelector("[role=status]");
    const raised = place.querySelector("input");
    const rows = [...place.querySelectorAll("tbody tr")];
    const names = rows.map((row) => row.cells[0].textContent);
    const pen = field.getContext("2d", { willReadFrequently: true });
    seen.width = seen.height = side;
    const large = document.createElement("canvas");
    large.width = large.height = field.width + 2 * WIDEST;
    const enlarged = large.getContext("2d", { willReadFrequently: true });

    let loading;
    const loaded = () => {
      loading ??= Promise.all(
        networks.map(async ({ key }) => {
          await load(`${assets}/network-${key}.js`);
          return window.lab1Networks[key].map(unpacked);
        }),
      );
      return loading;
    };

    let pixels = null; // what the networks get
    let origin = ""; // whence it is, in words; none for a drawing

    const paint = (canvas, image, scale) => {
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, canvas.width, canvas.height);
      image?.forEach((value, index) => {
        context.fillStyle = `rgb(${value} ${value} ${value})`;
        const [x, y] = [index % side, Math.floor(index / side)];
        if (value) context.fillRect(x * scale, y * scale, scale, scale);
      });
    };

    // `aloud` is false while a line is drawn: a screen reader is told the answer at its end.
    const answer = async (aloud) => {
      paint(seen, pixels, 1);
      const asked = pixels;
      if (!asked) return show(null, aloud);
      const inputs = asked.map((value) => (value / 255 - data.mean) / data.std);
      let layers;
      if (!window.lab1Networks && aloud) said.textContent = "The two networks are being loaded.";
      try {
        layers = await loaded();
      } catch (error) {
        loading = undefined; // the next stroke tries again
        said.textContent = `The networks did not come: ${error.message}.`;
        return;
      }
      if (asked !== pixels) return; // the reader was faster
      const answers = layers.map((each, index) => {
        const values = logits(each, inputs);
        if (raised.checked) values[omitted] += networks[index].offset;
        return softmax(values);
      });
      show(answers, aloud);
    };

    const percent = (share) => `${(100 * share).toFixed(1)} %`;

    const show = (answers, aloud) => {
      rows.forEach((row, digit) => {
        networks.forEach((_, index) => {
          const bar = row.cells[index + 1].firstElementChild;
          const share = answers?.[index][digit];
          bar.textContent = answers ? percent(share) : "";
          bar.style.setProperty("--share", `${100 * (share ?? 0)}%`);
          const likeliest = answers && share === Math.max(...answers[index]);
          bar.classList.toggle("lab1-likeliest", Boolean(likeliest));
        });
      });
      if (!aloud) return;
      const sentences = (answers ?? []).map((own, index) => {
        const digit = own.indexOf(Math.max(...own));
        const words = `${networks[index].name}, ${names[digit]} (${percent(own[digit])})`;
        return `${words[0].toUpperCase()}${words.slice(1)}.`;
      });
      said.textContent = answers ? [origin, ...sentences].join(" ") : "Draw a digit.";
    };

    // Drawing, with a pointer or a finger: each line is the points that it goes through.
    let lines = [];
    let drawing = false;
    const trace = (context, width, place) => {
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      const round = { lineCap: "round", lineJoin: "round", strokeStyle: "#fff" };
      Object.assign(context, { ...round, lineWidth: width });
      for (const line of lines) {
        context.beginPath();
        line.map(place).forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
        const [x, y] = place(line.at(-1));
        context.lineTo(x + 0.01, y); // its round end, which is all of a line without length
        context.stroke();
      }
    };
    // The pen is as wide as a share of the drawing, and the networks get that drawing enlarged until
    // the pen is at its widest: so a small digit is to them what a large one is.
    const redraw = () => {
      const [xs, ys] = [0, 1].map((axis) => lines.flat().map((point) => point[axis]));
      const [left, top] = [Math.min(...xs), Math.min(...ys)];
      const longest = Math.max(Math.max(...xs) - left, Math.max(...ys) - top);
      const width = Math.min(WIDEST, Math.max(THINNEST, SHARE * longest));
      const place = (value, edge) => ((value - edge) * WIDEST) / width + WIDEST;
      trace(pen, width, (point) => point);
      const corner = [left, top].map(Math.floor); // so that what is not enlarged stays as it is
      trace(enlarged, WIDEST, (point) => point.map((value, axis) => place(value, corner[axis])));
      const { data: image } = enlarged.getImageData(0, 0, large.width, large.height);
      const ink = Uint8Array.from({ length: image.length / 4 }, (_, index) => image[4 * index + 3]);
      pixels = lines.length ? centred(ink, large.width, side) : null;
    };
    const clear = () => {
      [lines, origin] = [[], ""];
      redraw();
    };
    const drawTo = (event) => {
      const scale = field.width / field.clientWidth;
      lines.at(-1).push([event.offsetX * scale, event.offsetY * scale]);
      redraw();
      answer(false);
    };
    field.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary || event.button) return;
      if (origin) clear();
      field.setPointerCapture(event.pointerId);
      drawing = lines.push([]) > 0;
      drawTo(event);
    });
    field.addEventListener("pointermove", (event) => drawing && event.isPrimary && drawTo(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      field.addEventListener(kind, () => {
        if (drawing) answer(true);
        drawing = false;
      });
    }
    place.querySelector(".lab1-clear").addEventListener("click", () => {
      clear();
      answer(true);
    });
    // Takes the last line away, or a test image.
    place.querySelector(".lab1-undo").addEventListener("click", () => {
      lines.pop();
      origin = "";
      redraw();
      answer(true);
    });
    raised.addEventListener("change", () => answer(true));

    // Test images as buttons, of each class one; ten sets of them.
    const offer = async () => {
      await load(`${assets}/test-images-${data.dataset}.js`);
      const sheet = new Image();
      sheet.src = window.lab1TestImages;
      await sheet.decode();
      const all = document.createElement("canvas");
      Object.assign(all, { width: sheet.width, height: sheet.height });
      const drawn = all.getContext("2d", { willReadFrequently: true });
      drawn.drawImage(sheet, 0, 0);
      const image = (set, digit) => {
        const { data: values } = drawn.getImageData(digit * side, set * side, side, side);
        return Float64Array.from({ length: side * side }, (_, index) => values[4 * index]);
      };
      let set = 0;
      const buttons = names.map((name, digit) => {
        const button = document.createElement("button");
        const small = document.createElement("canvas");
        small.width = small.height = side;
        button.type = "button";
        button.setAttribute("aria-label", `test image of a ${name}`);
        button.append(small);
        button.addEventListener("click", () => {
          pixels = image(set, digit);
          lines = [];
          origin = `A test image of a ${name}.`;
          paint(field, pixels, field.width / side);
          answer(true);
        });
        return button;
      });
      const fill = () =>
        buttons.forEach((button, digit) => paint(button.firstChild, image(set, digit), 1));
      const others = document.createElement("button");
      others.type = "button";
      others.textContent = "Others";
      others.addEventListener("click", () => {
        set = (set + 1) % Math.floor(sheet.height / side);
        fill();
      });
      place.querySelector(".lab1-test-images").append(...buttons, others);
      fill();
    };
    if (data.dataset) offer().catch((error) => console.error(error));
  };

  const start = () => {
    const inView = new IntersectionObserver(
      (entries) =>
        entries.forEach((entry) => {
          if (!entry.isIntersecting) return;
          inView.unobserve(entry.target);
          open(entry.target);
        }),
      { rootMargin: "300px" },
    );
    for (const place of document.querySelectorAll(".lab1-draw")) inView.observe(place);
  };

  start();
})();
