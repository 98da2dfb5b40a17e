// Builds the page, and draws what the hand changes. Everything drawn is computed here, from the data in this file.

const page = { arrays: {}, chosen: { scale: {} }, canvases: {}, maps: new Map() };
const KINDS = { stxm: PhaseMap, nmf: Components, acom: OrientationMap };

function paintNumbers(name, pixels) {
  const { low, high } = page.maps.get(name), coded = page.arrays[name], { colours } = page.content;
  const ramp = makeRamp(coded, low, high, colours.ramps.cividis, colours.background);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = ramp[coded.codes[i]];
}

// Which kept row or column stands for one of the map, and which one of the scan it is.
function findKept(mapIndex, side) {
  const { step, first } = page.grid, d = page.content.detailStep, scanned = first + mapIndex * step;
  if (page.content.averaged) return { index: Math.floor(scanned / d), scanned: Math.floor(scanned / d) * d };
  const offset = Math.floor((d - 1) / 2), count = Math.ceil((page.grid[side] - offset) / d);
  const index = Math.min(Math.floor(scanned / d), count - 1);
  return { index, scanned: offset + index * d };
}

function findDetail() {
  const [y, x] = page.chosen.pixel, d = page.content.detailStep;
  const row = findKept(y, "scanY"), column = findKept(x, "scanX");
  let text = "";
  if (d > 1 && page.content.averaged) text = `Mean of rows ${row.scanned} to ${Math.min(row.scanned + d, page.grid.scanY) - 1}, columns ${column.scanned} to ${Math.min(column.scanned + d, page.grid.scanX) - 1}.`;
  else if (d > 1) text = `Kept pixel: row ${row.scanned}, column ${column.scanned}.`;
  return { row: row.index, column: column.index, text };
}

function drawMap() {
  page.kind.paint(page.chosen.map, page.picture.pixels);
  const { width, height } = page.mapSize, context = fitCanvas(page.canvases.map, width, height);
  page.picture.draw(context, 0, 0, width, height);
  page.kind.showKey(page.chosen.map, page.key);
  page.readout.textContent = page.kind.readNumber();
}

function drawCursor() {
  const { width, height } = page.mapSize, { grid } = page, [row, column] = page.chosen.pixel;
  const context = fitCanvas(page.canvases.cursor, width, height);
  const size = [width / grid.nx, height / grid.ny], centre = [(column + 0.5) * size[0], (row + 0.5) * size[1]];
  const half = [Math.max(size[0] / 2, 4), Math.max(size[1] / 2, 4)];
  // A dark line below the coloured one, so that it is seen on every colour.
  for (const [colour, thickness] of [["#000000", 5], [page.content.colours.gesture, 2.5]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: thickness });
    context.strokeRect(centre[0] - half[0], centre[1] - half[1], 2 * half[0], 2 * half[1]);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.beginPath();
      context.moveTo(centre[0] + dx * (half[0] + 2), centre[1] + dy * (half[1] + 2));
      context.lineTo(centre[0] + dx * (half[0] + 10), centre[1] + dy * (half[1] + 10));
      context.stroke();
    }
  }
  drawScaleBar(context, width, height);
}

function drawScaleBar(context, width, height) {
  const { grid } = page, perPixel = Math.abs(grid.dx) * grid.step * grid.nx / width;
  const length = roundLength(0.3 * width * perPixel), bar = length / perPixel, text = `${writeNumber(length)} ${grid.unit}`;
  context.font = "600 13px system-ui, sans-serif";
  const room = Math.max(bar, context.measureText(text).width) + 12;
  context.fillStyle = "#FFFFFFD0";
  context.fillRect(6, height - 34, room, 28);
  context.fillStyle = "#000000";
  context.fillRect(12, height - 14, bar, 4);
  context.fillText(text, 12, height - 19);
}

function drawPixel() {
  const [row, column] = page.chosen.pixel, { grid } = page, i = row * grid.nx + column;
  drawCursor();
  const scanned = [row, column].map(index => grid.first + index * grid.step);
  const [y, x] = [grid.y0 + grid.dy * scanned[0], grid.x0 + grid.dx * scanned[1]];
  page.place.textContent = `row ${scanned[0]}, column ${scanned[1]}` + (grid.unit === "px" ? "" : ` (y = ${writeNumber(y, 5)} ${grid.unit}, x = ${writeNumber(x, 5)} ${grid.unit})`);
  if (page.isComplete) page.keptText.textContent = page.kind.drawDetails(i);
  showValues();
}

function showValues() {
  const [row, column] = page.chosen.pixel, i = row * page.grid.nx + column;
  page.table.replaceChildren(...page.kind.describe(i).map(([name, value]) => makeElement("tr", {}, makeElement("th", { scope: "row" }, name), makeElement("td", {}, value))));
}

