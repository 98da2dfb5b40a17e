// Elements, colours, and canvases whose pixels are those of the screen.

function makeElement(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && name !== "role") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children); // texts become text nodes: no character of a name is markup
  return element;
}

function readColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A colour as the 32 bits of a canvas pixel, in the byte order of this machine.
function packColour(hex) {
  const bytes = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
  return new Uint32Array(new Uint8Array([...bytes, 255]).buffer)[0];
}

function packChannels(red, green, blue) {
  return packColours.little ? (255 << 24 | blue << 16 | green << 8 | red) >>> 0
    : (red << 24 | green << 16 | blue << 8 | 255) >>> 0;
}
const packColours = { little: new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 };

// Colour of every code of an array of numbers between two ends; grey where there is none.
function makeRamp(coded, low, high, ramp, background) {
  const colours = new Uint32Array(2 ** (8 * Math.min(coded.bytes, 2))).fill(packColour(background));
  for (let code = 0; code < colours.length; code += 1) {
    const value = coded.decode(code);
    if (!Number.isFinite(value)) continue;
    const place = 3 * Math.round(255 * Math.min(Math.max((value - low) / (high - low), 0), 1));
    colours[code] = packChannels(ramp[place], ramp[place + 1], ramp[place + 2]);
  }
  return colours;
}

// Sets the size of a canvas on the page; drawing commands then count in CSS pixels.
function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(Math.round(width * ratio), 1);
  canvas.height = Math.max(Math.round(height * ratio), 1);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Pixels as a picture of its own, which is then drawn at any size without smoothing.
class Picture {
  constructor(width, height) {
    this.canvas = makeElement("canvas");
    this.canvas.width = width;
    this.canvas.height = height;
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }
  draw(context, x, y, width, height) {
    this.context.putImageData(this.image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, x, y, width, height);
  }
}

// As many digits as a number needs to be read, never as many as it has.
function writeNumber(value, digits = 3) {
  if (!Number.isFinite(value)) return "none";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

function writeFixed(value, decimals, unit = "") {
  return Number.isFinite(value) ? value.toFixed(decimals) + unit : "none";
}

// Share in percent with one decimal, as Python writes it: halves go to the even digit.
function writePercent(count, total) {
  if (total === 0) return "nan";
  const value = 100 * (count / total);
  if (Number.isInteger(4 * value) && !Number.isInteger(2 * value)) {
    const tenths = Math.floor(10 * value);
    return ((tenths % 2 === 0 ? tenths : tenths + 1) / 10).toFixed(1);
  }
  return value.toFixed(1);
}

// A white bar of a round length on a dark picture.
function drawLength(context, height, scale, room, unit) {
  const length = roundLength(room / scale);
  context.fillStyle = "#FFFFFF";
  context.fillRect(10, height - 14, length * scale, 3);
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "left";
  context.fillText(`${writeNumber(length)} ${unit}`, 10, height - 20);
}

// 1, 2 or 5 times a power of ten, not larger than a length.
function roundLength(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return [5, 2, 1].map(n => n * power).find(n => n <= length * 1.0000001) ?? power;
}
