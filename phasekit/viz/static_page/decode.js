// Unpacks the numbers of the page. Codes become values when they are asked for, so that nothing is held twice.

function readBytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Bytes are sorted by their place in the number: all lowest ones first.
function joinBytes(bytes, start, entry) {
  const n = entry.count;
  if (entry.bytes === 1) return bytes.subarray(start, start + n);
  const codes = entry.bytes === 2 ? new Uint16Array(n) : new Uint32Array(n);
  for (let place = 0; place < entry.bytes; place += 1) {
    const offset = start + place * n, shift = 8 * place;
    for (let i = 0; i < n; i += 1) codes[i] |= bytes[offset + i] << shift;
  }
  return codes;
}

class Coded {
  constructor(entry, codes) {
    Object.assign(this, entry);
    this.codes = codes;
  }
  at(i) {
    return this.decode(this.codes[i]);
  }
  decode(code) {
    if (code === this.missing || code === undefined) return NaN;
    if (this.kind === "ratio") return code === 0 ? 0 : this.low * Math.exp(this.step * (code - 1));
    return this.low + this.step * code;
  }
  // Index of a class; -1 where there is none.
  index(i) {
    const code = this.codes[i];
    return code === this.missing || code === undefined ? -1 : code;
  }
}

async function unpack(id, table, arrays) {
  const bytes = await inflate(readBytes(document.getElementById(id).textContent));
  let start = 0;
  for (const entry of table) {
    arrays[entry.name] = new Coded(entry, joinBytes(bytes, start, entry));
    start += entry.count * entry.bytes;
  }
}
