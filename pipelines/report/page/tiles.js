// The pictures: a video with its heat, alone or several in step.

import { between } from "./arithmetic.js";
import { canvasSize, drawMap } from "./draw.js";
import { badge, clock, make } from "./dom.js";

/** @typedef {import("./maps.js").Clip} Clip */
/** @typedef {import("./draw.js").Look} Look */

/** One picture: a frame of a video below, a map above. */
export class Tile {
  /**
   * @param {Clip} clip
   * @param {import("./player.js").Player} player
   * @param {boolean} isFirst whether it holds the video itself; others hold copies of its frames
   */
  constructor(clip, player, isFirst) {
    this.clip = clip;
    this.player = player;
    this.isFirst = isFirst;
    this.copy = make("canvas", { class: "picture", "aria-hidden": "true" });
    this.canvas = make("canvas", { class: "heat", "aria-hidden": "true" });
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.caption = make("figcaption");
    this.value = make("output", { class: "value", "aria-live": "off", hidden: true });
    this.frame = make("div", { class: "frame" }, isFirst ? player.video : this.copy, this.canvas, this.value);
    this.frame.style.aspectRatio = `${clip.size.columns} / ${clip.size.rows}`;
    this.element = make("figure", { class: "tile" }, this.frame, this.caption);
    /** @type {import("./maps.js").Target} */
    this.target = clip.targets[0];
    /** @type {import("./maps.js").TargetMap} */
    this.map = this.target.maps[0];
    this.isPlain = false;
    /** @type {import("./arithmetic.js").Plane | null} */
    this.plane = null;
  }

  /**
   * Take a map.
   * @param {{target: import("./maps.js").Target, map: import("./maps.js").TargetMap, isPlain: boolean}} part
   * @param {string} model its name, if there are several
   */
  show(part, model) {
    Object.assign(this, part);
    const { map, target } = part, whose = model ? `${model} · ` : "";
    this.caption.replaceChildren(...(part.isPlain ? [`${whose}video`] : [badge(map.verdict), ` ${whose}${map.method} · ${target.name}`]));
  }

  /** Second of the frame of this clip that is shown. */
  get second() {
    return this.clip.stamps[this.clip.frameAt(this.player.second)];
  }

  /** Take the size of the screen. */
  fit() {
    const size = canvasSize(this.frame.clientWidth * devicePixelRatio, this.clip.size);
    if (this.canvas.width === size.columns && this.canvas.height === size.rows) return;
    for (const canvas of [this.canvas, this.copy]) [canvas.width, canvas.height] = [size.columns, size.rows];
    this.drawPicture();
  }

  /**
   * @param {Look} look
   * @param {import("./maps.js").Scale} scale
   */
  draw(look, scale) {
    this.fit();
    const isSigned = look.style === "signed" && this.map.isSigned;
    this.plane = isSigned ? this.clip.signedPlane(this.map, this.second, scale) : this.clip.plane(this.map, this.second, scale);
    drawMap(this.context, this.clip, this.isPlain || this.player.isDrawn ? null : this.plane, this.shown(look));
  }

  /**
   * How this map is drawn: one without a negative part as an overlay, where others show theirs.
   * @param {Look} look
   * @returns {Look}
   */
  shown(look) {
    return look.style === "signed" && !this.map.isSigned ? { ...look, style: "overlay" } : look;
  }

  /** Copy the frame that the video shows. */
  drawPicture() {
    const { video } = this.player;
    if (this.isFirst || !video.videoWidth) return;
    this.copy.getContext("2d")?.drawImage(video, 0, 0, this.copy.width, this.copy.height);
  }

  /**
   * What lies under a place of the picture; null outside the model's view.
   * @param {number} x in CSS pixels of the page
   * @param {number} y
   * @param {Look} look
   */
  valueAt(x, y, look) {
    const box = this.frame.getBoundingClientRect();
    const column = ((x - box.left) / box.width) * this.clip.size.columns, row = ((y - box.top) / box.height) * this.clip.size.rows;
    const [top, bottom, left, right] = this.clip.data.view;
    if (!(row >= top && row < bottom && column >= left && column < right) || !this.plane) return null;
    const isSigned = this.shown(look).style === "signed", { clip, map } = this;
    const heat = clip.heat(this.plane, look.style, [row], [column])[0];
    const raw = isSigned ? clip.timeline.blend(map.signed, clip.mapTime(this.second), null) : clip.raw(map, this.second, "video"), [, , rows, columns] = this.map.cells.shape;
    const places = [this.clip.positions(rows, 0, [row])[0], this.clip.positions(columns, 1, [column])[0]], at = places.map(Math.floor);
    const cell = [Math.min(Math.max(at[0], 0), rows - 1), Math.min(Math.max(at[1], 0), columns - 1)];
    const value = look.style === "cells" ? raw[cell[0] * columns + cell[1]] : bilinear(raw, rows, columns, places);
    return { heat: isSigned ? 2 * heat - 1 : heat, share: heat, value, cell };
  }
}

