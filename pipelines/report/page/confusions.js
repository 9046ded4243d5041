// Labels against what the model says.

import { byId, make } from "./dom.js";

/** @typedef {import("./set.js").SetPage} SetPage */

const MOST_CLASSES = 24;

/**
 * The matrix of labels and classes if they are few; else the most frequent confusions.
 * @param {SetPage} page
 */
export function drawConfusions(page) {
  /** @type {Map<string, Map<string, number>>} */
  const counts = new Map();
  for (let i = 0; i < page.count; i++) {
    if (Number.isNaN(page.correct[i]) || !page.top[i]) continue;
    const row = counts.get(page.label[i]) ?? new Map();
    counts.set(page.label[i], row.set(page.top[i], (row.get(page.top[i]) ?? 0) + 1));
  }
  const names = [...new Set([...counts].flatMap(([label, row]) => [label, ...row.keys()]))].sort(), root = byId("confusions");
  if (!counts.size) root.append(make("p", { class: "count", text: "No clip has a label that the model knows." }));
  else if (names.length <= MOST_CLASSES) root.append(matrix(names, counts, page));
  const pairs = [...counts].flatMap(([label, row]) => [...row].filter(([top]) => top !== label).map(([top, times]) => ({ label, top, times })));
  pairs.sort((a, b) => b.times - a.times);
  for (const { label, top, times } of pairs.slice(0, names.length <= MOST_CLASSES ? 4 : 9)) {
    const button = make("button", { type: "button", class: "confusion" }, make("span", { text: `${label} taken for ${top}` }), make("span", { text: String(times) }));
    button.addEventListener("click", () => page.choose({ label, top, state: "wrong", text: "" }));
    root.append(button);
  }
}

/**
 * @param {string[]} names
 * @param {Map<string, Map<string, number>>} counts
 * @param {SetPage} page
 */
function matrix(names, counts, page) {
  const most = Math.max(...[...counts.values()].flatMap((row) => [...row.values()]));
  const head = make("tr", {}, make("td"), ...names.map((text) => make("th", { scope: "col", text })));
  const rows = names.filter((name) => counts.has(name)).map((label) => make("tr", {}, make("th", { scope: "row", text: label }), ...names.map((top) => {
    const times = counts.get(label)?.get(top) ?? 0;
    if (!times) return make("td");
    const button = make("button", { type: "button", text: times, title: `${label}, the model says ${top}`, "aria-label": `${times} clips of ${label}, the model says ${top}` });
    const tone = label === top ? "var(--good)" : "var(--bad)";
    button.style.background = `color-mix(in srgb, ${tone} ${Math.round(8 + 32 * (times / most))}%, transparent)`;
    button.addEventListener("click", () => page.choose({ label, top, state: "", text: "" }));
    return make("td", {}, button);
  })));
  return make("div", { class: "matrix", tabindex: 0, role: "region", "aria-label": "Confusion matrix: labels down, what the model says across" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}
