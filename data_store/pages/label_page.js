"use strict";
// Shows the images of the page to one person, in an order of their own, and keeps what they say:
// in this browser after every answer, and as a CSV file whenever they save it.
(() => {
  const page = JSON.parse(document.getElementById("page").textContent);
  const COLUMNS = ["rater", "image_id", "image", "rating", "seconds", "rated_at", "page", "position"];
  const at = (id) => document.getElementById(id);
  const byId = new Map(page.images.map((image) => [image.id, image]));
  const words = new Map(page.scale.map(([value, word]) => [value, word]));
  const lastRater = `leaf-iqa ${page.id} last rater`;

  let rater = "";
  let order = [];
  let given = {}; // image id: {rating: 1 to 5 or null, seconds, rated_at}
  let place = 0;
  let keeps = true; // whether this browser keeps what it is told
  let unsaved = false;
  let watch = { seconds: 0, since: null };

  // What a browser keeps

  const keyOf = (name) => `leaf-iqa ${page.id} ratings of ${name}`;

  const memory = new Map(); // in its place, where the browser refuses

  function read(key) {
    try {
      return localStorage.getItem(key) ?? memory.get(key) ?? null;
    } catch {
      return memory.get(key) ?? null;
    }
  }

  function write(key, text) {
    memory.set(key, text);
    try {
      localStorage.setItem(key, text);
      return localStorage.getItem(key) === text;
    } catch {
      return false;
    }
  }

  function storedOf(name) {
    try {
      const found = JSON.parse(read(keyOf(name)) ?? "{}");
      return Object.fromEntries(Object.entries(found).filter(([id]) => byId.has(id)));
    } catch {
      return {};
    }
  }

  function keep() {
    keeps = write(keyOf(rater), JSON.stringify(given));
    write(lastRater, rater);
    if (!keeps) warn("This browser keeps nothing. Save your ratings as a file before you close the page.");
  }

  function warn(text) {
    at("warning").textContent = text;
    at("warning").hidden = !text;
  }

  // An order of its own for each rater, the same whenever they come back

  function shuffled(ids, seed) {
    let state = 2166136261; // FNV-1a over the code units of the seed
    for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 16777619);
    const below = (limit) => {
      state = (state + 0x9e3779b9) | 0; // a Weyl sequence, mixed
      let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return Math.floor((((mixed ^ (mixed >>> 16)) >>> 0) / 4294967296) * limit);
    };
    const mine = [...ids];
    for (let last = mine.length - 1; last > 0; last--) {
      const other = below(last + 1);
      [mine[last], mine[other]] = [mine[other], mine[last]];
    }
    return mine;
  }

  // Rating

  const answered = () => order.filter((id) => id in given).length;

  function view(name) {
    for (const one of ["start", "rate", "end"]) at(one).hidden = one !== name;
    document.body.dataset.view = name;
    scrollTo(0, 0);
  }

  function begin(name) {
    rater = name;
    given = storedOf(rater);
    order = shuffled([...byId.keys()], `${page.id} ${rater}`);
    unsaved = false;
    keep();
    const first = order.findIndex((id) => !(id in given));
    if (first < 0) return finish();
    view("rate");
    show(first);
    at("stage").focus({ preventScroll: true });
  }

  function show(wanted) {
    place = wanted;
    const image = byId.get(order[place]);
    const shown = at("shown");
    shown.className = "waiting";
    at("lost").hidden = true;
    at("stage").classList.remove("full");
    at("size").setAttribute("aria-pressed", "false");
    watch = { seconds: 0, since: null };
    shown.onload = () => {
      shown.className = "";
      fit();
      watch.since = performance.now();
    };
    shown.onerror = () => {
      at("lost").hidden = false;
      at("size").hidden = true;
      watch.since = performance.now();
    };
    shown.src = image.file;
    for (const ahead of order.slice(place + 1, place + 3)) new Image().src = byId.get(ahead).file;
    const answer = given[image.id];
    for (const button of document.querySelectorAll("[data-rating]")) {
      const value = button.dataset.rating === "" ? null : Number(button.dataset.rating);
      button.setAttribute("aria-pressed", String(answer !== undefined && answer.rating === value));
    }
    at("back").disabled = place === 0;
    at("next").disabled = place === order.length - 1;
    tell();
  }

  // One pixel of the file on one pixel of the screen; smaller only where there is no room for it.
  function fit() {
    const shown = at("shown");
    const stage = at("stage");
    const style = getComputedStyle(stage);
    const room = {
      width: stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight),
      height: stage.clientHeight,
    };
    const own = { width: shown.naturalWidth / devicePixelRatio, height: shown.naturalHeight / devicePixelRatio };
    const share = Math.min(1, room.width / own.width, room.height / own.height);
    const full = at("size").getAttribute("aria-pressed") === "true";
    const used = full ? 1 : share;
    shown.style.width = `${own.width * used}px`;
    shown.style.height = `${own.height * used}px`;
    stage.classList.toggle("full", full);
    at("size").hidden = share === 1;
    at("size").title = `shown at ${Math.round(100 * used)} % of its size`;
  }

  function resize() {
    if (at("size").hidden) return;
    at("size").setAttribute("aria-pressed", String(at("size").getAttribute("aria-pressed") !== "true"));
    fit();
  }

  function rate(rating) {
    const now = performance.now();
    const seconds = watch.seconds + (watch.since === null ? 0 : (now - watch.since) / 1000);
    given[order[place]] = {
      rating,
      seconds: Math.round(seconds * 100) / 100,
      rated_at: new Date().toISOString(),
    };
    unsaved = true;
    keep();
    const next = order.findIndex((id, where) => where > place && !(id in given));
    const first = order.findIndex((id) => !(id in given));
    if (first < 0) return finish();
    show(next < 0 ? first : next);
  }

  function tell() {
    const done = answered();
    at("progress").textContent = `Image ${place + 1} of ${order.length}, ${done} rated`;
    at("bar").value = done;
    const answer = given[order[place]];
    const mine = answer === undefined ? "" : `, your rating: ${words.get(answer.rating) ?? "cannot rate"}`;
    at("said").textContent = at("progress").textContent + mine;
  }

  function finish() {
    const rated = Object.values(given).filter((one) => one.rating !== null).length;
    const left = order.length - rated;
    at("sum").textContent =
      `${rater} rated ${rated} of ${order.length} images` + (left ? `; ${left} could not be rated.` : ".");
    at("said").textContent = "All images are rated";
    view("end");
    at("end-title").focus();
  }

  function leave() {
    view("start");
    at("rater").value = rater;
    know();
    at("rater").focus();
  }

  // Files

  const cell = (value) => {
    const text = String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  function save() {
    const rows = order.flatMap((id, where) => {
      const one = given[id];
      if (one === undefined) return [];
      return [[rater, id, byId.get(id).name, one.rating, one.seconds, one.rated_at, page.id, where + 1]];
    });
    const text = [COLUMNS, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const name = rater.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-+|-+$/g, "") || "rater";
    link.download = `ratings-${name}-${page.id.slice(0, 8)}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
    at("said").textContent = `${rows.length} ratings saved`;
  }

  function parsed(text) {
    const rows = [[""]];
    let quoted = false;
    for (let i = 0; i < text.length; i++) {
      const row = rows[rows.length - 1];
      const letter = text[i];
      if (quoted && letter === '"' && text[i + 1] === '"') row[row.length - 1] += text[++i];
      else if (letter === '"') quoted = !quoted;
      else if (!quoted && letter === ",") row.push("");
      else if (!quoted && letter === "\n") rows.push([""]);
      else if (quoted || letter !== "\r") row[row.length - 1] += letter;
    }
    return rows.filter((row) => row.length > 1);
  }

  async function load(file) {
    const [header, ...rows] = parsed((await file.text()).replace(/^\ufeff/, ""));
    const lines = rows.map((row) => Object.fromEntries((header ?? []).map((name, i) => [name, row[i]])));
    const mine = lines.filter((line) => line.page === page.id && byId.has(line.image_id));
    const names = [...new Set(mine.map((line) => line.rater))];
    if (names.length !== 1) {
      const why = names.length ? "several people's ratings" : "no ratings of this page";
      return warn(`${file.name} holds ${why}.`);
    }
    const merged = storedOf(names[0]);
    for (const line of mine) {
      const before = merged[line.image_id];
      if (before !== undefined && before.rated_at >= line.rated_at) continue;
      const rating = words.has(Number(line.rating)) ? Number(line.rating) : null;
      merged[line.image_id] = { rating, seconds: Number(line.seconds), rated_at: line.rated_at };
    }
    given = merged;
    rater = names[0];
    keep();
    warn(keeps ? "" : at("warning").textContent);
    at("rater").value = rater;
    know();
    at("go").focus();
  }

  // What people press

  const nameNow = () => at("rater").value.normalize("NFC").replace(/\s+/g, " ").trim();

  function know() {
    const name = nameNow();
    const count = name ? Object.keys(storedOf(name)).length : 0;
    at("known").textContent = count ? `${name} has rated ${count} of ${byId.size} images here.` : "";
    at("go").textContent = count ? "Go on" : "Start";
  }

  at("rater").addEventListener("input", know);
  at("begin").addEventListener("submit", (event) => {
    event.preventDefault();
    if (nameNow()) begin(nameNow());
  });
  at("earlier").addEventListener("change", () => {
    if (at("earlier").files.length) load(at("earlier").files[0]);
  });
  for (const button of document.querySelectorAll("[data-rating]")) {
    button.addEventListener("click", () => rate(button.dataset.rating === "" ? null : Number(button.dataset.rating)));
  }
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", save);
  for (const button of document.querySelectorAll(".leave")) button.addEventListener("click", leave);
  at("back").addEventListener("click", () => show(place - 1));
  at("next").addEventListener("click", () => show(place + 1));
  at("again").addEventListener("click", () => {
    view("rate");
    show(0);
    at("stage").focus({ preventScroll: true });
  });
  at("size").addEventListener("click", resize);
  addEventListener("resize", () => {
    if (document.body.dataset.view === "rate" && at("shown").naturalWidth) fit();
  });
  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.view !== "rate" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const stage = at("stage");
    const scrolls = document.activeElement === stage && stage.scrollWidth > stage.clientWidth;
    const key = event.key;
    if (words.has(Number(key)) && key.trim()) rate(Number(key));
    else if (key === "0") rate(null);
    else if (key === "z") resize();
    else if ((key === "ArrowLeft" && !scrolls) || key === "Backspace") {
      if (place > 0) show(place - 1);
    } else if (key === "ArrowRight" && !scrolls) {
      if (place < order.length - 1) show(place + 1);
    } else return;
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    // Time in which the page cannot be seen is not time that somebody looked.
    if (document.hidden && watch.since !== null) {
      watch.seconds += (performance.now() - watch.since) / 1000;
      watch.since = null;
    } else if (!document.hidden && watch.since === null) watch.since = performance.now();
  });
  addEventListener("beforeunload", (event) => {
    if (!keeps && unsaved) event.preventDefault();
  });

  at("rater").value = read(lastRater) ?? "";
  know();
})();