/**
 * @param {Float32Array} values (rows × columns)
 * @param {number} rows
 * @param {number} columns
 * @param {number[]} place (y, x) in cells
 */
function bilinear(values, rows, columns, [y, x]) {
  const down = between([y], rows), across = between([x], columns), f = down.fraction[0], g = across.fraction[0];
  const at = (/** @type {number} */ r, /** @type {number} */ c) => values[r * columns + c];
  const [top, bottom, left, right] = [down.lower[0], down.upper[0], across.lower[0], across.upper[0]];
  return (1 - f) * ((1 - g) * at(top, left) + g * at(top, right)) + f * ((1 - g) * at(bottom, left) + g * at(bottom, right));
}

/**
 * Make the tiles of a layout.
 * @param {Clip[]} clips
 * @param {Map<Clip, import("./player.js").Player>} players
 * @param {import("./state.js").Choice} choice
 * @returns {Tile[]}
 */
export function tilesOf(clips, players, choice) {
  const taken = new Set(), tiles = /** @type {Tile[]} */ ([]);
  for (const clip of clips) {
    const player = /** @type {import("./player.js").Player} */ (players.get(clip));
    for (const part of parts(clip, choice)) {
      const tile = new Tile(clip, player, !taken.has(player));
      taken.add(player);
      tile.show(part, clips.length > 1 ? clip.model : "");
      tile.caption.hidden = clips.length === 1 && choice.layout === "one";
      tiles.push(tile);
    }
  }
  return tiles;
}

/**
 * Give the pictures other maps, without making them anew, if their number and order stay.
 * @param {Tile[]} tiles
 * @param {Clip[]} clips
 * @param {import("./state.js").Choice} choice
 * @returns {boolean} whether that could be done
 */
export function retarget(tiles, clips, choice) {
  const others = clips.flatMap((clip) => parts(clip, choice));
  const isSame = others.length === tiles.length && others.every((part, place) => part.isPlain === tiles[place].isPlain);
  if (!isSame || (tiles.length === 1 && clips.length === 1) !== (choice.layout === "one" && clips.length === 1)) return false;
  others.forEach((part, place) => tiles[place].show(part, clips.length > 1 ? tiles[place].clip.model : ""));
  return true;
}

/**
 * @param {Clip} clip
 * @param {import("./state.js").Choice} choice
 */
function parts(clip, choice) {
  const target = targetOf(clip, choice.target), chosen = { target, map: target.map(choice.method), isPlain: false };
  if (chosen.map.isDrawn) return [chosen]; // the video has its heat in it
  if (choice.layout === "source") return [{ ...chosen, isPlain: true }, chosen];
  if (choice.layout === "methods") return target.maps.filter((/** @type {any} */ map) => !map.isDrawn).map((/** @type {any} */ map) => ({ ...chosen, map }));
  if (choice.layout === "targets") {
    return clip.targets.map((other) => ({ target: other, map: other.map(choice.method), isPlain: false }));
  }
  return [chosen];
}

/**
 * @param {Clip} clip
 * @param {string} name
 */
export function targetOf(clip, name) {
  return clip.targets.find((target) => target.name === name) ?? clip.targets[0];
}

/**
 * All pictures at the size of the source, each with a caption.
 * @param {Tile[]} tiles as they were drawn last
 * @param {Look} look
 * @returns {HTMLCanvasElement}
 */
export function pictureOf(tiles, look) {
  const gap = 8, line = 26, columns = Math.ceil(Math.sqrt(tiles.length)), rows = Math.ceil(tiles.length / columns);
  const { size } = tiles[0].clip, width = Math.max(size.columns, 240), height = Math.round((width * size.rows) / size.columns);
  const canvas = make("canvas", { width: columns * (width + gap) - gap, height: rows * (height + line + gap) - gap });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  tiles.forEach((tile, place) => {
    const x = (place % columns) * (width + gap), y = Math.floor(place / columns) * (height + line + gap);
    const layer = make("canvas", { width, height });
    const over = /** @type {CanvasRenderingContext2D} */ (layer.getContext("2d"));
    drawMap(over, tile.clip, tile.isPlain || tile.player.isDrawn ? null : tile.plane, tile.shown(look));
    if (tile.player.video.videoWidth) context.drawImage(tile.player.video, x, y, width, height);
    context.drawImage(layer, x, y);
    context.fillStyle = "#1b1b1b";
    context.font = "15px system-ui, sans-serif";
    const what = tile.isPlain ? "video" : `${tile.target.name} · ${tile.map.method} (${tile.map.verdict.word})`;
    context.fillText(`${clock(tile.second)} · ${what}`, x + 2, y + height + 18, width - 4);
  });
  return canvas;
}
