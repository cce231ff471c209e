// The clock of a film: plays, stops, is dragged, tells how many frames a second are shown.

const find = (id) => document.getElementById(id);

export class Film {
  // `draw(place)` is given the frame as a number with a fraction; `step` is the time between frames.
  constructor(draw) {
    Object.assign(this, { draw, frames: 1, step: 1, unit: "s", place: 0 });
    Object.assign(this, { playing: false, speed: 1, last: 0, shown: [] });
    this.slider = find("position");
    find("toggle").addEventListener("click", () => this.toggle());
    find("speed").addEventListener("change", (event) => { this.speed = Number(event.target.value); });
    this.slider.addEventListener("input", () => { this.stop(); this.show(Number(this.slider.value)); });
    document.addEventListener("keydown", (event) => this.key(event));
    find("transport").hidden = false;
  }

  // Begin to show something else; `place` is where.
  set({ frames, step, unit = "s", place = 0, play = this.playing }) {
    Object.assign(this, { frames, step, unit });
    this.slider.max = frames - 1;
    this.show(Math.min(place, frames - 1));
    if (play) this.play();
  }

  get time() { return this.place * this.step; }

  toggle() { if (this.playing) this.stop(); else this.play(); }

  play() {
    if (this.place >= this.frames - 1) this.place = 0;
    if (this.playing) return;
    this.playing = true;
    this.last = 0;
    this.shown = [];
    find("toggle").textContent = "Pause";
    requestAnimationFrame((now) => this.tick(now));
  }

  stop() {
    this.playing = false;
    find("toggle").textContent = "Play";
  }

  tick(now) {
    if (!this.playing) return;
    if (this.last) {
      this.place += ((now - this.last) / 1000 / this.step) * this.speed;
      this.shown.push(now);
      while (now - this.shown[0] > 1000) this.shown.shift();
      if (now - this.shown[0] > 500) document.documentElement.dataset.rate = this.rate(now).toFixed(1);
    }
    this.last = now;
    if (this.place >= this.frames - 1) {
      this.place = this.frames - 1;
      this.stop();
    }
    this.show(this.place);
    requestAnimationFrame((later) => this.tick(later));
  }

  // Frames per second over the last second.
  rate(now) { return ((this.shown.length - 1) * 1000) / (now - this.shown[0]); }

  show(place) {
    this.place = place;
    this.slider.value = place;
    const text = `${(place * this.step).toFixed(2)} ${this.unit}`;
    find("time").value = text;
    this.slider.setAttribute("aria-valuetext", text);
    this.draw(place);
  }

  key(event) {
    const at = event.target;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " " && !at.closest("button, select, input, summary")) {
      event.preventDefault();
      this.toggle();
    }
    if ((event.key === "," || event.key === ".") && !at.closest("input[type=number]")) {
      this.stop();
      const next = Math.round(this.place) + (event.key === "." ? 1 : -1);
      this.show(Math.max(0, Math.min(this.frames - 1, next)));
    }
  }
}

