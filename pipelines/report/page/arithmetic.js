// The arithmetic of vidcam/maps.py, results/timeline.py and render/overlay.py; no page, no state.

/** Evidence below which the overlay fades out. */
export const FADE = 0.25;

/** Largest opacity of the overlay by default. */
export const OPACITY = 0.65;

/** Range below this share of the maximum: the map is constant. */
const ROUNDING = 1e-6;

/** Weight of a window at its ends. */
const EDGE_WEIGHT = 1e-6;

/** @typedef {{lower: Int32Array, upper: Int32Array, fraction: Float64Array}} Between */

/**
 * Where positions lie between the centres of cells, as `maps.interpolation_matrix`.
 * @param {ArrayLike<number>} positions in units of cells; cell i covers [i, i + 1)
 * @param {number} cells
 * @returns {Between}
 */
export function between(positions, cells) {
  const count = positions.length;
  const lower = new Int32Array(count), upper = new Int32Array(count), fraction = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const centred = Math.min(Math.max(positions[i] - 0.5, 0), cells - 1);
    lower[i] = Math.min(Math.floor(centred), Math.max(cells - 2, 0));
    upper[i] = Math.min(lower[i] + 1, cells - 1);
    fraction[i] = centred - lower[i];
  }
  return { lower, upper, fraction };
}

/**
 * Positions of `length` samples on `cells` cells, as in `maps.resize_matrix`.
 * @param {number} length
 * @param {number} cells
 * @returns {Float64Array}
 */
export function resized(length, cells) {
  return Float64Array.from({ length }, (_, i) => (i + 0.5) * (cells / length));
}

/**
 * Mean weight of each cell over the samples of an axis.
 * @param {number} length
 * @param {number} cells
 * @returns {Float64Array}
 */
export function meanWeights(length, cells) {
  const key = `${length} ${cells}`, known = means.get(key);
  if (known) return known;
  const { lower, upper, fraction } = between(resized(length, cells), cells);
  const sums = new Float64Array(cells);
  for (let i = 0; i < length; i++) {
    sums[lower[i]] += (1 - fraction[i]) / length;
    sums[upper[i]] += fraction[i] / length;
  }
  means.set(key, sums);
  return sums;
}

/** @type {Map<string, Float64Array>} */
const means = new Map();

/**
 * The windows of a video on one time line; blends their maps as `results.timeline.Timeline.blend` does.
 */
export class Timeline {
  /**
   * @param {Float64Array} starts (N,)
   * @param {Float64Array} ends (N,)
   * @param {Float64Array} frames (N × T) time stamps
   */
  constructor(starts, ends, frames) {
    this.starts = starts;
    this.ends = ends;
    this.frames = frames;
    this.length = starts.length;
    this.slots = frames.length / starts.length;
    this.latest = Float64Array.from(ends);
    for (let i = 1; i < this.length; i++) this.latest[i] = Math.max(this.latest[i], this.latest[i - 1]);
    /** @type {Map<number, Between>} */
    this.slotsOf = new Map();
  }

  /**
   * Windows that cover a moment, and their weights: largest in the middle of a window.
   * @param {number} second
   * @returns {{index: number, weight: number}[]}
   */
  covering(second) {
    let last = firstAbove(this.starts, second) - 1;
    const found = [];
    for (; last >= 0 && this.latest[last] > second; last--) {
      if (!(second >= this.starts[last] && second < this.ends[last])) continue;
      const half = (this.ends[last] - this.starts[last]) / 2;
      found.push({
        index: last,
        weight: Math.max(1 - Math.abs(second - this.starts[last] - half) / half, EDGE_WEIGHT),
      });
    }
    return found.reverse();
  }

