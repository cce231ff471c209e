// Canvases that are sharp on every screen and are drawn again when their size or the theme changes.

import { element } from "./controls.js";

const observed = new Map();
const observer = new ResizeObserver((entries) => entries.forEach(({ target }) => observed.get(target)?.()));

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// `aspect` is width / height; `draw(context, width, height)` works in CSS pixels.
export function panel(parent, { title = "", kind = "", label = "", aspect = 1, interactive = false, draw }) {
  const figure = element("figure"), caption = element("figcaption"), canvas = element("canvas");
  if (title) {
    const name = element("b", title);
    name.className = kind;
    caption.append(name);
    figure.append(caption);
  }
  canvas.setAttribute("role", interactive ? "application" : "img");
  canvas.setAttribute("aria-label", label || title);
  canvas.style.aspectRatio = String(aspect);
  if (interactive) canvas.tabIndex = 0;
  else canvas.className = "passive";
  figure.append(canvas);
  parent.append(figure);
  const self = { canvas, caption, width: 1, height: 1, redraw };
  let asked = false;

  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; paint(); });
  }

  function paint() {
    const { clientWidth, clientHeight } = canvas, ratio = window.devicePixelRatio || 1;
    if (!clientWidth || !clientHeight) return;
    const width = Math.round(clientWidth * ratio), height = Math.round(clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    Object.assign(self, { width: clientWidth, height: clientHeight });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    draw(context, clientWidth, clientHeight);
  }

  self.paint = paint;
  observed.set(canvas, redraw);
  observer.observe(canvas);
  return self;
}

// Where a pointer is, as shares of the canvas from its upper left corner.
export function place(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

// Pressing, moving and letting go with a mouse, a finger or a pen.
export function dragging(canvas, { start, move, end }) {
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (start(place(canvas, event)) === false) return;
    held = event.pointerId;
    canvas.setPointerCapture(held);
    event.preventDefault();
    canvas.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => { if (event.pointerId === held) move(place(canvas, event)); });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      if (event.pointerId !== held) return;
      held = null;
      end(place(canvas, event));
    });
  }
}

// Ten colours of a perceptual ramp (after viridis), from paper or night to light; the scale of all densities.
const RAMP = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
];

export const TABLE = ramp(RAMP);

// 256 colours as 32-bit numbers in the memory order of ImageData.
export function ramp(colours) {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let k = 0; k < 256; k++) {
    const place = (k / 255) * (colours.length - 1), low = Math.min(Math.floor(place), colours.length - 2);
    for (let c = 0; c < 3; c++) {
      bytes[4 * k + c] = colours[low][c] + (place - low) * (colours[low + 1][c] - colours[low][c]);
    }
    bytes[4 * k + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}

// A field of numbers as a picture. `at(row, column)` gives a share of the scale, 0 to 1; row 0 is the top.
export class Picture {
  constructor(columns, rows) {
    this.canvas = document.createElement("canvas");
    Object.assign(this.canvas, { width: columns, height: rows });
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(columns, rows);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  fill(at, table = TABLE) {
    const { width, height } = this.canvas;
    for (let row = 0, k = 0; row < height; row++) {
      for (let column = 0; column < width; column++, k++) {
        const share = at(row, column);
        this.pixels[k] = table[share > 0 ? Math.min(255, Math.round(255 * share)) : 0];
      }
    }
    this.context.putImageData(this.image, 0, 0);
  }

  draw(context, width, height, smooth = true) {
    context.imageSmoothingEnabled = smooth;
    context.drawImage(this.canvas, 0, 0, width, height);
  }
}
