
// Niceties only: everything can be read without this script.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.order === undefined) return cell.textContent.trim();
    return cell.dataset.order === "" ? Infinity : Number(cell.dataset.order);
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        return (down ? -1 : 1) * (x < y ? -1 : x > y ? 1 : 0);
      });
      body.append(...rows);
    });
  });
}

// A film can be stopped: its still takes its place.
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const picture of document.querySelectorAll(".film picture")) {
  const moving = picture.querySelector("img");
  const source = picture.querySelector("source");
  const film = moving.src;
  const still = source.srcset;
  const button = document.createElement("button");
  button.type = "button";
  const show = (playing) => {
    source.media = playing ? "print" : "all";
    moving.src = playing ? film : still;
    button.textContent = playing ? "Pause" : "Play";
  };
  button.addEventListener("click", () => show(button.textContent === "Play"));
  picture.after(button);
  show(!calm);
}

// On paper, what is folded is opened.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const item of folded) item.open = true;
});
addEventListener("afterprint", () => {
  for (const item of folded) item.open = false;
});
