// A small chart of lines over a common axis, with a cursor.

import { colour, panel } from "./canvas.js";
import { element, raised, short } from "./controls.js";

const LEFT = 46, RIGHT = 12, TOP = 8, BOTTOM = 34;

// `content()` gives {x, lines: [{y, colour, dash, width}], high, low, log, cursor, shaded, marks}; null: nothing yet.
// `legend` is a list of [text, colour].
export function chart(parent, { title, legend = [], across, content, aspect = 4.5 }) {
  const made = panel(parent, { title, label: title, aspect, draw: (context, width, height) => {
    const what = content();
    if (what) plot(context, width, height, what, across);
  } });
  made.canvas.classList.add("chart");
  for (const [text, name] of legend) {
    const item = element("span", text);
    item.className = `key ${name}`;
    made.caption.append(item);
  }
  return made;
}

function plot(context, width, height, what, across) {
  const { x, lines, log = false, cursor = null, shaded = null, marks = [] } = what;
  const [low, high] = limits(what);
  const inward = (y) => (log ? Math.log10(Math.max(y, low)) : y);
  const px = (value) => LEFT + ((value - x[0]) / (x[x.length - 1] - x[0] || 1)) * (width - LEFT - RIGHT);
  const py = (value) => {
    const share = (inward(value) - inward(low)) / (inward(high) - inward(low) || 1);
    return height - BOTTOM - Math.max(-0.02, Math.min(1.02, share)) * (height - TOP - BOTTOM);
  };
  context.font = "12px system-ui, sans-serif";
  if (shaded !== null) {
    context.fillStyle = colour("shade");
    context.fillRect(LEFT, TOP, px(shaded) - LEFT, height - TOP - BOTTOM);
  }
  axes(context, width, height, { low, high, log, x, px, py, across });
  for (const { value, text, across: upright } of marks) mark(context, width, height, { px, py, value, text, upright });
  for (const one of lines) line(context, x, one, px, py);
  if (cursor !== null) {
    context.strokeStyle = colour("muted");
    context.setLineDash([]);
    stroke(context, [[px(cursor), TOP], [px(cursor), height - BOTTOM]]);
  }
}

function limits({ lines, low, high, log }) {
  let least = Infinity, most = -Infinity;
  for (const { y } of lines) {
    for (const value of y) {
      if (!Number.isFinite(value) || (log && value <= 0)) continue;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
  }
  if (least > most) [least, most] = [log ? 0.1 : 0, 1];
  return [low ?? least, Math.max(high ?? most, (low ?? least) + 1e-12)];
}

function axes(context, width, height, { low, high, log, x, px, py, across }) {
  context.fillStyle = colour("muted");
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  context.setLineDash([]);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of log ? decades(low, high) : ticks(low, high, 4)) {
    stroke(context, [[LEFT, py(value)], [width - RIGHT, py(value)]]);
    context.fillText(log ? `10${raised(Math.round(Math.log10(value)))}` : short(value), LEFT - 6, py(value));
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const value of ticks(x[0], x[x.length - 1], width < 420 ? 4 : 8)) {
    stroke(context, [[px(value), height - BOTTOM], [px(value), height - BOTTOM + 4]]);
    context.fillText(short(value), px(value), height - BOTTOM + 5);
  }
  if (across) context.fillText(across, (LEFT + width - RIGHT) / 2, height - 15);
}

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((size) => size >= rough) ?? rough, found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step) {
    found.push(Number(value.toPrecision(6)));
  }
  return found;
}

function decades(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first) / 4)), found = [];
  for (let k = first; k <= last; k += every) found.push(10 ** k);
  return found;
}

function line(context, x, { y, colour: name, dash = [], width = 2 }, px, py) {
  context.strokeStyle = colour(name);
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  let down = false;
  for (let k = 0; k < y.length; k++) {
    if (Number.isNaN(y[k]) || y[k] === null) { down = false; continue; }
    context[down ? "lineTo" : "moveTo"](px(x[k]), py(y[k]));
    down = true;
  }
  context.stroke();
  context.setLineDash([]);
}

function mark(context, width, height, { px, py, value, text, upright }) {
  context.strokeStyle = colour("other");
  context.fillStyle = colour("other");
  context.lineWidth = 1;
  context.setLineDash([4, 3]);
  const [from, to] = upright
    ? [[px(value), TOP], [px(value), height - BOTTOM]]
    : [[LEFT, py(value)], [width - RIGHT, py(value)]];
  stroke(context, [from, to]);
  context.setLineDash([]);
  context.textAlign = upright && px(value) > width / 2 ? "right" : "left";
  context.textBaseline = upright ? "top" : "bottom";
  context.fillText(text, from[0] + (context.textAlign === "right" ? -5 : 5), upright ? TOP + 18 : from[1] - 2);
}

function stroke(context, points) {
  context.beginPath();
  points.forEach(([a, b], k) => context[k ? "lineTo" : "moveTo"](a, b));
  context.stroke();
}
