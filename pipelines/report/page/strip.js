// The time strip: a lane for each curve, one playhead, zoom.

import { badge, byId, clock, curveColours, make, number, percent, styleColour } from "./dom.js";
import { targetOf } from "./tiles.js";

/** @typedef {import("./maps.js").Clip} Clip */

const LANE = 34, MOST_SAMPLES = 1200;

/** The strip of all clips. */
export class Strip {
  /**
   * @param {HTMLElement} root
   * @param {Clip[]} clips
   * @param {import("./state.js").State} state
   * @param {(second: number) => void} seek
   */
  constructor(root, clips, state, seek) {
    this.root = root;
    this.clips = clips;
    this.state = state;
    this.seek = seek;
    this.whole = /** @type {[number, number]} */ ([
      Math.min(...clips.map((clip) => clip.stamps[0])), Math.max(...clips.map((clip) => clip.end)),
    ]);
    /** @type {[number, number]} */
    this.range = [this.whole[0], this.whole[1]];
    this.lanes = make("div", { class: "lanes" });
    this.axis = make("canvas", { class: "axis", "aria-hidden": "true" });
    this.head = make("div", { class: "playhead", "aria-hidden": "true" });
    this.ghost = make("div", { class: "ghost", "aria-hidden": "true", hidden: true });
    this.surface = make("div", {
      class: "surface", role: "slider", tabindex: 0, "aria-label": "Time", "aria-valuemin": this.whole[0].toFixed(2),
      "aria-valuemax": this.whole[1].toFixed(2),
    }, this.head, this.ghost);
    this.readout = byId("readout");
    this.bar = make("div", { class: "span", hidden: true, "aria-hidden": "true" }, make("i"));
    root.append(this.lanes, this.surface, this.axis, this.bar);
    /** @type {Map<string, Float64Array>} */
    this.curves = new Map();
    this.second = this.whole[0];
    this.listen();
  }

  listen() {
    const { surface } = this;
    surface.addEventListener("pointerdown", (press) => {
      if (press.button) return;
      surface.setPointerCapture(press.pointerId);
      this.isDragged = true;
      this.seek(this.secondAt(press.clientX));
    });
    surface.addEventListener("pointermove", (move) => {
      const second = this.secondAt(move.clientX);
      if (this.isDragged) this.seek(second);
      this.hover(second);
    });
    for (const name of ["pointerup", "pointercancel"]) surface.addEventListener(name, () => (this.isDragged = false));
    surface.addEventListener("pointerleave", () => this.hover(null));
    surface.addEventListener("wheel", (turn) => {
      if (turn.shiftKey || Math.abs(turn.deltaX) > Math.abs(turn.deltaY)) {
        const isZoomed = this.range[1] - this.range[0] < this.whole[1] - this.whole[0];
        if (!isZoomed) return;
        this.pan(((turn.deltaX || turn.deltaY) / surface.clientWidth) * (this.range[1] - this.range[0]));
      } else if (turn.ctrlKey || turn.metaKey || turn.altKey) this.zoom(Math.exp(turn.deltaY * 0.004), this.secondAt(turn.clientX));
      else return;
      turn.preventDefault();
    }, { passive: false });
    this.bar.addEventListener("pointerdown", (press) => this.bar.setPointerCapture(press.pointerId));
    this.bar.addEventListener("pointermove", (move) => {
      if (!move.buttons) return;
      this.pan((move.movementX / this.bar.clientWidth) * (this.whole[1] - this.whole[0]));
    });
  }

  /** @param {number} x in CSS pixels of the page */
  secondAt(x) {
    const box = this.surface.getBoundingClientRect(), share = Math.min(Math.max((x - box.left) / box.width, 0), 1);
    return this.range[0] + share * (this.range[1] - this.range[0]);
  }

  /**
   * @param {number} factor below 1 shows less
   * @param {number} centre stays where it is
   */
  zoom(factor, centre = this.second) {
    const [from, to] = this.range, [first, last] = this.whole, most = last - first;
    const length = Math.min(Math.max((to - from) * factor, Math.min(most, 0.4)), most);
    const share = Math.min(Math.max((centre - from) / (to - from), 0), 1);
    const start = Math.min(Math.max(centre - share * length, first), last - length);
    this.range = [start, start + length];
    this.draw();
  }

  /** @param {number} seconds */
  pan(seconds) {
    const [from, to] = this.range, [first, last] = this.whole;
    const start = Math.min(Math.max(from + seconds, first), last - (to - from));
    this.range = [start, start + to - from];
    this.draw();
  }

