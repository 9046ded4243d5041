// What leaves the page, and what comes in: links, pictures, a video that the user opens.

import { byId, saveFile } from "./dom.js";
import { pictureOf } from "./tiles.js";

/** @typedef {import("./main.js").Page} Page */

/** @param {Page} page */
export function copyLink(page) {
  clearTimeout(page.state.timer);
  page.state.remember();
  setTimeout(() => {
    /** @type {Promise<void> | undefined} */
    const done = navigator.clipboard ? navigator.clipboard.writeText(location.href) : undefined;
    Promise.resolve(done).then(() => say(done === undefined ? "The link is in the address bar" : "Link copied"), () => say("The link is in the address bar"));
  }, 300);
}

/** @param {string} text shown for a moment */
function say(text) {
  const status = byId("status");
  status.textContent = text;
  status.classList.add("toast");
  setTimeout(() => status.classList.remove("toast"), 2500);
}

/**
 * Play a file that the user opened.
 * @param {File | null} file
 * @param {Page} page
 */
export async function openFile(file, page) {
  if (!file) return;
  const player = page.deck.leader, former = player.source;
  const source = { kind: "source", href: "", embedded: "", type: file.type, starts: 0, map: null };
  const isOpen = await player.openAddress(URL.createObjectURL(file), source, true);
  if (isOpen) player.original = source;
  else {
    say("The browser cannot play this file");
    if (former) await player.open(former);
  }
  page.notice();
  page.frame();
}

/**
 * Save the pictures that are shown as a PNG, with a line on what they show.
 * @param {Page} page
 */
export function savePicture(page) {
  const hidden = page.tiles.some((tile) => tile.player.source && !tile.player.isReadable);
  if (hidden) {
    say("A page may not read a video beside it: open the video file once, then save again");
    byId("file").click();
    return;
  }
  pictureOf(page.tiles, page.look).toBlob((blob) => {
    if (blob) saveFile(blob, `${page.clips[0].name.replace(/\.[^.]*$/, "")}_${page.deck.second.toFixed(2)}s.png`);
  });
}
