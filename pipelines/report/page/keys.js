// The keyboard.

import { LAYOUTS } from "./state.js";
import { byId } from "./dom.js";
import { copyLink, savePicture } from "./files.js";
import { targetOf } from "./tiles.js";

/**
 * Do what a key says.
 * @param {KeyboardEvent} key
 * @param {import("./main.js").Page} page
 */
export function press(key, page) {
  const on = /** @type {HTMLElement} */ (key.target);
  if (key.ctrlKey || key.metaKey || key.altKey || on.closest("dialog") || on.matches("select, input, textarea")) return;
  if (on.matches("button, summary") && (key.key === " " || key.key === "Enter")) return;
  const { choice } = page.state, { deck, strip } = page, many = key.shiftKey ? 10 : 1;
  const shift = (/** @type {number} */ by, /** @type {"opacity" | "threshold"} */ name) => {
    page.state.set({ [name]: Math.min(Math.max(Math.round((choice[name] + by) * 100) / 100, 0), 1) });
  };
  const target = targetOf(page.clips[0], choice.target);
  /** @type {Record<string, () => void>} */
  const acts = {
    " ": () => deck.toggle(), ArrowLeft: () => deck.step(-many), ArrowRight: () => deck.step(many),
    Home: () => deck.seekTo(-Infinity), End: () => deck.seekTo(Infinity),
    c: () => page.state.set({ target: after(page.clips[0].targets.map((each) => each.name), target.name) }),
    d: () => page.state.set({ style: after(page.controls.styles.map(([style]) => style), choice.style) }),
    v: () => page.state.set({ layout: after(LAYOUTS.map(([layout]) => layout).filter((layout) => [...page.controls.layout.options].some((o) => o.value === layout)), choice.layout) }),
    "[": () => shift(-0.05, "opacity"), "]": () => shift(0.05, "opacity"), ",": () => shift(-0.05, "threshold"), ".": () => shift(0.05, "threshold"),
    "+": () => strip.zoom(0.5), "=": () => strip.zoom(0.5), "-": () => strip.zoom(2), 0: () => strip.showAll(),
    m: () => page.toggleSound(), s: () => savePicture(page), l: () => copyLink(page), "?": () => openKeys(),
  };
  const map = /^[1-9]$/.test(key.key) ? target.maps[Number(key.key) - 1] : null;
  const act = map ? () => page.state.set({ method: map.method }) : acts[key.key];
  if (!act) return;
  key.preventDefault();
  act();
}

/**
 * @template Value
 * @param {Value[]} values
 * @param {Value} value
 * @returns {Value} the next one
 */
function after(values, value) {
  return values[(values.indexOf(value) + 1) % values.length];
}

export function openKeys() {
  /** @type {HTMLDialogElement} */ (byId("keys")).showModal();
}
