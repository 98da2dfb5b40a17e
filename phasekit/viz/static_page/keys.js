// The keys below a map: names with their colours, a colour bar, or the picture of a colour key.

function showNames(key, entries) {
  key.replaceChildren(...entries.map(({ name, colour }) => {
    const swatch = makeElement("span", { className: "swatch" });
    swatch.style.background = colour;
    return makeElement("span", { className: "entry" }, swatch, name);
  }));
}

function showBar(key, { label, low, high }, ramp) {
  const canvas = makeElement("canvas", { role: "img", "aria-label": `colours from ${writeNumber(low)} to ${writeNumber(high)}` });
  const width = 180, context = fitCanvas(canvas, width, 14);
  for (let x = 0; x < width; x += 1) {
    const place = 3 * Math.round(255 * x / (width - 1));
    context.fillStyle = `rgb(${ramp[place]}, ${ramp[place + 1]}, ${ramp[place + 2]})`;
    context.fillRect(x, 0, 1.5, 14);
  }
  key.replaceChildren(makeElement("span", { className: "bar" }, writeNumber(low), canvas, writeNumber(high)),
    makeElement("span", {}, label), ...namesOf([{ name: "none", colour: page.content.colours.background }]));
}

function namesOf(entries) {
  const holder = makeElement("span");
  showNames(holder, entries);
  return [...holder.childNodes];
}

// The markup of the colour key is made by phasekit: one picture with its text.
function showPicture(key, source, alt, entries) {
  key.replaceChildren(...(source ? [makeElement("img", { src: source, alt })] : []), ...namesOf(entries));
}
