// Two double pendulums in one picture, their error and their energies in time.

import { colour, dragging } from "./canvas.js";
import { short } from "./controls.js";

const TRAIL = 1.2;  // s of the lower bob's path that are still seen
const PREVIEW = 3, PATIENCE = 0.12;  // s that are followed while one drags, at most; s that their answer may take
const GRIP = 0.08;  // how near to a bob one has to press, as a share of the picture

export async function start(stage) {
  let roll = null, clock = null, film = null, held = -1, pace = PREVIEW / PATIENCE;

  stage.layout("single");
  const picture = stage.panel({
    title: "Simulation and surrogate", label: "Double pendulum: simulation in grey, surrogate in colour. Arrow keys move its start.",
    aspect: 1.15, interactive: true, draw,
  });
  const axis = () => Array.from({ length: roll.arrays.truth.shape[0] }, (_, k) => k * roll.facts.step);
  const late = (values) => [...Array(roll.facts.context).fill(NaN), ...values];
  stage.chart({ title: "Error, NRSE", legend: [["surrogate", "model"]], across: "time in s", content: () => roll && {
    x: axis(), lines: [{ y: late(roll.arrays.error), colour: "model" }],
    low: 1e-4, high: 10, log: true, cursor: film.time, shaded: roll.facts.context * roll.facts.step,
    marks: [{ value: stage.facts.threshold, text: `no longer holds: ${stage.facts.threshold}` }],
  } });
  stage.chart({ title: "Energy in J", legend: [["simulation", "truth"], ["surrogate", "model"]], across: "time in s", content: () => roll && {
    x: axis(), cursor: film.time, shaded: roll.facts.context * roll.facts.step, ...energies(roll.arrays, late),
  } });
  film = stage.film(() => { picture.redraw(); stage.repaintCharts(); read(); });

  function draw(context, width, height) {
    if (!roll) return;
    const { arrays, facts } = roll, scale = sized(facts.lengths, width, height), { place } = film;
    context.lineCap = "round";
    context.strokeStyle = colour("line");
    ring(context, scale, facts.lengths[0] + facts.lengths[1]);
    if (held >= 0) {  // all that is known of the new start
      trail(context, arrays.truth, Infinity, facts, scale, "muted");
      trail(context, arrays.forecast, Infinity, facts, scale, "model");
      arms(context, [stage.values.theta1, stage.values.theta2], facts, scale, "truth", 1);
      return;
    }
    trail(context, arrays.truth, place, facts, scale, "muted");
    trail(context, arrays.forecast, place - facts.context, facts, scale, "model");
    arms(context, state(arrays.truth, place), facts, scale, "truth", 0.55);
    const own = place - facts.context;  // before its first frame the surrogate has nothing to say
    if (own >= 0) arms(context, state(arrays.forecast, own), facts, scale, "model", 1);
  }

  function read() {
    if (!roll) return;
    const { facts } = roll, lead = Math.max(0, film.time - (facts.context - 1) * facts.step);
    const exponent = clock?.exponent > 0 ? clock.exponent : null;
    const held_ = `${facts.ended ? "≥ " : ""}${facts.valid.toFixed(2)} s`;
    stage.readings({
      clock: ["Lyapunov clock", exponent ? `${(lead * exponent).toFixed(2)} λ⁻¹` : "–", "", "since the forecast began"],
      exponent: ["Largest exponent λ", clock ? `${short(clock.exponent)} ± ${short(clock.error)} s⁻¹` : "…", "",
        clock ? `${clock.chaotic ? "chaotic" : "not (or weakly) chaotic"}, over ${stage.facts.clock} s` : ""],
      valid: ["The forecast holds for", held_, facts.valid > 1 ? "good" : "bad",
        exponent && clock.chaotic ? `${short(facts.valid * exponent)} Lyapunov times` : "NRSE below the line"],
      training: ["This start", facts.outside.length ? "outside the training" : "as in training", facts.outside.length ? "bad" : ""],
    });
  }

  async function follow(final) {
    const least = stage.facts.context + 0.5, began = performance.now();
    const seconds = final ? stage.values.seconds : Math.min(stage.values.seconds, PREVIEW, Math.max(least, pace * PATIENCE));
    clock = null;
    picture.redraw();
    const answer = await stage.ask("roll", { ...stage.values, seconds });
    if (!answer || (held >= 0 && final)) return;
    pace = (1000 * (seconds - stage.facts.context)) / (performance.now() - began);
    roll = answer;
    const { facts } = roll;
    film.set({ frames: roll.arrays.truth.shape[0], step: facts.step, play: final && held < 0 });
    document.documentElement.dataset.answers = Number(document.documentElement.dataset.answers ?? 0) + 1;
    read();
    if (!final) return;
    const told = await stage.ask("clock", stage.values);
    if (told) clock = told.facts;
    read();
  }

  function pull([across, down]) {
    if (held >= 0) {
      const { lengths } = roll.facts, scale = sized(lengths, picture.width, picture.height);
      let x = (across * picture.width - scale.x) / scale.length, y = (down * picture.height - scale.y) / scale.length;
      if (held === 1) {
        x -= lengths[0] * Math.sin(stage.values.theta1);
        y -= lengths[0] * Math.cos(stage.values.theta1);
      }
      stage.set(held ? "theta2" : "theta1", Math.atan2(x, y));
    }
    follow(false);
  }

  function gripped([across, down]) {
    if (!roll) return false;
    const { lengths } = roll.facts, scale = sized(lengths, picture.width, picture.height);
    film.stop();
    film.show(0);
    const far = bobs([stage.values.theta1, stage.values.theta2], lengths, scale).map(
      ([x, y]) => Math.hypot(across * picture.width - x, down * picture.height - y) / picture.width,
    );
    held = far[1] <= far[0] ? 1 : 0;
    if (far[held] > GRIP) held = far[0] < 2 * GRIP && far[1] > 2 * GRIP ? 0 : 1;
  }

  dragging(picture.canvas, {
    start: (at) => gripped(at) ?? pull(at),
    move: pull,
    end: (at) => { pull(at); held = -1; follow(true); },
  });
  picture.canvas.addEventListener("keydown", (event) => {
    const [name, way] = { ArrowLeft: ["theta1", -1], ArrowRight: ["theta1", 1], ArrowDown: ["theta2", -1], ArrowUp: ["theta2", 1] }[event.key] ?? [];
    if (!name) return;
    event.preventDefault();
    const angle = stage.values[name] + way * (event.shiftKey ? 0.001 : 0.02);
    stage.set(name, Math.atan2(Math.sin(angle), Math.cos(angle)));
    follow(true);
  });
  stage.onChange((name, final) => { if (!final) film.stop(); follow(final); });
  stage.buttons([
    ["Let go again", () => { film.stop(); film.show(0); film.play(); }, true],
    ["Nudge by 0.001 rad", () => { stage.set("theta1", stage.values.theta1 + 0.001); follow(true); }],
  ]);
  stage.keys([["← → ↑ ↓", "on the picture: move the start (with Shift by 0.001)"], ["Space", "play, stop"], [", .", "frame by frame"]]);
  await follow(true);
}

