// The settings of a system as form elements, and their values.

export function controls(form, table, changed) {
  const values = {}, setters = {};
  let group = null, holder = form;
  for (const control of table) {
    if (control.group !== group) {
      holder = document.createElement("fieldset");
      if (control.group) holder.append(element("legend", control.group));
      form.append(holder);
      group = control.group;
    }
    const [row, set] = line(control, (value, final) => {
      values[control.name] = value;
      changed(control.name, final);
    });
    holder.append(row);
    setters[control.name] = (value) => { values[control.name] = value; set(value); };
    setters[control.name](control.value);
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  return { values, set: (name, value) => setters[name](value) };
}

function line(control, tell) {
  const row = element("div"), id = `control-${control.name}`;
  row.className = "control";
  const label = element("label", control.label);
  label.htmlFor = id;
  row.append(label);
  const [input, set] = maker(control)(control, row, tell);
  input.id = id;
  return [row, set];
}

function maker(control) {
  if (typeof control.value === "boolean") return aSwitch;
  if (control.choices.length) return aChoice;
  return typeof control.value === "number" && control.low !== null ? aSlider : aNumber;
}

function aSwitch(control, row, tell) {
  const input = element("input");
  input.type = "checkbox";
  input.addEventListener("change", () => tell(input.checked, true));
  row.append(input);
  return [input, (value) => { input.checked = value; }];
}

function aChoice(control, row, tell) {
  const input = element("select");
  input.append(...control.choices.map((name) => new Option(name.replaceAll("_", " "), name)));
  input.addEventListener("change", () => tell(input.value, true));
  row.append(input);
  return [input, (value) => { input.value = value; }];
}

function aNumber(control, row, tell) {
  const input = element("input");
  input.type = "number";
  input.min = 0;
  input.step = control.step ?? 1;
  input.addEventListener("change", () => {
    if (input.checkValidity() && input.value !== "") tell(Number(input.value), true);
  });
  row.append(input);
  return [input, (value) => { input.value = value; }];
}

function aSlider(control, row, tell) {
  const input = element("input"), shown = element("output"), log = control.log;
  const inward = log ? Math.log : (x) => x, outward = log ? Math.exp : (x) => x;
  input.type = "range";
  input.min = inward(control.low);
  input.max = inward(control.high);
  input.step = log ? (input.max - input.min) / 200 : control.step ?? "any";
  const show = (value) => {
    shown.value = `${short(value)} ${control.unit}`.trim();
    input.setAttribute("aria-valuetext", shown.value);
  };
  const read = () => Number(outward(Number(input.value)).toPrecision(6));
  for (const [kind, final] of [["input", false], ["change", true]]) {
    input.addEventListener(kind, () => { show(read()); tell(read(), final); });
  }
  row.append(shown, input);
  return [input, (value) => { input.value = inward(value); show(value); }];
}

export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return `${Number(mantissa)} × 10${raised(Number(exponent))}`.replace("-", "−");
  }
  return Number(value.toPrecision(3)).toString().replace("-", "−");
}

// A whole number as an exponent.
export function raised(number) {
  return [...String(number)].map((digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])).join("");
}

export function element(tag, text) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  return made;
}
