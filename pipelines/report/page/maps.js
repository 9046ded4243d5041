// One explained video: its maps, curves and windows.

import { Timeline, cellular, clipped, linear, meanWeights, nearest, smooth, toUnit } from "./arithmetic.js";

/** @typedef {"overlay" | "contour" | "cells" | "heat" | "map" | "signed" | "none"} Style */
/** @typedef {"video" | "window"} Scale */

/** What a page has of one explained video; see content.py. */
export class Clip {
  /**
   * @param {any} data `PageClip`
   * @param {import("./unpack.js").Block} block
   */
  constructor(data, block) {
    this.data = data;
    this.name = /** @type {string} */ (data.name);
    this.model = /** @type {string} */ (data.model);
    this.size = { rows: data.geometry.source_size[0], columns: data.geometry.source_size[1] };
    this.stamps = block.times(data.stamps);
    this.span = /** @type {[number, number]} */ (data.span_seconds);
    this.timeline = new Timeline(block.times(data.starts), block.times(data.ends), block.times(data.frames));
    this.top = block.counts(data.top);
    this.topProbability = data.top_probability ? block.floats(data.top_probability) : null;
    /** @type {Target[]} */
    this.targets = data.targets.map((/** @type {any} */ target) => new Target(target, block));
  }

  /** All targets but the words of captions. */
  get mainTargets() {
    const { captions } = this.data;
    return captions.length ? captions.map((/** @type {any} */ caption) => this.targets[caption.target]) : this.targets;
  }

  /** End of the last frame's display. */
  get end() {
    return Math.max(this.span[1], this.stamps[this.stamps.length - 1]);
  }

  /** @param {number} second */
  frameAt(second) {
    return nearest(this.stamps, second);
  }

  /**
   * Time of the maps of a moment: that of the first window before it.
   * @param {number} second
   */
  mapTime(second) {
    return Math.max(second, this.timeline.starts[0]);
  }

  /**
   * The map of a moment in cells, raw.
   * @param {TargetMap} map
   * @param {number} second
   * @param {Scale} scale whose factors are applied
   */
  raw(map, second, scale) {
    return this.timeline.blend(map.cells, this.mapTime(second), map.factors[scale] ?? null);
  }

  /**
   * The map of a moment in cells, of which 0 and 1 are the bounds; not clipped.
   * @param {TargetMap} map
   * @param {number} second
   * @param {Scale} scale
   * @returns {import("./arithmetic.js").Plane}
   */
  plane(map, second, scale) {
    const [, , rows, columns] = map.cells.shape;
    return { rows, columns, values: toUnit(this.raw(map, second, scale), map.bounds[scale]) };
  }

  /**
   * Evidence for and against, in cells: 1 is the upper bound, ½ is none, 0 is as much against.
   * @param {TargetMap} map
   * @param {number} second
   * @param {Scale} scale
   * @returns {import("./arithmetic.js").Plane}
   */
  signedPlane(map, second, scale) {
    const [, , rows, columns] = map.cells.shape, high = map.bounds[scale][1] || 1;
    const raw = this.timeline.blend(/** @type {any} */ (map.signed), this.mapTime(second), map.factors[scale] ?? null);
    return { rows, columns, values: raw.map((value) => clipped((value / high + 1) / 2)) };
  }

  /**
   * Where source pixels lie on a grid, in cells; positions count from the edge of the frame.
   * @param {number} cells
   * @param {0 | 1} axis 0 for rows
   * @param {ArrayLike<number>} pixels
   */
  positions(cells, axis, pixels) {
    const { source_size, resized_size, crop_size, top_px, left_px } = this.data.geometry;
    const scale = source_size[axis] / resized_size[axis], edge = axis ? left_px : top_px;
    return Float64Array.from(pixels, (pixel) => (pixel / scale - edge) * (cells / crop_size[axis]));
  }

