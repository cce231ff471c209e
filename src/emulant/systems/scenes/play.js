// A scene simulated and predicted, side by side, and how far apart they are.

import { colour } from "./canvas.js";
import { short } from "./controls.js";

const NUMBERS = 6;  // of a body's state: x, y, angle, and their velocities
const STATIC = -1;

export async function start(stage) {
  const { width: across, height: up } = stage.facts;
  let seen = null, film = null;

  stage.layout("pair stack");
  const left = stage.panel({
    title: "Simulation", label: "The scene as it is simulated", aspect: across / up, draw: drawTruth,
  });
  const right = stage.panel({
    title: "Prediction", kind: "model", label: "The scene as the surrogate predicts it", aspect: across / up,
    draw: drawForecast,
  });
  const title = "Distance of bodies from where they are, rms in px";
  stage.chart({ title, legend: [["surrogate", "model"]], across: "frame", content: () => seen && {
    x: [...Array(seen.arrays.truth.shape[0]).keys()],
    lines: [{ y: [...Array(seen.facts.context + 1).fill(NaN), ...seen.arrays.error], colour: "model" }],
    low: 0, high: Math.min(400, Math.max(20, ...seen.arrays.error.filter(Number.isFinite))),
    cursor: film.place, shaded: seen.facts.context,
  } });
  film = stage.film(() => { left.redraw(); right.redraw(); stage.repaintCharts(); read(); });

  function drawTruth(context, width) {
    if (!seen) return;
    const rows = state(seen.arrays.truth, film.place);
    setting(context, width, rows);
    rows.forEach((row, k) => body(context, seen.facts.bodies[k], row, "truth"));
  }

  function drawForecast(context, width) {
    if (!seen) return;
    const own = film.place - seen.facts.context - 1, real = state(seen.arrays.truth, film.place);
    const rows = own < 0 ? real : state(seen.arrays.forecast, own);
    setting(context, width, rows);
    rows.forEach((row, k) => body(context, seen.facts.bodies[k], row, own < 0 ? "muted" : "model"));
    if (own >= 0) real.forEach((row, k) => body(context, seen.facts.bodies[k], row, "truth", true));
  }

  // From here on in px of the canvas of scenes, with y upwards.
  function setting(context, width, rows) {
    const scale = width / across;
    context.transform(scale, 0, 0, -scale, 0, up * scale);
    context.fillStyle = context.strokeStyle = colour("muted");
    context.lineCap = "round";
    context.lineJoin = "round";
    seen.facts.statics.forEach((piece) => still(context, piece));
    context.lineWidth = 2;
    for (const { bodies, anchors } of seen.facts.joints) {
      const ends = bodies.map((number, k) => (number === STATIC ? anchors[k] : turned(rows[number], anchors[k])));
      if (!ends.flat().every(Number.isFinite)) continue;
      context.beginPath();
      context.moveTo(...ends[0]);
      context.lineTo(...ends[1]);
      context.stroke();
    }
  }

  function read() {
    if (!seen) return;
    const { context, description } = seen.facts, { error } = seen.arrays;
    const own = Math.round(film.place) - context - 1, type = stage.values.type;
    const novel = !stage.facts.trained.includes(type) ? "a type that training has not seen"
      : stage.values.difficulty > stage.facts.hardest ? "harder than in training" : "";
    stage.readings({
      error: ["Bodies are off by", own < 0 ? "shown the simulation" : `${short(error[own])} px`, "", "rms, now"],
      whole: ["At the end", `${short(error[error.length - 1])} px`],
      bodies: ["Bodies", String(seen.facts.bodies.length), "", description],
      training: ["This scene", novel || "of a type as in training", novel ? "bad" : ""],
    });
  }

  async function pick() {
    const answer = await stage.ask("pick", stage.values);
    if (!answer) return;
    seen = answer;
    film.set({ frames: seen.arrays.truth.shape[0], step: seen.facts.step, play: true });
    stage.shown();
  }

  function another(way) {
    stage.set("seed", Math.max(0, stage.values.seed + way));
    pick();
  }

  stage.onChange((name, final) => { if (final) pick(); });
  stage.buttons([["Next seed", () => another(1), true], ["Seed before", () => another(-1)]]);
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button")) return;
    const way = { n: 1, p: -1 }[event.key];
    if (way) another(way);
  });
  stage.keys([["n p", "next seed, seed before"]]);
  await pick();
}

// [[x, y, angle], ...] at a frame with a fraction, between the two frames beside it.
function state(states, place) {
  const [frames, count] = states.shape, low = Math.max(0, Math.min(frames - 1, Math.floor(place)));
  const high = Math.min(frames - 1, low + 1), share = Math.max(0, Math.min(1, place - low));
  return Array.from({ length: count }, (_, body) => [0, 1, 2].map((k) => {
    const a = states[NUMBERS * (low * count + body) + k], b = states[NUMBERS * (high * count + body) + k];
    return a + share * (b - a);
  }));
}

function turned([x, y, angle], [a, b]) {
  return [x + Math.cos(angle) * a - Math.sin(angle) * b, y + Math.sin(angle) * a + Math.cos(angle) * b];
}

function body(context, { kind, size }, row, name, outline = false) {
  if (!row.every(Number.isFinite) || Math.abs(row[0]) + Math.abs(row[1]) > 1e5) return;
  context.save();
  context.translate(row[0], row[1]);
  context.rotate(row[2]);
  context.beginPath();
  if (kind === "disc") {
    context.arc(0, 0, size[0], 0, 2 * Math.PI);
    context.moveTo(0, 0);
    context.lineTo(size[0], 0);
  } else {
    context.rect(-size[0], -size[1], 2 * size[0], 2 * size[1]);
  }
  context.strokeStyle = context.fillStyle = colour(name);
  context.lineWidth = outline ? 1.2 : 1.8;
  if (!outline) {
    context.globalAlpha = 0.35;
    context.fill();
  }
  context.globalAlpha = outline ? 0.7 : 1;
  context.stroke();
  context.restore();
}

function still(context, { kind, points, radius }) {
  context.beginPath();
  if (kind === "circle") {
    context.arc(...points[0], radius, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  points.forEach((point, k) => context[k ? "lineTo" : "moveTo"](...point));
  if (kind === "polygon") {
    context.fill();
    return;
  }
  context.lineWidth = Math.max(2, 2 * radius);
  context.stroke();
}
