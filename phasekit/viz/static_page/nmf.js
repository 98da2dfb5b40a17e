// Components of a scan: overlap under a threshold, patterns, the weights of a pixel and the pattern of its model.

class Components {
  constructor() {
    const { content } = page;
    this.k = content.phases.length;
    const { ny, nx } = content.pattern;
    this.details = [
      { name: "weights", label: "weights of the components at the pixel", height: 200 },
      { name: "pattern", label: "pattern of the model: the components times their weights", height: 320, isSquare: true, ratio: ny / nx },
    ];
    this.tiles = [];
    this.count();
  }
  count() {
    const { codes } = page.arrays.level, low = page.chosen.scale.threshold;
    this.overlap = 0;
    for (let i = 0; i < codes.length; i += 1) this.overlap += codes[i] > low;
  }
  paint(name, pixels) {
    const { arrays, content, chosen } = page, grey = packColour(content.colours.background);
    this.count();
    if (name === "components") {
      const colours = content.phases.map((phase, i) => (i === content.background ? grey : packColour(phase.colour)));
      const black = packColour(content.overlap), low = chosen.scale.threshold, level = arrays.level.codes;
      for (let i = 0; i < pixels.length; i += 1) {
        const label = arrays.label.index(i);
        pixels[i] = level[i] > low ? black : label < 0 ? grey : colours[label];
      }
    } else if (name.startsWith("weight_")) this.paintWeight(Number(name.slice(7)), pixels);
    else paintNumbers(name, pixels);
  }
  // Weights are known for the kept pixels; those between take the nearest.
  paintWeight(component, pixels) {
    const coded = page.arrays[`loading_${component}`], { content } = page;
    if (!coded) return pixels.fill(packColour(content.colours.background));
    const { low, high } = this.findEnds(coded);
    const ramp = makeRamp(coded, low, high, content.colours.ramps.cividis, content.colours.background);
    const width = coded.shape[1];
    for (let row = 0, i = 0; row < page.grid.ny; row += 1) {
      const from = findKept(row, "scanY").index * width;
      for (let column = 0; column < page.grid.nx; column += 1, i += 1) pixels[i] = ramp[coded.codes[from + findKept(column, "scanX").index]];
    }
  }
  findEnds(coded) {
    if (!coded.ends) {
      const sorted = Float64Array.from(coded.codes, code => coded.decode(code)).filter(Number.isFinite).sort();
      // One value in 200 may lie beyond the scale: a hot pixel must not hide the rest.
      const high = sorted.length ? sorted[Math.floor(0.995 * (sorted.length - 1))] : 1;
      coded.ends = { low: 0, high: high > 0 ? high : 1 };
    }
    return coded.ends;
  }
  showKey(name, key) {
    const { content } = page;
    if (name === "components") {
      const entries = content.phases.filter((_, i) => i !== content.background);
      const background = { name: content.background < 0 ? "no weight" : `background (component ${content.background})`, colour: content.colours.background };
      showNames(key, [...entries, { name: "overlap", colour: content.overlap }, background]);
    } else if (name.startsWith("weight_")) {
      const coded = page.arrays[`loading_${name.slice(7)}`];
      if (coded) showBar(key, { label: this.labelWeight(), ...this.findEnds(coded) }, content.colours.ramps.cividis);
    } else showBar(key, page.maps.get(name), content.colours.ramps.cividis);
  }
  labelWeight() {
    return page.content.weightUnit ? `weight [${page.content.weightUnit}]` : "weight";
  }
  readNumber() {
    return `overlap: ${writePercent(this.overlap, page.arrays.level.count)} % of pixels`;
  }
  describe(i) {
    const { arrays, content, chosen } = page, label = arrays.label.index(i), partner = arrays.partner.index(i);
    if (label < 0 || label === content.background) return [["component", "background"]];
    const rows = [["component", String(label)]];
    if (partner >= 0) {
      const word = arrays.level.codes[i] > chosen.scale.threshold ? "overlaps with" : "second component";
      rows.push([word, `${partner}, with ${(100 * arrays.ratio.at(i)).toFixed(1)} % of the first weight`]);
    }
    return rows;
  }
  drawDetails() {
    const { arrays, content } = page, place = findDetail(), width = page.detailWidth;
    const own = place.row * arrays.loading_0.shape[1] + place.column;
    const weights = content.phases.map((_, n) => arrays[`loading_${n}`].at(own));
    drawBars(page.canvases.weights, width, 200, weights.map((value, n) => ({ name: String(n), value, colour: content.phases[n].colour })), this.labelWeight());
    this.drawPattern(page.canvases.pattern, weights, Math.min(width, 320));
    if (!this.tiles.length) this.makeGallery();
    const masked = this.hasMasked ? [{ name: "masked", colour: content.colours.background }] : [];
    showNames(page.detailKey, [{ name: "no counts", colour: "#000000" }, { name: "brightest 0.1 %", colour: "#FFFFFF" }, ...masked]);
    return place.text;
  }
  sumPattern(weights) {
    const total = new Float64Array(page.arrays.factor_0.count);
    weights.forEach((weight, n) => {
      const factor = page.arrays[`factor_${n}`];
      if (!Number.isFinite(weight) || weight === 0) return;
      for (let i = 0; i < total.length; i += 1) total[i] += weight * factor.at(i);
    });
    return total;
  }
  drawPattern(canvas, weights, width) {
    const { ny, nx } = page.content.pattern, total = this.sumPattern(weights);
    const height = Math.round(width * ny / nx), context = fitCanvas(canvas, width, height);
    const picture = new Picture(nx, ny);
    paintCounts(total, picture.pixels);
    this.hasMasked ||= total.some(Number.isNaN);
    picture.draw(context, 0, 0, width, height);
    const { dx, unit } = page.content.pattern;
    if (width > 150) drawLength(context, height, width / (nx * Math.abs(dx)), width / 4, unit);
    canvas.dataset.total = String(total.reduce((sum, value) => sum + (Number.isFinite(value) ? value : 0), 0));
  }
  // The patterns of all components; a press shows the map of the weight.
  makeGallery() {
    const { content } = page, gallery = makeElement("div", { className: "gallery" });
    this.tiles = content.phases.map((phase, n) => {
      const canvas = makeElement("canvas"), weights = content.phases.map((_, i) => Number(i === n));
      const name = n === content.background ? `${n} (background)` : String(n);
      const swatch = makeElement("span", { className: "swatch" });
      swatch.style.background = n === content.background ? content.colours.background : phase.colour;
      const button = makeElement("button", { type: "button", title: `Show the map of the weight of component ${n}` }, canvas, makeElement("span", {}, swatch, name));
      this.drawPattern(canvas, weights, 96);
      button.addEventListener("click", () => chooseMap(`weight_${n}`));
      return button;
    });
    gallery.append(...this.tiles);
    page.gallery.replaceChildren(makeElement("h2", {}, "Patterns of the components"), gallery);
  }
}

// Square root of the counts in grey: weak spots are seen beside strong ones, and a single hot pixel hides nothing.
function paintCounts(values, pixels) {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  const top = (sorted.length && (sorted[Math.floor(0.999 * (sorted.length - 1))] || sorted[sorted.length - 1])) || 1;
  const missing = packColour(page.content.colours.background);
  for (let i = 0; i < pixels.length; i += 1) {
    const shade = Math.round(255 * Math.sqrt(Math.min(Math.max(values[i] / top, 0), 1)));
    pixels[i] = Number.isFinite(values[i]) ? packChannels(shade, shade, shade) : missing;
  }
}