  /**
   * Weights of the t cells of a window at a moment.
   * @param {number} index of the window
   * @param {number} cells t
   * @param {number} second
   * @param {Float64Array} weights (t,), written
   */
  timeWeights(index, cells, second, weights) {
    const { frames, slots } = this, start = index * slots;
    let grid = this.slotsOf.get(cells);
    if (!grid) this.slotsOf.set(cells, (grid = between(resized(slots, cells), cells)));
    let before = -Infinity, above = Infinity; // stamps may be repeated, and in any order
    for (let i = start; i < start + slots; i++) {
      if (frames[i] > second) above = Math.min(above, frames[i]);
      else before = Math.max(before, frames[i]);
    }
    const share = above === Infinity ? 0 : before === -Infinity ? 1 : (second - before) / (above - before);
    weights.fill(0);
    for (const [stamp, part] of [[before, 1 - share], [above, share]]) {
      if (!part) continue;
      let owners = 0;
      for (let i = start; i < start + slots; i++) if (frames[i] === stamp) owners += 1;
      for (let slot = 0; slot < slots; slot++) {
        if (frames[start + slot] !== stamp) continue;
        weights[grid.lower[slot]] += (part / owners) * (1 - grid.fraction[slot]);
        weights[grid.upper[slot]] += (part / owners) * grid.fraction[slot];
      }
    }
  }

  /**
   * Blend maps at a moment.
   * @param {{shape: number[], low: number, step: number, values: Uint16Array}} cells (N, t, h, w)
   * @param {number} second
   * @param {Float32Array | null} factors (N,)
   * @returns {Float32Array} (h × w); zeros outside every window
   */
  blend(cells, second, factors) {
    const [, times, rows, columns] = cells.shape;
    const size = rows * columns, total = new Float64Array(size), weights = new Float64Array(times);
    let sum = 0;
    for (const { index, weight } of this.covering(second)) {
      this.timeWeights(index, times, second, weights);
      const factor = weight * (factors ? factors[index] : 1);
      for (let t = 0; t < times; t++) {
        const scale = factor * weights[t];
        if (!scale) continue;
        const start = (index * times + t) * size;
        for (let i = 0; i < size; i++) total[i] += scale * (cells.low + cells.step * cells.values[start + i]);
      }
      sum += weight;
    }
    for (let i = 0; i < size; i++) total[i] = sum ? total[i] / sum : 0;
    return new Float32Array(total);
  }
}

/**
 * First index of an increasing list whose value is above another.
 * @param {ArrayLike<number>} values
 * @param {number} limit
 */
