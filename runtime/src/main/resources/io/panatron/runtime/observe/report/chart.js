// Line charts as SVG. A chart is drawn for the width it has, and again when that changes.

const svgElement = (name, attributes, parent) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
};

const html = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

// Four or five significant digits, with an exponent where zeros would hide them.
const format = (value) => {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2).replace(/\.?0*e\+?/, "e");
  return value.toLocaleString("en", { maximumSignificantDigits: size >= 1000 ? 6 : 4 });
};

// Round numbers that span a range: steps of 1, 2 or 5 times a power of ten.
const ticks = (low, high, wanted) => {
  const rough = (high - low) / Math.max(wanted, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
};

const logTicks = (low, high) => {
  const found = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) {
    for (const factor of [1, 2, 5]) {
      const value = factor * 10 ** p;
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found.length > 8 ? found.filter((value) => /^1e/.test(value.toExponential())) : found;
};

// An exponential average that starts at the first value, over about this share of the points.
const smooth = (points, amount) => {
  if (amount <= 0 || points.length < 3) return points;
  const past = 1 - 1 / Math.max(1, points.length * amount);
  let sum = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    if (y === null) return [x, y];
    sum = past * sum + (1 - past) * y;
    weight = past * weight + (1 - past);
    return [x, sum / weight];
  });
};

const path = (points, x, y) => {
  let text = "";
  let pen = "M";
  for (const [px, py] of points) {
    if (py === null) { pen = "M"; continue; }
    text += `${pen}${x(px).toFixed(1)} ${y(py).toFixed(1)}`;
    pen = "L";
  }
  return text;
};

// The range of all values; a flat line gets some room.
const rangeOf = (values) => {
  let low = Math.min(...values.map((list) => list.reduce((a, b) => Math.min(a, b), Infinity)));
  let high = Math.max(...values.map((list) => list.reduce((a, b) => Math.max(a, b), -Infinity)));
  if (!(low <= high)) return null;
  if (high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high))) { const room = Math.abs(low) * 0.05 || 1; low -= room; high += room; }
  return [low, high];
};

/*
 * series: [{ label, color, points: [[iteration, value or null], ...], dashed, raw }]; raw points are
 * drawn pale behind the line.
 */
class Chart {
  constructor(title, note) {
    this.title = title;
    this.plot = html("div", { class: "plot" });
    this.tip = html("div", { class: "tip", hidden: "" });
    this.figure = html("figure", { class: "card" },
      html("figcaption", {}, title, html("span", { class: "muted" }, note || "")), this.plot);
    this.series = [];
    this.logarithmic = false;
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerdown", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.hover(null));
  }

  show(series, logarithmic) {
    this.series = series;
    this.logarithmic = logarithmic;
    this.draw();
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!width) return;
    const height = 250;
    const finite = (points) => points.map((p) => p[1]).filter((v) => v !== null && (!this.logarithmic || v > 0));
    const yRange = rangeOf(this.series.flatMap((s) => [finite(s.points), finite(s.raw || [])]));
    const xRange = rangeOf(this.series.map((s) => s.points.map((p) => p[0])));
    const svg = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": this.title });
    this.plot.replaceChildren(svg, this.tip);
    if (!yRange || !xRange) {
      svgElement("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, svg).textContent = "nothing to show";
      this.x = null;
      return;
    }
    const scale = this.logarithmic ? Math.log10 : (v) => v;
    const labels = this.logarithmic ? logTicks(...yRange) : ticks(...yRange, 5);
    const left = 14 + 7 * Math.max(...labels.map((v) => format(v).length), 3);
    const box = { left, right: width - 12, top: 14, bottom: height - 26 };
    const [low, high] = yRange.map(scale);
    this.x = (v) => box.left + ((v - xRange[0]) / (xRange[1] - xRange[0])) * (box.right - box.left);
    this.y = (v) => box.bottom - ((scale(v) - low) / (high - low)) * (box.bottom - box.top);
    this.box = box;
    for (const value of labels) {
      svgElement("line", { class: "gridline", x1: box.left, x2: box.right, y1: this.y(value), y2: this.y(value) }, svg);
      svgElement("text", { x: box.left - 7, y: this.y(value) + 4, "text-anchor": "end" }, svg).textContent = format(value);
    }
    svgElement("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, svg);
    for (const value of ticks(...xRange, width / 90).filter(Number.isInteger)) {
      svgElement("text", { x: this.x(value), y: height - 8, "text-anchor": "middle" }, svg).textContent = value.toLocaleString("en");
    }
    const usable = (points) => points.map(([px, py]) => [px, py === null || (this.logarithmic && py <= 0) ? null : py]);
    for (const s of this.series) {
      if (s.raw) this.line(svg, usable(s.raw), s, { opacity: 0.25 });
      this.line(svg, usable(s.points), s, {});
    }
    this.cursor = svgElement("line", { class: "cursor", y1: box.top, y2: box.bottom, visibility: "hidden" }, svg);
  }

  line(svg, points, s, more) {
    svgElement("path", {
      d: path(points, this.x, this.y), fill: "none", stroke: s.color, "stroke-width": 2, "stroke-linejoin": "round",
      "stroke-linecap": "round", ...(s.dashed ? { "stroke-dasharray": "6 5" } : {}), ...more,
    }, svg);
    if (points.length <= 25) {
      for (const [px, py] of points) {
        if (py !== null) svgElement("circle", { cx: this.x(px), cy: this.y(py), r: 3, fill: s.color, ...more }, svg);
      }
    }
  }

  point(event) {
    if (!this.x) return;
    const at = event.clientX - this.plot.getBoundingClientRect().left;
    let best = null;
    for (const s of this.series) {
      for (const [px] of s.points) {
        if (best === null || Math.abs(this.x(px) - at) < Math.abs(this.x(best) - at)) best = px;
      }
    }
    this.hover(best);
  }

  hover(iteration) {
    if (!this.cursor || iteration === null || !this.x) {
      this.tip.hidden = true;
      if (this.cursor) this.cursor.setAttribute("visibility", "hidden");
      return;
    }
    const x = this.x(iteration);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.cursor.setAttribute("visibility", "visible");
    const rows = this.series.map((s) => [s, s.points.find((p) => p[0] === iteration)]).filter(([, p]) => p && p[1] !== null);
    this.tip.replaceChildren(html("div", { class: "muted" }, `iteration ${iteration.toLocaleString("en")}`),
      ...rows.map(([s, p]) => html("div", {}, html("span", { class: "swatch", style: `background:${s.color}` }), `${s.label} ${format(p[1])}`)));
    this.tip.hidden = false;
    const room = this.plot.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(room, x > this.plot.clientWidth / 2 ? x - this.tip.offsetWidth - 12 : x + 12))}px`;
    this.tip.style.top = `${this.box.top}px`;
  }
}
