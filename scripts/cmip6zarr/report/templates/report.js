"use strict";
// Whatever comes from receipts becomes text nodes and attributes, never HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows.map(values => Object.fromEntries(data.columns.map((name, i) => [name, values[i]])));
for (const row of rows) {
  for (const rule of ["convert", "verify"]) {
    const seconds = row[`${rule}_seconds`];
    row[`${rule}_mib_per_s`] = seconds ? Number((row.raw_bytes / 2 ** 20 / seconds).toPrecision(4)) : null;
  }
}
const byId = new Map(rows.map(row => [row.id, row]));
const $ = id => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// ---- numbers as people read them
const size = bytes => {
  if (bytes === null) return "";
  const [unit, one] = [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3], ["B", 1]].find(([, one]) => bytes >= one) || ["B", 1];
  return `${Number((bytes / one).toPrecision(3))} ${unit}`;
};
const whole = number => number === null ? "" : number.toLocaleString("en");
const two = number => number === null ? "" : number.toFixed(2);
const mib = number => number === null ? "" : `${whole(number)} MiB`;
const speed = number => number === null ? "" : `${number < 10 ? number.toFixed(1) : whole(Math.round(number))} MiB/s`;

// ---- states
const WORK = ["converting", "verifying", "at work"];
const FOUND = "verified, with findings", SEALED = ["verified", FOUND];
const tone = state => state === "verified" ? "good" : state === FOUND ? "found" : WORK.includes(state) ? "work"
  : state === "waiting" ? "rest" : state === "refused" ? "warn" : "bad";

// ---- looks: within the file as far as they are, else beside it
const look = row => data.pictures[row.id] !== undefined
  ? "data:image/svg+xml," + encodeURIComponent(data.pictures[row.id])
  : row.look.split("/").map(encodeURIComponent).join("/");
for (const image of document.querySelectorAll("img[data-look]")) image.src = look(byId.get(image.dataset.look));

// ---- the table: only the rows in sight are in the page
const ROW = 52, BEYOND = 8;
const COLUMNS = [
  ["id", "Dataset", row => name(row)], ["netcdf_bytes", "NetCDF", row => size(row.netcdf_bytes)],
  ["zarr_bytes", "Zarr", row => size(row.zarr_bytes)], ["ratio", "Ratio", row => two(row.ratio)],
  ["objects", "Objects", row => whole(row.objects)], ["peak_mib", "Memory", row => mib(row.peak_mib)],
  ["convert_mib_per_s", "Convert", row => speed(row.convert_mib_per_s)], ["state", "State", row => row.state],
];
const haystack = new Map(rows.map(row => [row, [row.id, row.state, row.rule, row.text, row.let_pass].join(" ").toLowerCase()]));
let shown = rows, sorted = null, descending = false;

// Variable, its kind and the run of a dataset; null where its id has another number of words than those of its project.
function titleOf(id) {
  const words = id.split("."), told = Object.hasOwn(data.titles, words[0]) ? data.titles[words[0]] : null;
  return told?.words === words.length ? [words[told.variable], ...[told.kind, told.run].map(places => places.map(i => words[i]))] : null;
}

function name(row) {
  const words = titleOf(row.id);
  const title = words ? [make("b", {}, words[0]), ` ${[...words[1], ...words[2]].join(" ")}`] : [row.id];
  const link = make("a", {href: "#" + encodeURIComponent(row.id), title: row.id}, ...title);
  const box = document.createDocumentFragment();
  box.append(link, make("small", {}, row.text || (row.state === "waiting" ? "not begun, or not finished" : "")));
  return box;
}