export function firstAbove(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Index of the value nearest to a number, in an increasing list.
 * @param {ArrayLike<number>} values
 * @param {number} number
 */
export function nearest(values, number) {
  const above = Math.min(firstAbove(values, number), values.length - 1);
  return above > 0 && number - values[above - 1] <= values[above] - number ? above - 1 : above;
}

/**
 * Scale a map so that its bounds become 0 and 1, as `maps.to_unit`.
 * @param {Float32Array} plane
 * @param {[number, number]} bounds
 */
export function toUnit(plane, [low, high]) {
  if (high <= 0) return new Float32Array(plane.length);
  if (high - low <= ROUNDING * high) return new Float32Array(plane.length).fill(1);
  return plane.map((value) => (value - low) / (high - low));
}

/** @param {number} value */
export function clipped(value) {
  return value < 0 ? 0 : value > 1 ? 1 : value;
}

/** @typedef {{rows: number, columns: number, values: Float32Array}} Plane */

/**
 * Draw a plane at positions, linearly, as `maps.resample_plane`.
 * @param {Plane} plane
 * @param {ArrayLike<number>} y positions in cells
 * @param {ArrayLike<number>} x
 * @returns {Float32Array} (y.length × x.length) in [0, 1]
 */
export function linear(plane, y, x) {
  const down = between(y, plane.rows), across = between(x, plane.columns);
  const { lower, upper, fraction } = across;
  const width = x.length, row = new Float64Array(plane.columns), heat = new Float32Array(y.length * width);
  for (let i = 0, k = 0; i < y.length; i++) {
    const above = down.lower[i] * plane.columns, below = down.upper[i] * plane.columns, f = down.fraction[i];
    for (let c = 0; c < plane.columns; c++) row[c] = (1 - f) * plane.values[above + c] + f * plane.values[below + c];
    for (let j = 0; j < width; j++, k++) {
      const left = row[lower[j]];
      heat[k] = clipped(left + fraction[j] * (row[upper[j]] - left));
    }
  }
  return heat;
}

/**
 * The cell at each position, as `maps.resample_nearest`.
 * @param {Plane} plane
 * @param {ArrayLike<number>} y
 * @param {ArrayLike<number>} x
 */
export function cellular(plane, y, x) {
  const heat = new Float32Array(y.length * x.length);
  const columns = Array.from(x, (at) => Math.min(Math.max(Math.floor(at), 0), plane.columns - 1));
  for (let i = 0, k = 0; i < y.length; i++) {
    const row = Math.min(Math.max(Math.floor(y[i]), 0), plane.rows - 1) * plane.columns;
    for (let j = 0; j < columns.length; j++, k++) heat[k] = clipped(plane.values[row + columns[j]]);
  }
  return heat;
}

/**
 * Cubic interpolation without overshoot, as `maps.resample_smooth`: along x, then along y.
 * @param {Plane} plane
 * @param {ArrayLike<number>} y
 * @param {ArrayLike<number>} x
 */
export function smooth(plane, y, x) {
  const wide = hermite(plane.values, plane.rows, plane.columns, x); // (rows × x)
  const turned = new Float64Array(wide.length);
  for (let r = 0; r < plane.rows; r++) for (let j = 0; j < x.length; j++) turned[j * plane.rows + r] = wide[r * x.length + j];
  const tall = hermite(turned, x.length, plane.rows, y); // (x × y)
  const heat = new Float32Array(tall.length);
  for (let j = 0; j < x.length; j++) for (let i = 0; i < y.length; i++) heat[i * x.length + j] = clipped(tall[j * y.length + i]);
  return heat;
}

/**
 * @param {ArrayLike<number>} lines (L × n), each line is interpolated
 * @param {number} count L
 * @param {number} cells n
 * @param {ArrayLike<number>} positions
 */
function hermite(lines, count, cells, positions) {
  const { lower, upper, fraction } = between(positions, cells);
  const result = new Float64Array(count * positions.length), slopes = new Float64Array(cells);
  for (let line = 0; line < count; line++) {
    const start = line * cells;
    for (let c = 1; c < cells - 1; c++) {
      const before = lines[start + c] - lines[start + c - 1], after = lines[start + c + 1] - lines[start + c];
      slopes[c] = before * after > 0 ? (2 * before * after) / (before + after) : 0;
    }
    for (let p = 0; p < positions.length; p++) {
      const t = fraction[p], rise = t * t * (3 - 2 * t), a = lower[p], b = upper[p];
      result[line * positions.length + p] =
        (1 - rise) * lines[start + a] + rise * lines[start + b] +
        t * (1 - t) * (1 - t) * slopes[a] + t * t * (t - 1) * slopes[b];
    }
  }
  return result;
}

/**
 * Opacity of each of the 256 steps of heat, as `overlay.opacity_curve`.
 * @param {number} largest
 * @returns {Float64Array}
 */
export function opacityCurve(largest) {
  return Float64Array.from({ length: 256 }, (_, step) => {
    const heat = step / 255, x = Math.min(heat / FADE, 1);
    return ((largest * (1 + heat)) / 2) * x ** 3 * (x * (6 * x - 15) + 10);
  });
}

/**
 * Blend one channel, as `overlay.blend_table`.
 * @param {number} alpha
 * @param {number} colour
 * @param {number} pixel
 */
export function blended(alpha, colour, pixel) {
  return Math.floor(alpha * colour + (1 - alpha) * pixel + 0.5);
}