  /**
   * Heat at source positions, as it is drawn in a style.
   * @param {import("./arithmetic.js").Plane} plane
   * @param {Style} style
   * @param {ArrayLike<number>} rows source pixels
   * @param {ArrayLike<number>} columns
   */
  heat(plane, style, rows, columns) {
    const draw = style === "contour" ? smooth : style === "cells" ? cellular : linear;
    return draw(plane, this.positions(plane.rows, 0, rows), this.positions(plane.columns, 1, columns));
  }

  /**
   * Mean heat over the model's view, in [0, 1], as `VideoExplanation.evidence`.
   * @param {TargetMap} map
   * @param {number} second
   * @param {Scale} scale
   */
  evidence(map, second, scale) {
    const [, , rows, columns] = map.cells.shape, [height, width] = this.data.geometry.crop_size;
    const down = meanWeights(height, rows), across = meanWeights(width, columns);
    const raw = this.raw(map, second, scale);
    let mean = 0;
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) mean += down[r] * across[c] * raw[r * columns + c];
    return clipped(toUnit(Float32Array.of(mean), map.bounds[scale])[0]);
  }

  /**
   * Mean probability of a target in the windows that cover a moment; NaN if none does.
   * @param {Target} target
   * @param {number} second
   */
  probability(target, second) {
    if (!target.probability) return NaN;
    let sum = 0, count = 0;
    for (const { index } of this.timeline.covering(this.mapTime(second))) {
      sum += target.probability[index];
      count += 1;
    }
    return count ? sum / count : NaN;
  }

  /**
   * The window in whose middle a moment lies best; -1 outside every window.
   * @param {number} second
   */
  windowAt(second) {
    let best = -1, most = 0;
    for (const { index, weight } of this.timeline.covering(this.mapTime(second))) {
      if (weight > most) [best, most] = [index, weight];
    }
    return best;
  }

  /** @param {number} window */
  classOf(window) {
    return window < 0 ? "" : this.data.classes[this.top[window]];
  }
}

/** One explained class. */
export class Target {
  /**
   * @param {any} data `PageTarget`
   * @param {import("./unpack.js").Block} block
   */
  constructor(data, block) {
    this.label = /** @type {string} */ (data.label);
    this.contrast = /** @type {string | null} */ (data.contrast);
    this.mean = /** @type {number | null} */ (data.mean);
    this.probability = data.probability ? block.floats(data.probability) : null;
    this.maps = data.maps.map((/** @type {any} */ map) => new TargetMap(map, block));
  }

  /** The label, and what it is held against. */
  get name() {
    return this.contrast === null ? this.label : `${this.label} vs ${this.contrast}`;
  }

  /**
   * @param {string} method
   * @returns {TargetMap} that of a method, or the first one
   */
  map(method) {
    return this.maps.find((/** @type {TargetMap} */ map) => map.method === method) ?? this.maps[0];
  }
}

/** The maps of one method for one class; they are unpacked when they are first drawn. */
export class TargetMap {
  /**
   * @param {any} data `PageMap`
   * @param {import("./unpack.js").Block} block
   */
  constructor(data, block) {
    this.data = data;
    this.block = block;
    this.method = /** @type {string} */ (data.method);
    this.bounds = /** @type {Record<Scale, [number, number]>} */ (data.bounds);
    this.verdict = data.verdict;
    /** Whether the heat is drawn by an overlay video of its own. */
    this.isDrawn = /** @type {boolean} */ (data.is_drawn);
    this.isSigned = Boolean(data.signed);
    /** @type {Partial<Record<Scale, Float32Array>>} */
    this.factors = {};
    /** @type {{shape: number[], low: number, step: number, values: Uint16Array} | undefined} */
    this.unpacked = undefined;
    /** @type {{shape: number[], low: number, step: number, values: Uint16Array} | undefined} */
    this.unpackedSigned = undefined;
    for (const [scale, section] of Object.entries(data.factors)) {
      this.factors[/** @type {Scale} */ (scale)] = block.floats(/** @type {any} */ (section));
    }
  }

  /** Maps with their negative part. */
  get signed() {
    return (this.unpackedSigned ??= this.block.cells(this.data.signed));
  }

  get cells() {
    return (this.unpacked ??= this.block.cells(this.data.cells));
  }
}
