"use strict";
// Draws the charts, once for each theme, and again where their room changed much.
(() => {
  const told = JSON.parse(document.getElementById("charts").textContent);
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  async function draw(place) {
    const config = structuredClone(isDark() ? told.dark : told.light);
    const room = place.clientWidth;
    config.legend.columns = room < 420 ? 1 : room < 760 ? 2 : 4;
    const name = place.dataset.chart;
    const drawn = await vegaEmbed(place, told.specs[name], {
      mode: "vega-lite",
      renderer: "svg",
      config,
      downloadFileName: name,
      actions: { export: true, source: false, compiled: false, editor: false },
    });
    place.querySelector("details > summary")?.setAttribute("aria-label", `Save the chart ${name}`);
    return drawn;
  }

  async function drawAll() {
    document.body.removeAttribute("data-drawn");
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark()));
    // One after another: the page stays usable while a long report draws itself.
    for (const place of document.querySelectorAll("[data-chart]")) await draw(place);
    document.body.dataset.drawn = String(Object.keys(told.specs).length);
  }

  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    drawAll();
  });
  system.addEventListener("change", drawAll);
  drawAll();
})();
