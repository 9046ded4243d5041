// One question: the clip with one map or two, and the buttons.

import { Player } from "./player.js";
import { Tile } from "./tiles.js";
import { byId, clock, make } from "./dom.js";

/** @typedef {{value: string, text: string, key: string, name: string}} Choice */

export const PAIR = /** @type {Choice[]} */ ([
  { value: "left", text: "Left", key: "ArrowLeft", name: "←" },
  { value: "same", text: "Same", key: "ArrowDown", name: "↓" },
  { value: "right", text: "Right", key: "ArrowRight", name: "→" },
]);

export const SINGLE = /** @type {Choice[]} */ ([
  { value: "yes", text: "Yes", key: "y", name: "Y" },
  { value: "cannot tell", text: "Cannot tell", key: "c", name: "C" },
  { value: "no", text: "No", key: "n", name: "N" },
]);

/** Height of a picture at most, as a share of the window in percent: the buttons stay in view. */
const TALLEST = 54;

/** Milliseconds before an answer counts; a key that is still held down is no answer. */
const LEAST = 300;

/** A question that is shown. */
export class Screen {
  /**
   * @param {import("./maps.js").Clip} clip
   * @param {number[]} maps one or two indices; -1: the video alone
   * @param {{question: string, isCheck: boolean, choices: Choice[], chosen: string | null}} what
   * @param {import("./draw.js").Look} look
   * @param {(answer: string, seconds: number) => void} done
   */
  constructor(clip, maps, what, look, done) {
    const [target] = clip.targets;
    this.look = look;
    this.done = done;
    this.choices = what.choices;
    this.player = new Player(clip);
    this.tiles = maps.map((index, place) => {
      const tile = new Tile(clip, this.player, place === 0);
      tile.target = target;
      tile.isPlain = index < 0;
      tile.frame.style.width = `min(100%, ${(TALLEST * clip.size.columns) / clip.size.rows}vh)`;
      if (index >= 0) tile.map = target.maps[index];
      tile.caption.textContent = maps.length > 1 ? ["Left", "Right"][place] : "";
      tile.caption.hidden = maps.length < 2;
      tile.frame.addEventListener("click", () => this.toggle());
      return tile;
    });
    this.wantsPlaying = true;
    this.isOver = false;
    this.shownAt = NaN;
    byId("says").replaceChildren("The model says: ", make("b", { text: target.label }));
    byId("question").textContent = what.question;
    byId("question").classList.toggle("check", what.isCheck);
    byId("tiles").replaceChildren(...this.tiles.map((tile) => tile.element));
    byId("tiles").dataset.count = String(maps.length);
    byId("legend").parentElement?.parentElement?.toggleAttribute("hidden", this.tiles.every((tile) => tile.isPlain));
    this.buttons = what.choices.map(({ value, text, name }) => {
      const button = make("button", { type: "button", class: value === what.chosen ? "chosen" : null, disabled: true, "aria-pressed": String(value === what.chosen) },
        text, make("span", { text: name }));
      button.addEventListener("click", () => this.answer(value));
      return button;
    });
    byId("answers").replaceChildren(...this.buttons);
  }

  /** @returns {Promise<boolean>} whether the clip can be played here */
  async start() {
    const { player } = this;
    player.onframe.push(() => this.draw());
    player.onpicture.push(() => this.tiles.forEach((tile) => tile.drawPicture()));
    player.onchange.push(() => this.changed());
    await player.load();
    if (this.isOver) return true;
    this.shownAt = performance.now();
    for (const button of this.buttons) button.disabled = false;
    this.draw();
    if (!player.source) return false;
    byId("question").focus({ preventScroll: true });
    player.play();
    return true;
  }

  draw() {
    if (this.isOver) return;
    for (const tile of this.tiles) tile.draw(this.look, this.player.clip.data.scale);
    byId("time").textContent = `${clock(this.player.second - this.player.clip.stamps[0])} / ${clock(this.player.clip.end - this.player.clip.stamps[0])}`;
  }

  /** At its end the clip starts again. */
  changed() {
    if (this.isOver) return;
    byId("play").textContent = this.wantsPlaying ? "Pause" : "Play";
    if (this.wantsPlaying && !this.player.isPlaying && this.player.index >= this.player.stamps.length - 1) setTimeout(() => !this.isOver && this.wantsPlaying && this.player.play(), 400);
  }

  toggle() {
    this.wantsPlaying = !this.wantsPlaying;
    if (this.wantsPlaying) this.player.play();
    else this.player.pause();
    this.changed();
  }

  /** @param {string} value */
  answer(value) {
    const milliseconds = performance.now() - this.shownAt;
    if (this.isOver || !(milliseconds >= LEAST)) return;
    this.end();
    this.done(value, milliseconds / 1000);
  }

  /**
   * @param {string} key
   * @returns {boolean} whether it is a key of this question
   */
  press(key) {
    const choice = this.choices.find((each) => each.key === key || each.key === key.toLowerCase());
    if (choice) this.answer(choice.value);
    else if (key === " ") this.toggle();
    return Boolean(choice) || key === " ";
  }

  /** Free the video. */
  end() {
    this.isOver = true;
    const { video } = this.player;
    this.player.pause();
    if (video.src) URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load();
  }
}