function drawAll() {
  const { grid } = page, room = page.mapColumn.clientWidth;
  const ratio = grid.ny * Math.abs(grid.dy) / (grid.nx * Math.abs(grid.dx));
  const width = Math.max(Math.min(room, 0.75 * window.innerHeight / ratio, 640), 40);
  page.mapSize = { width: Math.floor(width), height: Math.min(Math.max(Math.round(width * ratio), 8), Math.round(0.75 * window.innerHeight)) };
  page.frame.style.width = `${page.mapSize.width}px`;
  page.frame.style.height = `${page.mapSize.height}px`;
  page.detailWidth = Math.min(page.detailColumn.clientWidth, 620);
  drawMap();
  drawPixel();
}

function chooseMap(name) {
  page.chosen.map = name;
  page.mapChoice.value = name;
  drawMap();
}

function movePixel(row, column) {
  const { grid } = page, next = [Math.min(Math.max(row, 0), grid.ny - 1), Math.min(Math.max(column, 0), grid.nx - 1)];
  if (next[0] === page.chosen.pixel[0] && next[1] === page.chosen.pixel[1]) return;
  page.chosen.pixel = next;
  // At most one drawing a frame: a finger reports its place more often than a screen shows it.
  if (!page.isDue) {
    page.isDue = true;
    requestAnimationFrame(() => { page.isDue = false; drawPixel(); });
  }
}

function stepPixel(dy, dx) {
  movePixel(page.chosen.pixel[0] + dy, page.chosen.pixel[1] + dx);
}

function listenToMap(frame) {
  const follow = event => {
    const box = frame.getBoundingClientRect(), { grid } = page;
    movePixel(Math.floor((event.clientY - box.top) / box.height * grid.ny), Math.floor((event.clientX - box.left) / box.width * grid.nx));
  };
  frame.addEventListener("pointerdown", event => {
    frame.setPointerCapture(event.pointerId);
    follow(event);
  });
  frame.addEventListener("pointermove", event => { if (frame.hasPointerCapture(event.pointerId)) follow(event); });
  frame.addEventListener("keydown", event => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    stepPixel(far * step[0], far * step[1]);
  });
}

function makeSlider(scale) {
  const write = index => scale.positions[index].toFixed(scale.decimals);
  const value = makeElement("output", {}, write(scale.start));
  const id = `scale-${scale.name}`, help = makeElement("small", { id: `${id}-help` }, scale.help);
  const input = makeElement("input", { type: "range", id, min: 0, max: scale.positions.length - 1, step: 1, "aria-describedby": help.id });
  input.value = scale.start;
  input.setAttribute("aria-valuetext", write(scale.start));
  input.addEventListener("input", () => {
    page.chosen.scale[scale.name] = Number(input.value);
    value.textContent = write(input.value);
    input.setAttribute("aria-valuetext", value.textContent);
    drawMap();
    showValues(); // the pattern or the spectrum does not depend on thresholds
  });
  page.chosen.scale[scale.name] = scale.start;
  return makeElement("div", { className: "control" }, makeElement("label", { htmlFor: id }, `${scale.label}: `, value), input, help);
}

function makeChoice({ name, label, options, start, help }, act) {
  const select = makeElement("select", { id: `choice-${name}` }, ...options.map(([value, text]) => makeElement("option", { value }, text)));
  select.value = start;
  select.addEventListener("change", () => act(select.value));
  return [select, makeElement("div", { className: "control" }, makeElement("label", { htmlFor: select.id }, label), select, makeElement("small", {}, help))];
}

function makeControls() {
  const { content } = page;
  const maps = content.maps.map(map => [map.name, map.label]);
  page.chosen.map = content.maps[0].name;
  const [select, holder] = makeChoice({ name: "map", label: "map", options: maps, start: page.chosen.map, help: "What the map shows." }, chooseMap);
  page.mapChoice = select;
  const others = content.choices.map(choice => {
    page.chosen[choice.name] = choice.start;
    return makeChoice({ ...choice, options: choice.options.map(word => [word, word]) }, value => {
      page.chosen[choice.name] = value;
      drawPixel();
    })[1];
  });
  return makeElement("div", { className: "controls" }, holder, ...content.scales.map(makeSlider), ...others);
}

// A thumb has no arrow keys.
function makeArrows() {
  const arrows = [["←", "left", 0, -1], ["↑", "up", -1, 0], ["↓", "down", 1, 0], ["→", "right", 0, 1]];
  const buttons = arrows.map(([sign, word, dy, dx]) => {
    const button = makeElement("button", { type: "button", "aria-label": `one pixel ${word}` }, sign);
    button.addEventListener("click", () => stepPixel(dy, dx));
    return button;
  });
  return makeElement("div", { className: "arrows" }, ...buttons);
}

