// Makes the tables that say so sortable: a button in each heading, by the keyboard too.
// Without this script the tables are there all the same, in their own order.
(() => {
  if (window.lab1Tables) return; // each table names this script; once is enough

  // What a cell sorts by: a number where its column holds numbers ("1,024", "98.2 ± 0.1"), else its
  // text. A cell without one ("", "diverged") gives undefined and stands last either way.
  const value = (cell, numeric) => {
    const text = cell.textContent.trim();
    if (!numeric) return text === "" ? undefined : text;
    const number = Number.parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? undefined : number;
  };

  const compare = (first, second, descending) => {
    if (first === undefined || second === undefined) {
      return (first === undefined) - (second === undefined);
    }
    const order =
      typeof first === "number"
        ? first - second
        : first.localeCompare(second, undefined, { numeric: true });
    return descending ? -order : order;
  };

  const sort = (table, column, descending) => {
    const headings = [...table.tHead.rows[0].cells];
    const numeric = headings[column].classList.contains("number");
    const rows = [...table.tBodies[0].rows].map((row) => [value(row.cells[column], numeric), row]);
    rows.sort(([first], [second]) => compare(first, second, descending));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    headings[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  };

  const equip = (table) => {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => {
        sort(table, column, heading.getAttribute("aria-sort") === "ascending");
      });
      heading.append(button);
    });
  };

  window.lab1Tables = { compare, value };
  document.querySelectorAll(".lab1-sortable table").forEach(equip);
})();