function energies({ energy, forecast_energy }, late) {
  const level = energy[0], span = Math.max(5, 0.3 * Math.abs(level));
  return {
    lines: [
      { y: energy, colour: "truth" },
      { y: late(forecast_energy), colour: "model" },
    ],
    low: level - span, high: level + span,
  };
}

function sized([l1, l2], width, height) {
  return { x: width / 2, y: height / 2, length: (Math.min(width, height) / 2 - 22) / (l1 + l2) };
}

function bobs([theta1, theta2], [l1, l2], { x, y, length }) {
  const a = [x + length * l1 * Math.sin(theta1), y + length * l1 * Math.cos(theta1)];
  return [a, [a[0] + length * l2 * Math.sin(theta2), a[1] + length * l2 * Math.cos(theta2)]];
}

// Angles at a frame with a fraction, between the two frames beside it.
function state(states, place) {
  const frames = states.shape[0], low = Math.max(0, Math.min(frames - 1, Math.floor(place)));
  const high = Math.min(frames - 1, low + 1), share = Math.max(0, Math.min(1, place - low));
  return [0, 1].map((k) => states[4 * low + k] + share * (states[4 * high + k] - states[4 * low + k]));
}

function arms(context, angles, { lengths, masses }, scale, name, alpha) {
  if (!angles.every(Number.isFinite)) return;
  const [a, b] = bobs(angles, lengths, scale);
  context.globalAlpha = alpha;
  context.strokeStyle = context.fillStyle = colour(name);
  context.lineWidth = 4;
  context.beginPath();
  context.moveTo(scale.x, scale.y);
  context.lineTo(...a);
  context.lineTo(...b);
  context.stroke();
  for (const [[x, y], mass] of [[a, masses[0]], [b, masses[1]]]) {
    context.beginPath();
    context.arc(x, y, 10 * Math.cbrt(mass / Math.max(...masses)), 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

function trail(context, states, place, { lengths, step }, scale, name) {
  const last = Math.min(place, states.shape[0] - 1), fine = 0.25;
  if (last <= 0) return;
  context.strokeStyle = colour(name);
  context.lineWidth = 2;
  context.lineCap = "butt";
  const first = place === Infinity ? 0 : Math.max(0, last - TRAIL / step);
  for (let k = first; k < last; k += fine) {
    const ends = [k, Math.min(k + fine, last)].map((at) => state(states, at));
    if (!ends.flat().every(Number.isFinite)) continue;
    context.globalAlpha = 0.05 + 0.6 * ((k - first) / (last - first));
    context.beginPath();
    context.moveTo(...bobs(ends[0], lengths, scale)[1]);
    context.lineTo(...bobs(ends[1], lengths, scale)[1]);
    context.stroke();
  }
  context.globalAlpha = 1;
}

function ring(context, { x, y, length }, reach) {
  context.lineWidth = 1;
  context.beginPath();
  context.arc(x, y, length * reach, 0, 2 * Math.PI);
  context.stroke();
  context.fillStyle = colour("muted");
  context.beginPath();
  context.arc(x, y, 3, 0, 2 * Math.PI);
  context.fill();
}
