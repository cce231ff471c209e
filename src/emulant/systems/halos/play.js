// Maps of a halo: what the surrogate sees, what it paints, what is simulated; and gas by radius.

import { Picture, ramp } from "./canvas.js";
import { short } from "./controls.js";

const SPECIES = ["dark matter", "gas", "stars"];
const NIGHT = [12, 14, 22];
const TABLES = [
  ramp([NIGHT, [52, 42, 98], [120, 90, 180], [205, 190, 235], [255, 255, 255]]),
  ramp([NIGHT, [20, 60, 110], [20, 130, 170], [120, 210, 190], [250, 255, 225]]),
  ramp([NIGHT, [90, 40, 30], [190, 95, 30], [245, 180, 70], [255, 250, 215]]),
];

export async function start(stage) {
  const { names, can_simulate } = stage.facts;
  let seen = null, simulated = null, pending = false;

  stage.layout("trio");
  const maps = [
    map("Dark matter, seen", "", () => [seen.arrays.seen, 0, seen.facts.limits[0], 0]),
    map("Gas, painted", "model", () => [seen.arrays.painted, 1, seen.facts.limits[2], 1]),
    map("Stars, painted", "model", () => [seen.arrays.painted, 2, seen.facts.limits[3], 2]),
    map("Dark matter, simulated", "", () => [truth(), 0, seen.facts.limits[1], 0]),
    map("Gas, simulated", "", () => [truth(), 1, seen.facts.limits[2], 1]),
    map("Stars, simulated", "", () => [truth(), 2, seen.facts.limits[3], 2]),
  ];
  const charts = [1, 2].map((kind) => stage.chart({
    title: `Mean ${SPECIES[kind]} per pixel, Msun/h`, legend: [["simulated", "truth"], ["painted", "model"]],
    across: "distance from the centre in Mpc/h", content: () => seen && profile(kind),
  }));
  const buttons = can_simulate ? [["Simulate this feedback", simulate, true], ["Its own feedback", own]] : [["Its own feedback", own, true]];
  const [button] = stage.buttons(buttons);

  function truth() { return simulated?.arrays.truth ?? seen.arrays.truth; }

  function map(title, kind, what) {
    let picture = null;
    return stage.panel({ title, kind, aspect: 1, label: `Map: ${title}`, draw: (context, width, height) => {
      if (!seen) return;
      const [field, plane, [low, high], table] = what(), side = seen.arrays.seen.shape[0];
      picture ??= new Picture(side, side);
      // the first axis of a map is x, which points right; y points up
      picture.fill((row, column) => {
        const value = field[plane * side * side + column * side + (side - 1 - row)];
        return value > 0 ? (Math.log10(value) - low) / (high - low) : 0;
      }, TABLES[table]);
      picture.draw(context, width, height, false);
    } });
  }

  function profile(kind) {
    const [, species, rings] = seen.arrays.profiles.shape, size = species * rings, all = seen.arrays.profiles;
    const painted = all.subarray(kind * rings, (kind + 1) * rings);
    const real = simulated ? simulated.arrays.profiles.subarray(kind * rings, (kind + 1) * rings) : all.subarray(size + kind * rings, size + (kind + 1) * rings);
    const positive = [...painted, ...real].filter((value) => value > 0);
    return {
      x: Array.from({ length: rings }, (_, k) => ((k + 0.5) / rings) * (seen.facts.side / 2)), log: true,
      low: positive.length ? Math.min(...positive) : 1, high: positive.length ? Math.max(...positive) : 10,
      lines: [{ y: holes(real), colour: "truth" }, { y: holes(painted), colour: "model" }],
    };
  }

  function read() {
    if (!seen) return;
    const { facts } = seen, real = simulated?.facts.simulated ?? facts.simulated;
    const row = (k) => [`${SPECIES[k]}, painted`, `${short(facts.painted[k])} Msun/h`, "model", `simulated ${short(real[k])}, ratio ${short(facts.painted[k] / real[k])}`];
    stage.readings({
      halo: ["Halo", `${short(facts.mass)} Msun/h`, "", `number ${stage.values.halo} of ${stage.facts.halos}, ${short(facts.side)} Mpc/h across`],
      gas: row(1),
      stars: row(2),
      simulation: ["The lower maps", pending ? "being simulated …" : simulated ? "this feedback" : same() ? "its own feedback" : "its own feedback, not this one", simulated || same() ? "good" : ""],
    });
  }

  function same() { return names.every((name) => Math.abs((stage.values[name] ?? seen.facts.own[name]) / seen.facts.own[name] - 1) < 1e-3); }

  function message(parameters) { return { halo: stage.values.halo, draw: stage.values.draw, parameters }; }

  function slid() { return Object.fromEntries(names.filter((name) => name in stage.values).map((name) => [name, stage.values[name]])); }

  async function paint(parameters) {
    simulated = null;
    const answer = await stage.ask("paint", message(parameters));
    if (!answer) return false;
    seen = answer;
    redraw();
    document.documentElement.dataset.answers = Number(document.documentElement.dataset.answers ?? 0) + 1;
    return true;
  }

  // Another halo begins under its own feedback.
  async function own() {
    if (!await paint({})) return;
    for (const name of names) if (name in stage.values) stage.set(name, seen.facts.own[name]);
    redraw();
  }

  async function simulate() {
    const of = JSON.stringify(stage.values);
    pending = button.disabled = true;
    read();
    const answer = await stage.ask("simulate", message(slid()));
    pending = button.disabled = false;
    if (answer && of === JSON.stringify(stage.values)) simulated = answer;
    redraw();
  }

  function redraw() {
    for (const one of [...maps, ...charts]) one.redraw();
    read();
  }

  stage.keys([["← →", "on a slider: move it"]]);
  stage.onChange((name) => { if (name === "halo") own(); else paint(slid()); });
  await own();
}

// Nothing has no logarithm: a gap.
function holes(values) { return [...values].map((value) => (value > 0 ? value : NaN)); }