function draw() {
  const scroll = $("scroll"), space = $("space");
  space.style.height = `${shown.length * ROW}px`;  // the height of what scrolls depends on it
  const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - BEYOND);
  const last = Math.min(shown.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / ROW) + BEYOND);
  space.replaceChildren(...shown.slice(first, last).map((row, i) => {
    const cells = COLUMNS.map(([, , cell]) => make("div", {role: "cell"}, cell(row)));
    const line = make("div", {class: `row ${tone(row.state)}`, role: "row", "aria-rowindex": first + i + 2}, ...cells);
    line.style.top = `${(first + i) * ROW}px`;
    line.addEventListener("click", () => { location.hash = encodeURIComponent(row.id); });
    return line;
  }));
  if (!shown.length) space.replaceChildren(make("p", {class: "none"}, "No dataset is like that."));
}

function choose() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), state = $("state").value;
  shown = rows.filter(row => (!state || row.state === state) && words.every(word => haystack.get(row).includes(word)));
  if (sorted) {
    const sign = descending ? -1 : 1;
    shown.sort((a, b) => {
      const [x, y] = [a[sorted], b[sorted]];
      if (x === null || y === null) return (x === null) - (y === null);  // what is not known comes last
      return sign * (typeof x === "string" ? (x < y ? -1 : x > y ? 1 : 0) : x - y);
    });
  }
  $("found").textContent = `${whole(shown.length)} of ${whole(rows.length)}`;
  $("table").setAttribute("aria-rowcount", shown.length + 1);
  $("scroll").scrollTop = 0;
  draw();
}

for (const [column, title] of COLUMNS) {
  const button = make("button", {type: "button"}, title);
  const cell = make("div", {role: "columnheader", "aria-sort": "none"}, button);
  button.addEventListener("click", () => {
    descending = sorted === column ? !descending : typeof rows.find(row => row[column] !== null)?.[column] === "number";
    sorted = column;
    for (const other of $("head").children) other.setAttribute("aria-sort", "none");
    cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    choose();
  });
  $("head").append(cell);
}
let waiting = 0;
$("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(choose, 60); });
$("state").addEventListener("change", choose);
$("scroll").addEventListener("scroll", () => requestAnimationFrame(draw), {passive: true});
addEventListener("resize", draw);
function show(state, search) {
  $("state").value = state;
  $("search").value = search;
  choose();
  $("datasets").scrollIntoView();
  $("datasets").focus({preventScroll: true});
}
for (const button of document.querySelectorAll("button[data-state]")) {
  button.addEventListener("click", () => show(button.dataset.state, button.dataset.search || ""));
}

// ---- states by model and table
function matrix() {
  const cells = new Map(), tables = new Set();
  for (const row of rows) {
    const words = row.id.split("."), told = Object.hasOwn(data.titles, words[0]) ? data.titles[words[0]] : null;
    if (told?.words !== words.length) continue;
    const [model, table] = [words[told.model], words[told.table]];
    if (!cells.has(model)) cells.set(model, new Map());
    if (!cells.get(model).has(table)) cells.get(model).set(table, {});
    const counts = cells.get(model).get(table), kind = tone(row.state);
    counts[kind] = (counts[kind] || 0) + 1;
    tables.add(table);
  }
  const columns = [...tables].sort(), lines = [...cells.keys()].sort();
  const cell = (model, table) => {
    const counts = cells.get(model).get(table);
    if (!counts) return make("td");
    const all = Object.values(counts).reduce((sum, n) => sum + n, 0), good = (counts.good || 0) + (counts.found || 0);
    const bar = make("span", {class: "bar", "aria-hidden": "true"});
    for (const kind of ["good", "found", "work", "rest", "warn", "bad"]) {
      if (!counts[kind]) continue;
      const part = make("i", {class: kind});
      part.style.flexGrow = counts[kind];
      bar.append(part);
    }
    const button = make("button", {type: "button"}, `${whole(good)}/${whole(all)}`, bar);
    button.addEventListener("click", () => show("", `.${model}. .${table}.`));
    return make("td", {}, button);
  };
  $("models").querySelector("table").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", {scope: "col"}, "Model"), ...columns.map(table => make("th", {scope: "col"}, table)))),
    make("tbody", {}, ...lines.map(model => make("tr", {}, make("th", {scope: "row"}, model), ...columns.map(table => cell(model, table))))));
  $("models").hidden = !lines.length;
}

