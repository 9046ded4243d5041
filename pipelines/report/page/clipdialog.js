// The dialog of one clip of a set: its page, or its video with its scores.

import { byId, make, number } from "./dom.js";

/** @typedef {import("./set.js").SetPage} SetPage */

/**
 * @param {SetPage} page
 * @param {number} clip
 */
export function playClip(page, clip) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("player")), close = make("button", { type: "button", text: "Close" });
  close.addEventListener("click", () => dialog.close());
  const head = make("p", {}, make("span", { text: page.path[clip] }), close), address = page.data.pages[clip];
  dialog.replaceChildren(head, address ? make("iframe", { src: address, title: page.path[clip] }) : plain(page, clip));
  dialog.showModal();
}

/**
 * The video from the start of its window, its scores, and how to draw its heat.
 * @param {SetPage} page
 * @param {number} clip
 */
function plain(page, clip) {
  const file = page.path[clip].split("/").pop() ?? "", start = page.startSecond[clip], folder = page.folder[clip];
  const result = page.correct[clip] === 1 ? ", which is right" : page.correct[clip] === 0 ? `, which is wrong: ${page.label[clip]}` : "";
  const sentence = page.status[clip] === "scored"
    ? `The model says ${page.top[clip]} (${number(page.probability[clip])})${result}.` : `${page.status[clip]}: ${page.reason[clip]}`;
  const path = `${decodeURIComponent(folder)}/${file}`.replace(/^(\.\/)+/, "");
  const command = `vidcam explain ${quoted(path)} -o clip --model ${quoted(page.data.model)}${start > 0 ? ` --start ${Number(start.toFixed(3))}` : ""}`;
  return make("div", { class: "plain" }, folder ? video(`${folder}/${encodeURIComponent(file)}`, start, file) : null,
    make("div", {}, make("p", { text: sentence }), scores(page, clip),
      make("p", { text: "No heat of this clip is kept. In the folder of this page, this draws it:" }),
      make("pre", { tabindex: 0, role: "region", "aria-label": "Command", text: command })));
}

/**
 * @param {string} address
 * @param {number} start
 * @param {string} name
 */
function video(address, start, name) {
  const player = make("video", { controls: true, muted: true, playsinline: true, preload: "auto", src: `${address}#t=${start > 0 ? start : 0}`, "aria-label": name });
  player.muted = true;
  player.addEventListener("error", () => player.replaceWith(make("p", { class: "notice", text: `${name} cannot be played here: it was moved, or the browser does not know its codec.` })));
  return player;
}

/**
 * @param {SetPage} page
 * @param {number} clip
 */
function scores(page, clip) {
  const share = (/** @type {number} */ value) => (Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : "–");
  const rows = Object.entries(page.scores).map(([method, columns]) => make("tr", {}, make("th", { scope: "row", text: method }),
    make("td", { text: share(columns.drop[clip]) }), make("td", { text: share(columns["retention_0.5"][clip]) }), make("td", { text: number(columns.area[clip]) })));
  const head = ["Method", "Drop", "Kept at half", "Area"].map((text) => make("th", { scope: "col", text }));
  return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Scores" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
}

/** @param {string} text for a shell */
function quoted(text) {
  return /^[\w./:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
