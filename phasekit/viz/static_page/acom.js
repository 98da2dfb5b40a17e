// An orientation map: reliability under a threshold, and the pattern of a pixel with the spots of its answers.

const ANSWERS = [
  { text: "best", colour: "#00FFFF", shape: "circle" },
  { text: "second", colour: "#FFA500", shape: "square" },
  { text: "other phase", colour: "#F0047F", shape: "diamond" },
];

class OrientationMap {
  constructor() {
    const { content } = page;
    this.details = content.hasPeaks || content.templates ? [
      { name: "pattern", label: "diffraction pattern redrawn from its peaks, with the spots of the answers", height: 360, isSquare: true, ratio: 1 },
    ] : [];
    this.spots = [];
    this.count();
  }
  count() {
    const { codes } = page.arrays.level, low = page.chosen.scale.threshold;
    this.reliable = 0;
    for (let i = 0; i < codes.length; i += 1) this.reliable += codes[i] > low;
  }
  paint(name, pixels) {
    const { arrays, content, chosen } = page, grey = packColour(content.colours.background);
    const level = arrays.level.codes, low = chosen.scale.threshold;
    this.count();
    if (name.startsWith("orientation_")) {
      const axis = name.slice(12), [seen, red, green, blue] = ["seen", "red", "green", "blue"].map(part => arrays[`${part}_${axis}`].codes);
      for (let i = 0; i < pixels.length; i += 1) {
        pixels[i] = seen[i] && level[i] > low ? packChannels(red[i], green[i], blue[i]) : grey;
      }
    } else if (name === "phase") {
      const colours = content.phases.map(phase => packColour(phase.colour));
      for (let i = 0; i < pixels.length; i += 1) {
        const phase = arrays.phase.index(i);
        pixels[i] = phase >= 0 && level[i] > low ? colours[phase] : grey;
      }
    } else if (name === "status") {
      const colours = content.status.map(status => packColour(status.colour));
      for (let i = 0; i < pixels.length; i += 1) pixels[i] = colours[arrays.status.index(i)] ?? grey;
    } else paintNumbers(name, pixels);
  }
  showKey(name, key) {
    const { content, arrays } = page, grey = { name: "not indexed or unreliable", colour: content.colours.background };
    if (name.startsWith("orientation_")) showPicture(key, content.key, `colour keys of ${content.phases.map(phase => phase.name).join(", ")}`, [grey]);
    else if (name === "phase") showNames(key, [...content.phases, grey]);
    else if (name === "status") {
      const used = new Set(arrays.status.codes);
      showNames(key, content.status.filter((_, i) => used.has(i)));
    } else showBar(key, page.maps.get(name), content.colours.ramps.cividis);
  }
  readNumber() {
    return `indexed above threshold: ${writePercent(this.reliable, page.arrays.level.count)} % of pixels`;
  }
  describe(i) {
    const { arrays, content } = page, phase = arrays.phase.index(i), status = arrays.status.index(i);
    const rows = [["status", content.status[status] ? content.status[status].name : "none"]];
    if (phase < 0) return rows;
    rows.unshift(["phase", content.phases[phase].name]);
    rows.push(["reliability (0 to 100)", writeFixed(arrays.reliability.at(i), 1)], ["reliability of the phase", writeFixed(arrays.phase_reliability.at(i), 1)]);
    if (arrays.uncertainty_deg) rows.push(["uncertainty", writeFixed(arrays.uncertainty_deg.at(i), 2, "°")]);
    for (const answer of this.listAnswers(i)) {
      const angles = toEuler(answer.quaternion).map(angle => `${angle.toFixed(1)}°`).join(", ");
      const name = answer.number === 2 ? `${answer.text} (${content.phases[answer.phase].name})` : answer.text;
      rows.push([`${name}: Bunge φ1, Φ, φ2`, angles], [`${name}: correlation`, writeFixed(answer.correlation, 3)]);
    }
    return rows;
  }
  // Answers of the kept pixel: best, second, and the best of another phase.
  listAnswers(i) {
    const { arrays } = page, place = findDetail();
    return ANSWERS.flatMap((answer, number) => {
      const coded = arrays[`quaternion_${number}`];
      if (!coded) return [];
      const own = place.row * coded.shape[1] + place.column, quaternion = readQuaternion(coded, own);
      const phase = number === 2 ? arrays.other_phase.index(own) : arrays.answer_phase.index(own);
      if (!quaternion || phase < 0) return [];
      return [{ ...answer, number, phase, quaternion, correlation: arrays[`correlation_${number}`].at(own) }];
    });
  }
  listPeaks(place) {
    const { arrays } = page;
    if (!arrays.peak_count) return [];
    if (!this.starts) {
      const { codes } = arrays.peak_count;
      this.starts = new Uint32Array(codes.length + 1);
      for (let i = 0; i < codes.length; i += 1) this.starts[i + 1] = this.starts[i] + codes[i];
    }
    const own = place.row * arrays.peak_count.shape[1] + place.column, peaks = [];
    for (let n = this.starts[own]; n < this.starts[own + 1]; n += 1) {
      peaks.push({ x: arrays.peak_x.at(n), y: arrays.peak_y.at(n), intensity: arrays.peak_intensity.at(n) });
    }
    return peaks;
  }
  drawDetails(i) {
    if (!this.details.length) return "";
    const { content, chosen } = page, place = findDetail(), peaks = this.listPeaks(place);
    const width = Math.min(page.detailWidth, 420), context = fitCanvas(page.canvases.pattern, width, width);
    const scale = width / 2 / content.reach, toScreen = value => width / 2 + scale * value;
    context.fillStyle = "#000000";
    context.fillRect(0, 0, width, width);
    this.drawPeaks(context, peaks, toScreen, Math.max(content.diskRadius * scale, 3));
    const wanted = { none: [], best: [0], "best and second": [0, 1], "best and other phase": [0, 2] }[chosen.template] ?? [];
    const answers = content.templates ? this.listAnswers(i).filter(answer => wanted.includes(answer.number)) : [];
    this.spots = peaks.map(({ x, y, intensity }) => ({ x: toScreen(x), y: toScreen(y), text: `peak of ${writeNumber(intensity)} counts at |g| = ${Math.hypot(x, y).toFixed(3)} 1/Å` }));
    for (const answer of answers) this.drawAnswer(context, answer, toScreen, scale);
    drawLength(context, width, scale, width / 4, "1/Å");
    page.canvases.pattern.dataset.peaks = String(peaks.length);
    showNames(page.detailKey, [{ name: `${peaks.length} peaks`, colour: "#FFFFFF" }, ...answers.map(({ text, colour }) => ({ name: text, colour }))]);
    return place.text;
  }
  // Disks as bright as the peaks, to a power that shows weak ones.
  drawPeaks(context, peaks, toScreen, radius) {
    const sorted = [...peaks].sort((a, b) => a.intensity - b.intensity);
    // The second brightest: the direct beam alone would leave all others dark.
    const top = sorted.length ? sorted[Math.max(sorted.length - 2, 0)].intensity : 1;
    for (const { x, y, intensity } of sorted) {
      const shade = Math.round(255 * Math.min(Math.max((intensity / top) ** 0.35, 0.3), 1));
      context.fillStyle = `rgb(${shade}, ${shade}, ${shade})`;
      context.beginPath();
      context.arc(toScreen(x), toScreen(y), radius, 0, 7);
      context.fill();
    }
  }
  drawAnswer(context, { phase, quaternion, colour, shape, text }, toScreen, scale) {
    Object.assign(context, { strokeStyle: colour, lineWidth: 1.5 });
    const size = shape === "circle" ? 6 : 7.5;
    for (const { x, y, hkl } of simulateSpots(phase, quaternion)) {
      const [left, top] = [toScreen(x), toScreen(y)];
      context.beginPath();
      if (shape === "circle") context.arc(left, top, size, 0, 7);
      else if (shape === "square") context.rect(left - size, top - size, 2 * size, 2 * size);
      else for (const [dx, dy] of [[0, -9], [9, 0], [0, 9], [-9, 0], [0, -9]]) context.lineTo(left + dx, top + dy);
      context.stroke();
      this.spots.push({ x: left, y: top, text: `(${hkl.join(" ")}) of ${page.content.phases[phase].name}, ${text} answer` });
    }
  }
  // Spots within 12 pixels of a place, for the line below the pattern.
  nameSpots(x, y) {
    const near = this.spots.map(spot => ({ ...spot, distance: Math.hypot(spot.x - x, spot.y - y) })).filter(spot => spot.distance < 12);
    return near.sort((a, b) => a.distance - b.distance).slice(0, 3).map(spot => spot.text).join("; ") || "\u00a0"; // keeps the height of the line
  }
}
