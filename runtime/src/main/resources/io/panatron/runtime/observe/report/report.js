// The page: a summary, charts of all runs, and for each run its data and its command.

const report = JSON.parse(document.getElementById("data").textContent);
const runs = report.runs;
const several = runs.length > 1;
const place = (id) => document.getElementById(id);
const color = (index) => `var(--run${index % 8})`;
const swatch = (index) => html("span", { class: "swatch", style: `background:${color(index)}` });

const last = (run, key) => {
  const points = (run.series[key] || []).filter((p) => p[1] !== null);
  return points.length ? points[points.length - 1][1] : null;
};
const values = (run, key) => (run.series[key] || []).map((p) => p[1]).filter((v) => v !== null);
const best = (run, key) => values(run, key).reduce((a, b) => (a === null || b < a ? b : a), null);
const greatest = (run, key) => values(run, key).reduce((a, b) => (a === null || b > a ? b : a), null);
const median = (run, key) => {
  const sorted = values(run, key).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
};
const shown = (value, unit = "") => (value === null || value === undefined ? "–" : format(value) + unit);

const figures = [
  ["Status", (run) => run.facts.status || "unknown"],
  ["Iterations", (run) => run.progress],
  ["Last loss", (run) => shown(last(run, "loss"))],
  ["Best validation loss", (run) => shown(best(run, "eval_loss"))],
  ["Tokens per second, median", (run) => shown(median(run, "tokens_per_second"))],
  ["TFLOP/s, median", (run) => shown(median(run, "throughput")), "throughput"],
  ["Most memory", (run) => shown(greatest(run, "memory(GiB)"), " GiB")],
  ["Time", (run) => run.elapsed || "–"],
].filter(([, , key]) => !key || runs.some((run) => run.series[key]));

const number = (value) => (value === undefined || value === null ? "–" : Number(value).toLocaleString("en", { maximumFractionDigits: 1 }));

const time = (instant) => `${String(instant).slice(0, 19).replace("T", " ")} UTC`;

function heading() {
  const title = several ? `${runs.length} training runs` : `Training run ${runs[0].name}`;
  document.title = title;
  place("title").textContent = title;
  const model = runs[0].facts.model;
  place("subtitle").textContent = several
    ? runs.map((run) => run.name).join(", ")
    : model
      ? [model.architecture, `${number(model.parameters)} parameters`, model.dtype, runs[0].facts.device && `on ${runs[0].facts.device}`, runs[0].facts.started && `started ${time(runs[0].facts.started)}`].filter(Boolean).join(", ")
      : "";
  place("footer").textContent = `Made by Panatron, ${time(report.made)}.`;
}

function summary() {
  if (!several) {
    place("summary").append(html("div", { class: "tiles" }, ...figures.map(([label, value]) =>
      html("div", { class: "card tile" }, html("div", { class: "value" }, value(runs[0])), html("div", { class: "label" }, label)))));
    return;
  }
  const head = html("tr", {}, html("th", {}, "Run"), ...figures.map(([label]) => html("th", { class: "number" }, label)));
  const rows = runs.map((run, i) => html("tr", {}, html("td", {}, swatch(i), " ", run.name),
    ...figures.map(([, value]) => html("td", { class: "number" }, value(run)))));
  place("summary").append(html("div", { class: "card scroll" }, html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows))));
}

const visible = new Set(runs.keys());
const state = { smoothing: 0, logarithmic: false };
const knownCharts = [
  ["loss", "Loss"], ["learning_rate", "Learning rate"], ["grad_norm", "Gradient norm"],
  ["tokens_per_second", "Tokens per second"], ["memory(GiB)", "Memory (GiB)"], ["throughput", "TFLOP/s"],
  ["mfu", "Share of the device's peak"], ["params_norm", "Parameter norm"], ["train_speed(s/it)", "Seconds per iteration"],
];
const hiddenKeys = new Set(["eval_tokens", "eval_sequences", "eval_runtime(s)"]);
const charts = [];

function makeCharts() {
  const all = new Set(runs.flatMap((run) => Object.keys(run.series)));
  const known = knownCharts.filter(([key]) => all.has(key));
  const others = [...all].filter((key) => !hiddenKeys.has(key) && !knownCharts.some(([k]) => k === key)
    && !(key.startsWith("eval_") && all.has(key.slice("eval_".length))));
  for (const [key, title] of [...known, ...others.map((key) => [key, key])]) {
    const evaluated = all.has(`eval_${key}`);
    const chart = new Chart(title, evaluated ? "dashed: validation" : "");
    charts.push([key, chart]);
    place("charts").append(chart.figure);
  }
}

