// Put everything together.

import { fromBase64, openPage } from "./unpack.js";
import { Clip } from "./maps.js";
import { Controls } from "./controls.js";
import { Deck, Player } from "./player.js";
import { OPACITY, opacityCurve } from "./arithmetic.js";
import { State } from "./state.js";
import { Strip } from "./strip.js";
import { byId, clock, make, number } from "./dom.js";
import { copyLink, openFile, savePicture } from "./files.js";
import { drawLegend } from "./draw.js";
import { Words } from "./words.js";
import { openKeys, press } from "./keys.js";
import { pictureOf, retarget, targetOf, tilesOf } from "./tiles.js";
import { writeHeadline, writeKeys, writeTexts, writeVerdicts } from "./texts.js";

/** The page. */
export class Page {
  /**
   * @param {any} data `PageData`
   * @param {import("./unpack.js").Block} block
   */
  constructor(data, block) {
    this.data = data;
    this.arranged = "";
    /** @type {Clip[]} */
    this.clips = data.clips.map((/** @type {any} */ clip) => new Clip(clip, block));
    if (this.clips.length > 1) { // they may share a player, which cannot play two overlays
      for (const target of this.clips.flatMap((clip) => clip.targets)) target.maps = target.maps.filter((/** @type {any} */ map) => !map.isDrawn);
    }
    this.palettes = Object.fromEntries(Object.entries(data.palettes).map(([name, text]) => [name, fromBase64(/** @type {string} */ (text))]));
    const first = this.clips[0], [best] = first.data.predicted[0] ?? [""];
    const shown = first.targets.find((target) => target.label === best) ?? first.targets[0];
    this.state = new State({
      target: shown.name, method: shown.maps[0].method, style: "overlay", palette: "vidcam", opacity: OPACITY,
      threshold: 0, scale: first.data.scale, layout: "one",
    });
    this.startSecond = this.state.recall();
    if (!(this.state.choice.palette in this.palettes)) this.state.choice.palette = "vidcam";
    /** @type {Map<Clip, Player>} */
    this.players = new Map();
    this.deck = new Deck(this.makePlayers());
    this.controls = new Controls(byId("controls"), this.clips, this.state, Object.keys(this.palettes));
    this.words = new Words(byId("words"), first, this.state);
    this.strip = new Strip(byId("strip"), this.clips, this.state, (second) => this.deck.seekTo(second));
    /** @type {import("./tiles.js").Tile[]} */
    this.tiles = [];
    /** @type {{x: number, y: number, tile: import("./tiles.js").Tile} | null} */
    this.pointer = null;
  }

  /** Clips of one video share a player. */
  makePlayers() {
    /** @type {Map<string, Player>} */
    const known = new Map();
    for (const clip of this.clips) {
      const [video] = clip.data.videos, key = video && video.kind !== "overlay" ? `${video.embedded}${video.href}` : clip.data.key;
      const player = known.get(key) ?? new Player(clip);
      known.set(key, player);
      this.players.set(clip, player);
    }
    return [...known.values()];
  }

  async start() {
    writeHeadline(this.clips);
    writeTexts(this.clips);
    writeKeys();
    byId("version").textContent = `vidcam ${this.data.version}`;
    this.arrange();
    this.listen();
    this.update();
    for (const player of this.deck.players) {
      player.onframe.push(() => this.frame());
      player.onpicture.push(() => {
        for (const tile of this.tiles) if (tile.player === player) tile.drawPicture();
      });
      player.onchange.push(() => this.changed());
    }
    if (this.startSecond !== null) this.deck.seekTo(this.startSecond);
    await Promise.all(this.deck.players.map((player) => player.load()));
    this.takeOverlay();
    this.notice();
    this.frame();
    document.documentElement.dataset.ready = "true";
  }

  /** @returns {import("./draw.js").Look} */
  get look() {
    const { style, palette, opacity, threshold } = this.state.choice;
    return { style, palette: this.palettes[palette] ?? this.palettes.vidcam, opacity, threshold };
  }

  /** Make the pictures anew. */
  arrange() {
    const { choice } = this.state, wasPlaying = this.deck.leader.isPlaying;
    this.tiles = tilesOf(this.clips, this.players, choice);
    byId("tiles").replaceChildren(...this.tiles.map((tile) => tile.element));
    const count = this.tiles.length, tiles = byId("tiles");
    tiles.dataset.count = String(count);
    tiles.style.setProperty("--columns", String(Math.min(Math.ceil(Math.sqrt(count)), 4)));
    tiles.style.setProperty("--narrow", count > 3 ? "2" : "1");
    for (const tile of this.tiles) {
      tile.frame.addEventListener("pointermove", (move) => this.point(tile, move.clientX, move.clientY));
      tile.frame.addEventListener("pointerleave", () => this.point(null, 0, 0));
      tile.frame.addEventListener("click", () => this.deck.toggle());
    }
    if (wasPlaying) this.deck.leader.video.play().catch(() => this.deck.leader.pause());
  }

  /** Something else was chosen. */
  update() {
    const { choice } = this.state, arranged = `${choice.layout} ${choice.target} ${choice.method}`;
    if (!this.controls.styles.some(([style]) => style === choice.style)) choice.style = this.state.first.style;
    this.controls.update();
    this.words.update();
    if (this.arranged !== arranged && !retarget(this.tiles, this.clips, choice)) this.arrange();
    this.arranged = arranged;
    writeVerdicts(this.clips, choice);
    drawLegend(/** @type {HTMLCanvasElement} */ (byId("legend")), this.look);
    const [low, high] = targetOf(this.clips[0], choice.target).map(choice.method).bounds[choice.scale];
    byId("low").textContent = number(choice.style === "signed" ? -high : low);
    byId("high").textContent = number(high);
    this.strip.build();
    this.takeOverlay();
    this.frame();
  }