  showAll() {
    this.range = [this.whole[0], this.whole[1]];
    this.draw();
  }

  /** Make the lanes anew: the classes or the methods are others. */
  build() {
    const { choice } = this.state;
    this.rows = this.clips.flatMap((clip) => {
      const target = targetOf(clip, choice.target), model = this.clips.length > 1 ? `${clip.model} · ` : "";
      const rows = target.maps.map((/** @type {any} */ map, /** @type {number} */ place) => ({
        kind: "evidence", clip, target, map, name: `${model}${map.method}`, place,
      }));
      if (clip.targets.some((each) => each.probability)) rows.push({ kind: "probability", clip, target, name: `${model}probability` });
      if (clip.timeline.length > 1) rows.push({ kind: "classes", clip, target, name: `${model}class of each window` });
      return rows;
    });
    this.lanes.replaceChildren(...this.rows.map((row) => this.lane(row)));
    this.draw();
  }

  /** @param {any} row */
  lane(row) {
    const { choice } = this.state;
    row.canvas = make("canvas", { "aria-hidden": "true" });
    const isMap = row.kind === "evidence", chosen = isMap && row.map === row.target.map(choice.method);
    const label = make(isMap ? "button" : "span", isMap ? {
      type: "button", class: "label", "aria-pressed": chosen, title: row.map.verdict.reason,
    } : { class: "label" });
    label.append(make("span", { class: "name", text: row.name }));
    if (row.kind === "probability") {
      const swatch = make("i", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = curveColours()[row.clip.targets.indexOf(row.target) % curveColours().length];
      label.append(make("span", { class: "whose" }, swatch, row.target.label));
    }
    if (isMap) {
      label.setAttribute("aria-pressed", String(chosen));
      label.append(badge(row.map.verdict));
      label.addEventListener("click", () => this.state.set({ method: row.map.method }));
    }
    return make("div", { class: `lane ${row.kind}${chosen ? " chosen" : ""}` }, label, row.canvas);
  }

  /**
   * Values of a curve at the moments of the visible range.
   * @param {any} row
   * @param {number} count
   * @param {(second: number) => number} measure
   * @param {string} name
   */
  curve(row, count, measure, name) {
    const [from, to] = this.range, key = `${this.clips.indexOf(row.clip)} ${name} ${this.state.choice.scale} ${from} ${to} ${count}`;
    let values = this.curves.get(key);
    if (!values) {
      if (this.curves.size > 200) this.curves.clear();
      values = Float64Array.from({ length: count }, (_, i) => {
        const second = from + ((i + 0.5) / count) * (to - from);
        return second < row.clip.stamps[0] || second > row.clip.end ? NaN : measure(second);
      });
      this.curves.set(key, values);
    }
    return values;
  }

  draw() {
    cancelAnimationFrame(this.waiting ?? 0);
    this.waiting = requestAnimationFrame(() => {
      for (const row of this.rows ?? []) this.drawRow(row);
      this.drawAxis();
      this.move(this.second);
      const [from, to] = this.range, [first, last] = this.whole, part = /** @type {HTMLElement} */ (this.bar.firstChild);
      this.bar.hidden = to - from > 0.999 * (last - first);
      part.style.left = `${(100 * (from - first)) / (last - first)}%`;
      part.style.width = `${(100 * (to - from)) / (last - first)}%`;
    });
  }

  /** @param {any} row */
  drawRow(row) {
    const canvas = /** @type {HTMLCanvasElement} */ (row.canvas), width = canvas.clientWidth, ratio = devicePixelRatio;
    if (!width) return;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(LANE * ratio)];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(ratio, ratio);
    const count = Math.min(Math.ceil(width), MOST_SAMPLES), { choice } = this.state, colours = curveColours();
    if (row.kind === "evidence") {
      const at = `${row.clip.targets.indexOf(row.target)} ${row.map.method}`;
      const values = this.curve(row, count, (second) => row.clip.evidence(row.map, second, choice.scale), at);
      const colour = row.map === row.target.map(choice.method) ? styleColour("--accent") : styleColour("--soft");
      row.most = values.reduce((most, value) => (value > most ? value : most), 0);
      plot(context, values, width, row.most || 1, colour, true);
    } else if (row.kind === "probability") {
      row.clip.targets.forEach((/** @type {any} */ target, /** @type {number} */ place) => {
        const values = this.curve(row, count, (second) => row.clip.probability(target, second), `p ${place}`);
        plot(context, values, width, 1, colours[place % colours.length], false, target === row.target ? 2 : 1.25);
      });
    } else this.drawClasses(context, row, width, colours);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {any} row
   * @param {number} width
   * @param {string[]} colours
   */
  drawClasses(context, row, width, colours) {
    const { clip } = row, [from, to] = this.range;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    let start = 0, before = clip.windowAt(from), label = clip.classOf(before);
    for (let x = 1; x <= width; x++) {
      const window = x < width ? clip.windowAt(from + ((x + 0.5) / width) * (to - from)) : -2;
      const now = window === -2 ? null : clip.classOf(window);
      if (now === label) continue;
      if (label) {
        const place = clip.data.classes.indexOf(label), known = clip.targets.findIndex((/** @type {any} */ t) => t.label === label);
        context.fillStyle = colours[(known >= 0 ? known : clip.targets.length + place) % colours.length];
        context.globalAlpha = 0.22;
        context.fillRect(start, 6, x - start - 1, LANE - 12);
        context.globalAlpha = 1;
        context.fillRect(start, LANE - 8, x - start - 1, 2);
        context.fillStyle = styleColour("--ink");
        context.save();
        context.beginPath();
        context.rect(start, 0, Math.max(x - start - 4, 0), LANE);
        context.clip();
        if (x - start > 24) context.fillText(label, start + 5, LANE / 2 - 1);
        context.restore();
      }
      [start, label] = [x, now];
    }
  }

  drawAxis() {
    const canvas = this.axis, width = canvas.clientWidth, ratio = devicePixelRatio, height = 20, [from, to] = this.range;
    if (!width) return;
    [canvas.width, canvas.height] = [Math.round(width * ratio), height * ratio];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(ratio, ratio);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = styleColour("--quiet");
    context.textBaseline = "top";
    const least = ((to - from) * 70) / width;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((each) => each >= least) ?? 7200;
    for (let second = Math.ceil(from / step) * step; second <= to + 1e-9; second += step) {
      const x = ((second - from) / (to - from)) * width, text = step < 1 ? clock(second).slice(0, -1) : clock(second).slice(0, -3);
      context.fillRect(Math.min(x, width - 1), 0, 1, 4);
      context.textAlign = x > width - 24 ? "right" : x < 24 ? "left" : "center";
      context.fillText(text, Math.min(x, width), 6);
    }
  }

  /** @param {number} second of the frame that is shown */
  move(second) {
    this.second = second;
    const [from, to] = this.range, share = (second - from) / (to - from);
    this.head.hidden = share < 0 || share > 1;
    this.head.style.transform = `translateX(${share * this.surface.clientWidth}px)`;
    this.surface.setAttribute("aria-valuenow", second.toFixed(2));
    this.surface.setAttribute("aria-valuetext", clock(second));
    if (this.ghost.hidden) this.tell(second);
  }

  /** @param {number | null} second under the pointer */
  hover(second) {
    this.ghost.hidden = second === null;
    if (second === null) return this.tell(this.second);
    const share = (second - this.range[0]) / (this.range[1] - this.range[0]);
    this.ghost.style.transform = `translateX(${share * this.surface.clientWidth}px)`;
    this.tell(second);
  }

  /** @param {number} second whose values are written */
  tell(second) {
    const clip = this.clips[0], { choice } = this.state, target = targetOf(clip, choice.target), map = target.map(choice.method);
    const probability = clip.probability(target, second), own = clip.classOf(clip.windowAt(second));
    this.readout.textContent = [
      clock(second),
      `evidence ${number(clip.evidence(map, second, choice.scale))}`,
      Number.isNaN(probability) ? "" : `${target.name} ${percent(probability)}`,
      own && own !== target.label ? `the model sees ${own}` : "",
    ].filter(Boolean).join("  ·  ");
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Float64Array} values
 * @param {number} width
 * @param {number} most value at the top
 * @param {string} colour
 * @param {boolean} isFilled
 * @param {number} thick
 */
function plot(context, values, width, most, colour, isFilled, thick = 1.5) {
  const top = 4, bottom = LANE - 3;
  /** @type {[number, number][][]} */
  const lines = [[]];
  values.forEach((value, i) => {
    if (Number.isNaN(value)) lines.push([]);
    else lines[lines.length - 1].push([((i + 0.5) / values.length) * width, bottom - (value / most) * (bottom - top)]);
  });
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = thick;
  context.lineJoin = "round";
  for (const points of lines.filter((each) => each.length)) {
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x, y);
    context.stroke();
    if (!isFilled) continue;
    context.lineTo(points[points.length - 1][0], bottom);
    context.lineTo(points[0][0], bottom);
    context.globalAlpha = 0.18;
    context.fill();
    context.globalAlpha = 1;
  }
}