// ---- one dataset: the page's fragment is its id
const FACTS = [
  ["Period", row => row.time_range?.replace("/", " to ") ?? "no time"], ["Calendar", row => row.calendar ?? "none"], ["Units", row => row.units ?? "none"],
  ["NetCDF", row => size(row.netcdf_bytes)], ["Zarr", row => size(row.zarr_bytes)], ["Ratio", row => two(row.ratio)],
  ["Files", row => whole(row.files)], ["Shape", row => row.shape], ["Chunks", row => row.chunks], ["Codec", row => row.codec],
  ["Objects", row => whole(row.objects)],
  ["Chunks, planned", row => `${whole(row.chunk_objects)}, ${whole(row.planned_objects)}`],
  ["Memory, planned", row => `${mib(row.peak_mib)}, ${mib(row.planned_mib)}`],
  ["Convert", row => speed(row.convert_mib_per_s)], ["Verify", row => speed(row.verify_mib_per_s)],
  ["Files as published", row => whole(row.files_as_published)],
  ["Findings", row => whole(row.findings)], ["Files left out", row => whole(row.files_left_out)], ["Steps missing", row => whole(row.steps_missing)],
  ["CPU", row => `${two(row.cpu_seconds)} s`], ["Values compared", row => row.verified === "checksums" ? "checksums alone" : whole(row.values_compared)],
];

// Paths are short where they end in the folders of the id.
const whole_path = (row, path, suffix = "") => path.endsWith("%") ? path.slice(0, -1) + row.id.replaceAll(".", "/") + suffix : path;
const first_file = row => row.first_file.startsWith("/") ? row.first_file.slice(1)
  : row.first_file.split("_").map(word => /^%\d+$/.test(word) ? row.id.split(".")[Number(word.slice(1))] : word).join("_");

function copied(text) {
  const code = make("code", {}, text), button = make("button", {type: "button", class: "copy"}, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // not allowed of a file in this browser
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
  });
  return make("p", {class: "copied"}, code, button);
}

function places(row) {
  const store = whole_path(row, row.store, ".zarr");
  const named = row.first_file ? `, the first is ${first_file(row)}` : "";
  return [copied(store), copied(`xr.open_zarr(${JSON.stringify(store)}${store.startsWith("s3://") ? data.options : ""})`),
    make("p", {class: "text"}, `Made of ${whole(row.files)} ${row.files === 1 ? "file" : "files"} in ${whole_path(row, row.nc_path)}${named}`)];
}

function links(row) {
  const file = encodeURIComponent(row.id);
  const done = SEALED.includes(row.state) ? data.rules : [];
  const records = done.map(rule => [`${rule} receipt`, `${rule}/${file}.json`]);
  if (row.state === FOUND) records.unshift(["findings", `findings/${file}.json`]);
  if (row.rule && !WORK.includes(row.state)) records.push(["record of failure", `failed/${file}.json`]);
  const logs = done.length ? done : row.rule && row.rule !== "bundle" ? [row.rule] : [];
  records.push(...logs.map(rule => [`${rule} log`, `logs/${encodeURIComponent(rule)}/${file}.log`]));
  return make("div", {class: "links"}, ...records.map(([text, href]) => make("a", {href}, text)));
}

function open() {
  const row = byId.get(decodeURIComponent(location.hash.slice(1)));
  if (!row) return;
  const close = make("button", {type: "button", class: "close", "aria-label": "Close"}, "×");
  close.addEventListener("click", () => $("detail").close());
  const words = titleOf(row.id);
  const title = words ? [[words[0], ...words[1]].join(" "), ...words[2]].join(" · ") : row.id;
  const children = [close, make("h2", {id: "detail-title"}, title), make("code", {}, row.id),
    make("p", {class: `text ${tone(row.state)}`}, row.text ? `${row.state}: ${row.text}` : row.state)];
  if (row.remedy) children.push(make("p", {class: "text"}, `What to do: ${row.remedy}`));
  if (row.state === FOUND) children.push(make("p", {class: "text"}, `Let pass: ${row.let_pass}`));
  if (row.look) children.push(make("img", {src: look(row), alt: "First, middle and last step, and the course of the mean"}));
  if (SEALED.includes(row.state)) {
    const facts = FACTS.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, value(row))));
    children.push(...places(row), make("dl", {}, ...facts));
  }
  $("detail").replaceChildren(...children, links(row));
  if (!$("detail").open) $("detail").showModal();
}
$("detail").addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
$("detail").addEventListener("click", event => { if (event.target === $("detail")) $("detail").close(); });
addEventListener("hashchange", open);

