// Particles and density on the left, the forecast density on the right; strokes change the swarm.

import { Picture, dragging } from "./canvas.js";
import { short } from "./controls.js";

export async function start(stage) {
  const { Lx, Ly } = stage.facts;
  let seen = null, film = null, pictures = [], top = 1, stroke = null, pointer = [0.5, 0.5], using = false;

  stage.layout("pair");
  const left = stage.panel({
    title: "Simulation", aspect: Lx / Ly, interactive: true, draw: drawTruth,
    label: "Density and particles of the simulation. Arrow keys move the brush, Enter strokes to the right.",
  });
  const right = stage.panel({
    title: "Forecast", kind: "model", label: "Density as the surrogate forecasts it", aspect: Lx / Ly, draw: drawForecast,
  });
  const title = "Error of the density, ‖f − ρ‖ / ‖ρ‖";
  stage.chart({ title, legend: [["surrogate", "model"]], across: "time in s", content: () => seen && {
    x: Array.from({ length: seen.arrays.rho.shape[0] }, (_, k) => k * seen.facts.step),
    lines: [{ y: [...Array(seen.facts.context).fill(NaN), ...seen.arrays.error], colour: "model" }],
    low: 0, high: Math.min(2, Math.max(0.5, ...seen.arrays.error.filter(Number.isFinite))),
    cursor: film.time, shaded: seen.facts.context * seen.facts.step,
  } });
  film = stage.film(() => { left.redraw(); right.redraw(); stage.repaintCharts(); read(); });

  function drawTruth(context, width, height) {
    if (!seen) return;
    paint(pictures[0], seen.arrays.rho, film.place, context, width, height);
    particles(context, width, height);
    brush(context, width, height);
  }

  function drawForecast(context, width, height) {
    if (!seen) return;
    const own = film.place - seen.facts.context;
    if (own < 0) paint(pictures[1], seen.arrays.rho, film.place, context, width, height);
    else paint(pictures[1], seen.arrays.forecast, own, context, width, height);
    if (own >= 0) return;
    context.fillStyle = "rgba(0, 0, 0, 0.65)";
    context.fillRect(0, height - 24, width, 24);
    context.fillStyle = "#ffffff";
    context.font = "13px system-ui, sans-serif";
    context.fillText("is shown the simulation", 8, height - 8);
  }

  // A density between two frames; row 0 of a field is the bottom of the box.
  function paint(picture, field, place, context, width, height) {
    const [frames, rows, columns] = field.shape, low = Math.max(0, Math.min(frames - 1, Math.floor(place)));
    const high = Math.min(frames - 1, low + 1), share = Math.max(0, Math.min(1, place - low)), size = rows * columns;
    picture.fill((row, column) => {
      const cell = (rows - 1 - row) * columns + column, first = field[low * size + cell];
      return (first + share * (field[high * size + cell] - first)) / top;
    });
    picture.draw(context, width, height);
  }

  function particles(context, width, height) {
    const [frames, count] = seen.arrays.particles.shape, low = Math.min(frames - 1, Math.floor(film.place));
    const high = Math.min(frames - 1, low + 1), share = film.place - low, length = count > 500 ? 4 : 9;
    context.strokeStyle = "rgba(255, 255, 255, 0.9)";
    context.lineWidth = count > 500 ? 1 : 1.8;
    context.beginPath();
    for (let k = 0; k < count; k++) {
      const [x, y, heading] = between(seen.arrays.particles, 3 * (low * count + k), 3 * (high * count + k), share);
      const px = (x / Lx) * width, py = height - (y / Ly) * height;
      context.moveTo(px - length * Math.cos(heading), py + length * Math.sin(heading));
      context.lineTo(px, py);
      context.moveTo(px + 1.5, py);
      context.arc(px, py, 1.5, 0, 2 * Math.PI);
    }
    context.stroke();
  }

  // x, y and heading between two frames; a particle that has gone around the box stays until it is there.
  function between(array, a, b, share) {
    const far = Math.abs(array[b] - array[a]) > Lx / 2 || Math.abs(array[b + 1] - array[a + 1]) > Ly / 2;
    return [0, 1, 2].map((k) => array[a + k] + (far || k === 2 ? 0 : share * (array[b + k] - array[a + k])));
  }

  function brush(context, width, height) {
    if (!using && !stroke) return;
    const ends = stroke ? [stroke.start, stroke.end] : [pointer, pointer], radius = (stage.values.reach / Lx) * width;
    const [a, b] = ends.map(([x, y]) => [x * width, (1 - y) * height]);
    context.strokeStyle = "#ffffff";
    context.lineWidth = 1.5;
    context.setLineDash([5, 4]);
    context.beginPath();
    context.arc(...a, radius, 0, 2 * Math.PI);
    if (stroke) {
      context.moveTo(b[0] + radius, b[1]);
      context.arc(...b, radius, 0, 2 * Math.PI);
      context.moveTo(...a);
      context.lineTo(...b);
    }
    context.stroke();
    context.setLineDash([]);
  }

  function read() {
    if (!seen) return;
    const lead = Math.round(film.place) - seen.facts.context, { error } = seen.arrays;
    const now = lead >= 0 ? error[Math.min(lead, error.length - 1)] : NaN, { r2 } = seen.facts;
    stage.readings({
      error: ["Error now", lead < 0 ? "shown the simulation" : `${short(100 * now)} %`, now > 0.5 ? "bad" : "",
        "of the density's norm"],
      r2: ["R² of the whole forecast", short(r2), r2 > 0.5 ? "good" : "bad"],
      mass: ["Particles", `${short(mass(seen.arrays.rho, 0))} in the box`, "",
        `${short(mass(seen.arrays.forecast, Math.max(0, lead)))} in the forecast`],
    });
  }

  function mass(field, frame) {
    const size = field.shape[1] * field.shape[2];
    let sum = 0;
    for (let k = frame * size; k < (frame + 1) * size; k++) sum += field[k];
    return (sum * Lx * Ly) / size;
  }

  async function follow(particles = [], done = null) {
    const { family, number, seconds } = stage.values;
    const answer = await stage.ask("follow", { family, number, seconds, particles, stroke: done });
    if (!answer) return;
    seen = answer;
    const { rho } = seen.arrays;
    top = rho.reduce((most, value) => Math.max(most, value), 0) || 1;
    pictures = [0, 1].map(() => new Picture(rho.shape[2], rho.shape[1]));
    film.set({ frames: rho.shape[0], step: seen.facts.step, play: true });
    stage.shown();
  }

  function present() {
    const { particles } = seen.arrays, count = particles.shape[1];
    const frame = Math.min(particles.shape[0] - 1, Math.round(film.place));
    const first = 3 * frame * count;
    return Array.from({ length: count }, (_, k) => [...particles.subarray(first + 3 * k, first + 3 * k + 3)]);
  }

  function finish() {
    const { start: from, end } = stroke, { does, reach } = stage.values;
    stroke = null;
    follow(present(), { start: from, end, does, reach });
  }

  const inBox = ([across, down]) => [across, 1 - down].map((share) => Math.max(-0.5, Math.min(1.5, share)));
  dragging(left.canvas, {
    start: (at) => {
      if (!seen) return false;
      film.stop();
      stroke = { start: inBox(at), end: inBox(at) };
      left.redraw();
    },
    move: (at) => { stroke.end = inBox(at); left.redraw(); },
    end: (at) => { stroke.end = inBox(at); finish(); },
  });
  left.canvas.addEventListener("pointermove", (event) => {
    const box = left.canvas.getBoundingClientRect();
    pointer = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    using = event.pointerType === "mouse";
    left.redraw();
  });
  left.canvas.addEventListener("pointerleave", () => { using = false; left.redraw(); });
  left.canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
    if (way) {
      pointer = pointer.map((share, k) => Math.max(0, Math.min(1, share + 0.03 * way[k])));
      using = true;
      left.redraw();
    } else if (event.key === "Enter" && seen) {
      film.stop();
      stroke = { start: pointer, end: [pointer[0] + 0.15, pointer[1]] };
      finish();
    } else return;
    event.preventDefault();
  });
  stage.onChange((name, final) => {
    if (["family", "number"].includes(name)) follow();
    else if (seen && final && ["seconds", "model"].includes(name)) follow(present());
  });
  stage.buttons([["Begin again", () => follow(), true], ["Let it go on", () => follow(present())]]);
  stage.keys([["← → ↑ ↓", "on the simulation: move the brush"], ["Enter", "stroke to the right"]]);
  await follow();
}
