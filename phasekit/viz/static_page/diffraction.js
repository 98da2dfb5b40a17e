// Spots of an orientation, as phasekit.acom simulates them, and Euler angles.

// v_crystal = R v_sample, by rows.
function toMatrix([w, x, y, z]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
  ];
}

// Rounded numbers are brought back to unit length.
function readQuaternion(coded, i) {
  const parts = [0, 1, 2, 3].map(n => coded.at(4 * i + n));
  const length = Math.hypot(...parts);
  return Number.isFinite(length) && length > 0.5 ? parts.map(part => part / length) : null;
}

// Bunge's phi1, Phi, phi2 [degrees].
function toEuler([w, x, y, z]) {
  const far = w * w + z * z, near = x * x + y * y, chi = Math.sqrt(far * near);
  const turn = angle => ((angle * 180 / Math.PI) % 360 + 360) % 360;
  if (chi < 1e-9) {
    // Only the sum, or the difference, of the two turns about z has a meaning.
    return near < far ? [turn(Math.atan2(-2 * w * z, w * w - z * z)), 0, 0] : [turn(Math.atan2(2 * x * y, x * x - y * y)), 180, 0];
  }
  const first = Math.atan2((x * z - w * y) / chi, (-w * x - y * z) / chi);
  const second = Math.atan2((w * y + x * z) / chi, (y * z - w * x) / chi);
  return [turn(first), Math.atan2(2 * chi, far - near) * 180 / Math.PI, turn(second)];
}

// w Re 1 / sqrt((w + i s)^2 + A^2), the mean over the precession; the real part of the product of two roots.
function averageShape(s, swing, halfWidth) {
  const root = imaginary => {
    const size = Math.hypot(halfWidth, imaginary), real = Math.sqrt((size + halfWidth) / 2);
    return [real, imaginary / (2 * real)];
  };
  const [a, b] = root(s + swing), [c, d] = root(s - swing);
  const real = a * c - b * d, imaginary = a * d + b * c;
  return halfWidth * real / (real * real + imaginary * imaginary);
}

// Reflections of a phase in the crystal frame, made once.
function listReflections(phase) {
  const { arrays, content } = page, found = listReflections.made.get(phase);
  if (found) return found;
  const hkl = arrays[`hkl_${phase}`], strength = arrays[`strength_${phase}`];
  const matrix = content.templates.matrices[phase], made = [];
  for (let n = 0; n < strength.count; n += 1) {
    const index = [0, 1, 2].map(i => Math.round(hkl.at(3 * n + i)));
    const g = [0, 1, 2].map(j => index[0] * matrix[j] + index[1] * matrix[3 + j] + index[2] * matrix[6 + j]);
    made.push({ hkl: index, g, strength: strength.at(n) });
  }
  listReflections.made.set(phase, made);
  return made;
}
listReflections.made = new Map();

// Spots {x, y, intensity, hkl} of an orientation, the strongest first.
function simulateSpots(phase, quaternion) {
  const settings = page.content.templates, matrix = toMatrix(quaternion);
  const swing = Math.hypot(settings.precession_deg, settings.resolution_deg / 2) * Math.PI / 180;
  const halfWidth = 1 / (Math.PI * settings.thickness_nm * 10), sine = Math.sin(swing);
  const spots = [];
  let strongest = 0;
  for (const { hkl, g, strength } of listReflections(phase)) {
    const [x, y, z] = [0, 1, 2].map(j => g[0] * matrix[0][j] + g[1] * matrix[1][j] + g[2] * matrix[2][j]);
    const error = -(z + settings.wavelength * (x * x + y * y + z * z) / 2), radius = Math.hypot(x, y);
    if (Math.abs(error) >= radius * sine + 2 / (Math.PI * settings.thickness_nm)) continue;
    const intensity = strength * averageShape(error, radius * sine, halfWidth);
    strongest = Math.max(strongest, intensity);
    spots.push({ x, y, intensity, hkl });
  }
  return spots.filter(spot => spot.intensity > settings.min_intensity * strongest).sort((a, b) => b.intensity - a.intensity);
}
