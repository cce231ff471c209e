// The frame around every system: title, models, settings, readings, theme. The system draws; see `start` of its script.

import { panel } from "./canvas.js";
import { chart } from "./chart.js";
import { controls, element } from "./controls.js";
import { Film } from "./film.js";
import { Line } from "./wire.js";

const find = (id) => document.getElementById(id);
const panels = [];
const PATIENCE = 400;  // ms after which one is told that an answer takes its time

function themes() {
  const dark = matchMedia("(prefers-color-scheme: dark)"), names = ["auto", "light", "dark"];
  let chosen = 0;
  const apply = () => {
    document.documentElement.dataset.theme = chosen ? names[chosen] : dark.matches ? "dark" : "light";
    find("theme").textContent = `Theme: ${names[chosen]}`;
    panels.forEach((one) => one.redraw());
  };
  find("theme").addEventListener("click", () => { chosen = (chosen + 1) % 3; apply(); });
  dark.addEventListener("change", apply);
  apply();
}

function say(text, error = false) {
  const status = find("status");
  status.textContent = text;
  status.classList.toggle("error", error);
}

// What a system works with.
class Stage {
  constructor(told) {
    this.facts = told.facts;
    this.model = told.model;
    this.listeners = [];
    this.lines = {};
    this.charts = [];
    this.say = say;
    const settings = controls(find("controls"), told.controls, (name, final) => this.changed(name, final));
    this.values = settings.values;
    this.set = settings.set;
  }

  // `listener(name, final)`: a setting has changed, or "model"; not final while a slider is being moved.
  onChange(listener) { this.listeners.push(listener); }

  changed(name, final) { this.listeners.forEach((listener) => listener(name, final)); }

  // The answer to a question; null if a newer one has overtaken it, or if it failed, which is told.
  ask(action, values) {
    this.lines[action] ??= new Line(action, (error) => say(error.message, true));
    const patience = setTimeout(() => say("Working …"), PATIENCE);
    return this.lines[action].ask(this.model, values).then((answer) => {
      clearTimeout(patience);
      if (answer) say("");
      return answer;
    });
  }

  layout(name) { find("panels").className = name; }

  panel(what) { return kept(panel(find("panels"), what)); }

  chart(what) {
    const one = kept(chart(find("charts"), what));
    this.charts.push(one);
    return one;
  }

  repaintCharts() { this.charts.forEach((one) => one.redraw()); }

  film(draw) { return new Film(draw); }

  // name -> [label, value, class, note]
  readings(table) {
    for (const [name, [label, value, kind = "", note = ""]] of Object.entries(table)) {
      const text = JSON.stringify([label, value, kind, note]), shown = find(`reading-${name}`) ?? reading(name);
      if (shown.dataset.text === text) continue;  // most stay as they are from frame to frame
      shown.previousSibling.textContent = label;
      shown.className = kind;
      shown.replaceChildren(value, ...(note ? [element("small", note)] : []));
      shown.dataset.text = text;
    }
  }

  // Buttons below the settings: [text, function, primary].
  buttons(table) {
    const row = element("div");
    row.className = "buttons";
    const made = table.map(([text, pressed, primary]) => {
      const button = element("button", text);
      button.type = "button";
      if (primary) button.className = "primary";
      button.addEventListener("click", pressed);
      return button;
    });
    row.append(...made);
    find("controls").append(row);
    return made;
  }

  // [[key, what it does], ...]
  keys(table) {
    find("keys").replaceChildren(...table.flatMap(([key, does]) => [element("kbd", key), ` ${does}   `]));
  }
}

function reading(name) {
  const shown = element("dd");
  shown.id = `reading-${name}`;
  find("readings").append(element("dt"), shown);
  return shown;
}

function kept(one) {
  panels.push(one);
  return one;
}

async function begin() {
  const told = await (await fetch("play.json")).json();
  document.title = `${told.title} · emulant play`;
  find("title").textContent = told.title;
  find("run").textContent = told.run;
  find("hint").textContent = told.hint;
  const stage = new Stage(told), chosen = find("model");
  for (const [name, kind] of Object.entries(told.models)) {
    chosen.append(new Option(kind === "surrogate" ? name : `${name} (baseline)`, name));
  }
  chosen.value = stage.model;
  chosen.addEventListener("change", () => { stage.model = chosen.value; stage.changed("model", true); });
  themes();
  const system = await import("./system.js");
  await system.start(stage);
  document.documentElement.dataset.ready = "yes";
}

begin().catch((error) => {
  say(`This page could not start: ${error.message}`, true);
  throw error;
});