  /** Play the overlay of the chosen map where it alone has the heat, or where no other video plays; else the video. */
  takeOverlay() {
    for (const [clip, player] of this.players) {
      const target = targetOf(clip, this.state.choice.target), { method, isDrawn } = target.map(this.state.choice.method);
      if (!player.original || (!player.isDrawn && !isDrawn)) continue;
      const overlay = clip.data.videos.find((/** @type {any} */ v) => v.map && v.map[0] === target.label && v.map[1] === method);
      const fitting = !isDrawn && player.original?.kind !== "overlay" ? player.original : overlay;
      if (fitting && fitting !== player.source) player.open(fitting);
    }
  }

  /** Another frame is shown: draw its maps. */
  frame() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const { leader } = this.deck, second = leader.second;
    for (const tile of this.tiles) tile.draw(this.look, this.state.choice.scale);
    this.strip.move(second);
    const { stamps } = leader;
    byId("time").textContent = `${clock(second)} / ${clock(leader.clip.end)}  ·  frame ${leader.index + 1} of ${stamps.length}`;
    this.state.second = second;
    this.showValue();
    if (!leader.isPlaying) {
      this.state.remember();
      byId("status").textContent = `${clock(second)}, frame ${leader.index + 1} of ${stamps.length}`;
    }
  }

  changed() {
    const { leader } = this.deck, isPlaying = leader.isPlaying;
    byId("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    byId("play-path").setAttribute("d", isPlaying ? "M4 3h3v10H4zM9 3h3v10H9z" : "M4 2.5v11L13 8z");
    byId("sound").setAttribute("aria-pressed", String(!leader.video.muted));
    byId("sound-path").setAttribute("d", leader.video.muted ? "M10 6l4 4m0-4l-4 4" : "M10 5.5q2.5 2.5 0 5M12 3.5q4 4.5 0 9");
    this.frame();
  }

  /** Say what the page does without its video. */
  notice() {
    const texts = this.clips.map((clip) => {
      const player = /** @type {Player} */ (this.players.get(clip));
      if (player.original && player.original.kind !== "overlay") return "";
      return clip.data.note || `${clip.name} cannot be played here: ${player.isDrawn ? "the overlay is shown instead." : "only the heat is shown."}`;
    });
    const text = [...new Set(texts.filter(Boolean))].join(" "), notice = byId("notice");
    notice.replaceChildren(text);
    notice.hidden = !text;
    if (!text || !this.clips.some((clip) => clip.data.can_open)) return;
    const pick = make("button", { type: "button", text: "Open the video…" });
    pick.addEventListener("click", () => byId("file").click());
    notice.append(" ", pick);
    if (this.deck.players.every((player) => !player.source) && this.state.choice.style === "overlay") this.state.set({ style: "heat" });
  }

  listen() {
    const { deck, state } = this;
    state.listeners.push(() => this.update());
    /** @type {[string, () => void][]} */
    const clicks = [
      ["play", () => deck.toggle()], ["back", () => deck.step(-1)], ["forward", () => deck.step(1)], ["sound", () => this.toggleSound()],
      ["zoom-in", () => this.strip.zoom(0.5)], ["zoom-out", () => this.strip.zoom(2)], ["zoom-all", () => this.strip.showAll()],
      ["shot", () => savePicture(this)], ["link", () => copyLink(this)], ["help", () => openKeys()],
    ];
    for (const [id, act] of clicks) byId(id).addEventListener("click", act);
    const rate = /** @type {HTMLSelectElement} */ (byId("rate"));
    rate.addEventListener("change", () => deck.setRate(Number(rate.value)));
    addEventListener("keydown", (key) => press(key, this));
    addEventListener("hashchange", () => {
      if (location.hash === state.written) return;
      const second = state.recall();
      this.update();
      if (second !== null) deck.seekTo(second);
    });
    const watcher = new ResizeObserver(() => {
      this.strip.draw();
      this.frame();
    });
    for (const id of ["tiles", "strip"]) watcher.observe(byId(id));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.strip.draw());
    const file = /** @type {HTMLInputElement} */ (byId("file"));
    file.addEventListener("change", () => openFile(file.files?.[0] ?? null, this));
  }

  toggleSound() {
    for (const { video } of this.deck.players.slice(0, 1)) video.muted = !video.muted;
    this.changed();
  }

  /**
   * @param {import("./tiles.js").Tile | null} tile
   * @param {number} x
   * @param {number} y
   */
  point(tile, x, y) {
    this.pointer = tile ? { tile, x, y } : null;
    this.showValue();
  }

  showValue() {
    const { pointer } = this, mark = byId("mark");
    const found = pointer?.tile.valueAt(pointer.x, pointer.y, this.look) ?? null;
    mark.hidden = !found;
    if (found) mark.style.left = `${100 * found.share}%`;
    for (const { value } of this.tiles) value.hidden = true;
    if (!pointer || pointer.tile.isPlain || pointer.tile.map.isDrawn) return;
    pointer.tile.value.hidden = false;
    pointer.tile.value.textContent = found
      ? `${number(found.value)}  ·  heat ${found.heat.toFixed(2)}  ·  row ${found.cell[0] + 1}, column ${found.cell[1] + 1}`
      : "The model did not see this part";
  }
}

/** What tests and scripts may use. */
const tools = { opacityCurve, pictureOf };

openPage((data, block) => {
  const page = new Page(data, block);
  Object.assign(globalThis, { vidcam: Object.assign(page, { tools }) });
  return page.start();
});
