// Heat on a canvas over the video: the pictures of vidcam/render/overlay.py and contour.py.

import { blended, opacityCurve } from "./arithmetic.js";

/** Levels of heat at which a line is drawn. */
const LEVELS = [0.25, 0.5, 0.75];

/** Grey outside the model's view, of heat alone. */
const OUTSIDE = 40;

/** Grey of the frame for which a legend shows the colours. */
const GROUND = 128;

/** Most pixels that are drawn for a frame. */
const MOST_PIXELS = 1_300_000;

/** @typedef {Uint8Array} Palette 256 × 3 */
/** @typedef {{style: import("./maps.js").Style, palette: Palette, opacity: number, threshold: number}} Look */
/** @typedef {{top: number, bottom: number, left: number, right: number}} Box */

/**
 * The colour of each step of heat, as the pixel of a canvas: red lowest, opacity highest.
 * @param {Look} look
 * @returns {Uint32Array}
 */
export function lookup({ style, palette, opacity, threshold }) {
  const curve = opacityCurve(opacity), table = new Uint32Array(256), first = Math.ceil(threshold * 255);
  for (let step = 0; step < 256; step++) {
    const isHidden = step < first;
    let [red, green, blue] = palette.subarray(3 * step, 3 * step + 3), alpha = 255;
    if (style === "map") {
      [red, green, blue, alpha] = [0, 0, 0, isHidden ? 255 : 255 - step];
    } else if (style === "heat") {
      if (isHidden) [red, green, blue] = palette;
    } else {
      alpha = isHidden ? 0 : Math.round(curve[step] * 255);
    }
    table[step] = ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  return table;
}

/**
 * The colours of a legend: those of the overlay over mid-grey, or of the heat itself.
 * @param {Look} look
 * @returns {string[]} 256 colours
 */
export function legendColours(look) {
  const { style, palette, opacity, threshold } = look;
  if (style === "signed") {
    const [against, evidence] = [SIGNED.against, SIGNED.evidence].map((colours) => legendColours({ ...look, palette: colours, style: "overlay" }));
    return Array.from({ length: 256 }, (_, step) => (step < 128 ? against[255 - 2 * step] : evidence[2 * step - 255]));
  }
  const curve = opacityCurve(opacity), first = Math.ceil(threshold * 255);
  return Array.from({ length: 256 }, (_, step) => {
    const colour = [...palette.subarray(3 * step, 3 * step + 3)];
    if (style === "map") return `rgb(${step} ${step} ${step})`;
    if (style === "contour" || style === "heat") return `rgb(${colour.join(" ")})`;
    const alpha = step < first ? 0 : curve[step];
    return `rgb(${colour.map((value) => blended(alpha, value, GROUND)).join(" ")})`;
  });
}

/**
 * @param {number[]} weak
 * @param {number[]} strong
 * @returns {Palette}
 */
function ramp(weak, strong) {
  return Uint8Array.from({ length: 768 }, (_, i) => weak[i % 3] + ((strong[i % 3] - weak[i % 3]) * Math.floor(i / 3)) / 255);
}

/** Colours of evidence for and against, safe for the colour-blind. */
const SIGNED = { evidence: ramp([178, 24, 43], [255, 200, 90]), against: ramp([33, 82, 172], [120, 225, 255]) };

/**
 * The size of a canvas for a frame: that of the screen's pixels, within a limit.
 * @param {number} width in pixels of the screen
 * @param {{rows: number, columns: number}} frame of the source
 */
export function canvasSize(width, frame) {
  const most = Math.sqrt((MOST_PIXELS * frame.columns) / frame.rows);
  const columns = Math.max(1, Math.round(Math.min(width, most)));
  return { columns, rows: Math.max(1, Math.round((columns * frame.rows) / frame.columns)) };
}

/**
 * The pixels of a canvas whose centres lie in the view, and where these centres are in the source.
 * @param {number} length of the canvas
 * @param {number} source pixels of that axis
 * @param {number} first of the view
 * @param {number} last of the view, not included
 */
function axis(length, source, first, last) {
  const scale = source / length;
  const start = Math.max(0, Math.ceil(first / scale - 0.5)), stop = Math.min(length, Math.ceil(last / scale - 0.5));
  const centres = Float64Array.from({ length: Math.max(0, stop - start) }, (_, i) => (start + i + 0.5) * scale);
  return { start, stop, centres };
}

/**
 * Draw a map on a canvas of the size of the frame.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./maps.js").Clip} clip
 * @param {import("./arithmetic.js").Plane | null} plane null draws nothing
 * @param {Look} look
 */
export function drawMap(context, clip, plane, look) {
  const { width, height } = context.canvas, [top, bottom, left, right] = clip.data.view;
  context.clearRect(0, 0, width, height);
  if (!plane || look.style === "none") return;
  const rows = axis(height, clip.size.rows, top, bottom), columns = axis(width, clip.size.columns, left, right);
  if (!rows.centres.length || !columns.centres.length) return;
  if (look.style === "heat" || look.style === "map") {
    const grey = look.style === "heat" ? OUTSIDE : 0;
    context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    context.fillRect(0, 0, width, height);
  }
  const heat = clip.heat(plane, look.style, rows.centres, columns.centres);
  const image = context.createImageData(columns.centres.length, rows.centres.length);
  const pixels = new Uint32Array(image.data.buffer);
  if (look.style === "contour") drawLines(pixels, heat, image.width, image.height, look, Math.max(2, Math.floor(height / 240)));
  else if (look.style === "signed") {
    const [against, evidence] = [SIGNED.against, SIGNED.evidence].map((palette) => lookup({ ...look, palette, style: "overlay" }));
    for (let i = 0; i < heat.length; i++) {
      const share = 2 * heat[i] - 1;
      pixels[i] = share < 0 ? against[(0.5 - share * 255) | 0] : evidence[(share * 255 + 0.5) | 0];
    }
  } else {
    const table = lookup(look);
    for (let i = 0; i < heat.length; i++) pixels[i] = table[(heat[i] * 255 + 0.5) | 0];
  }
  context.putImageData(image, columns.start, rows.start);
  if (look.style !== "map") {
    drawOutline(context, { top: rows.start, bottom: rows.stop, left: columns.start, right: columns.stop });
  }
}

/**
 * Lines at each level, with a line of contrast outside, as `contour.contours`.
 * @param {Uint32Array} pixels written
 * @param {Float32Array} heat
 * @param {number} width
 * @param {number} height
 * @param {Look} look
 * @param {number} thick
 */
function drawLines(pixels, heat, width, height, { palette }, thick) {
  const band = new Uint8Array(heat.length);
  for (let i = 0; i < heat.length; i++) for (const level of LEVELS) if (heat[i] >= Math.fround(level)) band[i] += 1;
  const colours = [0], contrasts = [0];
  for (const level of LEVELS) {
    const [red, green, blue] = palette.subarray(3 * Math.round(level * 255), 3 * Math.round(level * 255) + 3);
    colours.push(((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
    contrasts.push(0.2126 * red + 0.7152 * green + 0.0722 * blue < 100 ? 0xffffffff : 0xff000000);
  }
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      let low = band[i], high = band[i];
      if (y >= thick) [low, high] = [Math.min(low, band[i - thick * width]), Math.max(high, band[i - thick * width])];
      if (y + thick < height) [low, high] = [Math.min(low, band[i + thick * width]), Math.max(high, band[i + thick * width])];
      if (x >= thick) [low, high] = [Math.min(low, band[i - thick]), Math.max(high, band[i - thick])];
      if (x + thick < width) [low, high] = [Math.min(low, band[i + thick]), Math.max(high, band[i + thick])];
      if (low < band[i]) pixels[i] = colours[band[i]];
      else if (high > band[i]) pixels[i] = contrasts[high];
    }
  }
}

/**
 * A white line inside a black one, half opaque, just inside the view; no line along the edge of the frame.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 */
function drawOutline(context, box) {
  const { width, height } = context.canvas, thick = Math.max(1, Math.floor(height / 360));
  let outer = box;
  for (const colour of ["rgb(0 0 0 / 0.5)", "rgb(255 255 255 / 0.5)"]) {
    const inner = {
      top: outer.top > 0 ? outer.top + thick : 0,
      bottom: outer.bottom < height ? outer.bottom - thick : height,
      left: outer.left > 0 ? outer.left + thick : 0,
      right: outer.right < width ? outer.right - thick : width,
    };
    context.fillStyle = colour;
    const across = outer.right - outer.left, down = inner.bottom - inner.top;
    context.fillRect(outer.left, outer.top, across, inner.top - outer.top);
    context.fillRect(outer.left, inner.bottom, across, outer.bottom - inner.bottom);
    context.fillRect(outer.left, inner.top, inner.left - outer.left, down);
    context.fillRect(inner.right, inner.top, outer.right - inner.right, down);
    outer = inner;
  }
}

/**
 * Draw a legend.
 * @param {HTMLCanvasElement} canvas
 * @param {Look} look
 */
export function drawLegend(canvas, look) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  [canvas.width, canvas.height] = [256, 1];
  legendColours(look).forEach((colour, step) => {
    context.fillStyle = colour;
    context.fillRect(step, 0, 1, 1);
  });
}