function drawCharts() {
  for (const [key, chart] of charts) {
    const lines = [];
    runs.forEach((run, i) => {
      if (!visible.has(i)) return;
      const points = run.series[key];
      const label = several ? run.name : "";
      if (points) {
        const smoothed = smooth(points, state.smoothing);
        lines.push({ label, color: color(i), points: smoothed, raw: smoothed === points ? null : points });
      }
      const validation = run.series[`eval_${key}`];
      if (validation) {
        lines.push({ label: `${label} validation`.trim(), color: color(i), points: validation, dashed: true });
      }
    });
    chart.show(lines, state.logarithmic && key !== "memory(GiB)");
  }
}

function controls() {
  const toggle = (text, checked, change, mark) => {
    const box = html("input", { type: "checkbox", ...(checked ? { checked: "" } : {}) });
    box.addEventListener("change", () => { change(box.checked); drawCharts(); });
    return html("label", {}, box, mark || null, text);
  };
  if (several) {
    runs.forEach((run, i) => place("controls").append(
      toggle(run.name, true, (on) => (on ? visible.add(i) : visible.delete(i)), swatch(i))));
  }
  const slider = html("input", { type: "range", min: "0", max: "20", value: "0", "aria-label": "Smoothing" });
  slider.addEventListener("input", () => { state.smoothing = slider.value / 100; drawCharts(); });
  place("controls").append(html("label", {}, "Smoothing", slider),
    toggle("Logarithmic", false, (on) => { state.logarithmic = on; }));
}

const row = (label, value) => html("tr", {}, html("th", {}, label), html("td", {}, value));

function dataOf(run, index) {
  const { data, seen } = run.facts;
  if (!data) return html("p", { class: "muted" }, "The run did not record its data.");
  const table = html("table", {}, html("tbody", {},
    row("Training samples", number(data.training_samples)),
    row("Validation samples", number(data.validation_samples)),
    row("Left out", `${number(data.malformed_rows)} malformed, ${number(data.too_long_rows)} too long`),
    row("Longest allowed", `${number(data.longest_allowed)} tokens`),
    seen ? row("Sequences trained on since the last start", number(seen.sequences)) : null,
    seen ? row(run.args.padding_free === false ? "Their length, padded" : "Their length", `${number(seen.shortest)} to ${number(seen.longest)} tokens, mean ${number(seen.mean_length)}`) : null));
  const parts = [table];
  if (data.reasons && data.reasons.length) {
    parts.push(html("details", {}, html("summary", {}, "Why rows were left out"), ...data.reasons.map((reason) => html("p", {}, html("code", {}, reason)))));
  }
  if (seen && seen.lengths && seen.lengths.length) {
    const most = Math.max(...seen.lengths.map((c) => c.count), 1);
    parts.push(html("p", { class: "muted" }, "Lengths in tokens"), html("div", { class: "bars" }, ...seen.lengths.flatMap((c) => [
      html("span", {}, `≤ ${number(c.up_to)}`),
      html("div", { class: "bar", style: `width:${(100 * c.count) / most}%;background:${color(index)}` }),
      html("span", { class: "muted" }, number(c.count)),
    ])));
  }
  return html("div", {}, ...parts);
}

function commandOf(run) {
  if (!run.command) return html("p", { class: "muted" }, "The run did not record its command.");
  const copy = html("button", { type: "button" }, "Copy");
  copy.addEventListener("click", () => navigator.clipboard.writeText(run.command).then(() => { copy.textContent = "Copied"; }));
  return html("div", {}, html("div", { class: "head" }, html("span", { class: "muted" }, run.folder), navigator.clipboard ? copy : null), html("pre", {}, run.command));
}

const text = (value) => (value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));

function differences() {
  if (!several) return null;
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.args)))];
  const different = names.filter((name) => new Set(runs.map((run) => text(run.args[name]))).size > 1);
  const head = html("tr", {}, html("th", {}, "Parameter"), ...runs.map((run, i) => html("th", {}, swatch(i), " ", run.name)));
  const body = different.map((name) => html("tr", {}, html("td", {}, name), ...runs.map((run) => html("td", {}, html("code", {}, text(run.args[name]))))));
  return html("div", { class: "card scroll" }, html("h2", {}, "Parameters that differ"),
    different.length ? html("table", {}, html("thead", {}, head), html("tbody", {}, ...body)) : html("p", { class: "muted" }, "None."));
}

function details() {
  const apart = differences();
  if (apart) place("details").append(apart);
  runs.forEach((run, i) => {
    const all = Object.entries(run.args);
    place("details").append(html("div", { class: "columns" },
      html("div", { class: "card" }, html("h2", {}, several ? swatch(i) : null, several ? " " : null, several ? `Data of ${run.name}` : "Data"), dataOf(run, i)),
      html("div", { class: "card" }, html("h2", {}, several ? `Command of ${run.name}` : "Command"), commandOf(run),
        all.length ? html("details", {}, html("summary", {}, `All ${all.length} parameters`),
          html("div", { class: "scroll" }, html("table", {}, html("tbody", {}, ...all.map(([name, value]) => row(name, html("code", {}, text(value)))))))) : null)));
  });
}

heading();
summary();
controls();
makeCharts();
drawCharts();
details();
