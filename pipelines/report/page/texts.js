// Everything in words: the headline, the verdicts, where the maps come from.

import { badge, byId, make, percent } from "./dom.js";
import { targetOf } from "./tiles.js";

/** @typedef {import("./maps.js").Clip} Clip */

/**
 * The headline: what the model says.
 * @param {Clip[]} clips
 */
export function writeHeadline(clips) {
  const [clip] = clips, [label, share] = clip.data.predicted[0] ?? [clip.targets[0].label, clip.targets[0].mean];
  const sure = percent(share);
  byId("headline").append(label, ...(sure ? [" ", make("span", { class: "share", text: sure })] : []));
  const others = clip.data.predicted.slice(1, 4).map((/** @type {[string, number | null]} */ [name, p]) => (percent(p) ? `${name} ${percent(p)}` : name));
  const names = [...new Set(clips.map((each) => each.name))].join(", "), models = [...new Set(clips.map((each) => each.model))].join(", ");
  byId("subline").textContent = `${names} · ${models}${others.length && clips.length === 1 ? ` · then ${others.join(", ")}` : ""}`;
}

/**
 * The verdicts on the maps that are shown, and on the video.
 * @param {Clip[]} clips
 * @param {import("./state.js").Choice} choice
 */
export function writeVerdicts(clips, choice) {
  const lines = clips.map((clip) => {
    const target = targetOf(clip, choice.target), { method, verdict } = target.map(choice.method);
    const whose = `${clips.length > 1 ? `${clip.model}, ` : ""}${method} for ${target.name}`;
    return make("p", {}, badge(verdict), make("span", { text: ` ${whose}: ${verdict.reason}.` }));
  });
  const sentences = [...new Set(clips.map((clip) => clip.data.sentence).filter(Boolean))];
  byId("verdicts").replaceChildren(...lines, ...sentences.map((text) => make("p", { class: "about", text })));
}

/**
 * What stands below: all verdicts, remarks, provenance.
 * @param {Clip[]} clips
 */
export function writeTexts(clips) {
  byId("texts").replaceChildren(...clips.flatMap((clip) => {
    const title = clips.length > 1 ? `: ${clip.model}, ${clip.name}` : "";
    return [
      folded(`How far each map can be trusted${title}`, mapsOf(clip) <= 12, table(clip, title), list([...clip.data.remarks, ...clip.data.facts])),
      folded(`Where this comes from${title}`, false, rows(clip.data.provenance), command(clip.data.settings, title)),
    ];
  }));
}

/** @param {Clip} clip */
function mapsOf(clip) {
  return clip.mainTargets.flatMap((/** @type {any} */ target) => target.maps).length;
}

/**
 * @param {Clip} clip
 * @param {string} title
 */
function table(clip, title) {
  const several = clip.mainTargets.length > 1, body = make("tbody");
  for (const target of clip.mainTargets) {
    for (const map of target.maps) {
      body.append(make("tr", {},
        make("th", { scope: "row", text: map.method }), several ? make("td", { text: target.name }) : null,
        make("td", {}, badge(map.verdict)), make("td", { text: map.verdict.reason })));
    }
  }
  const head = ["Method", ...(several ? ["Class"] : []), "Verdict", "Why"];
  return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": `Verdicts${title}` }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))), body));
}

/** @param {string[]} sentences */
function list(sentences) {
  return sentences.length ? make("ul", {}, ...sentences.map((text) => make("li", { text }))) : null;
}

/** @param {[string, string][]} pairs */
function rows(pairs) {
  return make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
}

/**
 * @param {string} settings
 * @param {string} title
 */
function command(settings, title) {
  return settings ? make("pre", { tabindex: 0, role: "region", "aria-label": `Settings${title}`, text: settings.trim() }) : null;
}

/**
 * @param {string} title
 * @param {boolean} isOpen
 * @param {(Node | null)[]} content
 */
function folded(title, isOpen, ...content) {
  return make("details", { open: isOpen }, make("summary", {}, make("h2", { text: title })), ...content);
}

export const KEYS = [
  ["Space", "Play or pause"],
  ["← →", "One frame; with Shift ten"],
  ["Home End", "First and last frame"],
  ["1 – 9", "Method"],
  ["c", "Next class"],
  ["d", "Next way of drawing"],
  ["v", "Next arrangement of pictures"],
  ["[ ]", "Opacity"],
  [", .", "Hide less or more of the weak heat"],
  ["+ − 0", "Zoom the time strip (also Ctrl and wheel)"],
  ["m", "Sound"],
  ["s", "Save a picture"],
  ["l", "Copy a link to this moment"],
  ["?", "These keys"],
];

/** Fill the dialog of the keys. */
export function writeKeys() {
  const close = make("button", { type: "button", text: "Close" }), dialog = /** @type {HTMLDialogElement} */ (byId("keys"));
  close.addEventListener("click", () => dialog.close());
  dialog.append(
    make("h2", { id: "keys-title", text: "Keys" }),
    make("dl", {}, ...KEYS.flatMap(([key, what]) => [make("dt", {}, make("kbd", { text: key })), make("dd", { text: what })])),
    close);
}
