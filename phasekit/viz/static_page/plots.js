// Spectra and bars on a canvas.

const MARGIN = { left: 56, right: 12, top: 10, bottom: 40 };

class Plot {
  constructor(canvas, width, height, xRange, yRange, xLabel, yLabel) {
    this.context = fitCanvas(canvas, width, height);
    this.box = { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    [this.xRange, this.yRange] = [xRange, yRange];
    this.ink = readColour("--ink");
    this.drawAxes(xLabel, yLabel);
  }
  x(value) {
    return this.box.x + this.box.width * (value - this.xRange[0]) / (this.xRange[1] - this.xRange[0]);
  }
  y(value) {
    return this.box.y + this.box.height * (1 - (value - this.yRange[0]) / (this.yRange[1] - this.yRange[0]));
  }
  drawAxes(xLabel, yLabel) {
    const { context, box } = this;
    context.strokeStyle = readColour("--line");
    context.strokeRect(box.x, box.y, box.width, box.height);
    context.fillStyle = this.ink;
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    if (xLabel) {
      for (const tick of listTicks(this.xRange, box.width / 110)) {
        context.fillText(writeNumber(tick, 5), this.x(tick), box.y + box.height + 15);
        context.fillRect(this.x(tick) - 0.5, box.y + box.height, 1, 4);
      }
      context.fillText(xLabel, box.x + box.width / 2, box.y + box.height + 33);
    }
    context.textAlign = "right";
    for (const tick of listTicks(this.yRange, box.height / 55)) {
      context.fillText(writeNumber(tick, 3), box.x - 6, this.y(tick) + 4);
      context.fillRect(box.x - 4, this.y(tick) - 0.5, 4, 1);
    }
    context.save();
    context.translate(13, box.y + box.height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(yLabel, 0, 0);
    context.restore();
  }
  clip(draw) {
    const { context, box } = this;
    context.save();
    context.beginPath();
    context.rect(box.x, box.y, box.width, box.height);
    context.clip();
    draw(context);
    context.restore();
  }
  // A gap where a value is missing.
  drawLine(xs, ys, { colour, width = 1.5, dash = [] }) {
    this.clip(context => {
      context.beginPath();
      let isOpen = false;
      ys.forEach((value, i) => {
        if (!Number.isFinite(value)) { isOpen = false; return; }
        if (isOpen) context.lineTo(this.x(xs[i]), this.y(value));
        else context.moveTo(this.x(xs[i]), this.y(value));
        isOpen = true;
      });
      Object.assign(context, { strokeStyle: colour, lineWidth: width });
      context.setLineDash(dash);
      context.stroke();
    });
  }
  drawErrors(xs, ys, errors, colour) {
    this.clip(context => {
      context.strokeStyle = context.fillStyle = colour;
      context.lineWidth = 1;
      ys.forEach((value, i) => {
        if (!Number.isFinite(value)) return;
        context.beginPath();
        context.arc(this.x(xs[i]), this.y(value), 2.5, 0, 7);
        context.fill();
        if (!Number.isFinite(errors[i])) return;
        context.beginPath();
        context.moveTo(this.x(xs[i]), this.y(value - errors[i]));
        context.lineTo(this.x(xs[i]), this.y(value + errors[i]));
        context.stroke();
      });
    });
  }
}

function listTicks([low, high], count) {
  const step = roundLength(Math.max((high - low) / Math.max(Math.min(count, 6), 1), 1e-300));
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n += 1) ticks.push(n * step);
  return ticks;
}

// Ends of an axis that hold all values with some room.
function findRange(values, least = 1e-9) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const room = Math.max(0.06 * (high - low), least);
  return [low - room, high + room];
}

function drawBars(canvas, width, height, bars, yLabel) {
  const top = Math.max(...bars.map(bar => (Number.isFinite(bar.value) ? bar.value : 0)), 0);
  const low = Math.min(...bars.map(bar => (Number.isFinite(bar.value) ? bar.value : 0)), 0);
  const plot = new Plot(canvas, width, height, [-0.5, bars.length - 0.5], [low, (top || 1) * 1.06], "", yLabel);
  const { context } = plot, room = plot.box.width / bars.length;
  context.textAlign = "center";
  bars.forEach(({ name, value, colour }, i) => {
    context.fillStyle = colour;
    const [base, end] = [plot.y(0), plot.y(Number.isFinite(value) ? value : 0)];
    context.fillRect(plot.x(i) - 0.36 * room, Math.min(base, end), 0.72 * room, Math.abs(base - end));
    context.fillStyle = plot.ink;
    // Where bars are narrow, every n-th number is enough.
    if (i % Math.ceil(22 / room) === 0) context.fillText(name, plot.x(i), plot.box.y + plot.box.height + 15);
  });
  context.fillText("component", plot.box.x + plot.box.width / 2, plot.box.y + plot.box.height + 33);
}
