// A phase map: thresholds of margin and confidence, and the spectrum of a pixel with what explains it.

class PhaseMap {
  constructor() {
    const { content } = page;
    this.words = content.status.map(status => status.name);
    this.number = name => this.words.indexOf(name);
    this.details = content.spectra ? [
      { name: "spectrum", label: "spectrum of the pixel, with the fitted references", height: 300 },
      { name: "residual", label: "residual of the fits in standard deviations", height: 170 },
    ] : [];
    this.status = new Uint8Array(page.grid.ny * page.grid.nx);
    this.classify();
  }
  // As phasekit.stxm.flag_ambiguous: only ok, incomplete and ambiguous are set anew.
  classify() {
    const { arrays, chosen } = page, { status, margin_level: margin, confidence_level: confidence } = arrays;
    const [ok, ambiguous, incomplete] = ["ok", "ambiguous", "incomplete"].map(this.number);
    const lowMargin = chosen.scale.margin, lowConfidence = chosen.scale.min_confidence;
    this.total = this.doubtful = 0;
    for (let i = 0; i < this.status.length; i += 1) {
      let code = status.codes[i];
      if (code === ok || code === ambiguous || code === incomplete) {
        const isDoubtful = margin.codes[i] <= lowMargin || confidence.codes[i] <= lowConfidence;
        code = isDoubtful ? ambiguous : arrays.is_missing && arrays.is_missing.codes[i] ? incomplete : ok;
      }
      this.status[i] = code;
      if (arrays.phase.index(i) >= 0) {
        this.total += 1;
        this.doubtful += code === ambiguous;
      }
    }
  }
  paint(name, pixels) {
    const { arrays, content } = page, grey = packColour(content.colours.background);
    this.classify();
    if (name === "phase") {
      const colours = content.phases.map(phase => packColour(phase.colour));
      const ambiguous = this.number("ambiguous"), dark = packColour(content.status[ambiguous].colour);
      for (let i = 0; i < pixels.length; i += 1) {
        const phase = arrays.phase.index(i);
        pixels[i] = phase < 0 ? grey : this.status[i] === ambiguous ? dark : colours[phase];
      }
    } else if (name === "status") {
      const colours = content.status.map(status => packColour(status.colour));
      for (let i = 0; i < pixels.length; i += 1) pixels[i] = colours[this.status[i]] ?? grey;
    } else paintNumbers(name, pixels);
  }
  showKey(name, key) {
    const { content, arrays } = page, background = { name: "background", colour: content.colours.background };
    if (name === "phase") {
      const used = new Set(arrays.phase.codes);
      const dark = { name: "ambiguous", colour: content.status[this.number("ambiguous")].colour };
      showNames(key, [...content.phases.filter((_, i) => used.has(i)), dark, background]);
    } else if (name === "status") {
      const used = new Set(this.status);
      showNames(key, content.status.filter((_, i) => used.has(i)));
    } else showBar(key, page.maps.get(name), content.colours.ramps.cividis);
  }
  readNumber() {
    return `ambiguous: ${writePercent(this.doubtful, this.total)} % of pixels`;
  }
  describe(i) {
    const { arrays, content } = page, phase = arrays.phase.index(i);
    const rows = [["status", this.words[this.status[i]] ?? "none"]];
    if (phase < 0) return rows;
    const second = arrays.runner_up ? arrays.runner_up.index(i) : -1;
    rows.unshift(["phase", content.phases[phase].name]);
    rows.push(["confidence", writeFixed(arrays.confidence.at(i), 3)], ["margin", writeFixed(arrays.margin.at(i), 4)]);
    if (second >= 0) rows.splice(1, 0, ["second best", content.phases[second].name]);
    rows.push(["composition of the phase", writeNumber(arrays.composition.at(i))]);
    if (arrays.own_composition) {
      const error = arrays.own_error.at(i), value = arrays.own_composition.at(i);
      rows.push(["composition of the pixel alone", Number.isFinite(error) ? `${writeFixed(value, 3)} ± ${writeFixed(error, 3)}` : writeFixed(value, 3)]);
    }
    return rows;
  }
  // Best and second-best reference and the mean of the cluster, each with its colour and dash.
  listCurves(i) {
    const { arrays, content } = page, curves = content.spectra.curves, found = [];
    const dashes = [[], [7, 4]];
    ["phase", "runner_up"].forEach((name, n) => {
      const phase = arrays[name] ? arrays[name].index(i) : -1;
      if (phase < 0) return;
      const place = curves.indexOf(content.phases[phase].name);
      if (place >= 0) found.push({ name: content.phases[phase].name, place, colour: content.phases[phase].colour, dash: dashes[n] });
    });
    const cluster = arrays.cluster ? arrays.cluster.index(i) : -1, place = curves.indexOf(`cluster ${cluster}`);
    if (place >= 0) found.push({ name: `cluster ${cluster}`, place, colour: content.ink, dash: [2, 3], isMean: true });
    return found;
  }
  drawDetails(i) {
    if (!page.content.spectra) return "";
    const { arrays, content } = page, energies = content.spectra.energies, place = findDetail();
    const size = arrays.density.shape[1] * arrays.density.shape[2], own = place.row * arrays.density.shape[2] + place.column;
    const density = energies.map((_, e) => arrays.density.at(e * size + own));
    const noise = energies.map((_, e) => arrays.noise.at(e * size + own));
    const curves = this.listCurves(i).map(curve => ({ ...curve, values: fitCurve(density, noise, energies.map((_, e) => arrays[`curve_${curve.place}`].at(e))) }));
    const ink = readColour("--ink"), width = page.detailWidth, range = findRange(energies);
    const values = density.flatMap((value, e) => [value - noise[e], value + noise[e]]).concat(density, ...curves.map(curve => curve.values));
    const spectrum = new Plot(page.canvases.spectrum, width, 300, range, findRange(values, 1e-3), "photon energy [eV]", "optical density");
    spectrum.drawLine(energies, density, { colour: ink, width: 2.5 });
    spectrum.drawErrors(energies, density, noise, ink);
    for (const curve of curves) spectrum.drawLine(energies, curve.values, { colour: curve.colour, dash: curve.dash, width: 2 });
    this.drawResidual(energies, density, noise, curves.filter(curve => !curve.isMean), range, width);
    showNames(page.detailKey, [{ name: "pixel ± noise (1 standard deviation)", colour: ink }, ...curves.map(curve => ({ name: `fit of ${curve.name}${curve.isMean ? " (dotted)" : curve.dash.length ? " (dashed)" : ""}`, colour: curve.colour }))]);
    return place.text;
  }
  drawResidual(energies, density, noise, curves, range, width) {
    const residuals = curves.map(curve => density.map((value, e) => (value - curve.values[e]) / noise[e]));
    const plot = new Plot(page.canvases.residual, width, 170, range, findRange([-3, 3, ...residuals.flat()]), "photon energy [eV]", "residual [sigma]");
    plot.clip(context => {
      // Two standard deviations hold 95 % of the noise.
      context.fillStyle = readColour("--soft");
      context.fillRect(plot.box.x, plot.y(2), plot.box.width, plot.y(-2) - plot.y(2));
    });
    residuals.forEach((values, n) => plot.drawLine(energies, values, { colour: curves[n].colour, dash: curves[n].dash, width: 2 }));
  }
}

// Amount and constant of a template by weighted least squares, as phasekit fits single references.
function fitCurve(density, noise, template) {
  let [total, meanDensity, meanTemplate, usable] = [0, 0, 0, 0];
  const weights = density.map((value, e) => {
    if (![value, noise[e], template[e]].every(Number.isFinite)) return 0;
    const weight = Math.max(noise[e], 1e-6) ** -2;
    total += weight;
    meanDensity += weight * value;
    meanTemplate += weight * template[e];
    usable += 1;
    return weight;
  });
  if (usable < 3) return template.map(() => NaN);
  meanDensity /= total;
  meanTemplate /= total;
  let [product, square] = [0, 1e-300];
  weights.forEach((weight, e) => {
    if (weight === 0) return;
    product += weight * (template[e] - meanTemplate) * (density[e] - meanDensity);
    square += weight * (template[e] - meanTemplate) ** 2;
  });
  const amount = Math.max(product / square, 0);
  return template.map(value => meanDensity + amount * (value - meanTemplate));
}
