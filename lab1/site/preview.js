// The preview's pages, whose policy may forbid scripts within them: theme, menus, what scrolls.
// Before the first paint: the reader's choice of theme, else what the system prefers.
(() => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  let choice = null;
  root.classList.add("scripted");
  try { choice = localStorage.getItem("theme"); } catch { /* storage may be forbidden */ }
  const wear = (theme) => {
    root.dataset.bsTheme = theme;
    document.getElementById("theme-toggle")?.setAttribute("aria-pressed", theme === "dark");
  };
  const wearChoice = () => wear(choice ?? (dark.matches ? "dark" : "light"));
  wearChoice();
  dark.addEventListener("change", wearChoice);
  addEventListener("beforeprint", () => wear("light"));
  addEventListener("afterprint", wearChoice);
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme-toggle");
    button.hidden = false;
    button.addEventListener("click", () => {
      choice = root.dataset.bsTheme === "dark" ? "light" : "dark";
      try { localStorage.setItem("theme", choice); } catch { /* for this page only */ }
      wearChoice();
    });
    wearChoice();
    // What may be wider than the page scrolls by itself, by the keyboard too.
    document.querySelectorAll("pre, math[display=block]").forEach((wide) => { wide.tabIndex = 0; });
    // The menus stand open where there is room beside the text.
    for (const [menu, room] of [[".sidebar > details", "56rem"], [".toc > details", "78rem"]]) {
      const details = document.querySelector(menu), wide = matchMedia(`(min-width: ${room})`);
      const fit = () => { if (details) details.open = wide.matches; };
      details?.classList.add("fitted");
      wide.addEventListener("change", fit);
      fit();
    }
  });
})();
