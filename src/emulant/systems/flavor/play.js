// The fluxes of a cell to be dragged, its lepton number around the plane, and bars of what comes out.

import { colour, dragging } from "./canvas.js";
import { short } from "./controls.js";

const INK = ["model", "other", "good"];  // νe, ν̄e, νx
const NAMES = ["νe", "ν̄e", "νx", "ν̄x"];
const RANKS = [["before", "muted"], ["surrogate", "model"], ["Box3D", "other"], ["simulated", "truth"]];
const GRIP = 0.12;

export async function start(stage) {
  const { species, labels } = stage.facts;
  let seen = null, simulated = null, held = -1, chosen = 0, pending = false;

  stage.layout("pair");
  const fluxes = stage.panel({
    title: "Fluxes over densities", aspect: 1, interactive: true, draw: drawFluxes,
    label: "Flux factors of three species as arrows. Keys e, a, x choose one, arrow keys move it.",
  });
  const leptons = stage.panel({
    title: "Lepton number e − x by direction", aspect: 1, draw: drawLeptons,
    label: "Electron minus heavy lepton number by direction, before and after",
  });
  const bars = stage.panel({
    title: "Densities over n_tot", aspect: 2.6, draw: drawBars,
    label: "Densities before, and after by surrogate, Box3D and simulation",
  });
  bars.canvas.parentElement.classList.add("wide");
  const [button] = stage.buttons([["Simulate this cell", simulate, true]]);

  function disc(width, height) { return { x: width / 2, y: height / 2, r: Math.min(width, height) / 2 - 18 }; }

  // The tip of an arrow: z points up, x to the right; the rim is |F| = n.
  function tip(name, { x, y, r }) {
    const f = stage.values[`factor_${name}`], angle = stage.values[`direction_${name}`];
    return [x + r * f * Math.sin(angle), y - r * f * Math.cos(angle)];
  }

  function drawFluxes(context, width, height) {
    const at = disc(width, height);
    rings(context, at, [0.25, 0.5, 0.75, 1]);
    label(context, "z", at.x + 6, at.y - at.r + 12, "muted");
    label(context, "x", at.x + at.r - 12, at.y - 6, "muted");
    species.forEach((name, k) => {
      const [x, y] = tip(name, at), size = 6 + 7 * Math.sqrt(stage.values[`density_${name}`] / 2);
      context.strokeStyle = context.fillStyle = colour(INK[k]);
      context.lineWidth = k === chosen ? 4 : 2.5;
      line(context, [[at.x, at.y], [x, y]]);
      context.beginPath();
      context.arc(x, y, size, 0, 2 * Math.PI);
      context.fill();
      label(context, labels[k], x + size + 3, y + 5, INK[k]);
    });
  }

  function drawLeptons(context, width, height) {
    if (!seen) return;
    const at = disc(width, height), { g } = seen.arrays, count = g.shape[1];
    const most = Math.max(1e-6, ...g.subarray(0, count).map(Math.abs)), zero = 0.5;
    rings(context, at, [zero]);
    label(context, "0", at.x + 3, at.y - zero * at.r - 3, "muted");
    curve(context, at, g.subarray(0, count), most, zero, "muted", [5, 4]);
    curve(context, at, g.subarray(count), most, zero, "model", []);
    label(context, "before: dashed", 8, height - 10, "muted");
    label(context, "after, by the surrogate", 8, 18, "model");
  }

  function curve(context, { x, y, r }, values, most, zero, name, dash) {
    context.strokeStyle = colour(name);
    context.lineWidth = 2.2;
    context.setLineDash(dash);
    context.beginPath();
    for (let k = 0; k <= values.length; k++) {
      const angle = (2 * Math.PI * k) / values.length, share = values[k % values.length] / most;
      const reach = r * (zero + (1 - zero) * Math.max(-1, Math.min(1, share)));
      context[k ? "lineTo" : "moveTo"](x + reach * Math.sin(angle), y - reach * Math.cos(angle));
    }
    context.stroke();
    context.setLineDash([]);
  }

  function drawBars(context, width, height) {
    if (!seen) return;
    const { densities } = seen.arrays, rows = [0, 1, 2].map((k) => densities.subarray(4 * k, 4 * k + 4));
    if (simulated?.arrays.densities) rows.push(simulated.arrays.densities);
    const most = Math.max(...rows.flatMap((row) => [...row]).filter(Number.isFinite), 1e-9);
    const wide = width / 4, thick = Math.min(26, (wide - 18) / 4), floor = height - 24, tall = floor - 40;
    rows.forEach((row, rank) => row.forEach((value, k) => {
      const size = (tall * Math.max(0, value)) / most;
      context.fillStyle = colour(RANKS[rank][1]);
      context.fillRect(k * wide + (wide - 4 * thick) / 2 + rank * thick, floor - size, thick - 2, size);
    }));
    NAMES.forEach((name, k) => label(context, name, (k + 0.5) * wide - 7, height - 7, "truth"));
    let left = 10;
    rows.forEach((_, rank) => {
      context.fillStyle = colour(RANKS[rank][1]);
      context.fillRect(left, 12, 10, 10);
      label(context, RANKS[rank][0], left + 14, 21, "truth");
      left += 26 + context.measureText(RANKS[rank][0]).width;
    });
  }

  function read() {
    if (!seen) return;
    const { facts } = seen, agree = facts.unstable === facts.says_unstable;
    const state = facts.unstable === null ? "cannot be told" : facts.unstable ? "unstable" : "stable";
    stage.readings({
      stability: ["This cell is", state, "", facts.fault || `depth of the crossing ${short(facts.margin)}`],
      says: ["The surrogate says", facts.says_unstable ? "unstable" : "stable", agree ? "good" : "bad",
        facts.uncertainty === null ? "" : `uncertainty ${short(facts.uncertainty)} n_tot`],
      growth: ["Growth rate", `${short(facts.growth)} s⁻¹`, "",
        `surrogate ${short(facts.says_growth)}, Box3D ${short(facts.prescribed_growth)}`],
      simulation: ["Simulation", told(), ""],
    });
  }

  function told() {
    if (pending) return "running …";
    if (!simulated) return "not run for this cell";
    const { outcome, fault, steps, limit } = simulated.facts;
    if (fault) return fault;
    return {
      simulated: `saturated after ${steps} steps`,
      stable: "nothing happens: no crossing",
      slow: `needs ${steps} steps, the study allows ${limit}`,
      not_saturated: `not saturated after ${steps} steps`,
      not_converged: `still moving after ${steps} steps`,
    }[outcome] ?? outcome;
  }

  async function look() {
    simulated = null;
    fluxes.redraw();
    const answer = await stage.ask("look", stage.values);
    if (!answer) return;
    seen = answer;
    for (const one of [leptons, bars]) one.redraw();
    read();
    stage.shown();
  }

  async function simulate() {
    const of = JSON.stringify(stage.values);
    pending = button.disabled = true;
    read();
    const answer = await stage.ask("simulate", stage.values);
    pending = button.disabled = false;
    if (answer && of === JSON.stringify(stage.values)) simulated = answer;
    bars.redraw();
    read();
  }

  function move([across, down]) {
    const at = disc(fluxes.width, fluxes.height);
    const x = (across * fluxes.width - at.x) / at.r, z = (at.y - down * fluxes.height) / at.r;
    stage.set(`factor_${species[held]}`, Math.min(0.95, Math.hypot(x, z)));
    stage.set(`direction_${species[held]}`, Math.atan2(x, z));
    look();
  }

  dragging(fluxes.canvas, {
    start: ([across, down]) => {
      const at = disc(fluxes.width, fluxes.height);
      const far = species.map((name) => {
        const [x, y] = tip(name, at);
        return Math.hypot(across * fluxes.width - x, down * fluxes.height - y) / fluxes.width;
      });
      held = far.indexOf(Math.min(...far));
      if (far[held] > GRIP) return false;
      chosen = held;
    },
    move,
    end: move,
  });
  fluxes.canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
    if (species.includes(event.key)) chosen = species.indexOf(event.key);
    else if (way) {
      const name = species[chosen], f = stage.values[`factor_${name}`], angle = stage.values[`direction_${name}`];
      const x = f * Math.sin(angle) + 0.02 * way[0], z = f * Math.cos(angle) + 0.02 * way[1];
      stage.set(`factor_${name}`, Math.min(0.95, Math.hypot(x, z)));
      stage.set(`direction_${name}`, Math.atan2(x, z));
      look();
    } else return;
    event.preventDefault();
    fluxes.redraw();
  });
  stage.onChange(look);
  stage.keys([["e a x", "on the fluxes: choose a species"], ["← → ↑ ↓", "move its flux"]]);
  await look();
}

function rings(context, { x, y, r }, shares) {
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  for (const share of shares) {
    context.beginPath();
    context.arc(x, y, share * r, 0, 2 * Math.PI);
    context.stroke();
  }
  line(context, [[x - r, y], [x + r, y]]);
  line(context, [[x, y - r], [x, y + r]]);
}

function line(context, [a, b]) {
  context.beginPath();
  context.moveTo(...a);
  context.lineTo(...b);
  context.stroke();
}

function label(context, text, x, y, name) {
  context.fillStyle = colour(name);
  context.font = "13px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText(text, x, y);
}