function makeMap() {
  page.canvases.map = makeElement("canvas", { id: "map" });
  page.canvases.cursor = makeElement("canvas", { id: "cursor" });
  const text = "Map. Arrow keys move the cursor by one pixel, with Shift by ten.";
  page.frame = makeElement("div", { className: "frame", tabIndex: 0, role: "application", "aria-label": text }, page.canvases.map, page.canvases.cursor);
  listenToMap(page.frame);
  page.readout = makeElement("p", { id: "readout", role: "status" });
  page.key = makeElement("div", { className: "key", id: "key" });
  const hint = "Press or drag on the map to move the cursor; arrow keys move it by one pixel, with Shift by ten.";
  page.mapColumn = makeElement("section", { className: "map-column" }, page.readout, page.frame, makeArrows(), page.key, makeElement("small", {}, hint));
  return page.mapColumn;
}

function makeDetails() {
  page.place = makeElement("h2", { id: "place" });
  page.table = makeElement("table", { id: "numbers" });
  page.keptText = makeElement("p", { id: "kept" });
  page.detailKey = makeElement("div", { className: "key" });
  page.spotText = makeElement("p", { id: "spot", role: "status" });
  page.gallery = makeElement("section");
  const figures = page.kind.details.map(({ name, label }) => {
    page.canvases[name] = makeElement("canvas", { id: name, role: "img", "aria-label": label });
    return makeElement("figure", {}, makeElement("figcaption", {}, label), page.canvases[name]);
  });
  page.detailColumn = makeElement("section", { className: "detail-column" }, page.place, page.keptText, ...figures, page.detailKey, page.spotText, page.table);
  if (page.kind.nameSpots && page.canvases.pattern) {
    const read = event => {
      const box = page.canvases.pattern.getBoundingClientRect();
      page.spotText.textContent = page.kind.nameSpots(event.clientX - box.left, event.clientY - box.top);
    };
    for (const kind of ["pointermove", "pointerdown"]) page.canvases.pattern.addEventListener(kind, read);
    page.spotText.textContent = "Point at a spot for its indices.";
  }
  return page.detailColumn;
}

function makeFoot() {
  const { content } = page;
  const notes = makeElement("ul", {}, ...content.notes.map(note => makeElement("li", {}, note)));
  const rows = content.parameters.map(([name, value]) => makeElement("tr", {}, makeElement("th", { scope: "row" }, name), makeElement("td", {}, value)));
  const parameters = makeElement("details", { id: "parameters" }, makeElement("summary", {}, "Parameters"), makeElement("table", {}, ...rows));
  return makeElement("footer", {}, makeElement("h2", {}, "What this page holds"), notes, ...(rows.length ? [parameters] : []), makeElement("p", {}, `Made by phasekit ${content.version}. This file asks for nothing from outside.`));
}

async function openPage() {
  const message = document.getElementById("message");
  page.content = JSON.parse(document.getElementById("content").textContent);
  page.grid = page.content.grid;
  for (const map of page.content.maps) page.maps.set(map.name, map);
  if (typeof DecompressionStream === "undefined") {
    message.textContent = page.content.oldBrowser;
    return;
  }
  await unpack("maps", page.content.tables.maps, page.arrays);
  const controls = makeControls();
  page.kind = new KINDS[page.content.workflow]();
  page.picture = new Picture(page.grid.nx, page.grid.ny);
  page.chosen.pixel = findStart();
  const columns = makeElement("div", { className: "columns" }, makeMap(), makeDetails());
  message.replaceWith(makeElement("p", {}, `${page.content.heading}, ${page.grid.scanY} x ${page.grid.scanX} pixels`));
  document.getElementById("page").append(controls, columns, page.gallery, makeFoot());
  drawAll();
  document.documentElement.dataset.state = "map";
  performance.mark("map");
  if (document.readyState === "loading") await new Promise(resolve => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  await unpack("details", page.content.tables.details, page.arrays);
  page.isComplete = true;
  drawAll();
  document.documentElement.dataset.state = "complete";
  performance.mark("complete");
  window.addEventListener("resize", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

// The pixel that is surest of its answer, so that the first picture shows something.
function findStart() {
  const { arrays, grid } = page, names = { stxm: "confidence", acom: "reliability", nmf: "ratio" };
  const coded = arrays[names[page.content.workflow]], sign = page.content.workflow === "nmf" ? -1 : 1;
  let [best, value] = [Math.floor(grid.ny / 2) * grid.nx + Math.floor(grid.nx / 2), -Infinity];
  for (let i = 0; i < coded.count; i += 1) {
    const here = sign * coded.at(i);
    if (here > value) [best, value] = [i, here];
  }
  return [Math.floor(best / grid.nx), best % grid.nx];
}

openPage().catch(error => {
  const message = document.getElementById("message") ?? document.body.appendChild(makeElement("p"));
  message.textContent = `This page cannot be shown: ${error.message}`;
});
