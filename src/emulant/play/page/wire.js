// Messages to the server and answers from it; see wire.py for the form that they travel in.

const KINDS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const [name, { dtype, shape, offset }] of Object.entries(head.arrays)) {
    const count = shape.reduce((product, size) => product * size, 1);
    arrays[name] = new KINDS[dtype](buffer, 4 + length + offset, count);
    arrays[name].shape = shape;
  }
  return { facts: head.facts, arrays };
}

// One question of a kind at a time. Of those that are asked meanwhile only the last is sent; the others give null.
export class Line {
  constructor(action, report) {
    Object.assign(this, { action, report, busy: false, waiting: null });
  }

  ask(model, values) {
    if (this.busy) {
      this.waiting?.resolve(null);
      return new Promise((resolve) => { this.waiting = { model, values, resolve }; });
    }
    return this.send(model, values);
  }

  async send(model, values) {
    this.busy = true;
    try {
      return await fetched(this.action, model, values);
    } catch (error) {
      this.report(error);
      return null;
    } finally {
      this.busy = false;
      const next = this.waiting;
      this.waiting = null;
      if (next) this.send(next.model, next.values).then(next.resolve);
    }
  }
}

async function fetched(action, model, values) {
  const response = await fetch(`ask/${action}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, values }),
  }).catch(() => { throw new Error("The server does not answer. Is `emulant play` still running?"); });
  if (response.headers.get("Content-Type") === "application/octet-stream") return decode(await response.arrayBuffer());
  const { what, mend } = await response.json();
  throw new Error(`${what} ${mend}`.trim());
}