// ---- plots
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const BYTES = "format(datum.value, '.2~s') + 'B'", done = rows.filter(row => SEALED.includes(row.state));
const many = done.length > 2000;

function points(values, x, y, tooltip, extra = {}) {
  const mark = {type: "point", filled: true, size: many ? 12 : 46, opacity: many ? 0.35 : 0.75, cursor: "pointer"};
  return {data: {values}, mark, encoding: {x, y, tooltip: [{field: "id", title: "dataset"}, ...tooltip], ...extra}};
}
const beyond = ([low, high]) => [low / 1.2, high * 1.2];

// A logarithmic axis: ticks at powers of ten, or at 1, 2 and 5 where there are few of them.
function log(field, values, title, axis = {}, ends = extent(values.map(row => row[field]).filter(n => n > 0))) {
  const [low, high] = ends.map(Math.log10), digits = high - low > 3 ? [1] : high - low > 1 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks = [];
  for (let power = Math.floor(low) - 1; power <= Math.ceil(high); power++) ticks.push(...digits.map(digit => digit * 10 ** power));
  const domain = beyond(ends);
  return {field, type: "quantitative", title, scale: {type: "log", domain, nice: false}, axis: {values: ticks.filter(n => n >= domain[0] && n <= domain[1]), ...axis}};
}
const line = (x, y) => ({data: {values: [x, y].map(([x, y]) => ({x, y}))}, mark: {type: "line", strokeDash: [4, 4], color: colour("quiet"), strokeWidth: 1},
  encoding: {x: {field: "x", type: "quantitative"}, y: {field: "y", type: "quantitative"}}});

// Math.min takes no more arguments than the stack holds.
const extent = numbers => numbers.reduce(([low, high], n) => [Math.min(low, n), Math.max(high, n)], [Infinity, -Infinity]);

