"""Style and script of the results page; both are inside it, so that it needs no other file and no network."""

# Grounds of the status are dark, so that white words on them have a contrast above 4.5.
STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; }
h1 { margin: 0 0 .2rem; } a { color: #0072B2; }
form { display: flex; gap: 1rem; align-items: center; flex-wrap: wrap; margin: .8rem 0; }
input, select { font: inherit; padding: .2rem .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid var(--line); padding: .35rem .7rem .35rem 0; vertical-align: top; text-align: left; }
thead th { position: sticky; top: 0; background: Canvas; border: 0; white-space: nowrap; }
thead button { font: inherit; font-weight: 600; background: none; border: 0; padding: 0; color: inherit; }
thead button { cursor: pointer; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
td { font-variant-numeric: tabular-nums; } tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 10rem; }
tbody th p { font-weight: 400; margin: .2rem 0 0; color: #b04a00; overflow-wrap: anywhere; }
tbody th small { font-weight: 400; display: block; }
td.links a { margin-right: .7rem; white-space: nowrap; }
img { background: white; border-radius: 4px; display: block; object-fit: contain; }
span.status { border-radius: 99px; padding: .05rem .6rem; font-size: .85rem; color: white; background: #595959; }
.ok span.status { background: #00745a; } .failed span.status, .interrupted span.status { background: #b04a00; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: .5rem; margin: .3rem 0; }
@media (prefers-color-scheme: dark) { a { color: #56B4E9; } tbody th p { color: #E69F00; } }
"""

# The page loads itself again while a batch runs, so it keeps search and order for the session.
# Some browsers refuse this storage to files on the disk; the page then begins anew.
# Empty cells come last in both directions: they are no small values.
SCRIPT = """
"use strict";
const body = document.querySelector("tbody"), rows = [...body.rows];
const words = document.querySelector("#words"), status = document.querySelector("#status");
const shown = document.querySelector("#shown"), heads = [...document.querySelectorAll("thead th[data-column]")];
const texts = rows.map(row => [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase());
const order = rows.map((_, number) => number);
let column = -1, direction = 1;
function cell(row, place) {
  const found = row.cells[place], given = found.dataset.value ?? found.textContent.trim();
  return given === "" ? null : (isNaN(given) ? given.toLowerCase() : Number(given));
}
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return direction * (a < b ? -1 : a > b ? 1 : 0);
}
function sort() {
  const keys = column < 0 ? order : rows.map(row => cell(row, column));
  const places = [...order].sort((i, j) => compare(keys[i], keys[j]) || i - j);
  body.append(...places.map(place => rows[place]));
  const word = direction > 0 ? "ascending" : "descending";
  for (const head of heads) head.ariaSort = head.cellIndex === column ? word : "none";
}
function filter() {
  const wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  rows.forEach((row, number) => {
    const isChosen = !status.value || row.className === status.value;
    const fits = isChosen && wanted.every(word => texts[number].includes(word));
    row.hidden = !fits; count += fits;
  });
  shown.textContent = count + " of " + rows.length + " rows shown";
}
function keep() {
  const kept = JSON.stringify([words.value, status.value, column, direction]);
  try { sessionStorage.setItem(location.pathname, kept); } catch {}
}
for (const head of heads) head.firstElementChild.addEventListener("click", () => {
  direction = column === head.cellIndex ? -direction : 1; column = head.cellIndex; sort(); keep();
});
for (const input of [words, status]) input.addEventListener("input", () => { filter(); keep(); });
document.querySelector("form").addEventListener("submit", event => event.preventDefault());
try {
  const kept = JSON.parse(sessionStorage.getItem(location.pathname));
  if (kept) { [words.value, status.value, column, direction] = kept; if (column >= 0) sort(); }
} catch {}
filter();
if (document.body.dataset.running) setTimeout(() => location.reload(), 10000);
"""