const CHARTS = {
  course: () => {
    const at = data.course.convert.map((_, i) => data.course.start + (i + 0.5) * data.course.step);
    const values = ["convert", "verify"].flatMap(rule => at.map((time, i) => ({time, rule, at_work: data.course[rule][i]})));
    const sums = at.map((time, i) => ({time, verified: data.course.done[i]}));
    const x = {field: "time", type: "temporal", scale: {type: "utc"}, title: null};
    return {resolve: {scale: {y: "independent"}}, layer: [
      {data: {values}, mark: {type: "area", interpolate: "step", opacity: 0.75}, encoding: {x, y: {field: "at_work", type: "quantitative", stack: "zero", title: "datasets at work"},
        color: {field: "rule", title: null, legend: {orient: "top-left"}, scale: {domain: ["convert", "verify"], range: [colour("accent"), colour("warn")]}}}},
      {data: {values: sums}, mark: {type: "line", color: colour("quiet"), strokeWidth: 1.5}, encoding: {x, y: {field: "verified", type: "quantitative", title: "verified"}, tooltip: [{field: "time", type: "temporal", format: "%Y-%m-%d %H:%M"}, {field: "verified", format: ","}]}},
    ]};
  },
  ratio: () => {
    const values = done.map(({id, netcdf_bytes, zarr_bytes, ratio, text}) => ({id, netcdf_bytes, ratio, why: text, grew: zarr_bytes > netcdf_bytes}));
    return {layer: [
      {data: {values: [{}]}, mark: {type: "rule", strokeDash: [4, 4], color: colour("quiet")}, encoding: {y: {datum: 1}}},
      points(values, log("netcdf_bytes", values, "NetCDF", {labelExpr: BYTES}),
        log("ratio", [...values, {ratio: 1}], "Zarr for each NetCDF byte", {format: "~g"}), [{field: "ratio"}, {field: "why"}],
        {color: {field: "grew", legend: null, scale: {domain: [false, true], range: [colour("accent"), colour("bad")]}}}),
    ]};
  },
  memory: () => {
    const values = done.map(({id, planned_mib, peak_mib}) => ({id, planned_mib, peak_mib, over: peak_mib > planned_mib}));
    const ends = extent(values.flatMap(row => [row.planned_mib, row.peak_mib]));
    return {layer: [line(...beyond(ends).map(n => [n, n])), points(values,
      log("planned_mib", values, "planned MiB", {format: "~s"}, ends), log("peak_mib", values, "peak MiB", {format: "~s"}, ends),
      [{field: "planned_mib", title: "planned MiB"}, {field: "peak_mib", title: "peak MiB"}],
      {color: {field: "over", legend: null, scale: {domain: [false, true], range: [colour("accent"), colour("bad")]}}})]};
  },
  speed: () => {
    const values = done.flatMap(row => ["convert", "verify"].map(rule => ({id: row.id, rule, raw_bytes: row.raw_bytes, speed: row[`${rule}_mib_per_s`]})))
      .filter(({raw_bytes, speed}) => raw_bytes > 0 && speed > 0);
    return points(values, log("raw_bytes", values, "values before compression", {labelExpr: BYTES}), log("speed", values, "MiB a second", {format: "~g"}),
      [{field: "rule"}, {field: "speed", title: "MiB/s"}],
      {color: {field: "rule", title: null, legend: {orient: "top-left"}, scale: {domain: ["convert", "verify"], range: [colour("accent"), colour("warn")]}}});
  },
  objects: () => ({layer: [
    {data: {values: done.map(row => ({exponent: Math.log10(row.zarr_bytes / row.objects)}))},
      mark: {type: "bar", color: colour("accent"), binSpacing: 1},
      encoding: {x: {field: "exponent", bin: {step: 0.25}, title: "bytes of an object", axis: {labelExpr: "format(pow(10, datum.value), '.2~s') + 'B'", values: [1, 2, 3, 4, 5, 6, 7, 8, 9]}},
        y: {aggregate: "count", title: "stores", axis: {labelExpr: "datum.value % 1 ? '' : format(datum.value, ',d')"}}, tooltip: [{aggregate: "count", title: "stores"}]}},
    {data: {values: [{}]}, mark: {type: "rule", strokeDash: [4, 4], color: colour("quiet")}, encoding: {x: {datum: Math.log10(64000), type: "quantitative"}}},
  ]}),
};
function plot() {
  const axis = {labelColor: colour("quiet"), titleColor: colour("quiet"), gridColor: colour("rule"), domainColor: colour("rule"),
    tickColor: colour("rule"), titleFontWeight: 400, labelFontSize: 11, titleFontSize: 12, tickCount: 6};
  const font = getComputedStyle(document.body).fontFamily;
  const config = {background: "transparent", font, view: {stroke: null}, axis, legend: {labelColor: colour("quiet"), symbolType: "circle"}};
  for (const [name, spec] of Object.entries(CHARTS)) {
    if (!$(`chart-${name}`)) continue;
    const description = $(`chart-${name}`).parentElement.querySelector("figcaption").textContent;
    const whole = {width: "container", height: 250, autosize: {type: "fit-x", contains: "padding"}, description, config, ...spec()};
    // `ast`: expressions are interpreted, so that the page needs no eval.
    vegaEmbed(`#chart-${name}`, whole, {actions: false, ast: true, renderer: "canvas"}).then(({view}) => {
      view.addEventListener("click", (_, item) => { if (item?.datum?.id) location.hash = encodeURIComponent(item.datum.id); });
    });
  }
}
choose();
matrix();
open();
if (done.length) {
  plot();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plot);
}
